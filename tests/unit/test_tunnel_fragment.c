/* SPDX-License-Identifier: BSD-2-Clause */
/* Fragments of tunnels, fragments in tunnels, and both: all of them have the hash of one flow. */
#include "tests/unit/tunnel_rig.h"

#define INSIDE  2000 /* bytes in the inner packet */
#define PIECES  3
#define TIME_NS 1700000000000000000ULL
#define LIFE_NS 30000000000ULL

/* Bytes of a packet with one IP header to fragment at. */
struct piece {
	uint8_t bytes[PACKET_BUILDER_BYTES];
	uint32_t len;
};

/* Where fragments begin: in each of the inner ones there is something for the outer ones to cut,
 * and in the first one of all are all headers. */
static const uint32_t inner_begins[PIECES] = {0, 640, 1200}, outer_begins[PIECES] = {0, 280, 400};

/* Fragment `i` of the datagram whose IP header is at `l3`. */
static void piece_cut(struct piece *piece, const uint8_t *bytes, uint32_t len, uint32_t l3,
		      const uint32_t begins[PIECES], uint32_t i, uint32_t id)
{
	bool v6 = bytes[l3] >> 4 == 6, more = i + 1 < PIECES;
	uint32_t head = l3 + (v6 ? 40 : 20), from = begins[i];
	uint32_t to = more ? begins[i + 1] : len - head;
	uint8_t *p = piece->bytes + l3;

	assert_true(to > from && head + to <= len);
	memcpy(piece->bytes, bytes, head);
	piece->len = head;
	if (v6) {
		uint8_t extension[8] = {p[6], 0, (uint8_t)(from >> 8), (uint8_t)(from | more)};

		extension[6] = (uint8_t)(id >> 8);
		extension[7] = (uint8_t)id;
		memcpy(piece->bytes + head, extension, 8);
		piece->len += 8;
		p[6] = 44;
		p[4] = (uint8_t)((to - from + 8) >> 8);
		p[5] = (uint8_t)(to - from + 8);
	} else {
		p[2] = (uint8_t)((to - from + 20) >> 8);
		p[3] = (uint8_t)(to - from + 20);
		p[4] = (uint8_t)(id >> 8);
		p[5] = (uint8_t)id;
		p[6] = (uint8_t)((more ? 0x20 : 0) | from / 8 >> 8);
		p[7] = (uint8_t)(from / 8);
	}
	memcpy(piece->bytes + piece->len, bytes + head + from, to - from);
	piece->len += to - from;
}

/* Put an encapsulation around the IP packet behind the Ethernet header of `inner`. */
static void piece_wrap(struct nest *n, const struct wrap *wrap, uint32_t outer, bool back,
		       const struct piece *inner)
{
	bool v6 = inner->bytes[14] >> 4 == 6;
	uint32_t at;

	nest_start(n);
	wrap->make(n, outer, back);
	nest_link(n, v6 ? 0x86dd : 0x0800, v6 ? 41 : 4);
	at = packet_append(&n->b, inner->len - 14);
	memcpy(n->b.bytes + at, inner->bytes + 14, inner->len - 14);
	nest_finish(n);
}

/* The flow bare, in one direction. */
static void bare_make(struct nest *n, uint32_t ip, bool teredo, bool back)
{
	nest_start(n);
	nest_inside(n, ip, teredo, back, INSIDE);
}

/* The outer IP header of an encapsulation; 0: it has none. */
static uint32_t outer_l3(const struct nest *n)
{
	if (n->b.bytes[12] == 0x81)
		return n->b.bytes[16] == 0x08 || n->b.bytes[16] == 0x86 ? 18 : 0;
	return (n->b.bytes[12] == 0x08 && n->b.bytes[13] == 0) ||
			       (n->b.bytes[12] == 0x86 && n->b.bytes[13] == 0xdd)
		       ? 14
		       : 0;
}

/* Give a piece to the worker: the hash of what it shows. */
static uint32_t piece_hash(const struct piece *piece, uint64_t ts_ns)
{
	struct packet shown;
	struct sample s;
	uint64_t bits;
	uint32_t hash;

	sample_make(&s, piece->bytes, piece->len, piece->len, ts_ns);
	assert_false(s.meta.flags & XFQ_META_MALFORMED);
	bits = tunnels_burst(tunnels, SEED, &s.pkt, 1, &shown);
	hash = shown.meta->flow_hash;
	assert_int_equal(shown.meta->ts_ns, ts_ns);
	assert_int_equal(bits, shown.meta != &s.meta);
	if (shown.data == s.pkt.data) { /* the packet itself, but for its hash perhaps */
		struct xfq_meta meta = *shown.meta;

		meta.flow_hash = s.meta.flow_hash;
		assert_memory_equal(&meta, &s.meta, sizeof(meta));
		assert_int_equal(shown.len, s.pkt.len);
		assert_true(!bits == (hash == s.meta.flow_hash));
	}
	sample_free(&s);
	return hash;
}

/* A number that no datagram has had. */
static uint32_t next_id(void)
{
	static uint32_t id;

	return ++id;
}

/* All of a packet, which may be in outer fragments, in this order. True: one hash, which is left in
 * *hash. */
static bool outer_hash(const struct nest *n, const uint32_t order[PIECES], bool cut, uint32_t *hash)
{
	static struct piece piece;
	uint32_t id = next_id();

	if (!cut) {
		memcpy(piece.bytes, n->b.bytes, n->b.len);
		piece.len = n->b.len;
		*hash = piece_hash(&piece, TIME_NS);
		return true;
	}
	for (uint32_t i = 0; i < PIECES; i++) {
		uint32_t own;

		piece_cut(&piece, n->b.bytes, n->b.len, outer_l3(n), outer_begins, order[i], id);
		own = piece_hash(&piece, TIME_NS + i);
		if (i && own != *hash)
			return false;
		*hash = own;
	}
	return true;
}

static uint32_t bare_hash(uint32_t ip, bool teredo)
{
	static struct nest n;
	struct sample s;
	uint32_t hash;

	bare_make(&n, ip, teredo, false);
	sample_make(&s, n.b.bytes, n.b.len, n.b.len, 1);
	hash = s.meta.flow_hash;
	sample_free(&s);
	return hash;
}

/* --- outside, inside, both ---------------------------------------------------------------------
 */

static const uint32_t in_order[PIECES] = {0, 1, 2};

/* Call for every encapsulation, version and direction, with the hash of the flow. */
static void for_each(void (*check)(const struct wrap *wrap, uint32_t outer, uint32_t inner,
				   bool back, uint32_t hash))
{
	for (size_t i = 0; i < WRAP_CNT * 8; i++) {
		const struct wrap *wrap = &wraps[i / 8];
		uint32_t outer = i & 4 ? 6 : 4, inner = i & 2 ? 6 : 4;

		if (wrap_takes(wrap, outer, inner))
			check(wrap, outer, inner, i & 1,
			      bare_hash(inner, wrap->flags & WRAP_TEREDO));
	}
}

static void check_outside(const struct wrap *wrap, uint32_t outer, uint32_t inner, bool back,
			  uint32_t hash)
{
	static struct nest n;
	uint32_t own;

	if (!(wrap->flags & WRAP_IP))
		return;
	nest_make(&n, wrap, outer, inner, back, INSIDE);
	if (!outer_hash(&n, in_order, true, &own) || own != hash)
		fail_msg("%s, IPv%u around IPv%u: a fragment has another hash", wrap->name, outer,
			 inner);
}

static void test_outside(void **state)
{
	(void)state;
	for_each(check_outside);
}

static void check_inside(const struct wrap *wrap, uint32_t outer, uint32_t inner, bool back,
			 uint32_t hash)
{
	static struct nest bare, n;
	static struct piece piece;

	for (uint32_t cut = 0; cut < (wrap->flags & WRAP_IP ? 2 : 1); cut++) {
		uint32_t id = next_id();

		bare_make(&bare, inner, wrap->flags & WRAP_TEREDO, back);
		for (uint32_t i = 0; i < PIECES; i++) {
			uint32_t own;
			bool one;

			piece_cut(&piece, bare.b.bytes, bare.b.len, 14, inner_begins, i, id);
			piece_wrap(&n, wrap, outer, back, &piece);
			one = outer_hash(&n, in_order, cut, &own);
			if (!one || own != hash)
				fail_msg("%s, IPv%u around IPv%u: inner fragment %u has another "
					 "hash",
					 wrap->name, outer, inner, i);
		}
	}
}

static void test_inside(void **state)
{
	(void)state;
	for_each(check_inside);
}

/* Later ones that come first are hashed by what they have; all of them stay together. */
static void check_overtaken(const struct wrap *wrap, uint32_t outer, uint32_t inner, bool back,
			    uint32_t hash)
{
	static const uint32_t orders[][PIECES] = {
		{1, 0, 2}, {1, 2, 0}, {2, 1, 0}, {2, 0, 1}, {0, 2, 1}};
	static struct nest bare, n;
	static struct piece piece;

	bare_make(&bare, inner, wrap->flags & WRAP_TEREDO, back);
	for (uint32_t o = 0; o < 5; o++) {
		uint32_t own = 0, id = next_id();

		if (wrap->flags & WRAP_IP) {
			nest_make(&n, wrap, outer, inner, back, INSIDE);
			assert_true(outer_hash(&n, orders[o], true, &own));
			assert_true((own == hash) == (o == 4));
		}
		for (uint32_t i = 0; i < PIECES; i++) {
			uint32_t last = own;

			piece_cut(&piece, bare.b.bytes, bare.b.len, 14, inner_begins, orders[o][i],
				  id);
			piece_wrap(&n, wrap, outer, back, &piece);
			(void)outer_hash(&n, in_order, false, &own);
			assert_true(i == 0 || own == last);
		}
		assert_true((own == hash) == (o == 4));
	}
}

static void test_overtaken(void **state)
{
	(void)state;
	for_each(check_overtaken);
}

/* A tunnel's datagram in fragments, each of them in another tunnel. */
static void test_middle(void **state)
{
	static struct nest middle, n;
	static struct piece piece, bytes;
	uint32_t hash = bare_hash(4, false), id = next_id();

	(void)state;
	/* GRE in a datagram in fragments, each of them in VXLAN */
	nest_make(&middle, &wraps[10], 4, 4, false, INSIDE);
	assert_string_equal(wraps[10].name, "GRE");
	memcpy(bytes.bytes, middle.b.bytes, middle.b.len);
	for (uint32_t i = 0; i < PIECES; i++) {
		uint32_t own;

		piece_cut(&piece, bytes.bytes, middle.b.len, 14, inner_begins, i, id);
		piece_wrap(&n, &wraps[20], 6, false, &piece);
		assert_true(outer_hash(&n, in_order, false, &own));
		assert_int_equal(own, hash);
	}
	assert_string_equal(wraps[20].name, "VXLAN");
}

/* --- notes -------------------------------------------------------------------------------------
 */

static uint32_t outer_piece_hash(uint32_t i, uint32_t id, uint32_t inner, uint64_t ts_ns)
{
	static struct nest n;
	static struct piece piece;

	nest_make(&n, &wraps[10], 4, inner, false, INSIDE);
	piece_cut(&piece, n.b.bytes, n.b.len, 14, outer_begins, i, id);
	return piece_hash(&piece, ts_ns);
}

/* A note is believed for half a minute of packet time, and one from a little later as well. */
static void test_lifetime(void **state)
{
	uint32_t hash = bare_hash(4, false), id = next_id(), orphan;

	(void)state;
	assert_int_equal(outer_piece_hash(0, id, 4, TIME_NS), hash);
	assert_int_equal(outer_piece_hash(1, id, 4, TIME_NS + LIFE_NS), hash);
	assert_int_equal(outer_piece_hash(1, id, 4, TIME_NS - 5), hash);
	orphan = outer_piece_hash(2, id, 4, TIME_NS + LIFE_NS + 1);
	assert_int_not_equal(orphan, hash);
	assert_int_equal(outer_piece_hash(1, id, 4, TIME_NS + LIFE_NS + 2), orphan);
}

/* A name that is used again stands for the new datagram. */
static void test_again(void **state)
{
	uint32_t v4 = bare_hash(4, false), v6 = bare_hash(6, false), id = next_id();

	(void)state;
	for (uint32_t round = 0; round < 4; round++) {
		uint32_t ip = round & 1 ? 6 : 4;

		assert_int_equal(outer_piece_hash(0, id, ip, TIME_NS + round), ip == 6 ? v6 : v4);
		assert_int_equal(outer_piece_hash(1, id, ip, TIME_NS + round), ip == 6 ? v6 : v4);
	}
}

/* As many are remembered as is said; the oldest give way. */
static void test_many(void **state)
{
	const uint32_t cnt = TUNNEL_DATAGRAMS, more = 2 * cnt + 100, begin = 20000;
	uint32_t hash = bare_hash(4, false);

	(void)state;
	for (uint32_t i = 0; i < cnt + more; i++)
		assert_int_equal(outer_piece_hash(0, begin + i, 4, TIME_NS), hash);
	for (uint32_t i = cnt + more; i-- > more;)
		assert_int_equal(outer_piece_hash(1, begin + i, 4, TIME_NS), hash);
	for (uint32_t i = 0; i < more; i += 16)
		assert_int_not_equal(outer_piece_hash(1, begin + i, 4, TIME_NS), hash);
}

/* Datagrams that are no tunnels stay as they are, and leave nothing behind that tunnels of the same
 * name would take. */
static void test_plain(void **state)
{
	static struct nest n, vxlan;
	static struct piece piece;
	struct packet shown;
	struct sample s;
	uint32_t id = next_id();

	(void)state;
	nest_start(&n);
	nest_ip(&n, 4, false);
	nest_udp(&n, 53);
	nest_bytes(&n, INSIDE);
	nest_finish(&n);
	for (uint32_t i = 0; i < 2 * PIECES; i++) {
		piece_cut(&piece, n.b.bytes, n.b.len, 14, outer_begins,
			  i < PIECES ? (i + 2) % PIECES : i - 3, id);
		sample_make(&s, piece.bytes, piece.len, piece.len, TIME_NS);
		assert_int_equal(tunnels_burst(tunnels, SEED, &s.pkt, 1, &shown), 0);
		assert_ptr_equal(shown.meta, &s.meta);
		sample_free(&s);
	}
	nest_make(&vxlan, &wraps[20], 4, 4, false, INSIDE);
	for (uint32_t i = 0; i < PIECES; i++) {
		piece_cut(&piece, vxlan.b.bytes, vxlan.b.len, 14, outer_begins, i, id);
		assert_int_equal(piece_hash(&piece, TIME_NS), bare_hash(4, false));
	}
}

/* One name at two protocols, or bare and in a tunnel, is of two datagrams. */
static void test_same_name(void **state)
{
	static const uint32_t which[] = {10, 20};
	static struct nest n[2], bare, gre;
	static struct piece piece;
	uint32_t id = next_id(), hash = 0, inner;

	(void)state;
	for (uint32_t i = 0; i < 2 * PIECES; i++) {
		nest_make(&n[i % 2], &wraps[which[i % 2]], 4, i % 2 ? 6 : 4, false, INSIDE);
		piece_cut(&piece, n[i % 2].b.bytes, n[i % 2].b.len, 14, outer_begins, i / 2, id);
		assert_int_equal(piece_hash(&piece, TIME_NS), bare_hash(i % 2 ? 6 : 4, false));
	}
	nest_start(&bare);
	nest_ip(&bare, 4, false);
	nest_udp(&bare, 53);
	nest_bytes(&bare, INSIDE);
	nest_finish(&bare);
	id = next_id();
	for (uint32_t i = 0; i < PIECES; i++) {
		piece_cut(&piece, bare.b.bytes, bare.b.len, 14, inner_begins, i, id);
		piece_wrap(&gre, &wraps[10], 4, false, &piece);
		(void)outer_hash(&gre, in_order, false, &inner);
		hash = i ? hash : inner;
		assert_int_equal(inner, hash);
		(void)piece_hash(&piece, TIME_NS);
	}
}

/* What a first fragment does not show is not looked for in the next one. */
static void test_later_bytes(void **state)
{
	static struct nest n;
	static struct piece piece;

	(void)state;
	nest_make(&n, &wraps[7], 4, 4, false, INSIDE);
	assert_string_equal(wraps[7].name, "IP in IP");
	for (uint32_t i = 1; i < PIECES; i++) {
		struct tunnel_inner inner;
		struct sample s;

		piece_cut(&piece, n.b.bytes, n.b.len, 14, outer_begins, i, next_id());
		memcpy(piece.bytes + 34, n.b.bytes + 34, 40); /* it looks like the inner header */
		sample_make(&s, piece.bytes, piece.len, piece.len, TIME_NS);
		tunnel_find(s.pkt.data, s.pkt.len, &s.meta, &inner);
		assert_int_equal(inner.off, 0);
		sample_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outside),   cmocka_unit_test(test_inside),
		cmocka_unit_test(test_overtaken), cmocka_unit_test(test_middle),
		cmocka_unit_test(test_lifetime),  cmocka_unit_test(test_again),
		cmocka_unit_test(test_many),      cmocka_unit_test(test_plain),
		cmocka_unit_test(test_same_name), cmocka_unit_test(test_later_bytes),
	};

	return cmocka_run_group_tests(tests, tunnels_begin, tunnels_end);
}
