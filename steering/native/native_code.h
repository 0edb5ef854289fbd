/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A unit on its way to machine code. Inside the module only.
 *
 * What LLVM takes to compile a function grows faster than the function does, so a unit becomes
 *many:
 *
 *	run(pkts, cnt, hits)	the loop over the packets; then calls the others in turn
 *	part(frame, piece)	some values and comparisons of a piece of the burst, by vectors; or
 *				some NOT, BOTH and EITHER, of words
 *
 * What one makes and another needs lies in a frame on the stack: columns and words.
 */
#ifndef STEERING_NATIVE_NATIVE_CODE_H
#define STEERING_NATIVE_NATIVE_CODE_H

#include "steering/native/native.h"
#include <llvm-c/Core.h>
#include <stdbool.h>
#include <stddef.h>

#define NATIVE_LANES PACKET_BURST

/* The shortest frame of Ethernet: what lies below is in nearly every packet, and so is not worth a
 * check of its own. */
#define NATIVE_NEAR_BYTES 60

#define NATIVE_NOWHERE UINT32_MAX

/* What is known of a node, and what it has become. */
struct native_node {
	uint32_t place;     /* in the frame: of its column or word; NATIVE_NOWHERE */
	uint32_t part;      /* that makes it; NATIVE_NOWHERE: it is there before, or a constant */
	uint32_t seen;      /* the part that `value` belongs to */
	uint16_t phase;     /* of parts: no SELECT of it needs words of its own or a later one */
	uint8_t bits;       /* of a value: 8, 16 or 32, of a lane */
	bool in_column;     /* worked out for all packets at once */
	bool in_lane;       /* worked out for one packet: a load's place depends on it */
	LLVMValueRef value; /* of a value, a vector; of a test, a word with a bit for each packet */
	LLVMValueRef lane;  /* of the packet at hand, in 32 bits or one */
};

struct native_code {
	const struct native_host *host;
	const struct native_job *job;
	uint32_t number;           /* of the job, for names */
	struct native_node *nodes; /* owned, of job->node_cnt */
	uint32_t reach;            /* bytes that a packet must have for its loads at fixed places */
	uint32_t lane_cnt;         /* nodes that are worked out for one packet, and loads */
	uint32_t frame_bytes;
	/* of the lengths; NATIVE_NOWHERE: nobody asks */
	uint32_t len_column;  /* in 16 bits, in which a longer one is the most that they hold */
	uint32_t long_column; /* in 32 bits */
	uint32_t wire_column; /* of that on the wire, in 32 bits */
	uint32_t part_cnt;
	uint8_t *part_lanes;   /* owned; of each part */
	uint32_t vector_lanes; /* of the machine: the bytes of a register; 16, 32 or 64 */

	LLVMContextRef context; /* the caller's, as are module and builder */
	LLVMModuleRef module;
	LLVMBuilderRef builder;
	LLVMTypeRef i1, i8, i16, i32, i64, bytes; /* bytes: a pointer to i8 */

	/* of the function at hand */
	LLVMValueRef function;
	LLVMValueRef frame;
	uint32_t part;
	uint32_t lanes;     /* packets that it works on */
	LLVMValueRef piece; /* which so many of the burst */
	/* of run() alone */
	LLVMValueRef pkts, cnt, hits, zeros;
};

/* Find out what is needed, in how many bits, in which part, and where it lies. 0, or -E2BIG or
 * -ENOMEM with a sentence. */
int native_plan(struct native_code *code, struct xfq_error *error);

/* The loop over the packets, where the builder is; it is left behind it. */
void native_gather(struct native_code *code);

/* The value of a node for the packets at hand, in the function that is being made; also into the
 * frame, where others need it. */
LLVMValueRef native_value(struct native_code *code, uint32_t number);

/* What libpcap's interpreter says of each packet, as a word: a loop in run(). */
LLVMValueRef native_extern(struct native_code *code, uint32_t expression);

struct native_lengths {
	LLVMValueRef data, len, wire_len;
};

/* Code that loads them, of packet `number`, which is a value of 64 bits. */
struct native_lengths native_lengths(struct native_code *code, LLVMValueRef number);

/* How many of a, b, c a node has, and which they are. */
uint32_t native_operands(const struct graph_node *node, uint32_t operands[3]);

/* Whether a load is at a fixed place, which nearly every packet has. */
static inline bool native_is_near(const struct graph_node *node)
{
	return node->a == GRAPH_NONE && node->k + (uint64_t)node->size <= NATIVE_NEAR_BYTES;
}

/* In how many bits a GRAPH_FITS can be worked out. */
static inline uint32_t native_fits_bits(const struct native_code *code,
					const struct graph_node *node)
{
	uint64_t most = node->k;

	if (node->a != GRAPH_NONE)
		most += code->job->nodes[node->a].max;
	return most <= UINT16_MAX ? 16 : 32;
}

static inline bool native_is_test(const struct graph_node *node)
{
	return node->op >= GRAPH_FALSE;
}

/* Whether a node is made of words alone. */
static inline bool native_is_junction(const struct graph_node *node)
{
	return node->op == GRAPH_NOT || node->op == GRAPH_BOTH || node->op == GRAPH_EITHER;
}

static inline LLVMTypeRef native_int(const struct native_code *code, uint32_t bits)
{
	return bits == 8 ? code->i8 : bits == 16 ? code->i16 : code->i32;
}

static inline LLVMTypeRef native_vector_type(const struct native_code *code, uint32_t bits)
{
	return LLVMVectorType(native_int(code, bits), code->lanes);
}

static inline LLVMValueRef native_const(const struct native_code *code, uint64_t value)
{
	return LLVMConstInt(code->i64, value, 0);
}

/* `base` + `offset` bytes; both are values. */
static inline LLVMValueRef native_at(struct native_code *code, LLVMValueRef base,
				     LLVMValueRef offset)
{
	return LLVMBuildGEP2(code->builder, code->i8, base, &offset, 1, "");
}

static inline LLVMValueRef native_load(struct native_code *code, LLVMTypeRef type, LLVMValueRef at,
				       uint32_t align)
{
	LLVMTypeRef pointer = LLVMPointerType(type, 0);
	LLVMValueRef value = LLVMBuildLoad2(code->builder, type,
					    LLVMBuildBitCast(code->builder, at, pointer, ""), "");

	LLVMSetAlignment(value, align);
	return value;
}

static inline void native_store(struct native_code *code, LLVMValueRef value, LLVMValueRef at,
				uint32_t align)
{
	LLVMTypeRef pointer = LLVMPointerType(LLVMTypeOf(value), 0);

	at = LLVMBuildBitCast(code->builder, at, pointer, "");
	LLVMSetAlignment(LLVMBuildStore(code->builder, value, at), align);
}

/* A place in the frame. */
static inline LLVMValueRef native_place(struct native_code *code, uint32_t place)
{
	return native_at(code, code->frame, native_const(code, place));
}

#endif
