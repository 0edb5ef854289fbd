/* SPDX-License-Identifier: BSD-2-Clause */
/* Fan-out over rings in ordinary memory: who gets what, what is lost, and where the frames are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RIG_REQUIRE(condition) assert_true(condition)
#include "tests/fanout_rig.h"

static struct packet_builder built;

static const struct packet_builder *tcp(uint32_t sport, uint32_t dport)
{
	packet_start(&built);
	packet_ipv4(&built, 0x0a000001, 0x0a000002, 0);
	packet_tcp(&built, sport, dport, 0);
	packet_finish(&built);
	return &built;
}

static const struct packet_builder *udp(uint32_t src, uint32_t dst, uint32_t sport, uint32_t dport)
{
	packet_start(&built);
	packet_ipv4(&built, src, dst, 0);
	packet_udp(&built, sport, dport);
	packet_payload(&built, 8);
	packet_finish(&built);
	return &built;
}

/* Of a random flow; `i` is put into the payload. */
static const struct packet_builder *random_udp(uint32_t i)
{
	udp(0x0a000000 | ((uint32_t)random() & 0xff), 0x0b000000 | ((uint32_t)random() & 0xff),
	    (uint32_t)random() & 0xffff, 53);
	packet_put32(&built, built.payload, i);
	return &built;
}

static void send(struct rig *rig, const struct packet_builder *b)
{
	rig_add(rig, b);
	rig_burst(rig);
}

/* The member that has the last packet sent, of those from `first` on; it releases it. */
static uint32_t receiver(struct rig *rig, uint32_t first, uint32_t members)
{
	uint32_t found = UINT32_MAX;

	for (uint32_t m = first; m < first + members; m++) {
		uint32_t cnt = rig_drain(rig, m);

		if (cnt) {
			assert_int_equal(cnt, 1);
			assert_int_equal(found, UINT32_MAX);
			found = m;
		}
	}
	assert_int_not_equal(found, UINT32_MAX);
	fanout_reclaim(&rig->fanout, 0);
	return found;
}

/* --- who gets it ---------------------------------------------------------------------------------
 */

static void test_match(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 64);
	rig_group(&rig, "tcp port 80 or tcp port 443", METHOD_FLOW, 1);
	rig_group(&rig, "udp", METHOD_FLOW, 1);
	rig_group(&rig, "host 10.0.0.1", METHOD_FLOW, 1);
	rig_connect(&rig, 64, 64);
	rig_add(&rig, tcp(1000, 80));
	rig_add(&rig, tcp(443, 1000));
	rig_add(&rig, tcp(1000, 22));
	rig_add(&rig, udp(0x0a000001, 0x0a000002, 1000, 80));
	rig_add(&rig, udp(0x0a000003, 0x0a000002, 1000, 80));
	packet_start(&built);
	packet_type(&built, 0x0806);
	rig_add(&rig, &built); /* for nobody */
	rig_burst(&rig);
	assert_int_equal(rig.fanout.groups[0].packets, 2);
	assert_int_equal(rig.fanout.groups[0].bytes, 2 * 54);
	assert_int_equal(rig.fanout.groups[1].packets, 2);
	assert_int_equal(rig.fanout.groups[1].bytes, 2 * 50);
	assert_int_equal(rig.fanout.groups[2].packets, 4);
	assert_int_equal(rig.fanout.groups[2].bytes, 3 * 54 + 50);
	assert_int_equal(rig.fanout.unclaimed, 1);
	assert_int_equal(rig.frames.held_cnt, 5);
	rig_check_sums(&rig, 6);
	for (uint32_t m = 0; m < 3; m++) {
		assert_int_equal(rig.fanout.outlets[m].packets, rig.fanout.groups[m].packets);
		assert_int_equal(rig.fanout.outlets[m].bytes, rig.fanout.groups[m].bytes);
	}
	rig_finish(&rig);
}

/* Expressions see how long the packet was, and no more of it than there is. */
static void test_match_lengths(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 64);
	rig_group(&rig, "greater 100", METHOD_FLOW, 1);
	rig_group(&rig, "udp[8:4] = 0", METHOD_FLOW, 1);
	rig_connect(&rig, 64, 64);
	udp(1, 2, 3, 4);
	packet_put32(&built, built.payload, 0);
	rig_add(&rig, &built);
	rig_add(&rig, &built);
	rig.pkts[1].meta->wire_len = 100;
	rig.pkts[1].len = built.payload; /* no byte of it is left */
	rig_burst(&rig);
	assert_int_equal(rig.fanout.groups[0].packets, 1);
	assert_int_equal(rig.fanout.groups[0].bytes, 100);
	assert_int_equal(rig.fanout.groups[1].packets, 1);
	rig_finish(&rig);
}

/* The whole burst, its last packet too, and none at all. */
static void test_burst_sizes(void **state)
{
	struct rig rig;
	uint64_t sent = 0;

	(void)state;
	rig_create(&rig, 64);
	rig_group(&rig, NULL, METHOD_FLOW, 3);
	rig_group(&rig, "udp", METHOD_FLOW, 1);
	rig_connect(&rig, 64, 64);
	for (uint32_t size = 0; size <= PACKET_BURST; size++) {
		for (uint32_t i = 0; i < size; i++)
			rig_add(&rig, random_udp(i));
		rig_burst(&rig);
		sent += size;
		assert_int_equal(rig.fanout.groups[0].packets, sent);
		assert_int_equal(rig.fanout.groups[1].packets, sent);
		assert_int_equal(rig.fanout.unclaimed, 0);
		assert_int_equal(rig.frames.held_cnt, size);
		for (uint32_t m = 0; m < 4; m++)
			rig_drain(&rig, m);
		fanout_reclaim(&rig.fanout, 0);
	}
	rig_check_sums(&rig, sent);
	rig_finish(&rig);
}

/* One packet, many members: the same bytes at the same address for all of them. */
static void test_no_copy(void **state)
{
	struct rig rig;
	uint64_t addr = 0;
	uint32_t got = 0;

	(void)state;
	rig_create(&rig, 64);
	rig_group(&rig, NULL, METHOD_BROADCAST, 64);
	rig_group(&rig, "udp", METHOD_BROADCAST, 64);
	rig_group(&rig, NULL, METHOD_FLOW, 64);
	rig_connect(&rig, 64, 64);
	send(&rig, udp(1, 2, 3, 4));
	assert_int_equal(rig.frames.held_cnt, 1);
	assert_int_equal(rig.fanout.touched_cnt, 64 + 64 + 1);
	for (uint32_t m = 0; m < rig.member_cnt; m++) {
		struct xfq_ring *view = &rig.members[m].view;
		const struct xfq_ring_desc *desc = xfq_ring_desc(view, 0);

		if (!xfq_ring_peek(view, 64))
			continue;
		if (got++ == 0)
			addr = desc->addr;
		assert_int_equal(desc->addr, addr);
		assert_int_equal(desc->len, built.len);
		assert_memory_equal(xfq_ring_packet(view, desc), built.bytes, built.len);
		assert_int_equal(xfq_ring_meta(view, desc)->magic, XFQ_META_CHECKED);
		assert_int_equal(xfq_ring_meta(view, desc)->wire_len, built.len);
		assert_int_equal(xfq_ring_meta(view, desc)->l4_off, built.l4);
		/* held until the last one has released it */
		assert_int_equal(rig.frames.held_cnt, 1);
		rig_drain(&rig, m);
		fanout_reclaim(&rig.fanout, 0);
		rig_check(&rig);
		assert_int_equal(rig.frames.held_cnt, got < 64 + 64 + 1);
	}
	assert_int_equal(got, 64 + 64 + 1);
	assert_int_equal(rig.fanout.groups[0].packets, 1);
	rig_finish(&rig);
}

static void test_round_robin(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 64);
	rig_group(&rig, "udp", METHOD_ROUND_ROBIN, 3);
	rig_connect(&rig, 64, 64);
	for (uint32_t i = 0; i < 20; i++) {
		send(&rig, tcp(1, 2)); /* takes no turn */
		send(&rig, udp(1, 2, 3, 4));
		assert_int_equal(receiver(&rig, 0, 3), i % 3);
	}
	for (uint32_t i = 0; i < 60; i++)
		rig_add(&rig, udp(1, 2, 3, 4));
	rig_burst(&rig);
	for (uint32_t m = 0; m < 3; m++)
		assert_int_equal(rig_drain(&rig, m), 20);
	rig_finish(&rig);
}

static void test_both_directions(void **state)
{
	bool used[8] = {false};
	struct rig rig;

	(void)state;
	rig_create(&rig, 64);
	rig_group(&rig, "ip", METHOD_FLOW, 8);
	rig_group(&rig, "ip", METHOD_IP_PAIR, 8);
	rig_connect(&rig, 64, 64);
	for (uint32_t i = 0; i < 500; i++) {
		uint32_t src = (uint32_t)random(), dst = (uint32_t)random();
		uint32_t sport = i, dport = (uint32_t)random() & 0xffff;
		uint32_t flow, pair;

		send(&rig, udp(src, dst, sport, dport));
		flow = receiver(&rig, 0, 8);
		pair = receiver(&rig, 8, 8);
		used[flow] = true;
		send(&rig, udp(dst, src, dport, sport));
		assert_int_equal(receiver(&rig, 0, 8), flow);
		assert_int_equal(receiver(&rig, 8, 8), pair);
		send(&rig, udp(src, dst, dport, 7));
		assert_int_equal(receiver(&rig, 8, 8), pair);
		(void)receiver(&rig, 0, 8);
	}
	for (uint32_t m = 0; m < 8; m++)
		assert_true(used[m]);
	rig_finish(&rig);
}

/* A later fragment, in which there are no ports, goes where the first one went. */
static void test_fragments(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 64);
	rig_group(&rig, NULL, METHOD_FLOW, 64);
	rig_connect(&rig, 64, 64);
	for (uint32_t i = 0; i < 50; i++) {
		uint32_t first;

		udp(i, 2, i, 53);
		packet_fragment4(&built, 0, true);
		send(&rig, &built);
		first = receiver(&rig, 0, 64);
		packet_fragment4(&built, 185, false);
		send(&rig, &built);
		assert_int_equal(receiver(&rig, 0, 64), first);
	}
	rig_finish(&rig);
}

struct taken {
	uint32_t calls, cnt;
	uint8_t index[PACKET_BURST];
};

static void take(void *context, const struct packet *pkts, const uint32_t *marks,
		 const uint8_t *index, uint32_t cnt)
{
	struct taken *taken = context;

	(void)marks;
	taken->calls++;
	taken->cnt = cnt;
	memcpy(taken->index, index, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		assert_int_equal(pkts[index[i]].meta->l4_proto, 17);
}

/* A member in the worker itself has its packets during the burst, and holds no frame after. */
static void test_consume(void **state)
{
	struct taken taken = {0};
	struct rig rig;

	(void)state;
	rig_create(&rig, 64);
	rig_group(&rig, "udp", METHOD_FLOW, 1);
	rig_connect(&rig, 0, 0);
	rig_join_consumer(&rig, 0, 0, 1, take, &taken);
	for (uint32_t i = 0; i < PACKET_BURST; i++)
		rig_add(&rig, i % 3 ? udp(1, 2, 3, 4) : tcp(1, 2));
	rig_burst(&rig);
	assert_int_equal(taken.calls, 1);
	assert_int_equal(taken.cnt, 42);
	for (uint32_t i = 0; i < 42; i++)
		assert_int_equal(taken.index[i], i / 2 * 3 + 1 + i % 2);
	assert_int_equal(rig.fanout.outlets[0].packets, 42);
	assert_int_equal(rig.fanout.outlets[0].consumed, 42);
	assert_int_equal(rig.fanout.outlets[0].bytes, 42 * 50);
	assert_int_equal(rig.fanout.unclaimed, 22);
	assert_int_equal(fanout_room(&rig.fanout), PACKET_BURST);
	rig_finish(&rig);
}

/* --- losses
 * --------------------------------------------------------------------------------------- */

/* Members read at random; every packet is with a member, lost by name, or wanted by nobody. */
static void test_conservation(void **state)
{
	struct rig rig;
	uint64_t sent = 0, read[22] = {0};

	(void)state;
	rig_create(&rig, 22 * 40 + PACKET_BURST);
	rig_group(&rig, NULL, METHOD_FLOW, 4);
	rig_group(&rig, "udp", METHOD_BROADCAST, 5);
	rig_group(&rig, "udp src portrange 0-30000", METHOD_ROUND_ROBIN, 7);
	rig_group(&rig, "src net 10.0.0.0/25", METHOD_IP_PAIR, 6);
	rig_connect(&rig, 64, 40);
	for (uint32_t round = 0; round < 3000; round++) {
		for (uint32_t i = (uint32_t)random() % (PACKET_BURST + 1); i > 0; i--, sent++)
			rig_add(&rig, random() % 4 ? random_udp(i) : tcp(i, 80));
		rig_burst(&rig);
		rig_check_sums(&rig, sent);
		for (uint32_t m = 0; m < 22; m++) {
			struct xfq_ring *view = &rig.members[m].view;
			uint32_t cnt = xfq_ring_peek(view, (uint32_t)random() % 50);

			xfq_ring_release(view, cnt);
			read[m] += cnt;
			assert_int_equal(rig.fanout.outlets[m].packets,
					 read[m] + xfq_ring_peek(view, UINT32_MAX));
		}
		if (random() % 2) {
			fanout_reclaim(&rig.fanout, (uint32_t)random() % 23);
			rig_check(&rig);
		}
	}
	assert_int_equal(rig.fanout.groups[0].packets, sent);
	assert_true(rig.fanout.outlets[4].lost_quota > 0);
	assert_int_equal(rig.fanout.unclaimed, 0);
	assert_int_equal(rig.fanout.faulty, 0);
	rig_finish(&rig);
}

/* Each member has its packets in the order in which they came, none of them twice. */
static void test_order(void **state)
{
	struct rig rig;
	uint32_t sent = 0, got = 0, last[4] = {0};

	(void)state;
	srandom(2);
	rig_create(&rig, 1024);
	rig_group(&rig, NULL, METHOD_FLOW, 4);
	rig_connect(&rig, 256, 256);
	for (uint32_t round = 0; round < 1000; round++) {
		for (uint32_t i = 0; i < PACKET_BURST; i++)
			rig_add(&rig, random_udp(++sent));
		rig_burst(&rig);
		for (uint32_t m = 0; m < 4; m++) {
			struct xfq_ring *view = &rig.members[m].view;
			uint32_t cnt = xfq_ring_peek(view, UINT32_MAX);

			for (uint32_t i = 0; i < cnt; i++) {
				const uint8_t *p =
					xfq_ring_packet(view, xfq_ring_desc(view, i)) + 42;
				uint32_t number = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
						  (uint32_t)p[2] << 8 | p[3];

				assert_true(number > last[m]);
				last[m] = number;
			}
			xfq_ring_release(view, cnt);
			got += cnt;
		}
		fanout_reclaim(&rig.fanout, 0);
	}
	assert_int_equal(got, sent);
	rig_finish(&rig);
}

/* A member that stands still loses its own packets; its neighbours lose none. */
static void test_stalled_member(void **state)
{
	struct rig rig;
	uint64_t sent = 0;

	(void)state;
	rig_create(&rig, 4 * 64 + PACKET_BURST);
	rig_group(&rig, NULL, METHOD_BROADCAST, 3);
	rig_group(&rig, NULL, METHOD_FLOW, 1);
	rig_connect(&rig, 64, 64);
	for (uint32_t round = 0; round < 100; round++) {
		for (uint32_t i = 0; i < 50; i++, sent++)
			rig_add(&rig, random_udp(i));
		rig_burst(&rig);
		for (uint32_t m = 0; m < 4; m++)
			if (m != 1)
				assert_int_equal(rig_drain(&rig, m), 50);
	}
	rig_check_sums(&rig, sent);
	assert_int_equal(rig.fanout.outlets[1].packets, 64);
	assert_int_equal(rig.fanout.outlets[1].lost_ring, sent - 64);
	for (uint32_t m = 0; m < 4; m++)
		assert_int_equal(rig_offered(&rig, m), sent);
	/* it goes on where it stood */
	assert_int_equal(rig_drain(&rig, 1), 64);
	for (uint32_t i = 0; i < 50; i++)
		rig_add(&rig, random_udp(i));
	rig_burst(&rig);
	assert_int_equal(rig.fanout.outlets[1].packets, 64 + 50);
	rig_finish(&rig);
}

/* However many members stand still, the quotas leave frames for reception. */
static void test_quota(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig, 8 * 10 + PACKET_BURST);
	rig_group(&rig, NULL, METHOD_FLOW, 8);
	rig_connect(&rig, 64, 10);
	for (uint32_t round = 0; round < 100; round++) {
		for (uint32_t i = 0; i < PACKET_BURST; i++)
			rig_add(&rig, random_udp(i));
		rig_burst(&rig);
		assert_true(rig.frames.free_cnt >= PACKET_BURST);
	}
	for (uint32_t m = 0; m < 8; m++) {
		assert_int_equal(rig.fanout.outlets[m].packets, 10);
		assert_true(rig.fanout.outlets[m].lost_quota > 0);
		assert_int_equal(rig.fanout.outlets[m].lost_ring, 0);
	}
	assert_int_equal(fanout_queued(&rig.fanout), 80);
	rig_finish(&rig);
}

/* The name of a loss is that of what was in short supply. */
static void test_loss_names(void **state)
{
	struct rig rig;
	struct outlet *outlets;

	(void)state;
	rig_create(&rig, 1024);
	rig_group(&rig, NULL, METHOD_BROADCAST, 3);
	rig_connect(&rig, 0, 0);
	rig_join(&rig, 0, 0, 128, 128, 1);
	rig_join(&rig, 0, 1, 128, 127, 1);
	rig_join(&rig, 0, 2, 128, 128, 1);
	outlets = rig.fanout.outlets;
	fanout_detach(&rig.fanout, 2);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 50; i++)
			rig_add(&rig, random_udp(i));
		rig_burst(&rig);
	}
	assert_int_equal(outlets[0].packets, 128);
	assert_int_equal(outlets[0].lost_ring, 22);
	assert_int_equal(outlets[0].lost_quota | outlets[0].lost_detached, 0);
	assert_int_equal(outlets[1].packets, 127);
	assert_int_equal(outlets[1].lost_quota, 23);
	assert_int_equal(outlets[1].lost_ring | outlets[1].lost_detached, 0);
	assert_int_equal(outlets[2].packets, 0);
	assert_int_equal(outlets[2].bytes, 0);
	assert_int_equal(outlets[2].lost_detached, 150);
	assert_int_equal(outlets[2].lost_ring | outlets[2].lost_quota, 0);
	for (uint32_t m = 0; m < 3; m++) {
		/* and the member is told, as long as there is one */
		assert_int_equal(rig.members[m].shared->lost_ring, outlets[m].lost_ring);
		assert_int_equal(rig.members[m].shared->lost_quota, outlets[m].lost_quota);
		assert_int_equal(outlets[m].spilled, 0);
	}
	rig_check_sums(&rig, 150);
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
		cmocka_unit_test(test_match),          cmocka_unit_test(test_match_lengths),
		cmocka_unit_test(test_burst_sizes),    cmocka_unit_test(test_no_copy),
		cmocka_unit_test(test_round_robin),    cmocka_unit_test(test_both_directions),
		cmocka_unit_test(test_fragments),      cmocka_unit_test(test_consume),
		cmocka_unit_test(test_conservation),   cmocka_unit_test(test_order),
		cmocka_unit_test(test_stalled_member), cmocka_unit_test(test_quota),
		cmocka_unit_test(test_loss_names),
	};

	return cmocka_run_group_tests(tests, seed, NULL);
}
