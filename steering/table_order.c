/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/table_order.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void table_order_destroy(struct table_order *order)
{
	for (uint32_t i = 0; i < order->piece_cnt; i++)
		free(order->pieces[i]);
	free(order->pieces);
	*order = (struct table_order){0};
}

/* Room for one more piece in the list. */
static int table_order_grow(struct table_order *order)
{
	uint32_t room = order->piece_room ? 2 * order->piece_room : 4;
	struct table_order_piece **pieces;

	if (order->piece_cnt < order->piece_room)
		return 0;
	pieces = realloc(order->pieces, room * sizeof(struct table_order_piece *));
	if (!pieces)
		return -ENOMEM;
	order->pieces = pieces;
	order->piece_room = room;
	return 0;
}

int table_order_copy(struct table_order *order, const struct table_order *from)
{
	for (uint32_t i = 0; i < from->piece_cnt; i++) {
		struct table_order_piece *piece = malloc(sizeof(*piece));

		if (!piece || table_order_grow(order) != 0) {
			free(piece);
			table_order_destroy(order);
			return -ENOMEM;
		}
		piece->cnt = from->pieces[i]->cnt;
		memcpy(piece->rules, from->pieces[i]->rules, piece->cnt * sizeof(piece->rules[0]));
		order->pieces[order->piece_cnt++] = piece;
	}
	order->cnt = from->cnt;
	return 0;
}

/* The first piece whose last rule is at or above a priority; piece_cnt: none. */
static uint32_t table_order_piece(const struct table_order *order, uint32_t priority)
{
	uint32_t from = 0, to = order->piece_cnt;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;
		const struct table_order_piece *piece = order->pieces[middle];

		if (piece->rules[piece->cnt - 1].priority < priority)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* The first rule of a piece at or above a priority; its cnt: none. */
static uint32_t table_order_at(const struct table_order_piece *piece, uint32_t priority)
{
	uint32_t from = 0, to = piece->cnt;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (piece->rules[middle].priority < priority)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* Put a new piece behind piece `at`, with what that one has from rule `from` on. */
static int table_order_split(struct table_order *order, uint32_t at, uint32_t from)
{
	struct table_order_piece *piece = malloc(sizeof(*piece)), *left;

	if (!piece || table_order_grow(order) != 0) {
		free(piece);
		return -ENOMEM;
	}
	left = order->pieces[at];
	piece->cnt = left->cnt - from;
	memcpy(piece->rules, left->rules + from, piece->cnt * sizeof(piece->rules[0]));
	left->cnt = from;
	memmove(order->pieces + at + 2, order->pieces + at + 1,
		(order->piece_cnt - at - 1) * sizeof(struct table_order_piece *));
	order->pieces[at + 1] = piece;
	order->piece_cnt++;
	return 0;
}

static int table_order_first(struct table_order *order, const struct table_rule *rule)
{
	struct table_order_piece *piece = malloc(sizeof(*piece));

	if (!piece || table_order_grow(order) != 0) {
		free(piece);
		return -ENOMEM;
	}
	piece->cnt = 1;
	piece->rules[0] = *rule;
	order->pieces[order->piece_cnt++] = piece;
	order->cnt++;
	return 0;
}

int table_order_add(struct table_order *order, const struct table_rule *rule)
{
	uint32_t at = table_order_piece(order, rule->priority), i;
	struct table_order_piece *piece;
	bool last = at == order->piece_cnt;

	if (order->piece_cnt == 0)
		return table_order_first(order, rule);
	at -= last;
	piece = order->pieces[at];
	i = table_order_at(piece, rule->priority);
	if (i < piece->cnt && piece->rules[i].priority == rule->priority)
		return -EEXIST;
	if (piece->cnt == TABLE_ORDER_PIECE) {
		/* rules that come in their order leave full pieces behind */
		uint32_t from = last ? TABLE_ORDER_PIECE - 1 : TABLE_ORDER_PIECE / 2;

		if (table_order_split(order, at, from) != 0)
			return -ENOMEM;
		if (i > from) {
			piece = order->pieces[at + 1];
			i -= from;
		}
	}
	memmove(piece->rules + i + 1, piece->rules + i, (piece->cnt - i) * sizeof(piece->rules[0]));
	piece->rules[i] = *rule;
	piece->cnt++;
	order->cnt++;
	return 0;
}

bool table_order_del(struct table_order *order, uint32_t priority)
{
	uint32_t at = table_order_piece(order, priority), i;
	struct table_order_piece *piece;

	if (at == order->piece_cnt)
		return false;
	piece = order->pieces[at];
	i = table_order_at(piece, priority);
	if (piece->rules[i].priority != priority)
		return false;
	piece->cnt--;
	memmove(piece->rules + i, piece->rules + i + 1, (piece->cnt - i) * sizeof(piece->rules[0]));
	order->cnt--;
	if (piece->cnt == 0) {
		free(piece);
		order->piece_cnt--;
		memmove(order->pieces + at, order->pieces + at + 1,
			(order->piece_cnt - at) * sizeof(struct table_order_piece *));
	}
	return true;
}

const struct table_rule *table_order_next(const struct table_order *order, uint32_t priority)
{
	uint32_t at = table_order_piece(order, priority);

	if (at == order->piece_cnt)
		return NULL;
	return &order->pieces[at]->rules[table_order_at(order->pieces[at], priority)];
}

size_t table_order_bytes(const struct table_order *order)
{
	return order->piece_cnt * sizeof(struct table_order_piece) +
	       order->piece_room * sizeof(struct table_order_piece *);
}
