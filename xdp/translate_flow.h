/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known at each instruction of a classic BPF program before it is translated: which it can
 * come to, what is still needed after it, how large A and X can be, and how much of the packet has
 * been found to be there on every way to it.
 */
#ifndef XDP_TRANSLATE_FLOW_H
#define XDP_TRANSLATE_FLOW_H

#include "steering/expression.h"
#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

/* An instruction cannot reach further behind a pointer. */
#define FLOW_REACH 0x7fffu

/* The largest offset that the verifier lets anyone add to a pointer to the packet. */
#define FLOW_OFFSET_MAX 0xffffu

/* flow_insn.live: A, X, and from FLOW_MEMORY on the words of the scratch memory */
#define FLOW_A      0x1u
#define FLOW_X      0x2u
#define FLOW_MEMORY 2

/* Before an instruction, but for `live`: after it. Bytes of the packet are counted from its begin,
 * those named _x from X on. */
struct flow_insn {
	bool reached;
	bool fast, slow;         /* in which of the two copies, see translate.c */
	uint32_t live;           /* what is read later before it is written */
	uint32_t max_a, max_x;   /* as far as the verifier knows it, too */
	uint32_t has, has_x;     /* bytes that are in the first buffer */
	uint32_t wants, wants_x; /* bytes that whoever matches reads, from here on */
};

struct flow {
	const struct sock_filter *insns; /* the expression's */
	uint32_t insn_cnt;
	struct flow_insn *at; /* owned */
	uint32_t memory;      /* live before the first instruction */
	uint32_t used;        /* words of the scratch memory that are loaded anywhere, as in live */
};

/* 0, -ENOMEM, or -EINVAL with a sentence for an instruction that libpcap does not emit. The caller
 * owes a flow_destroy() in any case. `expression` outlives it. `fast`: begin in the fast copy. */
int flow_create(struct flow *flow, const struct expression *expression, bool fast,
		struct xfq_error *error);
void flow_destroy(struct flow *flow);

/* Whether it goes back anywhere. The verifier looks at a loop's every round; with two copies it
 * would look at the one for each round of the other. So these have the slow one alone. */
bool flow_loops(const struct flow *flow);

/* Whether an instruction loads from the packet; its size in bytes, or 0. */
uint32_t flow_load_bytes(const struct sock_filter *insn);

/* Whether a load is relative to X. */
bool flow_load_indirect(const struct sock_filter *insn);

/* Where an instruction may go on: 0, 1 or 2 places. A load that no packet is long enough for goes
 * on nowhere. */
uint32_t flow_next(const struct flow *flow, uint32_t at, uint32_t next[2]);

/* Bytes to check for before the load at `at`, 0 where they are there; more than FLOW_REACH where
 * none can be. */
uint32_t flow_check(const struct flow *flow, uint32_t at);

#endif
