/* SPDX-License-Identifier: BSD-2-Clause */
/* The shunt table of the first pass in user space, by the same calls as the kernel's; and the table
 * under it against a naive model. */
#include "tests/packet_builder.h"
#include "xdp/first_pass.h"
#include "xdp/flow_text.h"
#include "xdp/lru.h"
#include "xdp/shunt.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND 1000000000ULL

static uint64_t random_state = 1;

static uint64_t random_next(void)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* --- the flow's key -------------------------------------------------------------------------- */

/* Both directions have the same key; anything else that differs, another one. */
static void test_key(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		__u32 a[4] = {0}, b[4] = {0};
		__u16 a_port = (__u16)(random_next() % 3), b_port = (__u16)(random_next() % 3);
		struct xdp_flow_key there, back, other;

		for (uint32_t w = 0; w < (i % 2 ? 4 : 1); w++) {
			a[w] = (__u32)(random_next() % 3);
			b[w] = (__u32)(random_next() % 3);
		}
		flow_key_set(&there, i % 2 ? 6 : 4, 17, a, a_port, b, b_port);
		flow_key_set(&back, i % 2 ? 6 : 4, 17, b, b_port, a, a_port);
		assert_memory_equal(&there, &back, sizeof(there));
		flow_key_set(&other, i % 2 ? 6 : 4, 6, a, a_port, b, b_port);
		assert_memory_not_equal(&there, &other, sizeof(there));
		flow_key_set(&other, i % 2 ? 4 : 6, 17, a, a_port, b, b_port);
		assert_memory_not_equal(&there, &other, sizeof(there));
		flow_key_set(&other, i % 2 ? 6 : 4, 17, a, a_port, b, (__u16)(b_port + 7));
		assert_memory_not_equal(&there, &other, sizeof(there));
		b[i % 2 ? 3 : 0] ^= 0x100;
		flow_key_set(&other, i % 2 ? 6 : 4, 17, a, a_port, b, b_port);
		assert_memory_not_equal(&there, &other, sizeof(there));
	}
}

/* A flow as text: what is written is what was read, and what is no flow is refused. */
static void test_text(void **state)
{
	static const char *const good[][2] = {
		{"tcp 192.0.2.1:80 198.51.100.2:1234", "tcp 192.0.2.1:80 198.51.100.2:1234"},
		{"6 192.0.2.1:80  198.51.100.2:1234", "tcp 192.0.2.1:80 198.51.100.2:1234"},
		{"udp [2001:db8::1]:53 [2001:db8::2]:0", "udp [2001:db8::1]:53 [2001:db8::2]:0"},
		{"icmp 1.2.3.4 5.6.7.8", "icmp 1.2.3.4 5.6.7.8"},
		{"icmp6 2001:db8::1 [::1]", "icmp6 2001:db8::1 ::1"},
		{"255 1.2.3.4 5.6.7.8", "255 1.2.3.4 5.6.7.8"},
	};
	static const char *const bad[] = {
		"",
		"tcp",
		"tcp 1.2.3.4:1",
		"tcp 1.2.3.4 5.6.7.8",
		"tcp 1.2.3.4:1 5.6.7.8:65536",
		"tcp 1.2.3.4:1 5.6.7.8:2 drop",
		"udp 2001:db8::1:53 2001:db8::2:53",
		"udp 1.2.3.4:1 [::1]:2",
		"udp 1.2.3.4: 1.2.3.4:-1",
		"udp 1.2.3:1 1.2.3.4:1",
		"256 1.2.3.4 5.6.7.8",
		"icmp 1.2.3.4:1 5.6.7.8",
		"any 1.2.3.4 5.6.7.8",
		"udp [] []",
		"udp [:1 ]:2",
	};
	struct xdp_flow_key key, back;
	struct xfq_error error;
	char text[FLOW_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct xdp_flow_key expected;

		assert_int_equal(flow_parse_text(&key, good[i][0], &error), 0);
		assert_int_equal(flow_parse_text(&expected, good[i][1], &error), 0);
		assert_memory_equal(&key, &expected, sizeof(key));
		flow_format_text(&key, text);
		assert_int_equal(flow_parse_text(&back, text, &error), 0);
		assert_memory_equal(&key, &back, sizeof(key));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(flow_parse_text(&key, bad[i], &error), -EINVAL);
		assert_non_null(strstr(error.text, "is not a flow such as"));
	}
}

/* --- the table ------------------------------------------------------------------------------- */

#define PLACES 50
#define KEYS   120

struct naive {
	uint64_t key[2], value;
};

static struct naive naive[PLACES]; /* most recently used first */
static uint32_t naive_cnt;

static struct naive *naive_find(uint64_t key)
{
	for (uint32_t i = 0; i < naive_cnt; i++)
		if (naive[i].key[0] == key) {
			struct naive found = naive[i];

			memmove(&naive[1], &naive[0], i * sizeof(naive[0]));
			naive[0] = found;
			return &naive[0];
		}
	return NULL;
}

static struct naive *naive_put(uint64_t key)
{
	if (naive_find(key))
		return &naive[0];
	if (naive_cnt == PLACES)
		naive_cnt--;
	memmove(&naive[1], &naive[0], naive_cnt * sizeof(naive[0]));
	naive[0] = (struct naive){.key = {key, ~key}};
	naive_cnt++;
	return &naive[0];
}

static void naive_delete(uint64_t key)
{
	if (!naive_find(key))
		return;
	naive_cnt--;
	memmove(&naive[0], &naive[1], naive_cnt * sizeof(naive[0]));
}

static void check_same(const struct lru *lru)
{
	uint32_t at = lru->newest, i = 0;
	const uint64_t *value;
	const void *key;

	assert_int_equal(lru->cnt, naive_cnt);
	while ((value = lru_next(lru, &at, &key))) {
		assert_true(i < naive_cnt);
		assert_memory_equal(key, naive[i].key, sizeof(naive[i].key));
		assert_int_equal(*value, naive[i].value);
		i++;
	}
	assert_int_equal(i, naive_cnt);
}

static void test_lru(void **state)
{
	struct lru lru;

	(void)state;
	assert_int_equal(lru_create(&lru, PLACES, 16, 8), 0);
	for (uint32_t i = 0; i < 100000; i++) {
		uint64_t key[2] = {random_next() % KEYS}, *value;
		const struct naive *expected;

		key[1] = ~key[0];
		switch (random_next() % 4) {
		case 0:
		case 1:
			value = lru_put(&lru, key);
			assert_int_equal(*value, naive_put(key[0])->value);
			*value = naive[0].value = random_next();
			break;
		case 2:
			value = lru_find(&lru, key);
			expected = naive_find(key[0]);
			assert_int_equal(!value, !expected);
			if (value)
				assert_int_equal(*value, expected->value);
			break;
		default:
			lru_delete(&lru, key);
			naive_delete(key[0]);
		}
		if (i % 16 == 0)
			check_same(&lru);
	}
	lru_destroy(&lru);
	lru_destroy(&lru);
}

/* --- the shunt ------------------------------------------------------------------------------- */

struct rig {
	struct filter filter;
	struct shunt_table table;
	struct shunt shunt;
	struct first_pass pass;
	uint64_t now_ns;
};

static void rig_create(struct rig *rig, uint32_t max)
{
	filter_init(&rig->filter);
	assert_int_equal(shunt_table_create(&rig->table, max), 0);
	rig->shunt = (struct shunt){.flows_fd = -1, .state_fd = -1, .table = &rig->table};
	rig->pass = (struct first_pass){.filter = &rig->filter, .shunt = &rig->table};
	rig->now_ns = 100 * SECOND;
}

static void rig_destroy(struct rig *rig)
{
	first_pass_destroy(&rig->pass);
	shunt_table_destroy(&rig->table);
	filter_destroy(&rig->filter);
}

static void make_packet(struct packet_builder *b, uint16_t sport, bool back)
{
	packet_start(b);
	packet_ipv4(b, back ? 2 : 1, back ? 1 : 2, 0);
	packet_udp(b, back ? 53 : sport, back ? sport : 53);
	packet_payload(b, 40);
	packet_finish(b);
}

static void make_key(struct xdp_flow_key *key, uint16_t sport)
{
	struct packet_builder b;
	struct parse_key parsed;
	struct xfq_meta meta;

	make_packet(&b, sport, false);
	parse_packet(NULL, b.bytes, b.bytes + b.len, b.len, &meta, &parsed);
	assert_true(flow_key_make(key, &meta, &parsed));
}

static struct first_pass_result rig_run(struct rig *rig, uint16_t sport, bool back)
{
	struct packet_builder b;
	struct xfq_meta meta;

	make_packet(&b, sport, back);
	return first_pass_run(&rig->pass, b.bytes, b.len, b.len, rig->now_ns, &meta);
}

static void expect(struct rig *rig, uint16_t sport, bool back, enum xdp_verdict verdict,
		   enum xdp_verdict action)
{
	struct first_pass_result result = rig_run(rig, sport, back);

	assert_int_equal(result.verdict, verdict);
	assert_int_equal(result.action, action);
}

static void rig_add(struct rig *rig, uint16_t sport, struct shunt_order order)
{
	struct xdp_flow_key key;

	make_key(&key, sport);
	assert_int_equal(shunt_add(&rig->shunt, &key, &order, rig->now_ns, NULL), 0);
}

static uint32_t rig_cnt(struct rig *rig, struct shunt_flow *first)
{
	struct shunt_flow *flows;
	uint32_t cnt;

	assert_int_equal(shunt_read(&rig->shunt, rig->now_ns, &flows, &cnt, NULL), 0);
	if (cnt && first)
		*first = flows[0];
	free(flows);
	return cnt;
}

/* Both directions are dropped or passed, and counted under their rule; others are not. */
static void test_actions(void **state)
{
	struct xdp_flow_key key;
	struct shunt_flow flow;
	struct rig rig;

	(void)state;
	rig_create(&rig, 100);
	filter_add(&rig.filter, FILTER_STEER);
	rig_run(&rig, 1000, false); /* what came before counts for nothing */
	rig_add(&rig, 1000, (struct shunt_order){.action = SHUNT_DROP});
	expect(&rig, 1000, false, XDP_VERDICT_SHUNTED, XDP_VERDICT_DROP);
	expect(&rig, 1000, true, XDP_VERDICT_SHUNTED, XDP_VERDICT_DROP);
	expect(&rig, 1001, false, XDP_VERDICT_STEER, XDP_VERDICT_STEER);
	assert_int_equal(rig_cnt(&rig, &flow), 1);
	assert_int_equal(flow.entry.packets, 2);
	assert_int_equal(flow.entry.bytes, 2 * (14 + 20 + 8 + 40));
	assert_int_equal(flow.entry.seen_ns, rig.now_ns);
	/* said anew: counted anew */
	rig_add(&rig, 1000, (struct shunt_order){.action = SHUNT_PASS});
	expect(&rig, 1000, true, XDP_VERDICT_SHUNTED, XDP_VERDICT_PASS);
	assert_int_equal(rig_cnt(&rig, &flow), 1);
	assert_int_equal(flow.entry.packets, 1);
	make_key(&key, 1000);
	assert_int_equal(shunt_del(&rig.shunt, &key, rig.now_ns, NULL), 0);
	assert_int_equal(shunt_del(&rig.shunt, &key, rig.now_ns, NULL), -ENOENT);
	expect(&rig, 1000, false, XDP_VERDICT_STEER, XDP_VERDICT_STEER);
	assert_int_equal(rig_cnt(&rig, NULL), 0);
	assert_int_equal(rig.pass.counters.verdicts[XDP_VERDICT_SHUNTED].packets, 3);
	assert_int_equal(rig.pass.counters.rules[0].packets, 6);
	rig_destroy(&rig);
}

/* By number and by time; over is over at once. */
static void test_lives(void **state)
{
	struct shunt_flow flow;
	struct rig rig;

	(void)state;
	rig_create(&rig, 100);
	rig_add(&rig, 1, (struct shunt_order){.action = SHUNT_DROP, .packets = 3});
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(rig_cnt(&rig, NULL), 1);
		expect(&rig, 1, i % 2, XDP_VERDICT_SHUNTED, XDP_VERDICT_DROP);
	}
	expect(&rig, 1, false, XDP_VERDICT_STEER, XDP_VERDICT_STEER);
	assert_int_equal(rig_cnt(&rig, NULL), 0);

	rig_add(&rig, 2, (struct shunt_order){.action = SHUNT_PASS, .lifetime_ns = SECOND});
	expect(&rig, 2, false, XDP_VERDICT_SHUNTED, XDP_VERDICT_PASS);
	rig.now_ns += SECOND - 1;
	expect(&rig, 2, false, XDP_VERDICT_SHUNTED, XDP_VERDICT_PASS);
	assert_int_equal(rig_cnt(&rig, &flow), 1);
	assert_int_equal(flow.entry.packets, 2);
	rig.now_ns++;
	expect(&rig, 2, false, XDP_VERDICT_STEER, XDP_VERDICT_STEER);
	assert_int_equal(rig_cnt(&rig, NULL), 0);
	assert_int_equal(rig.table.used, 0);

	/* longer than time lasts */
	rig_add(&rig, 3, (struct shunt_order){.action = SHUNT_DROP, .lifetime_ns = UINT64_MAX});
	expect(&rig, 3, false, XDP_VERDICT_SHUNTED, XDP_VERDICT_DROP);
	rig_destroy(&rig);
}

/* Before a capture's first packet there is no time to count from. */
static void test_before_time(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 100);
	rig.now_ns = 0;
	assert_int_equal(shunt_now_ns(&rig.shunt), 0);
	rig_add(&rig, 1, (struct shunt_order){.action = SHUNT_DROP, .lifetime_ns = SECOND});
	rig.now_ns = 1700000000 * SECOND;
	expect(&rig, 1, false, XDP_VERDICT_SHUNTED, XDP_VERDICT_DROP);
	assert_int_equal(shunt_now_ns(&rig.shunt), rig.now_ns);
	rig.now_ns += SECOND;
	expect(&rig, 1, false, XDP_VERDICT_STEER, XDP_VERDICT_STEER);
	rig_destroy(&rig);
}

/* What the rules do not steer is theirs. */
static void test_rules_first(void **state)
{
	static const enum filter_action actions[] = {FILTER_DROP, FILTER_PASS, FILTER_TX};
	static const enum xdp_verdict verdicts[] = {XDP_VERDICT_DROP, XDP_VERDICT_PASS,
						    XDP_VERDICT_TX};
	struct shunt_flow flow;

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct rig rig;

		rig_create(&rig, 10);
		filter_add(&rig.filter, actions[i]);
		rig_add(&rig, 1, (struct shunt_order){.action = SHUNT_PASS});
		expect(&rig, 1, false, verdicts[i], verdicts[i]);
		assert_int_equal(rig_cnt(&rig, &flow), 1);
		assert_int_equal(flow.entry.packets, 0);
		rig_destroy(&rig);
	}
}

static void test_full(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 10);
	for (uint16_t i = 0; i < 11; i++)
		rig_add(&rig, i, (struct shunt_order){.action = SHUNT_DROP});
	assert_int_equal(rig_cnt(&rig, NULL), 10);
	expect(&rig, 0, false, XDP_VERDICT_STEER, XDP_VERDICT_STEER);
	for (uint16_t i = 1; i < 11; i++)
		expect(&rig, i, false, XDP_VERDICT_SHUNTED, XDP_VERDICT_DROP);
	rig_destroy(&rig);
}

static void test_refused(void **state)
{
	struct shunt_order none = {.action = SHUNT_NONE}, drop = {.action = SHUNT_DROP};
	struct xdp_flow_key key = {.ip = 4}, nothing = {0};
	struct xfq_error error;
	struct rig rig;

	(void)state;
	rig_create(&rig, 10);
	assert_int_equal(shunt_add(&rig.shunt, &key, &none, 1, &error), -EINVAL);
	assert_int_equal(shunt_add(&rig.shunt, &nothing, &drop, 1, &error), -EINVAL);
	assert_string_equal(error.text, "only flows of IP can be shunted");
	rig_destroy(&rig);
}

/* The flow of a datagram in fragments: the first one's ports name it for all. */
static void test_fragments(void **state)
{
	struct packet_builder b;
	struct xfq_meta meta;
	struct rig rig;

	(void)state;
	rig_create(&rig, 10);
	rig_add(&rig, 1000, (struct shunt_order){.action = SHUNT_DROP});
	for (uint32_t offset = 0; offset < 3; offset++) {
		packet_start(&b);
		packet_ipv4(&b, 1, 2, 0);
		packet_fragment4(&b, offset * 8, offset < 2);
		if (offset == 0)
			packet_udp(&b, 1000, 53);
		else
			b.bytes[b.next_at] = 17;
		packet_payload(&b, 64);
		packet_finish(&b);
		assert_int_equal(first_pass_run(&rig.pass, b.bytes, b.len, b.len, 1, &meta).verdict,
				 XDP_VERDICT_SHUNTED);
	}
	rig_destroy(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key),     cmocka_unit_test(test_text),
		cmocka_unit_test(test_lru),     cmocka_unit_test(test_actions),
		cmocka_unit_test(test_lives),   cmocka_unit_test(test_before_time),
		cmocka_unit_test(test_full),    cmocka_unit_test(test_rules_first),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_fragments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
