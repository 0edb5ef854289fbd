/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/group_text.h"
#include "apps/instance/access_text.h"
#include "steering/table.h"
#include "xdp/set.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A text that is being written; it is cut where it is full. */
struct group_text {
	char *text;
	size_t room, at;
};

__attribute__((format(printf, 2, 3))) static void group_add(struct group_text *to,
							    const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(to->text + to->at, to->room - to->at, format, args);
	va_end(args);
	if (n > 0)
		to->at += (size_t)n < to->room - to->at ? (size_t)n : to->room - to->at - 1;
}

/* --- words ----------------------------------------------------------------------------------- */

static void group_add_in(struct group_text *to, const struct config *config,
			 const struct group_in *in)
{
	const struct set *set = config->sets[in->set];
	const char *what = "flow";

	if (set->type != SET_FLOW)
		what = in->fields == XDP_FIELD_SRC   ? "src"
		       : in->fields == XDP_FIELD_DST ? "dst"
						     : "src or dst";
	group_add(to, "%s%s%s in %s", to->at ? ", " : "", in->negated ? "not " : "", what,
		  set->name);
}

const char *group_when_text(const struct config *config, const struct group_when *when, char *text,
			    size_t room)
{
	struct group_text to = {.text = text, .room = room};

	text[0] = '\0';
	if (when->match)
		group_add(&to, "\"%s\"", when->match);
	for (uint32_t i = 0; i < when->in_cnt; i++)
		group_add_in(&to, config, &when->ins[i]);
	if (when->plugin != GROUP_NONE)
		group_add(&to, "%s%splug-in %s", to.at ? ", " : "",
			  when->plugin_negated ? "not " : "", config->plugins[when->plugin].name);
	if (to.at == 0)
		group_add(&to, "every packet");
	return text;
}

const char *group_steer_text(const struct config *config, const struct method_spec *steer,
			     char *text, size_t room)
{
	struct group_text to = {.text = text, .room = room};

	if (steer->method == METHOD_PLUGIN) {
		group_add(&to, "plugin %s%s", config->plugins[steer->plugin].name,
			  steer->otherwise == METHOD_ELSE_DROP ? " else drop" : "");
		return text;
	}
	method_spec_text(steer, text, room);
	to.at = strlen(text);
	if (steer->method == METHOD_STICKY)
		group_add(&to, " %u flows, idle %u s", steer->flows, steer->idle_s);
	return text;
}

static void group_add_delivery(struct group_text *to, const struct config *config,
			       const struct config_group *group, const struct group_case *one)
{
	char steer[256];

	if (one->class != GROUP_NONE)
		group_add(to, " to class %s", group->spec.classes[one->class]);
	if (one->has_steer)
		group_add(to, " by %s",
			  group_steer_text(config, &one->steer, steer, sizeof(steer)));
}

const char *group_case_text(const struct config *config, const struct config_group *group,
			    const struct group_case *one, char *text, size_t room)
{
	struct group_text to = {.text = text, .room = room};

	group_when_text(config, &one->when, text, room);
	to.at = strlen(text);
	if (one->has_marked)
		group_add(&to, ", marked %u", one->marked);
	if (one->sample != GROUP_SAMPLE_ALL)
		group_add(&to, ", 1 %s in %u", one->sample == GROUP_SAMPLE_FLOW ? "flow" : "packet",
			  one->sample_of);
	group_add(&to, ": ");
	if (one->counter != GROUP_NONE)
		group_add(&to, "count %s, ", group->spec.counters[one->counter]);
	if (one->has_mark)
		group_add(&to, "mark %u, ", one->mark);
	if (one->tee != GROUP_NONE)
		group_add(&to, "tee %s, ", config->groups[one->tee].name);
	group_add(&to, "%s", group_action_name(one->action));
	if (one->action == GROUP_DELIVER)
		group_add_delivery(&to, config, group, one);
	return text;
}

/* --- JSON ------------------------------------------------------------------------------------ */

static json_t *group_json_ins(const struct config *config, const struct group_when *when)
{
	json_t *ins = json_array();
	char text[128];

	for (uint32_t i = 0; i < when->in_cnt; i++) {
		struct group_text to = {.text = text, .room = sizeof(text)};

		group_add_in(&to, config, &when->ins[i]);
		json_array_append_new(ins, json_string(text));
	}
	return ins;
}

static json_t *group_json_cases(const struct config *config, const struct config_group *group)
{
	json_t *cases = json_array();

	for (uint32_t i = 0; i < group->spec.case_cnt; i++) {
		const struct group_case *one = &group->spec.cases[i];
		char text[GROUP_TEXT_BYTES];

		group_case_text(config, group, one, text, sizeof(text));
		json_array_append_new(cases,
				      json_pack("{s:I, s:s%, s:s}", "line", (json_int_t)one->line,
						"what", text, strlen(text), "action",
						group_action_name(one->action)));
	}
	return cases;
}

/* What not every group has; absent where this one has not. */
static void group_json_more(json_t *object, const struct config *config,
			    const struct config_group *group)
{
	const struct group_spec *spec = &group->spec;

	if (spec->inner)
		json_object_set_new(object, "inner", json_true());
	if (spec->tee_only)
		json_object_set_new(object, "tee_only", json_true());
	if (spec->when.in_cnt > 0)
		json_object_set_new(object, "in", group_json_ins(config, &spec->when));
	if (spec->when.plugin != GROUP_NONE)
		json_object_set_new(object, "plugin",
				    json_sprintf("%s%s", spec->when.plugin_negated ? "not " : "",
						 config->plugins[spec->when.plugin].name));
	if (spec->table)
		json_object_set_new(
			object, "table",
			json_pack("{s:s, s:I, s:s}", "file", spec->table, "rules",
				  (json_int_t)group->rule_cnt, "action",
				  spec->table_outcome == TABLE_DROP ? "drop" : "deliver"));
	if (spec->class_cnt > 0) {
		json_t *classes = json_object();

		for (uint32_t c = 0; c < spec->class_cnt; c++)
			json_object_set_new(
				classes, spec->classes[c],
				json_pack("{s:I}", "members", (json_int_t)group->class_members[c]));
		json_object_set_new(object, "classes", classes);
	}
	if (spec->case_cnt > 0)
		json_object_set_new(object, "cases", group_json_cases(config, group));
}

json_t *group_json(const struct config *config, const struct config_group *group)
{
	const char *match = group->spec.when.match ? group->spec.when.match : "";
	struct expression compiled;
	char access[600], steer[256];
	json_t *object;

	/* it compiled when the config was read; a failure now is want of memory */
	if (expression_compile(&compiled, group->spec.when.match, NULL))
		return NULL;
	access_text(&group->access, geteuid(), access, sizeof(access));
	group_steer_text(config, &group->spec.steer, steer, sizeof(steer));
	object = json_pack("{s:s, s:I, s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:s}", "match", match,
			   "instructions", (json_int_t)compiled.insn_cnt, "steer", steer,
			   "overflow", group->spec.overflow == POLICY_SPILL ? "spill" : "drop",
			   "members", (json_int_t)group->members, "sink",
			   group->sink == CONFIG_SINK_PCAP ? "pcap" : "count", "run",
			   group->run == CONFIG_RUN_WORKER ? "worker" : "thread", "ring",
			   (json_int_t)group->ring_slots, "max_members",
			   (json_int_t)group->members_max, "access", access);
	expression_destroy(&compiled);
	if (object)
		group_json_more(object, config, group);
	return object;
}

/* --- lines ----------------------------------------------------------------------------------- */

static const char *group_string(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static long long group_number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static void group_print_wanted(const json_t *group)
{
	const json_t *ins = json_object_get(group, "in");

	if (json_object_get(group, "tee_only")) {
		printf("copies of other groups' packets");
	} else {
		printf("\"%s\" (%lld BPF instructions)", group_string(group, "match"),
		       group_number(group, "instructions"));
		for (size_t i = 0; i < json_array_size(ins); i++)
			printf(", %s", json_string_value(json_array_get(ins, i)));
		if (group_string(group, "plugin"))
			printf(", plug-in %s", group_string(group, "plugin"));
	}
	if (json_object_get(group, "inner"))
		printf(", of the innermost packet");
	printf(", %s", group_string(group, "steer"));
}

static void group_print_members(const json_t *group)
{
	const json_t *classes = json_object_get(group, "classes");
	long long members = group_number(group, "members"), all = members;
	const char *name;
	json_t *class;

	json_object_foreach((json_t *)(uintptr_t)classes, name, class) all +=
		group_number(class, "members");
	if (all == 0) {
		printf(", no built-in members");
		return;
	}
	printf(" over %lld", all);
	if (all != members)
		printf(" (%lld of no class)", members);
	printf(", sink %s, run %s", group_string(group, "sink"), group_string(group, "run"));
}

/* Lines of their own for what is not in every group. */
static void group_print_more(const char *name, const json_t *group)
{
	const json_t *classes = json_object_get(group, "classes");
	const json_t *table = json_object_get(group, "table");
	const json_t *cases = json_object_get(group, "cases"), *one;
	const char *class_name;
	json_t *class;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)classes, class_name, class)
		printf("group %s class %s: %lld built-in members\n", name, class_name,
		       group_number(class, "members"));
	if (table)
		printf("group %s table: %s, %lld rules, %s where a rule does not say\n", name,
		       group_string(table, "file"), group_number(table, "rules"),
		       group_string(table, "action"));
	json_array_foreach((json_t *)(uintptr_t)cases, i, one)
		printf("group %s case %zu (line %lld): %s\n", name, i, group_number(one, "line"),
		       group_string(one, "what"));
}

void group_print(const char *name, const json_t *group)
{
	long long members_max = group_number(group, "max_members");

	printf("group %s: ", name);
	group_print_wanted(group);
	group_print_members(group);
	printf(", overflow %s", group_string(group, "overflow"));
	if (members_max != 0)
		printf(", up to %lld may join: %s\n", members_max, group_string(group, "access"));
	else
		printf(", none may join\n");
	group_print_more(name, group);
}
