/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of prefixes: parsing, and look-ups against a model that compares with every prefix. */
#include "xdp/netset.h"
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct netset_prefix prefix_of(const char *text)
{
	struct netset_prefix prefix;
	struct xfq_error error = {0};

	if (netset_parse(&prefix, text, &error) != 0)
		fail_msg("%s: %s", text, error.text);
	return prefix;
}

static void set_of(struct netset *set, const char *const *texts)
{
	memset(set, 0, sizeof(*set));
	for (; *texts; texts++) {
		struct netset_prefix prefix = prefix_of(*texts);

		assert_int_equal(netset_add(set, &prefix), 0);
	}
	assert_int_equal(netset_seal(set), 0);
}

static bool has(const struct netset *set, const char *text)
{
	uint8_t addr[16] = {0};
	bool v6 = strchr(text, ':') != NULL;

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, text, addr), 1);
	return netset_has(set, addr, v6);
}

static void test_parse(void **state)
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
		struct netset_prefix prefix = prefix_of(good[i].text);
		uint8_t addr[16] = {0};
		bool v6 = strchr(good[i].addr, ':') != NULL;

		assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, good[i].addr, addr), 1);
		assert_memory_equal(prefix.addr, addr, sizeof(addr));
		assert_int_equal(prefix.len, good[i].len);
		assert_int_equal(prefix.v6, v6);
	}
}

static void test_parse_refuses(void **state)
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
		struct netset_prefix prefix;
		struct xfq_error error = {0};
		char quoted[96];

		snprintf(quoted, sizeof(quoted), "\"%.80s\"", bad[i]);
		assert_int_equal(netset_parse(&prefix, bad[i], &error), -EINVAL);
		assert_int_equal(error.code, -EINVAL);
		assert_non_null(strstr(error.text, quoted));
		assert_int_equal(netset_parse(&prefix, bad[i], NULL), -EINVAL);
	}
}

static void test_empty(void **state)
{
	struct netset set = {0};

	(void)state;
	assert_false(has(&set, "0.0.0.0"));
	assert_int_equal(netset_seal(&set), 0);
	assert_false(has(&set, "0.0.0.0"));
	assert_false(has(&set, "::"));
	netset_destroy(&set);
	netset_destroy(&set);
	netset_destroy(NULL);
}

static void test_edges(void **state)
{
	struct netset set;

	(void)state;
	set_of(&set, (const char *[]){"0.0.0.0/0", "10.0.0.0/8", NULL});
	assert_int_equal(set.v4_cnt, 1);
	assert_int_equal(set.prefix_cnt, 2);
	assert_true(has(&set, "0.0.0.0"));
	assert_true(has(&set, "255.255.255.255"));
	assert_false(has(&set, "::"));
	netset_destroy(&set);

	set_of(&set, (const char *[]){"::/0", "ffff::/16", "::1", NULL});
	assert_int_equal(set.v6_cnt, 1);
	assert_true(has(&set, "::"));
	assert_true(has(&set, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	assert_false(has(&set, "0.0.0.0"));
	netset_destroy(&set);

	set_of(&set, (const char *[]){"0.0.0.0", "255.255.255.255",
				      "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL});
	assert_int_equal(set.v4_cnt, 2);
	assert_int_equal(set.v6_cnt, 2);
	assert_true(has(&set, "0.0.0.0"));
	assert_false(has(&set, "0.0.0.1"));
	assert_false(has(&set, "255.255.255.254"));
	assert_true(has(&set, "255.255.255.255"));
	assert_true(has(&set, "::"));
	assert_false(has(&set, "::1"));
	assert_false(has(&set, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"));
	assert_true(has(&set, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	netset_destroy(&set);
}

static void test_merge(void **state)
{
	struct netset set;

	(void)state;
	/* duplicates under several spellings, neighbours, and one inside another */
	set_of(&set,
	       (const char *[]){"192.0.2.128/25", "192.0.2.0/25", "192.0.2.77/25", "192.0.2.0/25",
				"192.0.3.0/24", "192.0.2.9", "192.0.5.0/24", NULL});
	assert_int_equal(set.prefix_cnt, 5);
	assert_int_equal(set.v4_cnt, 2);
	assert_int_equal(set.v4[0].lo[1], 0xc0000200);
	assert_int_equal(set.v4[0].hi[1], 0xc00003ff);
	assert_int_equal(set.v4[1].lo[1], 0xc0000500);
	netset_destroy(&set);

	/* a carry from the lower half to the upper */
	set_of(&set,
	       (const char *[]){"2001:db8:0:1::/64", "2001:db8::/64", "2001:db8:0:3::/64", NULL});
	assert_int_equal(set.v6_cnt, 2);
	assert_true(has(&set, "2001:db8::1:ffff:ffff:ffff:ffff"));
	assert_false(has(&set, "2001:db8:0:2::"));
	netset_destroy(&set);
}

static void test_seal_again(void **state)
{
	struct netset set;
	struct netset_prefix more = prefix_of("198.51.100.0/24");

	(void)state;
	set_of(&set, (const char *[]){"192.0.2.0/24", NULL});
	assert_int_equal(netset_add(&set, &more), 0);
	assert_int_equal(netset_seal(&set), 0);
	assert_true(has(&set, "192.0.2.1"));
	assert_true(has(&set, "198.51.100.1"));
	netset_destroy(&set);
}

/* Whether the first prefix->len bits of both are the same. */
static bool model_covers(const struct netset_prefix *prefix, const uint8_t *addr)
{
	for (unsigned int bit = 0; bit < prefix->len; bit++)
		if ((prefix->addr[bit / 8] ^ addr[bit / 8]) & (0x80 >> bit % 8))
			return false;
	return true;
}

static bool model_has(const struct netset_prefix *prefixes, size_t cnt, const uint8_t *addr,
		      bool v6)
{
	for (size_t i = 0; i < cnt; i++)
		if (prefixes[i].v6 == v6 && model_covers(&prefixes[i], addr))
			return true;
	return false;
}

static unsigned int random_state;

static unsigned int random_below(unsigned int bound)
{
	random_state = random_state * 1103515245u + 12345u;
	return (random_state >> 16) % bound;
}

/* Addresses of few distinct bytes, so that prefixes overlap, touch and repeat. */
static void random_address(uint8_t *addr, bool v6)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
	uint8_t common = bytes[random_below(sizeof(bytes))];

	memset(addr, 0, 16);
	for (int i = 0; i < (v6 ? 16 : 4); i++)
		addr[i] = random_below(4) ? common : bytes[random_below(sizeof(bytes))];
}

static void random_prefix(struct netset_prefix *prefix)
{
	static const uint8_t edges[] = {0, 1, 31, 32, 63, 64, 65, 127, 128};
	bool v6 = random_below(2);
	char host[INET6_ADDRSTRLEN], text[64];
	unsigned int len, max = v6 ? 128 : 32;
	uint8_t addr[16];

	random_address(addr, v6);
	len = random_below(8) ? max / 4 + random_below(max * 3 / 4 + 1)
			      : edges[random_below(sizeof(edges))];
	if (len > max || (len == 0 && random_below(8)))
		len = max;
	inet_ntop(v6 ? AF_INET6 : AF_INET, addr, host, sizeof(host));
	snprintf(text, sizeof(text), "%s/%u", host, len);
	*prefix = prefix_of(text);
}

/* An address at random, or one at, just before or just after the edge of a prefix. */
static void random_probe(uint8_t *addr, const struct netset_prefix *prefix)
{
	int bytes = prefix->v6 ? 16 : 4;
	unsigned int where = random_below(4);
	int step = (int)random_below(3) - 1;

	if (where == 0) {
		random_address(addr, prefix->v6);
		return;
	}
	memcpy(addr, prefix->addr, 16);
	if (where == 1)
		for (int bit = prefix->len; bit < bytes * 8; bit++)
			addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	for (int i = bytes - 1; i >= 0 && step != 0; i--) {
		addr[i] = (uint8_t)(addr[i] + step);
		if (addr[i] != (step > 0 ? 0x00 : 0xff))
			break;
	}
}

static void check_sealed(const struct netset_range *ranges, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++) {
		assert_true(
			memcmp(ranges[i].lo, ranges[i].hi, sizeof(ranges[i].lo)) == 0 ||
			ranges[i].lo[0] < ranges[i].hi[0] ||
			(ranges[i].lo[0] == ranges[i].hi[0] && ranges[i].lo[1] < ranges[i].hi[1]));
		if (i > 0)
			assert_true(ranges[i - 1].hi[0] < ranges[i].lo[0] ||
				    (ranges[i - 1].hi[0] == ranges[i].lo[0] &&
				     ranges[i - 1].hi[1] + 1 < ranges[i].lo[1]));
	}
}

static void test_model(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 400; round++) {
		struct netset_prefix prefixes[64];
		struct netset set = {0};
		size_t cnt = 1 + (round < 300 ? random_below(64) : random_below(4));
		unsigned int hits = 0;

		random_state = round;
		for (size_t i = 0; i < cnt; i++) {
			random_prefix(&prefixes[i]);
			assert_int_equal(netset_add(&set, &prefixes[i]), 0);
		}
		assert_int_equal(netset_seal(&set), 0);
		assert_true(set.prefix_cnt <= cnt && set.prefix_cnt > 0);
		check_sealed(set.v4, set.v4_cnt);
		check_sealed(set.v6, set.v6_cnt);
		for (int i = 0; i < 500; i++) {
			const struct netset_prefix *near =
				&prefixes[random_below((unsigned int)cnt)];
			uint8_t addr[16];
			bool wanted;

			random_probe(addr, near);
			wanted = model_has(prefixes, cnt, addr, near->v6);
			hits += wanted;
			if (netset_has(&set, addr, near->v6) != wanted)
				fail_msg("round %u, probe %d: wanted %d", round, i, wanted);
		}
		assert_true(hits > 0);
		netset_destroy(&set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse), cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_empty), cmocka_unit_test(test_edges),
		cmocka_unit_test(test_merge), cmocka_unit_test(test_seal_again),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
