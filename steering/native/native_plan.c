/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/native/native_code.h"
#include <errno.h>
#include <stdlib.h>

/* Nodes in a part. Where instructions are chosen one by one, LLVM's time grows with their number,
 * and large parts make faster code; else it grows faster. */
#define NATIVE_PART_PLAIN   400
#define NATIVE_PART_CAREFUL 48

#define NATIVE_PHASES_MAX 1000

uint32_t native_operands(const struct graph_node *node, uint32_t operands[3])
{
	switch ((enum graph_op)node->op) {
	case GRAPH_CONST:
	case GRAPH_WIRE_LEN:
	case GRAPH_FALSE:
	case GRAPH_TRUE:
	case GRAPH_EXTERN:
		return 0;
	case GRAPH_LOAD:
	case GRAPH_FITS:
		operands[0] = node->a;
		return node->a != GRAPH_NONE;
	case GRAPH_NOT:
		operands[0] = node->a;
		return 1;
	case GRAPH_SELECT:
		operands[2] = node->c;
		break;
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
	case GRAPH_EQ:
	case GRAPH_GT:
	case GRAPH_GE:
	case GRAPH_BITS:
	case GRAPH_BOTH:
	case GRAPH_EITHER:
		break;
	}
	operands[0] = node->a;
	operands[1] = node->b;
	return node->op == GRAPH_SELECT ? 3 : 2;
}

static uint8_t native_bits_for(uint32_t max)
{
	return max <= UINT8_MAX ? 8 : max <= UINT16_MAX ? 16 : 32;
}

/* Bits of a lane: enough for the result and for all operands, so that nothing is narrowed on the
 * way. Of a test: for what it compares. */
static void native_plan_bits(struct native_code *code)
{
	for (uint32_t i = 0; i < code->job->node_cnt; i++) {
		const struct graph_node *node = &code->job->nodes[i];
		uint32_t operands[3], cnt = native_operands(node, operands);
		struct native_node *plan = &code->nodes[i];

		plan->bits = node->op < GRAPH_FALSE ? native_bits_for(node->max) : 8;
		if (node->op == GRAPH_LOAD) {
			plan->bits = (uint8_t)(8 * node->size);
			continue;
		}
		/* of a constant, the bits that the other operand has not make no difference */
		if (cnt == 2 && code->job->nodes[operands[1]].op == GRAPH_CONST &&
		    (node->op == GRAPH_AND || node->op >= GRAPH_FALSE))
			cnt = 1;
		for (uint32_t o = 0; o < cnt; o++)
			if (code->nodes[operands[o]].bits > plan->bits &&
			    code->job->nodes[operands[o]].op < GRAPH_FALSE)
				plan->bits = code->nodes[operands[o]].bits;
	}
}

static void native_plan_needs(struct native_code *code)
{
	for (uint32_t r = 0; r < code->job->root_cnt; r++)
		code->nodes[code->job->roots[r]].in_column = true;
	for (uint32_t i = code->job->node_cnt; i-- > 0;) {
		const struct graph_node *node = &code->job->nodes[i];
		uint32_t operands[3], cnt = native_operands(node, operands);
		const struct native_node *plan = &code->nodes[i];

		for (uint32_t o = 0; o < cnt; o++) {
			struct native_node *operand = &code->nodes[operands[o]];

			operand->in_column |= plan->in_column && node->op != GRAPH_LOAD;
			operand->in_lane |=
				plan->in_lane || (plan->in_column && node->op == GRAPH_LOAD);
		}
	}
}

/* Tests and SELECT: a SELECT by a word that is made of others comes after the parts that make it.
 */
static void native_plan_phases(struct native_code *code)
{
	for (uint32_t i = 0; i < code->job->node_cnt; i++) {
		const struct graph_node *node = &code->job->nodes[i];
		uint32_t operands[3], cnt = native_operands(node, operands);

		for (uint32_t o = 0; o < cnt && node->op != GRAPH_LOAD; o++) {
			uint16_t phase = code->nodes[operands[o]].phase;

			if (!native_is_junction(node) &&
			    native_is_junction(&code->job->nodes[operands[o]]))
				phase++;
			if (phase > code->nodes[i].phase)
				code->nodes[i].phase = phase;
		}
	}
}

/* Whether a node is made by a part, and not by run() or where it is used. */
static bool native_has_part(const struct graph_node *node)
{
	return node->op != GRAPH_CONST && node->op != GRAPH_WIRE_LEN && node->op != GRAPH_LOAD &&
	       node->op != GRAPH_FALSE && node->op != GRAPH_TRUE && node->op != GRAPH_EXTERN;
}

/* The parts of a phase: those of vectors, or then those of words. Whether there was any node. */
static bool native_plan_parts(struct native_code *code, uint32_t phase, bool junctions)
{
	uint32_t lanes = junctions ? NATIVE_LANES : code->vector_lanes, cnt = 0;
	uint32_t most = lanes == NATIVE_LANES ? NATIVE_PART_PLAIN : NATIVE_PART_CAREFUL;
	bool found = false;

	for (uint32_t i = 0; i < code->job->node_cnt; i++) {
		const struct graph_node *node = &code->job->nodes[i];
		struct native_node *plan = &code->nodes[i];

		if (!plan->in_column || !native_has_part(node) || plan->phase != phase)
			continue;
		found = true;
		if (native_is_junction(node) != junctions)
			continue;
		if (cnt++ % most == 0)
			code->part_cnt++;
		plan->part = code->part_cnt - 1;
	}
	return found;
}

/* How many packets each part works on at once. */
static bool native_plan_lanes(struct native_code *code)
{
	code->part_lanes = calloc(code->part_cnt + 1, sizeof(*code->part_lanes));
	for (uint32_t i = 0; i < code->job->node_cnt && code->part_lanes; i++)
		if (code->nodes[i].part != NATIVE_NOWHERE)
			code->part_lanes[code->nodes[i].part] =
				native_is_junction(&code->job->nodes[i])
					? NATIVE_LANES
					: (uint8_t)code->vector_lanes;
	return code->part_lanes != NULL;
}

static uint32_t native_take_room(struct native_code *code, uint32_t bytes)
{
	uint32_t place = code->frame_bytes;

	code->frame_bytes += bytes;
	return place;
}

/* Where something lies that others need: columns, each at a multiple of its lanes' bytes. */
static void native_take_place(struct native_code *code, uint32_t number)
{
	struct native_node *plan = &code->nodes[number];
	const struct graph_node *node = &code->job->nodes[number];

	if (plan->place != NATIVE_NOWHERE || node->op == GRAPH_CONST || node->op == GRAPH_TRUE ||
	    node->op == GRAPH_FALSE)
		return;
	if (node->op == GRAPH_WIRE_LEN)
		plan->place = code->wire_column;
	else if (!native_is_test(node))
		plan->place = native_take_room(code, plan->bits / 8 * NATIVE_LANES);
}

static void native_take_word(struct native_code *code, uint32_t number)
{
	if (native_is_test(&code->job->nodes[number]) &&
	    code->nodes[number].place == NATIVE_NOWHERE)
		code->nodes[number].place = native_take_room(code, sizeof(uint64_t));
}

/* Call for each node that is not only needed by the part that makes it. */
static void native_plan_shared(struct native_code *code,
			       void (*take)(struct native_code *code, uint32_t number))
{
	for (uint32_t i = 0; i < code->job->node_cnt; i++) {
		const struct graph_node *node = &code->job->nodes[i];
		uint32_t operands[3], cnt = native_operands(node, operands);

		if (!code->nodes[i].in_column)
			continue;
		if (node->op == GRAPH_LOAD || node->op == GRAPH_EXTERN)
			take(code, i);
		for (uint32_t o = 0; o < cnt && node->op != GRAPH_LOAD; o++)
			if (code->nodes[operands[o]].part != code->nodes[i].part)
				take(code, operands[o]);
	}
	for (uint32_t r = 0; r < code->job->root_cnt; r++)
		take(code, code->job->roots[r]);
}

/* Columns of the lengths that somebody asks for. */
static void native_plan_lengths(struct native_code *code)
{
	code->len_column = code->long_column = code->wire_column = NATIVE_NOWHERE;
	for (uint32_t i = 0; i < code->job->node_cnt; i++) {
		const struct graph_node *node = &code->job->nodes[i];
		uint32_t *column = node->op == GRAPH_WIRE_LEN           ? &code->wire_column
				   : node->op != GRAPH_FITS             ? NULL
				   : native_fits_bits(code, node) == 16 ? &code->len_column
									: &code->long_column;

		if (code->nodes[i].in_column && column && *column == NATIVE_NOWHERE)
			*column = native_take_room(
				code, NATIVE_LANES * (column == &code->len_column ? 2 : 4));
	}
}

static void native_plan_reach(struct native_code *code)
{
	code->reach = sizeof(uint32_t);
	for (uint32_t i = 0; i < code->job->node_cnt; i++) {
		const struct graph_node *node = &code->job->nodes[i];
		const struct native_node *plan = &code->nodes[i];

		code->lane_cnt += plan->in_lane || (plan->in_column && node->op == GRAPH_LOAD);
		if (node->op == GRAPH_LOAD && (plan->in_column || plan->in_lane) &&
		    native_is_near(node) && node->k + node->size > code->reach)
			code->reach = node->k + node->size;
	}
}

int native_plan(struct native_code *code, struct xfq_error *error)
{
	bool more = true;

	if (code->job->node_cnt > NATIVE_NODES_MAX)
		return xfq_error_set(error, -E2BIG,
				     "the groups' expressions are too many to be compiled: %u "
				     "nodes, and at most %u",
				     code->job->node_cnt, NATIVE_NODES_MAX);
	for (uint32_t i = 0; i < code->job->node_cnt; i++)
		code->nodes[i].place = code->nodes[i].part = code->nodes[i].seen = NATIVE_NOWHERE;
	native_plan_bits(code);
	native_plan_needs(code);
	native_plan_phases(code);
	native_plan_reach(code);
	for (uint32_t phase = 0; more; phase++) {
		more = native_plan_parts(code, phase, false);
		native_plan_parts(code, phase, true);
		if (phase == NATIVE_PHASES_MAX)
			break;
	}
	native_plan_lengths(code);
	native_plan_shared(code, native_take_place);
	native_plan_shared(code, native_take_word);
	if (!native_plan_lanes(code))
		return xfq_error_set(error, -ENOMEM, "no memory to compile the expressions");
	if (more || code->frame_bytes > NATIVE_FRAME_BYTES_MAX)
		return xfq_error_set(error, -E2BIG,
				     "the groups' expressions load from too many places of a "
				     "packet, or are too deep, to be compiled");
	return 0;
}
