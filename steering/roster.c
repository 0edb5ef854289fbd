/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/roster.h"
#include <string.h>

/* How many buckets each member has. */
static void roster_count(const struct roster *roster, uint32_t *counts)
{
	for (uint32_t i = 0; i < roster->cnt; i++)
		counts[i] = 0;
	for (uint32_t b = 0; roster->cnt && b < ROSTER_BUCKETS; b++)
		counts[roster->buckets[b]]++;
}

/*
 * Shares are those of Webster's divisor method, with a bucket for everyone: buckets go, one after
 * the other, to whom the next is cheapest, where the first is free and the n-th costs (2n - 1) /
 * weight. What some of the members then have is what the method gives those alone of so many
 * buckets (Balinski and Young, Fair Representation, 1982), so whoever comes or goes, the new shares
 * are reached by its own buckets alone, and nothing is left of how they came about.
 *
 * Whether a member of weight w finds its bucket after n others cheaper than one of weight v that
 * after m.
 */
static bool roster_is_cheaper(uint32_t n, uint32_t w, uint32_t m, uint32_t v)
{
	uint64_t a = n ? 2 * n + 1 : 0, b = m ? 2 * m + 1 : 0;

	return a * v < b * w;
}

/* Take buckets for the last member from those who have paid the most for their last one. */
static void roster_take(struct roster *roster)
{
	uint32_t counts[ROSTER_MEMBERS_MAX], takes[ROSTER_MEMBERS_MAX] = {0};
	const uint16_t *weights = roster->weights;
	uint32_t last = roster->cnt - 1;

	roster_count(roster, counts);
	for (;;) {
		uint32_t richest = 0;

		for (uint32_t i = 1; i < last; i++)
			if (roster_is_cheaper(counts[richest] - 1, weights[richest], counts[i] - 1,
					      weights[i]))
				richest = i;
		if (!roster_is_cheaper(counts[last], weights[last], counts[richest] - 1,
				       weights[richest]))
			break;
		counts[richest]--;
		takes[richest]++;
		counts[last]++;
	}
	for (uint32_t b = 0; b < ROSTER_BUCKETS; b++) {
		uint32_t owner = roster->buckets[b];

		if (takes[owner] > 0) {
			takes[owner]--;
			roster->buckets[b] = (uint8_t)last;
		}
	}
}

/*
 * Where weights differ, put the turns of a round into an order in which each member's are evenly
 * spaced: in every part of it that begins with the round everyone has its share, but for less than
 * a turn. That is so where the k-th turn of a member with n in all lies in its window, [k / n, (k +
 * 1) / n) of the round, rounded outwards; and to take of those whose window has begun the one whose
 * window ends first achieves it (Tijdeman, The chairman assignment problem, 1980; Baruah et al.,
 * Proportionate progress, 1996).
 */
static void roster_set_turns(struct roster *roster)
{
	uint32_t counts[ROSTER_MEMBERS_MAX], begins[ROSTER_MEMBERS_MAX], ends[ROSTER_MEMBERS_MAX];
	uint32_t had[ROSTER_MEMBERS_MAX] = {0};

	roster->weighted = false;
	for (uint32_t i = 1; i < roster->cnt; i++)
		roster->weighted |= roster->weights[i] != roster->weights[0];
	if (!roster->weighted)
		return;
	roster_count(roster, counts);
	for (uint32_t i = 0; i < roster->cnt; i++) {
		begins[i] = 0;
		ends[i] = (ROSTER_BUCKETS + counts[i] - 1) / counts[i];
	}
	for (uint32_t t = 0; t < ROSTER_BUCKETS; t++) {
		uint32_t next = 0, end = UINT32_MAX;

		for (uint32_t i = 0; i < roster->cnt; i++) {
			if (begins[i] <= t && ends[i] < end) {
				next = i;
				end = ends[i];
			}
		}
		roster->turns[t] = (uint8_t)next;
		had[next]++;
		begins[next] = had[next] * ROSTER_BUCKETS / counts[next];
		ends[next] = ((had[next] + 1) * ROSTER_BUCKETS + counts[next] - 1) / counts[next];
	}
}

bool roster_join(struct roster *to, const struct roster *from, uint16_t slot, uint16_t weight)
{
	if (from->cnt == ROSTER_MEMBERS_MAX)
		return false;
	if (to != from)
		*to = *from;
	to->slots[to->cnt] = slot;
	to->weights[to->cnt] = weight;
	to->place[to->cnt] = (uint8_t)to->cnt;
	to->cnt++;
	if (to->cnt == 1)
		memset(to->buckets, 0, sizeof(to->buckets));
	else
		roster_take(to);
	roster_set_turns(to);
	return true;
}

/* Give the buckets of `gone`, which is no member any more, to those to whom they are cheapest. */
static void roster_give(struct roster *roster, uint8_t gone)
{
	uint32_t counts[ROSTER_MEMBERS_MAX] = {0};

	for (uint32_t b = 0; b < ROSTER_BUCKETS; b++)
		if (roster->buckets[b] != gone)
			counts[roster->buckets[b]]++;
	for (uint32_t b = 0; b < ROSTER_BUCKETS; b++) {
		uint32_t poorest = 0;

		if (roster->buckets[b] != gone)
			continue;
		for (uint32_t i = 1; i < roster->cnt; i++)
			if (roster_is_cheaper(counts[i], roster->weights[i], counts[poorest],
					      roster->weights[poorest]))
				poorest = i;
		counts[poorest]++;
		roster->buckets[b] = (uint8_t)poorest;
	}
}

bool roster_leave(struct roster *to, const struct roster *from, uint16_t slot)
{
	uint32_t gone = 0;

	while (gone < from->cnt && from->slots[gone] != slot)
		gone++;
	if (gone == from->cnt)
		return false;
	if (to != from)
		*to = *from;
	to->cnt--;
	/* those behind move up, and keep their order and their buckets */
	for (uint32_t i = gone; i < to->cnt; i++) {
		to->slots[i] = to->slots[i + 1];
		to->weights[i] = to->weights[i + 1];
	}
	for (uint32_t b = 0; b < ROSTER_BUCKETS; b++) {
		uint32_t owner = to->buckets[b];

		if (owner == gone)
			to->buckets[b] = ROSTER_MEMBERS_MAX;
		else if (owner > gone)
			to->buckets[b] = (uint8_t)(owner - 1);
	}
	if (to->cnt > 0)
		roster_give(to, ROSTER_MEMBERS_MAX);
	roster_set_turns(to);
	return true;
}

/* `to` becomes `from` but for who is on them. */
static void rosters_begin(struct rosters *to, const struct rosters *from)
{
	if (to == from)
		return;
	to->class_cnt = from->class_cnt;
	memcpy(to->masks, from->masks, sizeof(to->masks));
}

bool rosters_join(struct rosters *to, const struct rosters *from, uint16_t slot, uint16_t weight,
		  uint32_t class_mask)
{
	uint32_t place = from->all.cnt;

	if (!roster_join(&to->all, &from->all, slot, weight))
		return false;
	rosters_begin(to, from);
	to->masks[place] = class_mask;
	for (uint32_t c = 0; c < to->class_cnt; c++) {
		struct roster *roster = &to->of_class[c];

		if (class_mask >> c & 1) {
			roster_join(roster, &from->of_class[c], slot, weight);
			roster->place[roster->cnt - 1] = (uint8_t)place;
		} else if (to != from) {
			*roster = from->of_class[c];
		}
	}
	return true;
}

/* The member at `gone` of the roster of all has left, and those behind it have moved up: so do the
 * places of this roster, which roster_leave() leaves as they were. */
static void roster_move_places(struct roster *roster, uint32_t gone)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; kept < roster->cnt && i < ROSTER_MEMBERS_MAX; i++) {
		uint32_t place = roster->place[i];

		if (place != gone)
			roster->place[kept++] = (uint8_t)(place > gone ? place - 1 : place);
	}
}

bool rosters_leave(struct rosters *to, const struct rosters *from, uint16_t slot)
{
	uint32_t gone = 0;

	while (gone < from->all.cnt && from->all.slots[gone] != slot)
		gone++;
	if (!roster_leave(&to->all, &from->all, slot))
		return false;
	rosters_begin(to, from);
	for (uint32_t i = gone; i < to->all.cnt; i++)
		to->masks[i] = to->masks[i + 1];
	for (uint32_t c = 0; c < to->class_cnt; c++) {
		struct roster *roster = &to->of_class[c];

		if (!roster_leave(roster, &from->of_class[c], slot) && to != from)
			*roster = from->of_class[c];
		roster_move_places(roster, gone);
	}
	return true;
}
