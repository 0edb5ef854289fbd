/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_yaml.h"
#include "apps/instance/config_document.h"
#include "apps/instance/config_filter.h"
#include "apps/instance/config_group.h"
#include "apps/instance/config_plugin.h"
#include "apps/instance/config_schema.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_FRAMES_MIN     1024
#define CONFIG_FRAMES_MAX     1048576
#define CONFIG_PRIORITY_MAX   10000
#define CONFIG_FLOW_CACHE_MAX (1u << 24)

/* --- interfaces ------------------------------------------------------------------------------ */

static const struct config_word config_queues[] = {{"all", 0, NULL}, {NULL, 0, NULL}};

static const struct config_word config_modes[] = {
	{"auto", CONFIG_MODE_AUTO, NULL},
	{"zero-copy", CONFIG_MODE_ZERO_COPY, NULL},
	{"native", CONFIG_MODE_NATIVE, NULL},
	{"generic", CONFIG_MODE_GENERIC, NULL},
	{"mirror", CONFIG_MODE_MIRROR, NULL},
	{"af_packet", CONFIG_MODE_AF_PACKET, NULL},
	{NULL, 0, NULL},
};

bool config_interface_name_valid(const char *name)
{
	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (const char *at = name; *at; at++)
		if ((unsigned char)*at <= ' ' || *at == 0x7f || *at == '/' || *at == ':')
			return false;
	return strlen(name) < IF_NAMESIZE;
}

static void config_interface_read_name(struct config_reader *reader, int node, void *object)
{
	struct config_interface *interface = object;
	const char *name = config_text(reader, node, 4096);

	if (!name)
		return;
	if (config_interface_name_valid(name))
		strcpy(interface->name, name);
	else
		config_fail(reader, node,
			    "\"%.48s\" is no interface: wants 1 to %d characters without blanks, "
			    "'/' and ':'",
			    name, IF_NAMESIZE - 1);
}

static const struct config_word config_attaches[] = {
	{"exclusive", CONFIG_ATTACH_EXCLUSIVE, NULL},
	{"shared", CONFIG_ATTACH_SHARED, NULL},
	{NULL, 0, NULL},
};

enum { CONFIG_INTERFACE_NAME = 0, CONFIG_INTERFACE_ATTACH, CONFIG_INTERFACE_PRIORITY };
static const struct config_key config_interface_keys[] = {
	[CONFIG_INTERFACE_NAME] = {.name = "name",
				   .kind = CONFIG_KIND_READ,
				   .required = true,
				   .read = config_interface_read_name},
	[CONFIG_INTERFACE_ATTACH] = {.name = "attach",
				     CONFIG_MEMBER(struct config_interface, attach),
				     .words = config_attaches},
	[CONFIG_INTERFACE_PRIORITY] = {.name = "priority",
				       .kind = CONFIG_KIND_NUMBER,
				       CONFIG_MEMBER(struct config_interface, priority),
				       .min = 1,
				       .max = CONFIG_PRIORITY_MAX},
	{.name = "queues", .words = config_queues},
	{.name = "mode", CONFIG_MEMBER(struct config_interface, mode), .words = config_modes},
	{.name = "promiscuous",
	 .kind = CONFIG_KIND_BOOL,
	 CONFIG_MEMBER(struct config_interface, promiscuous)},
	{.name = NULL},
};

/* What a program that is attached beside others needs: to be an XDP program. */
static void config_interface_check_attach(struct config_reader *reader, const int *at,
					  const struct config_interface *interface)
{
	bool shared = interface->attach == CONFIG_ATTACH_SHARED;
	size_t mark;

	if (shared &&
	    (interface->mode == CONFIG_MODE_MIRROR || interface->mode == CONFIG_MODE_AF_PACKET)) {
		mark = config_path_push(reader, ".attach");
		config_fail(reader, at[CONFIG_INTERFACE_ATTACH],
			    "in modes mirror and af_packet XFQ has no XDP program on the "
			    "interface, and is beside others anyway");
		config_path_pop(reader, mark);
	}
	if (!shared && at[CONFIG_INTERFACE_PRIORITY] != 0) {
		mark = config_path_push(reader, ".priority");
		config_fail(reader, at[CONFIG_INTERFACE_PRIORITY],
			    "belongs to attach: shared alone");
		config_path_pop(reader, mark);
	}
}

static void config_interface_read(struct config_reader *reader, const struct config_item *item,
				  void *object)
{
	struct config *config = object;
	struct config_interface *interface = &config->interfaces[item->index];
	int at[CONFIG_KEYS_MAX];

	interface->promiscuous = true;
	interface->priority = CONFIG_PRIORITY;
	config->interface_cnt = item->index + 1;
	if (!config_map_read(reader, item->node, config_interface_keys, interface, at))
		return;
	config_interface_check_attach(reader, at, interface);
	for (uint32_t i = 0; i < item->index; i++) {
		size_t mark;

		if (interface->name[0] == '\0' ||
		    strcmp(config->interfaces[i].name, interface->name) != 0)
			continue;
		mark = config_path_push(reader, ".name");
		config_fail(reader, at[CONFIG_INTERFACE_NAME], "%s is already interfaces[%u]",
			    interface->name, i);
		config_path_pop(reader, mark);
		return;
	}
}

static void config_interfaces_read(struct config_reader *reader, int node, void *object)
{
	struct config *config = object;

	config->interfaces = calloc(XDP_INTERFACES_MAX, sizeof(*config->interfaces));
	if (!config->interfaces)
		reader->out_of_memory = true;
	else
		config_list_read(reader, node, XDP_INTERFACES_MAX, "interfaces",
				 config_interface_read, config);
}

/* --- workers --------------------------------------------------------------------------------- */

static void config_cpus_add(struct config_reader *reader, int node, struct config_workers *workers,
			    const char *range)
{
	uint32_t lo, hi;

	if (!config_range_parse(range, CONFIG_CPUS_MAX - 1, &lo, &hi)) {
		config_fail(reader, node,
			    "\"%.48s\" is not a CPU from 0 to %d or a range LO-HI of them", range,
			    CONFIG_CPUS_MAX - 1);
		return;
	}
	for (uint32_t cpu = lo; cpu <= hi; cpu++) {
		for (uint32_t i = 0; i < workers->cpu_cnt; i++) {
			if (workers->cpus[i] == cpu) {
				config_fail(reader, node, "CPU %u is given twice", cpu);
				return;
			}
		}
		workers->cpus[workers->cpu_cnt++] = (uint16_t)cpu;
	}
}

static void config_cpus_read_item(struct config_reader *reader, const struct config_item *item,
				  void *object)
{
	const char *text = config_text(reader, item->node, 64);

	if (text)
		config_cpus_add(reader, item->node, object, text);
}

static void config_cpus_read(struct config_reader *reader, int node, void *object)
{
	const yaml_node_t *found = yaml_document_get_node(reader->document, node);
	struct config_workers *workers = object;
	const char *text;

	workers->cpus = calloc(CONFIG_CPUS_MAX, sizeof(*workers->cpus));
	if (!workers->cpus) {
		reader->out_of_memory = true;
		return;
	}
	if (found->type == YAML_SEQUENCE_NODE) {
		config_list_read(reader, node, CONFIG_CPUS_MAX, "CPUs", config_cpus_read_item,
				 workers);
		if (found->data.sequence.items.start == found->data.sequence.items.top)
			config_fail(reader, node, "the list is empty; \"auto\" lets XFQ choose");
		return;
	}
	text = config_text(reader, node, 64);
	if (text && strcmp(text, "auto") != 0) {
		config_cpus_add(reader, node, workers, text);
		return;
	}
	free(workers->cpus);
	workers->cpus = NULL;
}

static const struct config_word config_idles[] = {
	{"adaptive", CONFIG_IDLE_ADAPTIVE, NULL},
	{"spin", CONFIG_IDLE_SPIN, NULL},
	{"sleep", CONFIG_IDLE_SLEEP, NULL},
	{NULL, 0, NULL},
};

static const struct config_word config_frame_sizes[] = {
	{"2048", 2048, NULL},
	{"4096", 4096, NULL},
	{NULL, 0, NULL},
};

static const struct config_key config_worker_keys[] = {
	{.name = "cpus", .kind = CONFIG_KIND_READ, .read = config_cpus_read},
	{.name = "idle", CONFIG_MEMBER(struct config_workers, idle), .words = config_idles},
	{.name = "frames",
	 .kind = CONFIG_KIND_NUMBER,
	 CONFIG_MEMBER(struct config_workers, frames),
	 .min = CONFIG_FRAMES_MIN,
	 .max = CONFIG_FRAMES_MAX},
	{.name = "flow_cache",
	 .kind = CONFIG_KIND_NUMBER,
	 CONFIG_MEMBER(struct config_workers, flow_cache),
	 .max = CONFIG_FLOW_CACHE_MAX},
	{.name = "frame_size",
	 CONFIG_MEMBER(struct config_workers, frame_size),
	 .words = config_frame_sizes},
	{.name = NULL},
};

static void config_workers_read(struct config_reader *reader, int node, void *object)
{
	struct config *config = object;

	config_map_read(reader, node, config_worker_keys, &config->workers, NULL);
}

/* --- the whole ------------------------------------------------------------------------------- */

/* Sets and plug-ins come before the groups that name them. */
static const struct config_key config_keys[] = {
	{.name = "name", .kind = CONFIG_KIND_NAME, CONFIG_MEMBER(struct config, name)},
	{.name = "interfaces", .kind = CONFIG_KIND_READ, .read = config_interfaces_read},
	{.name = "workers", .kind = CONFIG_KIND_READ, .read = config_workers_read},
	{.name = "filter", .kind = CONFIG_KIND_READ, .read = config_filter_read},
	{.name = "egress", .kind = CONFIG_KIND_READ, .read = config_egress_read},
	{.name = "plugins", .kind = CONFIG_KIND_READ, .read = config_plugins_read},
	{.name = "groups", .kind = CONFIG_KIND_READ, .read = config_groups_read},
	{.name = NULL},
};

void config_name_default(struct config *config)
{
	if (config->interface_cnt == 0) {
		strcpy(config->name, "xfq");
		return;
	}
	strcpy(config->name, config->interfaces[0].name);
	for (char *at = config->name; *at; at++) {
		char one[2] = {*at, '\0'};

		if (!config_name_valid(one) && !(*at == '.' && at != config->name))
			*at = '_';
	}
}

static int config_read_document(struct config *config, struct config_reader *reader)
{
	int at[CONFIG_KEYS_MAX];

	if (config_map_read(reader, 1, config_keys, config, at) && at[0] == 0)
		config_name_default(config);
	config->path = strdup(reader->file);
	if (!config->path || reader->out_of_memory)
		return -ENOMEM;
	if (config_errors_any(reader->errors))
		return -EINVAL;
	/* every expression has compiled already, but for a text that stands alone */
	return reader->dir ? config_claim(config, NULL) : 0;
}

/* What every failing reader ends with. */
static int config_read_end(struct config *config, const char *name, struct config_errors *errors,
			   int code)
{
	if (code == -ENOMEM)
		config_errors_add(errors, name, 1, 1, "out of memory");
	config_errors_sort(errors, name);
	if (code != 0)
		config_destroy(config);
	return code;
}

int config_read_buffer(struct config *config, const char *name, const char *dir, const void *text,
		       size_t len, struct config_errors *errors)
{
	struct config_reader reader = {.file = name, .dir = dir, .errors = errors};
	yaml_document_t document;
	int code;

	config_init(config);
	if (len > CONFIG_FILE_BYTES_MAX) {
		config_errors_add(errors, name, 1, 1, "is larger than the %u MiB that are read",
				  CONFIG_FILE_BYTES_MAX >> 20);
		return config_read_end(config, name, errors, -EFBIG);
	}
	code = config_document_load(&document, name, text, len, errors);
	if (code == 0) {
		reader.document = &document;
		code = config_read_document(config, &reader);
		yaml_document_delete(&document);
	}
	return config_read_end(config, name, errors, code);
}

int config_read(struct config *config, const char *path, struct config_errors *errors)
{
	const char *slash = strrchr(path, '/');
	char problem[256];
	char *dir, *text;
	size_t len;
	int code;

	config_init(config);
	code = config_file_read(path, CONFIG_FILE_BYTES_MAX, false, &text, &len);
	if (code != 0) {
		if (code != -ENOMEM)
			config_errors_add(errors, path, 1, 1, "%s",
					  config_file_problem(code, CONFIG_FILE_BYTES_MAX, problem,
							      sizeof(problem)));
		return config_read_end(config, path, errors, code);
	}
	if (!slash)
		dir = strdup(".");
	else
		dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	code = dir ? config_read_buffer(config, path, dir, text, len, errors)
		   : config_read_end(config, path, errors, -ENOMEM);
	free(dir);
	free(text);
	return code;
}
