/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring of a packet socket, read from blocks made by hand: good ones, and ones that lie. */
#include "tests/packet_builder.h"
#include "workers/af_packet.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bursts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
