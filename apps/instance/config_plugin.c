/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_plugin.h"
#include "apps/instance/config_document.h"
#include "workers/config.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The path of a shared object; with a '/', or the loader would look for it elsewhere. */
static char *config_plugin_path(const char *dir, const char *file)
{
	char *path = config_file_path(dir ? dir : "", file), *slashed;

	if (!path || strchr(path, '/'))
		return path;
	if (asprintf(&slashed, "./%s", path) < 0)
		slashed = NULL;
	free(path);
	return slashed;
}

static void config_plugin_read_file(struct config_reader *reader, int node, void *object)
{
	struct config_plugin *plugin = object;
	const char *file = config_text(reader, node, PATH_MAX - 1);
	struct stat found;

	if (!file)
		return;
	plugin->file = config_plugin_path(reader->dir, file);
	if (!plugin->file)
		reader->out_of_memory = true;
	else if (reader->dir && (stat(plugin->file, &found) != 0 || !S_ISREG(found.st_mode)))
		config_fail(reader, node, "there is no file %.1000s", plugin->file);
}

static void config_plugin_read_arg(struct config_reader *reader, const struct config_item *item,
				   void *object)
{
	struct config_plugin *plugin = object;
	struct xfq_plugin_arg *arg = &plugin->args[plugin->arg_cnt];

	arg->value = config_text_copy(reader, item->node, CONFIG_PLUGIN_ARG_MAX);
	if (!arg->value)
		return;
	arg->name = strdup(item->name);
	reader->out_of_memory |= !arg->name;
	plugin->arg_cnt++;
}

static void config_plugin_read_args(struct config_reader *reader, int node, void *object)
{
	struct config_plugin *plugin = object;

	plugin->args = calloc(CONFIG_PLUGIN_ARGS_MAX, sizeof(*plugin->args));
	if (!plugin->args)
		reader->out_of_memory = true;
	else
		config_names_read(reader, node, CONFIG_PLUGIN_ARGS_MAX, "arguments",
				  config_plugin_read_arg, plugin);
}

static const struct config_key config_plugin_keys[] = {
	{.name = "file", .kind = CONFIG_KIND_READ, .read = config_plugin_read_file},
	{.name = "args", .kind = CONFIG_KIND_READ, .read = config_plugin_read_args},
	{.name = NULL},
};

static void config_plugin_read(struct config_reader *reader, const struct config_item *item,
			       void *object)
{
	struct config *config = object;
	struct config_plugin *plugin = &config->plugins[item->index];

	strcpy(plugin->name, item->name);
	plugin->line = config_node_line(reader, item->key);
	config->plugin_cnt = item->index + 1;
	config_map_read(reader, item->node, config_plugin_keys, plugin, NULL);
}

void config_plugins_read(struct config_reader *reader, int node, void *object)
{
	struct config *config = object;

	config->plugins = calloc(POLICY_PLUGINS_MAX, sizeof(*config->plugins));
	if (!config->plugins)
		reader->out_of_memory = true;
	else
		config_names_read(reader, node, POLICY_PLUGINS_MAX, "plug-ins", config_plugin_read,
				  config);
}
