/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/first_pass_state.h"
#include "xdp/fragment.h"
#include "xdp/limit_map.h"
#include <string.h>

bool first_pass_over(struct first_pass_state *state, uint32_t index,
		     const struct filter_limit *limit, const struct xdp_judged *judged)
{
	struct first_pass_limit *own = &state->limits[index];
	uint64_t now = judged->now_ns << LIMIT_TIME_BITS;
	struct xdp_flow_key key;
	uint64_t *bucket, full = now, cost;

	if (!own->made) {
		limit_make(&own->limit, limit);
		(void)lru_create(&own->buckets,
				 limit->per == FILTER_PER_ALL || !limit->max_keys ? 1
										  : limit->max_keys,
				 sizeof(key), sizeof(*bucket));
		own->made = true;
	}
	if (!own->buckets.entries)
		return false;
	cost = limit_cost(&own->limit, judged->meta.wire_len);
	limit_key(&key, own->limit.per, &judged->meta, &judged->key);
	bucket = lru_find(&own->buckets, &key);
	if (bucket)
		return limit_step((__u64 *)bucket, now, cost, own->limit.allowance);
	if (limit_step((__u64 *)&full, now, cost, own->limit.allowance))
		return true;
	bucket = lru_put(&own->buckets, &key);
	*bucket = full;
	return false;
}

int first_pass_make_notes(struct lru *notes)
{
	return lru_create(notes, FRAGMENT_DATAGRAMS, sizeof(struct fragment_key),
			  sizeof(struct fragment_note));
}

bool first_pass_note(struct lru *notes, enum xdp_orphan orphans, uint64_t seed,
		     struct xdp_judged *judged)
{
	struct fragment_note mine, *there = NULL, *note = NULL;
	struct fragment_key key;
	bool known;

	fragment_key_make(&key, judged);
	if (notes->entries)
		there = lru_find(notes, &key);
	if (there && fragment_fresh(there, judged->now_ns))
		note = there;
	known = fragment_judge(judged, note, judged->now_ns, seed, &mine);
	if (notes->entries && fragment_leaves(judged, note, known, (__u8)orphans)) {
		there = lru_put(notes, &key);
		*there = mine;
	}
	return known;
}

bool first_pass_follow(struct first_pass_state *state, enum xdp_orphan orphans, uint64_t seed,
		       struct xdp_judged *judged)
{
	if (!state->notes_made) {
		(void)first_pass_make_notes(&state->notes);
		state->notes_made = true;
	}
	return first_pass_note(&state->notes, orphans, seed, judged);
}

void first_pass_carry_limits(struct first_pass_state *state, const struct filter *from,
			     const struct filter *to)
{
	struct first_pass_limit limits[XDP_LIMITS_MAX] = {0};
	uint32_t index = 0;

	for (uint32_t i = 0; i < to->rule_cnt && index < XDP_LIMITS_MAX; i++) {
		uint32_t same;

		if (to->rules[i].action != FILTER_LIMIT)
			continue;
		same = limit_same(from, to, i);
		if (same < XDP_LIMITS_MAX) {
			limits[index] = state->limits[same];
			state->limits[same] = (struct first_pass_limit){0};
		}
		index++;
	}
	for (uint32_t i = 0; i < XDP_LIMITS_MAX; i++)
		lru_destroy(&state->limits[i].buckets);
	memcpy(state->limits, limits, sizeof(limits));
}

void first_pass_state_destroy(struct first_pass_state *state)
{
	for (uint32_t i = 0; i < XDP_LIMITS_MAX; i++)
		lru_destroy(&state->limits[i].buckets);
	lru_destroy(&state->notes);
	memset(state, 0, sizeof(*state));
}
