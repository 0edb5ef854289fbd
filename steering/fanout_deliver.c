/* SPDX-License-Identifier: BSD-2-Clause */
/* From what is staged to the members: rings, consumers, losses. */
#include "steering/fanout_parts.h"
#include <string.h>

void fanout_count_rooms(struct fanout *fanout, const struct roster *roster, uint32_t *rooms)
{
	for (uint32_t m = 0; m < roster->cnt; m++) {
		struct outlet *outlet = &fanout->outlets[roster->slots[m]];

		/* what it has released by now is room; nothing of this burst is in its ring yet */
		if (!outlet->consume && ring_room(&outlet->ring) < PACKET_BURST &&
		    ring_used(&outlet->ring) > 0)
			fanout_take_back(fanout, outlet);
		rooms[m] = outlet->consume ? UINT32_MAX : ring_room(&outlet->ring);
	}
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

void fanout_discard(struct fanout *fanout, struct outlet *outlet)
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

void fanout_take_back(struct fanout *fanout, struct outlet *outlet)
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

/* Write packets into slots that lie side by side, from this one on. */
static inline void fanout_write(const struct fanout *fanout, const struct fanout_share *share,
				struct ring *ring, size_t slot, const uint8_t *index, uint32_t cnt)
{
	const struct packet *pkts = share->pkts;
	const uint32_t *marks = share->marks;
	struct frame_table *frames = fanout->frames;
	const uint8_t *umem = fanout->umem;

	for (uint32_t k = 0; k < cnt; k++) {
		const struct packet *pkt = &pkts[index[k]];

		ring_write_slot(ring, slot + k, pkt->frame, (uint64_t)(pkt->data - umem), pkt->len,
				marks[index[k]]);
		frame_hold(frames, pkt->frame);
	}
}

/* The same, for what comes before the ring begins again: once in many bursts. */
static FANOUT_ALONE void fanout_write_some(const struct fanout *fanout,
					   const struct fanout_share *share, struct ring *ring,
					   uint32_t slot, const uint8_t *index, uint32_t cnt)
{
	fanout_write(fanout, share, ring, slot, index, cnt);
}

/*
 * Publish the first of the packets that `index` names, as many as there is room for. Returns how
 * many. If the room is less than `most`, look first what the member has released; which may be done
 * only while nothing of this burst is in its ring: then all frames there are of earlier bursts, and
 * none is freed that others are still to get.
 */
static FANOUT_INLINE uint32_t fanout_to_ring(struct fanout *fanout,
					     const struct fanout_share *share,
					     struct outlet *outlet, const uint8_t *index,
					     uint32_t cnt, uint32_t most)
{
	struct ring *ring = &outlet->ring;
	uint32_t room = ring_room(ring);
	uint32_t slot, straight, written = 0;

	if (__builtin_expect(room < most, 0) && ring_used(ring) > 0) {
		fanout_take_back(fanout, outlet);
		room = ring_room(ring);
	}
	if (__builtin_expect(cnt > room, 0))
		cnt = room;
	if (__builtin_expect(cnt == 0, 0))
		return 0;
	slot = ring->prod & ring->mask;
	straight = ring_straight(ring, ring->prod);
	if (__builtin_expect(cnt > straight, 0)) {
		fanout_write_some(fanout, share, ring, slot, index, straight);
		written = straight;
		slot = 0;
	}
	fanout_write(fanout, share, ring, slot, index + written, cnt - written);
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
		outlet->consume(outlet->context, share->pkts, share->marks, index, cnt);
		counter_add(&outlet->consumed, cnt);
		share->elsewhere = true;
	} else {
		done = fanout_to_ring(fanout, share, outlet, index, cnt, most);
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

/* Of what is left of a member's packets, put those that others may get first. Returns how many they
 * are. */
static uint32_t fanout_sort_spillable(struct fanout_share *share, uint32_t member)
{
	uint8_t others[PACKET_BURST];
	uint32_t all, cnt = 0, other_cnt = 0;
	uint8_t *index = fanout_staged(share, member, &all);

	for (uint32_t k = 0; k < all; k++) {
		if (share->spillable >> index[k] & 1)
			index[cnt++] = index[k];
		else
			others[other_cnt++] = index[k];
	}
	memcpy(index + cnt, others, other_cnt);
	return cnt;
}

/* Give what is left of a member's packets to others, the next on the roster first. *got says in
 * whose rings there may be packets of this burst by now. Returns how many they took. */
static uint32_t fanout_spill(struct fanout *fanout, struct fanout_share *share, uint32_t member,
			     uint64_t *got)
{
	uint32_t members = share->roster->cnt, all, cnt = 0;
	uint32_t left = fanout_sort_spillable(share, member);
	const uint8_t *index = fanout_staged(share, member, &all);

	all = left;
	for (uint32_t m = 1; m < members && cnt < all; m++) {
		uint32_t other = (member + m) % members, done;

		if (!(share->spill_to >> other & 1))
			continue;
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

void fanout_to_all(struct fanout *fanout, struct fanout_share *share, const uint8_t *wanted,
		   uint32_t cnt, uint64_t bytes)
{
	for (uint32_t m = 0; m < share->roster->cnt; m++) {
		uint32_t done = fanout_deliver(fanout, share, m, wanted, cnt, bytes, cnt);

		if (__builtin_expect(done == cnt, 1))
			continue;
		fanout_lose(&fanout->outlets[share->roster->slots[m]], cnt - done);
		share->elsewhere = true;
	}
}

void fanout_to_one(struct fanout *fanout, struct fanout_share *share, enum policy_overflow overflow)
{
	uint64_t full = 0;

	for (uint32_t m = 0; m < share->roster->cnt; m++) {
		uint32_t cnt, done;
		uint8_t *index = fanout_staged(share, m, &cnt);

		if (cnt == 0)
			continue;
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
}
