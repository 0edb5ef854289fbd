/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/graph_simplify.h"
#include <stddef.h>

uint32_t graph_fold(enum graph_op op, uint32_t a, uint32_t b)
{
	switch ((unsigned)op) {
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
	case GRAPH_EQ:
		return a == b;
	case GRAPH_GT:
		return a > b;
	case GRAPH_GE:
		return a >= b;
	case GRAPH_BITS:
		return (a & b) != 0;
	default:
		return 0;
	}
}

/* --- bounds ---------------------------------------------------------------------------------- */

/* All bits up to the highest that is set. */
static uint32_t graph_smear(uint32_t x)
{
	return x ? UINT32_MAX >> __builtin_clz(x) : 0;
}

static uint32_t graph_least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t graph_most(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* A value that is at most this, of 64 bits, unless it wraps. */
static void graph_bound_at_most(struct graph_node *node, uint64_t max)
{
	node->max = max > UINT32_MAX ? UINT32_MAX : (uint32_t)max;
	node->may = graph_smear(node->max);
}

static void graph_bound_shift(struct graph_node *node, const struct graph_node *a,
			      const struct graph_node *b)
{
	if (b->op != GRAPH_CONST) {
		graph_bound_at_most(node, node->op == GRAPH_RSH
						  ? a->max
						  : (uint64_t)a->max << graph_least(b->max, 32));
	} else if (node->op == GRAPH_RSH) {
		node->may = graph_fold(GRAPH_RSH, a->may, b->k);
		node->max = graph_fold(GRAPH_RSH, a->max, b->k);
	} else {
		uint64_t max = (uint64_t)a->max << graph_least(b->k, 32);

		node->may = graph_fold(GRAPH_LSH, a->may, b->k);
		node->max = max > UINT32_MAX ? UINT32_MAX : (uint32_t)max;
	}
}

static void graph_bound_arithmetic(struct graph_node *node, const struct graph_node *a,
				   const struct graph_node *b)
{
	switch ((unsigned)node->op) {
	case GRAPH_ADD:
		graph_bound_at_most(node, (uint64_t)a->max + b->max);
		break;
	case GRAPH_SUB:
		graph_bound_at_most(node,
				    a->op == GRAPH_CONST && b->max <= a->k ? a->k : UINT32_MAX);
		break;
	case GRAPH_MUL:
		graph_bound_at_most(node, (uint64_t)a->max * b->max);
		break;
	case GRAPH_DIV:
		graph_bound_at_most(node, b->op == GRAPH_CONST && b->k ? a->max / b->k : a->max);
		break;
	case GRAPH_MOD:
		graph_bound_at_most(node, graph_least(a->max, b->max ? b->max - 1 : 0));
		break;
	case GRAPH_AND:
		node->may = a->may & b->may;
		node->max = graph_least(a->max, b->max);
		break;
	case GRAPH_OR:
	case GRAPH_XOR:
		graph_bound_at_most(node, (uint64_t)a->max + b->max);
		node->may = a->may | b->may;
		break;
	default:
		graph_bound_shift(node, a, b);
		break;
	}
}

/* How many bytes were captured at least where the result is not 0. */
static uint32_t graph_bound_fits(const struct graph_node *node, const struct graph_node *a,
				 const struct graph_node *b)
{
	switch ((unsigned)node->op) {
	case GRAPH_CONST:
		return node->k ? 0 : UINT32_MAX;
	case GRAPH_LOAD:
		return node->k + node->size;
	case GRAPH_FITS:
		return node->k;
	case GRAPH_ADD:
	case GRAPH_SUB:
	case GRAPH_OR:
	case GRAPH_XOR:
	case GRAPH_SELECT:
	case GRAPH_EITHER:
		return graph_least(a->fits, b->fits);
	case GRAPH_MUL:
	case GRAPH_DIV:
	case GRAPH_MOD:
	case GRAPH_AND:
	case GRAPH_BITS:
	case GRAPH_BOTH:
		return graph_most(a->fits, b->fits);
	case GRAPH_LSH:
	case GRAPH_RSH:
	case GRAPH_GT:
		return a->fits;
	case GRAPH_EQ:
		return b->op == GRAPH_CONST && b->k ? a->fits : 0;
	case GRAPH_FALSE:
		return UINT32_MAX;
	default:
		return 0;
	}
}

void graph_bound(const struct graph *graph, struct graph_node *node)
{
	const struct graph_node *a = node->a == GRAPH_NONE ? NULL : &graph->nodes[node->a];
	const struct graph_node *b = node->b == GRAPH_NONE ? NULL : &graph->nodes[node->b];

	node->may = node->max = UINT32_MAX;
	if (node->op == GRAPH_CONST) {
		node->may = node->max = node->k;
	} else if (node->op == GRAPH_LOAD) {
		node->may = node->max = UINT32_MAX >> (32 - 8 * node->size);
	} else if (node->op == GRAPH_SELECT) {
		node->may = a->may | b->may;
		node->max = graph_most(a->max, b->max);
	} else if (node->op >= GRAPH_FALSE) {
		node->may = node->max = 1;
	} else if (node->op != GRAPH_WIRE_LEN) {
		graph_bound_arithmetic(node, a, b);
	}
	node->max = graph_least(node->max, node->may);
	node->may &= graph_smear(node->max);
	if (node->op == GRAPH_NOT && a->op == GRAPH_EQ && graph->nodes[a->b].op == GRAPH_CONST &&
	    graph->nodes[a->b].k == 0)
		node->fits = graph->nodes[a->a].fits;
	else
		node->fits = graph_bound_fits(node, a, b);
}

/* --- arithmetic ------------------------------------------------------------------------------ */

static uint32_t graph_intern2(struct graph *graph, enum graph_op op, uint32_t a, uint32_t b)
{
	uint32_t node = graph_intern(
		graph, &(struct graph_node){.op = (uint8_t)op, .a = a, .b = b, .c = GRAPH_NONE});

	return node != GRAPH_NONE && graph->nodes[node].max == 0 ? graph_const(graph, 0) : node;
}

/* Into an operation on a constant on the right goes another one on the left. GRAPH_NONE: no. */
static uint32_t graph_merge_const(struct graph *graph, enum graph_op op, uint32_t a, uint32_t k)
{
	const struct graph_node inner = graph->nodes[a];

	if (inner.op != op || (op != GRAPH_ADD && op != GRAPH_AND && op != GRAPH_XOR) ||
	    !graph_is_const(graph, inner.b))
		return GRAPH_NONE;
	return graph_make(graph, op, inner.a,
			  graph_const(graph, graph_fold(op, graph->nodes[inner.b].k, k)));
}

/* An operation on a constant that is a power of 2 as a shift or mask, or one that does nothing. */
static uint32_t graph_by_const(struct graph *graph, enum graph_op op, uint32_t a, uint32_t k)
{
	bool power = k && !(k & (k - 1));
	uint32_t merged, may = graph->nodes[a].may;

	if (op == GRAPH_SUB)
		return graph_make(graph, GRAPH_ADD, a, graph_const(graph, 0u - k));
	if (op == GRAPH_MUL && power)
		return graph_make(graph, GRAPH_LSH, a,
				  graph_const(graph, (uint32_t)__builtin_ctz(k)));
	if (op == GRAPH_DIV && power)
		return graph_make(graph, GRAPH_RSH, a,
				  graph_const(graph, (uint32_t)__builtin_ctz(k)));
	if (op == GRAPH_MOD && power)
		return graph_make(graph, GRAPH_AND, a, graph_const(graph, k - 1));
	if (op == GRAPH_AND && (k & may) == may)
		return a;
	if (op == GRAPH_AND && (k & may) != k)
		return graph_make(graph, op, a, graph_const(graph, k & may));
	if (k == 0 && op != GRAPH_MUL && op != GRAPH_DIV && op != GRAPH_MOD && op != GRAPH_AND)
		return a;
	if ((k == 0 && op != GRAPH_ADD && op != GRAPH_OR && op != GRAPH_XOR) ||
	    (op == GRAPH_LSH && graph_fold(GRAPH_LSH, may, k) == 0) ||
	    (op == GRAPH_RSH && graph_fold(GRAPH_RSH, may, k) == 0))
		return graph_const(graph, 0);
	merged = graph_merge_const(graph, op, a, k);
	return merged != GRAPH_NONE ? merged : graph_intern2(graph, op, a, graph_const(graph, k));
}

static uint32_t graph_arithmetic(struct graph *graph, enum graph_op op, uint32_t a, uint32_t b)
{
	bool commutes = op == GRAPH_ADD || op == GRAPH_MUL || op == GRAPH_AND || op == GRAPH_OR ||
			op == GRAPH_XOR;

	if (graph_is_const(graph, a) && graph_is_const(graph, b))
		return graph_const(graph, graph_fold(op, graph->nodes[a].k, graph->nodes[b].k));
	if (commutes && (graph_is_const(graph, a) || (!graph_is_const(graph, b) && a > b)))
		return graph_arithmetic(graph, op, b, a);
	if (graph_is_const(graph, b))
		return graph_by_const(graph, op, a, graph->nodes[b].k);
	if (graph_is_const(graph, a) && graph->nodes[a].k == 0 && op != GRAPH_SUB)
		return a; /* of what does not commute: 0 / b, 0 << b ... */
	if (a == b && (op == GRAPH_SUB || op == GRAPH_XOR))
		return graph_const(graph, 0);
	if (a == b && (op == GRAPH_AND || op == GRAPH_OR))
		return a;
	return graph_intern2(graph, op, a, b);
}

/* --- offsets, loads, selections -------------------------------------------------------------- */

/* What of an offset a + k is constant goes to k, if that cannot wrap; false: lies beyond all
 * packets. */
static bool graph_offset(const struct graph *graph, uint32_t *a, uint64_t *k)
{
	const struct graph_node *node = *a == GRAPH_NONE ? NULL : &graph->nodes[*a];

	if (node && node->op == GRAPH_CONST) {
		*k += node->k;
		*a = GRAPH_NONE;
	} else if (node && node->op == GRAPH_ADD && graph_is_const(graph, node->b)) {
		uint32_t more = graph->nodes[node->b].k;

		if ((uint64_t)graph->nodes[node->a].max + more <= UINT32_MAX &&
		    *k + more <= UINT32_MAX) {
			*k += more;
			*a = node->a;
		}
	}
	return *k <= UINT32_MAX;
}

uint32_t graph_fits(struct graph *graph, uint32_t a, uint64_t k)
{
	if (!graph_offset(graph, &a, &k))
		return GRAPH_ID_FALSE;
	if (k == 0 && a == GRAPH_NONE)
		return GRAPH_ID_TRUE;
	return graph_intern(graph, &(struct graph_node){.op = GRAPH_FITS,
							.a = a,
							.b = GRAPH_NONE,
							.c = GRAPH_NONE,
							.k = (uint32_t)k});
}

static uint32_t graph_load(struct graph *graph, uint8_t size, uint32_t a, uint64_t k)
{
	if (!graph_offset(graph, &a, &k) || k + size > UINT32_MAX)
		return graph_const(graph, 0);
	return graph_intern(graph, &(struct graph_node){.op = GRAPH_LOAD,
							.size = size,
							.a = a,
							.b = GRAPH_NONE,
							.c = GRAPH_NONE,
							.k = (uint32_t)k});
}

static uint32_t graph_select(struct graph *graph, uint32_t test, uint32_t a, uint32_t b)
{
	if (test == GRAPH_ID_TRUE || a == b)
		return a;
	if (test == GRAPH_ID_FALSE)
		return b;
	if (graph->nodes[test].op == GRAPH_NOT)
		return graph_select(graph, graph->nodes[test].a, b, a);
	return graph_intern(graph,
			    &(struct graph_node){.op = GRAPH_SELECT, .a = a, .b = b, .c = test});
}

uint32_t graph_value(struct graph *graph, const struct graph_node *node)
{
	if (node->op == GRAPH_LOAD)
		return graph_load(graph, node->size, node->a, node->k);
	if (node->op == GRAPH_SELECT)
		return graph_select(graph, node->c, node->a, node->b);
	if (node->op == GRAPH_CONST || node->op == GRAPH_EXTERN || node->op == GRAPH_WIRE_LEN)
		return graph_intern(
			graph, &(struct graph_node){.op = node->op,
						    .a = GRAPH_NONE,
						    .b = GRAPH_NONE,
						    .c = GRAPH_NONE,
						    .k = node->op == GRAPH_WIRE_LEN ? 0 : node->k});
	return graph_arithmetic(graph, (enum graph_op)node->op, node->a, node->b);
}

/* --- comparisons ----------------------------------------------------------------------------- */

static uint32_t graph_not_zero(struct graph *graph, uint32_t a)
{
	return graph_not(graph, graph_make(graph, GRAPH_EQ, a, graph_const(graph, 0)));
}

static uint32_t graph_equals(struct graph *graph, uint32_t a, uint32_t k)
{
	const struct graph_node node = graph->nodes[a];
	uint32_t inner =
		node.b != GRAPH_NONE && node.op != GRAPH_SELECT && graph_is_const(graph, node.b)
			? graph->nodes[node.b].k
			: 0;

	if (k > node.max || (k & ~node.may))
		return GRAPH_ID_FALSE;
	if (inner && node.op == GRAPH_ADD)
		return graph_make(graph, GRAPH_EQ, node.a, graph_const(graph, k - inner));
	if (inner && node.op == GRAPH_XOR)
		return graph_make(graph, GRAPH_EQ, node.a, graph_const(graph, k ^ inner));
	if (inner && node.op == GRAPH_AND && k == 0)
		return graph_not(graph, graph_make(graph, GRAPH_BITS, node.a, node.b));
	if (inner && node.op == GRAPH_AND && k == inner && !(k & (k - 1)))
		return graph_make(graph, GRAPH_BITS, node.a, node.b);
	return graph_intern2(graph, GRAPH_EQ, a, graph_const(graph, k));
}

static uint32_t graph_has_bits(struct graph *graph, uint32_t a, uint32_t k)
{
	const struct graph_node node = graph->nodes[a];

	k &= node.may;
	if (k == 0)
		return GRAPH_ID_FALSE;
	if (k == node.may)
		return graph_not_zero(graph, a);
	if (node.op == GRAPH_AND && graph_is_const(graph, node.b))
		return graph_make(graph, GRAPH_BITS, node.a,
				  graph_const(graph, k & graph->nodes[node.b].k));
	return graph_intern2(graph, GRAPH_BITS, a, graph_const(graph, k));
}

static uint32_t graph_compare_const(struct graph *graph, enum graph_op op, uint32_t a, uint32_t k)
{
	if (op == GRAPH_EQ)
		return graph_equals(graph, a, k);
	if (op == GRAPH_BITS)
		return graph_has_bits(graph, a, k);
	if (op == GRAPH_GE && k == 0)
		return GRAPH_ID_TRUE;
	if (op == GRAPH_GE)
		return graph_compare_const(graph, GRAPH_GT, a, k - 1);
	if (k >= graph->nodes[a].max)
		return GRAPH_ID_FALSE;
	return k ? graph_intern2(graph, GRAPH_GT, a, graph_const(graph, k))
		 : graph_not_zero(graph, a);
}

uint32_t graph_compare(struct graph *graph, const struct graph_node *node)
{
	enum graph_op op = (enum graph_op)node->op;
	uint32_t a = node->a, b = node->b;
	bool symmetric = op == GRAPH_EQ || op == GRAPH_BITS;

	if (graph_is_const(graph, a) && graph_is_const(graph, b))
		return graph_fold(op, graph->nodes[a].k, graph->nodes[b].k) ? GRAPH_ID_TRUE
									    : GRAPH_ID_FALSE;
	if (graph_is_const(graph, b))
		return graph_compare_const(graph, op, a, graph->nodes[b].k);
	if (a == b && op == GRAPH_BITS)
		return graph_not_zero(graph, a);
	if (a == b)
		return op == GRAPH_GT ? GRAPH_ID_FALSE : GRAPH_ID_TRUE;
	if (symmetric && (graph_is_const(graph, a) || a > b))
		return graph_make(graph, op, b, a);
	if (op == GRAPH_GE) /* a >= b: not b > a */
		return graph_not(graph, graph_make(graph, GRAPH_GT, b, a));
	if (op == GRAPH_GT && graph_is_const(graph, a)) /* k > b: not b >= k */
		return graph_not(graph, graph_make(graph, GRAPH_GE, b, a));
	return graph_intern2(graph, op, a, b);
}
