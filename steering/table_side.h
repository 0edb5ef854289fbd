/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of a table for one family, as they are looked up.
 *
 *	parts    up to TABLE_PARTS_MAX; each has a mask over the words of a key, and
 *	         the rules in it look at all bits of that mask. So a packet's masked
 *	         words say in which bucket of a part the rules are that it may match.
 *	         One part has an empty mask, and takes any rule
 *	buckets  a head has the lowest priority number in the bucket, so that one that
 *	         cannot better what was found already is left alone, as are empty
 *	         ones. It leads to a chain
 *	groups   of four rules each, in the order of priorities: the first that
 *	         matches is the one
 *
 * Which masks is decided by what rules there are (table_plan.h). A bucket that gets long is
 * divided: a part with a mask of its own takes what it can. The buckets of a part grow by one at
 * a time (linear hashing), so that no insertion has to rehash all.
 *
 * What is bounded: TABLE_PARTS_MAX accesses per look-up, and the rules in the buckets that are hit.
 * Rules that no mask tells apart (100,000 with the same prefixes, that differ in ranges of ports
 * alone) are in one bucket, and are compared four at a time; to add or take out one goes through
 * its chain.
 *
 * Thread: as struct table.
 */
#ifndef STEERING_TABLE_SIDE_H
#define STEERING_TABLE_SIDE_H

#include "steering/table_entry.h"

#define TABLE_PARTS_MAX   32
#define TABLE_GROUP       4
#define TABLE_CHUNK       256        /* groups that are allocated together */
#define TABLE_BUCKET_GOOD 16         /* rules of a bucket that is not looked for a better place */
#define TABLE_BUCKET_FULL 64         /* rules of a bucket that is divided */
#define TABLE_NEVER       UINT32_MAX /* the priority of what is empty */
#define TABLE_NO_RANK     ((uint64_t)TABLE_NEVER << 32 | TABLE_NONE)

/* Of all groups, at their beginning. A rank is a priority, and in the lower half what is to be
 * done. */
struct table_group {
	uint64_t rank[TABLE_GROUP + 1]; /* ascending; TABLE_NO_RANK: no rule, and the last always */
	uint32_t next;  /* group; 0: none. Group 0 is empty, and that of empty buckets */
	uint32_t after; /* no rule of the next one comes before; TABLE_NEVER: there is none */
	uint32_t total; /* rules of the bucket; of its first group */
};

/* A place without rule has lo 1, span 0 and mask 0, which nothing matches. */
struct table_group_ipv4 {
	_Alignas(64) struct table_group group;
	_Alignas(64) uint16_t lo[TABLE_GROUP][8];
	uint16_t span[TABLE_GROUP][8], mask[TABLE_GROUP][8];
};
_Static_assert(sizeof(struct table_group_ipv4) == 256, "four lines");

struct table_group_ipv6 {
	_Alignas(64) struct table_group group;
	_Alignas(64) uint16_t addr[TABLE_GROUP][2][16]; /* lo and span of the addresses */
	uint16_t lo[TABLE_GROUP][4], span[TABLE_GROUP][4], mask[TABLE_GROUP][4]; /* words 8, 9 */
};
_Static_assert(sizeof(struct table_group_ipv6) == 448, "seven lines");

struct table_head {
	uint32_t best; /* priority of the first rule; TABLE_NEVER: none */
	uint32_t at;   /* its group */
};

struct table_part {
	uint32_t mask[TABLE_WORDS_MAX];
	uint32_t best; /* of its buckets */
	uint32_t low;  /* mask of a hash: the buckets there were when the last doubling began */
	uint32_t bucket_cnt, bucket_room;
	uint32_t rule_cnt;
	struct table_head *heads; /* owned */
};

struct table_side {
	uint32_t words; /* 4 or 10; 0: nothing was ever added */
	uint32_t part_cnt;
	struct table_part
		parts[TABLE_PARTS_MAX]; /* by their `best`, so that good ones come first */
	uint32_t chunk_cnt, chunk_room;
	uint8_t **chunks; /* owned */
	uint32_t free;    /* groups, by `next`; 0: none */
	uint32_t free_cnt;
	uint32_t changes; /* since it was built */
};

static inline uint32_t table_group_priority(const struct table_group *group, uint32_t place)
{
	return (uint32_t)(group->rank[place] >> 32);
}

static inline size_t table_side_group_bytes(uint32_t words)
{
	return words == TABLE_WORDS_IPV4 ? sizeof(struct table_group_ipv4)
					 : sizeof(struct table_group_ipv6);
}

static inline struct table_group *table_side_group(const struct table_side *side, uint32_t at,
						   uint32_t words)
{
	void *chunk = side->chunks[at / TABLE_CHUNK];

	return words == TABLE_WORDS_IPV4
		       ? &((struct table_group_ipv4 *)chunk)[at % TABLE_CHUNK].group
		       : &((struct table_group_ipv6 *)chunk)[at % TABLE_CHUNK].group;
}

/* The hash of masked words; table_find.c does the same for 16 keys at a time. */
#define TABLE_HASH_LAST 0x2c1b3c6du
static const uint32_t table_hash_factors[TABLE_WORDS_MAX] = {
	0x9e3779b1u, 0x85ebca77u, 0xc2b2ae3du, 0x27d4eb2fu, 0x165667b1u,
	0xd3a2646du, 0xfd7046c5u, 0xb55a4f09u, 0x94d049bbu, 0xbf58476du};

static inline uint32_t table_side_hash(const uint32_t *values, const uint32_t *mask, uint32_t words)
{
	uint32_t hash = 0;

	for (uint32_t w = 0; w < words; w++)
		hash += (values[w] & mask[w]) * table_hash_factors[w];
	hash = (hash ^ hash >> 16) * TABLE_HASH_LAST;
	return hash ^ hash >> 15;
}

/* The bucket of a hash: one that has not been divided yet has those of two. */
static inline uint32_t table_part_bucket(const struct table_part *part, uint32_t hash)
{
	uint32_t bucket = hash & (2 * part->low + 1);

	return bucket < part->bucket_cnt ? bucket : hash & part->low;
}

/* Frees what it owns; all 0 afterwards, which is an empty one. */
void table_side_destroy(struct table_side *side);

/* `side` is empty; 0 or -ENOMEM, and it is empty then. */
int table_side_copy(struct table_side *side, const struct table_side *from);

/* Build one, which is empty, of entries in the order of their priorities, choosing parts for all of
 * them. 0 or -ENOMEM, and it is empty then. */
int table_side_build(struct table_side *side, uint32_t words, const struct table_entry *entries,
		     uint32_t cnt);

/* 0 or -ENOMEM, and nothing has changed. No entry in it has this priority. */
int table_side_add(struct table_side *side, uint32_t words, const struct table_entry *entry);

/* Take an entry out that was added. */
void table_side_del(struct table_side *side, const struct table_entry *entry);

size_t table_side_bytes(const struct table_side *side);

#endif
