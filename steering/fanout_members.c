/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of members between two bursts. */
#include "steering/fanout_parts.h"

void fanout_attach(struct fanout *fanout, uint32_t slot, const struct outlet *outlet)
{
	fanout->outlets[slot] = *outlet;
	if (!outlet->consume)
		fanout->rings[fanout->ring_cnt++] = (uint16_t)slot;
}

void fanout_set_roster(struct fanout *fanout, uint32_t group, const struct roster *roster)
{
	fanout->groups[group].roster = roster;
	fanout->groups[group].seats = roster;
}

void fanout_set_classes(struct fanout *fanout, uint32_t group, const struct roster *classes)
{
	fanout->groups[group].classes = classes;
}

void fanout_set_seats(struct fanout *fanout, uint32_t group, const struct roster *seats)
{
	fanout->groups[group].seats = seats;
}

void fanout_begin_group(struct fanout *fanout, uint32_t group, const struct roster *roster)
{
	fanout->groups[group] = (struct fanout_group){.roster = roster, .seats = roster};
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
			fanout_take_back(fanout, outlet);
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
