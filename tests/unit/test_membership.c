/* SPDX-License-Identifier: BSD-2-Clause */
/* Members that come and go between bursts: with packets in their rings, as liars, in any place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RIG_REQUIRE(condition) assert_true(condition)
#include "tests/fanout_rig.h"

static struct packet_builder built;

static const struct packet_builder *make(uint32_t sport)
{
	packet_start(&built);
	packet_ipv4(&built, 0x0a000001, 0x0a000002, 0);
	packet_udp(&built, sport, 53);
	packet_payload(&built, 8);
	packet_finish(&built);
	return &built;
}

/* `cnt` packets of as many flows. */
static void send_flows(struct rig *rig, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		rig_add(rig, make(1000 + i));
	rig_burst(rig);
}

/* --- coming and going ------------------------------------------------------------------------ */

/* A group without a member: its packets are wanted, not unclaimed, and go nowhere. */
static void test_no_member(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 128);
	rig_group(&rig, "udp", METHOD_FLOW, 1);
	rig_group_overflow(&rig, "udp", METHOD_ROUND_ROBIN, 1, POLICY_SPILL);
	rig_group(&rig, NULL, METHOD_BROADCAST, 1);
	rig_connect(&rig, 0, 0);
	send_flows(&rig, 40);
	for (uint32_t g = 0; g < 3; g++) {
		assert_int_equal(rig.fanout.groups[g].packets, 40);
		assert_int_equal(rig.fanout.groups[g].bytes, 40 * 50);
		assert_int_equal(rig.fanout.groups[g].no_member, 40);
		assert_int_equal(rig.fanout.groups[g].offered, 0);
	}
	assert_int_equal(rig.fanout.unclaimed, 0);
	assert_int_equal(rig.fanout.touched_cnt, 0);
	assert_int_equal(rig.frames.free_cnt, 128);
	/* the first member of one group changes nothing for the others */
	rig_join(&rig, 0, 0, 64, 64, 1);
	send_flows(&rig, 20);
	assert_int_equal(rig.fanout.outlets[0].packets, 20);
	assert_int_equal(rig.fanout.groups[0].no_member, 40);
	assert_int_equal(rig.fanout.groups[1].no_member, 60);
	assert_int_equal(rig.frames.held_cnt, 20);
	rig_leave(&rig, 0);
	assert_int_equal(rig.frames.free_cnt, 128);
	send_flows(&rig, 10);
	assert_int_equal(rig.fanout.groups[0].no_member, 50);
	assert_int_equal(rig.fanout.groups[0].offered, 20);
	rig_check_sums(&rig, 70);
	rig_finish(&rig);
}

/* What each of 64 flows goes to; every member releases what it has. */
static void owners(struct rig *rig, uint32_t members, uint32_t *owner)
{
	send_flows(rig, 64);
	memset(owner, 0xff, 64 * sizeof(*owner));
	for (uint32_t m = 0; m < members; m++) {
		struct xfq_ring *view = &rig->members[m].view;

		for (uint32_t i = 0; rig->members[m].joined && i < xfq_ring_peek(view, 64); i++) {
			const uint8_t *p = xfq_ring_packet(view, xfq_ring_desc(view, i));
			uint32_t flow = (uint32_t)(p[34] << 8 | p[35]) - 1000;

			assert_int_equal(owner[flow], UINT32_MAX);
			owner[flow] = m;
		}
		if (rig->members[m].joined)
			rig_drain(rig, m);
	}
	fanout_reclaim(&rig->fanout, 0);
}

/* Between one burst and the next a flow changes its member only where that member came or went. */
static void test_flows_stay(void **state)
{
	uint32_t before[64], after[64];
	struct rig rig;

	(void)state;
	rig_create(&rig, 128);
	rig_group(&rig, NULL, METHOD_FLOW, 8);
	rig_connect(&rig, 0, 0);
	for (uint32_t m = 0; m < 3; m++)
		rig_join(&rig, 0, m, 64, 64, 1);
	owners(&rig, 8, before);
	for (uint32_t round = 0; round < 200; round++) {
		uint32_t m = (uint32_t)random() % 8;
		bool joins = !rig.members[m].joined;

		if (!joins && rig_roster(&rig, 0)->cnt == 1)
			continue;
		if (joins)
			rig_join(&rig, 0, m, 64, 64, (uint16_t)(1 + random() % 4));
		else
			rig_leave(&rig, m);
		owners(&rig, 8, after);
		for (uint32_t i = 0; i < 64; i++) {
			assert_true(after[i] < 8);
			if (joins)
				assert_true(after[i] == before[i] || after[i] == m);
			else
				assert_int_equal(after[i] != before[i], before[i] == m);
		}
		memcpy(before, after, sizeof(before));
	}
	rig_finish(&rig);
}

/* Who leaves with packets in its ring: what it had released is consumed, even if nobody has looked
 * yet; the rest is discarded, and its frames are free where nobody else has them. */
static void test_leave_queued(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 128);
	rig_group(&rig, NULL, METHOD_BROADCAST, 2);
	rig_group(&rig, NULL, METHOD_FLOW, 1);
	rig_connect(&rig, 64, 64);
	send_flows(&rig, 30);
	xfq_ring_release(&rig.members[0].view, xfq_ring_peek(&rig.members[0].view, 11));
	rig_drain(&rig, 2);
	rig_leave(&rig, 0);
	rig_check(&rig);
	assert_int_equal(rig.fanout.outlets[0].packets, 30);
	assert_int_equal(rig.fanout.outlets[0].consumed, 11);
	assert_int_equal(rig.fanout.outlets[0].discarded, 19);
	assert_int_equal(rig.fanout.faulty, 0);
	assert_int_equal(rig.frames.held_cnt, 30); /* the other one has them */
	assert_int_equal(xfq_ring_peek(&rig.members[1].view, 64), 30);
	rig_leave(&rig, 1);
	assert_int_equal(rig.fanout.outlets[1].discarded, 30);
	assert_int_equal(rig.frames.held_cnt, 30); /* released, not looked at */
	rig_leave(&rig, 2);
	assert_int_equal(rig.fanout.outlets[2].consumed, 30);
	assert_int_equal(rig.fanout.outlets[2].discarded, 0);
	assert_int_equal(rig.frames.free_cnt, 128);
	rig_check_sums(&rig, 30);
	rig_finish(&rig);
}

/* What a member has consumed is counted when the worker sees it, and across 2^32. */
static void test_consumed(void **state)
{
	struct rig rig;
	uint64_t released = 0;

	(void)state;
	rig_create(&rig, 256);
	rig_group(&rig, NULL, METHOD_FLOW, 1);
	rig_connect(&rig, 128, 128);
	rig_set_index(&rig, 0, UINT32_MAX - 500);
	for (uint32_t round = 0; round < 100; round++) {
		struct xfq_ring *view = &rig.members[0].view;
		uint32_t cnt;

		send_flows(&rig, 30);
		assert_int_equal(rig.fanout.outlets[0].lost_ring, 0);
		cnt = xfq_ring_peek(view, 20 + round % 2 * 20);
		xfq_ring_release(view, cnt);
		released += cnt;
		fanout_reclaim(&rig.fanout, 0);
		assert_int_equal(rig.fanout.outlets[0].consumed, released);
	}
	rig_finish(&rig);
}

/* A place is taken again, in another group: its counters begin anew, and so does its fault. */
static void test_place_again(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 256);
	rig_group(&rig, NULL, METHOD_FLOW, 1);
	rig_group(&rig, NULL, METHOD_BROADCAST, 1);
	rig_connect(&rig, 0, 0);
	for (uint32_t round = 0; round < 10; round++) {
		const struct outlet *outlet = &rig.fanout.outlets[0];

		rig_join(&rig, round % 2, 0, 64, 10, 1);
		assert_int_equal(outlet->packets | outlet->bytes | outlet->lost_quota, 0);
		assert_int_equal(outlet->consumed | outlet->discarded | outlet->lost_detached, 0);
		assert_int_equal(outlet->fault, OUTLET_SOUND);
		send_flows(&rig, 15);
		assert_int_equal(rig.fanout.touched_cnt, 1);
		assert_int_equal(outlet->packets, 10);
		assert_int_equal(outlet->lost_quota, 5);
		if (round % 3 == 0)
			rig.members[0].cons_page->cons = 11;
		fanout_reclaim(&rig.fanout, 0);
		assert_int_equal(outlet->fault, round % 3 ? OUTLET_SOUND : OUTLET_CONS_AHEAD);
		send_flows(&rig, 1);
		assert_int_equal(outlet->lost_detached, round % 3 == 0);
		rig_leave(&rig, 0);
		assert_int_equal(rig.frames.free_cnt, 256);
		rig_check_sums(&rig, 16 * (round + 1));
	}
	rig_finish(&rig);
}

/* A faulty member stays on the roster until the wiring has taken it off; its packets are lost under
 * that name. Detaching it finds nothing to do, whatever it has written since. */
static void test_faulty_leaves(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 256);
	rig_group(&rig, NULL, METHOD_BROADCAST, 2);
	rig_connect(&rig, 64, 64);
	send_flows(&rig, 20);
	rig_drain(&rig, 1);
	xfq_ring_release(&rig.members[0].view, 5);
	fanout_reclaim(&rig.fanout, 0);
	rig.members[0].cons_page->cons = 2;
	fanout_reclaim(&rig.fanout, 0);
	assert_int_equal(rig.fanout.outlets[0].fault, OUTLET_CONS_BACK);
	assert_int_equal(rig.fanout.outlets[0].fault_cons, 2);
	assert_int_equal(rig.fanout.outlets[0].fault_reclaimed, 5);
	assert_int_equal(rig.fanout.outlets[0].fault_prod, 20);
	assert_int_equal(rig.fanout.outlets[0].consumed, 5);
	assert_int_equal(rig.fanout.outlets[0].discarded, 15);
	send_flows(&rig, 30);
	rig.members[0].cons_page->cons = 77;
	rig_leave(&rig, 0);
	assert_int_equal(rig.fanout.outlets[0].discarded, 15);
	assert_int_equal(rig.fanout.outlets[0].lost_detached, 30);
	assert_int_equal(rig.fanout.faulty, 1);
	/* one that lies, and leaves before anyone has looked */
	rig.members[1].cons_page->cons = 51;
	rig_leave(&rig, 1);
	assert_int_equal(rig.fanout.outlets[1].fault, OUTLET_CONS_AHEAD);
	assert_int_equal(rig.fanout.outlets[1].consumed, 20);
	assert_int_equal(rig.fanout.outlets[1].discarded, 30);
	assert_int_equal(rig.fanout.faulty, 2);
	assert_int_equal(rig.frames.free_cnt, 256);
	rig_check_sums(&rig, 50);
	rig_finish(&rig);
}

static void count_calls(void *context, const struct packet *pkts, const uint32_t *marks,
			const uint8_t *index, uint32_t cnt)
{
	(void)marks;
	(void)pkts;
	(void)index;
	(void)cnt;
	++*(uint32_t *)context;
}

static void test_consumer_leaves(void **state)
{
	struct rig rig;
	uint32_t calls = 0;

	(void)state;
	rig_create(&rig, 64);
	rig_group(&rig, NULL, METHOD_FLOW, 1);
	rig_connect(&rig, 0, 0);
	rig_join_consumer(&rig, 0, 0, 1, count_calls, &calls);
	send_flows(&rig, 10);
	rig_leave(&rig, 0);
	send_flows(&rig, 10);
	assert_int_equal(calls, 1);
	assert_int_equal(rig.fanout.groups[0].no_member, 10);
	rig_finish(&rig);
}

/* However members have come and gone, a round of reclaiming finds every ring that is left. */
static void test_reclaim_after_leaves(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 128);
	rig_group(&rig, NULL, METHOD_BROADCAST, 20);
	rig_connect(&rig, 64, 64);
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t m = (uint32_t)random() % 20;

		send_flows(&rig, 1);
		fanout_reclaim(&rig.fanout, (uint32_t)random() % 20);
		if (rig.members[m].joined)
			rig_leave(&rig, m);
		else
			rig_join(&rig, 0, m, 64, 64, 1);
		for (m = 0; m < 20; m++)
			if (rig.members[m].joined)
				rig_drain(&rig, m);
		for (uint32_t left = rig.fanout.busy; left > 0; left -= left < 3 ? left : 3)
			fanout_reclaim(&rig.fanout, 3);
		assert_int_equal(fanout_queued(&rig.fanout), 0);
		assert_int_equal(rig.frames.free_cnt, 128);
		rig_check(&rig);
	}
	rig_finish(&rig);
}

/* The end is told to whoever is there, and what was published before it is still read. */
static void test_close(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 64);
	rig_group(&rig, NULL, METHOD_BROADCAST, 3);
	rig_connect(&rig, 0, 0);
	rig_join(&rig, 0, 0, 64, 64, 1);
	rig_join(&rig, 0, 1, 64, 64, 1);
	rig_join_consumer(&rig, 0, 2, 1, count_calls, &(uint32_t){0});
	rig_leave(&rig, 1);
	send_flows(&rig, 3);
	assert_false(xfq_ring_ended(&rig.members[0].view));
	fanout_close(&rig.fanout);
	assert_false(xfq_ring_ended(&rig.members[0].view));
	assert_int_equal(rig_drain(&rig, 0), 3);
	assert_true(xfq_ring_ended(&rig.members[0].view));
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
		cmocka_unit_test(test_no_member),       cmocka_unit_test(test_flows_stay),
		cmocka_unit_test(test_leave_queued),    cmocka_unit_test(test_consumed),
		cmocka_unit_test(test_place_again),     cmocka_unit_test(test_faulty_leaves),
		cmocka_unit_test(test_consumer_leaves), cmocka_unit_test(test_reclaim_after_leaves),
		cmocka_unit_test(test_close),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
