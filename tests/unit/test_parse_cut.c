/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser on packets of which only the beginning is there: every length, against a model. */
#include "parse_check.h"

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
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_cut_lies),
		cmocka_unit_test(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
