/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/cache.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int cache_init(struct cache *cache, uint32_t flows)
{
	uint32_t cnt = 1;
	size_t bytes;

	memset(cache, 0, sizeof(*cache));
	cache->epoch = 1;
	if (flows == 0)
		return 0;
	while (cnt < flows && cnt < CACHE_FLOWS_MAX)
		cnt *= 2;
	bytes = cnt * sizeof(*cache->entries);
	cache->entries = aligned_alloc(sizeof(*cache->entries), bytes);
	if (!cache->entries)
		return -ENOMEM;
	memset(cache->entries, 0, bytes);
	cache->mask = cnt - 1;
	return 0;
}

void cache_destroy(struct cache *cache)
{
	free(cache->entries);
	memset(cache, 0, sizeof(*cache));
}

void cache_flush(struct cache *cache)
{
	cache->idle = cache->asked = cache->found = 0;
	if (++cache->epoch != 0)
		return;
	/* the numbers begin again: what is there may be of any time */
	if (cache->entries)
		memset(cache->entries, 0, ((size_t)cache->mask + 1) * sizeof(*cache->entries));
	cache->epoch = 1;
}
