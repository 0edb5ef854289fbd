/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `sticky` remembers: held against a model that keeps everything it was ever told; and whom
 * the method chooses while members come, go, and are full.
 */
#include "steering/sticky.h"
#include "tests/scale.h"
#include "tests/unit/method_rig.h"

#define SECOND 1000000000ULL

/* --- the table ------------------------------------------------------------------------------- */

#define HASHES 4096

struct memory {
	uint64_t seen_ns;
	uint16_t outlet; /* STICKY_NONE: nothing was said */
};

/*
 * What the table knows it was told last, and not longer than `idle_s` ago; and where there is room
 * for all, it knows all of that. Time goes back now and then.
 */
static void check_table(uint32_t flows, uint32_t idle_s, uint32_t hash_cnt, bool roomy)
{
	struct memory *told = calloc(hash_cnt, sizeof(*told));
	uint32_t *hashes = calloc(hash_cnt, sizeof(*hashes));
	struct sticky *sticky = sticky_create(flows, idle_s);
	uint64_t now_ns = 1700000000 * SECOND, forgotten = 0, known = 0;

	assert_true(told && hashes && sticky);
	for (uint32_t i = 0; i < hash_cnt; i++) {
		hashes[i] = (uint32_t)random_next();
		told[i].outlet = STICKY_NONE;
	}
	hashes[0] = 0;
	for (uint32_t i = 0; i < test_scale(200000); i++) {
		uint32_t n = random_below(hash_cnt);
		uint16_t outlet = sticky_find(sticky, hashes[n], now_ns);
		uint64_t age = now_ns > told[n].seen_ns ? now_ns - told[n].seen_ns : 0;
		bool valid =
			told[n].outlet != STICKY_NONE && (idle_s == 0 || age <= idle_s * SECOND);

		if (outlet != STICKY_NONE) {
			assert_true(valid);
			assert_int_equal(outlet, told[n].outlet);
			known++;
		} else {
			assert_false(valid && roomy);
			forgotten += valid;
		}
		if (outlet == STICKY_NONE || random_below(4) == 0) {
			told[n].outlet = (uint16_t)random_below(STICKY_NONE);
			sticky_note(sticky, hashes[n], now_ns, told[n].outlet);
			told[n].seen_ns = now_ns;
		} else if (told[n].seen_ns < now_ns) {
			told[n].seen_ns = now_ns;
		}
		now_ns += random_below(1000000);
		if (random_below(100) == 0)
			now_ns -= 5000000;
	}
	assert_true(known > 50);
	if (!roomy)
		assert_true(forgotten > 0);
	sticky_release(sticky);
	free(told);
	free(hashes);
}

static void test_table(void **state)
{
	(void)state;
	check_table(64 * 1024, 0, 1000, true);
	check_table(64 * 1024, 1, 1000, true);
	check_table(1024, 1, HASHES, false);
	check_table(1, 0, HASHES, false);
	check_table(0, 2, 16, false);
}

/* The flow that was seen least recently gives way: one that is asked for often stays, whatever else
 * comes. */
static void test_least_recent(void **state)
{
	struct sticky *sticky = sticky_create(1, 0);
	uint64_t now_ns = 1;

	(void)state;
	assert_non_null(sticky);
	sticky_note(sticky, 77, now_ns++, 5);
	for (uint32_t i = 1000; i < 3000; i++) {
		sticky_note(sticky, i, now_ns++, 6);
		assert_int_equal(sticky_find(sticky, 77, now_ns++), 5);
		assert_int_equal(sticky_find(sticky, i, now_ns++), 6);
	}
	for (uint32_t i = 3000; i < 3010; i++)
		sticky_note(sticky, i, now_ns++, 6);
	assert_int_equal(sticky_find(sticky, 77, now_ns), STICKY_NONE);
	sticky_release(sticky);
}

/* Who holds it keeps it; the sanitizers see whether the last one frees it. */
static void test_holders(void **state)
{
	struct sticky *sticky = sticky_create(100, 10);

	(void)state;
	sticky_hold(sticky);
	sticky_note(sticky, 1, 1, 2);
	sticky_release(sticky);
	assert_int_equal(sticky_find(sticky, 1, 1), 2);
	sticky_release(sticky);
	sticky_release(NULL);
}

/* --- the method ------------------------------------------------------------------------------ */

#define FLOWS 512

static struct packet flows[FLOWS];
static uint32_t chosen[FLOWS]; /* the outlet that the model expects; STICKY_NONE: none yet */

static uint32_t place_of(const struct roster *roster, uint32_t slot)
{
	for (uint32_t i = 0; i < roster->cnt; i++)
		if (roster->slots[i] == slot)
			return i;
	return UINT32_MAX;
}

/* A burst of any flows; the first member with room has a new one, an old one stays. */
static void check_burst(struct method_state *old, struct method_context *context,
			const struct roster *roster)
{
	const struct method_spec spec = {.method = METHOD_STICKY};
	uint32_t left[ROSTER_MEMBERS_MAX], rooms[ROSTER_MEMBERS_MAX], which[PACKET_BURST];
	struct packet pkts[PACKET_BURST];
	uint64_t targets[PACKET_BURST];
	uint8_t index[PACKET_BURST];
	uint32_t cnt = 1 + random_below(PACKET_BURST);

	for (uint32_t i = 0; i < roster->cnt; i++)
		rooms[i] = left[i] = random_below(3) ? random_below(20) : 0;
	for (uint32_t i = 0; i < cnt; i++) {
		which[i] = random_below(FLOWS);
		pkts[i] = flows[which[i]];
		index[i] = (uint8_t)i;
	}
	context->rooms = rooms;
	assert_true(method_targets(&spec, old, context, roster, pkts, index, cnt, targets) == 0);
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t *outlet = &chosen[which[i]], place = place_of(roster, *outlet);

		if (place == UINT32_MAX) {
			place = 0;
			while (place < roster->cnt && left[place] == 0)
				place++;
			*outlet = place < roster->cnt ? roster->slots[place] : STICKY_NONE;
			if (place == roster->cnt)
				place = roster_by_hash(roster, pkts[i].meta->flow_hash);
		}
		assert_true(targets[i] == 1ULL << place);
		left[place] -= left[place] > 0;
	}
}

static void test_method(void **state)
{
	struct method_state old = {.sticky = sticky_create(64 * 1024, 0)};
	struct method_context context = {.seed = SEED, .now_ns = SECOND};
	static struct roster roster;
	uint16_t slot = 100;

	(void)state;
	assert_non_null(old.sticky);
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct packet_builder b;

		packet_start(&b);
		packet_ipv4(&b, i, 1, 0);
		packet_udp(&b, 1, 2);
		packet_finish(&b);
		rig_built(&flows[i], &b);
		chosen[i] = STICKY_NONE;
	}
	for (uint32_t round = 0; round < 5000; round++) {
		if (roster.cnt == 0 || (roster.cnt < 10 && random_below(20) == 0))
			roster_join(&roster, &roster, slot++, 1);
		else if (roster.cnt > 1 && random_below(20) == 0)
			roster_leave(&roster, &roster, roster.slots[random_below(roster.cnt)]);
		check_burst(&old, &context, &roster);
		context.now_ns += 1000;
	}
	sticky_release(old.sticky);
	rig_drop(flows, FLOWS);
}

/* Without a table, or without knowing who has room, packets go by flow. */
static void test_no_table(void **state)
{
	const struct method_spec spec = {.method = METHOD_STICKY};
	struct packet_builder b;
	struct roster roster;
	struct packet pkt;

	(void)state;
	rig_roster(&roster, 7);
	rig_random(&b);
	rig_built(&pkt, &b);
	assert_true(rig_target(&spec, &roster, &pkt) ==
		    1ULL << roster_by_hash(&roster, pkt.meta->flow_hash));
	rig_drop(&pkt, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),    cmocka_unit_test(test_least_recent),
		cmocka_unit_test(test_holders),  cmocka_unit_test(test_method),
		cmocka_unit_test(test_no_table),
	};

	return cmocka_run_group_tests(tests, rig_seed, NULL);
}
