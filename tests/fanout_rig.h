/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fan-out over rings in ordinary memory, both ends of which are in the test's hands:
 *
 *	rig_create(&rig, frames);
 *	rig_group(&rig, "udp", METHOD_FLOW, 4);		any number of times; 4 places for members
 *	rig_connect(&rig, slots, quota);		a member at every place, each with a ring
 *	rig_add(&rig, &builder);
 *	rig_burst(&rig);
 *	rig_drain(&rig, slot);		or with xfq_ring_peek(&rig.members[slot].view,
 *...) rig_leave(&rig, slot);		rig_join(&rig, group, slot, slots, quota, weight)
 *	rig_finish(&rig);			everything comes back; or rig_destroy(&rig)
 *
 * A member's place is an outlet of the fan-out; any group may have it, once it is free. Members
 * come and go as in an instance: a new roster each time, and then the old one is no more.
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
#define RIG_FLOWS       256 /* of the flow cache */

struct rig_member {
	bool joined;
	struct xfq_ring_prod *shared; /* NULL: a consumer in the worker */
	struct xfq_ring_cons *cons_page;
	uint32_t *slots;
	struct xfq_ring view; /* the member's own */
};

/* What the members of a group that have left were offered. */
struct rig_past {
	uint64_t packets, lost;
};

struct rig {
	struct policy policy;
	struct group_spec specs[POLICY_GROUPS_MAX]; /* of its groups */
	struct policy_state state;
	struct policy_data data;
	struct classify classify;
	struct frame_table frames;
	struct fanout fanout;
	uint8_t *umem;
	uint32_t member_cnt; /* places, of all groups */
	struct rig_member members[RIG_MEMBERS_MAX];
	uint32_t places[POLICY_GROUPS_MAX]; /* of each group, one group after the other */
	struct rig_past past[POLICY_GROUPS_MAX];
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

/* A spec of a group that wants what matches (NULL: all), to be destroyed by its owner. */
static inline void rig_spec(struct group_spec *spec, const char *match, enum method method,
			    enum policy_overflow overflow)
{
	group_spec_init(spec);
	spec->when.match = match ? strdup(match) : NULL;
	RIG_REQUIRE(!match || spec->when.match);
	spec->steer.method = method;
	spec->overflow = overflow;
}

static inline void rig_group_overflow(struct rig *rig, const char *match, enum method method,
				      uint32_t members, enum policy_overflow overflow)
{
	struct group_spec *spec = &rig->specs[rig->policy.group_cnt];

	rig->places[rig->policy.group_cnt] = members;
	rig->member_cnt += members;
	RIG_REQUIRE(rig->member_cnt <= RIG_MEMBERS_MAX);
	rig_spec(spec, match, method, overflow);
	RIG_REQUIRE(policy_add_group(&rig->policy, "g", spec, NULL) == 0);
}

static inline void rig_group(struct rig *rig, const char *match, enum method method,
			     uint32_t members)
{
	rig_group_overflow(rig, match, method, members, POLICY_DROP);
}

static inline const struct roster *rig_roster(const struct rig *rig, uint32_t g)
{
	return rig->fanout.groups[g].roster;
}

/* The outlet of a hash. */
static inline uint32_t rig_by_hash(const struct rig *rig, uint32_t g, uint32_t hash)
{
	return rig_roster(rig, g)->slots[roster_by_hash(rig_roster(rig, g), hash)];
}

/* A roster of a group that is to be changed: the workers read the old one until rig_set_roster().
 */
static inline struct roster *rig_new_roster(const struct rig *rig, uint32_t g)
{
	struct roster *roster = malloc(sizeof(*roster));

	RIG_REQUIRE(roster);
	*roster = *rig_roster(rig, g);
	return roster;
}

static inline void rig_set_roster(struct rig *rig, uint32_t g, struct roster *roster)
{
	struct roster *old = (struct roster *)(uintptr_t)rig_roster(rig, g);

	fanout_set_roster(&rig->fanout, g, roster);
	free(old);
}

/* Attach what is at an outlet's place to a group. */
static inline void rig_attach(struct rig *rig, uint32_t g, uint32_t slot, uint16_t weight,
			      struct outlet *outlet)
{
	struct roster *roster = rig_new_roster(rig, g);

	RIG_REQUIRE(slot < rig->member_cnt && !rig->members[slot].joined);
	rig->members[slot].joined = true;
	outlet->group = (uint16_t)g;
	fanout_attach(&rig->fanout, slot, outlet);
	RIG_REQUIRE(roster_join(roster, roster, (uint16_t)slot, weight));
	rig_set_roster(rig, g, roster);
}

/* A member with a ring joins. */
static inline void rig_join(struct rig *rig, uint32_t g, uint32_t slot, uint32_t slots,
			    uint32_t quota, uint16_t weight)
{
	struct rig_member *member = &rig->members[slot];
	size_t bytes = xfq_ring_prod_bytes(slots);
	uint64_t umem_len = (uint64_t)rig->frames.total * RIG_FRAME_BYTES;
	struct outlet outlet = {.consume = NULL};

	RIG_REQUIRE(!member->joined);
	member->shared = aligned_alloc(64, bytes);
	member->cons_page = calloc(1, sizeof(*member->cons_page));
	member->slots = malloc(slots * sizeof(*member->slots));
	RIG_REQUIRE(member->shared && member->cons_page && member->slots);
	memset(member->shared, 0, bytes);
	RIG_REQUIRE(ring_init(&outlet.ring, member->shared, member->cons_page, member->slots, slots,
			      quota, 0, umem_len) == 0);
	RIG_REQUIRE(
		xfq_ring_open(&member->view, member->shared, bytes, member->cons_page, rig->umem));
	rig_attach(rig, g, slot, weight, &outlet);
}

/* A member that is a function in the worker joins. */
static inline void rig_join_consumer(struct rig *rig, uint32_t g, uint32_t slot, uint16_t weight,
				     packet_consumer *consume, void *context)
{
	struct outlet outlet = {.consume = consume, .context = context};

	rig_attach(rig, g, slot, weight, &outlet);
}

static inline void rig_free_member(struct rig_member *member)
{
	free(member->shared);
	free(member->cons_page);
	free(member->slots);
	memset(member, 0, sizeof(*member));
}

/* What is lost for a member. */
static inline uint64_t rig_lost(const struct rig *rig, uint32_t slot)
{
	const struct outlet *outlet = &rig->fanout.outlets[slot];

	return outlet->lost_ring + outlet->lost_quota + outlet->lost_detached;
}

/* What was offered to a member: in its ring and each kind of loss. */
static inline uint64_t rig_offered(const struct rig *rig, uint32_t slot)
{
	return rig->fanout.outlets[slot].packets + rig_lost(rig, slot);
}

/* A member leaves, whatever it has; its memory is gone, its counters stay until the next one. */
static inline void rig_leave(struct rig *rig, uint32_t slot)
{
	struct outlet *outlet = &rig->fanout.outlets[slot];
	struct roster *roster = rig_new_roster(rig, outlet->group);

	RIG_REQUIRE(rig->members[slot].joined);
	RIG_REQUIRE(roster_leave(roster, roster, (uint16_t)slot));
	fanout_detach(&rig->fanout, slot);
	rig_set_roster(rig, outlet->group, roster);
	RIG_REQUIRE(ring_used(&outlet->ring) == 0 && !outlet->ring.cons_page);
	RIG_REQUIRE(outlet->packets == outlet->consumed + outlet->discarded);
	rig->past[outlet->group].packets += outlet->packets;
	rig->past[outlet->group].lost += rig_lost(rig, slot);
	rig_free_member(&rig->members[slot]);
}

/* `slots` 0: nobody has joined yet. */
static inline void rig_connect(struct rig *rig, uint32_t slots, uint32_t quota)
{
	uint32_t room = rig->member_cnt ? rig->member_cnt : 1, slot = 0;

	RIG_REQUIRE(policy_build(&rig->policy, NULL) == 0);
	RIG_REQUIRE(policy_state_create(&rig->state, &rig->policy, NULL, NULL) == 0);
	RIG_REQUIRE(classify_init(&rig->classify, 0, RIG_FLOWS) == 0);
	rig->classify.always = true;
	RIG_REQUIRE(classify_prepare(&rig->classify, &rig->policy) == 0);
	rig->data.epoch = 1;
	rig->fanout.classify = &rig->classify;
	rig->fanout.data = &rig->data;
	rig->fanout.state = &rig->state;
	rig->fanout.policy = &rig->policy;
	rig->fanout.frames = &rig->frames;
	rig->fanout.umem = rig->umem;
	rig->fanout.outlet_max = rig->member_cnt;
	rig->fanout.outlets = calloc(room, sizeof(*rig->fanout.outlets));
	rig->fanout.touched = calloc(room, sizeof(*rig->fanout.touched));
	rig->fanout.rings = calloc(room, sizeof(*rig->fanout.rings));
	RIG_REQUIRE(rig->fanout.outlets && rig->fanout.touched && rig->fanout.rings);
	for (uint32_t g = 0; g < rig->policy.group_cnt; g++) {
		struct roster *roster = calloc(1, sizeof(*roster));

		RIG_REQUIRE(roster);
		fanout_set_roster(&rig->fanout, g, roster);
		for (uint32_t m = 0; m < rig->places[g] && slots; m++)
			rig_join(rig, g, slot++, slots, quota, 1);
	}
}

static inline void rig_destroy(struct rig *rig)
{
	for (uint32_t slot = 0; slot < rig->member_cnt; slot++)
		rig_free_member(&rig->members[slot]);
	for (uint32_t g = 0; g < rig->policy.group_cnt; g++)
		rig_set_roster(rig, g, NULL);
	free(rig->fanout.outlets);
	free(rig->fanout.touched);
	free(rig->fanout.rings);
	free(rig->frames.free);
	free(rig->frames.refs);
	free(rig->seen);
	free(rig->umem);
	classify_destroy(&rig->classify);
	policy_state_destroy(&rig->state, &rig->policy);
	for (uint32_t g = 0; g < rig->policy.group_cnt; g++)
		group_spec_destroy(&rig->specs[g]);
	policy_destroy(&rig->policy);
}

/* Set every index of a member's ring, as after so many packets; nothing may be queued. */
static inline void rig_set_index(struct rig *rig, uint32_t slot, uint32_t index)
{
	struct ring *ring = &rig->fanout.outlets[slot].ring;
	struct rig_member *member = &rig->members[slot];

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
 * bursts nothing is the worker's. Every packet that a member was given is consumed, in its ring, or
 * was discarded.
 */
static inline void rig_check(struct rig *rig)
{
	const struct frame_table *frames = &rig->frames;
	uint32_t held = 0, busy = 0, used = 0;

	RIG_REQUIRE(frame_census_holds(frames));
	RIG_REQUIRE(frames->worker_cnt == 0 && frames->kernel_cnt == 0 && frames->tx_cnt == 0);
	memset(rig->seen, 0, frames->total * sizeof(*rig->seen));
	for (uint32_t slot = 0; slot < rig->member_cnt; slot++) {
		const struct outlet *outlet = &rig->fanout.outlets[slot];
		const struct ring *ring = &outlet->ring;

		RIG_REQUIRE(ring_used(ring) <= ring->quota);
		RIG_REQUIRE(outlet->packets ==
			    outlet->consumed + outlet->discarded + ring_used(ring));
		busy += ring_used(ring) > 0;
		used += ring_used(ring);
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
	RIG_REQUIRE(fanout_queued(&rig->fanout) == used && used >= held);
	RIG_REQUIRE(rig->fanout.busy == busy);
}

/* Put a packet into the next burst. */
static inline void rig_add(struct rig *rig, const struct packet_builder *b)
{
	rig->pkts[rig->cnt++] = rig_packet_bytes(rig, b->bytes, b->len);
}

/* Hand the burst out. What a group wanted of it was offered to its members of now, if any. */
static inline void rig_burst(struct rig *rig)
{
	struct fanout_group before[POLICY_PLACES_MAX];

	memcpy(before, rig->fanout.groups, sizeof(before));
	fanout_burst(&rig->fanout, rig->pkts, rig->cnt);
	for (uint32_t g = 0; g < rig->policy.group_cnt; g++) {
		const struct fanout_group *now = &rig->fanout.groups[g];
		uint64_t wanted = now->packets - before[g].packets;
		uint64_t times = rig->policy.groups[g].steer.method == METHOD_BROADCAST
					 ? now->roster->cnt
					 : now->roster->cnt > 0;

		RIG_REQUIRE(wanted <= rig->cnt);
		RIG_REQUIRE(now->offered - before[g].offered == wanted * times);
		RIG_REQUIRE(now->no_member - before[g].no_member == (times ? 0 : wanted));
	}
	rig->cnt = 0;
	rig_check(rig);
}

/* Group by group, what was offered is with a member or lost by name; every packet of `sent` is
 * counted. */
static inline void rig_check_sums(const struct rig *rig, uint64_t sent)
{
	uint64_t offered[POLICY_GROUPS_MAX] = {0};

	for (uint32_t slot = 0; slot < rig->member_cnt; slot++)
		if (rig->members[slot].joined)
			offered[rig->fanout.outlets[slot].group] += rig_offered(rig, slot);
	for (uint32_t g = 0; g < rig->policy.group_cnt; g++) {
		const struct fanout_group *group = &rig->fanout.groups[g];

		offered[g] += rig->past[g].packets + rig->past[g].lost;
		RIG_REQUIRE(offered[g] == group->offered);
		RIG_REQUIRE(rig->policy.groups[g].steer.method == METHOD_BROADCAST ||
			    group->packets == group->offered + group->no_member);
		RIG_REQUIRE(group->packets <= sent);
	}
	RIG_REQUIRE(rig->fanout.unclaimed <= sent);
}

/* Let a member read and release all that it has. Returns how much that was. */
static inline uint32_t rig_drain(struct rig *rig, uint32_t slot)
{
	uint32_t cnt = xfq_ring_peek(&rig->members[slot].view, UINT32_MAX);

	xfq_ring_release(&rig->members[slot].view, cnt);
	return cnt;
}

/* The end of a rig: once all members have released all, every frame is free. */
static inline void rig_finish(struct rig *rig)
{
	for (uint32_t slot = 0; slot < rig->member_cnt; slot++)
		if (rig->members[slot].shared)
			rig_drain(rig, slot);
	fanout_reclaim(&rig->fanout, 0);
	rig_check(rig);
	RIG_REQUIRE(rig->frames.free_cnt == rig->frames.total);
	RIG_REQUIRE(fanout_queued(&rig->fanout) == 0);
	rig_destroy(rig);
}

#endif
