/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/code.h"
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more of `size` bytes in a list; NULL, and the code is broken, where there is none.
 */
static void *code_grow(struct code *code, void *list, uint32_t cnt, uint32_t *room, size_t size)
{
	void *larger;

	if (code->error)
		return NULL;
	if (cnt < *room)
		return list;
	larger = reallocarray(list, *room ? *room * 2 : 64, size);
	if (!larger) {
		code->error = -ENOMEM;
		return NULL;
	}
	*room = *room ? *room * 2 : 64;
	return larger;
}

void code_insn(struct code *code, uint8_t opcode, uint8_t dst, uint8_t src, int16_t off,
	       int32_t imm)
{
	struct bpf_insn *insns =
		code_grow(code, code->insns, code->cnt, &code->room, sizeof(*insns));

	if (!insns)
		return;
	code->insns = insns;
	insns[code->cnt++] = (struct bpf_insn){
		.code = opcode, .dst_reg = dst & 0xf, .src_reg = src & 0xf, .off = off, .imm = imm};
}

uint32_t code_label(struct code *code)
{
	uint32_t *labels =
		code_grow(code, code->labels, code->label_cnt, &code->label_room, sizeof(*labels));

	if (!labels)
		return 0;
	code->labels = labels;
	labels[code->label_cnt] = UINT32_MAX;
	return code->label_cnt++;
}

void code_place(struct code *code, uint32_t label)
{
	if (!code->error)
		code->labels[label] = code->cnt;
}

/* Note that the next instruction is to reach `target`. */
static void code_note(struct code *code, struct code_fixup **list, uint32_t *cnt, uint32_t *room,
		      uint32_t target)
{
	struct code_fixup *fixups = code_grow(code, *list, *cnt, room, sizeof(*fixups));

	if (!fixups)
		return;
	*list = fixups;
	fixups[(*cnt)++] = (struct code_fixup){.at = code->cnt, .target = target};
}

void code_jump(struct code *code, uint8_t opcode, uint8_t dst, uint8_t src, int32_t imm,
	       uint32_t label)
{
	code_note(code, &code->jumps, &code->jump_cnt, &code->jump_room, label);
	code_insn(code, opcode, dst, src, 0, imm);
}

void code_jump32(struct code *code, uint8_t op, uint8_t dst, int32_t imm, uint32_t label)
{
	code_jump(code, BPF_JMP32 | op | BPF_K, dst, 0, imm, label);
}

void code_goto(struct code *code, uint32_t label)
{
	code_jump(code, BPF_JMP | BPF_JA, 0, 0, 0, label);
}

void code_call(struct code *code, enum code_function function)
{
	code_note(code, &code->calls, &code->call_cnt, &code->call_room, function);
	code_insn(code, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 0);
}

void code_load64(struct code *code, uint8_t dst, uint64_t value)
{
	if (value <= INT32_MAX) {
		code_insn(code, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, (int32_t)value);
		return;
	}
	code_insn(code, BPF_LD | BPF_DW | BPF_IMM, dst, 0, 0, (int32_t)(uint32_t)value);
	code_insn(code, 0, 0, 0, 0, (int32_t)(uint32_t)(value >> 32));
}

void code_return(struct code *code, uint64_t value)
{
	code_load64(code, BPF_REG_0, value);
	code_insn(code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* --- jumps that are too far --------------------------------------------------------------------
 * One that reaches no further than 32767 instructions goes by an island: a jump on the way, to the
 * same label.
 */

/* Where an island is put, as seen from the jump: the rest is for islands that come between. */
#define CODE_ISLAND_AT 28000

/* Islands before it is given up: as many as a program can have that a kernel takes. */
#define CODE_ISLANDS_MAX 1000

static int64_t code_distance(const struct code *code, const struct code_fixup *jump)
{
	return (int64_t)code->labels[jump->target] - jump->at - 1;
}

static bool code_too_far(const struct code *code, const struct code_fixup *jump)
{
	int64_t distance = code_distance(code, jump);

	return distance > INT16_MAX || distance < INT16_MIN;
}

/* Move what stands at `at` and behind by `cnt` instructions; those are the caller's to write. */
static void code_open(struct code *code, uint32_t at, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		code_insn(code, 0, 0, 0, 0, 0);
	if (code->error)
		return;
	memmove(&code->insns[at + cnt], &code->insns[at],
		(code->cnt - at - cnt) * sizeof(*code->insns));
	for (uint32_t i = 0; i < code->label_cnt; i++)
		if (code->labels[i] != UINT32_MAX && code->labels[i] >= at)
			code->labels[i] += cnt;
	for (uint32_t i = 0; i < code->jump_cnt; i++)
		if (code->jumps[i].at >= at)
			code->jumps[i].at += cnt;
	for (uint32_t i = 0; i < code->call_cnt; i++)
		if (code->calls[i].at >= at)
			code->calls[i].at += cnt;
}

/* Whether an instruction never goes on to the next one. */
static bool code_leaves(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_JA) || insn->code == (BPF_JMP | BPF_EXIT);
}

/* A jump at `at`, which is free, to a label. */
static void code_put_goto(struct code *code, uint32_t at, uint32_t label)
{
	struct code_fixup *jumps =
		code_grow(code, code->jumps, code->jump_cnt, &code->jump_room, sizeof(*jumps));

	if (!jumps)
		return;
	code->jumps = jumps;
	jumps[code->jump_cnt++] = (struct code_fixup){.at = at, .target = label};
	code->insns[at] = (struct bpf_insn){.code = BPF_JMP | BPF_JA};
}

/* An island at `at` for all jumps over it to `target`. */
static void code_put_island(struct code *code, uint32_t at, uint32_t target)
{
	bool falls = !code_leaves(&code->insns[at - 1]);
	uint32_t island = code_label(code), over = code_label(code);
	uint32_t jump_cnt = code->jump_cnt;

	code_open(code, at, falls ? 2 : 1);
	if (code->error)
		return;
	if (falls) {
		code->labels[over] = at + 2;
		code_put_goto(code, at++, over);
	}
	for (uint32_t i = 0; i < jump_cnt; i++)
		if (code->jumps[i].target == target && code->jumps[i].at < at &&
		    at - code->jumps[i].at < INT16_MAX && code_too_far(code, &code->jumps[i]))
			code->jumps[i].target = island;
	code->labels[island] = at;
	code->labels[over] = at + 1;
	code_put_goto(code, at, target);
}

/* Whether a jump was too far, and has been given an island. */
static bool code_shorten(struct code *code)
{
	for (uint32_t i = 0; i < code->jump_cnt && !code->error; i++) {
		uint32_t at = code->jumps[i].at + CODE_ISLAND_AT;

		if (!code_too_far(code, &code->jumps[i]))
			continue;
		if (code_distance(code, &code->jumps[i]) < 0) {
			code->error = -E2BIG;
			return false;
		}
		/* not between the two halves of one instruction */
		if (code->insns[at - 1].code == (BPF_LD | BPF_DW | BPF_IMM))
			at--;
		code_put_island(code, at, code->jumps[i].target);
		return true;
	}
	return false;
}

int code_finish(struct code *code)
{
	uint32_t island_cnt = 0;

	while (!code->error && code_shorten(code))
		if (++island_cnt == CODE_ISLANDS_MAX)
			code->error = -E2BIG;
	for (uint32_t i = 0; i < code->jump_cnt && !code->error; i++)
		code->insns[code->jumps[i].at].off = (int16_t)code_distance(code, &code->jumps[i]);
	return code->error;
}

void code_destroy(struct code *code)
{
	free(code->insns);
	free(code->labels);
	free(code->jumps);
	free(code->calls);
	memset(code, 0, sizeof(*code));
}
