/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of a table in the order of their priorities: pieces of some hundred rules each, so that
 * neither adding nor taking out moves more than one piece and the list of pieces.
 *
 * Thread: as struct table.
 */
#ifndef STEERING_TABLE_ORDER_H
#define STEERING_TABLE_ORDER_H

#include "steering/table.h"

#define TABLE_ORDER_PIECE 256

struct table_order_piece {
	uint32_t cnt; /* never 0 */
	struct table_rule rules[TABLE_ORDER_PIECE];
};

/* All 0: empty. */
struct table_order {
	uint32_t cnt;
	uint32_t piece_cnt, piece_room;
	struct table_order_piece **pieces; /* owned */
};

/* Frees what it owns and leaves it empty. */
void table_order_destroy(struct table_order *order);

/* Make `order`, which is empty, one with the rules of another; 0 or -ENOMEM. */
int table_order_copy(struct table_order *order, const struct table_order *from);

/* 0, -EEXIST or -ENOMEM; nothing changes where it fails. */
int table_order_add(struct table_order *order, const struct table_rule *rule);

/* Take out the rule with a priority; whether there was one. */
bool table_order_del(struct table_order *order, uint32_t priority);

/* The first rule at or above a priority; NULL: none. Good until the next change. */
const struct table_rule *table_order_next(const struct table_order *order, uint32_t priority);

size_t table_order_bytes(const struct table_order *order);

#endif
