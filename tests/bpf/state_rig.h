/* SPDX-License-Identifier: BSD-2-Clause */
/* The first pass with what it remembers, in the kernel and in user space at once, by a clock that
 * the test sets. */
#ifndef TESTS_BPF_STATE_RIG_H
#define TESTS_BPF_STATE_RIG_H

#include "tests/packet_builder.h"
#include "xdp/first_pass.h"
#include "xdp/fragment.h"
#include "xdp/loader.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000000ULL
#define SEED   0x0123456789abcdefULL

static uint64_t random_state = 7;

static inline uint64_t random_next(void)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline uint32_t random_below(uint32_t n)
{
	return (uint32_t)(random_next() % n);
}

/* --- both ------------------------------------------------------------------------------------ */

struct pair {
	struct filter filter;
	struct loader loader;
	struct first_pass pass;
	struct shunt_table table;
	uint64_t now_ns;
};

static void pair_begin(struct pair *pair)
{
	memset(pair, 0, sizeof(*pair));
	filter_init(&pair->filter);
	pair->filter.default_action = FILTER_DROP;
	pair->now_ns = 1000 * SECOND;
}

static void pair_load(struct pair *pair)
{
	struct loader_options options = {
		.filter = &pair->filter, .hash_seed = SEED, .test_clock = true};
	struct xfq_error error = {0};

	if (loader_load(&pair->loader, &options, &error))
		fail_msg("%s", error.text);
	assert_int_equal(shunt_table_create(&pair->table, pair->filter.shunt_flows), 0);
	pair->pass = (struct first_pass){
		.filter = &pair->filter, .hash_seed = SEED, .shunt = &pair->table};
	/* both begin at the same time */
	pair->table.now_ns = pair->now_ns;
}

static void pair_destroy(struct pair *pair)
{
	loader_destroy(&pair->loader);
	first_pass_destroy(&pair->pass);
	shunt_table_destroy(&pair->table);
	filter_destroy(&pair->filter);
}

static inline void pair_shunts(struct pair *pair, struct shunt *kernel, struct shunt *user)
{
	struct xfq_error error;

	if (loader_shunt(&pair->loader, kernel, &error))
		fail_msg("%s", error.text);
	*user = (struct shunt){.flows_fd = -1, .state_fd = -1, .table = &pair->table};
}

static inline void pair_sync(const struct pair *pair)
{
	assert_int_equal(loader_set_clock((struct loader *)&pair->loader, pair->now_ns), 0);
}

/* Run a packet in both. */
static inline enum xdp_verdict pair_run(struct pair *pair, const struct packet_builder *b)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = b->bytes, .data_size_in = b->len,
		    .repeat = 1);
	struct xfq_meta meta;
	struct first_pass_result result =
		first_pass_run(&pair->pass, b->bytes, b->len, b->len, pair->now_ns, &meta);

	if (bpf_prog_test_run_opts(loader_program_fd(&pair->loader), &options))
		fail_msg("test run: %s", strerror(errno));
	assert_int_equal(options.retval, result.action == XDP_VERDICT_DROP ? XDP_DROP
					 : result.action == XDP_VERDICT_TX ? XDP_TX
									   : XDP_PASS);
	return result.verdict;
}

/* Both have counted the same. */
static inline void pair_check(struct pair *pair, const char *what)
{
	struct xdp_counters kernel, user = pair->pass.counters;
	const __u64 *a = (const __u64 *)&kernel, *b = (const __u64 *)&user;

	assert_int_equal(loader_counters(&pair->loader, &kernel), 0);
	/* what is to be steered finds no socket there */
	assert_int_equal(kernel.no_socket, user.verdicts[XDP_VERDICT_STEER].packets);
	user.no_socket = kernel.no_socket;
	user.verdicts[XDP_VERDICT_PASS].packets += user.verdicts[XDP_VERDICT_STEER].packets;
	user.verdicts[XDP_VERDICT_PASS].bytes += user.verdicts[XDP_VERDICT_STEER].bytes;
	user.verdicts[XDP_VERDICT_STEER] = (struct xdp_counter){0};
	for (size_t i = 0; i < sizeof(kernel) / sizeof(*a); i++)
		if (a[i] != b[i])
			fail_msg("%s: counter word %zu: kernel %llu, user space %llu", what, i,
				 (unsigned long long)a[i], (unsigned long long)b[i]);
}

/* 77 where the kernel does not let the test load programs, 1 where something else is wrong; else 0.
 */
static inline int pair_possible(void)
{
	struct loader_options options = {0};
	struct xfq_error error = {0};
	struct loader loader;
	struct filter filter;

	filter_init(&filter);
	options.filter = &filter;
	if (loader_load(&loader, &options, &error)) {
		printf("%s: %s\n", error.code == -EPERM ? "skipped" : "failed", error.text);
		return error.code == -EPERM ? 77 : 1;
	}
	loader_destroy(&loader);
	return 0;
}

#endif
