/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/graph.h"
#include "steering/graph_simplify.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GRAPH_ROOM_FIRST 256

void graph_init(struct graph *graph)
{
	memset(graph, 0, sizeof(*graph));
}

void graph_destroy(struct graph *graph)
{
	free(graph->nodes);
	free(graph->table);
	memset(graph, 0, sizeof(*graph));
}

bool graph_is_test(const struct graph *graph, uint32_t node)
{
	return graph->nodes[node].op >= GRAPH_FALSE;
}

/* --- the table ------------------------------------------------------------------------------- */

static uint32_t graph_hash(const struct graph_node *node)
{
	const uint32_t words[] = {node->op | (uint32_t)node->size << 8, node->a, node->b, node->c,
				  node->k};
	uint64_t hash = 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		hash = (hash ^ words[i]) * 0xff51afd7ed558ccdu; /* of MurmurHash3's finalizer */
		hash ^= hash >> 32;
	}
	return (uint32_t)hash;
}

static bool graph_says_same(const struct graph_node *a, const struct graph_node *b)
{
	return a->op == b->op && a->size == b->size && a->a == b->a && a->b == b->b &&
	       a->c == b->c && a->k == b->k;
}

/* The slot of the table that has this node, or where it belongs. */
static uint32_t *graph_slot(const struct graph *graph, const struct graph_node *node)
{
	uint32_t at = graph_hash(node) & (graph->table_cnt - 1);

	while (graph->table[at] != GRAPH_NONE &&
	       !graph_says_same(&graph->nodes[graph->table[at]], node))
		at = (at + 1) & (graph->table_cnt - 1);
	return &graph->table[at];
}

/* Room for another node, and a table at most half full. */
static int graph_grow(struct graph *graph)
{
	uint32_t room = graph->room ? 2 * graph->room : GRAPH_ROOM_FIRST;
	struct graph_node *nodes;
	uint32_t *table;

	if (graph->cnt < graph->room)
		return 0;
	if (graph->cnt >= GRAPH_NODES_MAX)
		return -E2BIG;
	nodes = realloc(graph->nodes, room * sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	graph->nodes = nodes;
	table = malloc(2 * (size_t)room * sizeof(*table));
	if (!table)
		return -ENOMEM;
	free(graph->table);
	graph->table = table;
	graph->table_cnt = 2 * room;
	graph->room = room;
	memset(table, 0xff, 2 * (size_t)room * sizeof(*table)); /* GRAPH_NONE */
	for (uint32_t i = 0; i < graph->cnt; i++)
		*graph_slot(graph, &nodes[i]) = i;
	return 0;
}

uint32_t graph_intern(struct graph *graph, const struct graph_node *node)
{
	uint32_t *slot;

	if (!graph->failed)
		graph->failed = graph_grow(graph);
	if (graph->failed)
		return GRAPH_NONE;
	slot = graph_slot(graph, node);
	if (*slot == GRAPH_NONE) {
		*slot = graph->cnt;
		graph->nodes[graph->cnt] = *node;
		graph_bound(graph, &graph->nodes[graph->cnt]);
		graph->cnt++;
	}
	return *slot;
}

/* The two tests that simplifying takes for granted. */
static void graph_begin(struct graph *graph)
{
	static const enum graph_op ops[] = {GRAPH_FALSE, GRAPH_TRUE};

	for (size_t i = 0; i < 2 && graph->cnt < 2; i++)
		graph_intern(graph, &(struct graph_node){.op = (uint8_t)ops[i],
							 .a = GRAPH_NONE,
							 .b = GRAPH_NONE,
							 .c = GRAPH_NONE});
}

/* --- nodes ----------------------------------------------------------------------------------- */

uint32_t graph_make(struct graph *graph, enum graph_op op, uint32_t a, uint32_t b)
{
	return graph_node(graph,
			  &(struct graph_node){.op = (uint8_t)op, .a = a, .b = b, .c = GRAPH_NONE});
}

uint32_t graph_const(struct graph *graph, uint32_t k)
{
	return graph_node(graph, &(struct graph_node){.op = GRAPH_CONST,
						      .a = GRAPH_NONE,
						      .b = GRAPH_NONE,
						      .c = GRAPH_NONE,
						      .k = k});
}

uint32_t graph_node(struct graph *graph, const struct graph_node *node)
{
	graph_begin(graph);
	if (graph->failed)
		return GRAPH_NONE;
	switch ((enum graph_op)node->op) {
	case GRAPH_FALSE:
		return GRAPH_ID_FALSE;
	case GRAPH_TRUE:
		return GRAPH_ID_TRUE;
	case GRAPH_FITS:
		return graph_fits(graph, node->a, node->k);
	case GRAPH_EQ:
	case GRAPH_GT:
	case GRAPH_GE:
	case GRAPH_BITS:
		return graph_compare(graph, node);
	case GRAPH_NOT:
		return graph_not(graph, node->a);
	case GRAPH_BOTH:
	case GRAPH_EITHER:
		return graph_junction(graph, (enum graph_op)node->op, node->a, node->b);
	case GRAPH_EXTERN:
	case GRAPH_CONST:
	case GRAPH_WIRE_LEN:
	case GRAPH_LOAD:
	case GRAPH_ADD:
	case GRAPH_SUB:
	case GRAPH_MUL:
	case GRAPH_DIV:
	case GRAPH_MOD:
	case GRAPH_AND:
	case GRAPH_OR:
	case GRAPH_XOR:
	case GRAPH_LSH:
	case GRAPH_RSH:
	case GRAPH_SELECT:
		return graph_value(graph, node);
	}
	return GRAPH_NONE;
}

/* --- what they look at ----------------------------------------------------------------------- */

/* The first byte that a load does not look at, wherever it looks. */
static uint32_t graph_load_end(const struct graph *graph, const struct graph_node *node)
{
	uint64_t end = (uint64_t)node->k + node->size;

	if (node->a != GRAPH_NONE)
		end += graph->nodes[node->a].max;
	return end < UINT32_MAX ? (uint32_t)end : UINT32_MAX;
}

uint32_t graph_reach(const struct graph *graph, const uint32_t *roots, uint32_t cnt)
{
	uint8_t *needed = calloc(graph->cnt + 1u, 1);
	uint32_t reach = 0;

	if (!needed)
		return UINT32_MAX;
	for (uint32_t i = 0; i < cnt; i++)
		needed[roots[i]] = 1;
	for (uint32_t i = graph->cnt; i-- > 0;) {
		const struct graph_node *node = &graph->nodes[i];
		const uint32_t operands[] = {node->a, node->b, node->c};
		uint32_t end = 0;

		if (!needed[i])
			continue;
		for (size_t o = 0; o < 3; o++)
			if (operands[o] != GRAPH_NONE)
				needed[operands[o]] = 1;
		if (node->op == GRAPH_EXTERN)
			end = UINT32_MAX;
		else if (node->op == GRAPH_LOAD)
			end = graph_load_end(graph, node);
		reach = end > reach ? end : reach;
	}
	free(needed);
	return reach;
}
