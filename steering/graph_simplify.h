/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a graph's nodes are put into their normal form; between the files graph*.c alone.
 *
 *	graph.c         the table of nodes: graph_node(), graph_intern()
 *	graph_value.c   values and comparisons: constants, masks, ranges
 *	graph_test.c    what follows from what, and NOT, BOTH and EITHER with that
 */
#ifndef STEERING_GRAPH_SIMPLIFY_H
#define STEERING_GRAPH_SIMPLIFY_H

#include "steering/graph.h"

/* Nodes that every graph has. */
#define GRAPH_ID_FALSE 0
#define GRAPH_ID_TRUE  1

/* The node of exactly these words, which must be in normal form. GRAPH_NONE on failure. */
uint32_t graph_intern(struct graph *graph, const struct graph_node *node);

/* The node of an operation of two operands; tests as well. */
uint32_t graph_make(struct graph *graph, enum graph_op op, uint32_t a, uint32_t b);
uint32_t graph_const(struct graph *graph, uint32_t k);
uint32_t graph_not(struct graph *graph, uint32_t test);

/* The value of an operation on numbers, as the packet path works it out. */
uint32_t graph_fold(enum graph_op op, uint32_t a, uint32_t b);

/* The node for a value or comparison, whatever its form. */
uint32_t graph_value(struct graph *graph, const struct graph_node *node);
uint32_t graph_compare(struct graph *graph, const struct graph_node *node);
uint32_t graph_fits(struct graph *graph, uint32_t a, uint64_t k);

/* The node for a NOT, BOTH or EITHER. */
uint32_t graph_junction(struct graph *graph, enum graph_op op, uint32_t a, uint32_t b);

/* Fill in may, max and fits. */
void graph_bound(const struct graph *graph, struct graph_node *node);

/* Where test a is true: 1, b is as well; 0: b is not; -1: cannot tell. Gives up early. */
int graph_decides(const struct graph *graph, uint32_t a, uint32_t b);

static inline bool graph_is_const(const struct graph *graph, uint32_t node)
{
	return graph->nodes[node].op == GRAPH_CONST;
}

#endif
