/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the parser share: packets made by hand, and a check of all that is parsed. */
#ifndef TESTS_PARSE_CHECK_H
#define TESTS_PARSE_CHECK_H

#include "steering/parse.h"
#include "tests/packet_builder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct expected {
	uint16_t flags, l3_off, l4_off, payload_off, ethertype, sport, dport;
	uint8_t l4_proto;
};

#define TCP4  (XFQ_META_IPV4 | XFQ_META_PORTS)
#define TCP6  (XFQ_META_IPV6 | XFQ_META_PORTS)
#define BAD   XFQ_META_MALFORMED
#define LATER (XFQ_META_FRAGMENT | XFQ_META_FRAG_NEXT)

/* The key of a packet without addresses is all 0; else it has the packet's own bytes. */
static inline void check_addresses(const char *name, const struct expected *e, const uint8_t *data,
				   const struct parse_key *key)
{
	uint32_t bytes = e->flags & XFQ_META_IPV4 ? 4 : e->flags & XFQ_META_IPV6 ? 16 : 0;
	const uint8_t *src = data + e->l3_off + (bytes == 4 ? 12 : 8);
	uint8_t wanted[32] = {0};

	memcpy(wanted, src, bytes);
	memcpy(wanted + 16, src + bytes, bytes);
	if (memcmp(key->src, wanted, 16) != 0 || memcmp(key->dst, wanted + 16, 16) != 0)
		fail_msg("%s: wrong addresses", name);
}

static inline void check_field(const char *name, const char *field, uint32_t got, uint32_t wanted)
{
	if (got != wanted)
		fail_msg("%s: %s is 0x%x, wanted 0x%x", name, field, got, wanted);
}

/* Parse `len` bytes in memory that ends with them, so that reading on is an error. */
static inline void check_bytes(const char *name, const uint8_t *bytes, uint32_t len,
			       uint32_t wire_len, const struct expected *e)
{
	uint8_t *memory = malloc(len + 1);
	uint8_t *data = memory + 1;
	struct xfq_meta meta;
	struct parse_key key;

	assert_non_null(memory);
	memcpy(data, bytes, len);
	memset(&meta, 0xff, sizeof(meta));
	memset(&key, 0xff, sizeof(key));
	parse_packet(NULL, data, data + len, wire_len, &meta, &key);
	check_field(name, "flags", meta.flags, e->flags);
	check_field(name, "l3_off", meta.l3_off, e->l3_off);
	check_field(name, "l4_off", meta.l4_off, e->l4_off);
	check_field(name, "payload_off", meta.payload_off, e->payload_off);
	check_field(name, "ethertype", meta.ethertype, e->ethertype);
	check_field(name, "l4_proto", meta.l4_proto, e->l4_proto);
	check_field(name, "sport", key.sport, e->sport);
	check_field(name, "dport", key.dport, e->dport);
	check_field(name, "magic", meta.magic, XFQ_META_RAW);
	check_field(name, "wire_len", meta.wire_len, wire_len);
	check_field(name, "rule and the rest",
		    meta.rule | meta.generation | meta.flow_hash | (meta.ts_ns != 0), 0);
	check_addresses(name, e, data, &key);
	free(memory);
}

static inline void check(const char *name, const struct packet_builder *b, struct expected e)
{
	check_bytes(name, b->bytes, b->len, b->len, &e);
}

/* --- packets that the tests below begin with ------------------------------------------------- */

static inline void start_ipv4(struct packet_builder *b)
{
	packet_start(b);
	packet_ipv4(b, 0x0a000001, 0xc0a80102, 0);
}

static inline void start_ipv6(struct packet_builder *b)
{
	packet_start(b);
	packet_ipv6(b, 1, 2);
}

static inline void make_tcp4(struct packet_builder *b)
{
	start_ipv4(b);
	packet_tcp(b, 1000, 80, 0);
	packet_payload(b, 10);
	packet_finish(b);
}

static inline void make_udp4(struct packet_builder *b)
{
	start_ipv4(b);
	packet_udp(b, 1000, 53);
	packet_payload(b, 10);
	packet_finish(b);
}

static inline void make_udp6(struct packet_builder *b)
{
	start_ipv6(b);
	packet_udp(b, 1000, 53);
	packet_payload(b, 10);
	packet_finish(b);
}

static inline void make_tcp4_options(struct packet_builder *b)
{
	packet_start(b);
	packet_ipv4(b, 0x0a000001, 0xc0a80102, 40);
	packet_tcp(b, 1000, 80, 40);
	packet_payload(b, 3);
	packet_finish(b);
}

static inline void make_vlan_tcp6(struct packet_builder *b)
{
	packet_start(b);
	packet_vlan(b, 0x8100, 5);
	packet_ipv6(b, 1, 2);
	packet_tcp(b, 1000, 80, 12);
	packet_payload(b, 5);
	packet_finish(b);
}

static inline void make_qinq_udp4(struct packet_builder *b)
{
	packet_start(b);
	packet_vlan(b, 0x88a8, 5);
	packet_vlan(b, 0x8100, 6);
	packet_ipv4(b, 1, 2, 4);
	packet_udp(b, 1000, 80);
	packet_finish(b);
}

static inline void make_chain6(struct packet_builder *b)
{
	start_ipv6(b);
	packet_extension(b, 0, 16);
	packet_extension(b, 43, 24);
	packet_extension(b, 51, 20);
	packet_extension(b, 60, 8);
	packet_tcp(b, 1000, 80, 0);
	packet_payload(b, 1);
	packet_finish(b);
}

static inline void make_fragment6(struct packet_builder *b)
{
	start_ipv6(b);
	packet_extension(b, 60, 16);
	packet_fragment6(b, 0, true);
	packet_udp(b, 1000, 80);
	packet_payload(b, 8);
	packet_finish(b);
}

static inline void make_later6(struct packet_builder *b)
{
	start_ipv6(b);
	packet_fragment6(b, 2, false);
	b->bytes[b->next_at] = 17;
	packet_payload(b, 16);
	packet_finish(b);
}

static inline void make_fragment4(struct packet_builder *b)
{
	start_ipv4(b);
	packet_fragment4(b, 0, true);
	packet_udp(b, 1000, 80);
	packet_payload(b, 8);
	packet_finish(b);
}

static inline void make_later4(struct packet_builder *b)
{
	start_ipv4(b);
	packet_fragment4(b, 2, true);
	b->bytes[b->next_at] = 17;
	packet_payload(b, 16);
	packet_finish(b);
}

static inline void make_icmp(struct packet_builder *b)
{
	start_ipv4(b);
	packet_icmp(b);
	packet_payload(b, 4);
	packet_finish(b);
}

static inline void make_icmpv6(struct packet_builder *b)
{
	start_ipv6(b);
	packet_icmpv6(b);
	packet_payload(b, 4);
	packet_finish(b);
}

static inline void make_sctp(struct packet_builder *b)
{
	start_ipv4(b);
	packet_sctp(b, 1000, 80);
	packet_payload(b, 4);
	packet_finish(b);
}

static inline void make_gre(struct packet_builder *b)
{
	start_ipv4(b);
	packet_l4(b, 47, 4);
	packet_finish(b);
}

static inline void make_arp(struct packet_builder *b)
{
	packet_start(b);
	packet_type(b, 0x0806);
	packet_payload(b, 28);
}

#endif
