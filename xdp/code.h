/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An assembler for eBPF: instructions with labels, in a buffer that grows.
 *
 *	code_label      a place that can be jumped to, not known yet
 *	code_place      here it is
 *	code_insn       append an instruction
 *	code_jump       append a jump to a label; code_goto(): always
 *	code_call       append a call of one of the program's functions; where that is the splice
 *	                knows
 *	code_finish     jumps get their distances
 *
 * Errors are remembered and told by code_finish(): the rest of the calls does nothing then. One
 * thread.
 */
#ifndef XDP_CODE_H
#define XDP_CODE_H

#include <linux/bpf.h>
#include <stdint.h>

/* The functions of the programs that generated code may call (judged.bpf.h), and what it puts into
 * the registers R1, R2 ... The answer is in R0; R1 to R5 are lost. */
enum code_function {
	CODE_LOAD = 0, /* judged_load(ctx, offset, bytes): XDP_LOAD_FAILED or the value */
	CODE_SET_NET,  /* judged_in_net(ctx, judged, set, fields): 0 or 1; so the others */
	CODE_SET_PORT, /* judged_in_port */
	CODE_SET_FLOW, /* judged_in_flow */
	CODE_SET_MAC,  /* judged_in_mac */
	CODE_LIMIT,    /* judged_over(ctx, judged, limit): 1 where the rate is exceeded */
	CODE_FUNCTION_CNT
};

/* insns[at].imm: offset of the target, once that is known. */
struct code_fixup {
	uint32_t at;
	uint32_t target; /* label, or enum code_function */
};

struct code {
	struct bpf_insn *insns; /* owned */
	uint32_t cnt, room;
	uint32_t *labels; /* owned; where each is, or UINT32_MAX */
	uint32_t label_cnt, label_room;
	struct code_fixup *jumps; /* owned */
	uint32_t jump_cnt, jump_room;
	struct code_fixup *calls; /* owned */
	uint32_t call_cnt, call_room;
	int error; /* -ENOMEM, -E2BIG */
};

/* Starts as zeroed memory. */
void code_destroy(struct code *code);

uint32_t code_label(struct code *code);
void code_place(struct code *code, uint32_t label);

void code_insn(struct code *code, uint8_t opcode, uint8_t dst, uint8_t src, int16_t off,
	       int32_t imm);

/* A conditional jump; `op` is BPF_JEQ, BPF_JNE ..., compared are 32 bits of `dst` with `imm`, or
 * all 64 bits of two registers. */
void code_jump32(struct code *code, uint8_t op, uint8_t dst, int32_t imm, uint32_t label);
void code_jump(struct code *code, uint8_t opcode, uint8_t dst, uint8_t src, int32_t imm,
	       uint32_t label);
void code_goto(struct code *code, uint32_t label);

void code_call(struct code *code, enum code_function function);

/* R0 = value; exit. */
void code_return(struct code *code, uint64_t value);

/* dst = value, 64 bits. */
void code_load64(struct code *code, uint8_t dst, uint64_t value);

/* Resolve the labels; a jump forward may be of any length. 0, -ENOMEM, or -E2BIG for one back
 * beyond what an instruction holds. */
int code_finish(struct code *code);

#endif
