/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking keys up in the sides of a table: a burst goes through each part together.
 *
 *	hash      16 keys at a time
 *	heads     which keys have a bucket there that may better what they have;
 *	          without a branch for each key: whether they have is as good as
 *	          random
 *	groups    first all of the first groups, then all of the second ones:
 *	          again without branches, each fetched while others are compared
 *
 * The same source for each level of vector instructions. They differ in how a group is compared
 * and in the code that the compiler makes; what they find is the same.
 */
#ifndef STEERING_TABLE_FIND_H
#define STEERING_TABLE_FIND_H

#include "steering/table_side.h"

#define TABLE_BATCH 64

enum table_find_level {
	TABLE_FIND_PORTABLE = 0, /* what every processor of this kind has */
	TABLE_FIND_AVX2,
	TABLE_FIND_AVX512
};

/* The best that this processor has. */
enum table_find_level table_find_best(void);

/* Have a table look up at a level that the processor has; it begins with the best. For tests. */
void table_set_level(struct table *table, enum table_find_level level);

/* Look up `cnt` keys, at most TABLE_BATCH; as table_find(). The processor has that level. */
void table_find_at(enum table_find_level level, const struct table_side *ipv4,
		   const struct table_side *ipv6, const struct table_key *keys, uint32_t cnt,
		   uint16_t *outcomes, uint32_t *rules);

#endif
