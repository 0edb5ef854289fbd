/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The roster of a group: who its members are, and which of them has each bucket of the hash.
 *
 * A roster that workers read is never changed: a member that joins or leaves makes a new one from
 * the old, which the workers take at a burst boundary.
 *
 *	join    the new member gets its share of the buckets, by weight, taken one by one from
 *	        whoever has the most for its weight; no other bucket moves
 *	leave   its buckets go one by one to whoever has the least for its weight; no other moves
 *
 * Everyone has at least one bucket, and how many follows from the weights of those who are there.
 * So a flow changes its member only where that member came or went. (As the redirection table of
 * receive-side scaling, with the fewest moves; consistent hashing would need a search a packet.)
 *
 * A group with classes has a roster of all its members and one for each class: struct rosters.
 */
#ifndef STEERING_ROSTER_H
#define STEERING_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROSTER_MEMBERS_MAX 64
#define ROSTER_CLASSES_MAX 32 /* bits of a mask */
#define ROSTER_WEIGHT_MAX  1000
#define ROSTER_SLOT_NONE   UINT16_MAX

/* 64 buckets for each of 64 members: a share that is off by a bucket is off by less than 2 percent,
 * and the table of a group is a page. A power of two. */
#define ROSTER_BUCKETS 4096

struct roster {
	uint32_t cnt;                       /* members */
	uint16_t slots[ROSTER_MEMBERS_MAX]; /* the outlet of each */
	uint16_t weights[ROSTER_MEMBERS_MAX];
	uint8_t place[ROSTER_MEMBERS_MAX]; /* of each on the group's roster of all; there: its own
					    */
	bool weighted;                     /* their weights differ */
	uint8_t buckets[ROSTER_BUCKETS]; /* which member has it, an index of `slots`; nothing where
					    there is no member */
	uint8_t turns[ROSTER_BUCKETS];   /* whose turn it is, as often as it has buckets; only where
					    weighted */
};

/*
 * `to` becomes `from` with one more member behind the others: outlet `slot`, weight 1 to
 * ROSTER_WEIGHT_MAX. `from` may be `to`; a zeroed roster is an empty one. False, and nothing done,
 * where there are ROSTER_MEMBERS_MAX already.
 */
bool roster_join(struct roster *to, const struct roster *from, uint16_t slot, uint16_t weight);

/* `to` becomes `from` without the member of outlet `slot`. `from` may be `to`. False, and nothing
 * done, where there is none. */
bool roster_leave(struct roster *to, const struct roster *from, uint16_t slot);

/* The rosters of a group. A member may be of several classes, or of none: then it gets only what is
 * for all. On every roster members are in the order in which they joined. */
struct rosters {
	uint32_t class_cnt;
	uint32_t masks[ROSTER_MEMBERS_MAX]; /* by place in `all`: a bit for each class it is of */
	struct roster all;
	struct roster of_class[]; /* class_cnt */
};

/* How many bytes they take; zeroed, and with class_cnt set, they are empty. */
static inline size_t rosters_bytes(uint32_t class_cnt)
{
	return sizeof(struct rosters) + class_cnt * sizeof(struct roster);
}

/*
 * As roster_join() and roster_leave(), for all rosters of a group at once. `to` has room for as
 * many classes as `from` has; it may be `from`. Bits of classes that there are not are not looked
 * at.
 */
bool rosters_join(struct rosters *to, const struct rosters *from, uint16_t slot, uint16_t weight,
		  uint32_t class_mask);
bool rosters_leave(struct rosters *to, const struct rosters *from, uint16_t slot);

/* The member of a hash, a place in `slots`. There is at least one. */
static inline uint32_t roster_by_hash(const struct roster *roster, uint32_t hash)
{
	return roster->buckets[hash & (ROSTER_BUCKETS - 1)];
}

/*
 * The member whose turn it is, and the next turn in *turn, which any number will do for at first.
 * Equal weights: one after the other. Else each as often as it has buckets, its turns evenly
 * spaced: it never waits for more than two of its intervals.
 */
static inline uint32_t roster_by_turn(const struct roster *roster, uint32_t *turn)
{
	uint32_t now = *turn;

	if (!roster->weighted) {
		now = now < roster->cnt ? now : 0;
		*turn = now + 1;
		return now;
	}
	*turn = now + 1;
	return roster->turns[now & (ROSTER_BUCKETS - 1)];
}

#endif
