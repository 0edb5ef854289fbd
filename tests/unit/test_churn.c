/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything at once: members of all kinds come and go, in groups of all methods and both policies;
 * some read fast, some slowly or never, some lie. After each burst every frame is in one place and
 * every packet in one counter.
 *
 * Each packet says its number, and a member looks at it when it comes and again when it releases
 * it: a frame that was free in between has another packet by then. Members in the worker stand for
 * other threads: called in the middle of a burst, they release and scribble for the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RIG_REQUIRE(condition) assert_true(condition)
#include "tests/fanout_rig.h"

#define PLACES 24
#define GROUPS 6
#define ROUNDS 3000
#define SLOTS  128 /* of the larger rings */

struct player {
	bool honest;
	uint32_t pace;           /* packets that it releases at most, at a time */
	uint32_t looked;         /* index up to which it has noted what came */
	uint32_t numbers[SLOTS]; /* of those packets */
};

struct world {
	struct rig rig;
	struct player players[PLACES];
	uint32_t first, cnt;   /* numbers of the packets of this burst, or the last */
	bool within;           /* a burst */
	bool meddled;          /* somebody released something within this burst */
	uint32_t prod[PLACES]; /* before the burst */
	uint64_t lost[GROUPS]; /* before the burst */
	uint32_t times[GROUPS][PACKET_BURST]; /* that each of its packets was delivered */
	uint64_t spilled, discarded, faulty, no_member, lost_ring, lost_quota, lost_detached, early;
};

static uint32_t pick(uint32_t below)
{
	return (uint32_t)random() % below;
}

/* --- a member --------------------------------------------------------------------------------- */

static bool has_ring(const struct world *world, uint32_t slot)
{
	return world->rig.members[slot].joined && world->rig.members[slot].shared;
}

/* The number of the packet at an index of its ring. */
static uint32_t number_at(const struct world *world, uint32_t slot, uint32_t index)
{
	const struct xfq_ring *view = &world->rig.members[slot].view;
	const struct xfq_ring_desc *desc = &view->shared->desc[index & view->mask];
	const uint8_t *p = xfq_ring_packet(view, desc) + 42;

	assert_true(desc->addr < (uint64_t)world->rig.frames.total * RIG_FRAME_BYTES);
	assert_int_equal(desc->len, 50);
	assert_int_equal(xfq_ring_meta(view, desc)->magic, XFQ_META_CHECKED);
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* It notes what has come with the last burst. */
static void player_look(struct world *world, uint32_t slot)
{
	struct player *player = &world->players[slot];
	struct xfq_ring *view = &world->rig.members[slot].view;
	uint32_t end = view->cons + xfq_ring_peek(view, UINT32_MAX);

	for (; player->looked != end; player->looked++) {
		uint32_t number = number_at(world, slot, player->looked);

		assert_in_range(number, world->first, world->first + world->cnt - 1);
		player->numbers[player->looked % SLOTS] = number;
	}
}

/* It releases some packets, which are still what they were. */
static void player_release(struct world *world, uint32_t slot)
{
	struct player *player = &world->players[slot];
	struct xfq_ring *view = &world->rig.members[slot].view;
	uint32_t cnt = xfq_ring_peek(view, pick(player->pace + 1));

	for (uint32_t i = view->cons; i != view->cons + cnt; i++) {
		uint32_t number = number_at(world, slot, i);

		if ((int32_t)(player->looked - i) > 0) {
			assert_int_equal(number, player->numbers[i % SLOTS]);
		} else {
			assert_true(world->within);
			assert_in_range(number, world->first, world->first + world->cnt - 1);
			world->early++;
		}
	}
	xfq_ring_release(view, cnt);
	if ((int32_t)(view->cons - player->looked) > 0)
		player->looked = view->cons;
	world->meddled |= world->within && cnt > 0;
}

/* It writes something into its page, and most of it is not true. */
static void player_scribble(struct world *world, uint32_t slot)
{
	struct xfq_ring_cons *page = world->rig.members[slot].cons_page;

	switch (pick(6)) {
	case 0:
		page->cons = (uint32_t)random() * 2;
		break;
	case 1:
		page->cons--;
		break;
	case 2:
		page->cons = world->rig.members[slot].shared->prod + pick(3);
		break;
	case 3:
		page->waiting = (uint32_t)random();
		break;
	default:
		page->cons += pick(20);
	}
}

static void player_act(struct world *world, uint32_t slot)
{
	if (!has_ring(world, slot))
		return;
	if (world->players[slot].honest)
		player_release(world, slot);
	else if (pick(4) == 0)
		player_scribble(world, slot);
}

/* A member in the worker: it has its packets, and while it has them others are busy, too. */
static void consume(void *context, const struct packet *pkts, const uint32_t *marks,
		    const uint8_t *index, uint32_t cnt)
{
	struct world *world = context;

	(void)marks;
	assert_in_range(cnt, 1, PACKET_BURST);
	for (uint32_t k = 0; k < cnt; k++) {
		assert_ptr_equal(&pkts[index[k]], &world->rig.pkts[index[k]]);
		assert_true(k == 0 || index[k] > index[k - 1]);
	}
	for (uint32_t i = pick(PLACES); i > 0; i--)
		player_act(world, pick(PLACES));
}

/* --- coming and going ------------------------------------------------------------------------- */

static void join(struct world *world, uint32_t slot)
{
	struct player *player = &world->players[slot];
	uint32_t slots = SLOTS >> pick(2), g = pick(GROUPS);
	uint16_t weight = (uint16_t)(1 + pick(3) * pick(10));

	*player = (struct player){.honest = pick(4) > 0, .pace = pick(3) * pick(50)};
	if (pick(6) == 0)
		rig_join_consumer(&world->rig, g, slot, weight, consume, world);
	else
		rig_join(&world->rig, g, slot, slots, pick(3) ? slots : 1 + pick(slots), weight);
}

/* Count what became of a member's packets; once, at its end. */
static void collect(struct world *world, uint32_t slot)
{
	const struct outlet *outlet = &world->rig.fanout.outlets[slot];

	world->spilled += outlet->spilled;
	world->discarded += outlet->discarded;
	world->lost_ring += outlet->lost_ring;
	world->lost_quota += outlet->lost_quota;
	world->lost_detached += outlet->lost_detached;
	world->faulty += outlet->fault != OUTLET_SOUND;
	if (world->players[slot].honest)
		assert_int_equal(outlet->fault, OUTLET_SOUND);
}

static void leave(struct world *world, uint32_t slot)
{
	rig_leave(&world->rig, slot);
	collect(world, slot);
}

/* --- a burst ---------------------------------------------------------------------------------- */

static uint64_t group_lost(const struct world *world, uint32_t g)
{
	uint64_t lost = world->rig.past[g].lost;

	for (uint32_t slot = 0; slot < PLACES; slot++)
		if (world->rig.members[slot].joined && world->rig.fanout.outlets[slot].group == g)
			lost += rig_lost(&world->rig, slot);
	return lost;
}

/* A packet of a random flow that says its number. */
static void add_packet(struct world *world, uint32_t number)
{
	static struct packet_builder b;

	packet_start(&b);
	packet_ipv4(&b, 0x0a000000 | pick(256), 0x0b000000 | pick(256), 0);
	packet_udp(&b, pick(65536), 53);
	packet_payload(&b, 8);
	packet_finish(&b);
	packet_put32(&b, b.payload, number);
	rig_add(&world->rig, &b);
}

/* Which packets of the burst a ring has got: none twice, and in the order in which they came,
 * first its own, then what others had no room for. */
static void note_ring(struct world *world, uint32_t slot, const uint32_t *place)
{
	const struct outlet *outlet = &world->rig.fanout.outlets[slot];
	const struct ring *ring = &outlet->ring;
	uint64_t seen = 0;

	for (uint32_t i = world->prod[slot]; i != ring->prod; i++) {
		uint32_t at = place[ring->frames[i & ring->mask]];

		assert_in_range(at, 0, world->cnt - 1);
		assert_false(seen >> at & 1);
		seen |= 1ULL << at;
		world->times[outlet->group][at]++;
	}
}

/* Where a group spills and has yet lost something, nobody in it has room. */
static void check_spilled(const struct world *world, uint32_t g)
{
	for (uint32_t slot = 0; slot < PLACES; slot++) {
		const struct outlet *outlet = &world->rig.fanout.outlets[slot];
		const struct ring *ring = &outlet->ring;

		if (!world->rig.members[slot].joined || outlet->group != g)
			continue;
		assert_null(outlet->consume);
		assert_int_equal(ring_room(ring), 0);
		/* really none, unless it was released after the worker had looked */
		if (world->players[slot].honest && !world->meddled)
			assert_int_equal(ring->prod - world->rig.members[slot].cons_page->cons,
					 ring->quota);
	}
}

/* What a group wanted is delivered once, or to everybody once, or lost. */
static void check_group(const struct world *world, uint32_t g, uint64_t offered, uint64_t inner)
{
	const struct policy_group *group = &world->rig.policy.groups[g];
	uint64_t lost = group_lost(world, g) - world->lost[g], delivered = inner;
	uint32_t most =
		group->steer.method == METHOD_BROADCAST ? rig_roster(&world->rig, g)->cnt : 1;

	for (uint32_t i = 0; i < world->cnt; i++) {
		assert_true(world->times[g][i] <= most);
		delivered += world->times[g][i];
	}
	assert_int_equal(delivered + lost, offered);
	if (lost && group->overflow == POLICY_SPILL && group->steer.method != METHOD_BROADCAST)
		check_spilled(world, g);
}

static void burst(struct world *world)
{
	struct rig *rig = &world->rig;
	uint32_t place[PLACES * SLOTS + PACKET_BURST];
	uint64_t offered[GROUPS], inner[GROUPS] = {0}, consumed[PLACES];

	world->first += world->cnt;
	world->cnt = 1 + pick(PACKET_BURST);
	world->meddled = false;
	memset(world->times, 0, sizeof(world->times));
	memset(place, 0xff, sizeof(place));
	for (uint32_t i = 0; i < world->cnt; i++) {
		add_packet(world, world->first + i);
		place[rig->pkts[i].frame] = i;
	}
	for (uint32_t g = 0; g < GROUPS; g++) {
		offered[g] = rig->fanout.groups[g].offered;
		world->lost[g] = group_lost(world, g);
	}
	for (uint32_t slot = 0; slot < PLACES; slot++) {
		world->prod[slot] = rig->fanout.outlets[slot].ring.prod;
		consumed[slot] = rig->fanout.outlets[slot].consumed;
	}
	world->within = true;
	rig_burst(rig);
	world->within = false;
	for (uint32_t slot = 0; slot < PLACES; slot++) {
		const struct outlet *outlet = &rig->fanout.outlets[slot];

		if (has_ring(world, slot))
			note_ring(world, slot, place);
		else if (rig->members[slot].joined)
			inner[outlet->group] += outlet->consumed - consumed[slot];
		if (has_ring(world, slot) && world->players[slot].honest)
			player_look(world, slot);
	}
	for (uint32_t g = 0; g < GROUPS; g++)
		check_group(world, g, rig->fanout.groups[g].offered - offered[g], inner[g]);
}

/* --- all of it -------------------------------------------------------------------------------- */

static void world_create(struct world *world)
{
	struct rig *rig = &world->rig;

	memset(world, 0, sizeof(*world));
	rig_create(rig, PLACES * SLOTS + PACKET_BURST);
	rig_group(rig, NULL, METHOD_BROADCAST, PLACES);
	rig_group_overflow(rig, NULL, METHOD_FLOW, 0, POLICY_SPILL);
	rig_group_overflow(rig, "udp src portrange 0-30000", METHOD_ROUND_ROBIN, 0, POLICY_SPILL);
	rig_group_overflow(rig, "src net 10.0.0.0/25", METHOD_IP_PAIR, 0, POLICY_DROP);
	rig_group_overflow(rig, "udp src portrange 20000-65535", METHOD_BROADCAST, 0, POLICY_SPILL);
	rig_group_overflow(rig, "ip", METHOD_IP_PAIR, 0, POLICY_SPILL);
	rig_connect(rig, 0, 0);
}

static void churn(unsigned seed)
{
	static struct world world;
	struct rig *rig = &world.rig;

	srandom(seed);
	world_create(&world);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t crowd = 1 + round / 500 % 4 * 3; /* few members at times, and then many */

		burst(&world);
		for (uint32_t slot = 0; slot < PLACES; slot++)
			player_act(&world, slot);
		for (uint32_t i = pick(3); i > 0; i--) {
			uint32_t slot = pick(PLACES);

			if (!rig->members[slot].joined && pick(10) < crowd)
				join(&world, slot);
			else if (rig->members[slot].joined && pick(10) >= crowd / 2)
				leave(&world, slot);
		}
		if (pick(2))
			fanout_reclaim(&rig->fanout, pick(PLACES));
		rig_check(rig);
		rig_check_sums(rig, world.first + world.cnt);
	}
	for (uint32_t slot = 0; slot < PLACES; slot++)
		if (rig->members[slot].joined)
			leave(&world, slot);
	for (uint32_t g = 0; g < GROUPS; g++)
		world.no_member += rig->fanout.groups[g].no_member;
	assert_int_equal(world.faulty, rig->fanout.faulty);
	assert_int_equal(rig->frames.free_cnt, rig->frames.total);
	/* it has all happened, and often */
	assert_true(world.spilled > 1000 && world.discarded > 1000 && world.no_member > 1000);
	assert_true(world.lost_ring > 1000 && world.lost_quota > 1000 &&
		    world.lost_detached > 1000);
	assert_true(world.faulty > 20 && world.early > 1000);
	rig_finish(rig);
}

static void test_churn(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 4; seed++)
		churn(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_churn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
