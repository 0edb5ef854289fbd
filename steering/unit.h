/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A unit: many expressions, evaluated for a burst of packets at once.
 *
 *	gather    per packet: each load that any expression makes, once, into the
 *	          column of its value
 *	compute   per column: arithmetic and comparisons of 64 packets side by side;
 *	          a comparison gives a word with a bit for each packet
 *	combine   per burst: the tests of the expressions are operations on such words
 *
 * So a test costs a burst what a branch costs a packet, and what several expressions look at is
 * looked at once. The graph is interpreted column by column, or compiled to native code
 * (native/native.h), which saves the interpreter's memory traffic; both, and libpcap's interpreter,
 * give the same answers.
 *
 * A unit is made once and never changed but for unit_set_native(); any number of threads may run
 * it.
 */
#ifndef STEERING_UNIT_H
#define STEERING_UNIT_H

#include "steering/graph.h"
#include "steering/packet.h"

#define UNIT_EXPRESSIONS_MAX 512

/* hits[root] has bit i where expression `root` matches pkts[i]; bits from cnt on are 0. */
typedef void unit_native(const struct packet *pkts, uint32_t cnt, uint64_t *hits);

struct unit_plan; /* the order of gather, compute and combine, for the interpreter */

struct unit {
	struct graph graph;
	const struct expression *const *expressions; /* the caller's; outlive the unit */
	uint32_t cnt;                                /* of expressions, and of roots */
	uint32_t *roots;                             /* owned */
	uint32_t reach;                              /* graph_reach() of all */
	struct unit_plan *plan;                      /* owned */
	unit_native *native;                         /* NULL: interpreted */
};

/*
 * Build a unit of `cnt` expressions (0 is allowed), interpreted. 0; -ENOMEM; -E2BIG with a sentence
 * that names the number of the expression. The caller owes a unit_destroy(), which takes zeroed
 * memory as well.
 */
int unit_create(struct unit *unit, const struct expression *const *expressions, uint32_t cnt,
		struct xfq_error *error);
void unit_destroy(struct unit *unit);

/* Evaluate for `cnt` packets, at most PACKET_BURST: hits[] as of unit_native. Reads nothing outside
 * the packets. */
void unit_run(const struct unit *unit, const struct packet *pkts, uint32_t cnt, uint64_t *hits);

/* The same by the interpreter, whatever is compiled; for tests. */
void unit_interpret(const struct unit *unit, const struct packet *pkts, uint32_t cnt,
		    uint64_t *hits);

/* From now on unit_run() is this code, which the caller owns; NULL: interpreted. Set-up only. */
void unit_set_native(struct unit *unit, unit_native *native);

#endif
