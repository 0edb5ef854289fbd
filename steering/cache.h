/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The flow cache of a worker: what was found out of a flow, for the next packet of it.
 *
 *	one entry is a cache line: key (one direction of a flow), answers, epoch
 *	each key has two places where it may be, so that few flows push each other out
 *
 * An entry of another epoch does not count: a new policy, or a change of a set or a table that it
 * asks, begins a new one. An entry that is not there costs its lookup: where hardly any is
 * found, the cache is not asked for a while, and then tried again.
 *
 * Thread: the worker's only, except the counters.
 */
#ifndef STEERING_CACHE_H
#define STEERING_CACHE_H

#include "steering/shape.h"
#include <stdbool.h>
#include <stdint.h>

#define CACHE_FLOWS_MAX (1u << 24)
#define CACHE_OUTCOMES  4 /* rule tables whose answers are remembered */

/* Packets after which it is looked whether the cache is of use: less than half of them found, and
 * it is left alone for eight times as many. */
#define CACHE_WINDOW 8192

/* Answers that depend on the key alone. */
struct cache_answer {
	uint64_t hits;                     /* of tests 0 to 63 of the policy */
	uint16_t outcomes[CACHE_OUTCOMES]; /* of its rule tables */
};

struct cache_entry {
	struct shape_key key;
	struct cache_answer answer;
	uint32_t epoch; /* 0: nothing is here */
	uint32_t reserved;
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct cache_entry) == 64, "an entry is a cache line");

struct cache {
	struct cache_entry *entries; /* owned; NULL: there is no cache */
	uint32_t mask;               /* entries - 1 */
	uint32_t epoch;
	/* to find out whether it is worth asking */
	uint32_t asked, found, idle;
	uint32_t turn;
	/* counters */
	uint64_t hits, misses;
};

/* `flows` entries, rounded up to a power of two, at most CACHE_FLOWS_MAX; 0: none, nothing is ever
 * found. 0 or -ENOMEM. */
int cache_init(struct cache *cache, uint32_t flows);
void cache_destroy(struct cache *cache);

/* Forget everything. */
void cache_flush(struct cache *cache);

/* Whether to ask it of the next burst of `cnt` packets. */
static inline bool cache_is_asked(struct cache *cache, uint32_t cnt)
{
	if (!cache->entries)
		return false;
	if (cache->idle > 0) {
		cache->idle -= cnt < cache->idle ? cnt : cache->idle;
		return false;
	}
	if (cache->asked >= CACHE_WINDOW) {
		cache->idle = cache->found * 2 < cache->asked ? 8 * CACHE_WINDOW : 0;
		cache->asked = cache->found = 0;
	}
	return true;
}

/* The two places of a key: found by a flow hash, and by which end is the source. (Of IPv6 the upper
 * half of it: where both ends have that in common, both directions have the same two.) */
static inline struct cache_entry *cache_first(const struct cache *cache, uint32_t hash,
					      const struct shape_key *key)
{
	return &cache->entries[(hash + (uint32_t)key->addresses[0] * 0x9e3779b1u) & cache->mask];
}

static inline struct cache_entry *cache_second(const struct cache *cache, uint32_t hash,
					       const struct shape_key *key)
{
	uint64_t mixed = (hash ^ key->addresses[0] << 16) * 0xbf58476d1ce4e5b9ULL;

	return &cache->entries[mixed >> 40 & cache->mask];
}

static inline bool cache_has(const struct cache *cache, const struct cache_entry *entry,
			     const struct shape_key *key)
{
	return entry->epoch == cache->epoch && shape_key_same(&entry->key, key);
}

/* Remember what was not found, in one of the two places: the one that is free, or else, in turn, of
 * one that gives way.
 */
static inline void cache_put(struct cache *cache, uint32_t hash, const struct shape_key *key,
			     const struct cache_answer *answer)
{
	struct cache_entry *first = cache_first(cache, hash, key);
	struct cache_entry *second = cache_second(cache, hash, key), *entry = first;

	if (first->epoch == cache->epoch && !shape_key_same(&first->key, key) &&
	    (second->epoch != cache->epoch || cache->turn++ & 1))
		entry = second;
	entry->key = *key;
	entry->answer = *answer;
	entry->epoch = cache->epoch;
}

#endif
