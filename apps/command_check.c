/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/commands.h"
#include "apps/explain.h"
#include "apps/group_text.h"
#include "apps/instance/config_advice.h"
#include "apps/instance/filter_json.h"
#include "apps/instance/lockout.h"
#include "workers/config.h"
#include "workers/interface.h"
#include "workers/plugin.h"
#include "workers/topology.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char check_help[] =
	"Usage: xfq check CONFIG [--json] [--explain PACKET]\n"
	"Parse and compile everything in CONFIG and print the plan; needs no root and changes\n"
	"nothing. Every error is a line FILE:LINE: text. So is what is allowed and hardly\n"
	"meant, as a warning.\n\n"
	"  --json            the plan as one JSON object\n"
	"  --explain PACKET  not the plan, but why a packet goes where it goes. PACKET is one of\n"
	"                    a capture file, FILE:NUMBER counted from 1, or some of it,\n"
	"                    FILE:FIRST-LAST; a flow, of which one is made, such as\n"
	"                    \"tcp 192.0.2.1:1234 198.51.100.2:80\" or \"icmp 192.0.2.1\n"
	"                    198.51.100.2\"; or the bytes of a frame, hex:0200...\n\n"
	"Exit status: 0 the config is good, 1 it has errors, 2 usage.\n";

static void check_filter(json_t *plan, const struct filter *filter)
{
	static const char *const malformed[] = {[XDP_MALFORMED_BY_RULES] = "rules",
						[XDP_MALFORMED_DROP] = "drop",
						[XDP_MALFORMED_PASS] = "pass"};

	json_object_set_new(plan, "rules", filter_json_rules(filter));
	json_object_set_new(plan, "default",
			    json_string(filter_action_name(filter->default_action)));
	json_object_set_new(plan, "malformed", json_string(malformed[filter->malformed]));
	json_object_set_new(plan, "fragments",
			    json_string(filter->fragments ? "follow" : "ignore"));
	json_object_set_new(plan, "shunt", json_integer(filter->shunt_flows));
}

static json_t *check_groups(const struct config *config)
{
	json_t *groups = json_object();

	for (uint32_t i = 0; i < config->group_cnt; i++) {
		json_t *group = group_json(config, &config->groups[i]);

		if (group)
			json_object_set_new(groups, config->groups[i].name, group);
	}
	return groups;
}

static json_t *check_plugins(const struct config *config)
{
	json_t *plugins = json_object();

	for (uint32_t i = 0; i < config->plugin_cnt; i++) {
		const struct config_plugin *plugin = &config->plugins[i];
		json_t *args = json_object();

		for (uint32_t a = 0; a < plugin->arg_cnt; a++)
			json_object_set_new(args, plugin->args[a].name,
					    json_string(plugin->args[a].value));
		json_object_set_new(plugins, plugin->name,
				    json_pack("{s:s, s:o}", "file",
					      plugin->file ? plugin->file : "", "args", args));
	}
	return plugins;
}

/* The interfaces that there are on this machine; returns the number of workers they ask for. */
static uint32_t check_interfaces(const struct config *config, json_t *interfaces,
				 struct placement_hint *hints)
{
	uint32_t workers = 0;

	for (uint32_t i = 0; i < config->interface_cnt; i++) {
		struct interface interface;
		struct xfq_error error;
		json_t *object = json_pack("{s:s}", "name", config->interfaces[i].name);

		json_array_append_new(interfaces, object);
		if (interface_open(&interface, config->interfaces[i].name, false, &error)) {
			json_object_set_new(object, "warning", json_string(error.text));
			continue;
		}
		json_object_set_new(object, "driver",
				    json_string(interface.driver[0] ? interface.driver : "none"));
		json_object_set_new(object, "queues", json_integer(interface.queue_cnt));
		json_object_set_new(object, "mtu", json_integer(interface.mtu));
		if (interface.queue_cnt > workers && interface.queue_cnt <= XDP_QUEUES_MAX) {
			workers = interface.queue_cnt;
			topology_hints("", interface.name, hints, workers);
		}
		interface_close(&interface);
	}
	return workers;
}

/* Where the workers would run; a configured CPU that does not exist is an error. */
static int check_workers(const struct config *config, uint32_t cnt,
			 const struct placement_hint *hints, json_t *workers)
{
	struct placement_request request = {
		.worker_cnt = cnt,
		.hints = hints,
		.hint_cnt = cnt,
		.cpus = config->workers.cpus,
		.cpu_cnt = config->workers.cpu_cnt,
	};
	struct placement plan[XDP_QUEUES_MAX];
	struct xfq_error error = {0};
	hwloc_topology_t topology;
	int code;

	if (cnt == 0)
		return 0;
	code = topology_open(&topology, &error);
	if (code == 0) {
		code = placement_plan(topology, &request, plan, &error);
		topology_close(topology);
	}
	if (code) {
		fprintf(stderr, "%s: workers.cpus: %s\n", config->path, error.text);
		return code;
	}
	for (uint32_t i = 0; i < cnt; i++)
		json_array_append_new(
			workers, json_pack("{s:I, s:I, s:I, s:b}", "id", (json_int_t)i, "cpu",
					   (json_int_t)plan[i].cpu, "node",
					   (json_int_t)plan[i].node, "shared_cpu", plan[i].shared));
	return 0;
}

static const char *check_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static long long check_number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static void check_print_machine(json_t *plan)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(plan, "interfaces"), i, item)
	{
		if (check_text(item, "warning"))
			printf("interface %s: not here now: %s\n", check_text(item, "name"),
			       check_text(item, "warning"));
		else
			printf("interface %s: driver %s, %lld queues, MTU %lld\n",
			       check_text(item, "name"), check_text(item, "driver"),
			       check_number(item, "queues"), check_number(item, "mtu"));
	}
	json_array_foreach(json_object_get(plan, "workers"), i, item)
		printf("worker %zu: queue %zu of every interface, CPU %lld, node %lld%s\n", i, i,
		       check_number(item, "cpu"), check_number(item, "node"),
		       json_is_true(json_object_get(item, "shared_cpu"))
			       ? ", a CPU that another worker has too"
			       : "");
}

static void check_print_plugin(const char *name, const json_t *plugin)
{
	const json_t *args = json_object_get(plugin, "args");
	const char *key;
	json_t *value;

	printf("plug-in %s: %s", name, check_text(plugin, "file"));
	json_object_foreach((json_t *)(uintptr_t)args, key, value)
		printf(", %s %s", key, json_string_value(value));
	printf("\n");
}

static void check_print_filter(const json_t *filter, const char *name)
{
	const json_t *rules = json_object_get(filter, "rules"), *rule;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)rules, i, rule)
	{
		printf("%srule %zu (line %lld): %s %s\n", name, i, check_number(rule, "line"),
		       check_text(rule, "action"), check_text(rule, "what"));
	}
	printf("%sdefault: %s\n", name, check_text(filter, "default"));
}

static void check_print(json_t *plan)
{
	const char *name;
	json_t *item;

	printf("instance %s\n", check_text(plan, "name"));
	check_print_machine(plan);
	json_object_foreach(json_object_get(plan, "sets"), name, item)
		printf("set %s: %s, %lld members\n", name, check_text(item, "type"),
		       check_number(item, "members"));
	check_print_filter(plan, "");
	printf("malformed %s, fragments %s, shunt %lld flows\n", check_text(plan, "malformed"),
	       check_text(plan, "fragments"), check_number(plan, "shunt"));
	if (json_object_get(plan, "egress"))
		check_print_filter(json_object_get(plan, "egress"), "egress ");
	printf("flow cache of each worker: %lld flows\n", check_number(plan, "flow_cache"));
	json_object_foreach(json_object_get(plan, "plugins"), name, item)
		check_print_plugin(name, item);
	json_object_foreach(json_object_get(plan, "groups"), name, item) group_print(name, item);
}

/* Say what is wrong with each plug-in, where `error` is the first one's. */
static void check_plugin_errors(const struct config *config, const struct xfq_error *error)
{
	bool told = false;

	for (uint32_t i = 0; i < config->plugin_cnt; i++) {
		struct config one = *config;
		struct plugins plugins;
		struct xfq_error why;

		one.plugins = &config->plugins[i];
		one.plugin_cnt = 1;
		if (plugins_load(&plugins, &one, NULL, 1, &why)) {
			fprintf(stderr, "%s\n", why.text);
			told = true;
		} else {
			plugins_free(&plugins);
		}
	}
	if (!told)
		fprintf(stderr, "%s\n", error->text);
}

/* Load the plug-ins, and whether they can do what groups ask of them. */
static int check_plugin_objects(const struct config *config)
{
	struct plugins plugins;
	struct xfq_error error;
	int code = plugins_load(&plugins, config, NULL, 1, &error);

	if (code) {
		check_plugin_errors(config, &error);
		return code;
	}
	code = plugins_check(&plugins, config, &error);
	if (code)
		fprintf(stderr, "%s\n", error.text);
	plugins_free(&plugins);
	return code;
}

struct check_advised {
	const char *path;
	json_t *warnings;
};

static void check_warn(void *context, uint32_t line, const char *text)
{
	const struct check_advised *advised = context;

	if (line)
		fprintf(stderr, "%s:%u: warning: %s\n", advised->path, line, text);
	else
		fprintf(stderr, "%s: warning: %s\n", advised->path, text);
	json_array_append_new(advised->warnings,
			      json_pack("{s:I, s:s}", "line", (json_int_t)line, "text", text));
}

/* What xfq run would refuse without --force, here and now. */
static void check_session(const struct config *config, struct check_advised *advised)
{
	char session[LOCKOUT_TEXT_BYTES];
	struct xfq_error error;

	if (lockout_find(session) && lockout_check(config, session, &error) == -EPERM)
		check_warn(advised, 0, error.text);
}

static int check_plan(const struct config *config, bool as_json)
{
	struct placement_hint hints[XDP_QUEUES_MAX];
	json_t *interfaces = json_array(), *workers = json_array();
	json_t *plan = json_object(), *warnings = json_array();
	struct check_advised advised = {config->path, warnings};
	uint32_t worker_cnt = check_interfaces(config, interfaces, hints);
	int code = check_workers(config, worker_cnt, hints, workers);
	int plugins = check_plugin_objects(config);

	if (code == 0)
		code = plugins;

	json_object_set_new(plan, "name", json_string(config->name));
	json_object_set_new(plan, "interfaces", interfaces);
	json_object_set_new(plan, "workers", workers);
	json_object_set_new(plan, "sets",
			    filter_json_sets(config->filter.sets, config->filter.set_cnt));
	check_filter(plan, &config->filter);
	if (config->has_egress) {
		json_object_set_new(plan, "egress", json_object());
		check_filter(json_object_get(plan, "egress"), &config->egress);
	}
	json_object_set_new(plan, "flow_cache", json_integer(config->workers.flow_cache));
	json_object_set_new(plan, "plugins", check_plugins(config));
	json_object_set_new(plan, "groups", check_groups(config));
	json_object_set_new(plan, "warnings", warnings);
	if (code == 0) {
		config_advise(config, check_warn, &advised);
		check_session(config, &advised);
	}
	if (code == 0 && as_json) {
		json_dumpf(plan, stdout, JSON_INDENT(1));
		putchar('\n');
	} else if (code == 0) {
		check_print(plan);
	}
	json_decref(plan);
	return code ? COMMAND_FAILED : COMMAND_DONE;
}

/* Take --explain WHAT out of the arguments, if it is there. COMMAND_DONE, or COMMAND_USAGE once it
 * was told that WHAT is not. */
static int check_take_explain(int *argc, char **argv, const char **what)
{
	static const char option[] = "--explain";
	const size_t len = sizeof(option) - 1;

	*what = NULL;
	for (int i = 1; i < *argc; i++) {
		bool whole = strcmp(argv[i], option) == 0;
		bool joined = strncmp(argv[i], option, len) == 0 && argv[i][len] == '=';

		if (!whole && !joined)
			continue;
		*what = whole ? argv[i + 1] : argv[i] + len + 1;
		if (!*what || !**what || strncmp(*what, "--", 2) == 0) {
			fputs("xfq check: --explain wants a PACKET, such as trace.pcap:12 or "
			      "\"tcp 192.0.2.1:1234 198.51.100.2:80\"\n",
			      stderr);
			return COMMAND_USAGE;
		}
		*argc -= whole ? 2 : 1;
		memmove(&argv[i], &argv[i + (whole ? 2 : 1)],
			(size_t)(*argc - i + 1) * sizeof(*argv));
		return COMMAND_DONE;
	}
	return COMMAND_DONE;
}

int command_check(int argc, char **argv)
{
	const char *explain;
	struct command_words words;
	struct config config;
	int status = check_take_explain(&argc, argv, &explain);

	if (status)
		return status;
	status = command_words(argc, argv, check_help, &words);
	if (status || words.ended)
		return status;
	if (!words.word) {
		fputs("xfq check: no CONFIG was named\n", stderr);
		fputs(check_help, stderr);
		return COMMAND_USAGE;
	}
	status = command_config(&config, words.word);
	if (status)
		return status;
	status = explain ? explain_run(&config, explain, words.json)
			 : check_plan(&config, words.json);
	config_destroy(&config);
	return status;
}
