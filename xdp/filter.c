/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/filter.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void filter_init(struct filter *filter)
{
	memset(filter, 0, sizeof(*filter));
	filter->default_action = FILTER_STEER;
	filter->fragments = true;
	filter->claim_push_down = true;
	filter->shunt_flows = 65536;
}

struct filter_rule *filter_add(struct filter *filter, enum filter_action action)
{
	struct filter_rule *rule;

	if (filter->rule_cnt == XDP_RULES_MAX)
		return NULL;
	if (filter->rule_cnt == filter->rule_room) {
		uint32_t room = filter->rule_room ? filter->rule_room * 2 : 8;
		struct filter_rule *rules =
			reallocarray(filter->rules, room, sizeof(*filter->rules));

		if (!rules)
			return NULL;
		filter->rules = rules;
		filter->rule_room = room;
	}
	rule = &filter->rules[filter->rule_cnt++];
	*rule = (struct filter_rule){.action = action};
	return rule;
}

int filter_rule_match(struct filter_rule *rule, const char *text, struct xfq_error *error)
{
	int code = expression_compile(&rule->expression, text, error);

	if (code)
		return code;
	rule->match = strdup(text);
	if (!rule->match)
		return xfq_error_set(error, -ENOMEM, "no memory for an expression");
	rule->fields |= FILTER_MATCH;
	return 0;
}

bool filter_has_rules(const struct filter *filter)
{
	return filter->rule_cnt > 0 ||
	       (filter->default_action == FILTER_CLAIMED && filter->claim_push_down);
}

const char *filter_action_name(enum filter_action action)
{
	switch (action) {
	case FILTER_STEER:
		return "steer";
	case FILTER_PASS:
		return "pass";
	case FILTER_DROP:
		return "drop";
	case FILTER_TX:
		return "tx";
	case FILTER_LIMIT:
		return "limit";
	case FILTER_CLAIMED:
		return "claimed";
	}
	return "unknown";
}

void filter_destroy(struct filter *filter)
{
	if (!filter)
		return;
	for (uint32_t i = 0; i < filter->rule_cnt; i++) {
		free(filter->rules[i].match);
		expression_destroy(&filter->rules[i].expression);
	}
	for (uint32_t i = 0; i < filter->claim_cnt; i++)
		expression_destroy(&filter->claims[i].expression);
	free(filter->rules);
	free(filter->claims);
	memset(filter, 0, sizeof(*filter));
}

static bool filter_same_limit(const struct filter_limit *a, const struct filter_limit *b)
{
	return a->per == b->per && a->bytes == b->bytes && a->rate == b->rate &&
	       a->burst == b->burst && a->max_keys == b->max_keys;
}

bool filter_same_rule(const struct filter *a, uint32_t rule_a, const struct filter *b,
		      uint32_t rule_b)
{
	const struct filter_rule *x = &a->rules[rule_a], *y = &b->rules[rule_b];

	if (x->action != y->action || x->fields != y->fields || x->proto != y->proto ||
	    x->swap != y->swap || x->port_lo != y->port_lo || x->port_hi != y->port_hi ||
	    x->sport_lo != y->sport_lo || x->sport_hi != y->sport_hi ||
	    x->dport_lo != y->dport_lo || x->dport_hi != y->dport_hi ||
	    x->set_fields != y->set_fields || !filter_same_limit(&x->limit, &y->limit))
		return false;
	if ((x->fields & FILTER_SET) && strcmp(a->sets[x->set]->name, b->sets[y->set]->name) != 0)
		return false;
	return !(x->fields & FILTER_MATCH) || strcmp(x->match, y->match) == 0;
}

void filter_carry_counters(const struct filter *before, const struct xdp_counter *from,
			   const struct filter *next, struct xdp_counter *to)
{
	bool taken[XDP_RULES_MAX] = {false};

	memset(to, 0, XDP_RULES_MAX * sizeof(*to));
	for (uint32_t n = 0; n < next->rule_cnt; n++)
		for (uint32_t b = 0; b < before->rule_cnt; b++) {
			if (taken[b] || !filter_same_rule(before, b, next, n))
				continue;
			taken[b] = true;
			to[n] = from[b];
			break;
		}
}
