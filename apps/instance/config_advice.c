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

/* Whether a case asks no more than an expression, if that. */
static bool advice_asks_match_alone(const struct group_case *one)
{
	return one->when.in_cnt == 0 && one->when.plugin == GROUP_NONE && !one->has_marked &&
	       (one->sample == GROUP_SAMPLE_ALL || one->sample_of == 1);
}

/* The case before case `i` that decides of all that it asks for; NULL where none is to be seen.
 * `match` has the expressions of the group and of its cases. */
static const struct group_case *advice_decided(const struct group_spec *spec, uint32_t i,
					       const struct expression *wanted,
					       const struct expression *match)
{
	for (uint32_t k = 0; k < i; k++) {
		const struct group_case *one = &spec->cases[k];

		if (one->action != GROUP_PASS && advice_asks_match_alone(one) &&
		    (match[k].all || expression_same(&match[k], wanted) ||
		     expression_same(&match[k], &match[i])))
			return one;
	}
	return NULL;
}

/* Whether a case above has set the mark that case `i` asks for. */
static bool advice_is_marked(const struct group_spec *spec, uint32_t i)
{
	const struct group_case *asks = &spec->cases[i];

	if (!asks->has_marked || asks->marked == 0)
		return true;
	for (uint32_t k = 0; k < i; k++)
		if (spec->cases[k].action == GROUP_PASS && spec->cases[k].has_mark &&
		    spec->cases[k].mark == asks->marked)
			return true;
	return false;
}

static void advice_case(const struct advice *advice, const struct config_group *group, uint32_t i,
			const struct group_case *decided)
{
	const struct group_case *one = &group->spec.cases[i];

	if (decided)
		advice_say(advice, one->line,
			   "groups.%s: this case is never reached: the one in line %u takes all "
			   "that it asks for",
			   group->name, decided->line);
	else if (!advice_is_marked(&group->spec, i))
		advice_say(advice, one->line,
			   "groups.%s: this case never holds: no case above it marks a packet %u "
			   "and passes",
			   group->name, one->marked);
	else if (one->action == GROUP_PASS && one->counter == GROUP_NONE && !one->has_mark &&
		 one->tee == GROUP_NONE)
		advice_say(advice, one->line,
			   "groups.%s: this case does nothing: it passes, and neither counts, "
			   "marks nor hands a copy on",
			   group->name);
}

/* A case that drops what cases before it, none of which delivers, have left; NULL where there is
 * none, and where there is more to the group than its members: copies, or rules of a table. */
static const struct group_case *advice_dropper(const struct group_spec *spec,
					       const struct expression *wanted,
					       const struct expression *match)
{
	for (uint32_t i = 0; i < spec->case_cnt; i++)
		if (spec->table || spec->cases[i].tee != GROUP_NONE)
			return NULL;
	for (uint32_t i = 0; i < spec->case_cnt; i++) {
		const struct group_case *one = &spec->cases[i];

		if (one->action == GROUP_DELIVER)
			return NULL;
		if (one->action == GROUP_DISCARD && advice_asks_match_alone(one) &&
		    (match[i].all || expression_same(&match[i], wanted)))
			return one;
	}
	return NULL;
}

static void advice_drops(const struct advice *advice, const struct config_group *group,
			 const struct expression *wanted, const struct expression *match)
{
	const struct group_case *dropper = advice_dropper(&group->spec, wanted, match);

	if (dropper)
		advice_say(advice, dropper->line,
			   "groups.%s: its members never get a packet: no case delivers any before "
			   "this one, which drops all",
			   group->name);
}

static void advice_cases(const struct advice *advice, const struct config_group *group,
			 const struct expression *wanted)
{
	struct expression match[GROUP_CASES_MAX];
	uint32_t cnt = 0;

	/* they compiled when the config was read */
	while (cnt < group->spec.case_cnt &&
	       expression_compile(&match[cnt], group->spec.cases[cnt].when.match, NULL) == 0) {
		advice_case(advice, group, cnt, advice_decided(&group->spec, cnt, wanted, match));
		cnt++;
	}
	if (cnt == group->spec.case_cnt)
		advice_drops(advice, group, wanted, match);
	while (cnt > 0)
		expression_destroy(&match[--cnt]);
}

/* Whether a case delivers to a class. */
static bool advice_class_is_named(const struct config_group *group, uint32_t class)
{
	for (uint32_t i = 0; i < group->spec.case_cnt; i++)
		if (group->spec.cases[i].class == class)
			return true;
	return false;
}

static void advice_classes(const struct advice *advice, const struct config_group *group)
{
	for (uint32_t c = 0; c < group->spec.class_cnt; c++) {
		const char *name = group->spec.classes[c];

		if (group->class_members[c] == 0 && group->members_max == 0)
			advice_say(advice, group->line,
				   "groups.%s: nobody can ever be of class %s: it has no built-in "
				   "members, and max_members is 0",
				   group->name, name);
		/* rules of a table name classes as well, and come and go while it runs */
		else if (!group->spec.table && !advice_class_is_named(group, c))
			advice_say(advice, group->line,
				   "groups.%s: no case names class %s: its members get what is for "
				   "all",
				   group->name, name);
	}
}

/* Whether some group hands a group copies. */
static bool advice_is_handed(const struct config *config, uint32_t group)
{
	for (uint32_t g = 0; g < config->group_cnt; g++)
		for (uint32_t i = 0; i < config->groups[g].spec.case_cnt; i++)
			if (config->groups[g].spec.cases[i].tee == group)
				return true;
	return false;
}

/* Whether a group asks more of packets than its match. */
static bool advice_asks_more(const struct group_spec *spec)
{
	return spec->when.in_cnt > 0 || spec->when.plugin != GROUP_NONE || spec->table ||
	       spec->case_cnt > 0;
}

/* What a group wants of packets as they come; of one that looks into tunnels that is not known. */
static void advice_wanted(const struct advice *advice, const struct config_group *group,
			  const struct expression *wanted)
{
	const struct filter *filter = &advice->config->filter;
	static const struct expression all = {.all = true};
	const struct filter_rule *robber = advice_robber(filter, group->spec.inner ? &all : wanted);

	if (robber)
		advice_say(
			advice, group->line,
			"groups.%s: never gets a packet: the rule in line %u (%s) takes all that "
			"it wants",
			group->name, robber->line, filter_action_name(robber->action));
	else if (group->spec.inner && filter->default_action == FILTER_CLAIMED)
		advice_say(advice, group->line,
			   "groups.%s: looks into tunnels, and with default: claimed that claims "
			   "every packet; a rule that steers the tunnels, and default: pass, leave "
			   "the host the others",
			   group->name);
	else if (wanted->all && advice_asks_more(&group->spec) &&
		 filter->default_action == FILTER_CLAIMED)
		advice_say(advice, group->line,
			   "groups.%s: has no match, and with default: claimed that claims every "
			   "packet, as in, plugin, table and cases are asked later; a rule that "
			   "steers what it is to get, and default: pass, leave the host the others",
			   group->name);
}

static void advice_group(const struct advice *advice, uint32_t number)
{
	const struct config_group *group = &advice->config->groups[number];
	struct expression wanted;

	/* it compiled when the config was read */
	if (expression_compile(&wanted, group->spec.when.match, NULL))
		return;
	if (!group->spec.tee_only)
		advice_wanted(advice, group, &wanted);
	else if (!advice_is_handed(advice->config, number))
		advice_say(advice, group->line,
			   "groups.%s: never gets a packet: it is for copies alone (tee_only), and "
			   "no case hands it any",
			   group->name);
	advice_cases(advice, group, &wanted);
	advice_classes(advice, group);
	expression_destroy(&wanted);
}

static void advice_plugins(const struct advice *advice)
{
	const struct config *config = advice->config;

	for (uint32_t i = 0; i < config->plugin_cnt; i++)
		if (!config->plugins[i].file && !config->plugins[i].functions)
			advice_say(advice, config->plugins[i].line,
				   "plugins.%s: has no file: only an application that has the "
				   "instance inside can give it functions",
				   config->plugins[i].name);
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
		advice_group(advice, i);
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
	advice_plugins(&advice);
	advice_groups(&advice);
	advice_interfaces(&advice);
}
