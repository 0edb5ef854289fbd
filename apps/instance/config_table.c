/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_table.h"
#include "apps/instance/config_document.h"
#include "steering/table_text.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct config_table_faults {
	struct config_reader *reader;
	int node;
	const char *path;
};

static void config_table_fault(void *context, uint32_t line, const char *text)
{
	const struct config_table_faults *faults = context;

	config_errors_add(faults->reader->errors, faults->path, line,
			  config_node_line(faults->reader, faults->node), "%s", text);
}

/* Read the group's file. */
static void config_table_load(struct config_reader *reader, int node, struct config_group *group)
{
	const char *classes[GROUP_CLASSES_MAX];
	const char *path = group->spec.table;
	struct config_table_faults faults = {reader, node, path};
	struct table_words words = {
		.otherwise = group->spec.table_outcome,
		.classes = classes,
		.class_cnt = group->spec.class_cnt,
		.group = group->name,
	};
	char problem[256], *text;
	size_t len;
	int code;

	for (uint32_t i = 0; i < group->spec.class_cnt; i++)
		classes[i] = group->spec.classes[i];
	code = config_file_read(path, CONFIG_SET_FILE_BYTES_MAX, true, &text, &len);
	if (code == 0) {
		code = table_parse_all(path, text, len, &words, config_table_fault, &faults,
				       &group->rules, &group->rule_cnt, NULL);
		free(text);
	} else if (code != -ENOMEM) {
		config_fail(reader, node, "%s %s", path,
			    config_file_problem(code, CONFIG_SET_FILE_BYTES_MAX, problem,
						sizeof(problem)));
	}
	reader->out_of_memory |= code == -ENOMEM;
}

static const struct config_word config_table_actions[] = {
	{"deliver", TABLE_DELIVER, NULL},
	{"drop", TABLE_DROP, NULL},
	{NULL, 0, NULL},
};

struct config_table {
	char *file;
	uint16_t outcome;
};

enum { CONFIG_TABLE_FILE = 0, CONFIG_TABLE_ACTION };
static const struct config_key config_table_keys[] = {
	[CONFIG_TABLE_FILE] = {.name = "file",
			       .kind = CONFIG_KIND_TEXT,
			       .required = true,
			       CONFIG_MEMBER(struct config_table, file),
			       .max = PATH_MAX - 1},
	[CONFIG_TABLE_ACTION] = {.name = "action",
				 CONFIG_MEMBER(struct config_table, outcome),
				 .words = config_table_actions},
	{.name = NULL},
};

void config_table_read(struct config_reader *reader, int node, struct config_group *group)
{
	struct config_table table = {.outcome = TABLE_DELIVER};
	int at[CONFIG_KEYS_MAX] = {node};

	if (config_node_type(reader, node) == YAML_MAPPING_NODE)
		config_map_read(reader, node, config_table_keys, &table, at);
	else
		table.file = config_text_copy(reader, node, PATH_MAX - 1);
	if (!table.file)
		return;
	group->spec.table = config_file_path(reader->dir ? reader->dir : "", table.file);
	group->spec.table_outcome = table.outcome;
	free(table.file);
	if (!group->spec.table)
		reader->out_of_memory = true;
	else if (reader->dir)
		config_table_load(reader, at[CONFIG_TABLE_FILE], group);
}
