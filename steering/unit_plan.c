/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/unit_plan.h"
#include "steering/graph_simplify.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Sizes of what lies in the scratch memory: columns by log2 of their width, and words. */
#define PLAN_WORDS   3
#define PLAN_CLASSES 4

/* A node takes one operation, and at most two for its operands. */
#define PLAN_OPS_MAX   3
#define PLAN_TEMPS_MAX 2

struct plan_temp {
	uint32_t at;
	uint32_t class;
};

struct plan {
	struct unit_plan *unit_plan;
	const struct graph *graph;
	const unit_kernel_table *kernels;
	uint32_t *slot;               /* of each node, where it is */
	uint32_t *last;               /* of each node, the last place in order[] that uses it */
	uint32_t *free[PLAN_CLASSES]; /* places that may be used again */
	uint32_t free_cnt[PLAN_CLASSES];
	struct plan_temp temps[PLAN_TEMPS_MAX];
	uint32_t temp_cnt;
	uint64_t bytes;
};

static uint32_t plan_log2(uint32_t width)
{
	return (uint32_t)__builtin_ctz(width);
}

/* --- what is needed -------------------------------------------------------------------------- */

/* The operands that are no constants; how many. */
static uint32_t plan_operands(const struct graph *graph, const struct graph_node *node,
			      uint32_t operands[3])
{
	const uint32_t all[3] = {node->a, node->b, node->c};
	uint32_t cnt = 0;

	for (size_t i = 0; i < 3; i++)
		if (all[i] != GRAPH_NONE && !graph_is_const(graph, all[i]))
			operands[cnt++] = all[i];
	return cnt;
}

static void plan_count(struct unit_plan *plan, const struct graph_node *node, uint32_t i)
{
	plan->order[plan->order_cnt++] = i;
	if (node->op == GRAPH_LOAD)
		plan->load_cnt++;
	else if (node->op < GRAPH_FALSE)
		plan->value_cnt++;
	else if (node->op == GRAPH_BOTH || node->op == GRAPH_EITHER)
		plan->junction_cnt++;
	else if (node->op != GRAPH_NOT)
		plan->test_cnt++;
}

static uint8_t plan_width(const struct unit_plan *plan, const struct graph *graph,
			  const struct graph_node *node)
{
	const uint32_t operands[2] = {node->a, node->b};
	uint8_t width = node->max > 0xffff ? 4 : node->max > 0xff ? 2 : 1;

	if (node->op >= GRAPH_FALSE)
		return UNIT_WORD;
	for (size_t i = 0; i < 2 && node->op != GRAPH_LOAD; i++) {
		uint8_t other;

		if (operands[i] == GRAPH_NONE)
			continue;
		other = graph_is_const(graph, operands[i])
				? plan_width(plan, graph, &graph->nodes[operands[i]])
				: plan->width[operands[i]];
		width = other > width ? other : width;
	}
	return width;
}

/* Fill order[], width[] and address[]. */
static void plan_order(struct unit_plan *plan, const struct unit *unit)
{
	const struct graph *graph = &unit->graph;
	uint32_t operands[3];

	for (uint32_t r = 0; r < unit->cnt; r++)
		plan->width[unit->roots[r]] = UNIT_WORD;
	for (uint32_t i = graph->cnt; i-- > 0;) {
		const struct graph_node *node = &graph->nodes[i];
		uint32_t cnt = plan->width[i] ? plan_operands(graph, node, operands) : 0;

		while (cnt-- > 0) {
			plan->width[operands[cnt]] = UNIT_WORD;
			if (plan->address[i] || node->op == GRAPH_LOAD)
				plan->address[operands[cnt]] = true;
		}
	}
	for (uint32_t i = 0; i < graph->cnt; i++) {
		if (!plan->width[i])
			continue;
		plan->width[i] = plan_width(plan, graph, &graph->nodes[i]);
		plan_count(plan, &graph->nodes[i], i);
	}
}

/* --- where it lies --------------------------------------------------------------------------- */

static uint32_t plan_class(const struct plan *plan, uint32_t node)
{
	return plan_log2(plan->unit_plan->width[node]);
}

/* A place of that class; words come eight at a time. */
static uint32_t plan_take(struct plan *plan, uint32_t class)
{
	uint32_t at = (uint32_t)plan->bytes;

	if (plan->free_cnt[class] > 0)
		return plan->free[class][--plan->free_cnt[class]];
	if (class != PLAN_WORDS) {
		plan->bytes += (uint64_t)PACKET_BURST << class;
		return at;
	}
	plan->bytes += PACKET_BURST;
	for (uint32_t i = PACKET_BURST / UNIT_WORD; i-- > 1;)
		plan->free[class][plan->free_cnt[class]++] = at + i * UNIT_WORD;
	return at;
}

static void plan_give(struct plan *plan, uint32_t class, uint32_t at)
{
	plan->free[class][plan->free_cnt[class]++] = at;
}

/* The node that has the word of a test. */
static uint32_t plan_word(const struct graph *graph, uint32_t test)
{
	return graph->nodes[test].op == GRAPH_NOT ? graph->nodes[test].a : test;
}

/* Where each node is used for the last time. */
static void plan_find_last(struct plan *plan, const struct unit *unit)
{
	const struct unit_plan *of = plan->unit_plan;
	uint32_t operands[3];

	for (uint32_t at = 0; at < of->order_cnt; at++) {
		const struct graph_node *node = &plan->graph->nodes[of->order[at]];
		uint32_t cnt = plan_operands(plan->graph, node, operands);

		while (cnt-- > 0)
			plan->last[plan_word(plan->graph, operands[cnt])] = at;
	}
	for (uint32_t r = 0; r < unit->cnt; r++)
		plan->last[plan_word(plan->graph, unit->roots[r])] = UINT32_MAX;
}

/* --- operations ------------------------------------------------------------------------------ */

static void plan_emit(struct plan *plan, uint32_t code, uint32_t width_log2, uint32_t kind,
		      struct unit_op op)
{
	struct unit_plan *to = plan->unit_plan;

	op.kernel = (*plan->kernels)[code][width_log2][kind];
	to->ops[to->op_cnt++] = op;
}

/* A column that is needed for one operation only. */
static uint32_t plan_temp(struct plan *plan, uint32_t class)
{
	uint32_t at = plan_take(plan, class);

	plan->temps[plan->temp_cnt++] = (struct plan_temp){at, class};
	return at;
}

/* Where a value is as a column of that width. */
static uint32_t plan_column(struct plan *plan, uint32_t node, uint32_t width_log2)
{
	uint32_t at, class;

	if (graph_is_const(plan->graph, node)) {
		at = plan_temp(plan, width_log2);
		plan_emit(plan, UNIT_FILL, width_log2, 0,
			  (struct unit_op){.out = at, .k = plan->graph->nodes[node].k});
		return at;
	}
	class = plan_class(plan, node);
	if (class == width_log2)
		return plan->slot[node];
	at = plan_temp(plan, width_log2);
	plan_emit(plan, UNIT_WIDEN, width_log2, class,
		  (struct unit_op){.out = at, .a = plan->slot[node]});
	return at;
}

static void plan_emit_load(struct plan *plan, uint32_t i, const struct graph_node *node)
{
	struct unit_op op = {.out = plan->slot[i], .k = node->k};
	uint32_t kind = 0;

	if (node->a != GRAPH_NONE) {
		op.a = plan->slot[node->a];
		kind = 1 + plan_class(plan, node->a);
	}
	plan_emit(plan, GRAPH_LOAD, plan_log2(node->size), kind, op);
}

static void plan_emit_fits(struct plan *plan, uint32_t i, const struct graph_node *node)
{
	struct unit_op op = {.out = plan->slot[i], .k = node->k};

	if (node->a != GRAPH_NONE)
		op.a = plan_column(plan, node->a, 2);
	plan_emit(plan, GRAPH_FITS, 2, node->a != GRAPH_NONE, op);
}

/* A value or comparison of two. */
static void plan_emit_pair(struct plan *plan, uint32_t i, const struct graph_node *node)
{
	const struct graph *graph = plan->graph;
	struct graph_node wide = {.op = GRAPH_ADD, .a = node->a, .b = node->b, .max = 0};
	uint8_t width = graph_is_test(graph, i) ? plan_width(plan->unit_plan, graph, &wide)
						: plan->unit_plan->width[i];
	struct unit_op op = {.out = plan->slot[i]};
	bool by_const = graph_is_const(graph, node->b) && node->op != GRAPH_SELECT;

	op.a = plan_column(plan, node->a, plan_log2(width));
	if (by_const)
		op.k = graph->nodes[node->b].k;
	else
		op.b = plan_column(plan, node->b, plan_log2(width));
	if (node->op == GRAPH_SELECT)
		op.c = plan->slot[node->c];
	plan_emit(plan, node->op, plan_log2(width), by_const, op);
}

static void plan_emit_junction(struct plan *plan, uint32_t i, const struct graph_node *node)
{
	const struct graph *graph = plan->graph;
	struct unit_plan *to = plan->unit_plan;
	struct unit_op *last = to->op_cnt ? &to->ops[to->op_cnt - 1] : NULL;
	bool either = node->op == GRAPH_EITHER;

	to->junctions[to->junctions_cnt] = (struct unit_junction){
		.out = plan->slot[i],
		.a = plan->slot[plan_word(graph, node->a)],
		.b = plan->slot[plan_word(graph, node->b)],
		.flip_a = (graph->nodes[node->a].op == GRAPH_NOT) != either,
		.flip_b = (graph->nodes[node->b].op == GRAPH_NOT) != either,
		.flip = either,
	};
	if (!last || last->kernel != (*plan->kernels)[UNIT_JUNCTIONS][0][0])
		plan_emit(plan, UNIT_JUNCTIONS, 0, 0, (struct unit_op){.a = to->junctions_cnt});
	to->junctions_cnt++;
	to->ops[to->op_cnt - 1].b = to->junctions_cnt;
}

static void plan_emit_node(struct plan *plan, uint32_t i)
{
	const struct graph_node *node = &plan->graph->nodes[i];

	switch ((unsigned)node->op) {
	case GRAPH_FALSE:
	case GRAPH_TRUE:
		plan_emit(plan, GRAPH_FITS, 2, 0,
			  (struct unit_op){.out = plan->slot[i],
					   .k = node->op == GRAPH_TRUE ? 0 : UINT32_MAX});
		break;
	case GRAPH_WIRE_LEN:
		plan_emit(plan, GRAPH_WIRE_LEN, 2, 0, (struct unit_op){.out = plan->slot[i]});
		break;
	case GRAPH_EXTERN:
		plan_emit(plan, GRAPH_EXTERN, 0, 0,
			  (struct unit_op){.out = plan->slot[i], .k = node->k});
		break;
	case GRAPH_LOAD:
		plan_emit_load(plan, i, node);
		break;
	case GRAPH_FITS:
		plan_emit_fits(plan, i, node);
		break;
	case GRAPH_BOTH:
	case GRAPH_EITHER:
		plan_emit_junction(plan, i, node);
		break;
	default:
		plan_emit_pair(plan, i, node);
		break;
	}
}

/* Give back what is used here for the last time. */
static void plan_release(struct plan *plan, uint32_t at, const struct graph_node *node)
{
	uint32_t operands[3], cnt = plan_operands(plan->graph, node, operands);

	while (plan->temp_cnt > 0) {
		const struct plan_temp *temp = &plan->temps[--plan->temp_cnt];

		plan_give(plan, temp->class, temp->at);
	}
	while (cnt-- > 0) {
		uint32_t operand = plan_word(plan->graph, operands[cnt]);

		if (plan->last[operand] != at)
			continue;
		plan->last[operand] = UINT32_MAX; /* it may stand here twice */
		plan_give(plan, plan_class(plan, operand), plan->slot[operand]);
	}
}

static void plan_emit_all(struct plan *plan, const struct unit *unit)
{
	struct unit_plan *to = plan->unit_plan;

	plan_find_last(plan, unit);
	for (uint32_t at = 0; at < to->order_cnt; at++) {
		uint32_t i = to->order[at];
		const struct graph_node *node = &plan->graph->nodes[i];

		if (node->op != GRAPH_NOT) {
			plan->slot[i] = plan_take(plan, plan_class(plan, i));
			plan_emit_node(plan, i);
			plan_release(plan, at, node);
		}
	}
	for (uint32_t r = 0; r < unit->cnt; r++)
		to->answers[r] = (struct unit_answer){
			.word = plan->slot[plan_word(plan->graph, unit->roots[r])],
			.flip = plan->graph->nodes[unit->roots[r]].op == GRAPH_NOT};
}

/* --- a plan ---------------------------------------------------------------------------------- */

static const unit_kernel_table *plan_kernels(void)
{
#ifdef __x86_64__
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2"))
		return &unit_kernels_avx2;
#endif
	return &unit_kernels_plain;
}

static int plan_allocate(struct plan *plan, const struct unit *unit)
{
	struct unit_plan *to = plan->unit_plan;
	size_t node_cnt = unit->graph.cnt + 1u;
	/* what may be free at once: places of nodes, of operands, and the words of one row */
	size_t free_cnt = node_cnt + PLAN_TEMPS_MAX + PACKET_BURST;
	bool all = true;

	to->order = calloc(node_cnt, sizeof(*to->order));
	to->width = calloc(node_cnt, sizeof(*to->width));
	to->address = calloc(node_cnt, sizeof(*to->address));
	to->ops = calloc(PLAN_OPS_MAX * node_cnt, sizeof(*to->ops));
	to->junctions = calloc(node_cnt, sizeof(*to->junctions));
	to->answers = calloc(unit->cnt + 1u, sizeof(*to->answers));
	plan->slot = calloc(node_cnt, sizeof(*plan->slot));
	plan->last = calloc(node_cnt, sizeof(*plan->last));
	for (uint32_t i = 0; i < PLAN_CLASSES; i++) {
		plan->free[i] = calloc(free_cnt, sizeof(*plan->free[i]));
		all = all && plan->free[i];
	}
	all = all && to->order && to->width && to->address && to->ops && to->junctions &&
	      to->answers && plan->slot && plan->last;
	return all ? 0 : -ENOMEM;
}

int unit_plan_create(struct unit *unit)
{
	struct plan plan = {.graph = &unit->graph, .kernels = plan_kernels()};
	int code;

	unit->plan = plan.unit_plan = calloc(1, sizeof(*unit->plan));
	code = unit->plan ? plan_allocate(&plan, unit) : -ENOMEM;
	if (code == 0) {
		plan_order(plan.unit_plan, unit);
		plan_emit_all(&plan, unit);
		if (plan.bytes > UNIT_SCRATCH_MAX)
			code = -E2BIG;
		plan.unit_plan->scratch_bytes = (uint32_t)plan.bytes;
	}
	for (uint32_t i = 0; i < PLAN_CLASSES; i++)
		free(plan.free[i]);
	free(plan.slot);
	free(plan.last);
	return code;
}

void unit_plan_destroy(struct unit_plan *plan)
{
	if (!plan)
		return;
	free(plan->order);
	free(plan->width);
	free(plan->address);
	free(plan->ops);
	free(plan->junctions);
	free(plan->answers);
	free(plan);
}
