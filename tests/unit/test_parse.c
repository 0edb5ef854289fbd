/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser, against packets made by hand, and against a model of what is left of a cut one. */
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
static void check_addresses(const char *name, const struct expected *e, const uint8_t *data,
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

static void check_field(const char *name, const char *field, uint32_t got, uint32_t wanted)
{
	if (got != wanted)
		fail_msg("%s: %s is 0x%x, wanted 0x%x", name, field, got, wanted);
}

/* Parse `len` bytes in memory that ends with them, so that reading on is an error. */
static void check_bytes(const char *name, const uint8_t *bytes, uint32_t len, uint32_t wire_len,
			const struct expected *e)
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
		    meta.rule | meta.reserved | meta.flow_hash | (meta.ts_ns != 0), 0);
	check_addresses(name, e, data, &key);
	free(memory);
}

static void check(const char *name, const struct packet_builder *b, struct expected e)
{
	check_bytes(name, b->bytes, b->len, b->len, &e);
}

/* --- packets that the tests below begin with ------------------------------------------------- */

static void start_ipv4(struct packet_builder *b)
{
	packet_start(b);
	packet_ipv4(b, 0x0a000001, 0xc0a80102, 0);
}

static void start_ipv6(struct packet_builder *b)
{
	packet_start(b);
	packet_ipv6(b, 1, 2);
}

static void make_tcp4(struct packet_builder *b)
{
	start_ipv4(b);
	packet_tcp(b, 1000, 80, 0);
	packet_payload(b, 10);
	packet_finish(b);
}

static void make_udp4(struct packet_builder *b)
{
	start_ipv4(b);
	packet_udp(b, 1000, 53);
	packet_payload(b, 10);
	packet_finish(b);
}

static void make_udp6(struct packet_builder *b)
{
	start_ipv6(b);
	packet_udp(b, 1000, 53);
	packet_payload(b, 10);
	packet_finish(b);
}

static void make_tcp4_options(struct packet_builder *b)
{
	packet_start(b);
	packet_ipv4(b, 0x0a000001, 0xc0a80102, 40);
	packet_tcp(b, 1000, 80, 40);
	packet_payload(b, 3);
	packet_finish(b);
}

static void make_vlan_tcp6(struct packet_builder *b)
{
	packet_start(b);
	packet_vlan(b, 0x8100, 5);
	packet_ipv6(b, 1, 2);
	packet_tcp(b, 1000, 80, 12);
	packet_payload(b, 5);
	packet_finish(b);
}

static void make_qinq_udp4(struct packet_builder *b)
{
	packet_start(b);
	packet_vlan(b, 0x88a8, 5);
	packet_vlan(b, 0x8100, 6);
	packet_ipv4(b, 1, 2, 4);
	packet_udp(b, 1000, 80);
	packet_finish(b);
}

static void make_chain6(struct packet_builder *b)
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

static void make_fragment6(struct packet_builder *b)
{
	start_ipv6(b);
	packet_extension(b, 60, 16);
	packet_fragment6(b, 0, true);
	packet_udp(b, 1000, 80);
	packet_payload(b, 8);
	packet_finish(b);
}

static void make_later6(struct packet_builder *b)
{
	start_ipv6(b);
	packet_fragment6(b, 2, false);
	b->bytes[b->next_at] = 17;
	packet_payload(b, 16);
	packet_finish(b);
}

static void make_fragment4(struct packet_builder *b)
{
	start_ipv4(b);
	packet_fragment4(b, 0, true);
	packet_udp(b, 1000, 80);
	packet_payload(b, 8);
	packet_finish(b);
}

static void make_later4(struct packet_builder *b)
{
	start_ipv4(b);
	packet_fragment4(b, 2, true);
	b->bytes[b->next_at] = 17;
	packet_payload(b, 16);
	packet_finish(b);
}

static void make_icmp(struct packet_builder *b)
{
	start_ipv4(b);
	packet_icmp(b);
	packet_payload(b, 4);
	packet_finish(b);
}

static void make_icmpv6(struct packet_builder *b)
{
	start_ipv6(b);
	packet_icmpv6(b);
	packet_payload(b, 4);
	packet_finish(b);
}

static void make_sctp(struct packet_builder *b)
{
	start_ipv4(b);
	packet_sctp(b, 1000, 80);
	packet_payload(b, 4);
	packet_finish(b);
}

static void make_gre(struct packet_builder *b)
{
	start_ipv4(b);
	packet_l4(b, 47, 4);
	packet_finish(b);
}

static void make_arp(struct packet_builder *b)
{
	packet_start(b);
	packet_type(b, 0x0806);
	packet_payload(b, 28);
}

/* --- packets that tell the truth -------------------------------------------------------------- */

static void test_link(void **state)
{
	struct packet_builder b;

	(void)state;
	make_arp(&b);
	check("arp", &b, (struct expected){.ethertype = 0x0806});
	packet_start(&b);
	check("a header alone", &b, (struct expected){0});
	packet_type(&b, 100); /* 802.3: a length */
	packet_payload(&b, 100);
	check("802.3", &b, (struct expected){.ethertype = 100});
}

static void test_vlan(void **state)
{
	static const uint16_t tpids[] = {0x8100, 0x88a8, 0x9100};
	struct packet_builder b;

	(void)state;
	for (int i = 0; i < 3; i++) {
		packet_start(&b);
		packet_vlan(&b, tpids[i], 5);
		packet_ipv4(&b, 1, 2, 0);
		packet_tcp(&b, 1, 2, 0);
		packet_finish(&b);
		check("a tag", &b,
		      (struct expected){TCP4 | XFQ_META_VLAN, 18, 38, 58, 0x0800, 1, 2, 6});
	}
	make_qinq_udp4(&b);
	check("two tags", &b,
	      (struct expected){TCP4 | XFQ_META_VLAN | XFQ_META_QINQ, 22, 46, 54, 0x0800, 1000, 80,
				17});
	packet_start(&b);
	for (int i = 0; i < 3; i++)
		packet_vlan(&b, 0x8100, 5);
	packet_ipv4(&b, 1, 2, 0);
	packet_finish(&b);
	check("three tags", &b,
	      (struct expected){.flags = XFQ_META_VLAN | XFQ_META_QINQ, .ethertype = 0x8100});
}

static void test_ipv4(void **state)
{
	struct packet_builder b;

	(void)state;
	make_tcp4(&b);
	check("tcp", &b, (struct expected){TCP4, 14, 34, 54, 0x0800, 1000, 80, 6});
	make_tcp4_options(&b);
	check("options", &b, (struct expected){TCP4, 14, 74, 134, 0x0800, 1000, 80, 6});
	make_udp4(&b);
	check("udp", &b, (struct expected){TCP4, 14, 34, 42, 0x0800, 1000, 53, 17});
	make_icmp(&b);
	check("icmp", &b, (struct expected){XFQ_META_IPV4, 14, 34, 42, 0x0800, 0, 0, 1});
	make_sctp(&b);
	check("sctp", &b, (struct expected){TCP4, 14, 34, 46, 0x0800, 1000, 80, 132});
	make_gre(&b);
	check("a protocol not known", &b,
	      (struct expected){XFQ_META_IPV4, 14, 34, 0, 0x0800, 0, 0, 47});
	start_ipv4(&b);
	packet_finish(&b);
	check("no bytes after the header", &b,
	      (struct expected){XFQ_META_IPV4, 14, 0, 0, 0x0800, 0, 0, 253});
	make_tcp4(&b);
	packet_put16(&b, b.l3 + 2, 0);
	check("segmentation offload", &b, (struct expected){TCP4, 14, 34, 54, 0x0800, 1000, 80, 6});
	make_tcp4(&b);
	b.bytes[b.l3 + 6] = 0x40; /* don't fragment */
	check("not to be fragmented", &b, (struct expected){TCP4, 14, 34, 54, 0x0800, 1000, 80, 6});
}

static void test_ipv6(void **state)
{
	struct packet_builder b;

	(void)state;
	make_vlan_tcp6(&b);
	check("tcp", &b, (struct expected){TCP6 | XFQ_META_VLAN, 18, 58, 90, 0x86dd, 1000, 80, 6});
	make_udp6(&b);
	check("udp", &b, (struct expected){TCP6, 14, 54, 62, 0x86dd, 1000, 53, 17});
	make_icmpv6(&b);
	check("icmpv6", &b, (struct expected){XFQ_META_IPV6, 14, 54, 58, 0x86dd, 0, 0, 58});
	start_ipv6(&b);
	packet_finish(&b);
	check("a bare header", &b, (struct expected){XFQ_META_IPV6, 14, 0, 0, 0x86dd, 0, 0, 59});
	make_udp6(&b);
	packet_put16(&b, b.l3 + 4, 0);
	packet_put16(&b, b.l4 + 4, 0);
	check("lengths of a jumbogram", &b,
	      (struct expected){TCP6, 14, 54, 62, 0x86dd, 1000, 53, 17});
}

static void test_extensions(void **state)
{
	static const uint8_t types[] = {0, 43, 60, 135, 139, 140, 51};
	struct packet_builder b;

	(void)state;
	for (int i = 0; i < 7; i++) {
		start_ipv6(&b);
		packet_extension(&b, types[i], 24);
		packet_udp(&b, 1, 2);
		packet_finish(&b);
		check("one extension", &b, (struct expected){TCP6, 14, 78, 86, 0x86dd, 1, 2, 17});
	}
	make_chain6(&b);
	check("a chain", &b, (struct expected){TCP6, 14, 122, 142, 0x86dd, 1000, 80, 6});
	start_ipv6(&b);
	packet_extension(&b, 60, 2048);
	packet_tcp(&b, 1, 2, 0);
	packet_finish(&b);
	check("the longest", &b, (struct expected){TCP6, 14, 2102, 2122, 0x86dd, 1, 2, 6});
	for (int cnt = 7; cnt <= 9; cnt++) {
		uint16_t l4 = (uint16_t)(54 + 8 * cnt);

		start_ipv6(&b);
		for (int i = 0; i < cnt; i++)
			packet_extension(&b, 60, 8);
		packet_tcp(&b, 1, 2, 0);
		packet_finish(&b);
		if (cnt <= PARSE_IPV6_EXT_MAX)
			check("as many as there may be", &b,
			      (struct expected){TCP6, 14, l4, l4 + 20, 0x86dd, 1, 2, 6});
		else
			check("one more than that", &b,
			      (struct expected){XFQ_META_IPV6 | BAD, 14, 0, 0, 0x86dd, 0, 0, 0});
	}
	start_ipv6(&b);
	packet_extension(&b, 0, 8);
	packet_finish(&b);
	check("no next header", &b, (struct expected){XFQ_META_IPV6, 14, 0, 0, 0x86dd, 0, 0, 59});
}

static void test_fragments(void **state)
{
	struct packet_builder b;

	(void)state;
	make_fragment4(&b);
	packet_put16(&b, b.l4 + 4, 4000); /* the datagram's length, not the fragment's */
	check("first, v4", &b,
	      (struct expected){TCP4 | XFQ_META_FRAGMENT, 14, 34, 42, 0x0800, 1000, 80, 17});
	make_later4(&b);
	check("later, v4", &b,
	      (struct expected){XFQ_META_IPV4 | LATER, 14, 0, 0, 0x0800, 0, 0, 17});
	packet_fragment4(&b, 2, false);
	check("last, v4", &b, (struct expected){XFQ_META_IPV4 | LATER, 14, 0, 0, 0x0800, 0, 0, 17});
	make_fragment6(&b);
	packet_put16(&b, b.l4 + 4, 4000);
	check("first, v6", &b,
	      (struct expected){TCP6 | XFQ_META_FRAGMENT, 14, 78, 86, 0x86dd, 1000, 80, 17});
	make_later6(&b);
	check("last, v6", &b, (struct expected){XFQ_META_IPV6 | LATER, 14, 0, 0, 0x86dd, 0, 0, 17});
	packet_put16(&b, b.next_at + 2, 1 << 3 | 1);
	check("later, v6", &b,
	      (struct expected){XFQ_META_IPV6 | LATER, 14, 0, 0, 0x86dd, 0, 0, 17});
	start_ipv6(&b);
	packet_fragment6(&b, 0, false);
	b.bytes[b.len - 8 + 3] |= 6;  /* reserved bits say nothing */
	b.bytes[b.len - 8 + 1] = 255; /* nor does the reserved byte */
	packet_udp(&b, 1, 2);
	packet_payload(&b, 3);
	packet_finish(&b);
	check("atomic", &b, (struct expected){TCP6, 14, 62, 70, 0x86dd, 1, 2, 17});
}

static void test_padding(void **state)
{
	struct packet_builder b;

	(void)state;
	make_tcp4(&b);
	packet_payload(&b, 30);
	check("v4", &b, (struct expected){TCP4, 14, 34, 54, 0x0800, 1000, 80, 6});
	make_udp6(&b);
	packet_payload(&b, 30);
	check("v6", &b, (struct expected){TCP6, 14, 54, 62, 0x86dd, 1000, 53, 17});
	start_ipv4(&b);
	packet_finish(&b);
	packet_payload(&b, 26);
	check("all of it, v4", &b, (struct expected){XFQ_META_IPV4, 14, 0, 0, 0x0800, 0, 0, 253});
	start_ipv6(&b);
	packet_extension(&b, 0, 8);
	packet_finish(&b);
	packet_payload(&b, 26);
	check("all of it, v6", &b, (struct expected){XFQ_META_IPV6, 14, 0, 0, 0x86dd, 0, 0, 59});
	start_ipv4(&b);
	packet_tcp(&b, 1000, 80, 0);
	packet_finish(&b);
	packet_put16(&b, b.l3 + 2, 24);
	check("is no L4 header", &b, (struct expected){TCP4 | BAD, 14, 34, 0, 0x0800, 1000, 80, 6});
}

/* --- packets that lie --------------------------------------------------------------------------
 */

static void test_lies_ipv4(void **state)
{
	struct packet_builder b;

	(void)state;
	make_tcp4(&b);
	b.bytes[b.l3] = 0x65;
	check("version 6", &b, (struct expected){.flags = BAD, .ethertype = 0x0800});
	b.bytes[b.l3] = 0x44;
	check("a header of 16", &b, (struct expected){.flags = BAD, .ethertype = 0x0800});
	make_tcp4(&b);
	b.bytes[b.l3] = 0x4f;
	check("a header beyond the packet", &b,
	      (struct expected){XFQ_META_IPV4 | BAD, 14, 0, 0, 0x0800, 0, 0, 6});
	packet_put16(&b, b.l3 + 2, 0);
	check("the same, length 0", &b,
	      (struct expected){XFQ_META_IPV4 | BAD, 14, 0, 0, 0x0800, 0, 0, 6});
	make_tcp4(&b);
	packet_put16(&b, b.l3 + 2, 19);
	check("a length under the header's", &b,
	      (struct expected){XFQ_META_IPV4 | BAD, 14, 0, 0, 0x0800, 0, 0, 6});
	packet_put16(&b, b.l3 + 2, b.len - b.l3 + 1);
	check("a length beyond the packet", &b,
	      (struct expected){TCP4 | BAD, 14, 34, 54, 0x0800, 1000, 80, 6});
	packet_put16(&b, b.l3 + 2, 0xffff);
	check("much beyond", &b, (struct expected){TCP4 | BAD, 14, 34, 54, 0x0800, 1000, 80, 6});
}

static void test_lies_ipv6(void **state)
{
	struct packet_builder b;

	(void)state;
	make_udp6(&b);
	b.bytes[b.l3] = 0x45;
	check("version 4", &b, (struct expected){.flags = BAD, .ethertype = 0x86dd});
	make_udp6(&b);
	packet_put16(&b, b.l3 + 4, b.len - b.l3 - 40 + 1);
	check("a length beyond the packet", &b,
	      (struct expected){TCP6 | BAD, 14, 54, 62, 0x86dd, 1000, 53, 17});
	packet_put16(&b, b.l3 + 4, 3);
	check("a length within the ports", &b,
	      (struct expected){XFQ_META_IPV6 | BAD, 14, 54, 0, 0x86dd, 0, 0, 17});
	for (uint32_t lie = 1; lie < 4; lie++) {
		make_chain6(&b);
		b.bytes[b.next_at + 1] = (uint8_t)(lie == 1 ? 3 : 80 * lie);
		check("an extension beyond the packet", &b,
		      (struct expected){XFQ_META_IPV6 | BAD, 14, 0, 0, 0x86dd, 0, 0, 0});
	}
	make_chain6(&b);
	packet_put16(&b, b.l3 + 4, 16 + 4);
	check("an extension beyond the length", &b,
	      (struct expected){XFQ_META_IPV6 | BAD, 14, 0, 0, 0x86dd, 0, 0, 0});
}

static void test_lies_l4(void **state)
{
	struct packet_builder b;

	(void)state;
	make_tcp4(&b);
	b.bytes[b.l4 + 12] = 0x40;
	check("a data offset of 4", &b,
	      (struct expected){TCP4 | BAD, 14, 34, 0, 0x0800, 1000, 80, 6});
	b.bytes[b.l4 + 12] = 0x80;
	check("a data offset beyond the segment", &b,
	      (struct expected){TCP4 | BAD, 14, 34, 0, 0x0800, 1000, 80, 6});
	b.bytes[b.l4 + 12] = 0x70;
	check("the largest within it", &b,
	      (struct expected){TCP4, 14, 34, 62, 0x0800, 1000, 80, 6});
	for (uint32_t length = 0; length < 8; length++) {
		make_udp4(&b);
		packet_put16(&b, b.l4 + 4, length);
		check("a UDP length under 8", &b,
		      (struct expected){TCP4 | BAD, 14, 34, 0, 0x0800, 1000, 53, 17});
	}
	make_udp4(&b);
	packet_put16(&b, b.l4 + 4, 19);
	check("a UDP length beyond the datagram", &b,
	      (struct expected){TCP4 | BAD, 14, 34, 0, 0x0800, 1000, 53, 17});
	packet_put16(&b, b.l4 + 4, 17);
	check("a UDP length before its end", &b,
	      (struct expected){TCP4, 14, 34, 42, 0x0800, 1000, 53, 17});
	make_udp6(&b);
	packet_put16(&b, b.l4 + 4, 7);
	check("v6, under 8", &b, (struct expected){TCP6 | BAD, 14, 54, 0, 0x86dd, 1000, 53, 17});
	start_ipv4(&b);
	b.bytes[b.next_at] = 6;
	packet_finish(&b);
	check("no TCP header at all", &b,
	      (struct expected){XFQ_META_IPV4 | BAD, 14, 0, 0, 0x0800, 0, 0, 6});
}

/* --- every length of every packet --------------------------------------------------------------
 */

struct sample {
	const char *name;
	void (*make)(struct packet_builder *b);
	uint16_t flags; /* of the whole packet */
	uint8_t l4_proto;
};

static const struct sample samples[] = {
	{"tcp4", make_tcp4, TCP4, 6},
	{"udp4", make_udp4, TCP4, 17},
	{"udp6", make_udp6, TCP6, 17},
	{"tcp4 with options", make_tcp4_options, TCP4, 6},
	{"vlan tcp6", make_vlan_tcp6, TCP6 | XFQ_META_VLAN, 6},
	{"qinq udp4", make_qinq_udp4, TCP4 | XFQ_META_VLAN | XFQ_META_QINQ, 17},
	{"tcp6 after a chain", make_chain6, TCP6, 6},
	{"first fragment, v4", make_fragment4, TCP4 | XFQ_META_FRAGMENT, 17},
	{"first fragment, v6", make_fragment6, TCP6 | XFQ_META_FRAGMENT, 17},
	{"later fragment, v4", make_later4, XFQ_META_IPV4 | LATER, 17},
	{"later fragment, v6", make_later6, XFQ_META_IPV6 | LATER, 17},
	{"icmp", make_icmp, XFQ_META_IPV4, 1},
	{"icmpv6", make_icmpv6, XFQ_META_IPV6, 58},
	{"sctp", make_sctp, TCP4, 132},
	{"gre", make_gre, XFQ_META_IPV4, 47},
	{"arp", make_arp, 0, 0},
};

#define SAMPLE_CNT (sizeof(samples) / sizeof(samples[0]))

/* What is known of the L4 header of a packet of which `len` bytes are there. */
static void expect_l4(struct expected *e, const struct packet_builder *b, const struct sample *s,
		      uint32_t len, bool snapped)
{
	bool known = s->l4_proto != 47;

	if (!b->l4 || len <= b->l4)
		return;
	e->l4_off = (uint16_t)b->l4;
	if ((s->flags & XFQ_META_PORTS) && len >= b->l4 + 4) {
		e->flags |= XFQ_META_PORTS;
		e->sport = (uint16_t)(b->bytes[b->l4] << 8 | b->bytes[b->l4 + 1]);
		e->dport = (uint16_t)(b->bytes[b->l4 + 2] << 8 | b->bytes[b->l4 + 3]);
	}
	/* without the whole datagram, UDP's length is a lie */
	if (s->l4_proto == 17 && !snapped && !(s->flags & XFQ_META_FRAGMENT) && len < b->len)
		return;
	if (known && len >= b->payload)
		e->payload_off = (uint16_t)b->payload;
}

/* What is known of a packet of which `len` bytes are there: cut off by the capture, which knows how
 * long it was, or on the wire. */
static void expect_cut(struct expected *e, const struct packet_builder *b, const struct sample *s,
		       uint32_t len, bool snapped)
{
	bool v6 = s->flags & XFQ_META_IPV6;
	bool ip = s->flags & (XFQ_META_IPV4 | XFQ_META_IPV6);
	uint32_t extension = v6 && b->next_at > b->l3 + 6 ? b->next_at : 0; /* the last one */
	uint32_t before_l4 = b->l4 ? b->l4 : extension + 8;

	*e = (struct expected){0};
	if (snapped && len < b->len)
		e->flags |= XFQ_META_CUT;
	if (!snapped && (ip ? len < b->len : len < 14))
		e->flags |= BAD;
	if (len >= 18)
		e->flags |= s->flags & XFQ_META_VLAN;
	if (len >= 22)
		e->flags |= s->flags & XFQ_META_QINQ;
	if (len < b->type_at + 2)
		return;
	e->ethertype = (uint16_t)(b->bytes[b->type_at] << 8 | b->bytes[b->type_at + 1]);
	if (!ip || len < b->l3 + (v6 ? 40 : 20))
		return;
	e->flags |= s->flags & (XFQ_META_IPV4 | XFQ_META_IPV6);
	e->l3_off = (uint16_t)b->l3;
	if (!v6) {
		e->l4_proto = s->l4_proto;
		if (!snapped && len < b->l3 + b->l3_bytes)
			return;
		e->flags |= s->flags & LATER;
	} else if (extension) {
		if (len >= extension + 8)
			e->flags |= s->flags & LATER;
		/* the capture kept the length of the extension, if not all of its bytes */
		if (len < (snapped ? extension + 8 : before_l4))
			return;
	}
	e->l4_proto = s->l4_proto;
	expect_l4(e, b, s, len, snapped);
}

static void test_every_length(void **state)
{
	struct packet_builder b;
	struct expected e;
	char name[64];

	(void)state;
	for (size_t i = 0; i < SAMPLE_CNT; i++) {
		samples[i].make(&b);
		for (uint32_t len = 0; len <= b.len; len++) {
			snprintf(name, sizeof(name), "%s, %u bytes", samples[i].name, len);
			expect_cut(&e, &b, &samples[i], len, false);
			check_bytes(name, b.bytes, len, len, &e);
			snprintf(name, sizeof(name), "%s, %u captured", samples[i].name, len);
			expect_cut(&e, &b, &samples[i], len, true);
			check_bytes(name, b.bytes, len, b.len, &e);
		}
	}
}

/* A lie is a lie in a cut packet too. */
static void test_cut_lies(void **state)
{
	struct packet_builder b;
	struct expected e;

	(void)state;
	make_tcp4_options(&b);
	packet_put16(&b, b.l3 + 2, b.len - b.l3 + 1);
	e = (struct expected){XFQ_META_IPV4 | XFQ_META_CUT | BAD, 14, 0, 0, 0x0800, 0, 0, 6};
	check_bytes("v4 length", b.bytes, 40, b.len, &e);
	make_tcp4_options(&b);
	b.bytes[b.l4 + 12] = 0x40;
	e = (struct expected){TCP4 | XFQ_META_CUT | BAD, 14, 74, 0, 0x0800, 1000, 80, 6};
	check_bytes("data offset", b.bytes, 100, b.len, &e);
	make_udp6(&b);
	packet_put16(&b, b.l3 + 4, b.len);
	e = (struct expected){TCP6 | XFQ_META_CUT | BAD, 14, 54, 0, 0x86dd, 1000, 53, 17};
	check_bytes("v6 length", b.bytes, 60, b.len, &e);
	make_tcp4(&b);
	e = (struct expected){TCP4 | XFQ_META_CUT, 14, 34, 54, 0x0800, 1000, 80, 6};
	check_bytes("a wire length of 4 GiB", b.bytes, b.len, UINT32_MAX, &e);
}

/* No bytes, however random, lead out of the packet or to offsets beyond it. */
static void test_random_bytes(void **state)
{
	struct packet_builder b;

	(void)state;
	srandom(1);
	for (int round = 0; round < 200000; round++) {
		uint8_t *memory;
		struct xfq_meta meta;
		struct parse_key key;
		uint32_t len;

		samples[(uint32_t)random() % SAMPLE_CNT].make(&b);
		for (long changes = random() % 4; changes >= 0; changes--)
			b.bytes[12 + (uint32_t)random() % (b.len - 12)] = (uint8_t)random();
		len = random() % 2 ? b.len : (uint32_t)random() % (b.len + 1);
		memory = malloc(len + 1);
		assert_non_null(memory);
		memcpy(memory + 1, b.bytes, len);
		parse_packet(NULL, memory + 1, memory + 1 + len, random() % 2 ? len : b.len, &meta,
			     &key);
		free(memory);
		assert_true(meta.l3_off == 0 || meta.l3_off + 20U <= len);
		assert_true(meta.l4_off == 0 || meta.l4_off < len);
		assert_true(meta.payload_off <= len);
		assert_true(!(meta.flags & XFQ_META_PORTS) || meta.l4_off + 4U <= len);
		assert_true(meta.payload_off == 0 || meta.payload_off > meta.l4_off);
		assert_true(meta.l4_off == 0 || meta.l4_off > meta.l3_off);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link),         cmocka_unit_test(test_vlan),
		cmocka_unit_test(test_ipv4),         cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_extensions),   cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_padding),      cmocka_unit_test(test_lies_ipv4),
		cmocka_unit_test(test_lies_ipv6),    cmocka_unit_test(test_lies_l4),
		cmocka_unit_test(test_every_length), cmocka_unit_test(test_cut_lies),
		cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
