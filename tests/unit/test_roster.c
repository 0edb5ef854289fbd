/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rosters: whoever joins or leaves, everyone has the share that its weight asks for, and no bucket
 * moves that need not.
 */
#include "steering/flow.h"
#include "steering/roster.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED  0x0123456789abcdefULL
#define FLOWS 100000
#define SLOTS 1000 /* outlets that members are placed at */

static struct roster empty;

/* Outlets, by hash and by turn. */
static uint32_t by_hash(const struct roster *roster, uint32_t hash)
{
	return roster->slots[roster_by_hash(roster, hash)];
}

static uint32_t by_turn(const struct roster *roster, uint32_t *turn)
{
	return roster->slots[roster_by_turn(roster, turn)];
}

/* How many buckets each member has, in the order of its slots; each bucket has a living owner. */
static void count(const struct roster *roster, uint32_t *cnt)
{
	memset(cnt, 0, ROSTER_MEMBERS_MAX * sizeof(*cnt));
	for (uint32_t b = 0; b < ROSTER_BUCKETS; b++) {
		assert_true(roster->buckets[b] < roster->cnt);
		cnt[roster->buckets[b]]++;
	}
}

static uint32_t weight_sum(const struct roster *roster)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < roster->cnt; i++)
		sum += roster->weights[i];
	return sum;
}

/* Every member has at least one bucket and about its share of them: within 5 percent where that is
 * 40 buckets or more, else within 2. */
static void check_shares(const struct roster *roster)
{
	uint32_t cnt[ROSTER_MEMBERS_MAX];
	double total = weight_sum(roster);

	if (roster->cnt == 0)
		return;
	count(roster, cnt);
	for (uint32_t i = 0; i < roster->cnt; i++) {
		double share = ROSTER_BUCKETS * roster->weights[i] / total;
		double off = cnt[i] - share;

		if (cnt[i] == 0 || off * off > (share < 40 ? 2 * 2 : share * share / 400))
			fail_msg("member %u of %u, weight %u, has %u buckets, its share is %.2f", i,
				 roster->cnt, roster->weights[i], cnt[i], share);
	}
}

/* Slots and weights in the order of joining, one of each; and whether the weights differ. */
static void check_members(const struct roster *roster)
{
	bool taken[SLOTS] = {false}, weighted = false;

	for (uint32_t i = 0; i < roster->cnt; i++) {
		assert_false(taken[roster->slots[i]]);
		taken[roster->slots[i]] = true;
		weighted |= roster->weights[i] != roster->weights[0];
	}
	assert_int_equal(roster->weighted, weighted);
}

/* Between two rosters only buckets from or to `slot` have moved, all that it had or now has. */
static void check_moves(const struct roster *before, const struct roster *after, uint32_t slot)
{
	for (uint32_t b = 0; before->cnt && after->cnt && b < ROSTER_BUCKETS; b++) {
		uint32_t from = by_hash(before, b), to = by_hash(after, b);

		if (before->cnt < after->cnt)
			assert_true(from == to || to == slot);
		else
			assert_int_equal(from != to, from == slot);
	}
}

/* A member joins. */
static void join(struct roster *to, const struct roster *from, uint32_t slot, uint32_t weight)
{
	struct roster before = *from;

	assert_true(roster_join(to, from, (uint16_t)slot, (uint16_t)weight));
	assert_memory_equal(from, &before, sizeof(before));
	assert_int_equal(to->cnt, from->cnt + 1);
	assert_memory_equal(to->slots, from->slots, from->cnt * sizeof(from->slots[0]));
	assert_memory_equal(to->weights, from->weights, from->cnt * sizeof(from->weights[0]));
	assert_int_equal(to->slots[from->cnt], slot);
	assert_int_equal(to->weights[from->cnt], weight);
	check_members(to);
	check_moves(from, to, slot);
}

/* The i-th member leaves. */
static void leave(struct roster *to, const struct roster *from, uint32_t i)
{
	struct roster before = *from;
	uint16_t slot = from->slots[i];
	uint32_t behind = from->cnt - i - 1;

	assert_true(roster_leave(to, from, slot));
	assert_memory_equal(from, &before, sizeof(before));
	assert_int_equal(to->cnt, from->cnt - 1);
	assert_memory_equal(to->slots, from->slots, i * sizeof(slot));
	assert_memory_equal(to->slots + i, from->slots + i + 1, behind * sizeof(slot));
	assert_memory_equal(to->weights, from->weights, i * sizeof(slot));
	assert_memory_equal(to->weights + i, from->weights + i + 1, behind * sizeof(slot));
	check_members(to);
	check_moves(from, to, slot);
}

/* `cnt` members of weight 1 at the slots 3, 4, 5 ... */
static void join_equal(struct roster *roster, uint32_t cnt)
{
	*roster = empty;
	for (uint32_t i = 0; i < cnt; i++)
		assert_true(roster_join(roster, roster, (uint16_t)(3 + i), 1));
}

/* --- shares ---------------------------------------------------------------------------------- */

static void check_equal(const struct roster *roster)
{
	uint32_t cnt[ROSTER_MEMBERS_MAX], members = roster->cnt;

	if (members == 0)
		return;
	count(roster, cnt);
	for (uint32_t i = 0; i < members; i++)
		assert_in_range(cnt[i], ROSTER_BUCKETS / members,
				(ROSTER_BUCKETS + members - 1) / members);
}

/* Equal weights, whatever they are: no member has two buckets more than another, all the way from 1
 * member to 64 and back in any order. */
static void test_equal(void **state)
{
	static const uint32_t weights[] = {1, 7, ROSTER_WEIGHT_MAX};

	(void)state;
	for (size_t w = 0; w < sizeof(weights) / sizeof(weights[0]); w++) {
		struct roster roster = empty, next;

		for (uint32_t i = 0; i < ROSTER_MEMBERS_MAX; i++) {
			join(&next, &roster, i * 7 % SLOTS, weights[w]);
			roster = next;
			check_equal(&roster);
		}
		while (roster.cnt > 0) {
			leave(&next, &roster, (uint32_t)random() % roster.cnt);
			roster = next;
			check_equal(&roster);
		}
	}
}

/* Members come and go at random, 10,000 times, of weights of every kind. */
static void test_weighted(void **state)
{
	static const uint32_t ranges[] = {2, 10, 100, ROSTER_WEIGHT_MAX};

	(void)state;
	for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
		struct roster roster = empty, next;
		uint32_t full = ROSTER_MEMBERS_MAX;

		for (uint32_t i = 0; i < 2500; i++) {
			if (i % 100 == 0) /* now few of them, now many */
				full = 1 + (uint32_t)random() % ROSTER_MEMBERS_MAX;
			if (roster.cnt == 0 || (roster.cnt < full && random() % 4))
				join(&next, &roster, i % SLOTS, 1 + (uint32_t)random() % ranges[r]);
			else
				leave(&next, &roster, (uint32_t)random() % roster.cnt);
			roster = next;
			check_shares(&roster);
		}
	}
}

/* Weights that are as far apart as they can be: many light members beside one heavy one, and one
 * light member beside many heavy ones; whoever came first. */
static void test_extremes(void **state)
{
	(void)state;
	for (uint32_t heavy = 1; heavy < ROSTER_MEMBERS_MAX; heavy += heavy < 8 ? 1 : 11) {
		struct roster roster = empty, next;

		for (uint32_t i = 0; i < ROSTER_MEMBERS_MAX; i++) {
			join(&next, &roster, i, i < heavy ? ROSTER_WEIGHT_MAX : 1);
			roster = next;
			check_shares(&roster);
		}
		while (roster.cnt > 0) {
			leave(&next, &roster, roster.cnt % 2 ? 0 : roster.cnt - 1);
			roster = next;
			check_shares(&roster);
		}
	}
}

/* How many buckets each member has follows from the weights alone, not from who came and went. */
static void test_no_history(void **state)
{
	struct roster roster = empty, fresh = empty, next;
	uint32_t aged[ROSTER_MEMBERS_MAX], born[ROSTER_MEMBERS_MAX];

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		if (roster.cnt < 5 || (roster.cnt < 20 && random() % 2))
			join(&next, &roster, i % SLOTS, 1 + (uint32_t)random() % 1000);
		else
			leave(&next, &roster, (uint32_t)random() % roster.cnt);
		roster = next;
	}
	for (uint32_t i = 0; i < roster.cnt; i++)
		assert_true(roster_join(&fresh, &fresh, roster.slots[i], roster.weights[i]));
	count(&roster, aged);
	count(&fresh, born);
	for (uint32_t i = 0; i < roster.cnt; i++)
		assert_in_range(aged[i], born[i] - 1, born[i] + 1); /* a tie may go either way */
}

/* In place it is the same. */
static void test_in_place(void **state)
{
	struct roster roster = empty, in_place = empty, next;

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t weight = 1 + (uint32_t)random() % 3;

		if (roster.cnt == 0 || random() % 2) {
			join(&next, &roster, i, weight);
			assert_true(
				roster_join(&in_place, &in_place, (uint16_t)i, (uint16_t)weight));
		} else {
			uint32_t gone = (uint32_t)random() % roster.cnt;

			leave(&next, &roster, gone);
			assert_true(roster_leave(&in_place, &in_place, roster.slots[gone]));
		}
		roster = next;
		assert_memory_equal(&roster, &in_place, sizeof(roster));
	}
}

static void test_refused(void **state)
{
	struct roster roster, before, other;

	(void)state;
	join_equal(&roster, ROSTER_MEMBERS_MAX);
	before = other = roster;
	assert_false(roster_join(&roster, &roster, 2, 1));
	assert_false(roster_leave(&roster, &roster, 2));
	assert_memory_equal(&roster, &before, sizeof(roster));
	memset(&other, 0x5a, sizeof(other));
	assert_false(roster_join(&other, &roster, 2, 1));
	assert_false(roster_leave(&other, &empty, 3));
	assert_int_equal(other.cnt, 0x5a5a5a5a);
}

/* --- by hash --------------------------------------------------------------------------------- */

/* Every bucket is reached, by the low bits of the hash. */
static void test_by_hash(void **state)
{
	struct roster roster;

	(void)state;
	join_equal(&roster, 61);
	for (uint32_t b = 0; b < ROSTER_BUCKETS; b++)
		roster.buckets[b] = (uint8_t)(b % 61);
	for (uint32_t hash = 0; hash < ROSTER_BUCKETS; hash++) {
		assert_int_equal(by_hash(&roster, hash), 3 + hash % 61);
		assert_int_equal(by_hash(&roster, hash | 0xfffff000), 3 + hash % 61);
	}
}

/* Hashes of flows that differ in an address, a port or both. */
static uint32_t *make_flows(void)
{
	uint32_t *hashes = malloc(FLOWS * sizeof(*hashes));
	struct xfq_meta meta = {
		.l3_off = 14, .l4_proto = 6, .flags = XFQ_META_PORTS | XFQ_META_IPV4};

	assert_non_null(hashes);
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct parse_key key = {.src = {0x0a000000 | i / 400},
					.dst = {0xc0a80001},
					.sport = (uint16_t)(1024 + i % 400),
					.dport = 443};

		hashes[i] = flow_hash(&meta, &key, NULL, NULL, SEED);
	}
	return hashes;
}

/* `cnt` of FLOWS is a share of `one` in `all`, within six standard deviations. */
static void check_flows(uint32_t cnt, uint32_t one, uint32_t all)
{
	double p = (double)one / all, off = cnt - p * FLOWS;

	assert_true(off * off < 36 * FLOWS * p * (1 - p));
}

/* Who leaves takes along only its own flows, and those go to all others. */
static void test_leave_flows(void **state)
{
	uint32_t *hashes = make_flows();
	struct roster before, after;

	(void)state;
	join_equal(&before, 8);
	for (uint32_t gone = 0; gone < 8; gone++) {
		uint32_t moved = 0, got[8] = {0};

		leave(&after, &before, gone);
		for (uint32_t i = 0; i < FLOWS; i++) {
			uint32_t from = by_hash(&before, hashes[i]);
			uint32_t to = by_hash(&after, hashes[i]);

			assert_int_equal(from != to, from == 3 + gone);
			assert_int_not_equal(to, 3 + gone);
			moved += from != to;
			got[to - 3] += from != to;
		}
		check_flows(moved, 1, 8);
		for (uint32_t m = 0; m < 8; m++)
			if (m != gone)
				check_flows(got[m], 1, 8 * 7);
	}
	free(hashes);
}

/* Who joins gets flows from all others, and no other flow moves. */
static void test_join_flows(void **state)
{
	static const uint32_t weights[] = {1, 2, 8, 100};
	uint32_t *hashes = make_flows();
	struct roster before, after;

	(void)state;
	join_equal(&before, 8);
	for (size_t w = 0; w < sizeof(weights) / sizeof(weights[0]); w++) {
		uint32_t moved = 0, gave[8] = {0}, weight = weights[w];

		join(&after, &before, 2, weight);
		for (uint32_t i = 0; i < FLOWS; i++) {
			uint32_t from = by_hash(&before, hashes[i]);
			uint32_t to = by_hash(&after, hashes[i]);

			assert_true(from == to || to == 2);
			moved += from != to;
			gave[from - 3] += from != to;
		}
		check_flows(moved, weight, 8 + weight);
		for (uint32_t m = 0; m < 8; m++)
			check_flows(gave[m], weight, 8 * (8 + weight));
	}
	free(hashes);
}

/* --- by turn --------------------------------------------------------------------------------- */

/* Equal weights: one after the other, also where the number of members has just changed. */
static void test_turn_equal(void **state)
{
	uint32_t turn = 0;

	(void)state;
	for (uint32_t members = 1; members <= ROSTER_MEMBERS_MAX; members++) {
		struct roster roster;
		uint32_t first;

		join_equal(&roster, members);
		first = by_turn(&roster, &turn);
		assert_in_range(first, 3, 3 + members - 1);
		for (uint32_t i = 1; i < 5 * members; i++)
			assert_int_equal(by_turn(&roster, &turn), 3 + (first - 3 + i) % members);
		turn = members % 2 ? turn : UINT32_MAX - turn; /* as from other weights */
	}
}

/*
 * Over ten rounds of all buckets everyone has its share of the turns. Meanwhile nobody waits for
 * more than two of its intervals, and nobody is served for long while others wait: as often in a
 * row as others leave room for, and once more.
 */
static void check_turns(const struct roster *roster, uint32_t turn)
{
	uint32_t cnt[ROSTER_MEMBERS_MAX], got[ROSTER_MEMBERS_MAX] = {0};
	uint32_t last[ROSTER_MEMBERS_MAX] = {0}, of_slot[SLOTS];
	uint32_t run = 0, before = UINT32_MAX;

	count(roster, cnt);
	for (uint32_t i = 0; i < roster->cnt; i++)
		of_slot[roster->slots[i]] = i;
	for (uint32_t t = 1; t <= 10 * ROSTER_BUCKETS; t++) {
		uint32_t i = of_slot[by_turn(roster, &turn)];
		double share = (double)cnt[i] / ROSTER_BUCKETS;

		run = i == before ? run + 1 : 1;
		before = i;
		if (run > 1 + 1 / (1 - share))
			fail_msg("share %.4f: %u turns in a row", share, run);
		if (last[i] && t - last[i] > 1 + 2 / share)
			fail_msg("share %.4f: a turn after %u", share, t - last[i]);
		got[i]++;
		last[i] = t;
	}
	for (uint32_t i = 0; i < roster->cnt; i++)
		assert_int_equal(got[i], 10 * cnt[i]);
	check_shares(roster); /* and that is its share by weight */
}

static void test_turn_weighted(void **state)
{
	static const uint32_t ranges[] = {2, 10, 100, ROSTER_WEIGHT_MAX};

	(void)state;
	for (uint32_t r = 0; r < 24; r++) {
		uint32_t members = 2 + (uint32_t)random() % (ROSTER_MEMBERS_MAX - 1);
		struct roster roster = empty;

		for (uint32_t i = 0; i < 2 * members; i++) {
			uint32_t weight = 1 + (uint32_t)random() % ranges[r % 4];

			if (roster.cnt == members)
				roster_leave(&roster, &roster,
					     roster.slots[(uint32_t)random() % members]);
			assert_true(roster_join(&roster, &roster, (uint16_t)i, (uint16_t)weight));
		}
		if (roster.weighted)
			check_turns(&roster, (uint32_t)random() * 2 + r % 2);
	}
}

/* Half of the weight: every other turn. */
static void test_turn_half(void **state)
{
	struct roster roster = empty;
	uint32_t turn = 0;

	(void)state;
	for (uint32_t i = 0; i < 32; i++)
		assert_true(roster_join(&roster, &roster, (uint16_t)i, 1));
	assert_true(roster_join(&roster, &roster, 32, 32));
	for (uint32_t i = 0; i < 2 * ROSTER_BUCKETS; i++) {
		uint32_t one = by_turn(&roster, &turn), two = by_turn(&roster, &turn);

		assert_int_equal((one == 32) + (two == 32), 1);
	}
}

static int seed(void **state)
{
	(void)state;
	srandom(1);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal),         cmocka_unit_test(test_weighted),
		cmocka_unit_test(test_extremes),      cmocka_unit_test(test_no_history),
		cmocka_unit_test(test_in_place),      cmocka_unit_test(test_refused),
		cmocka_unit_test(test_by_hash),       cmocka_unit_test(test_leave_flows),
		cmocka_unit_test(test_join_flows),    cmocka_unit_test(test_turn_equal),
		cmocka_unit_test(test_turn_weighted), cmocka_unit_test(test_turn_half),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
