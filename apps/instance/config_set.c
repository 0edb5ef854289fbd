/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_set.h"
#include "apps/instance/config_document.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No prefix is as long as this; what is longer is cut, and refused all the same. */
#define CONFIG_PREFIX_BYTES 128

static bool config_set_is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

/* Parse one line of a file. 1: no prefix in it; else as netset_parse() and netset_add(). */
static int config_set_parse_line(struct netset *nets, const char *line, size_t len,
				 struct xfq_error *error)
{
	const char *comment = memchr(line, '#', len);
	char text[CONFIG_PREFIX_BYTES];
	struct netset_prefix prefix;
	int code;

	if (comment)
		len = (size_t)(comment - line);
	while (len > 0 && config_set_is_blank(line[len - 1]))
		len--;
	while (len > 0 && config_set_is_blank(line[0])) {
		line++;
		len--;
	}
	if (len == 0)
		return 1;
	if (memchr(line, 0, len))
		return xfq_error_set(error, -EINVAL, "a NUL byte: this is not a text file");
	if (len >= sizeof(text))
		len = sizeof(text) - 1;
	memcpy(text, line, len);
	text[len] = '\0';
	code = netset_parse(&prefix, text, error);
	return code ? code : netset_add(nets, &prefix);
}

int config_set_parse(struct netset *nets, const char *file, const char *text, size_t len,
		     uint32_t at, struct config_errors *errors)
{
	const char *end = text + len;
	uint32_t number = 0, bad = 0, first_untold = 0;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *line_end = newline ? newline : end;
		struct xfq_error error;
		int code = config_set_parse_line(nets, text, (size_t)(line_end - text), &error);

		number++;
		text = line_end + 1;
		if (code == -ENOMEM)
			return code;
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

/* `file`, by itself or below the configuration's folder. The caller frees it; NULL: no memory. */
static char *config_set_path(const char *dir, const char *file)
{
	char *path;

	if (file[0] == '/' || strcmp(dir, ".") == 0 || dir[0] == '\0')
		return strdup(file);
	return asprintf(&path, "%s/%s", dir, file) < 0 ? NULL : path;
}

/* Read the set file that a node names. */
static void config_set_read_file(struct config_reader *reader, int node, void *object)
{
	struct config_set *set = object;
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
	path = config_set_path(reader->dir, file);
	if (!path) {
		reader->out_of_memory = true;
		return;
	}
	code = config_file_read(path, CONFIG_SET_FILE_BYTES_MAX, true, &text, &len);
	if (code == 0) {
		code = config_set_parse(&set->nets, path, text, len, config_node_line(reader, node),
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
	const char *text = config_text(reader, item->node, CONFIG_PREFIX_BYTES);
	struct config_set *set = object;
	struct netset_prefix prefix;
	struct xfq_error error;

	if (!text)
		return;
	if (netset_parse(&prefix, text, &error) != 0)
		config_fail(reader, item->node, "%s", error.text);
	else if (netset_add(&set->nets, &prefix) != 0)
		reader->out_of_memory = true;
}

static void config_set_read_entries(struct config_reader *reader, int node, void *object)
{
	config_list_read(reader, node, UINT32_MAX, "entries", config_set_read_entry, object);
}

#define CONFIG_SET_NET "use net: addresses and prefixes, IPv4 and IPv6"
static const struct config_word config_set_types[] = {
	{"net", 0, NULL},
	{"address", 0, CONFIG_SET_NET},
	{"addr", 0, CONFIG_SET_NET},
	{"ip", 0, CONFIG_SET_NET},
	{"port", 0, "name ports or a range of them in the rules: port, sport, dport"},
	{"ports", 0, "name ports or a range of them in the rules: port, sport, dport"},
	{"flow", 0, "use net for the addresses, and proto and ports in the rule"},
	{"flows", 0, "use net for the addresses, and proto and ports in the rule"},
	{NULL, 0, NULL},
};

enum { CONFIG_SET_TYPE = 0, CONFIG_SET_FILE, CONFIG_SET_ENTRIES };
static const struct config_key config_set_keys[] = {
	[CONFIG_SET_TYPE] = {.name = "type", .required = true, .words = config_set_types},
	[CONFIG_SET_FILE] = {.name = "file",
			     .kind = CONFIG_KIND_READ,
			     .read = config_set_read_file},
	[CONFIG_SET_ENTRIES] = {.name = "entries",
				.kind = CONFIG_KIND_READ,
				.read = config_set_read_entries},
	{.name = NULL},
};

static void config_set_read(struct config_reader *reader, const struct config_item *item,
			    void *object)
{
	struct config_filter *filter = object;
	struct config_set *set = &filter->sets[item->index];
	int at[CONFIG_KEYS_MAX];

	strcpy(set->name, item->name);
	filter->set_cnt = item->index + 1;
	if (!config_map_read(reader, item->node, config_set_keys, set, at))
		return;
	if (at[CONFIG_SET_FILE] == 0 && at[CONFIG_SET_ENTRIES] == 0)
		config_fail(reader, item->node, "wants a file or entries, or both");
	if (netset_seal(&set->nets) != 0)
		reader->out_of_memory = true;
}

void config_sets_read(struct config_reader *reader, int node, struct config *config)
{
	config->filter.sets = calloc(XDP_SETS_MAX, sizeof(*config->filter.sets));
	if (!config->filter.sets) {
		reader->out_of_memory = true;
		return;
	}
	config_names_read(reader, node, XDP_SETS_MAX, "sets", config_set_read, &config->filter);
}
