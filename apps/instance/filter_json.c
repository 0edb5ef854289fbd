/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/filter_json.h"
#include "apps/instance/rule_text.h"

static json_t *filter_json_limit(const struct filter_limit *limit)
{
	return json_pack("{s:s, s:I, s:s, s:I, s:I}", "per", rule_per_name(limit->per), "rate",
			 (json_int_t)limit->rate, "unit", limit->bytes ? "bytes" : "packets",
			 "burst", (json_int_t)limit->burst, "keys", (json_int_t)limit->max_keys);
}

json_t *filter_json_rule(const struct filter *filter, uint32_t rule)
{
	const struct filter_rule *from = &filter->rules[rule];
	char text[RULE_TEXT_BYTES];
	json_t *object;

	rule_text(filter, from, text, sizeof(text));
	object = json_pack("{s:I, s:I, s:s, s:s}", "id", (json_int_t)rule, "line",
			   (json_int_t)from->line, "action", filter_action_name(from->action),
			   "what", text);
	if (from->action == FILTER_LIMIT)
		json_object_set_new(object, "limit", filter_json_limit(&from->limit));
	return object;
}

json_t *filter_json_rules(const struct filter *filter)
{
	json_t *rules = json_array();

	for (uint32_t i = 0; i < filter->rule_cnt; i++)
		json_array_append_new(rules, filter_json_rule(filter, i));
	return rules;
}

json_t *filter_json_sets(const struct set *const *sets, uint32_t cnt)
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < cnt; i++)
		json_object_set_new(object, sets[i]->name,
				    json_pack("{s:s, s:I}", "type", set_type_name(sets[i]->type),
					      "members", (json_int_t)sets[i]->cnt));
	return object;
}
