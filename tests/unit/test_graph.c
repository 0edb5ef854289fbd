/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Graphs: a node says what it was asked for, however it is put, and what is the same is one node.
 */
#include "tests/unit/graph_rig.h"

static void test_numbers(void **state)
{
	uint32_t x = load(4, GRAPH_NONE, 20), zero = number(0);

	(void)state;
	assert_int_equal(make(GRAPH_ADD, number(2), number(3)), number(5));
	assert_int_equal(make(GRAPH_SUB, number(2), number(3)), number(UINT32_MAX));
	assert_int_equal(make(GRAPH_DIV, number(7), zero), zero);
	assert_int_equal(make(GRAPH_MOD, number(7), zero), zero);
	assert_int_equal(make(GRAPH_LSH, number(7), number(32)), zero);
	assert_int_equal(make(GRAPH_RSH, x, number(32)), zero);
	assert_int_equal(make(GRAPH_ADD, zero, x), x);
	assert_int_equal(make(GRAPH_MUL, x, zero), zero);
	assert_int_equal(make(GRAPH_MUL, number(8), x), make(GRAPH_LSH, x, number(3)));
	assert_int_equal(make(GRAPH_DIV, x, number(8)), make(GRAPH_RSH, x, number(3)));
	assert_int_equal(make(GRAPH_MOD, x, number(8)), make(GRAPH_AND, x, number(7)));
	assert_int_equal(make(GRAPH_AND, make(GRAPH_AND, x, number(0xf0)), number(0x3c)),
			 make(GRAPH_AND, number(0x30), x));
	assert_int_equal(make(GRAPH_XOR, x, x), zero);
	assert_int_equal(make(GRAPH_SUB, x, x), zero);
	assert_int_equal(make(GRAPH_AND, load(1, GRAPH_NONE, 3), number(0xfff)),
			 load(1, GRAPH_NONE, 3));
	assert_int_equal(make(GRAPH_RSH, load(1, GRAPH_NONE, 3), number(8)), zero);
	assert_int_equal(load(2, number(7), 4), load(2, GRAPH_NONE, 11));
	assert_int_equal(load(4, GRAPH_NONE, UINT32_MAX - 3), zero);
}

static void test_comparisons(void **state)
{
	uint32_t x = load(1, GRAPH_NONE, 20), y = load(2, GRAPH_NONE, 30);
	uint32_t no = graph_node(&graph, &(struct graph_node){.op = GRAPH_FALSE});
	uint32_t yes = graph_node(&graph, &(struct graph_node){.op = GRAPH_TRUE});

	(void)state;
	assert_int_equal(make(GRAPH_EQ, x, number(300)), no);
	assert_int_equal(make(GRAPH_GT, x, number(255)), no);
	assert_int_equal(make(GRAPH_GE, x, number(0)), yes);
	assert_int_equal(make(GRAPH_GT, number(256), x), yes);
	assert_int_equal(make(GRAPH_EQ, y, x), make(GRAPH_EQ, x, y));
	assert_int_equal(make(GRAPH_GE, x, number(5)), make(GRAPH_GT, x, number(4)));
	assert_int_equal(make(GRAPH_GE, number(5), x), negate(make(GRAPH_GT, x, number(5))));
	assert_int_equal(make(GRAPH_GE, x, y), negate(make(GRAPH_GT, y, x)));
	assert_int_equal(make(GRAPH_GE, x, x), yes);
	assert_int_equal(make(GRAPH_GT, x, x), no);
	assert_int_equal(make(GRAPH_BITS, x, number(0x100)), no);
	assert_int_equal(make(GRAPH_BITS, x, number(0xff)), negate(make(GRAPH_EQ, x, number(0))));
	assert_int_equal(make(GRAPH_BITS, make(GRAPH_AND, x, number(3)), number(6)),
			 make(GRAPH_BITS, x, number(2)));
	assert_int_equal(make(GRAPH_EQ, make(GRAPH_AND, x, number(3)), number(4)), no);
	assert_int_equal(make(GRAPH_EQ, make(GRAPH_ADD, x, number(3)), number(4)),
			 make(GRAPH_EQ, x, number(1)));
	assert_int_equal(fits(GRAPH_NONE, 0), yes);
	assert_int_equal(fits(number(5), 10), fits(GRAPH_NONE, 15));
	assert_int_equal(fits(number(UINT32_MAX), 10), no);
}

static void test_junctions(void **state)
{
	uint32_t x = load(2, GRAPH_NONE, 12), y = load(1, GRAPH_NONE, 23);
	uint32_t a = make(GRAPH_EQ, x, number(0x800)), b = make(GRAPH_EQ, y, number(6));
	uint32_t c = make(GRAPH_EQ, x, number(0x86dd)), d = make(GRAPH_GT, y, number(100));
	uint32_t no = graph_node(&graph, &(struct graph_node){.op = GRAPH_FALSE});
	uint32_t yes = negate(no);

	(void)state;
	assert_int_equal(negate(negate(a)), a);
	assert_int_equal(make(GRAPH_BOTH, a, yes), a);
	assert_int_equal(make(GRAPH_BOTH, no, a), no);
	assert_int_equal(make(GRAPH_EITHER, yes, a), yes);
	assert_int_equal(make(GRAPH_BOTH, a, negate(a)), no);
	assert_int_equal(make(GRAPH_EITHER, a, negate(a)), yes);
	assert_int_equal(make(GRAPH_BOTH, a, make(GRAPH_EITHER, a, b)), a);
	assert_int_equal(make(GRAPH_EITHER, a, make(GRAPH_BOTH, b, a)), a);
	assert_int_equal(make(GRAPH_EITHER, make(GRAPH_BOTH, a, b), make(GRAPH_BOTH, a, negate(b))),
			 a);
	assert_int_equal(make(GRAPH_EITHER, a, make(GRAPH_BOTH, negate(a), b)),
			 make(GRAPH_EITHER, b, a));
	assert_int_equal(make(GRAPH_BOTH, make(GRAPH_BOTH, a, b), d),
			 make(GRAPH_BOTH, a, make(GRAPH_BOTH, d, b)));
	/* what the one excludes, or shows, of the other */
	assert_int_equal(make(GRAPH_BOTH, a, c), no);
	assert_int_equal(make(GRAPH_BOTH, a, negate(c)), a);
	assert_int_equal(make(GRAPH_BOTH, b, d), no);
	assert_int_equal(make(GRAPH_BOTH, d, make(GRAPH_EQ, y, number(100))), no);
	assert_int_not_equal(make(GRAPH_BOTH, d, make(GRAPH_EQ, y, number(101))), no);
	assert_int_equal(make(GRAPH_EITHER, negate(b), negate(d)), yes);
	assert_int_equal(make(GRAPH_BOTH, b, fits(GRAPH_NONE, 24)), b);
	assert_int_not_equal(make(GRAPH_BOTH, b, fits(GRAPH_NONE, 25)), b);
	assert_int_not_equal(make(GRAPH_BOTH, negate(b), fits(GRAPH_NONE, 24)), negate(b));
	assert_int_equal(make(GRAPH_BOTH, fits(GRAPH_NONE, 20), fits(GRAPH_NONE, 30)),
			 fits(GRAPH_NONE, 30));
	assert_int_equal(make(GRAPH_EITHER, fits(GRAPH_NONE, 20), fits(GRAPH_NONE, 30)),
			 fits(GRAPH_NONE, 20));
	assert_int_equal(choose(no, x, y), y);
	assert_int_equal(choose(a, x, x), x);
	assert_int_equal(choose(negate(a), x, y), choose(a, y, x));
}

/* --- nodes at random ------------------------------------------------------------------------- */

#define PACKETS 24
#define NODES   120

/* What a node must say of each packet. */
struct said {
	uint32_t node;
	uint32_t value[PACKETS];
};

static uint8_t bytes[PACKETS][48];
static uint32_t lens[PACKETS], wire_lens[PACKETS];

static void packets_fill(void)
{
	static const uint8_t common[] = {0, 0, 1, 2, 3, 4, 8, 16, 255};

	for (uint32_t p = 0; p < PACKETS; p++) {
		lens[p] = maker_below(&maker, sizeof(bytes[p]) + 1);
		wire_lens[p] = lens[p] + maker_below(&maker, 3);
		for (size_t i = 0; i < sizeof(bytes[p]); i++)
			bytes[p][i] = maker_below(&maker, 6) ? MAKER_PICK(&maker, common)
							     : (uint8_t)maker_below(&maker, 256);
	}
}

static uint32_t say_load(uint32_t p, uint32_t size, uint64_t at)
{
	uint32_t value = 0;

	if (at + size > lens[p])
		return 0;
	for (uint32_t i = 0; i < size; i++)
		value = value << 8 | bytes[p][at + i];
	return value;
}

/* What an operation makes of its operands, said in the plainest way. */
static uint32_t say(const struct graph_node *node, uint32_t p, uint32_t a, uint32_t b, uint32_t c)
{
	switch ((unsigned)node->op) {
	case GRAPH_CONST:
		return node->k;
	case GRAPH_WIRE_LEN:
		return wire_lens[p];
	case GRAPH_LOAD:
		return say_load(p, node->size, (uint64_t)a + node->k);
	case GRAPH_FITS:
		return (uint64_t)a + node->k <= lens[p];
	case GRAPH_ADD:
		return a + b;
	case GRAPH_SUB:
		return a - b;
	case GRAPH_MUL:
		return a * b;
	case GRAPH_DIV:
		return b ? a / b : 0;
	case GRAPH_MOD:
		return b ? a % b : 0;
	case GRAPH_AND:
		return a & b;
	case GRAPH_OR:
		return a | b;
	case GRAPH_XOR:
		return a ^ b;
	case GRAPH_LSH:
		return b < 32 ? a << b : 0;
	case GRAPH_RSH:
		return b < 32 ? a >> b : 0;
	case GRAPH_SELECT:
		return c ? a : b;
	case GRAPH_TRUE:
		return 1;
	case GRAPH_EQ:
		return a == b;
	case GRAPH_GT:
		return a > b;
	case GRAPH_GE:
		return a >= b;
	case GRAPH_BITS:
		return (a & b) != 0;
	case GRAPH_NOT:
		return !a;
	case GRAPH_BOTH:
		return a && b;
	case GRAPH_EITHER:
		return a || b;
	default:
		return 0;
	}
}

/* What the nodes of the graph say, from the first to the last. */
static void say_all(uint32_t p, uint32_t *values)
{
	for (uint32_t i = 0; i < graph.cnt; i++) {
		const struct graph_node *node = &graph.nodes[i];

		values[i] = say(node, p, node->a == GRAPH_NONE ? 0 : values[node->a],
				node->b == GRAPH_NONE ? 0 : values[node->b],
				node->c == GRAPH_NONE ? 0 : values[node->c]);
	}
}

/* A node like those before it, or made of some of them: `values` first, then tests. */
static void add_random(struct said *values, uint32_t *value_cnt, struct said *tests,
		       uint32_t *test_cnt)
{
	static const uint32_t numbers[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 255, 256, 0xfffffffe};
	struct graph_node node = {.op = (uint8_t)maker_below(&maker, GRAPH_EXTERN),
				  .size = (uint8_t)(1u << maker_below(&maker, 3)),
				  .k = MAKER_PICK(&maker, numbers)};
	bool is_test = node.op >= GRAPH_FALSE, of_tests = node.op >= GRAPH_NOT;
	const struct said *from = of_tests ? tests : values;
	uint32_t from_cnt = of_tests ? *test_cnt : *value_cnt;
	const struct said *a = &from[maker_below(&maker, from_cnt)];
	const struct said *b = &from[maker_below(&maker, from_cnt)];
	const struct said *c = &tests[maker_below(&maker, *test_cnt)];
	struct said *to = is_test ? &tests[(*test_cnt)++] : &values[(*value_cnt)++];
	bool bare = (node.op == GRAPH_LOAD || node.op == GRAPH_FITS) && maker_below(&maker, 2);

	if (node.op == GRAPH_LOAD || node.op == GRAPH_FITS)
		node.k = maker_below(&maker, 50);
	node.a = bare ? GRAPH_NONE : a->node;
	node.b = b->node;
	node.c = c->node;
	to->node = graph_node(&graph, &node);
	assert_int_not_equal(to->node, GRAPH_NONE);
	assert_int_equal(graph_is_test(&graph, to->node), is_test);
	for (uint32_t p = 0; p < PACKETS; p++)
		to->value[p] = say(&node, p, bare ? 0 : a->value[p], b->value[p], c->value[p]);
}

static void check_said(const struct said *said, uint32_t cnt, uint32_t p, const uint32_t *values)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (values[said[i].node] != said[i].value[p])
			fail_msg("node %u (op %u): %u, not %u", said[i].node,
				 graph.nodes[said[i].node].op, values[said[i].node],
				 said[i].value[p]);
}

/* What is known of nodes holds, and they are in normal form. */
static void check_nodes(uint32_t p, const uint32_t *values)
{
	for (uint32_t i = 0; i < graph.cnt; i++) {
		const struct graph_node *node = &graph.nodes[i];

		assert_int_not_equal(node->op, GRAPH_GE);
		assert_true((values[i] & ~node->may) == 0);
		assert_true(values[i] <= node->max);
		assert_true(values[i] == 0 || lens[p] >= node->fits);
		assert_true(node->a == GRAPH_NONE || node->a < i);
		assert_true(node->b == GRAPH_NONE || node->b < i);
		assert_true(node->c == GRAPH_NONE || node->c < i);
	}
}

static void test_random(void **state)
{
	static struct said values[NODES + 1], tests[NODES + 1];

	(void)state;
	for (size_t round = 0; round < test_scale(2000); round++) {
		uint32_t value_cnt = 1, test_cnt = 1, *all;

		graph_init(&graph);
		packets_fill();
		memset(values, 0, sizeof(values[0]));
		memset(tests, 0, sizeof(tests[0]));
		values[0].node = number(0);
		tests[0].node = graph_node(&graph, &(struct graph_node){.op = GRAPH_FALSE});
		for (uint32_t i = 0; i < NODES - 1; i++)
			add_random(values, &value_cnt, tests, &test_cnt);
		all = calloc(graph.cnt, sizeof(*all));
		assert_non_null(all);
		for (uint32_t p = 0; p < PACKETS; p++) {
			say_all(p, all);
			check_said(values, value_cnt, p, all);
			check_said(tests, test_cnt, p, all);
			check_nodes(p, all);
		}
		free(all);
		graph_destroy(&graph);
	}
}

/* No two nodes say the same, whatever was added before. */
static void test_each_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXPRESSION_CNT; i++) {
		struct expression expression;
		uint32_t first, again;

		assert_int_equal(expression_compile(&expression, expressions[i], NULL), 0);
		assert_int_equal(graph_add(&graph, &expression, 7, &first), 0);
		assert_int_equal(graph_add(&graph, &expression, 7, &again), 0);
		assert_int_equal(first, again);
		assert_true(graph_is_test(&graph, first));
		expression_destroy(&expression);
	}
	for (uint32_t i = 0; i < graph.cnt; i++)
		for (uint32_t j = i + 1; j < graph.cnt && j < i + 500; j++)
			assert_memory_not_equal(&graph.nodes[i], &graph.nodes[j],
						sizeof(graph.nodes[i]));
}

static void test_full(void **state)
{
	uint32_t x = load(4, GRAPH_NONE, 0), node = x, i;
	struct expression expression;

	(void)state;
	for (i = 0; node != GRAPH_NONE; i++) {
		assert_true(i <= GRAPH_NODES_MAX);
		node = make(GRAPH_MUL, node, x);
	}
	assert_int_equal(graph.cnt, GRAPH_NODES_MAX);
	assert_int_equal(expression_compile(&expression, "ip", NULL), 0);
	assert_int_equal(graph_add(&graph, &expression, 0, &node), -E2BIG);
	expression_destroy(&expression);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_numbers, create, destroy),
		cmocka_unit_test_setup_teardown(test_comparisons, create, destroy),
		cmocka_unit_test_setup_teardown(test_junctions, create, destroy),
		cmocka_unit_test(test_random),
		cmocka_unit_test_setup_teardown(test_each_once, create, destroy),
		cmocka_unit_test_setup_teardown(test_full, create, destroy),
	};

	print_message("seed %#llx\n", SEED);
	maker_init(&maker, SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
