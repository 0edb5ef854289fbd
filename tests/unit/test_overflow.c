/* SPDX-License-Identifier: BSD-2-Clause */
/* Spilling: what a member has no room for goes to another one of its group, in place and counted.
 */
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

/* `cnt` packets of one flow, the one that `sport` names. */
static void send_flow(struct rig *rig, uint32_t sport, uint32_t cnt)
{
	while (cnt--)
		rig_add(rig, make(sport));
	rig_burst(rig);
}

/* The source port of a flow that belongs to the member at `slot`. */
static uint32_t flow_of(const struct rig *rig, uint32_t g, uint32_t slot)
{
	for (uint32_t sport = 1;; sport++) {
		struct xfq_meta meta;
		struct parse_key key;

		make(sport);
		parse_packet(NULL, built.bytes, built.bytes + built.len, built.len, &meta, &key);
		if (rig_by_hash(rig, g, flow_hash(&meta, &key, NULL, NULL, RIG_SEED)) == slot)
			return sport;
	}
}

static bool is_touched(const struct rig *rig, uint32_t slot)
{
	uint32_t times = 0;

	for (uint32_t t = 0; t < rig->fanout.touched_cnt; t++)
		times += rig->fanout.touched[t] == slot;
	assert_in_range(times, 0, 1);
	return times == 1;
}

/* What a member has been given, and what of others' packets became of it. */
static void check_outlet(const struct rig *rig, uint32_t slot, uint64_t packets, uint64_t spilled,
			 uint64_t lost)
{
	const struct outlet *outlet = &rig->fanout.outlets[slot];

	assert_int_equal(outlet->packets, packets);
	assert_int_equal(outlet->bytes, packets * 50);
	assert_int_equal(outlet->spilled, spilled);
	assert_int_equal(rig_lost(rig, slot), lost);
}

/* --- where it goes --------------------------------------------------------------------------- */

/* To the next on the roster that has room, and on from there; lost only where nobody has. */
static void test_next(void **state)
{
	struct rig rig;
	uint32_t flow;

	(void)state;
	rig_create(&rig, 512);
	rig_group_overflow(&rig, NULL, METHOD_FLOW, 4, POLICY_SPILL);
	rig_connect(&rig, 64, 40);
	flow = flow_of(&rig, 0, 2);
	send_flow(&rig, flow, 40);
	check_outlet(&rig, 2, 40, 0, 0);
	send_flow(&rig, flow, 10);
	check_outlet(&rig, 2, 40, 10, 0);
	check_outlet(&rig, 3, 10, 0, 0);
	assert_true(is_touched(&rig, 3) && !is_touched(&rig, 2) && !is_touched(&rig, 0));
	send_flow(&rig, flow, 64); /* 30, and 34 to the first on the roster */
	check_outlet(&rig, 2, 40, 74, 0);
	check_outlet(&rig, 3, 40, 0, 0);
	check_outlet(&rig, 0, 34, 0, 0);
	assert_true(is_touched(&rig, 3) && is_touched(&rig, 0) && !is_touched(&rig, 2));
	send_flow(&rig, flow, 64); /* 6, 40, and 18 to nobody */
	check_outlet(&rig, 2, 40, 120, 18);
	check_outlet(&rig, 0, 40, 0, 0);
	check_outlet(&rig, 1, 40, 0, 0);
	assert_int_equal(rig.fanout.outlets[2].lost_quota, 18);
	assert_int_equal(rig.members[2].shared->lost_quota, 18);
	send_flow(&rig, flow, 64);
	check_outlet(&rig, 2, 40, 120, 82);
	for (uint32_t m = 0; m < 4; m++)
		assert_int_equal(rig_drain(&rig, m), 40);
	rig_check_sums(&rig, 242);
	rig_finish(&rig);
}

/* In order, first those that it has room for; the packets are the same, in place. */
static void test_which(void **state)
{
	struct xfq_ring *view;
	struct rig rig;
	uint64_t addr[PACKET_BURST];
	uint32_t flow;

	(void)state;
	rig_create(&rig, 512);
	rig_group_overflow(&rig, NULL, METHOD_FLOW, 2, POLICY_SPILL);
	rig_connect(&rig, 64, 40);
	flow = flow_of(&rig, 0, 0);
	for (uint32_t i = 0; i < 60; i++) {
		rig_add(&rig, make(flow));
		addr[i] = (uint64_t)(rig.pkts[i].data - rig.umem);
	}
	rig_burst(&rig);
	view = &rig.members[0].view;
	assert_int_equal(xfq_ring_peek(view, 64), 40);
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(xfq_ring_desc(view, i)->addr, addr[i]);
	view = &rig.members[1].view;
	assert_int_equal(xfq_ring_peek(view, 64), 20);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(xfq_ring_desc(view, i)->addr, addr[40 + i]);
	rig_finish(&rig);
}

/* What a member gives back is room for others' packets too, whether or not the burst has any for
 * it, and before anyone has looked for what was given back. */
static void test_released(void **state)
{
	struct rig rig;
	uint32_t flow, own;

	(void)state;
	for (uint32_t mine = 0; mine <= 10; mine += 10) {
		rig_create(&rig, 512);
		rig_group_overflow(&rig, NULL, METHOD_FLOW, 2, POLICY_SPILL);
		rig_connect(&rig, 64, 64);
		flow = flow_of(&rig, 0, 0);
		own = flow_of(&rig, 0, 1);
		send_flow(&rig, flow, 64);
		send_flow(&rig, own, 50);
		rig_drain(&rig, 1);
		for (uint32_t i = 0; i < mine; i++)
			rig_add(&rig, make(own));
		send_flow(&rig, flow, PACKET_BURST - mine);
		check_outlet(&rig, 0, 64, PACKET_BURST - mine, 0);
		check_outlet(&rig, 1, 50 + PACKET_BURST, 0, 0);
		assert_int_equal(rig_drain(&rig, 1), PACKET_BURST);
		rig_check_sums(&rig, 64 + 50 + PACKET_BURST);
		rig_finish(&rig);
	}
}

/* Two that are full, and one that has room for both; a burst's own packets come first. */
static void test_two_full(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 512);
	rig_group_overflow(&rig, NULL, METHOD_ROUND_ROBIN, 3, POLICY_SPILL);
	rig_connect(&rig, 0, 0);
	rig_join(&rig, 0, 0, 64, 5, 1);
	rig_join(&rig, 0, 1, 64, 64, 1);
	rig_join(&rig, 0, 2, 64, 7, 1);
	send_flow(&rig, 1, 60);
	check_outlet(&rig, 0, 5, 15, 0);
	check_outlet(&rig, 1, 48, 0, 0);
	check_outlet(&rig, 2, 7, 13, 0);
	for (uint32_t i = 0; i < 20; i++) {
		const struct xfq_ring_desc *desc = xfq_ring_desc(&rig.members[1].view, i);

		assert_int_equal(desc->addr / RIG_FRAME_BYTES, 1 + 3 * i);
	}
	rig_finish(&rig);
}

static uint32_t calls, called_with;

static void consume(void *context, const struct packet *pkts, const uint32_t *marks,
		    const uint8_t *index, uint32_t cnt)
{
	(void)marks;
	(void)context;
	calls++;
	called_with += cnt;
	for (uint32_t i = 0; i < cnt; i++)
		assert_int_equal(pkts[index[i]].meta->magic, XFQ_META_CHECKED);
}

/* A member in the worker always has room: it has its own, and then what others have left. */
static void test_to_consumer(void **state)
{
	struct rig rig;

	(void)state;
	calls = called_with = 0;
	rig_create(&rig, 512);
	rig_group_overflow(&rig, NULL, METHOD_ROUND_ROBIN, 2, POLICY_SPILL);
	rig_connect(&rig, 0, 0);
	rig_join(&rig, 0, 0, 64, 64, 1);
	rig_join_consumer(&rig, 0, 1, 1, consume, NULL);
	for (uint32_t round = 0; round < 10; round++)
		send_flow(&rig, 1, 40);
	check_outlet(&rig, 0, 64, 200 - 64, 0);
	check_outlet(&rig, 1, 200 + 200 - 64, 0, 0);
	assert_int_equal(rig.fanout.outlets[1].consumed, 200 + 200 - 64);
	assert_int_equal(called_with, 200 + 200 - 64);
	assert_int_equal(calls, 10 + 7);
	/* one that had none of its own is listed as who has got some, but not who was full */
	send_flow(&rig, 1, 1);
	assert_true(is_touched(&rig, 1) && !is_touched(&rig, 0));
	rig_finish(&rig);
}

/* --- where it does not ----------------------------------------------------------------------- */

static void check_no_spill(enum method method, enum policy_overflow overflow, uint32_t members)
{
	struct rig rig;
	uint64_t packets = 0, lost = 0;

	rig_create(&rig, 512);
	rig_group_overflow(&rig, NULL, method, members, overflow);
	rig_connect(&rig, 0, 0);
	for (uint32_t m = 0; m < members; m++)
		rig_join(&rig, 0, m, 64, m ? 64 : 3, 1);
	for (uint32_t round = 0; round < 3; round++) {
		send_flow(&rig, flow_of(&rig, 0, 0), 10);
		for (uint32_t m = 1; m < members; m++)
			rig_drain(&rig, m);
	}
	for (uint32_t m = 0; m < members; m++) {
		assert_int_equal(rig.fanout.outlets[m].spilled, 0);
		packets += rig.fanout.outlets[m].packets;
		lost += rig.fanout.outlets[m].lost_quota;
	}
	assert_int_equal(rig.fanout.outlets[0].packets, 3);
	assert_true(lost > 0 && lost == rig.fanout.outlets[0].lost_quota);
	assert_int_equal(packets + lost, rig.fanout.groups[0].offered);
	rig_check_sums(&rig, 30);
	rig_finish(&rig);
}

static void test_no_spill(void **state)
{
	(void)state;
	check_no_spill(METHOD_FLOW, POLICY_DROP, 3);
	check_no_spill(METHOD_ROUND_ROBIN, POLICY_DROP, 3);
	/* everybody has it already */
	check_no_spill(METHOD_BROADCAST, POLICY_SPILL, 3);
	/* there is nobody else */
	check_no_spill(METHOD_FLOW, POLICY_SPILL, 1);
	check_no_spill(METHOD_ROUND_ROBIN, POLICY_SPILL, 1);
}

/* It stays in the group, however much room members of others have. */
static void test_other_group(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 512);
	rig_group_overflow(&rig, NULL, METHOD_FLOW, 1, POLICY_SPILL);
	rig_group_overflow(&rig, "tcp", METHOD_FLOW, 1, POLICY_SPILL);
	rig_group_overflow(&rig, NULL, METHOD_FLOW, 1, POLICY_SPILL);
	rig_connect(&rig, 128, 70);
	send_flow(&rig, 1, 64);
	rig_drain(&rig, 2);
	send_flow(&rig, 1, 64);
	check_outlet(&rig, 0, 70, 0, 58);
	check_outlet(&rig, 1, 0, 0, 0);
	check_outlet(&rig, 2, 128, 0, 0);
	rig_finish(&rig);
}

/* --- frames ---------------------------------------------------------------------------------- */

/* The same packets in several groups at once: the frame is free when the last has released it,
 * wherever its reference went. */
static void test_shared_frames(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 256);
	rig_group(&rig, NULL, METHOD_BROADCAST, 2);
	rig_group_overflow(&rig, NULL, METHOD_ROUND_ROBIN, 2, POLICY_SPILL);
	rig_group_overflow(&rig, NULL, METHOD_FLOW, 2, POLICY_SPILL);
	rig_connect(&rig, 0, 0);
	for (uint32_t m = 0; m < 6; m++)
		rig_join(&rig, m / 2, m, 64, m % 2 ? 64 : 2, 1);
	send_flow(&rig, flow_of(&rig, 2, 4), 30);
	check_outlet(&rig, 0, 2, 0, 28);
	check_outlet(&rig, 1, 30, 0, 0);
	check_outlet(&rig, 2, 2, 13, 0);
	check_outlet(&rig, 3, 28, 0, 0);
	check_outlet(&rig, 4, 2, 28, 0);
	check_outlet(&rig, 5, 28, 0, 0);
	assert_int_equal(rig.frames.held_cnt, 30);
	for (uint32_t f = 0; f < 30; f++)
		assert_in_range(rig.frames.refs[f], 3, 4);
	rig_drain(&rig, 1);
	rig_drain(&rig, 3);
	fanout_reclaim(&rig.fanout, 0);
	rig_check(&rig);
	assert_int_equal(rig.frames.held_cnt, 30);
	rig_leave(&rig, 5);
	rig_check(&rig);
	assert_int_equal(rig.fanout.outlets[5].discarded, 28);
	assert_int_equal(rig.frames.held_cnt, 3); /* 0 and 1, and 2, which came in turn */
	rig_check_sums(&rig, 30);
	rig_finish(&rig);
}

/* A member that lies is given nothing more; what is steered to it others have. */
static void test_faulty(void **state)
{
	struct rig rig;
	uint32_t flow;

	(void)state;
	for (uint32_t by_burst = 0; by_burst < 2; by_burst++) {
		rig_create(&rig, 512);
		rig_group_overflow(&rig, NULL, METHOD_FLOW, 2, POLICY_SPILL);
		rig_connect(&rig, 128, 128);
		flow = flow_of(&rig, 0, 0);
		send_flow(&rig, flow, 64);
		send_flow(&rig, flow, 40);
		rig.members[0].cons_page->cons = 105;
		if (!by_burst)
			fanout_reclaim(&rig.fanout, 0);
		send_flow(&rig, flow, 60);
		check_outlet(&rig, 0, 104, 60, 0);
		check_outlet(&rig, 1, 60, 0, 0);
		assert_int_equal(rig.fanout.outlets[0].discarded, 104);
		assert_int_equal(rig.fanout.outlets[0].fault, OUTLET_CONS_AHEAD);
		assert_int_equal(rig.frames.held_cnt, 60);
		send_flow(&rig, flow, 64);
		check_outlet(&rig, 0, 104, 124, 0);
		/* nobody has room for these: the name is that of the member they were for */
		send_flow(&rig, flow, 64);
		check_outlet(&rig, 0, 104, 128, 60);
		assert_int_equal(rig.fanout.outlets[0].lost_detached, 60);
		assert_int_equal(rig.fanout.faulty, 1);
		rig_check_sums(&rig, 104 + 60 + 64 + 64);
		/* once the wiring knows, its flows are the other's */
		rig_drain(&rig, 1);
		rig_leave(&rig, 0);
		send_flow(&rig, flow, 10);
		check_outlet(&rig, 1, 138, 0, 0);
		rig_finish(&rig);
	}
}

/* One that others' packets would go to turns out to lie: they go on to the next. */
static void test_faulty_other(void **state)
{
	struct rig rig;
	uint32_t flow;

	(void)state;
	rig_create(&rig, 512);
	rig_group_overflow(&rig, NULL, METHOD_FLOW, 3, POLICY_SPILL);
	rig_connect(&rig, 64, 64);
	flow = flow_of(&rig, 0, 0);
	send_flow(&rig, flow, 64);
	send_flow(&rig, flow_of(&rig, 0, 1), 50);
	rig.members[1].cons_page->cons = 51;
	send_flow(&rig, flow, 20);
	check_outlet(&rig, 0, 64, 20, 0);
	check_outlet(&rig, 1, 50, 0, 0);
	check_outlet(&rig, 2, 20, 0, 0);
	assert_int_equal(rig.fanout.faulty, 1);
	assert_int_equal(rig.fanout.outlets[1].discarded, 50);
	rig_finish(&rig);
}

/*
 * Members that release the packets of a burst while it is still being handed out: a function in
 * the worker stands for them, called before, between and after the rings of the same burst.
 */
struct meddler {
	struct rig *rig;
	uint32_t members;
	uint32_t released;
};

static void meddle(void *context, const struct packet *pkts, const uint32_t *marks,
		   const uint8_t *index, uint32_t cnt)
{
	struct meddler *meddler = context;

	(void)marks;
	(void)pkts;
	(void)index;
	assert_in_range(cnt, 1, PACKET_BURST);
	for (uint32_t m = 0; m < meddler->members; m++)
		if (meddler->rig->members[m].shared)
			meddler->released += rig_drain(meddler->rig, m);
}

/* Two are full. Between the one's rest and the other's, a member that had nothing but the first
 * releases it: that is not looked at, as the burst is not over. */
static void test_release_between(void **state)
{
	struct rig rig;
	struct meddler meddler = {.rig = &rig, .members = 2};
	uint32_t one, two;

	(void)state;
	rig_create(&rig, 256);
	rig_group_overflow(&rig, NULL, METHOD_FLOW, 4, POLICY_SPILL);
	rig_connect(&rig, 0, 0);
	rig_join(&rig, 0, 0, 64, 5, 1);
	rig_join(&rig, 0, 1, 64, 10, 1);
	rig_join_consumer(&rig, 0, 2, 1, meddle, &meddler);
	rig_join(&rig, 0, 3, 64, 5, 1);
	one = flow_of(&rig, 0, 0);
	two = flow_of(&rig, 0, 3);
	for (uint32_t i = 0; i < 25; i++)
		rig_add(&rig, make(one));
	send_flow(&rig, two, 25);
	check_outlet(&rig, 0, 5, 20, 0);
	check_outlet(&rig, 1, 10, 0, 0);
	check_outlet(&rig, 2, 10 + 20, 0, 0);
	check_outlet(&rig, 3, 5, 20, 0);
	assert_int_equal(meddler.released, 15);
	assert_int_equal(rig.frames.held_cnt, 20);
	rig_finish(&rig);
}

static void test_release_within(void **state)
{
	struct rig rig;
	struct meddler meddler = {.rig = &rig, .members = 9};
	uint64_t sent = 0, spilled = 0;

	(void)state;
	rig_create(&rig, 9 * 64 + PACKET_BURST);
	rig_group(&rig, NULL, METHOD_BROADCAST, 3);
	rig_group_overflow(&rig, NULL, METHOD_ROUND_ROBIN, 3, POLICY_SPILL);
	rig_group_overflow(&rig, NULL, METHOD_FLOW, 3, POLICY_SPILL);
	rig_connect(&rig, 0, 0);
	/* in each group one that is full all the time, the meddler, and one with room */
	for (uint32_t m = 0; m < 9; m++) {
		if (m % 3 == 1)
			rig_join_consumer(&rig, m / 3, m, 1, meddle, &meddler);
		else
			rig_join(&rig, m / 3, m, 64, m % 3 ? 64 : 2, 1);
	}
	for (uint32_t round = 0; round < 3000; round++) {
		uint32_t cnt = 1 + (uint32_t)random() % PACKET_BURST;

		for (uint32_t i = 0; i < cnt; i++)
			rig_add(&rig, make((uint32_t)random() & 0xffff));
		rig_burst(&rig);
		sent += cnt;
		rig_check_sums(&rig, sent);
		if (round % 5 == 0)
			fanout_reclaim(&rig.fanout, 3);
		rig_check(&rig);
	}
	for (uint32_t m = 3; m < 9; m++) {
		spilled += rig.fanout.outlets[m].spilled;
		assert_int_equal(rig_lost(&rig, m), 0); /* the meddler takes what is left */
	}
	assert_true(spilled > sent / 4 && meddler.released > sent);
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
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_which),
		cmocka_unit_test(test_released),
		cmocka_unit_test(test_two_full),
		cmocka_unit_test(test_to_consumer),
		cmocka_unit_test(test_no_spill),
		cmocka_unit_test(test_other_group),
		cmocka_unit_test(test_shared_frames),
		cmocka_unit_test(test_faulty),
		cmocka_unit_test(test_faulty_other),
		cmocka_unit_test(test_release_between),
		cmocka_unit_test(test_release_within),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
