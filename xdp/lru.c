/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/lru.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What stands before each key. */
struct lru_links {
	uint32_t chain;        /* next of the same bucket; of an unused one: next unused */
	uint32_t newer, older; /* neighbours by use */
	uint32_t reserved;
};

static struct lru_links *lru_links(const struct lru *lru, uint32_t at)
{
	return (struct lru_links *)(void *)(lru->entries + (size_t)at * lru->entry_bytes);
}

static uint8_t *lru_key(const struct lru *lru, uint32_t at)
{
	return (uint8_t *)(lru_links(lru, at) + 1);
}

static void *lru_value(const struct lru *lru, uint32_t at)
{
	return lru_key(lru, at) + lru->key_bytes;
}

int lru_create(struct lru *lru, uint32_t max, uint32_t key_bytes, uint32_t value_bytes)
{
	uint32_t buckets = 16;

	memset(lru, 0, sizeof(*lru));
	while (buckets < max && buckets < 1U << 30)
		buckets *= 2;
	lru->max = max;
	lru->key_bytes = key_bytes;
	lru->entry_bytes = (uint32_t)sizeof(struct lru_links) + key_bytes + value_bytes;
	lru->mask = buckets - 1;
	lru->newest = lru->oldest = lru->unused = LRU_NONE;
	lru->buckets = malloc(buckets * sizeof(*lru->buckets));
	lru->entries = calloc(max, lru->entry_bytes);
	if (!lru->buckets || !lru->entries) {
		lru_destroy(lru);
		return -ENOMEM;
	}
	memset(lru->buckets, 0xff, buckets * sizeof(*lru->buckets));
	return 0;
}

void lru_destroy(struct lru *lru)
{
	free(lru->buckets);
	free(lru->entries);
	memset(lru, 0, sizeof(*lru));
}

/* The bucket of a key. The multiplier is that of FxHash, the last step MurmurHash3's. */
static uint32_t *lru_bucket(const struct lru *lru, const void *key)
{
	uint64_t hash = 0, word;

	for (uint32_t i = 0; i < lru->key_bytes; i += sizeof(word)) {
		memcpy(&word, (const uint8_t *)key + i, sizeof(word));
		hash = ((hash << 5 | hash >> 59) ^ word) * 0x517cc1b727220a95ULL;
	}
	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdULL;
	return &lru->buckets[(uint32_t)(hash >> 32) & lru->mask];
}

/* The link that leads to a key: its bucket's, or that of the one before it in its chain. */
static uint32_t *lru_link_to(const struct lru *lru, const void *key)
{
	uint32_t *link = lru_bucket(lru, key);

	while (*link != LRU_NONE && memcmp(lru_key(lru, *link), key, lru->key_bytes) != 0)
		link = &lru_links(lru, *link)->chain;
	return link;
}

static void lru_take_out(struct lru *lru, uint32_t at)
{
	const struct lru_links *links = lru_links(lru, at);

	if (links->newer == LRU_NONE)
		lru->newest = links->older;
	else
		lru_links(lru, links->newer)->older = links->older;
	if (links->older == LRU_NONE)
		lru->oldest = links->newer;
	else
		lru_links(lru, links->older)->newer = links->newer;
}

static void lru_put_first(struct lru *lru, uint32_t at)
{
	struct lru_links *links = lru_links(lru, at);

	links->newer = LRU_NONE;
	links->older = lru->newest;
	if (lru->newest == LRU_NONE)
		lru->oldest = at;
	else
		lru_links(lru, lru->newest)->newer = at;
	lru->newest = at;
}

static void lru_touch(struct lru *lru, uint32_t at)
{
	if (at == lru->newest)
		return;
	lru_take_out(lru, at);
	lru_put_first(lru, at);
}

void *lru_find(struct lru *lru, const void *key)
{
	uint32_t at = *lru_link_to(lru, key);

	if (at == LRU_NONE)
		return NULL;
	lru_touch(lru, at);
	return lru_value(lru, at);
}

void lru_delete(struct lru *lru, const void *key)
{
	uint32_t *link = lru_link_to(lru, key), at = *link;

	if (at == LRU_NONE)
		return;
	*link = lru_links(lru, at)->chain;
	lru_take_out(lru, at);
	lru_links(lru, at)->chain = lru->unused;
	lru->unused = at;
	lru->cnt--;
}

/* A place that is free, or that the least recently used entry gives up. */
static uint32_t lru_place(struct lru *lru)
{
	uint32_t at;

	if (lru->cnt == lru->max) {
		/* deleting writes to the links alone: the key may lie where it does */
		lru_delete(lru, lru_key(lru, lru->oldest));
	}
	at = lru->unused;
	if (at == LRU_NONE)
		return lru->fresh++;
	lru->unused = lru_links(lru, at)->chain;
	return at;
}

void *lru_put(struct lru *lru, const void *key)
{
	void *value = lru_find(lru, key);
	uint32_t *bucket, at;

	if (value)
		return value;
	at = lru_place(lru);
	memset(lru_links(lru, at), 0, lru->entry_bytes);
	memcpy(lru_key(lru, at), key, lru->key_bytes);
	bucket = lru_bucket(lru, key);
	lru_links(lru, at)->chain = *bucket;
	*bucket = at;
	lru_put_first(lru, at);
	lru->cnt++;
	return lru_value(lru, at);
}

void *lru_next(const struct lru *lru, uint32_t *at, const void **key)
{
	uint32_t here = *at;

	if (here == LRU_NONE)
		return NULL;
	*at = lru_links(lru, here)->older;
	if (key)
		*key = lru_key(lru, here);
	return lru_value(lru, here);
}
