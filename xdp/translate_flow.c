/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/translate_flow.h"
#include <errno.h>
#include <stdlib.h>

/* wants of a place that whoever matches does not come to */
#define FLOW_NEVER UINT32_MAX

/* A loop lets A and X grow; after so many rounds they are taken for unbounded. */
#define FLOW_ROUNDS_MAX 8

static bool flow_is_alu(uint16_t code)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
	case BPF_SUB:
	case BPF_MUL:
	case BPF_DIV:
	case BPF_MOD:
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
	case BPF_LSH:
	case BPF_RSH:
		return (code & 0xff00) == 0;
	default:
		return code == (BPF_ALU | BPF_NEG);
	}
}

static bool flow_is_jump(uint16_t code)
{
	uint16_t op = BPF_OP(code);

	return (code & 0xff00) == 0 && (code == (BPF_JMP | BPF_JA) || op == BPF_JEQ ||
					op == BPF_JGT || op == BPF_JGE || op == BPF_JSET);
}

uint32_t flow_load_bytes(const struct sock_filter *insn)
{
	switch (insn->code) {
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_W | BPF_IND:
		return 4;
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_H | BPF_IND:
		return 2;
	case BPF_LD | BPF_B | BPF_ABS:
	case BPF_LD | BPF_B | BPF_IND:
	case BPF_LDX | BPF_B | BPF_MSH:
		return 1;
	default:
		return 0;
	}
}

bool flow_load_indirect(const struct sock_filter *insn)
{
	return BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_IND;
}

/* Whether it is one of libpcap's, by itself. */
static bool flow_knows(const struct sock_filter *insn)
{
	bool by_k = BPF_SRC(insn->code) == BPF_K;
	uint16_t op = BPF_OP(insn->code);

	if (flow_load_bytes(insn))
		return true;
	switch (insn->code) {
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
		return true;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return insn->k < BPF_MEMWORDS;
	default:
		break;
	}
	if (BPF_CLASS(insn->code) == BPF_JMP)
		return flow_is_jump(insn->code);
	if (BPF_CLASS(insn->code) != BPF_ALU || !flow_is_alu(insn->code))
		return false;
	if (by_k && (op == BPF_DIV || op == BPF_MOD))
		return insn->k != 0;
	return !(by_k && (op == BPF_LSH || op == BPF_RSH)) || insn->k < 32;
}

static uint32_t flow_target(uint32_t at, const struct sock_filter *insn, bool holds)
{
	/* a jump back wraps around */
	if (insn->code == (BPF_JMP | BPF_JA))
		return at + 1 + insn->k;
	return at + 1 + (holds ? insn->jt : insn->jf);
}

uint32_t flow_next(const struct flow *flow, uint32_t at, uint32_t next[2])
{
	const struct sock_filter *insn = &flow->insns[at];

	if (BPF_CLASS(insn->code) == BPF_RET)
		return 0;
	if (flow_load_bytes(insn) && insn->k > INT32_MAX)
		return 0;
	if (BPF_CLASS(insn->code) != BPF_JMP) {
		next[0] = at + 1;
		return 1;
	}
	next[0] = flow_target(at, insn, true);
	next[1] = flow_target(at, insn, false);
	return next[0] == next[1] ? 1 : 2;
}

/* Every instruction known, every jump within the program. */
static int flow_check_insns(const struct flow *flow, struct xfq_error *error)
{
	for (uint32_t i = 0; i < flow->insn_cnt; i++) {
		const struct sock_filter *insn = &flow->insns[i];
		uint32_t next[2], cnt;

		if (!flow_knows(insn))
			return xfq_error_set(error, -EINVAL,
					     "the expression's instruction %u (code 0x%x, k 0x%x) "
					     "is none that libpcap is known to make",
					     i, insn->code, insn->k);
		cnt = flow_next(flow, i, next);
		for (uint32_t n = 0; n < cnt; n++)
			if (next[n] >= flow->insn_cnt)
				return xfq_error_set(error, -EINVAL,
						     "the expression's instruction %u goes on "
						     "outside of it",
						     i);
	}
	return 0;
}

bool flow_loops(const struct flow *flow)
{
	for (uint32_t i = 0; i < flow->insn_cnt; i++)
		if (flow->insns[i].code == (BPF_JMP | BPF_JA) && flow->insns[i].k > INT32_MAX)
			return true;
	return false;
}

/* --- what is needed later ----------------------------------------------------------------------
 */

static uint32_t flow_reads(const struct sock_filter *insn)
{
	uint32_t by_x = BPF_SRC(insn->code) == BPF_X ? FLOW_X : 0;

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
	case BPF_LDX:
		if (BPF_MODE(insn->code) == BPF_MEM)
			return 1u << (FLOW_MEMORY + insn->k);
		return flow_load_indirect(insn) ? FLOW_X : 0;
	case BPF_ST:
		return FLOW_A;
	case BPF_STX:
		return FLOW_X;
	case BPF_ALU:
		return FLOW_A | (BPF_OP(insn->code) == BPF_NEG ? 0 : by_x);
	case BPF_JMP:
		return BPF_OP(insn->code) == BPF_JA ? 0 : FLOW_A | by_x;
	case BPF_RET:
		return BPF_RVAL(insn->code) == BPF_A ? FLOW_A : 0;
	default:
		return BPF_MISCOP(insn->code) == BPF_TAX ? FLOW_A : FLOW_X;
	}
}

static uint32_t flow_writes(const struct sock_filter *insn)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
	case BPF_ALU:
		return FLOW_A;
	case BPF_LDX:
		return FLOW_X;
	case BPF_ST:
	case BPF_STX:
		return 1u << (FLOW_MEMORY + insn->k);
	case BPF_MISC:
		return BPF_MISCOP(insn->code) == BPF_TAX ? FLOW_X : FLOW_A;
	default:
		return 0;
	}
}

static uint32_t flow_live_before(const struct flow *flow, uint32_t at)
{
	const struct sock_filter *insn = &flow->insns[at];

	return (flow->at[at].live & ~flow_writes(insn)) | flow_reads(insn);
}

static void flow_find_live(struct flow *flow)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (uint32_t i = flow->insn_cnt; i-- > 0;) {
			uint32_t next[2], cnt = flow_next(flow, i, next), live = 0;

			for (uint32_t n = 0; n < cnt; n++)
				live |= flow_live_before(flow, next[n]);
			changed |= live != flow->at[i].live;
			flow->at[i].live = live;
		}
	}
	flow->memory = flow_live_before(flow, 0);
	for (uint32_t i = 0; i < flow->insn_cnt; i++)
		if (flow->at[i].reached)
			flow->used |= flow_reads(&flow->insns[i]) & ~(FLOW_A | FLOW_X);
}

/* --- what whoever matches reads ----------------------------------------------------------------
 */

static uint32_t flow_end(const struct sock_filter *insn)
{
	return insn->k + flow_load_bytes(insn);
}

static uint32_t flow_larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t flow_smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* No more than a guess at what is best checked at once, so that one pass will do. */
static void flow_find_wants(struct flow *flow)
{
	for (uint32_t i = flow->insn_cnt; i-- > 0;) {
		const struct sock_filter *insn = &flow->insns[i];
		struct flow_insn *it = &flow->at[i];
		uint32_t next[2], cnt = flow_next(flow, i, next);

		it->wants = it->wants_x = FLOW_NEVER;
		for (uint32_t n = 0; n < cnt; n++) {
			bool back = next[n] <= i;

			it->wants = flow_smaller(it->wants, back ? 0 : flow->at[next[n]].wants);
			it->wants_x =
				flow_smaller(it->wants_x, back ? 0 : flow->at[next[n]].wants_x);
		}
		if (BPF_CLASS(insn->code) == BPF_RET &&
		    (BPF_RVAL(insn->code) == BPF_A || insn->k != 0))
			it->wants = it->wants_x = 0;
		if (it->wants == FLOW_NEVER)
			continue;
		if (flow_writes(insn) & FLOW_X)
			it->wants_x = 0;
		if (flow_load_bytes(insn) && flow_load_indirect(insn))
			it->wants_x = flow_larger(it->wants_x, flow_end(insn));
		else if (flow_load_bytes(insn))
			it->wants = flow_larger(it->wants, flow_end(insn));
	}
}

/* --- what is there already ---------------------------------------------------------------------
 */

static uint32_t flow_wanted(uint32_t wants, uint32_t end)
{
	return wants == FLOW_NEVER || wants > FLOW_REACH ? end : flow_larger(wants, end);
}

uint32_t flow_check(const struct flow *flow, uint32_t at)
{
	const struct sock_filter *insn = &flow->insns[at];
	const struct flow_insn *it = &flow->at[at];
	uint32_t end = flow_end(insn);

	if (flow_load_indirect(insn))
		return end <= it->has_x ? 0 : flow_wanted(it->wants_x, end);
	return end <= it->has ? 0 : flow_wanted(it->wants, end);
}

/* No more than this can A be after the instruction. Only what the verifier of any kernel sees. */
static uint32_t flow_max_alu(const struct sock_filter *insn, uint32_t max)
{
	uint64_t larger = UINT32_MAX;

	if (BPF_SRC(insn->code) == BPF_K && max <= FLOW_OFFSET_MAX && insn->k <= FLOW_OFFSET_MAX) {
		switch (BPF_OP(insn->code)) {
		case BPF_ADD:
			larger = max + insn->k;
			break;
		case BPF_MUL:
			larger = (uint64_t)max * insn->k;
			break;
		case BPF_LSH:
			larger = (uint64_t)max << insn->k;
			break;
		case BPF_RSH:
			larger = max >> insn->k;
			break;
		default:
			break;
		}
	}
	if (insn->code == (BPF_ALU | BPF_AND | BPF_K))
		larger = flow_smaller(max, insn->k);
	return larger > INT32_MAX ? UINT32_MAX : (uint32_t)larger;
}

/* What holds after an instruction, from what holds before it. */
static struct flow_insn flow_after(const struct flow *flow, uint32_t at)
{
	const struct sock_filter *insn = &flow->insns[at];
	struct flow_insn it = flow->at[at];
	uint32_t check = flow_load_bytes(insn) ? flow_check(flow, at) : 0;

	if (check && flow_load_indirect(insn))
		it.has_x = check;
	else if (check)
		it.has = check;
	if (flow_writes(insn) & FLOW_X) {
		it.has_x = 0;
		it.max_x = UINT32_MAX;
	}
	if (BPF_CLASS(insn->code) == BPF_ALU)
		it.max_a = flow_max_alu(insn, it.max_a);
	else if (flow_writes(insn) & FLOW_A)
		it.max_a = UINT32_MAX;
	if (BPF_CLASS(insn->code) == BPF_LD && flow_load_bytes(insn) == 1)
		it.max_a = UINT8_MAX;
	else if (insn->code == (BPF_LD | BPF_IMM))
		it.max_a = insn->k;
	else if (insn->code == (BPF_LDX | BPF_IMM))
		it.max_x = insn->k;
	else if (insn->code == (BPF_LDX | BPF_B | BPF_MSH))
		it.max_x = 60;
	else if (insn->code == (BPF_MISC | BPF_TAX))
		it.max_x = flow->at[at].max_a;
	else if (insn->code == (BPF_MISC | BPF_TXA))
		it.max_a = flow->at[at].max_x;
	return it;
}

static uint32_t flow_join_max(uint32_t before, uint32_t more, bool widen)
{
	return more <= before ? before : widen ? UINT32_MAX : more;
}

/* Let what holds after an instruction hold before the next. Whether that was news. */
static bool flow_join(struct flow_insn *to, const struct flow_insn *after, bool widen)
{
	struct flow_insn before = *to;

	if (!to->reached) {
		*to = (struct flow_insn){.reached = true,
					 .live = to->live,
					 .max_a = after->max_a,
					 .max_x = after->max_x,
					 .has = after->has,
					 .has_x = after->has_x,
					 .wants = to->wants,
					 .wants_x = to->wants_x};
		return true;
	}
	to->max_a = flow_join_max(to->max_a, after->max_a, widen);
	to->max_x = flow_join_max(to->max_x, after->max_x, widen);
	to->has = flow_smaller(to->has, after->has);
	to->has_x = flow_smaller(to->has_x, after->has_x);
	return to->max_a != before.max_a || to->max_x != before.max_x || to->has != before.has ||
	       to->has_x != before.has_x;
}

static void flow_find_reached(struct flow *flow)
{
	bool changed = true;

	flow->at[0].reached = true;
	for (uint32_t round = 0; changed; round++) {
		changed = false;
		for (uint32_t i = 0; i < flow->insn_cnt; i++) {
			uint32_t next[2], cnt = flow_next(flow, i, next);
			struct flow_insn after;

			if (!flow->at[i].reached)
				continue;
			after = flow_after(flow, i);
			for (uint32_t n = 0; n < cnt; n++)
				/* those further on have their turn in this round */
				changed |= flow_join(&flow->at[next[n]], &after,
						     round >= FLOW_ROUNDS_MAX) &&
					   next[n] <= i;
		}
	}
}

/* Into the copy `slow` or the other one, from `at` on; what is before that has been in it. */
static bool flow_enter(struct flow *flow, uint32_t at, bool slow)
{
	bool *in = slow ? &flow->at[at].slow : &flow->at[at].fast;
	bool news = !*in;

	*in = true;
	return news;
}

/* The fast copy is left for the slow one at the load whose bytes are not where it looks. */
static bool flow_copy_insn(struct flow *flow, uint32_t at)
{
	const struct sock_filter *insn = &flow->insns[at];
	uint32_t next[2], cnt = flow_next(flow, at, next);
	uint32_t check = cnt && flow_load_bytes(insn) ? flow_check(flow, at) : 0;
	bool changed = false;

	if (flow->at[at].fast && check)
		changed |= flow_enter(flow, at, true);
	for (uint32_t n = 0; n < cnt; n++) {
		if (flow->at[at].fast && check <= FLOW_REACH)
			changed |= flow_enter(flow, next[n], false) && next[n] <= at;
		if (flow->at[at].slow)
			changed |= flow_enter(flow, next[n], true) && next[n] <= at;
	}
	return changed;
}

static void flow_find_copies(struct flow *flow, bool fast)
{
	bool changed = true;

	flow_enter(flow, 0, !fast);
	while (changed) {
		changed = false;
		for (uint32_t i = 0; i < flow->insn_cnt; i++)
			changed |= flow_copy_insn(flow, i);
	}
}

int flow_create(struct flow *flow, const struct expression *expression, bool fast,
		struct xfq_error *error)
{
	int code;

	/* the same layout; libpcap's name for it is another structure's in linux/bpf.h */
	*flow = (struct flow){.insns = (const struct sock_filter *)(const void *)expression->insns,
			      .insn_cnt = expression->insn_cnt};
	if (flow->insn_cnt == 0)
		return xfq_error_set(error, -EINVAL, "the expression has no instructions");
	code = flow_check_insns(flow, error);
	if (code)
		return code;
	flow->at = calloc(flow->insn_cnt, sizeof(*flow->at));
	if (!flow->at)
		return xfq_error_set(error, -ENOMEM, "no memory to translate an expression");
	flow_find_wants(flow);
	flow_find_reached(flow);
	flow_find_live(flow);
	flow_find_copies(flow, fast && !flow_loops(flow));
	return 0;
}

void flow_destroy(struct flow *flow)
{
	free(flow->at);
	flow->at = NULL;
}
