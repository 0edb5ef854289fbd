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

void rule_text(const struct config_filter *filter, const struct xdp_rule *rule, char *text,
	       size_t size)
{
	const uint8_t either = XDP_RULE_SET_SRC | XDP_RULE_SET_DST;
	const char *field = "src";

	text[0] = '\0';
	if ((rule->fields & either) == either)
		field = "src or dst";
	else if (rule->fields & XDP_RULE_SET_DST)
		field = "dst";
	if (rule->fields & XDP_RULE_PROTO) {
		const struct protoent *proto = getprotobynumber(rule->proto);

		if (proto)
			rule_append(text, size, "%s", proto->p_name);
		else
			rule_append(text, size, "proto %u", rule->proto);
	}
	if (rule->fields & XDP_RULE_PORT)
		rule_ports(text, size, "port", rule->port_lo, rule->port_hi);
	if (rule->fields & XDP_RULE_SPORT)
		rule_ports(text, size, "sport", rule->sport_lo, rule->sport_hi);
	if (rule->fields & XDP_RULE_DPORT)
		rule_ports(text, size, "dport", rule->dport_lo, rule->dport_hi);
	if ((rule->fields & either) && rule->set < filter->set_cnt)
		rule_append(text, size, "%s%s in %s", text[0] ? ", " : "", field,
			    filter->sets[rule->set].name);
	if (text[0] == '\0')
		rule_append(text, size, "any");
}
