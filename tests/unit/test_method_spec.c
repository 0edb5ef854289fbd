/* SPDX-License-Identifier: BSD-2-Clause */
/* How steering methods are written down, and when two are the same. */
#include "steering/method.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct method_net nets[] = {
	{.addr = {10, 1}, .len = 16, .sub = 24},
	{.addr = {10, 1, 7}, .len = 24},
	{.addr = {0x20, 1, 0xd, 0xb8, 0, 1}, .len = 48, .sub = 60, .v6 = 1},
};

static void check_text(const struct method_spec *spec, const char *expected)
{
	char text[256], cut[256];

	assert_string_equal(method_spec_text(spec, text, sizeof(text)), expected);
	for (size_t room = 0; room <= strlen(expected) + 1; room++) {
		memset(cut, 0x5a, sizeof(cut));
		method_spec_text(spec, cut, room);
		assert_int_equal(cut[room], 0x5a);
		if (room > 0) {
			assert_int_equal(strlen(cut), room - 1);
			assert_memory_equal(cut, expected, room - 1);
		}
	}
}

static void test_text(void **state)
{
	struct method_spec spec = {.method = METHOD_FIELD, .offset = 12, .size = 4};

	(void)state;
	check_text(&spec, "field 12 4");
	spec.offset2 = 16;
	spec.symmetric = true;
	check_text(&spec, "field 12,16 4 symmetric");
	spec.symmetric = false;
	spec.each = true;
	check_text(&spec, "field 12,16 4 each");
	check_text(&(struct method_spec){.method = METHOD_FLOW}, "flow");
	check_text(&(struct method_spec){.method = METHOD_TO, .to = 3}, "to 3");
	check_text(&(struct method_spec){.method = METHOD_SRC, .otherwise = METHOD_ELSE_DROP},
		   "src else drop");
	check_text(
		&(struct method_spec){.method = METHOD_LOCAL_LINK, .gateway = {2, 0, 10, 0, 0, 1}},
		"local-link 02:00:0a:00:00:01");
	check_text(&(struct method_spec){.method = METHOD_KEY,
					 .fields = METHOD_KEY_SRC | METHOD_KEY_DST,
					 .symmetric = true},
		   "key src,dst symmetric");
	check_text(&(struct method_spec){.method = METHOD_LOCAL_NET, .nets = nets, .net_cnt = 2},
		   "local-net 10.1.0.0/16/24,10.1.7.0/24");
	check_text(&(struct method_spec){.method = METHOD_LOCAL_IP, .nets = nets + 2, .net_cnt = 1},
		   "local-ip 2001:db8:1::/48");
}

/* Specs that differ in one thing that counts are not the same, and what does not count does not. */
static void test_same(void **state)
{
	const struct method_spec differ[] = {
		{.method = METHOD_FLOW},
		{.method = METHOD_FLOW, .otherwise = METHOD_ELSE_DROP},
		{.method = METHOD_TO},
		{.method = METHOD_TO, .to = 1},
		{.method = METHOD_FIELD, .size = 4},
		{.method = METHOD_FIELD, .size = 5},
		{.method = METHOD_FIELD, .size = 4, .offset = 1},
		{.method = METHOD_FIELD, .size = 4, .symmetric = true},
		{.method = METHOD_FIELD, .size = 4, .each = true},
		{.method = METHOD_FIELD, .size = 4, .offset2 = 1, .each = true},
		{.method = METHOD_KEY, .fields = METHOD_KEY_SRC},
		{.method = METHOD_KEY, .fields = METHOD_KEY_DST},
		{.method = METHOD_KEY, .fields = METHOD_KEY_DST, .symmetric = true},
		{.method = METHOD_LOCAL_LINK},
		{.method = METHOD_LOCAL_LINK, .gateway = {1}},
		{.method = METHOD_LOCAL_NET, .nets = nets, .net_cnt = 1},
		{.method = METHOD_LOCAL_NET, .nets = nets, .net_cnt = 2},
		{.method = METHOD_LOCAL_NET, .nets = nets + 1, .net_cnt = 1},
		{.method = METHOD_LOCAL_IP, .nets = nets, .net_cnt = 1},
		{.method = METHOD_STICKY, .flows = 10},
		{.method = METHOD_STICKY, .flows = 10, .idle_s = 1},
		{.method = METHOD_PLUGIN},
		{.method = METHOD_PLUGIN, .plugin = 1},
	};
	const size_t cnt = sizeof(differ) / sizeof(differ[0]);

	(void)state;
	for (size_t i = 0; i < cnt; i++)
		for (size_t j = 0; j < cnt; j++)
			assert_int_equal(method_spec_same(&differ[i], &differ[j]), i == j);
	assert_true(method_spec_same(&(struct method_spec){.method = METHOD_SRC, .to = 4},
				     &(struct method_spec){.method = METHOD_SRC, .size = 3}));
	assert_true(method_spec_same(
		&(struct method_spec){
			.method = METHOD_KEY, .fields = METHOD_KEY_SRC, .symmetric = true},
		&(struct method_spec){
			.method = METHOD_KEY, .fields = METHOD_KEY_DST, .symmetric = true}));
}

static void test_names(void **state)
{
	static const char *const names[] = {
		"flow",      "ip-pair", "src",      "dst",         "double", "link",  "local-link",
		"vlan",      "queue",   "rss-hash", "round-robin", "random", "to",    "local-ip",
		"local-net", "field",   "key",      "broadcast",   "sticky", "plugin"};
	struct method_spec spec = {.nets = malloc(sizeof(nets[0])), .net_cnt = 1};

	(void)state;
	assert_int_equal(sizeof(names) / sizeof(names[0]), METHOD_CNT);
	for (uint32_t i = 0; i < METHOD_CNT; i++) {
		assert_string_equal(method_name((enum method)i), names[i]);
		assert_int_equal(method_by_name(names[i]), i);
	}
	assert_string_equal(method_name(METHOD_CNT), "unknown");
	assert_int_equal(method_by_name("flows"), METHOD_CNT);
	for (uint32_t bit = 0; bit < METHOD_KEY_FIELDS; bit++)
		assert_int_equal(method_field_by_name(method_field_name(1u << bit)), 1u << bit);
	assert_int_equal(method_field_by_name("port"), 0);
	assert_string_equal(method_field_name(METHOD_KEY_SRC_MAC), "src-mac");
	assert_string_equal(method_field_name(METHOD_KEY_ICMP_CODE), "icmp-code");
	assert_string_equal(method_field_name(3), "unknown");
	method_spec_destroy(&spec);
	method_spec_destroy(&spec);
	assert_null(spec.nets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
