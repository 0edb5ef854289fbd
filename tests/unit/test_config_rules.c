/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules, what goes with them in the sections filter and egress, and what makes no sense there. */
#include "config_check.h"
#include <netinet/in.h>

static const char full_text[] =
	"interfaces:\n"
	"  - { name: a, mode: mirror }\n"
	"  - { name: b, mode: af_packet, promiscuous: false }\n"
	"  - { name: c, attach: shared, priority: 7 }\n"
	"  - { name: d, attach: exclusive }\n"
	"filter:\n"
	"  default: claimed\n"
	"  push_down: false\n"
	"  fragments: follow\n"
	"  orphans: drop\n"
	"  shunt: 4194304\n"
	"  sets: { lab: { type: net, entries: [10.0.0.0/8] } }\n"
	"  rules:\n"
	"    - { action: drop, match: \"udp port 53\" }\n"
	"    - action: limit\n"
	"      match: udp\n"
	"      per: src\n"
	"      rate: 10k\n"
	"    - { action: limit, rate: 2M, unit: bytes, per: dst, burst: 3k, keys: 5 }\n"
	"    - { action: limit, rate: 5, unit: packets, per: flow, proto: tcp, port: 80 }\n"
	"    - { action: limit, rate: 50k, unit: bytes, per: all }\n"
	"    - { action: tx, proto: icmp, swap: [addresses, mac] }\n"
	"    - { action: tx, proto: udp, swap: [ports] }\n"
	"    - { action: tx }\n"
	"    - { action: steer, match: \"\", in: { set: lab, field: either } }\n"
	"egress:\n"
	"  default: drop\n"
	"  malformed: pass\n"
	"  rules:\n"
	"    - { action: pass, in: { set: lab, field: dst } }\n"
	"    - { action: limit, rate: 100G, match: tcp }\n"
	"groups:\n"
	"  web: { match: tcp port 80 }\n"
	"  rest: {}\n";

static void check_limit(const struct filter_rule *rule, enum filter_per per, bool bytes,
			uint64_t rate, uint64_t burst, uint32_t keys)
{
	assert_int_equal(rule->action, FILTER_LIMIT);
	assert_int_equal(rule->limit.per, per);
	assert_int_equal(rule->limit.bytes, bytes);
	assert_int_equal(rule->limit.rate, rate);
	assert_int_equal(rule->limit.burst, burst);
	assert_int_equal(rule->limit.max_keys, keys);
}

static void check_filter(const struct filter *filter)
{
	const struct filter_rule *rules = filter->rules;

	assert_int_equal(filter->default_action, FILTER_CLAIMED);
	assert_false(filter->claim_push_down);
	assert_true(filter->fragments);
	assert_int_equal(filter->orphans, XDP_ORPHAN_DROP);
	assert_int_equal(filter->shunt_flows, 4194304);
	assert_int_equal(filter->rule_cnt, 9);
	assert_int_equal(rules[0].fields, FILTER_MATCH);
	assert_string_equal(rules[0].match, "udp port 53");
	assert_true(rules[0].expression.insn_cnt > 1);
	assert_int_equal(rules[0].line, 14);
	assert_int_equal(rules[1].line, 15);
	check_limit(&rules[1], FILTER_PER_SRC, false, 10000, 1000, 65536);
	check_limit(&rules[2], FILTER_PER_DST, true, 2000000, 3000, 5);
	check_limit(&rules[3], FILTER_PER_FLOW, false, 5, 1, 65536);
	check_limit(&rules[4], FILTER_PER_ALL, true, 50000, 9216, 1);
	assert_int_equal(rules[5].action, FILTER_TX);
	assert_int_equal(rules[5].swap, XDP_SWAP_MAC | XDP_SWAP_ADDRESSES);
	assert_int_equal(rules[6].swap, XDP_SWAP_PORTS);
	assert_int_equal(rules[7].swap, XDP_SWAP_MAC);
	assert_int_equal(rules[8].fields, FILTER_MATCH | FILTER_SET);
	assert_true(rules[8].expression.all);
	assert_int_equal(filter->claim_cnt, 2);
	assert_string_equal(filter->claims[0].name, "web");
	assert_int_equal(filter->claims[0].line, 33);
	assert_true(filter->claims[0].expression.insn_cnt > 1);
	assert_true(filter->claims[1].expression.all);
}

static void test_full(void **state)
{
	struct config config;

	(void)state;
	read_good(&config, full_text);
	assert_int_equal(config.interfaces[0].mode, CONFIG_MODE_MIRROR);
	assert_int_equal(config.interfaces[1].mode, CONFIG_MODE_AF_PACKET);
	assert_int_equal(config.interfaces[1].priority, CONFIG_PRIORITY);
	assert_int_equal(config.interfaces[2].attach, CONFIG_ATTACH_SHARED);
	assert_int_equal(config.interfaces[2].priority, 7);
	assert_int_equal(config.interfaces[3].attach, CONFIG_ATTACH_EXCLUSIVE);
	check_filter(&config.filter);
	assert_true(config.has_egress);
	assert_int_equal(config.egress.default_action, FILTER_DROP);
	assert_int_equal(config.egress.malformed, XDP_MALFORMED_PASS);
	assert_int_equal(config.egress.rule_cnt, 2);
	assert_int_equal(config.egress.set_cnt, 1);
	assert_ptr_equal(config.egress.sets[0], config.sets[0]);
	assert_int_equal(config.egress.rules[0].set_fields, XDP_FIELD_DST);
	check_limit(&config.egress.rules[1], FILTER_PER_ALL, false, 100000000000, 10000000000, 1);
	config_destroy(&config);
	assert_memory_equal(&config, &zeroed, sizeof(config));
}

static void test_defaults(void **state)
{
	struct config config;

	(void)state;
	read_good(&config, "filter: {}\n");
	assert_false(config.has_egress);
	assert_true(config.filter.fragments);
	assert_true(config.filter.claim_push_down);
	assert_int_equal(config.filter.orphans, XDP_ORPHAN_BY_RULES);
	assert_int_equal(config.filter.shunt_flows, 65536);
	assert_int_equal(config.filter.claim_cnt, 0);
	config_destroy(&config);
	read_good(&config, "egress:\ngroups:\n  a: {}\n");
	assert_true(config.has_egress);
	assert_int_equal(config.egress.default_action, FILTER_PASS);
	assert_int_equal(config.filter.claim_cnt, 0);
	config_destroy(&config);
	/* claimed, and nobody claims anything */
	read_good(&config, "filter: { default: claimed, fragments: ignore, shunt: 0 }\n");
	assert_int_equal(config.filter.claim_cnt, 0);
	assert_int_equal(config.filter.shunt_flows, 0);
	assert_false(config.filter.fragments);
	config_destroy(&config);
}

/* Claims follow the groups when these change, and go where the default is another one. */
static void test_claim(void **state)
{
	struct config config;
	struct xfq_error error;

	(void)state;
	read_good(&config, "filter: { default: claimed }\ngroups:\n  a: { match: udp }\n  b: {}\n");
	assert_int_equal(config.filter.claim_cnt, 2);
	config.group_cnt = 1;
	assert_int_equal(config_claim(&config, &error), 0);
	assert_int_equal(config.filter.claim_cnt, 1);
	strcpy(config.groups[0].spec.when.match, "no");
	assert_int_equal(config_claim(&config, &error), -EINVAL);
	assert_non_null(strstr(error.text, "group a: "));
	config.filter.default_action = FILTER_DROP;
	assert_int_equal(config_claim(&config, &error), 0);
	assert_int_equal(config.filter.claim_cnt, 0);
	config_destroy(&config);
}

#define RULE "filter:\n  rules:\n    - "
#define AT   "3: filter.rules[0]."

static void test_limit_errors(void **state)
{
#define ALONE " belongs to action limit alone"
#define RATE  " is not a number from 1 to 100000000000, with k, M or G behind it or not"
	static const struct bad_text table[] = {
		{RULE "{ action: limit }\n",
		 {"3: filter.rules[0]: a limit wants a rate, such as rate: 10k (packets a "
		  "second)"}},
		{RULE "{ action: drop, per: src, rate: 10, unit: bytes, burst: 1, keys: 1 }\n",
		 {AT "per:" ALONE, AT "rate:" ALONE, AT "unit:" ALONE, AT "burst:" ALONE,
		  AT "keys:" ALONE}},
		{RULE "{ action: limit, rate: 0 }\n", {AT "rate: \"0\"" RATE}},
		{RULE "{ action: limit, rate: 10m }\n", {AT "rate: \"10m\"" RATE}},
		{RULE "{ action: limit, rate: k }\n", {AT "rate: \"k\"" RATE}},
		{RULE "{ action: limit, rate: 1.5k }\n", {AT "rate: \"1.5k\"" RATE}},
		{RULE "{ action: limit, rate: 101G }\n", {AT "rate: \"101G\"" RATE}},
		{RULE "{ action: limit, rate: 1kk }\n", {AT "rate: \"1kk\"" RATE}},
		{RULE "{ action: limit, rate: 1, burst: 0 }\n", {AT "burst: \"0\"" RATE}},
		{RULE "{ action: limit, rate: 1, per: host }\n",
		 {AT "per: \"host\" is none of src, dst, flow, all"}},
		{RULE "{ action: limit, rate: 1, unit: bits }\n",
		 {AT "unit: \"bits\" is none of packets, bytes"}},
		{RULE "{ action: limit, rate: 1, keys: 10 }\n",
		 {AT "keys: a limit over all has one bucket; keys goes with per: src, dst or "
		     "flow"}},
		{RULE "{ action: limit, rate: 1, per: src, keys: 0 }\n",
		 {AT "keys: \"0\" is not a number from 1 to 16777216"}},
	};
#undef ALONE
#undef RATE
	char text[4096] = "filter:\n  rules:\n";

	(void)state;
	CHECK_TABLE(table);
	for (int i = 0; i < 33; i++)
		strcat(text, "    - { action: limit, rate: 1 }\n");
	check_lines(text, strlen(text),
		    (const char *[]){"35: filter.rules[32]: more than 32 rules that limit", NULL});
}

static void test_sense_errors(void **state)
{
	static const struct bad_text table[] = {
		{RULE "{ action: drop, swap: [mac] }\n", {AT "swap: belongs to action tx alone"}},
		{RULE "{ action: tx, swap: mac }\n", {AT "swap: wants a list, not a single value"}},
		{RULE "{ action: tx, swap: [] }\n",
		 {AT "swap: the list is empty; without swap, the MAC addresses are swapped"}},
		{RULE "{ action: tx, swap: [mac, ip, mac] }\n",
		 {AT "swap[1]: \"ip\" is none of mac, addresses, ports",
		  AT "swap[2]: is given twice"}},
		{RULE "{ action: tx, proto: icmp, swap: [ports] }\n",
		 {AT "swap: protocol 1 has no ports; ports go with proto tcp, udp, sctp or none"}},
		{"filter: { default: steer, push_down: true }\n",
		 {"1: filter.push_down: belongs to default: claimed alone"}},
		{"filter: { fragments: ignore, orphans: drop }\n",
		 {"1: filter.orphans: with fragments: ignore, first fragments are not remembered, "
		  "and none is an orphan"}},
		{"filter: { shunt: 4194305 }\n",
		 {"1: filter.shunt: \"4194305\" is not a number from 0 to 4194304"}},
		{"egress:\n  default: steer\n",
		 {"2: egress.default: \"steer\" is none of pass, drop"}},
		{"egress:\n  sets: {}\n",
		 {"2: egress.sets: unknown key; there is default, malformed, rules"}},
		{"egress:\n  rules:\n    - { action: steer }\n    - { action: tx }\n",
		 {"3: egress.rules[0].action: what leaves can be dropped, passed or limited; steer "
		  "and tx are for what comes in",
		  "4: egress.rules[1].action: what leaves can be dropped, passed or limited; steer "
		  "and tx are for what comes in"}},
		{"egress:\n  rules:\n    - { action: drop, in: { set: s, field: src } }\n",
		 {"3: egress.rules[0].in.set: there is no set \"s\" in filter.sets"}},
		{RULE "{ action: drop, in: { set: s } }\n  sets: { s: { type: net, entries: [] } "
		      "}\n",
		 {AT "in.field: is missing"}},
	};

	(void)state;
	CHECK_TABLE(table);
}

/* libpcap's words differ between its versions. */
static void test_match_errors(void **state)
{
	static const char text[] = RULE "{ action: drop, match: \"udp prot 53\" }\n"
					"    - { action: drop, match: \"inbound\" }\n"
					"    - { action: drop, match: [udp] }\n";
	static const char alone[] = RULE "{ action: drop, match: \"udp prot 53\" }\n";
	struct config_errors errors = {0};
	struct config config;

	(void)state;
	assert_int_equal(config_read_buffer(&config, "t", ".", text, strlen(text), &errors),
			 -EINVAL);
	assert_int_equal(errors.cnt, 3);
	assert_non_null(strstr(errors.lines[0].text, "t:3: filter.rules[0].match: "));
	assert_non_null(strstr(errors.lines[0].text, "syntax error"));
	assert_non_null(strstr(errors.lines[1].text, "t:4: filter.rules[1].match: "));
	assert_non_null(strstr(errors.lines[2].text, "t:5: filter.rules[2].match: wants a single"));
	config_errors_destroy(&errors);
	/* alone, nothing is compiled */
	assert_int_equal(config_read_buffer(&config, "t", NULL, alone, strlen(alone), &errors), 0);
	assert_string_equal(config.filter.rules[0].match, "udp prot 53");
	assert_int_equal(config.filter.rules[0].fields, FILTER_MATCH);
	config_destroy(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),         cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_claim),        cmocka_unit_test(test_limit_errors),
		cmocka_unit_test(test_sense_errors), cmocka_unit_test(test_match_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
