/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A membership spoken by hand, without libxfq: the bare descriptors that a member is given, and the
 * words that it may write. Whatever goes wrong while it is made ends the program with a sentence.
 */
#ifndef HOSTILE_SEAT_H
#define HOSTILE_SEAT_H

#include "apps/instance/protocol.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Places in seat.fds and seat.areas; packet memory of worker w is at SEAT_UMEM + w. */
enum { SEAT_RINGS, SEAT_CONS, SEAT_UMEM };

struct seat_area {
	uint8_t *base; /* rings and packet memory read-only, consumer pages writable */
	size_t len;
};

struct seat {
	int fd; /* the connection */
	struct protocol_joined joined;
	int fds[PROTOCOL_FDS_MAX];
	uint32_t fd_cnt;
	struct seat_area areas[PROTOCOL_FDS_MAX];
};

/*
 * Join `group` of the instance that listens at `path`, in two steps: take what the instance gives
 * and map it; then seal what is to be sealed and say that packets may come.
 */
void seat_take(struct seat *seat, const char *path, const char *group);
void seat_seal(const struct seat *seat);
void seat_ready(const struct seat *seat);

/* Leave, unmap and close everything. */
void seat_leave(const struct seat *seat);

/* The ring with a worker, and its consumer page. */
const struct xfq_ring_prod *seat_ring(const struct seat *seat, uint32_t worker);
struct xfq_ring_cons *seat_cons(const struct seat *seat, uint32_t worker);

/* Release all that was published, in every ring, as a member does that is quick. */
void seat_release(const struct seat *seat);

/* Say in every ring whether the member sleeps. */
void seat_set_waiting(const struct seat *seat, uint32_t waiting);

/* What the connection says within `timeout_ms` (-1: wait for ever): 0: nothing, 1: a wake-up, or
 * the code of last words, which are in `text` then; -ECONNRESET: it ended without any. */
int seat_hear(const struct seat *seat, int timeout_ms, char text[PROTOCOL_TEXT_BYTES]);

#endif
