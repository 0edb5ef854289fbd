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
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_interfaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
