/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/graph_simplify.h"
#include <stddef.h>

/* So many tests of one BOTH or EITHER are held against each other; more stay as they are. */
#define GRAPH_LEAVES_MAX 16

/* So many nodes are looked at for whether one test follows from another. */
#define GRAPH_BUDGET 48

static enum graph_op graph_other(enum graph_op op)
{
	return op == GRAPH_BOTH ? GRAPH_EITHER : GRAPH_BOTH;
}

/* --- what follows from what ------------------------------------------------------------------ */

/* What a test says of a value: it lies from lo to hi. */
struct graph_range {
	uint32_t value, lo, hi;
};

static bool graph_range(const struct graph *graph, uint32_t test, struct graph_range *range)
{
	const struct graph_node *node = &graph->nodes[test];
	bool no = node->op == GRAPH_NOT;
	uint32_t k;

	if (no)
		node = &graph->nodes[node->a];
	if ((node->op != GRAPH_EQ && node->op != GRAPH_GT) || !graph_is_const(graph, node->b))
		return false;
	k = graph->nodes[node->b].k;
	*range = (struct graph_range){node->a, 0, graph->nodes[node->a].max};
	if (node->op == GRAPH_GT && no)
		range->hi = k;
	else if (node->op == GRAPH_GT)
		range->lo = k + 1;
	else if (!no)
		range->lo = range->hi = k;
	else if (k == 0)
		range->lo = 1;
	else
		return false;
	return true;
}

/* Whether a comparison with a constant holds of a value in that range: 1, 0, -1. */
static int graph_range_decides(const struct graph *graph, const struct graph_range *range,
			       const struct graph_node *node)
{
	const struct graph_node *value = &graph->nodes[node->a];
	uint32_t k, lo = range->lo, hi = range->hi;

	if (node->op < GRAPH_EQ || node->op > GRAPH_BITS || !graph_is_const(graph, node->b))
		return -1;
	k = graph->nodes[node->b].k;
	if (node->a != range->value) {
		/* of a value that is made of it and a constant, where that has one value only */
		if (lo != hi || value->op < GRAPH_ADD || value->op > GRAPH_RSH ||
		    value->a != range->value || !graph_is_const(graph, value->b))
			return -1;
		lo = hi = graph_fold((enum graph_op)value->op, lo, graph->nodes[value->b].k);
	}
	if (lo == hi)
		return graph_fold((enum graph_op)node->op, lo, k) != 0;
	if (node->op == GRAPH_EQ && (k < lo || k > hi))
		return 0;
	if (node->op == GRAPH_GT && (lo > k || hi <= k))
		return lo > k;
	return -1;
}

/* Whether a value that is not 0 shows that value a + k is at most the bytes captured. */
static bool graph_value_fits(const struct graph *graph, uint32_t value,
			     const struct graph_node *fits)
{
	const struct graph_node *node = &graph->nodes[value];

	if (node->op == GRAPH_LOAD)
		return node->a == fits->a && (uint64_t)node->k + node->size >= fits->k;
	if (node->op == GRAPH_AND || node->op == GRAPH_LSH || node->op == GRAPH_RSH)
		return graph_value_fits(graph, node->a, fits);
	return false;
}

/* The same of a test that is no junction, and is true. */
static bool graph_shows_fits(const struct graph *graph, uint32_t test,
			     const struct graph_node *fits)
{
	const struct graph_node *node = &graph->nodes[test];
	struct graph_range range;

	if (node->op == GRAPH_FITS)
		return node->a == fits->a && node->k >= fits->k;
	if (node->op == GRAPH_BITS)
		return graph_value_fits(graph, node->a, fits);
	return graph_range(graph, test, &range) && range.lo > 0 &&
	       graph_value_fits(graph, range.value, fits);
}

/* The constant masks of two BITS of the same value; false: they are none. */
static bool graph_masks(const struct graph *graph, const struct graph_node *a,
			const struct graph_node *b, uint32_t *mask_a, uint32_t *mask_b)
{
	if (a->op != GRAPH_BITS || b->op != GRAPH_BITS || a->a != b->a ||
	    !graph_is_const(graph, a->b) || !graph_is_const(graph, b->b))
		return false;
	*mask_a = graph->nodes[a->b].k;
	*mask_b = graph->nodes[b->b].k;
	return true;
}

/* Where a, which is no junction, is true: is b, which is neither one nor a NOT? */
static int graph_leaf_decides(const struct graph *graph, uint32_t a, uint32_t b)
{
	const struct graph_node *of = &graph->nodes[a], *node = &graph->nodes[b];
	const struct graph_node *not = of->op == GRAPH_NOT ? &graph->nodes[of->a] : NULL;
	struct graph_range range;
	uint32_t mask_a, mask_b;

	if (node->op == GRAPH_FITS && of->fits >= node->k && node->a == GRAPH_NONE)
		return 1;
	if (node->op == GRAPH_FITS && node->a != GRAPH_NONE && graph_shows_fits(graph, a, node))
		return 1;
	if (not &&not ->op == GRAPH_FITS && node->op == GRAPH_FITS && not ->a == node->a &&
	    node->k >= not ->k)
		return 0;
	if (graph_masks(graph, of, node, &mask_a, &mask_b) && !(mask_a & ~mask_b))
		return 1;
	if (not &&graph_masks(graph, not, node, &mask_a, &mask_b) && !(mask_b & ~mask_a))
		return 0;
	return graph_range(graph, a, &range) ? graph_range_decides(graph, &range, node) : -1;
}

static int graph_decides_within(const struct graph *graph, uint32_t a, uint32_t b, int *budget);

/* The same of b, or of a, that is a junction of two. `any`: what one of them has to say for both to
 * say it. */
static int graph_decides_two(const struct graph *graph, const uint32_t pairs[2][2], int any,
			     int *budget)
{
	int first = graph_decides_within(graph, pairs[0][0], pairs[0][1], budget);
	int second;

	if (first == any)
		return any;
	second = graph_decides_within(graph, pairs[1][0], pairs[1][1], budget);
	if (second == any)
		return any;
	return first == second ? first : -1;
}

static int graph_decides_within(const struct graph *graph, uint32_t a, uint32_t b, int *budget)
{
	const struct graph_node *of = &graph->nodes[a], *node = &graph->nodes[b];
	int is;

	if (a == b)
		return 1;
	if ((node->op == GRAPH_NOT && node->a == a) || (of->op == GRAPH_NOT && of->a == b))
		return 0;
	if (--*budget < 0)
		return -1;
	if (node->op == GRAPH_NOT) {
		is = graph_decides_within(graph, a, node->a, budget);
		return is < 0 ? is : !is;
	}
	if (of->op == GRAPH_EITHER)
		return graph_decides_two(graph, (uint32_t[2][2]){{of->a, b}, {of->b, b}}, -1,
					 budget);
	if (node->op == GRAPH_BOTH || node->op == GRAPH_EITHER) {
		is = graph_decides_two(graph, (uint32_t[2][2]){{a, node->a}, {a, node->b}},
				       node->op == GRAPH_EITHER, budget);
		if (is >= 0 || of->op != GRAPH_BOTH)
			return is;
	}
	if (of->op == GRAPH_BOTH) {
		is = graph_decides_within(graph, of->a, b, budget);
		return is >= 0 ? is : graph_decides_within(graph, of->b, b, budget);
	}
	return graph_leaf_decides(graph, a, b);
}

int graph_decides(const struct graph *graph, uint32_t a, uint32_t b)
{
	int budget = GRAPH_BUDGET;

	return graph_decides_within(graph, a, b, &budget);
}

/* The same where test a is false. */
static int graph_decides_else(const struct graph *graph, uint32_t a, uint32_t b)
{
	const struct graph_node *of = &graph->nodes[a], *node = &graph->nodes[b];

	if (of->op == GRAPH_NOT)
		return graph_decides(graph, of->a, b);
	/* not a, so b: not b, so a */
	if (node->op == GRAPH_NOT && graph_decides(graph, node->a, a) == 1)
		return 1;
	return graph_decides(graph, b, a) == 1 ? 0 : -1;
}

/* --- junctions ------------------------------------------------------------------------------- */

/* The tests that a junction is made of, sorted, each once. */
struct graph_leaves {
	uint32_t cnt;
	uint32_t tests[GRAPH_LEAVES_MAX];
};

static bool graph_leaves_add(struct graph_leaves *leaves, uint32_t test)
{
	uint32_t at = leaves->cnt;

	while (at > 0 && leaves->tests[at - 1] > test)
		at--;
	if (at > 0 && leaves->tests[at - 1] == test)
		return true;
	if (leaves->cnt == GRAPH_LEAVES_MAX)
		return false;
	for (uint32_t i = leaves->cnt; i > at; i--)
		leaves->tests[i] = leaves->tests[i - 1];
	leaves->tests[at] = test;
	leaves->cnt++;
	return true;
}

static void graph_leaves_remove(struct graph_leaves *leaves, uint32_t at)
{
	leaves->cnt--;
	for (uint32_t i = at; i < leaves->cnt; i++)
		leaves->tests[i] = leaves->tests[i + 1];
}

/* Add those of `node`, a chain to the left; false: too many. */
static bool graph_leaves_of(const struct graph *graph, enum graph_op op, uint32_t node,
			    struct graph_leaves *leaves)
{
	while (graph->nodes[node].op == op) {
		if (!graph_leaves_of(graph, op, graph->nodes[node].b, leaves))
			return false;
		node = graph->nodes[node].a;
	}
	return graph_leaves_add(leaves, node);
}

/* The chain of them, as they are. */
static uint32_t graph_chain(struct graph *graph, enum graph_op op,
			    const struct graph_leaves *leaves)
{
	uint32_t node = op == GRAPH_BOTH ? GRAPH_ID_TRUE : GRAPH_ID_FALSE;

	for (uint32_t i = 0; i < leaves->cnt && !graph->failed; i++)
		node = i == 0 ? leaves->tests[0]
			      : graph_intern(graph, &(struct graph_node){.op = (uint8_t)op,
									 .a = node,
									 .b = leaves->tests[i],
									 .c = GRAPH_NONE});
	return graph->failed ? GRAPH_NONE : node;
}

/* What both have moves into `common`. */
static void graph_leaves_divide(struct graph_leaves *a, struct graph_leaves *b,
				struct graph_leaves *common)
{
	uint32_t i = 0, j = 0;

	common->cnt = 0;
	while (i < a->cnt && j < b->cnt) {
		if (a->tests[i] == b->tests[j]) {
			graph_leaves_add(common, a->tests[i]);
			graph_leaves_remove(a, i);
			graph_leaves_remove(b, j);
		} else if (a->tests[i] < b->tests[j]) {
			i++;
		} else {
			j++;
		}
	}
}

/* (x and y) or (x and z) is x and (y or z); so with the two exchanged. GRAPH_NONE: nothing of that.
 */
static uint32_t graph_factor(struct graph *graph, enum graph_op op, uint32_t a, uint32_t b)
{
	struct graph_leaves of_a = {0}, of_b = {0}, common;
	enum graph_op other = graph_other(op);
	uint32_t rest;

	if (!graph_leaves_of(graph, other, a, &of_a) || !graph_leaves_of(graph, other, b, &of_b))
		return GRAPH_NONE;
	graph_leaves_divide(&of_a, &of_b, &common);
	if (common.cnt == 0)
		return GRAPH_NONE;
	rest = graph_make(graph, op, graph_chain(graph, other, &of_a),
			  graph_chain(graph, other, &of_b));
	return graph_make(graph, other, graph_chain(graph, other, &common), rest);
}

/*
 * Hold the leaves against each other. Of a BOTH goes what follows from another leaf, and one that
 * contradicts another makes it false: 0. Of an EITHER goes what another follows from, and two of
 * which one must hold make it true: 1. -1: neither.
 */
static int graph_leaves_reduce(const struct graph *graph, enum graph_op op,
			       struct graph_leaves *leaves)
{
	for (uint32_t i = 0; i < leaves->cnt; i++) {
		for (uint32_t j = 0; j < leaves->cnt; j++) {
			uint32_t a = leaves->tests[i], b = leaves->tests[j];
			int is = i == j ? -1 : graph_decides(graph, a, b);

			if (op == GRAPH_BOTH && is == 0)
				return 0;
			if (op == GRAPH_EITHER && i < j && graph_decides_else(graph, a, b) == 1)
				return 1;
			if (is != 1)
				continue;
			graph_leaves_remove(leaves, op == GRAPH_BOTH ? j : i);
			/* all over again: the indices have moved */
			i = UINT32_MAX;
			break;
		}
	}
	return -1;
}

/* What is left of a leaf, itself a junction of the other kind, where another leaf is settled: in
 * `x and (not x or y)` y. The leaf, if that is all of it. */
static uint32_t graph_leaf_rest(struct graph *graph, enum graph_op op, uint32_t leaf,
				uint32_t settled)
{
	struct graph_leaves parts = {0};
	uint32_t cnt;

	if (graph->nodes[leaf].op != graph_other(op) ||
	    !graph_leaves_of(graph, graph_other(op), leaf, &parts))
		return leaf;
	cnt = parts.cnt;
	for (uint32_t i = parts.cnt; i-- > 0;) {
		int is = op == GRAPH_BOTH ? graph_decides(graph, settled, parts.tests[i])
					  : graph_decides_else(graph, settled, parts.tests[i]);

		if (is == (op == GRAPH_EITHER))
			graph_leaves_remove(&parts, i);
	}
	return parts.cnt == cnt ? leaf : graph_chain(graph, graph_other(op), &parts);
}

/* The first leaf that another leaves less of, by what is left; GRAPH_NONE: there is none. */
static uint32_t graph_leaves_weaken(struct graph *graph, enum graph_op op,
				    struct graph_leaves *leaves)
{
	for (uint32_t i = 0; i < leaves->cnt; i++) {
		for (uint32_t j = 0; j < leaves->cnt; j++) {
			uint32_t rest;

			if (i == j)
				continue;
			rest = graph_leaf_rest(graph, op, leaves->tests[i], leaves->tests[j]);
			if (rest == leaves->tests[i])
				continue;
			graph_leaves_remove(leaves, i);
			return rest;
		}
	}
	return GRAPH_NONE;
}

uint32_t graph_junction(struct graph *graph, enum graph_op op, uint32_t a, uint32_t b)
{
	uint32_t neutral = op == GRAPH_BOTH ? GRAPH_ID_TRUE : GRAPH_ID_FALSE;
	struct graph_leaves leaves = {0};
	uint32_t node;
	int is;

	if (a == neutral || a == b)
		return b;
	if (b == neutral)
		return a;
	if (a == (uint32_t)!neutral || b == (uint32_t)!neutral)
		return !neutral;
	node = graph_factor(graph, op, a, b);
	if (node != GRAPH_NONE || graph->failed)
		return node;
	if (!graph_leaves_of(graph, op, a, &leaves) || !graph_leaves_of(graph, op, b, &leaves)) {
		leaves = (struct graph_leaves){.cnt = 2, .tests = {a < b ? a : b, a < b ? b : a}};
		return graph_chain(graph, op, &leaves);
	}
	is = graph_leaves_reduce(graph, op, &leaves);
	if (is >= 0)
		return is ? GRAPH_ID_TRUE : GRAPH_ID_FALSE;
	node = graph_leaves_weaken(graph, op, &leaves);
	if (node != GRAPH_NONE)
		return graph_make(graph, op, graph_chain(graph, op, &leaves), node);
	return graph_chain(graph, op, &leaves);
}

uint32_t graph_not(struct graph *graph, uint32_t test)
{
	if (graph->failed)
		return GRAPH_NONE;
	if (test <= GRAPH_ID_TRUE)
		return !test;
	if (graph->nodes[test].op == GRAPH_NOT)
		return graph->nodes[test].a;
	return graph_intern(
		graph,
		&(struct graph_node){.op = GRAPH_NOT, .a = test, .b = GRAPH_NONE, .c = GRAPH_NONE});
}
