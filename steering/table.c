/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/table.h"
#include "steering/table_find.h"
#include "steering/table_order.h"
#include <errno.h>
#include <stdlib.h>

#define TABLE_STALE_MIN 256 /* changes that a copy does not mind, at least */

struct table {
	struct table_order order;
	struct table_side ipv4, ipv6;
	enum table_find_level level;
	uint32_t flag_cnt; /* rules that ask for flags */
};

struct table *table_create(void)
{
	struct table *table = calloc(1, sizeof(*table));

	if (table)
		table->level = table_find_best();
	return table;
}

void table_destroy(struct table *table)
{
	if (!table)
		return;
	table_side_destroy(&table->ipv4);
	table_side_destroy(&table->ipv6);
	table_order_destroy(&table->order);
	free(table);
}

/* --- rules ------------------------------------------------------------------------------------ */

static bool table_net_valid(const uint8_t *addr, uint8_t len, uint32_t max)
{
	if (len > max)
		return false;
	for (uint32_t bit = len; bit < 128; bit++)
		if (addr[bit / 8] & 0x80 >> bit % 8)
			return false;
	return true;
}

static bool table_ports_valid(uint32_t lo, uint32_t hi)
{
	return lo <= hi && (hi < TABLE_NO_PORT || (hi == TABLE_NO_PORT && lo == 0));
}

static bool table_rule_valid(const struct table_rule *rule)
{
	uint32_t max = rule->ip == 4 ? 32 : rule->ip == 6 ? 128 : 0;

	return (rule->ip == 0 || max) && table_net_valid(rule->src, rule->src_len, max) &&
	       table_net_valid(rule->dst, rule->dst_len, max) &&
	       table_ports_valid(rule->sport_lo, rule->sport_hi) &&
	       table_ports_valid(rule->dport_lo, rule->dport_hi) &&
	       !(rule->flags & ~rule->flags_mask) && rule->flags_mask <= 0x1ff &&
	       rule->priority != TABLE_NO_RULE && rule->outcome != TABLE_NONE;
}

/* Add a rule to the side of each family whose packets may match it, or take it out there. */
static int table_add_sides(struct table *table, const struct table_rule *rule)
{
	struct table_entry entry;
	int code = 0;

	if (table_entry_of(&entry, rule, 4))
		code = table_side_add(&table->ipv4, TABLE_WORDS_IPV4, &entry);
	if (code || !table_entry_of(&entry, rule, 6))
		return code;
	code = table_side_add(&table->ipv6, TABLE_WORDS_IPV6, &entry);
	if (code && table_entry_of(&entry, rule, 4))
		table_side_del(&table->ipv4, &entry);
	return code;
}

int table_add(struct table *table, const struct table_rule *rule)
{
	int code;

	if (!table_rule_valid(rule))
		return -EINVAL;
	code = table_order_add(&table->order, rule);
	if (code)
		return code;
	code = table->order.cnt > TABLE_RULES_MAX ? -ENOSPC : table_add_sides(table, rule);
	if (code) {
		table_order_del(&table->order, rule->priority);
		return code;
	}
	table->flag_cnt += rule->flags_mask != 0;
	return 0;
}

bool table_del(struct table *table, uint32_t priority)
{
	const struct table_rule *rule = table_rule(table, priority);
	struct table_entry entry;

	if (!rule)
		return false;
	if (table_entry_of(&entry, rule, 4))
		table_side_del(&table->ipv4, &entry);
	if (table_entry_of(&entry, rule, 6))
		table_side_del(&table->ipv6, &entry);
	table->flag_cnt -= rule->flags_mask != 0;
	return table_order_del(&table->order, priority);
}

/* --- all at once ------------------------------------------------------------------------------ */

static int table_build_side(const struct table_order *order, uint8_t ip, struct table_side *side)
{
	uint32_t words = ip == 4 ? TABLE_WORDS_IPV4 : TABLE_WORDS_IPV6, cnt = 0;
	struct table_entry *entries = malloc((order->cnt + 1) * sizeof(*entries));
	int code = 0;

	if (!entries)
		return -ENOMEM;
	for (uint32_t p = 0; p < order->piece_cnt; p++)
		for (uint32_t i = 0; i < order->pieces[p]->cnt; i++)
			cnt += table_entry_of(&entries[cnt], &order->pieces[p]->rules[i], ip);
	if (cnt > 0)
		code = table_side_build(side, words, entries, cnt);
	free(entries);
	return code;
}

/* New sides for the rules that it has. 0 or -ENOMEM, and nothing has changed. */
static int table_build(struct table *table)
{
	struct table_side ipv4 = {0}, ipv6 = {0};
	int code = table_build_side(&table->order, 4, &ipv4);

	if (code == 0)
		code = table_build_side(&table->order, 6, &ipv6);
	if (code) {
		table_side_destroy(&ipv4);
		return code;
	}
	table_side_destroy(&table->ipv4);
	table_side_destroy(&table->ipv6);
	table->ipv4 = ipv4;
	table->ipv6 = ipv6;
	return 0;
}

struct table *table_copy(const struct table *from)
{
	struct table *table = table_create();
	uint32_t stale = from->ipv4.changes + from->ipv6.changes;
	int code;

	if (!table)
		return NULL;
	table->level = from->level;
	table->flag_cnt = from->flag_cnt;
	code = table_order_copy(&table->order, &from->order);
	if (code == 0 && stale > TABLE_STALE_MIN + from->order.cnt / 4) {
		code = table_build(table);
	} else if (code == 0) {
		code = table_side_copy(&table->ipv4, &from->ipv4);
		if (code == 0)
			code = table_side_copy(&table->ipv6, &from->ipv6);
	}
	if (code == 0)
		return table;
	table_destroy(table);
	return NULL;
}

/* One by one, into what there is. */
static int table_add_each(struct table *table, const struct table_rule *rules, uint32_t cnt,
			  uint32_t *at)
{
	for (*at = 0; *at < cnt; ++*at) {
		int code = table_add(table, &rules[*at]);

		if (code == 0)
			continue;
		for (uint32_t i = 0; i < *at; i++)
			table_del(table, rules[i].priority);
		return code;
	}
	return 0;
}

int table_add_all(struct table *table, const struct table_rule *rules, uint32_t cnt, uint32_t *at)
{
	uint32_t done = 0;
	int code = 0;

	if (cnt < table->order.cnt / 4 || cnt < TABLE_BUCKET_GOOD)
		return table_add_each(table, rules, cnt, at);
	for (; done < cnt && code == 0; done += code == 0) {
		code = !table_rule_valid(&rules[done]) ? -EINVAL
		       : table->order.cnt == TABLE_RULES_MAX
			       ? -ENOSPC
			       : table_order_add(&table->order, &rules[done]);
		*at = done;
	}
	if (code == 0)
		code = table_build(table);
	for (uint32_t i = 0; i < done; i++) {
		if (code)
			table_order_del(&table->order, rules[i].priority);
		else
			table->flag_cnt += rules[i].flags_mask != 0;
	}
	return code;
}

/* --- what is asked ---------------------------------------------------------------------------- */

uint32_t table_cnt(const struct table *table)
{
	return table->order.cnt;
}

size_t table_bytes(const struct table *table)
{
	return sizeof(*table) + table_order_bytes(&table->order) + table_side_bytes(&table->ipv4) +
	       table_side_bytes(&table->ipv6);
}

const struct table_rule *table_next(const struct table *table, uint32_t priority)
{
	return table_order_next(&table->order, priority);
}

const struct table_rule *table_rule(const struct table *table, uint32_t priority)
{
	const struct table_rule *rule = table_next(table, priority);

	return rule && rule->priority == priority ? rule : NULL;
}

bool table_asks_flags(const struct table *table)
{
	return table->flag_cnt > 0;
}

void table_set_level(struct table *table, enum table_find_level level)
{
	table->level = level;
}

void table_find(const struct table *table, const struct table_key *keys, uint32_t cnt,
		uint16_t *outcomes, uint32_t *rules)
{
	table_find_at(table->level, &table->ipv4, &table->ipv6, keys, cnt, outcomes, rules);
}
