/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_filter.h"
#include "apps/instance/config_set.h"
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* A rule being read, and the sets it may name. */
struct config_rule {
	struct xdp_rule rule;
	const struct config_filter *filter;
};

static const struct config_word config_protos[] = {
	{"icmp", IPPROTO_ICMP, NULL},
	{"igmp", IPPROTO_IGMP, NULL},
	{"tcp", IPPROTO_TCP, NULL},
	{"udp", IPPROTO_UDP, NULL},
	{"gre", IPPROTO_GRE, NULL},
	{"esp", IPPROTO_ESP, NULL},
	{"ah", IPPROTO_AH, NULL},
	{"icmp6", IPPROTO_ICMPV6, NULL},
	{"ospf", 89, NULL},
	{"pim", IPPROTO_PIM, NULL},
	{"vrrp", 112, NULL},
	{"sctp", IPPROTO_SCTP, NULL},
	{"ipip", IPPROTO_IPIP, NULL},
	{"ipv6", IPPROTO_IPV6, NULL},
	{"dccp", IPPROTO_DCCP, NULL},
	{"udplite", IPPROTO_UDPLITE, NULL},
	{NULL, 0, NULL},
};

static void config_rule_read_proto(struct config_reader *reader, int node, void *object)
{
	struct config_rule *rule = object;
	const char *text = config_text(reader, node, 64);
	uint32_t lo, hi;

	if (!text)
		return;
	for (const struct config_word *proto = config_protos; proto->name; proto++) {
		if (strcmp(proto->name, text) == 0) {
			rule->rule.proto = (uint8_t)proto->value;
			rule->rule.fields |= XDP_RULE_PROTO;
			return;
		}
	}
	if (config_range_parse(text, 255, &lo, &hi) && lo == hi && !strchr(text, '-')) {
		rule->rule.proto = (uint8_t)lo;
		rule->rule.fields |= XDP_RULE_PROTO;
		return;
	}
	config_fail(reader, node,
		    "\"%.48s\" is no protocol: wants a number from 0 to 255 or a name such as tcp, "
		    "udp, icmp, icmp6, sctp",
		    text);
}

/* A port or "LO-HI" of them. */
static void config_rule_ports(struct config_reader *reader, int node, struct xdp_rule *rule,
			      uint8_t field, uint16_t *lo, uint16_t *hi)
{
	const char *text = config_text(reader, node, 64);
	uint32_t from, to;

	if (!text)
		return;
	if (!config_range_parse(text, UINT16_MAX, &from, &to)) {
		config_fail(reader, node,
			    "\"%.48s\" is not a port from 0 to 65535 or a range LO-HI of them",
			    text);
		return;
	}
	*lo = (uint16_t)from;
	*hi = (uint16_t)to;
	rule->fields |= field;
}

static void config_rule_read_port(struct config_reader *reader, int node, void *object)
{
	struct xdp_rule *rule = &((struct config_rule *)object)->rule;

	config_rule_ports(reader, node, rule, XDP_RULE_PORT, &rule->port_lo, &rule->port_hi);
}

static void config_rule_read_sport(struct config_reader *reader, int node, void *object)
{
	struct xdp_rule *rule = &((struct config_rule *)object)->rule;

	config_rule_ports(reader, node, rule, XDP_RULE_SPORT, &rule->sport_lo, &rule->sport_hi);
}

static void config_rule_read_dport(struct config_reader *reader, int node, void *object)
{
	struct xdp_rule *rule = &((struct config_rule *)object)->rule;

	config_rule_ports(reader, node, rule, XDP_RULE_DPORT, &rule->dport_lo, &rule->dport_hi);
}

static void config_rule_read_set(struct config_reader *reader, int node, void *object)
{
	struct config_rule *rule = object;
	const char *name = config_text(reader, node, 4096);

	if (!name)
		return;
	for (uint32_t i = 0; i < rule->filter->set_cnt; i++) {
		if (strcmp(rule->filter->sets[i].name, name) == 0) {
			rule->rule.set = (uint8_t)i;
			return;
		}
	}
	config_fail(reader, node, "there is no set \"%.48s\" in filter.sets", name);
}

static const struct config_word config_rule_fields[] = {
	{"src", XDP_RULE_SET_SRC, NULL},
	{"dst", XDP_RULE_SET_DST, NULL},
	{"either", XDP_RULE_SET_SRC | XDP_RULE_SET_DST, NULL},
	{NULL, 0, NULL},
};

static void config_rule_read_field(struct config_reader *reader, int node, void *object)
{
	struct config_rule *rule = object;
	uint32_t fields;

	if (config_word(reader, node, config_rule_fields, &fields))
		rule->rule.fields |= (uint8_t)fields;
}

static const struct config_key config_in_keys[] = {
	{.name = "set", .kind = CONFIG_KIND_READ, .required = true, .read = config_rule_read_set},
	{.name = "field",
	 .kind = CONFIG_KIND_READ,
	 .required = true,
	 .read = config_rule_read_field},
	{.name = NULL},
};

static void config_rule_read_in(struct config_reader *reader, int node, void *object)
{
	config_map_read(reader, node, config_in_keys, object, NULL);
}

static const struct config_word config_rule_actions[] = {
	{"drop", XDP_VERDICT_DROP, NULL},        {"pass", XDP_VERDICT_PASS, NULL},
	{"steer", XDP_VERDICT_STEER, NULL},      {"tx", 0, "use drop, pass or steer"},
	{"limit", 0, "use drop, pass or steer"}, {NULL, 0, NULL},
};

enum { CONFIG_RULE_ACTION = 0, CONFIG_RULE_IN, CONFIG_RULE_PROTO, CONFIG_RULE_PORT };
static const struct config_key config_rule_keys[] = {
	[CONFIG_RULE_ACTION] = {.name = "action",
				.required = true,
				CONFIG_MEMBER(struct config_rule, rule.action),
				.words = config_rule_actions},
	[CONFIG_RULE_IN] = {.name = "in", .kind = CONFIG_KIND_READ, .read = config_rule_read_in},
	[CONFIG_RULE_PROTO] = {.name = "proto",
			       .kind = CONFIG_KIND_READ,
			       .read = config_rule_read_proto},
	[CONFIG_RULE_PORT] = {.name = "port",
			      .kind = CONFIG_KIND_READ,
			      .read = config_rule_read_port},
	{.name = "sport", .kind = CONFIG_KIND_READ, .read = config_rule_read_sport},
	{.name = "dport", .kind = CONFIG_KIND_READ, .read = config_rule_read_dport},
	{.name = "match", .kind = CONFIG_KIND_ABSENT, .instead = "use proto, port and in"},
	{.name = "per", .kind = CONFIG_KIND_ABSENT, .instead = "it belongs to action limit"},
	{.name = "rate", .kind = CONFIG_KIND_ABSENT, .instead = "it belongs to action limit"},
	{.name = NULL},
};

/* Only TCP, UDP and SCTP have ports, as XFQ sees them. */
static void config_rule_check_ports(struct config_reader *reader, const struct xdp_rule *rule,
				    const int *at)
{
	if (!(rule->fields & XDP_RULE_PROTO) || rule->proto == IPPROTO_TCP ||
	    rule->proto == IPPROTO_UDP || rule->proto == IPPROTO_SCTP)
		return;
	for (int i = CONFIG_RULE_PORT; i < CONFIG_RULE_PORT + 3; i++) {
		size_t mark;

		if (at[i] == 0)
			continue;
		mark = config_path_push(reader, ".%s", config_rule_keys[i].name);
		config_fail(reader, at[i],
			    "protocol %u has no ports; ports go with proto tcp, udp, sctp or none",
			    rule->proto);
		config_path_pop(reader, mark);
	}
}

static void config_rule_read(struct config_reader *reader, const struct config_item *item,
			     void *object)
{
	struct config_filter *filter = object;
	struct config_rule rule = {.filter = filter};
	int at[CONFIG_KEYS_MAX];

	if (!config_map_read(reader, item->node, config_rule_keys, &rule, at))
		return;
	config_rule_check_ports(reader, &rule.rule, at);
	filter->policy.rules[item->index] = rule.rule;
	filter->policy.rule_cnt = item->index + 1;
}

static void config_filter_read_rules(struct config_reader *reader, int node, void *object)
{
	struct config *config = object;

	config_list_read(reader, node, XDP_RULES_MAX, "rules", config_rule_read, &config->filter);
}

static void config_filter_read_sets(struct config_reader *reader, int node, void *object)
{
	config_sets_read(reader, node, object);
}

static const struct config_word config_filter_defaults[] = {
	{"steer", XDP_VERDICT_STEER, NULL},
	{"pass", XDP_VERDICT_PASS, NULL},
	{"drop", XDP_VERDICT_DROP, NULL},
	{"claimed", 0, "use steer, and rules that pass or drop what no group wants"},
	{NULL, 0, NULL},
};

static const struct config_word config_filter_malformed[] = {
	{"rules", XDP_MALFORMED_BY_RULES, NULL},
	{"drop", XDP_MALFORMED_DROP, NULL},
	{"pass", XDP_MALFORMED_PASS, NULL},
	{NULL, 0, NULL},
};

/* Sets come before the rules that name them. */
static const struct config_key config_filter_keys[] = {
	{.name = "default",
	 CONFIG_MEMBER(struct config, filter.policy.default_verdict),
	 .words = config_filter_defaults},
	{.name = "malformed",
	 CONFIG_MEMBER(struct config, filter.policy.malformed),
	 .words = config_filter_malformed},
	{.name = "sets", .kind = CONFIG_KIND_READ, .read = config_filter_read_sets},
	{.name = "rules", .kind = CONFIG_KIND_READ, .read = config_filter_read_rules},
	{.name = NULL},
};

void config_filter_read(struct config_reader *reader, int node, void *object)
{
	config_map_read(reader, node, config_filter_keys, object, NULL);
}
