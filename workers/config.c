/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/config.h"
#include <stdlib.h>
#include <string.h>

void config_init(struct config *config)
{
	memset(config, 0, sizeof(*config));
	config->filter.policy.default_verdict = XDP_VERDICT_STEER;
	config->filter.policy.malformed = XDP_MALFORMED_BY_RULES;
}

void config_group_init(struct config_group *group)
{
	memset(group, 0, sizeof(*group));
	group->steer = METHOD_FLOW;
	group->overflow = POLICY_DROP;
	group->access.user = CONFIG_USER_SELF;
	group->access.group = CONFIG_GROUP_NONE;
	group->access.mode = CONFIG_ACCESS_USER;
	group->members = 1;
	group->members_max = CONFIG_JOIN_MAX;
	group->ring_slots = CONFIG_RING_SLOTS;
}

void config_destroy(struct config *config)
{
	if (!config)
		return;
	for (uint32_t i = 0; i < config->filter.set_cnt; i++)
		netset_destroy(&config->filter.sets[i].nets);
	for (uint32_t i = 0; i < config->group_cnt; i++) {
		free(config->groups[i].match);
		free(config->groups[i].dir);
	}
	free(config->filter.sets);
	free(config->groups);
	free(config->workers.cpus);
	free(config->interfaces);
	free(config->path);
	memset(config, 0, sizeof(*config));
}
