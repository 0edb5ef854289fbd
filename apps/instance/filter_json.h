/* SPDX-License-Identifier: BSD-2-Clause */
/* A filter as JSON: what `xfq check` prints, and what counters are added to. */
#ifndef INSTANCE_FILTER_JSON_H
#define INSTANCE_FILTER_JSON_H

#include "xdp/filter.h"
#include <jansson.h>

/* One rule: id, line, action, what, and of a limit `limit`. The caller decrefs it. */
json_t *filter_json_rule(const struct filter *filter, uint32_t rule);

/* All rules, a list. */
json_t *filter_json_rules(const struct filter *filter);

/* Sets by their names: type, and how many members they have. */
json_t *filter_json_sets(const struct set *const *sets, uint32_t cnt);

#endif
