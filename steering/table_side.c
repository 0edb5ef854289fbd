/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/table_side.h"
#include "steering/table_chain.h"
#include "steering/table_plan.h"
#include <errno.h>
#include <stdlib.h>

#define TABLE_BUILT_PARTS  16   /* of those that are made at once */
#define TABLE_DIVIDE_RULES 2048 /* of a bucket that are looked at when it is divided */
#define TABLE_DIVIDE_PLAN  64   /* of them that its mask is made for */

void table_side_destroy(struct table_side *side)
{
	for (uint32_t i = 0; i < side->part_cnt; i++)
		free(side->parts[i].heads);
	for (uint32_t i = 0; i < side->chunk_cnt; i++)
		free(side->chunks[i]);
	free(side->chunks);
	*side = (struct table_side){0};
}

/* --- parts ------------------------------------------------------------------------------------ */

/* A part without rules, the last one, with a power of two of buckets; NULL: no memory. */
static struct table_part *table_part_add(struct table_side *side, const uint32_t *mask,
					 uint32_t bucket_cnt)
{
	struct table_part *part = &side->parts[side->part_cnt];

	*part = (struct table_part){.best = TABLE_NEVER,
				    .low = bucket_cnt - 1,
				    .bucket_cnt = bucket_cnt,
				    .bucket_room = bucket_cnt};
	memcpy(part->mask, mask, side->words * sizeof(*mask));
	part->heads = malloc(bucket_cnt * sizeof(*part->heads));
	if (!part->heads)
		return NULL;
	for (uint32_t i = 0; i < bucket_cnt; i++)
		part->heads[i] = (struct table_head){.best = TABLE_NEVER};
	side->part_cnt++;
	return part;
}

static bool table_part_takes_all(const struct table_side *side, const struct table_part *part)
{
	static const uint32_t none[TABLE_WORDS_MAX];

	return memcmp(part->mask, none, side->words * sizeof(none[0])) == 0;
}

static struct table_head *table_part_head(const struct table_side *side,
					  const struct table_part *part, const uint32_t *values)
{
	return &part->heads[table_part_bucket(part,
					      table_side_hash(values, part->mask, side->words))];
}

/* Put a part whose `best` is lower now where it belongs. */
static void table_part_rise(struct table_side *side, struct table_part *part)
{
	uint32_t at = (uint32_t)(part - side->parts);
	struct table_part moving = *part;

	for (; at > 0 && side->parts[at - 1].best > moving.best; at--)
		side->parts[at] = side->parts[at - 1];
	side->parts[at] = moving;
}

/* All of them. */
static void table_side_sort(struct table_side *side)
{
	for (uint32_t i = 1; i < side->part_cnt; i++)
		table_part_rise(side, &side->parts[i]);
}

struct table_part_split {
	struct table_side *side;
	const struct table_part *part;
	struct table_head *to;
	uint32_t tail, bucket;
};

static bool table_part_take_split(void *context, const struct table_entry *entry)
{
	struct table_part_split *split = context;
	uint32_t values[TABLE_WORDS_MAX], hash;

	table_entry_words(entry, split->side->words, values);
	hash = table_side_hash(values, split->part->mask, split->side->words);
	if (table_part_bucket(split->part, hash) != split->bucket)
		return false;
	table_chain_push(split->side, split->to, &split->tail, entry);
	return true;
}

/* One bucket more, with what belongs there of the bucket that had it so far. 0 or -ENOMEM. */
static int table_part_grow(struct table_side *side, struct table_part *part)
{
	struct table_part_split split = {.side = side, .part = part, .bucket = part->bucket_cnt};
	uint32_t room = 2 * part->bucket_room;
	struct table_head *heads;

	if (table_chain_reserve(side, 3) != 0)
		return -ENOMEM;
	if (part->bucket_cnt == part->bucket_room) {
		heads = realloc(part->heads, room * sizeof(*heads));
		if (!heads)
			return -ENOMEM;
		part->heads = heads;
		part->bucket_room = room;
	}
	split.to = &part->heads[split.bucket];
	*split.to = (struct table_head){.best = TABLE_NEVER};
	part->bucket_cnt++;
	table_chain_divide(side, &part->heads[split.bucket & part->low], UINT32_MAX,
			   table_part_take_split, &split);
	if (part->bucket_cnt == 2 * (part->low + 1))
		part->low = 2 * part->low + 1;
	return 0;
}

/* --- changes ---------------------------------------------------------------------------------- */

static int table_side_begin(struct table_side *side, uint32_t words)
{
	static const uint32_t none[TABLE_WORDS_MAX];

	if (side->words)
		return 0;
	side->words = words;
	if (table_chain_reserve(side, 1) == 0 && table_part_add(side, none, 1))
		return 0;
	table_side_destroy(side);
	return -ENOMEM;
}

/* The part for an entry: of those whose bucket is short the one that divides most, else that with
 * the shortest bucket. */
static struct table_part *table_side_choose(struct table_side *side, const uint32_t *values,
					    const uint32_t *care)
{
	struct table_part *best = NULL;
	uint32_t best_cnt = 0;
	int best_bits = 0;

	for (uint32_t i = 0; i < side->part_cnt; i++) {
		struct table_part *part = &side->parts[i];
		int bits = 0;
		uint32_t cnt;

		if (!table_plan_fits(part->mask, care, side->words))
			continue;
		cnt = table_chain_cnt(side, table_part_head(side, part, values));
		if (cnt < TABLE_BUCKET_GOOD)
			cnt = 0;
		for (uint32_t w = 0; w < side->words; w++)
			bits += __builtin_popcount(part->mask[w]);
		if (best && (cnt > best_cnt || (cnt == best_cnt && bits < best_bits)))
			continue;
		best = part;
		best_cnt = cnt;
		best_bits = bits;
	}
	return best;
}

/* What goes from a bucket into a part. */
struct table_side_move {
	struct table_side *side;
	struct table_part *to;
	uint32_t cnt, max;
};

static bool table_side_take(void *context, const struct table_entry *entry)
{
	struct table_side_move *move = context;
	uint32_t values[TABLE_WORDS_MAX], care[TABLE_WORDS_MAX];
	struct table_head *head;

	table_entry_words(entry, move->side->words, values);
	table_entry_care(entry, move->side->words, care);
	if (move->cnt == move->max || !table_plan_fits(move->to->mask, care, move->side->words))
		return false;
	head = table_part_head(move->side, move->to, values);
	if (table_chain_cnt(move->side, head) >= TABLE_BUCKET_GOOD)
		return false;
	table_chain_add(move->side, head, entry);
	move->to->rule_cnt++;
	if (entry->priority < move->to->best)
		move->to->best = entry->priority;
	move->cnt++;
	return true;
}

/* A mask for a bucket: that of a sample of what is in it. How many it is good for, of the sample.
 */
static uint32_t table_side_plan(const struct table_side *side, const struct table_head *head,
				uint32_t *mask)
{
	struct table_plan_rule rules[TABLE_DIVIDE_PLAN];
	uint32_t total = table_chain_cnt(side, head), step = total / TABLE_DIVIDE_PLAN;
	uint32_t at = head->at, cnt = 0, seen = 0;

	for (; at && cnt < TABLE_DIVIDE_PLAN; at = table_side_group(side, at, side->words)->next) {
		const struct table_group *group = table_side_group(side, at, side->words);

		for (uint32_t i = 0; i < TABLE_GROUP && group->rank[i] != TABLE_NO_RANK; i++) {
			struct table_entry entry;

			if (cnt == TABLE_DIVIDE_PLAN || (step > 1 && seen++ % step != 0))
				continue;
			table_chain_get(side, at, i, &entry);
			table_entry_words(&entry, side->words, rules[cnt].values);
			table_entry_care(&entry, side->words, rules[cnt++].care);
		}
	}
	return table_plan_mask(rules, cnt, side->words, TABLE_BUCKET_GOOD / 2, mask);
}

/* A bucket has become long: a part of its own for what can be told apart there. It is no error that
 * there is none, or no memory for it. */
static void table_side_divide(struct table_side *side, struct table_part *part,
			      struct table_head *head)
{
	uint32_t total = table_chain_cnt(side, head), buckets = 2, mask[TABLE_WORDS_MAX];
	struct table_side_move move = {.side = side};

	if (side->part_cnt == TABLE_PARTS_MAX ||
	    table_side_plan(side, head, mask) < TABLE_BUCKET_GOOD / 2)
		return;
	for (uint32_t i = 0; i < side->part_cnt; i++)
		if (memcmp(side->parts[i].mask, mask, side->words * sizeof(mask[0])) == 0)
			move.to = &side->parts[i];
	move.max = total < TABLE_DIVIDE_RULES ? total : TABLE_DIVIDE_RULES;
	if (move.to == part || table_chain_reserve(side, move.max + 2) != 0)
		return;
	while (buckets < 2 * move.max)
		buckets *= 2;
	if (!move.to)
		move.to = table_part_add(side, mask, buckets);
	if (!move.to)
		return;
	table_chain_divide(side, head, TABLE_DIVIDE_RULES, table_side_take, &move);
	part->rule_cnt -= move.cnt;
}

static void table_part_find_best(struct table_part *part)
{
	part->best = TABLE_NEVER;
	for (uint32_t i = 0; i < part->bucket_cnt; i++)
		if (part->heads[i].best < part->best)
			part->best = part->heads[i].best;
}

int table_side_add(struct table_side *side, uint32_t words, const struct table_entry *entry)
{
	uint32_t values[TABLE_WORDS_MAX], care[TABLE_WORDS_MAX], total;
	struct table_part *part;
	struct table_head *head;

	if (table_side_begin(side, words) != 0 || table_chain_reserve(side, 1) != 0)
		return -ENOMEM;
	table_entry_words(entry, words, values);
	table_entry_care(entry, words, care);
	part = table_side_choose(side, values, care);
	head = table_part_head(side, part, values);
	table_chain_add(side, head, entry);
	side->changes++;
	part->rule_cnt++;
	total = table_chain_cnt(side, head);
	if (entry->priority < part->best)
		part->best = entry->priority;
	if (total >= TABLE_BUCKET_FULL && (total & (total - 1)) == 0) {
		table_side_divide(side, part, head);
		table_part_find_best(part);
		table_side_sort(side);
		return 0;
	}
	/* where there is no memory for more buckets, they become longer */
	for (int i = 0; i < 2 && part->bucket_cnt < 2 * part->rule_cnt; i++)
		if (table_part_takes_all(side, part) || table_part_grow(side, part) != 0)
			break;
	table_part_rise(side, part);
	return 0;
}

void table_side_del(struct table_side *side, const struct table_entry *entry)
{
	uint32_t values[TABLE_WORDS_MAX], care[TABLE_WORDS_MAX], i = 0;
	struct table_part *part;

	table_entry_words(entry, side->words, values);
	table_entry_care(entry, side->words, care);
	while (i < side->part_cnt) {
		part = &side->parts[i];
		if (part->best <= entry->priority &&
		    table_plan_fits(part->mask, care, side->words) &&
		    table_chain_del(side, table_part_head(side, part, values), entry->priority))
			break;
		i++;
	}
	if (i == side->part_cnt)
		return;
	side->changes++;
	part->rule_cnt--;
	if (part->rule_cnt == 0 && !table_part_takes_all(side, part)) {
		free(part->heads);
		memmove(part, part + 1, (--side->part_cnt - i) * sizeof(*part));
		return;
	}
	if (part->best != entry->priority)
		return;
	table_part_find_best(part);
	table_side_sort(side);
}

/* --- all at once ------------------------------------------------------------------------------ */

/* Make a part for as many of the entries as one can do something for; those that it took are not
 * among them any more. Whether there are some that want another; -ENOMEM. */
static int table_side_build_part(struct table_side *side, const struct table_entry **entries,
				 uint32_t *cnt, struct table_plan_rule *rules)
{
	uint32_t step = (*cnt + TABLE_PLAN_RULES - 1) / TABLE_PLAN_RULES, sample = 0, buckets = 2;
	uint32_t limit = TABLE_BUCKET_GOOD / step, mask[TABLE_WORDS_MAX], covered, left = 0;
	struct table_side_move move = {.side = side, .max = UINT32_MAX};

	for (uint32_t i = 0; i < *cnt; i += step) {
		table_entry_words(entries[i], side->words, rules[sample].values);
		table_entry_care(entries[i], side->words, rules[sample++].care);
	}
	covered = table_plan_mask(rules, sample, side->words, limit < 2 ? 2 : limit, mask);
	if (covered < 4)
		return 0;
	while (buckets < 2 * covered * step)
		buckets *= 2;
	move.to = table_part_add(side, mask, buckets);
	if (!move.to)
		return -ENOMEM;
	for (uint32_t i = 0; i < *cnt; i++) {
		if (table_chain_reserve(side, 1) != 0)
			return -ENOMEM;
		if (!table_side_take(&move, entries[i]))
			entries[left++] = entries[i];
	}
	*cnt = left;
	return 1;
}

int table_side_build(struct table_side *side, uint32_t words, const struct table_entry *entries,
		     uint32_t cnt)
{
	const struct table_entry **left = malloc((cnt + 1) * sizeof(*left));
	struct table_plan_rule *rules = malloc(TABLE_PLAN_RULES * sizeof(*rules));
	int code = left && rules ? table_side_begin(side, words) : -ENOMEM;

	for (uint32_t i = 0; i < cnt && left; i++)
		left[i] = &entries[i];
	for (int more = 1; code == 0 && more == 1;) {
		if (cnt <= TABLE_BUCKET_GOOD || side->part_cnt == TABLE_BUILT_PARTS)
			break;
		more = table_side_build_part(side, left, &cnt, rules);
		code = more < 0 ? more : 0;
	}
	if (code == 0)
		table_side_sort(side);
	for (uint32_t i = 0; i < cnt && code == 0; i++)
		code = table_side_add(side, words, left[i]);
	free(left);
	free(rules);
	side->changes = 0;
	if (code)
		table_side_destroy(side);
	return code;
}

int table_side_copy(struct table_side *side, const struct table_side *from)
{
	size_t bytes = TABLE_CHUNK * table_side_group_bytes(from->words);

	*side = *from;
	side->part_cnt = side->chunk_cnt = 0;
	side->chunk_room = from->chunk_cnt;
	side->chunks = calloc(from->chunk_cnt + 1, sizeof(uint8_t *));
	for (; side->chunks && side->chunk_cnt < from->chunk_cnt; side->chunk_cnt++) {
		uint8_t *chunk = aligned_alloc(64, bytes);

		if (!chunk)
			break;
		memcpy(chunk, from->chunks[side->chunk_cnt], bytes);
		side->chunks[side->chunk_cnt] = chunk;
	}
	for (; side->part_cnt < from->part_cnt; side->part_cnt++) {
		const struct table_part *old = &from->parts[side->part_cnt];
		struct table_part *part = &side->parts[side->part_cnt];

		part->heads = malloc(old->bucket_room * sizeof(*part->heads));
		if (!part->heads)
			break;
		memcpy(part->heads, old->heads, old->bucket_cnt * sizeof(*part->heads));
	}
	if (side->chunks && side->chunk_cnt == from->chunk_cnt && side->part_cnt == from->part_cnt)
		return 0;
	table_side_destroy(side);
	return -ENOMEM;
}

size_t table_side_bytes(const struct table_side *side)
{
	size_t bytes = side->chunk_room * sizeof(uint8_t *);

	bytes += side->chunk_cnt * TABLE_CHUNK * table_side_group_bytes(side->words);
	for (uint32_t i = 0; i < side->part_cnt; i++)
		bytes += side->parts[i].bucket_room * sizeof(struct table_head);
	return bytes;
}
