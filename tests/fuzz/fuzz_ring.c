/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile members: the input is a list of steps of a worker and of members that write whatever they
 * like into their pages in between. After each step every frame is in one place, and what was
 * wanted is what was published or lost; the members that behave lose nothing.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
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

/* A burst of packets of flows that the input chooses. */
static uint32_t step_burst(struct rig *rig, struct input *input, struct packet_builder *b)
{
	uint32_t cnt = input_byte(input) % (PACKET_BURST + 1);

	for (uint32_t i = 0; i < cnt; i++) {
		if (i % 8 == 0)
			packet_ports(b, input_byte(input), i);
		rig_add(rig, b);
	}
	for (uint32_t m = 0; m < MEMBERS; m += 2)
		rig_drain(rig, m);
	rig_burst(rig);
	return cnt;
}

/* A member that does not behave writes into its page. */
static void step_write(struct rig *rig, struct input *input)
{
	uint32_t choice = input_byte(input);
	struct rig_member *member = &rig->members[choice % MEMBERS | 1];
	uint32_t *words = (uint32_t *)member->cons_page;

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

static void step(struct rig *rig, struct input *input, struct packet_builder *b, uint64_t *sent)
{
	uint32_t choice = input_byte(input);

	switch (choice % 4) {
	case 0:
		*sent += step_burst(rig, input, b);
		break;
	case 1:
		fanout_reclaim(&rig->fanout, choice / 4 % (MEMBERS + 1));
		break;
	case 2:
		step_write(rig, input);
		break;
	default:
		(void)ring_wants_wake(&rig->fanout.outlets[choice / 4 % MEMBERS].ring);
	}
	rig_check(rig);
	rig_check_sums(rig, *sent);
}

/* Members that behaved have lost nothing; once the others are gone, everything is free. */
static void finish(struct rig *rig)
{
	for (uint32_t m = 0; m < MEMBERS; m += 2) {
		RIG_REQUIRE(rig->fanout.outlets[m].ring.cons_page);
		RIG_REQUIRE(rig->fanout.outlets[m].packets == rig_offered(rig, m));
	}
	for (uint32_t m = 1; m < MEMBERS; m += 2)
		fanout_detach(&rig->fanout, m);
	RIG_REQUIRE(rig->fanout.faulty <= MEMBERS / 2);
	rig_finish(rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct packet_builder b;
	struct rig rig;
	uint64_t sent = 0;
	uint32_t base, quota;

	packet_start(&b);
	packet_ipv4(&b, 1, 2, 0);
	packet_udp(&b, 3, 4);
	packet_finish(&b);
	quota = 1 + input_byte(&input) % 64;
	base = input_word(&input);
	rig_create(&rig, 4 * quota + 4 * 64 + PACKET_BURST);
	rig_group(&rig, NULL, METHOD_BROADCAST, 4);
	rig_group(&rig, NULL, METHOD_FLOW, 2);
	rig_group(&rig, "udp src portrange 0-127", METHOD_ROUND_ROBIN, 2);
	rig_connect(&rig, 0, 0);
	for (uint32_t m = 0; m < MEMBERS; m++) {
		rig_connect_member(&rig, m, 64, m % 2 ? quota : 64);
		rig_set_index(&rig, m, base);
	}
	while (input.size > 0)
		step(&rig, &input, &b, &sent);
	finish(&rig);
	return 0;
}
