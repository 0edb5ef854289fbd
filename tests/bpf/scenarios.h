/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policies that both builds of the first pass are held against each other under: one for each
 * thing that a policy can say, the most expensive ones that there are, and some made at random. And
 * the sets that their rules name, made of addresses that the packets have.
 */
#ifndef TESTS_BPF_SCENARIOS_H
#define TESTS_BPF_SCENARIOS_H

#include "tests/bpf/corpus.h"
#include "xdp/filter.h"

#define SCENARIO_SEED 0x5eed0f0ff1ceULL
#define SMALL_SET     24
#define LARGE_SET     100000 /* prefixes of each family */
#define RANDOM_CNT    8

/* The sets that rules may name: the last one is large. */
enum { SET_V4 = 0, SET_V6, SET_MIXED, SET_EDGES, SET_EMPTY, SET_ALL, SET_LARGE, SET_CNT };

/* --- policies -------------------------------------------------------------------------------- */

struct scenario {
	const char *name;
	void (*fill)(struct filter *filter, struct corpus *random);
	bool large; /* needs SET_LARGE */
};

static struct filter_rule *rule_add(struct filter *filter, enum filter_action action,
				    uint8_t fields)
{
	struct filter_rule *rule = filter_add(filter, action);

	if (!rule)
		abort();
	rule->fields = fields;
	return rule;
}

static void rule_add_set(struct filter *filter, enum filter_action action, uint8_t set_fields,
			 uint32_t set)
{
	struct filter_rule *rule = rule_add(filter, action, FILTER_SET);

	rule->set_fields = set_fields;
	rule->set = set;
}

static void fill_steer(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->default_action = FILTER_STEER;
}

static void fill_pass(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->default_action = FILTER_PASS;
}

static void fill_drop(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->default_action = FILTER_DROP;
}

static void fill_malformed_drop(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->malformed = XDP_MALFORMED_DROP;
}

static void fill_malformed_pass(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->malformed = XDP_MALFORMED_PASS;
	rule_add(filter, FILTER_DROP, FILTER_PROTO)->proto = 17;
}

/* A rule that matches everything, and one that is never reached. */
static void fill_any(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->default_action = FILTER_DROP;
	rule_add(filter, FILTER_STEER, 0);
	rule_add(filter, FILTER_DROP, FILTER_PROTO)->proto = 6;
}

static void fill_src(struct filter *filter, struct corpus *random)
{
	(void)random;
	rule_add_set(filter, FILTER_DROP, XDP_FIELD_SRC, SET_V4);
	rule_add_set(filter, FILTER_PASS, XDP_FIELD_SRC, SET_V6);
	rule_add_set(filter, FILTER_STEER, XDP_FIELD_SRC, SET_MIXED);
}

static void fill_dst(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->default_action = FILTER_PASS;
	rule_add_set(filter, FILTER_DROP, XDP_FIELD_DST, SET_MIXED);
	rule_add_set(filter, FILTER_STEER, XDP_FIELD_DST, SET_EDGES);
}

static void fill_either(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->default_action = FILTER_STEER;
	rule_add_set(filter, FILTER_PASS, XDP_FIELD_SRC | XDP_FIELD_DST, SET_EMPTY);
	rule_add_set(filter, FILTER_DROP, XDP_FIELD_SRC | XDP_FIELD_DST, SET_MIXED);
	rule_add_set(filter, FILTER_PASS, XDP_FIELD_SRC | XDP_FIELD_DST, SET_ALL);
}

static void fill_large(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->default_action = FILTER_PASS;
	rule_add_set(filter, FILTER_DROP, XDP_FIELD_SRC, SET_LARGE);
	rule_add_set(filter, FILTER_STEER, XDP_FIELD_SRC | XDP_FIELD_DST, SET_LARGE);
}

static void fill_protos(struct filter *filter, struct corpus *random)
{
	static const uint8_t protos[] = {1, 6, 17, 44, 58, 132, 50, 255, 0};

	(void)random;
	for (uint32_t i = 0; i < sizeof(protos); i++)
		rule_add(filter, (enum filter_action)(i % 3), FILTER_PROTO)->proto = protos[i];
}

static void fill_ports(struct filter *filter, struct corpus *random)
{
	struct filter_rule *rule;

	(void)random;
	filter->default_action = FILTER_PASS;
	rule = rule_add(filter, FILTER_DROP, FILTER_SPORT | FILTER_DPORT);
	rule->sport_lo = 1024;
	rule->sport_hi = rule->dport_hi = 65535;
	rule->dport_lo = 49152;
	rule = rule_add(filter, FILTER_STEER, FILTER_PORT);
	rule->port_lo = rule->port_hi = 53;
	rule = rule_add(filter, FILTER_STEER, FILTER_PORT | FILTER_PROTO);
	rule->port_lo = 80;
	rule->port_hi = 443;
	rule->proto = 6;
	rule = rule_add(filter, FILTER_DROP, FILTER_DPORT); /* port 0 is a port */
	rule->dport_lo = rule->dport_hi = 0;
	rule = rule_add(filter, FILTER_STEER, FILTER_SPORT); /* any, where there are ports */
	rule->sport_hi = 65535;
}

/* What the quick program decides, of both kinds, in front of what it does not. */
static void fill_quick(struct filter *filter, struct corpus *random)
{
	struct filter_rule *rule;

	(void)random;
	filter->default_action = FILTER_STEER;
	rule = rule_add(filter, FILTER_PASS, FILTER_PROTO | FILTER_DPORT);
	rule->proto = 17;
	rule->dport_lo = rule->dport_hi = 53;
	rule = rule_add(filter, FILTER_DROP, FILTER_PORT);
	rule->port_lo = 53;
	rule->port_hi = 1023;
	rule_add(filter, FILTER_DROP, FILTER_PROTO)->proto = 1;
	rule_add(filter, FILTER_PASS, FILTER_PROTO)->proto = 6;
	rule = rule_add(filter, FILTER_DROP, FILTER_PROTO | FILTER_SPORT);
	rule->proto = 17;
	rule->sport_lo = 1024;
	rule->sport_hi = 65535;
	rule_add_set(filter, FILTER_DROP, XDP_FIELD_SRC, SET_MIXED);
}

/* Rules that nothing matches, before one that matches what has ports. */
static void fill_last(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->default_action = FILTER_STEER;
	while (filter->rule_cnt < XDP_RULES_MAX - 1)
		rule_add_set(filter, FILTER_DROP, XDP_FIELD_SRC | XDP_FIELD_DST, SET_EMPTY);
	rule_add(filter, FILTER_PASS, FILTER_PORT)->port_hi = 65535;
}

static void fill_rule_at_random(struct filter_rule *rule, struct corpus *random)
{
	uint16_t *const bounds[] = {&rule->port_lo, &rule->sport_lo, &rule->dport_lo};

	rule->fields = (uint8_t)(corpus_random(random) & corpus_random(random) & 0x1f);
	/* seldom one that matches everything: what comes after it would be out of reach */
	if (rule->fields == 0 && corpus_below(random, 64))
		rule->fields = FILTER_PROTO | FILTER_SET | FILTER_DPORT;
	rule->proto = corpus_protos[corpus_below(random, CORPUS_PROTOS)];
	rule->set = corpus_below(random, SET_LARGE);
	rule->set_fields = (uint8_t)(1 + corpus_below(random, 3));
	for (uint32_t i = 0; i < 3; i++) {
		uint16_t a = (uint16_t)corpus_port(random), b = (uint16_t)corpus_port(random);

		bounds[i][0] = a < b ? a : b;
		bounds[i][1] = a < b ? b : a;
	}
}

static void fill_at_random(struct filter *filter, struct corpus *random)
{
	uint32_t cnt = corpus_below(random, XDP_RULES_MAX + 1);

	filter->default_action = (enum filter_action)corpus_below(random, 3);
	filter->malformed = (enum xdp_malformed)corpus_below(random, 3);
	for (uint32_t i = 0; i < cnt; i++)
		fill_rule_at_random(
			rule_add(filter, (enum filter_action)corpus_below(random, 3), 0), random);
}

/* A list of ports, as a config may well have it. */
static void fill_port_list(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->default_action = FILTER_PASS;
	for (uint32_t i = 0; i < XDP_RULES_MAX; i++) {
		struct filter_rule *rule =
			rule_add(filter, (enum filter_action)(i % 3), FILTER_PORT);

		rule->port_lo = rule->port_hi =
			i < CORPUS_PORTS ? corpus_ports[i] : (uint16_t)(100 * i);
		if (i >= CORPUS_PORTS)
			rule->fields |= FILTER_PROTO;
		rule->proto = i % 2 ? 6 : 17;
	}
}

/* As many rules as there can be, each comparing everything, with both addresses in large sets. */
static void fill_costly(struct filter *filter, struct corpus *random)
{
	for (uint32_t i = 0; i < XDP_RULES_MAX; i++) {
		struct filter_rule *rule = rule_add(filter, (enum filter_action)(i % 3), 0x1f);

		rule->proto = corpus_protos[i % 5];
		rule->set = i % 2 ? SET_LARGE : SET_MIXED;
		rule->set_fields = XDP_FIELD_SRC | XDP_FIELD_DST;
		rule->port_lo = (uint16_t)corpus_port(random);
		rule->port_hi = rule->sport_hi = rule->dport_hi = 65535;
	}
}

static struct filter_rule *rule_add_limit(struct filter *filter, enum filter_per per, uint64_t rate,
					  uint64_t burst)
{
	struct filter_rule *rule = rule_add(filter, FILTER_LIMIT, 0);

	rule->limit = (struct filter_limit){
		.per = per,
		.rate = rate,
		.burst = burst,
		.max_keys = 65536, /* more than there are: none is forgotten */
	};
	return rule;
}

/* What is within a limit is judged by the next rule, which may be another limit. */
static void fill_limits(struct filter *filter, struct corpus *random)
{
	struct filter_rule *rule;

	(void)random;
	rule_add_limit(filter, FILTER_PER_SRC, 1, 50);
	rule_add_limit(filter, FILTER_PER_DST, 10000000, 40);
	rule = rule_add_limit(filter, FILTER_PER_FLOW, 125000000, 2000);
	rule->limit.bytes = true;
	rule = rule_add_limit(filter, FILTER_PER_ALL, 1000, 5000);
	rule->fields = FILTER_PROTO;
	rule->proto = 17;
	rule_add(filter, FILTER_DROP, FILTER_PROTO)->proto = 6;
}

static void fill_turns(struct filter *filter, struct corpus *random)
{
	(void)random;
	for (uint32_t swap = 0; swap < 8; swap++) {
		struct filter_rule *rule = rule_add(filter, FILTER_TX, FILTER_SPORT);

		rule->sport_lo = (uint16_t)(8192 * swap);
		rule->sport_hi = (uint16_t)(8192 * swap + 8191);
		rule->swap = (uint8_t)swap;
	}
	rule_add(filter, FILTER_TX, FILTER_PROTO)->proto = 58;
	filter->rules[filter->rule_cnt - 1].swap =
		XDP_SWAP_MAC | XDP_SWAP_ADDRESSES | XDP_SWAP_PORTS;
	rule_add(filter, FILTER_TX, 0)->swap = XDP_SWAP_MAC | XDP_SWAP_ADDRESSES;
}

static void fill_fragments_ignored(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->fragments = false;
	filter->orphans = XDP_ORPHAN_DROP; /* there are none */
}

static void fill_orphans_drop(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->orphans = XDP_ORPHAN_DROP;
}

static void fill_orphans_pass(struct filter *filter, struct corpus *random)
{
	(void)random;
	filter->orphans = XDP_ORPHAN_PASS;
	rule_add(filter, FILTER_DROP, FILTER_PROTO)->proto = 17;
}

static const struct scenario scenarios[] = {
	{"default steer", fill_steer, false},
	{"default pass", fill_pass, false},
	{"default drop", fill_drop, false},
	{"malformed: drop", fill_malformed_drop, false},
	{"malformed: pass, drop udp", fill_malformed_pass, false},
	{"a rule for everything", fill_any, false},
	{"sets of sources", fill_src, false},
	{"sets of destinations", fill_dst, false},
	{"sets of either", fill_either, false},
	{"large set", fill_large, true},
	{"protocols", fill_protos, false},
	{"ports", fill_ports, false},
	{"rules on ports alone, then others", fill_quick, false},
	{"256 rules, the last one matches", fill_last, false},
	{"256 rules, a list of ports", fill_port_list, false},
	{"256 rules, all fields, large sets", fill_costly, true},
	{"limits, one after the other", fill_limits, false},
	{"sent back", fill_turns, false},
	{"fragments: ignore", fill_fragments_ignored, false},
	{"orphans: drop", fill_orphans_drop, false},
	{"orphans: pass", fill_orphans_pass, false},
};
#define SCENARIOS  (sizeof(scenarios) / sizeof(scenarios[0]))
#define POLICY_CNT (SCENARIOS + RANDOM_CNT) /* and some made at random */

static const char *policy_name(size_t index)
{
	return index < SCENARIOS ? scenarios[index].name : "at random";
}

static bool policy_has_limits(const struct filter *filter)
{
	for (uint32_t i = 0; i < filter->rule_cnt; i++)
		if (filter->rules[i].action == FILTER_LIMIT)
			return true;
	return false;
}

/* The policy of a number, and how many of the sets it needs. */
static uint32_t policy_fill(struct filter *filter, size_t index)
{
	struct corpus random;

	corpus_init(&random, SCENARIO_SEED + index, 0, 0);
	filter_init(filter);
	if (index >= SCENARIOS) {
		fill_at_random(filter, &random);
		return SET_LARGE;
	}
	scenarios[index].fill(filter, &random);
	return scenarios[index].large ? SET_CNT : SET_LARGE;
}

/* --- sets ------------------------------------------------------------------------------------ */

static void set_add_text(struct set *set, const char *text)
{
	struct set_member member;

	if (set_parse_member(SET_NET, &member, text, NULL) || set_add(set, &member) < 0)
		abort();
}

/* A prefix of at least `bits` bits of an address of some packet, or of random bits. */
static void set_add_near(struct set *set, struct corpus *random, const struct corpus *from, bool v6,
			 uint32_t bits)
{
	struct set_member member = {.expires_ns = SET_FOREVER};
	struct set_net *prefix = &member.key.net;
	uint32_t width = v6 ? 16 : 4, at = v6 ? 22 : 26;
	const struct corpus_packet *packet =
		&from->packets[corpus_below(random, (uint32_t)from->cnt)];

	prefix->v6 = v6;
	if (corpus_below(random, 2))
		at += width; /* the destination */
	for (uint32_t i = 0; i < width; i++)
		prefix->addr[i] = (uint8_t)corpus_random(random);
	if (corpus_below(random, 4) && packet->len >= at + width)
		memcpy(prefix->addr, packet->data + at, width);
	prefix->len = (uint8_t)(bits + corpus_below(random, width * 8 - bits + 1));
	for (uint32_t bit = prefix->len; bit < width * 8; bit++)
		prefix->addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	if (set_add(set, &member) < 0)
		abort();
}

/* Fill the sets; addresses are taken from the packets of `made` and `mixed`. */
static void sets_create(struct set *made_sets, const struct corpus *made,
			const struct corpus *mixed)
{
	static const char *const edges[] = {"0.0.0.0/1",   "10.0.0.1",
					    "10.0.0.2/31", "255.255.255.255",
					    "::/1",        "2001:db8:0:0:0:0::/95",
					    "2001:db8::1", "2001:db8:0:1:0:1:0:2/127"};
	struct corpus random;

	corpus_init(&random, SCENARIO_SEED, 0, 0);
	for (uint32_t i = 0; i < SMALL_SET; i++) {
		set_add_near(&made_sets[SET_V4], &random, made, false, 16);
		set_add_near(&made_sets[SET_V6], &random, made, true, 64);
		set_add_near(&made_sets[SET_MIXED], &random, mixed, i % 2, 24);
	}
	for (uint32_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		set_add_text(&made_sets[SET_EDGES], edges[i]);
	set_add_text(&made_sets[SET_ALL], "0.0.0.0/0");
	set_add_text(&made_sets[SET_ALL], "::/0");
	for (uint32_t i = 0; i < LARGE_SET; i++) {
		set_add_near(&made_sets[SET_LARGE], &random, mixed, false, 20);
		set_add_near(&made_sets[SET_LARGE], &random, mixed, true, 48);
	}
}

#endif
