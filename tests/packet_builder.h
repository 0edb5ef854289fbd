/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets made by hand, header by header, for tests and fuzz targets:
 *
 *	packet_start(&b);			Ethernet header
 *	packet_vlan(&b, 0x8100, 5);		a tag after it
 *	packet_ipv6(&b, 1, 2);
 *	packet_extension(&b, 60, 8);
 *	packet_tcp(&b, 1000, 80, 0);
 *	packet_payload(&b, 10);
 *	packet_finish(&b);			lengths become true
 *
 * Each header writes its own number into the field before it. To make a packet lie, write into
 * bytes[] after packet_finish(). Nothing here uses the parser that is tested. Offsets of what was
 * appended are left in the builder.
 */
#ifndef TESTS_PACKET_BUILDER_H
#define TESTS_PACKET_BUILDER_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PACKET_BUILDER_BYTES 4096

struct packet_builder {
	uint8_t bytes[PACKET_BUILDER_BYTES];
	uint32_t len;
	uint32_t type_at; /* of the last ethertype */
	uint32_t next_at; /* of the last protocol or next-header field; 0: no IP yet */
	uint32_t l3, l4, payload;
	uint32_t l3_bytes; /* of the IP header, without extensions */
};

static inline void packet_put16(struct packet_builder *b, uint32_t at, uint32_t value)
{
	b->bytes[at] = (uint8_t)(value >> 8);
	b->bytes[at + 1] = (uint8_t)value;
}

static inline void packet_put32(struct packet_builder *b, uint32_t at, uint32_t value)
{
	packet_put16(b, at, value >> 16);
	packet_put16(b, at + 2, value & 0xffff);
}

/* Room for `bytes` zeros at the end; where they begin. */
static inline uint32_t packet_append(struct packet_builder *b, uint32_t bytes)
{
	uint32_t at = b->len;

	assert(bytes <= PACKET_BUILDER_BYTES - at);
	memset(b->bytes + at, 0, bytes);
	b->len += bytes;
	return at;
}

/* An Ethernet header from 02:..:01 to 02:..:02, its type still 0. */
static inline void packet_start(struct packet_builder *b)
{
	memset(b, 0, sizeof(*b));
	packet_append(b, 14);
	b->bytes[0] = b->bytes[6] = 2;
	b->bytes[5] = 2;
	b->bytes[11] = 1;
	b->type_at = 12;
}

static inline void packet_type(struct packet_builder *b, uint32_t ethertype)
{
	packet_put16(b, b->type_at, ethertype);
}

static inline void packet_vlan(struct packet_builder *b, uint32_t tpid, uint32_t id)
{
	uint32_t at = packet_append(b, 4);

	packet_put16(b, b->type_at, tpid);
	packet_put16(b, at, id);
	b->type_at = at + 2;
}

/* `option_bytes` of no-operation options, a multiple of 4. */
static inline void packet_ipv4(struct packet_builder *b, uint32_t src, uint32_t dst,
			       uint32_t option_bytes)
{
	packet_type(b, 0x0800);
	b->l3_bytes = 20 + option_bytes;
	b->l3 = packet_append(b, b->l3_bytes);
	b->bytes[b->l3] = (uint8_t)(0x40 | b->l3_bytes / 4);
	b->bytes[b->l3 + 8] = 64;
	packet_put32(b, b->l3 + 12, src);
	packet_put32(b, b->l3 + 16, dst);
	memset(b->bytes + b->l3 + 20, 1, option_bytes);
	b->next_at = b->l3 + 9;
	b->bytes[b->next_at] = 253; /* experimental (RFC 3692), unless something follows */
}

/* IPv4 offset in units of 8 bytes. */
static inline void packet_fragment4(struct packet_builder *b, uint32_t offset, bool more)
{
	packet_put16(b, b->l3 + 6, (more ? 0x2000 : 0) | offset);
}

/* Addresses are 2001:db8::HOST. */
static inline void packet_ipv6(struct packet_builder *b, uint32_t src, uint32_t dst)
{
	packet_type(b, 0x86dd);
	b->l3_bytes = 40;
	b->l3 = packet_append(b, 40);
	b->bytes[b->l3] = 0x60;
	b->bytes[b->l3 + 7] = 64;
	packet_put32(b, b->l3 + 8, 0x20010db8);
	packet_put32(b, b->l3 + 20, src);
	packet_put32(b, b->l3 + 24, 0x20010db8);
	packet_put32(b, b->l3 + 36, dst);
	b->next_at = b->l3 + 6;
	b->bytes[b->next_at] = 59; /* no next header, unless something follows */
}

/* An extension header of `bytes`, a multiple of 8 (of AH, 51: a multiple of 4, 12 at least). */
static inline uint32_t packet_extension(struct packet_builder *b, uint8_t type, uint32_t bytes)
{
	uint32_t at = packet_append(b, bytes);

	b->bytes[b->next_at] = type;
	b->bytes[at] = 59;
	b->bytes[at + 1] = (uint8_t)(type == 51 ? bytes / 4 - 2 : bytes / 8 - 1);
	b->next_at = at;
	return at;
}

/* An IPv6 fragment header; offset in units of 8 bytes. */
static inline void packet_fragment6(struct packet_builder *b, uint32_t offset, bool more)
{
	uint32_t at = packet_extension(b, 44, 8);

	b->bytes[at + 1] = 0;
	packet_put16(b, at + 2, offset << 3 | more);
	packet_put32(b, at + 4, 0x1234);
}

/* An L4 header of `bytes` zeros. */
static inline uint32_t packet_l4(struct packet_builder *b, uint8_t proto, uint32_t bytes)
{
	b->l4 = packet_append(b, bytes);
	b->payload = b->len;
	b->bytes[b->next_at] = proto;
	return b->l4;
}

static inline void packet_ports(struct packet_builder *b, uint32_t sport, uint32_t dport)
{
	packet_put16(b, b->l4, sport);
	packet_put16(b, b->l4 + 2, dport);
}

static inline void packet_tcp(struct packet_builder *b, uint32_t sport, uint32_t dport,
			      uint32_t option_bytes)
{
	uint32_t at = packet_l4(b, 6, 20 + option_bytes);

	packet_ports(b, sport, dport);
	b->bytes[at + 12] = (uint8_t)((20 + option_bytes) / 4 << 4);
	b->bytes[at + 13] = 0x10;
	memset(b->bytes + at + 20, 1, option_bytes);
}

static inline void packet_udp(struct packet_builder *b, uint32_t sport, uint32_t dport)
{
	packet_l4(b, 17, 8);
	packet_ports(b, sport, dport);
}

static inline void packet_sctp(struct packet_builder *b, uint32_t sport, uint32_t dport)
{
	packet_l4(b, 132, 12);
	packet_ports(b, sport, dport);
}

static inline void packet_icmp(struct packet_builder *b)
{
	b->bytes[packet_l4(b, 1, 8)] = 8; /* echo request */
}

static inline void packet_icmpv6(struct packet_builder *b)
{
	b->bytes[packet_l4(b, 58, 4)] = 128; /* echo request */
}

static inline void packet_payload(struct packet_builder *b, uint32_t bytes)
{
	memset(b->bytes + packet_append(b, bytes), 'x', bytes);
}

/* Make the IP length true, and UDP's where the packet ends in UDP. */
static inline void packet_finish(struct packet_builder *b)
{
	bool v4 = b->next_at && b->bytes[b->l3] >> 4 == 4;

	if (v4)
		packet_put16(b, b->l3 + 2, b->len - b->l3);
	else if (b->next_at)
		packet_put16(b, b->l3 + 4, b->len - b->l3 - 40);
	if (b->l4 && b->bytes[b->next_at] == 17)
		packet_put16(b, b->l4 + 4, b->len - b->l4);
}

#endif
