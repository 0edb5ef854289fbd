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
		for (uint32_t i = 0; i < config.filter.policy.rule_cnt; i++) {
			const struct xdp_rule *rule = &config.filter.policy.rules[i];

			check(!(rule->fields & (XDP_RULE_SET_SRC | XDP_RULE_SET_DST)) ||
			      rule->set < config.filter.set_cnt);
		}
	} else {
		check(memcmp(&config, &zero, sizeof(config)) == 0);
	}
	config_destroy(&config);
	config_errors_destroy(&errors);
}

static void fuzz_set(const uint8_t *data, size_t len)
{
	struct config_errors errors = {0};
	struct netset nets = {0};
	int code = config_set_parse(&nets, "set", (const char *)data, len, 1, &errors);

	check((code == 0) == !config_errors_any(&errors));
	check(errors.cnt <= CONFIG_SET_ERRORS_MAX + 1);
	check(netset_seal(&nets) == 0);
	for (size_t i = 0; i < nets.prefix_cnt; i++)
		check(netset_has(&nets, nets.prefixes[i].addr, nets.prefixes[i].v6));
	netset_destroy(&nets);
	config_errors_destroy(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	fuzz_yaml(data, len);
	fuzz_set(data, len);
	return 0;
}
