/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets in user space: members as text, lists of them, and changes against a naive model. */
#include "xdp/set.h"
#include "xdp/set_text.h"
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct set_member member_of(enum set_type type, const char *text)
{
	struct set_member member;
	struct xfq_error error = {0};

	if (set_parse_member(type, &member, text, &error) != 0)
		fail_msg("%s: %s", text, error.text);
	assert_true(member.expires_ns == SET_FOREVER);
	return member;
}

static bool has(const struct set *set, const char *text, uint64_t now_ns)
{
	uint8_t addr[16] = {0};
	bool v6 = strchr(text, ':') != NULL;

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, text, addr), 1);
	return set_net_of(set, addr, v6, now_ns) != NULL;
}

/* --- text ------------------------------------------------------------------------------------- */

static void test_parse_net(void **state)
{
	static const struct {
		const char *text, *addr;
		uint8_t len;
	} good[] = {
		{"192.0.2.1", "192.0.2.1", 32},
		{"192.0.2.255/24", "192.0.2.0", 24},
		{"255.255.255.255/0", "0.0.0.0", 0},
		{"10.255.255.255/9", "10.128.0.0", 9},
		{"1.2.3.5/31", "1.2.3.4", 31},
		{"1.2.3.5/32", "1.2.3.5", 32},
		{"2001:db8::1", "2001:db8::1", 128},
		{"2001:db8:ffff::/33", "2001:db8:8000::", 33},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/0", "::", 0},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/127",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 127},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1", 128},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct set_member member = member_of(SET_NET, good[i].text);
		uint8_t addr[16] = {0};
		bool v6 = strchr(good[i].addr, ':') != NULL;

		assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, good[i].addr, addr), 1);
		assert_memory_equal(member.key.net.addr, addr, sizeof(addr));
		assert_int_equal(member.key.net.len, good[i].len);
		assert_int_equal(member.key.net.v6, v6);
	}
}

static void refuses(enum set_type type, const char *text)
{
	struct set_member member;
	struct xfq_error error = {0};
	char quoted[96];

	snprintf(quoted, sizeof(quoted), "\"%.80s\"", text);
	if (set_parse_member(type, &member, text, &error) != -EINVAL)
		fail_msg("%s: \"%s\" was not refused", set_type_name(type), text);
	assert_int_equal(error.code, -EINVAL);
	assert_non_null(strstr(error.text, quoted));
	assert_int_equal(set_parse_member(type, &member, text, NULL), -EINVAL);
}

static void test_parse_net_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"/8",
		"host",
		"1.2.3",
		"1.2.3.256",
		" 1.2.3.4",
		"1.2.3.4 ",
		"1.2.3.4/",
		"1.2.3.4/33",
		"1.2.3.4/-1",
		"1.2.3.4/+1",
		"1.2.3.4/08",
		"1.2.3.4/8 ",
		"1.2.3.4/8/8",
		"1.2.3.4/255.255.255.0",
		"1.2.3.4/99999999999999999999",
		"01.2.3.4",
		"::/129",
		"fe80::1%eth0",
		":::",
		"1:2:3:4:5:6:7:8:9",
		"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555555555555555555",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		refuses(SET_NET, bad[i]);
		refuses(SET_ADDRESS, bad[i]);
		refuses(SET_PORT, bad[i]);
		refuses(SET_FLOW, bad[i]);
		refuses(SET_MAC, bad[i]);
	}
}

/* What is read comes back as it is written here. */
static void test_format(void **state)
{
	static const struct {
		enum set_type type;
		const char *text, *formatted; /* NULL: the same */
	} texts[] = {
		{SET_NET, "192.0.2.0/24", NULL},
		{SET_NET, "192.0.2.7/32", "192.0.2.7"},
		{SET_NET, "0.0.0.0/0", NULL},
		{SET_NET, "2001:DB8:0::1/33", "2001:db8::/33"},
		{SET_NET, "::/128", "::"},
		{SET_ADDRESS, "192.0.2.7/32", "192.0.2.7"},
		{SET_ADDRESS, "2001:db8::1", NULL},
		{SET_PORT, "0", NULL},
		{SET_PORT, "65535", NULL},
		{SET_PORT, "80-80", "80"},
		{SET_PORT, "8000-8100", NULL},
		{SET_PORT, "0-65535", NULL},
		{SET_FLOW, "tcp 10.0.0.1:80 10.0.0.2:1234", NULL},
		{SET_FLOW, "tcp 10.0.0.2:1234 10.0.0.1:80", "tcp 10.0.0.1:80 10.0.0.2:1234"},
		{SET_FLOW, "UDP\t10.0.0.1:53  10.0.0.1:54", "udp 10.0.0.1:53 10.0.0.1:54"},
		{SET_FLOW, "sctp [2001:db8::1]:1 [2001:db8::1]:2", NULL},
		{SET_MAC, "02:00:5E:00:00:fF", "02:00:5e:00:00:ff"},
		{SET_MAC, "02-00-5e-00-00-01", "02:00:5e:00:00:01"},
	};
	char text[SET_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct set_member member = member_of(texts[i].type, texts[i].text), again;

		set_format_member(texts[i].type, &member, text);
		assert_string_equal(text, texts[i].formatted ? texts[i].formatted : texts[i].text);
		again = member_of(texts[i].type, text);
		assert_memory_equal(&again, &member, sizeof(member));
	}
}

static void test_refuses(void **state)
{
	static const struct {
		enum set_type type;
		const char *text;
	} texts[] = {
		{SET_ADDRESS, "192.0.2.0/24"},
		{SET_ADDRESS, "192.0.2.1/128"},
		{SET_ADDRESS, "2001:db8::/32"},
		{SET_PORT, "65536"},
		{SET_PORT, "-1"},
		{SET_PORT, "80-"},
		{SET_PORT, "90-80"},
		{SET_PORT, "80-90-100"},
		{SET_PORT, "080"},
		{SET_PORT, "http"},
		{SET_FLOW, "icmp 10.0.0.1:1 10.0.0.2:1"},
		{SET_FLOW, "tcp 10.0.0.1:0 10.0.0.2:1"},
		{SET_FLOW, "tcp 10.0.0.1:1"},
		{SET_FLOW, "tcp 10.0.0.1:1 10.0.0.2:65536"},
		{SET_FLOW, "tcp 10.0.0.1:1 10.0.0.2:1 10.0.0.3:1"},
		{SET_FLOW, "tcp 10.0.0.1:1 [2001:db8::1]:1"},
		{SET_FLOW, "tcp 2001:db8::1:1 2001:db8::1:1"},
		{SET_FLOW, "tcp [10.0.0.1]:1 [10.0.0.2]:1"},
		{SET_FLOW, "tcp []:1 []:1"},
		{SET_FLOW, "tcp [ ["},
		{SET_MAC, "02:00:00:00:00"},
		{SET_MAC, "02:00:00:00:00:00:00"},
		{SET_MAC, "02:00-00:00-00:00"},
		{SET_MAC, "02:00:00:00:00:0g"},
		{SET_MAC, "0200.0000.0001"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		refuses(texts[i].type, texts[i].text);
}

static int line(enum set_type type, const char *text, struct set_member *member,
		struct xfq_error *error)
{
	return set_parse_line(type, member, text, strlen(text), error);
}

static void test_lines(void **state)
{
	static const char *const nothing[] = {
		"", " \t", "\r", "# 192.0.2.1", "; 192.0.2.1", "  # more", "\xef\xbb\xbf# mark"};
	static const char *const net[] = {"192.0.2.0/24", "  192.0.2.0/24\t ; SBL1",
					  "192.0.2.0/24#x", "192.0.2.9/24\r",
					  ("\xef\xbb\xbf"
					   "192.0.2.0/24")};
	struct set_member member, wanted = member_of(SET_NET, "192.0.2.0/24");
	struct xfq_error error;
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
		assert_int_equal(line(SET_NET, nothing[i], &member, &error), 1);
	for (size_t i = 0; i < sizeof(net) / sizeof(net[0]); i++) {
		assert_int_equal(line(SET_NET, net[i], &member, &error), 0);
		assert_memory_equal(&member, &wanted, sizeof(member));
	}
	assert_int_equal(line(SET_NET, "192.0.2.1 example.org", &member, &error), -EINVAL);
	assert_non_null(strstr(error.text, "\"192.0.2.1 example.org\": one member per line"));
	assert_int_equal(set_parse_line(SET_NET, &member, "1.2.3.4\0", 8, &error), -EINVAL);
	assert_non_null(strstr(error.text, "NUL"));
	/* what is cut off would have made it wrong */
	memset(text, ' ', sizeof(text));
	memcpy(text, "tcp 10.0.0.1:1 10.0.0.2:1", 25);
	memcpy(text + 290, "x", 2);
	assert_int_equal(line(SET_FLOW, text, &member, &error), -EINVAL);
	assert_int_equal(line(SET_FLOW, " tcp 10.0.0.1:1 10.0.0.2:1 # x", &member, &error), 0);
}

/* --- members ---------------------------------------------------------------------------------- */

#define UNIVERSE 512

static uint64_t random_state = 1;

static uint32_t below(uint32_t cnt)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((random_state >> 33) % cnt);
}

/* Key number `i` of a type. */
static union set_key key_of(enum set_type type, uint32_t i)
{
	union set_key key = {0};
	uint32_t a[4] = {i % 2 ? 1 : 2, 0, 0, i % 2}, b[4] = {7};

	switch (type) {
	case SET_NET:
		key.net.v6 = i % 2;
		key.net.addr[0] = (uint8_t)(i / 2 % 16 << 4);
		key.net.addr[1] = (uint8_t)(i / 32);
		key.net.len = (uint8_t)(4 + i % 12);
		set_clear_host_bits(key.net.addr, key.net.len);
		break;
	case SET_ADDRESS:
		key.net.v6 = i % 2;
		memcpy(key.net.addr, &i, sizeof(i));
		key.net.len = i % 2 ? 128 : 32;
		break;
	case SET_PORT:
		key.ports.lo = (uint16_t)(i % 128);
		key.ports.hi = (uint16_t)(i % 128 + (i / 128) * 9);
		break;
	case SET_FLOW:
		flow_key_set(&key.flow, i % 2 ? 6 : 4, 6, a, (uint16_t)(i + 1), b, 1);
		break;
	case SET_MAC:
		key.mac[5] = (uint8_t)i;
		key.mac[4] = (uint8_t)(i >> 8);
		break;
	}
	return key;
}

/* The set against a list of what is in it. */
static void check_all(const struct set *set, const struct set_member *model, uint32_t cnt)
{
	uint32_t lens = 0;

	assert_int_equal(set->cnt, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		const struct set_member *found = set_find(set, &model[i].key);

		assert_non_null(found);
		assert_memory_equal(found, &model[i], sizeof(*found));
	}
	for (uint32_t i = 0; i < 162; i++)
		lens += set->len_cnt[i];
	if (set->type == SET_NET || set->type == SET_ADDRESS)
		assert_int_equal(lens, cnt);
	for (uint32_t port = 0; port < 256 && set->type == SET_PORT && set->ports; port++) {
		uint64_t expires_ns = 0;

		for (uint32_t i = 0; i < cnt; i++)
			if (model[i].key.ports.lo <= port && port <= model[i].key.ports.hi &&
			    model[i].expires_ns > expires_ns)
				expires_ns = model[i].expires_ns;
		assert_true(set->ports[port] == expires_ns);
	}
}

static uint32_t model_find(const struct set_member *model, uint32_t cnt, const union set_key *key)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (memcmp(&model[i].key, key, sizeof(*key)) == 0)
			return i;
	return cnt;
}

static uint32_t sweep(struct set *set, struct set_member *model, uint32_t cnt, uint64_t now_ns)
{
	const struct set_member *member;

	while ((member = set_next_expired(set, now_ns)) != NULL) {
		assert_true(member->expires_ns <= now_ns);
		assert_true(set_del(set, &member->key));
	}
	for (uint32_t i = 0; i < cnt;)
		if (model[i].expires_ns <= now_ns)
			model[i] = model[--cnt];
		else
			i++;
	return cnt;
}

static void run_random(enum set_type type, bool timed)
{
	struct set_member *model = calloc(UNIVERSE, sizeof(*model));
	struct set set = {.type = type};
	uint64_t now_ns = 1;
	uint32_t cnt = 0;

	assert_non_null(model);
	for (uint32_t i = 0; i < 20000; i++) {
		struct set_member member = {.expires_ns = SET_FOREVER};
		uint32_t at, choice = below(100);

		member.key = key_of(type, below(UNIVERSE));
		at = model_find(model, cnt, &member.key);
		if (choice < 50) {
			if (timed && below(2))
				member.expires_ns = now_ns + 1 + below(500);
			assert_int_equal(set_add(&set, &member), at == cnt);
			model[at] = member;
			cnt += at == cnt;
		} else if (choice < 95) {
			assert_int_equal(set_del(&set, &member.key), at < cnt);
			if (at < cnt)
				model[at] = model[--cnt];
		} else if (choice == 95 && below(20) == 0) {
			set_flush(&set);
			cnt = 0;
		} else if (timed) {
			now_ns += below(50);
			cnt = sweep(&set, model, cnt, now_ns);
		}
		if (i % 50 == 0)
			check_all(&set, model, cnt);
	}
	check_all(&set, model, cnt);
	set_destroy(&set);
	free(model);
}

static void test_random(void **state)
{
	(void)state;
	for (int type = SET_NET; type <= SET_MAC; type++) {
		run_random((enum set_type)type, false);
		run_random((enum set_type)type, true);
	}
}

static void test_nested(void **state)
{
	struct set set = {.type = SET_NET};
	struct set_member wide = member_of(SET_NET, "10.0.0.0/8");
	struct set_member narrow = member_of(SET_NET, "10.1.0.0/16");
	struct set_member all = member_of(SET_NET, "::/0");

	(void)state;
	assert_false(has(&set, "10.1.2.3", 0));
	narrow.expires_ns = 100;
	assert_int_equal(set_add(&set, &wide), 1);
	assert_int_equal(set_add(&set, &narrow), 1);
	assert_int_equal(set_add(&set, &all), 1);
	assert_true(has(&set, "10.1.2.3", 99));
	assert_true(has(&set, "10.1.2.3", 100)); /* by the wide one */
	assert_true(set_del(&set, &wide.key));
	assert_true(has(&set, "10.1.2.3", 99));
	assert_false(has(&set, "10.1.2.3", 100));
	assert_false(has(&set, "10.2.2.3", 0));
	assert_true(has(&set, "2001:db8::1", 0));
	assert_false(set_del(&set, &wide.key));
	set_destroy(&set);
	set_destroy(&set);
	set_destroy(NULL);
}

static void test_max(void **state)
{
	struct set set = {.type = SET_PORT, .max = 2}, copy, other = {.type = SET_PORT};
	struct set_member member = member_of(SET_PORT, "1");

	(void)state;
	strcpy(set.name, "set");
	assert_int_equal(set_add(&set, &member), 1);
	member = member_of(SET_PORT, "2-9");
	assert_int_equal(set_add(&set, &member), 1);
	assert_int_equal(set_add(&set, &member), 0);
	member = member_of(SET_PORT, "3");
	assert_int_equal(set_add(&set, &member), -ENOSPC);
	assert_int_equal(set_copy(&copy, &set), 0);
	check_all(&copy, set.members, 2);
	assert_string_equal(copy.name, "set");
	assert_true(set_source(&copy) == set_source(&set));
	assert_int_equal(set_add(&other, &member), 1);
	assert_true(set_source(&other) != set_source(&set));
	set_swap(&set, &other);
	assert_int_equal(set.cnt, 1);
	assert_int_equal(set.max, 2);
	assert_string_equal(set.name, "set");
	check_all(&other, copy.members, 2);
	set_destroy(&set);
	set_destroy(&copy);
	set_destroy(&other);
}

/* A million of each: what took more than constant time would never end. */
static void test_million(void **state)
{
	static const enum set_type types[] = {SET_NET, SET_ADDRESS, SET_FLOW, SET_MAC};
	const uint32_t cnt = 1000000;

	(void)state;
	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		struct set set = {.type = types[t]};
		struct set_member member = {.expires_ns = 5};
		uint32_t a[4] = {0}, b[4] = {1};

		for (uint32_t i = 0; i < cnt; i++) {
			memset(&member.key, 0, sizeof(member.key));
			a[0] = i;
			if (types[t] == SET_FLOW)
				flow_key_set(&member.key.flow, 4, 6, a, 1, b, 2);
			else if (types[t] == SET_MAC)
				memcpy(member.key.mac, &i, sizeof(i));
			else
				memcpy(member.key.net.addr, &i, sizeof(i));
			if (types[t] == SET_NET || types[t] == SET_ADDRESS)
				member.key.net.len = 32;
			if (set_add(&set, &member) != 1)
				fail_msg("member %u", i);
		}
		assert_int_equal(set.cnt, cnt);
		assert_null(set_next_expired(&set, 4));
		for (uint32_t i = 0; i < cnt; i++) {
			const struct set_member *gone = set_next_expired(&set, 5);

			if (!gone || !set_del(&set, &gone->key))
				fail_msg("%u are left", set.cnt);
		}
		assert_int_equal(set.cnt, 0);
		set_destroy(&set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_net), cmocka_unit_test(test_parse_net_refuses),
		cmocka_unit_test(test_format),    cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_lines),     cmocka_unit_test(test_random),
		cmocka_unit_test(test_nested),    cmocka_unit_test(test_max),
		cmocka_unit_test(test_million),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
