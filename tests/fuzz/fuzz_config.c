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

static void check_group(const struct config_group *group)
{
	check(config_name_valid(group->name));
	check(group->members <= CONFIG_MEMBERS_MAX && group->members_max <= CONFIG_MEMBERS_MAX);
	check(group->members + group->members_max > 0);
	check(group->members > 0 ||
	      (group->sink == CONFIG_SINK_COUNT && group->run == CONFIG_RUN_THREAD));
	check(group->overflow == POLICY_DROP || group->steer != METHOD_BROADCAST);
	check((group->access.mode &
	       ~(CONFIG_ACCESS_USER | CONFIG_ACCESS_GROUP | CONFIG_ACCESS_OTHERS)) == 0);
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
		for (uint32_t i = 0; i < config.group_cnt; i++)
			check_group(&config.groups[i]);
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
