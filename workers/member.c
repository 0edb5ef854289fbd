/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/member.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Empty rounds before a member goes to sleep: a few microseconds, so that a steady stream does not
 * pay for being woken, and threads that outnumber the cores do not burn them. */
#define MEMBER_SPINS 64

int member_create(struct member *member, const char *name, uint32_t worker_cnt,
		  struct xfq_error *error)
{
	int code;

	memset(member, 0, sizeof(*member));
	snprintf(member->name, sizeof(member->name), "%s", name);
	member->wake_fd = -1;
	code = shm_create(&member->cons_shm, "xfq-member", (size_t)worker_cnt * MEMBER_PAGE_BYTES,
			  0, error);
	if (code)
		return code;
	member->ring_cnt = worker_cnt;
	member->rings = calloc(worker_cnt, sizeof(*member->rings));
	member->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!member->rings || member->wake_fd < 0) {
		code = member->rings ? -errno : -ENOMEM;
		member_destroy(member);
		return xfq_error_set(error, code, "%s: making a member: %s%s", name,
				     strerror(-code),
				     code == -EMFILE ? "; raise the limit: ulimit -n" : "");
	}
	return 0;
}

struct xfq_ring_cons *member_cons_page(const struct member *member, uint32_t worker)
{
	return (struct xfq_ring_cons *)(void *)((uint8_t *)member->cons_shm.base +
						(size_t)worker * MEMBER_PAGE_BYTES);
}

/* Take one burst from one ring. Returns its size. */
static uint32_t member_consume(struct member *member, struct xfq_ring *ring, const uint8_t *index)
{
	struct packet pkts[PACKET_BURST];
	uint32_t cnt = xfq_ring_peek(ring, PACKET_BURST);

	for (uint32_t i = 0; i < cnt; i++) {
		const struct xfq_ring_desc *desc = xfq_ring_desc(ring, i);
		uint8_t *data = (uint8_t *)(uintptr_t)xfq_ring_packet(ring, desc);

		pkts[i].data = data;
		pkts[i].meta = (struct xfq_meta *)(void *)(data - XFQ_META_BYTES);
		pkts[i].len = desc->len;
		pkts[i].frame = 0;
	}
	if (cnt == 0)
		return 0;
	sink_consume(&member->sink, pkts, index, cnt);
	xfq_ring_release(ring, cnt);
	return cnt;
}

static void member_set_waiting(struct member *member, uint32_t waiting)
{
	for (uint32_t i = 0; i < member->ring_cnt; i++)
		__atomic_store_n(&member->rings[i].cons_page->waiting, waiting, __ATOMIC_SEQ_CST);
}

/* Sleep until a worker publishes. It looks again after having said that it sleeps: either it sees
 * the worker's prod, or the worker sees its `waiting`. */
static void member_sleep(struct member *member)
{
	struct pollfd poll_fd = {.fd = member->wake_fd, .events = POLLIN};
	uint64_t events;
	bool empty = true;

	member_set_waiting(member, 1);
	for (uint32_t i = 0; i < member->ring_cnt; i++)
		if (__atomic_load_n(&member->rings[i].shared->prod, __ATOMIC_SEQ_CST) !=
		    member->rings[i].cons)
			empty = false;
	if (empty && !__atomic_load_n(&member->draining, __ATOMIC_SEQ_CST))
		poll(&poll_fd, 1, -1);
	member_set_waiting(member, 0);
	/* fails where nobody wrote: the rings were not empty after all */
	(void)!read(member->wake_fd, &events, sizeof(events));
}

static void *member_run(void *argument)
{
	struct member *member = argument;
	uint8_t index[PACKET_BURST];
	uint32_t idle = 0;

	pthread_setname_np(pthread_self(), member->name);
	for (uint32_t i = 0; i < PACKET_BURST; i++)
		index[i] = (uint8_t)i;
	for (;;) {
		/* read before the rings: what was published before it was set is then seen */
		bool draining = __atomic_load_n(&member->draining, __ATOMIC_ACQUIRE);
		uint32_t cnt = 0;

		for (uint32_t i = 0; i < member->ring_cnt; i++)
			cnt += member_consume(member, &member->rings[i], index);
		if (cnt > 0) {
			idle = 0;
			continue;
		}
		if (draining)
			return NULL;
		if (++idle >= MEMBER_SPINS) {
			member_sleep(member);
			idle = 0;
		}
	}
}

int member_start(struct member *member, struct xfq_error *error)
{
	int code = -pthread_create(&member->thread, NULL, member_run, member);

	if (code)
		return xfq_error_set(error, code, "%s: starting a thread: %s", member->name,
				     strerror(-code));
	member->started = true;
	return 0;
}

void member_finish(struct member *member)
{
	uint64_t one = 1;

	if (!member->started)
		return;
	__atomic_store_n(&member->draining, true, __ATOMIC_SEQ_CST);
	/* only a counter at its very end refuses, and then the member is awake */
	(void)!write(member->wake_fd, &one, sizeof(one));
	pthread_join(member->thread, NULL);
	member->started = false;
}

void member_destroy(struct member *member)
{
	free(member->rings);
	shm_destroy(&member->cons_shm);
	if (member->wake_fd > 0)
		close(member->wake_fd);
	memset(member, 0, sizeof(*member));
}
