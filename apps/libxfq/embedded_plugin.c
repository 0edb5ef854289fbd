/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_schema.h"
#include "apps/libxfq/embedded.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EMBEDDED_ARGS_MAX 64

static void embedded_free_args(struct xfq_plugin_arg *args, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++) {
		free((char *)(uintptr_t)args[i].name);
		free((char *)(uintptr_t)args[i].value);
	}
	free(args);
}

/* Arguments as the config owns them; NULL: no memory. */
static struct xfq_plugin_arg *embedded_copy_args(const struct xfq_plugin_arg *from, uint32_t cnt)
{
	struct xfq_plugin_arg *args = calloc(cnt, sizeof(*args));

	for (uint32_t i = 0; args && i < cnt; i++) {
		args[i].name = strdup(from[i].name);
		args[i].value = strdup(from[i].value);
		if (args[i].name && args[i].value)
			continue;
		embedded_free_args(args, i + 1);
		return NULL;
	}
	return args;
}

static int embedded_check_plugin(const char *name, const struct xfq_plugin *plugin,
				 const struct xfq_plugin_arg *args, uint32_t arg_cnt,
				 struct xfq_error *error)
{
	if (!name || !config_name_valid(name))
		return xfq_error_set(error, -EINVAL,
				     "\"%.48s\" is no name: 1 to %d letters, digits, '_', '.' or "
				     "'-', and no '.' in front",
				     name ? name : "", CONFIG_NAME_BYTES - 1);
	if (!plugin || (arg_cnt > 0 && !args) || arg_cnt > EMBEDDED_ARGS_MAX)
		return xfq_error_set(error, -EINVAL,
				     "plug-in %s: it needs functions, and at most %d arguments",
				     name, EMBEDDED_ARGS_MAX);
	if (plugin->version != XFQ_PLUGIN_VERSION || plugin->size < sizeof(*plugin))
		return xfq_error_set(
			error, -EPROTONOSUPPORT,
			"plug-in %s: version %u of %u bytes, and this is version %d of "
			"%zu bytes",
			name, plugin->version, plugin->size, XFQ_PLUGIN_VERSION, sizeof(*plugin));
	for (uint32_t i = 0; i < arg_cnt; i++)
		if (!args[i].name || !args[i].value)
			return xfq_error_set(error, -EINVAL,
					     "plug-in %s: argument %u has no name, or no value",
					     name, i);
	return 0;
}

/* The plug-in of a name: the one that a text has left to code, or a new one behind the others. */
static int embedded_find_plugin(struct config *config, const char *name,
				struct config_plugin **found, struct xfq_error *error)
{
	struct config_plugin *plugins;

	for (uint32_t i = 0; i < config->plugin_cnt; i++) {
		struct config_plugin *plugin = &config->plugins[i];

		if (strcmp(plugin->name, name) != 0)
			continue;
		if (plugin->file || plugin->functions)
			return xfq_error_set(error, -EEXIST, "plug-in %s is there already", name);
		*found = plugin;
		return 0;
	}
	if (config->plugin_cnt >= POLICY_PLUGINS_MAX)
		return xfq_error_set(error, -E2BIG, "plug-in %s: there are %d, and no more fit",
				     name, POLICY_PLUGINS_MAX);
	plugins = realloc(config->plugins, POLICY_PLUGINS_MAX * sizeof(*plugins));
	if (!plugins)
		return xfq_error_set(error, -ENOMEM, "no memory for a plug-in");
	config->plugins = plugins;
	*found = &plugins[config->plugin_cnt++];
	memset(*found, 0, sizeof(**found));
	strcpy((*found)->name, name);
	return 0;
}

int xfq_config_plugin(struct xfq_config *config, const char *name, const struct xfq_plugin *plugin,
		      const struct xfq_plugin_arg *args, uint32_t arg_cnt, struct xfq_error *error)
{
	struct xfq_plugin_arg *copy = NULL;
	struct config_plugin *to = NULL;
	int code = embedded_check_plugin(name, plugin, args, arg_cnt, error);

	if (code)
		return code;
	if (arg_cnt > 0) {
		copy = embedded_copy_args(args, arg_cnt);
		if (!copy)
			return xfq_error_set(error, -ENOMEM, "no memory for a plug-in");
	}
	code = embedded_find_plugin(&config->config, name, &to, error);
	if (code) {
		embedded_free_args(copy, copy ? arg_cnt : 0);
		return code;
	}
	to->functions = plugin;
	if (copy) {
		embedded_free_args(to->args, to->arg_cnt);
		to->args = copy;
		to->arg_cnt = arg_cnt;
	}
	return 0;
}
