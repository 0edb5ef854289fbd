/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/command_table.h"
#include "apps/instance/instance.h"
#include "steering/table_text.h"
#include "workers/engine_tables.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(TABLE_CLASSES_MAX == GROUP_CLASSES_MAX, "the words of a group's classes");

/* What the words of a group's rules mean. */
struct command_table_words {
	struct table_words words;
	const char *classes[GROUP_CLASSES_MAX];
};

static void command_table_words(const struct config_group *group, struct command_table_words *to)
{
	const struct group_spec *spec = &group->spec;

	for (uint32_t c = 0; c < spec->class_cnt; c++)
		to->classes[c] = spec->classes[c];
	to->words = (struct table_words){.otherwise = spec->table_outcome,
					 .classes = to->classes,
					 .class_cnt = spec->class_cnt,
					 .group = group->name};
}

/* The place of a group that has a table; ENGINE_NO_GROUP and *error. */
static uint32_t command_table_find(struct instance *instance, const char *name,
				   struct xfq_error *error)
{
	uint32_t place = engine_find_group(&instance->engine, name);

	if (place == ENGINE_NO_GROUP)
		xfq_error_set(error, -ENOENT, "there is no group \"%.48s\"", name);
	else if (!engine_find_table(&instance->engine, place))
		xfq_error_set(error, -ENOENT, "group %s has no rule table (table: FILE)", name);
	else
		return place;
	return ENGINE_NO_GROUP;
}

/* The same of the one that a request names. */
static uint32_t command_table_of(struct instance *instance, const json_t *request,
				 struct xfq_error *error)
{
	const char *name = command_text(request, "group", error);

	return name ? command_table_find(instance, name, error) : ENGINE_NO_GROUP;
}

static const struct config_group *command_table_group(const struct instance *instance,
						      uint32_t place)
{
	return instance->engine.groups[place].config;
}

static json_int_t command_table_cnt(const struct instance *instance, uint32_t place)
{
	return table_cnt(engine_find_table(&instance->engine, place));
}

static json_t *command_table_answer(json_t *answer, struct xfq_error *error)
{
	if (!answer)
		xfq_error_set(error, -ENOMEM, "no memory for an answer");
	return answer;
}

/* --- list ------------------------------------------------------------------------------------- */

static json_t *command_table_describe(const struct instance *instance, uint32_t place)
{
	const struct table *table = engine_find_table(&instance->engine, place);

	return json_pack("{s:s, s:I, s:I}", "group", command_table_group(instance, place)->name,
			 "rules", (json_int_t)table_cnt(table), "bytes",
			 (json_int_t)table_bytes(table));
}

static uint32_t command_table_number(const json_t *request, const char *key, uint32_t otherwise)
{
	json_int_t value = json_integer_value(json_object_get(request, key));

	return value > 0 && value < UINT32_MAX ? (uint32_t)value : otherwise;
}

/* Some rules of a table into its description. */
static void command_table_page(const struct instance *instance, uint32_t place,
			       const json_t *request, json_t *answer)
{
	const struct table *table = engine_find_table(&instance->engine, place);
	uint32_t cnt = command_table_number(request, "count", COMMAND_TABLE_PAGE);
	const struct table_rule *rule = table_next(table, command_table_number(request, "from", 0));
	struct command_table_words words;
	json_t *lines = json_array();

	command_table_words(command_table_group(instance, place), &words);
	if (cnt > COMMAND_TABLE_PAGE)
		cnt = COMMAND_TABLE_PAGE;
	for (; rule && cnt > 0; cnt--) {
		char text[TABLE_TEXT_BYTES];

		json_array_append_new(lines,
				      json_string(table_format_rule(rule, &words.words, text)));
		rule = rule->priority < UINT32_MAX ? table_next(table, rule->priority + 1) : NULL;
	}
	json_object_set_new(answer, "lines", lines);
	json_object_set_new(answer, "next", rule ? json_integer(rule->priority) : json_null());
}

json_t *command_table_list(struct instance *instance, const json_t *request,
			   struct xfq_error *error)
{
	json_t *tables, *answer;

	if (json_object_get(request, "group")) {
		uint32_t place = command_table_of(instance, request, error);

		if (place == ENGINE_NO_GROUP)
			return NULL;
		answer = command_table_describe(instance, place);
		if (answer)
			command_table_page(instance, place, request, answer);
		return command_table_answer(answer, error);
	}
	tables = json_array();
	for (uint32_t g = 0; g < instance->config->group_cnt; g++) {
		uint32_t place = instance->engine.places[g];

		if (engine_find_table(&instance->engine, place))
			json_array_append_new(tables, command_table_describe(instance, place));
	}
	return command_table_answer(json_pack("{s:o}", "tables", tables), error);
}

/* --- add, del, flush -------------------------------------------------------------------------- */

/* Read the i-th rule of a request. 0, or -errno with a sentence. */
static int command_table_rule(const struct table *table, const struct config_group *group,
			      const char *text, struct table_rule *rule, struct xfq_error *error)
{
	struct command_table_words words;
	struct xfq_error why = {.text = "it is empty"};
	int code = -EINVAL;

	command_table_words(group, &words);
	if (text)
		code = table_parse_rule(rule, text, &words.words, &why);
	if (code)
		return xfq_error_set(error, -EINVAL, "group %s: rule \"%.100s\": %s", group->name,
				     text ? text : "", why.text);
	if (rule->priority == 0)
		return xfq_error_set(error, -EINVAL,
				     "group %s: rule \"%.100s\": it has no priority, which says "
				     "where it stands among the others: above 0, the lowest first",
				     group->name, text);
	if (table_rule(table, rule->priority))
		return xfq_error_set(error, -EEXIST, "group %s: there is a rule of priority %u",
				     group->name, rule->priority);
	return 0;
}

json_t *command_table_add(struct instance *instance, const json_t *request, struct xfq_error *error)
{
	uint32_t place = command_table_of(instance, request, error);
	const json_t *texts = json_object_get(request, "rules");
	size_t cnt = json_array_size(texts);
	struct table_rule *rules;
	int code = 0;

	if (place == ENGINE_NO_GROUP)
		return NULL;
	rules = calloc(cnt + 1, sizeof(*rules));
	if (cnt == 0 || !rules) {
		xfq_error_set(error, cnt ? -ENOMEM : -EINVAL, "\"rules\" is a list of texts");
		free(rules);
		return NULL;
	}
	for (size_t i = 0; i < cnt && code == 0; i++)
		code = command_table_rule(engine_find_table(&instance->engine, place),
					  command_table_group(instance, place),
					  json_string_value(json_array_get(texts, i)), &rules[i],
					  error);
	for (size_t i = 0; i < cnt && code == 0; i++)
		code = engine_add_rule(&instance->engine, place, &rules[i], error);
	free(rules);
	if (code)
		return NULL;
	return command_table_answer(json_pack("{s:I, s:I}", "added", (json_int_t)cnt, "rules",
					      command_table_cnt(instance, place)),
				    error);
}

json_t *command_table_del(struct instance *instance, const json_t *request, struct xfq_error *error)
{
	uint32_t place = command_table_of(instance, request, error);
	const json_t *numbers = json_object_get(request, "priorities"), *number;
	json_int_t removed = 0;
	size_t i;

	if (place == ENGINE_NO_GROUP)
		return NULL;
	if (json_array_size(numbers) == 0) {
		xfq_error_set(error, -EINVAL, "\"priorities\" is a list of numbers");
		return NULL;
	}
	json_array_foreach(numbers, i, number)
	{
		if (json_is_integer(number) && json_integer_value(number) >= 0 &&
		    json_integer_value(number) < UINT32_MAX)
			continue;
		xfq_error_set(error, -EINVAL, "a priority is a number");
		return NULL;
	}
	json_array_foreach(numbers, i, number)
	{
		int code = engine_del_rule(&instance->engine, place,
					   (uint32_t)json_integer_value(number), error);

		if (code < 0)
			return NULL;
		removed += code;
	}
	return command_table_answer(json_pack("{s:I, s:I, s:I}", "removed", removed, "absent",
					      (json_int_t)json_array_size(numbers) - removed,
					      "rules", command_table_cnt(instance, place)),
				    error);
}

json_t *command_table_flush(struct instance *instance, const json_t *request,
			    struct xfq_error *error)
{
	uint32_t place = command_table_of(instance, request, error), at;
	json_int_t removed;

	if (place == ENGINE_NO_GROUP)
		return NULL;
	removed = command_table_cnt(instance, place);
	if (engine_load_rules(&instance->engine, place, NULL, 0, &at, error))
		return NULL;
	return command_table_answer(json_pack("{s:I}", "removed", removed), error);
}

/* --- load ------------------------------------------------------------------------------------- */

struct command_table_load {
	char group[CONFIG_NAME_BYTES];
	char *file; /* what the rules' file is called in errors; owned */
	char *text;
	size_t len, room;
};

int command_table_load_begin(struct instance *instance, const json_t *request, uint64_t data_len,
			     void **state, struct xfq_error *error)
{
	uint32_t place = command_table_of(instance, request, error);
	const char *file = json_string_value(json_object_get(request, "file"));
	struct command_table_load *load;

	if (place == ENGINE_NO_GROUP)
		return error->code;
	load = calloc(1, sizeof(*load));
	if (!load)
		return xfq_error_set(error, -ENOMEM, "no memory for rules");
	*state = load;
	load->file = strdup(file ? file : "rules");
	load->text = malloc(data_len + 1);
	load->room = data_len;
	memcpy(load->group, command_table_group(instance, place)->name, sizeof(load->group));
	if (load->file && load->text)
		return 0;
	command_table_load_free(load);
	*state = NULL;
	return xfq_error_set(error, -ENOMEM, "no memory for %llu bytes of rules",
			     (unsigned long long)data_len);
}

int command_table_load_data(void *state, const char *bytes, size_t len, struct xfq_error *error)
{
	struct command_table_load *load = state;

	if (len > load->room - load->len)
		return xfq_error_set(error, -EPROTO, "more comes than was said");
	memcpy(load->text + load->len, bytes, len);
	load->len += len;
	return 0;
}

struct command_table_faults {
	const char *file;
	json_t *errors;
};

static void command_table_fault(void *context, uint32_t line, const char *text)
{
	const struct command_table_faults *faults = context;

	json_t *error = json_sprintf("%s:%u: %s", faults->file, line, text);

	/* bytes that are no UTF-8 */
	if (!error)
		error = json_sprintf("line %u is no text", line);
	json_array_append_new(faults->errors, error);
}

json_t *command_table_load_end(struct instance *instance, void *state, struct xfq_error *error)
{
	struct command_table_load *load = state;
	/* a reload may have come in between */
	uint32_t place = command_table_find(instance, load->group, error), cnt = 0, at;
	struct command_table_faults faults = {.file = load->file};
	struct command_table_words words;
	struct table_rule *rules = NULL;
	struct xfq_error why;
	int code;

	if (place == ENGINE_NO_GROUP)
		return NULL;
	command_table_words(command_table_group(instance, place), &words);
	faults.errors = json_array();
	code = table_parse_all(load->file, load->text, load->len, &words.words, command_table_fault,
			       &faults, &rules, &cnt, &why);
	if (code == -EINVAL)
		return command_table_answer(
			json_pack("{s:b, s:o}", "loaded", 0, "errors", faults.errors), error);
	json_decref(faults.errors);
	if (code) {
		xfq_error_set(error, code, "%s", why.text);
		return NULL;
	}
	code = engine_load_rules(&instance->engine, place, rules, cnt, &at, error);
	free(rules);
	if (code)
		return NULL;
	return command_table_answer(
		json_pack("{s:b, s:I}", "loaded", 1, "rules", command_table_cnt(instance, place)),
		error);
}

void command_table_load_free(void *state)
{
	struct command_table_load *load = state;

	if (!load)
		return;
	free(load->file);
	free(load->text);
	free(load);
}
