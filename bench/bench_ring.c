/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XFQ's ring beside DPDK's rte_ring: elements handed from one pinned thread to another, in bursts.
 *
 *	what      producer, per burst                             consumer, per burst
 *	xfq       writes a slot and takes a reference for each    reads descriptors in place,
 *	          frame; publishes; settles; takes back what      releases them
 *	          the consumer has released
 *	xfq_bare  the same ring without the frame table           the same
 *	rte8      fills an array of pointers; enqueue_bulk        dequeue_bulk; reads its array
 *	rte16     the same, elements of 16 bytes                  the same
 *
 * Nobody touches a packet. Every element carries its number and the consumer checks it, and both
 * sides sum what they handed over; a ring that loses, repeats or reorders ends the bench. All
 * variants run in turn, round after round; a row has the median of all rounds. Between them goes
 * one cache line to and fro: what that takes says how far the two CPUs are from each other.
 */
#include "steering/frame.h"
#include "steering/ring.h"
#include <getopt.h>
#include <pthread.h>
#include <rte_pause.h>
#include <rte_ring.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xfq/ring.h>

#define BENCH_RING_SLOTS      1024
#define BENCH_RING_FRAMES     2048
#define BENCH_RING_FRAME      2048   /* bytes; the descriptors' addresses are of this grid */
#define BENCH_RING_OFFSET     256    /* of the packet in its frame */
#define BENCH_RING_ELEMENTS   65536u /* in one measurement: short, so that few are interrupted */
#define BENCH_RING_TRIPS      512    /* of one cache line in one measurement */
#define BENCH_RING_ROUNDS_MAX 9999
#define BENCH_RING_BURST_MAX  64
#define BENCH_RING_PATIENCE_S 60 /* for one measurement; an element that takes longer is lost */
#define BENCH_RING_APART      (2 * XFQ_CACHE_LINE) /* prefetchers take pairs of lines */

static const uint32_t bench_ring_bursts[] = {32, 64};
#define BENCH_RING_BURSTS (sizeof(bench_ring_bursts) / sizeof(bench_ring_bursts[0]))

/* What an element of 16 bytes is in rte_ring: the same as struct xfq_ring_desc. */
struct bench_ring_element {
	_Alignas(16) uint64_t addr;
	uint32_t len;
	uint32_t flags;
};
_Static_assert(sizeof(struct bench_ring_element) == sizeof(struct xfq_ring_desc), "16 bytes each");

/* One measurement as one side has seen it. */
struct bench_ring_seen {
	uint64_t sum;   /* of the addresses */
	uint64_t wrong; /* not 0: an element was not the one expected */
};

struct bench_ring {
	/* the producer's */
	_Alignas(BENCH_RING_APART) struct frame_table frames;
	struct ring ring;
	/* the consumer's */
	_Alignas(BENCH_RING_APART) struct xfq_ring view;
	/* both sides', each with cache lines of its own inside */
	_Alignas(BENCH_RING_APART) struct rte_ring *rte8, *rte16;
	/* goes to and fro; the producer writes odd numbers, the consumer even ones */
	_Alignas(BENCH_RING_APART) uint32_t line;
	/* from here on: how the two threads meet; not written during a measurement */
	_Alignas(BENCH_RING_APART) const struct bench_ring_what *what;
	uint32_t burst;
	bool end;
	struct bench_ring_seen consumed;
	uint64_t consumed_ns; /* when the last element came */
	uint32_t called;      /* writer: the producer; one more: a measurement, or the end */
	uint32_t ready;       /* writer: the consumer; catches up with `called` before it begins */
	uint32_t done;        /* writer: the consumer; and when it is through */
	int cpu[2];           /* of the producer and the consumer */
};

typedef struct bench_ring_seen bench_ring_side(struct bench_ring *bench, uint32_t burst);

struct bench_ring_what {
	const char *name;
	const char *of; /* its row says this */
	bench_ring_side *produce, *consume;
	uint32_t elements; /* in one measurement */
};

/* --- XFQ ------------------------------------------------------------------------------------ */

static uint64_t bench_ring_addr(uint32_t frame)
{
	return (uint64_t)frame * BENCH_RING_FRAME + BENCH_RING_OFFSET;
}

/* As the worker does: it takes back after every burst, and where a burst does not fit. Frames come
 * as reception hands them over, in turn: what is in the stack of free ones is not looked at. */
static struct bench_ring_seen bench_ring_produce_xfq(struct bench_ring *bench, uint32_t burst)
{
	struct ring *ring = &bench->ring;
	struct frame_table *frames = &bench->frames;
	struct bench_ring_seen seen = {0};

	for (uint32_t at = 0; at < BENCH_RING_ELEMENTS; at += burst) {
		frames->free_cnt -= burst;
		frames->worker_cnt += burst;
		while (ring_room(ring) < burst) {
			rte_pause();
			seen.wrong |= (uint64_t)(ring_reclaim(ring, frames) != 0);
		}
		for (uint32_t i = 0; i < burst; i++) {
			uint32_t frame = (at + i) % BENCH_RING_FRAMES;
			uint64_t addr = bench_ring_addr(frame);

			ring_write(ring, i, frame, addr, at + i);
			frame_hold(frames, frame);
			seen.sum += addr;
		}
		ring_publish(ring, burst);
		for (uint32_t i = 0; i < burst; i++)
			frame_settle(frames, (at + i) % BENCH_RING_FRAMES);
		seen.wrong |= (uint64_t)(ring_reclaim(ring, frames) != 0);
	}
	return seen;
}

/* Nothing is noted of what comes back: only how far it has come. */
static void bench_ring_reclaim_bare(struct ring *ring)
{
	/* pairs with the release store of cons in xfq_ring_release() */
	ring->reclaimed = __atomic_load_n(&ring->cons_page->cons, __ATOMIC_ACQUIRE);
}

static struct bench_ring_seen bench_ring_produce_bare(struct bench_ring *bench, uint32_t burst)
{
	struct ring *ring = &bench->ring;
	struct bench_ring_seen seen = {0};

	for (uint32_t at = 0; at < BENCH_RING_ELEMENTS; at += burst) {
		while (ring_room(ring) < burst) {
			rte_pause();
			bench_ring_reclaim_bare(ring);
		}
		for (uint32_t i = 0; i < burst; i++) {
			uint32_t frame = (at + i) % BENCH_RING_FRAMES;
			uint64_t addr = bench_ring_addr(frame);

			ring_write(ring, i, frame, addr, at + i);
			seen.sum += addr;
		}
		ring_publish(ring, burst);
		bench_ring_reclaim_bare(ring);
	}
	return seen;
}

static struct bench_ring_seen bench_ring_consume_xfq(struct bench_ring *bench, uint32_t burst)
{
	struct xfq_ring *view = &bench->view;
	struct bench_ring_seen seen = {0};

	for (uint32_t at = 0; at < BENCH_RING_ELEMENTS;) {
		uint32_t cnt = xfq_ring_peek(view, burst);

		if (cnt == 0) {
			rte_pause();
			continue;
		}
		for (uint32_t i = 0; i < cnt; i++) {
			const struct xfq_ring_desc *desc = xfq_ring_desc(view, i);

			seen.sum += desc->addr;
			seen.wrong |= desc->len ^ (at + i);
		}
		xfq_ring_release(view, cnt);
		at += cnt;
	}
	return seen;
}

/* --- rte_ring ------------------------------------------------------------------------------- */

static struct bench_ring_seen bench_ring_produce_rte8(struct bench_ring *bench, uint32_t burst)
{
	struct bench_ring_seen seen = {0};
	void *elements[BENCH_RING_BURST_MAX];

	for (uint32_t at = 0; at < BENCH_RING_ELEMENTS; at += burst) {
		for (uint32_t i = 0; i < burst; i++) {
			uint64_t addr = bench_ring_addr(at + i);

			elements[i] = (void *)(uintptr_t)addr;
			seen.sum += addr;
		}
		while (rte_ring_sp_enqueue_bulk(bench->rte8, elements, burst, NULL) == 0)
			rte_pause();
	}
	return seen;
}

static struct bench_ring_seen bench_ring_consume_rte8(struct bench_ring *bench, uint32_t burst)
{
	struct bench_ring_seen seen = {0};
	void *elements[BENCH_RING_BURST_MAX];

	for (uint32_t at = 0; at < BENCH_RING_ELEMENTS; at += burst) {
		while (rte_ring_sc_dequeue_bulk(bench->rte8, elements, burst, NULL) == 0)
			rte_pause();
		for (uint32_t i = 0; i < burst; i++) {
			seen.sum += (uintptr_t)elements[i];
			seen.wrong |= (uintptr_t)elements[i] ^ bench_ring_addr(at + i);
		}
	}
	return seen;
}

static struct bench_ring_seen bench_ring_produce_rte16(struct bench_ring *bench, uint32_t burst)
{
	struct bench_ring_seen seen = {0};
	struct bench_ring_element elements[BENCH_RING_BURST_MAX];

	for (uint32_t at = 0; at < BENCH_RING_ELEMENTS; at += burst) {
		for (uint32_t i = 0; i < burst; i++) {
			uint64_t addr = bench_ring_addr((at + i) % BENCH_RING_FRAMES);

			elements[i] = (struct bench_ring_element){.addr = addr, .len = at + i};
			seen.sum += addr;
		}
		while (rte_ring_sp_enqueue_bulk_elem(bench->rte16, elements, sizeof(elements[0]),
						     burst, NULL) == 0)
			rte_pause();
	}
	return seen;
}

static struct bench_ring_seen bench_ring_consume_rte16(struct bench_ring *bench, uint32_t burst)
{
	struct bench_ring_seen seen = {0};
	struct bench_ring_element elements[BENCH_RING_BURST_MAX];

	for (uint32_t at = 0; at < BENCH_RING_ELEMENTS; at += burst) {
		while (rte_ring_sc_dequeue_bulk_elem(bench->rte16, elements, sizeof(elements[0]),
						     burst, NULL) == 0)
			rte_pause();
		for (uint32_t i = 0; i < burst; i++) {
			seen.sum += elements[i].addr;
			seen.wrong |= elements[i].len ^ (at + i);
		}
	}
	return seen;
}

/* --- a cache line --------------------------------------------------------------------------- */

static void bench_ring_wait(const uint32_t *word, uint32_t value)
{
	/* pairs with the release stores of called, ready, done and line */
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
		rte_pause();
}

static struct bench_ring_seen bench_ring_line_there(struct bench_ring *bench, uint32_t burst)
{
	(void)burst;
	for (uint32_t trip = 0; trip < BENCH_RING_TRIPS; trip++) {
		__atomic_store_n(&bench->line, 2 * trip + 1, __ATOMIC_RELEASE);
		bench_ring_wait(&bench->line, 2 * trip + 2);
	}
	return (struct bench_ring_seen){0};
}

static struct bench_ring_seen bench_ring_line_back(struct bench_ring *bench, uint32_t burst)
{
	(void)burst;
	for (uint32_t trip = 0; trip < BENCH_RING_TRIPS; trip++) {
		bench_ring_wait(&bench->line, 2 * trip + 1);
		__atomic_store_n(&bench->line, 2 * trip + 2, __ATOMIC_RELEASE);
	}
	return (struct bench_ring_seen){0};
}

/* --- the two threads ------------------------------------------------------------------------ */

enum bench_ring_whats { BENCH_XFQ, BENCH_XFQ_BARE, BENCH_RTE8, BENCH_RTE16, BENCH_WHATS };

static const struct bench_ring_what bench_ring_whats[BENCH_WHATS] = {
	[BENCH_XFQ] = {"xfq",
		       "descriptors of 16 bytes, read in place; includes the producer's references "
		       "to frames and its note of each slot's frame",
		       bench_ring_produce_xfq, bench_ring_consume_xfq, BENCH_RING_ELEMENTS},
	[BENCH_XFQ_BARE] = {"xfq_bare",
			    "descriptors of 16 bytes, read in place; includes the producer's note "
			    "of each slot's frame, no references",
			    bench_ring_produce_bare, bench_ring_consume_xfq, BENCH_RING_ELEMENTS},
	[BENCH_RTE8] = {"rte8", "rte_ring, one producer, one consumer, bulk, pointers of 8 bytes",
			bench_ring_produce_rte8, bench_ring_consume_rte8, BENCH_RING_ELEMENTS},
	[BENCH_RTE16] = {"rte16",
			 "rte_ring, one producer, one consumer, bulk, elements of 16 bytes",
			 bench_ring_produce_rte16, bench_ring_consume_rte16, BENCH_RING_ELEMENTS},
};

static const struct bench_ring_what bench_ring_line = {"line", "a cache line there and back",
						       bench_ring_line_there, bench_ring_line_back,
						       BENCH_RING_TRIPS};

static uint64_t bench_ring_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool bench_ring_pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((size_t)cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) == 0)
		return true;
	fprintf(stderr, "bench_ring: CPU %d: ", cpu);
	perror(NULL);
	return false;
}

static void *bench_ring_consumer(void *context)
{
	struct bench_ring *bench = context;

	if (!bench_ring_pin(bench->cpu[1]))
		exit(1);
	for (uint32_t turn = 1;; turn++) {
		bench_ring_wait(&bench->called, turn);
		if (bench->end)
			return NULL;
		__atomic_store_n(&bench->ready, turn, __ATOMIC_RELEASE);
		bench->consumed = bench->what->consume(bench, bench->burst);
		bench->consumed_ns = bench_ring_now_ns();
		__atomic_store_n(&bench->done, turn, __ATOMIC_RELEASE);
	}
}

static void bench_ring_lost(int number)
{
	static const char text[] = "bench_ring: an element did not arrive\n";

	(void)number;
	if (write(2, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

/* Whether the measurement just done passed on what it should, all of it and in order. */
static bool bench_ring_sound(struct bench_ring *bench, const struct bench_ring_seen *produced)
{
	struct frame_table *frames = &bench->frames;

	if (produced->wrong || bench->consumed.wrong || produced->sum != bench->consumed.sum)
		return false;
	if (bench->what == &bench_ring_whats[BENCH_XFQ_BARE])
		bench_ring_reclaim_bare(&bench->ring);
	else if (ring_reclaim(&bench->ring, frames))
		return false;
	return ring_used(&bench->ring) == 0 && frames->free_cnt == frames->total &&
	       frame_census_holds(frames) && rte_ring_empty(bench->rte8) &&
	       rte_ring_empty(bench->rte16);
}

/* ns per element, from before the first is made until after the last is read. Ends the program
 * where one of them went wrong. */
static double bench_ring_measure(struct bench_ring *bench, const struct bench_ring_what *what,
				 uint32_t burst)
{
	struct bench_ring_seen produced;
	uint64_t begin_ns;
	uint32_t turn = bench->called + 1;

	bench->what = what;
	bench->burst = burst;
	alarm(BENCH_RING_PATIENCE_S);
	__atomic_store_n(&bench->called, turn, __ATOMIC_RELEASE);
	bench_ring_wait(&bench->ready, turn);
	begin_ns = bench_ring_now_ns();
	produced = what->produce(bench, burst);
	bench_ring_wait(&bench->done, turn);
	alarm(0);
	if (!bench_ring_sound(bench, &produced)) {
		fprintf(stderr, "bench_ring: %s, burst %u: elements lost, repeated or reordered\n",
			what->name, burst);
		exit(1);
	}
	return (double)(bench->consumed_ns - begin_ns) / what->elements;
}

/* --- setting up ----------------------------------------------------------------------------- */

/* Zeroed pages of its own: nothing else shares a cache line or a prefetcher's stream. */
static void *bench_ring_memory(size_t bytes)
{
	void *memory;

	bytes = (bytes + 4095) / 4096 * 4096;
	memory = aligned_alloc(4096, bytes);
	if (!memory) {
		fputs("bench_ring: no memory\n", stderr);
		exit(1);
	}
	memset(memory, 0, bytes);
	return memory;
}

/* A ring in memory of ours: the environment that rte_ring_create() needs is not started. */
static struct rte_ring *bench_ring_rte(const char *name, uint32_t element_bytes)
{
	ssize_t bytes = rte_ring_get_memsize_elem(element_bytes, BENCH_RING_SLOTS);
	struct rte_ring *ring = bytes > 0 ? bench_ring_memory((size_t)bytes) : NULL;

	if (!ring || rte_ring_init(ring, name, BENCH_RING_SLOTS, RING_F_SP_ENQ | RING_F_SC_DEQ)) {
		fputs("bench_ring: rte_ring_init failed\n", stderr);
		exit(1);
	}
	return ring;
}

static void bench_ring_set_up(struct bench_ring *bench)
{
	size_t bytes = xfq_ring_prod_bytes(BENCH_RING_SLOTS);
	struct xfq_ring_prod *shared = bench_ring_memory(bytes);
	struct xfq_ring_cons *cons = bench_ring_memory(sizeof(*cons));

	frame_init(&bench->frames, bench_ring_memory(BENCH_RING_FRAMES * sizeof(uint32_t)),
		   bench_ring_memory(BENCH_RING_FRAMES * sizeof(uint16_t)), BENCH_RING_FRAMES);
	if (ring_init(&bench->ring, shared, cons,
		      bench_ring_memory(BENCH_RING_SLOTS * sizeof(uint32_t)), BENCH_RING_SLOTS,
		      BENCH_RING_SLOTS, 0, (uint64_t)BENCH_RING_FRAMES * BENCH_RING_FRAME) ||
	    !xfq_ring_open(&bench->view, shared, bytes, cons, NULL)) {
		fputs("bench_ring: no ring\n", stderr);
		exit(1);
	}
	bench->rte8 = bench_ring_rte("rte8", sizeof(void *));
	bench->rte16 = bench_ring_rte("rte16", sizeof(struct bench_ring_element));
	signal(SIGALRM, bench_ring_lost);
}

/* --- rows ----------------------------------------------------------------------------------- */

static int bench_ring_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* What was measured, in the order of the rounds until it is sorted for printing. */
struct bench_ring_times {
	uint32_t rounds;
	double *ns[BENCH_RING_BURSTS][BENCH_WHATS]; /* per element */
	double *line_ns;
};

/* Elements per second of one by those of the other, in each round; the median. */
static double bench_ring_ratio(const double *ns, const double *other_ns, uint32_t rounds)
{
	double *ratios = bench_ring_memory(rounds * sizeof(*ratios));
	double median;

	for (uint32_t i = 0; i < rounds; i++)
		ratios[i] = other_ns[i] / ns[i];
	qsort(ratios, rounds, sizeof(*ratios), bench_ring_compare);
	median = ratios[rounds / 2];
	free(ratios);
	return median;
}

/* The variants' rows at one size of burst. */
static void bench_ring_print(const struct bench_ring *bench, const struct bench_ring_times *times,
			     size_t b)
{
	double *const *ns = times->ns[b];
	uint32_t rounds = times->rounds, mid = rounds / 2, last = rounds - 1;
	double ratio[BENCH_WHATS][2];

	for (int w = 0; w < BENCH_WHATS; w++) {
		ratio[w][0] = bench_ring_ratio(ns[w], ns[BENCH_RTE8], rounds);
		ratio[w][1] = bench_ring_ratio(ns[w], ns[BENCH_RTE16], rounds);
	}
	for (int w = 0; w < BENCH_WHATS; w++) {
		qsort(ns[w], rounds, sizeof(double), bench_ring_compare);
		printf("{\"bench\": \"ring\", \"what\": \"%s\", \"of\": \"%s\", \"burst\": %u, "
		       "\"slots\": %d, \"cpus\": [%d, %d], \"elements\": %u, \"runs\": %u, "
		       "\"line_ns\": {\"median\": %.0f, \"min\": %.0f, \"max\": %.0f}, "
		       "\"ns_per_element\": {\"median\": %.3f, \"min\": %.3f, \"max\": %.3f}, "
		       "\"m_elements_per_s\": {\"median\": %.1f, \"min\": %.1f, \"max\": %.1f}, "
		       "\"ratio_rte8\": %.3f, \"ratio_rte16\": %.3f}\n",
		       bench_ring_whats[w].name, bench_ring_whats[w].of, bench_ring_bursts[b],
		       BENCH_RING_SLOTS, bench->cpu[0], bench->cpu[1], BENCH_RING_ELEMENTS, rounds,
		       times->line_ns[mid], times->line_ns[0], times->line_ns[last], ns[w][mid],
		       ns[w][0], ns[w][last], 1e3 / ns[w][mid], 1e3 / ns[w][last], 1e3 / ns[w][0],
		       ratio[w][0], ratio[w][1]);
	}
}

static const char bench_ring_usage[] =
	"usage: bench_ring [--rounds N] [--producer CPU] [--consumer CPU]\n"
	"Hands elements from one thread to another through XFQ's ring and through rte_ring, in\n"
	"turn, and prints a row for each of them and each size of burst.\n"
	"  --rounds N      1 to 9999; default 301\n"
	"  --producer CPU  that the producer runs on; default 0\n"
	"  --consumer CPU  that the consumer runs on, another one; default 1\n";

/* A number from `low` to `high`, else -1. */
static int bench_ring_number(const char *text, long low, long high)
{
	char *end;
	long number = strtol(text, &end, 10);

	return *text < '0' || *text > '9' || *end || number < low || number > high ? -1
										   : (int)number;
}

static bool bench_ring_parse(int argc, char **argv, int *rounds, int cpu[2])
{
	static const struct option options[] = {{"rounds", required_argument, NULL, 'r'},
						{"producer", required_argument, NULL, 'p'},
						{"consumer", required_argument, NULL, 'c'},
						{NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'r')
			*rounds = bench_ring_number(optarg, 1, BENCH_RING_ROUNDS_MAX);
		else if (option == 'p' || option == 'c')
			cpu[option == 'c'] = bench_ring_number(optarg, 0, CPU_SETSIZE - 1);
		else
			*rounds = -1;
	}
	if (optind == argc && *rounds > 0 && cpu[0] >= 0 && cpu[1] >= 0 && cpu[0] != cpu[1])
		return true;
	fputs(bench_ring_usage, stderr);
	return false;
}

/* Every variant at every size of burst once a round, beginning with another each round. */
static void bench_ring_rounds(struct bench_ring *bench, struct bench_ring_times *times)
{
	const uint32_t cases = BENCH_RING_BURSTS * BENCH_WHATS;

	for (uint32_t c = 0; c < cases; c++) /* warm up */
		bench_ring_measure(bench, &bench_ring_whats[c % BENCH_WHATS],
				   bench_ring_bursts[c / BENCH_WHATS]);
	for (uint32_t round = 0; round < times->rounds; round++) {
		times->line_ns[round] = bench_ring_measure(bench, &bench_ring_line, 0);
		for (uint32_t i = 0; i < cases; i++) {
			uint32_t c = (i + round) % cases;

			times->ns[c / BENCH_WHATS][c % BENCH_WHATS][round] =
				bench_ring_measure(bench, &bench_ring_whats[c % BENCH_WHATS],
						   bench_ring_bursts[c / BENCH_WHATS]);
		}
	}
}

int main(int argc, char **argv)
{
	static struct bench_ring bench = {.cpu = {0, 1}};
	struct bench_ring_times times;
	pthread_t consumer;
	int rounds = 301;

	if (!bench_ring_parse(argc, argv, &rounds, bench.cpu))
		return 2;
	times.rounds = (uint32_t)rounds;
	times.line_ns = bench_ring_memory(times.rounds * sizeof(double));
	for (size_t b = 0; b < BENCH_RING_BURSTS; b++)
		for (int w = 0; w < BENCH_WHATS; w++)
			times.ns[b][w] = bench_ring_memory(times.rounds * sizeof(double));
	bench_ring_set_up(&bench);
	if (!bench_ring_pin(bench.cpu[0]))
		return 1;
	if (pthread_create(&consumer, NULL, bench_ring_consumer, &bench)) {
		fputs("bench_ring: no thread\n", stderr);
		return 1;
	}
	bench_ring_rounds(&bench, &times);
	bench.end = true;
	__atomic_store_n(&bench.called, bench.called + 1, __ATOMIC_RELEASE);
	pthread_join(consumer, NULL);
	qsort(times.line_ns, times.rounds, sizeof(double), bench_ring_compare);
	for (size_t b = 0; b < BENCH_RING_BURSTS; b++)
		bench_ring_print(&bench, &times, b);
	return 0;
}
