/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_set.h"
#include "apps/instance/config_document.h"
#include "xdp/set_text.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

int config_set_parse(struct set *set, const char *file, const char *text, size_t len, uint32_t at,
		     struct config_errors *errors)
{
	const char *end = text + len;
	uint32_t number = 0, bad = 0, first_untold = 0;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *line_end = newline ? newline : end;
		struct set_member member;
		struct xfq_error error;
		int code =
			set_parse_line(set->type, &member, text, (size_t)(line_end - text), &error);

		number++;
		text = line_end + 1;
		if (code == 0)
			code = set_add(set, &member);
		if (code == -ENOMEM)
			return code;
		if (code == -ENOSPC) {
			config_errors_add(errors, file, number, at,
					  "more members than the set may have (%u)", set->cnt);
			return -EINVAL;
		}
		if (code >= 0)
			continue;
		if (++bad <= CONFIG_SET_ERRORS_MAX)
			config_errors_add(errors, file, number, at, "%s", error.text);
		else if (first_untold == 0)
			first_untold = number;
	}
	if (first_untold)
		config_errors_add(errors, file, first_untold, at, "and %u more lines like these",
				  bad - CONFIG_SET_ERRORS_MAX);
	return bad ? -EINVAL : 0;
}

/* Read the set file that a node names. */
static void config_set_read_file(struct config_reader *reader, int node, void *object)
{
	struct set *set = object;
	const char *file = config_text(reader, node, PATH_MAX - 1);
	char *path = NULL, *text = NULL;
	char problem[256];
	size_t len;
	int code;

	if (!file)
		return;
	if (!reader->dir) {
		config_fail(reader, node, "a configuration that is no file cannot name files");
		return;
	}
	path = config_file_path(reader->dir, file);
	if (!path) {
		reader->out_of_memory = true;
		return;
	}
	code = config_file_read(path, CONFIG_SET_FILE_BYTES_MAX, true, &text, &len);
	if (code == 0) {
		code = config_set_parse(set, path, text, len, config_node_line(reader, node),
					reader->errors);
		free(text);
	} else if (code != -ENOMEM) {
		config_fail(reader, node, "%s %s", path,
			    config_file_problem(code, CONFIG_SET_FILE_BYTES_MAX, problem,
						sizeof(problem)));
	}
	if (code == -ENOMEM)
		reader->out_of_memory = true;
	free(path);
}

static void config_set_read_entry(struct config_reader *reader, const struct config_item *item,
				  void *object)
{
	const char *text = config_text(reader, item->node, SET_TEXT_BYTES - 1);
	struct set *set = object;
	struct set_member member;
	struct xfq_error error;
	int code;

	if (!text)
		return;
	if (set_parse_member(set->type, &member, text, &error) != 0) {
		config_fail(reader, item->node, "%s", error.text);
		return;
	}
	code = set_add(set, &member);
	if (code == -ENOSPC)
		config_fail(reader, item->node, "more members than the set may have (%u)",
			    set->cnt);
	else if (code < 0)
		reader->out_of_memory = true;
}

static void config_set_read_entries(struct config_reader *reader, int node, void *object)
{
	config_list_read(reader, node, UINT32_MAX, "entries", config_set_read_entry, object);
}

static const struct config_word config_set_types[] = {
	{"net", SET_NET, NULL},   {"address", SET_ADDRESS, NULL}, {"port", SET_PORT, NULL},
	{"flow", SET_FLOW, NULL}, {"mac", SET_MAC, NULL},         {NULL, 0, NULL},
};

/* in this order: what members are, and how many there may be, is known before the first */
static const struct config_key config_set_keys[] = {
	{.name = "type",
	 .required = true,
	 CONFIG_MEMBER(struct set, type),
	 .words = config_set_types},
	{.name = "hits", .kind = CONFIG_KIND_BOOL, CONFIG_MEMBER(struct set, hits)},
	{.name = "max",
	 .kind = CONFIG_KIND_NUMBER,
	 CONFIG_MEMBER(struct set, max),
	 .min = 1,
	 .max = SET_MEMBERS_MAX},
	{.name = "file", .kind = CONFIG_KIND_READ, .read = config_set_read_file},
	{.name = "entries", .kind = CONFIG_KIND_READ, .read = config_set_read_entries},
	{.name = NULL},
};

static void config_set_read(struct config_reader *reader, const struct config_item *item,
			    void *object)
{
	struct config *config = object;
	struct set *set = calloc(1, sizeof(*set));

	if (!set) {
		reader->out_of_memory = true;
		return;
	}
	config->sets[item->index] = set;
	config->set_cnt = item->index + 1;
	strcpy(set->name, item->name);
	if (config_map_read(reader, item->node, config_set_keys, set, NULL))
		set->source = set_source(set);
}

void config_sets_read(struct config_reader *reader, int node, struct config *config)
{
	config->sets = calloc(XDP_SETS_MAX, sizeof(*config->sets));
	if (!config->sets) {
		reader->out_of_memory = true;
		return;
	}
	config_names_read(reader, node, XDP_SETS_MAX, "sets", config_set_read, config);
	config->filter.sets = (const struct set *const *)config->sets;
	config->filter.set_cnt = config->set_cnt;
}

/* --- membership ------------------------------------------------------------------------------ */

/* A membership being read. */
struct config_in_draft {
	struct config_in in;
	const struct config *config;
};

static void config_in_read_set(struct config_reader *reader, int node, void *object)
{
	struct config_in_draft *draft = object;
	const char *name = config_text(reader, node, 4096);

	if (!name)
		return;
	for (uint32_t i = 0; i < draft->config->set_cnt && !draft->in.found; i++) {
		draft->in.set = i;
		draft->in.found = strcmp(draft->config->sets[i]->name, name) == 0;
	}
	if (!draft->in.found)
		config_fail(reader, node, "there is no set \"%.48s\" in filter.sets", name);
}

static const struct config_word config_in_fields[] = {
	{"src", XDP_FIELD_SRC, NULL},
	{"dst", XDP_FIELD_DST, NULL},
	{"either", XDP_FIELD_SRC | XDP_FIELD_DST, NULL},
	{NULL, 0, NULL},
};

/* `not` is the first, and left out where there is no such key. */
enum { CONFIG_IN_NOT = 0, CONFIG_IN_SET, CONFIG_IN_FIELD };
static const struct config_key config_in_keys[] = {
	[CONFIG_IN_NOT] = {.name = "not",
			   .kind = CONFIG_KIND_BOOL,
			   CONFIG_MEMBER(struct config_in_draft, in.negated)},
	[CONFIG_IN_SET] = {.name = "set",
			   .kind = CONFIG_KIND_READ,
			   .required = true,
			   .read = config_in_read_set},
	[CONFIG_IN_FIELD] = {.name = "field",
			     CONFIG_MEMBER(struct config_in_draft, in.fields),
			     .words = config_in_fields},
	{.name = NULL},
};

bool config_in_read(struct config_reader *reader, int node, const struct config *config,
		    bool may_negate, struct config_in *in)
{
	struct config_in_draft draft = {.config = config};
	const int skipped = may_negate ? 0 : CONFIG_IN_SET;
	int at[CONFIG_KEYS_MAX], field;
	bool flows;

	if (!config_map_read(reader, node, config_in_keys + skipped, &draft, at))
		return false;
	field = at[CONFIG_IN_FIELD - skipped];
	*in = draft.in;
	flows = in->found && config->sets[in->set]->type == SET_FLOW;
	if (flows && field != 0)
		config_fail_key(reader, field, "field",
				"a set of flows has both ends of each; leave field out");
	else if (!flows && field == 0)
		config_fail_key(reader, node, "field", "is missing");
	return in->found;
}
