/* SPDX-License-Identifier: BSD-2-Clause */
/* Fragments that follow their flow, in the first pass of user space; tests/bpf/test_state.c holds
 * the one in the kernel against it. */
#include "steering/flow.h"
#include "tests/packet_builder.h"
#include "xdp/first_pass.h"
#include "xdp/fragment.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SEED   0x0123456789abcdefULL
#define SECOND 1000000000ULL

enum part { WHOLE, FIRST, MIDDLE, LAST };

struct datagram {
	bool v6;
	uint8_t inner; /* IPv6: an extension header after the fragment's; 0: none */
	uint32_t id;
	uint16_t sport;
	bool back;
};

/* A part of a UDP datagram between two hosts. */
static void make_part(struct packet_builder *b, const struct datagram *d, enum part part)
{
	uint32_t ends[2] = {0x0a000001, 0x0a000002};
	uint32_t src = ends[d->back], dst = ends[!d->back];

	packet_start(b);
	if (d->v6) {
		packet_ipv6(b, (uint8_t)src, (uint8_t)dst);
		if (part != WHOLE) {
			packet_fragment6(b, part == FIRST ? 0 : part * 8U, part != LAST);
			/* the header's second half is the datagram's name */
			packet_put32(b, b->len - 4, d->id);
		}
	} else {
		packet_ipv4(b, src, dst, 0);
		if (part != WHOLE)
			packet_fragment4(b, part == FIRST ? 0 : part * 8U, part != LAST);
		packet_put16(b, b->l3 + 4, d->id);
	}
	if (part == WHOLE || part == FIRST) {
		if (d->inner)
			packet_extension(b, d->inner, 16);
		if (d->back)
			packet_udp(b, 53, d->sport);
		else
			packet_udp(b, d->sport, 53);
	} else {
		b->bytes[b->next_at] = d->inner ? d->inner : 17;
	}
	packet_payload(b, 64);
	packet_finish(b);
}

struct rig {
	struct filter filter;
	struct first_pass pass;
	uint64_t now_ns;
};

static void rig_create(struct rig *rig)
{
	filter_init(&rig->filter);
	rig->pass = (struct first_pass){.filter = &rig->filter, .hash_seed = SEED};
	rig->now_ns = 100 * SECOND;
}

static void rig_destroy(struct rig *rig)
{
	first_pass_destroy(&rig->pass);
	filter_destroy(&rig->filter);
}

static uint32_t rig_hash(struct rig *rig, const struct datagram *d, enum part part)
{
	struct packet_builder b;
	struct xfq_meta meta;

	make_part(&b, d, part);
	first_pass_run(&rig->pass, b.bytes, b.len, b.len, rig->now_ns, &meta);
	assert_false(meta.flags & XFQ_META_MALFORMED);
	assert_int_equal(!(meta.flags & XFQ_META_FRAGMENT), part == WHOLE);
	assert_int_equal(!(meta.flags & XFQ_META_PORTS), part == MIDDLE || part == LAST);
	assert_int_not_equal(meta.flow_hash, 0);
	return meta.flow_hash;
}

static const struct datagram kinds[] = {
	{.v6 = false, .id = 7, .sport = 1000},
	{.v6 = true, .id = 0x12345678, .sport = 1000},
	{.v6 = true, .inner = 60, .id = 0x80000001, .sport = 1000},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* All parts of a datagram, the packets of its flow that are whole, and both directions. */
static void test_follow(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < KINDS; i++) {
		struct datagram d = kinds[i], back = kinds[i];
		struct rig rig;
		uint32_t hash;

		rig_create(&rig);
		back.back = true;
		hash = rig_hash(&rig, &d, WHOLE);
		assert_int_equal(rig_hash(&rig, &d, FIRST), hash);
		assert_int_equal(rig_hash(&rig, &d, LAST), hash);
		assert_int_equal(rig_hash(&rig, &d, MIDDLE), hash);
		assert_int_equal(rig_hash(&rig, &back, WHOLE), hash);
		assert_int_equal(rig_hash(&rig, &back, FIRST), hash);
		assert_int_equal(rig_hash(&rig, &back, MIDDLE), hash);
		assert_int_equal(rig.pass.counters.fragments, 5);
		assert_int_equal(rig.pass.counters.orphans, 0);
		rig_destroy(&rig);
	}
}

/* Datagrams of different flows under way at the same time, between the same hosts. */
static void test_many(void **state)
{
	enum { CNT = 5000 };
	static uint32_t hashes[CNT];
	struct rig rig;

	(void)state;
	rig_create(&rig);
	for (uint32_t i = 0; i < CNT; i++) {
		struct datagram d = {.v6 = i % 2, .id = i, .sport = (uint16_t)(i / 2 + 1)};

		hashes[i] = rig_hash(&rig, &d, FIRST);
	}
	for (uint32_t i = 0; i < CNT; i++) {
		struct datagram d = {.v6 = i % 2, .id = i, .sport = (uint16_t)(i / 2 + 1)};

		assert_int_equal(rig_hash(&rig, &d, i % 3 ? MIDDLE : LAST), hashes[i]);
		assert_int_equal(rig_hash(&rig, &d, WHOLE), hashes[i]);
	}
	assert_int_equal(rig.pass.counters.orphans, 0);
	rig_destroy(&rig);
}

/* One that overtakes its first fragment is an orphan; all stay together, by addresses. */
static void test_overtaken(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < KINDS; i++) {
		struct datagram d = kinds[i];
		struct rig rig;
		uint32_t hash;

		rig_create(&rig);
		hash = rig_hash(&rig, &d, LAST);
		assert_int_equal(rig.pass.counters.orphans, 1);
		assert_int_not_equal(hash, rig_hash(&rig, &d, WHOLE));
		assert_int_equal(rig_hash(&rig, &d, FIRST), hash);
		assert_int_equal(rig_hash(&rig, &d, MIDDLE), hash);
		assert_int_equal(rig.pass.counters.orphans, 1);
		/* the next one is on time */
		d.id++;
		hash = rig_hash(&rig, &d, FIRST);
		assert_int_equal(hash, rig_hash(&rig, &d, WHOLE));
		assert_int_equal(rig_hash(&rig, &d, MIDDLE), hash);
		rig_destroy(&rig);
	}
}

/* A name that is used again is another datagram: at once by its first fragment, and after a while
 * what was said of it is not believed any more. */
static void test_reused(void **state)
{
	struct datagram a = kinds[0], b = kinds[0];
	struct rig rig;
	uint32_t hash;

	(void)state;
	rig_create(&rig);
	b.sport = 2000;
	hash = rig_hash(&rig, &a, FIRST);
	assert_int_not_equal(rig_hash(&rig, &b, FIRST), hash);
	assert_int_equal(rig_hash(&rig, &b, LAST), rig_hash(&rig, &b, WHOLE));
	rig.now_ns += FRAGMENT_LIFETIME_NS;
	assert_int_equal(rig_hash(&rig, &b, LAST), rig_hash(&rig, &b, WHOLE));
	assert_int_equal(rig.pass.counters.orphans, 0);
	rig.now_ns++;
	assert_int_not_equal(rig_hash(&rig, &b, LAST), rig_hash(&rig, &b, WHOLE));
	assert_int_equal(rig.pass.counters.orphans, 1);
	/* a clock that is a little behind is no matter */
	a.id++;
	hash = rig_hash(&rig, &a, FIRST);
	rig.now_ns -= 10 * SECOND;
	assert_int_equal(rig_hash(&rig, &a, LAST), hash);
	rig_destroy(&rig);
}

static void test_policies(void **state)
{
	static const enum xdp_orphan policies[] = {XDP_ORPHAN_DROP, XDP_ORPHAN_PASS};
	struct datagram d = kinds[0];
	struct packet_builder b;
	struct xfq_meta meta;
	struct rig rig;

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		enum xdp_verdict verdict = i ? XDP_VERDICT_PASS : XDP_VERDICT_DROP;
		struct first_pass_result result;

		rig_create(&rig);
		rig.filter.orphans = policies[i];
		make_part(&b, &d, LAST);
		result = first_pass_run(&rig.pass, b.bytes, b.len, b.len, rig.now_ns, &meta);
		assert_int_equal(result.verdict, verdict);
		assert_int_equal(result.action, verdict);
		assert_int_equal(result.rule, XFQ_RULE_DEFAULT);
		assert_int_equal(rig.pass.counters.orphans, 1);
		assert_int_equal(rig.pass.counters.rules[XDP_RULES_MAX].packets, 1);
		/* it has left no note */
		assert_int_equal(rig_hash(&rig, &d, FIRST), rig_hash(&rig, &d, WHOLE));
		assert_int_equal(rig_hash(&rig, &d, LAST), rig_hash(&rig, &d, WHOLE));
		rig_destroy(&rig);
	}
}

/* `fragments: ignore`: by addresses, all parts the same, and no orphans. */
static void test_ignored(void **state)
{
	struct datagram d = kinds[1];
	struct rig rig;
	uint32_t hash;

	(void)state;
	rig_create(&rig);
	rig.filter.fragments = false;
	hash = rig_hash(&rig, &d, FIRST);
	assert_int_equal(rig_hash(&rig, &d, LAST), hash);
	assert_int_not_equal(rig_hash(&rig, &d, WHOLE), hash);
	assert_int_equal(rig.pass.counters.fragments, 2);
	assert_int_equal(rig.pass.counters.orphans, 0);
	assert_null(rig.pass.state);
	rig_destroy(&rig);
}

/* Rules that ask for ports see the first fragment alone. */
static void test_port_rules(void **state)
{
	struct datagram d = kinds[0];
	struct packet_builder b;
	struct filter_rule *rule;
	struct xfq_meta meta;
	struct rig rig;

	(void)state;
	rig_create(&rig);
	rule = filter_add(&rig.filter, FILTER_DROP);
	rule->fields = FILTER_DPORT;
	rule->dport_lo = rule->dport_hi = 53;
	make_part(&b, &d, FIRST);
	assert_int_equal(first_pass_run(&rig.pass, b.bytes, b.len, b.len, 1, &meta).verdict,
			 XDP_VERDICT_DROP);
	make_part(&b, &d, LAST);
	assert_int_equal(first_pass_run(&rig.pass, b.bytes, b.len, b.len, 1, &meta).verdict,
			 XDP_VERDICT_STEER);
	rig_destroy(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_follow),     cmocka_unit_test(test_many),
		cmocka_unit_test(test_overtaken),  cmocka_unit_test(test_reused),
		cmocka_unit_test(test_policies),   cmocka_unit_test(test_ignored),
		cmocka_unit_test(test_port_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
