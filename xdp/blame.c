/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/blame.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

bool blame_is_refusal(int code)
{
	return code == -E2BIG || code == -EINVAL || code == -ENOSPC || code == -EACCES ||
	       code == -EFAULT || code == -ENOMEM;
}

/* How many rules and claims there are. */
static uint32_t blame_part_cnt(const struct filter *filter)
{
	return filter->rule_cnt + filter->claim_cnt;
}

static const struct expression *blame_expression(const struct filter *filter, uint32_t part)
{
	if (part >= filter->rule_cnt)
		return &filter->claims[part - filter->rule_cnt].expression;
	return (filter->rules[part].fields & FILTER_MATCH) ? &filter->rules[part].expression : NULL;
}

/* The parts from `from` on, `cnt` of them, as a filter that owns nothing. */
static struct filter blame_parts(const struct filter *filter, uint32_t from, uint32_t cnt)
{
	struct filter parts = *filter;
	uint32_t end = from + cnt;

	parts.rules = NULL;
	parts.claims = NULL;
	parts.rule_cnt = parts.claim_cnt = 0;
	if (from < filter->rule_cnt) {
		parts.rules = &filter->rules[from];
		parts.rule_cnt = (end < filter->rule_cnt ? end : filter->rule_cnt) - from;
	}
	if (end > filter->rule_cnt) {
		uint32_t first = from > filter->rule_cnt ? from - filter->rule_cnt : 0;

		parts.claims = &filter->claims[first];
		parts.claim_cnt = end - filter->rule_cnt - first;
	} else if (filter->default_action == FILTER_CLAIMED) {
		parts.default_action = FILTER_PASS;
	}
	return parts;
}

static void blame_name(const struct filter *filter, uint32_t part, char *name, size_t bytes)
{
	bool claim = part >= filter->rule_cnt;
	uint32_t line =
		claim ? filter->claims[part - filter->rule_cnt].line : filter->rules[part].line;
	int len;

	if (claim)
		len = snprintf(name, bytes, "group \"%s\"",
			       filter->claims[part - filter->rule_cnt].name
				       ? filter->claims[part - filter->rule_cnt].name
				       : "");
	else
		len = snprintf(name, bytes, "rule %u", part);
	if (line && len > 0 && (size_t)len < bytes)
		snprintf(name + len, bytes - (size_t)len, " (line %u)", line);
}

/* The verifier's last line but for what it counted. */
static void blame_reason(const char *log, int code, char *reason, size_t bytes)
{
	const char *counted = strstr(log, "verification time ");
	size_t end = counted ? (size_t)(counted - log) : strlen(log), begin;

	while (end > 0 && log[end - 1] == '\n')
		end--;
	for (begin = end; begin > 0 && log[begin - 1] != '\n';)
		begin--;
	if (begin == end)
		snprintf(reason, bytes, "%s", strerror(-code));
	else
		snprintf(reason, bytes, "%.*s", (int)(end - begin), log + begin);
}

int blame_find(const struct filter *filter, blame_try *try, void *context, const char *log,
	       struct xfq_error *error)
{
	uint32_t good = 0, bad = blame_part_cnt(filter);
	struct filter parts = blame_parts(filter, 0, 0);
	char name[128], reason[200];
	int result;

	if (bad == 0 || try(&parts, context))
		return 0;
	for (uint32_t part = 0; part < bad; part++) {
		struct filter alone = blame_parts(filter, part, 1);

		if (!blame_expression(filter, part))
			continue;
		result = try(&alone, context);
		if (result == 0)
			continue;
		blame_name(filter, part, name, sizeof(name));
		blame_reason(log, result, reason, sizeof(reason));
		return xfq_error_set(error, -E2BIG,
				     "%s: the kernel's verifier refuses this expression: %s; make "
				     "it shorter, or use a set",
				     name, reason);
	}
	/* the first that is too much */
	while (bad - good > 1) {
		uint32_t middle = good + (bad - good) / 2;

		parts = blame_parts(filter, 0, middle);
		if (try(&parts, context))
			bad = middle;
		else
			good = middle;
	}
	parts = blame_parts(filter, 0, bad);
	result = try(&parts, context);
	blame_name(filter, bad - 1, name, sizeof(name));
	blame_reason(log, result, reason, sizeof(reason));
	return xfq_error_set(error, -E2BIG,
			     "%s: with those before it, more than the kernel's verifier takes in "
			     "one program: %s; use fewer expressions, or sets",
			     name, reason);
}
