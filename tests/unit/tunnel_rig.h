/* SPDX-License-Identifier: BSD-2-Clause */
/* Every encapsulation that is looked into, and what is expected of the packets that they make. */
#ifndef TESTS_UNIT_TUNNEL_RIG_H
#define TESTS_UNIT_TUNNEL_RIG_H

#include "steering/flow.h"
#include "steering/tunnel.h"
#include "tests/tunnel_wraps.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEED 0x0123456789abcdefULL

static struct tunnels *tunnels;

static int tunnels_begin(void **state)
{
	(void)state;
	tunnels = tunnels_create(UINT32_MAX);
	return tunnels ? 0 : -1;
}

static int tunnels_end(void **state)
{
	(void)state;
	tunnels_destroy(tunnels);
	tunnels = NULL;
	return 0;
}

/* A packet as the worker has it, in memory of exactly its length. */
struct sample {
	struct packet pkt;
	struct xfq_meta meta;
	uint8_t *memory; /* owned */
};

static void sample_make(struct sample *s, const uint8_t *bytes, uint32_t len, uint32_t wire_len,
			uint64_t ts_ns)
{
	struct parse_key key;

	s->memory = malloc(len ? len : 1);
	assert_non_null(s->memory);
	memcpy(s->memory, bytes, len);
	parse_packet(NULL, s->memory, s->memory + len, wire_len, &s->meta, &key);
	s->meta.flow_hash = flow_hash(&s->meta, &key, s->memory, s->memory + len, SEED);
	s->meta.magic = XFQ_META_CHECKED;
	s->meta.ts_ns = ts_ns;
	s->meta.rule = 5;
	s->meta.generation = 9;
	s->pkt = (struct packet){.data = s->memory, .meta = &s->meta, .len = len, .frame = 77};
}

static void sample_free(struct sample *s)
{
	free(s->memory);
}

/* What a packet alone is expected to look like, where it is `bytes` and no fragment. */
static void meta_alone(struct xfq_meta *meta, const uint8_t *bytes, uint32_t len, uint32_t wire_len,
		       const struct xfq_meta *outer)
{
	struct parse_key key;

	parse_packet(NULL, bytes, bytes + len, wire_len, meta, &key);
	meta->flow_hash = flow_hash(meta, &key, bytes, bytes + len, SEED);
	meta->magic = XFQ_META_CHECKED;
	meta->ts_ns = outer->ts_ns;
	meta->rule = outer->rule;
	meta->generation = outer->generation;
}

/* The innermost packet that may be found where `len` bytes are there: its number. */
static inline uint32_t nest_innermost(const struct nest *n, uint32_t len)
{
	uint32_t at = 0;

	for (uint32_t i = 1; i < n->packet_cnt; i++)
		if (n->packets[i].need <= len && n->packets[i].paths <= TUNNEL_DEPTH_MAX)
			at = i;
	return at;
}

/* The number of the packet that was found. */
static uint32_t nest_number(const struct nest *n, const struct tunnel_inner *inner)
{
	for (uint32_t i = 0; i < n->packet_cnt; i++)
		if (n->packets[i].off == inner->off && n->packets[i].ethertype == inner->ethertype)
			return i;
	fail_msg("no packet of type %#x begins at %u", inner->ethertype, inner->off);
	return 0;
}

/* Which packet is found in what is there of `n`, whose bytes may have been changed. */
static inline uint32_t nest_found(const struct nest *n, uint32_t len, uint32_t wire_len)
{
	struct tunnel_inner inner;
	struct packet shown;
	struct sample s;
	uint64_t bits;

	sample_make(&s, n->b.bytes, len, wire_len, 1);
	tunnel_find(s.pkt.data, len, &s.meta, &inner);
	bits = tunnels_burst(tunnels, SEED, &s.pkt, 1, &shown);
	assert_int_equal(bits, inner.off != 0);
	if (!inner.off) {
		assert_ptr_equal(shown.data, s.pkt.data);
		assert_ptr_equal(shown.meta, s.pkt.meta);
	}
	sample_free(&s);
	return nest_number(n, &inner);
}

/* The inner packet of `s` is packet `number` of `n`, as if it had come alone. */
static inline void check_shown(const struct nest *n, uint32_t number, const struct sample *s,
			       const struct packet *shown)
{
	const struct nest_packet *packet = &n->packets[number];
	uint32_t head = packet->ethertype ? 14 : 0;
	static uint8_t alone[PACKET_BUILDER_BYTES];
	struct xfq_meta meta;

	assert_true(packet->ethertype || shown->data == s->pkt.data + packet->off);
	memcpy(alone, n->b.bytes, 12);
	alone[12] = (uint8_t)(packet->ethertype >> 8);
	alone[13] = (uint8_t)packet->ethertype;
	memcpy(alone + head, n->b.bytes + packet->off, n->b.len - packet->off);
	assert_int_equal(shown->len, head + s->pkt.len - packet->off);
	assert_memory_equal(shown->data, alone, shown->len);
	assert_int_equal(shown->frame, 77);
	meta_alone(&meta, alone, shown->len, head + s->meta.wire_len - packet->off, &s->meta);
	assert_memory_equal(shown->meta, &meta, sizeof(meta));
	assert_true(meta.flow_hash != 0);
}

#endif
