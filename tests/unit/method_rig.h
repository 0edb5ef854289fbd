/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of every kind for the tests of steering methods, each in memory of just its size. */
#ifndef TESTS_UNIT_METHOD_RIG_H
#define TESTS_UNIT_METHOD_RIG_H

#include "steering/method.h"
#include "tests/packet_builder.h"
#include "tests/unit/method_model.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEED 0x0123456789abcdefULL

static uint64_t random_state = 1;

/* splitmix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators" */
static inline uint64_t random_next(void)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline uint32_t random_below(uint32_t n)
{
	return (uint32_t)(random_next() % n);
}

/* $XFQ_TEST_SEED, or what the tests begin with; said where one of them fails. */
static inline int rig_seed(void **state)
{
	const char *text = getenv("XFQ_TEST_SEED");

	(void)state;
	random_state = text ? strtoull(text, NULL, 0) : 1;
	print_message("XFQ_TEST_SEED=%llu\n", (unsigned long long)random_state);
	return 0;
}

/* A packet with its metadata, of which nothing lies beyond `len`. */
static inline void rig_packet(struct packet *pkt, const uint8_t *bytes, uint32_t len)
{
	struct parse_key key;

	pkt->data = malloc(len ? len : 1);
	pkt->meta = malloc(sizeof(*pkt->meta));
	pkt->len = len;
	pkt->frame = 0;
	assert_non_null(pkt->data);
	assert_non_null(pkt->meta);
	memcpy(pkt->data, bytes, len);
	parse_packet(NULL, pkt->data, pkt->data + len, len, pkt->meta, &key);
	pkt->meta->magic = XFQ_META_CHECKED;
	pkt->meta->flow_hash = flow_hash(pkt->meta, &key, pkt->data, pkt->data + len, SEED);
}

static inline void rig_drop(struct packet *pkts, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++) {
		free(pkts[i].data);
		free(pkts[i].meta);
	}
}

static inline void rig_built(struct packet *pkt, const struct packet_builder *b)
{
	rig_packet(pkt, b->bytes, b->len);
}

/* Addresses and the like of a few values each, so that many packets have some in common. */
static inline void rig_random_link(struct packet_builder *b)
{
	packet_start(b);
	b->bytes[5] = (uint8_t)random_below(8);
	b->bytes[0] = (uint8_t)(2 + 4 * random_below(2));
	b->bytes[11] = (uint8_t)random_below(8);
	b->bytes[6] = (uint8_t)(2 + 4 * random_below(2));
	for (uint32_t tags = random_below(6); tags > 3; tags--)
		packet_vlan(b, tags == 5 ? 0x88a8 : 0x8100,
			    random_below(6) | random_below(8) << 13);
}

static inline void rig_random_l4(struct packet_builder *b, bool v6)
{
	uint32_t sport = random_below(20), dport = random_below(20);

	switch (random_below(6)) {
	case 0:
	case 1:
		packet_tcp(b, sport, dport, 4 * random_below(3));
		break;
	case 2:
		packet_udp(b, sport, dport);
		break;
	case 3:
		packet_sctp(b, sport, dport);
		break;
	case 4:
		if (v6)
			packet_icmpv6(b);
		else
			packet_icmp(b);
		b->bytes[b->l4] = (uint8_t)random_below(3);
		b->bytes[b->l4 + 1] = (uint8_t)random_below(3);
		break;
	default:
		packet_l4(b, 47, random_below(2) * 4);
	}
}

static inline void rig_random_ip(struct packet_builder *b, bool v6)
{
	uint32_t fragment = random_below(6); /* 0: the first, 1: a later one */
	uint32_t offset = fragment == 1 ? 1 + random_below(4) : 0;
	static const uint8_t extensions[] = {0, 43, 51, 60, 135};

	if (v6) {
		uint32_t tos = random_below(5), label = random_below(2) << random_below(20);

		packet_ipv6(b, random_below(40), random_below(40));
		packet_put32(b, b->l3, 0x60000000u | tos << 20 | label);
		for (uint32_t n = random_below(4); n > 1; n--)
			packet_extension(b, extensions[random_below(5)], 16);
		if (fragment < 2)
			packet_fragment6(b, offset, fragment == 0 || random_below(2));
		else if (fragment == 2)
			packet_fragment6(b, 0, false); /* a whole datagram, RFC 6946 */
		if (fragment < 2 && random_below(3) == 0)
			packet_extension(b, 60, 8);
	} else {
		packet_ipv4(b, 0x0a000000 + random_below(40), 0x0a000000 + random_below(40),
			    4 * random_below(3));
		b->bytes[b->l3 + 1] = (uint8_t)random_below(5);
		if (fragment < 2)
			packet_fragment4(b, offset, fragment == 0 || random_below(2));
	}
	if (offset)
		b->bytes[b->next_at] = (uint8_t)(random_below(2) ? 17 : 6);
	else
		rig_random_l4(b, v6);
}

/* IPv4, IPv6 and others; tags, options, extension headers, fragments. */
static inline void rig_random(struct packet_builder *b)
{
	uint32_t kind = random_below(9);

	rig_random_link(b);
	if (kind < 8) {
		rig_random_ip(b, kind % 2);
	} else {
		packet_type(b, random_below(2) ? 0x0806 : 0x88cc);
		b->next_at = 0;
	}
	packet_payload(b, random_below(40));
	packet_finish(b);
}

static inline void rig_swap(uint8_t *a, uint32_t bytes)
{
	uint8_t first[16];

	memcpy(first, a, bytes);
	memcpy(a, a + bytes, bytes);
	memcpy(a + bytes, first, bytes);
}

/* The same packet in the other direction. */
static inline void rig_turn(struct packet *to, const struct packet *from)
{
	uint8_t bytes[PACKET_BUILDER_BYTES];
	const struct xfq_meta *meta = from->meta;

	memcpy(bytes, from->data, from->len);
	rig_swap(bytes, 6);
	if (meta->l3_off)
		rig_swap(bytes + meta->l3_off + (meta->flags & XFQ_META_IPV6 ? 8 : 12),
			 meta->flags & XFQ_META_IPV6 ? 16 : 4);
	if (meta->flags & XFQ_META_PORTS)
		rig_swap(bytes + meta->l4_off, 2);
	rig_packet(to, bytes, from->len);
}

/* The number that a method makes of a packet. */
static inline uint32_t rig_hash(const struct method_spec *spec, const struct packet *pkt,
				bool *missed)
{
	struct method_context context = {.seed = SEED};
	struct method_state state = {.turn = 0};
	uint8_t index = 0;
	uint32_t hash;
	uint64_t out = method_hashes(spec, &state, &context, pkt, &index, 1, &hash);

	assert_true(out <= 1);
	if (missed)
		*missed = out;
	return hash;
}

/* `cnt` members of weight 1, at the outlets 100, 101 ... */
static inline void rig_roster(struct roster *roster, uint32_t cnt)
{
	memset(roster, 0, sizeof(*roster));
	for (uint32_t i = 0; i < cnt; i++)
		assert_true(roster_join(roster, roster, (uint16_t)(100 + i), 1));
}

/* Where a packet goes. */
static inline uint64_t rig_target(const struct method_spec *spec, const struct roster *roster,
				  const struct packet *pkt)
{
	struct method_context context = {.seed = SEED};
	struct method_state state = {.turn = 0};
	uint8_t index = 0;
	uint64_t target;

	method_targets(spec, &state, &context, roster, pkt, &index, 1, &target);
	return target;
}

#endif
