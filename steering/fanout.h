/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fan-out: a burst of packets to the members that are to have them; first of all what they are
 * (classify.h), then group by group, and in a group stage by stage.
 *
 *	decide     by its table and cases: which packets, for which class, with which mark
 *	steer      which member has each; its place in the burst is noted for that member
 *	deliver    member by member: into its ring, or straight into its consumer
 *	overflow   what a member had no room for: to others, or lost
 *
 * and after all groups
 *
 *	settle     frames that no ring holds are free again
 *
 * A packet may go to any number of outlets and is never copied. What an outlet cannot take is lost
 * for that member alone, and counted there; in a group that spills, another member gets it first.
 *
 * Thread: the worker's only, except the counters, which anyone may read (counter_read).
 */
#ifndef STEERING_FANOUT_H
#define STEERING_FANOUT_H

#include "steering/classify.h"
#include "steering/counter.h"
#include "steering/frame.h"
#include "steering/packet.h"
#include "steering/policy.h"
#include "steering/ring.h"
#include "steering/roster.h"

#define FANOUT_NONE UINT32_MAX /* no outlet */

/* Why a member was detached by its worker. */
enum outlet_fault {
	OUTLET_SOUND = 0,
	OUTLET_CONS_AHEAD, /* it released what it was never given */
	OUTLET_CONS_BACK   /* it took back what it had released */
};

/* One member as one worker sees it. */
struct outlet {
	uint16_t group;           /* place of its group; set by the wiring */
	packet_consumer *consume; /* in the worker; NULL: through the ring */
	void *context;            /* of consume */
	struct ring ring;

	/* counters; what was offered to all members of a group = packets + lost_*, over all;
	 * packets = consumed + discarded + slots in use */
	uint64_t packets;       /* consumed in the worker, or published into the ring */
	uint64_t bytes;         /* of those, on the wire */
	uint64_t consumed;      /* handled in the worker, or released by the member */
	uint64_t discarded;     /* in its ring when it was detached */
	uint64_t lost_ring;     /* every slot of its ring was in use */
	uint64_t lost_quota;    /* its share of the frames was in use */
	uint64_t lost_detached; /* it had been detached, but was still on the roster */
	uint64_t spilled;       /* had no room here and went to another member: counted there */

	/* set once, when it is found faulty: what it claimed, and what was true */
	enum outlet_fault fault;
	uint32_t fault_cons, fault_reclaimed, fault_prod;
};

struct fanout_group {
	const struct roster *roster;        /* who gets now what is for all members */
	const struct roster *seats;         /* those, and who gets what is for classes alone */
	const struct roster *classes;       /* of each class; NULL: the group has none */
	const struct roster *before_roster; /* where a reload comes to nothing */
	const struct roster *before_seats;
	const struct roster *before_classes; /* of those that the policy of before has */
	uint64_t packets;                    /* that the group wanted, or was handed */
	uint64_t bytes;
	uint64_t offered;   /* to members: each packet as often as there are members to have it */
	uint64_t no_member; /* packets that came while there was no member to have them */
	uint64_t dropped;   /* by its table, a case, or a method that does not apply */
};

/*
 * Outlets are places of members: the wiring chooses a free one, prepares its outlet, and attaches
 * it; the roster of a group then names it. Between attach and detach it is the worker's.
 */
struct fanout {
	struct classify *classify; /* the wiring's */
	const struct policy_data *data;
	const struct policy *policy;
	const struct policy_state *state;
	const struct policy_state *before_state;
	const struct policy_data *before_data;
	const struct policy *before; /* of packets that were judged before a reload; NULL: there are
					none any more */
	bool before_unmarked;        /* and of those that do not say when they were judged */
	struct frame_table *frames;
	uint8_t *umem;          /* what descriptor addresses count from */
	struct outlet *outlets; /* outlet_max */
	uint32_t outlet_max;
	uint16_t *touched; /* outlets that got packets of this burst; room for all, twice where
			      there are reloads */
	uint32_t touched_cnt;
	uint16_t *rings; /* outlets with an attached ring; room for all */
	uint32_t ring_cnt;
	uint32_t busy;         /* rings with slots in use */
	uint32_t reclaim_next; /* of `rings`: where the next round of reclaiming starts */
	struct fanout_group groups[POLICY_PLACES_MAX]; /* by place */
	uint64_t unclaimed;                            /* packets that no group wanted */
	uint64_t faulty; /* members detached because their cons was out of range */
};

/* Attach a member at the free outlet `slot`: `outlet` is copied, its counters start at 0. */
void fanout_attach(struct fanout *fanout, uint32_t slot, const struct outlet *outlet);

/* From now on the members of the group at place `group` are those of `roster`, and of its classes
 * those of `classes`, as many as its policy says (NULL: none); both stay the caller's. */
void fanout_set_roster(struct fanout *fanout, uint32_t group, const struct roster *roster);
void fanout_set_classes(struct fanout *fanout, uint32_t group, const struct roster *classes);

/* The places of `roster` and of `classes` are those on `seats`, which is the caller's too; where
 * nobody says so, on `roster`. */
void fanout_set_seats(struct fanout *fanout, uint32_t group, const struct roster *seats);

/* From now on sets and tables are these. */
void fanout_set_data(struct fanout *fanout, const struct policy_data *data);

/* The same of a group that is new at its place: its counters begin at 0. */
void fanout_begin_group(struct fanout *fanout, uint32_t group, const struct roster *roster);

/*
 * From now on packets are handed out by `policy`, with `state`; its data and the classes of its
 * groups are to be set next. But those that were judged before go on to be
 * handed out by the one there was: those of its generation and, until fanout_settle_unmarked(),
 * those of no generation. Not while there is a policy of before.
 */
void fanout_set_policy(struct fanout *fanout, const struct policy *policy,
		       const struct policy_state *state);
void fanout_settle_unmarked(struct fanout *fanout);

/* No packet of before comes any more. */
void fanout_settle(struct fanout *fanout);

/* Nothing is to be judged by the new policy after all: back to the one of before. */
void fanout_restore_policy(struct fanout *fanout);

/*
 * Hand a burst out. `pkts` are `cnt` packets (at most PACKET_BURST), with checked metadata, whose
 * frames are the worker's; afterwards each is held or free. fanout->touched names the outlets that
 * got packets, until the next call; while there is a policy of before, some of them twice.
 */
void fanout_burst(struct fanout *fanout, const struct packet *pkts, uint32_t cnt);

/*
 * Take back what members have released, from at most `rings` rings that have something out (0: from
 * all). A member whose cons is out of range is detached and counted; its outlet says why.
 */
void fanout_reclaim(struct fanout *fanout, uint32_t rings);

/* Another quota for an attached ring; where more slots are in use, none is filled until they are
 * not. Nothing to do where the outlet has no ring. */
void fanout_set_quota(struct fanout *fanout, uint32_t slot, uint32_t quota);

/* A member is gone: all its slots come back, and it is given nothing more. Not within a burst; its
 * counters stay, to be read. Nothing to do where the outlet has no ring, or was faulty. */
void fanout_detach(struct fanout *fanout, uint32_t slot);

/* Tell every member that nothing more comes; or one of them. */
void fanout_close(struct fanout *fanout);
void fanout_close_one(struct fanout *fanout, uint32_t slot);

/* How many packets surely fit, whoever gets them: the least room of any attached ring, at most
 * PACKET_BURST. For a source that can wait. */
uint32_t fanout_room(const struct fanout *fanout);

/* Slots in use over all rings. */
uint64_t fanout_queued(const struct fanout *fanout);

#endif
