/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/table_plan.h"
#include "steering/table_side.h"

#define TABLE_PLAN_LENGTHS 6
#define TABLE_PLAN_BUCKETS 16384 /* a power of two */

/* A mask as what it is made of. */
struct table_plan_shape {
	int src, dst;     /* bits of the addresses */
	int sport, dport; /* bits */
	int proto;        /* 0, 8 */
};

struct table_plan {
	const struct table_plan_rule *rules;
	uint32_t cnt, words, limit, buckets;
	struct table_plan_shape best;
	double score;
	uint32_t covered;
};

static void table_plan_net(uint32_t *mask, uint32_t words, int len)
{
	for (uint32_t w = 0; w < words; w++) {
		int bits = len - 32 * (int)w;
		uint32_t rest = bits >= 32 ? 0 : bits <= 0 ? UINT32_MAX : UINT32_MAX >> bits;

		mask[w] = ~(rest << 16 | rest >> 16);
	}
}

static void table_plan_of_shape(const struct table_plan_shape *shape, uint32_t words,
				uint32_t *mask)
{
	uint32_t net = (words - 2) / 2;

	table_plan_net(mask, net, shape->src);
	table_plan_net(mask + net, net, shape->dst);
	mask[2 * net] = table_entry_ports(0xffffu << (16 - shape->sport) & 0xffff,
					  0xffffu << (16 - shape->dport) & 0xffff);
	mask[2 * net + 1] = shape->proto ? 0xff : 0;
}

/*
 * Rules that get a bucket of at most `limit`, less a little for each that a packet of those is
 * compared with in vain.
 */
static void table_plan_try(struct table_plan *plan, const struct table_plan_shape *shape)
{
	uint8_t cnts[TABLE_PLAN_BUCKETS];
	uint32_t mask[TABLE_WORDS_MAX], covered = 0;
	uint64_t squares = 0;
	double score;

	memset(cnts, 0, plan->buckets);
	table_plan_of_shape(shape, plan->words, mask);
	for (uint32_t i = 0; i < plan->cnt; i++) {
		const struct table_plan_rule *rule = &plan->rules[i];
		uint8_t *cnt;

		if (!table_plan_fits(mask, rule->care, plan->words))
			continue;
		cnt = &cnts[table_side_hash(rule->values, mask, plan->words) & (plan->buckets - 1)];
		if (*cnt >= plan->limit)
			continue;
		squares += 2u * *cnt + 1;
		++*cnt;
		covered++;
	}
	score = covered - 0.04 * (double)squares;
	if (score <= plan->score)
		return;
	plan->score = score;
	plan->covered = covered;
	plan->best = *shape;
}

/* Lengths of prefixes that are worth trying: none, and some that divide the rules by theirs. */
static uint32_t table_plan_lengths(const struct table_plan *plan, uint32_t word, int *lengths)
{
	static const uint32_t percent[TABLE_PLAN_LENGTHS - 1] = {5, 20, 40, 60, 80};
	uint32_t net = (plan->words - 2) / 2, cnts[129] = {0}, cnt = 1, sum = 0, p = 0;

	for (uint32_t i = 0; i < plan->cnt; i++) {
		int len = 0;

		for (uint32_t w = 0; w < net; w++)
			len += __builtin_popcount(plan->rules[i].care[word + w]);
		cnts[len]++;
	}
	lengths[0] = 0;
	for (int len = 0; len <= 128; len++) {
		sum += cnts[len];
		while (p < TABLE_PLAN_LENGTHS - 1 && sum > plan->cnt * percent[p] / 100) {
			if (lengths[cnt - 1] != len)
				lengths[cnt++] = len;
			p++;
		}
	}
	return cnt;
}

/* Go on from the best as long as a step makes it better. */
static void table_plan_climb(struct table_plan *plan)
{
	static const int steps[] = {-8, -4, -2, -1, 1, 2, 4, 8};
	int max = plan->words == TABLE_WORDS_IPV4 ? 32 : 128;
	double before;

	for (int rounds = 0; rounds < 4; rounds++) {
		before = plan->score;
		for (uint32_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			struct table_plan_shape shape = plan->best;

			shape.src += steps[i];
			if (shape.src >= 0 && shape.src <= max)
				table_plan_try(plan, &shape);
			shape = plan->best;
			shape.dst += steps[i];
			if (shape.dst >= 0 && shape.dst <= max)
				table_plan_try(plan, &shape);
		}
		if (plan->score <= before)
			break;
	}
}

uint32_t table_plan_mask(const struct table_plan_rule *rules, uint32_t cnt, uint32_t words,
			 uint32_t limit, uint32_t *mask)
{
	struct table_plan plan = {
		.rules = rules, .cnt = cnt, .words = words, .limit = limit, .score = -1};
	int src[TABLE_PLAN_LENGTHS], dst[TABLE_PLAN_LENGTHS];
	uint32_t src_cnt, dst_cnt;

	for (plan.buckets = 64; plan.buckets < 4 * cnt && plan.buckets < TABLE_PLAN_BUCKETS;)
		plan.buckets *= 2;
	src_cnt = table_plan_lengths(&plan, 0, src);
	dst_cnt = table_plan_lengths(&plan, (words - 2) / 2, dst);
	for (uint32_t i = 0; i < src_cnt * dst_cnt * 8; i++) {
		uint32_t at = i / 8;
		struct table_plan_shape shape = {.src = src[at % src_cnt],
						 .dst = dst[at / src_cnt],
						 .sport = i & 1 ? 16 : 0,
						 .dport = i & 2 ? 16 : 0,
						 .proto = i & 4 ? 8 : 0};

		if (at > 0 || i > 0)
			table_plan_try(&plan, &shape);
	}
	if (plan.covered)
		table_plan_climb(&plan);
	table_plan_of_shape(&plan.best, words, mask);
	return plan.covered;
}
