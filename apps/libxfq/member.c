/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/libxfq/member.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Empty rounds before XFQ_WAIT_BLOCK sleeps: a few microseconds, so that a steady stream does not
 * pay for being woken, and threads that outnumber the cores do not burn them. */
#define MEMBER_SPINS 64
/* Empty rounds of XFQ_WAIT_SPIN between two looks at the connection: about a millisecond. */
#define MEMBER_SPINS_DEAF 65536

/* --- the connection --------------------------------------------------------------------------- */

static void member_end(struct xfq_member *member, int code, const char *text)
{
	member->end_code = code;
	snprintf(member->end_text, sizeof(member->end_text), "%s", text);
}

/* Take everything that the connection has to say: wake-ups, and why it ends. */
static void member_hear(struct xfq_member *member)
{
	struct protocol_notice notice;
	bool woken = false;
	ssize_t got;

	while (member->end_code == 0) {
		got = recv(member->fd, &notice, sizeof(notice), MSG_DONTWAIT);
		if (got == 0) /* see client_receive(): there may be last words */
			got = recv(member->fd, &notice, sizeof(notice), MSG_DONTWAIT);
		if (got == sizeof(notice) && notice.magic == PROTOCOL_MAGIC) {
			notice.text[sizeof(notice.text) - 1] = '\0';
			member_end(member, notice.code == -ECONNABORTED ? -ECONNABORTED : -EPIPE,
				   notice.text);
		} else if (got > 0) {
			woken = true;
		} else if (got == 0) {
			member_end(
				member, -ECONNRESET,
				"the instance ended without a word: it was killed or has crashed");
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR && errno != ECONNRESET) {
			/* reset is said once, before what was sent ahead of it */
			member_end(member, -ECONNRESET, strerror(errno));
		}
	}
	member->wakeups += woken;
}

/* --- the rings -------------------------------------------------------------------------------- */

static void member_next_ring(struct xfq_member *member)
{
	member->current = member->current + 1 < member->ring_cnt ? member->current + 1 : 0;
	member->turn = member->rings[member->current].mask + 1;
}

/* How many packets may be shown now, all of the ring `current`; at most `max`. */
static uint32_t member_look(struct xfq_member *member, uint32_t max)
{
	for (uint32_t i = 0; i < member->ring_cnt; i++) {
		struct xfq_ring *ring = &member->rings[member->current];
		uint32_t cnt = xfq_ring_peek(ring, max < member->turn ? max : member->turn);

		if (cnt == 0) {
			member_next_ring(member);
			continue;
		}
		/* a closed ring may be that of a member which was detached, with its packets being
		 * others' already: the connection knows */
		if (__atomic_load_n(&ring->shared->closed, __ATOMIC_RELAXED) && !member->end_code)
			member_hear(member);
		return member->end_code == -ECONNABORTED ? 0 : cnt;
	}
	return 0;
}

/* What a peek would find: 1: packets; 0: nothing; or the code that the membership ended with. */
static int member_state(struct xfq_member *member)
{
	bool ended = true;

	if (member->end_code == -ECONNABORTED)
		return member->end_code;
	for (uint32_t i = 0; i < member->ring_cnt; i++) {
		if (xfq_ring_ended(&member->rings[i]))
			continue;
		if (xfq_ring_ready(&member->rings[i]))
			return 1;
		ended = false;
	}
	if (ended && member->end_code == 0) {
		member_hear(member); /* it may have a better sentence */
		if (member->end_code == 0)
			member_end(member, -EPIPE, "the instance has ended");
	}
	return member->end_code;
}

static void member_set_armed(struct xfq_member *member, bool armed)
{
	if (member->armed == armed)
		return;
	for (uint32_t i = 0; i < member->ring_cnt; i++)
		xfq_ring_set_waiting(&member->rings[i], armed);
	member->armed = armed;
}

/* --- sleep ------------------------------------------------------------------------------------ */

/* Sleep, armed and after a look at the rings, until the connection says something: 1; 0: the time
 * is up; or -errno. */
static int member_sleep(struct xfq_member *member, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = member->fd, .events = POLLIN};
	int cnt = poll(&poll_fd, 1, timeout_ms);

	if (cnt < 0)
		return -errno;
	if (cnt > 0)
		member_hear(member);
	return cnt;
}

/* Nothing was found. 1: look again; else what the peek answers. */
static int member_idle(struct xfq_member *member)
{
	int state;

	member->idle++;
	if (member->wait == XFQ_WAIT_SPIN) {
		if (member->idle % MEMBER_SPINS_DEAF && !member->end_code)
			return 0;
		member_hear(member);
		return member_state(member);
	}
	if (member->wait == XFQ_WAIT_BLOCK && member->idle < MEMBER_SPINS && !member->end_code)
		return 1;
	member_set_armed(member, true);
	if (member->wait == XFQ_WAIT_POLL) {
		member_hear(member);
		return member_state(member);
	}
	state = member_state(member);
	return state ? state : member_sleep(member, -1);
}

static int64_t member_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* As xfq_wait(), and leaves the member armed. */
static int member_await(struct xfq_member *member, int timeout_ms)
{
	int64_t until = timeout_ms > 0 ? member_now_ms() + timeout_ms : 0;
	int left = timeout_ms, code;

	member_set_armed(member, true);
	for (;;) {
		if (member_state(member))
			return 1;
		code = member_sleep(member, left);
		if (code <= 0)
			return code;
		if (timeout_ms > 0) { /* woken for what is not there: a wake-up of before */
			int64_t now = member_now_ms();

			left = now < until ? (int)(until - now) : 0;
		}
	}
}

/* --- the API ---------------------------------------------------------------------------------- */

int xfq_peek(struct xfq_member *member, struct xfq_packet *pkts, uint32_t max)
{
	const struct xfq_ring *ring;
	uint32_t cnt;
	int code;

	if (member->stop)
		return member->stop;
	if (max == 0)
		return 0;
	while ((cnt = member_look(member, max)) == 0) {
		member->shown = 0;
		code = member_idle(member);
		if (code == 1)
			continue;
		if (member->end_code && code == member->end_code)
			member->stop = code;
		return code;
	}
	member->shown = cnt;
	member->idle = 0;
	if (member->armed)
		member_set_armed(member, false);
	ring = &member->rings[member->current];
	for (uint32_t i = 0; i < cnt; i++) {
		const struct xfq_ring_desc *desc = xfq_ring_desc(ring, i);

		pkts[i].data = xfq_ring_packet(ring, desc);
		pkts[i].meta = xfq_ring_meta(ring, desc);
		pkts[i].len = desc->len;
		pkts[i].mark = desc->mark;
	}
	return (int)cnt;
}

void xfq_release(struct xfq_member *member, uint32_t cnt)
{
	if (cnt > member->shown)
		cnt = member->shown;
	if (cnt == 0 || member->stop)
		return;
	xfq_ring_release(&member->rings[member->current], cnt);
	member->packets += cnt;
	member->shown -= cnt;
	member->turn -= cnt;
	if (member->shown == 0)
		member_next_ring(member);
}

int xfq_wait(struct xfq_member *member, int timeout_ms)
{
	int code;

	if (member->stop)
		return member->stop == -ECHILD ? -ECHILD : 1;
	if (member_state(member))
		return 1;
	code = member_await(member, timeout_ms);
	if (member->wait != XFQ_WAIT_POLL)
		member_set_armed(member, false);
	return code;
}

int xfq_fd(const struct xfq_member *member)
{
	return member->fd;
}

const char *xfq_end(const struct xfq_member *member)
{
	if (member->stop == -ECHILD)
		return "the membership is the parent process's: it does not survive fork()";
	return member->stop ? member->end_text : NULL;
}

void xfq_member_stats(const struct xfq_member *member, struct xfq_member_stats *stats)
{
	*stats = (struct xfq_member_stats){
		.packets = member->packets,
		.wakeups = member->wakeups,
	};
	if (member->stop == -ECHILD)
		return;
	for (uint32_t i = 0; i < member->ring_cnt; i++) {
		const struct xfq_ring *ring = &member->rings[i];

		stats->queued +=
			__atomic_load_n(&ring->shared->prod, __ATOMIC_RELAXED) - ring->cons;
		stats->lost_ring += __atomic_load_n(&ring->shared->lost_ring, __ATOMIC_RELAXED);
		stats->lost_quota += __atomic_load_n(&ring->shared->lost_quota, __ATOMIC_RELAXED);
	}
}

void xfq_member_info(const struct xfq_member *member, struct xfq_member_info *info)
{
	*info = member->info;
}
