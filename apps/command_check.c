/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/commands.h"
#include "apps/instance/access_text.h"
#include "apps/instance/config_advice.h"
#include "apps/instance/filter_json.h"
#include "apps/instance/lockout.h"
#include "steering/policy.h"
#include "workers/config.h"
#include "workers/interface.h"
#include "workers/topology.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char check_help[] =
	"Usage: xfq check CONFIG [--json]\n"
	"Parse and compile everything in CONFIG and print the plan; needs no root and changes\n"
	"nothing. Every error is a line FILE:LINE: text. So is what is allowed and hardly\n"
	"meant, as a warning.\n\n"
	"  --json    the plan as one JSON object\n\n"
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

/* One group, compiled: the size of the expression in classic BPF instructions. NULL: no memory. */
static json_t *check_group(const struct config_group *group)
{
	struct expression match;
	char access[600];
	json_t *object;

	/* it compiled when the config was read; a failure now is want of memory */
	if (expression_compile(&match, group->match, NULL))
		return NULL;
	access_text(&group->access, geteuid(), access, sizeof(access));
	object = json_pack("{s:s, s:I, s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:s}", "match",
			   group->match ? group->match : "", "instructions",
			   (json_int_t)match.insn_cnt, "steer", method_name(group->steer),
			   "overflow", group->overflow == POLICY_SPILL ? "spill" : "drop",
			   "members", (json_int_t)group->members, "sink",
			   group->sink == CONFIG_SINK_PCAP ? "pcap" : "count", "run",
			   group->run == CONFIG_RUN_WORKER ? "worker" : "thread", "ring",
			   (json_int_t)group->ring_slots, "max_members",
			   (json_int_t)group->members_max, "access", access);
	expression_destroy(&match);
	return object;
}

static json_t *check_groups(const struct config *config)
{
	json_t *groups = json_object();

	for (uint32_t i = 0; i < config->group_cnt; i++) {
		json_t *group = check_group(&config->groups[i]);

		if (group)
			json_object_set_new(groups, config->groups[i].name, group);
	}
	return groups;
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

static void check_print_group(const char *name, const json_t *group)
{
	long long members = check_number(group, "members");
	long long members_max = check_number(group, "max_members");

	printf("group %s: \"%s\" (%lld BPF instructions), %s", name, check_text(group, "match"),
	       check_number(group, "instructions"), check_text(group, "steer"));
	if (members != 0)
		printf(" over %lld, sink %s, run %s", members, check_text(group, "sink"),
		       check_text(group, "run"));
	else
		printf(", no built-in members");
	printf(", overflow %s", check_text(group, "overflow"));
	if (members_max != 0)
		printf(", up to %lld may join: %s\n", members_max, check_text(group, "access"));
	else
		printf(", none may join\n");
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
	json_object_foreach(json_object_get(plan, "groups"), name, item)
		check_print_group(name, item);
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

int command_check(int argc, char **argv)
{
	struct command_words words;
	struct config config;
	int status = command_words(argc, argv, check_help, &words);

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
	status = check_plan(&config, words.json);
	config_destroy(&config);
	return status;
}
