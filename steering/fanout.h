/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fan-out: a burst of packets to the members that are to have them, stage by stage.
 *
 *	classify and steer   group by group: which packets match, and which member of the group has
 *	                     each; its place in the burst is noted at the member's outlet
 *	publish              outlet by outlet: into the member's ring, or straight into its consumer
 *	settle               frames that no ring holds are free again
 *
 * A packet may go to any number of outlets and is never copied. What an outlet cannot take is lost
 * for that member alone, and counted there.
 *
 * Thread: the worker's only, except the counters, which anyone may read (counter_read).
 */
#ifndef STEERING_FANOUT_H
#define STEERING_FANOUT_H

#include "steering/counter.h"
#include "steering/frame.h"
#include "steering/packet.h"
#include "steering/policy.h"
#include "steering/ring.h"

/* One member as one worker sees it. */
struct outlet {
	/* staged for this burst */
	uint32_t cnt;
	uint8_t index[PACKET_BURST];

	packet_consumer *consume; /* in the worker; NULL: through the ring */
	void *context;            /* of consume */
	struct ring ring;

	/* counters; offered = packets + every kind of loss */
	uint64_t packets;       /* consumed in the worker, or published into the ring */
	uint64_t bytes;         /* of those, on the wire */
	uint64_t lost_ring;     /* every slot of its ring was in use */
	uint64_t lost_quota;    /* its share of the frames was in use */
	uint64_t lost_detached; /* it had been detached */
};

struct fanout_group {
	uint64_t packets; /* that the group's match wanted */
	uint64_t bytes;
	uint32_t turn; /* of round-robin */
};

struct fanout {
	const struct policy *policy;
	struct frame_table *frames;
	uint8_t *umem;          /* what descriptor addresses count from */
	struct outlet *outlets; /* policy->member_cnt, in the order of groups and members */
	uint16_t *touched;      /* outlets with packets of this burst; room for all */
	uint32_t touched_cnt;
	uint32_t busy;         /* rings with slots in use */
	uint32_t reclaim_next; /* where the next round of reclaiming starts */
	struct fanout_group groups[POLICY_GROUPS_MAX];
	uint64_t unclaimed; /* packets that no group wanted */
	uint64_t faulty;    /* members detached because their cons was out of range */
};

/*
 * Hand a burst out. `pkts` are `cnt` packets (at most PACKET_BURST), with checked metadata, whose
 * frames are the worker's; afterwards each is held or free. fanout->touched names the outlets that
 * got packets, until the next call.
 */
void fanout_burst(struct fanout *fanout, const struct packet *pkts, uint32_t cnt);

/*
 * Take back what members have released, from at most `rings` rings that have something out (0: from
 * all). A member whose cons is out of range is detached and counted.
 */
void fanout_reclaim(struct fanout *fanout, uint32_t rings);

/* A member is gone: all its slots come back, and it is given nothing more. Not within a burst. */
void fanout_detach(struct fanout *fanout, uint32_t member);

/* How many packets surely fit, whoever gets them: the least room of any attached ring, at most
 * PACKET_BURST. For a source that can wait. */
uint32_t fanout_room(const struct fanout *fanout);

/* Slots in use over all rings. */
uint64_t fanout_queued(const struct fanout *fanout);

#endif
