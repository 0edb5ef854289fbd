/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/expression_mend.h"
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

/* How often code may go back: what later versions of libpcap allow. */
#define MEND_ROUNDS_MAX 64

/* Instructions that stand for a jump back. */
#define MEND_JUMP_INSNS 8

#define MEND_WORDS_ALL ((1u << BPF_MEMWORDS) - 1)

static bool mend_stores(const struct bpf_insn *insn)
{
	return insn->code == BPF_ST || insn->code == BPF_STX;
}

static bool mend_loads(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_MEM) || insn->code == (BPF_LDX | BPF_MEM);
}

static bool mend_goes_back(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_JA) && insn->k >= 0x80000000u;
}

static uint32_t mend_words_used(const struct expression *expression)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < expression->insn_cnt; i++)
		if (mend_stores(&expression->insns[i]) || mend_loads(&expression->insns[i]))
			used |= 1u << expression->insns[i].k;
	return used & MEND_WORDS_ALL;
}

/* The words that are written on every way to an instruction are those of `written`; pass them on to
 * where it goes. A jump back adds nothing: more is written there than before. */
static void mend_pass_on(const struct expression *expression, uint32_t at, uint32_t *written)
{
	const struct bpf_insn *insn = &expression->insns[at];
	uint32_t words = written[at];
	uint32_t next[2] = {at + 1, at + 1};

	if (BPF_CLASS(insn->code) == BPF_RET || mend_goes_back(insn))
		return;
	if (mend_stores(insn))
		words |= 1u << insn->k;
	if (insn->code == (BPF_JMP | BPF_JA)) {
		next[0] = next[1] = at + 1 + insn->k;
	} else if (BPF_CLASS(insn->code) == BPF_JMP) {
		next[0] += insn->jt;
		next[1] += insn->jf;
	}
	for (int i = 0; i < 2; i++)
		if (next[i] < expression->insn_cnt)
			written[next[i]] &= words;
}

/* The words that may be read before they are written. 0 or -ENOMEM. */
static int mend_words_unwritten(const struct expression *expression, uint32_t *unwritten)
{
	uint32_t *written = malloc(expression->insn_cnt * sizeof(*written));

	*unwritten = 0;
	if (!written)
		return -ENOMEM;
	memset(written, 0xff, expression->insn_cnt * sizeof(*written));
	written[0] = 0;
	for (uint32_t i = 0; i < expression->insn_cnt; i++) {
		if (mend_loads(&expression->insns[i]))
			*unwritten |= 1u << expression->insns[i].k & ~written[i];
		mend_pass_on(expression, i, written);
	}
	free(written);
	return 0;
}

/* What stands at the end for a jump back: it counts, and goes back, or says no. */
static void mend_put_jump(struct bpf_insn *insns, uint32_t at, uint32_t target, uint32_t count,
			  uint32_t keep)
{
	const struct bpf_insn jump[MEND_JUMP_INSNS] = {
		{BPF_ST, 0, 0, keep},
		{BPF_LD | BPF_MEM, 0, 0, count},
		{BPF_ALU | BPF_ADD | BPF_K, 0, 0, 1},
		{BPF_ST, 0, 0, count},
		{BPF_JMP | BPF_JGT | BPF_K, 2, 0, MEND_ROUNDS_MAX},
		{BPF_LD | BPF_MEM, 0, 0, keep},
		{BPF_JMP | BPF_JA, 0, 0, target - (at + 7)},
		{BPF_RET | BPF_K, 0, 0, 0},
	};

	memcpy(&insns[at], jump, sizeof(jump));
}

/* The same code with `zero`, words to begin with, and its jumps back counted in the word `count`. 0
 * or -ENOMEM. */
static int mend_rewrite(struct expression *expression, uint32_t zero, uint32_t jump_cnt,
			uint32_t count, uint32_t keep)
{
	uint32_t begin = 1 + (uint32_t)__builtin_popcount(zero);
	uint32_t end = begin + expression->insn_cnt, at = 0;
	struct bpf_insn *insns = calloc(end + (size_t)jump_cnt * MEND_JUMP_INSNS, sizeof(*insns));

	if (!insns)
		return -ENOMEM;
	insns[at++] = (struct bpf_insn){BPF_LD | BPF_IMM, 0, 0, 0};
	for (uint32_t word = 0; word < BPF_MEMWORDS; word++)
		if (zero & (1u << word))
			insns[at++] = (struct bpf_insn){BPF_ST, 0, 0, word};
	memcpy(&insns[begin], expression->insns, expression->insn_cnt * sizeof(*insns));
	for (uint32_t i = begin; i < begin + expression->insn_cnt; i++) {
		uint32_t target = i + 1 + insns[i].k;

		if (!mend_goes_back(&insns[i]))
			continue;
		insns[i].k = end - (i + 1);
		mend_put_jump(insns, end, target, count, keep);
		end += MEND_JUMP_INSNS;
	}
	expression_destroy(expression);
	expression->insns = insns;
	expression->insn_cnt = end;
	return 0;
}

int expression_mend(struct expression *expression, struct xfq_error *error)
{
	uint32_t used = mend_words_used(expression), jump_cnt = 0, zero;
	uint32_t count = (uint32_t)__builtin_ctz(~used);
	uint32_t keep = (uint32_t)__builtin_ctz(~(used | 1u << count));
	int code = mend_words_unwritten(expression, &zero);

	for (uint32_t i = 0; i < expression->insn_cnt; i++)
		jump_cnt += mend_goes_back(&expression->insns[i]);
	if (jump_cnt && keep >= BPF_MEMWORDS)
		return xfq_error_set(error, -EINVAL,
				     "the expression has so much arithmetic that protochain cannot "
				     "count the headers it follows");
	if (jump_cnt)
		zero |= 1u << count;
	if (code == 0 && zero)
		code = mend_rewrite(expression, zero, jump_cnt, count, keep);
	return code ? xfq_error_set(error, code, "no memory to compile an expression") : 0;
}
