/* SPDX-License-Identifier: BSD-2-Clause */
/* Flow hashes and steering methods: symmetry, fragments, seeds, and how evenly members are used. */
#include "steering/method.h"
#include "steering/roster.h"
#include "tests/packet_builder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEED  0x0123456789abcdefULL
#define FLOWS 100000

static uint64_t random_state;

/* splitmix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators" */
static uint64_t random_next(void)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static void random_fill(uint8_t *to, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)random_next();
}

struct hashes {
	uint32_t flow, ip_pair;
};

static struct hashes hashes_of(struct packet_builder *b, uint64_t seed)
{
	struct xfq_meta meta;
	struct parse_key key;
	struct packet pkt = {.data = b->bytes, .meta = &meta, .len = b->len};

	parse_packet(NULL, b->bytes, b->bytes + b->len, b->len, &meta, &key);
	assert_false(meta.flags & XFQ_META_MALFORMED);
	meta.flow_hash = flow_hash(&meta, &key, b->bytes, b->bytes + b->len, seed);
	return (struct hashes){meta.flow_hash, method_hash_ip_pair(&pkt, seed)};
}

static void swap_bytes(uint8_t *a, uint32_t bytes)
{
	uint8_t first[16];

	memcpy(first, a, bytes);
	memcpy(a, a + bytes, bytes);
	memcpy(a + bytes, first, bytes);
}

/* Make it a packet of the other direction. */
static void turn_round(struct packet_builder *b)
{
	bool v6 = b->l3 && b->bytes[b->l3] >> 4 == 6;

	swap_bytes(b->bytes, 6);
	if (b->l3)
		swap_bytes(b->bytes + b->l3 + (v6 ? 8 : 12), v6 ? 16 : 4);
	if (b->l4)
		swap_bytes(b->bytes + b->l4, 2);
}

enum shape { SHAPE_V4, SHAPE_V6, SHAPE_LINK, SHAPE_CNT };

/* A packet of a flow that is random in every part. */
static void random_flow(struct packet_builder *b, enum shape shape)
{
	packet_start(b);
	if (shape == SHAPE_LINK) {
		random_fill(b->bytes, 12);
		packet_type(b, 0x0806);
		packet_payload(b, 28);
		return;
	}
	if (shape == SHAPE_V4) {
		packet_ipv4(b, (uint32_t)random_next(), (uint32_t)random_next(), 0);
	} else {
		packet_ipv6(b, 0, 0);
		random_fill(b->bytes + b->l3 + 8, 32);
	}
	switch (random_next() % 3) {
	case 0:
		packet_tcp(b, random_next() & 0xffff, random_next() & 0xffff, 0);
		break;
	case 1:
		packet_udp(b, random_next() & 0xffff, random_next() & 0xffff);
		break;
	default:
		packet_sctp(b, random_next() & 0xffff, random_next() & 0xffff);
	}
	packet_finish(b);
}

static void test_symmetry(void **state)
{
	struct packet_builder b;

	(void)state;
	for (uint32_t i = 0; i < 30000; i++) {
		uint64_t seed = random_next();
		struct hashes there, back;

		random_flow(&b, (enum shape)(i % SHAPE_CNT));
		there = hashes_of(&b, seed);
		turn_round(&b);
		back = hashes_of(&b, seed);
		assert_int_equal(there.flow, back.flow);
		assert_int_equal(there.ip_pair, back.ip_pair);
	}
}

/* Each part of the key alone makes another flow: changing one bit of it changes the hash. */
static void test_parts(void **state)
{
	struct packet_builder b;
	uint32_t same = 0;

	(void)state;
	for (uint32_t i = 0; i < 3000; i++) {
		enum shape shape = (enum shape)(i % SHAPE_CNT);
		uint32_t at, bytes;
		struct hashes before, after;

		random_flow(&b, shape);
		before = hashes_of(&b, SEED);
		at = shape == SHAPE_V4 ? b.l3 + 12 : shape == SHAPE_V6 ? b.l3 + 8 : 0;
		bytes = shape == SHAPE_V4 ? 8 : shape == SHAPE_V6 ? 32 : 12;
		for (uint32_t bit = 0; bit < bytes * 8; bit++) {
			b.bytes[at + bit / 8] ^= (uint8_t)(1U << bit % 8);
			after = hashes_of(&b, SEED);
			b.bytes[at + bit / 8] ^= (uint8_t)(1U << bit % 8);
			same += after.flow == before.flow;
			same += after.ip_pair == before.ip_pair;
		}
		for (uint32_t bit = 0; b.l4 && bit < 32; bit++) {
			b.bytes[b.l4 + bit / 8] ^= (uint8_t)(1U << bit % 8);
			after = hashes_of(&b, SEED);
			b.bytes[b.l4 + bit / 8] ^= (uint8_t)(1U << bit % 8);
			same += after.flow == before.flow;
			assert_int_equal(after.ip_pair, before.ip_pair);
		}
	}
	/* about 900,000 pairs of 32-bit hashes: two alike would be rare already */
	assert_in_range(same, 0, 2);
}

static void test_protocol(void **state)
{
	struct packet_builder tcp, udp;

	(void)state;
	packet_start(&tcp);
	packet_ipv4(&tcp, 1, 2, 0);
	udp = tcp;
	packet_tcp(&tcp, 1000, 80, 0);
	packet_finish(&tcp);
	packet_udp(&udp, 1000, 80);
	packet_finish(&udp);
	assert_int_not_equal(hashes_of(&tcp, SEED).flow, hashes_of(&udp, SEED).flow);
	assert_int_equal(hashes_of(&tcp, SEED).ip_pair, hashes_of(&udp, SEED).ip_pair);
}

/* A packet without IP has no pair of addresses: both methods take the MAC addresses. */
static void test_link(void **state)
{
	struct packet_builder b;
	struct hashes arp;

	(void)state;
	random_flow(&b, SHAPE_LINK);
	arp = hashes_of(&b, SEED);
	assert_int_equal(arp.flow, arp.ip_pair);
	packet_type(&b, 0x88cc);
	assert_int_not_equal(hashes_of(&b, SEED).flow, arp.flow);
}

/* --- fragments ---------------------------------------------------------------------------------
 */

/* The fragment that begins at `offset` (units of 8 bytes) of a UDP datagram; in IPv6, the part that
 * is fragmented begins with an extension header of type `inner` where that is not 0. */
static void make_fragment(struct packet_builder *b, bool v6, uint8_t inner, uint32_t offset,
			  bool more)
{
	packet_start(b);
	if (v6) {
		packet_ipv6(b, 1, 2);
		packet_fragment6(b, offset, more);
	} else {
		packet_ipv4(b, 0x0a000001, 0x0a000002, 0);
		packet_fragment4(b, offset, more);
	}
	if (offset == 0) {
		if (inner)
			packet_extension(b, inner, 16);
		packet_udp(b, 1000, 53);
	} else {
		b->bytes[b->next_at] = inner ? inner : 17;
	}
	packet_payload(b, 64);
	packet_finish(b);
}

static void test_fragments(void **state)
{
	static const uint8_t inners[] = {0, 0, 60, 51};
	struct packet_builder b;

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct hashes first, later;

		make_fragment(&b, i > 0, inners[i], 0, true);
		first = hashes_of(&b, SEED);
		for (uint32_t offset = 1; offset < 8000; offset += 999) {
			make_fragment(&b, i > 0, inners[i], offset, offset < 7000);
			later = hashes_of(&b, SEED);
			assert_int_equal(later.flow, first.flow);
			assert_int_equal(later.ip_pair, first.ip_pair);
			turn_round(&b);
			assert_int_equal(hashes_of(&b, SEED).flow, first.flow);
		}
	}
}

/* A fragment that is all of its datagram belongs to the flow of the unfragmented ones. */
static void test_atomic_fragment(void **state)
{
	struct packet_builder atomic, whole;

	(void)state;
	make_fragment(&atomic, true, 0, 0, false);
	packet_start(&whole);
	packet_ipv6(&whole, 1, 2);
	packet_udp(&whole, 1000, 53);
	packet_finish(&whole);
	assert_int_equal(hashes_of(&atomic, SEED).flow, hashes_of(&whole, SEED).flow);
}

/* --- buckets and members ---------------------------------------------------------------------- */

/*
 * Hashes must fall into buckets as chance would have it. Over 4,095 degrees of freedom chi-square
 * has mean 4,095 and standard deviation 90.5; the bound is six of those above. A regular input may
 * be spread more evenly than chance, which is no fault.
 */
static void check_buckets(const char *name, const uint32_t *cnt, uint32_t flows)
{
	double expected = (double)flows / ROSTER_BUCKETS, chi = 0;

	for (uint32_t i = 0; i < ROSTER_BUCKETS; i++)
		chi += (cnt[i] - expected) * (cnt[i] - expected) / expected;
	if (chi > 4095 + 6 * 90.5)
		fail_msg("%s: chi-square %.0f over %u buckets", name, chi, ROSTER_BUCKETS);
}

/* No member is further from its share than six standard deviations of a Poisson count. */
static void check_members(const char *name, const uint32_t *cnt, uint32_t flows)
{
	struct roster roster = {.cnt = 0};

	assert_true(roster_join(&roster, &roster, 0, 1));
	for (uint32_t members = 2; members <= ROSTER_MEMBERS_MAX; members++) {
		uint32_t got[ROSTER_MEMBERS_MAX] = {0}, share[ROSTER_MEMBERS_MAX] = {0};

		assert_true(roster_join(&roster, &roster, (uint16_t)(members - 1), 1));
		for (uint32_t i = 0; i < ROSTER_BUCKETS; i++) {
			got[roster_by_hash(&roster, 0x5a5a5000 | i)] += cnt[i];
			share[roster.buckets[i]]++;
		}
		for (uint32_t m = 0; m < members; m++) {
			double expected = (double)flows * share[m] / ROSTER_BUCKETS;
			double off = got[m] - expected;

			if (off * off > 36 * expected)
				fail_msg("%s: member %u of %u has %u packets, its share is %.0f",
					 name, m, members, got[m], expected);
		}
	}
}

static void key_random(struct parse_key *key, uint32_t i)
{
	(void)i;
	random_fill((uint8_t *)key, sizeof(*key));
}

static void key_random_v4(struct parse_key *key, uint32_t i)
{
	(void)i;
	*key = (struct parse_key){.sport = (uint16_t)random_next(), .dport = 443};
	key->src[0] = (uint32_t)random_next();
	key->dst[0] = (uint32_t)random_next();
}

/* One client, one server, every source port in turn (and a second server). */
static void key_ports(struct parse_key *key, uint32_t i)
{
	*key = (struct parse_key){.sport = (uint16_t)i, .dport = 80};
	key->src[0] = __builtin_bswap32(0x0a000001);
	key->dst[0] = __builtin_bswap32(0x0a000002 + (i >> 16));
}

/* A scan: both ports move together; no two packets are the two directions of one flow. */
static void key_both_ports(struct parse_key *key, uint32_t i)
{
	*key = (struct parse_key){.sport = (uint16_t)(i % 1000),
				  .dport = (uint16_t)(1000 + i / 1000)};
	key->src[0] = key->dst[0] = __builtin_bswap32(0x0a000001);
}

static void key_addresses(struct parse_key *key, uint32_t i)
{
	*key = (struct parse_key){.sport = 1234, .dport = 80};
	key->src[0] = __builtin_bswap32(0x0a000000 + i);
	key->dst[0] = __builtin_bswap32(0xc0a80001);
}

/* Addresses of source and destination count up together, as generators do. */
static void key_pairs(struct parse_key *key, uint32_t i)
{
	*key = (struct parse_key){.sport = 1234, .dport = 1234};
	key->src[0] = __builtin_bswap32(0x0a000000 + i);
	key->dst[0] = __builtin_bswap32(0x0b000000 + i);
}

/* Networks, one host of each. */
static void key_networks(struct parse_key *key, uint32_t i)
{
	*key = (struct parse_key){.sport = 53, .dport = 53};
	key->src[0] = __builtin_bswap32(0x01000001 + (i << 8));
	key->dst[0] = __builtin_bswap32(0x08080808);
}

static void key_v6_hosts(struct parse_key *key, uint32_t i)
{
	*key = (struct parse_key){.sport = 1234, .dport = 80};
	key->src[0] = key->dst[0] = __builtin_bswap32(0x20010db8);
	key->src[3] = __builtin_bswap32(i);
	key->dst[3] = __builtin_bswap32(1);
}

static void key_v6_networks(struct parse_key *key, uint32_t i)
{
	*key = (struct parse_key){.sport = 1234, .dport = 80};
	key->src[0] = key->dst[0] = __builtin_bswap32(0x20010db8);
	key->src[1] = __builtin_bswap32(i);
	key->src[3] = key->dst[3] = __builtin_bswap32(1);
}

/* A provider's networks and high bytes of ports: bits that stand side by side in the key. */
static void key_v6_networks_ports(struct parse_key *key, uint32_t i)
{
	*key = (struct parse_key){.sport = (uint16_t)(i & 0xff00), .dport = 80};
	key->src[0] = key->dst[0] = __builtin_bswap32(0x20010db8);
	key->src[1] = __builtin_bswap32(i << 24 | i >> 16);
	key->src[3] = key->dst[3] = __builtin_bswap32(1);
}

static const struct {
	const char *name;
	void (*make)(struct parse_key *key, uint32_t i);
	bool v6;
} patterns[] = {
	{"random v6", key_random, true},
	{"random v4", key_random_v4, false},
	{"source ports", key_ports, false},
	{"both ports", key_both_ports, false},
	{"addresses", key_addresses, false},
	{"pairs of addresses", key_pairs, false},
	{"networks", key_networks, false},
	{"v6 hosts", key_v6_hosts, true},
	{"v6 networks", key_v6_networks, true},
	{"v6 networks and ports", key_v6_networks_ports, true},
};

#define PATTERN_CNT (sizeof(patterns) / sizeof(patterns[0]))

static void test_distribution(void **state)
{
	static const uint64_t seeds[] = {0, SEED, UINT64_MAX};

	(void)state;
	for (size_t p = 0; p < PATTERN_CNT; p++) {
		struct xfq_meta meta = {.l3_off = 14, .l4_proto = 6, .flags = XFQ_META_PORTS};

		meta.flags |= patterns[p].v6 ? XFQ_META_IPV6 : XFQ_META_IPV4;
		for (uint32_t s = 0; s < 3; s++) {
			uint32_t cnt[ROSTER_BUCKETS] = {0};
			struct parse_key key;

			for (uint32_t i = 0; i < FLOWS; i++) {
				patterns[p].make(&key, i);
				cnt[flow_hash(&meta, &key, NULL, NULL, seeds[s]) %
				    ROSTER_BUCKETS]++;
			}
			check_buckets(patterns[p].name, cnt, FLOWS);
			check_members(patterns[p].name, cnt, FLOWS);
		}
	}
}

/* Pairs of addresses alone, and MAC addresses that count up. */
static void test_distribution_others(void **state)
{
	uint32_t pairs[ROSTER_BUCKETS] = {0}, macs[ROSTER_BUCKETS] = {0};
	struct xfq_meta link = {.ethertype = 0x0806};
	struct parse_key key;
	uint8_t data[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 8, 6};

	(void)state;
	for (uint32_t i = 0; i < FLOWS; i++) {
		key_addresses(&key, i);
		pairs[flow_hash_ip_pair(&key, SEED) % ROSTER_BUCKETS]++;
		data[9] = (uint8_t)(i >> 16);
		data[10] = (uint8_t)(i >> 8);
		data[11] = (uint8_t)i;
		macs[flow_hash(&link, &key, data, data + 14, SEED) % ROSTER_BUCKETS]++;
	}
	check_buckets("address pairs", pairs, FLOWS);
	check_members("address pairs", pairs, FLOWS);
	check_buckets("MAC addresses", macs, FLOWS);
	check_members("MAC addresses", macs, FLOWS);
}

/* Flows that meet in one member under one seed are spread again under another. */
static void test_seeds(void **state)
{
	struct xfq_meta meta = {
		.l3_off = 14, .l4_proto = 6, .flags = XFQ_META_PORTS | XFQ_META_IPV4};
	uint32_t cnt[ROSTER_BUCKETS] = {0}, chosen = 0;
	struct parse_key key;

	(void)state;
	for (uint32_t i = 0; i < 64 * FLOWS; i++) {
		key_ports(&key, i);
		if (flow_hash(&meta, &key, NULL, NULL, SEED) % 64 != 0)
			continue;
		chosen++;
		cnt[flow_hash(&meta, &key, NULL, NULL, SEED ^ 1) % ROSTER_BUCKETS]++;
	}
	assert_in_range(chosen, FLOWS / 2, FLOWS * 2);
	check_buckets("another seed", cnt, chosen);
	check_members("another seed", cnt, chosen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symmetry),     cmocka_unit_test(test_parts),
		cmocka_unit_test(test_protocol),     cmocka_unit_test(test_link),
		cmocka_unit_test(test_fragments),    cmocka_unit_test(test_atomic_fragment),
		cmocka_unit_test(test_distribution), cmocka_unit_test(test_distribution_others),
		cmocka_unit_test(test_seeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
