/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first pass in user space, for sources that have no XDP in front of them: the same parser,
 * rules and counters as the program in the kernel.
 */
#ifndef XDP_FIRST_PASS_H
#define XDP_FIRST_PASS_H

#include "xdp/filter.h"
#include "xdp/lru.h"
#include "xdp/shunt_table.h"
#include "xdp/xdp_abi.h"
#include <stdbool.h>
#include <stdint.h>
#include <xfq/packet.h>

struct first_pass_state;

/* One per thread, zeroed but for the first ones. The filter is the caller's, and outlives it. The
 * caller owes a first_pass_destroy(). */
struct first_pass {
	const struct filter *filter;
	uint64_t hash_seed;
	uint8_t generation;        /* written into the metadata; 0: none */
	struct shunt_table *shunt; /* the caller's; NULL: none */
	struct xdp_counters counters;
	struct first_pass_state *state; /* owned */
};

/* What became of a packet. */
struct first_pass_result {
	uint16_t rule;            /* index, or XFQ_RULE_DEFAULT */
	enum xdp_verdict verdict; /* under which it was counted */
	enum xdp_verdict action;  /* what is to be done: XDP_VERDICT_STEER, _PASS, _DROP or _TX */
};

/*
 * Judge one packet: `len` bytes at `data` of the `wire_len` that the wire had, at `now_ns`. Fills
 * `meta` whole but for ts_ns, and counts. Never fails, whatever the bytes are. A packet that is to
 * be turned around is not changed.
 */
struct first_pass_result first_pass_run(struct first_pass *pass, const uint8_t *data, uint32_t len,
					uint32_t wire_len, uint64_t now_ns, struct xfq_meta *meta);

/* Judge packets by another filter from now on. Rules that both have keep their counters, and
 * their buckets; those of rules that it does not have are forgotten. The thread that judges. */
void first_pass_replace(struct first_pass *pass, const struct filter *filter, uint8_t generation);

/* Free what it remembers of packets; the counters stay. Safe on zeroed memory. */
void first_pass_destroy(struct first_pass *pass);

/* Copy the counters; any thread, also while another judges packets. */
void first_pass_counters(const struct first_pass *pass, struct xdp_counters *counters);

/* Parse alone, for a packet that arrived without metadata: meta->rule is XFQ_RULE_DEFAULT.
 * Fragments are hashed by their addresses. */
void first_pass_parse(uint64_t hash_seed, const uint8_t *data, uint32_t len, uint32_t wire_len,
		      struct xfq_meta *meta);

/* The same, where a program in the kernel has seen the packet before: fragments have the hash that
 * it has noted in its map fragment_notes, `notes`; -1: there is none. */
void first_pass_parse_noted(uint64_t hash_seed, int notes, const uint8_t *data, uint32_t len,
			    uint32_t wire_len, struct xfq_meta *meta);

/* What a source remembers of fragments whose packets are judged in the kernel, but parsed here.
 * Owned by one thread. */
struct first_pass_notes {
	struct lru notes; /* owned */
	bool follow;      /* false: fragments are hashed by their addresses */
	enum xdp_orphan orphans;
};

/* Make room, once and for all filters; nothing follows yet. 0 or -ENOMEM; the caller owes a
 * first_pass_notes_destroy() either way. */
int first_pass_notes_create(struct first_pass_notes *notes);

/* From now on fragments are treated as a filter says, which is not looked at later. What was noted
 * stays. */
void first_pass_notes_set(struct first_pass_notes *notes, const struct filter *filter);

/* Safe on zeroed memory. */
void first_pass_notes_destroy(struct first_pass_notes *notes);

/* The same as first_pass_parse() with fragments that follow their flow, at `now_ns` of the packets'
 * own time. Nothing is taken out: orphans that come here are hashed by their addresses. */
void first_pass_parse_following(uint64_t hash_seed, struct first_pass_notes *notes, uint64_t now_ns,
				const uint8_t *data, uint32_t len, uint32_t wire_len,
				struct xfq_meta *meta);

#endif
