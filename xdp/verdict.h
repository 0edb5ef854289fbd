/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The first pass's decision: which rule names a packet, and what becomes of it. One source for the
 * XDP program and for user space.
 *
 * Whoever includes this defines, before, how a set is looked up:
 *
 *	verdict_set_has(sets, index, v6, addr)	addr: struct parse_key's words, network byte order
 *
 * where `sets` is the context given to verdict_decide() (NULL in BPF: its maps are global).
 */
#ifndef XDP_VERDICT_H
#define XDP_VERDICT_H

#include "steering/parse.h"
#include "xdp/xdp_abi.h"

struct verdict {
	__u16 rule;   /* index of the rule, or XFQ_RULE_DEFAULT */
	__u8 verdict; /* enum xdp_verdict */
	__u8 action;  /* what is done with the packet: XDP_VERDICT_STEER, _PASS or _DROP */
};

PARSE_INLINE bool verdict_set_has(const void *sets, __u32 index, bool v6, const __u32 addr[4]);

PARSE_INLINE bool verdict_in(__u16 port, __u16 lo, __u16 hi)
{
	return port >= lo && port <= hi;
}

/* Whether every field of a rule holds; cheap comparisons before the look-up in a set. */
PARSE_INLINE bool verdict_matches(const volatile struct xdp_rule *rule, const struct xfq_meta *meta,
				  const struct parse_key *key, const void *sets)
{
	__u8 fields = rule->fields;
	bool v6 = meta->flags & XFQ_META_IPV6;

	if (fields && !meta->l3_off)
		return false;
	if ((fields & XDP_RULE_PROTO) && meta->l4_proto != rule->proto)
		return false;
	if (fields & (XDP_RULE_PORT | XDP_RULE_SPORT | XDP_RULE_DPORT)) {
		if (!(meta->flags & XFQ_META_PORTS))
			return false;
		if ((fields & XDP_RULE_SPORT) &&
		    !verdict_in(key->sport, rule->sport_lo, rule->sport_hi))
			return false;
		if ((fields & XDP_RULE_DPORT) &&
		    !verdict_in(key->dport, rule->dport_lo, rule->dport_hi))
			return false;
		if ((fields & XDP_RULE_PORT) &&
		    !verdict_in(key->sport, rule->port_lo, rule->port_hi) &&
		    !verdict_in(key->dport, rule->port_lo, rule->port_hi))
			return false;
	}
	if (fields & (XDP_RULE_SET_SRC | XDP_RULE_SET_DST)) {
		if ((fields & XDP_RULE_SET_SRC) && verdict_set_has(sets, rule->set, v6, key->src))
			return true;
		return (fields & XDP_RULE_SET_DST) &&
		       verdict_set_has(sets, rule->set, v6, key->dst);
	}
	return true;
}

/* The decision on a parsed packet that no rule has been asked about: `malformed`, or `default`. */
PARSE_INLINE struct verdict verdict_without_rules(const volatile struct xdp_policy *policy,
						  const struct xfq_meta *meta)
{
	struct verdict verdict = {.rule = XFQ_RULE_DEFAULT};

	if ((meta->flags & XFQ_META_MALFORMED) && policy->malformed != XDP_MALFORMED_BY_RULES) {
		verdict.verdict = XDP_VERDICT_MALFORMED;
		verdict.action = policy->malformed == XDP_MALFORMED_DROP ? XDP_VERDICT_DROP
									 : XDP_VERDICT_PASS;
		return verdict;
	}
	verdict.action = policy->default_verdict;
	verdict.verdict = verdict.action;
	return verdict;
}

/* Decide on a parsed packet. `policy` is constant data of the program, or the caller's. */
PARSE_INLINE struct verdict verdict_decide(const volatile struct xdp_policy *policy,
					   const struct xfq_meta *meta, const struct parse_key *key,
					   const void *sets)
{
	struct verdict verdict = verdict_without_rules(policy, meta);

	if (verdict.verdict == XDP_VERDICT_MALFORMED)
		return verdict;
	for (__u32 i = 0; i < XDP_RULES_MAX && i < policy->rule_cnt; i++) {
		if (!verdict_matches(&policy->rules[i], meta, key, sets))
			continue;
		verdict.rule = (__u16)i;
		verdict.action = policy->rules[i].action;
		verdict.verdict = verdict.action;
		break;
	}
	return verdict;
}

#endif
