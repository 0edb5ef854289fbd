/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/policy.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define POLICY_KEYED_TESTS 64 /* of which the cache remembers something: bits of a word */

void policy_init(struct policy *policy, uint64_t hash_seed)
{
	memset(policy, 0, sizeof(*policy));
	policy->hash_seed = hash_seed;
}

/* --- tests ------------------------------------------------------------------------------------ */

static bool policy_test_same(const struct policy_test *a, const struct policy_test *b)
{
	if (a->kind != b->kind || a->inner != b->inner)
		return false;
	if (a->kind == POLICY_EXPRESSION)
		return expression_same(&a->expression, &b->expression);
	if (a->kind == POLICY_SET)
		return a->set == b->set && a->fields == b->fields;
	return a->plugin == b->plugin;
}

/* Add a test to a condition: the one that there is, or a new one, which takes over `test`. */
static int policy_add_test(struct policy *policy, struct policy_when *when,
			   struct policy_test *test, bool negated, struct xfq_error *error)
{
	uint32_t number = 0;

	while (number < policy->test_cnt && !policy_test_same(&policy->tests[number], test))
		number++;
	if (number < policy->test_cnt) {
		expression_destroy(&test->expression);
	} else if (number == POLICY_TESTS_MAX) {
		expression_destroy(&test->expression);
		return xfq_error_set(error, -E2BIG, "more than %d conditions over all groups",
				     POLICY_TESTS_MAX);
	} else {
		policy->tests[policy->test_cnt++] = *test;
	}
	when->negated |= (uint8_t)(negated << when->cnt);
	when->tests[when->cnt++] = (uint16_t)number;
	return 0;
}

static int policy_add_when(struct policy *policy, struct policy_when *when,
			   const struct group_when *from, bool inner, struct xfq_error *error)
{
	struct policy_test match = {.kind = POLICY_EXPRESSION, .inner = inner};
	int code = expression_compile(&match.expression, from->match, error);

	if (code)
		return code;
	if (match.expression.all)
		expression_destroy(&match.expression);
	else
		code = policy_add_test(policy, when, &match, false, error);
	for (uint32_t i = 0; i < from->in_cnt && code == 0; i++) {
		const struct group_in *in = &from->ins[i];
		struct policy_test member = {
			.kind = POLICY_SET,
			.inner = inner,
			.set = in->set,
			.fields = in->fields,
			.keyed = in->keyed,
		};

		code = policy_add_test(policy, when, &member, in->negated, error);
	}
	if (from->plugin != GROUP_NONE && code == 0) {
		struct policy_test asked = {
			.kind = POLICY_PLUGIN,
			.inner = inner,
			.plugin = from->plugin,
		};

		code = policy_add_test(policy, when, &asked, from->plugin_negated, error);
	}
	return code;
}

/* --- groups ----------------------------------------------------------------------------------- */

static int policy_add_cases(struct policy *policy, struct policy_group *group,
			    struct xfq_error *error)
{
	const struct group_spec *spec = group->spec;
	int code = 0;

	if (spec->case_cnt == 0)
		return 0;
	group->cases = calloc(spec->case_cnt, sizeof(*group->cases));
	if (!group->cases)
		return xfq_error_set(error, -ENOMEM, "group %s: no memory for its cases",
				     group->name);
	for (uint32_t i = 0; i < spec->case_cnt && code == 0; i++) {
		const struct group_case *from = &spec->cases[i];
		struct policy_case *to = &group->cases[i];

		to->has_marked = from->has_marked;
		to->marked = from->marked;
		to->sample = from->sample;
		to->sample_of = from->sample_of;
		to->action = from->action;
		to->has_mark = from->has_mark;
		to->mark = from->mark;
		to->class = from->class;
		to->counter = from->counter;
		to->tee = from->tee;
		to->point = policy->point_cnt++;
		to->steer = from->has_steer ? from->steer : spec->steer;
		group->case_cnt++;
		code = policy_add_when(policy, &to->when, &from->when, spec->inner, error);
	}
	return code;
}

int policy_add_group(struct policy *policy, const char *name, const struct group_spec *spec,
		     struct xfq_error *error)
{
	struct policy_group *group = &policy->groups[policy->group_cnt];
	int code;

	if (policy->group_cnt == POLICY_GROUPS_MAX)
		return xfq_error_set(error, -E2BIG, "group %s: at most %d groups", name,
				     POLICY_GROUPS_MAX);
	if (spec->table && policy->table_cnt == POLICY_TABLES_MAX)
		return xfq_error_set(error, -E2BIG, "group %s: at most %d rule tables", name,
				     POLICY_TABLES_MAX);
	if (!policy->tests)
		policy->tests = calloc(POLICY_TESTS_MAX, sizeof(*policy->tests));
	if (!policy->tests)
		return xfq_error_set(error, -ENOMEM, "no memory for the groups' conditions");
	memset(group, 0, sizeof(*group));
	group->name = name;
	group->spec = spec;
	group->place = policy->group_cnt;
	group->inner = spec->inner;
	group->tee_only = spec->tee_only;
	group->steer = spec->steer;
	group->overflow = spec->overflow;
	group->class_cnt = spec->class_cnt;
	group->point = policy->point_cnt;
	policy->point_cnt += 1 + (spec->table ? spec->class_cnt : 0);
	group->table = GROUP_NONE;
	if (spec->table) {
		policy->table_groups[policy->table_cnt] = policy->group_cnt;
		group->table = policy->table_cnt++;
	}
	group->counts = policy->count_cnt;
	group->counter_cnt = spec->counter_cnt;
	policy->count_cnt += spec->counter_cnt;
	policy->asks_inner |= spec->inner;
	code = policy_add_when(policy, &group->when, &spec->when, spec->inner, error);
	if (code == 0)
		code = policy_add_cases(policy, group, error);
	if (code) {
		free(group->cases);
		group->cases = NULL;
		return code;
	}
	policy->group_cnt++;
	return 0;
}

/* --- building --------------------------------------------------------------------------------- */

/* Put a group behind all that hand it copies. `state`: 1 while it is looked at, 2 afterwards. */
static bool policy_order_group(const struct policy *policy, uint32_t g, uint8_t *state,
			       uint32_t *reversed, uint32_t *cnt)
{
	const struct policy_group *group = &policy->groups[g];

	if (state[g])
		return state[g] == 2;
	state[g] = 1;
	for (uint32_t i = 0; i < group->case_cnt; i++)
		if (group->cases[i].tee != GROUP_NONE &&
		    !policy_order_group(policy, group->cases[i].tee, state, reversed, cnt))
			return false;
	state[g] = 2;
	reversed[(*cnt)++] = g;
	return true;
}

static int policy_order(struct policy *policy, struct xfq_error *error)
{
	uint8_t state[POLICY_GROUPS_MAX] = {0};
	uint32_t reversed[POLICY_GROUPS_MAX], cnt = 0;

	/* the last first, so that those that have nothing to do with each other keep their order */
	for (uint32_t g = policy->group_cnt; g-- > 0;)
		if (!policy_order_group(policy, g, state, reversed, &cnt))
			return xfq_error_set(error, -ELOOP,
					     "group %s: its copies would come back to it",
					     policy->groups[g].name);
	for (uint32_t i = 0; i < cnt; i++)
		policy->order[i] = reversed[cnt - 1 - i];
	return 0;
}

static int policy_make_unit(struct policy *policy, struct policy_unit *unit, const bool *wanted,
			    struct xfq_error *error)
{
	uint32_t cnt = 0;
	int code;

	unit->expressions = calloc(policy->test_cnt + 1, sizeof(*unit->expressions));
	unit->tests = calloc(policy->test_cnt + 1, sizeof(*unit->tests));
	if (!unit->expressions || !unit->tests)
		return xfq_error_set(error, -ENOMEM, "no memory for the groups' conditions");
	for (uint32_t t = 0; t < policy->test_cnt; t++) {
		if (!wanted[t])
			continue;
		unit->expressions[cnt] = &policy->tests[t].expression;
		unit->tests[cnt++] = (uint16_t)t;
	}
	code = unit_create(&unit->unit, unit->expressions, cnt, error);
	return code;
}

/* Which of the outer expressions the flow cache can answer for packets of a shape, if these TCP
 * flags are part of the key. */
static uint64_t policy_keyed_tests(const struct policy *policy, uint8_t shape, uint8_t flags)
{
	const struct policy_unit *outer = &policy->outer;
	struct graph_facts facts;
	uint64_t keyed = 0;

	shape_facts(shape, flags, &facts);
	for (uint32_t r = 0; r < outer->unit.cnt; r++)
		if (outer->tests[r] < POLICY_KEYED_TESTS &&
		    graph_is_keyed(&outer->unit.graph, outer->unit.roots[r], &facts))
			keyed |= 1ULL << outer->tests[r];
	return keyed;
}

/* Find out which tests the flow cache can answer. Needs the unit of all outer expressions. */
static void policy_find_keyed(struct policy *policy)
{
	for (uint8_t shape = 0; shape < SHAPE_CNT; shape++) {
		uint64_t keyed = policy_keyed_tests(policy, shape, 0);

		/* flags are in the key where that is of use to some expression, or a table may ask
		 */
		if (policy->table_cnt > 0 ||
		    policy_keyed_tests(policy, shape, SHAPE_FLAGS) != keyed)
			policy->tcp_flags = SHAPE_FLAGS;
	}
	for (uint8_t shape = 0; shape < SHAPE_CNT; shape++) {
		policy->keyed[shape] = policy_keyed_tests(policy, shape, policy->tcp_flags);
		for (uint32_t t = 0; t < policy->test_cnt && t < POLICY_KEYED_TESTS; t++)
			if (policy->tests[t].kind == POLICY_SET && policy->tests[t].keyed &&
			    !policy->tests[t].inner)
				policy->keyed[shape] |= 1ULL << t;
	}
}

static int policy_make_units(struct policy *policy, struct xfq_error *error)
{
	bool outer[POLICY_TESTS_MAX], inner[POLICY_TESTS_MAX], rest[POLICY_TESTS_MAX];
	uint64_t always = UINT64_MAX;
	int code;

	for (uint32_t t = 0; t < policy->test_cnt; t++) {
		const struct policy_test *test = &policy->tests[t];

		outer[t] = test->kind == POLICY_EXPRESSION && !test->inner;
		inner[t] = test->kind == POLICY_EXPRESSION && test->inner;
	}
	code = policy_make_unit(policy, &policy->outer, outer, error);
	if (code == 0)
		code = policy_make_unit(policy, &policy->inner, inner, error);
	if (code)
		return code;
	policy_find_keyed(policy);
	for (uint32_t shape = 0; shape < SHAPE_CNT; shape++)
		always &= policy->keyed[shape];
	for (uint32_t t = 0; t < policy->test_cnt; t++) {
		rest[t] = outer[t] && (t >= POLICY_KEYED_TESTS || !(always >> t & 1));
		for (uint32_t shape = 0; rest[t] && shape < SHAPE_CNT; shape++)
			if (t >= POLICY_KEYED_TESTS || !(policy->keyed[shape] >> t & 1))
				policy->loose_shapes |= 1u << shape;
	}
	return policy_make_unit(policy, &policy->rest, rest, error);
}

/* How far anything looks into innermost packets: expressions, methods, and plug-ins, which may look
 * anywhere. Sets and tables look at headers that the metadata names. */
static uint32_t policy_inner_reach(const struct policy *policy)
{
	uint32_t most = policy->inner.unit.reach;

	for (uint32_t g = 0; g < policy->group_cnt; g++) {
		const struct policy_group *group = &policy->groups[g];
		uint32_t reach = method_reach(&group->steer);

		for (uint32_t i = 0; i < group->case_cnt; i++)
			if (method_reach(&group->cases[i].steer) > reach)
				reach = method_reach(&group->cases[i].steer);
		if (group->inner && reach > most)
			most = reach;
	}
	for (uint32_t t = 0; t < policy->test_cnt; t++)
		if (policy->tests[t].inner && policy->tests[t].kind == POLICY_PLUGIN)
			most = UINT32_MAX;
	return most;
}

int policy_build(struct policy *policy, struct xfq_error *error)
{
	int code = policy_order(policy, error);

	if (code == 0)
		code = policy_make_units(policy, error);
	if (code == 0)
		policy->inner_reach = policy_inner_reach(policy);
	return code;
}

static void policy_unit_destroy(struct policy_unit *unit)
{
	unit_destroy(&unit->unit);
	free(unit->expressions);
	free(unit->tests);
}

void policy_destroy(struct policy *policy)
{
	if (policy->native)
		policy->free_native(policy->native);
	policy_unit_destroy(&policy->outer);
	policy_unit_destroy(&policy->inner);
	policy_unit_destroy(&policy->rest);
	for (uint32_t i = 0; i < policy->test_cnt; i++)
		expression_destroy(&policy->tests[i].expression);
	for (uint32_t i = 0; i < policy->group_cnt; i++)
		free(policy->groups[i].cases);
	free(policy->tests);
	memset(policy, 0, sizeof(*policy));
}
