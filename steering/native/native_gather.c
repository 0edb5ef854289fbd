/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop over the packets. Its body is there twice: for packets of `reach` bytes, whose near
 * loads need no check, and for shorter ones.
 *
 * A load that does not lie in the packet reads zeros of our own instead: one conditional move, no
 * branch.
 */
#include "steering/native/native_code.h"
#include <stddef.h>

/* One packet. */
struct native_packet {
	LLVMValueRef number; /* in the burst */
	struct native_lengths is;
	LLVMValueRef len64;
	bool near; /* has `reach` bytes */
};

static LLVMValueRef native_constant(const struct native_code *code, uint32_t value)
{
	return LLVMConstInt(code->i32, value, 0);
}

/* Where in its column the packet's value is. */
static LLVMValueRef native_lane_place(struct native_code *code, const struct native_packet *pkt,
				      uint32_t column, uint32_t lane_bytes)
{
	LLVMValueRef offset =
		LLVMBuildMul(code->builder, pkt->number, native_const(code, lane_bytes), "");

	offset = LLVMBuildAdd(code->builder, offset, native_const(code, column), "");
	return native_at(code, code->frame, offset);
}

/* `size` bytes in network byte order, as 32 bits; and into the load's column. */
static LLVMValueRef native_lane_load(struct native_code *code, const struct native_packet *pkt,
				     uint32_t number)
{
	const struct graph_node *node = &code->job->nodes[number];
	const struct native_node *plan = &code->nodes[number];
	LLVMTypeRef type = native_int(code, node->size * 8u);
	LLVMValueRef at = native_const(code, node->k), from, value;

	if (node->a != GRAPH_NONE)
		at = LLVMBuildAdd(
			code->builder,
			LLVMBuildZExt(code->builder, code->nodes[node->a].lane, code->i64, ""), at,
			"");
	from = native_at(code, pkt->is.data, at);
	if (!(pkt->near && native_is_near(node))) {
		LLVMValueRef end =
			LLVMBuildAdd(code->builder, at, native_const(code, node->size), "");
		LLVMValueRef lies = LLVMBuildICmp(code->builder, LLVMIntULE, end, pkt->len64, "");

		from = LLVMBuildSelect(code->builder, lies, from, code->zeros, "");
	}
	value = native_load(code, type, from, 1);
	if (node->size > 1 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
		LLVMTypeRef overloads[] = {type};
		unsigned id = LLVMLookupIntrinsicID("llvm.bswap", 10);
		LLVMValueRef swap = LLVMGetIntrinsicDeclaration(code->module, id, overloads, 1);

		value = LLVMBuildCall2(code->builder,
				       LLVMIntrinsicGetType(code->context, id, overloads, 1), swap,
				       &value, 1, "");
	}
	if (plan->in_column)
		native_store(code, value, native_lane_place(code, pkt, plan->place, node->size),
			     node->size);
	return plan->in_lane ? LLVMBuildZExt(code->builder, value, code->i32, "") : NULL;
}

/* a / b or a % b, 0 where b is. */
static LLVMValueRef native_lane_divide(struct native_code *code, enum graph_op op, LLVMValueRef a,
				       LLVMValueRef b)
{
	LLVMValueRef none =
		LLVMBuildICmp(code->builder, LLVMIntEQ, b, native_constant(code, 0), "");
	LLVMValueRef by = LLVMBuildSelect(code->builder, none, native_constant(code, 1), b, "");
	LLVMValueRef value = op == GRAPH_DIV ? LLVMBuildUDiv(code->builder, a, by, "")
					     : LLVMBuildURem(code->builder, a, by, "");

	return LLVMBuildSelect(code->builder, none, native_constant(code, 0), value, "");
}

/* a << b or a >> b, 0 from 32 on. */
static LLVMValueRef native_lane_shift(struct native_code *code, enum graph_op op, LLVMValueRef a,
				      LLVMValueRef b)
{
	LLVMValueRef some =
		LLVMBuildICmp(code->builder, LLVMIntULT, b, native_constant(code, 32), "");
	LLVMValueRef by = LLVMBuildSelect(code->builder, some, b, native_constant(code, 0), "");
	LLVMValueRef value = op == GRAPH_LSH ? LLVMBuildShl(code->builder, a, by, "")
					     : LLVMBuildLShr(code->builder, a, by, "");

	return LLVMBuildSelect(code->builder, some, value, native_constant(code, 0), "");
}

/* value a + k <= len, in 64 bits. */
static LLVMValueRef native_lane_fits(struct native_code *code, const struct native_packet *pkt,
				     const struct graph_node *node, LLVMValueRef a)
{
	LLVMValueRef end = native_const(code, node->k);

	if (a)
		end = LLVMBuildAdd(code->builder, LLVMBuildZExt(code->builder, a, code->i64, ""),
				   end, "");
	return LLVMBuildICmp(code->builder, LLVMIntULE, end, pkt->len64, "");
}

static LLVMValueRef native_lane_of(struct native_code *code, const struct native_packet *pkt,
				   const struct graph_node *node, LLVMValueRef a, LLVMValueRef b,
				   LLVMValueRef c)
{
	LLVMBuilderRef builder = code->builder;

	switch ((enum graph_op)node->op) {
	case GRAPH_CONST:
		return native_constant(code, node->k);
	case GRAPH_WIRE_LEN:
		return pkt->is.wire_len;
	case GRAPH_ADD:
		return LLVMBuildAdd(builder, a, b, "");
	case GRAPH_SUB:
		return LLVMBuildSub(builder, a, b, "");
	case GRAPH_MUL:
		return LLVMBuildMul(builder, a, b, "");
	case GRAPH_DIV:
	case GRAPH_MOD:
		return native_lane_divide(code, (enum graph_op)node->op, a, b);
	case GRAPH_AND:
	case GRAPH_BOTH:
		return LLVMBuildAnd(builder, a, b, "");
	case GRAPH_OR:
	case GRAPH_EITHER:
		return LLVMBuildOr(builder, a, b, "");
	case GRAPH_XOR:
		return LLVMBuildXor(builder, a, b, "");
	case GRAPH_LSH:
	case GRAPH_RSH:
		return native_lane_shift(code, (enum graph_op)node->op, a, b);
	case GRAPH_SELECT:
		return LLVMBuildSelect(builder, c, a, b, "");
	case GRAPH_FITS:
		return native_lane_fits(code, pkt, node, a);
	case GRAPH_EQ:
		return LLVMBuildICmp(builder, LLVMIntEQ, a, b, "");
	case GRAPH_GT:
		return LLVMBuildICmp(builder, LLVMIntUGT, a, b, "");
	case GRAPH_GE:
		return LLVMBuildICmp(builder, LLVMIntUGE, a, b, "");
	case GRAPH_BITS:
		return LLVMBuildICmp(builder, LLVMIntNE, LLVMBuildAnd(builder, a, b, ""),
				     native_constant(code, 0), "");
	case GRAPH_NOT:
		return LLVMBuildNot(builder, a, "");
	case GRAPH_TRUE:
		return LLVMConstInt(code->i1, 1, 0);
	case GRAPH_LOAD:   /* native_lane_load() */
	case GRAPH_EXTERN: /* nothing depends on it */
	case GRAPH_FALSE:
		break;
	}
	return LLVMConstInt(code->i1, 0, 0);
}

/* All loads of one packet, and what their places depend on. */
static void native_gather_body(struct native_code *code, const struct native_packet *pkt)
{
	for (uint32_t i = 0; i < code->job->node_cnt; i++) {
		const struct graph_node *node = &code->job->nodes[i];
		struct native_node *plan = &code->nodes[i];
		uint32_t operands[3], cnt = native_operands(node, operands);
		LLVMValueRef lanes[3] = {NULL, NULL, NULL};

		for (uint32_t o = 0; o < cnt; o++)
			lanes[o] = code->nodes[operands[o]].lane;
		if (node->op == GRAPH_LOAD && (plan->in_column || plan->in_lane))
			plan->lane = native_lane_load(code, pkt, i);
		else if (plan->in_lane)
			plan->lane = native_lane_of(code, pkt, node, lanes[0], lanes[1], lanes[2]);
	}
}

/* A field of a structure at `at`. */
static LLVMValueRef native_field(struct native_code *code, LLVMTypeRef type, LLVMValueRef at,
				 size_t offset)
{
	return native_load(code, type, native_at(code, at, native_const(code, offset)),
			   type == code->i32 ? sizeof(uint32_t) : sizeof(void *));
}

struct native_lengths native_lengths(struct native_code *code, LLVMValueRef number)
{
	LLVMValueRef offset =
		LLVMBuildMul(code->builder, number, native_const(code, sizeof(struct packet)), "");
	LLVMValueRef at = native_at(code, code->pkts, offset);
	LLVMValueRef meta = native_field(code, code->bytes, at, offsetof(struct packet, meta));

	return (struct native_lengths){
		.data = native_field(code, code->bytes, at, offsetof(struct packet, data)),
		.len = native_field(code, code->i32, at, offsetof(struct packet, len)),
		.wire_len =
			native_field(code, code->i32, meta, offsetof(struct xfq_meta, wire_len)),
	};
}

/* What does not depend on where anything lies. */
static void native_gather_lengths(struct native_code *code, struct native_packet *pkt)
{
	LLVMValueRef most = native_constant(code, UINT16_MAX), over, len;

	pkt->is = native_lengths(code, pkt->number);
	pkt->len64 = LLVMBuildZExt(code->builder, pkt->is.len, code->i64, "");
	if (code->len_column != NATIVE_NOWHERE) {
		over = LLVMBuildICmp(code->builder, LLVMIntUGT, pkt->is.len, most, "");
		len = LLVMBuildSelect(code->builder, over, most, pkt->is.len, "");
		native_store(code, LLVMBuildTrunc(code->builder, len, code->i16, ""),
			     native_lane_place(code, pkt, code->len_column, 2), 2);
	}
	if (code->long_column != NATIVE_NOWHERE)
		native_store(code, pkt->is.len, native_lane_place(code, pkt, code->long_column, 4),
			     4);
	if (code->wire_column != NATIVE_NOWHERE)
		native_store(code, pkt->is.wire_len,
			     native_lane_place(code, pkt, code->wire_column, 4), 4);
}

void native_gather(struct native_code *code)
{
	LLVMBasicBlockRef before = LLVMGetInsertBlock(code->builder), blocks[5];
	LLVMValueRef next, counts[2];
	struct native_packet pkt = {0};

	for (uint32_t i = 0; i < 5; i++)
		blocks[i] = LLVMAppendBasicBlockInContext(code->context, code->function, "");
	LLVMBuildBr(code->builder, blocks[0]);
	/* [0]: one more? */
	LLVMPositionBuilderAtEnd(code->builder, blocks[0]);
	pkt.number = LLVMBuildPhi(code->builder, code->i64, "");
	LLVMBuildCondBr(code->builder,
			LLVMBuildICmp(code->builder, LLVMIntULT, pkt.number, code->cnt, ""),
			blocks[1], blocks[4]);
	/* [1]: long enough? */
	LLVMPositionBuilderAtEnd(code->builder, blocks[1]);
	native_gather_lengths(code, &pkt);
	next = LLVMBuildAdd(code->builder, pkt.number, native_const(code, 1), "");
	LLVMBuildCondBr(code->builder,
			LLVMBuildICmp(code->builder, LLVMIntUGE, pkt.is.len,
				      native_constant(code, code->reach), ""),
			blocks[2], blocks[3]);
	for (uint32_t body = 2; body <= 3; body++) {
		LLVMPositionBuilderAtEnd(code->builder, blocks[body]);
		pkt.near = body == 2;
		native_gather_body(code, &pkt);
		LLVMBuildBr(code->builder, blocks[0]);
	}
	counts[0] = native_const(code, 0);
	counts[1] = next;
	LLVMAddIncoming(pkt.number, counts, (LLVMBasicBlockRef[]){before, blocks[2]}, 2);
	LLVMAddIncoming(pkt.number, &next, &blocks[3], 1);
	LLVMPositionBuilderAtEnd(code->builder, blocks[4]);
}
