/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A membership, seen from the member: rings, and the connection that is its life.
 *
 * Rings are walked in turn, one at a time, so that what is shown lies in one ring and is given back
 * by moving one index:
 *
 *	        turn: up to one ring full
 *	+------------------------------------+
 *	| shown, not released | may be shown |     all shown released, or the turn used up:
 *	+------------------------------------+     the next ring
 *	cons
 *
 * Sleep. The member is armed when `waiting` is set on all rings; then it looks at all rings once
 * more, and only if they are empty may it rely on a wake-up. Messages are always taken from the
 * connection before that look and never after it: a wake-up that is swallowed has its packet seen.
 *
 * End. A notice or the end of the connection sets end_code; `stop` follows when there is nothing
 * left to be shown, and is then the answer to everything.
 *
 * Threads: one at a time for each member. The list of members, and what the fork handlers do to
 * those on it, is join.c's.
 */
#ifndef LIBXFQ_MEMBER_H
#define LIBXFQ_MEMBER_H

#include "apps/libxfq/mapping.h"
#include <xfq/xfq.h>

struct xfq_member {
	/* what every peek looks at */
	struct xfq_ring *rings; /* the mapping's */
	uint32_t ring_cnt;
	uint32_t current; /* ring whose turn it is */
	uint32_t turn;    /* packets that it may still show */
	uint32_t shown;   /* by the last peek, and not released */
	uint32_t idle;    /* empty rounds since there was a packet */
	enum xfq_wait_mode wait;
	bool armed;
	int stop;     /* what every call answers: -ECHILD, or the end_code that was told; 0 */
	int end_code; /* -EPIPE, -ECONNRESET or -ECONNABORTED; 0: it goes on */
	uint64_t packets, wakeups;

	int fd; /* the connection; -1: none, or the parent's */
	char end_text[PROTOCOL_TEXT_BYTES];
	struct xfq_member_info info;
	struct mapping mapping;
	struct xfq_member *previous, *next; /* of this process */
};

#endif
