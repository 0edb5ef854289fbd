/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/decide.h"
#include <errno.h>
#include <stddef.h>

#define DECIDE_META(field)                                                                         \
	((int16_t)(offsetof(struct xdp_judged, meta) + offsetof(struct xfq_meta, field)))
#define DECIDE_KEY(field)                                                                          \
	((int16_t)(offsetof(struct xdp_judged, key) + offsetof(struct parse_key, field)))

/* Jumps up to which rules follow each other plainly. */
#define DECIDE_JUMPS_MAX 6000

/* Code being made. */
struct decide {
	struct code *code;
	enum translate_target target;
	const struct filter *filter;
	bool aside; /* see decide_aside() */
};

static void decide_load(struct code *code, uint8_t size, uint8_t dst, int16_t off)
{
	code_insn(code, BPF_LDX | BPF_MEM | size, dst, BPF_REG_7, off, 0);
}

/* Go to `no` where 16 bits of judged are outside [lo, hi]. */
static void decide_range(struct code *code, int16_t off, uint16_t lo, uint16_t hi, uint32_t no)
{
	decide_load(code, BPF_H, BPF_REG_1, off);
	if (lo == hi) {
		code_jump32(code, BPF_JNE, BPF_REG_1, lo, no);
		return;
	}
	if (lo > 0)
		code_jump32(code, BPF_JLT, BPF_REG_1, lo, no);
	if (hi < UINT16_MAX)
		code_jump32(code, BPF_JGT, BPF_REG_1, hi, no);
}

static void decide_fields(struct code *code, const struct filter_rule *rule, uint32_t no)
{
	const uint8_t ports = FILTER_PORT | FILTER_SPORT | FILTER_DPORT;
	uint32_t other = code_label(code), yes = code_label(code);

	if (rule->fields & FILTER_PROTO) {
		decide_load(code, BPF_H, BPF_REG_1, DECIDE_META(l3_off));
		code_jump32(code, BPF_JEQ, BPF_REG_1, 0, no);
		decide_load(code, BPF_B, BPF_REG_1, DECIDE_META(l4_proto));
		code_jump32(code, BPF_JNE, BPF_REG_1, rule->proto, no);
	}
	if (!(rule->fields & ports))
		return;
	decide_load(code, BPF_H, BPF_REG_1, DECIDE_META(flags));
	code_insn(code, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, XFQ_META_PORTS);
	code_jump32(code, BPF_JEQ, BPF_REG_1, 0, no);
	if (rule->fields & FILTER_SPORT)
		decide_range(code, DECIDE_KEY(sport), rule->sport_lo, rule->sport_hi, no);
	if (rule->fields & FILTER_DPORT)
		decide_range(code, DECIDE_KEY(dport), rule->dport_lo, rule->dport_hi, no);
	if ((rule->fields & FILTER_PORT) && (rule->port_lo > 0 || rule->port_hi < UINT16_MAX)) {
		decide_range(code, DECIDE_KEY(sport), rule->port_lo, rule->port_hi, other);
		code_goto(code, yes);
		code_place(code, other);
		decide_range(code, DECIDE_KEY(dport), rule->port_lo, rule->port_hi, no);
		code_place(code, yes);
	}
}

static void decide_call(struct code *code, enum code_function function, int32_t third,
			int32_t fourth)
{
	code_insn(code, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_6, 0, 0);
	code_insn(code, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_7, 0, 0);
	code_insn(code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, third);
	code_insn(code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_4, 0, 0, fourth);
	code_call(code, function);
}

static void decide_set(struct code *code, const struct filter *filter,
		       const struct filter_rule *rule, uint32_t no)
{
	static const enum code_function functions[] = {
		[SET_NET] = CODE_SET_NET,   [SET_ADDRESS] = CODE_SET_NET,
		[SET_PORT] = CODE_SET_PORT, [SET_FLOW] = CODE_SET_FLOW,
		[SET_MAC] = CODE_SET_MAC,
	};

	decide_call(code, functions[filter->sets[rule->set]->type], (int32_t)rule->set,
		    rule->set_fields);
	code_jump32(code, BPF_JEQ, BPF_REG_0, 0, no);
}

static uint8_t decide_verdict(enum filter_action action)
{
	switch (action) {
	case FILTER_STEER:
		return XDP_VERDICT_STEER;
	case FILTER_DROP:
		return XDP_VERDICT_DROP;
	case FILTER_TX:
		return XDP_VERDICT_TX;
	case FILTER_LIMIT:
		return XDP_VERDICT_LIMITED;
	case FILTER_PASS:
	case FILTER_CLAIMED:
		break;
	}
	return XDP_VERDICT_PASS;
}

uint32_t decide_limit_index(const struct filter *filter, uint32_t rule)
{
	uint32_t index = 0;

	for (uint32_t i = 0; i < rule; i++)
		index += filter->rules[i].action == FILTER_LIMIT;
	return index;
}

/* Whether a rule decides on whatever comes to it, so that nothing does to what is after it. */
static bool decide_always(const struct filter_rule *rule)
{
	return rule->action != FILTER_LIMIT &&
	       ((rule->fields & ~FILTER_MATCH) == 0 && (!rule->match || rule->expression.all));
}

/* The verifier goes through with one way to the end, and keeps in mind each jump on it; of those it
 * keeps no more than 8192, on all kernels so far. With this in front of an expression the first way
 * leads past it, and is a short one. */
static void decide_aside(const struct decide *it, uint32_t next)
{
	uint32_t stay = code_label(it->code);

	if (!it->aside)
		return;
	/* no packet has none */
	decide_load(it->code, BPF_W, BPF_REG_1, DECIDE_META(wire_len));
	code_jump32(it->code, BPF_JNE, BPF_REG_1, 0, stay);
	code_goto(it->code, next);
	code_place(it->code, stay);
}

static int decide_rule(const struct decide *it, uint32_t index, struct xfq_error *error)
{
	const struct filter *filter = it->filter;
	const struct filter_rule *rule = &filter->rules[index];
	struct code *code = it->code;
	uint32_t next = code_label(code);
	int code_error = 0;

	decide_fields(code, rule, next);
	if (rule->fields & FILTER_SET)
		decide_set(code, filter, rule, next);
	if (rule->fields & FILTER_MATCH) {
		decide_aside(it, next);
		code_error = translate(code, it->target, &rule->expression, next, error);
	}
	if (rule->action == FILTER_LIMIT) {
		decide_call(code, CODE_LIMIT, (int32_t)decide_limit_index(filter, index), 0);
		code_jump32(code, BPF_JEQ, BPF_REG_0, 0, next);
	}
	code_return(code, XDP_DECISION(index, decide_verdict(rule->action), rule->swap));
	code_place(code, next);
	return code_error;
}

/* What a group wants is steered, the rest is passed. */
static int decide_claims(const struct decide *it, struct xfq_error *error)
{
	const struct filter *filter = it->filter;
	struct code *code = it->code;

	for (uint32_t i = 0; i < filter->claim_cnt; i++) {
		const struct filter_claim *claim = &filter->claims[i];
		uint32_t next = code_label(code);
		int code_error;

		decide_aside(it, next);
		code_error = translate(code, it->target, &claim->expression, next, error);
		if (code_error)
			return code_error;
		code_return(code, XDP_DECISION(XFQ_RULE_DEFAULT, XDP_VERDICT_STEER, 0));
		if (claim->expression.all)
			return 0;
		code_place(code, next);
	}
	code_return(code, XDP_DECISION(XFQ_RULE_DEFAULT, XDP_VERDICT_PASS, 0));
	return 0;
}

/* Call every function, where nothing ever comes: one that is called nowhere is none to the
 * verifier, whose list of functions would then not be that of the program. */
static void decide_name_functions(struct code *code)
{
	for (int function = 0; function < CODE_FUNCTION_CNT; function++) {
		if (function == CODE_LOAD) {
			code_insn(code, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_6, 0, 0);
			code_insn(code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, 0);
			code_insn(code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, 1);
			code_call(code, CODE_LOAD);
		} else {
			decide_call(code, (enum code_function)function, 0, 0);
		}
	}
}

/* What no rule decided. */
static int decide_default(const struct decide *it, struct xfq_error *error)
{
	const struct filter *filter = it->filter;
	uint8_t verdict = decide_verdict(filter->default_action);

	if (filter->default_action == FILTER_CLAIMED && filter->claim_push_down)
		return decide_claims(it, error);
	if (filter->default_action == FILTER_CLAIMED)
		verdict = XDP_VERDICT_STEER;
	code_return(it->code, XDP_DECISION(XFQ_RULE_DEFAULT, verdict, 0));
	return 0;
}

static int decide_all(const struct decide *it, struct xfq_error *error)
{
	const struct filter *filter = it->filter;
	struct code *code = it->code;
	uint32_t present = code_label(code);

	code_insn(code, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0);
	code_insn(code, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_7, BPF_REG_2, 0, 0);
	/* the verifier wants to see it, as anyone could call */
	code_jump(code, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_7, 0, 0, present);
	decide_name_functions(code);
	code_return(code, XDP_DECISION(XFQ_RULE_DEFAULT, XDP_VERDICT_PASS, 0));
	code_place(code, present);
	translate_begin(code, it->target);
	for (uint32_t i = 0; i < filter->rule_cnt; i++) {
		int code_error = decide_rule(it, i, error);

		if (code_error)
			return code_error;
		/* the verifier refuses code that cannot be reached */
		if (decide_always(&filter->rules[i]))
			return 0;
	}
	return decide_default(it, error);
}

int decide_generate(struct code *code, enum translate_target target, const struct filter *filter,
		    struct xfq_error *error)
{
	struct decide it = {.code = code, .target = target, .filter = filter};
	int code_error = decide_all(&it, error);

	if (code_error == 0 && !code->error && code->jump_cnt > DECIDE_JUMPS_MAX) {
		code_destroy(code);
		it.aside = true;
		code_error = decide_all(&it, error);
	}
	if (code_error)
		return code_error;
	code_error = code_finish(code);
	if (code_error == -E2BIG)
		return xfq_error_set(error, code_error,
				     "the rules are too long: a jump would go back by more than "
				     "32767 instructions");
	return code_error ? xfq_error_set(error, code_error, "no memory for the rules' code") : 0;
}
