/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rule table: prioritised rules over addresses, ports, protocol and TCP flags; of those that
 * match a packet the first one counts, which is the one with the lowest priority number.
 *
 * Rules come and go one by one, in well under a millisecond, while others are looked up in a copy
 * (policy.h: struct policy_data); docs/decisions/ says how it works and what it was chosen over.
 *
 * One thread changes a table, and none looks anything up in it at that time. Lookups change
 * nothing, and any number of threads may make them.
 */
#ifndef STEERING_TABLE_H
#define STEERING_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xfq/error.h>
#include <xfq/packet.h>

#define TABLE_RULES_MAX 1000000u
#define TABLE_NO_RULE   UINT32_MAX
#define TABLE_NO_PORT   0x10000u /* the port of a packet that has none: only `any port` matches */

/* What a rule says is to be done; and what is found where no rule matches. */
enum table_outcome {
	TABLE_NONE = 0,    /* no rule matches: the group's cases decide */
	TABLE_DROP = 1,    /* the group does not get it */
	TABLE_DELIVER = 2, /* to all members of the group */
	TABLE_CLASS = 3    /* TABLE_CLASS + c: to those of class c */
};

struct table_rule {
	uint8_t src[16], dst[16]; /* network byte order, IPv4 in [0..3]; host bits are 0 */
	uint8_t src_len, dst_len; /* bits of the prefixes */
	uint8_t ip;               /* 4, 6; 0: both, and then the prefixes are of length 0 */
	uint8_t proto, proto_mask;
	uint8_t reserved;
	uint16_t flags, flags_mask;  /* enum table_asks; 0: of no matter */
	uint32_t sport_lo, sport_hi; /* inclusive, host byte order; 0 to TABLE_NO_PORT: any */
	uint32_t dport_lo, dport_hi;
	uint32_t priority; /* no two rules of a table have the same */
	uint16_t outcome;  /* enum table_outcome, not TABLE_NONE */
	uint16_t reserved1;
	uint32_t line; /* in the file it came from; 0: none */
};

/* What the flags of a rule are about: of TCP its 9 flags, of ICMP (exactly protocol 1 or 58) the
 * type. A rule for more than TCP that asks for flags matches TCP alone; of a protocol that has
 * none, it matches nothing. */
enum table_asks { TABLE_ASKS_NOTHING = 0, TABLE_ASKS_FLAGS, TABLE_ASKS_TYPE };

static inline enum table_asks table_rule_asks(const struct table_rule *rule)
{
	if (rule->flags_mask == 0)
		return TABLE_ASKS_NOTHING;
	if (((rule->proto ^ 6) & rule->proto_mask) == 0)
		return TABLE_ASKS_FLAGS;
	return rule->proto_mask == 0xff && (rule->proto == 1 || rule->proto == 58)
		       ? TABLE_ASKS_TYPE
		       : TABLE_ASKS_NOTHING;
}

/* What is looked up. Addresses as in struct parse_key; of a packet that is not IP, `ip` is 0 and no
 * rule matches. `flags` are TCP's, or the type of ICMP and ICMPv6; of all others 0. */
struct table_key {
	uint32_t src[4], dst[4];
	uint32_t sport, dport; /* host byte order, or TABLE_NO_PORT */
	uint8_t proto, ip;
	uint16_t flags;
};

struct table;

/* An empty one; NULL: no memory. The caller owes a table_destroy(), which takes NULL. */
struct table *table_create(void);
void table_destroy(struct table *table);

/* One with the same rules. NULL: no memory. */
struct table *table_copy(const struct table *table);

/* Add a rule; 0, -EEXIST: the priority is taken, -EINVAL: no such rule can be (a range upside down,
 * bits behind a prefix, priority TABLE_NO_RULE ...), -ENOSPC, -ENOMEM. Take one out; whether there
 * was one. */
int table_add(struct table *table, const struct table_rule *rule);
bool table_del(struct table *table, uint32_t priority);

/* Add many: faster than one by one, and lookups may be faster afterwards. Nothing is added where it
 * fails; *at is the rule's place then. */
int table_add_all(struct table *table, const struct table_rule *rules, uint32_t cnt, uint32_t *at);

uint32_t table_cnt(const struct table *table);
size_t table_bytes(const struct table *table); /* of memory, all in all */

/* The rule with a priority, or the first one at or above it, for whoever lists them; NULL: none. */
const struct table_rule *table_rule(const struct table *table, uint32_t priority);
const struct table_rule *table_next(const struct table *table, uint32_t priority);

/* Look up `cnt` keys, at most 64: outcomes[i], and where `rules` is not NULL the priority of the
 * rule of each (TABLE_NO_RULE: none). */
void table_find(const struct table *table, const struct table_key *keys, uint32_t cnt,
		uint16_t *outcomes, uint32_t *rules);

/* Whether some rule looks at TCP flags, so that the answer is not one for the whole flow. */
bool table_asks_flags(const struct table *table);

#endif
