/* SPDX-License-Identifier: BSD-2-Clause */
/* The guard against locking oneself out: sessions as sshd tells them, and configs that cut them. */
#include "apps/instance/lockout.h"
#include "tests/unit/config_check.h"
#include <arpa/inet.h>

#define SESSION4 "192.0.2.10 50000 192.0.2.1 22"
#define SESSION6 "2001:db8::10 50000 2001:db8::1 22"

static struct lockout_session read_session(const char *text)
{
	struct lockout_session session;

	assert_true(lockout_read(&session, text));
	return session;
}

static void test_read(void **state)
{
	static const char *const bad[] = {
		"",
		"192.0.2.10",
		"192.0.2.10 50000 192.0.2.1",
		"192.0.2.10 50000 192.0.2.1 22 more",
		"192.0.2.10 70000 192.0.2.1 22",
		"192.0.2.10 0 192.0.2.1 22",
		"192.0.2 50000 192.0.2.1 22",
		"192.0.2.10 50000 2001:db8::1 nonsense",
		"2001:db8::10 50000 192.0.2.1 22",
		"a-host 50000 another 22",
	};
	struct lockout_session session = read_session(SESSION4);
	struct in_addr four;
	struct in6_addr six;

	(void)state;
	assert_false(session.v6);
	inet_pton(AF_INET, "192.0.2.10", &four);
	assert_memory_equal(session.client.address, &four, 4);
	assert_int_equal(session.client.port, 50000);
	assert_int_equal(session.server.port, 22);
	session = read_session(SESSION6);
	assert_true(session.v6);
	inet_pton(AF_INET6, "2001:db8::1", &six);
	assert_memory_equal(session.server.address, &six, 16);
	session = read_session("fe80::1%eth7 50000 fe80::2%eth7 22");
	assert_string_equal(session.scope, "eth7");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(lockout_read(&session, bad[i]));
	assert_true(lockout_read(&session, "192.0.2.10 50000 22"));
	assert_int_equal(session.server.port, 22);
	assert_false(lockout_read(&session, "192.0.2.10 50000 22 more"));
}

/* Whether a config leaves the session alone; `said`: what the refusal has in it. */
static void check(const char *yaml, const char *session_text, uint16_t vlan, const char *said)
{
	struct lockout_session session = read_session(session_text);
	struct xfq_error error = {0};
	struct config config;
	int code;

	read_good(&config, yaml);
	code = lockout_judge(&config, &session, 0, vlan, &error);
	if (!said && code)
		fail_msg("refused: %s", error.text);
	if (said) {
		assert_int_equal(code, -EPERM);
		if (!strstr(error.text, said))
			fail_msg("\"%s\" has no \"%s\"", error.text, said);
		assert_non_null(strstr(error.text, "--force"));
		assert_non_null(strstr(error.text, "on eth9"));
	}
	config_destroy(&config);
}

#define ON "interfaces:\n  - { name: eth9, mode: auto }\n"

static void test_judge(void **state)
{
	(void)state;
	check(ON "filter: { default: pass }\n", SESSION4, 0, NULL);
	check(ON "filter: { default: steer }\n", SESSION4, 0, "default");
	check(ON "filter: { default: drop }\n", SESSION6, 0, "would drop");
	check(ON "filter:\n  default: pass\n  rules:\n    - { action: drop, proto: udp }\n",
	      SESSION4, 0, NULL);
	check(ON "filter:\n  default: pass\n  rules:\n    - { action: drop, proto: tcp }\n",
	      SESSION4, 0, "filter: rule 0, line 6: drop (tcp) would drop");
	check(ON "filter:\n  default: pass\n  rules:\n    - { action: drop, proto: tcp }\n",
	      SESSION6, 0, "2001:db8::10 port 50000");
	check(ON
	      "filter:\n  default: steer\n  rules:\n    - { action: pass, proto: tcp, port: 22 }\n",
	      SESSION6, 0, NULL);
	check(ON
	      "filter:\n  default: steer\n  rules:\n    - { action: pass, proto: tcp, dport: 50000 "
	      "}\n",
	      SESSION4, 0, "default");
	check(ON "filter:\n  default: pass\n  rules:\n    - { action: steer, proto: tcp, sport: "
		 "1024-65535 }\n",
	      SESSION4, 0, "take away");
	check(ON
	      "filter:\n  default: pass\n  sets:\n    bad: { type: net, entries: [192.0.2.0/24] }\n"
	      "  rules:\n    - { action: drop, in: { set: bad, field: src } }\n",
	      SESSION4, 0, "src in bad");
	check(ON
	      "filter:\n  default: pass\n  sets:\n    bad: { type: net, entries: [192.0.2.0/24] }\n"
	      "  rules:\n    - { action: drop, in: { set: bad, field: src } }\n",
	      SESSION6, 0, NULL);
}

static void test_expressions(void **state)
{
	(void)state;
	check(ON
	      "filter:\n  default: pass\n  rules:\n    - { action: drop, match: greater 1000 }\n",
	      SESSION4, 0, "greater 1000");
	check(ON
	      "filter:\n  default: pass\n  rules:\n    - { action: drop, match: \"tcp[tcpflags] == "
	      "tcp-syn\" }\n",
	      SESSION4, 0, "would drop");
	check(ON "filter:\n  default: pass\n  rules:\n    - { action: drop, match: vlan 5 }\n",
	      SESSION4, 0, NULL);
	check(ON "filter:\n  default: pass\n  rules:\n    - { action: drop, match: vlan 5 }\n",
	      SESSION4, 5, "vlan 5");
	check(ON "filter:\n  default: pass\n  rules:\n    - { action: limit, match: tcp, rate: "
		 "1000000 "
		 "}\n",
	      SESSION4, 0, "would limit");
	check(ON
	      "filter:\n  default: pass\n  rules:\n    - { action: limit, match: udp, rate: 1 }\n",
	      SESSION4, 0, NULL);
	check(ON "filter:\n  default: pass\n  rules:\n    - { action: tx, match: tcp }\n", SESSION4,
	      0, "send back");
}

static void test_modes_and_egress(void **state)
{
	(void)state;
	check("interfaces:\n  - { name: eth9, mode: mirror }\nfilter: { default: steer }\n",
	      SESSION4, 0, NULL);
	check("interfaces:\n  - { name: eth9, mode: af_packet }\nfilter: { default: steer }\n",
	      SESSION4, 0, NULL);
	check(ON "filter: { default: pass }\negress:\n  default: pass\n  rules:\n"
		 "    - { action: drop, match: src port 22 }\n",
	      SESSION4, 0, "egress: rule 0, line 7");
	check(ON "filter: { default: pass }\negress:\n  default: pass\n  rules:\n"
		 "    - { action: drop, match: dst port 22 }\n",
	      SESSION4, 0, NULL);
	check(ON "filter: { default: pass }\negress: { default: drop }\n", SESSION6, 0, "egress");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_expressions),
		cmocka_unit_test(test_modes_and_egress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
