/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/method.h"
#include "steering/method_read.h"
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const method_names[METHOD_CNT] = {
	[METHOD_FLOW] = "flow",
	[METHOD_IP_PAIR] = "ip-pair",
	[METHOD_SRC] = "src",
	[METHOD_DST] = "dst",
	[METHOD_DOUBLE] = "double",
	[METHOD_LINK] = "link",
	[METHOD_LOCAL_LINK] = "local-link",
	[METHOD_VLAN] = "vlan",
	[METHOD_QUEUE] = "queue",
	[METHOD_RSS_HASH] = "rss-hash",
	[METHOD_ROUND_ROBIN] = "round-robin",
	[METHOD_RANDOM] = "random",
	[METHOD_TO] = "to",
	[METHOD_LOCAL_IP] = "local-ip",
	[METHOD_LOCAL_NET] = "local-net",
	[METHOD_FIELD] = "field",
	[METHOD_KEY] = "key",
	[METHOD_BROADCAST] = "broadcast",
	[METHOD_STICKY] = "sticky",
	[METHOD_PLUGIN] = "plugin",
};

/* By bit of enum method_field. */
static const char *const field_names[METHOD_KEY_FIELDS] = {
	"src",       "dst", "sport",      "dport", "proto", "vlan",      "src-mac",   "dst-mac",
	"ethertype", "tos", "flow-label", "dscp",  "ecn",   "icmp-type", "icmp-code",
};

const char *method_name(enum method method)
{
	return method < METHOD_CNT ? method_names[method] : "unknown";
}

enum method method_by_name(const char *name)
{
	uint32_t method = 0;

	while (method < METHOD_CNT && strcmp(method_names[method], name) != 0)
		method++;
	return (enum method)method;
}

const char *method_field_name(uint32_t field)
{
	for (uint32_t i = 0; i < METHOD_KEY_FIELDS; i++)
		if (field == 1u << i)
			return field_names[i];
	return "unknown";
}

uint32_t method_field_by_name(const char *name)
{
	for (uint32_t i = 0; i < METHOD_KEY_FIELDS; i++)
		if (strcmp(field_names[i], name) == 0)
			return 1u << i;
	return 0;
}

void method_spec_destroy(struct method_spec *spec)
{
	free(spec->nets);
	spec->nets = NULL;
	spec->net_cnt = 0;
}

static bool nets_same(const struct method_spec *a, const struct method_spec *b)
{
	if (a->net_cnt != b->net_cnt)
		return false;
	for (uint32_t i = 0; i < a->net_cnt; i++) {
		const struct method_net *x = &a->nets[i], *y = &b->nets[i];

		if (memcmp(x->addr, y->addr, sizeof(x->addr)) != 0 || x->len != y->len ||
		    !x->v6 != !y->v6 || x->sub != y->sub)
			return false;
	}
	return true;
}

static bool fields_same(const struct method_spec *a, const struct method_spec *b)
{
	if (a->offset != b->offset || a->size != b->size || a->each != b->each ||
	    a->symmetric != b->symmetric)
		return false;
	return a->offset2 == b->offset2 || !(a->each || a->symmetric);
}

bool method_spec_same(const struct method_spec *a, const struct method_spec *b)
{
	if (a->method != b->method || a->otherwise != b->otherwise)
		return false;
	switch (a->method) {
	case METHOD_TO:
		return a->to == b->to;
	case METHOD_LOCAL_LINK:
		return memcmp(a->gateway, b->gateway, sizeof(a->gateway)) == 0;
	case METHOD_LOCAL_IP:
	case METHOD_LOCAL_NET:
		return nets_same(a, b);
	case METHOD_FIELD:
		return fields_same(a, b);
	case METHOD_KEY:
		return a->symmetric == b->symmetric && method_key_fields(a) == method_key_fields(b);
	case METHOD_STICKY:
		return a->flows == b->flows && a->idle_s == b->idle_s;
	case METHOD_PLUGIN:
		return a->plugin == b->plugin;
	case METHOD_FLOW:
	case METHOD_IP_PAIR:
	case METHOD_SRC:
	case METHOD_DST:
	case METHOD_DOUBLE:
	case METHOD_LINK:
	case METHOD_VLAN:
	case METHOD_QUEUE:
	case METHOD_RSS_HASH:
	case METHOD_ROUND_ROBIN:
	case METHOD_RANDOM:
	case METHOD_BROADCAST:
	case METHOD_CNT:
		break;
	}
	return true;
}

uint32_t method_reach(const struct method_spec *spec)
{
	uint32_t end = spec->offset + spec->size;
	uint32_t headers = 14 + 2 * 4 + 40; /* the longest up to the end of IPv6 */

	if (spec->method == METHOD_PLUGIN)
		return UINT32_MAX;
	if (spec->method == METHOD_FIELD) {
		if ((spec->symmetric || spec->each) && spec->offset2 > spec->offset)
			end = spec->offset2 + spec->size;
		return end;
	}
	if (spec->method == METHOD_KEY || spec->method == METHOD_RSS_HASH)
		return METHOD_REACH_L4;
	return headers;
}

/* Append, as far as there is room; `at` never exceeds it. */
__attribute__((format(printf, 4, 5))) static void text_add(char *text, size_t room, size_t *at,
							   const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text + *at, room - *at, format, args);
	va_end(args);
	if (n > 0)
		*at += (size_t)n < room - *at ? (size_t)n : room - *at - 1;
}

static void text_add_nets(const struct method_spec *spec, char *text, size_t room, size_t *at)
{
	for (uint32_t i = 0; i < spec->net_cnt; i++) {
		const struct method_net *net = &spec->nets[i];
		char addr[INET6_ADDRSTRLEN];

		inet_ntop(net->v6 ? AF_INET6 : AF_INET, net->addr, addr, sizeof(addr));
		text_add(text, room, at, "%c%s/%u", i ? ',' : ' ', addr, net->len);
		if (spec->method == METHOD_LOCAL_NET && net->sub && net->sub != net->len)
			text_add(text, room, at, "/%u", net->sub);
	}
}

static void text_add_key(const struct method_spec *spec, char *text, size_t room, size_t *at)
{
	char before = ' ';

	for (uint32_t left = spec->fields; left; left &= left - 1) {
		text_add(text, room, at, "%c%s", before, method_field_name(left & -left));
		before = ',';
	}
	if (spec->symmetric)
		text_add(text, room, at, " symmetric");
}

const char *method_spec_text(const struct method_spec *spec, char *text, size_t room)
{
	const uint8_t *mac = spec->gateway;
	size_t at = 0;

	if (room == 0)
		return text;
	text_add(text, room, &at, "%s", method_name(spec->method));
	if (spec->method == METHOD_TO)
		text_add(text, room, &at, " %u", spec->to);
	else if (spec->method == METHOD_LOCAL_LINK)
		text_add(text, room, &at, " %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
			 mac[3], mac[4], mac[5]);
	else if (spec->method == METHOD_LOCAL_IP || spec->method == METHOD_LOCAL_NET)
		text_add_nets(spec, text, room, &at);
	else if (spec->method == METHOD_FIELD && (spec->symmetric || spec->each))
		text_add(text, room, &at, " %u,%u %u %s", spec->offset, spec->offset2, spec->size,
			 spec->each ? "each" : "symmetric");
	else if (spec->method == METHOD_FIELD)
		text_add(text, room, &at, " %u %u", spec->offset, spec->size);
	else if (spec->method == METHOD_KEY)
		text_add_key(spec, text, room, &at);
	if (spec->otherwise == METHOD_ELSE_DROP)
		text_add(text, room, &at, " else drop");
	return text;
}
