/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is said to depend on a flow's key alone does: packets with the same key get the same answer,
 * whatever else is in them.
 */
#include "tests/unit/graph_rig.h"

/* Kinds of packets, as classification has them. */
#define KIND_V6     1
#define KIND_TAGGED 2
#define KIND_UDP    4 /* 0: TCP */
#define KIND_OTHER  8 /* neither, nor SCTP */
#define KIND_CNT    12

static void know(struct graph_facts *facts, uint32_t at, uint8_t known, uint8_t value)
{
	facts->known[at] = known;
	facts->value[at] = value;
}

static void make_kind(uint8_t kind, struct graph_facts *facts)
{
	bool v6 = kind & KIND_V6;
	uint32_t l3 = kind & KIND_TAGGED ? 18 : 14, l4 = l3 + (v6 ? 40 : 20);
	uint32_t proto_at = l3 + (v6 ? 6 : 9);

	memset(facts, 0, sizeof(*facts));
	facts->len = l4 + (kind & KIND_OTHER ? 0 : kind & KIND_UDP ? 8 : 20);
	know(facts, 12, 0xff, 0x81);
	know(facts, 13, 0xff, 0x00);
	if (kind & KIND_TAGGED)
		memset(&facts->keyed[14], 0xff, 2);
	know(facts, l3 - 2, 0xff, v6 ? 0x86 : 0x08);
	know(facts, l3 - 1, 0xff, v6 ? 0xdd : 0x00);
	know(facts, l3, v6 ? 0xf0 : 0xff, v6 ? 0x60 : 0x45);
	if (!v6) {
		know(facts, l3 + 6, 0x3f, 0);
		know(facts, l3 + 7, 0xff, 0);
	}
	memset(&facts->keyed[v6 ? l3 + 8 : l3 + 12], 0xff, v6 ? 32 : 8);
	if (kind & KIND_OTHER) {
		facts->keyed[proto_at] = 0xff;
		facts->other_at = proto_at;
		facts->other_cnt = 3;
		memcpy(facts->others, (uint8_t[]){6, 17, 132}, 3);
	} else {
		know(facts, proto_at, 0xff, kind & KIND_UDP ? 17 : 6);
		memset(&facts->keyed[l4], 0xff, 4);
	}
}

static bool keyed(const char *text, uint8_t kind)
{
	struct graph_facts facts;
	struct expression expression;
	uint32_t root;

	assert_int_equal(expression_compile(&expression, text, NULL), 0);
	assert_int_equal(graph_add(&graph, &expression, 0, &root), 0);
	expression_destroy(&expression);
	make_kind(kind, &facts);
	return graph_is_keyed(&graph, root, &facts);
}

static void test_keyed_known(void **state)
{
	static const struct {
		const char *text;
		uint8_t kind;
		bool keyed;
	} known[] = {
		{"", 0, true},
		{"tcp port 80", 0, true},
		{"udp port 53", 0, true},
		{"port 53 or portrange 1000-2000", KIND_UDP, true},
		{"host 1.2.3.4 and not port 22", 0, true},
		{"ip[6:2] & 0x1fff = 0", 0, true},
		{"ip[6:2] & 0x4000 = 0", 0, false},
		{"ip6", 0, true},
		{"vlan 3", 0, true},
		{"vlan 3 and tcp port 80", KIND_TAGGED, true},
		{"ip[12] & 0xf > 3", 0, true},
		{"(ip[12:4] ^ ip[16:4]) & 1 = 0", 0, true},
		{"tcp[13] & 2 != 0", 0, false},
		{"tcp[13] & 2 != 0", KIND_UDP, true},
		{"tcp[13] & 2 != 0", KIND_V6, true},
		{"udp[4:2] > 100", KIND_UDP, false},
		{"udp[4:2] > 100", 0, true},
		{"greater 100", 0, false},
		{"ip[1] = 3", 0, false},
		{"ip[1] = 3", KIND_V6, true},
		{"ip[8] < 5 and udp", 0, true},
		{"ip[8] < 5 and udp", KIND_UDP, false},
		{"ether host 00:11:22:33:44:55", 0, false},
		{"ether[100] = 1", 0, false},
		{"ip6 host fe80::1", KIND_V6 | KIND_UDP, true},
		{"ip6 proto 17", KIND_V6, true},
		{"icmp", KIND_OTHER, true},
		{"icmp[0] = 8", 0, true},
		{"ip protochain 17", KIND_UDP, false},
		{"tcp[(tcp[12]&0xf0)>>2:4] = 0x47455420", 0, false},
		{"tcp[(tcp[12]&0xf0)>>2:4] = 0x47455420", KIND_UDP, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (keyed(known[i].text, known[i].kind) != known[i].keyed)
			fail_msg("\"%s\", kind %u: not %d", known[i].text, known[i].kind,
				 known[i].keyed);
}

#define IS_KEYED(value, k) graph_is_keyed(&graph, make(GRAPH_EQ, value, number(k)), &facts)

/* What some packets are too short for, and what there are no facts of. */
static void test_keyed_ends(void **state)
{
	struct graph_facts facts = {.len = 60};

	(void)state;
	memset(facts.keyed, 0xff, sizeof(facts.keyed));
	assert_true(IS_KEYED(load(1, GRAPH_NONE, 59), 1));
	assert_false(IS_KEYED(load(1, GRAPH_NONE, 60), 1));
	assert_true(IS_KEYED(load(4, GRAPH_NONE, 56), 1));
	assert_false(IS_KEYED(load(4, GRAPH_NONE, 57), 1));
	assert_true(graph_is_keyed(&graph, fits(GRAPH_NONE, 60), &facts));
	assert_false(graph_is_keyed(&graph, fits(GRAPH_NONE, 61), &facts));
	facts.len = 200;
	assert_true(IS_KEYED(load(2, GRAPH_NONE, GRAPH_FACT_BYTES - 2), 1));
	assert_false(IS_KEYED(load(2, GRAPH_NONE, GRAPH_FACT_BYTES - 1), 1));
}

/* Values that the way of a packet selects. */
static void test_keyed_select(void **state)
{
	uint32_t key = load(1, GRAPH_NONE, 26), other = load(1, GRAPH_NONE, 15);
	uint32_t by_key = make(GRAPH_EQ, key, number(1)),
		 by_other = make(GRAPH_EQ, other, number(1));
	uint32_t known = make(GRAPH_EQ, load(1, GRAPH_NONE, 14), number(0x45));
	struct graph_facts facts;

	(void)state;
	make_kind(0, &facts);
	assert_true(IS_KEYED(choose(by_key, number(1), number(2)), 1));
	assert_false(IS_KEYED(choose(by_other, number(1), number(2)), 1));
	assert_false(IS_KEYED(choose(by_key, number(1), other), 1));
	assert_true(IS_KEYED(choose(known, number(1), other), 1));
	assert_false(IS_KEYED(choose(known, other, number(1)), 1));
	/* bit 0 is the same either way */
	assert_true(
		IS_KEYED(make(GRAPH_AND, choose(by_other, number(3), number(5)), number(1)), 1));
}

/* A packet of which the facts hold. */
static uint32_t packet_of(const struct graph_facts *facts, uint8_t *data, uint32_t room)
{
	static const uint8_t common[] = {0, 1, 2, 4, 6, 8, 17, 53, 80, 100, 168, 192, 255};
	uint32_t len =
		facts->len + (maker_below(&maker, 2) ? maker_below(&maker, 4)
						     : maker_below(&maker, room - facts->len));

	for (uint32_t i = 0; i < len; i++) {
		data[i] = maker_below(&maker, 2) ? MAKER_PICK(&maker, common)
						 : (uint8_t)maker_below(&maker, 256);
		if (i < GRAPH_FACT_BYTES)
			data[i] = (uint8_t)((data[i] & ~facts->known[i]) |
					    (facts->value[i] & facts->known[i]));
	}
	if (facts->other_cnt && memchr(facts->others, data[facts->other_at], facts->other_cnt))
		data[facts->other_at] = 1; /* ICMP */
	return len;
}

/* Packets with the same key get the same answer. */
static void check_keyed(const struct expression *expression, const char *text,
			const struct graph_facts *facts, uint8_t kind)
{
	uint8_t one[400], two[400];

	for (uint32_t n = 0; n < 24; n++) {
		uint32_t len_one = packet_of(facts, one, sizeof(one));
		uint32_t len_two = packet_of(facts, two, sizeof(two));
		bool is_one, is_two;

		for (uint32_t i = 0; i < len_one && i < len_two && i < GRAPH_FACT_BYTES; i++)
			two[i] =
				(uint8_t)((two[i] & ~facts->keyed[i]) | (one[i] & facts->keyed[i]));
		is_one = expression_match(expression, one, len_one, len_one);
		is_two = expression_match(expression, two, len_two + n, len_two);
		if (is_one != is_two)
			fail_msg("\"%s\", kind %u: not the same answer for the same key", text,
				 kind);
	}
}

static void test_keyed_random(void **state)
{
	size_t keyed_cnt = 0, all_cnt = 0;

	(void)state;
	for (size_t i = 0; i < test_scale(3000) + EXPRESSION_CNT; i++) {
		const char *text = i < EXPRESSION_CNT ? expressions[i] : maker_expression(&maker);
		struct expression expression;
		uint32_t root;

		if (expression_compile(&expression, text, NULL))
			continue;
		assert_int_equal(graph_add(&graph, &expression, 0, &root), 0);
		for (uint8_t kind = 0; kind < KIND_CNT; kind++) {
			struct graph_facts facts;

			make_kind(kind, &facts);
			all_cnt++;
			if (!graph_is_keyed(&graph, root, &facts))
				continue;
			keyed_cnt++;
			check_keyed(&expression, text, &facts, kind);
		}
		expression_destroy(&expression);
		graph_destroy(&graph);
		graph_init(&graph);
	}
	print_message("  %zu of %zu depend on the key alone\n", keyed_cnt, all_cnt);
	assert_true(keyed_cnt > all_cnt / 2);
}

/* Facts that nobody has, so that single bits count. */
static void test_keyed_bits(void **state)
{
	size_t keyed_cnt = 0;

	(void)state;
	for (size_t i = 0; i < test_scale(6000); i++) {
		struct sock_filter *insns = calloc(MAKER_INSNS_MAX, sizeof(*insns));
		struct expression expression = {.insns = (struct bpf_insn *)insns};
		struct graph_facts facts = {.len = 20 + maker_below(&maker, 100)};
		uint32_t root;

		assert_non_null(insns);
		expression.insn_cnt = maker_program(&maker, insns);
		for (uint32_t n = 0; n < GRAPH_FACT_BYTES; n++) {
			facts.known[n] = (uint8_t)corpus_random(&maker.random);
			facts.value[n] = (uint8_t)corpus_random(&maker.random);
			facts.keyed[n] = (uint8_t)(corpus_random(&maker.random) |
						   corpus_random(&maker.random) | 0x55);
		}
		assert_int_equal(graph_add(&graph, &expression, 0, &root), 0);
		if (root > 1 && graph_is_keyed(&graph, root, &facts)) {
			keyed_cnt++;
			check_keyed(&expression, "program", &facts, 0);
		}
		expression_destroy(&expression);
		graph_destroy(&graph);
		graph_init(&graph);
	}
	print_message("  %zu programs depend on the key alone\n", keyed_cnt);
	assert_true(keyed_cnt > test_scale(50));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keyed_known, create, destroy),
		cmocka_unit_test_setup_teardown(test_keyed_ends, create, destroy),
		cmocka_unit_test_setup_teardown(test_keyed_select, create, destroy),
		cmocka_unit_test_setup_teardown(test_keyed_random, create, destroy),
		cmocka_unit_test_setup_teardown(test_keyed_bits, create, destroy),
	};

	print_message("seed %#llx\n", SEED);
	maker_init(&maker, SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
