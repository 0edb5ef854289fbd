/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/sticky.h"
#include <stdlib.h>
#include <string.h>

#define STICKY_WAYS 4 /* a bucket is a cache line */

/* A flow; nothing is here where the outlet is STICKY_NONE. */
struct sticky_flow {
	uint64_t seen_ns;
	uint32_t hash;
	uint16_t outlet;
	uint16_t reserved;
};

struct sticky_bucket {
	struct sticky_flow flows[STICKY_WAYS];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct sticky_bucket) == 64, "a bucket is a cache line");

struct sticky {
	struct sticky_bucket *buckets; /* owned */
	uint64_t idle_ns;              /* 0: nothing expires */
	uint32_t mask;                 /* buckets - 1 */
	uint32_t holders;
};

struct sticky *sticky_create(uint32_t flows, uint32_t idle_s)
{
	struct sticky *sticky = calloc(1, sizeof(*sticky));
	uint32_t cnt = 1;

	if (!sticky)
		return NULL;
	while (cnt < UINT32_MAX / 2 / STICKY_WAYS && cnt * STICKY_WAYS < flows)
		cnt *= 2;
	sticky->buckets =
		aligned_alloc(sizeof(struct sticky_bucket), cnt * sizeof(struct sticky_bucket));
	if (!sticky->buckets) {
		free(sticky);
		return NULL;
	}
	/* all ones: STICKY_NONE everywhere */
	memset(sticky->buckets, 0xff, cnt * sizeof(struct sticky_bucket));
	sticky->mask = cnt - 1;
	sticky->idle_ns = idle_s * 1000000000ULL;
	sticky->holders = 1;
	return sticky;
}

void sticky_hold(struct sticky *sticky)
{
	sticky->holders++;
}

void sticky_release(struct sticky *sticky)
{
	if (!sticky || --sticky->holders > 0)
		return;
	free(sticky->buckets);
	free(sticky);
}

/* The table has its own bits of the hash: the low ones choose buckets of the roster. */
static struct sticky_bucket *sticky_bucket_of(const struct sticky *sticky, uint32_t hash)
{
	return &sticky->buckets[(uint32_t)(hash * 0x9e3779b1ULL >> 16) & sticky->mask];
}

static uint64_t sticky_age(const struct sticky_flow *flow, uint64_t now_ns)
{
	return now_ns > flow->seen_ns ? now_ns - flow->seen_ns : 0;
}

static bool sticky_holds(const struct sticky *sticky, const struct sticky_flow *flow,
			 uint64_t now_ns)
{
	if (flow->outlet == STICKY_NONE)
		return false;
	return !sticky->idle_ns || sticky_age(flow, now_ns) <= sticky->idle_ns;
}

uint16_t sticky_find(struct sticky *sticky, uint32_t hash, uint64_t now_ns)
{
	struct sticky_bucket *bucket = sticky_bucket_of(sticky, hash);

	for (uint32_t i = 0; i < STICKY_WAYS; i++) {
		struct sticky_flow *flow = &bucket->flows[i];

		if (flow->hash != hash || !sticky_holds(sticky, flow, now_ns))
			continue;
		if (flow->seen_ns < now_ns)
			flow->seen_ns = now_ns;
		return flow->outlet;
	}
	return STICKY_NONE;
}

void sticky_note(struct sticky *sticky, uint32_t hash, uint64_t now_ns, uint16_t outlet)
{
	struct sticky_bucket *bucket = sticky_bucket_of(sticky, hash);
	struct sticky_flow *place = &bucket->flows[0];

	for (uint32_t i = 0; i < STICKY_WAYS; i++) {
		struct sticky_flow *flow = &bucket->flows[i];

		if (flow->outlet != STICKY_NONE && flow->hash == hash) {
			place = flow;
			break;
		}
		if (place->outlet == STICKY_NONE)
			continue;
		if (flow->outlet == STICKY_NONE || flow->seen_ns < place->seen_ns)
			place = flow;
	}
	*place = (struct sticky_flow){.seen_ns = now_ns, .hash = hash, .outlet = outlet};
}

void sticky_prefetch(const struct sticky *sticky, uint32_t hash)
{
	__builtin_prefetch(sticky_bucket_of(sticky, hash), 1);
}
