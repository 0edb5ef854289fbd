/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/worker.h"
#include "workers/thread.h"
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Empty rounds before an adaptive worker sleeps. A round is about 20 ns a port, so this is some
 * tens of microseconds: more than the gaps of a busy link, less than one sees of CPU use. */
#define WORKER_SPINS 2000

/* Longest sleep: rings are looked at again for frames that sleeping members have released. */
#define WORKER_SLEEP_MS 100

/* The same while a member is to be woken later. */
#define WORKER_DOZE_MS 1

/* Rings that are looked at for released frames after each burst. */
#define WORKER_RECLAIM_RINGS 64

/* Empty rounds of all ports after which a draining worker believes them: the kernel's softirq may
 * still be handing over what it had before the program was detached. */
#define WORKER_DRAIN_ROUNDS 1000

static uint64_t worker_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

void worker_census_write(struct worker *worker)
{
	struct worker_census *census = &worker->census;
	const struct frame_table *frames = &worker->umem.frames;

	__atomic_store_n(&census->seq, census->seq + 1, __ATOMIC_RELAXED);
	/* each store is a release: a reader that sees one of them sees the odd seq before it */
	__atomic_store_n(&census->free, frames->free_cnt, __ATOMIC_RELEASE);
	__atomic_store_n(&census->kernel, frames->kernel_cnt, __ATOMIC_RELEASE);
	__atomic_store_n(&census->held, frames->held_cnt, __ATOMIC_RELEASE);
	__atomic_store_n(&census->worker, frames->worker_cnt, __ATOMIC_RELEASE);
	__atomic_store_n(&census->tx, frames->tx_cnt, __ATOMIC_RELEASE);
	__atomic_store_n(&census->seq, census->seq + 1, __ATOMIC_RELEASE);
}

void worker_census_read(const struct worker *worker, struct worker_census *census)
{
	const struct worker_census *from = &worker->census;

	do {
		/* pairs with the last release store of worker_census_write() */
		census->seq = __atomic_load_n(&from->seq, __ATOMIC_ACQUIRE);
		/* acquire loads: seq is read again only after them */
		census->free = __atomic_load_n(&from->free, __ATOMIC_ACQUIRE);
		census->kernel = __atomic_load_n(&from->kernel, __ATOMIC_ACQUIRE);
		census->held = __atomic_load_n(&from->held, __ATOMIC_ACQUIRE);
		census->worker = __atomic_load_n(&from->worker, __ATOMIC_ACQUIRE);
		census->tx = __atomic_load_n(&from->tx, __ATOMIC_ACQUIRE);
	} while ((census->seq & 1) || census->seq != __atomic_load_n(&from->seq, __ATOMIC_RELAXED));
}

/* Wake the members that sleep although they now have packets. */
static void worker_wake(struct worker *worker)
{
	struct fanout *fanout = &worker->fanout;

	/* between a store of prod and the load of `waiting`; see ring_wants_wake() */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < fanout->touched_cnt; i++) {
		uint32_t slot = fanout->touched[i];
		struct outlet *outlet = &fanout->outlets[slot];

		if (!outlet->consume && ring_wants_wake(&outlet->ring))
			waker_wake(&worker->waker, slot);
	}
}

static void worker_burst(struct worker *worker, const struct packet *pkts, uint32_t cnt)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < cnt; i++)
		bytes += pkts[i].meta->wire_len;
	fanout_burst(&worker->fanout, pkts, cnt);
	worker_wake(worker);
	counter_add(&worker->received, cnt);
	counter_add(&worker->bytes, bytes);
}

static void worker_set_rosters(struct fanout *fanout, uint32_t group, const struct rosters *rosters)
{
	/* the last is of those who get what is for all */
	fanout_set_roster(fanout, group, &rosters->of_class[rosters->class_cnt - 1]);
	fanout_set_classes(fanout, group, rosters->of_class);
	fanout_set_seats(fanout, group, &rosters->all);
}

static void worker_set_policy(struct worker *worker, const struct worker_change *change)
{
	struct fanout *fanout = &worker->fanout;

	if (change->tunnels && !worker->classify.tunnels)
		worker->classify.tunnels = change->tunnels[worker->id];
	fanout_set_policy(fanout, change->policy, &change->states[worker->id]);
	for (uint32_t place = 0; change->rosters && place < POLICY_PLACES_MAX; place++)
		if (change->rosters[place])
			worker_set_rosters(fanout, place, change->rosters[place]);
}

/* Change the policy; WORKER_POLICY_SETTLE where nothing is left of before. */
static void worker_change_policy(struct worker *worker, const struct worker_change *change)
{
	struct fanout *fanout = &worker->fanout;

	switch (change->policy_change) {
	case WORKER_POLICY_KEEP:
		break;
	case WORKER_POLICY_SET:
		worker_set_policy(worker, change);
		if (worker->replay &&
		    judge_replace(&worker->replay->judge, change->filter,
				  change->policy->generation, &worker->replay->error))
			worker->replay->ended = true;
		break;
	case WORKER_POLICY_RESTORE:
		fanout_restore_policy(fanout);
		break;
	case WORKER_POLICY_SETTLE:
		fanout_settle(fanout);
		for (uint32_t p = 0; p < worker->port_cnt; p++)
			port_set_filter(&worker->ports[p], change->filter);
		break;
	}
}

static void worker_change_quotas(struct worker *worker, const uint32_t *quotas)
{
	for (uint32_t slot = 0; slot < worker->fanout.outlet_max; slot++)
		if (quotas[slot])
			fanout_set_quota(&worker->fanout, slot, quotas[slot]);
}

static void worker_change(struct worker *worker, const struct worker_change *change)
{
	struct fanout *fanout = &worker->fanout;

	if (change->hush != FANOUT_NONE)
		waker_set(&worker->waker, change->hush, -1);
	if (change->close != FANOUT_NONE)
		fanout_close_one(fanout, change->close);
	if (change->detach != FANOUT_NONE) {
		fanout_detach(fanout, change->detach);
		waker_set(&worker->waker, change->detach, -1);
	}
	if (change->attach != FANOUT_NONE) {
		fanout_attach(fanout, change->attach, change->outlet);
		waker_set(&worker->waker, change->attach, change->wake_fd);
	}
	if (change->roster && change->begin)
		fanout_begin_group(fanout, change->group,
				   &change->roster->of_class[change->roster->class_cnt - 1]);
	if (change->roster)
		worker_set_rosters(fanout, change->group, change->roster);
	if (change->quotas)
		worker_change_quotas(worker, change->quotas);
	worker_change_policy(worker, change);
	if (change->data)
		fanout_set_data(fanout, change->data);
	worker_census_write(worker);
}

/* What the ports have now may be of before a reload: how much of it there may be. */
static void worker_begin_settling(struct worker *worker)
{
	worker->settling = true;
	fanout_settle_unmarked(&worker->fanout);
	for (uint32_t p = 0; p < worker->port_cnt; p++)
		worker->unsettled[p] = PORT_RING_SLOTS;
}

/* A port gave `cnt` packets: none, and it has none of before. Fewer than a burst say nothing, as
 * the ring looks for more only when it has handed out all that it knew of. */
static void worker_settle(struct worker *worker, uint32_t port, uint32_t cnt)
{
	uint32_t *left = &worker->unsettled[port];

	*left = cnt == 0 || cnt > *left ? 0 : *left - cnt;
}

/* Whether a change that was posted may be made now. */
static bool worker_is_settled(struct worker *worker, const struct worker_change *change)
{
	if (change->policy_change != WORKER_POLICY_SETTLE || worker->replay)
		return true;
	if (!worker->settling) {
		worker_begin_settling(worker);
		return worker->port_cnt == 0;
	}
	for (uint32_t p = 0; p < worker->port_cnt; p++)
		if (worker->unsettled[p] > 0)
			return false;
	return true;
}

/* Make a change that was posted, if any; between bursts. */
static inline void worker_take_change(struct worker *worker)
{
	const struct worker_change *change;
	uint64_t one = 1;

	/* pairs with the release store in worker_post() */
	change = __atomic_load_n(&worker->change, __ATOMIC_ACQUIRE);
	if (__builtin_expect(!change, 1) || !worker_is_settled(worker, change))
		return;
	worker->settling = false;
	worker_change(worker, change);
	__atomic_store_n(&worker->change, NULL, __ATOMIC_RELAXED);
	(void)!write(worker->changed_fd, &one, sizeof(one));
}

void worker_post(struct worker *worker, const struct worker_change *change)
{
	uint64_t one = 1;

	if (!worker->started) {
		worker_change(worker, change);
		return;
	}
	/* pairs with the acquire load in worker_take_change() */
	__atomic_store_n(&worker->change, change, __ATOMIC_RELEASE);
	(void)!write(worker->event_fd, &one, sizeof(one));
}

void worker_await(struct worker *worker)
{
	uint64_t cnt;

	if (worker->started)
		while (read(worker->changed_fd, &cnt, sizeof(cnt)) < 0 && errno == EINTR)
			;
}

/* Between bursts: take back what members have released, and tell the wiring of those that lie. */
static inline void worker_reclaim(struct worker *worker, uint32_t rings)
{
	uint64_t faulty = worker->faulty_told, one = 1;

	if (__builtin_expect(worker->waker.debtor_cnt > 0, 0))
		waker_pay(&worker->waker);
	fanout_reclaim(&worker->fanout, rings);
	if (__builtin_expect(worker->fanout.faulty == faulty, 1))
		return;
	worker->faulty_told = worker->fanout.faulty;
	(void)!write(worker->notice_fd, &one, sizeof(one));
}

/* Sleep until a port has packets or the wiring wants something. */
static void worker_sleep(struct worker *worker)
{
	struct pollfd fds[XDP_INTERFACES_MAX + 1];
	uint64_t events;
	nfds_t cnt = 0;

	fds[cnt++] = (struct pollfd){.fd = worker->event_fd, .events = POLLIN};
	for (uint32_t i = 0; i < worker->port_cnt; i++)
		if (!port_is_gone(&worker->ports[i]))
			fds[cnt++] = (struct pollfd){.fd = worker->ports[i].fd, .events = POLLIN};
	counter_add(&worker->sleeps, 1);
	if (poll(fds, cnt, worker->waker.debtor_cnt ? WORKER_DOZE_MS : WORKER_SLEEP_MS) > 0 &&
	    (fds[0].revents & POLLIN))
		(void)!read(worker->event_fd, &events, sizeof(events));
	/* a socket whose device went away polls as an error for ever: leave it out */
	for (nfds_t i = 1; i < cnt; i++)
		for (uint32_t p = 0; p < worker->port_cnt; p++)
			if (worker->ports[p].fd == fds[i].fd &&
			    (fds[i].revents & (POLLERR | POLLNVAL)))
				port_failed(&worker->ports[p]);
}

/* Whether there was nothing for so long that the idle policy wants a sleep. */
static bool worker_is_idle(const struct worker *worker, uint32_t empty_rounds)
{
	switch (worker->idle) {
	case CONFIG_IDLE_SPIN:
		return false;
	case CONFIG_IDLE_SLEEP:
		return empty_rounds > 0;
	case CONFIG_IDLE_ADAPTIVE:
		break;
	}
	return empty_rounds >= WORKER_SPINS;
}

/* Take a burst from a port, its time that of its arrival here where the port does not say another,
 * and hand it out. */
static uint32_t worker_receive(struct worker *worker, struct port *port, struct packet *pkts)
{
	uint32_t cnt = port_receive(port, &worker->umem, worker->hash_seed, pkts);
	uint64_t now_ns;

	if (cnt == 0)
		return 0;
	now_ns = port->copies ? 0 : worker_now_ns();
	for (uint32_t i = 0; now_ns && i < cnt; i++)
		pkts[i].meta->ts_ns = now_ns;
	worker_burst(worker, pkts, cnt);
	return cnt;
}

static void worker_run_ports(struct worker *worker)
{
	struct packet pkts[PACKET_BURST];
	uint32_t empty = 0;

	for (;;) {
		bool draining = __atomic_load_n(&worker->state, __ATOMIC_ACQUIRE) == WORKER_DRAIN;
		uint32_t total = 0, freed;

		worker_take_change(worker);
		for (uint32_t p = 0; p < worker->port_cnt; p++) {
			uint32_t cnt = worker_receive(worker, &worker->ports[p], pkts);

			total += cnt;
			if (__builtin_expect(worker->settling, 0))
				worker_settle(worker, p, cnt);
		}
		freed = worker->umem.frames.held_cnt;
		worker_reclaim(worker, WORKER_RECLAIM_RINGS);
		freed -= worker->umem.frames.held_cnt;
		for (uint32_t p = 0; p < worker->port_cnt; p++)
			port_refill(&worker->ports[p], &worker->umem);
		if (total > 0 || freed > 0)
			worker_census_write(worker);
		if (total > 0) {
			empty = 0;
			continue;
		}
		empty++;
		if (draining) {
			if (empty >= WORKER_DRAIN_ROUNDS)
				return;
			continue;
		}
		if (!worker->settling && worker_is_idle(worker, empty))
			worker_sleep(worker);
	}
}

/* A file can wait: nothing is read while a ring has no room, so that nothing is lost. */
static void worker_run_replay(struct worker *worker)
{
	struct packet pkts[PACKET_BURST];

	while (!worker->replay->ended &&
	       __atomic_load_n(&worker->state, __ATOMIC_ACQUIRE) == WORKER_RUN) {
		uint32_t room, cnt;

		worker_take_change(worker);
		worker_reclaim(worker, 0);
		room = fanout_room(&worker->fanout);
		if (room > worker->umem.frames.free_cnt)
			room = worker->umem.frames.free_cnt;
		if (room == 0) {
			sched_yield();
			continue;
		}
		cnt = replay_receive(worker->replay, &worker->umem, room, pkts);
		if (cnt > 0)
			worker_burst(worker, pkts, cnt);
		worker_census_write(worker);
	}
}

/* The file was read: say so, and go on making changes until the wiring says to end. */
static void worker_rest(struct worker *worker)
{
	struct pollfd fd = {.fd = worker->event_fd, .events = POLLIN};
	uint64_t events, one = 1;

	__atomic_store_n(&worker->ended, true, __ATOMIC_RELEASE);
	(void)!write(worker->notice_fd, &one, sizeof(one));
	while (__atomic_load_n(&worker->state, __ATOMIC_ACQUIRE) == WORKER_RUN) {
		worker_take_change(worker);
		worker_reclaim(worker, 0);
		worker_census_write(worker);
		if (poll(&fd, 1, WORKER_SLEEP_MS) > 0)
			(void)!read(worker->event_fd, &events, sizeof(events));
	}
}

static void *worker_run(void *argument)
{
	struct worker *worker = argument;
	char name[16];

	snprintf(name, sizeof(name), "xfq-worker-%u", worker->id);
	pthread_setname_np(pthread_self(), name);
	if (worker->bare)
		thread_drop_capabilities();
	if (worker->replay) {
		worker_run_replay(worker);
		worker_rest(worker);
	} else {
		worker_run_ports(worker);
	}
	worker_census_write(worker);
	return NULL;
}

int worker_start(struct worker *worker, struct xfq_error *error)
{
	int code = thread_start(&worker->thread, worker->cpu, worker_run, worker);

	if (code)
		return xfq_error_set(error, code, "worker %u: starting a thread on CPU %d: %s",
				     worker->id, worker->cpu, strerror(-code));
	worker->started = true;
	return 0;
}

void worker_finish(struct worker *worker)
{
	uint64_t one = 1;

	if (!worker->started)
		return;
	__atomic_store_n(&worker->state, WORKER_DRAIN, __ATOMIC_RELEASE);
	(void)!write(worker->event_fd, &one, sizeof(one));
	pthread_join(worker->thread, NULL);
	worker->started = false;
}
