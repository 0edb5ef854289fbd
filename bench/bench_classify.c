/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What it costs to find out which expressions a packet matches: by libpcap's interpreter, one
 * expression after the other; by a unit that is interpreted; and by its machine code. No kernel and
 * no root. In every round each variant goes through all packets in bursts; rows are medians of the
 * rounds. All must give the same answers.
 */
#include "bench/packets.h"
#include "steering/policy.h"
#include "workers/native_load.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLASSIFY_PACKETS    4096
#define CLASSIFY_ROUNDS     41
#define CLASSIFY_ROUNDS_MAX 1001
#define CLASSIFY_PASSES     16 /* through all packets, of units; libpcap has one */
#define CLASSIFY_GROUPS_MAX 64
#define CLASSIFY_TEXT_BYTES 160

/* What people ask for: web, DNS, mail, VPNs, scans, IPv6, tags, fragments. */
static const char *const classify_texts[] = {
	"tcp port 80 or tcp port 443",
	"udp port 443",
	"port 53",
	"tcp port 25 or tcp port 465 or tcp port 587",
	"tcp port 143 or tcp port 993",
	"esp or udp port 500 or udp port 4500 or udp port 1194 or udp port 51820",
	"tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn",
	"tcp[tcpflags] & tcp-rst != 0",
	"ip6",
	"vlan",
	"ip[6:2] & 0x3fff != 0",
	"icmp or icmp6",
	"tcp port 22 and not src net 198.19.0.0/24",
	"net 198.18.0.0/20 and tcp",
	"udp port 123 or udp port 161",
	"host 198.19.0.1 or host 2001:db8::1",
};
#define CLASSIFY_REALISTIC (sizeof(classify_texts) / sizeof(classify_texts[0]))

enum classify_way { CLASSIFY_LIBPCAP, CLASSIFY_INTERPRETED, CLASSIFY_NATIVE, CLASSIFY_WAYS };
static const char *const classify_way_names[CLASSIFY_WAYS] = {"libpcap", "interpreted", "native"};

/* Expressions of so many groups, as a policy has them. */
struct classify_case {
	const char *what;
	uint32_t cnt;
	struct expression expressions[CLASSIFY_GROUPS_MAX];
	const struct expression *pointers[CLASSIFY_GROUPS_MAX];
	struct policy policy;
	struct unit *unit;
	double ns[CLASSIFY_WAYS][CLASSIFY_ROUNDS_MAX];
	double compile_ms;
	uint64_t matched;
};

static const uint32_t classify_counts[] = {1, 2, 4, 8, 16, 32, 64};
#define CLASSIFY_COUNTS (sizeof(classify_counts) / sizeof(classify_counts[0]))

static struct packet classify_pkts[CLASSIFY_PACKETS];

static void classify_fail(const char *text)
{
	fprintf(stderr, "bench_classify: %s\n", text);
	exit(1);
}

/* Of this thread on its CPU: what others take is in it only as far as they use the caches. */
static double classify_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* --- set-up ----------------------------------------------------------------------------------- */

static void classify_fill(void)
{
	struct generate_packet *from = calloc(CLASSIFY_PACKETS, sizeof(*from));
	struct xfq_meta *meta = calloc(CLASSIFY_PACKETS, sizeof(*meta));

	if (!from || !meta)
		classify_fail("no memory");
	packets_fill_varied(from, CLASSIFY_PACKETS);
	for (uint32_t i = 0; i < CLASSIFY_PACKETS; i++) {
		meta[i].wire_len = from[i].len;
		classify_pkts[i] = (struct packet){
			.data = from[i].data, .len = from[i].len, .meta = &meta[i], .frame = i};
	}
}

/* What group number `i` asks for: the realistic ones, then services of servers, which differ in
 * what tells groups of one operator apart. */
static void classify_text(uint32_t i, char *text)
{
	static const char *const services[] = {"tcp port 443", "tcp port 80", "udp port 53",
					       "udp port 443"};
	uint32_t n = i - (uint32_t)CLASSIFY_REALISTIC;

	if (i < CLASSIFY_REALISTIC)
		snprintf(text, CLASSIFY_TEXT_BYTES, "%s", classify_texts[i]);
	else if (n % 3 == 0)
		snprintf(text, CLASSIFY_TEXT_BYTES, "host 198.19.0.%u and %s", 1 + n / 3,
			 services[n % 4]);
	else if (n % 3 == 1)
		snprintf(text, CLASSIFY_TEXT_BYTES, "src net 198.18.%u.0/24 and (%s or %s)", n / 3,
			 services[n % 4], services[(n + 1) % 4]);
	else
		snprintf(text, CLASSIFY_TEXT_BYTES, "tcp portrange %u-%u or udp portrange %u-%u",
			 1000 + 100 * n, 1099 + 100 * n, 32768 + 100 * n, 32799 + 100 * n);
}

/* `twice`: two units, as a policy has them of which the flow cache answers nothing. */
static void classify_create(struct classify_case *item, const char *what, uint32_t cnt, bool twice)
{
	struct xfq_error error = {0};
	double begin;

	item->what = what;
	item->cnt = cnt;
	item->unit = &item->policy.outer.unit;
	for (uint32_t i = 0; i < cnt; i++) {
		char text[CLASSIFY_TEXT_BYTES];

		classify_text(i, text);
		if (expression_compile(&item->expressions[i], text, &error))
			classify_fail(error.text);
		item->pointers[i] = &item->expressions[i];
	}
	if (unit_create(item->unit, item->pointers, cnt, &error))
		classify_fail(error.text);
	if (twice && unit_create(&item->policy.rest.unit, item->pointers, cnt, &error))
		classify_fail(error.text);
	begin = classify_now_ns();
	if (native_load_compile(&item->policy, &error))
		classify_fail(error.text);
	item->compile_ms = (classify_now_ns() - begin) / 1e6;
}

static void classify_destroy_case(struct classify_case *item)
{
	if (item->policy.native)
		item->policy.free_native(item->policy.native);
	unit_destroy(item->unit);
	unit_destroy(&item->policy.rest.unit);
	for (uint32_t i = 0; i < item->cnt; i++)
		expression_destroy(&item->expressions[i]);
}

/* --- measuring -------------------------------------------------------------------------------- */

static void classify_libpcap(const struct classify_case *item, const struct packet *pkts,
			     uint64_t *hits)
{
	for (uint32_t e = 0; e < item->cnt; e++) {
		hits[e] = 0;
		for (uint32_t i = 0; i < PACKET_BURST; i++)
			hits[e] |= (uint64_t)expression_match(&item->expressions[e], pkts[i].data,
							      pkts[i].meta->wire_len, pkts[i].len)
				   << i;
	}
}

/* Once through all packets; what matched, so that nothing is left out. */
static uint64_t classify_pass(const struct classify_case *item, enum classify_way way)
{
	uint64_t hits[CLASSIFY_GROUPS_MAX], sum = 0;

	for (uint32_t at = 0; at < CLASSIFY_PACKETS; at += PACKET_BURST) {
		const struct packet *pkts = &classify_pkts[at];

		if (way == CLASSIFY_LIBPCAP)
			classify_libpcap(item, pkts, hits);
		else if (way == CLASSIFY_INTERPRETED)
			unit_interpret(item->unit, pkts, PACKET_BURST, hits);
		else
			unit_run(item->unit, pkts, PACKET_BURST, hits);
		for (uint32_t e = 0; e < item->cnt; e++)
			sum += hits[e] ^ (at + e); /* next to nothing beside what is measured */
	}
	return sum;
}

static void classify_measure(struct classify_case *item, enum classify_way way, uint32_t round)
{
	uint32_t passes = way == CLASSIFY_LIBPCAP ? 1 : CLASSIFY_PASSES;
	double begin = classify_now_ns();
	uint64_t sum = 0;

	for (uint32_t pass = 0; pass < passes; pass++)
		sum = classify_pass(item, way);
	item->ns[way][round] = (classify_now_ns() - begin) / ((double)passes * CLASSIFY_PACKETS);
	if (item->matched && item->matched != sum)
		classify_fail("the answers differ");
	item->matched = sum;
}

static int classify_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts the values. */
static double classify_median(double *values, uint32_t cnt)
{
	qsort(values, cnt, sizeof(*values), classify_compare);
	return values[cnt / 2];
}

/* The median of what `of` takes by what `to` takes, in the same round. Before anything is sorted.
 */
static double classify_ratio(const double *of, const double *to, uint32_t rounds)
{
	double ratios[CLASSIFY_ROUNDS_MAX];

	for (uint32_t i = 0; i < rounds; i++)
		ratios[i] = of[i] / to[i];
	return classify_median(ratios, rounds);
}

/* --- rows ------------------------------------------------------------------------------------- */

static void classify_row(struct classify_case *item, enum classify_way way, uint32_t rounds,
			 const char *ratio_name, double ratio)
{
	double *ns = item->ns[way], median = classify_median(ns, rounds);

	printf("{\"bench\": \"classify\", \"what\": \"%s\", \"way\": \"%s\", \"groups\": %u, "
	       "\"packets\": %d, \"burst\": %d, \"runs\": %u, \"ns_per_packet\": {\"median\": "
	       "%.2f, \"min\": %.2f, \"max\": %.2f}, \"%s\": %.2f}\n",
	       item->what, classify_way_names[way], item->cnt, CLASSIFY_PACKETS, PACKET_BURST,
	       rounds, median, ns[0], ns[rounds - 1], ratio_name, ratio);
}

static void classify_compile_row(const struct classify_case *first, struct classify_case *item,
				 uint32_t rounds)
{
	double ms[CLASSIFY_ROUNDS_MAX], median;

	for (uint32_t i = 0; i < rounds; i++) {
		struct classify_case *again = calloc(1, sizeof(*again));

		if (!again)
			classify_fail("no memory");
		classify_create(again, item->what, item->cnt, true);
		ms[i] = again->compile_ms;
		classify_destroy_case(again);
		free(again);
	}
	median = classify_median(ms, rounds);
	printf("{\"bench\": \"classify\", \"what\": \"compile\", \"way\": \"native\", \"groups\": "
	       "%u, \"units\": 2, \"runs\": %u, \"nodes\": %u, \"first_ms\": %.1f, \"ms\": "
	       "{\"median\": %.1f, "
	       "\"min\": %.1f, \"max\": %.1f}}\n",
	       item->cnt, rounds, item->unit->graph.cnt, first->compile_ms, median, ms[0],
	       ms[rounds - 1]);
}

static void classify_bench(uint32_t rounds)
{
	static struct classify_case cases[CLASSIFY_COUNTS], first;
	double by_one[CLASSIFY_COUNTS], by_libpcap[CLASSIFY_WAYS];
	struct classify_case *realistic = NULL;

	/* with all that it takes to start */
	classify_create(&first, "first", CLASSIFY_GROUPS_MAX, true);
	for (uint32_t c = 0; c < CLASSIFY_COUNTS; c++) {
		classify_create(&cases[c], "groups", classify_counts[c], false);
		if (classify_counts[c] == CLASSIFY_REALISTIC)
			realistic = &cases[c];
	}
	for (uint32_t round = 0; round < rounds; round++) {
		classify_measure(realistic, CLASSIFY_LIBPCAP, round);
		classify_measure(realistic, CLASSIFY_INTERPRETED, round);
		for (uint32_t c = 0; c < CLASSIFY_COUNTS; c++)
			classify_measure(&cases[c], CLASSIFY_NATIVE, round);
	}
	for (uint32_t c = 0; c < CLASSIFY_COUNTS; c++)
		by_one[c] = classify_ratio(cases[c].ns[CLASSIFY_NATIVE],
					   cases[0].ns[CLASSIFY_NATIVE], rounds);
	for (int way = 0; way < CLASSIFY_WAYS; way++)
		by_libpcap[way] =
			classify_ratio(realistic->ns[CLASSIFY_LIBPCAP], realistic->ns[way], rounds);
	realistic->what = "expressions";
	for (int way = 0; way < CLASSIFY_WAYS; way++)
		classify_row(realistic, (enum classify_way)way, rounds, "faster_than_libpcap",
			     by_libpcap[way]);
	realistic->what = "groups";
	for (uint32_t c = 0; c < CLASSIFY_COUNTS; c++)
		classify_row(&cases[c], CLASSIFY_NATIVE, rounds, "by_one_group", by_one[c]);
	classify_compile_row(&first, &cases[CLASSIFY_COUNTS - 1], rounds);
	for (uint32_t c = 0; c < CLASSIFY_COUNTS; c++)
		classify_destroy_case(&cases[c]);
	classify_destroy_case(&first);
}

int main(int argc, char **argv)
{
	unsigned long rounds = CLASSIFY_ROUNDS;

	if (argc == 3 && strcmp(argv[1], "--rounds") == 0)
		rounds = strtoul(argv[2], NULL, 10);
	if ((argc != 1 && argc != 3) || rounds < 1 || rounds > CLASSIFY_ROUNDS_MAX) {
		fprintf(stderr, "usage: bench_classify [--rounds N]\n");
		return 2;
	}
	classify_fill();
	classify_bench((uint32_t)rounds);
	return 0;
}
