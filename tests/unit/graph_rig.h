/* SPDX-License-Identifier: BSD-2-Clause */
/* A graph, and nodes by hand, for the tests of graphs. */
#ifndef TESTS_UNIT_GRAPH_RIG_H
#define TESTS_UNIT_GRAPH_RIG_H

#include "steering/graph.h"
#include "tests/bpf/corpus.h"
#include "tests/bpf/expression_maker.h"
#include "tests/bpf/expressions.h"
#include "tests/scale.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SEED 0x0dd5eed5c0ffee17ULL

static struct maker maker;
static struct graph graph;

static inline int create(void **state)
{
	(void)state;
	graph_init(&graph);
	return 0;
}

static inline int destroy(void **state)
{
	(void)state;
	graph_destroy(&graph);
	graph_destroy(&graph); /* zeroed memory */
	return 0;
}

static inline uint32_t make(enum graph_op op, uint32_t a, uint32_t b)
{
	return graph_node(&graph, &(struct graph_node){.op = (uint8_t)op, .a = a, .b = b});
}

static inline uint32_t number(uint32_t k)
{
	return graph_node(&graph, &(struct graph_node){.op = GRAPH_CONST, .k = k});
}

static inline uint32_t load(uint8_t size, uint32_t a, uint32_t k)
{
	return graph_node(&graph,
			  &(struct graph_node){.op = GRAPH_LOAD, .size = size, .a = a, .k = k});
}

static inline uint32_t fits(uint32_t a, uint32_t k)
{
	return graph_node(&graph, &(struct graph_node){.op = GRAPH_FITS, .a = a, .k = k});
}

static inline uint32_t choose(uint32_t test, uint32_t a, uint32_t b)
{
	return graph_node(&graph,
			  &(struct graph_node){.op = GRAPH_SELECT, .a = a, .b = b, .c = test});
}

static inline uint32_t negate(uint32_t test)
{
	return graph_node(&graph, &(struct graph_node){.op = GRAPH_NOT, .a = test});
}

#endif
