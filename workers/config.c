/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/config.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void config_init(struct config *config)
{
	memset(config, 0, sizeof(*config));
	filter_init(&config->filter);
	filter_init(&config->egress);
	config->egress.default_action = FILTER_PASS;
	config->workers.flow_cache = CONFIG_FLOW_CACHE;
}

void config_group_init(struct config_group *group)
{
	memset(group, 0, sizeof(*group));
	group_spec_init(&group->spec);
	group->access.user = CONFIG_USER_SELF;
	group->access.group = CONFIG_GROUP_NONE;
	group->access.mode = CONFIG_ACCESS_USER;
	group->members = 1;
	group->members_max = CONFIG_JOIN_MAX;
	group->ring_slots = CONFIG_RING_SLOTS;
}

static void config_claims_destroy(struct filter *filter)
{
	for (uint32_t i = 0; i < filter->claim_cnt; i++)
		expression_destroy(&filter->claims[i].expression);
	free(filter->claims);
	filter->claims = NULL;
	filter->claim_cnt = 0;
}

int config_claim(struct config *config, struct xfq_error *error)
{
	struct filter *filter = &config->filter;
	struct xfq_error why;

	config_claims_destroy(filter);
	if (filter->default_action != FILTER_CLAIMED || config->group_cnt == 0)
		return 0;
	filter->claims = calloc(config->group_cnt, sizeof(*filter->claims));
	if (!filter->claims)
		return xfq_error_set(error, -ENOMEM, "no memory for the groups' claims");
	for (uint32_t i = 0; i < config->group_cnt; i++) {
		const struct config_group *group = &config->groups[i];
		const char *match = group->spec.inner ? NULL : group->spec.when.match;
		struct filter_claim *claim = &filter->claims[filter->claim_cnt];
		int code;

		if (group->spec.tee_only)
			continue;
		code = expression_compile(&claim->expression, match, &why);
		if (code)
			return xfq_error_set(error, code, "group %s: %s", group->name, why.text);
		claim->name = group->name;
		claim->line = group->line;
		filter->claim_cnt++;
	}
	return 0;
}

static void config_plugin_destroy(struct config_plugin *plugin)
{
	for (uint32_t i = 0; i < plugin->arg_cnt; i++) {
		free((char *)(uintptr_t)plugin->args[i].name);
		free((char *)(uintptr_t)plugin->args[i].value);
	}
	free(plugin->args);
	free(plugin->file);
}

void config_destroy(struct config *config)
{
	if (!config)
		return;
	filter_destroy(&config->filter);
	filter_destroy(&config->egress);
	for (uint32_t i = 0; i < config->set_cnt; i++) {
		set_destroy(config->sets[i]);
		free(config->sets[i]);
	}
	for (uint32_t i = 0; i < config->group_cnt; i++) {
		group_spec_destroy(&config->groups[i].spec);
		free(config->groups[i].rules);
		free(config->groups[i].dir);
	}
	for (uint32_t i = 0; i < config->plugin_cnt; i++)
		config_plugin_destroy(&config->plugins[i]);
	free(config->plugins);
	free(config->sets);
	free(config->groups);
	free(config->workers.cpus);
	free(config->interfaces);
	free(config->path);
	memset(config, 0, sizeof(*config));
}

struct config *config_take(struct config *config)
{
	struct config *own = malloc(sizeof(*own));

	if (own)
		*own = *config;
	else
		config_destroy(config);
	memset(config, 0, sizeof(*config));
	return own;
}

void config_free(struct config *config)
{
	config_destroy(config);
	free(config);
}
