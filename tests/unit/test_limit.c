/* SPDX-License-Identifier: BSD-2-Clause */
/* Rate limits: the bucket against an exact model, rates from 1 a second to 100 Gbit/s, and times
 * that jump. */
#include "tests/packet_builder.h"
#include "xdp/first_pass.h"
#include "xdp/limit_map.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

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

/* A bucket of tokens in parts of 1/SECOND of a token: exact where the limit itself rounds. */
struct model {
	unsigned __int128 tokens, burst;
	uint64_t rate, last_ns;
};

static bool model_over(struct model *model, uint64_t now_ns, uint64_t units, int64_t slack)
{
	unsigned __int128 cost = (unsigned __int128)units * SECOND;

	model->tokens += (unsigned __int128)(now_ns - model->last_ns) * model->rate;
	if (model->tokens > model->burst)
		model->tokens = model->burst;
	model->last_ns = now_ns;
	return (__int128)model->tokens + slack < (__int128)cost;
}

struct limit_case {
	uint64_t rate, burst;
	bool bytes;
	uint64_t gap_ns; /* between packets, at random up to that */
};

static const struct limit_case cases[] = {
	{1, 1, false, SECOND},           {1, 5, false, SECOND / 10},
	{3, 1, false, SECOND / 10},      {7, 1000, false, 1000},
	{1000, 1, false, 100000},        {10000, 100, false, 10000},
	{14880952, 64, false, 20}, /* 10 GbE line rate */
	{10000000, 1, false, 30},        {10000000, 1000, false, 10},
	{1, 3000, true, SECOND},         {125000, 15140, true, 100000},
	{125000000, 1000000, true, 500}, {12500000000, 100000, true, 100}, /* 100 Gbit/s */
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

/* Decisions differ from the model's only where that is within rounding of the border. */
static void test_model(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < CASES; i++) {
		const struct limit_case *c = &cases[i];
		struct filter_limit from = {.bytes = c->bytes, .rate = c->rate, .burst = c->burst};
		struct model model = {
			.burst = (unsigned __int128)c->burst * SECOND,
			.tokens = (unsigned __int128)c->burst * SECOND,
			.rate = c->rate,
			.last_ns = 1000,
		};
		/* what 200,000 packets may be wrong by in all: half a unit of time each */
		int64_t slack = (int64_t)(c->rate * 400) + 2;
		uint64_t now_ns = 1000, full, let = 0, over = 0;
		struct xdp_limit limit;

		limit_make(&limit, &from);
		full = now_ns << LIMIT_TIME_BITS;
		for (uint32_t n = 0; n < 200000; n++) {
			uint32_t len = 60 + (uint32_t)(random_next() % 1455);
			uint64_t units = c->bytes ? len : 1;
			bool is_over;

			now_ns += random_next() % (c->gap_ns + 1);
			is_over = limit_step((__u64 *)&full, now_ns << LIMIT_TIME_BITS,
					     limit_cost(&limit, len), limit.allowance);
			if (is_over)
				assert_true(model_over(&model, now_ns, units, -slack));
			else
				assert_false(model_over(&model, now_ns, units, slack));
			if (!is_over) {
				unsigned __int128 cost = (unsigned __int128)units * SECOND;

				model.tokens -= cost < model.tokens ? cost : model.tokens;
			}
			let += !is_over;
			over += is_over;
		}
		assert_true(let > 0);
		if (c->gap_ns < SECOND)
			assert_true(over > 0);
	}
}

/* Ten times the rate for ten seconds: what comes through is the rate, and at first the burst. */
static void test_ten_seconds(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < CASES; i++) {
		const struct limit_case *c = &cases[i];
		struct filter_limit from = {.bytes = c->bytes, .rate = c->rate, .burst = c->burst};
		const uint32_t len = 1000;
		double units = c->bytes ? len : 1, want, got = 0;
		double gap = 1e9 * units / (10.0 * (double)c->rate);
		uint64_t full, start = 5 * SECOND, packets;
		struct xdp_limit limit;

		if (c->rate > 1000000000 && c->bytes)
			gap *= 8; /* as fast as can be counted in ns */
		packets = (uint64_t)(10e9 / gap);
		if (packets > 20000000)
			packets = 20000000;
		limit_make(&limit, &from);
		full = start << LIMIT_TIME_BITS;
		for (uint64_t n = 0; n < packets; n++) {
			uint64_t now_ns = start + (uint64_t)((double)n * gap);

			if (!limit_step((__u64 *)&full, now_ns << LIMIT_TIME_BITS,
					limit_cost(&limit, len), limit.allowance))
				got += units;
		}
		want = (double)c->rate * (double)packets * gap / 1e9 + (double)c->burst;
		if (want > (double)packets * units)
			want = (double)packets * units;
		if (got > want * 1.00002 + units || got < want * 0.9999 - 2 * units)
			fail_msg("rate %llu: %.0f of %.0f", (unsigned long long)c->rate, got, want);
	}
}

/* A clock that jumps ahead fills the bucket and no more; one that jumps back, a little, lets
 * nothing through that had no token, and a lot, begins anew. Where times wrap nothing happens. */
static void test_time(void **state)
{
	struct filter_limit from = {.rate = 1000, .burst = 10};
	const uint64_t times[] = {
		0, 1, SECOND, 1ULL << 55, (1ULL << 56) - 1, 1700000000 * SECOND, UINT64_MAX - 5};
	struct xdp_limit limit;

	(void)state;
	limit_make(&limit, &from);
	for (uint32_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		uint64_t now = times[i] << LIMIT_TIME_BITS, full = now,
			 cost = limit_cost(&limit, 0);
		uint32_t let = 0;

		for (uint32_t n = 0; n < 100; n++)
			let += !limit_step((__u64 *)&full, now, cost, limit.allowance);
		assert_int_equal(let, 10);
		/* back by a second: nothing */
		assert_true(limit_step((__u64 *)&full, now - (SECOND << LIMIT_TIME_BITS), cost,
				       limit.allowance));
		/* 1 ms ahead: one token */
		now += 1000000 << LIMIT_TIME_BITS;
		assert_false(limit_step((__u64 *)&full, now, cost, limit.allowance));
		assert_true(limit_step((__u64 *)&full, now, cost, limit.allowance));
		/* a year ahead: ten */
		now += (365ULL * 86400 * SECOND) << LIMIT_TIME_BITS;
		let = 0;
		for (uint32_t n = 0; n < 100; n++)
			let += !limit_step((__u64 *)&full, now, cost, limit.allowance);
		assert_int_equal(let, 10);
		/* back by an hour: the clock was set */
		assert_false(limit_step((__u64 *)&full, now - (3600 * SECOND << LIMIT_TIME_BITS),
					cost, limit.allowance));
	}
}

/* What is beyond any use is still no overflow. */
static void test_extremes(void **state)
{
	static const uint64_t values[] = {0, 1, 2, 1000, 1ULL << 32, 1ULL << 60, UINT64_MAX};
	const uint32_t cnt = sizeof(values) / sizeof(values[0]);

	(void)state;
	for (uint32_t i = 0; i < cnt * cnt * 2; i++) {
		struct filter_limit from = {.rate = values[i % cnt],
					    .burst = values[i / cnt % cnt],
					    .bytes = i >= cnt * cnt};
		uint64_t full = 0, cost;
		struct xdp_limit limit;

		limit_make(&limit, &from);
		assert_true(limit.allowance <= LIMIT_ALLOWANCE_MAX);
		cost = limit_cost(&limit, 0xffffff);
		assert_true(cost <= 1ULL << 63);
		/* no packet needs more than the whole bucket, where it holds it */
		if (!from.bytes && limit.allowance < LIMIT_ALLOWANCE_MAX)
			assert_false(limit_step((__u64 *)&full, 0, cost, limit.allowance));
	}
}

/* --- the first pass -------------------------------------------------------------------------- */

static void make_packet(struct packet_builder *b, uint32_t src, uint32_t dst, uint16_t sport)
{
	packet_start(b);
	packet_ipv4(b, src, dst, 0);
	packet_udp(b, sport, 53);
	packet_payload(b, 100);
	packet_finish(b);
}

static enum xdp_verdict run(struct first_pass *pass, const struct packet_builder *b,
			    uint64_t now_ns)
{
	struct xfq_meta meta;

	return first_pass_run(pass, b->bytes, b->len, b->len, now_ns, &meta).verdict;
}

static struct filter_rule *add_limit(struct filter *filter, enum filter_per per, uint64_t burst,
				     uint32_t max_keys)
{
	struct filter_rule *rule = filter_add(filter, FILTER_LIMIT);

	assert_non_null(rule);
	rule->limit =
		(struct filter_limit){.per = per, .rate = 1, .burst = burst, .max_keys = max_keys};
	return rule;
}

/* Each source has its own bucket, so has each destination and each flow; what has none shares. */
static void test_keys(void **state)
{
	static const struct {
		enum filter_per per;
		bool src, dst, port; /* each of these is another bucket */
	} pers[] = {
		{FILTER_PER_ALL, false, false, false},
		{FILTER_PER_SRC, true, false, false},
		{FILTER_PER_DST, false, true, false},
		{FILTER_PER_FLOW, true, true, true},
	};
	struct packet_builder b;

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct first_pass pass = {0};
		struct filter filter;

		filter_init(&filter);
		add_limit(&filter, pers[i].per, 1, 100);
		pass.filter = &filter;
		make_packet(&b, 1, 2, 3);
		assert_int_equal(run(&pass, &b, SECOND), XDP_VERDICT_STEER);
		assert_int_equal(run(&pass, &b, SECOND), XDP_VERDICT_LIMITED);
		make_packet(&b, 4, 2, 3);
		assert_int_equal(run(&pass, &b, SECOND),
				 pers[i].src ? XDP_VERDICT_STEER : XDP_VERDICT_LIMITED);
		make_packet(&b, 1, 5, 3);
		assert_int_equal(run(&pass, &b, SECOND),
				 pers[i].dst ? XDP_VERDICT_STEER : XDP_VERDICT_LIMITED);
		make_packet(&b, 1, 2, 6);
		assert_int_equal(run(&pass, &b, SECOND),
				 pers[i].port ? XDP_VERDICT_STEER : XDP_VERDICT_LIMITED);
		/* not IP: all in one */
		packet_start(&b);
		packet_type(&b, 0x0806);
		packet_payload(&b, 46);
		assert_int_equal(run(&pass, &b, SECOND), pers[i].per == FILTER_PER_ALL
								 ? XDP_VERDICT_LIMITED
								 : XDP_VERDICT_STEER);
		b.bytes[0] ^= 4;
		assert_int_equal(run(&pass, &b, SECOND), XDP_VERDICT_LIMITED);
		first_pass_destroy(&pass);
		filter_destroy(&filter);
	}
}

/* Beyond max_keys the least recently used bucket is forgotten, and full when it comes again. */
static void test_max_keys(void **state)
{
	struct first_pass pass = {0};
	struct packet_builder b;
	struct filter filter;

	(void)state;
	filter_init(&filter);
	add_limit(&filter, FILTER_PER_SRC, 1, 10);
	pass.filter = &filter;
	for (uint32_t i = 0; i < 11; i++) {
		make_packet(&b, i + 1, 2, 3);
		assert_int_equal(run(&pass, &b, SECOND), XDP_VERDICT_STEER);
	}
	for (uint32_t i = 10; i > 0; i--) {
		make_packet(&b, i + 1, 2, 3);
		assert_int_equal(run(&pass, &b, SECOND), XDP_VERDICT_LIMITED);
	}
	make_packet(&b, 1, 2, 3);
	assert_int_equal(run(&pass, &b, SECOND), XDP_VERDICT_STEER);
	first_pass_destroy(&pass);
	filter_destroy(&filter);
}

/* A filter that has the same limit takes its buckets along, one that has another does not. */
static void test_replace(void **state)
{
	struct first_pass pass = {0};
	struct filter before, same, other;
	struct packet_builder b;

	(void)state;
	filter_init(&before);
	filter_init(&same);
	filter_init(&other);
	add_limit(&before, FILTER_PER_ALL, 7, 10);
	add_limit(&before, FILTER_PER_SRC, 1, 10);
	add_limit(&same, FILTER_PER_SRC, 1, 10);
	add_limit(&other, FILTER_PER_SRC, 2, 10);
	pass.filter = &before;
	make_packet(&b, 1, 2, 3);
	assert_int_equal(run(&pass, &b, SECOND), XDP_VERDICT_STEER);
	first_pass_replace(&pass, &same, 2);
	assert_int_equal(run(&pass, &b, SECOND), XDP_VERDICT_LIMITED);
	first_pass_replace(&pass, &other, 3);
	assert_int_equal(run(&pass, &b, SECOND), XDP_VERDICT_STEER);
	first_pass_destroy(&pass);
	filter_destroy(&before);
	filter_destroy(&same);
	filter_destroy(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),   cmocka_unit_test(test_ten_seconds),
		cmocka_unit_test(test_time),    cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_keys),    cmocka_unit_test(test_max_keys),
		cmocka_unit_test(test_replace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
