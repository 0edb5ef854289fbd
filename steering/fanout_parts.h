/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the fan-out share among themselves. */
#ifndef STEERING_FANOUT_PARTS_H
#define STEERING_FANOUT_PARTS_H

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
	const uint32_t *marks; /* of each packet of the burst */
	const struct roster *roster;
	uint64_t spillable; /* that another member may get: not those that several get anyway, or
			     * that are for a class */
	uint64_t spill_to;  /* members that may get those */
	bool elsewhere;     /* of some packet it is not sure that a ring of the group has it */
};

/* The packets of one group, on their way to its members. */
struct fanout_deal {
	const struct policy *policy;
	const struct policy_group *group;
	const struct policy_state *state;
	struct fanout_group *to;
	const struct packet *pkts; /* what members get */
	const struct packet *seen; /* what methods look at: of `inner` groups the innermost ones */
	uint64_t *handed;          /* by group: who gets copies of what, bit by bit */
	uint64_t wanted;
	struct method_context context;
	uint32_t rooms[ROSTER_MEMBERS_MAX];
};

/* Nothing is staged yet. */
static inline void fanout_begin_share(struct fanout_share *share)
{
	share->spillable = UINT64_MAX;
	for (uint32_t m = 0; m < share->roster->cnt; m++) {
		share->end[m] = m * PACKET_BURST;
		share->bytes[m] = 0;
	}
}

static inline void fanout_stage(struct fanout_share *share, uint32_t member, uint8_t i,
				const struct xfq_meta *meta)
{
	share->index[share->end[member]++] = i;
	share->bytes[member] += meta->wire_len;
}

/* The places of the bits that are set, in order. Returns how many they are. */
static inline uint32_t fanout_places(uint64_t bits, uint8_t *places)
{
	uint32_t cnt = 0;

	for (; bits; bits &= bits - 1)
		places[cnt++] = (uint8_t)__builtin_ctzll(bits);
	return cnt;
}

/* A number for sampling flows that says nothing of the bucket that the flow is in, nor of what
 * other cases (`salt`) take. */
static inline uint32_t fanout_sample_hash(uint32_t hash, uint64_t salt)
{
	return (uint32_t)(flow_mix(hash ^ salt << 32) >> 32);
}

/* Salt of the sample of a case, the i-th of a group: the same after a reload. */
static inline uint64_t fanout_sample_salt(const struct policy_group *group, uint32_t i)
{
	return (uint64_t)group->place * GROUP_CASES_MAX + i + 1;
}

/* Whether the sample of a case takes a packet that the case holds of: of flows those whose number
 * is in the first of so many parts of all numbers, of packets the first and then each that many
 * later.
 */
static inline bool fanout_takes(const struct policy_group *group, const struct policy_case *one,
				struct method_state *point, const struct xfq_meta *meta)
{
	uint64_t salt = fanout_sample_salt(group, (uint32_t)(one - group->cases));

	if (one->sample == GROUP_SAMPLE_ALL)
		return true;
	if (one->sample == GROUP_SAMPLE_FLOW)
		return (uint64_t)fanout_sample_hash(meta->flow_hash, salt) * one->sample_of >> 32 ==
		       0;
	if (point->sampled > 0) {
		point->sampled--;
		return false;
	}
	point->sampled = one->sample_of - 1;
	return true;
}

/* Bytes that packets had on the wire. */
static inline uint64_t fanout_bytes(const struct packet *pkts, const uint8_t *index, uint32_t cnt)
{
	uint64_t bytes = 0;

	for (uint32_t k = 0; k < cnt; k++)
		bytes += pkts[index[k]].meta->wire_len;
	return bytes;
}

/* fanout_deliver.c: every member gets every packet that is wanted; or what is staged for it. */
void fanout_to_all(struct fanout *fanout, struct fanout_share *share, const uint8_t *wanted,
		   uint32_t cnt, uint64_t bytes);
void fanout_to_one(struct fanout *fanout, struct fanout_share *share,
		   enum policy_overflow overflow);

/* Take back what a member has released of a ring in use; detach it where it lies. */
void fanout_take_back(struct fanout *fanout, struct outlet *outlet);

/* All slots of a ring come back, and its member is given nothing more. */
void fanout_discard(struct fanout *fanout, struct outlet *outlet);

/* How many packets each member of a roster has room for, for methods that ask. */
void fanout_count_rooms(struct fanout *fanout, const struct roster *roster, uint32_t *rooms);

/* fanout_cases.c: hand out what a group with a table or cases wants. Returns whether rings have all
 * of that, for sure. */
bool fanout_by_cases(struct fanout *fanout, struct fanout_deal *deal);

#endif
