/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first pass in user space, for sources that have no XDP in front of them: the same parser,
 * rules and counters as the program in the kernel.
 */
#ifndef XDP_FIRST_PASS_H
#define XDP_FIRST_PASS_H

#include "xdp/netset.h"
#include "xdp/xdp_abi.h"
#include <stdint.h>
#include <xfq/packet.h>

/* One per thread. policy and sets are the caller's, constant, and outlive it. */
struct first_pass {
	const struct xdp_policy *policy;
	const struct netset *const *sets; /* xdp_rule.set counts these; sealed */
	struct xdp_counters counters;
};

/*
 * Judge one packet: `len` bytes at `data` of the `wire_len` that the wire had. Fills `meta` whole
 * but for ts_ns, counts, and returns what is to be done with the packet: XDP_VERDICT_STEER, _PASS
 * or _DROP. Never fails, whatever the bytes are.
 */
enum xdp_verdict first_pass_run(struct first_pass *pass, const uint8_t *data, uint32_t len,
				uint32_t wire_len, struct xfq_meta *meta);

/* Copy the counters; any thread, also while another judges packets. */
void first_pass_counters(const struct first_pass *pass, struct xdp_counters *counters);

/* Parse alone, for a packet that arrived without metadata: meta->rule is XFQ_RULE_DEFAULT. */
void first_pass_parse(uint64_t hash_seed, const uint8_t *data, uint32_t len, uint32_t wire_len,
		      struct xfq_meta *meta);

#endif
