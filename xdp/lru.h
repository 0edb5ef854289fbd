/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of at most `max` entries, keys and values of fixed sizes, of which the least recently
 * used one gives way to a new one: what an LRU map is to the programs in the kernel.
 *
 *	lru_create, lru_destroy
 *	lru_find    the value under a key; it counts as used then
 *	lru_put     the same; where there is none a zeroed one is made
 *	lru_delete
 *	lru_next    all entries, the most recently used first
 *
 * Keys are compared byte by byte. Memory is taken when the table is made, and used by the system
 * as entries come. Values hold until the next lru_put() or lru_delete(). One thread.
 */
#ifndef XDP_LRU_H
#define XDP_LRU_H

#include <stddef.h>
#include <stdint.h>

struct lru {
	uint32_t max, cnt;
	uint32_t key_bytes, entry_bytes; /* entry: links, key, value */
	uint32_t mask;                   /* of buckets */
	uint32_t newest, oldest;         /* places; LRU_NONE */
	uint32_t unused;                 /* first of those that were deleted */
	uint32_t fresh;                  /* first that was never used */
	uint32_t *buckets;               /* owned; the first of each chain */
	uint8_t *entries;                /* owned */
};

#define LRU_NONE UINT32_MAX

/* `max` is at least 1; key and value are multiples of 8 bytes. 0 or -ENOMEM. */
int lru_create(struct lru *lru, uint32_t max, uint32_t key_bytes, uint32_t value_bytes);

/* NULL: there is none. */
void *lru_find(struct lru *lru, const void *key);

void *lru_put(struct lru *lru, const void *key);

/* Nothing happens where there is none. */
void lru_delete(struct lru *lru, const void *key);

/* The value and the key at *at, which begins as lru->newest and moves on; NULL: that was all. The
 * entry that was returned may be deleted. */
void *lru_next(const struct lru *lru, uint32_t *at, const void **key);

/* Safe on zeroed memory. */
void lru_destroy(struct lru *lru);

#endif
