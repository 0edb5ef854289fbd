/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/method.h"
#include "steering/method_read.h"
#include "steering/policy.h"
#include "steering/sticky.h"

static uint64_t target_of(const struct roster *roster, uint32_t hash)
{
	return 1ULL << roster_by_hash(roster, hash);
}

static uint64_t target_all(const struct roster *roster)
{
	return roster->cnt < 64 ? (1ULL << roster->cnt) - 1 : UINT64_MAX;
}

static uint64_t burst_all(uint32_t cnt)
{
	return cnt < 64 ? (1ULL << cnt) - 1 : UINT64_MAX;
}

static uint64_t targets_by_hash(const struct method_spec *spec, struct method_state *state,
				const struct method_context *context, const struct roster *roster,
				const struct packet *pkts, const uint8_t *index, uint32_t cnt,
				uint64_t *targets)
{
	uint32_t hashes[PACKET_BURST];
	uint64_t missed = method_hashes(spec, state, context, pkts, index, cnt, hashes);

	for (uint32_t k = 0; k < cnt; k++)
		targets[k] = target_of(roster, hashes[k]);
	return missed;
}

static uint64_t targets_by_pairs(const struct method_spec *spec,
				 const struct method_context *context, const struct roster *roster,
				 const struct packet *pkts, const uint8_t *index, uint32_t cnt,
				 uint64_t *targets)
{
	struct method_pairs pairs;

	method_find_pairs(spec, context, pkts, index, cnt, &pairs);
	for (uint32_t k = 0; k < cnt; k++) {
		targets[k] = target_of(roster, pairs.first[k]);
		if (pairs.twice >> k & 1)
			targets[k] |= target_of(roster, pairs.second[k]);
		if (pairs.all >> k & 1)
			targets[k] = target_all(roster);
	}
	return pairs.missed;
}

static void targets_fill(uint32_t cnt, uint64_t *targets, uint64_t target)
{
	for (uint32_t k = 0; k < cnt; k++)
		targets[k] = target;
}

/* By flow hash, for those that a method does not apply to. */
static void targets_by_flow(const struct roster *roster, const struct packet *pkts,
			    const uint8_t *index, uint32_t cnt, uint64_t *targets)
{
	for (uint32_t k = 0; k < cnt; k++)
		targets[k] = target_of(roster, pkts[index[k]].meta->flow_hash);
}

/* xorshift64*, Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled"
 * (2016); the state is never 0. */
static void targets_by_random(struct method_state *state, const struct method_context *context,
			      const struct roster *roster, uint32_t cnt, uint64_t *targets)
{
	uint64_t x = state->random;

	if (!x)
		x = flow_mix(context->seed + context->worker * 0x9e3779b97f4a7c15ULL) | 1;
	for (uint32_t k = 0; k < cnt; k++) {
		x ^= x >> 12;
		x ^= x << 25;
		x ^= x >> 27;
		targets[k] = target_of(roster, (uint32_t)(x * 0x2545f4914f6cdd1dULL >> 32));
	}
	state->random = x;
}

static uint32_t roster_place(const struct roster *roster, uint16_t slot)
{
	for (uint32_t i = 0; i < roster->cnt; i++)
		if (roster->slots[i] == slot)
			return i;
	return roster->cnt;
}

/* A flow that is not known goes to the first member with room. Where none has any the packet goes
 * by flow, to be lost or spilled there, and the flow is asked for again with its next one. */
static uint32_t sticky_choose(struct sticky *sticky, const struct roster *roster,
			      const uint32_t *rooms, uint32_t hash, uint64_t now_ns)
{
	uint32_t place = roster_place(roster, sticky_find(sticky, hash, now_ns));

	if (place < roster->cnt)
		return place;
	for (place = 0; place < roster->cnt && rooms[place] == 0; place++)
		;
	if (place == roster->cnt)
		return roster_by_hash(roster, hash);
	sticky_note(sticky, hash, now_ns, roster->slots[place]);
	return place;
}

static void targets_by_sticky(struct method_state *state, const struct method_context *context,
			      const struct roster *roster, const struct packet *pkts,
			      const uint8_t *index, uint32_t cnt, uint64_t *targets)
{
	uint32_t rooms[ROSTER_MEMBERS_MAX];

	if (!state->sticky || !context->rooms) {
		targets_by_flow(roster, pkts, index, cnt, targets);
		return;
	}
	memcpy(rooms, context->rooms, roster->cnt * sizeof(rooms[0]));
	for (uint32_t k = 0; k < cnt; k++)
		sticky_prefetch(state->sticky, pkts[index[k]].meta->flow_hash);
	for (uint32_t k = 0; k < cnt; k++) {
		uint32_t place = sticky_choose(state->sticky, roster, rooms,
					       pkts[index[k]].meta->flow_hash, context->now_ns);

		if (rooms[place] > 0)
			rooms[place]--;
		targets[k] = 1ULL << place;
	}
}

/* What a plug-in says of a packet, none of which is trusted. False: nothing. */
static bool target_of_plugin(const struct xfq_plugin_target *said, uint64_t seed,
			     const struct roster *roster, uint64_t *target)
{
	switch ((enum xfq_plugin_target_kind)said->kind) {
	case XFQ_TARGET_DROP:
		*target = 0;
		return true;
	case XFQ_TARGET_HASH:
		*target = target_of(roster, method_number(said->value, seed));
		return true;
	case XFQ_TARGET_MEMBER:
		*target = 1ULL << said->value % roster->cnt;
		return true;
	case XFQ_TARGET_MEMBERS:
		*target = said->value & target_all(roster);
		return true;
	case XFQ_TARGET_NONE:
		break;
	}
	return false;
}

static uint64_t targets_by_plugin(const struct method_spec *spec,
				  const struct method_context *context, const struct roster *roster,
				  const struct packet *pkts, const uint8_t *index, uint32_t cnt,
				  uint64_t *targets)
{
	const struct policy_plugin *plugin = &context->plugins[spec->plugin];
	struct xfq_plugin_target said[PACKET_BURST] = {{.kind = XFQ_TARGET_NONE}};
	struct xfq_plugin_packet seen[PACKET_BURST];
	struct xfq_plugin_burst burst = {.pkts = seen, .cnt = cnt, .worker = context->worker};
	uint64_t missed = 0;

	targets_by_flow(roster, pkts, index, cnt, targets);
	if (cnt == 0 || !plugin->functions || !plugin->functions->steer)
		return burst_all(cnt);
	for (uint32_t k = 0; k < cnt; k++) {
		const struct packet *pkt = &pkts[index[k]];

		seen[k] = (struct xfq_plugin_packet){
			.data = pkt->data, .meta = pkt->meta, .len = pkt->len};
	}
	burst.now_ns = seen[0].meta->ts_ns;
	plugin->functions->steer(context->plugin_states[spec->plugin], &burst, burst_all(cnt),
				 roster->cnt, said);
	for (uint32_t k = 0; k < cnt; k++)
		if (!target_of_plugin(&said[k], context->seed, roster, &targets[k]))
			missed |= 1ULL << k;
	return missed;
}

/* The methods that do not look into the packet. Returns which they do not apply to. */
static uint64_t targets_by_other(const struct method_spec *spec, struct method_state *state,
				 const struct method_context *context, const struct roster *roster,
				 const struct packet *pkts, const uint8_t *index, uint32_t cnt,
				 uint64_t *targets)
{
	if (spec->method == METHOD_QUEUE) {
		targets_fill(cnt, targets, 1ULL << context->worker % roster->cnt);
	} else if (spec->method == METHOD_ROUND_ROBIN) {
		for (uint32_t k = 0; k < cnt; k++)
			targets[k] = 1ULL << roster_by_turn(roster, &state->turn);
	} else if (spec->method == METHOD_RANDOM) {
		targets_by_random(state, context, roster, cnt, targets);
	} else if (spec->method == METHOD_TO && spec->to < roster->cnt) {
		targets_fill(cnt, targets, 1ULL << spec->to);
	} else if (spec->method == METHOD_BROADCAST) {
		targets_fill(cnt, targets, target_all(roster));
	} else if (spec->method == METHOD_STICKY) {
		targets_by_sticky(state, context, roster, pkts, index, cnt, targets);
	} else {
		targets_by_flow(roster, pkts, index, cnt, targets);
		return burst_all(cnt);
	}
	return 0;
}

uint64_t method_targets(const struct method_spec *spec, struct method_state *state,
			const struct method_context *context, const struct roster *roster,
			const struct packet *pkts, const uint8_t *index, uint32_t cnt,
			uint64_t *targets)
{
	uint64_t missed;

	if (method_makes_hash(spec))
		missed = targets_by_hash(spec, state, context, roster, pkts, index, cnt, targets);
	else if (spec->method == METHOD_PLUGIN)
		missed = targets_by_plugin(spec, context, roster, pkts, index, cnt, targets);
	else if (method_makes_pairs(spec))
		missed = targets_by_pairs(spec, context, roster, pkts, index, cnt, targets);
	else
		missed = targets_by_other(spec, state, context, roster, pkts, index, cnt, targets);
	if (spec->otherwise == METHOD_ELSE_DROP)
		for (uint64_t left = missed; left; left &= left - 1)
			targets[__builtin_ctzll(left)] = 0;
	return missed;
}
