/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the first pass in user space remembers from one packet to the next, as the program in the
 * kernel does in its maps: the buckets of limits, the notes of fragments. Made when the first
 * packet needs it; where there is no memory for it, nothing is limited and no note is found.
 */
#ifndef XDP_FIRST_PASS_STATE_H
#define XDP_FIRST_PASS_STATE_H

#include "xdp/filter.h"
#include "xdp/limit.h"
#include "xdp/lru.h"
#include <stdbool.h>

struct first_pass_limit {
	struct xdp_limit limit;
	struct lru buckets;
	bool made; /* or tried in vain */
};

struct first_pass_state {
	struct first_pass_limit limits[XDP_LIMITS_MAX];
	struct lru notes; /* of fragments */
	bool notes_made;
};

/* Whether a packet is beyond the rate of the limit with number `index`; if not, it has taken its
 * token. */
bool first_pass_over(struct first_pass_state *state, uint32_t index,
		     const struct filter_limit *limit, const struct xdp_judged *judged);

/* Room for the notes of FRAGMENT_DATAGRAMS datagrams. 0 or -ENOMEM; the caller owes an
 * lru_destroy() either way. */
int first_pass_make_notes(struct lru *notes);

/* Give a fragment the hash of its datagram, by its note in `notes`, or leave one there; without
 * room, no note is found. False: its first fragment is not known. */
bool first_pass_note(struct lru *notes, enum xdp_orphan orphans, uint64_t seed,
		     struct xdp_judged *judged);

/* The same by the notes of the first pass. */
bool first_pass_follow(struct first_pass_state *state, enum xdp_orphan orphans, uint64_t seed,
		       struct xdp_judged *judged);

/* From now on the limits are those of `to`: what both filters say keeps its buckets. */
void first_pass_carry_limits(struct first_pass_state *state, const struct filter *from,
			     const struct filter *to);

/* Free what it owns and zero it. */
void first_pass_state_destroy(struct first_pass_state *state);

#endif
