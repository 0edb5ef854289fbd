/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How keys are looked up: included by a source for each level of vector instructions, which sets
 * TABLE_FIND_LEVEL and has the compiler make code for that level. See table_find.h.
 */
#include "steering/table_find.h"

#define TABLE_INLINE __attribute__((always_inline)) static inline
#define TABLE_LANES  16 /* keys that are hashed together */

typedef uint32_t table_lanes __attribute__((vector_size(4 * TABLE_LANES), may_alias));
typedef uint16_t table_eight __attribute__((vector_size(16), may_alias));
typedef uint16_t table_four __attribute__((vector_size(8), may_alias));

/* The keys of one family among a burst; all arrays have as many places as a burst has keys. */
struct table_batch {
	_Alignas(64) uint32_t words[TABLE_WORDS_MAX][TABLE_BATCH]; /* to be hashed */
	uint32_t keys[TABLE_BATCH][16];                            /* to be compared */
	uint32_t buckets[TABLE_BATCH];
	uint64_t best[TABLE_BATCH]; /* rank of what was found */
	uint8_t place[TABLE_BATCH]; /* of the key in the burst */
	uint32_t cnt;
};

/* A key that is to be compared with a group. */
struct table_visit {
	uint32_t key, group;
};

/* --- keys ------------------------------------------------------------------------------------- */

TABLE_INLINE void table_batch_add_ipv4(struct table_batch *batch, const struct table_key *key)
{
	uint32_t *to = batch->keys[batch->cnt];

	to[0] = table_entry_address(key->src[0]);
	to[1] = table_entry_address(key->dst[0]);
	to[2] = table_entry_ports(key->sport, key->dport);
	to[3] = table_entry_misc(key->proto, key->sport, key->dport, key->flags);
	for (uint32_t w = 0; w < TABLE_WORDS_IPV4; w++)
		batch->words[w][batch->cnt] = to[w];
}

TABLE_INLINE void table_batch_add_ipv6(struct table_batch *batch, const struct table_key *key)
{
	uint32_t *to = batch->keys[batch->cnt];

	for (uint32_t w = 0; w < 4; w++) {
		to[w] = table_entry_address(key->src[w]);
		to[4 + w] = table_entry_address(key->dst[w]);
	}
	to[8] = table_entry_ports(key->sport, key->dport);
	to[9] = table_entry_misc(key->proto, key->sport, key->dport, key->flags);
	for (uint32_t w = 0; w < TABLE_WORDS_IPV6; w++)
		batch->words[w][batch->cnt] = to[w];
}

/* The keys of a family. */
TABLE_INLINE void table_batch_fill(struct table_batch *batch, const struct table_key *keys,
				   uint32_t cnt, uint32_t words)
{
	uint8_t ip = words == TABLE_WORDS_IPV4 ? 4 : 6;

	batch->cnt = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		__builtin_prefetch(&keys[i] + 16);
		if (keys[i].ip != ip)
			continue;
		if (ip == 4)
			table_batch_add_ipv4(batch, &keys[i]);
		else
			table_batch_add_ipv6(batch, &keys[i]);
		batch->place[batch->cnt] = (uint8_t)i;
		batch->best[batch->cnt++] = TABLE_NO_RANK;
	}
	/* what is hashed with the last ones has some value */
	for (uint32_t i = batch->cnt; i % TABLE_LANES != 0; i++)
		for (uint32_t w = 0; w < words; w++)
			batch->words[w][i] = 0;
}

/* --- hashes ----------------------------------------------------------------------------------- */

TABLE_INLINE table_lanes *table_lanes_at(void *words)
{
	return words;
}

/* The buckets of all keys in a part: table_part_bucket(table_side_hash()). */
TABLE_INLINE void table_batch_hash(struct table_batch *batch, const struct table_part *part,
				   uint32_t words)
{
	uint32_t high = 2 * part->low + 1, low = part->low, cnt = part->bucket_cnt;

	for (uint32_t i = 0; i < batch->cnt; i += TABLE_LANES) {
		table_lanes hash = {0}, bucket, beyond;

		for (uint32_t w = 0; w < words; w++)
			hash += (*table_lanes_at(&batch->words[w][i]) & part->mask[w]) *
				table_hash_factors[w];
		hash = (hash ^ hash >> 16) * TABLE_HASH_LAST;
		hash ^= hash >> 15;
		bucket = hash & high;
		beyond = (table_lanes)(bucket >= cnt);
		*table_lanes_at(&batch->buckets[i]) = (bucket & ~beyond) | (hash & low & beyond);
	}
}

/* --- groups ----------------------------------------------------------------------------------- */

/* table_compare_*(): which of a group's rules match a key: the first of them, TABLE_GROUP: none. */
#if TABLE_FIND_LEVEL == 0
TABLE_INLINE uint32_t table_compare_ipv4(const uint32_t *key, const struct table_group_ipv4 *group)
{
	table_eight halves = *(const table_eight *)(const void *)key;
	uint32_t hits = 1u << TABLE_GROUP;

	for (uint32_t i = 0; i < TABLE_GROUP; i++) {
		union {
			table_eight halves;
			uint64_t words[2];
		} wrong;
		table_eight off = (halves & *(const table_eight *)(const void *)group->mask[i]) -
				  *(const table_eight *)(const void *)group->lo[i];

		wrong.halves =
			(table_eight)(off > *(const table_eight *)(const void *)group->span[i]);
		hits |= (uint32_t)((wrong.words[0] | wrong.words[1]) == 0) << i;
	}
	return (uint32_t)__builtin_ctz(hits);
}

TABLE_INLINE uint32_t table_compare_ipv6(const uint32_t *key, const struct table_group_ipv6 *group)
{
	const table_eight *src = (const table_eight *)(const void *)key, *dst = src + 1;
	const table_four *misc = (const table_four *)(const void *)(src + 2);
	uint32_t hits = 1u << TABLE_GROUP;

	for (uint32_t i = 0; i < TABLE_GROUP; i++) {
		const table_eight *lo = (const table_eight *)(const void *)group->addr[i][0];
		const table_eight *span = (const table_eight *)(const void *)group->addr[i][1];
		union {
			table_eight halves;
			uint64_t words[2];
		} wrong;
		union {
			table_four halves;
			uint64_t word;
		} off;

		wrong.halves = (table_eight)(*src - lo[0] > span[0]);
		wrong.halves |= (table_eight)(*dst - lo[1] > span[1]);
		off.halves = (*misc & *(const table_four *)(const void *)group->mask[i]) -
			     *(const table_four *)(const void *)group->lo[i];
		off.halves = (table_four)(off.halves >
					  *(const table_four *)(const void *)group->span[i]);
		hits |= (uint32_t)((wrong.words[0] | wrong.words[1] | off.word) == 0) << i;
	}
	return (uint32_t)__builtin_ctz(hits);
}
#elif TABLE_FIND_LEVEL == 1
/* A bit for each of two rules: which half of 128 bits is 0. */
TABLE_INLINE uint32_t table_avx2_none(__m256i wrong)
{
	__m256i none = _mm256_cmpeq_epi64(wrong, _mm256_setzero_si256());
	uint32_t bits = (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(none));

	return bits & bits >> 1;
}

TABLE_INLINE uint32_t table_compare_ipv4(const uint32_t *key, const struct table_group_ipv4 *group)
{
	__m256i halves =
		_mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)key));
	const __m256i *lo = (const __m256i *)(const void *)group->lo,
		      *span = (const __m256i *)(const void *)group->span;
	const __m256i *mask = (const __m256i *)(const void *)group->mask;
	uint32_t hits = 1u << (2 * TABLE_GROUP);

	for (uint32_t i = 0; i < 2; i++) {
		__m256i off = _mm256_sub_epi16(_mm256_and_si256(halves, mask[i]), lo[i]);

		hits |= (table_avx2_none(_mm256_subs_epu16(off, span[i])) & 5) << (4 * i);
	}
	return (uint32_t)__builtin_ctz(hits) / 2;
}
#else
TABLE_INLINE uint32_t table_compare_ipv4(const uint32_t *key, const struct table_group_ipv4 *group)
{
	__m512i off = _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)(const void *)key));
	uint32_t bits;

	off = _mm512_and_si512(off, _mm512_load_si512(group->mask));
	off = _mm512_sub_epi16(off, _mm512_load_si512(group->lo));
	off = _mm512_subs_epu16(off, _mm512_load_si512(group->span));
	bits = _mm512_testn_epi64_mask(off, off);
	return (uint32_t)__builtin_ctz((bits & bits >> 1 & 0x55) | 1u << (2 * TABLE_GROUP)) / 2;
}
#endif

#if TABLE_FIND_LEVEL > 0
TABLE_INLINE uint32_t table_compare_ipv6(const uint32_t *key, const struct table_group_ipv6 *group)
{
	__m256i halves = _mm256_load_si256((const __m256i *)(const void *)key), off;
	uint32_t hits;

	/* protocol, ports and flags of all four */
	off = _mm256_and_si256(_mm256_set1_epi64x(*(const long long *)(const void *)(key + 8)),
			       _mm256_loadu_si256((const __m256i *)(const void *)group->mask));
	off = _mm256_sub_epi16(off, _mm256_loadu_si256((const __m256i *)(const void *)group->lo));
	off = _mm256_subs_epu16(off,
				_mm256_loadu_si256((const __m256i *)(const void *)group->span));
	off = _mm256_cmpeq_epi64(off, _mm256_setzero_si256());
	hits = (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(off));
	for (uint32_t i = 0; i < TABLE_GROUP; i++) {
		const __m256i *addr = (const __m256i *)(const void *)group->addr[i];

		off = _mm256_subs_epu16(_mm256_sub_epi16(halves, addr[0]), addr[1]);
		hits &= ~((uint32_t)!_mm256_testz_si256(off, off) << i);
	}
	return (uint32_t)__builtin_ctz(hits | 1u << TABLE_GROUP);
}
#endif

/* --- the way of a burst ----------------------------------------------------------------------- */

TABLE_INLINE uint32_t table_compare(const uint32_t *key, const struct table_group *group,
				    uint32_t words)
{
	return words == TABLE_WORDS_IPV4 ? table_compare_ipv4(key, (const void *)group)
					 : table_compare_ipv6(key, (const void *)group);
}

TABLE_INLINE void table_prefetch(const struct table_group *group, uint32_t words)
{
	for (uint32_t at = 0; at < table_side_group_bytes(words); at += 64)
		__builtin_prefetch((const uint8_t *)group + at);
}

/* The keys that have something to be compared with in a part: how many. */
TABLE_INLINE uint32_t table_batch_heads(const struct table_batch *batch,
					const struct table_side *side,
					const struct table_part *part, uint32_t words,
					struct table_visit *visits)
{
	uint32_t cnt = 0;

	for (uint32_t i = 0; i < batch->cnt; i++) {
		struct table_head head = part->heads[batch->buckets[i]];

		visits[cnt] = (struct table_visit){.key = i, .group = head.at};
		cnt += head.best < batch->best[i] >> 32;
	}
	for (uint32_t v = 0; v < cnt; v++)
		table_prefetch(table_side_group(side, visits[v].group, words), words);
	return cnt;
}

/* Compare each with its group; those that go on to the next one are `visits` then: how many. */
TABLE_INLINE uint32_t table_batch_groups(struct table_batch *batch, const struct table_side *side,
					 uint32_t words, struct table_visit *visits, uint32_t cnt)
{
	uint32_t left = 0;

	for (uint32_t v = 0; v < cnt; v++) {
		uint32_t key = visits[v].key;
		const struct table_group *group = table_side_group(side, visits[v].group, words);
		uint32_t at = table_compare(batch->keys[key], group, words);
		uint64_t rank = group->rank[at], best = batch->best[key];

		best = rank < best ? rank : best;
		batch->best[key] = best;
		visits[left] = (struct table_visit){.key = key, .group = group->next};
		left += (at == TABLE_GROUP) & (group->after < best >> 32);
	}
	for (uint32_t v = 0; v < left; v++)
		table_prefetch(table_side_group(side, visits[v].group, words), words);
	return left;
}

TABLE_INLINE void table_find_side(const struct table_side *side, uint32_t words,
				  struct table_batch *batch, const struct table_key *keys,
				  uint32_t cnt, uint16_t *outcomes, uint32_t *rules)
{
	struct table_visit visits[TABLE_BATCH + 1];

	table_batch_fill(batch, keys, cnt, words);
	for (uint32_t p = 0; p < side->part_cnt && batch->cnt > 0; p++) {
		const struct table_part *part = &side->parts[p];
		uint32_t visit_cnt;

		table_batch_hash(batch, part, words);
		visit_cnt = table_batch_heads(batch, side, part, words, visits);
		while (visit_cnt > 0)
			visit_cnt = table_batch_groups(batch, side, words, visits, visit_cnt);
	}
	for (uint32_t i = 0; i < batch->cnt; i++)
		outcomes[batch->place[i]] = (uint16_t)batch->best[i];
	for (uint32_t i = 0; i < batch->cnt && rules; i++)
		rules[batch->place[i]] = (uint32_t)(batch->best[i] >> 32);
}

/* table_find_at() of this level. */
TABLE_INLINE void table_find_sides(const struct table_side *ipv4, const struct table_side *ipv6,
				   const struct table_key *keys, uint32_t cnt, uint16_t *outcomes,
				   uint32_t *rules)
{
	struct table_batch batch;

	memset(outcomes, 0, cnt * sizeof(*outcomes));
	if (rules)
		memset(rules, 0xff, cnt * sizeof(*rules));
	if (ipv4->words)
		table_find_side(ipv4, TABLE_WORDS_IPV4, &batch, keys, cnt, outcomes, rules);
	if (ipv6->words)
		table_find_side(ipv6, TABLE_WORDS_IPV6, &batch, keys, cnt, outcomes, rules);
}
