/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/verdict_text.h"
#include "apps/instance/rule_text.h"
#include <stdio.h>

void verdict_rule_text(const struct filter *filter, uint16_t rule, char *text, size_t size)
{
	char what[RULE_TEXT_BYTES];

	rule_text(filter, &filter->rules[rule], what, sizeof(what));
	snprintf(text, size, "rule %u (line %u): %s", rule, filter->rules[rule].line, what);
}

/* What the default made of a packet, and why. */
static void verdict_default_text(const struct filter *filter, const struct capture_packet *packet,
				 char *text, size_t size)
{
	const struct filter_claim *claim = NULL;

	if (filter->default_action != FILTER_CLAIMED) {
		snprintf(text, size, "default: %s", filter_action_name(filter->default_action));
		return;
	}
	if (!filter->claim_push_down) {
		snprintf(text, size, "default: claimed, decided behind the first pass");
		return;
	}
	for (uint32_t i = 0; i < filter->claim_cnt && !claim; i++)
		if (expression_match(&filter->claims[i].expression, packet->data, packet->wire_len,
				     packet->len))
			claim = &filter->claims[i];
	if (claim)
		snprintf(text, size, "default: claimed, by group %s (line %u)", claim->name,
			 claim->line);
	else
		snprintf(text, size, "default: claimed, and no group wants it");
}

void verdict_text(const struct filter *filter, const struct capture_packet *packet,
		  const struct judge_result *result, char *text, size_t size)
{
	const char *word = rule_verdict_name(result->pass.action);

	if (result->pass.verdict == XDP_VERDICT_MALFORMED)
		snprintf(text, size, "malformed: %s", word);
	else if (result->pass.rule != XFQ_RULE_DEFAULT)
		verdict_rule_text(filter, result->pass.rule, text, size);
	else if (result->orphan && filter->orphans != XDP_ORPHAN_BY_RULES)
		snprintf(text, size, "orphans: %s", word);
	else
		verdict_default_text(filter, packet, text, size);
}
