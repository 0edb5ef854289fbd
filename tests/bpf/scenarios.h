/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policies that both builds of the first pass are held against each other under: one for each
 * thing that a policy can say, the most expensive ones that there are, and some made at random. And
 * the sets that their rules name, made of addresses that the packets have.
 */
#ifndef TESTS_BPF_SCENARIOS_H
#define TESTS_BPF_SCENARIOS_H

#include "tests/bpf/corpus.h"
#include "xdp/netset.h"
#include "xdp/xdp_abi.h"

#define SCENARIO_SEED 0x5eed0f0ff1ceULL
#define SMALL_SET     24
#define LARGE_SET     100000 /* prefixes of each family */
#define RANDOM_CNT    8

/* The sets that rules may name: the last one is large. */
enum { SET_V4 = 0, SET_V6, SET_MIXED, SET_EDGES, SET_EMPTY, SET_ALL, SET_LARGE, SET_CNT };

/* --- policies -------------------------------------------------------------------------------- */

struct scenario {
	const char *name;
	void (*fill)(struct xdp_policy *policy, struct corpus *random);
	bool large; /* needs SET_LARGE */
};

static struct xdp_rule *rule_add(struct xdp_policy *policy, uint8_t action, uint8_t fields)
{
	struct xdp_rule *rule = &policy->rules[policy->rule_cnt++];

	*rule = (struct xdp_rule){.action = action, .fields = fields};
	return rule;
}

static void rule_add_set(struct xdp_policy *policy, uint8_t action, uint8_t fields, uint8_t set)
{
	rule_add(policy, action, fields)->set = set;
}

static void fill_steer(struct xdp_policy *policy, struct corpus *random)
{
	(void)random;
	policy->default_verdict = XDP_VERDICT_STEER;
}

static void fill_pass(struct xdp_policy *policy, struct corpus *random)
{
	(void)random;
	policy->default_verdict = XDP_VERDICT_PASS;
}

static void fill_drop(struct xdp_policy *policy, struct corpus *random)
{
	(void)random;
	policy->default_verdict = XDP_VERDICT_DROP;
}

static void fill_malformed_drop(struct xdp_policy *policy, struct corpus *random)
{
	(void)random;
	policy->malformed = XDP_MALFORMED_DROP;
}

static void fill_malformed_pass(struct xdp_policy *policy, struct corpus *random)
{
	(void)random;
	policy->malformed = XDP_MALFORMED_PASS;
	rule_add(policy, XDP_VERDICT_DROP, XDP_RULE_PROTO)->proto = 17;
}

/* A rule that matches everything, and one that is never reached. */
static void fill_any(struct xdp_policy *policy, struct corpus *random)
{
	(void)random;
	policy->default_verdict = XDP_VERDICT_DROP;
	rule_add(policy, XDP_VERDICT_STEER, 0);
	rule_add(policy, XDP_VERDICT_DROP, XDP_RULE_PROTO)->proto = 6;
}

static void fill_src(struct xdp_policy *policy, struct corpus *random)
{
	(void)random;
	rule_add_set(policy, XDP_VERDICT_DROP, XDP_RULE_SET_SRC, SET_V4);
	rule_add_set(policy, XDP_VERDICT_PASS, XDP_RULE_SET_SRC, SET_V6);
	rule_add_set(policy, XDP_VERDICT_STEER, XDP_RULE_SET_SRC, SET_MIXED);
}

static void fill_dst(struct xdp_policy *policy, struct corpus *random)
{
	(void)random;
	policy->default_verdict = XDP_VERDICT_PASS;
	rule_add_set(policy, XDP_VERDICT_DROP, XDP_RULE_SET_DST, SET_MIXED);
	rule_add_set(policy, XDP_VERDICT_STEER, XDP_RULE_SET_DST, SET_EDGES);
}

static void fill_either(struct xdp_policy *policy, struct corpus *random)
{
	(void)random;
	policy->default_verdict = XDP_VERDICT_STEER;
	rule_add_set(policy, XDP_VERDICT_PASS, XDP_RULE_SET_SRC | XDP_RULE_SET_DST, SET_EMPTY);
	rule_add_set(policy, XDP_VERDICT_DROP, XDP_RULE_SET_SRC | XDP_RULE_SET_DST, SET_MIXED);
	rule_add_set(policy, XDP_VERDICT_PASS, XDP_RULE_SET_SRC | XDP_RULE_SET_DST, SET_ALL);
}

static void fill_large(struct xdp_policy *policy, struct corpus *random)
{
	(void)random;
	policy->default_verdict = XDP_VERDICT_PASS;
	rule_add_set(policy, XDP_VERDICT_DROP, XDP_RULE_SET_SRC, SET_LARGE);
	rule_add_set(policy, XDP_VERDICT_STEER, XDP_RULE_SET_SRC | XDP_RULE_SET_DST, SET_LARGE);
}

static void fill_protos(struct xdp_policy *policy, struct corpus *random)
{
	static const uint8_t protos[] = {1, 6, 17, 44, 58, 132, 50, 255, 0};

	(void)random;
	for (uint32_t i = 0; i < sizeof(protos); i++)
		rule_add(policy, (uint8_t)(i % 3), XDP_RULE_PROTO)->proto = protos[i];
}

static void fill_ports(struct xdp_policy *policy, struct corpus *random)
{
	struct xdp_rule *rule;

	(void)random;
	policy->default_verdict = XDP_VERDICT_PASS;
	rule = rule_add(policy, XDP_VERDICT_DROP, XDP_RULE_SPORT | XDP_RULE_DPORT);
	rule->sport_lo = 1024;
	rule->sport_hi = rule->dport_hi = 65535;
	rule->dport_lo = 49152;
	rule = rule_add(policy, XDP_VERDICT_STEER, XDP_RULE_PORT);
	rule->port_lo = rule->port_hi = 53;
	rule = rule_add(policy, XDP_VERDICT_STEER, XDP_RULE_PORT | XDP_RULE_PROTO);
	rule->port_lo = 80;
	rule->port_hi = 443;
	rule->proto = 6;
	rule = rule_add(policy, XDP_VERDICT_DROP, XDP_RULE_DPORT); /* port 0 is a port */
	rule->dport_lo = rule->dport_hi = 0;
	rule = rule_add(policy, XDP_VERDICT_STEER, XDP_RULE_SPORT); /* any, where there are ports */
	rule->sport_hi = 65535;
}

/* Rules that nothing matches, before one that matches what has ports. */
static void fill_last(struct xdp_policy *policy, struct corpus *random)
{
	(void)random;
	policy->default_verdict = XDP_VERDICT_STEER;
	while (policy->rule_cnt < XDP_RULES_MAX - 1)
		rule_add_set(policy, XDP_VERDICT_DROP, XDP_RULE_SET_SRC | XDP_RULE_SET_DST,
			     SET_EMPTY);
	rule_add(policy, XDP_VERDICT_PASS, XDP_RULE_PORT)->port_hi = 65535;
}

static void fill_rule_at_random(struct xdp_rule *rule, struct corpus *random)
{
	uint16_t *const bounds[] = {&rule->port_lo, &rule->sport_lo, &rule->dport_lo};

	rule->action = (uint8_t)corpus_below(random, 3);
	rule->fields = (uint8_t)(corpus_random(random) & corpus_random(random) & 0x3f);
	/* seldom one that matches everything: what comes after it would be out of reach */
	if (rule->fields == 0 && corpus_below(random, 64))
		rule->fields = XDP_RULE_PROTO | XDP_RULE_SET_SRC | XDP_RULE_DPORT;
	rule->proto = corpus_protos[corpus_below(random, CORPUS_PROTOS)];
	rule->set = (uint8_t)corpus_below(random, SET_LARGE);
	for (uint32_t i = 0; i < 3; i++) {
		uint16_t a = (uint16_t)corpus_port(random), b = (uint16_t)corpus_port(random);

		bounds[i][0] = a < b ? a : b;
		bounds[i][1] = a < b ? b : a;
	}
}

static void fill_at_random(struct xdp_policy *policy, struct corpus *random)
{
	policy->default_verdict = (uint8_t)corpus_below(random, 3);
	policy->malformed = (uint8_t)corpus_below(random, 3);
	policy->rule_cnt = corpus_below(random, XDP_RULES_MAX + 1);
	for (uint32_t i = 0; i < policy->rule_cnt; i++)
		fill_rule_at_random(&policy->rules[i], random);
}

/* A list of ports, as a config may well have it. */
static void fill_port_list(struct xdp_policy *policy, struct corpus *random)
{
	(void)random;
	policy->default_verdict = XDP_VERDICT_PASS;
	for (uint32_t i = 0; i < XDP_RULES_MAX; i++) {
		struct xdp_rule *rule = rule_add(policy, (uint8_t)(i % 3), XDP_RULE_PORT);

		rule->port_lo = rule->port_hi = i < CORPUS_PORTS ? corpus_ports[i] : 100 * i;
		if (i >= CORPUS_PORTS)
			rule->fields |= XDP_RULE_PROTO;
		rule->proto = i % 2 ? 6 : 17;
	}
}

/* As many rules as there can be, each comparing everything, with both addresses in large sets. */
static void fill_costly(struct xdp_policy *policy, struct corpus *random)
{
	for (uint32_t i = 0; i < XDP_RULES_MAX; i++) {
		struct xdp_rule *rule = rule_add(policy, (uint8_t)(i % 3), 0x3f);

		rule->proto = corpus_protos[i % 5];
		rule->set = i % 2 ? SET_LARGE : SET_MIXED;
		rule->port_lo = (uint16_t)corpus_port(random);
		rule->port_hi = rule->sport_hi = rule->dport_hi = 65535;
	}
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
	{"64 rules, the last one matches", fill_last, false},
	{"64 rules, a list of ports", fill_port_list, false},
	{"64 rules, all fields, large sets", fill_costly, true},
};
#define SCENARIOS  (sizeof(scenarios) / sizeof(scenarios[0]))
#define POLICY_CNT (SCENARIOS + RANDOM_CNT) /* and some made at random */

static const char *policy_name(size_t index)
{
	return index < SCENARIOS ? scenarios[index].name : "at random";
}

/* The policy of a number, and how many of the sets it needs. */
static uint32_t policy_fill(struct xdp_policy *policy, size_t index)
{
	struct corpus random;

	corpus_init(&random, SCENARIO_SEED + index, 0, 0);
	*policy = (struct xdp_policy){.hash_seed = SCENARIO_SEED * (index + 1)};
	if (index >= SCENARIOS) {
		fill_at_random(policy, &random);
		return SET_LARGE;
	}
	scenarios[index].fill(policy, &random);
	return scenarios[index].large ? SET_CNT : SET_LARGE;
}

/* --- sets ------------------------------------------------------------------------------------ */

static void set_add(struct netset *set, const char *text)
{
	struct netset_prefix prefix;

	if (netset_parse(&prefix, text, NULL) || netset_add(set, &prefix))
		abort();
}

/* A prefix of at least `bits` bits of an address of some packet, or of random bits. */
static void set_add_near(struct netset *set, struct corpus *random, const struct corpus *from,
			 bool v6, uint32_t bits)
{
	struct netset_prefix prefix = {.v6 = v6};
	uint32_t width = v6 ? 16 : 4, at = v6 ? 22 : 26;
	const struct corpus_packet *packet =
		&from->packets[corpus_below(random, (uint32_t)from->cnt)];

	if (corpus_below(random, 2))
		at += width; /* the destination */
	for (uint32_t i = 0; i < width; i++)
		prefix.addr[i] = (uint8_t)corpus_random(random);
	if (corpus_below(random, 4) && packet->len >= at + width)
		memcpy(prefix.addr, packet->data + at, width);
	prefix.len = (uint8_t)(bits + corpus_below(random, width * 8 - bits + 1));
	for (uint32_t bit = prefix.len; bit < width * 8; bit++)
		prefix.addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	if (netset_add(set, &prefix))
		abort();
}

/* Fill and seal the sets; addresses are taken from the packets of `made` and `mixed`. */
static void sets_create(struct netset *nets, const struct corpus *made, const struct corpus *mixed)
{
	static const char *const edges[] = {"0.0.0.0/1",   "10.0.0.1",
					    "10.0.0.2/31", "255.255.255.255",
					    "::/1",        "2001:db8:0:0:0:0::/95",
					    "2001:db8::1", "2001:db8:0:1:0:1:0:2/127"};
	struct corpus random;

	corpus_init(&random, SCENARIO_SEED, 0, 0);
	for (uint32_t i = 0; i < SMALL_SET; i++) {
		set_add_near(&nets[SET_V4], &random, made, false, 16);
		set_add_near(&nets[SET_V6], &random, made, true, 64);
		set_add_near(&nets[SET_MIXED], &random, mixed, i % 2, 24);
	}
	for (uint32_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		set_add(&nets[SET_EDGES], edges[i]);
	set_add(&nets[SET_ALL], "0.0.0.0/0");
	set_add(&nets[SET_ALL], "::/0");
	for (uint32_t i = 0; i < LARGE_SET; i++) {
		set_add_near(&nets[SET_LARGE], &random, mixed, false, 20);
		set_add_near(&nets[SET_LARGE], &random, mixed, true, 48);
	}
	for (uint32_t i = 0; i < SET_CNT; i++)
		if (netset_seal(&nets[i]))
			abort();
}

#endif
