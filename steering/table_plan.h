/* SPDX-License-Identifier: BSD-2-Clause */
/* Which mask divides rules best: for the parts of a side (table_side.h). */
#ifndef STEERING_TABLE_PLAN_H
#define STEERING_TABLE_PLAN_H

#include "steering/table_entry.h"

#define TABLE_PLAN_RULES 4096 /* that are looked at, at most */

struct table_plan_rule {
	uint32_t values[TABLE_WORDS_MAX]; /* table_entry_words() */
	uint32_t care[TABLE_WORDS_MAX];   /* table_entry_care() */
};

static inline bool table_plan_fits(const uint32_t *mask, const uint32_t *care, uint32_t words)
{
	uint32_t missing = 0;

	for (uint32_t w = 0; w < words; w++)
		missing |= mask[w] & ~care[w];
	return missing == 0;
}

/* The mask under which the most rules are in buckets of at most `limit`; how many those are, 0: no
 * mask but the empty one has any. */
uint32_t table_plan_mask(const struct table_plan_rule *rules, uint32_t cnt, uint32_t words,
			 uint32_t limit, uint32_t *mask);

#endif
