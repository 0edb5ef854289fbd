/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the first pass remembers from packet to packet: limits, fragments, the shunt table. The one
 * in the kernel against that in user space, over random traffic by a clock that the test sets; and
 * limits for ten seconds under ten times their rate, exactly.
 */
#include "tests/bpf/state_rig.h"
#include "tests/scale.h"

/* A packet of one of some flows, sometimes a fragment, sometimes not IP. */
static void random_packet(struct packet_builder *b)
{
	bool back = random_below(2), v6 = random_below(4) == 0;
	uint32_t a = 1 + random_below(4), z = 11 + random_below(4), part = random_below(8);
	uint16_t sport = (uint16_t)(1000 + random_below(6));

	packet_start(b);
	if (random_below(20) == 0) {
		packet_type(b, 0x0806);
		packet_payload(b, 46);
		return;
	}
	if (random_below(8) == 0)
		packet_vlan(b, 0x8100, 5);
	if (v6)
		packet_ipv6(b, (uint8_t)(back ? z : a), (uint8_t)(back ? a : z));
	else
		packet_ipv4(b, back ? z : a, back ? a : z, 0);
	if (part < 3) {
		if (v6)
			packet_fragment6(b, part * 8, part < 2);
		else
			packet_fragment4(b, part * 8, part < 2);
		if (v6)
			packet_put32(b, b->len - 4, random_below(12));
		else
			packet_put16(b, b->l3 + 4, random_below(12));
	}
	if (part == 1 || part == 2)
		b->bytes[b->next_at] = 17;
	else if (random_below(4) == 0)
		packet_tcp(b, back ? 80 : sport, back ? sport : 80, 0);
	else
		packet_udp(b, back ? 53 : sport, back ? sport : 53);
	packet_payload(b, 20 + random_below(600));
	packet_finish(b);
}

static struct filter_rule *add_limit(struct filter *filter, enum filter_per per, bool bytes,
				     uint64_t rate, uint64_t burst)
{
	struct filter_rule *rule = filter_add(filter, FILTER_LIMIT);

	assert_non_null(rule);
	rule->limit = (struct filter_limit){
		.per = per, .bytes = bytes, .rate = rate, .burst = burst, .max_keys = 1000};
	return rule;
}

/* --- tests ----------------------------------------------------------------------------------- */

/* Limits of every kind after one another, under a clock that also stands still, jumps and goes back
 * a little. */
static void test_limits(void **state)
{
	struct packet_builder b;
	struct pair pair;

	(void)state;
	pair_begin(&pair);
	add_limit(&pair.filter, FILTER_PER_FLOW, false, 20, 5);
	add_limit(&pair.filter, FILTER_PER_SRC, true, 100000, 3000);
	add_limit(&pair.filter, FILTER_PER_DST, false, 150, 10);
	add_limit(&pair.filter, FILTER_PER_ALL, false, 700, 1);
	pair_load(&pair);
	for (uint32_t i = 0; i < test_scale(60000); i++) {
		uint32_t step = random_below(100);

		random_packet(&b);
		pair.now_ns += step < 50   ? random_below(1000000)
			       : step < 99 ? 0
					   : random_below(100) * SECOND;
		if (step == 98)
			pair.now_ns -= random_below(1000000);
		pair_sync(&pair);
		pair_run(&pair, &b);
		if (i % 100 == 0)
			pair_check(&pair, "limits");
	}
	pair_check(&pair, "limits");
	for (uint32_t i = 0; i < 4; i++)
		assert_in_range(pair.pass.counters.rules[i].packets, test_scale(100), 50000);
	assert_in_range(pair.pass.counters.rules[XDP_RULES_MAX].packets, test_scale(1000), 50000);
	pair_destroy(&pair);
}

/* The rate holds, whatever it is: ten times as much for ten seconds. */
static void test_ten_seconds(void **state)
{
	static const struct {
		uint64_t rate, burst;
		bool bytes;
	} cases[] = {{1, 1, false},
		     {10, 5, false},
		     {10000, 100, false},
		     {1000000, 1000, false},
		     {10000000, 1, false},
		     {1250000, 15000, true},
		     {1250000000, 150000, true}};
	struct packet_builder b;

	(void)state;
	packet_start(&b);
	packet_ipv4(&b, 1, 2, 0);
	packet_udp(&b, 3, 4);
	packet_payload(&b, 958);
	packet_finish(&b);
	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double unit = cases[i].bytes ? b.len : 1, want, got, seconds = 10;
		double packets = seconds * 10.0 * (double)cases[i].rate / unit;
		struct xdp_counters kernel;
		struct pair pair;

		/* more than that takes too long: a shorter time, then */
		if (packets > (double)test_scale(1000000)) {
			seconds *= (double)test_scale(200000) / packets;
			packets = (double)test_scale(200000);
		}
		pair_begin(&pair);
		add_limit(&pair.filter, FILTER_PER_SRC, cases[i].bytes, cases[i].rate,
			  cases[i].burst);
		pair_load(&pair);
		for (uint32_t n = 0; n < (uint32_t)packets; n++) {
			pair.now_ns = 1000 * SECOND + (uint64_t)(seconds * 1e9 * n / packets);
			pair_sync(&pair);
			pair_run(&pair, &b);
		}
		pair_check(&pair, "ten seconds");
		assert_int_equal(loader_counters(&pair.loader, &kernel), 0);
		got = (double)kernel.rules[XDP_RULES_MAX].packets * unit;
		/* the bucket is full at first: that comes on top */
		want = (double)cases[i].rate * seconds + (double)cases[i].burst;
		if (got < 0.95 * want - unit || got > 1.05 * want + unit)
			fail_msg("rate %llu: %.0f and not %.0f", (unsigned long long)cases[i].rate,
				 got, want);
		pair_destroy(&pair);
	}
}

/* A limit that the next filter has as well takes its buckets along; another one begins full. */
static void test_limits_stay(void **state)
{
	struct filter same, other;
	struct packet_builder b;
	struct xfq_error error;
	struct pair pair;

	(void)state;
	pair_begin(&pair);
	filter_init(&same);
	filter_init(&other);
	same.default_action = other.default_action = FILTER_DROP;
	add_limit(&pair.filter, FILTER_PER_DST, false, 1, 9);
	add_limit(&pair.filter, FILTER_PER_SRC, false, 1, 3);
	add_limit(&same, FILTER_PER_SRC, false, 1, 3);
	add_limit(&other, FILTER_PER_SRC, false, 1, 4);
	pair_load(&pair);
	pair_sync(&pair);
	packet_start(&b);
	packet_ipv4(&b, 1, 2, 0);
	packet_udp(&b, 3, 4);
	packet_finish(&b);
	for (uint32_t i = 0; i < 3; i++)
		pair_run(&pair, &b);
	assert_int_equal(pair_run(&pair, &b), XDP_VERDICT_LIMITED);
	if (loader_replace(&pair.loader, &same, NULL, &error))
		fail_msg("%s", error.text);
	first_pass_replace(&pair.pass, &same, 0);
	assert_int_equal(pair_run(&pair, &b), XDP_VERDICT_LIMITED);
	if (loader_replace(&pair.loader, &other, NULL, &error))
		fail_msg("%s", error.text);
	first_pass_replace(&pair.pass, &other, 0);
	assert_int_equal(pair_run(&pair, &b), XDP_VERDICT_DROP);
	pair_destroy(&pair);
	filter_destroy(&same);
	filter_destroy(&other);
}

/* Fragments, their flows and orphans, under each policy; names are used again, notes get old. What
 * is followed shows by a limit per flow and by the shunt, which take the first one's ports. */
static void test_fragments(void **state)
{
	struct packet_builder b;
	struct pair pair;

	(void)state;
	for (uint32_t policy = 0; policy < 4; policy++) {
		pair_begin(&pair);
		pair.filter.fragments = policy < 3;
		pair.filter.orphans = (enum xdp_orphan)(policy % 3);
		add_limit(&pair.filter, FILTER_PER_FLOW, false, 20, 3);
		pair_load(&pair);
		for (uint32_t i = 0; i < test_scale(15000); i++) {
			random_packet(&b);
			pair.now_ns += random_below(1000) ? random_below(2000000)
							  : random_below(70) * SECOND;
			pair_sync(&pair);
			pair_run(&pair, &b);
			if (i % 100 == 0)
				pair_check(&pair, "fragments");
		}
		pair_check(&pair, "fragments");
		assert_true(pair.pass.counters.fragments > test_scale(3000));
		if (policy < 3)
			assert_in_range(pair.pass.counters.orphans, test_scale(10), 4000);
		pair_destroy(&pair);
	}
}

static int compare_flows(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct xdp_flow_key));
}

/* Both tables say the same. */
static void check_tables(struct pair *pair)
{
	struct shunt_flow *in_kernel, *in_user;
	struct shunt kernel, user;
	uint32_t kernel_cnt, user_cnt;

	pair_shunts(pair, &kernel, &user);
	assert_int_equal(shunt_read(&kernel, pair->now_ns, &in_kernel, &kernel_cnt, NULL), 0);
	assert_int_equal(shunt_read(&user, pair->now_ns, &in_user, &user_cnt, NULL), 0);
	assert_int_equal(kernel_cnt, user_cnt);
	if (kernel_cnt) {
		qsort(in_kernel, kernel_cnt, sizeof(*in_kernel), compare_flows);
		qsort(in_user, user_cnt, sizeof(*in_user), compare_flows);
		assert_memory_equal(in_kernel, in_user, kernel_cnt * sizeof(*in_user));
	}
	free(in_kernel);
	free(in_user);
}

/* Add, delete and packets, at random; every entry's counters. */
static void test_shunt(void **state)
{
	struct packet_builder b;
	struct shunt kernel, user;
	struct pair pair;

	(void)state;
	pair_begin(&pair);
	filter_add(&pair.filter, FILTER_PASS)->fields = FILTER_PROTO;
	pair.filter.rules[0].proto = 6;
	filter_add(&pair.filter, FILTER_STEER)->fields = FILTER_PROTO;
	pair.filter.rules[1].proto = 17;
	pair_load(&pair);
	pair_shunts(&pair, &kernel, &user);
	for (uint32_t i = 0; i < test_scale(30000); i++) {
		struct xdp_judged judged;
		struct xdp_flow_key key;

		random_packet(&b);
		pair.now_ns += random_below(5000000);
		pair_sync(&pair);
		pair.table.now_ns = pair.now_ns;
		if (random_below(10)) {
			pair_run(&pair, &b);
			continue;
		}
		parse_packet(NULL, b.bytes, b.bytes + b.len, b.len, &judged.meta, &judged.key);
		if (!flow_key_make(&key, &judged.meta, &judged.key))
			continue;
		if (random_below(4)) {
			struct shunt_order order = {
				.action = random_below(2) ? SHUNT_DROP : SHUNT_PASS,
				.packets = random_below(2) ? random_below(10) : 0,
				.lifetime_ns = random_below(2) ? random_below(1000000000) : 0,
			};

			assert_int_equal(shunt_add(&kernel, &key, &order, pair.now_ns, NULL), 0);
			assert_int_equal(shunt_add(&user, &key, &order, pair.now_ns, NULL), 0);
		} else {
			assert_int_equal(shunt_del(&kernel, &key, pair.now_ns, NULL),
					 shunt_del(&user, &key, pair.now_ns, NULL));
		}
		if (i % 50 == 0) {
			pair_check(&pair, "shunt");
			check_tables(&pair);
		}
	}
	pair_check(&pair, "shunt");
	check_tables(&pair);
	assert_true(pair.pass.counters.verdicts[XDP_VERDICT_SHUNTED].packets >
		    (test_scale_percent() == 100 ? 1000 : 0));
	pair_destroy(&pair);
}

/* The table outlives a filter, also when its size changes, and is gone with a filter without one.
 */
static void test_shunt_stays(void **state)
{
	struct shunt_order order = {.action = SHUNT_DROP};
	struct filter next[4];
	struct shunt kernel;
	struct xdp_flow_key key;
	struct xdp_judged judged;
	struct packet_builder b;
	struct xfq_error error;
	struct shunt_flow *flows;
	struct pair pair;
	uint32_t cnt;

	(void)state;
	pair_begin(&pair);
	pair.filter.default_action = FILTER_STEER;
	pair_load(&pair);
	packet_start(&b);
	packet_ipv4(&b, 1, 2, 0);
	packet_udp(&b, 3, 4);
	packet_finish(&b);
	parse_packet(NULL, b.bytes, b.bytes + b.len, b.len, &judged.meta, &judged.key);
	flow_key_make(&key, &judged.meta, &judged.key);
	assert_int_equal(loader_shunt(&pair.loader, &kernel, &error), 0);
	assert_int_equal(shunt_add(&kernel, &key, &order, pair.now_ns, NULL), 0);
	for (uint32_t i = 0; i < 4; i++) {
		static const uint32_t sizes[] = {65536, 1000, 0, 65536};
		LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = b.bytes, .data_size_in = b.len,
			    .repeat = 1);
		struct xdp_counters counters;

		filter_init(&next[i]);
		next[i].shunt_flows = sizes[i];
		if (loader_replace(&pair.loader, &next[i], NULL, &error))
			fail_msg("%s", error.text);
		assert_int_equal(bpf_prog_test_run_opts(loader_program_fd(&pair.loader), &options),
				 0);
		assert_int_equal(options.retval, i < 2 ? XDP_DROP : XDP_PASS);
		assert_int_equal(loader_counters(&pair.loader, &counters), 0);
		assert_int_equal(counters.verdicts[XDP_VERDICT_SHUNTED].packets, i < 2 ? i + 1 : 2);
		if (sizes[i] == 0) {
			assert_int_equal(loader_shunt(&pair.loader, &kernel, &error), -EOPNOTSUPP);
			continue;
		}
		assert_int_equal(loader_shunt(&pair.loader, &kernel, &error), 0);
		assert_int_equal(shunt_read(&kernel, pair.now_ns, &flows, &cnt, NULL), 0);
		assert_int_equal(cnt, i < 2);
		if (cnt)
			assert_int_equal(flows[0].entry.packets, i + 1);
		free(flows);
	}
	pair_destroy(&pair);
	for (uint32_t i = 0; i < 4; i++)
		filter_destroy(&next[i]);
}

/* More flows than places: as many as were asked for stay. */
static void test_shunt_full(void **state)
{
	enum { PLACES = 300 };
	struct shunt_order order = {.action = SHUNT_DROP};
	struct shunt_flow *flows;
	struct shunt kernel;
	struct xfq_error error;
	struct pair pair;
	uint32_t cnt;

	(void)state;
	pair_begin(&pair);
	pair.filter.shunt_flows = PLACES;
	pair_load(&pair);
	assert_int_equal(loader_shunt(&pair.loader, &kernel, &error), 0);
	for (uint32_t i = 0; i < 10000; i++) {
		struct xdp_flow_key key = {.ip = 4, .proto = 17, .addr = {{i}, {i + 1}}};

		assert_int_equal(shunt_add(&kernel, &key, &order, pair.now_ns, NULL), 0);
		if (i + 1 == PLACES) {
			assert_int_equal(shunt_read(&kernel, 1, &flows, &cnt, NULL), 0);
			assert_int_equal(cnt, PLACES);
			free(flows);
		}
	}
	assert_int_equal(shunt_read(&kernel, pair.now_ns, &flows, &cnt, NULL), 0);
	assert_in_range(cnt, PLACES / 2, limit_map_places(PLACES));
	free(flows);
	pair_destroy(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),      cmocka_unit_test(test_ten_seconds),
		cmocka_unit_test(test_limits_stay), cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_shunt),       cmocka_unit_test(test_shunt_stays),
		cmocka_unit_test(test_shunt_full),
	};
	int impossible = pair_possible();

	return impossible ? impossible : cmocka_run_group_tests(tests, NULL, NULL);
}
