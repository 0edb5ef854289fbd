/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/table_chain.h"
#include <errno.h>
#include <stdlib.h>

/* --- groups ----------------------------------------------------------------------------------- */

static struct table_group *table_chain_at(const struct table_side *side, uint32_t group)
{
	return table_side_group(side, group, side->words);
}

static void table_chain_put(struct table_side *side, uint32_t at, uint32_t place,
			    const struct table_entry *entry)
{
	struct table_group *group = table_chain_at(side, at);

	group->rank[place] = (uint64_t)entry->priority << 32 | entry->outcome;
	if (side->words == TABLE_WORDS_IPV4) {
		struct table_group_ipv4 *ipv4 = (void *)group;

		memcpy(ipv4->lo[place], entry->lo, 16);
		memcpy(ipv4->span[place], entry->span, 16);
		memcpy(ipv4->mask[place], entry->mask, 16);
	} else {
		struct table_group_ipv6 *ipv6 = (void *)group;

		memcpy(ipv6->addr[place][0], entry->lo, 32);
		memcpy(ipv6->addr[place][1], entry->span, 32);
		memcpy(ipv6->lo[place], entry->lo + 16, 8);
		memcpy(ipv6->span[place], entry->span + 16, 8);
		memcpy(ipv6->mask[place], entry->mask + 16, 8);
	}
}

void table_chain_get(const struct table_side *side, uint32_t at, uint32_t place,
		     struct table_entry *entry)
{
	const struct table_group *group = table_chain_at(side, at);

	entry->priority = table_group_priority(group, place);
	entry->outcome = (uint16_t)group->rank[place];
	memset(entry->mask, 0xff, sizeof(entry->mask));
	if (side->words == TABLE_WORDS_IPV4) {
		const struct table_group_ipv4 *ipv4 = (const void *)group;

		memcpy(entry->lo, ipv4->lo[place], 16);
		memcpy(entry->span, ipv4->span[place], 16);
		memcpy(entry->mask, ipv4->mask[place], 16);
	} else {
		const struct table_group_ipv6 *ipv6 = (const void *)group;

		memcpy(entry->lo, ipv6->addr[place][0], 32);
		memcpy(entry->span, ipv6->addr[place][1], 32);
		memcpy(entry->lo + 16, ipv6->lo[place], 8);
		memcpy(entry->span + 16, ipv6->span[place], 8);
		memcpy(entry->mask + 16, ipv6->mask[place], 8);
	}
}

static void table_chain_empty(struct table_side *side, uint32_t at, uint32_t place)
{
	static const struct table_entry nothing = {
		.lo = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
		.priority = TABLE_NEVER,
		.outcome = TABLE_NONE};

	table_chain_put(side, at, place, &nothing);
}

static void table_chain_move(struct table_side *side, uint32_t from, uint32_t place, uint32_t to,
			     uint32_t at)
{
	struct table_entry entry;

	table_chain_get(side, from, place, &entry);
	table_chain_put(side, to, at, &entry);
}

static void table_chain_free(struct table_side *side, uint32_t at)
{
	struct table_group *group = table_chain_at(side, at);

	for (uint32_t i = 0; i < TABLE_GROUP; i++)
		table_chain_empty(side, at, i);
	group->rank[TABLE_GROUP] = TABLE_NO_RANK;
	group->total = 0;
	group->after = TABLE_NEVER;
	group->next = side->free;
	side->free = at;
	side->free_cnt++;
}

static uint32_t table_chain_take(struct table_side *side)
{
	uint32_t at = side->free;
	struct table_group *group = table_chain_at(side, at);

	side->free = group->next;
	side->free_cnt--;
	group->next = 0;
	return at;
}

int table_chain_reserve(struct table_side *side, uint32_t cnt)
{
	size_t bytes = TABLE_CHUNK * table_side_group_bytes(side->words);

	while (side->free_cnt < cnt) {
		uint32_t first = side->chunk_cnt * TABLE_CHUNK;
		uint8_t *chunk;

		if (side->chunk_cnt == side->chunk_room) {
			uint32_t room = side->chunk_room ? 2 * side->chunk_room : 4;
			uint8_t **chunks = realloc(side->chunks, room * sizeof(uint8_t *));

			if (!chunks)
				return -ENOMEM;
			side->chunks = chunks;
			side->chunk_room = room;
		}
		chunk = aligned_alloc(64, bytes);
		if (!chunk)
			return -ENOMEM;
		memset(chunk, 0, bytes);
		side->chunks[side->chunk_cnt++] = chunk;
		for (uint32_t i = TABLE_CHUNK; i-- > 0;)
			table_chain_free(side, first + i);
		if (first == 0)
			table_chain_take(side);
	}
	return 0;
}

static uint32_t table_chain_rules(const struct table_group *group)
{
	uint32_t cnt = 0;

	while (cnt < TABLE_GROUP && table_group_priority(group, cnt) != TABLE_NEVER)
		cnt++;
	return cnt;
}

/* The priority that a group begins with. */
static uint32_t table_chain_first(const struct table_side *side, uint32_t at)
{
	return table_group_priority(table_chain_at(side, at), 0);
}

/* --- chains ----------------------------------------------------------------------------------- */

uint32_t table_chain_cnt(const struct table_side *side, const struct table_head *head)
{
	return head->at ? table_chain_at(side, head->at)->total : 0;
}

/* Into a group with room, at its place. */
static void table_chain_insert(struct table_side *side, uint32_t at,
			       const struct table_entry *entry)
{
	const struct table_group *group = table_chain_at(side, at);
	uint32_t place = table_chain_rules(group);

	while (place > 0 && table_group_priority(group, place - 1) > entry->priority) {
		table_chain_move(side, at, place - 1, at, place);
		place--;
	}
	table_chain_put(side, at, place, entry);
}

/* A new group behind another. */
static uint32_t table_chain_append(struct table_side *side, uint32_t at)
{
	uint32_t to = table_chain_take(side);
	struct table_group *group = table_chain_at(side, at), *next = table_chain_at(side, to);

	next->next = group->next;
	next->after = group->after;
	group->next = to;
	return to;
}

void table_chain_add(struct table_side *side, struct table_head *head,
		     const struct table_entry *entry)
{
	struct table_group *group;
	uint32_t at = head->at, next;

	if (!at)
		at = head->at = table_chain_take(side);
	table_chain_at(side, at)->total++;
	if (entry->priority < head->best)
		head->best = entry->priority;
	/* the last group that begins before it, or the first */
	for (group = table_chain_at(side, at); group->next; group = table_chain_at(side, at)) {
		if (table_chain_first(side, group->next) > entry->priority)
			break;
		at = group->next;
	}
	if (table_group_priority(group, TABLE_GROUP - 1) != TABLE_NEVER) {
		bool last = entry->priority > table_group_priority(group, TABLE_GROUP - 1);

		next = table_chain_append(side, at);
		/* what comes in its order leaves full groups behind */
		for (uint32_t i = TABLE_GROUP / 2; i < TABLE_GROUP && !last; i++) {
			table_chain_move(side, at, i, next, i - TABLE_GROUP / 2);
			table_chain_empty(side, at, i);
		}
		group->after = last ? entry->priority : table_chain_first(side, next);
		if (last || entry->priority > table_chain_first(side, next))
			at = next;
	}
	table_chain_insert(side, at, entry);
}

/* Take the group behind another out of its chain, with what it has if that has room for it. */
static void table_chain_join(struct table_side *side, uint32_t at)
{
	struct table_group *group = table_chain_at(side, at), *behind;
	uint32_t cnt = table_chain_rules(group), next = group->next, more;

	if (!next)
		return;
	behind = table_chain_at(side, next);
	more = table_chain_rules(behind);
	if (cnt + more > TABLE_GROUP)
		return;
	for (uint32_t i = 0; i < more; i++)
		table_chain_move(side, next, i, at, cnt + i);
	group->next = behind->next;
	group->after = behind->after;
	table_chain_free(side, next);
}

bool table_chain_del(struct table_side *side, struct table_head *head, uint32_t priority)
{
	uint32_t at = head->at, before = 0, cnt, place = 0;
	struct table_group *group;

	while (at && table_chain_first(side, at) <= priority) {
		uint32_t next = table_chain_at(side, at)->next;

		if (!next || table_chain_first(side, next) > priority)
			break;
		before = at;
		at = next;
	}
	if (!at)
		return false;
	group = table_chain_at(side, at);
	cnt = table_chain_rules(group);
	while (place < cnt && table_group_priority(group, place) != priority)
		place++;
	if (place == cnt)
		return false;
	for (; place + 1 < cnt; place++)
		table_chain_move(side, at, place + 1, at, place);
	table_chain_empty(side, at, cnt - 1);
	table_chain_at(side, head->at)->total--;
	table_chain_join(side, at);
	if (before)
		table_chain_join(side, before);
	if (table_chain_at(side, head->at)->total == 0)
		table_chain_clear(side, head);
	else
		head->best = table_chain_first(side, head->at);
	return true;
}

void table_chain_clear(struct table_side *side, struct table_head *head)
{
	for (uint32_t at = head->at, next; at; at = next) {
		next = table_chain_at(side, at)->next;
		table_chain_free(side, at);
	}
	*head = (struct table_head){.best = TABLE_NEVER};
}

void table_chain_push(struct table_side *side, struct table_head *head, uint32_t *tail,
		      const struct table_entry *entry)
{
	uint32_t place;

	if (!head->at) {
		*tail = head->at = table_chain_take(side);
		head->best = entry->priority;
	}
	place = table_chain_rules(table_chain_at(side, *tail));
	if (place == TABLE_GROUP) {
		table_chain_at(side, *tail)->after = entry->priority;
		*tail = table_chain_append(side, *tail);
		table_chain_at(side, *tail)->after = TABLE_NEVER;
		place = 0;
	}
	table_chain_put(side, *tail, place, entry);
	table_chain_at(side, head->at)->total++;
}

void table_chain_divide(struct table_side *side, struct table_head *head, uint32_t limit,
			table_chain_taker *take, void *context)
{
	struct table_head old = *head;
	uint32_t left = table_chain_cnt(side, head), tail = 0, at = old.at;

	*head = (struct table_head){.best = TABLE_NEVER};
	while (at && limit > 0) {
		struct table_group *group = table_chain_at(side, at);
		uint32_t cnt = table_chain_rules(group), next = group->next;
		struct table_entry entries[TABLE_GROUP];

		for (uint32_t i = 0; i < cnt; i++)
			table_chain_get(side, at, i, &entries[i]);
		table_chain_free(side, at);
		for (uint32_t i = 0; i < cnt; i++)
			if (!take(context, &entries[i]))
				table_chain_push(side, head, &tail, &entries[i]);
		left -= cnt;
		limit -= cnt < limit ? cnt : limit;
		at = next;
	}
	if (!at)
		return;
	/* the rest of the chain goes on as it is */
	if (head->at) {
		table_chain_at(side, tail)->next = at;
		table_chain_at(side, tail)->after = table_chain_first(side, at);
	} else {
		head->at = at;
		head->best = table_chain_first(side, at);
		table_chain_at(side, at)->total = 0;
	}
	table_chain_at(side, head->at)->total += left;
}
