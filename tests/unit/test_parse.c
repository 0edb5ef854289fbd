/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser, against packets made by hand: true ones, and lies of every kind. */
#include "parse_check.h"

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
		if (cnt <= 8)
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
	make_icmp(&b);
	packet_put16(&b, b.l3 + 2, 27);
	check("is no part of one", &b,
	      (struct expected){XFQ_META_IPV4 | BAD, 14, 34, 0, 0x0800, 0, 0, 1});
	make_tcp4(&b);
	b.bytes[b.l4 + 12] = 0x70;
	packet_put16(&b, b.l3 + 2, 40);
	check("is no option", &b, (struct expected){TCP4 | BAD, 14, 34, 0, 0x0800, 1000, 80, 6});
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
	start_ipv6(&b);
	packet_extension(&b, 60, 8);
	b.bytes[b.next_at] = 6;
	packet_finish(&b);
	check("TCP is announced, and nothing follows", &b,
	      (struct expected){XFQ_META_IPV6 | BAD, 14, 0, 0, 0x86dd, 0, 0, 6});
	b.bytes[b.next_at] = 59;
	check("nothing is announced, and nothing follows", &b,
	      (struct expected){XFQ_META_IPV6, 14, 0, 0, 0x86dd, 0, 0, 59});
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link),       cmocka_unit_test(test_vlan),
		cmocka_unit_test(test_ipv4),       cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_extensions), cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_padding),    cmocka_unit_test(test_lies_ipv4),
		cmocka_unit_test(test_lies_ipv6),  cmocka_unit_test(test_lies_l4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
