/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring of a packet socket, read from blocks made by hand: good ones, and ones that lie; and
 * fragments in it, which follow their flow. */
#include "tests/packet_builder.h"
#include "workers/af_packet.h"
#include "xdp/fragment.h"
#include <linux/if_packet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BLOCK_BYTES 8192U
#define BLOCKS      3U
#define FRAMES      256U
#define FRAME_BYTES 2048U
#define SEED        7U
#define SECOND      1000000000ULL

struct rig {
	struct af_packet source;
	struct umem umem;
	uint8_t *ring;
	uint32_t free[FRAMES];
	uint16_t refs[FRAMES];
	/* where the next packet of a block is written */
	uint32_t at[BLOCKS];
	struct tpacket3_hdr *last[BLOCKS];
	struct packet pkts[PACKET_BURST];
};

static struct tpacket_hdr_v1 *block(struct rig *rig, uint32_t index)
{
	return &((struct tpacket_block_desc *)(void *)(rig->ring + index * BLOCK_BYTES))->hdr.bh1;
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->ring = aligned_alloc(64, BLOCKS * BLOCK_BYTES);
	memset(rig->ring, 0, BLOCKS * BLOCK_BYTES);
	rig->source = (struct af_packet){
		.ring = rig->ring, .block_cnt = BLOCKS, .block_bytes = BLOCK_BYTES};
	rig->umem.base = aligned_alloc(64, FRAMES * FRAME_BYTES);
	rig->umem.frame_size = FRAME_BYTES;
	rig->umem.frame_shift = 11;
	frame_init(&rig->umem.frames, rig->free, rig->refs, FRAMES);
	for (uint32_t i = 0; i < BLOCKS; i++)
		rig->at[i] = 64;
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	first_pass_notes_destroy(&rig->source.notes);
	free(rig->ring);
	free(rig->umem.base);
	free(rig);
	return 0;
}

/* Append a packet to a block, as the kernel does. */
static struct tpacket3_hdr *put(struct rig *rig, uint32_t index, const struct packet_builder *b,
				uint32_t snaplen)
{
	struct tpacket3_hdr *header = (void *)(rig->ring + index * BLOCK_BYTES + rig->at[index]);

	*header = (struct tpacket3_hdr){
		.tp_sec = 5,
		.tp_nsec = block(rig, index)->num_pkts,
		.tp_snaplen = snaplen,
		.tp_len = b->len,
		.tp_status = TP_STATUS_USER,
		.tp_mac = 82,
	};
	memcpy((uint8_t *)header + header->tp_mac, b->bytes, snaplen);
	if (rig->last[index])
		rig->last[index]->tp_next_offset =
			(uint32_t)((uint8_t *)header - (uint8_t *)rig->last[index]);
	else
		block(rig, index)->offset_to_first_pkt = rig->at[index];
	rig->last[index] = header;
	rig->at[index] += (header->tp_mac + snaplen + 15U) & ~15U;
	assert_true(rig->at[index] <= BLOCK_BYTES);
	block(rig, index)->num_pkts++;
	return header;
}

static void hand_over(struct rig *rig, uint32_t index)
{
	block(rig, index)->block_status = TP_STATUS_USER;
}

static uint32_t receive(struct rig *rig)
{
	uint32_t cnt = af_packet_receive(&rig->source, &rig->umem, SEED, rig->pkts);

	assert_true(frame_census_holds(&rig->umem.frames));
	for (uint32_t i = 0; i < cnt; i++)
		assert_int_equal(rig->pkts[i].meta->magic, XFQ_META_CHECKED);
	return cnt;
}

static void settle(struct rig *rig, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		frame_give(&rig->umem.frames, rig->pkts[i].frame);
}

static struct packet_builder tcp(uint32_t payload)
{
	struct packet_builder b;

	packet_start(&b);
	packet_ipv4(&b, 1, 2, 0);
	packet_tcp(&b, 1000, 80, 0);
	packet_payload(&b, payload);
	packet_finish(&b);
	return b;
}

static void test_blocks(void **state)
{
	struct rig *rig = *state;
	struct packet_builder b = tcp(10);

	assert_int_equal(receive(rig), 0);
	for (uint32_t i = 0; i < 3; i++)
		put(rig, 0, &b, b.len);
	assert_int_equal(receive(rig), 0); /* not handed over yet */
	hand_over(rig, 0);
	put(rig, 1, &b, b.len);
	hand_over(rig, 1);
	assert_int_equal(receive(rig), 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(rig->pkts[i].len, b.len);
		assert_memory_equal(rig->pkts[i].data, b.bytes, b.len);
		assert_int_equal(rig->pkts[i].meta->ts_ns, 5000000000ULL + i % 3);
		assert_int_equal(rig->pkts[i].meta->wire_len, b.len);
		assert_true(rig->pkts[i].meta->flags & XFQ_META_PORTS);
		assert_int_equal(rig->pkts[i].meta->rule, XFQ_RULE_DEFAULT);
	}
	settle(rig, 4);
	assert_int_equal(block(rig, 0)->block_status, TP_STATUS_KERNEL);
	assert_int_equal(block(rig, 1)->block_status, TP_STATUS_KERNEL);
	assert_int_equal(receive(rig), 0);
	/* round the ring: an empty block in between is skipped */
	hand_over(rig, 2);
	block(rig, 0)->block_status = TP_STATUS_USER;
	assert_int_equal(receive(rig), 3);
	assert_int_equal(rig->source.broken, 0);
}

/* Bursts end at their size and where frames run out; what is left comes later, in order. */
static void test_bursts(void **state)
{
	struct rig *rig = *state;
	struct packet_builder b = tcp(0);
	uint32_t taken[FRAMES], seen;

	for (uint32_t i = 0; i < 40; i++) {
		put(rig, 0, &b, b.len);
		put(rig, 1, &b, b.len);
	}
	hand_over(rig, 0);
	hand_over(rig, 1);
	assert_int_equal(receive(rig), PACKET_BURST);
	assert_int_equal(block(rig, 1)->block_status, TP_STATUS_USER);
	settle(rig, PACKET_BURST);
	for (uint32_t i = 0; i < FRAMES - 3; i++)
		taken[i] = frame_take(&rig->umem.frames);
	assert_int_equal(receive(rig), 3);
	assert_int_equal(receive(rig), 0);
	for (uint32_t i = 0; i < FRAMES - 3; i++)
		frame_give(&rig->umem.frames, taken[i]);
	settle(rig, 3);
	seen = receive(rig);
	assert_int_equal(seen, 80 - PACKET_BURST - 3);
	assert_int_equal(rig->pkts[seen - 1].meta->ts_ns, 5000000039ULL);
	assert_int_equal(block(rig, 1)->block_status, TP_STATUS_KERNEL);
}

static void test_tags(void **state)
{
	struct rig *rig = *state;
	struct packet_builder b = tcp(10), tagged;
	struct tpacket3_hdr *header;

	packet_start(&tagged);
	packet_vlan(&tagged, 0x88a8, 0x2005);
	packet_ipv4(&tagged, 1, 2, 0);
	packet_tcp(&tagged, 1000, 80, 0);
	packet_payload(&tagged, 10);
	packet_finish(&tagged);
	header = put(rig, 0, &b, b.len);
	header->tp_status |= TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
	header->hv1.tp_vlan_tci = 0x2005;
	header->hv1.tp_vlan_tpid = 0x88a8;
	header = put(rig, 0, &b, b.len);
	header->tp_status |= TP_STATUS_VLAN_VALID;
	header->hv1.tp_vlan_tci = 1;
	/* a fragment of a frame: no place for a tag */
	header = put(rig, 0, &b, 8);
	header->tp_status |= TP_STATUS_VLAN_VALID;
	hand_over(rig, 0);
	assert_int_equal(receive(rig), 3);
	assert_int_equal(rig->pkts[0].len, tagged.len);
	assert_memory_equal(rig->pkts[0].data, tagged.bytes, tagged.len);
	assert_int_equal(rig->pkts[0].meta->wire_len, tagged.len);
	assert_true(rig->pkts[0].meta->flags & XFQ_META_VLAN);
	assert_int_equal(rig->pkts[1].data[12], 0x81);
	assert_int_equal(rig->pkts[1].data[15], 1);
	assert_int_equal(rig->pkts[2].len, 8);
	assert_true(rig->pkts[2].meta->flags & XFQ_META_CUT);
}

/* What is longer than a frame is cut to it, said so, and counted; also where a tag makes it so. */
static void test_cut(void **state)
{
	struct rig *rig = *state;
	uint32_t room = FRAME_BYTES - UMEM_HEADROOM;
	struct packet_builder b = tcp(room), fits = tcp(room - 54);
	struct tpacket3_hdr *header;

	assert_int_equal(fits.len, room);
	put(rig, 0, &b, b.len);
	put(rig, 0, &fits, fits.len);
	header = put(rig, 0, &fits, fits.len);
	header->tp_status |= TP_STATUS_VLAN_VALID;
	hand_over(rig, 0);
	assert_int_equal(receive(rig), 3);
	assert_int_equal(rig->pkts[0].len, room);
	assert_int_equal(rig->pkts[0].meta->wire_len, b.len);
	assert_true(rig->pkts[0].meta->flags & XFQ_META_CUT);
	assert_false(rig->pkts[0].meta->flags & XFQ_META_MALFORMED);
	assert_false(rig->pkts[1].meta->flags & XFQ_META_CUT);
	assert_int_equal(rig->pkts[2].len, room);
	assert_int_equal(rig->pkts[2].meta->wire_len, room + 4);
	assert_true(rig->pkts[2].meta->flags & XFQ_META_CUT);
	assert_int_equal(rig->source.cut, 2);
}

/* A block that contradicts itself is counted and given back; nothing outside it is read. */
static void test_broken(void **state)
{
	struct rig *rig = *state;
	struct packet_builder b = tcp(10);

	put(rig, 0, &b, b.len);
	put(rig, 0, &b, b.len)->tp_snaplen = BLOCK_BYTES;
	put(rig, 0, &b, b.len);
	hand_over(rig, 0);
	put(rig, 1, &b, b.len);
	put(rig, 1, &b, b.len);
	rig->last[1] = NULL;
	((struct tpacket3_hdr *)(void *)(rig->ring + BLOCK_BYTES + 64))->tp_next_offset =
		UINT32_MAX;
	hand_over(rig, 1);
	put(rig, 2, &b, b.len);
	block(rig, 2)->offset_to_first_pkt = BLOCK_BYTES - 8;
	hand_over(rig, 2);
	for (uint32_t i = 0, seen = 0; i < 5; i++) {
		uint32_t cnt = receive(rig);

		settle(rig, cnt);
		seen += cnt;
		if (i == 4)
			assert_int_equal(seen, 2);
	}
	assert_int_equal(rig->source.broken, 3);
	for (uint32_t i = 0; i < BLOCKS; i++)
		assert_int_equal(block(rig, i)->block_status, TP_STATUS_KERNEL);
}

/* --- fragments -------------------------------------------------------------------------------- */

enum part { WHOLE, FIRST, MIDDLE, LAST };

struct datagram {
	bool v6;
	uint32_t id, sport;
};

static const struct datagram datagrams[] = {
	{.id = 7, .sport = 1000},
	{.v6 = true, .id = 7, .sport = 1000},
};
#define DATAGRAMS (sizeof(datagrams) / sizeof(datagrams[0]))

/* From now on as a filter says that differs from the default in this. */
static void treat(struct rig *rig, bool follow, enum xdp_orphan orphans)
{
	struct filter filter;

	filter_init(&filter);
	filter.fragments = follow;
	filter.orphans = orphans;
	first_pass_notes_set(&rig->source.notes, &filter);
	filter_destroy(&filter);
}

static int setup_following(void **state)
{
	struct rig *rig;

	setup(state);
	rig = *state;
	if (first_pass_notes_create(&rig->source.notes))
		return -1;
	treat(rig, true, XDP_ORPHAN_BY_RULES);
	return 0;
}

static struct packet_builder part_of(const struct datagram *d, enum part part)
{
	uint32_t offset = part == FIRST ? 0 : part * 2U;
	struct packet_builder b;

	packet_start(&b);
	if (d->v6)
		packet_ipv6(&b, 1, 2);
	else
		packet_ipv4(&b, 1, 2, 0);
	if (part != WHOLE && d->v6) {
		packet_fragment6(&b, offset, part != LAST);
		/* the header's second half is the datagram's name */
		packet_put32(&b, b.len - 4, d->id);
	} else if (part != WHOLE) {
		packet_fragment4(&b, offset, part != LAST);
		packet_put16(&b, b.l3 + 4, d->id);
	}
	if (part == WHOLE || part == FIRST)
		packet_udp(&b, d->sport, 53);
	else
		b.bytes[b.next_at] = 17;
	packet_payload(&b, 16);
	packet_finish(&b);
	return b;
}

/* The hash that a part gets which the kernel saw at a time. */
static uint32_t feed(struct rig *rig, const struct datagram *d, enum part part, uint64_t ns)
{
	struct packet_builder b = part_of(d, part);
	uint32_t index = rig->source.block;
	struct tpacket3_hdr *header;
	struct xfq_meta meta;

	rig->at[index] = 64;
	rig->last[index] = NULL;
	block(rig, index)->num_pkts = 0;
	header = put(rig, index, &b, b.len);
	header->tp_sec = (uint32_t)(ns / SECOND);
	header->tp_nsec = (uint32_t)(ns % SECOND);
	hand_over(rig, index);
	assert_int_equal(receive(rig), 1);
	meta = *rig->pkts[0].meta;
	settle(rig, 1);
	assert_int_equal(meta.ts_ns, ns);
	assert_int_equal(meta.rule, XFQ_RULE_DEFAULT);
	assert_int_equal(!(meta.flags & XFQ_META_FRAGMENT), part == WHOLE);
	assert_int_equal(!(meta.flags & XFQ_META_PORTS), part == MIDDLE || part == LAST);
	assert_int_not_equal(meta.flow_hash, 0);
	return meta.flow_hash;
}

/* Two datagrams of two flows between the same hosts, their parts mixed: each has its flow's hash.
 */
static void test_fragments(void **state)
{
	for (uint32_t i = 0; i < DATAGRAMS; i++) {
		struct datagram a = datagrams[i], b = datagrams[i];
		uint32_t hash_a, hash_b;

		b.id++;
		b.sport++;
		hash_a = feed(*state, &a, WHOLE, SECOND);
		hash_b = feed(*state, &b, WHOLE, SECOND);
		assert_int_not_equal(hash_a, hash_b);
		assert_int_equal(feed(*state, &a, FIRST, SECOND), hash_a);
		assert_int_equal(feed(*state, &b, FIRST, SECOND), hash_b);
		assert_int_equal(feed(*state, &b, LAST, SECOND), hash_b);
		assert_int_equal(feed(*state, &a, MIDDLE, SECOND), hash_a);
		assert_int_equal(feed(*state, &b, MIDDLE, SECOND), hash_b);
		assert_int_equal(feed(*state, &a, LAST, SECOND), hash_a);
	}
}

/* The first part comes later: it takes the hash of what came before it, unless orphans are taken
 * out, where what comes here before it leaves nothing. */
static void test_first_later(void **state)
{
	for (uint32_t i = 0; i < DATAGRAMS; i++) {
		struct datagram d = datagrams[i];
		uint32_t flow = feed(*state, &d, WHOLE, SECOND), pair;

		pair = feed(*state, &d, LAST, SECOND);
		assert_int_not_equal(pair, flow);
		assert_int_equal(feed(*state, &d, FIRST, SECOND), pair);
		assert_int_equal(feed(*state, &d, MIDDLE, SECOND), pair);
		d.id++; /* the next one is in order */
		assert_int_equal(feed(*state, &d, FIRST, SECOND), flow);
		assert_int_equal(feed(*state, &d, LAST, SECOND), flow);
		d.id++;
		treat(*state, true, XDP_ORPHAN_DROP);
		assert_int_equal(feed(*state, &d, LAST, SECOND), pair);
		assert_int_equal(feed(*state, &d, FIRST, SECOND), flow);
		assert_int_equal(feed(*state, &d, MIDDLE, SECOND), flow);
		treat(*state, true, XDP_ORPHAN_BY_RULES);
	}
}

/* Notes are believed as long as packets say that it is not too long ago. */
static void test_expiry(void **state)
{
	struct datagram d = datagrams[0];
	uint32_t flow = feed(*state, &d, FIRST, 5 * SECOND + 1);
	uint64_t end = 5 * SECOND + 1 + FRAGMENT_LIFETIME_NS;

	assert_int_equal(feed(*state, &d, LAST, end), flow);
	assert_int_not_equal(feed(*state, &d, LAST, end + 1), flow);
	/* the name is used again, by another flow */
	d.sport++;
	flow = feed(*state, &d, WHOLE, end);
	d.id++;
	assert_int_equal(feed(*state, &d, FIRST, end), flow);
	d.sport++;
	assert_int_not_equal(feed(*state, &d, FIRST, end + SECOND), flow);
	assert_int_not_equal(feed(*state, &d, LAST, end + SECOND), flow);
	assert_int_equal(feed(*state, &d, LAST, end + SECOND),
			 feed(*state, &d, WHOLE, end + SECOND));
}

/* `fragments: ignore`: by addresses; and live, from one to the other. */
static void test_ignored(void **state)
{
	for (uint32_t i = 0; i < DATAGRAMS; i++) {
		struct datagram d = datagrams[i];
		uint32_t flow = feed(*state, &d, WHOLE, SECOND), pair;

		treat(*state, false, XDP_ORPHAN_BY_RULES);
		pair = feed(*state, &d, FIRST, SECOND);
		assert_int_not_equal(pair, flow);
		assert_int_equal(feed(*state, &d, LAST, SECOND), pair);
		treat(*state, true, XDP_ORPHAN_BY_RULES);
		d.id++;
		assert_int_equal(feed(*state, &d, FIRST, SECOND), flow);
		assert_int_equal(feed(*state, &d, LAST, SECOND), flow);
		treat(*state, false, XDP_ORPHAN_BY_RULES);
		assert_int_equal(feed(*state, &d, LAST, SECOND), pair);
	}
}

/* As many datagrams are remembered as there is room for: the oldest one gives way. */
static void test_room(void **state)
{
	struct datagram d = datagrams[1];
	uint32_t flow = feed(*state, &d, WHOLE, SECOND);

	for (uint32_t i = 0; i <= FRAGMENT_DATAGRAMS; i++) {
		d.id = i;
		assert_int_equal(feed(*state, &d, FIRST, SECOND), flow);
	}
	d.id = 1;
	assert_int_equal(feed(*state, &d, LAST, SECOND), flow);
	d.id = 0;
	assert_int_not_equal(feed(*state, &d, LAST, SECOND), flow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bursts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fragments, setup_following, teardown),
		cmocka_unit_test_setup_teardown(test_first_later, setup_following, teardown),
		cmocka_unit_test_setup_teardown(test_expiry, setup_following, teardown),
		cmocka_unit_test_setup_teardown(test_ignored, setup_following, teardown),
		cmocka_unit_test_setup_teardown(test_room, setup_following, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
