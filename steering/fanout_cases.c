/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups with a rule table or with cases. All of a burst goes through each of them at once, as
 * bits; then each packet is staged for its members in the order in which packets came, whatever
 * case decided.
 */
#include "steering/fanout_parts.h"

struct fanout_cases {
	struct fanout_deal *deal;
	struct fanout *fanout;
	uint64_t left;                  /* not decided yet */
	uint64_t dropped;               /* by the table, a case or a method */
	uint64_t homeless;              /* for a class that has no member */
	uint64_t classed;               /* for a class */
	uint64_t targets[PACKET_BURST]; /* members, by place on the group's roster */
	uint32_t marks[PACKET_BURST];
};

static const struct roster *cases_roster(const struct fanout_cases *cases, uint32_t class)
{
	const struct fanout_group *to = cases->deal->to;

	if (class == GROUP_NONE)
		return to->roster;
	return cases->deal->policy == cases->fanout->before ? &to->before_classes[class]
							    : &to->classes[class];
}

/* Decide that packets go to the members of a class, or to all, by a method. */
static void cases_deliver(struct fanout_cases *cases, uint64_t packets, uint32_t class,
			  const struct method_spec *steer, uint32_t point)
{
	const struct roster *roster = cases_roster(cases, class);
	struct fanout_deal *deal = cases->deal;
	uint64_t targets[PACKET_BURST];
	uint8_t places[PACKET_BURST];
	uint32_t cnt = fanout_places(packets, places);

	cases->left &= ~packets;
	if (cnt == 0)
		return;
	cases->classed |= class == GROUP_NONE ? 0 : packets;
	if (roster->cnt == 0) {
		cases->homeless |= packets;
		return;
	}
	if (steer->method == METHOD_STICKY)
		fanout_count_rooms(cases->fanout, roster, deal->rooms);
	method_targets(steer, &deal->state->points[point], &deal->context, roster, deal->seen,
		       places, cnt, targets);
	for (uint32_t k = 0; k < cnt; k++) {
		uint64_t members = 0;

		for (uint64_t left = targets[k]; left; left &= left - 1)
			members |= 1ULL << roster->place[__builtin_ctzll(left)];
		cases->targets[places[k]] = members;
		cases->dropped |= (uint64_t)(members == 0) << places[k];
	}
}

static void cases_drop(struct fanout_cases *cases, uint64_t packets)
{
	cases->left &= ~packets;
	cases->dropped |= packets;
}

/* What the first rule that matches says. */
static void cases_by_table(struct fanout_cases *cases)
{
	const struct policy_group *group = cases->deal->group;
	struct classify *classify = cases->fanout->classify;
	const uint16_t *outcomes = classify->outcomes[group->table];
	uint64_t by_class[GROUP_CLASSES_MAX] = {0}, drop = 0, deliver = 0;

	classify_table(classify, group->table, group->inner, cases->left);
	for (uint64_t left = cases->left; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);
		uint64_t bit = 1ULL << i;

		if (outcomes[i] == TABLE_DROP)
			drop |= bit;
		else if (outcomes[i] == TABLE_DELIVER)
			deliver |= bit;
		else if (outcomes[i] >= TABLE_CLASS &&
			 outcomes[i] - TABLE_CLASS < (int)group->class_cnt)
			by_class[outcomes[i] - TABLE_CLASS] |= bit;
	}
	cases_drop(cases, drop);
	cases_deliver(cases, deliver, GROUP_NONE, &group->steer, group->point);
	for (uint32_t c = 0; c < group->class_cnt; c++)
		cases_deliver(cases, by_class[c], c, &group->steer, group->point + 1 + c);
}

/* One in so many of the packets that a case holds of. */
static uint64_t cases_sample(struct fanout_cases *cases, const struct policy_case *one,
			     uint64_t packets)
{
	struct method_state *point = &cases->deal->state->points[one->point];
	uint64_t sampled = 0;

	if (one->sample == GROUP_SAMPLE_ALL)
		return packets;
	for (uint64_t left = packets; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);

		sampled |= (uint64_t)fanout_takes(cases->deal->group, one, point,
						  cases->deal->seen[i].meta)
			   << i;
	}
	return sampled;
}

static void cases_count(struct fanout_cases *cases, uint32_t counter, uint64_t packets)
{
	const struct fanout_deal *deal = cases->deal;
	struct policy_count *count = &deal->state->counts[deal->group->counts + counter];
	uint8_t places[PACKET_BURST];
	uint32_t cnt = fanout_places(packets, places);

	counter_add(&count->packets, cnt);
	counter_add(&count->bytes, fanout_bytes(deal->pkts, places, cnt));
}

static void cases_by_case(struct fanout_cases *cases, const struct policy_case *one)
{
	uint64_t packets = classify_when(cases->fanout->classify, &one->when, cases->left);

	for (uint64_t left = one->has_marked ? packets : 0; left; left &= left - 1)
		if (cases->marks[__builtin_ctzll(left)] != one->marked)
			packets &= ~(left & -left);
	packets = cases_sample(cases, one, packets);
	if (packets == 0)
		return;
	if (one->counter != GROUP_NONE)
		cases_count(cases, one->counter, packets);
	if (one->tee != GROUP_NONE)
		cases->deal->handed[one->tee] |= packets;
	for (uint64_t left = packets; one->has_mark && left; left &= left - 1)
		cases->marks[__builtin_ctzll(left)] = one->mark;
	if (one->action == GROUP_DELIVER)
		cases_deliver(cases, packets, one->class, &one->steer, one->point);
	else if (one->action == GROUP_DISCARD)
		cases_drop(cases, packets);
}

/* Stage what was decided, in the order in which packets came. */
static void cases_hand_out(struct fanout_cases *cases, struct fanout_share *share)
{
	struct fanout_deal *deal = cases->deal;
	uint64_t handed = deal->wanted & ~cases->dropped & ~cases->homeless;
	uint32_t offered = 0;
	uint64_t several = 0;

	share->pkts = deal->pkts;
	share->marks = cases->marks;
	share->roster = deal->to->seats;
	share->spill_to = 0;
	for (uint32_t m = 0; m < deal->to->roster->cnt; m++)
		share->spill_to |= 1ULL << deal->to->roster->place[m];
	share->elsewhere = handed != deal->wanted;
	fanout_begin_share(share);
	for (uint64_t left = handed; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left), cnt = 0;

		for (uint64_t to = cases->targets[i]; to; to &= to - 1, cnt++)
			fanout_stage(share, (uint32_t)__builtin_ctzll(to), (uint8_t)i,
				     deal->pkts[i].meta);
		offered += cnt;
		several |= (uint64_t)(cnt > 1) << i;
	}
	counter_add(&deal->to->offered, offered);
	share->spillable = ~several & ~cases->classed;
	fanout_to_one(cases->fanout, share, deal->group->overflow);
}

bool fanout_by_cases(struct fanout *fanout, struct fanout_deal *deal)
{
	const struct policy_group *group = deal->group;
	struct fanout_group *to = deal->to;
	struct fanout_cases cases;
	struct fanout_share share;
	uint8_t places[PACKET_BURST];
	uint32_t cnt;

	cases.deal = deal;
	cases.fanout = fanout;
	cases.left = deal->wanted;
	cases.dropped = cases.homeless = 0;
	cases.classed = 0;
	for (uint64_t left = deal->wanted; left; left &= left - 1) {
		cases.targets[__builtin_ctzll(left)] = 0;
		cases.marks[__builtin_ctzll(left)] = 0;
	}
	if (group->table != GROUP_NONE)
		cases_by_table(&cases);
	for (uint32_t i = 0; i < group->case_cnt && cases.left; i++)
		cases_by_case(&cases, &group->cases[i]);
	cases_deliver(&cases, cases.left, GROUP_NONE, &group->steer, group->point);
	if (cases.homeless)
		counter_add(&to->no_member, (uint64_t)__builtin_popcountll(cases.homeless));
	if (cases.dropped)
		counter_add(&to->dropped, (uint64_t)__builtin_popcountll(cases.dropped));
	cnt = fanout_places(deal->wanted, places);
	counter_add(&to->bytes, fanout_bytes(deal->pkts, places, cnt));
	cases_hand_out(&cases, &share);
	return !share.elsewhere;
}
