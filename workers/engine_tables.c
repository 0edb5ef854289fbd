/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_tables.h"
#include "workers/engine_parts.h"
#include <errno.h>
#include <string.h>

/* The policy's number of a group's table; GROUP_NONE: it has none. */
static uint32_t engine_table_number(const struct engine *engine, uint32_t place)
{
	const struct policy *policy = &engine->policy->policy;

	for (uint32_t t = 0; t < policy->table_cnt; t++)
		if (policy->groups[policy->table_groups[t]].place == place)
			return t;
	return GROUP_NONE;
}

const struct table *engine_find_table(const struct engine *engine, uint32_t place)
{
	const struct engine_data *data = &engine->policy->data;
	uint32_t t = engine_table_number(engine, place);

	return t == GROUP_NONE ? NULL : data->sides[data->side].tables[t];
}

bool engine_table_replaces(const struct engine *engine, uint32_t place)
{
	uint32_t t = engine_table_number(engine, place);

	return t != GROUP_NONE && engine->policy->data.replaces[t];
}

static int engine_no_table(const struct engine *engine, uint32_t place, struct xfq_error *error)
{
	return xfq_error_set(error, -ENOENT, "group %s has no rule table (table: FILE)",
			     engine->groups[place].config->name);
}

static int engine_rule_refused(const struct engine *engine, uint32_t place,
			       const struct table_rule *rule, int code, struct xfq_error *error)
{
	const char *name = engine->groups[place].config->name;

	if (code == -EEXIST)
		return xfq_error_set(error, code, "group %s: there is a rule of priority %u", name,
				     rule->priority);
	if (code == -ENOSPC)
		return xfq_error_set(error, code, "group %s: a table has at most %u rules", name,
				     TABLE_RULES_MAX);
	return xfq_error_set(error, code, "group %s: a rule cannot be added: %s", name,
			     strerror(-code));
}

/* What cannot be done on the other side is done before it is used. */
static void engine_make_stale(struct engine_side *side, uint32_t t)
{
	table_destroy(side->tables[t]);
	side->tables[t] = NULL;
}

int engine_add_rule(struct engine *engine, uint32_t place, const struct table_rule *rule,
		    struct xfq_error *error)
{
	uint32_t t = engine_table_number(engine, place);
	struct engine_side *side;
	int code;

	if (t == GROUP_NONE)
		return engine_no_table(engine, place, error);
	side = engine_begin_change(engine, error);
	if (!side)
		return -ENOMEM;
	code = table_add(side->tables[t], rule);
	if (code)
		return engine_rule_refused(engine, place, rule, code, error);
	engine->policy->data.changed[t] = true;
	side = engine_publish_data(engine);
	if (table_add(side->tables[t], rule))
		engine_make_stale(side, t);
	return 0;
}

int engine_del_rule(struct engine *engine, uint32_t place, uint32_t priority,
		    struct xfq_error *error)
{
	uint32_t t = engine_table_number(engine, place);
	struct engine_side *side;

	if (t == GROUP_NONE)
		return engine_no_table(engine, place, error);
	side = engine_begin_change(engine, error);
	if (!side)
		return -ENOMEM;
	if (!table_del(side->tables[t], priority))
		return 0;
	engine->policy->data.changed[t] = true;
	side = engine_publish_data(engine);
	table_del(side->tables[t], priority);
	return 1;
}

int engine_load_rules(struct engine *engine, uint32_t place, const struct table_rule *rules,
		      uint32_t cnt, uint32_t *at, struct xfq_error *error)
{
	uint32_t t = engine_table_number(engine, place);
	struct engine_side *side;
	struct table *table;
	int code;

	*at = 0;
	if (t == GROUP_NONE)
		return engine_no_table(engine, place, error);
	side = engine_begin_change(engine, error);
	if (!side)
		return -ENOMEM;
	table = table_create();
	if (!table)
		return xfq_error_set(error, -ENOMEM, "no memory for %u rules", cnt);
	code = table_add_all(table, rules, cnt, at);
	if (code) {
		table_destroy(table);
		return engine_rule_refused(engine, place, &rules[*at < cnt ? *at : 0], code, error);
	}
	table_destroy(side->tables[t]);
	side->tables[t] = table;
	engine->policy->data.changed[t] = true;
	/* the other side becomes a copy of it with the next change, or now */
	side = engine_publish_data(engine);
	engine_make_stale(side, t);
	(void)engine_begin_change(engine, NULL);
	return 0;
}
