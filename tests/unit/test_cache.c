/* SPDX-License-Identifier: BSD-2-Clause */
/* The flow cache and its keys: what is found again, what gives way, when it is left alone. */
#include "steering/cache.h"
#include "steering/parse.h"
#include "tests/packet_builder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FLOWS 1024

static uint64_t random_state = 1;

static uint32_t random_word(void)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 32);
}

/* Where a key is found: by either of its places. */
static const struct cache_entry *find(const struct cache *cache, uint32_t hash,
				      const struct shape_key *key)
{
	const struct cache_entry *entry = cache_first(cache, hash, key);

	if (cache_has(cache, entry, key))
		return entry;
	entry = cache_second(cache, hash, key);
	return cache_has(cache, entry, key) ? entry : NULL;
}

static struct shape_key flow_key(uint32_t flow)
{
	return (struct shape_key){.addresses = {flow * 2654435761u}, .rest = flow};
}

static uint32_t flow_hash_of(uint32_t flow)
{
	return flow * 0x9e3779b1u + 12345;
}

static void test_found_again(void **state)
{
	struct cache cache;
	uint32_t found = 0;

	(void)state;
	assert_int_equal(cache_init(&cache, FLOWS), 0);
	for (uint32_t flow = 0; flow < FLOWS / 4; flow++) {
		struct shape_key key = flow_key(flow);
		struct cache_answer answer = {.hits = flow, .outcomes = {(uint16_t)flow}};

		assert_null(find(&cache, flow_hash_of(flow), &key));
		cache_put(&cache, flow_hash_of(flow), &key, &answer);
		assert_non_null(find(&cache, flow_hash_of(flow), &key));
	}
	for (uint32_t flow = 0; flow < FLOWS / 4; flow++) {
		struct shape_key key = flow_key(flow);
		const struct cache_entry *entry = find(&cache, flow_hash_of(flow), &key);

		if (!entry)
			continue;
		found++;
		assert_int_equal(entry->answer.hits, flow);
		assert_int_equal(entry->answer.outcomes[0], flow);
	}
	/* a quarter full, with two places for each: hardly any has given way */
	assert_true(found >= FLOWS / 4 * 95 / 100);
	cache_flush(&cache);
	for (uint32_t flow = 0; flow < FLOWS / 4; flow++) {
		struct shape_key key = flow_key(flow);

		assert_null(find(&cache, flow_hash_of(flow), &key));
	}
	cache_destroy(&cache);
}

/* Whatever is put and forgotten, an answer is the last one of its key. */
static void test_never_wrong(void **state)
{
	uint64_t last[4 * FLOWS] = {0};
	struct cache cache;
	uint32_t hits = 0;

	(void)state;
	assert_int_equal(cache_init(&cache, FLOWS), 0);
	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t flow = random_word() % (4 * FLOWS);
		struct shape_key key = flow_key(flow);
		const struct cache_entry *entry = find(&cache, flow_hash_of(flow), &key);
		struct cache_answer answer = {.hits = i + 1};

		if (entry)
			assert_int_equal(entry->answer.hits, last[flow]);
		hits += entry != NULL;
		if (random_word() % 1000 == 0) {
			cache_flush(&cache);
			continue;
		}
		if (entry)
			continue;
		cache_put(&cache, flow_hash_of(flow), &key, &answer);
		last[flow] = i + 1;
	}
	assert_true(hits > 1000);
	cache_destroy(&cache);
}

/* The number of an epoch that comes again is not the one of before. */
static void test_epochs_begin_again(void **state)
{
	struct shape_key key = flow_key(7);
	struct cache_answer answer = {.hits = 1};
	struct cache cache;

	(void)state;
	assert_int_equal(cache_init(&cache, 64), 0);
	cache_put(&cache, 9, &key, &answer);
	cache.epoch = UINT32_MAX;
	cache_flush(&cache);
	assert_int_equal(cache.epoch, 1);
	assert_null(find(&cache, 9, &key));
	cache_destroy(&cache);
}

static void test_left_alone(void **state)
{
	struct cache cache;
	uint32_t left_alone = 0;

	(void)state;
	assert_int_equal(cache_init(&cache, 0), 0);
	assert_false(cache_is_asked(&cache, 64));
	cache_destroy(&cache);
	assert_int_equal(cache_init(&cache, 64), 0);
	/* as long as half of what it is asked is there, it goes on */
	for (uint32_t i = 0; i < 4 * CACHE_WINDOW / 64; i++) {
		assert_true(cache_is_asked(&cache, 64));
		cache.asked += 64;
		cache.found += 32;
	}
	cache.found = 0;
	while (cache_is_asked(&cache, 64))
		cache.asked += 64;
	while (!cache_is_asked(&cache, 64))
		left_alone += 64;
	assert_int_equal(left_alone + 64, 8 * CACHE_WINDOW);
	cache_destroy(&cache);
}

/* --- keys ------------------------------------------------------------------------------------- */

static uint8_t memory[XFQ_META_BYTES + PACKET_BUILDER_BYTES] __attribute__((aligned(8)));

static uint8_t shape_of_bytes(struct packet_builder *b, uint8_t tcp_flags, struct shape_key *key)
{
	struct packet pkt = {.data = memory + XFQ_META_BYTES,
			     .meta = (struct xfq_meta *)(void *)memory,
			     .len = b->len};
	struct parse_key parsed;

	packet_finish(b);
	memcpy(pkt.data, b->bytes, b->len);
	parse_packet(NULL, pkt.data, pkt.data + pkt.len, pkt.len, pkt.meta, &parsed);
	memset(key, 0xa5, sizeof(*key));
	return shape_of(&pkt, tcp_flags, key);
}

static void test_shapes(void **state)
{
	(void)state;
	for (uint32_t shape = 0; shape < SHAPE_CNT; shape++) {
		struct shape_key key, other;
		struct packet_builder b;

		packet_start(&b);
		if (shape & SHAPE_TAGGED)
			packet_vlan(&b, 0x8100, 5);
		if (shape & SHAPE_V6)
			packet_ipv6(&b, 1, 2);
		else
			packet_ipv4(&b, 1, 2, 0);
		if (shape & SHAPE_OTHER)
			packet_icmp(&b);
		else if (shape & SHAPE_UDP)
			packet_udp(&b, 1000, 53);
		else
			packet_tcp(&b, 1000, 80, 0);
		packet_payload(&b, 20);
		assert_int_equal(shape_of_bytes(&b, 0, &key), shape);
		assert_int_equal(shape_of_key(&key), shape);
		assert_true(shape_key_same(&key, &key));
		/* payload and time to live are no part of it; a bit of an address is */
		b.bytes[b.l4 + 7] ^= 1;
		assert_int_equal(shape_of_bytes(&b, 0, &other), shape);
		assert_true(shape_key_same(&key, &other));
		b.bytes[b.l4 - 1] ^= 1;
		assert_int_equal(shape_of_bytes(&b, 0, &other), shape);
		assert_false(shape_key_same(&key, &other));
		b.bytes[b.l4 - 1] ^= 1;
		if (shape & SHAPE_TAGGED) {
			b.bytes[15] ^= 1;
			assert_int_equal(shape_of_bytes(&b, 0, &other), shape);
			assert_false(shape_key_same(&key, &other));
			b.bytes[15] ^= 1;
			b.bytes[12] = 0x88;
			b.bytes[13] = 0xa8;
			assert_int_equal(shape_of_bytes(&b, 0, &other), SHAPE_NONE);
		}
	}
}

static void test_tcp_flags(void **state)
{
	struct shape_key key, other;
	struct packet_builder b;

	(void)state;
	packet_start(&b);
	packet_ipv4(&b, 1, 2, 0);
	packet_tcp(&b, 1000, 80, 0);
	b.bytes[b.l4 + 13] = 0x10;
	assert_int_equal(shape_of_bytes(&b, SHAPE_FLAGS, &key), 0);
	b.bytes[b.l4 + 13] = 0x18;
	assert_int_equal(shape_of_bytes(&b, SHAPE_FLAGS, &other), 0);
	assert_true(shape_key_same(&key, &other));
	b.bytes[b.l4 + 13] = 0x12;
	assert_int_equal(shape_of_bytes(&b, SHAPE_FLAGS, &other), 0);
	assert_false(shape_key_same(&key, &other));
	assert_int_equal(shape_of_bytes(&b, 0, &key), 0);
	b.bytes[b.l4 + 13] = 0x02;
	assert_int_equal(shape_of_bytes(&b, 0, &other), 0);
	assert_true(shape_key_same(&key, &other));
}

static void expect_none(struct packet_builder *b)
{
	struct shape_key key;

	assert_int_equal(shape_of_bytes(b, SHAPE_FLAGS, &key), SHAPE_NONE);
}

static void test_no_shape(void **state)
{
	struct packet_builder b;

	(void)state;
	packet_start(&b);
	packet_type(&b, 0x0806);
	packet_payload(&b, 28);
	expect_none(&b);

	packet_start(&b);
	packet_ipv4(&b, 1, 2, 4);
	packet_udp(&b, 1, 2);
	expect_none(&b);

	packet_start(&b);
	packet_ipv4(&b, 1, 2, 0);
	packet_fragment4(&b, 0, true);
	packet_udp(&b, 1, 2);
	expect_none(&b);

	packet_start(&b);
	packet_ipv4(&b, 1, 2, 0);
	packet_sctp(&b, 1, 2);
	expect_none(&b);

	packet_start(&b);
	packet_vlan(&b, 0x8100, 5);
	packet_vlan(&b, 0x8100, 6);
	packet_ipv4(&b, 1, 2, 0);
	packet_udp(&b, 1, 2);
	expect_none(&b);

	packet_start(&b);
	packet_ipv6(&b, 1, 2);
	packet_extension(&b, 60, 8);
	packet_tcp(&b, 1, 2, 0);
	expect_none(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found_again),
		cmocka_unit_test(test_never_wrong),
		cmocka_unit_test(test_epochs_begin_again),
		cmocka_unit_test(test_left_alone),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_tcp_flags),
		cmocka_unit_test(test_no_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
