/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Group policy against a model that looks at one packet after the other: random groups with cases,
 * classes, samples, marks, counters, copies, sets and tables, over random packets in bursts of any
 * size, with the flow cache and without, while sets, tables and the policy change.
 */
#include "steering/fanout_parts.h"
#include "steering/sticky.h"
#include "tests/scale.h"
#include "tests/unit/cases_rig.h"

#define ROUNDS 60
#define BURSTS 60 /* of one policy */

/* --- the model ---------------------------------------------------------------------------------
 */

struct model {
	uint32_t sampled[GROUPS_MAX][GROUP_CASES_MAX];
	uint64_t counters[GROUPS_MAX][GROUP_COUNTERS_MAX];
	uint64_t packets[GROUPS_MAX], dropped[GROUPS_MAX], no_member[GROUPS_MAX];
	uint64_t unclaimed;
};

static bool model_when(const struct group_when *when, const struct test_when *test,
		       const struct test_sets *sets, const struct packet *pkt)
{
	bool holds = expression_match(&test->match, pkt->data, pkt->meta->wire_len, pkt->len);

	for (uint32_t i = 0; i < when->in_cnt; i++)
		holds &= sets_have(sets, when->ins[i].set, when->ins[i].fields, pkt) !=
			 when->ins[i].negated;
	return holds;
}

/* Members, as a mask over those of the roster, by a method. */
static uint64_t model_steer(const struct method_spec *steer, const struct roster *roster,
			    const struct packet *pkt)
{
	struct method_state state = {0};
	struct method_context context = {.seed = SEED};
	const uint8_t first = 0;
	uint64_t target;

	/* tests of their own hold the methods against a model */
	method_targets(steer, &state, &context, roster, pkt, &first, 1, &target);
	return target;
}

static uint16_t model_table(const struct table *table, const struct packet *pkt)
{
	const uint8_t *l3 = pkt->data + pkt->meta->l3_off, *l4 = pkt->data + pkt->meta->l4_off;
	bool ports = pkt->meta->flags & XFQ_META_PORTS;
	uint32_t dport = ports ? (uint32_t)(l4[2] << 8 | l4[3]) : TABLE_NO_PORT;
	uint16_t flags = 0;

	if (ports && pkt->meta->l4_proto == 6)
		flags = l4[13];
	for (const struct table_rule *rule = table_next(table, 0); rule;
	     rule = table_next(table, rule->priority + 1)) {
		if (!(pkt->meta->flags & XFQ_META_IPV4) ||
		    (rule->src_len && memcmp(rule->src, l3 + 12, 4) != 0) ||
		    (pkt->meta->l4_proto ^ rule->proto) & rule->proto_mask ||
		    dport < rule->dport_lo || dport > rule->dport_hi ||
		    (flags ^ rule->flags) & rule->flags_mask)
			continue;
		return rule->outcome;
	}
	return TABLE_NONE;
}

struct model_run {
	struct model *model;
	const struct test_policy *test;
	const struct test_worker *worker; /* its rosters */
	const struct test_sets *sets;
	struct outcome *outcome;
	bool handed[GROUPS_MAX];
};

static void model_deliver(struct model_run *run, uint32_t g, uint32_t class,
			  const struct method_spec *steer, const struct packet *pkt, uint32_t i,
			  uint32_t mark)
{
	const struct roster *roster =
		class == GROUP_NONE ? &run->worker->rosters[g] : &run->worker->classes[g][class];
	uint64_t target = model_steer(steer, roster, pkt), members = 0;

	for (uint32_t m = 0; m < roster->cnt; m++)
		if (target >> m & 1)
			members |= 1ULL << (roster->slots[m] - g * MEMBERS);
	run->outcome->members[g][i] = members;
	run->outcome->marks[g][i] = members ? mark : 0;
	run->model->dropped[g] += members == 0;
}

static bool model_sampled(struct model_run *run, uint32_t g, uint32_t c, const struct packet *pkt)
{
	const struct group_case *one = &run->test->specs[g].cases[c];

	if (one->sample == GROUP_SAMPLE_FLOW)
		return fanout_sample_hash(pkt->meta->flow_hash,
					  fanout_sample_salt(&run->test->policy.groups[g], c)) <=
		       UINT32_MAX / one->sample_of;
	if (one->sample == GROUP_SAMPLE_PACKET)
		return run->model->sampled[g][c]++ % one->sample_of == 0;
	return true;
}

static void model_group(struct model_run *run, uint32_t g, const struct packet *pkt, uint32_t i)
{
	const struct group_spec *spec = &run->test->specs[g];
	uint16_t outcome = spec->table ? model_table(run->test->tables[g], pkt) : TABLE_NONE;
	uint32_t mark = 0;

	run->model->packets[g]++;
	if (outcome == TABLE_DROP) {
		run->model->dropped[g]++;
		return;
	}
	if (outcome != TABLE_NONE) {
		model_deliver(run, g,
			      outcome == TABLE_DELIVER ? GROUP_NONE
						       : outcome - (uint32_t)TABLE_CLASS,
			      &spec->steer, pkt, i, 0);
		return;
	}
	for (uint32_t c = 0; c < spec->case_cnt; c++) {
		const struct group_case *one = &spec->cases[c];

		if (!model_when(&one->when, &run->test->cases[g][c], run->sets, pkt) ||
		    (one->has_marked && mark != one->marked) || !model_sampled(run, g, c, pkt))
			continue;
		if (one->counter != GROUP_NONE)
			run->model->counters[g][one->counter]++;
		if (one->tee != GROUP_NONE)
			run->handed[one->tee] = true;
		if (one->has_mark)
			mark = one->mark;
		if (one->action == GROUP_DISCARD) {
			run->model->dropped[g]++;
			return;
		}
		if (one->action == GROUP_DELIVER) {
			model_deliver(run, g, one->class,
				      one->has_steer ? &one->steer : &spec->steer, pkt, i, mark);
			return;
		}
	}
	model_deliver(run, g, GROUP_NONE, &spec->steer, pkt, i, mark);
}

static void model_packet(struct model_run *run, const struct packet *pkt, uint32_t i)
{
	bool claimed = false;

	memset(run->handed, 0, sizeof(run->handed));
	/* copies go to later groups alone here */
	for (uint32_t g = 0; g < run->test->group_cnt; g++) {
		const struct group_spec *spec = &run->test->specs[g];
		bool wanted = run->handed[g];

		if (!spec->tee_only)
			wanted |= model_when(&spec->when, &run->test->wants[g], run->sets, pkt);
		claimed |= wanted;
		if (wanted)
			model_group(run, g, pkt, i);
	}
	run->model->unclaimed += !claimed;
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void compare_outcomes(const struct outcome *got, const struct outcome *expected,
			     uint32_t groups, uint32_t cnt, const char *what)
{
	for (uint32_t g = 0; g < groups; g++)
		for (uint32_t i = 0; i < cnt; i++)
			if (got->members[g][i] != expected->members[g][i] ||
			    got->marks[g][i] != expected->marks[g][i])
				fail_msg("%s: group %u, packet %u: members %llx mark %u, expected "
					 "%llx and %u",
					 what, g, i, (unsigned long long)got->members[g][i],
					 got->marks[g][i],
					 (unsigned long long)expected->members[g][i],
					 expected->marks[g][i]);
}

static void compare_counters(const struct test_worker *worker, const struct test_policy *test,
			     const struct model *model)
{
	for (uint32_t g = 0; g < test->group_cnt; g++) {
		const struct fanout_group *group = &worker->fanout.groups[g];
		const struct policy_group *policy = &test->policy.groups[g];

		assert_int_equal(group->packets, model->packets[g]);
		assert_int_equal(group->dropped, model->dropped[g]);
		assert_int_equal(group->no_member, 0);
		for (uint32_t c = 0; c < policy->counter_cnt; c++)
			assert_int_equal(worker->state.counts[policy->counts + c].packets,
					 model->counters[g][c]);
	}
	assert_int_equal(worker->fanout.unclaimed, model->unclaimed);
}

/* Change what is in a set or a table, as a swap does: another epoch. */
static void change_data(struct test_policy *test, struct test_sets *sets, struct policy_data *data)
{
	uint32_t g = random_below(test->group_cnt);

	sets->members[random_below(SETS)] = (uint8_t)random_below(16);
	if (test->tables[g] && random_below(2))
		make_rule(test->tables[g], test->specs[g].class_cnt);
	else if (test->tables[g] && table_next(test->tables[g], 0))
		table_del(test->tables[g], table_next(test->tables[g], 0)->priority);
	data->epoch++;
}

static void run_round(uint64_t seed, bool cases)
{
	static struct test_worker cached, plain;
	static struct test_policy test;
	static struct model model;
	struct test_sets sets;
	struct policy_data data = {.epoch = 1, .in_set = sets_ask, .sets = &sets};

	random_state = seed;
	pool_fill();
	make_policy(&test, cases);
	for (uint32_t s = 0; s < SETS; s++)
		sets.members[s] = (uint8_t)random_below(16);
	for (uint32_t t = 0; t < test.policy.table_cnt; t++)
		data.tables[t] = test.tables[test.policy.table_groups[t]];
	worker_create(&cached, &test, &data, FLOW_CACHE);
	cached.classify.always = true;
	worker_create(&plain, &test, &data, 0);
	memset(&model, 0, sizeof(model));
	for (uint32_t burst = 0; burst < BURSTS; burst++) {
		static struct outcome expected;
		struct packet pkts[PACKET_BURST];
		uint32_t cnt = 1 + random_below(PACKET_BURST);
		struct model_run run = {&model, &test, &plain, &sets, &expected, {false}};

		memset(&expected, 0, sizeof(expected));
		for (uint32_t i = 0; i < cnt; i++) {
			pkts[i] = pool[random_below(POOL)];
			model_packet(&run, &pkts[i], i);
		}
		worker_run(&cached, pkts, cnt);
		worker_run(&plain, pkts, cnt);
		compare_outcomes(&plain.outcome, &expected, test.group_cnt, cnt, "without cache");
		compare_outcomes(&cached.outcome, &expected, test.group_cnt, cnt, "with the cache");
		if (random_below(8) == 0)
			change_data(&test, &sets, &data);
	}
	compare_counters(&cached, &test, &model);
	compare_counters(&plain, &test, &model);
	assert_true(cached.classify.cache.hits > 0);
	assert_int_equal(plain.classify.cache.hits + plain.classify.cache.misses, 0);
	worker_destroy(&cached, &test);
	worker_destroy(&plain, &test);
	destroy_policy(&test);
}

static void test_methods_alone(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= test_scale(ROUNDS); seed++) {
		print_message("seed %llu\r", (unsigned long long)seed);
		run_round(seed, false);
	}
}

static void test_random_cases(void **state)
{
	(void)state;
	for (uint64_t seed = 1001; seed <= 1000 + test_scale(4 * ROUNDS); seed++) {
		print_message("seed %llu\r", (unsigned long long)seed);
		run_round(seed, true);
	}
}

/* A class without members: its packets are nobody's, and counted so. */
static void test_class_without_members(void **state)
{
	static struct test_worker worker;
	static struct test_policy test;
	struct policy_data data = {.epoch = 1};
	struct group_case *one;

	(void)state;
	random_state = 7;
	pool_fill();
	memset(&test, 0, sizeof(test));
	policy_init(&test.policy, SEED);
	group_spec_init(&test.specs[0]);
	test.group_cnt = 1;
	test.specs[0].class_cnt = 1;
	strcpy(test.specs[0].classes[0], "user");
	one = group_spec_add_case(&test.specs[0]);
	one->class = 0;
	assert_int_equal(policy_add_group(&test.policy, "g", &test.specs[0], NULL), 0);
	assert_int_equal(policy_build(&test.policy, NULL), 0);
	worker_create(&worker, &test, &data, 0);
	memset(worker.classes, 0, sizeof(worker.classes));
	worker_run(&worker, pool, 64);
	assert_int_equal(worker.fanout.groups[0].no_member, 64);
	assert_int_equal(worker.fanout.groups[0].offered, 0);
	assert_int_equal(worker.fanout.groups[0].dropped, 0);
	assert_int_equal(worker.fanout.unclaimed, 0);
	worker_destroy(&worker, &test);
	destroy_policy(&test);
}

/* Groups that hand each other copies in a ring are refused. */
static void test_copies_in_a_ring(void **state)
{
	struct group_spec specs[2];
	struct xfq_error error = {0};
	struct policy policy;

	(void)state;
	policy_init(&policy, SEED);
	for (uint32_t g = 0; g < 2; g++) {
		group_spec_init(&specs[g]);
		group_spec_add_case(&specs[g])->tee = 1 - g;
		assert_int_equal(policy_add_group(&policy, g ? "b" : "a", &specs[g], NULL), 0);
	}
	assert_int_equal(policy_build(&policy, &error), -ELOOP);
	assert_non_null(strstr(error.text, "its copies would come back to it"));
	policy_destroy(&policy);
	for (uint32_t g = 0; g < 2; g++)
		group_spec_destroy(&specs[g]);
}

/* What is remembered goes on over a reload where the group says the same: counters by name, flows
 * of a method; and begins anew where it does not. */
static void test_state_is_carried(void **state)
{
	struct group_spec before_spec, after_spec;
	struct policy before, after;
	struct policy_state old, new;
	struct group_case *one;

	(void)state;
	group_spec_init(&before_spec);
	before_spec.steer = (struct method_spec){.method = METHOD_STICKY, .flows = 64};
	one = group_spec_add_case(&before_spec);
	one->counter = group_spec_counter(&before_spec, "seen");
	one->action = GROUP_PASS;
	one->sample = GROUP_SAMPLE_PACKET;
	one->sample_of = 3;
	group_spec_init(&after_spec);
	after_spec.steer = before_spec.steer;
	group_spec_counter(&after_spec, "first");
	for (uint32_t i = 0; i < 2; i++) {
		one = group_spec_add_case(&after_spec);
		one->counter = group_spec_counter(&after_spec, i ? "first" : "seen");
		one->action = GROUP_PASS;
		one->sample = GROUP_SAMPLE_PACKET;
		one->sample_of = i ? 4 : 3;
	}
	policy_init(&before, SEED);
	policy_init(&after, SEED);
	assert_int_equal(policy_add_group(&before, "g", &before_spec, NULL), 0);
	assert_int_equal(policy_add_group(&after, "g", &after_spec, NULL), 0);
	assert_int_equal(policy_build(&before, NULL), 0);
	assert_int_equal(policy_build(&after, NULL), 0);
	assert_int_equal(policy_state_create(&old, &before, NULL, NULL), 0);
	sticky_note(old.points[before.groups[0].point].sticky, 17, 1, 3);
	old.counts[before.groups[0].counts].packets = 23;
	assert_int_equal(policy_state_create(&new, &after, &old, &before), 0);
	assert_int_equal(sticky_find(new.points[after.groups[0].point].sticky, 17, 1), 3);
	assert_int_equal(new.counts[after.groups[0].counts + 1].packets, 23);
	assert_int_equal(new.counts[after.groups[0].counts].packets, 0);
	/* what was remembered belongs to both, whoever goes first */
	policy_state_destroy(&old, &before);
	assert_int_equal(sticky_find(new.points[after.groups[0].point].sticky, 17, 1), 3);
	policy_state_destroy(&new, &after);
	policy_destroy(&before);
	policy_destroy(&after);
	group_spec_destroy(&before_spec);
	group_spec_destroy(&after_spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_methods_alone),
		cmocka_unit_test(test_random_cases),
		cmocka_unit_test(test_class_without_members),
		cmocka_unit_test(test_copies_in_a_ring),
		cmocka_unit_test(test_state_is_carried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
