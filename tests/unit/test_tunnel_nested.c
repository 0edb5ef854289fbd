/* SPDX-License-Identifier: BSD-2-Clause */
/* Inner packets: encapsulations in one another, bursts of them, and bytes that are wrong. */
#include "tests/scale.h"
#include "tests/unit/tunnel_rig.h"
#include <time.h>

static uint64_t random_state;

/* splitmix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators" */
static uint64_t random_next(void)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static void random_begin(void)
{
	const char *seed = getenv("XFQ_TEST_SEED");

	random_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	print_message("XFQ_TEST_SEED=%llu\n", (unsigned long long)random_state);
}

/* --- in one another ----------------------------------------------------------------------------
 */

static void test_depth(void **state)
{
	static struct nest n;

	(void)state;
	for (uint32_t deep = 1; deep <= 20; deep++) {
		struct tunnel_inner inner;
		struct sample s;
		uint32_t wanted = deep < TUNNEL_DEPTH_MAX ? deep : TUNNEL_DEPTH_MAX;

		nest_start(&n);
		for (uint32_t i = 0; i < deep; i++)
			nest_ip(&n, i & 1 ? 4 : 6, false);
		nest_inside(&n, 4, false, false, 8);
		assert_int_equal(nest_found(&n, n.b.len, n.b.len), wanted);
		sample_make(&s, n.b.bytes, n.b.len, n.b.len, 1);
		tunnel_find(s.pkt.data, s.pkt.len, &s.meta, &inner);
		assert_int_equal(inner.path.cnt, wanted);
		sample_free(&s);
	}
	for (uint32_t tags = 1; tags <= 12; tags++) {
		nest_start(&n);
		for (uint32_t i = 0; i < tags; i++)
			nest_vlan(&n, 0x8100, i + 1);
		nest_inside(&n, 6, false, false, 8);
		assert_int_equal(nest_found(&n, n.b.len, n.b.len),
				 tags > 2 && tags <= TUNNEL_DEPTH_MAX);
	}
	for (uint32_t labels = 1; labels <= 20; labels++) {
		nest_start(&n);
		nest_mpls(&n, labels, false);
		nest_inside(&n, 6, false, false, 8);
		assert_int_equal(nest_found(&n, n.b.len, n.b.len), labels <= 16);
	}
}

/* Some encapsulations, one in the other. */
static void nest_random(struct nest *n)
{
	uint32_t layers = 1 + (uint32_t)(random_next() % 6);
	bool teredo = false;

	nest_start(n);
	for (uint32_t i = 0; i < layers && !teredo; i++) {
		const struct wrap *wrap = &wraps[random_next() % WRAP_CNT];
		bool frame = n->next == NEST_ETHERTYPE &&
			     n->next_at == n->packets[n->packet_cnt - 1].off + 12 + 4 * n->tags;

		/* what is no IP needs a frame around it, whose tags are not too many already,
		 * and that is not behind labels */
		if (!(wrap->flags & WRAP_IP) && (!frame || n->tags || n->labelled))
			continue;
		if ((n->tags || !frame) && wrap->make == wrap_ipip_tagged)
			continue;
		wrap->make(n, random_next() & 1 ? 6 : 4, random_next() & 1);
		teredo = wrap->flags & WRAP_TEREDO;
	}
	nest_inside(n, teredo || random_next() & 1 ? 6 : 4, teredo, random_next() & 1,
		    (uint32_t)(random_next() % 100));
}

static void test_nested(void **state)
{
	static struct nest n;
	uint32_t deepest = 0;

	(void)state;
	random_begin();
	for (size_t round = 0; round < test_scale(20000); round++) {
		uint32_t wanted, found, len;

		nest_random(&n);
		wanted = nest_innermost(&n, n.b.len);
		found = nest_found(&n, n.b.len, n.b.len);
		if (found != wanted)
			fail_msg("round %zu: packet %u of %u, wanted %u", round, found,
				 n.packet_cnt, wanted);
		deepest = n.packets[found].paths > deepest ? n.packets[found].paths : deepest;
		len = (uint32_t)(random_next() % (n.b.len + 1));
		wanted = nest_innermost(&n, len);
		found = nest_found(&n, len, n.b.len);
		if (found != wanted)
			fail_msg("round %zu, %u of %u bytes: packet %u of %u, wanted %u", round,
				 len, n.b.len, found, n.packet_cnt, wanted);
	}
	assert_int_equal(deepest, TUNNEL_DEPTH_MAX);
}

/* Whatever bytes are wrong: nothing outside is read, and what is shown lies in the packet. */
static void test_random_bytes(void **state)
{
	static struct nest n;

	(void)state;
	random_begin();
	for (size_t round = 0; round < test_scale(100000); round++) {
		struct packet shown;
		struct sample s;
		uint32_t len, off, head;

		nest_random(&n);
		for (uint32_t i = (uint32_t)(random_next() % 8) + 1; i > 0; i--)
			n.b.bytes[random_next() % n.b.len] = (uint8_t)random_next();
		len = random_next() & 1 ? n.b.len : (uint32_t)(random_next() % (n.b.len + 1));
		sample_make(&s, n.b.bytes, len, random_next() & 1 ? len : n.b.len, 1);
		if (tunnels_burst(tunnels, SEED, &s.pkt, 1, &shown) && shown.data != s.pkt.data) {
			struct tunnel_inner inner;

			tunnel_find(s.pkt.data, len, &s.meta, &inner);
			off = inner.off;
			head = inner.ethertype ? 14 : 0;
			assert_true(off >= 14 && off < len);
			assert_true(shown.len - head <= len - off);
			assert_memory_equal(shown.data + head, s.pkt.data + off, shown.len - head);
			assert_true(shown.meta->wire_len >= shown.len);
			assert_true(shown.meta->l4_off < shown.len || !shown.meta->l4_off);
			assert_true(shown.meta->payload_off <= shown.len);
			assert_false(shown.meta->flags & XFQ_META_MALFORMED);
		}
		sample_free(&s);
	}
}

/* --- bursts ------------------------------------------------------------------------------------
 */

/* A whole burst keeps its packets apart; of those that are copied only as much as is wanted. */
static void test_burst(void **state)
{
	static struct nest nests[PACKET_BURST];
	static struct sample samples[PACKET_BURST];
	struct packet pkts[PACKET_BURST], shown[PACKET_BURST];
	uint64_t wanted = 0;

	(void)state;
	random_begin();
	for (uint32_t round = 0; round < 20; round++, wanted = 0) {
		struct tunnels *some = tunnels_create(round % 2 ? 0 : UINT32_MAX);

		assert_non_null(some);
		for (uint32_t i = 0; i < PACKET_BURST; i++) {
			nest_random(&nests[i]);
			sample_make(&samples[i], nests[i].b.bytes, nests[i].b.len, nests[i].b.len,
				    i);
			pkts[i] = samples[i].pkt;
			wanted |= (uint64_t)(nest_innermost(&nests[i], nests[i].b.len) > 0) << i;
		}
		assert_true(tunnels_burst(some, SEED, pkts, PACKET_BURST, shown) == wanted);
		for (uint32_t i = 0; i < PACKET_BURST; i++) {
			uint32_t number = nest_innermost(&nests[i], nests[i].b.len);

			if (number && round % 2 == 0)
				check_shown(&nests[i], number, &samples[i], &shown[i]);
			else if (number && nests[i].packets[number].ethertype)
				assert_memory_equal(shown[i].data + 14,
						    nests[i].b.bytes + nests[i].packets[number].off,
						    20);
			if (!number)
				assert_ptr_equal(shown[i].data, pkts[i].data);
		}
		for (uint32_t i = 0; i < PACKET_BURST; i++)
			sample_free(&samples[i]);
		tunnels_destroy(some);
	}
	tunnels_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_burst),
	};

	return cmocka_run_group_tests(tests, tunnels_begin, tunnels_end);
}
