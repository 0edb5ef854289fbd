/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_advice.h"
#include "steering/expression.h"
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct advice {
	const struct config *config;
	config_advice *say;
	void *context;
};

static void __attribute__((format(printf, 3, 4)))
advice_say(const struct advice *advice, uint32_t line, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	advice->say(advice->context, line, text);
}

/* Whether no packet gets past a rule. */
static bool advice_takes_all(const struct filter_rule *rule)
{
	if (rule->action == FILTER_LIMIT || (rule->fields & ~FILTER_MATCH))
		return false;
	return !(rule->fields & FILTER_MATCH) || rule->expression.all;
}

/* How many rules can be reached: all, or those up to one that takes every packet. */
static uint32_t advice_reached(const struct filter *filter)
{
	for (uint32_t i = 0; i < filter->rule_cnt; i++)
		if (advice_takes_all(&filter->rules[i]))
			return i + 1;
	return filter->rule_cnt;
}

static void advice_rules(const struct advice *advice, const struct filter *filter, const char *name)
{
	uint32_t reached = advice_reached(filter);

	if (reached < filter->rule_cnt)
		advice_say(advice, filter->rules[reached].line,
			   "%s.rules[%u]: never reached, like all after it: rule %u (line %u) "
			   "matches every packet",
			   name, reached, reached - 1, filter->rules[reached - 1].line);
}

/* Whether anything is steered. */
static bool advice_steers(const struct filter *filter)
{
	uint32_t reached = advice_reached(filter);

	for (uint32_t i = 0; i < reached; i++)
		if (filter->rules[i].action == FILTER_STEER)
			return true;
	if (reached > 0 && advice_takes_all(&filter->rules[reached - 1]))
		return false;
	return filter->default_action == FILTER_STEER || filter->default_action == FILTER_CLAIMED;
}

/* A rule before any that steers, which takes everything that the group wants: NULL where there is
 * none to be seen. */
static const struct filter_rule *advice_robber(const struct filter *filter,
					       const struct expression *wanted)
{
	for (uint32_t i = 0; i < filter->rule_cnt; i++) {
		const struct filter_rule *rule = &filter->rules[i];

		if (rule->action == FILTER_STEER)
			return NULL;
		if (rule->action != FILTER_LIMIT && rule->fields == FILTER_MATCH &&
		    expression_same(&rule->expression, wanted))
			return rule;
	}
	return NULL;
}

static void advice_group(const struct advice *advice, const struct config_group *group)
{
	const struct filter_rule *robber;
	struct expression wanted;

	/* it compiled when the config was read */
	if (expression_compile(&wanted, group->match, NULL))
		return;
	robber = advice_robber(&advice->config->filter, &wanted);
	if (robber)
		advice_say(
			advice, group->line,
			"groups.%s: never gets a packet: the rule in line %u (%s) takes all that "
			"it wants",
			group->name, robber->line, filter_action_name(robber->action));
	expression_destroy(&wanted);
}

static void advice_groups(const struct advice *advice)
{
	const struct config *config = advice->config;

	if (!advice_steers(&config->filter)) {
		if (config->group_cnt > 0)
			advice_say(advice, config->groups[0].line,
				   "groups: no rule steers, and neither does the default (%s): no "
				   "group ever gets a packet",
				   filter_action_name(config->filter.default_action));
		return;
	}
	for (uint32_t i = 0; i < config->group_cnt; i++)
		advice_group(advice, &config->groups[i]);
	if (config->group_cnt > 0)
		return;
	if (config->filter.default_action == FILTER_CLAIMED)
		advice_say(advice, 0,
			   "default: claimed, and no groups: what no rule names is passed");
	else
		advice_say(advice, 0,
			   "no groups: what is steered is taken from the stack and goes nowhere");
}

/* Whether a host reaches others, or is reached, by an address. */
static bool advice_is_used(const struct sockaddr *address)
{
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->sa_family == AF_INET)
		return true;
	return address->sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr);
}

static bool advice_has_address(const struct ifaddrs *all, const char *name)
{
	for (const struct ifaddrs *one = all; one; one = one->ifa_next)
		if (one->ifa_addr && strcmp(one->ifa_name, name) == 0 &&
		    advice_is_used(one->ifa_addr))
			return true;
	return false;
}

static void advice_interfaces(const struct advice *advice)
{
	const struct config *config = advice->config;
	struct ifaddrs *all;

	if (!advice_steers(&config->filter) || getifaddrs(&all))
		return;
	for (uint32_t i = 0; i < config->interface_cnt; i++) {
		const struct config_interface *interface = &config->interfaces[i];

		if (interface->mode == CONFIG_MODE_MIRROR ||
		    interface->mode == CONFIG_MODE_AF_PACKET ||
		    !advice_has_address(all, interface->name))
			continue;
		advice_say(advice, 0,
			   "interfaces[%u]: %s has an address of this host, and what is steered is "
			   "taken from the host's stack; mode: mirror steers copies and leaves it "
			   "its traffic",
			   i, interface->name);
	}
	freeifaddrs(all);
}

void config_advise(const struct config *config, config_advice *say, void *context)
{
	const struct advice advice = {config, say, context};

	advice_rules(&advice, &config->filter, "filter");
	advice_rules(&advice, &config->egress, "egress");
	advice_groups(&advice);
	advice_interfaces(&advice);
}
