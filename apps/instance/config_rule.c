/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_rule.h"
#include "apps/instance/config_set.h"
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_RATE_MAX       100000000000ULL /* a second, and of a burst: 100 G */
#define CONFIG_LIMIT_KEYS_MAX (1u << 24)      /* buckets of a limit */
#define CONFIG_LIMIT_KEYS     65536
#define CONFIG_BURST_BYTES    9216 /* least default of a limit in bytes: a jumbo frame */

/* A rule being read, and the filter it is to be part of. */
struct config_rule {
	struct filter_rule rule;
	struct filter *filter;
	const struct config *config;
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
			rule->rule.fields |= FILTER_PROTO;
			return;
		}
	}
	if (config_range_parse(text, 255, &lo, &hi) && lo == hi && !strchr(text, '-')) {
		rule->rule.proto = (uint8_t)lo;
		rule->rule.fields |= FILTER_PROTO;
		return;
	}
	config_fail(reader, node,
		    "\"%.48s\" is no protocol: wants a number from 0 to 255 or a name such as tcp, "
		    "udp, icmp, icmp6, sctp",
		    text);
}

/* A port or "LO-HI" of them. */
static void config_rule_ports(struct config_reader *reader, int node, struct filter_rule *rule,
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
	struct filter_rule *rule = &((struct config_rule *)object)->rule;

	config_rule_ports(reader, node, rule, FILTER_PORT, &rule->port_lo, &rule->port_hi);
}

static void config_rule_read_sport(struct config_reader *reader, int node, void *object)
{
	struct filter_rule *rule = &((struct config_rule *)object)->rule;

	config_rule_ports(reader, node, rule, FILTER_SPORT, &rule->sport_lo, &rule->sport_hi);
}

static void config_rule_read_dport(struct config_reader *reader, int node, void *object)
{
	struct filter_rule *rule = &((struct config_rule *)object)->rule;

	config_rule_ports(reader, node, rule, FILTER_DPORT, &rule->dport_lo, &rule->dport_hi);
}

static void config_rule_read_match(struct config_reader *reader, int node, void *object)
{
	struct filter_rule *rule = &((struct config_rule *)object)->rule;
	const char *text = config_text(reader, node, CONFIG_MATCH_BYTES_MAX);
	struct xfq_error error;
	int code;

	if (!text)
		return;
	if (reader->dir) {
		code = filter_rule_match(rule, text, &error);
		if (code && code != -ENOMEM)
			config_fail(reader, node, "%s", error.text);
		reader->out_of_memory |= code == -ENOMEM;
		return;
	}
	/* to compile it could ask a name server */
	rule->match = strdup(text);
	rule->fields |= FILTER_MATCH;
	reader->out_of_memory |= !rule->match;
}

/* --- sets ------------------------------------------------------------------------------------ */

static void config_rule_read_in(struct config_reader *reader, int node, void *object)
{
	struct config_rule *rule = object;
	struct config_in in;

	if (!config_in_read(reader, node, rule->config, false, &in))
		return;
	rule->rule.set = in.set;
	rule->rule.set_fields = in.fields;
	rule->rule.fields |= FILTER_SET;
}

/* --- limits and ways back -------------------------------------------------------------------- */

static const struct config_word config_rule_pers[] = {
	{"src", FILTER_PER_SRC, NULL},
	{"dst", FILTER_PER_DST, NULL},
	{"flow", FILTER_PER_FLOW, NULL},
	{"all", FILTER_PER_ALL, NULL},
	{NULL, 0, NULL},
};

static const struct config_word config_rule_units[] = {
	{"packets", false, NULL},
	{"bytes", true, NULL},
	{NULL, 0, NULL},
};

static void config_rule_read_rate(struct config_reader *reader, int node, void *object)
{
	struct config_rule *rule = object;

	config_amount(reader, node, 1, CONFIG_RATE_MAX, &rule->rule.limit.rate);
}

static void config_rule_read_burst(struct config_reader *reader, int node, void *object)
{
	struct config_rule *rule = object;

	config_amount(reader, node, 1, CONFIG_RATE_MAX, &rule->rule.limit.burst);
}

static const struct config_word config_rule_swaps[] = {
	{"mac", XDP_SWAP_MAC, NULL},
	{"addresses", XDP_SWAP_ADDRESSES, NULL},
	{"ports", XDP_SWAP_PORTS, NULL},
	{NULL, 0, NULL},
};

static void config_rule_read_swap_one(struct config_reader *reader, const struct config_item *item,
				      void *object)
{
	struct config_rule *rule = object;
	uint32_t swap;

	if (!config_word(reader, item->node, config_rule_swaps, &swap))
		return;
	if (rule->rule.swap & swap)
		config_fail(reader, item->node, "is given twice");
	rule->rule.swap |= (uint8_t)swap;
}

static void config_rule_read_swap(struct config_reader *reader, int node, void *object)
{
	const yaml_node_t *list = yaml_document_get_node(reader->document, node);

	config_list_read(reader, node, 3, "things to swap", config_rule_read_swap_one, object);
	if (list->type == YAML_SEQUENCE_NODE &&
	    list->data.sequence.items.start == list->data.sequence.items.top)
		config_fail(reader, node,
			    "the list is empty; without swap, the MAC addresses are "
			    "swapped");
}

/* --- the whole rule -------------------------------------------------------------------------- */

static const struct config_word config_rule_actions[] = {
	{"drop", FILTER_DROP, NULL}, {"pass", FILTER_PASS, NULL},   {"steer", FILTER_STEER, NULL},
	{"tx", FILTER_TX, NULL},     {"limit", FILTER_LIMIT, NULL}, {NULL, 0, NULL},
};

enum {
	CONFIG_RULE_ACTION = 0,
	CONFIG_RULE_IN,
	CONFIG_RULE_PROTO,
	CONFIG_RULE_PORT,
	CONFIG_RULE_SPORT,
	CONFIG_RULE_DPORT,
	CONFIG_RULE_MATCH,
	CONFIG_RULE_PER,
	CONFIG_RULE_RATE,
	CONFIG_RULE_UNIT,
	CONFIG_RULE_BURST,
	CONFIG_RULE_KEYS,
	CONFIG_RULE_SWAP
};
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
	[CONFIG_RULE_SPORT] = {.name = "sport",
			       .kind = CONFIG_KIND_READ,
			       .read = config_rule_read_sport},
	[CONFIG_RULE_DPORT] = {.name = "dport",
			       .kind = CONFIG_KIND_READ,
			       .read = config_rule_read_dport},
	[CONFIG_RULE_MATCH] = {.name = "match",
			       .kind = CONFIG_KIND_READ,
			       .read = config_rule_read_match},
	[CONFIG_RULE_PER] = {.name = "per",
			     CONFIG_MEMBER(struct config_rule, rule.limit.per),
			     .words = config_rule_pers},
	[CONFIG_RULE_RATE] = {.name = "rate",
			      .kind = CONFIG_KIND_READ,
			      .read = config_rule_read_rate},
	[CONFIG_RULE_UNIT] = {.name = "unit",
			      CONFIG_MEMBER(struct config_rule, rule.limit.bytes),
			      .words = config_rule_units},
	[CONFIG_RULE_BURST] = {.name = "burst",
			       .kind = CONFIG_KIND_READ,
			       .read = config_rule_read_burst},
	[CONFIG_RULE_KEYS] = {.name = "keys",
			      .kind = CONFIG_KIND_NUMBER,
			      CONFIG_MEMBER(struct config_rule, rule.limit.max_keys),
			      .min = 1,
			      .max = CONFIG_LIMIT_KEYS_MAX},
	[CONFIG_RULE_SWAP] = {.name = "swap",
			      .kind = CONFIG_KIND_READ,
			      .read = config_rule_read_swap},
	{.name = NULL},
};

/* An error of a key, where the rule has it. */
static void config_rule_fail(struct config_reader *reader, const int *at, int key, const char *why)
{
	size_t mark;

	if (at[key] == 0)
		return;
	mark = config_path_push(reader, ".%s", config_rule_keys[key].name);
	config_fail(reader, at[key], "%s", why);
	config_path_pop(reader, mark);
}

/* Only TCP, UDP and SCTP have ports, as XFQ sees them. */
static void config_rule_check_ports(struct config_reader *reader, const struct config_rule *from,
				    const int *at)
{
	const struct filter_rule *rule = &from->rule;
	char why[96];

	if (!(rule->fields & FILTER_PROTO) || rule->proto == IPPROTO_TCP ||
	    rule->proto == IPPROTO_UDP || rule->proto == IPPROTO_SCTP)
		return;
	snprintf(why, sizeof(why),
		 "protocol %u has no ports; ports go with proto tcp, udp, sctp or none",
		 rule->proto);
	for (int i = CONFIG_RULE_PORT; i <= CONFIG_RULE_DPORT; i++)
		config_rule_fail(reader, at, i, why);
	if (rule->swap & XDP_SWAP_PORTS)
		config_rule_fail(reader, at, CONFIG_RULE_SWAP, why);
	if ((rule->fields & FILTER_SET) && (from->config->sets[rule->set]->type == SET_PORT ||
					    from->config->sets[rule->set]->type == SET_FLOW))
		config_rule_fail(reader, at, CONFIG_RULE_IN, why);
}

static uint32_t config_rule_limits(const struct filter *filter)
{
	uint32_t cnt = 0;

	for (uint32_t i = 0; i < filter->rule_cnt; i++)
		cnt += filter->rules[i].action == FILTER_LIMIT;
	return cnt;
}

/* What belongs to limits: all of it, or nothing. */
static void config_rule_check_limit(struct config_reader *reader, struct config_rule *from,
				    const int *at, int node)
{
	struct filter_limit *limit = &from->rule.limit;

	if (from->rule.action != FILTER_LIMIT) {
		for (int i = CONFIG_RULE_PER; i <= CONFIG_RULE_KEYS; i++)
			config_rule_fail(reader, at, i, "belongs to action limit alone");
		return;
	}
	if (at[CONFIG_RULE_RATE] == 0)
		config_fail(reader, node,
			    "a limit wants a rate, such as rate: 10k (packets a second)");
	if (config_rule_limits(from->filter) == XDP_LIMITS_MAX)
		config_fail(reader, node, "more than %d rules that limit", XDP_LIMITS_MAX);
	if (limit->per == FILTER_PER_ALL)
		config_rule_fail(reader, at, CONFIG_RULE_KEYS,
				 "a limit over all has one bucket; keys goes with per: src, dst or "
				 "flow");
	if (at[CONFIG_RULE_KEYS] == 0)
		limit->max_keys = limit->per == FILTER_PER_ALL ? 1 : CONFIG_LIMIT_KEYS;
	if (at[CONFIG_RULE_BURST] == 0) {
		uint64_t least = limit->bytes ? CONFIG_BURST_BYTES : 1;

		limit->burst = limit->rate / 10 > least ? limit->rate / 10 : least;
	}
}

static void config_rule_check_action(struct config_reader *reader, struct config_rule *from,
				     const int *at)
{
	enum filter_action action = from->rule.action;

	if (from->filter == &from->config->egress &&
	    (action == FILTER_STEER || action == FILTER_TX))
		config_rule_fail(reader, at, CONFIG_RULE_ACTION,
				 "what leaves can be dropped, passed or limited; steer and tx are "
				 "for what comes in");
	if (action != FILTER_TX)
		config_rule_fail(reader, at, CONFIG_RULE_SWAP, "belongs to action tx alone");
	else if (at[CONFIG_RULE_SWAP] == 0)
		from->rule.swap = XDP_SWAP_MAC;
}

static void config_rule_read(struct config_reader *reader, const struct config_item *item,
			     void *object)
{
	struct config_rule rule = *(struct config_rule *)object;
	struct filter_rule *to = NULL;
	int at[CONFIG_KEYS_MAX];

	rule.rule.line = config_node_line(reader, item->node);
	if (config_map_read(reader, item->node, config_rule_keys, &rule, at)) {
		if (at[CONFIG_RULE_ACTION] != 0) {
			config_rule_check_action(reader, &rule, at);
			config_rule_check_limit(reader, &rule, at, item->node);
		}
		config_rule_check_ports(reader, &rule, at);
		to = filter_add(rule.filter, rule.rule.action);
		reader->out_of_memory |= !to;
	}
	if (to) {
		*to = rule.rule;
		return;
	}
	free(rule.rule.match);
	expression_destroy(&rule.rule.expression);
}

void config_rules_read(struct config_reader *reader, int node, const struct config *config,
		       struct filter *filter)
{
	struct config_rule rule = {.filter = filter, .config = config};

	config_list_read(reader, node, XDP_RULES_MAX, "rules", config_rule_read, &rule);
}
