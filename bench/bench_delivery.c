/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a delivery costs the worker: bursts of packets with ready-made metadata through the fan-out
 * into rings in shared memory, and back. No kernel and no root.
 *
 *	broadcast  each packet to all members: a delivery is one packet to one of them
 *	flow       each packet to one of the members, by its hash
 *
 * The members release all that they have after every burst, in the same thread; what is measured is
 * the worker's side alone, all of it in delivery_work(): the time spent in there, or, where a
 * profiler counts only what runs in there, instructions. See delivery.sh.
 *
 * What the worker writes for a delivery is measured, too: rings and notes are filled with a pattern
 * before, and looked at after. Packets lie in memory that the worker cannot write meanwhile, and
 * each member must find every packet at the place where it was received, in a mapping of its own.
 */
#include "bench/packets.h"
#include "steering/fanout.h"
#include "xdp/first_pass.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DELIVERY_FRAMES      4096
#define DELIVERY_FRAME       2048 /* bytes */
#define DELIVERY_OFFSET      256
#define DELIVERY_SLOTS       1024
#define DELIVERY_MEMBERS_MAX ROSTER_MEMBERS_MAX
#define DELIVERY_BURSTS      4096 /* in one measurement */
#define DELIVERY_ROUNDS      11
#define DELIVERY_ROUNDS_MAX  101

enum delivery_mode { DELIVERY_BROADCAST, DELIVERY_FLOW, DELIVERY_MODES };
static const char *const delivery_mode_names[DELIVERY_MODES] = {"broadcast", "flow"};
static const uint32_t delivery_members[] = {1, 2, 4, 8};
#define DELIVERY_SIZES (sizeof(delivery_members) / sizeof(delivery_members[0]))
#define DELIVERY_CASES (DELIVERY_MODES * DELIVERY_SIZES)

struct delivery {
	enum delivery_mode mode;
	uint32_t members;
	struct policy policy;
	struct group_spec spec;
	struct policy_state state;
	struct policy_data data;
	struct classify classify;
	struct roster roster;
	struct frame_table frames;
	struct fanout fanout;
	uint8_t *umem;             /* the worker's mapping */
	const uint8_t *umem_alias; /* the members' */
	struct packet pkts[DELIVERY_FRAMES];
	struct xfq_ring views[DELIVERY_MEMBERS_MAX];
	uint64_t delivered;
	/* bytes that were written for so many deliveries */
	uint64_t desc_bytes, note_bytes, packet_bytes, looked_at;
};

static void delivery_fail(const char *what)
{
	fprintf(stderr, "bench_delivery: %s\n", what);
	exit(1);
}

/* --- setting up ------------------------------------------------------------------------------ */

/* Shared memory, mapped writable by the one side and read-only by the other. */
static void *delivery_shared(size_t bytes, const void **alias)
{
	int fd = memfd_create("bench-delivery", MFD_CLOEXEC);
	void *memory;

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		delivery_fail("no shared memory");
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	*alias = mmap(NULL, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (memory == MAP_FAILED || *alias == MAP_FAILED)
		delivery_fail("no shared memory");
	close(fd);
	return memory;
}

static void *delivery_private(size_t cnt, size_t size)
{
	void *memory = aligned_alloc(4096, (cnt * size + 4095) / 4096 * 4096);

	if (!memory)
		delivery_fail("no memory");
	memset(memory, 0, (cnt * size + 4095) / 4096 * 4096);
	return memory;
}

static void delivery_join(struct delivery *bench, uint16_t slot)
{
	size_t bytes = xfq_ring_prod_bytes(DELIVERY_SLOTS);
	const void *shared_alias, *cons_alias;
	struct xfq_ring_prod *shared = delivery_shared(bytes, &shared_alias);
	struct xfq_ring_cons *cons = delivery_shared(sizeof(*cons), &cons_alias);
	struct outlet outlet = {.group = 0};

	if (ring_init(&outlet.ring, shared, cons_alias,
		      delivery_private(DELIVERY_SLOTS, sizeof(uint32_t)), DELIVERY_SLOTS,
		      DELIVERY_SLOTS, 0, (uint64_t)DELIVERY_FRAMES * DELIVERY_FRAME) ||
	    !xfq_ring_open(&bench->views[slot], shared_alias, bytes, cons, bench->umem_alias) ||
	    !roster_join(&bench->roster, &bench->roster, slot, 1))
		delivery_fail("no ring");
	fanout_attach(&bench->fanout, slot, &outlet);
}

/* The bench's packets in their frames, with metadata, as if a port had received them. From here on
 * nobody writes them. */
static void delivery_fill(struct delivery *bench)
{
	struct generate_packet *from = delivery_private(DELIVERY_FRAMES, sizeof(*from));

	packets_fill_mixed(from, DELIVERY_FRAMES);
	for (uint32_t i = 0; i < DELIVERY_FRAMES; i++) {
		struct packet *pkt = &bench->pkts[i];

		pkt->frame = i;
		pkt->data = bench->umem + (size_t)i * DELIVERY_FRAME + DELIVERY_OFFSET;
		pkt->meta = (struct xfq_meta *)(void *)(pkt->data - XFQ_META_BYTES);
		pkt->len = from[i].len;
		memcpy(pkt->data, from[i].data, pkt->len);
		first_pass_parse(0, pkt->data, pkt->len, pkt->len, pkt->meta);
		pkt->meta->magic = XFQ_META_CHECKED;
	}
	free(from);
	if (mprotect(bench->umem, (size_t)DELIVERY_FRAMES * DELIVERY_FRAME, PROT_READ))
		delivery_fail("cannot write-protect the packets");
}

static void delivery_set_up(struct delivery *bench, enum delivery_mode mode, uint32_t members)
{
	const void *alias;

	bench->mode = mode;
	bench->members = members;
	bench->umem = delivery_shared((size_t)DELIVERY_FRAMES * DELIVERY_FRAME, &alias);
	bench->umem_alias = alias;
	frame_init(&bench->frames, delivery_private(DELIVERY_FRAMES, sizeof(uint32_t)),
		   delivery_private(DELIVERY_FRAMES, sizeof(uint16_t)), DELIVERY_FRAMES);
	policy_init(&bench->policy, 0);
	group_spec_init(&bench->spec);
	bench->spec.steer.method = mode == DELIVERY_FLOW ? METHOD_FLOW : METHOD_BROADCAST;
	if (policy_add_group(&bench->policy, "bench", &bench->spec, NULL) ||
	    policy_build(&bench->policy, NULL) ||
	    policy_state_create(&bench->state, &bench->policy, NULL, NULL) ||
	    classify_init(&bench->classify, 0, 0))
		delivery_fail("no group");
	bench->data.epoch = 1;
	bench->fanout = (struct fanout){
		.classify = &bench->classify,
		.data = &bench->data,
		.policy = &bench->policy,
		.state = &bench->state,
		.frames = &bench->frames,
		.umem = bench->umem,
		.outlets = delivery_private(members, sizeof(struct outlet)),
		.outlet_max = members,
		.touched = delivery_private(members, sizeof(uint16_t)),
		.rings = delivery_private(members, sizeof(uint16_t)),
	};
	for (uint32_t m = 0; m < members; m++)
		delivery_join(bench, (uint16_t)m);
	fanout_set_roster(&bench->fanout, 0, &bench->roster);
	delivery_fill(bench);
}

/* --- the two sides --------------------------------------------------------------------------- */

/* The worker's side of a burst: hand it out, take back what the last one's members released. */
static __attribute__((noinline)) void delivery_work(struct delivery *bench,
						    const struct packet *pkts)
{
	fanout_burst(&bench->fanout, pkts, PACKET_BURST);
	fanout_reclaim(&bench->fanout, 0);
}

/* The frames of the next burst are the worker's, as port_receive() hands them over. */
static void delivery_receive(struct delivery *bench)
{
	bench->frames.worker_cnt += PACKET_BURST;
	bench->frames.free_cnt -= PACKET_BURST;
}

static void delivery_release(struct delivery *bench)
{
	for (uint32_t m = 0; m < bench->members; m++) {
		uint32_t cnt = xfq_ring_peek(&bench->views[m], UINT32_MAX);

		xfq_ring_release(&bench->views[m], cnt);
		bench->delivered += cnt;
	}
}

/* --- what is written ------------------------------------------------------------------------- */

/* How many bytes of the memory do not have this value. */
static uint64_t delivery_differing(const void *memory, size_t bytes, uint8_t value)
{
	const uint8_t *p = memory;
	uint64_t cnt = 0;

	for (size_t i = 0; i < bytes; i++)
		cnt += p[i] != value;
	return cnt;
}

/* Whether what a member finds is the packet, where it was received. */
static bool delivery_in_place(const struct delivery *bench, const struct xfq_ring *view,
			      const struct xfq_ring_desc *desc)
{
	const struct packet *pkt = &bench->pkts[desc->addr / DELIVERY_FRAME];

	return xfq_ring_packet(view, desc) == bench->umem_alias + (pkt->data - bench->umem) &&
	       xfq_ring_meta(view, desc)->magic == XFQ_META_CHECKED && desc->len == pkt->len;
}

/*
 * Hand out a burst into slots that hold a pattern, and see what has changed. A byte that is written
 * with the pattern's own value is missed: patterns of which no descriptor or note here has a byte.
 */
static void delivery_look(struct delivery *bench)
{
	static const uint8_t pattern = 0xa5;
	size_t desc_bytes = DELIVERY_SLOTS * sizeof(struct xfq_ring_desc);
	size_t note_bytes = DELIVERY_SLOTS * sizeof(uint32_t);
	uint64_t before = bench->delivered;

	fanout_reclaim(&bench->fanout, 0);
	for (uint32_t m = 0; m < bench->members; m++) {
		struct ring *ring = &bench->fanout.outlets[m].ring;

		memset(ring->shared->desc, pattern, desc_bytes);
		memset(ring->frames, pattern, note_bytes);
	}
	delivery_receive(bench);
	delivery_work(bench, bench->pkts);
	for (uint32_t m = 0; m < bench->members; m++) {
		struct ring *ring = &bench->fanout.outlets[m].ring;
		struct xfq_ring *view = &bench->views[m];
		uint32_t cnt = xfq_ring_peek(view, UINT32_MAX);

		bench->desc_bytes += delivery_differing(ring->shared->desc, desc_bytes, pattern);
		bench->note_bytes += delivery_differing(ring->frames, note_bytes, pattern);
		for (uint32_t i = 0; i < cnt; i++) {
			const struct xfq_ring_desc *desc = xfq_ring_desc(view, i);

			if (!delivery_in_place(bench, view, desc))
				bench->packet_bytes += desc->len;
		}
	}
	delivery_release(bench);
	bench->looked_at += bench->delivered - before;
}

/* --- measuring ------------------------------------------------------------------------------- */

static uint64_t delivery_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ns that asking for the time twice takes by itself, when nothing interrupts. */
static double delivery_clock_ns(void)
{
	double least_ns = 1e9;

	for (uint32_t batch = 0; batch < 64; batch++) {
		uint64_t ns = 0;

		for (uint32_t i = 0; i < 256; i++) {
			uint64_t begin_ns = delivery_now_ns();

			ns += delivery_now_ns() - begin_ns;
		}
		if ((double)ns / 256 < least_ns)
			least_ns = (double)ns / 256;
	}
	return least_ns;
}

/* ns per delivery, of the worker's side. */
static double delivery_measure(struct delivery *bench, uint32_t bursts, double clock_ns)
{
	uint64_t ns = 0, before = bench->delivered;

	for (uint32_t burst = 0; burst < bursts; burst++) {
		const struct packet *pkts = &bench->pkts[burst * PACKET_BURST % DELIVERY_FRAMES];
		uint64_t begin_ns;

		delivery_receive(bench);
		begin_ns = delivery_now_ns();
		delivery_work(bench, pkts);
		ns += delivery_now_ns() - begin_ns;
		delivery_release(bench);
	}
	return ((double)ns - clock_ns * bursts) / (double)(bench->delivered - before);
}

/* Ends the program where a delivery was not one. */
static void delivery_check(const struct delivery *bench)
{
	uint64_t offered = bench->fanout.groups[0].offered;

	if (bench->delivered != offered || bench->fanout.faulty || bench->packet_bytes ||
	    !frame_census_holds(&bench->frames))
		delivery_fail("packets were lost, copied or delivered twice");
}

static int delivery_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median, minimum and maximum of sorted times, each times so many. */
static void delivery_print_ns(const char *name, const double *ns, uint32_t rounds, double times)
{
	printf(", \"%s\": {\"median\": %.2f, \"min\": %.2f, \"max\": %.2f}", name,
	       ns[rounds / 2] * times, ns[0] * times, ns[rounds - 1] * times);
}

static void delivery_print(const struct delivery *bench, uint32_t bursts, uint32_t rounds,
			   double *ns)
{
	double looked_at = (double)bench->looked_at;
	double per_packet = bench->mode == DELIVERY_BROADCAST ? bench->members : 1;

	qsort(ns, rounds, sizeof(*ns), delivery_compare);
	printf("{\"bench\": \"delivery\", \"mode\": \"%s\", \"members\": %u, \"burst\": %d, "
	       "\"bursts\": %u, \"runs\": %u",
	       delivery_mode_names[bench->mode], bench->members, PACKET_BURST, bursts, rounds);
	delivery_print_ns("ns_per_delivery", ns, rounds, 1);
	delivery_print_ns("ns_per_packet", ns, rounds, per_packet);
	printf(", \"deliveries\": %llu, \"descriptor_bytes\": %.2f, \"note_bytes\": %.2f, "
	       "\"packet_bytes_copied\": %llu}\n",
	       (unsigned long long)bench->fanout.groups[0].offered,
	       (double)bench->desc_bytes / looked_at, (double)bench->note_bytes / looked_at,
	       (unsigned long long)bench->packet_bytes);
}

/* --- options --------------------------------------------------------------------------------- */

struct delivery_options {
	int mode;    /* -1: all */
	int members; /* 0: each of delivery_members */
	uint32_t bursts, rounds;
};

static const char delivery_usage[] =
	"usage: bench_delivery [--mode broadcast|flow] [--members N] [--bursts N] [--rounds N]\n"
	"Measures what a delivery costs the worker, and prints a row for each mode and number of\n"
	"members; interleaved.\n"
	"  --mode M     only this one\n"
	"  --members N  so many, 1 to 64, instead of 1, 2, 4 and 8\n"
	"  --bursts N   of 64 packets in a round; default 4096\n"
	"  --rounds N   1 to 101; default 11\n";

static bool delivery_parse(int argc, char **argv, struct delivery_options *options)
{
	static const struct option longs[] = {{"mode", required_argument, NULL, 'm'},
					      {"members", required_argument, NULL, 'n'},
					      {"bursts", required_argument, NULL, 'b'},
					      {"rounds", required_argument, NULL, 'r'},
					      {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		long number = option == '?' ? 0 : strtol(optarg, NULL, 10);

		if (option == 'm' && strcmp(optarg, "broadcast") == 0)
			options->mode = DELIVERY_BROADCAST;
		else if (option == 'm' && strcmp(optarg, "flow") == 0)
			options->mode = DELIVERY_FLOW;
		else if (option == 'n' && number >= 1 && number <= DELIVERY_MEMBERS_MAX)
			options->members = (int)number;
		else if (option == 'b' && number >= 1 && number <= 1000000)
			options->bursts = (uint32_t)number;
		else if (option == 'r' && number >= 1 && number <= DELIVERY_ROUNDS_MAX)
			options->rounds = (uint32_t)number;
		else
			return false;
	}
	return optind == argc;
}

int main(int argc, char **argv)
{
	struct delivery_options options = {-1, 0, DELIVERY_BURSTS, DELIVERY_ROUNDS};
	struct delivery *benches[DELIVERY_CASES];
	double ns[DELIVERY_CASES][DELIVERY_ROUNDS_MAX], clock_ns;
	uint32_t cnt = 0;

	if (!delivery_parse(argc, argv, &options)) {
		fputs(delivery_usage, stderr);
		return 2;
	}
	for (uint32_t c = 0; c < DELIVERY_CASES; c++) {
		enum delivery_mode mode = (enum delivery_mode)(c / DELIVERY_SIZES);
		uint32_t members = delivery_members[c % DELIVERY_SIZES];

		if (options.members > 0)
			members = (uint32_t)options.members;
		if ((options.mode >= 0 && (int)mode != options.mode) ||
		    (options.members > 0 && c % DELIVERY_SIZES > 0))
			continue;
		benches[cnt] = delivery_private(1, sizeof(*benches[0]));
		delivery_set_up(benches[cnt++], mode, members);
	}
	clock_ns = delivery_clock_ns();
	for (uint32_t round = 0; round < options.rounds; round++)
		for (uint32_t i = 0; i < cnt; i++)
			ns[i][round] = delivery_measure(benches[i], options.bursts, clock_ns);
	for (uint32_t i = 0; i < cnt; i++) {
		delivery_look(benches[i]);
		delivery_check(benches[i]);
		delivery_print(benches[i], options.bursts, options.rounds, ns[i]);
	}
	return 0;
}
