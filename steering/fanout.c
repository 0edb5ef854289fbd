/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/fanout_parts.h"

static const uint32_t fanout_no_marks[PACKET_BURST];

/* Stage each wanted packet for the member, or the members, that are to have it. Returns for how
 * many it was done in all; *dropped counts those that nobody gets. */
static uint32_t fanout_stage_targets(struct fanout_share *share, struct fanout_deal *deal,
				     struct method_state *point, const uint8_t *wanted,
				     uint32_t cnt, uint32_t *dropped)
{
	uint64_t targets[PACKET_BURST];
	uint32_t staged = 0;

	method_targets(&deal->group->steer, point, &deal->context, share->roster, deal->seen,
		       wanted, cnt, targets);
	for (uint32_t k = 0; k < cnt; k++) {
		*dropped += targets[k] == 0;
		if (targets[k] & (targets[k] - 1))
			share->spillable &= ~(1ULL << wanted[k]);
		staged += (uint32_t)__builtin_popcountll(targets[k]);
		for (uint64_t left = targets[k]; left; left &= left - 1)
			fanout_stage(share, (uint32_t)__builtin_ctzll(left), wanted[k],
				     deal->pkts[wanted[k]].meta);
	}
	return staged;
}

static uint32_t fanout_stage_hashed(struct fanout_share *share, struct fanout_deal *deal,
				    struct method_state *point, const uint8_t *wanted, uint32_t cnt,
				    uint32_t *dropped)
{
	uint32_t hashes[PACKET_BURST];
	uint64_t none = method_hashes(&deal->group->steer, point, &deal->context, deal->seen,
				      wanted, cnt, hashes);

	if (deal->group->steer.otherwise != METHOD_ELSE_DROP)
		none = 0;
	for (uint32_t k = 0; k < cnt; k++)
		if (!(none >> k & 1))
			fanout_stage(share, roster_by_hash(share->roster, hashes[k]), wanted[k],
				     deal->pkts[wanted[k]].meta);
	*dropped += (uint32_t)__builtin_popcountll(none);
	return cnt - (uint32_t)__builtin_popcountll(none);
}

/* Stage by the group's own method. */
static FANOUT_ALONE uint32_t fanout_steer(struct fanout_share *share, struct fanout_deal *deal,
					  const uint8_t *wanted, uint32_t cnt, uint32_t *dropped)
{
	const struct packet *pkts = deal->pkts, *seen = deal->seen;
	struct method_state *point = &deal->state->points[deal->group->point];
	enum method method = deal->group->steer.method;

	fanout_begin_share(share);
	if (method == METHOD_FLOW) {
		for (uint32_t k = 0; k < cnt; k++)
			fanout_stage(share,
				     roster_by_hash(share->roster, seen[wanted[k]].meta->flow_hash),
				     wanted[k], pkts[wanted[k]].meta);
		return cnt;
	}
	if (method == METHOD_ROUND_ROBIN) {
		for (uint32_t k = 0; k < cnt; k++)
			fanout_stage(share, roster_by_turn(share->roster, &point->turn), wanted[k],
				     pkts[wanted[k]].meta);
		return cnt;
	}
	if (method_makes_hash(&deal->group->steer))
		return fanout_stage_hashed(share, deal, point, wanted, cnt, dropped);
	return fanout_stage_targets(share, deal, point, wanted, cnt, dropped);
}

/* Whether one member gets all that there is, without looking. */
static bool fanout_is_plain(const struct method_spec *steer, uint32_t members)
{
	if (steer->method == METHOD_BROADCAST || members == 0)
		return true;
	return members == 1 && steer->otherwise == METHOD_ELSE_FLOW &&
	       steer->method != METHOD_PLUGIN && steer->method != METHOD_STICKY;
}

/* Hand out what a group without cases wants. Returns whether rings have all of that, for sure. */
static bool fanout_by_method(struct fanout *fanout, struct fanout_deal *deal)
{
	struct fanout_group *to = deal->to;
	uint32_t members = to->roster->cnt, cnt, offered, dropped = 0;
	struct fanout_share share;
	uint8_t wanted[PACKET_BURST];

	share.pkts = deal->pkts;
	share.marks = fanout_no_marks;
	share.roster = to->roster;
	share.spill_to = UINT64_MAX;
	share.elsewhere = members == 0;
	cnt = fanout_places(deal->wanted, wanted);
	if (fanout_is_plain(&deal->group->steer, members)) {
		uint64_t bytes = fanout_bytes(deal->pkts, wanted, cnt);

		counter_add(&to->offered, (uint64_t)cnt * members);
		if (members == 0)
			counter_add(&to->no_member, cnt);
		fanout_to_all(fanout, &share, wanted, cnt, bytes);
		counter_add(&to->bytes, bytes);
		return !share.elsewhere;
	}
	if (deal->group->steer.method == METHOD_STICKY)
		fanout_count_rooms(fanout, to->roster, deal->rooms);
	offered = fanout_steer(&share, deal, wanted, cnt, &dropped);
	counter_add(&to->offered, offered);
	if (dropped > 0) {
		counter_add(&to->dropped, dropped);
		share.elsewhere = true;
	}
	counter_add(&to->bytes, fanout_bytes(deal->pkts, wanted, cnt));
	fanout_to_one(fanout, &share, deal->group->overflow);
	return !share.elsewhere;
}

/* Hand out what a group wants of the burst. Returns whether rings have all of it, for sure. */
static bool fanout_group(struct fanout *fanout, struct fanout_deal *deal)
{
	const struct policy_group *group = deal->group;

	deal->to = &fanout->groups[group->place];
	deal->seen = group->inner ? fanout->classify->inner : deal->pkts;
	counter_add(&deal->to->packets, (uint64_t)__builtin_popcountll(deal->wanted));
	if (group->case_cnt > 0 || group->table != GROUP_NONE)
		return fanout_by_cases(fanout, deal);
	return fanout_by_method(fanout, deal);
}

/* Hand packets out by a policy. */
static void fanout_by_policy(struct fanout *fanout, const struct policy *policy,
			     const struct policy_state *state, const struct policy_data *data,
			     const struct packet *pkts, uint32_t cnt)
{
	struct classify *classify = fanout->classify;
	uint64_t handed[POLICY_GROUPS_MAX];
	struct fanout_deal deal;
	uint64_t all, unclaimed;
	bool held = false; /* every frame, for sure, by a ring */

	classify_burst(classify, policy, data, state, pkts, cnt);
	unclaimed = all = classify->all;
	deal.policy = policy;
	deal.state = state;
	deal.pkts = pkts;
	deal.handed = handed;
	deal.context = (struct method_context){
		.seed = policy->hash_seed,
		.worker = classify->worker,
		.now_ns = cnt ? pkts[0].meta->ts_ns : 0,
		.rooms = deal.rooms,
		.plugins = policy->plugins,
		.plugin_states = state->plugin_states,
	};
	for (uint32_t g = 0; g < policy->group_cnt; g++)
		handed[g] = 0;
	for (uint32_t o = 0; o < policy->group_cnt; o++) {
		uint32_t g = policy->order[o];

		deal.group = &policy->groups[g];
		deal.wanted = handed[g];
		if (!deal.group->tee_only)
			deal.wanted |= classify_when(classify, &deal.group->when, all);
		unclaimed &= ~deal.wanted;
		if (deal.wanted)
			held |= fanout_group(fanout, &deal) && deal.wanted == all;
	}
	classify_end(classify);
	if (held)
		frame_settle_held(fanout->frames, cnt);
	else
		for (uint32_t i = 0; i < cnt; i++)
			frame_settle(fanout->frames, pkts[i].frame);
	if (unclaimed)
		counter_add(&fanout->unclaimed, (uint64_t)__builtin_popcountll(unclaimed));
}

/* During a reload: each packet by the policy of the config that judged it in the first pass. */
static FANOUT_ALONE void fanout_by_both(struct fanout *fanout, const struct packet *pkts,
					uint32_t cnt)
{
	struct packet before[PACKET_BURST], now[PACKET_BURST];
	uint32_t before_cnt = 0, now_cnt = 0;

	for (uint32_t i = 0; i < cnt; i++) {
		uint8_t generation = pkts[i].meta->generation;

		if (generation ? generation == fanout->before->generation : fanout->before_unmarked)
			before[before_cnt++] = pkts[i];
		else
			now[now_cnt++] = pkts[i];
	}
	if (before_cnt > 0)
		fanout_by_policy(fanout, fanout->before, fanout->before_state, fanout->before_data,
				 before, before_cnt);
	if (now_cnt > 0)
		fanout_by_policy(fanout, fanout->policy, fanout->state, fanout->data, now, now_cnt);
}

void fanout_burst(struct fanout *fanout, const struct packet *pkts, uint32_t cnt)
{
	fanout->touched_cnt = 0;
	if (__builtin_expect(fanout->before != NULL, 0))
		fanout_by_both(fanout, pkts, cnt);
	else
		fanout_by_policy(fanout, fanout->policy, fanout->state, fanout->data, pkts, cnt);
}

void fanout_set_policy(struct fanout *fanout, const struct policy *policy,
		       const struct policy_state *state)
{
	fanout->before = fanout->policy;
	fanout->before_state = fanout->state;
	fanout->before_data = fanout->data;
	for (uint32_t g = 0; g < POLICY_PLACES_MAX; g++) {
		fanout->groups[g].before_roster = fanout->groups[g].roster;
		fanout->groups[g].before_seats = fanout->groups[g].seats;
		fanout->groups[g].before_classes = fanout->groups[g].classes;
	}
	fanout->before_unmarked = true;
	fanout->policy = policy;
	fanout->state = state;
}

void fanout_settle_unmarked(struct fanout *fanout)
{
	fanout->before_unmarked = false;
}

void fanout_settle(struct fanout *fanout)
{
	fanout->before = NULL;
	fanout->before_state = NULL;
}

void fanout_restore_policy(struct fanout *fanout)
{
	fanout->policy = fanout->before;
	fanout->state = fanout->before_state;
	fanout->data = fanout->before_data;
	for (uint32_t g = 0; g < POLICY_PLACES_MAX; g++) {
		fanout->groups[g].roster = fanout->groups[g].before_roster;
		fanout->groups[g].seats = fanout->groups[g].before_seats;
		fanout->groups[g].classes = fanout->groups[g].before_classes;
	}
	fanout_settle(fanout);
}

void fanout_set_data(struct fanout *fanout, const struct policy_data *data)
{
	fanout->data = data;
}
