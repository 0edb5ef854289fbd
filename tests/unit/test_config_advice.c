/* SPDX-License-Identifier: BSD-2-Clause */
/* What `xfq check` warns of, and what it does not. */
#include "apps/instance/config_advice.h"
#include "config_check.h"

struct told {
	uint32_t cnt, lines[8];
	char texts[8][512];
};

static void tell(void *context, uint32_t line, const char *text)
{
	struct told *told = context;

	assert_true(told->cnt < 8);
	told->lines[told->cnt] = line;
	snprintf(told->texts[told->cnt++], sizeof(told->texts[0]), "%s", text);
}

/* A config that is warned of once, in a line and with these words; NULL: not at all. */
static void check_advice(const char *text, uint32_t line, const char *words)
{
	struct told told = {0};
	struct config config;

	read_good(&config, text);
	config_advise(&config, tell, &told);
	config_destroy(&config);
	if (told.cnt != (words ? 1 : 0))
		fail_msg("%s: %u warnings, the first: %s", text, told.cnt, told.texts[0]);
	if (!words)
		return;
	assert_int_equal(told.lines[0], line);
	if (!strstr(told.texts[0], words))
		fail_msg("%s: %s", text, told.texts[0]);
}

#define GROUP "groups: { web: { match: tcp port 80 } }\n"

static void test_rules(void **state)
{
	(void)state;
	check_advice("filter:\n  rules:\n    - { action: drop, proto: udp }\n"
		     "    - { action: steer }\n" GROUP,
		     0, NULL);
	check_advice("filter:\n  rules:\n    - { action: steer }\n"
		     "    - { action: drop, proto: udp }\n" GROUP,
		     4, "filter.rules[1]: never reached, like all after it: rule 0 (line 3)");
	check_advice("filter:\n  rules:\n    - { action: steer, match: \"  \" }\n"
		     "    - { action: drop }\n" GROUP,
		     4, "matches every packet");
	/* a limit takes out what exceeds it, and no more */
	check_advice("filter:\n  rules:\n    - { action: limit, rate: 1 }\n"
		     "    - { action: drop, proto: udp }\n" GROUP,
		     0, NULL);
	check_advice("filter: { default: pass }\negress:\n  rules:\n    - { action: pass }\n"
		     "    - { action: drop, port: 25 }\n",
		     5, "egress.rules[1]: never reached");
}

static void test_groups(void **state)
{
	(void)state;
	check_advice("filter: { default: pass }\n" GROUP, 2, "no group ever gets a packet");
	check_advice("filter: { default: drop, rules: [{ action: limit, rate: 5 }] }\n" GROUP, 2,
		     "neither does the default (drop)");
	check_advice("filter: { default: steer, rules: [{ action: drop }] }\n" GROUP, 2,
		     "no rule steers");
	check_advice("filter: { default: pass, rules: [{ action: steer, port: 80 }] }\n" GROUP, 0,
		     NULL);
	check_advice("filter: { default: claimed }\n" GROUP, 0, NULL);
	check_advice("filter: { default: claimed }\ngroups: { a: {} }\n", 0, NULL);
	check_advice("filter: { default: claimed }\n"
		     "groups: { a: { cases: [{ match: udp, action: drop }] } }\n",
		     2, "groups.a: has no match, and with default: claimed that claims every");
	check_advice("filter: { default: claimed, sets: { s: { type: net } } }\n"
		     "groups: { a: { in: { set: s, field: src } } }\n",
		     2, "groups.a: has no match");
	check_advice("filter: { default: claimed, sets: { s: { type: net } } }\n"
		     "groups: { a: { match: udp, in: { set: s, field: src } } }\n",
		     0, NULL);
	check_advice("filter: { default: claimed }\n", 0, "claimed, and no groups");
	check_advice("{}", 0, "no groups: what is steered is taken from the stack");
	check_advice("filter: { default: pass }\n", 0, NULL);
	/* the very packets that the group wants */
	check_advice("filter:\n  rules:\n    - { action: drop, match: (tcp port 80) }\n" GROUP, 4,
		     "groups.web: never gets a packet: the rule in line 3 (drop)");
	check_advice("filter:\n  rules:\n    - { action: steer, proto: tcp }\n"
		     "    - { action: drop, match: tcp port 80 }\n" GROUP,
		     0, NULL);
	check_advice("filter:\n  rules:\n    - { action: drop, match: tcp port 81 }\n" GROUP, 0,
		     NULL);
}

#define CASES "groups:\n  web:\n    match: tcp port 80\n    classes: [a]\n    cases:\n"

static void test_cases(void **state)
{
	(void)state;
	check_advice(CASES "    - { class: a }\n    - { match: udp }\n", 7,
		     "groups.web: this case is never reached: the one in line 6 takes all");
	/* all that the group wants, or the case */
	check_advice(CASES "    - { match: (tcp port 80), class: a }\n    - { action: drop }\n", 7,
		     "the one in line 6 takes all");
	check_advice(CASES "    - { match: icmp, action: drop }\n    - { match: udp }\n"
			   "    - { match: (icmp), class: a }\n",
		     8, "the one in line 6 takes all");
	/* more is asked, or more is asked afterwards */
	check_advice(CASES "    - { sample: 2, class: a }\n    - { action: drop }\n", 0, NULL);
	check_advice(CASES "    - { sample: 1, class: a }\n    - { action: drop }\n", 7,
		     "the one in line 6 takes all");
	check_advice("filter: { sets: { s: { type: flow } } }\n" CASES
		     "    - { in: { set: s }, class: a }\n    - { action: drop }\n",
		     0, NULL);
	check_advice("plugins: { p: { file: /bin/sh } }\n" CASES
		     "    - { plugin: p, class: a }\n    - { action: drop }\n",
		     0, NULL);
	check_advice(CASES "    - { mark: 1, action: pass }\n    - { class: a }\n", 0, NULL);
	check_advice(CASES "    - { match: udp, action: pass }\n    - { class: a }\n", 6,
		     "groups.web: this case does nothing");
	/* marks that are set above, or nowhere */
	check_advice(CASES "    - { match: udp, mark: 1, action: pass }\n"
			   "    - { marked: 1, class: a }\n    - { marked: 0, action: drop }\n",
		     0, NULL);
	check_advice(CASES "    - { match: udp, mark: 1, action: pass }\n"
			   "    - { marked: 2, class: a }\n",
		     7, "groups.web: this case never holds: no case above it marks a packet 2");
	check_advice(CASES "    - { match: udp, mark: 1, class: a }\n    - { marked: 1 }\n", 7,
		     "this case never holds");
	check_advice(CASES "    - { marked: 0, class: a }\n    - { action: drop }\n", 0, NULL);
	/* nothing is left for members */
	check_advice("groups:\n  a: { match: udp, cases: [{ count: c, action: pass },\n"
		     "    { action: drop }] }\n",
		     3, "groups.a: its members never get a packet");
	check_advice("groups:\n  a: { match: udp, cases: [{ match: udp port 1 },\n"
		     "    { action: drop }] }\n",
		     0, NULL);
	check_advice("groups:\n  a: { cases: [{ tee: b, action: pass }, { action: drop }] }\n"
		     "  b: { tee_only: true }\n",
		     0, NULL);
	check_advice("groups:\n  a: { classes: [c], max_members: 0, cases: [{ class: c }] }\n", 2,
		     "groups.a: nobody can ever be of class c");
	check_advice("groups:\n  a: { classes: { c: { members: 1 } }, max_members: 0,\n"
		     "    cases: [{ class: c }] }\n",
		     0, NULL);
	check_advice(CASES "    - { match: udp }\n", 2,
		     "groups.web: no case names class a: its members get what is for all");
}

static void test_copies(void **state)
{
	(void)state;
	check_advice("groups:\n  a:\n  ids: { tee_only: true }\n", 3,
		     "groups.ids: never gets a packet: it is for copies alone");
	check_advice("groups:\n  a: { cases: [{ tee: ids }] }\n  ids: { tee_only: true }\n", 0,
		     NULL);
	/* a rule that takes all takes nothing from a group that wants nothing by itself */
	check_advice("filter:\n  rules:\n    - { action: drop, match: udp }\n"
		     "groups:\n  a: { cases: [{ tee: ids }] }\n  ids: { tee_only: true }\n",
		     0, NULL);
}

static void test_tunnels(void **state)
{
	(void)state;
	check_advice("filter: { default: claimed }\ngroups: { a: { match: udp, inner: true } }\n",
		     2,
		     "groups.a: looks into tunnels, and with default: claimed that claims every");
	check_advice("groups: { a: { match: udp, inner: true } }\n", 0, NULL);
	/* its match is of packets that no rule sees */
	check_advice("filter:\n  rules:\n    - { action: drop, match: udp }\n"
		     "groups: { a: { match: udp, inner: true } }\n",
		     0, NULL);
}

static void test_plugins(void **state)
{
	(void)state;
	check_advice("plugins:\n  p: {}\n" GROUP, 2, "plugins.p: has no file");
	check_advice("plugins:\n  p: { file: /bin/sh }\n" GROUP, 0, NULL);
}

/* The loopback interface has an address of this host. */
static void test_interfaces(void **state)
{
	(void)state;
	check_advice("interfaces: [{ name: lo }]\n" GROUP, 0,
		     "interfaces[0]: lo has an address of this host");
	check_advice("interfaces: [{ name: lo, mode: mirror }]\n" GROUP, 0, NULL);
	check_advice("interfaces: [{ name: lo, mode: af_packet }]\n" GROUP, 0, NULL);
	check_advice("interfaces: [{ name: lo }]\nfilter: { default: pass }\n", 0, NULL);
	check_advice("interfaces: [{ name: nowhere0 }]\n" GROUP, 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),      cmocka_unit_test(test_groups),
		cmocka_unit_test(test_cases),      cmocka_unit_test(test_copies),
		cmocka_unit_test(test_tunnels),    cmocka_unit_test(test_plugins),
		cmocka_unit_test(test_interfaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
