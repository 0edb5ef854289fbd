/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the worker does with a packet after it was received: classify, steer, publish, take back.
 * No kernel and no root: the bench's packets lie in frames, and bursts of them go through the
 * fan-out again and again. One row per way of delivery, interleaved, the median of all rounds.
 */
#include "bench/packets.h"
#include "steering/fanout.h"
#include "xdp/first_pass.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FANOUT_FRAMES  4096
#define FANOUT_FRAME   2048
#define FANOUT_OFFSET  256
#define FANOUT_ROUNDS  11
#define FANOUT_BURSTS  8192 /* in one measurement: half a million packets */
#define FANOUT_SLOTS   1024
#define FANOUT_MEMBERS 4
#define FANOUT_FLOWS   32768 /* of the flow cache */

static const char *const fanout_matches[] = {"tcp port 80 or tcp port 443", "udp port 53",
					     "icmp or icmp6", "ip6"};
#define FANOUT_GROUPS (sizeof(fanout_matches) / sizeof(fanout_matches[0]))
#define FANOUT_RINGS  (FANOUT_GROUPS * FANOUT_MEMBERS)

enum fanout_way { FANOUT_INLINE, FANOUT_RING, FANOUT_WAYS };
static const char *const fanout_way_names[FANOUT_WAYS] = {"in_worker", "ring"};

struct fanout_bench {
	struct policy policy;
	struct group_spec specs[FANOUT_GROUPS];
	struct policy_state state;
	struct policy_data data;
	struct classify classify;
	struct roster rosters[FANOUT_GROUPS];
	struct frame_table frames;
	struct fanout fanout;
	uint8_t *umem;
	struct packet pkts[FANOUT_FRAMES];
	struct xfq_ring_cons cons[FANOUT_RINGS];
	uint64_t consumed;
};

static void fanout_count(void *context, const struct packet *pkts, const uint32_t *marks,
			 const uint8_t *index, uint32_t cnt)
{
	uint64_t *consumed = context;

	(void)marks;
	(void)pkts;
	(void)index;
	*consumed += cnt;
}

static void *fanout_memory(size_t cnt, size_t size)
{
	void *memory = aligned_alloc(4096, (cnt * size + 4095) / 4096 * 4096);

	if (!memory) {
		fputs("bench_fanout: no memory\n", stderr);
		exit(1);
	}
	memset(memory, 0, (cnt * size + 4095) / 4096 * 4096);
	return memory;
}

/* The bench's packets in their frames, with metadata, as if a port had received them. */
static void fanout_fill(struct fanout_bench *bench)
{
	struct generate_packet *from = fanout_memory(FANOUT_FRAMES, sizeof(*from));

	packets_fill_mixed(from, FANOUT_FRAMES);
	for (uint32_t i = 0; i < FANOUT_FRAMES; i++) {
		struct packet *pkt = &bench->pkts[i];

		pkt->frame = i;
		pkt->data = bench->umem + (size_t)i * FANOUT_FRAME + FANOUT_OFFSET;
		pkt->meta = (struct xfq_meta *)(void *)(pkt->data - XFQ_META_BYTES);
		pkt->len = from[i].len;
		memcpy(pkt->data, from[i].data, pkt->len);
		first_pass_parse(0, pkt->data, pkt->len, pkt->len, pkt->meta);
		pkt->meta->magic = XFQ_META_CHECKED;
	}
	free(from);
}

static void fanout_fail(const char *why)
{
	fprintf(stderr, "bench_fanout: %s\n", why);
	exit(1);
}

static void fanout_group(struct fanout_bench *bench, size_t g, struct xfq_error *error)
{
	struct group_spec *spec = &bench->specs[g];

	group_spec_init(spec);
	spec->when.match = fanout_matches[g] ? strdup(fanout_matches[g]) : NULL;
	if (policy_add_group(&bench->policy, "bench", spec, error))
		fanout_fail(error->text);
}

static void fanout_set_up(struct fanout_bench *bench, enum fanout_way way)
{
	struct xfq_error error = {.text = "no memory"};

	bench->umem = fanout_memory(FANOUT_FRAMES, FANOUT_FRAME);
	frame_init(&bench->frames, fanout_memory(FANOUT_FRAMES, sizeof(uint32_t)),
		   fanout_memory(FANOUT_FRAMES, sizeof(uint16_t)), FANOUT_FRAMES);
	policy_init(&bench->policy, 0);
	for (size_t g = 0; g < FANOUT_GROUPS; g++)
		fanout_group(bench, g, &error);
	if (policy_build(&bench->policy, &error) ||
	    policy_state_create(&bench->state, &bench->policy, NULL, NULL) ||
	    classify_init(&bench->classify, 0, FANOUT_FLOWS))
		fanout_fail(error.text);
	bench->data.epoch = 1;
	bench->fanout.classify = &bench->classify;
	bench->fanout.data = &bench->data;
	bench->fanout.state = &bench->state;
	bench->fanout.policy = &bench->policy;
	bench->fanout.frames = &bench->frames;
	bench->fanout.umem = bench->umem;
	bench->fanout.outlets = fanout_memory(FANOUT_RINGS, sizeof(struct outlet));
	bench->fanout.outlet_max = FANOUT_RINGS;
	bench->fanout.touched = fanout_memory(FANOUT_RINGS, sizeof(uint16_t));
	bench->fanout.rings = fanout_memory(FANOUT_RINGS, sizeof(uint16_t));
	for (uint16_t m = 0; m < FANOUT_RINGS; m++) {
		struct roster *roster = &bench->rosters[m / FANOUT_MEMBERS];
		struct outlet outlet = {
			.group = m / FANOUT_MEMBERS,
			.context = &bench->consumed,
			.consume = way == FANOUT_INLINE ? fanout_count : NULL,
		};

		if (way == FANOUT_RING)
			ring_init(&outlet.ring, fanout_memory(1, xfq_ring_prod_bytes(FANOUT_SLOTS)),
				  &bench->cons[m], fanout_memory(FANOUT_SLOTS, sizeof(uint32_t)),
				  FANOUT_SLOTS, FANOUT_SLOTS, 0, 0);
		fanout_attach(&bench->fanout, m, &outlet);
		roster_join(roster, roster, m, 1);
	}
	for (uint32_t g = 0; g < FANOUT_GROUPS; g++)
		fanout_set_roster(&bench->fanout, g, &bench->rosters[g]);
	fanout_fill(bench);
}

/* The members release at once all that they were given; ns per packet. */
static double fanout_measure(struct fanout_bench *bench)
{
	struct timespec begin, end;
	uint32_t at = 0;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (uint32_t burst = 0; burst < FANOUT_BURSTS; burst++) {
		/* the frames are the worker's, as port_receive() hands them over */
		bench->frames.worker_cnt += PACKET_BURST;
		bench->frames.free_cnt -= PACKET_BURST;
		fanout_burst(&bench->fanout, &bench->pkts[at], PACKET_BURST);
		for (size_t m = 0; m < FANOUT_RINGS; m++)
			bench->cons[m].cons = bench->fanout.outlets[m].ring.prod;
		fanout_reclaim(&bench->fanout, 0);
		at = (at + PACKET_BURST) % FANOUT_FRAMES;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
	       (FANOUT_BURSTS * PACKET_BURST);
}

static int fanout_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	static struct fanout_bench bench[FANOUT_WAYS];
	double ns[FANOUT_WAYS][FANOUT_ROUNDS];

	for (int way = 0; way < FANOUT_WAYS; way++)
		fanout_set_up(&bench[way], (enum fanout_way)way);
	for (int round = 0; round < FANOUT_ROUNDS; round++)
		for (int way = 0; way < FANOUT_WAYS; way++)
			ns[way][round] = fanout_measure(&bench[way]);
	for (int way = 0; way < FANOUT_WAYS; way++) {
		qsort(ns[way], FANOUT_ROUNDS, sizeof(double), fanout_compare);
		printf("{\"bench\": \"fanout\", \"way\": \"%s\", \"groups\": %zu, \"members\": "
		       "%zu, "
		       "\"flows\": %d, \"rounds\": %d, \"ns_per_packet\": {\"median\": %.1f, "
		       "\"min\": %.1f, \"max\": %.1f}}\n",
		       fanout_way_names[way], FANOUT_GROUPS, FANOUT_RINGS, FANOUT_FRAMES,
		       FANOUT_ROUNDS, ns[way][FANOUT_ROUNDS / 2], ns[way][0],
		       ns[way][FANOUT_ROUNDS - 1]);
	}
	return 0;
}
