/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/group_spec.h"
#include "steering/table.h"
#include <stdlib.h>
#include <string.h>

void group_when_init(struct group_when *when)
{
	memset(when, 0, sizeof(*when));
	when->plugin = GROUP_NONE;
}

void group_case_init(struct group_case *one)
{
	memset(one, 0, sizeof(*one));
	group_when_init(&one->when);
	one->class = GROUP_NONE;
	one->counter = GROUP_NONE;
	one->tee = GROUP_NONE;
}

void group_spec_init(struct group_spec *spec)
{
	memset(spec, 0, sizeof(*spec));
	group_when_init(&spec->when);
	spec->table_outcome = TABLE_DELIVER;
}

struct group_case *group_spec_add_case(struct group_spec *spec)
{
	struct group_case *cases;

	if (spec->case_cnt == GROUP_CASES_MAX)
		return NULL;
	cases = realloc(spec->cases, (spec->case_cnt + 1) * sizeof(*cases));
	if (!cases)
		return NULL;
	spec->cases = cases;
	group_case_init(&cases[spec->case_cnt]);
	return &cases[spec->case_cnt++];
}

uint32_t group_spec_find_class(const struct group_spec *spec, const char *name)
{
	for (uint32_t i = 0; i < spec->class_cnt; i++)
		if (strcmp(spec->classes[i], name) == 0)
			return i;
	return GROUP_NONE;
}

uint32_t group_spec_find_counter(const struct group_spec *spec, const char *name)
{
	for (uint32_t i = 0; i < spec->counter_cnt; i++)
		if (strcmp(spec->counters[i], name) == 0)
			return i;
	return GROUP_NONE;
}

uint32_t group_spec_counter(struct group_spec *spec, const char *name)
{
	uint32_t found = group_spec_find_counter(spec, name);

	if (found != GROUP_NONE)
		return found;
	if (spec->counter_cnt == GROUP_COUNTERS_MAX || strlen(name) >= GROUP_NAME_BYTES)
		return GROUP_NONE;
	strcpy(spec->counters[spec->counter_cnt], name);
	return spec->counter_cnt++;
}

static bool group_text_same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool group_when_same(const struct group_when *a, const struct group_when *b)
{
	if (!group_text_same(a->match, b->match) || a->in_cnt != b->in_cnt ||
	    a->plugin != b->plugin || a->plugin_negated != b->plugin_negated)
		return false;
	for (uint32_t i = 0; i < a->in_cnt; i++)
		if (a->ins[i].set != b->ins[i].set || a->ins[i].fields != b->ins[i].fields ||
		    a->ins[i].negated != b->ins[i].negated)
			return false;
	return true;
}

bool group_case_same(const struct group_case *a, const struct group_case *b)
{
	return group_when_same(&a->when, &b->when) && a->sample == b->sample &&
	       a->sample_of == b->sample_of && a->action == b->action &&
	       a->has_marked == b->has_marked && a->marked == b->marked &&
	       a->has_mark == b->has_mark && a->mark == b->mark && a->class == b->class &&
	       a->counter == b->counter && a->tee == b->tee && a->has_steer == b->has_steer &&
	       method_spec_same(&a->steer, &b->steer);
}

bool group_spec_same(const struct group_spec *a, const struct group_spec *b)
{
	if (a->inner != b->inner || a->tee_only != b->tee_only ||
	    !group_when_same(&a->when, &b->when) || !method_spec_same(&a->steer, &b->steer) ||
	    a->overflow != b->overflow || !group_text_same(a->table, b->table) ||
	    a->table_outcome != b->table_outcome || a->class_cnt != b->class_cnt ||
	    a->counter_cnt != b->counter_cnt || a->case_cnt != b->case_cnt)
		return false;
	for (uint32_t i = 0; i < a->class_cnt; i++)
		if (strcmp(a->classes[i], b->classes[i]) != 0)
			return false;
	for (uint32_t i = 0; i < a->counter_cnt; i++)
		if (strcmp(a->counters[i], b->counters[i]) != 0)
			return false;
	for (uint32_t i = 0; i < a->case_cnt; i++)
		if (!group_case_same(&a->cases[i], &b->cases[i]))
			return false;
	return true;
}

void group_spec_destroy(struct group_spec *spec)
{
	for (uint32_t i = 0; i < spec->case_cnt; i++) {
		free(spec->cases[i].when.match);
		method_spec_destroy(&spec->cases[i].steer);
	}
	free(spec->cases);
	free(spec->when.match);
	free(spec->table);
	method_spec_destroy(&spec->steer);
	memset(spec, 0, sizeof(*spec));
}

const char *group_action_name(enum group_action action)
{
	static const char *const names[] = {"deliver", "drop", "pass"};

	return action <= GROUP_PASS ? names[action] : "unknown";
}
