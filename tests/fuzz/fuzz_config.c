/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A configuration, and a set's file, of hostile bytes. The text stands alone (no folder), so that
 * it can neither name files and users of this machine nor ask a name server through an expression.
 */
#include "apps/instance/config_set.h"
#include "apps/instance/config_yaml.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_when(const struct config *config, const struct group_when *when)
{
	check(when->in_cnt <= GROUP_INS_MAX);
	for (uint32_t i = 0; i < when->in_cnt; i++) {
		check(when->ins[i].set < config->set_cnt);
		check((when->ins[i].fields == 0) ==
		      (config->sets[when->ins[i].set]->type == SET_FLOW));
	}
	check(when->plugin == GROUP_NONE || when->plugin < config->plugin_cnt);
}

static void check_steer(const struct config *config, const struct method_spec *steer,
			uint32_t members, bool spill)
{
	check(steer->method < METHOD_CNT);
	check(steer->method != METHOD_TO || steer->to < members);
	check(steer->method != METHOD_PLUGIN || steer->plugin < config->plugin_cnt);
	check(steer->method != METHOD_KEY || steer->fields != 0);
	check(steer->method != METHOD_FIELD ||
	      (steer->size > 0 && steer->size <= METHOD_FIELD_MAX));
	check(steer->method != METHOD_STICKY || steer->flows > 0);
	check((steer->method != METHOD_LOCAL_IP && steer->method != METHOD_LOCAL_NET) ||
	      (steer->net_cnt > 0 && steer->net_cnt <= METHOD_NETS_MAX));
	check(!spill || (steer->method != METHOD_BROADCAST && steer->method != METHOD_DOUBLE));
}

static void check_case(const struct config *config, const struct config_group *group,
		       const struct group_case *one)
{
	const struct group_spec *spec = &group->spec;

	check_when(config, &one->when);
	check((one->sample == GROUP_SAMPLE_ALL) == (one->sample_of == 0));
	check(one->class == GROUP_NONE || one->class < spec->class_cnt);
	check(one->counter == GROUP_NONE || one->counter < spec->counter_cnt);
	check(one->tee == GROUP_NONE || one->tee < config->group_cnt);
	check(one->tee == GROUP_NONE || &config->groups[one->tee] != group);
	check(one->action == GROUP_DELIVER || (one->class == GROUP_NONE && !one->has_steer));
	if (one->has_steer)
		check_steer(config, &one->steer, config_group_built_in(group) + group->members_max,
			    spec->overflow == POLICY_SPILL);
}

static void check_group(const struct config *config, const struct config_group *group)
{
	const struct group_spec *spec = &group->spec;
	uint32_t built_in = config_group_built_in(group);

	check(config_name_valid(group->name));
	check(built_in <= CONFIG_MEMBERS_MAX && group->members_max <= CONFIG_MEMBERS_MAX);
	check(built_in + group->members_max > 0);
	check(built_in > 0 ||
	      (group->sink == CONFIG_SINK_COUNT && group->run == CONFIG_RUN_THREAD));
	check((group->access.mode &
	       ~(CONFIG_ACCESS_USER | CONFIG_ACCESS_GROUP | CONFIG_ACCESS_OTHERS)) == 0);
	check_when(config, &spec->when);
	check_steer(config, &spec->steer, built_in + group->members_max,
		    spec->overflow == POLICY_SPILL);
	check(!spec->tee_only ||
	      (!spec->when.match && spec->when.in_cnt == 0 && spec->when.plugin == GROUP_NONE));
	check(spec->class_cnt <= GROUP_CLASSES_MAX && spec->counter_cnt <= GROUP_COUNTERS_MAX);
	check(spec->case_cnt <= GROUP_CASES_MAX && group->rule_cnt == 0);
	for (uint32_t i = 0; i < spec->case_cnt; i++)
		check_case(config, group, &spec->cases[i]);
}

static void check_filter(const struct config *config, const struct filter *filter)
{
	check(filter->shunt_flows <= 4194304 && filter->claim_cnt == 0);
	for (uint32_t i = 0; i < filter->rule_cnt; i++) {
		const struct filter_rule *rule = &filter->rules[i];
		bool limit = rule->action == FILTER_LIMIT;

		check(!(rule->fields & FILTER_SET) || rule->set < config->set_cnt);
		check(!!(rule->fields & FILTER_MATCH) == (rule->match != NULL));
		check(limit == (rule->limit.rate > 0) && limit == (rule->limit.burst > 0));
		check(limit == (rule->limit.max_keys > 0));
		check((rule->action == FILTER_TX) == (rule->swap != 0));
		check(filter != &config->egress || rule->action == FILTER_DROP ||
		      rule->action == FILTER_PASS || limit);
	}
}

/* What config_yaml.h promises of every outcome. */
static void fuzz_yaml(const uint8_t *data, size_t len)
{
	static const struct config zero;
	struct config_errors errors = {0};
	struct config config;
	int code = config_read_buffer(&config, "fuzz", NULL, data, len, &errors);

	check((code == 0) == !config_errors_any(&errors));
	for (size_t i = 0; i < errors.cnt; i++) {
		check(strncmp(errors.lines[i].text, "fuzz:", 5) == 0);
		check(!strchr(errors.lines[i].text, '\n'));
		check(i == 0 || errors.lines[i - 1].at <= errors.lines[i].at);
	}
	if (code == 0) {
		check(config_name_valid(config.name));
		check(config.plugin_cnt <= POLICY_PLUGINS_MAX);
		for (uint32_t i = 0; i < config.group_cnt; i++)
			check_group(&config, &config.groups[i]);
		check_filter(&config, &config.filter);
		check_filter(&config, &config.egress);
	} else {
		check(memcmp(&config, &zero, sizeof(config)) == 0);
	}
	config_destroy(&config);
	config_errors_destroy(&errors);
}

static void fuzz_set(const uint8_t *data, size_t len)
{
	struct config_errors errors = {0};
	struct set set = {.type = SET_NET};
	int code = config_set_parse(&set, "set", (const char *)data, len, 1, &errors);

	check((code == 0) == !config_errors_any(&errors));
	check(errors.cnt <= CONFIG_SET_ERRORS_MAX + 1);
	for (uint32_t i = 0; i < set.cnt; i++)
		check(set_find(&set, &set.members[i].key) == &set.members[i]);
	set_destroy(&set);
	config_errors_destroy(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	fuzz_yaml(data, len);
	fuzz_set(data, len);
	return 0;
}
