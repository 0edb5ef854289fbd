/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_group.h"
#include "apps/instance/config_access.h"
#include "apps/instance/config_case.h"
#include "apps/instance/config_steer.h"
#include "apps/instance/config_table.h"
#include "apps/instance/config_when.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <xfq/ring.h>

/* --- what it gets ---------------------------------------------------------------------------- */

static void config_group_read_match(struct config_reader *reader, int node, void *object)
{
	struct config_group_draft *draft = object;

	config_when_read_match(reader, node, &draft->group.spec.when);
}

static void config_group_read_in(struct config_reader *reader, int node, void *object)
{
	struct config_group_draft *draft = object;

	config_when_read_in(reader, node, draft->config, &draft->group.spec.when);
}

static void config_group_read_plugin(struct config_reader *reader, int node, void *object)
{
	struct config_group_draft *draft = object;

	config_when_read_plugin(reader, node, draft->config, &draft->group.spec.when);
}

void config_group_read_table(struct config_reader *reader, int node, void *object)
{
	struct config_group_draft *draft = object;
	uint32_t tables = 0;

	for (uint32_t g = 0; g < draft->number; g++)
		tables += draft->config->groups[g].spec.table != NULL;
	if (tables == POLICY_TABLES_MAX)
		config_fail(reader, node, "more than %d rule tables over all groups",
			    POLICY_TABLES_MAX);
	else
		config_table_read(reader, node, &draft->group);
}

/* --- who its members are --------------------------------------------------------------------- */

static void config_group_read_access(struct config_reader *reader, int node, void *object)
{
	struct config_group_draft *draft = object;

	config_access_read(reader, node, &draft->group.access);
}

static void config_class_read_name(struct config_reader *reader, const struct config_item *item,
				   void *object)
{
	struct group_spec *spec = &((struct config_group_draft *)object)->group.spec;
	char name[CONFIG_NAME_BYTES];

	if (!config_name(reader, item->node, name))
		return;
	if (group_spec_find_class(spec, name) != GROUP_NONE)
		config_fail(reader, item->node, "is given twice");
	else
		strcpy(spec->classes[spec->class_cnt++], name);
}

struct config_class {
	uint32_t members;
};

static const struct config_key config_class_keys[] = {
	{.name = "members",
	 .kind = CONFIG_KIND_NUMBER,
	 CONFIG_MEMBER(struct config_class, members),
	 .max = CONFIG_MEMBERS_MAX},
	{.name = NULL},
};

static void config_class_read(struct config_reader *reader, const struct config_item *item,
			      void *object)
{
	struct config_group *group = &((struct config_group_draft *)object)->group;
	struct config_class class = {0};

	strcpy(group->spec.classes[group->spec.class_cnt], item->name);
	config_map_read(reader, item->node, config_class_keys, &class, NULL);
	group->class_members[group->spec.class_cnt++] = class.members;
}

static void config_group_read_classes(struct config_reader *reader, int node, void *object)
{
	if (config_node_type(reader, node) == YAML_SEQUENCE_NODE)
		config_list_read(reader, node, GROUP_CLASSES_MAX, "classes", config_class_read_name,
				 object);
	else
		config_names_read(reader, node, GROUP_CLASSES_MAX, "classes", config_class_read,
				  object);
}

/* --- what they do ---------------------------------------------------------------------------- */

static void config_group_read_steer(struct config_reader *reader, int node, void *object)
{
	struct config_group_draft *draft = object;

	config_steer_read(reader, node, draft->config, &draft->group.spec.steer);
}

static const struct config_word config_overflows[] = {
	{"drop", POLICY_DROP, NULL},
	{"spill", POLICY_SPILL, NULL},
	{NULL, 0, NULL},
};

static const struct config_word config_sinks[] = {
	{"count", CONFIG_SINK_COUNT, NULL},
	{"pcap", CONFIG_SINK_PCAP, NULL},
	{NULL, 0, NULL},
};

static const struct config_word config_runs[] = {
	{"thread", CONFIG_RUN_THREAD, NULL},
	{"worker", CONFIG_RUN_WORKER, NULL},
	{NULL, 0, NULL},
};

/* Classes come before what names them. */
enum {
	CONFIG_GROUP_MATCH = 0,
	CONFIG_GROUP_IN,
	CONFIG_GROUP_PLUGIN,
	CONFIG_GROUP_DIR,
	CONFIG_GROUP_OVERFLOW,
	CONFIG_GROUP_MEMBERS,
	CONFIG_GROUP_SINK,
	CONFIG_GROUP_RUN,
	CONFIG_GROUP_MAX_MEMBERS,
	CONFIG_GROUP_STEER,
	CONFIG_GROUP_CLASSES,
	CONFIG_GROUP_TABLE,
	CONFIG_GROUP_CASES
};
static const struct config_key config_group_keys[] = {
	[CONFIG_GROUP_MATCH] = {.name = "match",
				.kind = CONFIG_KIND_READ,
				.read = config_group_read_match},
	[CONFIG_GROUP_IN] = {.name = "in", .kind = CONFIG_KIND_READ, .read = config_group_read_in},
	[CONFIG_GROUP_PLUGIN] = {.name = "plugin",
				 .kind = CONFIG_KIND_READ,
				 .read = config_group_read_plugin},
	[CONFIG_GROUP_DIR] = {.name = "dir",
			      .kind = CONFIG_KIND_TEXT,
			      CONFIG_MEMBER(struct config_group_draft, group.dir),
			      .max = PATH_MAX - 1},
	[CONFIG_GROUP_OVERFLOW] = {.name = "overflow",
				   CONFIG_MEMBER(struct config_group_draft, group.spec.overflow),
				   .words = config_overflows},
	[CONFIG_GROUP_MEMBERS] = {.name = "members",
				  .kind = CONFIG_KIND_NUMBER,
				  CONFIG_MEMBER(struct config_group_draft, group.members),
				  .max = CONFIG_MEMBERS_MAX},
	[CONFIG_GROUP_SINK] = {.name = "sink",
			       CONFIG_MEMBER(struct config_group_draft, group.sink),
			       .words = config_sinks},
	[CONFIG_GROUP_RUN] = {.name = "run",
			      CONFIG_MEMBER(struct config_group_draft, group.run),
			      .words = config_runs},
	[CONFIG_GROUP_MAX_MEMBERS] = {.name = "max_members",
				      .kind = CONFIG_KIND_NUMBER,
				      CONFIG_MEMBER(struct config_group_draft, group.members_max),
				      .max = CONFIG_MEMBERS_MAX},
	[CONFIG_GROUP_STEER] = {.name = "steer",
				.kind = CONFIG_KIND_READ,
				.read = config_group_read_steer},
	[CONFIG_GROUP_CLASSES] = {.name = "classes",
				  .kind = CONFIG_KIND_READ,
				  .read = config_group_read_classes},
	[CONFIG_GROUP_TABLE] = {.name = "table",
				.kind = CONFIG_KIND_READ,
				.read = config_group_read_table},
	[CONFIG_GROUP_CASES] = {.name = "cases",
				.kind = CONFIG_KIND_READ,
				.read = config_cases_read},
	{.name = "ring",
	 .kind = CONFIG_KIND_POWER,
	 CONFIG_MEMBER(struct config_group_draft, group.ring_slots),
	 .min = XFQ_RING_SLOTS_MIN,
	 .max = XFQ_RING_SLOTS_MAX},
	{.name = "inner",
	 .kind = CONFIG_KIND_BOOL,
	 CONFIG_MEMBER(struct config_group_draft, group.spec.inner)},
	{.name = "tee_only",
	 .kind = CONFIG_KIND_BOOL,
	 CONFIG_MEMBER(struct config_group_draft, group.spec.tee_only)},
	{.name = "access", .kind = CONFIG_KIND_READ, .read = config_group_read_access},
	{.name = "shunt",
	 .kind = CONFIG_KIND_BOOL,
	 CONFIG_MEMBER(struct config_group_draft, group.shunt)},
	{.name = NULL},
};

/* --- what goes together ---------------------------------------------------------------------- */

static void config_group_check_dir(struct config_reader *reader, int node,
				   struct config_group *group)
{
	if (node != 0 && group->sink != CONFIG_SINK_PCAP)
		config_fail_key(reader, node, "dir",
				"only a group with sink: pcap has a folder to write to");
	else if (group->dir && group->dir[0] == '\0')
		config_fail_key(reader, node, "dir", "is empty; \".\" is the working directory");
	if (node == 0 && group->sink == CONFIG_SINK_PCAP) {
		group->dir = strdup(".");
		if (!group->dir)
			reader->out_of_memory = true;
	}
}

/* Where classes have built-in members, the group has none beside them; and a capture file is to be
 * whole: where members share the packets, nobody may join beside those that write files. Unless the
 * config says so. */
static void config_group_default_members(const int *at, struct config_group *group)
{
	if (at[CONFIG_GROUP_MEMBERS] == 0 && config_group_built_in(group) > group->members)
		group->members = 0;
	if (at[CONFIG_GROUP_MAX_MEMBERS] == 0 && group->sink == CONFIG_SINK_PCAP &&
	    config_group_built_in(group) > 0 && group->spec.steer.method != METHOD_BROADCAST)
		group->members_max = 0;
}

/* How many there are, and what a group without built-in members cannot have. */
static void config_group_check_members(struct config_reader *reader, const int *at,
				       const struct config_group *group)
{
	uint32_t built_in = config_group_built_in(group);

	if (built_in > CONFIG_MEMBERS_MAX)
		config_fail_key(reader, at[CONFIG_GROUP_CLASSES], "classes",
				"%u built-in members of the group and its classes; a group has at "
				"most %d",
				built_in, CONFIG_MEMBERS_MAX);
	if (built_in != 0)
		return;
	if (group->members_max == 0)
		config_fail_key(reader, at[CONFIG_GROUP_MEMBERS], "members",
				"0, and max_members is 0 too: nobody can ever take its packets");
	if (group->sink == CONFIG_SINK_PCAP)
		config_fail_key(reader, at[CONFIG_GROUP_SINK], "sink",
				"the group has no built-in members to write files (members: 0)");
	if (group->run == CONFIG_RUN_WORKER)
		config_fail_key(reader, at[CONFIG_GROUP_RUN], "run",
				"the group has no built-in members to run in the worker "
				"(members: 0)");
}

/* A method of the group (`cases` is ""), or of a case. */
static void config_group_check_steer(struct config_reader *reader, int node, const char *where,
				     const struct config_group *group,
				     const struct method_spec *steer)
{
	uint32_t most = config_group_built_in(group) + group->members_max;

	if (most > CONFIG_MEMBERS_MAX)
		most = CONFIG_MEMBERS_MAX;
	if (steer->method == METHOD_TO && steer->to >= most)
		config_fail_key(reader, node, where,
				"there is no member %u: the group has at most %u, numbered from 0",
				steer->to, most);
}

static bool config_steer_is_spilled(const struct method_spec *steer)
{
	return steer->method != METHOD_BROADCAST && steer->method != METHOD_DOUBLE &&
	       !(steer->method == METHOD_FIELD && steer->each);
}

static void config_group_check_overflow(struct config_reader *reader, int node, const char *where,
					const struct config_group *group,
					const struct method_spec *steer)
{
	if (group->spec.overflow != POLICY_SPILL || config_steer_is_spilled(steer))
		return;
	if (steer->method == METHOD_BROADCAST)
		config_fail_key(reader, node, where,
				"with steer: broadcast there is nobody to spill to: each packet "
				"goes to every member anyway");
	else
		config_fail_key(reader, node, where,
				"with steer: %s, which gives a packet to two members, one that "
				"spills could reach one of them twice",
				method_name(steer->method));
}

static void config_group_check_steers(struct config_reader *reader, const int *at,
				      const struct config_group_draft *draft)
{
	const struct config_group *group = &draft->group;

	if (at[CONFIG_GROUP_STEER] != 0)
		config_group_check_steer(reader, at[CONFIG_GROUP_STEER], "steer", group,
					 &group->spec.steer);
	if (at[CONFIG_GROUP_OVERFLOW] != 0)
		config_group_check_overflow(reader, at[CONFIG_GROUP_OVERFLOW], "overflow", group,
					    &group->spec.steer);
	for (uint32_t i = 0; i < group->spec.case_cnt; i++) {
		const struct method_spec *steer = &group->spec.cases[i].steer;
		int node = draft->cases[i].steer;
		size_t mark;

		if (node == 0)
			continue;
		mark = config_path_push(reader, ".cases[%u]", draft->cases[i].index);
		config_group_check_steer(reader, node, "steer", group, steer);
		config_group_check_overflow(reader, node, "steer", group, steer);
		config_path_pop(reader, mark);
	}
}

/* A group that gets copies alone asks nothing of packets. */
static void config_group_check_copies(struct config_reader *reader, const int *at,
				      const struct config_group *group)
{
	for (int i = CONFIG_GROUP_MATCH; i <= CONFIG_GROUP_PLUGIN && group->spec.tee_only; i++)
		if (at[i] != 0)
			config_fail_key(reader, at[i], config_group_keys[i].name,
					"a group with tee_only: true wants nothing by itself; what "
					"it is handed, its cases may ask");
}

static void config_group_read(struct config_reader *reader, const struct config_item *item,
			      void *object)
{
	struct config_group_draft *draft = object;
	struct config *config = draft->config;
	struct config_group *group = &draft->group;
	int at[CONFIG_KEYS_MAX];

	config_group_init(group);
	strcpy(group->name, item->name);
	group->line = config_node_line(reader, item->key);
	draft->number = item->index;
	if (config_map_read(reader, item->node, config_group_keys, draft, at)) {
		config_group_check_dir(reader, at[CONFIG_GROUP_DIR], group);
		config_group_default_members(at, group);
		config_group_check_members(reader, at, group);
		config_group_check_steers(reader, at, draft);
		config_group_check_copies(reader, at, group);
	}
	config->groups[item->index] = *group;
	config->group_cnt = item->index + 1;
}

void config_groups_read(struct config_reader *reader, int node, void *object)
{
	struct config *config = object;
	struct config_tees tees = {
		.tees = calloc(CONFIG_GROUPS_MAX * GROUP_CASES_MAX, sizeof(*tees.tees)),
	};
	struct config_group_draft *draft = calloc(1, sizeof(*draft));

	config->groups = calloc(CONFIG_GROUPS_MAX, sizeof(*config->groups));
	if (config->groups && tees.tees && draft) {
		draft->config = config;
		draft->tees = &tees;
		config_names_read(reader, node, CONFIG_GROUPS_MAX, "groups", config_group_read,
				  draft);
		config_tees_resolve(reader, &tees, config);
	} else {
		reader->out_of_memory = true;
	}
	free(draft);
	free(tees.tees);
}
