/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Classic BPF as a graph. Forward, each instruction's values are worked out, of those that come
 * before it; backward, what the rest of the program answers:
 *
 *	jeq #80 jt f		test = A == 80; forward: A at both targets
 *				backward: answer = test ? answer[t] : answer[f]
 *
 * Where ways meet with different values, as those for IPv4 and IPv6 do, the rest is gone through
 * once for each, as a visit of its own: what they have in common is the same nodes anyway, and what
 * is known of a packet that comes that way makes them fewer. A program of too many visits has its
 * values selected by the way that a packet came.
 */
#include "steering/graph_simplify.h"
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

/* What an instruction finds: words of memory, then A and X. */
#define ADD_A    BPF_MEMWORDS
#define ADD_X    (BPF_MEMWORDS + 1)
#define ADD_VARS (BPF_MEMWORDS + 2)

/* So many visits an instruction may have before values are selected. */
#define ADD_VISITS 4
#define ADD_NONE   UINT32_MAX

/* An instruction, with one set of values. */
struct add_visit {
	uint32_t vars[ADD_VARS]; /* nodes, as found; of those that are live */
	uint32_t insn;
	uint32_t another; /* visit of the same instruction; ADD_NONE: the last */
	uint32_t next[2]; /* visits after it */
	uint32_t came;    /* test: packets come here; made when asked for */
	uint32_t test;    /* of a jump, and what a return says */
	uint32_t needs;   /* test: without it the expression does not match */
	uint32_t answer;
};

struct add {
	struct graph *graph;
	const struct bpf_insn *insns;
	uint32_t cnt;
	uint32_t *live;  /* of each instruction, a bit for each variable that is read before it is
			    written */
	uint32_t *first; /* of each instruction, a visit, or ADD_NONE */
	struct add_visit *visits;
	uint32_t visit_cnt;
	uint32_t *order; /* visits, in the order of their instructions */
	uint32_t order_cnt;
	uint32_t came_cnt; /* of the first so many of order[] `came` is known, and of what follows
			    */
};

/* The instructions that may follow; equal where there is one only, cnt where there is none. */
static void add_next(const struct add *add, uint32_t i, uint32_t next[2])
{
	const struct bpf_insn *insn = &add->insns[i];
	uint64_t yes = i + UINT64_C(1), no = yes;

	if (BPF_CLASS(insn->code) == BPF_RET) {
		yes = no = add->cnt;
	} else if (insn->code == (BPF_JMP | BPF_JA)) {
		yes = no = yes + insn->k;
	} else if (BPF_CLASS(insn->code) == BPF_JMP) {
		yes += insn->jt;
		no += insn->jf;
	}
	next[0] = yes < add->cnt ? (uint32_t)yes : add->cnt;
	next[1] = no < add->cnt ? (uint32_t)no : add->cnt;
}

/* --- which variables matter ------------------------------------------------------------------ */

static uint32_t add_reads(const struct bpf_insn *insn)
{
	const uint32_t a = 1u << ADD_A, x = 1u << ADD_X, word = 1u << insn->k % BPF_MEMWORDS;
	uint32_t operand = BPF_SRC(insn->code) == BPF_X ? x : 0;

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
		if (BPF_MODE(insn->code) == BPF_MEM)
			return word;
		return BPF_MODE(insn->code) == BPF_IND ? x : 0;
	case BPF_LDX:
		return BPF_MODE(insn->code) == BPF_MEM ? word : 0;
	case BPF_ST:
		return a;
	case BPF_STX:
		return x;
	case BPF_ALU:
		return a | (BPF_OP(insn->code) == BPF_NEG ? 0 : operand);
	case BPF_JMP:
		return BPF_OP(insn->code) == BPF_JA ? 0 : a | operand;
	case BPF_RET:
		return BPF_RVAL(insn->code) == BPF_A ? a : 0;
	default:
		return BPF_MISCOP(insn->code) == BPF_TAX ? a : x;
	}
}

static uint32_t add_writes(const struct bpf_insn *insn)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
	case BPF_ALU:
		return 1u << ADD_A;
	case BPF_LDX:
		return 1u << ADD_X;
	case BPF_ST:
	case BPF_STX:
		return 1u << insn->k % BPF_MEMWORDS;
	case BPF_MISC:
		return BPF_MISCOP(insn->code) == BPF_TAX ? 1u << ADD_X : 1u << ADD_A;
	default:
		return 0;
	}
}

static void add_find_live(struct add *add)
{
	for (uint32_t i = add->cnt; i-- > 0;) {
		const struct bpf_insn *insn = &add->insns[i];
		uint32_t next[2], live = 0;

		add_next(add, i, next);
		for (int n = 0; n < 2; n++)
			live |= next[n] < add->cnt ? add->live[next[n]] : 0;
		add->live[i] = (live & ~add_writes(insn)) | add_reads(insn);
	}
}

/* --- one instruction ------------------------------------------------------------------------- */

/* A load of the packet, which must be there. */
static uint32_t add_load(struct add *add, struct add_visit *visit, uint32_t size, uint32_t base)
{
	struct graph *graph = add->graph;
	uint32_t k = add->insns[visit->insn].k;

	if ((uint64_t)k + size > UINT32_MAX)
		visit->needs = GRAPH_ID_FALSE;
	else
		visit->needs = graph_node(
			graph, &(struct graph_node){.op = GRAPH_FITS, .a = base, .k = k + size});
	return graph_node(
		graph,
		&(struct graph_node){.op = GRAPH_LOAD, .size = (uint8_t)size, .a = base, .k = k});
}

static uint32_t add_size(uint32_t code)
{
	return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

static uint32_t add_loaded(struct add *add, struct add_visit *visit, const uint32_t *vars)
{
	const struct bpf_insn *insn = &add->insns[visit->insn];
	struct graph *graph = add->graph;
	uint32_t nibble;

	switch (BPF_MODE(insn->code)) {
	case BPF_IMM:
		return graph_const(graph, insn->k);
	case BPF_ABS:
		return add_load(add, visit, add_size(insn->code), GRAPH_NONE);
	case BPF_IND:
		return add_load(add, visit, add_size(insn->code), vars[ADD_X]);
	case BPF_MEM:
		return vars[insn->k % BPF_MEMWORDS];
	case BPF_LEN:
		return graph_node(graph, &(struct graph_node){.op = GRAPH_WIRE_LEN});
	default: /* BPF_MSH: length of an IPv4 header */
		nibble = graph_make(graph, GRAPH_AND, add_load(add, visit, 1, GRAPH_NONE),
				    graph_const(graph, 0xf));
		return graph_make(graph, GRAPH_LSH, nibble, graph_const(graph, 2));
	}
}

static uint32_t add_operand(struct add *add, struct add_visit *visit, const uint32_t *vars)
{
	const struct bpf_insn *insn = &add->insns[visit->insn];

	return BPF_SRC(insn->code) == BPF_X ? vars[ADD_X] : graph_const(add->graph, insn->k);
}

static uint32_t add_calculated(struct add *add, struct add_visit *visit, const uint32_t *vars)
{
	static const uint8_t ops[16] = {
		[BPF_ADD >> 4] = GRAPH_ADD, [BPF_SUB >> 4] = GRAPH_SUB, [BPF_MUL >> 4] = GRAPH_MUL,
		[BPF_DIV >> 4] = GRAPH_DIV, [BPF_MOD >> 4] = GRAPH_MOD, [BPF_AND >> 4] = GRAPH_AND,
		[BPF_OR >> 4] = GRAPH_OR,   [BPF_XOR >> 4] = GRAPH_XOR, [BPF_LSH >> 4] = GRAPH_LSH,
		[BPF_RSH >> 4] = GRAPH_RSH,
	};
	struct graph *graph = add->graph;
	uint32_t code = BPF_OP(add->insns[visit->insn].code), by;

	if (code == BPF_NEG)
		return graph_make(graph, GRAPH_SUB, graph_const(graph, 0), vars[ADD_A]);
	by = add_operand(add, visit, vars);
	if (code == BPF_DIV || code == BPF_MOD)
		visit->needs =
			graph_not(graph, graph_make(graph, GRAPH_EQ, by, graph_const(graph, 0)));
	return graph_make(graph, (enum graph_op)ops[code >> 4], vars[ADD_A], by);
}

static uint32_t add_compared(struct add *add, struct add_visit *visit, const uint32_t *vars)
{
	uint32_t code = BPF_OP(add->insns[visit->insn].code);
	enum graph_op op = code == BPF_JEQ   ? GRAPH_EQ
			   : code == BPF_JGT ? GRAPH_GT
			   : code == BPF_JGE ? GRAPH_GE
					     : GRAPH_BITS;

	return graph_make(add->graph, op, vars[ADD_A], add_operand(add, visit, vars));
}

static uint32_t add_returned(struct add *add, struct add_visit *visit, const uint32_t *vars)
{
	const struct bpf_insn *insn = &add->insns[visit->insn];
	struct graph *graph = add->graph;

	if (BPF_RVAL(insn->code) != BPF_A)
		return insn->k ? GRAPH_ID_TRUE : GRAPH_ID_FALSE;
	return graph_not(graph, graph_make(graph, GRAPH_EQ, vars[ADD_A], graph_const(graph, 0)));
}

/* What an instruction does with the variables it found. */
static void add_execute(struct add *add, struct add_visit *visit, uint32_t *vars)
{
	const struct bpf_insn *insn = &add->insns[visit->insn];

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
		vars[ADD_A] = add_loaded(add, visit, vars);
		break;
	case BPF_LDX:
		vars[ADD_X] = add_loaded(add, visit, vars);
		break;
	case BPF_ST:
		vars[insn->k % BPF_MEMWORDS] = vars[ADD_A];
		break;
	case BPF_STX:
		vars[insn->k % BPF_MEMWORDS] = vars[ADD_X];
		break;
	case BPF_ALU:
		vars[ADD_A] = add_calculated(add, visit, vars);
		break;
	case BPF_JMP:
		visit->test = BPF_OP(insn->code) == BPF_JA ? GRAPH_ID_TRUE
							   : add_compared(add, visit, vars);
		break;
	case BPF_RET:
		visit->test = add_returned(add, visit, vars);
		break;
	default:
		if (BPF_MISCOP(insn->code) == BPF_TAX)
			vars[ADD_X] = vars[ADD_A];
		else
			vars[ADD_A] = vars[ADD_X];
		break;
	}
}

/* --- from one to the next -------------------------------------------------------------------- */

/* Whether a packet that comes there goes on that way: the test, not the test, or always. */
static uint32_t add_goes(struct add *add, const struct add_visit *visit, int way,
			 const uint32_t next[2])
{
	if (next[0] == next[1])
		return way ? GRAPH_ID_FALSE : GRAPH_ID_TRUE;
	return way ? graph_not(add->graph, visit->test) : visit->test;
}

/*
 * Test: a packet comes from that visit, the last in order[], that way. What loads and divisions
 * need is left out: who lacks it matches nothing anyway.
 */
static uint32_t add_comes_from(struct add *add, const struct add_visit *visit, int way)
{
	struct graph *graph = add->graph;
	uint32_t next[2];

	for (; add->came_cnt + 1 < add->order_cnt; add->came_cnt++) {
		const struct add_visit *from = &add->visits[add->order[add->came_cnt]];

		add_next(add, from->insn, next);
		for (int n = 0; n < 2; n++) {
			uint32_t goes = add_goes(add, from, n, next), *came;

			if (from->next[n] == ADD_NONE)
				continue;
			came = &add->visits[from->next[n]].came;
			*came = graph_make(graph, GRAPH_EITHER, *came,
					   graph_make(graph, GRAPH_BOTH, from->came, goes));
		}
	}
	add_next(add, visit->insn, next);
	return graph_make(graph, GRAPH_BOTH, visit->came, add_goes(add, visit, way, next));
}

static bool add_same(const struct add *add, const struct add_visit *visit, const uint32_t *vars)
{
	for (uint32_t v = 0; v < ADD_VARS; v++)
		if ((add->live[visit->insn] & (1u << v)) && visit->vars[v] != vars[v])
			return false;
	return true;
}

static uint32_t add_visit_new(struct add *add, uint32_t insn, const uint32_t *vars)
{
	struct add_visit *visit = &add->visits[add->visit_cnt];

	*visit = (struct add_visit){.insn = insn,
				    .another = add->first[insn],
				    .next = {ADD_NONE, ADD_NONE},
				    .came = GRAPH_ID_FALSE,
				    .test = GRAPH_ID_TRUE,
				    .needs = GRAPH_ID_TRUE};
	memcpy(visit->vars, vars, sizeof(visit->vars));
	add->first[insn] = add->visit_cnt;
	return add->visit_cnt++;
}

/* The visit that packets go to, with these variables, from the last visit in order[]. */
static uint32_t add_flow(struct add *add, const struct add_visit *from, int way, uint32_t target,
			 const uint32_t *vars)
{
	struct add_visit *to = NULL;
	uint32_t cnt = 0;

	for (uint32_t i = add->first[target]; i != ADD_NONE; i = add->visits[i].another) {
		to = &add->visits[i];
		if (add_same(add, to, vars))
			return i;
		cnt++;
	}
	if (cnt < ADD_VISITS)
		return add_visit_new(add, target, vars);
	for (uint32_t v = 0; v < ADD_VARS; v++)
		if ((add->live[target] & (1u << v)) && to->vars[v] != vars[v])
			to->vars[v] = graph_node(
				add->graph,
				&(struct graph_node){.op = GRAPH_SELECT,
						     .a = vars[v],
						     .b = to->vars[v],
						     .c = add_comes_from(add, from, way)});
	return (uint32_t)(to - add->visits);
}

static void add_forward_visit(struct add *add, struct add_visit *visit)
{
	uint32_t vars[ADD_VARS], next[2];

	memcpy(vars, visit->vars, sizeof(vars));
	add_execute(add, visit, vars);
	add_next(add, visit->insn, next);
	for (int way = 0; way < 2 && !add->graph->failed; way++)
		if (next[way] < add->cnt && add_goes(add, visit, way, next) != GRAPH_ID_FALSE)
			visit->next[way] = add_flow(add, visit, way, next[way], vars);
}

static void add_forward(struct add *add)
{
	for (uint32_t i = 0; i < add->cnt; i++) {
		for (uint32_t v = add->first[i]; v != ADD_NONE; v = add->visits[v].another) {
			add->order[add->order_cnt++] = v;
			add_forward_visit(add, &add->visits[v]);
			if (add->graph->failed)
				return;
		}
	}
}

/* test ? yes : no */
static uint32_t add_choose(struct graph *graph, uint32_t test, uint32_t yes, uint32_t no)
{
	if (yes == no)
		return yes;
	if (test <= GRAPH_ID_TRUE)
		return test == GRAPH_ID_TRUE ? yes : no;
	if (no == GRAPH_ID_TRUE)
		return graph_make(graph, GRAPH_EITHER, graph_not(graph, test), yes);
	if (yes == GRAPH_ID_TRUE)
		return graph_make(graph, GRAPH_EITHER, test, no);
	return graph_make(graph, GRAPH_EITHER, graph_make(graph, GRAPH_BOTH, test, yes),
			  graph_make(graph, GRAPH_BOTH, graph_not(graph, test), no));
}

static uint32_t add_backward(struct add *add)
{
	struct graph *graph = add->graph;

	for (uint32_t o = add->order_cnt; o-- > 0 && !graph->failed;) {
		struct add_visit *visit = &add->visits[add->order[o]];
		uint32_t answers[2], next[2], answer;

		add_next(add, visit->insn, next);
		for (int n = 0; n < 2; n++)
			answers[n] = visit->next[n] != ADD_NONE ? add->visits[visit->next[n]].answer
								: GRAPH_ID_FALSE;
		if (BPF_CLASS(add->insns[visit->insn].code) == BPF_RET)
			answer = visit->test;
		else if (next[0] == next[1])
			answer = answers[0];
		else
			answer = add_choose(graph, visit->test, answers[0], answers[1]);
		visit->answer = graph_make(graph, GRAPH_BOTH, answer, visit->needs);
	}
	return graph->failed ? GRAPH_NONE : add->visits[0].answer;
}

/* --- an expression --------------------------------------------------------------------------- */

static bool add_goes_back(const struct expression *expression)
{
	for (uint32_t i = 0; i < expression->insn_cnt; i++)
		if (expression->insns[i].code == (BPF_JMP | BPF_JA) &&
		    expression->insns[i].k >= 0x80000000u)
			return true;
	return false;
}

static int add_allocate(struct add *add)
{
	size_t visit_cnt = ADD_VISITS * (size_t)add->cnt;

	add->live = calloc(add->cnt, sizeof(*add->live));
	add->first = malloc(add->cnt * sizeof(*add->first));
	add->visits = malloc(visit_cnt * sizeof(*add->visits));
	add->order = malloc(visit_cnt * sizeof(*add->order));
	if (!add->live || !add->first || !add->visits || !add->order)
		return -ENOMEM;
	memset(add->first, 0xff, add->cnt * sizeof(*add->first)); /* ADD_NONE */
	return 0;
}

int graph_add(struct graph *graph, const struct expression *expression, uint32_t number,
	      uint32_t *root)
{
	struct add add = {.graph = graph, .insns = expression->insns, .cnt = expression->insn_cnt};
	uint32_t zero = graph_const(graph, 0);
	int code;

	*root = GRAPH_ID_TRUE;
	if (graph->failed || expression->all)
		return graph->failed;
	if (add_goes_back(expression)) {
		*root = graph_node(graph, &(struct graph_node){.op = GRAPH_EXTERN, .k = number});
		return graph->failed;
	}
	code = add_allocate(&add);
	if (code == 0) {
		uint32_t vars[ADD_VARS];

		for (uint32_t v = 0; v < ADD_VARS; v++)
			vars[v] = zero;
		add_find_live(&add);
		add.visits[add_visit_new(&add, 0, vars)].came = GRAPH_ID_TRUE;
		add_forward(&add);
		*root = add_backward(&add);
		code = graph->failed;
	}
	free(add.live);
	free(add.first);
	free(add.visits);
	free(add.order);
	return code;
}
