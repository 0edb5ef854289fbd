/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/plugin.h"
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What every plug-in of version 1 has. */
#define PLUGIN_SIZE_MIN (offsetof(struct xfq_plugin, steer) + sizeof(void *))

struct plugin {
	uint32_t holders;
	struct config_plugin said; /* owned: name, file, arguments */
	void *object;              /* of dlopen(); NULL: functions given by code */
	struct xfq_plugin functions;
	void *instance;
	bool created;
	uint32_t state_cnt; /* made so far */
	void **states;      /* owned; by worker */
};

/* --- one plug-in ------------------------------------------------------------------------------ */

static bool plugin_same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool plugin_same(const struct config_plugin *a, const struct config_plugin *b)
{
	if (strcmp(a->name, b->name) != 0 || !plugin_same_text(a->file, b->file) ||
	    a->functions != b->functions || a->arg_cnt != b->arg_cnt)
		return false;
	for (uint32_t i = 0; i < a->arg_cnt; i++)
		if (!plugin_same_text(a->args[i].name, b->args[i].name) ||
		    !plugin_same_text(a->args[i].value, b->args[i].value))
			return false;
	return true;
}

static void plugin_forget(struct config_plugin *said)
{
	for (uint32_t i = 0; i < said->arg_cnt; i++) {
		free((char *)(uintptr_t)said->args[i].name);
		free((char *)(uintptr_t)said->args[i].value);
	}
	free(said->args);
	free(said->file);
}

/* Copy what the config says: a plug-in outlives it where a reload keeps it, and so may read its
 * arguments for as long as it lives. */
static int plugin_note(struct config_plugin *to, const struct config_plugin *from)
{
	memcpy(to->name, from->name, sizeof(to->name));
	to->functions = from->functions;
	to->file = from->file ? strdup(from->file) : NULL;
	to->args = calloc(from->arg_cnt + 1, sizeof(*to->args));
	if ((from->file && !to->file) || !to->args)
		return -ENOMEM;
	for (; to->arg_cnt < from->arg_cnt; to->arg_cnt++) {
		struct xfq_plugin_arg *arg = &to->args[to->arg_cnt];
		const struct xfq_plugin_arg *said = &from->args[to->arg_cnt];

		arg->name = strdup(said->name ? said->name : "");
		arg->value = strdup(said->value ? said->value : "");
		if (!arg->name || !arg->value) {
			to->arg_cnt++;
			return -ENOMEM;
		}
	}
	return 0;
}

static void plugin_release(struct plugin *plugin)
{
	const struct xfq_plugin *functions = &plugin->functions;

	if (--plugin->holders > 0)
		return;
	while (plugin->state_cnt > 0) {
		plugin->state_cnt--;
		if (functions->create_state && functions->destroy_state)
			functions->destroy_state(plugin->instance,
						 plugin->states[plugin->state_cnt]);
	}
	if (plugin->created && functions->destroy)
		functions->destroy(plugin->instance);
	if (plugin->object)
		dlclose(plugin->object);
	free(plugin->states);
	plugin_forget(&plugin->said);
	free(plugin);
}

/* Whether what a user can change may run as root: root's, and that of whom this program belongs to
 * anyway. */
static bool plugin_trusts(uid_t owner)
{
	struct stat program;

	return owner == 0 || (stat("/proc/self/exe", &program) == 0 && program.st_uid == owner);
}

/* --- its file --------------------------------------------------------------------------------- */

static int plugin_check_stat(const char *name, const char *path, const char *what, bool is_file,
			     struct xfq_error *error)
{
	struct stat now;
	bool shared;

	if (stat(path, &now))
		return xfq_error_set(error, -errno, "plug-in %s: %s: %s", name, path,
				     strerror(errno));
	if (is_file && !S_ISREG(now.st_mode))
		return xfq_error_set(error, -ENOEXEC, "plug-in %s: %s is no file", name, path);
	/* in a sticky folder nobody but the owner of a file can put another in its place */
	shared = (now.st_mode & (S_IWGRP | S_IWOTH)) && (is_file || !(now.st_mode & S_ISVTX));
	if (geteuid() == 0 && shared)
		return xfq_error_set(
			error, -EPERM,
			"plug-in %s: %s%s can be written by others than its owner, and "
			"what is loaded here runs as root: chmod go-w %s",
			name, what, path, path);
	if (geteuid() == 0 && !plugin_trusts(now.st_uid))
		return xfq_error_set(
			error, -EPERM,
			"plug-in %s: %s%s belongs to user %u, who can change it, and what is "
			"loaded here runs as root: chown root %s",
			name, what, path, (unsigned)now.st_uid, path);
	return 0;
}

/* Whether the file may be loaded: by root only what others cannot change. */
static int plugin_check_file(const char *name, char *path, struct xfq_error *error)
{
	int code = plugin_check_stat(name, path, "", true, error);
	char *slash;

	if (code)
		return code;
	slash = strrchr(path, '/');
	if (!slash || slash == path)
		return 0;
	*slash = '\0';
	code = plugin_check_stat(name, path, "the folder ", false, error);
	*slash = '/';
	return code;
}

static int plugin_check_functions(const char *name, const struct xfq_plugin *functions,
				  struct xfq_plugin *to, struct xfq_error *error)
{
	if (!functions)
		return xfq_error_set(error, -ENOEXEC, "plug-in %s: it offers nothing", name);
	if (functions->version != XFQ_PLUGIN_VERSION)
		return xfq_error_set(error, -EPROTONOSUPPORT,
				     "plug-in %s: it was made for version %u of xfq/plugin.h, and "
				     "this is version %d: build it again",
				     name, functions->version, XFQ_PLUGIN_VERSION);
	if (functions->size < PLUGIN_SIZE_MIN)
		return xfq_error_set(error, -EPROTONOSUPPORT,
				     "plug-in %s: its structure has %u bytes, and %zu belong to "
				     "version %d",
				     name, functions->size, PLUGIN_SIZE_MIN, XFQ_PLUGIN_VERSION);
	memcpy(to, functions, functions->size < sizeof(*to) ? functions->size : sizeof(*to));
	to->size = sizeof(*to);
	if (!to->match && !to->steer)
		return xfq_error_set(
			error, -ENOEXEC,
			"plug-in %s: it has neither a predicate (match) nor a steering "
			"function (steer)",
			name);
	return 0;
}

/* Open the shared object and get what it offers. */
static int plugin_open(struct plugin *plugin, struct xfq_error *error)
{
	const char *name = plugin->said.name;
	xfq_plugin_function *function;
	char path[PATH_MAX];
	const char *why;
	void *symbol;
	int code;

	/* a name without '/' would be looked for among the system's libraries */
	if (!realpath(plugin->said.file, path))
		return xfq_error_set(error, -errno, "plug-in %s: %s: %s", name, plugin->said.file,
				     strerror(errno));
	code = plugin_check_file(name, path, error);
	if (code)
		return code;
	plugin->object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!plugin->object) {
		why = dlerror();
		return xfq_error_set(error, -ENOEXEC, "plug-in %s: not to be loaded: %s", name,
				     why ? why : path);
	}
	symbol = dlsym(plugin->object, XFQ_PLUGIN_SYMBOL);
	if (!symbol)
		return xfq_error_set(error, -ENOEXEC,
				     "plug-in %s: %s exports no function " XFQ_PLUGIN_SYMBOL
				     "(): a shared object, but no plug-in",
				     name, path);
	memcpy(&function, &symbol, sizeof(function));
	return plugin_check_functions(name, function(), &plugin->functions, error);
}

/* --- its instance ----------------------------------------------------------------------------- */

/* What a plug-in that refuses says, behind its name; `what` was tried. */
static int plugin_refused(const struct plugin *plugin, int code, const struct xfq_error *why,
			  const char *what, struct xfq_error *error)
{
	char text[sizeof(why->text)];

	/* it may have filled all of it */
	memcpy(text, why->text, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	return xfq_error_set(error, code < 0 ? code : -EINVAL, "plug-in %s: %s: %.400s",
			     plugin->said.name, what,
			     text[0] ? text : (code < 0 ? strerror(-code) : "no reason was given"));
}

static int plugin_begin(struct plugin *plugin, uint32_t worker_cnt, struct xfq_error *error)
{
	const struct xfq_plugin *functions = &plugin->functions;
	struct xfq_error why = {0};
	int code;

	if (!functions->create && plugin->said.arg_cnt > 0)
		return xfq_error_set(error, -EINVAL, "plug-in %s: it takes no arguments",
				     plugin->said.name);
	if (functions->create) {
		code = functions->create(&plugin->instance, plugin->said.args, plugin->said.arg_cnt,
					 &why);
		if (code)
			return plugin_refused(plugin, code, &why, "it refuses to begin", error);
	}
	plugin->created = true;
	plugin->states = calloc(worker_cnt + 1, sizeof(*plugin->states));
	if (!plugin->states)
		return xfq_error_set(error, -ENOMEM, "plug-in %s: no memory", plugin->said.name);
	for (; plugin->state_cnt < worker_cnt; plugin->state_cnt++) {
		void **state = &plugin->states[plugin->state_cnt];

		*state = plugin->instance;
		if (!functions->create_state)
			continue;
		*state = NULL;
		code = functions->create_state(plugin->instance, plugin->state_cnt, state, &why);
		if (code)
			return plugin_refused(plugin, code, &why, "no state for a worker", error);
	}
	return 0;
}

static int plugin_create(struct plugin **created, const struct config_plugin *said,
			 uint32_t worker_cnt, struct xfq_error *error)
{
	struct plugin *plugin = calloc(1, sizeof(*plugin));
	int code;

	if (!plugin)
		return xfq_error_set(error, -ENOMEM, "plug-in %s: no memory", said->name);
	plugin->holders = 1;
	code = plugin_note(&plugin->said, said);
	if (code)
		xfq_error_set(error, code, "plug-in %s: no memory", said->name);
	else if (said->file)
		code = plugin_open(plugin, error);
	else if (said->functions)
		code = plugin_check_functions(said->name, said->functions, &plugin->functions,
					      error);
	else
		code = xfq_error_set(error, -ENOENT,
				     "plug-in %s: it has no `file`, and no program has given "
				     "functions for it (xfq_config_plugin)",
				     said->name);
	if (code == 0)
		code = plugin_begin(plugin, worker_cnt, error);
	if (code) {
		plugin_release(plugin);
		return code;
	}
	*created = plugin;
	return 0;
}

/* --- all of a config -------------------------------------------------------------------------- */

/* The plug-in of before that goes on as this one; NULL: none. */
static struct plugin *plugins_find(const struct plugins *before, const struct config_plugin *said)
{
	for (uint32_t i = 0; before && i < before->cnt; i++)
		if (plugin_same(&before->loaded[i]->said, said))
			return before->loaded[i];
	return NULL;
}

/* Where the config has a line for it, put that in front of what is wrong. */
static void plugins_locate(const struct config *config, const struct config_plugin *said,
			   struct xfq_error *error)
{
	char text[sizeof(error->text)];

	if (!error || !config->path || said->line == 0)
		return;
	memcpy(text, error->text, sizeof(text));
	xfq_error_set(error, error->code, "%s:%u: %s", config->path, said->line, text);
}

int plugins_load(struct plugins *plugins, const struct config *config, const struct plugins *before,
		 uint32_t worker_cnt, struct xfq_error *error)
{
	memset(plugins, 0, sizeof(*plugins));
	if (config->plugin_cnt > POLICY_PLUGINS_MAX)
		return xfq_error_set(error, -E2BIG, "plugins: at most %d", POLICY_PLUGINS_MAX);
	for (uint32_t i = 0; i < config->plugin_cnt; i++) {
		struct plugin *plugin = plugins_find(before, &config->plugins[i]);
		int code = 0;

		if (plugin)
			plugin->holders++;
		else
			code = plugin_create(&plugin, &config->plugins[i], worker_cnt, error);
		if (code) {
			plugins_locate(config, &config->plugins[i], error);
			plugins_free(plugins);
			return code;
		}
		plugins->loaded[i] = plugin;
		plugins->seen[i].functions = &plugin->functions;
		plugins->seen[i].instance = plugin->instance;
		plugins->cnt++;
	}
	return 0;
}

/* What a group or one of its cases asks of plug-ins. */
struct plugins_use {
	const struct config_group *group;
	uint32_t line;
	const struct group_when *when;
	const struct method_spec *steer; /* NULL: none of its own */
};

static int plugins_lack(const struct plugins_use *use, const struct config *config, uint32_t plugin,
			const char *what, struct xfq_error *error)
{
	const char *name = plugin < config->plugin_cnt ? config->plugins[plugin].name : "?";
	const char *path = config->path ? config->path : "config";

	if (use->line)
		return xfq_error_set(error, -EINVAL, "%s:%u: group %s: plug-in %s %s", path,
				     use->line, use->group->name, name, what);
	return xfq_error_set(error, -EINVAL, "%s: group %s: plug-in %s %s", path, use->group->name,
			     name, what);
}

static int plugins_check_use(const struct plugins *plugins, const struct config *config,
			     const struct plugins_use *use, struct xfq_error *error)
{
	uint32_t asked = use->when->plugin;

	if (asked != GROUP_NONE &&
	    (asked >= plugins->cnt || !plugins->seen[asked].functions->match))
		return plugins_lack(use, config, asked, "has no predicate (match)", error);
	if (!use->steer || use->steer->method != METHOD_PLUGIN)
		return 0;
	asked = use->steer->plugin;
	if (asked >= plugins->cnt || !plugins->seen[asked].functions->steer)
		return plugins_lack(use, config, asked, "does not steer (steer)", error);
	return 0;
}

int plugins_check(const struct plugins *plugins, const struct config *config,
		  struct xfq_error *error)
{
	int code = 0;

	for (uint32_t g = 0; g < config->group_cnt && code == 0; g++) {
		const struct config_group *group = &config->groups[g];
		struct plugins_use use = {
			.group = group,
			.line = group->line,
			.when = &group->spec.when,
			.steer = &group->spec.steer,
		};

		code = plugins_check_use(plugins, config, &use, error);
		for (uint32_t c = 0; c < group->spec.case_cnt && code == 0; c++) {
			const struct group_case *one = &group->spec.cases[c];

			use.line = one->line ? one->line : group->line;
			use.when = &one->when;
			use.steer = one->has_steer ? &one->steer : NULL;
			code = plugins_check_use(plugins, config, &use, error);
		}
	}
	return code;
}

void plugins_states(const struct plugins *plugins, uint32_t worker, void **states)
{
	for (uint32_t i = 0; i < plugins->cnt; i++)
		states[i] = plugins->loaded[i]->states[worker];
}

void plugins_free(struct plugins *plugins)
{
	/* the last one first: one that was loaded later may know one from before */
	while (plugins->cnt > 0)
		plugin_release(plugins->loaded[--plugins->cnt]);
	memset(plugins, 0, sizeof(*plugins));
}
