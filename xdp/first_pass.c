/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/first_pass.h"
#include "steering/flow.h"
#include "steering/parse.h"
#include "xdp/verdict.h"

PARSE_INLINE bool verdict_set_has(const void *sets, __u32 index, bool v6, const __u32 addr[4])
{
	return netset_has(((const struct netset *const *)sets)[index], addr, v6);
}

/* One writer; others may read while it runs. */
static void first_pass_add(__u64 *counter, __u64 n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void first_pass_count(struct xdp_counter *counter, uint32_t bytes)
{
	first_pass_add(&counter->packets, 1);
	first_pass_add(&counter->bytes, bytes);
}

enum xdp_verdict first_pass_run(struct first_pass *pass, const uint8_t *data, uint32_t len,
				uint32_t wire_len, struct xfq_meta *meta)
{
	struct xdp_counters *c = &pass->counters;
	struct parse_key key;
	struct verdict verdict;

	parse_packet(NULL, data, data + len, wire_len, meta, &key);
	if (meta->flags & XFQ_META_MALFORMED)
		first_pass_add(&c->malformed, 1);
	if (meta->flags & XFQ_META_FRAGMENT)
		first_pass_add(&c->fragments, 1);

	verdict = verdict_decide(pass->policy, meta, &key, pass->sets);
	meta->rule = verdict.rule;
	if (verdict.verdict != XDP_VERDICT_MALFORMED)
		first_pass_count(
			&c->rules[verdict.rule < XDP_RULES_MAX ? verdict.rule : XDP_RULES_MAX],
			wire_len);
	first_pass_count(&c->verdicts[verdict.verdict], wire_len);
	if (verdict.action == XDP_VERDICT_STEER)
		meta->flow_hash = flow_hash(meta, &key, data, data + len, pass->policy->hash_seed);
	return (enum xdp_verdict)verdict.action;
}

void first_pass_counters(const struct first_pass *pass, struct xdp_counters *counters)
{
	/* all counters are 64-bit words */
	const __u64 *from = (const __u64 *)&pass->counters;
	__u64 *to = (__u64 *)counters;

	for (size_t i = 0; i < sizeof(*counters) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void first_pass_parse(uint64_t hash_seed, const uint8_t *data, uint32_t len, uint32_t wire_len,
		      struct xfq_meta *meta)
{
	struct parse_key key;

	parse_packet(NULL, data, data + len, wire_len, meta, &key);
	meta->flow_hash = flow_hash(meta, &key, data, data + len, hash_seed);
	meta->rule = XFQ_RULE_DEFAULT;
}
