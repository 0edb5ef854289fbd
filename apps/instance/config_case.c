/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_case.h"
#include "apps/instance/config_steer.h"
#include "apps/instance/config_when.h"
#include <stdlib.h>
#include <string.h>

/* A case being read. */
struct config_case {
	struct group_case one;
	struct config_group_draft *draft;
	uint32_t index; /* in the file's list */
	int tee;        /* node of the group's name */
};

/* --- what a packet is asked ------------------------------------------------------------------ */

static void config_case_read_match(struct config_reader *reader, int node, void *object)
{
	struct config_case *one = object;

	config_when_read_match(reader, node, &one->one.when);
}

static void config_case_read_in(struct config_reader *reader, int node, void *object)
{
	struct config_case *one = object;

	config_when_read_in(reader, node, one->draft->config, &one->one.when);
}

static void config_case_read_plugin(struct config_reader *reader, int node, void *object)
{
	struct config_case *one = object;

	config_when_read_plugin(reader, node, one->draft->config, &one->one.when);
}

static const struct config_word config_samples[] = {
	{"flow", GROUP_SAMPLE_FLOW, NULL},
	{"packet", GROUP_SAMPLE_PACKET, NULL},
	{NULL, 0, NULL},
};

static const struct config_key config_sample_keys[] = {
	{.name = "of",
	 .kind = CONFIG_KIND_NUMBER,
	 .required = true,
	 CONFIG_MEMBER(struct config_case, one.sample_of),
	 .min = 1,
	 .max = GROUP_SAMPLE_MAX},
	{.name = "by", CONFIG_MEMBER(struct config_case, one.sample), .words = config_samples},
	{.name = NULL},
};

static void config_case_read_sample(struct config_reader *reader, int node, void *object)
{
	struct config_case *one = object;

	one->one.sample = GROUP_SAMPLE_FLOW;
	one->one.sample_of = 1;
	if (config_node_type(reader, node) == YAML_MAPPING_NODE)
		config_map_read(reader, node, config_sample_keys, one, NULL);
	else
		config_number(reader, node, 1, GROUP_SAMPLE_MAX, &one->one.sample_of);
}

/* A mark: decimal as other numbers, or with 0x in front and up to 8 digits. */
static bool config_case_mark(struct config_reader *reader, int node, uint32_t *mark)
{
	const char *text = config_text(reader, node, 4096);
	size_t digits;

	if (!text)
		return false;
	if (strncmp(text, "0x", 2) != 0)
		return config_number(reader, node, 0, UINT32_MAX, mark);
	digits = strspn(text + 2, "0123456789abcdefABCDEF");
	if (digits == 0 || digits > 8 || text[2 + digits] != '\0') {
		config_fail(reader, node, "\"%.48s\" is not a number from 0x0 to 0xffffffff", text);
		return false;
	}
	*mark = (uint32_t)strtoul(text + 2, NULL, 16);
	return true;
}

static void config_case_read_marked(struct config_reader *reader, int node, void *object)
{
	struct config_case *one = object;

	one->one.has_marked = config_case_mark(reader, node, &one->one.marked);
}

/* --- what becomes of it ---------------------------------------------------------------------- */

static void config_case_read_count(struct config_reader *reader, int node, void *object)
{
	struct config_case *one = object;
	char name[CONFIG_NAME_BYTES];

	_Static_assert(CONFIG_NAME_BYTES <= GROUP_NAME_BYTES, "a name fits");
	if (!config_name(reader, node, name))
		return;
	one->one.counter = group_spec_counter(&one->draft->group.spec, name);
	if (one->one.counter == GROUP_NONE)
		config_fail(reader, node, "more than %d counters in a group", GROUP_COUNTERS_MAX);
}

static void config_case_read_mark(struct config_reader *reader, int node, void *object)
{
	struct config_case *one = object;

	one->one.has_mark = config_case_mark(reader, node, &one->one.mark);
}

/* Its number is found when all groups have been read. */
static void config_case_read_tee(struct config_reader *reader, int node, void *object)
{
	struct config_case *one = object;

	if (config_text(reader, node, 4096))
		one->tee = node;
}

static void config_case_read_class(struct config_reader *reader, int node, void *object)
{
	const char *name = config_text(reader, node, 4096);
	struct config_case *one = object;

	if (!name)
		return;
	one->one.class = group_spec_find_class(&one->draft->group.spec, name);
	if (one->one.class == GROUP_NONE)
		config_fail(reader, node, "there is no class \"%.48s\" in the group's classes",
			    name);
}

static void config_case_read_steer(struct config_reader *reader, int node, void *object)
{
	struct config_case *one = object;

	one->one.has_steer = config_steer_read(reader, node, one->draft->config, &one->one.steer);
}

static void config_case_read_table(struct config_reader *reader, int node, void *object)
{
	struct config_case *one = object;

	if (one->index != 0)
		config_fail(reader, node, "only the first case can be a table");
	else if (one->draft->group.spec.table)
		config_fail(reader, node, "the group has a table already");
	else
		config_group_read_table(reader, node, one->draft);
}

static const struct config_word config_case_actions[] = {
	{"deliver", GROUP_DELIVER, NULL},
	{"drop", GROUP_DISCARD, NULL},
	{"pass", GROUP_PASS, NULL},
	{NULL, 0, NULL},
};

enum {
	CONFIG_CASE_TABLE = 0,
	CONFIG_CASE_MATCH,
	CONFIG_CASE_IN,
	CONFIG_CASE_PLUGIN,
	CONFIG_CASE_MARKED,
	CONFIG_CASE_SAMPLE,
	CONFIG_CASE_COUNT,
	CONFIG_CASE_MARK,
	CONFIG_CASE_TEE,
	CONFIG_CASE_ACTION,
	CONFIG_CASE_CLASS,
	CONFIG_CASE_STEER,
	CONFIG_CASE_KEYS
};
static const struct config_key config_case_keys[] = {
	[CONFIG_CASE_TABLE] = {.name = "table",
			       .kind = CONFIG_KIND_READ,
			       .read = config_case_read_table},
	[CONFIG_CASE_MATCH] = {.name = "match",
			       .kind = CONFIG_KIND_READ,
			       .read = config_case_read_match},
	[CONFIG_CASE_IN] = {.name = "in", .kind = CONFIG_KIND_READ, .read = config_case_read_in},
	[CONFIG_CASE_PLUGIN] = {.name = "plugin",
				.kind = CONFIG_KIND_READ,
				.read = config_case_read_plugin},
	[CONFIG_CASE_MARKED] = {.name = "marked",
				.kind = CONFIG_KIND_READ,
				.read = config_case_read_marked},
	[CONFIG_CASE_SAMPLE] = {.name = "sample",
				.kind = CONFIG_KIND_READ,
				.read = config_case_read_sample},
	[CONFIG_CASE_COUNT] = {.name = "count",
			       .kind = CONFIG_KIND_READ,
			       .read = config_case_read_count},
	[CONFIG_CASE_MARK] = {.name = "mark",
			      .kind = CONFIG_KIND_READ,
			      .read = config_case_read_mark},
	[CONFIG_CASE_TEE] = {.name = "tee", .kind = CONFIG_KIND_READ, .read = config_case_read_tee},
	[CONFIG_CASE_ACTION] = {.name = "action",
				CONFIG_MEMBER(struct config_case, one.action),
				.words = config_case_actions},
	[CONFIG_CASE_CLASS] = {.name = "class",
			       .kind = CONFIG_KIND_READ,
			       .read = config_case_read_class},
	[CONFIG_CASE_STEER] = {.name = "steer",
			       .kind = CONFIG_KIND_READ,
			       .read = config_case_read_steer},
	{.name = NULL},
};

/* What makes no sense together. */
static void config_case_check(struct config_reader *reader, const int *at,
			      const struct config_case *one)
{
	if (at[CONFIG_CASE_TABLE] != 0) {
		for (int i = CONFIG_CASE_TABLE + 1; i < CONFIG_CASE_KEYS; i++)
			if (at[i] != 0)
				config_fail_key(reader, at[i], config_case_keys[i].name,
						"a case that is a table has no other key");
		return;
	}
	if (one->one.action == GROUP_DELIVER)
		return;
	for (int i = CONFIG_CASE_CLASS; i <= CONFIG_CASE_STEER; i++)
		if (at[i] != 0)
			config_fail_key(reader, at[i], config_case_keys[i].name,
					"belongs to action deliver alone, and not to %s",
					group_action_name(one->one.action));
}

/* --- cases ----------------------------------------------------------------------------------- */

static void config_case_add(struct config_reader *reader, const struct config_case *one, int steer)
{
	struct config_group_draft *draft = one->draft;
	uint32_t number = draft->group.spec.case_cnt;
	struct group_case *to = group_spec_add_case(&draft->group.spec);

	if (!to) {
		reader->out_of_memory = true;
		free(one->one.when.match);
		free(one->one.steer.nets);
		return;
	}
	*to = one->one;
	draft->cases[number].index = one->index;
	draft->cases[number].steer = to->has_steer ? steer : 0;
	if (one->tee != 0)
		draft->tees->tees[draft->tees->cnt++] = (struct config_tee){
			.group = draft->number,
			.number = number,
			.index = one->index,
			.node = one->tee,
		};
}

static void config_case_read(struct config_reader *reader, const struct config_item *item,
			     void *object)
{
	struct config_case one = {.draft = object, .index = item->index};
	int at[CONFIG_KEYS_MAX] = {0};

	group_case_init(&one.one);
	one.one.line = config_node_line(reader, item->node);
	if (!config_map_read(reader, item->node, config_case_keys, &one, at))
		return;
	config_case_check(reader, at, &one);
	if (at[CONFIG_CASE_TABLE] == 0) {
		config_case_add(reader, &one, at[CONFIG_CASE_STEER]);
		return;
	}
	free(one.one.when.match);
	method_spec_destroy(&one.one.steer);
}

void config_cases_read(struct config_reader *reader, int node, void *object)
{
	config_list_read(reader, node, GROUP_CASES_MAX, "cases", config_case_read, object);
}

/* --- copies to other groups ------------------------------------------------------------------ */

static uint32_t config_tee_find(const struct config *config, const char *name)
{
	for (uint32_t g = 0; g < config->group_cnt; g++)
		if (strcmp(config->groups[g].name, name) == 0)
			return g;
	return GROUP_NONE;
}

/* One copy; reach[g] has a bit for each group that those of group g get to, by itself or others. */
static void config_tee_resolve(struct config_reader *reader, const struct config_tee *tee,
			       struct config *config, uint64_t *reach)
{
	const yaml_node_t *node = yaml_document_get_node(reader->document, tee->node);
	const char *name = (const char *)node->data.scalar.value;
	struct config_group *group = &config->groups[tee->group];
	uint32_t to = config_tee_find(config, name);

	if (to == GROUP_NONE) {
		config_fail(reader, tee->node, "there is no group \"%.48s\"", name);
	} else if (to == tee->group) {
		config_fail(reader, tee->node, "a group cannot hand copies to itself");
	} else if (reach[to] >> tee->group & 1) {
		config_fail(reader, tee->node,
			    "the copies would come back: what %s is handed gets to %s, directly or "
			    "by other groups",
			    name, group->name);
	} else {
		group->spec.cases[tee->number].tee = to;
		for (uint32_t g = 0; g < config->group_cnt; g++)
			if (g == tee->group || (reach[g] >> tee->group & 1))
				reach[g] |= 1ULL << to | reach[to];
	}
}

void config_tees_resolve(struct config_reader *reader, const struct config_tees *tees,
			 struct config *config)
{
	uint64_t reach[CONFIG_GROUPS_MAX] = {0};

	_Static_assert(CONFIG_GROUPS_MAX <= 64, "a bit for each group");
	for (uint32_t i = 0; i < tees->cnt; i++) {
		const struct config_tee *tee = &tees->tees[i];
		size_t mark = config_path_push(reader, ".%s.cases[%u].tee",
					       config->groups[tee->group].name, tee->index);

		config_tee_resolve(reader, tee, config, reach);
		config_path_pop(reader, mark);
	}
}
