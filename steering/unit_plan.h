/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In which order a unit's nodes are worked out, and how wide their values are. For those that run
 * one: the interpreter (unit_kernels.h), and the generator of native code, which needs the first
 * half only.
 *
 *	order[]		the nodes that some root needs, each after what it is made of: loads,
 *			values and tests of the first expression, then its junctions, then those of
 *			the second that are new, and so on
 *	width[]		of a value, bytes that hold it for every packet: arithmetic modulo 256 or
 *			65536 gives the same; a value is at least as wide as what it is made of
 *	address[]	some load's offset is made of it, and so must be known before that load,
 *			packet by packet
 *
 * Constants are in no list: they stand in the nodes that use them.
 */
#ifndef STEERING_UNIT_PLAN_H
#define STEERING_UNIT_PLAN_H

#include "steering/unit.h"

#define UNIT_WORD 8 /* width of a test: a bit for each packet */

/* What one run may take of the stack. */
#define UNIT_SCRATCH_MAX (256u * 1024)

struct unit_frame;
struct unit_op;

/* Works out one node for a burst. */
typedef void unit_kernel(const struct unit_frame *frame, const struct unit_op *op);

/* A step of the interpreter. `out`, `a`, `b`, `c` are bytes from the begin of the scratch memory,
 * where the columns and words are; of UNIT_JUNCTIONS a and b are the first junction and their end.
 */
struct unit_op {
	unit_kernel *kernel;
	uint32_t out, a, b, c;
	uint32_t k;
};

/* out = ((a ^ flip_a) & (b ^ flip_b)) ^ flip; an EITHER is a BOTH of opposites. */
struct unit_junction {
	uint32_t out, a, b;
	uint8_t flip_a, flip_b, flip, reserved;
};

/* Where a root's answer is. */
struct unit_answer {
	uint32_t word;
	bool flip;
};

struct unit_plan {
	uint32_t *order; /* owned */
	uint32_t order_cnt;
	uint8_t *width; /* owned; of each node of the graph; UNIT_WORD: test; 0: nobody needs it */
	bool *address;  /* owned; of each node of the graph */
	uint32_t load_cnt, value_cnt, test_cnt, junction_cnt; /* of order[]; NOT is no junction */

	/* the interpreter's */
	struct unit_op *ops; /* owned */
	uint32_t op_cnt, op_room;
	struct unit_junction *junctions; /* owned */
	uint32_t junctions_cnt;
	struct unit_answer *answers; /* owned; of each root */
	uint32_t scratch_bytes;
};

/* Make unit->plan of unit->graph and unit->roots. 0, -ENOMEM, or -E2BIG: more than
 * UNIT_SCRATCH_MAX. unit_plan_destroy() takes NULL. */
int unit_plan_create(struct unit *unit);
void unit_plan_destroy(struct unit_plan *plan);

/* --- the interpreter's kernels --------------------------------------------------------------- */

/* What one run works on. */
struct unit_frame {
	const struct unit *unit;
	const struct packet *pkts;
	uint32_t cnt;
	uint32_t columns; /* cnt, rounded up: 32 or 64 */
	uint32_t len_min; /* the shortest packet's */
	uint8_t *scratch;
	uint32_t len[PACKET_BURST] __attribute__((aligned(64)));
};

/* Steps beside the graph's operations. */
enum unit_extra {
	UNIT_WIDEN = GRAPH_EXTERN + 1, /* a column as a wider one */
	UNIT_FILL,                     /* k in all of a column */
	UNIT_JUNCTIONS,                /* a run of them */
	UNIT_CODES
};

/*
 * Kernels by operation, log2 of the width, and the kind of operands:
 *	load		0: at k; 1 + log2 of the width of the offset
 *	fits		0: k; 1: column a + k
 *	widen		log2 of the width before
 *	other		0: two columns; 1: a column and k
 */
#define UNIT_KINDS 4
typedef unit_kernel *unit_kernel_table[UNIT_CODES][3][UNIT_KINDS];

extern const unit_kernel_table unit_kernels_plain;
#ifdef __x86_64__
extern const unit_kernel_table unit_kernels_avx2;
#endif

#endif
