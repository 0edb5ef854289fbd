/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A filter: what the first pass is to do, as plain data. The loader makes a program of it
 * (decide.h), and first_pass.h runs it in user space; both come to the same decision.
 *
 *	rules in order, the first whose match holds and whose action decides
 *	  match    proto, ports; membership of a set; a tcpdump expression: all that are given must
 *hold action   drop, pass, steer, tx; limit: what exceeds the rate is dropped, and what does not is
 *	           judged by the rules after it
 *	default    for what no rule decided: steer, pass, drop, or claimed: steer what a group
 *wants, pass the rest
 */
#ifndef XDP_FILTER_H
#define XDP_FILTER_H

#include "steering/expression.h"
#include "xdp/set.h"
#include "xdp/xdp_abi.h"
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

enum filter_action {
	FILTER_STEER = 0,
	FILTER_PASS,
	FILTER_DROP,
	FILTER_TX,
	FILTER_LIMIT,
	FILTER_CLAIMED /* of the default alone */
};

/* filter_rule.fields: what a rule compares; all that are set must match */
#define FILTER_PROTO 0x01 /* IP protocol equals proto */
#define FILTER_SPORT 0x02 /* source port in [sport_lo, sport_hi] */
#define FILTER_DPORT 0x04 /* destination port in [dport_lo, dport_hi] */
#define FILTER_PORT  0x08 /* source or destination port in [port_lo, port_hi] */
#define FILTER_SET   0x10 /* set_fields of the packet are in set */
#define FILTER_MATCH 0x20 /* the expression matches */

/* What has a bucket of tokens of its own. */
enum filter_per { FILTER_PER_ALL = 0, FILTER_PER_SRC, FILTER_PER_DST, FILTER_PER_FLOW };

struct filter_limit {
	enum filter_per per;
	bool bytes;        /* rate and burst count bytes on the wire; else packets */
	uint64_t rate;     /* a second; at least 1 */
	uint64_t burst;    /* at least 1: what may come at once after a pause */
	uint32_t max_keys; /* buckets that are remembered, the least recently used are forgotten */
};

/* A rule. Ports in host byte order, ranges inclusive. One with a port matches only packets whose
 * ports are there (XFQ_META_PORTS); one with fields other than FILTER_MATCH and a set of MAC
 * addresses, only IP packets. */
struct filter_rule {
	enum filter_action action;
	uint8_t fields; /* FILTER_* */
	uint8_t proto;
	uint8_t swap; /* XDP_SWAP_*, of FILTER_TX */
	uint16_t port_lo, port_hi;
	uint16_t sport_lo, sport_hi;
	uint16_t dport_lo, dport_hi;
	uint32_t set;                 /* place in filter.sets */
	uint8_t set_fields;           /* XDP_FIELD_*; of a set of flows: not used */
	char *match;                  /* text of the expression; owned; NULL: none */
	struct expression expression; /* owned */
	struct filter_limit limit;    /* of FILTER_LIMIT */
	uint32_t line;                /* in the file it came from; 0: none */
};

/* What a group wants, for the default `claimed`. */
struct filter_claim {
	const char *name;             /* of the group; the caller's, outlives the filter's use */
	struct expression expression; /* owned */
	uint32_t line;
};

struct filter {
	struct filter_rule *rules; /* owned */
	uint32_t rule_cnt, rule_room;
	enum filter_action default_action; /* FILTER_STEER, _PASS, _DROP or _CLAIMED */
	enum xdp_malformed malformed;
	enum xdp_orphan orphans;
	bool fragments;              /* later fragments follow their first; default true */
	bool claim_push_down;        /* false: FILTER_CLAIMED is decided behind the first pass, for
				      * tests: same results */
	uint32_t shunt_flows;        /* places in the shunt table; 0: none */
	struct filter_claim *claims; /* owned */
	uint32_t claim_cnt;
	const struct set *const *sets; /* the caller's; filter_rule.set counts these */
	uint32_t set_cnt;
};

/* A filter that steers everything. Its owner calls filter_destroy(). */
void filter_init(struct filter *filter);

/* Append a rule, zeroed, with `action`. NULL without memory or beyond XDP_RULES_MAX. The pointer
 * holds until the next one is added. */
struct filter_rule *filter_add(struct filter *filter, enum filter_action action);

/* Give the rule an expression; 0 or what expression_compile() returns. */
int filter_rule_match(struct filter_rule *rule, const char *text, struct xfq_error *error);

/* Whether anything is decided beyond the default: rules, or claims. */
bool filter_has_rules(const struct filter *filter);

/* Whether two rules say the same, so that what one counted is what the other would have. */
bool filter_same_rule(const struct filter *a, uint32_t rule_a, const struct filter *b,
		      uint32_t rule_b);

/* What the rules of `next` have counted so far, in `to`: what the same rules of `before` have in
 * `from`, 0 where they are new. Of several that say the same, each finds one of its own. Both are
 * arrays over all rules, and not the same one. */
void filter_carry_counters(const struct filter *before, const struct xdp_counter *from,
			   const struct filter *next, struct xdp_counter *to);

/* Word of an action: "steer", "pass", "drop", "tx", "limit", "claimed". */
const char *filter_action_name(enum filter_action action);

/* Free what it owns and zero it; safe on zeroed memory. */
void filter_destroy(struct filter *filter);

#endif
