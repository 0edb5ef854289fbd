/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rule tables find what a search through all rules finds, in order: while rules come and go, with
 * rules made to meet in one bucket, at each level of vector instructions, in bursts of every size.
 */
#include "steering/table_find.h"
#include "tests/scale.h"
#include "tests/table_model.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SEED 0x5eed0123456789abULL

/* A table and what it is held against. */
struct rig {
	struct table *table;
	struct table_model model;
	uint64_t seed;
	uint32_t burst; /* size of the last one */
};

static void rig_init(struct rig *rig, uint64_t seed)
{
	*rig = (struct rig){.table = table_create(), .seed = seed};
	assert_non_null(rig->table);
}

static void rig_destroy(struct rig *rig)
{
	table_destroy(rig->table);
	model_clear(&rig->model);
}

static void rig_add(struct rig *rig, const struct table_rule *rule)
{
	bool added = model_add(&rig->model, rule);

	assert_int_equal(table_add(rig->table, rule), added ? 0 : -EEXIST);
}

static void rig_del(struct rig *rig, uint32_t priority)
{
	assert_int_equal(table_del(rig->table, priority), model_del(&rig->model, priority));
}

static void check_key(const struct rig *rig, const struct table_key *key, uint32_t outcome,
		      uint32_t priority)
{
	const struct table_rule *rule = model_find(&rig->model, key);

	if (priority != (rule ? rule->priority : TABLE_NO_RULE) ||
	    outcome != (rule ? rule->outcome : TABLE_NONE))
		fail_msg("seed %llx, %u rules: rule %u does %u, not rule %u",
			 (unsigned long long)SEED, rig->model.cnt, priority, outcome,
			 rule ? rule->priority : TABLE_NO_RULE);
}

/* Look keys up in bursts whose size changes, at each level; all levels say the same. */
static void check_keys(struct rig *rig, const struct table_key *keys, uint32_t cnt)
{
	enum table_find_level best = table_find_best();
	uint16_t outcomes[TABLE_BATCH], others[TABLE_BATCH];
	uint32_t rules[TABLE_BATCH], other_rules[TABLE_BATCH];

	for (uint32_t at = 0, burst; at < cnt; at += burst) {
		rig->burst = rig->burst % TABLE_BATCH + 1;
		burst = rig->burst < cnt - at ? rig->burst : cnt - at;
		table_set_level(rig->table, best);
		table_find(rig->table, keys + at, burst, outcomes, rules);
		for (uint32_t level = 0; level < best; level++) {
			table_set_level(rig->table, level);
			table_find(rig->table, keys + at, burst, others,
				   burst % 8 ? other_rules : NULL);
			assert_memory_equal(outcomes, others, burst * sizeof(outcomes[0]));
			if (burst % 8)
				assert_memory_equal(rules, other_rules, burst * sizeof(rules[0]));
		}
		table_set_level(rig->table, best);
		for (uint32_t i = 0; i < burst; i++)
			check_key(rig, &keys[at + i], outcomes[i], rules[i]);
	}
}

/* Keys near rules that are in the table, and a few of neither family. */
static void check_near(struct rig *rig, uint32_t cnt, uint8_t ip, uint32_t spread)
{
	static const struct table_rule any = {.sport_hi = TABLE_NO_PORT, .dport_hi = TABLE_NO_PORT};
	struct table_key *keys = malloc(cnt * sizeof(*keys));

	assert_non_null(keys);
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t chance = model_random(&rig->seed);
		const struct table_rule *rule =
			rig->model.cnt ? &rig->model.rules[chance % rig->model.cnt] : &any;
		uint8_t family = ip ? ip : chance & 0x10000 ? 4 : 6;

		keys[i] = model_key(&rig->seed, rule, rule->ip ? rule->ip : family, spread);
		if (chance >> 24 == 0)
			keys[i].ip = 0;
	}
	check_keys(rig, keys, cnt);
	free(keys);
}

/* The table lists what the model has. */
static void check_list(const struct rig *rig)
{
	const struct table_rule *rule = table_next(rig->table, 0);
	bool flags = false;

	assert_int_equal(table_cnt(rig->table), rig->model.cnt);
	for (uint32_t i = 0; i < rig->model.cnt; i++) {
		uint32_t priority = rig->model.rules[i].priority;

		assert_non_null(rule);
		assert_memory_equal(rule, &rig->model.rules[i], sizeof(*rule));
		assert_ptr_equal(table_rule(rig->table, priority), rule);
		flags |= rule->flags_mask != 0;
		rule = table_next(rig->table, priority + 1);
	}
	assert_null(rule);
	assert_int_equal(table_asks_flags(rig->table), flags);
}

/* --- by chance -------------------------------------------------------------------------------- */

/* Rules come and go, more come than go in the first half; the table is held against the model. */
static void churn(uint8_t ip, uint32_t spread, uint32_t priorities, uint32_t steps)
{
	struct rig rig;

	rig_init(&rig, SEED ^ ip ^ spread << 8);
	for (uint32_t step = 0; step < steps; step++) {
		uint32_t chance = model_random(&rig.seed) % 16;
		uint8_t family = ip ? ip : (uint8_t[]){0, 4, 6, 6}[model_random(&rig.seed) % 4];

		if (chance < (step < steps / 2 ? 12u : 5u)) {
			struct table_rule rule = model_rule(&rig.seed, family, spread, priorities);

			rig_add(&rig, &rule);
		} else {
			const struct table_rule *rule =
				table_next(rig.table, model_random(&rig.seed) % priorities);

			rig_del(&rig, rule ? rule->priority : 0);
		}
		if (step % 16 == 0)
			check_near(&rig, 40, ip, spread);
		if (step % 512 == 0)
			check_list(&rig);
	}
	while (rig.model.cnt > 0)
		rig_del(&rig, rig.model.rules[rig.model.cnt / 2].priority);
	check_near(&rig, 100, ip, spread);
	check_list(&rig);
	rig_destroy(&rig);
}

static void test_churn(void **state)
{
	(void)state;
	for (uint32_t spread = 1; spread <= 7; spread += 2) {
		churn(4, spread, 100000, (uint32_t)test_scale(20000));
		churn(6, spread, 100000, (uint32_t)test_scale(12000));
		churn(0, spread, 4000, (uint32_t)test_scale(12000));
	}
}

/* Rules that are added together, to what is there already; and copies, which go their own way. */
static void test_add_all(void **state)
{
	struct table_rule rules[3000];
	struct rig rig;
	uint32_t at = 0;

	(void)state;
	rig_init(&rig, SEED);
	for (uint32_t round = 0; round < 4; round++) {
		struct rig copy = {.seed = SEED + round};
		uint32_t cnt = 3000 >> round;

		for (uint32_t i = 0; i < cnt; i++) {
			uint8_t ip = (uint8_t[]){0, 4, 6, 6}[model_random(&rig.seed) % 4];

			rules[i] = model_rule(&rig.seed, ip, 6, 100);
			rules[i].priority = 4 * i + round;
			assert_true(model_add(&rig.model, &rules[i]));
		}
		assert_int_equal(table_add_all(rig.table, rules, cnt, &at), 0);
		check_near(&rig, 1000, 0, 6);
		check_list(&rig);
		copy.table = table_copy(rig.table);
		assert_non_null(copy.table);
		for (uint32_t i = 0; i < rig.model.cnt; i++)
			model_add(&copy.model, &rig.model.rules[i]);
		for (uint32_t i = 0; i < cnt; i += 3)
			rig_del(&copy, rules[i].priority);
		check_near(&copy, 1000, 0, 6);
		check_near(&rig, 1000, 0, 6);
		check_list(&copy);
		check_list(&rig);
		/* many changes later a copy is built afresh */
		table_destroy(rig.table);
		rig.table = table_copy(copy.table);
		assert_non_null(rig.table);
		model_clear(&rig.model);
		rig.model = copy.model;
		check_near(&rig, 1000, 0, 6);
		check_list(&rig);
		table_destroy(copy.table);
	}
	rig_destroy(&rig);
}

/* --- made to meet ----------------------------------------------------------------------------- */

/* Rules that nothing but ranges of ports tells apart, in an order by chance: one long bucket. */
static void test_one_bucket(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, SEED + 1);
	for (uint32_t i = 0; i < test_scale(3000); i++) {
		struct table_rule rule = {.ip = 4,
					  .src = {10},
					  .src_len = 8,
					  .outcome = (uint16_t)(TABLE_CLASS + i % 8),
					  .priority = model_random(&rig.seed) % 1000000};

		rule.sport_lo = model_random(&rig.seed) % 32768;
		rule.sport_hi = rule.sport_lo + model_random(&rig.seed) % 32768;
		rule.dport_lo = 32767 - model_random(&rig.seed) % 1000;
		rule.dport_hi = 32768 + model_random(&rig.seed) % 1000;
		rig_add(&rig, &rule);
		if (i % 64 == 0)
			check_near(&rig, 64, 4, 4);
	}
	check_list(&rig);
	while (rig.model.cnt > 10) {
		rig_del(&rig, rig.model.rules[model_random(&rig.seed) % rig.model.cnt].priority);
		if (rig.model.cnt % 64 == 0)
			check_near(&rig, 64, 4, 4);
	}
	check_list(&rig);
	rig_destroy(&rig);
}

/* The same rule again and again, in the order of priorities, against it, and from the middle. */
static void test_same_rule(void **state)
{
	struct rig rig;

	(void)state;
	for (uint32_t way = 0; way < 3; way++) {
		rig_init(&rig, SEED + way);
		for (uint32_t i = 0; i < 1000; i++) {
			struct table_rule rule = {.ip = way == 1 ? 6 : 4,
						  .outcome = TABLE_DROP,
						  .sport_hi = TABLE_NO_PORT,
						  .dport_hi = TABLE_NO_PORT};

			rule.priority = way == 0 ? i : way == 1 ? 1000 - i : i % 2 * 1000 + i;
			rig_add(&rig, &rule);
		}
		check_near(&rig, 200, 0, 2);
		while (rig.model.cnt > 0) {
			rig_del(&rig, rig.model.rules[way == 0 ? 0 : rig.model.cnt - 1].priority);
			if (rig.model.cnt % 100 == 0)
				check_near(&rig, 64, 0, 2);
		}
		check_list(&rig);
		rig_destroy(&rig);
	}
}

/* Each rule has a pair of lengths of its own: more kinds of rules than a table has parts. */
static void test_all_lengths(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, SEED + 2);
	for (uint32_t i = 0; i < 33 * 33; i++) {
		struct table_rule rule = model_rule(&rig.seed, 4, 8, 1000000);

		rule.src_len = (uint8_t)(i % 33);
		rule.dst_len = (uint8_t)(i / 33);
		for (uint32_t b = 0; b < 16; b++) {
			rule.src[b] = rule.dst[b] = 0;
			for (uint32_t bit = 8 * b; bit < 8 * b + 8; bit++) {
				uint32_t chance = model_random(&rig.seed);

				rule.src[b] |=
					chance & 1 && bit < rule.src_len ? 0x80 >> bit % 8 : 0;
				rule.dst[b] |=
					chance & 2 && bit < rule.dst_len ? 0x80 >> bit % 8 : 0;
			}
		}
		rig_add(&rig, &rule);
	}
	check_near(&rig, 5000, 4, 8);
	check_list(&rig);
	rig_destroy(&rig);
}

/* --- what a rule says ------------------------------------------------------------------------- */

static const struct table_rule anything = {.priority = 7,
					   .outcome = TABLE_DELIVER,
					   .sport_hi = TABLE_NO_PORT,
					   .dport_hi = TABLE_NO_PORT};

/* What one rule does with one key. */
static uint16_t outcome_of(const struct table_rule *rule, const struct table_key *key)
{
	struct table *table = table_create();
	uint16_t outcome;

	assert_non_null(table);
	assert_int_equal(table_add(table, rule), 0);
	table_find(table, key, 1, &outcome, NULL);
	table_destroy(table);
	return outcome;
}

static void test_meaning(void **state)
{
	struct table_key key = {
		.ip = 4, .proto = 1, .sport = TABLE_NO_PORT, .dport = TABLE_NO_PORT};
	struct table_rule rule = anything;

	(void)state;
	assert_int_equal(outcome_of(&rule, &key), TABLE_DELIVER);
	/* every port is not any port */
	rule.sport_hi = 65535;
	assert_int_equal(outcome_of(&rule, &key), TABLE_NONE);
	key.sport = 0;
	assert_int_equal(outcome_of(&rule, &key), TABLE_DELIVER);
	rule = anything;
	key.ip = 6;
	assert_int_equal(outcome_of(&rule, &key), TABLE_DELIVER);
	key.ip = 0;
	assert_int_equal(outcome_of(&rule, &key), TABLE_NONE);
	/* flags without a protocol are TCP's; with that of ICMP they are its type */
	key = (struct table_key){.ip = 4, .proto = 17, .flags = 2};
	rule.flags = rule.flags_mask = 2;
	assert_int_equal(outcome_of(&rule, &key), TABLE_NONE);
	key.proto = 6;
	assert_int_equal(outcome_of(&rule, &key), TABLE_DELIVER);
	key.flags = 0x1fd;
	assert_int_equal(outcome_of(&rule, &key), TABLE_NONE);
	key = (struct table_key){.ip = 4, .proto = 1, .flags = 8};
	rule = anything;
	rule.proto = 1;
	rule.proto_mask = 0xff;
	rule.flags = 8;
	rule.flags_mask = 0xff;
	assert_int_equal(outcome_of(&rule, &key), TABLE_DELIVER);
	key.flags = 0;
	assert_int_equal(outcome_of(&rule, &key), TABLE_NONE);
	/* of a protocol that has none, nothing matches */
	rule.proto = key.proto = 17;
	rule.flags = 0;
	assert_int_equal(outcome_of(&rule, &key), TABLE_NONE);
}

static void test_refused(void **state)
{
	struct table *table = table_create();
	struct table_rule bad[9], rules[20];
	uint32_t at = 99;

	(void)state;
	assert_non_null(table);
	for (uint32_t i = 0; i < 9; i++)
		bad[i] = anything;
	bad[0].ip = 5;
	bad[1].src_len = 1;
	bad[2].ip = 4;
	bad[2].dst_len = 33;
	bad[3].ip = 4;
	bad[3].src[0] = 1;
	bad[4].sport_lo = 1;
	bad[5].dport_hi = TABLE_NO_PORT + 1;
	bad[6].outcome = TABLE_NONE;
	bad[7].priority = TABLE_NO_RULE;
	bad[8].flags = 1;
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(table_add(table, &bad[i]), -EINVAL);
	assert_int_equal(table_cnt(table), 0);
	for (uint32_t i = 0; i < 20; i++) {
		rules[i] = anything;
		rules[i].priority = 100 - i;
	}
	rules[17].priority = rules[3].priority;
	assert_int_equal(table_add_all(table, rules, 20, &at), -EEXIST);
	assert_int_equal(at, 17);
	assert_int_equal(table_cnt(table), 0);
	assert_int_equal(table_add_all(table, rules, 17, &at), 0);
	rules[2] = bad[4];
	assert_int_equal(table_add_all(table, rules, 3, &at), -EEXIST);
	assert_int_equal(at, 0);
	assert_int_equal(table_cnt(table), 17);
	assert_false(table_del(table, 1));
	assert_null(table_rule(table, 1));
	table_destroy(table);
	table_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_churn),       cmocka_unit_test(test_add_all),
		cmocka_unit_test(test_one_bucket),  cmocka_unit_test(test_same_rule),
		cmocka_unit_test(test_all_lengths), cmocka_unit_test(test_meaning),
		cmocka_unit_test(test_refused),
	};

	print_message("seed %llx\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
