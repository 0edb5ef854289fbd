/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking frames back: from members that behave, from members that do not, and across 2^32. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RIG_REQUIRE(condition) assert_true(condition)
#include "tests/fanout_rig.h"

static struct packet_builder built;

static const struct packet_builder *random_udp(void)
{
	packet_start(&built);
	packet_ipv4(&built, 0x0a000000, (uint32_t)random(), 0);
	packet_udp(&built, (uint32_t)random() & 0xffff, 53);
	packet_payload(&built, 8);
	packet_finish(&built);
	return &built;
}

static void send_random(struct rig *rig, uint32_t cnt)
{
	while (cnt--)
		rig_add(rig, random_udp());
	rig_burst(rig);
}

/* --- taking back
 * ----------------------------------------------------------------------------------- */

/* A burst that finds a ring full looks itself whether the member has released something. */
static void test_reclaim_on_demand(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 256);
	rig_group(&rig, NULL, METHOD_FLOW, 1);
	rig_connect(&rig, 64, 64);
	for (uint32_t round = 0; round < 10; round++) {
		send_random(&rig, PACKET_BURST);
		assert_int_equal(rig_drain(&rig, 0), PACKET_BURST);
	}
	assert_int_equal(rig.fanout.outlets[0].lost_ring, 0);
	rig_finish(&rig);
}

/* A round looks at so many rings that have something out, and the next goes on behind them. */
static void test_reclaim_in_turn(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 64);
	rig_group(&rig, NULL, METHOD_BROADCAST, 10);
	rig_connect(&rig, 64, 64);
	send_random(&rig, 1);
	for (uint32_t m = 0; m < 10; m++)
		rig_drain(&rig, m);
	for (uint32_t left = 10; left > 1; left -= 3) {
		assert_int_equal(fanout_queued(&rig.fanout), left);
		assert_int_equal(rig.frames.held_cnt, 1);
		fanout_reclaim(&rig.fanout, 3);
	}
	fanout_reclaim(&rig.fanout, 3);
	assert_int_equal(rig.frames.held_cnt, 0);
	rig_finish(&rig);
}

static void test_room(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 512);
	rig_group(&rig, NULL, METHOD_BROADCAST, 3);
	rig_connect(&rig, 128, 100);
	assert_int_equal(fanout_room(&rig.fanout), PACKET_BURST);
	send_random(&rig, PACKET_BURST);
	assert_int_equal(fanout_room(&rig.fanout), 36);
	rig_drain(&rig, 0);
	fanout_reclaim(&rig.fanout, 0);
	assert_int_equal(fanout_room(&rig.fanout), 36);
	/* who is detached is not waited for */
	fanout_detach(&rig.fanout, 1);
	fanout_detach(&rig.fanout, 2);
	assert_int_equal(fanout_room(&rig.fanout), PACKET_BURST);
	rig_finish(&rig);
}

/* A ring is refused that the layout does not allow. */
static void test_init(void **state)
{
	static const struct {
		uint32_t slots, quota;
	} bad[] = {{32, 1}, {63, 1}, {65, 1}, {96, 1}, {131072, 1}, {64, 0}, {64, 65}, {0, 0}};
	struct xfq_ring_prod shared;
	struct ring ring;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			ring_init(&ring, &shared, NULL, NULL, bad[i].slots, bad[i].quota, 0, 0),
			-EINVAL);
}

/* The consumer's side opens what ring_init() made, and nothing that differs from it. */
static void test_open(void **state)
{
	struct xfq_ring_cons cons = {0};
	struct xfq_ring_prod *shared = calloc(1, xfq_ring_prod_bytes(64));
	struct xfq_ring view;
	struct ring ring;
	uint32_t slots[64];
	size_t bytes = xfq_ring_prod_bytes(64);

	(void)state;
	assert_non_null(shared);
	assert_int_equal(ring_init(&ring, shared, &cons, slots, 64, 64, 3, 4096), 0);
	assert_int_equal(shared->worker, 3);
	assert_int_equal(shared->umem_len, 4096);
	assert_true(xfq_ring_open(&view, shared, bytes, &cons, NULL));
	assert_false(xfq_ring_open(&view, shared, bytes - 1, &cons, NULL));
	assert_false(xfq_ring_open(&view, shared, sizeof(*shared) - 1, &cons, NULL));
	shared->magic++;
	assert_false(xfq_ring_open(&view, shared, bytes, &cons, NULL));
	shared->magic--;
	shared->version++;
	assert_false(xfq_ring_open(&view, shared, bytes, &cons, NULL));
	shared->version--;
	shared->desc_len = 8;
	assert_false(xfq_ring_open(&view, shared, bytes, &cons, NULL));
	shared->desc_len = sizeof(struct xfq_ring_desc);
	for (uint32_t bad = 0; bad < 64; bad++) {
		shared->slots = bad;
		assert_false(xfq_ring_open(&view, shared, bytes, &cons, NULL));
	}
	shared->slots = 96;
	assert_false(xfq_ring_open(&view, shared, SIZE_MAX, &cons, NULL));
	shared->slots = 131072;
	assert_false(xfq_ring_open(&view, shared, SIZE_MAX, &cons, NULL));
	free(shared);
}

/* --- members that do not behave -------------------------------------------------------------- */

/* What is remembered of a member with `out` packets from `base` on that claims to be at `cons`. */
static void check_fault(const struct outlet *outlet, uint32_t base, uint32_t out, uint32_t cons)
{
	if (cons - base <= out) {
		assert_int_equal(outlet->fault, OUTLET_SOUND);
		assert_int_equal(outlet->consumed, cons - base);
		assert_int_equal(outlet->discarded, 0);
		return;
	}
	assert_int_equal(outlet->fault,
			 (int32_t)(cons - base - out) > 0 ? OUTLET_CONS_AHEAD : OUTLET_CONS_BACK);
	assert_int_equal(outlet->fault_cons, cons);
	assert_int_equal(outlet->fault_reclaimed, base);
	assert_int_equal(outlet->fault_prod, base + out);
	assert_int_equal(outlet->consumed, 0);
	assert_int_equal(outlet->discarded, out);
}

/* With `out` packets in its ring, the member claims to have released `cons` from `base` on. */
static void check_hostile(uint32_t base, uint32_t out, uint32_t cons, bool by_burst)
{
	bool good = cons - base <= out;
	struct rig rig;

	rig_create(&rig, 256);
	rig_group(&rig, NULL, METHOD_BROADCAST, 3);
	rig_connect(&rig, 64, 64);
	for (uint32_t m = 0; m < 3; m++)
		rig_set_index(&rig, m, base);
	send_random(&rig, out);
	rig_drain(&rig, 0);
	rig_drain(&rig, 2);
	rig.members[1].cons_page->cons = cons;
	if (by_burst) /* the burst needs room and finds out */
		send_random(&rig, 64);
	else
		fanout_reclaim(&rig.fanout, 0);
	rig_check(&rig);
	assert_int_equal(rig.fanout.faulty, good ? 0 : 1);
	assert_int_equal(rig.fanout.outlets[1].ring.cons_page == NULL, !good);
	check_fault(&rig.fanout.outlets[1], base, out, cons);
	assert_int_equal(ring_room(&rig.fanout.outlets[0].ring), by_burst ? 0 : 64);
	/* from now on it gets nothing, and is counted once; the others get all */
	rig_drain(&rig, 0);
	rig_drain(&rig, 2);
	send_random(&rig, 64);
	assert_int_equal(rig.fanout.faulty, good ? 0 : 1);
	if (!good)
		assert_int_equal(rig.fanout.outlets[1].lost_detached, by_burst ? 128 : 64);
	for (uint32_t m = 0; m < 3; m += 2)
		assert_int_equal(rig.fanout.outlets[m].packets, out + (by_burst ? 128 : 64));
	rig_check_sums(&rig, out + (by_burst ? 128 : 64));
	if (good)
		rig.members[1].view.cons = cons;
	rig_finish(&rig);
}

static void test_hostile_cons(void **state)
{
	static const uint32_t bases[] = {0, 1000, UINT32_MAX - 10, UINT32_MAX, 0x7ffffff0};
	static const uint32_t offsets[] = {0,  1,    30,         31,         32,         33,
					   64, 1000, 0x7fffffff, 0x80000000, UINT32_MAX, -64U};

	(void)state;
	for (size_t b = 0; b < sizeof(bases) / sizeof(bases[0]); b++) {
		for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
			check_hostile(bases[b], 31, bases[b] + offsets[i], false);
			check_hostile(bases[b], 31, bases[b] + offsets[i], true);
		}
	}
}

/* It takes back what it has released. */
static void test_backwards(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 128);
	rig_group(&rig, NULL, METHOD_FLOW, 1);
	rig_connect(&rig, 64, 64);
	send_random(&rig, 40);
	rig.members[0].cons_page->cons = 20;
	fanout_reclaim(&rig.fanout, 0);
	assert_int_equal(rig.fanout.faulty, 0);
	assert_int_equal(rig.frames.held_cnt, 20);
	rig.members[0].cons_page->cons = 19;
	fanout_reclaim(&rig.fanout, 0);
	assert_int_equal(rig.fanout.faulty, 1);
	assert_int_equal(rig.fanout.outlets[0].fault, OUTLET_CONS_BACK);
	assert_int_equal(rig.fanout.outlets[0].consumed, 20);
	assert_int_equal(rig.fanout.outlets[0].discarded, 20);
	assert_int_equal(rig.frames.held_cnt, 0);
	rig_finish(&rig);
}

/* Half of the members fill their pages with anything, whenever they like. */
static void check_scribble(uint32_t base)
{
	struct rig rig;
	uint64_t sent = 0;

	rig_create(&rig, 8 * 64 + PACKET_BURST);
	rig_group(&rig, NULL, METHOD_BROADCAST, 4);
	rig_group(&rig, NULL, METHOD_FLOW, 4);
	rig_connect(&rig, 64, 64);
	for (uint32_t m = 0; m < 8; m++)
		rig_set_index(&rig, m, base);
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t cnt = 1 + (uint32_t)random() % PACKET_BURST;

		send_random(&rig, cnt);
		sent += cnt;
		for (uint32_t m = 0; m < 8; m++) {
			uint32_t *words = (uint32_t *)rig.members[m].cons_page;

			if (m % 2 == 0)
				rig_drain(&rig, m);
			else if (random() % 8 == 0) /* small steps, most of them good */
				words[0] += (uint32_t)random() % 80;
			else if (random() % 32 == 0)
				for (uint32_t i = 0; i < 16; i++)
					words[i] = (uint32_t)random();
			(void)ring_wants_wake(&rig.fanout.outlets[m].ring);
		}
		if (random() % 2)
			fanout_reclaim(&rig.fanout, (uint32_t)random() % 9);
		rig_check(&rig);
		rig_check_sums(&rig, sent);
	}
	for (uint32_t m = 0; m < 8; m += 2) {
		const struct outlet *outlet = &rig.fanout.outlets[m];

		assert_int_equal(outlet->packets, rig_offered(&rig, m));
		assert_non_null(outlet->ring.cons_page);
	}
	for (uint32_t m = 1; m < 8; m += 2)
		fanout_detach(&rig.fanout, m);
	assert_in_range(rig.fanout.faulty, 1, 4);
	rig_finish(&rig);
}

static void test_scribble(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		check_scribble(i % 2 ? 0 : UINT32_MAX - (uint32_t)random() % 4000);
}

/* What a member writes into its page after it was detached is nobody's business. */
static void test_detached(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 128);
	rig_group(&rig, NULL, METHOD_FLOW, 1);
	rig_connect(&rig, 64, 64);
	send_random(&rig, 40);
	rig.members[0].cons_page->cons = 41;
	fanout_reclaim(&rig.fanout, 0);
	assert_int_equal(rig.frames.free_cnt, 128);
	rig.members[0].cons_page->cons = 7;
	rig.members[0].cons_page->waiting = 1;
	assert_false(ring_wants_wake(&rig.fanout.outlets[0].ring));
	send_random(&rig, 64);
	fanout_reclaim(&rig.fanout, 0);
	assert_int_equal(rig.fanout.faulty, 1);
	assert_int_equal(rig.fanout.outlets[0].lost_detached, 64);
	assert_int_equal(rig.members[0].shared->prod, 40);
	rig_finish(&rig);
}

/* --- indices -------------------------------------------------------------------------------------
 */

/* Nothing is special about the place where the indices begin again at 0. */
static void test_wrap(void **state)
{
	(void)state;
	for (uint32_t before = 0; before < 200; before += 7) {
		struct rig rig;
		uint64_t sent = 0, read = 0;

		rig_create(&rig, 2 * 64 + PACKET_BURST);
		rig_group(&rig, NULL, METHOD_BROADCAST, 2);
		rig_connect(&rig, 64, 64);
		rig_set_index(&rig, 0, UINT32_MAX - before);
		rig_set_index(&rig, 1, UINT32_MAX - before);
		for (uint32_t round = 0; round < 20; round++) {
			uint32_t cnt = (uint32_t)random() % 30;

			send_random(&rig, cnt);
			sent += cnt;
			read += rig_drain(&rig, 0);
			assert_int_equal(read, sent);
			if (round % 3 == 2)
				fanout_reclaim(&rig.fanout, 0);
		}
		assert_true(before > 150 || rig.members[0].view.cons < 1000);
		assert_int_equal(rig.fanout.outlets[1].packets, sent < 64 ? sent : 64);
		rig_check_sums(&rig, sent);
		rig_finish(&rig);
	}
}

/* --- waking --------------------------------------------------------------------------------------
 */

static void test_wake(void **state)
{
	struct rig rig;
	struct xfq_ring_cons *page;
	struct ring *ring;

	(void)state;
	rig_create(&rig, 128);
	rig_group(&rig, NULL, METHOD_FLOW, 1);
	rig_connect(&rig, 64, 64);
	ring = &rig.fanout.outlets[0].ring;
	page = rig.members[0].cons_page;
	send_random(&rig, 1);
	assert_false(ring_wants_wake(ring)); /* it does not sleep */
	page->waiting = 1;
	assert_true(ring_wants_wake(ring));
	send_random(&rig, 1);
	assert_false(ring_wants_wake(ring)); /* it was woken, and has not read anything yet */
	rig_drain(&rig, 0);
	fanout_reclaim(&rig.fanout, 0);
	send_random(&rig, 1);
	assert_true(ring_wants_wake(ring)); /* it has, and says that it sleeps again */
	page->waiting = 0;
	rig_drain(&rig, 0);
	send_random(&rig, 1);
	assert_false(ring_wants_wake(ring));
	rig_finish(&rig);
}

/* A member that reads all and sleeps again before the worker has taken anything back is woken by
 * the next packet: otherwise it would sleep on that for as long as no other comes. */
static void test_wake_before_reclaim(void **state)
{
	struct rig rig;
	struct ring *ring;

	(void)state;
	rig_create(&rig, 128);
	rig_group(&rig, NULL, METHOD_FLOW, 1);
	rig_connect(&rig, 64, 64);
	ring = &rig.fanout.outlets[0].ring;
	rig.members[0].cons_page->waiting = 1;
	for (uint32_t i = 0; i < 10; i++) {
		send_random(&rig, 1);
		assert_true(ring_wants_wake(ring));
		assert_false(ring_wants_wake(ring));
		assert_int_equal(rig_drain(&rig, 0), 1);
	}
	rig_finish(&rig);
}

/* The same where the member has read all before the worker asks whether it sleeps: that it was
 * woken for nothing does not count. */
static void test_wake_late(void **state)
{
	struct rig rig;
	struct ring *ring;

	(void)state;
	rig_create(&rig, 128);
	rig_group(&rig, NULL, METHOD_FLOW, 1);
	rig_connect(&rig, 64, 64);
	ring = &rig.fanout.outlets[0].ring;
	rig_set_index(&rig, 0, UINT32_MAX - 5);
	rig.members[0].cons_page->waiting = 1;
	for (uint32_t i = 0; i < 10; i++) {
		send_random(&rig, 1);
		assert_int_equal(rig_drain(&rig, 0), 1);
		assert_true(ring_wants_wake(ring));
		send_random(&rig, 1);
		assert_true(ring_wants_wake(ring));
		assert_int_equal(rig_drain(&rig, 0), 1);
	}
	rig_finish(&rig);
}

/* A member that only ever claims to sleep is woken once. */
static void test_wake_once(void **state)
{
	struct rig rig;
	uint32_t wakes = 0;

	(void)state;
	rig_create(&rig, 128);
	rig_group(&rig, NULL, METHOD_FLOW, 1);
	rig_connect(&rig, 64, 64);
	rig.members[0].cons_page->waiting = 1;
	for (uint32_t i = 0; i < 100; i++) {
		send_random(&rig, 1);
		wakes += ring_wants_wake(&rig.fanout.outlets[0].ring);
	}
	assert_int_equal(wakes, 1);
	rig_finish(&rig);
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
		cmocka_unit_test(test_reclaim_on_demand),
		cmocka_unit_test(test_reclaim_in_turn),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_hostile_cons),
		cmocka_unit_test(test_backwards),
		cmocka_unit_test(test_scribble),
		cmocka_unit_test(test_detached),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_wake),
		cmocka_unit_test(test_wake_before_reclaim),
		cmocka_unit_test(test_wake_late),
		cmocka_unit_test(test_wake_once),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
