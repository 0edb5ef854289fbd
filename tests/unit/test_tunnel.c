/* SPDX-License-Identifier: BSD-2-Clause */
/* The innermost packet: every encapsulation, whole, cut at every byte, and with every lie. */
#include "tests/unit/tunnel_rig.h"

/* Call for every encapsulation, version and direction. */
static void for_each(void (*check)(struct nest *n, const struct wrap *wrap, const char *name))
{
	static struct nest n;
	char name[96];

	for (size_t i = 0; i < WRAP_CNT * 8; i++) {
		const struct wrap *wrap = &wraps[i / 8];
		uint32_t outer = i & 4 ? 6 : 4, inner = i & 2 ? 6 : 4;

		if (!wrap_takes(wrap, outer, inner))
			continue;
		snprintf(name, sizeof(name), "%s, IPv%u around IPv%u", wrap->name, outer, inner);
		nest_make(&n, wrap, outer, inner, i & 1, 30);
		check(&n, wrap, name);
	}
}

static void check_whole(struct nest *n, const struct wrap *wrap, const char *name)
{
	uint32_t last = n->packet_cnt - 1;
	struct tunnel_inner inner;
	struct packet shown;
	struct sample s;

	sample_make(&s, n->b.bytes, n->b.len, n->b.len, 1234567);
	tunnel_find(s.pkt.data, s.pkt.len, &s.meta, &inner);
	if (inner.off != n->packets[last].off || inner.ethertype != n->packets[last].ethertype)
		fail_msg("%s: found at %u, wanted %u", name, inner.off, n->packets[last].off);
	if (inner.path.cnt != n->packets[last].paths)
		fail_msg("%s: %u headers on the way, wanted %u", name, inner.path.cnt,
			 n->packets[last].paths);
	assert_int_equal(inner.path.kinds[inner.path.cnt - 1], wrap->kind);
	assert_int_equal(tunnels_burst(tunnels, SEED, &s.pkt, 1, &shown), 1);
	check_shown(n, last, &s, &shown);
	sample_free(&s);
}

static void test_whole(void **state)
{
	(void)state;
	for_each(check_whole);
}

/* Both directions of one flow have one hash, bare and in every encapsulation. */
static void test_one_hash(void **state)
{
	static const struct wrap bare = {"bare", NULL, TUNNEL_KINDS, 0};
	static struct nest n;
	uint32_t bare_hash[2][2] = {{0}};

	(void)state;
	for (size_t i = 0; i < (WRAP_CNT + 2) * 8; i++) {
		const struct wrap *wrap = i < 16 ? &bare : &wraps[i / 8 - 2];
		uint32_t outer = i & 4 ? 6 : 4, inner = i & 2 ? 6 : 4, *hash;
		bool teredo = wrap == &bare ? i / 8 : wrap->flags & WRAP_TEREDO;
		struct packet shown;
		struct sample s;

		if (wrap != &bare && !wrap_takes(wrap, outer, inner))
			continue;
		if (teredo && inner == 4)
			continue;
		nest_start(&n);
		if (wrap->make)
			wrap->make(&n, outer, i & 1);
		nest_inside(&n, inner, teredo, i & 1, (uint32_t)i % 50);
		sample_make(&s, n.b.bytes, n.b.len, n.b.len, 1);
		assert_int_equal(tunnels_burst(tunnels, SEED, &s.pkt, 1, &shown), wrap != &bare);
		hash = &bare_hash[inner == 6][teredo];
		if (!*hash)
			*hash = shown.meta->flow_hash;
		if (*hash != shown.meta->flow_hash)
			fail_msg("%s, IPv%u in IPv%u: another hash", wrap->name, inner, outer);
		sample_free(&s);
	}
	assert_int_not_equal(bare_hash[0][0], bare_hash[1][0]);
}

static void check_snapped(struct nest *n, const struct wrap *wrap, const char *name)
{
	(void)wrap;
	for (uint32_t len = 0; len <= n->b.len; len++) {
		uint32_t found = nest_found(n, len, n->b.len), wanted = nest_innermost(n, len);
		struct packet shown;
		struct sample s;

		if (found != wanted)
			fail_msg("%s, %u of %u bytes: packet %u, wanted %u", name, len, n->b.len,
				 found, wanted);
		if (!wanted)
			continue;
		sample_make(&s, n->b.bytes, len, n->b.len, 7);
		assert_int_equal(tunnels_burst(tunnels, SEED, &s.pkt, 1, &shown), 1);
		check_shown(n, wanted, &s, &shown);
		sample_free(&s);
	}
}

/* The capture has kept the beginning: what is there shows as far as it goes. */
static void test_snapped(void **state)
{
	(void)state;
	for_each(check_snapped);
}

static void check_cut(struct nest *n, const struct wrap *wrap, const char *name)
{
	(void)wrap;
	for (uint32_t len = 0; len < n->b.len; len++)
		if (nest_found(n, len, len))
			fail_msg("%s: found in %u of %u bytes", name, len, n->b.len);
}

/* The wire had no more: then lengths lie, and nothing is believed. */
static void test_cut(void **state)
{
	(void)state;
	for_each(check_cut);
}

static void check_lengths(struct nest *n, const struct wrap *wrap, const char *name)
{
	uint32_t last = n->packet_cnt - 1;

	(void)wrap;
	assert_true(n->length_cnt > 0);
	for (uint32_t i = 0; i < n->length_cnt; i++) {
		const struct nest_length *length = &n->lengths[i];
		uint32_t truth = parse_be16(n->b.bytes + length->at);
		bool own = length->packet == last;

		for (uint32_t value = 0; value <= 0xffff; value += value < 600 ? 1 : 64709) {
			uint32_t found;

			packet_put16(&n->b, length->at, value);
			found = nest_found(n, n->b.len, n->b.len);
			/* of the outer IP, and of UDP over IPv6, no length stands for all that is
			 * there */
			if (value == truth || (own && value && value < truth) ||
			    (value == 0 && length->zero))
				continue;
			if (found >= last)
				fail_msg("%s: found although length %u at %u is %u", name, truth,
					 length->at, value);
		}
		packet_put16(&n->b, length->at, truth);
		assert_int_equal(nest_found(n, n->b.len, n->b.len), last);
	}
}

/* Each length field but the right one hides what it is wrong about. */
static void test_lengths(void **state)
{
	(void)state;
	for_each(check_lengths);
}

/* A bit or two in a header, counted from the last tunnel's; and what comes of it. */
static const struct lie {
	const char *wrap;
	uint32_t at;
	uint8_t bits; /* to turn over */
} lies[] = {
	{"MPLS", 2, 0x01},                  /* not the last label */
	{"MPLS", 4, 0x10},                  /* neither IPv4 nor IPv6 */
	{"PPPoE", 0, 0x01},                 /* type */
	{"PPPoE", 0, 0x20},                 /* version */
	{"PPPoE", 1, 0x01},                 /* code */
	{"PPPoE", 6, 0xc0},                 /* protocol */
	{"GRE", 0, 0x40},                   /* routing */
	{"GRE", 0, 0x08},                   /* strict route */
	{"GRE", 0, 0x04},                   /* recursion */
	{"GRE", 0, 0x20},                   /* a key that is not there */
	{"GRE", 1, 0x01},                   /* version */
	{"GRE", 3, 0x01},                   /* type */
	{"NVGRE", 2, 0x80},                 /* type */
	{"ERSPAN II", 8, 0x30},             /* version */
	{"ERSPAN III", 8, 0x30},            /* version */
	{"ERSPAN III", 18, 0x04},           /* type of frame */
	{"ERSPAN III, more", 19, 0x01},     /* no subheader */
	{"VXLAN", 0, 0x08},                 /* no network */
	{"VXLAN, old port", 0, 0x08},       /* no network */
	{"VXLAN-GPE", 0, 0x08},             /* no network */
	{"VXLAN-GPE", 0, 0x10},             /* version */
	{"VXLAN-GPE", 0, 0x01},             /* message between the ends */
	{"VXLAN-GPE", 0, 0x04},             /* no type: a frame */
	{"VXLAN-GPE, frame", 3, 0x04},      /* type */
	{"GENEVE", 0, 0x40},                /* version */
	{"GENEVE", 1, 0x80},                /* message between the ends */
	{"GENEVE", 0, 0x3f},                /* options beyond the packet */
	{"GENEVE", 0, 0x01},                /* an option that the frame is taken for */
	{"GENEVE, options", 11, 0x08},      /* option beyond the options */
	{"GENEVE, options", 15, 0x01},      /* the same */
	{"GENEVE, options", 2, 0x01},       /* type */
	{"GTP-U", 0, 0x20},                 /* version */
	{"GTP-U", 0, 0x10},                 /* GTP' */
	{"GTP-U", 1, 0x01},                 /* end marker */
	{"GTP-U, extensions", 12, 0x01},    /* no length */
	{"GTP-U, extensions", 12, 0x80},    /* beyond the packet */
	{"GTP-U, extensions", 12, 0x03},    /* into the middle of the next one */
	{"Teredo", 6, 0x0f},                /* an unknown next header (protocol 9) */
	{"Teredo, both headers", 1, 0x02},  /* neither authentication nor origin */
	{"Teredo, both headers", 2, 0xfc},  /* lengths beyond the packet */
	{"Teredo, both headers", 3, 0x01},  /* a length that is too long */
	{"Teredo, both headers", 22, 0x40}, /* not an origin */
};

static void test_lies(void **state)
{
	static struct nest n;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		const struct wrap *wrap = wraps;
		uint32_t last;

		while (strcmp(wrap->name, lies[i].wrap) != 0)
			assert_true(++wrap < wraps + WRAP_CNT);
		nest_make(&n, wrap, 4, 6, false, 30);
		last = n.packet_cnt - 1;
		assert_int_equal(nest_found(&n, n.b.len, n.b.len), last);
		n.b.bytes[n.header + lies[i].at] ^= lies[i].bits;
		if (nest_found(&n, n.b.len, n.b.len) == last)
			fail_msg("%s: found although byte %u has %#x turned", lies[i].wrap,
				 lies[i].at, lies[i].bits);
	}
}

/* Ports decide: the destination's, and Teredo's either. */
static void test_ports(void **state)
{
	static struct nest n;
	uint32_t checked = 0;

	(void)state;
	for (size_t i = 0; i < WRAP_CNT; i++) {
		const struct nest_length *udp = &n.lengths[1];
		bool teredo = wraps[i].flags & WRAP_TEREDO;
		uint32_t last, sport, dport;

		nest_make(&n, &wraps[i], 4, 6, false, 30);
		if (n.b.bytes[23] != 17)
			continue;
		last = n.packet_cnt - 1;
		sport = parse_be16(n.b.bytes + udp->from);
		dport = parse_be16(n.b.bytes + udp->from + 2);
		packet_put16(&n.b, udp->from, dport);
		packet_put16(&n.b, udp->from + 2, sport);
		assert_int_equal(nest_found(&n, n.b.len, n.b.len), teredo ? last : 0);
		packet_put16(&n.b, udp->from, 1);
		packet_put16(&n.b, udp->from + 2, 2);
		assert_int_equal(nest_found(&n, n.b.len, n.b.len), 0);
		checked++;
	}
	assert_int_equal(checked, 13);
}

/* Teredo's inside is of its addresses, or a link's. */
static void test_teredo_address(void **state)
{
	static const struct {
		uint32_t prefix;
		bool taken;
	} prefixes[] = {
		{0x20010000, true}, {0x20010db8, false}, {0x3ffe831f, true},  {0xfe800000, true},
		{0xfebf1234, true}, {0xfec00000, false}, {0xff020000, false}, {0, false},
	};
	static struct nest n;

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		bool back = i & 1;

		nest_make(&n, &wraps[WRAP_CNT - 1], 4, 6, back, 10);
		packet_put32(&n.b, n.b.l3 + (back ? 24 : 8), prefixes[i / 2].prefix);
		assert_int_equal(nest_found(&n, n.b.len, n.b.len) != 0, prefixes[i / 2].taken);
	}
}

/* Behind labels, only what holds an IP packet is taken for a frame, whatever it begins with. */
static void test_pseudowire(void **state)
{
	static const uint8_t firsts[] = {0x00, 0x02, 0x10, 0x45, 0x60, 0xfe};
	static struct nest n;

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(firsts); i++) {
		const struct wrap *wrap = i & 1 ? &wraps[4] : &wraps[3];
		uint32_t frame;

		nest_make(&n, wrap, 4, i & 2 ? 6 : 4, false, 30);
		assert_int_equal(n.packet_cnt, 2);
		frame = n.packets[1].off;
		n.b.bytes[frame] = firsts[i / 2];
		n.b.bytes[frame + 1] = 0; /* with a 0 before it, a control word it could be */
		assert_int_equal(nest_found(&n, n.b.len, n.b.len), 1);
		packet_put16(&n.b, frame + 12, 0x0806);
		assert_int_equal(nest_found(&n, n.b.len, n.b.len), 0);
	}
	/* a control word holds nothing but a number */
	nest_make(&n, &wraps[4], 4, 4, false, 30);
	n.b.bytes[n.header + 10] = n.b.bytes[n.header + 11] = 0xff;
	assert_int_equal(nest_found(&n, n.b.len, n.b.len), 1);
	n.b.bytes[n.header + 9] = 1;
	assert_int_equal(nest_found(&n, n.b.len, n.b.len), 0);
}

/* A frame without IP is a packet as well, hashed by its addresses; one that cannot be is none. */
static void test_frame(void **state)
{
	static const struct {
		uint32_t type;
		bool taken;
	} types[] = {{0x0806, true}, {0x88cc, true}, {0, false},  {1501, false}, {0x5ff, false},
		     {40, true},     {39, true},     {41, false}, {1500, false}, {0x600, true}};
	static struct nest n;
	struct packet shown;
	struct sample s;

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		nest_start(&n);
		wrap_vxlan(&n, 4, false);
		nest_bytes(&n, 40);
		nest_finish(&n);
		packet_put16(&n.b, n.packets[1].off + 12, types[i].type);
		sample_make(&s, n.b.bytes, n.b.len, n.b.len, 3);
		assert_int_equal(tunnels_burst(tunnels, SEED, &s.pkt, 1, &shown), types[i].taken);
		if (types[i].taken)
			check_shown(&n, 1, &s, &shown);
		sample_free(&s);
	}
}

/* What a mirror cut off is missing, and no lie. */
static void test_mirror_cut(void **state)
{
	static struct nest n;

	(void)state;
	for (uint32_t i = 0; i < 2 * 60; i++) {
		const char *name = i & 1 ? "ERSPAN III" : "ERSPAN II";
		const struct wrap *wrap = wraps;
		struct packet shown;
		struct sample s;
		uint32_t whole, kept = i / 2;

		while (strcmp(wrap->name, name) != 0)
			wrap++;
		nest_start(&n);
		wrap->make(&n, 4, false);
		nest_inside(&n, 4, false, false, 60);
		whole = n.b.len - n.packets[1].off;
		n.b.len -= kept;
		packet_put16(&n.b, n.lengths[0].at, n.b.len - n.lengths[0].from);
		assert_int_equal(nest_found(&n, n.b.len, n.b.len), kept == 0);
		n.b.bytes[n.header + 10] |= 0x04;
		sample_make(&s, n.b.bytes, n.b.len, n.b.len, 3);
		assert_int_equal(tunnels_burst(tunnels, SEED, &s.pkt, 1, &shown), 1);
		assert_int_equal(shown.len, whole - kept);
		assert_int_equal(shown.meta->wire_len, whole);
		assert_int_equal(!!(shown.meta->flags & XFQ_META_CUT), kept != 0);
		assert_false(shown.meta->flags & XFQ_META_MALFORMED);
		sample_free(&s);
	}
}

/* An authentication header is at least 12 bytes long. */
static void test_ah(void **state)
{
	static struct nest n;

	(void)state;
	for (uint32_t bytes = 8; bytes <= 128; bytes += 4) {
		nest_start(&n);
		nest_ip(&n, 4, false);
		nest_extension(&n, 51, bytes);
		nest_inside(&n, 4, false, false, 8);
		assert_int_equal(nest_found(&n, n.b.len, n.b.len), bytes >= 12);
	}
}

/* What is behind a bare IP packet is not its; what is behind a frame's is. */
static void test_padding(void **state)
{
	static struct nest n;
	struct packet shown;
	struct sample s;

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		nest_start(&n);
		if (i)
			wrap_wire(&n, 4, false);
		else
			wrap_mpls(&n, 4, false);
		nest_inside(&n, 4, false, false, 0);
		nest_bytes(&n, 6);
		sample_make(&s, n.b.bytes, n.b.len, n.b.len, 1);
		assert_int_equal(tunnels_burst(tunnels, SEED, &s.pkt, 1, &shown), 1);
		assert_int_equal(shown.len, 14 + 20 + 20 + (i ? 6 : 0));
		assert_int_equal(shown.meta->wire_len, shown.len);
		sample_free(&s);
	}
}

/* --- packets that are no tunnels ---------------------------------------------------------------
 */

static void check_alone(const struct nest *n)
{
	struct packet shown;
	struct sample s;

	sample_make(&s, n->b.bytes, n->b.len, n->b.len, 1);
	assert_int_equal(tunnels_burst(tunnels, SEED, &s.pkt, 1, &shown), 0);
	assert_memory_equal(&shown, &s.pkt, sizeof(shown));
	sample_free(&s);
}

static void test_no_tunnels(void **state)
{
	static struct nest n;

	(void)state;
	for (uint32_t i = 0; i < 24; i++) {
		nest_start(&n);
		if (i & 1)
			nest_vlan(&n, 0x88a8, 1);
		if (i & 2)
			nest_vlan(&n, 0x8100, 2);
		if (i < 8) {
			nest_ip(&n, i & 4 ? 6 : 4, false);
			nest_tcp(&n, 4789, 6081);
		} else if (i < 16) {
			nest_ip(&n, i & 4 ? 6 : 4, false);
			nest_udp(&n, 53);
		} else if (i & 4) {
			nest_link(&n, 0x0806, 0);
		} else { /* three tags or more, and no IP behind them */
			nest_vlan(&n, 0x8100, 3);
			nest_link(&n, 0x0806, 0);
		}
		nest_bytes(&n, 50);
		nest_finish(&n);
		check_alone(&n);
	}
	nest_start(&n);
	n.b.len = 0;
	check_alone(&n);
	assert_int_equal(tunnels_burst(tunnels, SEED, NULL, 0, NULL), 0);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(tunnel_kind_name(TUNNEL_VLAN), "vlan");
	assert_string_equal(tunnel_kind_name(TUNNEL_TEREDO), "teredo");
	assert_string_equal(tunnel_kind_name(TUNNEL_KINDS), "unknown");
	for (int i = 0; i < TUNNEL_KINDS; i++)
		assert_non_null(tunnel_kind_name((enum tunnel_kind)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),      cmocka_unit_test(test_one_hash),
		cmocka_unit_test(test_snapped),    cmocka_unit_test(test_cut),
		cmocka_unit_test(test_lengths),    cmocka_unit_test(test_lies),
		cmocka_unit_test(test_ports),      cmocka_unit_test(test_teredo_address),
		cmocka_unit_test(test_pseudowire), cmocka_unit_test(test_frame),
		cmocka_unit_test(test_mirror_cut), cmocka_unit_test(test_ah),
		cmocka_unit_test(test_padding),    cmocka_unit_test(test_no_tunnels),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, tunnels_begin, tunnels_end);
}
