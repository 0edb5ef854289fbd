/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Named sets of prefixes: what a look-up costs in the kernel, what adding a member and loading a
 * million cost; beside an LPM trie. Prints a JSON object per row.
 *
 *	bench_set [ROUNDS]
 *
 * Look-ups are run by BPF_PROG_TEST_RUN on addresses from an array: "same", one address over and
 * over; "spread", 65536 different ones, of which the set's maps are not in the caches. `ns` is what
 * a round took more than one without a look-up did. Prefixes are half networks, half single ones
 * (IPv4 /24 and /32, IPv6 /48 and /64), or of any length ("mixed": IPv4 /9 to /32, IPv6 /41 to
 * /128 below one /32).
 */
#include "bench/bench_set.h"
#include "xdp/setmap.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <set.skel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_REPEAT 200000
#define BENCH_ROUNDS 7

static uint64_t bench_state = 0x5eedULL;

static uint64_t bench_random(void)
{
	return flow_mix(bench_state += 0x9e3779b97f4a7c15ULL);
}

static double bench_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void __attribute__((noreturn)) bench_fail(const char *what, const char *why)
{
	fprintf(stderr, "bench_set: %s: %s\n", what, why);
	exit(1);
}

/* --- sets ------------------------------------------------------------------------------------- */

static void bench_prefix(struct set_member *member, bool v6, bool mixed)
{
	struct set_net *net = &member->key.net;
	uint64_t bits = bench_random(), more = bench_random();

	memset(member, 0, sizeof(*member));
	member->expires_ns = SET_FOREVER;
	net->v6 = v6;
	if (v6) {
		memcpy(net->addr, &bits, 8);
		memcpy(net->addr + 8, &more, 8);
		memcpy(net->addr, mixed ? "\x20\x01\x0d\xb8" : "\x2a", mixed ? 4 : 1);
		net->len = (uint8_t)(mixed ? 41 + more % 88 : more % 2 ? 48 : 64);
	} else {
		memcpy(net->addr, &bits, 4);
		net->len = (uint8_t)(mixed ? 9 + more % 24 : more % 2 ? 24 : 32);
	}
	/* 198.0.0.0/8 and 2001:db8:ffff::/48 are left for what is to miss */
	if (!v6 && net->addr[0] == 198)
		net->addr[0] = 10;
	if (v6 && net->addr[4] == 0xff)
		net->addr[4] = 0;
	if (mixed && !v6 && net->len < 16)
		net->len = (uint8_t)(net->len + 8);
	set_clear_host_bits(net->addr, net->len);
}

static void bench_fill(struct set *set, bool v6, bool mixed, uint32_t cnt)
{
	set_flush(set);
	while (set->cnt < cnt) {
		struct set_member member;

		bench_prefix(&member, v6, mixed);
		if (set_add(set, &member) < 0)
			bench_fail("a set", "no memory");
	}
}

static void bench_sources(struct set_bpf *skeleton, const struct set *set, bool v6, bool hit,
			  bool spread)
{
	for (__u32 i = 0; i < BENCH_SET_SOURCES; i++) {
		struct bench_set_source source = {.v6 = v6};
		uint64_t random = spread ? bench_random() : 0;
		const struct set_net *net = &set->members[random % set->cnt].key.net;
		uint8_t miss[16] = {198};

		memcpy(miss + 1, &random, v6 ? 7 : 3);
		if (v6)
			memcpy(miss, "\x20\x01\x0d\xb8\xff", 5);
		memcpy(source.addr, hit ? net->addr : miss, 16);
		if (bpf_map_update_elem(bpf_map__fd(skeleton->maps.sources), &i, &source, BPF_ANY))
			bench_fail("sources", strerror(errno));
	}
}

static void bench_fill_trie(struct set_bpf *skeleton, const struct set *set)
{
	int fd = bpf_map__fd(skeleton->maps.trie);
	struct bench_set_prefix key, next;

	while (bpf_map_get_next_key(fd, NULL, &next) == 0) {
		key = next;
		bpf_map_delete_elem(fd, &key);
	}
	for (uint32_t i = 0; i < set->cnt; i++) {
		key.len = set->members[i].key.net.len;
		memcpy(key.addr, set->members[i].key.net.addr, 16);
		if (bpf_map_update_elem(fd, &key, &(__u8){1}, BPF_ANY))
			bench_fail("trie", strerror(errno));
	}
}

/* --- look-ups --------------------------------------------------------------------------------- */

static double bench_run(struct set_bpf *skeleton, struct bpf_program *program, uint64_t *in_set)
{
	uint8_t packet[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = BENCH_REPEAT);
	double start_ns = bench_clock(CLOCK_THREAD_CPUTIME_ID);

	skeleton->bss->in_set = 0;
	if (bpf_prog_test_run_opts(bpf_program__fd(program), &options))
		bench_fail("test run", strerror(errno));
	*in_set = skeleton->bss->in_set;
	return (bench_clock(CLOCK_THREAD_CPUTIME_ID) - start_ns) / BENCH_REPEAT;
}

static int bench_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void bench_look_up(struct set_bpf *skeleton, const char *name, const struct set *set,
			  bool v6, bool hit, bool spread, int rounds)
{
	struct bpf_program *const programs[] = {skeleton->progs.bench_levels,
						skeleton->progs.bench_trie};
	static const char *const names[] = {"levels", "lpm_trie"};
	double *ns[2] = {calloc((size_t)rounds, sizeof(double)),
			 calloc((size_t)rounds, sizeof(double))};
	uint64_t in_set, wanted = hit ? BENCH_REPEAT : 0;

	bench_sources(skeleton, set, v6, hit, spread);
	for (int round = 0; round < rounds && ns[0] && ns[1]; round++) {
		double none = bench_run(skeleton, skeleton->progs.bench_none, &in_set);

		for (int i = 0; i < 2; i++) {
			ns[i][round] = bench_run(skeleton, programs[i], &in_set) - none;
			if (in_set != wanted)
				bench_fail(names[i], "does not find what it should");
		}
	}
	for (int i = 0; i < 2; i++) {
		qsort(ns[i], (size_t)rounds, sizeof(double), bench_compare);
		printf("{\"bench\": \"set_look_up\", \"structure\": \"%s\", \"prefixes\": %u, "
		       "\"lengths\": \"%s\", \"family\": %d, \"hit\": %s, \"addresses\": \"%s\", "
		       "\"rounds\": %d, \"ns_median\": %.1f, \"ns_min\": %.1f, \"ns_max\": %.1f}\n",
		       names[i], set->cnt, name, v6 ? 6 : 4, hit ? "true" : "false",
		       spread ? "spread" : "same", rounds, ns[i][rounds / 2], ns[i][0],
		       ns[i][rounds - 1]);
		free(ns[i]);
	}
	fflush(stdout);
}

static void bench_look_ups(struct set_bpf *skeleton, bool v6, bool mixed, uint32_t cnt, int rounds)
{
	struct setmap_slots slots = SETMAP_SLOTS(skeleton);
	struct set set = {.type = SET_NET};
	const struct set *sets[] = {&set};
	struct xfq_error error = {0};
	struct setmaps maps;

	bench_fill(&set, v6, mixed, cnt);
	bench_fill_trie(skeleton, &set);
	if (setmaps_create(&maps, sets, 1, &error) || setmaps_place(&maps, &slots, &error))
		bench_fail("set", error.text);
	for (int i = 0; i < 4; i++)
		bench_look_up(skeleton, mixed ? "mixed" : "two", &set, v6, i % 2, i / 2, rounds);
	setmaps_destroy(&maps);
	set_destroy(&set);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void bench_changes(struct set_bpf *skeleton, bool v6, uint32_t cnt)
{
	struct setmap_slots slots = SETMAP_SLOTS(skeleton);
	struct set set = {.type = SET_NET};
	const struct set *sets[] = {&set};
	struct setmaps maps;
	struct setmaps_target target = {&maps, &slots, 1};
	struct set_member members[1000];
	struct xfq_error error = {0};
	double load_ns, add_ns, del_ns, worst_ns = 0;

	bench_fill(&set, v6, false, cnt);
	load_ns = bench_clock(CLOCK_MONOTONIC);
	if (setmaps_create(&maps, sets, 1, &error) || setmaps_place(&maps, &slots, &error))
		bench_fail("set", error.text);
	load_ns = bench_clock(CLOCK_MONOTONIC) - load_ns;
	for (int i = 0; i < 1000; i++)
		bench_prefix(&members[i], v6, false);
	add_ns = bench_clock(CLOCK_MONOTONIC);
	for (int i = 0; i < 1000; i++) {
		double one = bench_clock(CLOCK_MONOTONIC);

		if (setmaps_add(&target, 0, &set, &members[i], &error) < 0)
			bench_fail("add", error.text);
		one = bench_clock(CLOCK_MONOTONIC) - one;
		if (one > worst_ns)
			worst_ns = one;
	}
	add_ns = bench_clock(CLOCK_MONOTONIC) - add_ns;
	del_ns = bench_clock(CLOCK_MONOTONIC);
	for (int i = 0; i < 1000; i++)
		if (setmaps_del(&target, 0, &set, &members[i].key, &error) < 0)
			bench_fail("del", error.text);
	del_ns = bench_clock(CLOCK_MONOTONIC) - del_ns;
	printf("{\"bench\": \"set_change\", \"prefixes\": %u, \"family\": %d, \"load_s\": %.3f, "
	       "\"add_us\": %.2f, \"add_us_max\": %.2f, \"del_us\": %.2f}\n",
	       cnt, v6 ? 6 : 4, load_ns / 1e9, add_ns / 1e6, worst_ns / 1e3, del_ns / 1e6);
	fflush(stdout);
	setmaps_destroy(&maps);
	set_destroy(&set);
}

int main(int argc, char **argv)
{
	static const uint32_t cnts[] = {1, 100000};
	int rounds = argc > 1 ? atoi(argv[1]) : BENCH_ROUNDS;
	struct set_bpf *skeleton = set_bpf__open_and_load();

	if (!skeleton || rounds < 1)
		bench_fail("bench_set [ROUNDS]", rounds < 1 ? "usage" : strerror(errno));
	for (int i = 0; i < 8; i++)
		bench_look_ups(skeleton, i & 1, i & 4, cnts[i >> 1 & 1], rounds);
	for (int v6 = 0; v6 < 2; v6++) {
		bench_changes(skeleton, v6, 100000);
		bench_changes(skeleton, v6, 1000000);
	}
	set_bpf__destroy(skeleton);
	return 0;
}
