/* SPDX-License-Identifier: BSD-2-Clause */
/* Values of all packets side by side, and tests as words with a bit for each. */
#include "steering/native/native_code.h"

/* Words of junctions are whole; comparisons make pieces of them. */
static LLVMTypeRef native_word_type(const struct native_code *code)
{
	return LLVMIntTypeInContext(code->context, code->lanes);
}

static LLVMValueRef native_splat(const struct native_code *code, uint32_t bits, uint32_t value)
{
	LLVMValueRef lanes[NATIVE_LANES];

	for (uint32_t i = 0; i < code->lanes; i++)
		lanes[i] = LLVMConstInt(native_int(code, bits), value, 0);
	return LLVMConstVector(lanes, code->lanes);
}

/* Where the packets at hand begin in a column. */
static LLVMValueRef native_lanes_at(struct native_code *code, uint32_t column, uint32_t bits)
{
	LLVMValueRef at = native_const(code, column);

	if (code->lanes < NATIVE_LANES)
		at = LLVMBuildAdd(code->builder, at,
				  LLVMBuildMul(code->builder, code->piece,
					       native_const(code, code->lanes * bits / 8), ""),
				  "");
	return native_at(code, code->frame, at);
}

static LLVMValueRef native_column(struct native_code *code, uint32_t column, uint32_t bits)
{
	return native_load(code, native_vector_type(code, bits),
			   native_lanes_at(code, column, bits), code->lanes);
}

/* Where the bits of the packets at hand are in a word. */
static LLVMValueRef native_word_at(struct native_code *code, uint32_t place)
{
	return native_lanes_at(code, place, 1);
}

/* What a node has become: here, or in the frame by an earlier part. */
static LLVMValueRef native_made(struct native_code *code, uint32_t number)
{
	struct native_node *plan = &code->nodes[number];
	const struct graph_node *node = &code->job->nodes[number];

	if (plan->seen == code->part)
		return plan->value;
	plan->seen = code->part;
	if (node->op == GRAPH_FALSE || node->op == GRAPH_TRUE)
		plan->value = LLVMConstInt(native_word_type(code),
					   node->op == GRAPH_TRUE ? UINT64_MAX : 0, 0);
	else if (native_is_test(node))
		plan->value = native_load(code, native_word_type(code),
					  native_word_at(code, plan->place), code->lanes / 8);
	else
		plan->value = native_column(code, plan->place, plan->bits);
	return plan->value;
}

/* A value in lanes of `bits`, which are enough for it. */
static LLVMValueRef native_vector(struct native_code *code, uint32_t number, uint32_t bits)
{
	const struct graph_node *node = &code->job->nodes[number];
	const struct native_node *plan = &code->nodes[number];
	LLVMValueRef value;

	if (node->op == GRAPH_CONST)
		return native_splat(code, bits, node->k);
	value = native_made(code, number);
	if (plan->bits < bits)
		value = LLVMBuildZExt(code->builder, value, native_vector_type(code, bits), "");
	if (plan->bits > bits)
		value = LLVMBuildTrunc(code->builder, value, native_vector_type(code, bits), "");
	return value;
}

static LLVMValueRef native_word(struct native_code *code, LLVMValueRef lanes)
{
	return LLVMBuildBitCast(code->builder, lanes, native_word_type(code), "");
}

/* A word as lanes of one bit. Where no register of masks takes it as it is, each lane gets its
 * byte, of which it looks at its own bit. */
static LLVMValueRef native_mask(struct native_code *code, uint32_t test)
{
	LLVMValueRef word = native_made(code, test), bytes[NATIVE_LANES], bits[NATIVE_LANES], lanes;
	LLVMTypeRef type = LLVMVectorType(code->i8, code->lanes / 8);

	if (code->lanes == NATIVE_LANES)
		return LLVMBuildBitCast(code->builder, word, LLVMVectorType(code->i1, code->lanes),
					"");
	for (uint32_t i = 0; i < code->lanes; i++) {
		uint32_t byte = i / 8;

		if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
			byte = code->lanes / 8 - 1 - byte;
		bytes[i] = LLVMConstInt(code->i32, byte, 0);
		bits[i] = LLVMConstInt(code->i8, 1u << i % 8, 0);
	}
	lanes = LLVMBuildBitCast(code->builder, word, type, "");
	lanes = LLVMBuildShuffleVector(code->builder, lanes, LLVMGetUndef(type),
				       LLVMConstVector(bytes, code->lanes), "");
	lanes = LLVMBuildAnd(code->builder, lanes, LLVMConstVector(bits, code->lanes), "");
	return LLVMBuildICmp(code->builder, LLVMIntNE, lanes, native_splat(code, 8, 0), "");
}

/* --- values ----------------------------------------------------------------------------------- */

/* a / b or a % b, 0 where b is. */
static LLVMValueRef native_vector_divide(struct native_code *code, const struct graph_node *node,
					 uint32_t bits, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef zero = native_splat(code, bits, 0), none, by, value;

	none = LLVMBuildICmp(code->builder, LLVMIntEQ, b, zero, "");
	by = LLVMBuildSelect(code->builder, none, native_splat(code, bits, 1), b, "");
	value = node->op == GRAPH_DIV ? LLVMBuildUDiv(code->builder, a, by, "")
				      : LLVMBuildURem(code->builder, a, by, "");
	return LLVMBuildSelect(code->builder, none, zero, value, "");
}

/* a << b or a >> b. Lanes have at least the bits of a and of the result: from there on it is 0. */
static LLVMValueRef native_vector_shift(struct native_code *code, const struct graph_node *node,
					uint32_t bits, LLVMValueRef a, LLVMValueRef b)
{
	LLVMValueRef zero = native_splat(code, bits, 0), some, by, value;

	some = LLVMBuildICmp(code->builder, LLVMIntULT, b, native_splat(code, bits, bits), "");
	by = LLVMBuildSelect(code->builder, some, b, zero, "");
	value = node->op == GRAPH_LSH ? LLVMBuildShl(code->builder, a, by, "")
				      : LLVMBuildLShr(code->builder, a, by, "");
	return LLVMBuildSelect(code->builder, some, value, zero, "");
}

static LLVMValueRef native_operation(struct native_code *code, const struct graph_node *node,
				     const struct native_node *plan)
{
	LLVMBuilderRef builder = code->builder;
	LLVMValueRef a, b;

	a = native_vector(code, node->a, plan->bits);
	b = native_vector(code, node->b, plan->bits);
	switch ((enum graph_op)node->op) {
	case GRAPH_ADD:
		return LLVMBuildAdd(builder, a, b, "");
	case GRAPH_SUB:
		return LLVMBuildSub(builder, a, b, "");
	case GRAPH_MUL:
		return LLVMBuildMul(builder, a, b, "");
	case GRAPH_DIV:
	case GRAPH_MOD:
		return native_vector_divide(code, node, plan->bits, a, b);
	case GRAPH_AND:
		return LLVMBuildAnd(builder, a, b, "");
	case GRAPH_OR:
		return LLVMBuildOr(builder, a, b, "");
	case GRAPH_XOR:
		return LLVMBuildXor(builder, a, b, "");
	case GRAPH_LSH:
	case GRAPH_RSH:
		return native_vector_shift(code, node, plan->bits, a, b);
	case GRAPH_SELECT:
		return LLVMBuildSelect(builder, native_mask(code, node->c), a, b, "");
	case GRAPH_CONST:
	case GRAPH_WIRE_LEN:
	case GRAPH_LOAD:
	case GRAPH_FALSE:
	case GRAPH_TRUE:
	case GRAPH_FITS:
	case GRAPH_EQ:
	case GRAPH_GT:
	case GRAPH_GE:
	case GRAPH_BITS:
	case GRAPH_NOT:
	case GRAPH_BOTH:
	case GRAPH_EITHER:
	case GRAPH_EXTERN:
		break;
	}
	return NULL;
}

/* --- tests ------------------------------------------------------------------------------------ */

/* value a + k <= the packet's length, in 64 bits. Lengths of 16 bits stop at the largest. */
static LLVMValueRef native_fits(struct native_code *code, const struct graph_node *node)
{
	uint32_t bits = native_fits_bits(code, node);
	LLVMValueRef len =
		native_column(code, bits == 16 ? code->len_column : code->long_column, bits);
	LLVMValueRef k = native_splat(code, bits, node->k), fits, room;

	fits = LLVMBuildICmp(code->builder, LLVMIntUGE, len, k, "");
	if (node->a == GRAPH_NONE)
		return native_word(code, fits);
	if (bits == 16) {
		LLVMValueRef a = native_vector(code, node->a, bits);

		return native_word(code, LLVMBuildICmp(code->builder, LLVMIntUGE, len,
						       LLVMBuildAdd(code->builder, a, k, ""), ""));
	}
	room = LLVMBuildICmp(code->builder, LLVMIntULE, native_vector(code, node->a, bits),
			     LLVMBuildSub(code->builder, len, k, ""), "");
	return LLVMBuildAnd(code->builder, native_word(code, fits), native_word(code, room), "");
}

static LLVMValueRef native_compare(struct native_code *code, const struct graph_node *node,
				   uint32_t bits)
{
	const struct graph_node *by = &code->job->nodes[node->b];
	LLVMIntPredicate predicate = node->op == GRAPH_EQ   ? LLVMIntEQ
				     : node->op == GRAPH_GT ? LLVMIntUGT
				     : node->op == GRAPH_GE ? LLVMIntUGE
							    : LLVMIntNE;
	LLVMValueRef a, b;

	/* a constant that does not fit a lane is above all values there */
	if (by->op == GRAPH_CONST && node->op != GRAPH_BITS && by->k > UINT32_MAX >> (32 - bits))
		return LLVMConstInt(native_word_type(code), 0, 0);
	a = native_vector(code, node->a, bits);
	b = native_vector(code, node->b, bits);
	if (node->op == GRAPH_BITS) {
		a = LLVMBuildAnd(code->builder, a, b, "");
		b = native_splat(code, bits, 0);
	}
	return native_word(code, LLVMBuildICmp(code->builder, predicate, a, b, ""));
}

static LLVMValueRef native_test(struct native_code *code, const struct graph_node *node,
				const struct native_node *plan)
{
	LLVMBuilderRef builder = code->builder;

	switch ((enum graph_op)node->op) {
	case GRAPH_FITS:
		return native_fits(code, node);
	case GRAPH_EQ:
	case GRAPH_GT:
	case GRAPH_GE:
	case GRAPH_BITS:
		return native_compare(code, node, plan->bits);
	case GRAPH_NOT:
		return LLVMBuildNot(builder, native_made(code, node->a), "");
	case GRAPH_BOTH:
		return LLVMBuildAnd(builder, native_made(code, node->a), native_made(code, node->b),
				    "");
	case GRAPH_EITHER:
		return LLVMBuildOr(builder, native_made(code, node->a), native_made(code, node->b),
				   "");
	case GRAPH_FALSE:
	case GRAPH_TRUE:
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
		break;
	}
	return NULL;
}

LLVMValueRef native_value(struct native_code *code, uint32_t number)
{
	const struct graph_node *node = &code->job->nodes[number];
	struct native_node *plan = &code->nodes[number];

	if (plan->part != code->part)
		return native_made(code, number);
	plan->value = native_is_test(node) ? native_test(code, node, plan)
					   : native_operation(code, node, plan);
	plan->seen = code->part;
	if (plan->place == NATIVE_NOWHERE)
		return plan->value;
	if (native_is_test(node))
		native_store(code, plan->value, native_word_at(code, plan->place), code->lanes / 8);
	else
		native_store(code, plan->value, native_lanes_at(code, plan->place, plan->bits),
			     code->lanes);
	return plan->value;
}
