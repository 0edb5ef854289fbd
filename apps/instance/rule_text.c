/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/rule_text.h"
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const rule_verdicts[XDP_VERDICT_CNT] = {
	[XDP_VERDICT_STEER] = "steer",         [XDP_VERDICT_PASS] = "pass",
	[XDP_VERDICT_DROP] = "drop",           [XDP_VERDICT_TX] = "tx",
	[XDP_VERDICT_LIMITED] = "limited",     [XDP_VERDICT_SHUNTED] = "shunted",
	[XDP_VERDICT_MALFORMED] = "malformed",
};

const char *rule_verdict_name(unsigned verdict)
{
	return verdict < XDP_VERDICT_CNT ? rule_verdicts[verdict] : "unknown";
}

static void __attribute__((format(printf, 3, 4)))
rule_append(char *text, size_t size, const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, size - used, format, args);
	va_end(args);
}

static void rule_ports(char *text, size_t size, const char *what, uint16_t lo, uint16_t hi)
{
	const char *space = text[0] ? " " : "";

	if (lo == hi)
		rule_append(text, size, "%s%s %u", space, what, lo);
	else
		rule_append(text, size, "%s%s %u-%u", space, what, lo, hi);
}

static void rule_set(char *text, size_t size, const struct filter *filter,
		     const struct filter_rule *rule)
{
	const struct set *set = filter->sets[rule->set];
	const char *field = "";

	if (set->type != SET_FLOW) {
		field = "src or dst ";
		if (rule->set_fields == XDP_FIELD_SRC)
			field = "src ";
		else if (rule->set_fields == XDP_FIELD_DST)
			field = "dst ";
	}
	rule_append(text, size, "%s%sin %s", text[0] ? ", " : "", field, set->name);
}

const char *rule_per_name(enum filter_per per)
{
	static const char *const names[] = {[FILTER_PER_ALL] = "all",
					    [FILTER_PER_SRC] = "src",
					    [FILTER_PER_DST] = "dst",
					    [FILTER_PER_FLOW] = "flow"};

	return names[per];
}

static void rule_limit(char *text, size_t size, const struct filter_limit *limit)
{
	const char *unit = limit->bytes ? "bytes" : "packets";

	rule_append(text, size, "%sover %llu %s/s", text[0] ? ", " : "",
		    (unsigned long long)limit->rate, unit);
	if (limit->per != FILTER_PER_ALL)
		rule_append(text, size, " per %s", rule_per_name(limit->per));
	rule_append(text, size, ", burst %llu", (unsigned long long)limit->burst);
}

static void rule_swap(char *text, size_t size, uint8_t swap)
{
	rule_append(text, size, "%sswap%s%s%s", text[0] ? ", " : "",
		    swap & XDP_SWAP_MAC ? " mac" : "",
		    swap & XDP_SWAP_ADDRESSES ? " addresses" : "",
		    swap & XDP_SWAP_PORTS ? " ports" : "");
}

void rule_text(const struct filter *filter, const struct filter_rule *rule, char *text, size_t size)
{
	text[0] = '\0';
	if (rule->fields & FILTER_PROTO) {
		const struct protoent *proto = getprotobynumber(rule->proto);

		if (proto)
			rule_append(text, size, "%s", proto->p_name);
		else
			rule_append(text, size, "proto %u", rule->proto);
	}
	if (rule->fields & FILTER_PORT)
		rule_ports(text, size, "port", rule->port_lo, rule->port_hi);
	if (rule->fields & FILTER_SPORT)
		rule_ports(text, size, "sport", rule->sport_lo, rule->sport_hi);
	if (rule->fields & FILTER_DPORT)
		rule_ports(text, size, "dport", rule->dport_lo, rule->dport_hi);
	if (rule->fields & FILTER_SET)
		rule_set(text, size, filter, rule);
	if (rule->fields & FILTER_MATCH)
		rule_append(text, size, "%s\"%s\"", text[0] ? ", " : "", rule->match);
	if (text[0] == '\0')
		rule_append(text, size, "any");
	if (rule->action == FILTER_LIMIT)
		rule_limit(text, size, &rule->limit);
	if (rule->action == FILTER_TX)
		rule_swap(text, size, rule->swap);
}
