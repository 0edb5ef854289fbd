/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Of each bit of each value, for packets of a kind: whether it is always the same, depends on the
 * flow's key alone, or is loose, on more than that.
 */
#include "steering/graph_simplify.h"
#include <stdlib.h>

/* A value's bits; a test is one of a single bit. A bit that is known is not loose. */
struct keyed {
	uint32_t known, value; /* value: 0 where it is not known */
	uint32_t loose;
};

static struct keyed keyed_const(uint32_t k)
{
	return (struct keyed){.known = UINT32_MAX, .value = k};
}

static bool keyed_is_const(const struct keyed *x)
{
	return x->known == UINT32_MAX;
}

/* Bits from the lowest that is set on. */
static uint32_t keyed_above(uint32_t bits)
{
	return bits ? ~((bits & -bits) - 1) : 0;
}

static struct keyed keyed_loose(uint32_t may)
{
	return (struct keyed){.known = ~may, .loose = may};
}

/* --- loads ----------------------------------------------------------------------------------- */

static struct keyed keyed_load(const struct graph_facts *facts, const struct graph_node *node,
			       const struct keyed *base)
{
	uint64_t at = node->k;
	struct keyed x = {.known = node->size == 4 ? 0 : UINT32_MAX << 8 * node->size};

	if (base && !keyed_is_const(base))
		return keyed_loose(node->may);
	at += base ? base->value : 0;
	if (at + node->size > facts->len) /* 0 in some packets, and not in others */
		return keyed_loose(node->may);
	for (uint32_t i = 0; i < node->size; i++) {
		uint32_t shift = 8 * (node->size - 1 - i);

		if (at + i >= GRAPH_FACT_BYTES) {
			x.loose |= 0xffu << shift;
			continue;
		}
		x.known |= (uint32_t)facts->known[at + i] << shift;
		x.value |= (uint32_t)(facts->value[at + i] & facts->known[at + i]) << shift;
		x.loose |= (uint32_t)(uint8_t) ~(facts->known[at + i] | facts->keyed[at + i])
			   << shift;
	}
	return x;
}

static struct keyed keyed_test(int answer, bool loose)
{
	if (answer >= 0)
		return keyed_const((uint32_t)answer);
	return (struct keyed){.known = ~1u, .loose = loose};
}

static struct keyed keyed_fits(const struct graph_facts *facts, const struct graph_node *node,
			       const struct keyed *base)
{
	if (base && !keyed_is_const(base))
		return keyed_test(-1, true);
	if (node->k + (uint64_t)(base ? base->value : 0) <= facts->len)
		return keyed_test(1, false);
	return keyed_test(-1, true);
}

/* --- arithmetic ------------------------------------------------------------------------------ */

static struct keyed keyed_bitwise(enum graph_op op, const struct keyed *a, const struct keyed *b)
{
	uint32_t settled = 0; /* by one of the two, whatever the other is */
	struct keyed x;

	if (op == GRAPH_AND)
		settled = (a->known & ~a->value) | (b->known & ~b->value);
	else if (op == GRAPH_OR)
		settled = a->value | b->value;
	x.known = (a->known & b->known) | settled;
	x.value = graph_fold(op, a->value, b->value) & x.known;
	x.loose = (a->loose | b->loose) & ~x.known;
	return x;
}

static struct keyed keyed_shift(enum graph_op op, const struct keyed *a, uint32_t by)
{
	uint32_t in = ~graph_fold(op, UINT32_MAX, by); /* zeros that come in */

	return (struct keyed){.known = graph_fold(op, a->known, by) | in,
			      .value = graph_fold(op, a->value, by),
			      .loose = graph_fold(op, a->loose, by)};
}

/* What carries go up alone: the bits below the first unknown one are known. */
static struct keyed keyed_sum(enum graph_op op, const struct keyed *a, const struct keyed *b,
			      uint32_t may)
{
	uint32_t unknown = keyed_above(~(a->known & b->known)) & may;
	uint32_t value = graph_fold(op, a->value, b->value);

	return (struct keyed){.known = ~unknown,
			      .value = value & ~unknown & may,
			      .loose = keyed_above(a->loose | b->loose) & unknown};
}

static struct keyed keyed_value(const struct graph_node *node, const struct keyed *a,
				const struct keyed *b)
{
	enum graph_op op = (enum graph_op)node->op;

	if (keyed_is_const(a) && keyed_is_const(b))
		return keyed_const(graph_fold(op, a->value, b->value));
	if (op == GRAPH_AND || op == GRAPH_OR || op == GRAPH_XOR)
		return keyed_bitwise(op, a, b);
	if ((op == GRAPH_LSH || op == GRAPH_RSH) && keyed_is_const(b))
		return keyed_shift(op, a, b->value);
	if (op == GRAPH_ADD || op == GRAPH_SUB || op == GRAPH_MUL)
		return keyed_sum(op, a, b, node->may);
	return a->loose || b->loose ? keyed_loose(node->may) : (struct keyed){.known = ~node->may};
}

static struct keyed keyed_select(const struct keyed *test, const struct keyed *a,
				 const struct keyed *b)
{
	struct keyed x;

	if (keyed_is_const(test))
		return test->value ? *a : *b;
	x.known = a->known & b->known & ~(a->value ^ b->value);
	x.value = a->value & x.known;
	x.loose = (test->loose ? UINT32_MAX : a->loose | b->loose) & ~x.known;
	return x;
}

/* --- tests ----------------------------------------------------------------------------------- */

static struct keyed keyed_compare(enum graph_op op, const struct keyed *a, const struct keyed *b)
{
	uint32_t most_a = a->value | ~a->known, most_b = b->value | ~b->known;
	uint32_t both = a->known & b->known, ones = a->value & b->value;
	bool loose = (a->loose | b->loose) != 0;
	int answer = -1;

	if (op == GRAPH_EQ && ((a->value ^ b->value) & both))
		answer = 0;
	else if (op == GRAPH_EQ && both == UINT32_MAX)
		answer = 1;
	else if (op == GRAPH_BITS && ones)
		answer = 1;
	else if (op == GRAPH_BITS && !(most_a & most_b))
		answer = 0;
	else if ((op == GRAPH_GT && a->value > most_b) || (op == GRAPH_GE && a->value >= most_b))
		answer = 1;
	else if ((op == GRAPH_GT && most_a <= b->value) || (op == GRAPH_GE && most_a < b->value))
		answer = 0;
	if (op == GRAPH_BITS)
		loose = ((a->loose & most_b) | (b->loose & most_a)) != 0;
	return keyed_test(answer, loose);
}

/* An EITHER, or a BOTH: what the one operand says alone settles it. */
static struct keyed keyed_junction(uint32_t settles, const struct keyed *a, const struct keyed *b)
{
	if ((keyed_is_const(a) && a->value == settles) ||
	    (keyed_is_const(b) && b->value == settles))
		return keyed_const(settles);
	if (keyed_is_const(a))
		return *b;
	if (keyed_is_const(b))
		return *a;
	return keyed_test(-1, (a->loose | b->loose) != 0);
}

/* Whether a node compares a byte with a value that it never has. */
static bool keyed_is_other(const struct graph_facts *facts, const struct graph_node *node,
			   const struct graph_node *nodes)
{
	const struct graph_node *a = &nodes[node->a], *b = &nodes[node->b];

	if (a->op != GRAPH_LOAD || a->size != 1 || a->a != GRAPH_NONE || b->op != GRAPH_CONST ||
	    a->k != facts->other_at)
		return false;
	for (uint32_t i = 0; i < facts->other_cnt; i++)
		if (facts->others[i] == b->k)
			return true;
	return false;
}

static struct keyed keyed_node(const struct graph_facts *facts, const struct graph_node *nodes,
			       uint32_t number, const struct keyed *all)
{
	const struct graph_node *node = &nodes[number];
	const struct keyed *a = node->a == GRAPH_NONE ? NULL : &all[node->a];
	const struct keyed *b = node->b == GRAPH_NONE ? NULL : &all[node->b];

	switch ((unsigned)node->op) {
	case GRAPH_CONST:
		return keyed_const(node->k);
	case GRAPH_WIRE_LEN:
		return keyed_loose(UINT32_MAX);
	case GRAPH_LOAD:
		return keyed_load(facts, node, a);
	case GRAPH_SELECT:
		return keyed_select(&all[node->c], a, b);
	case GRAPH_FALSE:
	case GRAPH_TRUE:
		return keyed_const(node->op == GRAPH_TRUE);
	case GRAPH_FITS:
		return keyed_fits(facts, node, a);
	case GRAPH_EQ:
		if (keyed_is_other(facts, node, nodes))
			return keyed_const(0);
		return keyed_compare(GRAPH_EQ, a, b);
	case GRAPH_GT:
	case GRAPH_GE:
	case GRAPH_BITS:
		return keyed_compare((enum graph_op)node->op, a, b);
	case GRAPH_NOT:
		return keyed_test(keyed_is_const(a) ? !a->value : -1, a->loose != 0);
	case GRAPH_BOTH:
	case GRAPH_EITHER:
		return keyed_junction(node->op == GRAPH_EITHER, a, b);
	case GRAPH_EXTERN:
		return keyed_test(-1, true);
	default:
		return keyed_value(node, a, b);
	}
}

/* Mark what a root is made of. */
static void keyed_mark(const struct graph *graph, uint32_t root, uint8_t *needed)
{
	needed[root] = 1;
	for (uint32_t i = root + 1; i-- > 0;) {
		const struct graph_node *node = &graph->nodes[i];

		if (!needed[i])
			continue;
		if (node->a != GRAPH_NONE)
			needed[node->a] = 1;
		if (node->b != GRAPH_NONE)
			needed[node->b] = 1;
		if (node->c != GRAPH_NONE)
			needed[node->c] = 1;
	}
}

bool graph_is_keyed(const struct graph *graph, uint32_t root, const struct graph_facts *facts)
{
	struct keyed *all = malloc((root + (size_t)1) * sizeof(*all));
	uint8_t *needed = calloc(root + (size_t)1, 1);
	bool is = false;

	if (all && needed) {
		keyed_mark(graph, root, needed);
		for (uint32_t i = 0; i <= root; i++)
			if (needed[i])
				all[i] = keyed_node(facts, graph->nodes, i, all);
		is = all[root].loose == 0;
	}
	free(needed);
	free(all);
	return is;
}
