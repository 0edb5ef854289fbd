/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One packet through all groups, as the fan-out has it (steering/fanout*.c): each condition, table
 * and method is asked by the functions that it uses, with the state that a worker has.
 */
#include "apps/explain_parts.h"
#include "steering/fanout_parts.h"
#include "steering/table_text.h"
#include <string.h>

#define GROUP_ROOM 65536 /* packets that a member has room for, as far as `sticky` is told */

struct group_walk {
	const struct explain *explain;
	const struct policy *policy;
	const struct policy_state *state;
	struct classify *classify;
	struct fanout *fanout;
	struct method_context context;
	uint32_t rooms[ROSTER_MEMBERS_MAX];
	uint8_t shape;
	bool handed[POLICY_GROUPS_MAX]; /* copies, by a case of another group */

	/* of the group */
	const struct policy_group *group;
	const struct packet *seen;
	json_t *to; /* what is said of it; NULL: nothing */
	bool decided;
	bool has_mark;
	uint32_t mark;
};

/* Whether a test depends on what the flow cache knows packets by, so that it answers. */
static bool group_is_keyed(const struct group_walk *walk, uint32_t test)
{
	return explain_asks_cache(walk->classify) && walk->shape != SHAPE_NONE && test < 64 &&
	       (walk->policy->keyed[walk->shape] >> test & 1);
}

/* --- conditions ------------------------------------------------------------------------------- */

static const char *group_fields_name(const struct set *set, uint8_t fields)
{
	if (set->type == SET_FLOW)
		return "flow";
	if (fields == XDP_FIELD_SRC)
		return "src";
	return fields == XDP_FIELD_DST ? "dst" : "either";
}

/* What a test asks, in the words of the config. */
static json_t *group_test_words(const struct group_walk *walk, const struct policy_test *test,
				const struct group_when *from)
{
	const struct config *config = walk->explain->config;
	const struct set *set;

	switch (test->kind) {
	case POLICY_SET:
		set = config->sets[test->set];
		return json_pack("{s:s, s:s, s:s}", "asks", "in", "set", set->name, "field",
				 group_fields_name(set, test->fields));
	case POLICY_PLUGIN:
		return json_pack("{s:s, s:s}", "asks", "plugin", "plugin",
				 config->plugins[test->plugin].name);
	case POLICY_EXPRESSION:
		break;
	}
	return json_pack("{s:s, s:s}", "asks", "match", "match", from->match ? from->match : "");
}

/* Each condition, by itself; the classifier remembers what it has asked. */
static json_t *group_conditions(const struct group_walk *walk, const struct policy_when *when,
				const struct group_when *from)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < when->cnt; i++) {
		struct policy_when one = {.cnt = 1, .tests = {when->tests[i]}};
		const struct policy_test *test = &walk->policy->tests[when->tests[i]];
		json_t *words = group_test_words(walk, test, from);
		bool negated = when->negated >> i & 1;
		bool passes = classify_when(walk->classify, &one, 1) == 1;

		if (negated)
			json_object_set_new(words, "not", json_true());
		json_object_set_new(words, "holds", json_boolean(passes != negated));
		json_object_set_new(words, "cached",
				    json_boolean(group_is_keyed(walk, when->tests[i])));
		json_array_append_new(all, words);
	}
	return all;
}

/* --- members ---------------------------------------------------------------------------------- */

static const struct roster *group_roster(const struct group_walk *walk, uint32_t class)
{
	const struct fanout_group *place = &walk->fanout->groups[walk->group->place];

	return class == GROUP_NONE ? place->roster : &place->classes[class];
}

static json_t *group_members(const struct group_walk *walk, const struct roster *roster,
			     uint64_t targets)
{
	json_t *members = json_array();

	for (; targets; targets &= targets - 1) {
		uint32_t slot = roster->slots[__builtin_ctzll(targets)];

		json_array_append_new(members,
				      json_integer(walk->explain->engine->members[slot].id));
	}
	return members;
}

/* Give it to members of a class, or of all, by a method. */
static void group_deliver(struct group_walk *walk, uint32_t class, const struct method_spec *spec,
			  uint32_t point)
{
	const struct roster *roster = group_roster(walk, class);
	const uint8_t index[1] = {0};
	struct explain_steer steer = {
		.spec = spec,
		.context = &walk->context,
		.state = &walk->state->points[point],
		.roster = roster,
		.seen = walk->seen,
	};
	uint64_t targets = 0;

	walk->decided = true;
	if (walk->to && class != GROUP_NONE)
		json_object_set_new(walk->to, "class",
				    json_string(walk->group->spec->classes[class]));
	if (roster->cnt > 0) {
		for (uint32_t i = 0; i < ROSTER_MEMBERS_MAX; i++)
			walk->rooms[i] = GROUP_ROOM;
		steer.missed = method_targets(spec, steer.state, &walk->context, roster, walk->seen,
					      index, 1, &targets);
	}
	if (!walk->to)
		return;
	if (roster->cnt > 0)
		json_object_set_new(walk->to, "steer", explain_method(walk->explain, &steer));
	json_object_set_new(walk->to, "members", group_members(walk, roster, targets));
	json_object_set_new(walk->to, "of", json_integer(roster->cnt));
	json_object_set_new(walk->to, "outcome",
			    json_string(targets            ? "delivered"
					: roster->cnt == 0 ? "no member"
							   : "dropped"));
}

static void group_drop(struct group_walk *walk)
{
	walk->decided = true;
	if (!walk->to)
		return;
	json_object_set_new(walk->to, "members", json_array());
	json_object_set_new(walk->to, "outcome", json_string("dropped"));
}

/* --- the table -------------------------------------------------------------------------------- */

static const char *group_outcome_name(const struct policy_group *group, uint32_t outcome)
{
	if (outcome == TABLE_DROP)
		return "drop";
	if (outcome == TABLE_DELIVER)
		return "deliver";
	if (outcome >= TABLE_CLASS && outcome - TABLE_CLASS < group->class_cnt)
		return group->spec->classes[outcome - TABLE_CLASS];
	return "none";
}

/* The rule that decides: the table says only what it says, so it is asked once more. */
static json_t *group_rule(const struct group_walk *walk, const struct table *table)
{
	const struct policy_group *group = walk->group;
	const char *classes[GROUP_CLASSES_MAX];
	const struct table_words words = {
		.otherwise = group->spec->table_outcome,
		.classes = classes,
		.class_cnt = group->class_cnt,
	};
	const struct table_rule *rule = NULL;
	char text[TABLE_TEXT_BYTES];
	uint32_t priority = TABLE_NO_RULE;
	struct table_key key;
	uint16_t outcome;

	for (uint32_t c = 0; c < group->class_cnt; c++)
		classes[c] = group->spec->classes[c];
	classify_table_key(walk->seen, &key);
	if (table)
		table_find(table, &key, 1, &outcome, &priority);
	if (priority != TABLE_NO_RULE)
		rule = table_rule(table, priority);
	if (!rule)
		return json_null();
	return json_pack("{s:I, s:I, s:s}", "priority", (json_int_t)priority, "line",
			 (json_int_t)rule->line, "text", table_format_rule(rule, &words, text));
}

static void group_by_table(struct group_walk *walk)
{
	const struct policy_group *group = walk->group;
	struct classify *classify = walk->classify;
	uint32_t outcome;

	classify_table(classify, group->table, group->inner, 1);
	outcome = classify->outcomes[group->table][0];
	if (walk->to)
		json_object_set_new(
			walk->to, "table",
			json_pack("{s:s, s:o, s:s, s:b}", "file", group->spec->table, "rule",
				  group_rule(walk, classify->data->tables[group->table]), "outcome",
				  group_outcome_name(group, outcome), "cached",
				  (int)(explain_asks_cache(classify) && walk->shape != SHAPE_NONE &&
					(classify->keyed_tables >> group->table & 1))));
	if (outcome == TABLE_DROP)
		group_drop(walk);
	else if (outcome == TABLE_DELIVER)
		group_deliver(walk, GROUP_NONE, &group->steer, group->point);
	else if (outcome >= TABLE_CLASS && outcome - TABLE_CLASS < group->class_cnt)
		group_deliver(walk, outcome - TABLE_CLASS, &group->steer,
			      group->point + 1 + outcome - TABLE_CLASS);
}

/* --- cases ------------------------------------------------------------------------------------ */

/* Whether it is one of the so many that a case takes. */
static bool group_sample(const struct group_walk *walk, const struct policy_case *one)
{
	return fanout_takes(walk->group, one, &walk->state->points[one->point], walk->seen->meta);
}

/* What a case asks of the mark, beside the packet's conditions. */
static json_t *group_marked(const struct group_walk *walk, const struct policy_case *one)
{
	return json_pack("{s:s, s:I, s:b, s:b}", "asks", "marked", "marked",
			 (json_int_t)one->marked, "holds", (int)(walk->mark == one->marked),
			 "cached", 0);
}

static json_t *group_case_words(const struct group_walk *walk, uint32_t number)
{
	const struct policy_case *one = &walk->group->cases[number];
	const struct group_spec *spec = walk->group->spec;
	const struct group_case *from = &spec->cases[number];
	json_t *words = json_pack("{s:I, s:I, s:o, s:s}", "case", (json_int_t)number, "line",
				  (json_int_t)from->line, "conditions",
				  group_conditions(walk, &one->when, &from->when), "action",
				  group_action_name(one->action));

	if (one->has_marked)
		json_array_append_new(json_object_get(words, "conditions"),
				      group_marked(walk, one));
	if (one->sample != GROUP_SAMPLE_ALL)
		json_object_set_new(
			words, "sample",
			json_sprintf("one in %u %s", one->sample_of,
				     one->sample == GROUP_SAMPLE_FLOW ? "flows" : "packets"));
	if (one->has_mark)
		json_object_set_new(words, "mark", json_integer(one->mark));
	if (one->counter != GROUP_NONE)
		json_object_set_new(words, "count", json_string(spec->counters[one->counter]));
	if (one->tee != GROUP_NONE)
		json_object_set_new(words, "tee", json_string(walk->policy->groups[one->tee].name));
	if (one->class != GROUP_NONE)
		json_object_set_new(words, "class", json_string(spec->classes[one->class]));
	return words;
}

static void group_by_case(struct group_walk *walk, uint32_t number, json_t *cases)
{
	const struct policy_case *one = &walk->group->cases[number];
	bool holds = classify_when(walk->classify, &one->when, 1) == 1 &&
		     (!one->has_marked || walk->mark == one->marked);
	bool taken = holds && group_sample(walk, one);
	json_t *words = cases ? group_case_words(walk, number) : NULL;

	json_object_set_new(words, "holds", json_boolean(holds));
	json_object_set_new(words, "taken", json_boolean(taken));
	json_array_append_new(cases, words);
	if (!taken)
		return;
	if (one->tee != GROUP_NONE)
		walk->handed[one->tee] = true;
	if (one->has_mark) {
		walk->has_mark = true;
		walk->mark = one->mark;
	}
	if (one->action == GROUP_DELIVER)
		group_deliver(walk, one->class, &one->steer, one->point);
	else if (one->action == GROUP_DISCARD)
		group_drop(walk);
}

/* --- groups ----------------------------------------------------------------------------------- */

static void group_decide(struct group_walk *walk)
{
	const struct policy_group *group = walk->group;
	json_t *cases = walk->to && group->case_cnt > 0 ? json_array() : NULL;

	walk->decided = walk->has_mark = false;
	walk->mark = 0;
	if (group->table != GROUP_NONE)
		group_by_table(walk);
	for (uint32_t i = 0; i < group->case_cnt && !walk->decided; i++)
		group_by_case(walk, i, cases);
	if (cases)
		json_object_set_new(walk->to, "cases", cases);
	if (!walk->decided)
		group_deliver(walk, GROUP_NONE, &group->steer, group->point);
	if (walk->to && walk->has_mark)
		json_object_set_new(walk->to, "mark", json_integer(walk->mark));
}

static json_t *group_words(const struct group_walk *walk, uint32_t g, bool wanted)
{
	const struct policy_group *group = walk->group;
	json_t *words = json_pack("{s:s, s:I}", "group", group->name, "line",
				  (json_int_t)walk->explain->config->groups[g].line);

	if (group->inner)
		json_object_set_new(words, "inner", json_true());
	if (group->tee_only)
		json_object_set_new(words, "tee_only", json_true());
	else
		json_object_set_new(words, "conditions",
				    group_conditions(walk, &group->when, &group->spec->when));
	if (walk->handed[g])
		json_object_set_new(words, "handed", json_true());
	json_object_set_new(words, "wants", json_boolean(wanted));
	return words;
}

static void group_begin(struct group_walk *walk, struct explain *explain)
{
	struct worker *worker = &explain->engine->workers[0];
	const struct packet *pkt = &explain->pkt;
	struct shape_key key;

	memset(walk, 0, sizeof(*walk));
	walk->explain = explain;
	walk->fanout = &worker->fanout;
	walk->classify = worker->fanout.classify;
	walk->policy = worker->fanout.policy;
	walk->state = worker->fanout.state;
	walk->shape = pkt->meta->l3_off ? shape_of(pkt, 0, &key) : SHAPE_NONE;
	walk->context = (struct method_context){
		.seed = walk->policy->hash_seed,
		.worker = walk->classify->worker,
		.now_ns = pkt->meta->ts_ns,
		.rooms = walk->rooms,
		.plugins = walk->policy->plugins,
		.plugin_states = walk->state->plugin_states,
	};
	classify_burst(walk->classify, walk->policy, worker->fanout.data, walk->state, pkt, 1);
}

void explain_groups(struct explain *explain, json_t *groups)
{
	struct group_walk walk;

	group_begin(&walk, explain);
	for (uint32_t o = 0; o < walk.policy->group_cnt; o++) {
		uint32_t g = walk.policy->order[o];
		bool wanted = walk.handed[g];

		walk.group = &walk.policy->groups[g];
		walk.seen = walk.group->inner ? walk.classify->inner : &explain->pkt;
		if (!walk.group->tee_only)
			wanted |= classify_when(walk.classify, &walk.group->when, 1) == 1;
		walk.to = groups ? group_words(&walk, g, wanted) : NULL;
		if (wanted)
			group_decide(&walk);
		json_array_append_new(groups, walk.to);
	}
	classify_end(walk.classify);
}
