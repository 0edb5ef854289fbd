/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_data.h"
#include "workers/engine_parts.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* policy_data.in_set. */
static uint64_t data_in_set(const void *sets, uint32_t set, uint8_t fields,
			    const struct packet *pkts, uint64_t among)
{
	const struct engine_data_set *all = sets;

	return set_lookup_burst(&all[set].lookup, fields, pkts, among);
}

static uint64_t data_mix(uint64_t sum, const void *bytes, size_t cnt)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < cnt; i += sizeof(uint64_t)) {
		uint64_t word = 0;

		memcpy(&word, at + i, cnt - i < sizeof(word) ? cnt - i : sizeof(word));
		sum = flow_mix(sum + word + 0x9e3779b97f4a7c15ULL);
	}
	return sum;
}

/* A number for what a config says of a table: its rules, but not where they stand, and what the
 * numbers of their classes mean. */
static uint64_t data_table_source(const struct config_group *group)
{
	uint64_t sum = group->rule_cnt;

	for (uint32_t c = 0; c < group->spec.class_cnt; c++)
		sum = data_mix(sum, group->spec.classes[c], strlen(group->spec.classes[c]) + 1);
	sum = data_mix(sum, &group->spec.table_outcome, sizeof(group->spec.table_outcome));
	for (uint32_t i = 0; i < group->rule_cnt; i++) {
		const struct table_rule *rule = &group->rules[i];
		const uint32_t rest[] = {
			rule->src_len,    rule->dst_len,  rule->ip,       rule->proto,
			rule->proto_mask, rule->flags,    rule->sport_lo, rule->sport_hi,
			rule->dport_lo,   rule->dport_hi, rule->priority, rule->outcome,
			rule->flags_mask,
		};

		sum = data_mix(sum, rule->src, sizeof(rule->src));
		sum = data_mix(sum, rule->dst, sizeof(rule->dst));
		sum = data_mix(sum, rest, sizeof(rest));
	}
	return sum;
}

static int data_make_sets(struct engine_data *data, const struct policy *policy,
			  const struct config *config, const struct set *const *as)
{
	int code = 0;

	data->set_cnt = config->set_cnt;
	for (uint32_t s = 0; s < 2 && code == 0; s++) {
		struct engine_side *side = &data->sides[s];

		side->sets = calloc(config->set_cnt + 1, sizeof(*side->sets));
		if (!side->sets)
			return -ENOMEM;
		side->data.in_set = data_in_set;
		side->data.sets = side->sets;
		for (uint32_t t = 0; t < policy->test_cnt; t++)
			if (policy->tests[t].kind == POLICY_SET)
				side->sets[policy->tests[t].set].used = true;
		for (uint32_t i = 0; i < config->set_cnt && code == 0; i++)
			if (side->sets[i].used)
				code = set_lookup_copy(&side->sets[i].lookup,
						       as && as[i] ? as[i] : config->sets[i]);
	}
	return code;
}

/* The number of the table of before of a group at a place; GROUP_NONE: it has none. */
static uint32_t data_table_before(const struct engine_data *before, const struct policy *policy,
				  uint32_t place)
{
	for (uint32_t t = 0; before && t < before->table_cnt; t++)
		if (policy->groups[policy->table_groups[t]].place == place)
			return t;
	return GROUP_NONE;
}

/* Both copies of a table of the config's rules. */
static int data_make_table(struct engine_data *data, uint32_t t, const struct config_group *group)
{
	struct table *table = table_create();
	uint32_t at;
	int code;

	if (!table)
		return -ENOMEM;
	data->sides[0].tables[t] = table;
	code = table_add_all(table, group->rules, group->rule_cnt, &at);
	if (code)
		return code;
	data->sides[1].tables[t] = table_copy(table);
	return data->sides[1].tables[t] ? 0 : -ENOMEM;
}

static int data_make_tables(struct engine_data *data, const struct policy *policy,
			    const struct config *config, const struct engine_data *before,
			    const struct policy *before_policy)
{
	int code = 0;

	for (uint32_t t = 0; t < policy->table_cnt && code == 0; t++) {
		uint32_t number = policy->table_groups[t];
		const struct config_group *group = &config->groups[number];
		uint32_t lender;

		data->table_cnt = t + 1;
		data->sources[t] = data_table_source(group);
		lender = data_table_before(before, before_policy, policy->groups[number].place);
		/* where the config says the same of it, what was changed since stays */
		data->borrowed[t] =
			lender != GROUP_NONE && before->sources[lender] == data->sources[t];
		data->lenders[t] = lender;
		if (lender != GROUP_NONE && before->changed[lender]) {
			data->changed[t] = data->borrowed[t];
			data->replaces[t] = !data->borrowed[t];
		}
		for (uint32_t s = 0; s < 2 && data->borrowed[t]; s++)
			data->sides[s].tables[t] = before->sides[s].tables[lender];
		if (!data->borrowed[t])
			code = data_make_table(data, t, group);
	}
	return code;
}

static void data_fill_side(struct engine_side *side, uint32_t table_cnt, uint32_t epoch)
{
	side->data.epoch = epoch ? epoch : 1;
	for (uint32_t t = 0; t < table_cnt; t++)
		side->data.tables[t] = side->tables[t];
}

int engine_make_data(struct engine_data *data, const struct policy *policy,
		     const struct config *config, const struct set *const *as,
		     const struct engine_data *before, const struct policy *before_policy,
		     uint32_t epoch, struct xfq_error *error)
{
	int code;

	memset(data, 0, sizeof(*data));
	/* a table that is shared is read on the same side by both */
	data->side = before ? before->side : 0;
	code = data_make_sets(data, policy, config, as);
	if (code == 0)
		code = data_make_tables(data, policy, config, before, before_policy);
	if (code) {
		engine_free_data(data);
		return xfq_error_set(error, code,
				     code == -ENOMEM
					     ? "no memory for the sets and tables of the groups"
					     : "a rule table of the groups cannot be made");
	}
	data_fill_side(&data->sides[data->side], data->table_cnt, epoch);
	return 0;
}

void engine_keep_tables(struct engine_data *data, struct engine_data *before)
{
	for (uint32_t t = 0; t < data->table_cnt; t++) {
		if (!data->borrowed[t])
			continue;
		data->borrowed[t] = false;
		before->sides[0].tables[data->lenders[t]] = NULL;
		before->sides[1].tables[data->lenders[t]] = NULL;
	}
}

void engine_free_data(struct engine_data *data)
{
	for (uint32_t s = 0; s < 2; s++) {
		struct engine_side *side = &data->sides[s];

		for (uint32_t t = 0; t < data->table_cnt; t++)
			if (!data->borrowed[t])
				table_destroy(side->tables[t]);
		for (uint32_t i = 0; side->sets && i < data->set_cnt; i++)
			set_lookup_destroy(&side->sets[i].lookup);
		free(side->sets);
	}
	memset(data, 0, sizeof(*data));
}

/* Make what is stale on a side equal to the other. */
static int data_mend(struct engine_data *data, struct engine_side *side,
		     const struct engine_side *now)
{
	for (uint32_t i = 0; i < data->set_cnt; i++) {
		if (!side->sets[i].stale)
			continue;
		set_lookup_destroy(&side->sets[i].lookup);
		if (set_lookup_copy(&side->sets[i].lookup, &now->sets[i].lookup.set))
			return -ENOMEM;
		side->sets[i].stale = false;
	}
	for (uint32_t t = 0; t < data->table_cnt; t++) {
		if (side->tables[t])
			continue;
		side->tables[t] = table_copy(now->tables[t]);
		if (!side->tables[t])
			return -ENOMEM;
	}
	return 0;
}

struct engine_side *engine_begin_change(struct engine *engine, struct xfq_error *error)
{
	struct engine_data *data = &engine->policy->data;
	struct engine_side *side = &data->sides[!data->side];

	if (data_mend(data, side, &data->sides[data->side])) {
		xfq_error_set(error, -ENOMEM, "no memory for a change of sets and tables");
		return NULL;
	}
	return side;
}

struct engine_side *engine_publish_data(struct engine *engine)
{
	struct engine_data *data = &engine->policy->data;
	struct worker_change change = worker_no_change();

	data->side = !data->side;
	data_fill_side(&data->sides[data->side], data->table_cnt, engine_next_epoch(engine));
	change.data = engine_data_now(data);
	engine_change_all(engine, &change);
	return &data->sides[!data->side];
}

bool engine_asks_set(const struct engine *engine, uint32_t set)
{
	const struct engine_data *data = &engine->policy->data;

	return set < data->set_cnt && data->sides[data->side].sets[set].used;
}
