/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fan-out over rings in ordinary memory, both ends of which are in the test's hands:
 *
 *	rig_create(&rig, frames);
 *	rig_group(&rig, "udp", METHOD_FLOW, 4);		any number of times
 *	rig_connect(&rig, slots, quota);		every member gets a ring
 *	rig_add(&rig, &builder);
 *	rig_burst(&rig);
 *	rig_drain(&rig, member);		or with xfq_ring_peek(&rig.members[member].view,
 *...) rig_finish(&rig);			everything comes back; or rig_destroy(&rig)
 *
 * Every piece of memory has exactly its size, so that a sanitizer sees what leads out of it. A
 * condition that does not hold ends the program through RIG_REQUIRE, which the includer defines.
 */
#ifndef TESTS_FANOUT_RIG_H
#define TESTS_FANOUT_RIG_H

#include "steering/fanout.h"
#include "steering/flow.h"
#include "tests/packet_builder.h"
#include <stdlib.h>

#define RIG_FRAME_BYTES 512
#define RIG_HEADROOM    64 /* a multiple of 8, with room for metadata */
#define RIG_SEED        0x5eedULL
#define RIG_MEMBERS_MAX 256

struct rig_member {
	struct xfq_ring_prod *shared;
	struct xfq_ring_cons *cons_page;
	uint32_t *slots;
	struct xfq_ring view; /* the member's own */
};

struct rig {
	struct policy policy;
	struct frame_table frames;
	struct fanout fanout;
	uint8_t *umem;
	struct rig_member members[RIG_MEMBERS_MAX];
	struct packet pkts[PACKET_BURST];
	uint32_t cnt;   /* packets of the next burst */
	uint32_t *seen; /* of rig_check: references to each frame */
};

static inline void rig_create(struct rig *rig, uint32_t frames)
{
	memset(rig, 0, sizeof(*rig));
	policy_init(&rig->policy, RIG_SEED);
	rig->umem = aligned_alloc(64, (size_t)frames * RIG_FRAME_BYTES);
	rig->seen = calloc(frames, sizeof(*rig->seen));
	frame_init(&rig->frames, malloc(frames * sizeof(uint32_t)),
		   malloc(frames * sizeof(uint16_t)), frames);
	RIG_REQUIRE(rig->umem && rig->seen && rig->frames.free && rig->frames.refs);
}

static inline void rig_group(struct rig *rig, const char *match, enum method method,
			     uint32_t members)
{
	RIG_REQUIRE(policy_add(&rig->policy, "g", match, method, members, NULL) == 0);
	RIG_REQUIRE(rig->policy.member_cnt <= RIG_MEMBERS_MAX);
}

static inline void rig_connect_member(struct rig *rig, uint32_t m, uint32_t slots, uint32_t quota)
{
	struct rig_member *member = &rig->members[m];
	size_t bytes = xfq_ring_prod_bytes(slots);
	uint64_t umem_len = (uint64_t)rig->frames.total * RIG_FRAME_BYTES;

	member->shared = aligned_alloc(64, bytes);
	member->cons_page = calloc(1, sizeof(*member->cons_page));
	member->slots = malloc(slots * sizeof(*member->slots));
	RIG_REQUIRE(member->shared && member->cons_page && member->slots);
	memset(member->shared, 0, bytes);
	RIG_REQUIRE(ring_init(&rig->fanout.outlets[m].ring, member->shared, member->cons_page,
			      member->slots, slots, quota, 0, umem_len) == 0);
	RIG_REQUIRE(
		xfq_ring_open(&member->view, member->shared, bytes, member->cons_page, rig->umem));
}

/* `slots` 0: the members have no rings yet. */
static inline void rig_connect(struct rig *rig, uint32_t slots, uint32_t quota)
{
	uint32_t members = rig->policy.member_cnt;

	rig->fanout.policy = &rig->policy;
	rig->fanout.frames = &rig->frames;
	rig->fanout.umem = rig->umem;
	rig->fanout.outlets = calloc(members ? members : 1, sizeof(*rig->fanout.outlets));
	rig->fanout.touched = calloc(members ? members : 1, sizeof(*rig->fanout.touched));
	RIG_REQUIRE(rig->fanout.outlets && rig->fanout.touched);
	for (uint32_t m = 0; m < members && slots; m++)
		rig_connect_member(rig, m, slots, quota);
}

static inline void rig_destroy(struct rig *rig)
{
	for (uint32_t m = 0; m < rig->policy.member_cnt; m++) {
		free(rig->members[m].shared);
		free(rig->members[m].cons_page);
		free(rig->members[m].slots);
	}
	free(rig->fanout.outlets);
	free(rig->fanout.touched);
	free(rig->frames.free);
	free(rig->frames.refs);
	free(rig->seen);
	free(rig->umem);
	policy_destroy(&rig->policy);
}

/* Set every index of a member's ring, as after so many packets; nothing may be queued. */
static inline void rig_set_index(struct rig *rig, uint32_t m, uint32_t index)
{
	struct ring *ring = &rig->fanout.outlets[m].ring;
	struct rig_member *member = &rig->members[m];

	RIG_REQUIRE(ring_used(ring) == 0);
	ring->prod = ring->reclaimed = index;
	member->shared->prod = member->cons_page->cons = index;
	member->view.cons = member->view.prod_cached = index;
}

/* The bytes in a frame of the worker's, with checked metadata. */
static inline struct packet rig_packet_bytes(struct rig *rig, const uint8_t *bytes, uint32_t len)
{
	struct packet pkt = {.len = len, .frame = frame_take(&rig->frames)};
	struct parse_key key;

	RIG_REQUIRE(pkt.frame < rig->frames.total && len <= RIG_FRAME_BYTES - RIG_HEADROOM);
	pkt.data = rig->umem + (size_t)pkt.frame * RIG_FRAME_BYTES + RIG_HEADROOM;
	pkt.meta = (struct xfq_meta *)(void *)(pkt.data - XFQ_META_BYTES);
	if (len)
		memcpy(pkt.data, bytes, len);
	parse_packet(NULL, pkt.data, pkt.data + len, len, pkt.meta, &key);
	pkt.meta->flow_hash =
		flow_hash(pkt.meta, &key, pkt.data, pkt.data + len, rig->policy.hash_seed);
	pkt.meta->magic = XFQ_META_CHECKED;
	return pkt;
}

/*
 * Every frame is in one place: free, once; or held, by as many slots as it has references. Between
 * bursts nothing is the worker's.
 */
static inline void rig_check(struct rig *rig)
{
	const struct frame_table *frames = &rig->frames;
	uint32_t held = 0;

	RIG_REQUIRE(frame_census_holds(frames));
	RIG_REQUIRE(frames->worker_cnt == 0 && frames->kernel_cnt == 0 && frames->tx_cnt == 0);
	memset(rig->seen, 0, frames->total * sizeof(*rig->seen));
	for (uint32_t m = 0; m < rig->policy.member_cnt; m++) {
		const struct ring *ring = &rig->fanout.outlets[m].ring;

		RIG_REQUIRE(ring_used(ring) <= ring->quota);
		for (uint32_t i = ring->reclaimed; i != ring->prod; i++) {
			RIG_REQUIRE(ring->frames[i & ring->mask] < frames->total);
			rig->seen[ring->frames[i & ring->mask]]++;
		}
	}
	for (uint32_t f = 0; f < frames->total; f++) {
		RIG_REQUIRE(rig->seen[f] == frames->refs[f]);
		held += rig->seen[f] != 0;
	}
	RIG_REQUIRE(held == frames->held_cnt);
	for (uint32_t i = 0; i < frames->free_cnt; i++) {
		RIG_REQUIRE(frames->free[i] < frames->total);
		RIG_REQUIRE(rig->seen[frames->free[i]]++ == 0);
	}
	RIG_REQUIRE(fanout_queued(&rig->fanout) >= held);
}

/* Put a packet into the next burst. */
static inline void rig_add(struct rig *rig, const struct packet_builder *b)
{
	rig->pkts[rig->cnt++] = rig_packet_bytes(rig, b->bytes, b->len);
}

/* Hand the burst out. */
static inline void rig_burst(struct rig *rig)
{
	fanout_burst(&rig->fanout, rig->pkts, rig->cnt);
	rig->cnt = 0;
	rig_check(rig);
}

/* What was offered to a member: in its ring and each kind of loss. */
static inline uint64_t rig_offered(const struct rig *rig, uint32_t m)
{
	const struct outlet *outlet = &rig->fanout.outlets[m];

	return outlet->packets + outlet->lost_ring + outlet->lost_quota + outlet->lost_detached;
}

/* Group by group, what was wanted is what was offered; every packet of `sent` is counted. */
static inline void rig_check_sums(const struct rig *rig, uint64_t sent)
{
	for (uint32_t g = 0; g < rig->policy.group_cnt; g++) {
		const struct policy_group *group = &rig->policy.groups[g];
		uint64_t wanted = rig->fanout.groups[g].packets, offered = 0;

		for (uint32_t m = 0; m < group->members; m++)
			offered += rig_offered(rig, group->first_member + m);
		if (group->method == METHOD_BROADCAST)
			wanted *= group->members;
		RIG_REQUIRE(offered == wanted);
		RIG_REQUIRE(rig->fanout.groups[g].packets <= sent);
	}
	RIG_REQUIRE(rig->fanout.unclaimed <= sent);
}

/* Let a member read and release all that it has. Returns how much that was. */
static inline uint32_t rig_drain(struct rig *rig, uint32_t m)
{
	uint32_t cnt = xfq_ring_peek(&rig->members[m].view, UINT32_MAX);

	xfq_ring_release(&rig->members[m].view, cnt);
	return cnt;
}

/* The end of a rig: once all members have released all, every frame is free. */
static inline void rig_finish(struct rig *rig)
{
	for (uint32_t m = 0; m < rig->policy.member_cnt; m++)
		if (rig->members[m].shared)
			rig_drain(rig, m);
	fanout_reclaim(&rig->fanout, 0);
	rig_check(rig);
	RIG_REQUIRE(rig->frames.free_cnt == rig->frames.total);
	RIG_REQUIRE(fanout_queued(&rig->fanout) == 0);
	rig_destroy(rig);
}

#endif
