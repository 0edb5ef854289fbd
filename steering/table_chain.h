/* SPDX-License-Identifier: BSD-2-Clause */
/* The groups of a side, and the chains of them that buckets are. */
#ifndef STEERING_TABLE_CHAIN_H
#define STEERING_TABLE_CHAIN_H

#include "steering/table_side.h"

/* So many groups to be had without an allocation; 0 or -ENOMEM. The functions below need what they
 * say, and cannot fail. */
int table_chain_reserve(struct table_side *side, uint32_t cnt);

/* Add to a bucket; needs one group. */
void table_chain_add(struct table_side *side, struct table_head *head,
		     const struct table_entry *entry);

/* Whether the bucket had the priority, which it has not any more. */
bool table_chain_del(struct table_side *side, struct table_head *head, uint32_t priority);

/* Rules in a bucket. */
uint32_t table_chain_cnt(const struct table_side *side, const struct table_head *head);

/* An entry in a group. */
void table_chain_get(const struct table_side *side, uint32_t group, uint32_t place,
		     struct table_entry *entry);

/*
 * Show the first `limit` rules of a bucket to take(), or some more, in their order; those that it
 * returns true for have been added elsewhere, and leave this one. Needs two groups, and those of
 * take().
 */
typedef bool table_chain_taker(void *context, const struct table_entry *entry);
void table_chain_divide(struct table_side *side, struct table_head *head, uint32_t limit,
			table_chain_taker *take, void *context);

/* Add an entry behind all others of a bucket, whose last group is *tail, 0 as long as there is
 * none. Needs one group. */
void table_chain_push(struct table_side *side, struct table_head *head, uint32_t *tail,
		      const struct table_entry *entry);

/* Give back a bucket's groups; it is empty afterwards. */
void table_chain_clear(struct table_side *side, struct table_head *head);

#endif
