/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/fanout.h"

static inline void fanout_stage(struct fanout *fanout, uint32_t member, uint32_t i)
{
	struct outlet *outlet = &fanout->outlets[member];

	if (outlet->cnt == 0)
		fanout->touched[fanout->touched_cnt++] = (uint16_t)member;
	outlet->index[outlet->cnt++] = (uint8_t)i;
}

/* Which packets of the burst the group wants, a bit each. */
static inline uint64_t fanout_classify(const struct policy_group *group, const struct packet *pkts,
				       uint32_t cnt)
{
	uint64_t wanted = 0;

	if (group->match.all)
		return cnt == 64 ? UINT64_MAX : (1ULL << cnt) - 1;
	for (uint32_t i = 0; i < cnt; i++)
		wanted |= (uint64_t)expression_match(&group->match, pkts[i].data,
						     pkts[i].meta->wire_len, pkts[i].len)
			  << i;
	return wanted;
}

/* Note each wanted packet at the outlet of its member. */
static inline void fanout_steer(struct fanout *fanout, const struct policy_group *group,
				struct fanout_group *state, const struct packet *pkts,
				uint64_t wanted)
{
	uint64_t bytes = 0;
	uint64_t seed = fanout->policy->hash_seed;

	counter_add(&state->packets, (uint64_t)__builtin_popcountll(wanted));
	for (; wanted; wanted &= wanted - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(wanted);
		uint32_t member = 0;

		bytes += pkts[i].meta->wire_len;
		switch (group->method) {
		case METHOD_FLOW:
			member = method_member(&group->buckets, pkts[i].meta->flow_hash);
			break;
		case METHOD_IP_PAIR:
			member =
				method_member(&group->buckets, method_hash_ip_pair(&pkts[i], seed));
			break;
		case METHOD_ROUND_ROBIN:
			member = state->turn;
			state->turn = member + 1 < group->members ? member + 1 : 0;
			break;
		case METHOD_BROADCAST:
			for (; member + 1 < group->members; member++)
				fanout_stage(fanout, group->first_member + member, i);
			break;
		case METHOD_CNT:
			break;
		}
		fanout_stage(fanout, group->first_member + member, i);
	}
	counter_add(&state->bytes, bytes);
}

/* What did not fit is lost, under the name of what was in short supply. */
static void fanout_lose(struct outlet *outlet, uint32_t cnt)
{
	if (!outlet->ring.cons_page)
		counter_add(&outlet->lost_detached, cnt);
	else if (ring_used(&outlet->ring) > outlet->ring.mask)
		counter_add(&outlet->lost_ring, cnt);
	else
		counter_add(&outlet->lost_quota, cnt);
}

/* Take back what a member has released of a ring in use; detach it where it lies. */
static void fanout_reclaim_ring(struct fanout *fanout, struct ring *ring)
{
	if (ring_reclaim(ring, fanout->frames)) {
		ring_detach(ring, fanout->frames);
		counter_add(&fanout->faulty, 1);
	}
	fanout->busy -= ring_used(ring) == 0;
}

static inline uint32_t fanout_to_ring(struct fanout *fanout, struct outlet *outlet,
				      const struct packet *pkts)
{
	uint32_t room = ring_room(&outlet->ring);
	uint32_t cnt = outlet->cnt;

	/* taking back is safe here: nothing of this burst is in this ring yet */
	if (cnt > room && ring_used(&outlet->ring) > 0) {
		fanout_reclaim_ring(fanout, &outlet->ring);
		room = ring_room(&outlet->ring);
	}
	if (cnt > room)
		cnt = room;
	for (uint32_t k = 0; k < cnt; k++) {
		const struct packet *pkt = &pkts[outlet->index[k]];

		ring_write(&outlet->ring, k, pkt->frame, (uint64_t)(pkt->data - fanout->umem),
			   pkt->len);
		frame_hold(fanout->frames, pkt->frame);
	}
	fanout->busy += cnt > 0 && ring_used(&outlet->ring) == 0;
	ring_publish(&outlet->ring, cnt);
	if (cnt < outlet->cnt)
		fanout_lose(outlet, outlet->cnt - cnt);
	return cnt;
}

static inline void fanout_publish(struct fanout *fanout, struct outlet *outlet,
				  const struct packet *pkts)
{
	uint32_t cnt = outlet->cnt;
	uint64_t bytes = 0;

	if (outlet->consume)
		outlet->consume(outlet->context, pkts, outlet->index, cnt);
	else
		cnt = fanout_to_ring(fanout, outlet, pkts);
	for (uint32_t k = 0; k < cnt; k++)
		bytes += pkts[outlet->index[k]].meta->wire_len;
	counter_add(&outlet->packets, cnt);
	counter_add(&outlet->bytes, bytes);
	outlet->cnt = 0;
}

void fanout_burst(struct fanout *fanout, const struct packet *pkts, uint32_t cnt)
{
	const struct policy *policy = fanout->policy;
	uint64_t claimed = 0;

	fanout->touched_cnt = 0;
	for (uint32_t g = 0; g < policy->group_cnt; g++) {
		uint64_t wanted = fanout_classify(&policy->groups[g], pkts, cnt);

		claimed |= wanted;
		if (wanted)
			fanout_steer(fanout, &policy->groups[g], &fanout->groups[g], pkts, wanted);
	}
	for (uint32_t t = 0; t < fanout->touched_cnt; t++)
		fanout_publish(fanout, &fanout->outlets[fanout->touched[t]], pkts);
	for (uint32_t i = 0; i < cnt; i++)
		frame_settle(fanout->frames, pkts[i].frame);
	counter_add(&fanout->unclaimed, cnt - (uint64_t)__builtin_popcountll(claimed));
}

void fanout_reclaim(struct fanout *fanout, uint32_t rings)
{
	uint32_t members = fanout->policy->member_cnt;

	if (rings == 0 || rings > fanout->busy)
		rings = fanout->busy;
	for (uint32_t seen = 0; seen < members && rings > 0; seen++) {
		struct ring *ring;

		if (fanout->reclaim_next >= members)
			fanout->reclaim_next = 0;
		ring = &fanout->outlets[fanout->reclaim_next++].ring;
		if (ring_used(ring) == 0)
			continue;
		rings--;
		fanout_reclaim_ring(fanout, ring);
	}
}

void fanout_detach(struct fanout *fanout, uint32_t member)
{
	struct ring *ring = &fanout->outlets[member].ring;

	fanout->busy -= ring_used(ring) > 0;
	ring_detach(ring, fanout->frames);
}

uint32_t fanout_room(const struct fanout *fanout)
{
	uint32_t least = PACKET_BURST;

	for (uint32_t i = 0; i < fanout->policy->member_cnt; i++) {
		const struct outlet *outlet = &fanout->outlets[i];

		if (!outlet->consume && outlet->ring.cons_page && ring_room(&outlet->ring) < least)
			least = ring_room(&outlet->ring);
	}
	return least;
}

uint64_t fanout_queued(const struct fanout *fanout)
{
	uint64_t queued = 0;

	for (uint32_t i = 0; i < fanout->policy->member_cnt; i++)
		queued += ring_used(&fanout->outlets[i].ring);
	return queued;
}
