/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/unit.h"
#include "steering/unit_plan.h"
#include <alloca.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Columns are aligned to this. */
#define UNIT_ALIGN 64

/* Fewer packets go through libpcap's interpreter one by one: steps that are there for 64 packets
 * take longer than that. Measured with 16 expressions, for which 4 packets take the same time. */
#define UNIT_PACKETS_MIN 4

static int unit_build(struct unit *unit, struct xfq_error *error)
{
	int code = 0;

	for (uint32_t i = 0; i < unit->cnt && code == 0; i++) {
		code = graph_add(&unit->graph, unit->expressions[i], i, &unit->roots[i]);
		if (code == -E2BIG)
			return xfq_error_set(error, code,
					     "expression %u: with those before it, it looks at "
					     "more than fits into a graph of %u nodes",
					     i, GRAPH_NODES_MAX);
	}
	if (code == 0)
		code = unit_plan_create(unit);
	if (code == -E2BIG)
		return xfq_error_set(error, code,
				     "expression %u: with those before it, it takes more than %u "
				     "bytes to work out",
				     unit->cnt - 1, UNIT_SCRATCH_MAX);
	return code ? xfq_error_set(error, code, "no memory for %u expressions", unit->cnt) : 0;
}

int unit_create(struct unit *unit, const struct expression *const *expressions, uint32_t cnt,
		struct xfq_error *error)
{
	int code;

	memset(unit, 0, sizeof(*unit));
	graph_init(&unit->graph);
	if (cnt > UNIT_EXPRESSIONS_MAX)
		return xfq_error_set(error, -E2BIG,
				     "expression %u: at most %u are evaluated at once",
				     UNIT_EXPRESSIONS_MAX, UNIT_EXPRESSIONS_MAX);
	unit->expressions = expressions;
	unit->cnt = cnt;
	unit->roots = calloc(cnt + 1u, sizeof(*unit->roots));
	if (!unit->roots)
		code = xfq_error_set(error, -ENOMEM, "no memory for %u expressions", cnt);
	else
		code = unit_build(unit, error);
	if (code == 0)
		unit->reach = graph_reach(&unit->graph, unit->roots, cnt);
	else
		unit_destroy(unit);
	return code;
}

void unit_destroy(struct unit *unit)
{
	graph_destroy(&unit->graph);
	unit_plan_destroy(unit->plan);
	free(unit->roots);
	memset(unit, 0, sizeof(*unit));
}

/* What is known of the packets before the first step. */
static void unit_frame_begin(struct unit_frame *frame)
{
	uint32_t min = UINT32_MAX;

	for (uint32_t i = 0; i < frame->cnt; i++) {
		uint32_t len = frame->pkts[i].len;

		frame->len[i] = len;
		min = len < min ? len : min;
	}
	for (uint32_t i = frame->cnt; i < frame->columns; i++)
		frame->len[i] = 0;
	frame->len_min = min;
}

void unit_interpret(const struct unit *unit, const struct packet *pkts, uint32_t cnt,
		    uint64_t *hits)
{
	const struct unit_plan *plan = unit->plan;
	uint64_t valid = cnt < PACKET_BURST ? (UINT64_C(1) << cnt) - 1 : UINT64_MAX;
	struct unit_frame frame = {.unit = unit,
				   .pkts = pkts,
				   .cnt = cnt,
				   .columns = cnt > PACKET_BURST / 2 ? PACKET_BURST
								     : PACKET_BURST / 2};
	uint8_t *scratch = alloca(plan->scratch_bytes + UNIT_ALIGN);

	frame.scratch = scratch + (-(uintptr_t)scratch & (UNIT_ALIGN - 1));
	unit_frame_begin(&frame);
	for (uint32_t i = 0; i < plan->op_cnt; i++)
		plan->ops[i].kernel(&frame, &plan->ops[i]);
	for (uint32_t r = 0; r < unit->cnt; r++) {
		uint64_t word;

		memcpy(&word, frame.scratch + plan->answers[r].word, sizeof(word));
		hits[r] = (word ^ -(uint64_t)plan->answers[r].flip) & valid;
	}
}

static void unit_match_each(const struct unit *unit, const struct packet *pkts, uint32_t cnt,
			    uint64_t *hits)
{
	for (uint32_t r = 0; r < unit->cnt; r++) {
		hits[r] = 0;
		for (uint32_t i = 0; i < cnt; i++)
			hits[r] |= (uint64_t)expression_match(unit->expressions[r], pkts[i].data,
							      pkts[i].meta->wire_len, pkts[i].len)
				   << i;
	}
}

void unit_run(const struct unit *unit, const struct packet *pkts, uint32_t cnt, uint64_t *hits)
{
	if (unit->native)
		unit->native(pkts, cnt, hits);
	else if (cnt < UNIT_PACKETS_MIN)
		unit_match_each(unit, pkts, cnt, hits);
	else
		unit_interpret(unit, pkts, cnt, hits);
}

void unit_set_native(struct unit *unit, unit_native *native)
{
	unit->native = native;
}
