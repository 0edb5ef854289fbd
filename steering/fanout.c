/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/fanout.h"

/* What is a function of its own, and what must be none, so that the loops have the registers to
 * themselves; bench/delivery.sh counts what that is worth. */
#define FANOUT_ALONE  __attribute__((noinline))
#define FANOUT_INLINE inline __attribute__((always_inline))

/* What a group does with a burst. */
struct fanout_share {
	/* each member has a part of PACKET_BURST in index[]: places of the packets staged for it */
	uint32_t end[ROSTER_MEMBERS_MAX];   /* of what is staged in it */
	uint64_t bytes[ROSTER_MEMBERS_MAX]; /* of that, on the wire */
	uint8_t index[ROSTER_MEMBERS_MAX * PACKET_BURST];
	const struct packet *pkts;
	const struct roster *roster;
	bool elsewhere; /* of some packet it is not sure that a ring of the group has it */
};

/* The places of a burst that is wanted whole. */
static const uint8_t fanout_whole[PACKET_BURST] = {
	0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
	22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
	44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};

/* Note the places of the packets that an expression wants, and clear the bit of each in *unclaimed.
 * Returns how many they are. */
static inline uint32_t fanout_classify(const struct expression *match, const struct packet *pkts,
				       uint32_t cnt, uint8_t *wanted, uint64_t *unclaimed)
{
	uint32_t wanted_cnt = 0;

	for (uint32_t i = 0; i < cnt; i++) {
		bool wants =
			expression_match(match, pkts[i].data, pkts[i].meta->wire_len, pkts[i].len);

		wanted[wanted_cnt] = (uint8_t)i;
		wanted_cnt += wants;
		*unclaimed &= ~((uint64_t)wants << i);
	}
	return wanted_cnt;
}

static inline void fanout_stage(struct fanout_share *share, uint32_t member, uint8_t i,
				const struct xfq_meta *meta)
{
	share->index[share->end[member]++] = i;
	share->bytes[member] += meta->wire_len;
}

/* Stage each wanted packet for the member that is to have it. */
static FANOUT_ALONE void fanout_steer(struct fanout_share *share, enum method method, uint64_t seed,
				      uint32_t *turn, const uint8_t *wanted, uint32_t cnt)
{
	const struct packet *pkts = share->pkts;
	const struct roster *roster = share->roster;

	for (uint32_t m = 0; m < roster->cnt; m++) {
		share->end[m] = m * PACKET_BURST;
		share->bytes[m] = 0;
	}
	switch (method) {
	case METHOD_FLOW:
		for (uint32_t k = 0; k < cnt; k++) {
			const struct xfq_meta *meta = pkts[wanted[k]].meta;

			fanout_stage(share, roster_by_hash(roster, meta->flow_hash), wanted[k],
				     meta);
		}
		break;
	case METHOD_IP_PAIR:
		for (uint32_t k = 0; k < cnt; k++) {
			const struct packet *pkt = &pkts[wanted[k]];

			fanout_stage(share, roster_by_hash(roster, method_hash_ip_pair(pkt, seed)),
				     wanted[k], pkt->meta);
		}
		break;
	case METHOD_ROUND_ROBIN:
		for (uint32_t k = 0; k < cnt; k++)
			fanout_stage(share, roster_by_turn(roster, turn), wanted[k],
				     pkts[wanted[k]].meta);
		break;
	case METHOD_BROADCAST:
	case METHOD_CNT:
		break;
	}
}

/* Bytes that packets had on the wire. */
static uint64_t fanout_bytes(const struct packet *pkts, const uint8_t *index, uint32_t cnt)
{
	uint64_t bytes = 0;

	for (uint32_t k = 0; k < cnt; k++)
		bytes += pkts[index[k]].meta->wire_len;
	return bytes;
}

/* What did not fit is lost, under the name of what was in short supply; the member may know. */
static FANOUT_ALONE void fanout_lose(struct outlet *outlet, uint32_t cnt)
{
	struct xfq_ring_prod *shared = outlet->ring.shared;

	if (!outlet->ring.cons_page) {
		counter_add(&outlet->lost_detached, cnt);
	} else if (ring_used(&outlet->ring) > outlet->ring.mask) {
		counter_add(&outlet->lost_ring, cnt);
		__atomic_store_n(&shared->lost_ring, outlet->lost_ring, __ATOMIC_RELAXED);
	} else {
		counter_add(&outlet->lost_quota, cnt);
		__atomic_store_n(&shared->lost_quota, outlet->lost_quota, __ATOMIC_RELAXED);
	}
}

/* Remember what a faulty member claimed, for whoever explains it. */
static void fanout_blame(struct fanout *fanout, struct outlet *outlet)
{
	const struct ring *ring = &outlet->ring;

	outlet->fault_cons = ring->refused;
	outlet->fault_reclaimed = ring->reclaimed;
	outlet->fault_prod = ring->prod;
	/* anyone may ask whether there is a fault, and then reads the three words */
	__atomic_store_n(&outlet->fault,
			 (int32_t)(outlet->fault_cons - ring->prod) > 0 ? OUTLET_CONS_AHEAD
									: OUTLET_CONS_BACK,
			 __ATOMIC_RELEASE);
	counter_add(&fanout->faulty, 1);
}

/* All slots of a ring come back, and its member is given nothing more. */
static void fanout_discard(struct fanout *fanout, struct outlet *outlet)
{
	uint32_t used = ring_used(&outlet->ring);

	fanout->busy -= used > 0;
	/* before its frames are others': a member that looks again learns that they are not its own
	 */
	ring_close(&outlet->ring);
	ring_detach(&outlet->ring, fanout->frames);
	counter_add(&outlet->discarded, used);
}

/* A member that lies is out. */
static FANOUT_ALONE void fanout_expel(struct fanout *fanout, struct outlet *outlet)
{
	fanout_blame(fanout, outlet);
	fanout_discard(fanout, outlet);
}

/* Take back what a member has released of a ring in use; detach it where it lies. */
static inline void fanout_take_back(struct fanout *fanout, struct outlet *outlet)
{
	struct ring *ring = &outlet->ring;
	uint32_t before = ring->reclaimed, after;

	if (__builtin_expect(ring_reclaim(ring, fanout->frames), 0)) {
		fanout_expel(fanout, outlet);
		return;
	}
	after = ring->reclaimed;
	fanout->busy -= after == ring->prod;
	counter_add(&outlet->consumed, after - before);
}

/* The same, of a ring that is short of room, or of a member that leaves. */
static FANOUT_ALONE void fanout_take_back_one(struct fanout *fanout, struct outlet *outlet)
{
	fanout_take_back(fanout, outlet);
}

/* Write packets into slots that lie side by side, from this one on. */
static inline void fanout_write(const struct fanout *fanout, struct ring *ring, size_t slot,
				const struct packet *pkts, const uint8_t *index, uint32_t cnt)
{
	struct frame_table *frames = fanout->frames;
	const uint8_t *umem = fanout->umem;

	for (uint32_t k = 0; k < cnt; k++) {
		const struct packet *pkt = &pkts[index[k]];

		ring_write_slot(ring, slot + k, pkt->frame, (uint64_t)(pkt->data - umem), pkt->len);
		frame_hold(frames, pkt->frame);
	}
}

/* The same, for what comes before the ring begins again: once in many bursts. */
static FANOUT_ALONE void fanout_write_some(const struct fanout *fanout, struct ring *ring,
					   uint32_t slot, const struct packet *pkts,
					   const uint8_t *index, uint32_t cnt)
{
	fanout_write(fanout, ring, slot, pkts, index, cnt);
}

/*
 * Publish the first of the packets that `index` names, as many as there is room for. Returns how
 * many. If the room is less than `most`, look first what the member has released; which may be done
 * only while nothing of this burst is in its ring: then all frames there are of earlier bursts, and
 * none is freed that others are still to get.
 */
static FANOUT_INLINE uint32_t fanout_to_ring(struct fanout *fanout, struct outlet *outlet,
					     const struct packet *pkts, const uint8_t *index,
					     uint32_t cnt, uint32_t most)
{
	struct ring *ring = &outlet->ring;
	uint32_t room = ring_room(ring);
	uint32_t slot, straight, written = 0;

	if (__builtin_expect(room < most, 0) && ring_used(ring) > 0) {
		fanout_take_back_one(fanout, outlet);
		room = ring_room(ring);
	}
	if (__builtin_expect(cnt > room, 0))
		cnt = room;
	if (__builtin_expect(cnt == 0, 0))
		return 0;
	slot = ring->prod & ring->mask;
	straight = ring_straight(ring, ring->prod);
	if (__builtin_expect(cnt > straight, 0)) {
		fanout_write_some(fanout, ring, slot, pkts, index, straight);
		written = straight;
		slot = 0;
	}
	fanout_write(fanout, ring, slot, pkts, index + written, cnt - written);
	fanout->busy += ring_used(ring) == 0;
	ring_publish(ring, cnt);
	return cnt;
}

/* Give a member the first of some packets of so many bytes, as many as it has room for; `most` as
 * for fanout_to_ring(), 0 where this burst has given it some before. Returns how many. */
static FANOUT_INLINE uint32_t fanout_deliver(struct fanout *fanout, struct fanout_share *share,
					     uint32_t member, const uint8_t *index, uint32_t cnt,
					     uint64_t bytes, uint32_t most)
{
	uint32_t slot = share->roster->slots[member], done = cnt;
	struct outlet *outlet = &fanout->outlets[slot];

	if (outlet->consume) {
		outlet->consume(outlet->context, share->pkts, index, cnt);
		counter_add(&outlet->consumed, cnt);
		share->elsewhere = true;
	} else {
		done = fanout_to_ring(fanout, outlet, share->pkts, index, cnt, most);
		if (__builtin_expect(done == 0, 0))
			return 0;
		if (__builtin_expect(done < cnt, 0))
			bytes = fanout_bytes(share->pkts, index, done);
	}
	counter_add(&outlet->packets, done);
	counter_add(&outlet->bytes, bytes);
	if (most > 0)
		fanout->touched[fanout->touched_cnt++] = (uint16_t)slot;
	return done;
}

/* What is staged for a member, and how many. */
static inline uint8_t *fanout_staged(struct fanout_share *share, uint32_t member, uint32_t *cnt)
{
	*cnt = share->end[member] - member * PACKET_BURST;
	return share->index + (size_t)member * PACKET_BURST;
}

/* Give what is left of a member's packets to others, the next on the roster first. *got says in
 * whose rings there may be packets of this burst by now. Returns how many they took. */
static uint32_t fanout_spill(struct fanout *fanout, struct fanout_share *share, uint32_t member,
			     uint64_t *got)
{
	uint32_t members = share->roster->cnt, all, cnt = 0;
	const uint8_t *index = fanout_staged(share, member, &all);

	for (uint32_t m = 1; m < members && cnt < all; m++) {
		uint32_t other = (member + m) % members, done;

		done = fanout_deliver(fanout, share, other, index + cnt, all - cnt,
				      fanout_bytes(share->pkts, index + cnt, all - cnt),
				      *got >> other & 1 ? 0 : PACKET_BURST);
		*got |= (uint64_t)(done > 0) << other;
		cnt += done;
	}
	return cnt;
}

/* What becomes of the packets that members had no room for: `full` are those who have some left, in
 * front of what is staged. */
static FANOUT_ALONE void fanout_overflow(struct fanout *fanout, struct fanout_share *share,
					 enum policy_overflow overflow, uint64_t full)
{
	uint64_t got = 0;

	for (uint32_t m = 0; m < share->roster->cnt; m++)
		got |= (uint64_t)(share->end[m] > m * PACKET_BURST) << m;
	for (uint64_t left = full; left; left &= left - 1) {
		uint32_t member = (uint32_t)__builtin_ctzll(left), spilled = 0, cnt;
		struct outlet *outlet = &fanout->outlets[share->roster->slots[member]];

		(void)fanout_staged(share, member, &cnt);
		if (overflow == POLICY_SPILL)
			spilled = fanout_spill(fanout, share, member, &got);
		counter_add(&outlet->spilled, spilled);
		if (spilled < cnt)
			fanout_lose(outlet, cnt - spilled);
	}
}

/* Every member gets every packet that is wanted. */
static FANOUT_ALONE void fanout_to_all(struct fanout *fanout, struct fanout_share *share,
				       const uint8_t *wanted, uint32_t cnt, uint64_t bytes)
{
	for (uint32_t m = 0; m < share->roster->cnt; m++) {
		uint32_t done = fanout_deliver(fanout, share, m, wanted, cnt, bytes, cnt);

		if (__builtin_expect(done == cnt, 1))
			continue;
		fanout_lose(&fanout->outlets[share->roster->slots[m]], cnt - done);
		share->elsewhere = true;
	}
}

/* Every member gets what is staged for it. Returns the bytes of all. */
static FANOUT_ALONE uint64_t fanout_to_one(struct fanout *fanout, struct fanout_share *share,
					   enum policy_overflow overflow)
{
	uint64_t full = 0, bytes = 0;

	for (uint32_t m = 0; m < share->roster->cnt; m++) {
		uint32_t cnt, done;
		uint8_t *index = fanout_staged(share, m, &cnt);

		if (cnt == 0)
			continue;
		bytes += share->bytes[m];
		/* where others may spill to it, it is to have room for more */
		done = fanout_deliver(fanout, share, m, index, cnt, share->bytes[m],
				      overflow == POLICY_SPILL ? PACKET_BURST : cnt);
		if (__builtin_expect(done == cnt, 1))
			continue;
		memmove(index, index + done, cnt - done);
		share->end[m] -= done;
		full |= 1ULL << m;
	}
	if (__builtin_expect(full != 0, 0)) {
		fanout_overflow(fanout, share, overflow, full);
		share->elsewhere = true;
	}
	return bytes;
}

/* Hand out what a group wants of the burst. Returns whether rings have all of that, for sure. */
static bool fanout_group(struct fanout *fanout, const struct policy *policy,
			 const struct policy_group *group, const struct packet *pkts,
			 const uint8_t *wanted, uint32_t cnt)
{
	struct fanout_group *state = &fanout->groups[group->place];
	uint32_t members = state->roster->cnt;
	struct fanout_share share;
	uint64_t bytes;

	share.pkts = pkts;
	share.roster = state->roster;
	share.elsewhere = members == 0;
	counter_add(&state->packets, cnt);
	if (group->method == METHOD_BROADCAST || members <= 1) {
		bytes = fanout_bytes(pkts, wanted, cnt);
		counter_add(&state->offered, (uint64_t)cnt * members);
		if (members == 0)
			counter_add(&state->no_member, cnt);
		fanout_to_all(fanout, &share, wanted, cnt, bytes);
	} else {
		fanout_steer(&share, group->method, policy->hash_seed, &state->turn, wanted, cnt);
		counter_add(&state->offered, cnt);
		bytes = fanout_to_one(fanout, &share, group->overflow);
	}
	counter_add(&state->bytes, bytes);
	return !share.elsewhere;
}

/* Hand packets out by a policy. */
static void fanout_by_policy(struct fanout *fanout, const struct policy *policy,
			     const struct packet *pkts, uint32_t cnt)
{
	uint64_t unclaimed = cnt == 64 ? UINT64_MAX : (1ULL << cnt) - 1;
	uint8_t matched[PACKET_BURST];
	bool held = false; /* every frame, for sure, by a ring */

	for (uint32_t g = 0; g < policy->group_cnt; g++) {
		const struct policy_group *group = &policy->groups[g];
		const uint8_t *wanted = fanout_whole;
		uint32_t wanted_cnt = cnt;

		if (group->match.all) {
			unclaimed = 0;
		} else {
			wanted = matched;
			wanted_cnt = fanout_classify(&group->match, pkts, cnt, matched, &unclaimed);
		}
		if (wanted_cnt > 0)
			held |= fanout_group(fanout, policy, group, pkts, wanted, wanted_cnt) &&
				wanted_cnt == cnt;
	}
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
		fanout_by_policy(fanout, fanout->before, before, before_cnt);
	if (now_cnt > 0)
		fanout_by_policy(fanout, fanout->policy, now, now_cnt);
}

void fanout_burst(struct fanout *fanout, const struct packet *pkts, uint32_t cnt)
{
	fanout->touched_cnt = 0;
	if (__builtin_expect(fanout->before != NULL, 0))
		fanout_by_both(fanout, pkts, cnt);
	else
		fanout_by_policy(fanout, fanout->policy, pkts, cnt);
}

void fanout_set_policy(struct fanout *fanout, const struct policy *policy)
{
	fanout->before = fanout->policy;
	fanout->before_unmarked = true;
	fanout->policy = policy;
}

void fanout_settle_unmarked(struct fanout *fanout)
{
	fanout->before_unmarked = false;
}

void fanout_settle(struct fanout *fanout)
{
	fanout->before = NULL;
}

void fanout_restore_policy(struct fanout *fanout)
{
	fanout->policy = fanout->before;
	fanout->before = NULL;
}

void fanout_attach(struct fanout *fanout, uint32_t slot, const struct outlet *outlet)
{
	fanout->outlets[slot] = *outlet;
	if (!outlet->consume)
		fanout->rings[fanout->ring_cnt++] = (uint16_t)slot;
}

void fanout_set_roster(struct fanout *fanout, uint32_t group, const struct roster *roster)
{
	fanout->groups[group].roster = roster;
}

void fanout_begin_group(struct fanout *fanout, uint32_t group, const struct roster *roster)
{
	fanout->groups[group] = (struct fanout_group){.roster = roster};
}

void fanout_reclaim(struct fanout *fanout, uint32_t rings)
{
	uint32_t cnt = fanout->ring_cnt, next = fanout->reclaim_next;

	if (rings == 0 || rings > fanout->busy)
		rings = fanout->busy;
	for (uint32_t seen = 0; seen < cnt && rings > 0; seen++) {
		struct outlet *outlet;

		next = next < cnt ? next : 0;
		outlet = &fanout->outlets[fanout->rings[next++]];
		if (ring_used(&outlet->ring) == 0)
			continue;
		rings--;
		fanout_take_back(fanout, outlet);
	}
	fanout->reclaim_next = next;
}

void fanout_set_quota(struct fanout *fanout, uint32_t slot, uint32_t quota)
{
	struct outlet *outlet = &fanout->outlets[slot];

	if (outlet->ring.cons_page)
		outlet->ring.quota = quota;
}

void fanout_detach(struct fanout *fanout, uint32_t slot)
{
	struct outlet *outlet = &fanout->outlets[slot];

	for (uint32_t i = 0; i < fanout->ring_cnt; i++) {
		if (fanout->rings[i] != slot)
			continue;
		fanout->rings[i] = fanout->rings[--fanout->ring_cnt];
		/* what it has released is consumed, whatever happened to it since */
		if (ring_used(&outlet->ring) > 0)
			fanout_take_back_one(fanout, outlet);
		if (outlet->ring.cons_page)
			fanout_discard(fanout, outlet);
		return;
	}
}

void fanout_close(struct fanout *fanout)
{
	for (uint32_t i = 0; i < fanout->ring_cnt; i++)
		ring_close(&fanout->outlets[fanout->rings[i]].ring);
}

void fanout_close_one(struct fanout *fanout, uint32_t slot)
{
	if (fanout->outlets[slot].ring.cons_page)
		ring_close(&fanout->outlets[slot].ring);
}

uint32_t fanout_room(const struct fanout *fanout)
{
	uint32_t least = PACKET_BURST;

	for (uint32_t i = 0; i < fanout->ring_cnt; i++) {
		const struct ring *ring = &fanout->outlets[fanout->rings[i]].ring;

		if (ring->cons_page && ring_room(ring) < least)
			least = ring_room(ring);
	}
	return least;
}

uint64_t fanout_queued(const struct fanout *fanout)
{
	uint64_t queued = 0;

	for (uint32_t i = 0; i < fanout->ring_cnt; i++)
		queued += ring_used(&fanout->outlets[fanout->rings[i]].ring);
	return queued;
}
