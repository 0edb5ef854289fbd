/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets as groups ask them, against sets as the first pass asks them: random sets of every type,
 * random packets, while members come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/packet_builder.h"
#include "workers/set_lookup.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 400

static unsigned int seed;
static uint64_t met_cnt; /* times that some packet was in the set */

static uint32_t pick(uint32_t below)
{
	return (uint32_t)rand_r(&seed) % below;
}

/* Few addresses and ports, so that packets and members meet. */
static uint32_t pick_address(void)
{
	return 0x0a000000 + pick(4) * 0x10000 + pick(3);
}

static uint32_t pick_port(void)
{
	return 1000 + pick(6);
}

static void make_packet(struct packet_builder *b)
{
	packet_start(b);
	for (uint32_t i = 0; i < 12; i++)
		b->bytes[i] = (uint8_t)(2 * pick(2));
	if (pick(4) == 0)
		packet_vlan(b, 0x8100, 7);
	if (pick(2))
		packet_ipv4(b, pick_address(), pick_address(), 0);
	else
		packet_ipv6(b, pick_address(), pick_address());
	if (pick(2))
		packet_udp(b, pick_port(), pick_port());
	else
		packet_tcp(b, pick_port(), pick_port(), 0);
	packet_payload(b, pick(20));
	packet_finish(b);
}

/* A member that some packet may meet. */
static struct set_member make_member(enum set_type type, const struct packet *pkt,
				     const struct parse_key *key)
{
	struct set_member member = {.expires_ns = pick(2) ? SET_FOREVER : 1 + pick(100)};
	bool v6 = pkt->meta->flags & XFQ_META_IPV6;

	switch (type) {
	case SET_NET:
	case SET_ADDRESS:
		memcpy(member.key.net.addr, pick(2) ? key->src : key->dst, v6 ? 16 : 4);
		member.key.net.v6 = v6;
		member.key.net.len =
			(uint8_t)(type == SET_ADDRESS ? (v6 ? 128 : 32) : pick(v6 ? 129 : 33));
		set_clear_host_bits(member.key.net.addr, member.key.net.len);
		break;
	case SET_PORT:
		member.key.ports.lo = (uint16_t)pick_port();
		member.key.ports.hi = (uint16_t)(member.key.ports.lo + pick(2));
		break;
	case SET_FLOW:
		flow_key_make(&member.key.flow, pkt->meta, key);
		break;
	case SET_MAC:
		memcpy(member.key.mac, pkt->data + 6 * pick(2), 6);
		break;
	}
	return member;
}

static void check_round(enum set_type type)
{
	static struct packet_builder built[PACKET_BURST];
	static struct xfq_meta metas[PACKET_BURST];
	struct parse_key keys[PACKET_BURST];
	struct packet pkts[PACKET_BURST];
	struct set_lookup lookup = {.set = {.type = type}}, copy = {.set = {.type = type}};
	uint64_t among = 0;

	for (uint32_t i = 0; i < PACKET_BURST; i++) {
		make_packet(&built[i]);
		pkts[i] = (struct packet){
			.data = built[i].bytes, .meta = &metas[i], .len = built[i].len};
		parse_packet(NULL, pkts[i].data, pkts[i].data + pkts[i].len, pkts[i].len, &metas[i],
			     &keys[i]);
		among |= (uint64_t)pick(2) << i;
	}
	for (uint32_t step = 0; step < 12; step++) {
		uint32_t i = pick(PACKET_BURST), fields = 1 + pick(3);
		struct set_member member = make_member(type, &pkts[i], &keys[i]);
		uint64_t in, wanted = 0;

		if (pick(3))
			assert_true(set_add(&lookup.set, &member) >= 0);
		else
			set_del(&lookup.set, &member.key);
		set_lookup_renew(&lookup);
		in = set_lookup_burst(&lookup, (uint8_t)fields, pkts, among);
		for (uint32_t p = 0; p < PACKET_BURST; p++) {
			const struct xdp_judged judged = {.meta = metas[p], .key = keys[p]};

			if (among >> p & 1)
				wanted |= (uint64_t)set_has(&lookup.set, (uint8_t)fields, &judged,
							    pkts[p].data, pkts[p].len)
					  << p;
		}
		assert_true(in == wanted);
		met_cnt += in != 0;
		set_lookup_destroy(&copy);
		copy.set.type = type;
		assert_int_equal(set_lookup_copy(&copy, &lookup.set), 0);
		assert_true(set_lookup_burst(&copy, (uint8_t)fields, pkts, among) == in);
	}
	set_lookup_destroy(&lookup);
	set_lookup_destroy(&copy);
}

static void test_like_the_first_pass(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++)
		for (int type = SET_NET; type <= SET_MAC; type++)
			check_round((enum set_type)type);
	assert_true(met_cnt > ROUNDS);
}

/* A member that has expired is one until it is taken out. */
static void test_expired(void **state)
{
	struct set_lookup lookup = {.set = {.type = SET_ADDRESS}};
	struct set_member member;
	struct packet_builder b;
	struct parse_key key;
	struct xfq_meta meta;
	struct packet pkt = {.data = b.bytes, .meta = &meta};

	(void)state;
	packet_start(&b);
	packet_ipv4(&b, 0x0a000001, 0x0a000002, 0);
	packet_udp(&b, 1, 2);
	packet_finish(&b);
	pkt.len = b.len;
	parse_packet(NULL, b.bytes, b.bytes + b.len, b.len, &meta, &key);
	assert_int_equal(set_parse_member(SET_ADDRESS, &member, "10.0.0.1", NULL), 0);
	member.expires_ns = 1;
	assert_int_equal(set_add(&lookup.set, &member), 1);
	set_lookup_renew(&lookup);
	assert_int_equal(set_lookup_burst(&lookup, XDP_FIELD_SRC, &pkt, 1), 1);
	assert_int_equal(set_lookup_burst(&lookup, XDP_FIELD_DST, &pkt, 1), 0);
	assert_true(set_del(&lookup.set, &member.key));
	set_lookup_renew(&lookup);
	assert_int_equal(set_lookup_burst(&lookup, XDP_FIELD_SRC, &pkt, 1), 0);
	set_lookup_destroy(&lookup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_the_first_pass),
		cmocka_unit_test(test_expired),
	};
	const char *given = getenv("XFQ_TEST_SEED");

	seed = given ? (unsigned int)strtoul(given, NULL, 10) : (unsigned int)time(NULL);
	printf("XFQ_TEST_SEED=%u\n", seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
