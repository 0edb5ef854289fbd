/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile members: the input is a list of steps of a worker, of members that come and go, and of
 * members that write whatever they like into their pages in between, or in the middle of a burst.
 * After each step every frame is in one place, and what was wanted is what was published or lost;
 * the members that behave lose nothing, although others' packets spill to them.
 */
#include <stdint.h>
#include <stdlib.h>

#define RIG_REQUIRE(condition)                                                                     \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)
#include "tests/fanout_rig.h"

#define MEMBERS 8 /* the even ones behave */
#define GROUPS  4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

struct world {
	struct rig rig;
	struct input input;
	struct packet_builder packet;
	uint32_t quota, base;
	uint64_t sent;
};

static uint32_t input_byte(struct input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

static uint32_t input_word(struct input *input)
{
	uint32_t word = input_byte(input);

	for (int i = 1; i < 4; i++)
		word = word << 8 | input_byte(input);
	return word;
}

/* A member that does not behave writes into its page. */
static void step_write(struct world *world)
{
	struct input *input = &world->input;
	uint32_t choice = input_byte(input);
	struct rig_member *member = &world->rig.members[choice % MEMBERS | 1];
	uint32_t *words = (uint32_t *)member->cons_page;

	if (!words)
		return;
	switch (choice / MEMBERS % 4) {
	case 0: /* release some, or a few too many */
		words[0] += input_byte(input) % 80;
		break;
	case 1: /* anywhere near what was published */
		words[0] = member->shared->prod - 128 + input_byte(input);
		break;
	case 2: /* any word of the page */
		words[input_byte(input) % 16] = input_word(input);
		break;
	default:
		words[1] ^= 1;
	}
}

/* A member in the worker, and what others do while it has its packets. */
static void consume(void *context, const struct packet *pkts, const uint32_t *marks,
		    const uint8_t *index, uint32_t cnt)
{
	struct world *world = context;
	uint32_t choice = input_byte(&world->input);

	(void)marks;
	for (uint32_t k = 0; k < cnt; k++)
		RIG_REQUIRE(&pkts[index[k]] == &world->rig.pkts[index[k]]);
	for (uint32_t m = 0; m < MEMBERS; m += 2)
		if (choice >> m & 1 && world->rig.members[m].shared)
			rig_drain(&world->rig, m);
	if (choice & 2)
		step_write(world);
}

/* A place in any group; those that behave have room for a burst. */
static void join(struct world *world, uint32_t g, uint32_t m, uint32_t weight)
{
	rig_join(&world->rig, g, m, 64, m % 2 ? world->quota : 64, (uint16_t)weight);
	rig_set_index(&world->rig, m, world->base);
}

/* A member that behaved has lost nothing. */
static void leave(struct world *world, uint32_t m)
{
	if (m % 2 == 0) {
		RIG_REQUIRE(rig_lost(&world->rig, m) == 0);
		RIG_REQUIRE(world->rig.fanout.outlets[m].fault == OUTLET_SOUND);
	}
	rig_leave(&world->rig, m);
}

/* Somebody comes or goes. */
static void step_move(struct world *world)
{
	uint32_t choice = input_byte(&world->input), m = choice % MEMBERS;

	if (world->rig.members[m].joined)
		leave(world, m);
	else if (choice & 0x80)
		rig_join_consumer(&world->rig, choice / MEMBERS % GROUPS, m, 1, consume, world);
	else
		join(world, choice / MEMBERS % GROUPS, m, choice & 0x40 ? 1 + choice % 3 : 1);
}

/* A burst of packets of flows that the input chooses. */
static void step_burst(struct world *world)
{
	struct rig *rig = &world->rig;
	uint32_t cnt = input_byte(&world->input) % (PACKET_BURST + 1);

	for (uint32_t i = 0; i < cnt; i++) {
		if (i % 8 == 0)
			packet_ports(&world->packet, input_byte(&world->input), i);
		rig_add(rig, &world->packet);
	}
	for (uint32_t m = 0; m < MEMBERS; m += 2)
		if (rig->members[m].shared)
			rig_drain(rig, m);
	rig_burst(rig);
	world->sent += cnt;
}

static void step(struct world *world)
{
	struct rig *rig = &world->rig;
	uint32_t choice = input_byte(&world->input), m = choice / 8 % MEMBERS;

	switch (choice % 8) {
	case 0:
	case 1:
	case 2:
		step_burst(world);
		break;
	case 3:
		fanout_reclaim(&rig->fanout, choice / 8 % (MEMBERS + 1));
		break;
	case 4:
	case 5:
		step_write(world);
		break;
	case 6:
		step_move(world);
		break;
	default:
		if (rig->members[m].shared)
			(void)ring_wants_wake(&rig->fanout.outlets[m].ring);
	}
	rig_check(rig);
	rig_check_sums(rig, world->sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	struct rig *rig = &world.rig;

	memset(&world, 0, sizeof(world));
	world.input = (struct input){data, size};
	packet_start(&world.packet);
	packet_ipv4(&world.packet, 1, 2, 0);
	packet_udp(&world.packet, 3, 4);
	packet_finish(&world.packet);
	world.quota = 1 + input_byte(&world.input) % 64;
	world.base = input_word(&world.input);
	rig_create(rig, 4 * world.quota + 4 * 64 + PACKET_BURST);
	rig_group(rig, NULL, METHOD_BROADCAST, MEMBERS);
	rig_group(rig, NULL, METHOD_FLOW, 0);
	rig_group_overflow(rig, NULL, METHOD_FLOW, 0, POLICY_SPILL);
	rig_group_overflow(rig, "udp src portrange 0-127", METHOD_ROUND_ROBIN, 0, POLICY_SPILL);
	rig_connect(rig, 0, 0);
	for (uint32_t m = 0; m < MEMBERS; m++)
		join(&world, m / 2, m, 1);
	while (world.input.size > 0)
		step(&world);
	for (uint32_t m = 0; m < MEMBERS; m++)
		if (rig->members[m].joined)
			leave(&world, m);
	RIG_REQUIRE(rig->frames.free_cnt == rig->frames.total);
	rig_finish(rig);
	return 0;
}
