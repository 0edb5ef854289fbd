/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many expressions as one graph, in which what they have in common is there once.
 *
 * A node is a value (32 bits, of each packet) or a test (true or false, of each packet), made of
 * nodes before it; two that say the same are the same node. Nothing branches: where classic BPF
 * jumps, a test says whether a packet comes that way, and where ways meet, a value is selected. So
 * all nodes can be worked out in their order for a whole burst at once (unit.h), and what an answer
 * depends on can be read off.
 *
 *	tcp port 80     [12:2] == 0x800 and [23:1] == 6 and ...     roots, one for each expression
 *	                        \            \
 *	udp port 53     [12:2] == 0x800 and [23:1] == 17 and ...
 *
 * A load that does not lie in the packet gives 0 here and the expression does not match, which
 * tests of their own say (GRAPH_FITS); so with a division by 0.
 *
 * Set-up only, any thread.
 */
#ifndef STEERING_GRAPH_H
#define STEERING_GRAPH_H

#include "steering/expression.h"
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

#define GRAPH_NODES_MAX (1u << 18)
#define GRAPH_NONE      UINT32_MAX

enum graph_op {
	/* values */
	GRAPH_CONST = 0, /* k */
	GRAPH_WIRE_LEN,  /* bytes on the wire */
	GRAPH_LOAD, /* `size` bytes (1, 2, 4) in network byte order at value a + k (a GRAPH_NONE:
		     * at k); 0 where they do not lie in the packet */
	GRAPH_ADD,  /* a, b */
	GRAPH_SUB,
	GRAPH_MUL,
	GRAPH_DIV, /* 0 where b is */
	GRAPH_MOD,
	GRAPH_AND,
	GRAPH_OR,
	GRAPH_XOR,
	GRAPH_LSH, /* 0 from 32 on */
	GRAPH_RSH,
	GRAPH_SELECT, /* test c ? a : b */
	/* tests */
	GRAPH_FALSE,
	GRAPH_TRUE,
	GRAPH_FITS, /* value a + k <= bytes that were captured, in 64 bits (a GRAPH_NONE: k) */
	GRAPH_EQ,   /* a, b */
	GRAPH_GT,
	GRAPH_GE,   /* in no graph: it is made of GRAPH_GT and GRAPH_NOT */
	GRAPH_BITS, /* a & b is not 0 */
	GRAPH_NOT,  /* of test a */
	GRAPH_BOTH, /* of tests a, b */
	GRAPH_EITHER,
	GRAPH_EXTERN /* what expression number k says: one that cannot be a graph (it loops) */
};

struct graph_node {
	uint8_t op; /* enum graph_op */
	uint8_t size;
	uint16_t reserved;
	uint32_t a, b, c; /* nodes before this one */
	uint32_t k;
	/* what graph_node() works out, whatever it is given there: */
	uint32_t may;  /* of a value: the bits that may be set */
	uint32_t max;  /* of a value: no packet has a higher one */
	uint32_t fits; /* where it is not 0, or true, at least so many bytes were captured */
};

struct graph {
	struct graph_node *nodes; /* owned */
	uint32_t cnt, room;
	uint32_t *table; /* owned: nodes by what they say */
	uint32_t table_cnt;
	int failed; /* -ENOMEM, -E2BIG: a node could not be made, nor can one from then on */
};

/* An empty one. The caller owes a graph_destroy(), which takes zeroed memory as well. */
void graph_init(struct graph *graph);
void graph_destroy(struct graph *graph);

/*
 * The node that says this: the one there is, or a new one; what can be worked out now is, and it
 * may be put in other words: constants on the right; of comparisons with a constant EQ, GT and BITS
 * alone; BOTH and EITHER in chains to the left that are sorted, without what follows from the rest.
 * GRAPH_NONE: no memory, or GRAPH_NODES_MAX.
 */
uint32_t graph_node(struct graph *graph, const struct graph_node *node);

/* Whether a node is a test, and not a value. */
bool graph_is_test(const struct graph *graph, uint32_t node);

/*
 * Add an expression; *root is the test that says whether it matches. One that loops becomes a
 * GRAPH_EXTERN of `number`. 0, -ENOMEM, or -E2BIG beyond GRAPH_NODES_MAX nodes.
 */
int graph_add(struct graph *graph, const struct expression *expression, uint32_t number,
	      uint32_t *root);

/* What is known of the packets of a kind before one looks: of each of the first bytes, which bits
 * always have which value, and which are part of their flow's key. */
#define GRAPH_FACT_BYTES  96
#define GRAPH_FACT_OTHERS 4
struct graph_facts {
	uint32_t len; /* all of them are at least so long */
	uint8_t known[GRAPH_FACT_BYTES], value[GRAPH_FACT_BYTES];
	uint8_t keyed[GRAPH_FACT_BYTES];
	/* and values that the byte at `other_at` never has */
	uint32_t other_at, other_cnt;
	uint8_t others[GRAPH_FACT_OTHERS];
};

/* Whether, of packets of such a kind, a test depends on nothing but the key. Looks at single bits:
 * `ip[6:2] & 0x1fff != 0` does not depend on the others. False where it cannot tell. */
bool graph_is_keyed(const struct graph *graph, uint32_t root, const struct graph_facts *facts);

/* A bound for how far into a packet the tests may look: no byte at or beyond it is read;
 * UINT32_MAX: no bound. */
uint32_t graph_reach(const struct graph *graph, const uint32_t *roots, uint32_t cnt);

#endif
