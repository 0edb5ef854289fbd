/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/translate.h"
#include "xdp/translate_flow.h"
#include "xdp/xdp_abi.h"
#include <stddef.h>

/*
 * The code of an expression stands there twice. In the fast copy loads go to the first buffer,
 * which R8 and R9 delimit; bytes are checked for once for as many as whoever matches will read.
 *Where they are not there, it goes on in the slow copy, at the same instruction, with the same A, X
 *and memory, and never comes back: there loads are calls, which see all of a packet of many
 *buffers, and know what is missing. So the verifier finds the same bytes checked at an instruction,
 *however it came there, and has to look once.
 *
 *	R0  A          R8  data, read anew for each expression, so that the verifier forgets what
 *	R5  X              was checked in the one before
 *	R1  data + X, in the fast copy, while has_x says so
 *	R2, R3  scratch
 */
#define TRANSLATE_A      BPF_REG_0
#define TRANSLATE_X      BPF_REG_5
#define TRANSLATE_DATA_X BPF_REG_1

/* The stack: X and A while a function is called, then the words of the scratch memory in use. */
#define TRANSLATE_KEEP_X (-8)
#define TRANSLATE_KEEP_A (-16)
#define TRANSLATE_MEMORY (-24)

struct translation {
	struct code *code;
	struct flow flow;
	uint32_t yes, no;
	uint32_t fast, slow; /* the first of as many labels as there are instructions */
	bool went_no;
};

void translate_begin(struct code *code, enum translate_target target)
{
	if (target == TRANSLATE_XDP)
		code_insn(code, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_9, BPF_REG_6,
			  offsetof(struct xdp_md, data_end), 0);
}

static void translate_move(struct code *code, uint8_t dst, uint8_t src)
{
	code_insn(code, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

static void translate_set(struct code *code, uint8_t dst, uint32_t value)
{
	code_insn(code, BPF_ALU | BPF_MOV | BPF_K, dst, 0, 0, (int32_t)value);
}

static void translate_keep(struct code *code, uint8_t reg, int16_t place)
{
	code_insn(code, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, reg, place, 0);
}

static void translate_take(struct code *code, uint8_t reg, int16_t place)
{
	code_insn(code, BPF_LDX | BPF_MEM | BPF_DW, reg, BPF_REG_10, place, 0);
}

/* Where a word of the scratch memory stands. */
static int16_t translate_word(const struct translation *it, uint32_t word)
{
	uint32_t before = it->flow.used & ((1u << (FLOW_MEMORY + word)) - 1);

	return (int16_t)(TRANSLATE_MEMORY - 8 * __builtin_popcount(before));
}

/* Where it goes on at instruction `at` of a copy. */
static uint32_t translate_label(struct translation *it, bool slow, uint32_t at)
{
	const struct sock_filter *insn = &it->flow.insns[at];

	if (insn->code != (BPF_RET | BPF_K))
		return (slow ? it->slow : it->fast) + at;
	if (insn->k)
		return it->yes;
	it->went_no = true;
	return it->no;
}

static uint32_t translate_no(struct translation *it)
{
	it->went_no = true;
	return it->no;
}

/* Whether an instruction has code in a copy: one that returns is jumped over. */
static bool translate_stands(const struct translation *it, bool slow, uint32_t at)
{
	const struct flow_insn *insn = &it->flow.at[at];

	return (slow ? insn->slow : insn->fast) && it->flow.insns[at].code != (BPF_RET | BPF_K);
}

/* The instruction whose code follows that of `at`. */
static uint32_t translate_following(const struct translation *it, bool slow, uint32_t at)
{
	do
		at++;
	while (at < it->flow.insn_cnt && !translate_stands(it, slow, at));
	return at;
}

static void translate_goto(struct translation *it, bool slow, uint32_t at, uint32_t next)
{
	if (next != translate_following(it, slow, at))
		code_goto(it->code, translate_label(it, slow, next));
}

/* --- loads -------------------------------------------------------------------------------------
 */

/* R0 or R5 is what was loaded, in the packet's byte order: make it the host's, and of MSH a length.
 */
static void translate_loaded(struct code *code, const struct sock_filter *insn)
{
	if (BPF_CLASS(insn->code) == BPF_LDX) {
		code_insn(code, BPF_ALU | BPF_AND | BPF_K, TRANSLATE_X, 0, 0, 0xf);
		code_insn(code, BPF_ALU | BPF_LSH | BPF_K, TRANSLATE_X, 0, 0, 2);
	}
}

/* In the fast copy. Whether it goes on there. */
static bool translate_load_fast(struct translation *it, uint32_t at)
{
	const struct sock_filter *insn = &it->flow.insns[at];
	uint8_t dst = BPF_CLASS(insn->code) == BPF_LDX ? TRANSLATE_X : TRANSLATE_A;
	uint8_t src = flow_load_indirect(insn) ? TRANSLATE_DATA_X : BPF_REG_8;
	uint32_t check = flow_check(&it->flow, at), slow = it->slow + at;
	uint32_t bytes = flow_load_bytes(insn);

	if (check > FLOW_REACH) {
		code_goto(it->code, slow);
		return false;
	}
	if (check && src == TRANSLATE_DATA_X) {
		if (it->flow.at[at].max_x > FLOW_OFFSET_MAX - check)
			code_jump(it->code, BPF_JMP | BPF_JGT | BPF_K, TRANSLATE_X, 0,
				  (int32_t)(FLOW_OFFSET_MAX - check), slow);
		translate_move(it->code, src, BPF_REG_8);
		code_insn(it->code, BPF_ALU64 | BPF_ADD | BPF_X, src, TRANSLATE_X, 0, 0);
	}
	if (check) {
		translate_move(it->code, BPF_REG_2, src);
		code_insn(it->code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, (int32_t)check);
		code_jump(it->code, BPF_JMP | BPF_JGT | BPF_X, BPF_REG_2, BPF_REG_9, 0, slow);
	}
	code_insn(it->code,
		  (uint8_t)(BPF_LDX | BPF_MEM |
			    (bytes == 4   ? BPF_W
			     : bytes == 2 ? BPF_H
					  : BPF_B)),
		  dst, src, (int16_t)insn->k, 0);
	if (bytes > 1)
		code_insn(it->code, BPF_ALU | BPF_END | BPF_TO_BE, dst, 0, 0, (int32_t)(8 * bytes));
	translate_loaded(it->code, insn);
	return true;
}

/* In the slow copy: by a function. */
static void translate_load_slow(struct translation *it, uint32_t at)
{
	const struct sock_filter *insn = &it->flow.insns[at];
	uint32_t live = it->flow.at[at].live;
	bool msh = BPF_CLASS(insn->code) == BPF_LDX;

	if (msh && (live & FLOW_A))
		translate_keep(it->code, TRANSLATE_A, TRANSLATE_KEEP_A);
	if (!msh && (live & FLOW_X))
		translate_keep(it->code, TRANSLATE_X, TRANSLATE_KEEP_X);
	if (flow_load_indirect(insn)) {
		translate_move(it->code, BPF_REG_2, TRANSLATE_X);
		code_insn(it->code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, (int32_t)insn->k);
		/* no packet is that long, and the function takes 32 bits */
		code_jump(it->code, BPF_JMP | BPF_JGT | BPF_K, BPF_REG_2, 0, INT32_MAX,
			  translate_no(it));
	} else {
		translate_set(it->code, BPF_REG_2, insn->k);
	}
	translate_set(it->code, BPF_REG_3, flow_load_bytes(insn));
	translate_move(it->code, BPF_REG_1, BPF_REG_6);
	code_call(it->code, CODE_LOAD);
	translate_move(it->code, BPF_REG_1, BPF_REG_0);
	code_insn(it->code, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_1, 0, 0, 32);
	code_jump(it->code, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_1, 0, 0, translate_no(it));
	/* the verifier does not know that the upper half is zero */
	code_insn(it->code, BPF_ALU | BPF_MOV | BPF_X, msh ? TRANSLATE_X : TRANSLATE_A, BPF_REG_0,
		  0, 0);
	translate_loaded(it->code, insn);
	if (msh && (live & FLOW_A))
		translate_take(it->code, TRANSLATE_A, TRANSLATE_KEEP_A);
	if (!msh && (live & FLOW_X))
		translate_take(it->code, TRANSLATE_X, TRANSLATE_KEEP_X);
}

/* Whether it goes on in this copy. */
static bool translate_load(struct translation *it, bool slow, uint32_t at)
{
	uint32_t next[2];

	if (flow_next(&it->flow, at, next) == 0) {
		code_goto(it->code, translate_no(it));
		return false;
	}
	if (!slow)
		return translate_load_fast(it, at);
	translate_load_slow(it, at);
	return true;
}

/* --- the rest ----------------------------------------------------------------------------------
 */

/* LD and LDX of what is not in the packet. */
static void translate_value(struct translation *it, const struct sock_filter *insn)
{
	uint8_t dst = BPF_CLASS(insn->code) == BPF_LDX ? TRANSLATE_X : TRANSLATE_A;

	if (BPF_MODE(insn->code) == BPF_IMM)
		translate_set(it->code, dst, insn->k);
	else if (BPF_MODE(insn->code) == BPF_LEN)
		code_insn(it->code, BPF_LDX | BPF_MEM | BPF_W, dst, BPF_REG_7,
			  offsetof(struct xdp_judged, meta) + offsetof(struct xfq_meta, wire_len),
			  0);
	else
		translate_take(it->code, dst, translate_word(it, insn->k));
}

static void translate_store(struct translation *it, const struct sock_filter *insn)
{
	uint8_t src = BPF_CLASS(insn->code) == BPF_STX ? TRANSLATE_X : TRANSLATE_A;

	if (it->flow.used & (1u << (FLOW_MEMORY + insn->k)))
		translate_keep(it->code, src, translate_word(it, insn->k));
}

/* Arithmetic of 32 bits; the upper halves of the registers become zero. */
static void translate_alu(struct translation *it, const struct sock_filter *insn)
{
	uint8_t op = BPF_OP(insn->code);
	uint32_t done = 0;

	if (op == BPF_NEG) {
		code_insn(it->code, BPF_ALU | BPF_NEG, TRANSLATE_A, 0, 0, 0);
		return;
	}
	if (BPF_SRC(insn->code) == BPF_K) {
		code_insn(it->code, BPF_ALU | op | BPF_K, TRANSLATE_A, 0, 0, (int32_t)insn->k);
		return;
	}
	if (op == BPF_DIV || op == BPF_MOD)
		code_jump32(it->code, BPF_JEQ, TRANSLATE_X, 0, translate_no(it));
	if (op == BPF_LSH || op == BPF_RSH) {
		/* the processor would shift by the rest of X by 32 */
		uint32_t shift = code_label(it->code);

		done = code_label(it->code);
		code_jump32(it->code, BPF_JLT, TRANSLATE_X, 32, shift);
		translate_set(it->code, TRANSLATE_A, 0);
		code_goto(it->code, done);
		code_place(it->code, shift);
	}
	code_insn(it->code, BPF_ALU | op | BPF_X, TRANSLATE_A, TRANSLATE_X, 0, 0);
	if (op == BPF_LSH || op == BPF_RSH)
		code_place(it->code, done);
}

static void translate_jump(struct translation *it, bool slow, uint32_t at)
{
	const struct sock_filter *insn = &it->flow.insns[at];
	uint8_t op = BPF_OP(insn->code), src = BPF_SRC(insn->code);
	uint32_t next[2], cnt = flow_next(&it->flow, at, next);
	uint32_t to;

	if (cnt == 1) {
		translate_goto(it, slow, at, next[0]);
		return;
	}
	/* where it goes on if not, if that can be turned around */
	if (op != BPF_JSET && next[0] == translate_following(it, slow, at)) {
		op = op == BPF_JEQ ? BPF_JNE : op == BPF_JGT ? BPF_JLE : BPF_JLT;
		to = next[1];
		next[1] = next[0];
	} else {
		to = next[0];
	}
	code_jump(it->code, BPF_JMP32 | op | src, TRANSLATE_A, src == BPF_X ? TRANSLATE_X : 0,
		  src == BPF_X ? 0 : (int32_t)insn->k, translate_label(it, slow, to));
	translate_goto(it, slow, at, next[1]);
}

static void translate_insn(struct translation *it, bool slow, uint32_t at)
{
	const struct sock_filter *insn = &it->flow.insns[at];

	code_place(it->code, (slow ? it->slow : it->fast) + at);
	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
	case BPF_LDX:
		if (!flow_load_bytes(insn))
			translate_value(it, insn);
		else if (!translate_load(it, slow, at))
			return;
		break;
	case BPF_ST:
	case BPF_STX:
		translate_store(it, insn);
		break;
	case BPF_ALU:
		translate_alu(it, insn);
		break;
	case BPF_JMP:
		translate_jump(it, slow, at);
		return;
	case BPF_RET: /* of A: the others have no code */
		code_jump32(it->code, BPF_JEQ, TRANSLATE_A, 0, translate_no(it));
		code_goto(it->code, it->yes);
		return;
	default:
		if (BPF_MISCOP(insn->code) == BPF_TAX)
			code_insn(it->code, BPF_ALU | BPF_MOV | BPF_X, TRANSLATE_X, TRANSLATE_A, 0,
				  0);
		else
			code_insn(it->code, BPF_ALU | BPF_MOV | BPF_X, TRANSLATE_A, TRANSLATE_X, 0,
				  0);
		break;
	}
	translate_goto(it, slow, at, at + 1);
}

/* What is read before it is written is zero. */
static void translate_enter(struct translation *it, bool fast)
{
	uint32_t live = it->flow.memory;

	if (fast)
		code_insn(it->code, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_8, BPF_REG_6,
			  offsetof(struct xdp_md, data), 0);
	if (live & FLOW_A)
		translate_set(it->code, TRANSLATE_A, 0);
	if (live & FLOW_X)
		translate_set(it->code, TRANSLATE_X, 0);
	for (uint32_t word = 0; word < BPF_MEMWORDS; word++)
		if (live & (1u << (FLOW_MEMORY + word)))
			code_insn(it->code, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0,
				  translate_word(it, word), 0);
}

static void translate_copy(struct translation *it, bool slow)
{
	for (uint32_t i = 0; i < it->flow.insn_cnt; i++)
		if (translate_stands(it, slow, i))
			translate_insn(it, slow, i);
}

/* Whether any instruction of it matches. */
static bool translate_may_match(const struct translation *it)
{
	for (uint32_t i = 0; i < it->flow.insn_cnt; i++) {
		const struct flow_insn *at = &it->flow.at[i];
		const struct sock_filter *insn = &it->flow.insns[i];

		if ((at->fast || at->slow) && BPF_CLASS(insn->code) == BPF_RET &&
		    (BPF_RVAL(insn->code) == BPF_A || insn->k))
			return true;
	}
	return false;
}

/* A jump that is never taken: the verifier refuses code that no jump goes to, and takes out, with
 * the jump, what it finds that none comes to. */
static void translate_name(struct code *code, uint32_t label)
{
	translate_set(code, BPF_REG_1, 0);
	code_jump32(code, BPF_JNE, BPF_REG_1, 0, label);
}

static void translate_all(struct translation *it, enum translate_target target)
{
	bool fast = target == TRANSLATE_XDP && !flow_loops(&it->flow);

	it->yes = code_label(it->code);
	it->fast = code_label(it->code);
	for (uint32_t i = 1; i < it->flow.insn_cnt; i++)
		code_label(it->code);
	it->slow = code_label(it->code);
	for (uint32_t i = 1; i < it->flow.insn_cnt; i++)
		code_label(it->code);
	translate_enter(it, fast);
	if (!translate_may_match(it))
		translate_name(it->code, it->yes);
	if (!translate_stands(it, !fast, 0))
		code_goto(it->code, translate_label(it, !fast, 0));
	if (fast)
		translate_copy(it, false);
	translate_copy(it, true);
	code_place(it->code, it->yes);
	if (!it->went_no)
		translate_name(it->code, it->no);
}

int translate(struct code *code, enum translate_target target, const struct expression *expression,
	      uint32_t no, struct xfq_error *error)
{
	struct translation it = {.code = code, .no = no};
	int result;

	if (expression->all)
		return 0;
	result = flow_create(&it.flow, expression, target == TRANSLATE_XDP, error);
	if (result == 0)
		translate_all(&it, target);
	flow_destroy(&it.flow);
	return result;
}
