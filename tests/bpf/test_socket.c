/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program of packet sockets against the first pass in user space: every packet, under every
 * policy, must come to the same decision and counters.
 *
 * A test run takes what looks like an Ethernet header off the packet before it calls a socket
 * filter; a packet socket does not. So every packet has one more in front.
 */
#include "tests/bpf/corpus.h"
#include "tests/bpf/scenarios.h"
#include "tests/scale.h"
#include "xdp/first_pass.h"
#include "xdp/loader.h"
#include "xdp/socket.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MUTATIONS  6000
#define PACKET_MIN 14
#define PACKET_MAX 3000
#define FRONT      14 /* what a test run takes off */

static struct corpus captured, shapes, cuts, mutated;
static struct set made_sets[SET_CNT];
static const struct set *sets[XDP_SETS_MAX];
static uint64_t compared_cnt, steered_cnt;

struct pair {
	struct loader loader;
	struct setmaps maps;
	struct first_pass pass;
	struct filter filter;
	size_t index;
};

static void pair_load(struct pair *pair, size_t index)
{
	uint32_t lo = if_nametoindex("lo"), set_cnt;
	struct xfq_error error = {0};
	struct loader_options options = {
		.filter = &pair->filter,
		.sets = &pair->maps,
		.hash_seed = SCENARIO_SEED * (index + 1),
		.ifindex = &lo,
		.interface_cnt = 1,
	};

	memset(pair, 0, sizeof(*pair));
	pair->index = index;
	set_cnt = policy_fill(&pair->filter, index);
	options.test_clock = policy_has_limits(&pair->filter);
	pair->filter.sets = sets;
	pair->filter.set_cnt = set_cnt;
	pair->pass = (struct first_pass){.filter = &pair->filter, .hash_seed = options.hash_seed};
	if (setmaps_create(&pair->maps, sets, set_cnt, &error) ||
	    loader_load(&pair->loader, &options, &error) ||
	    loader_packet_sockets(&pair->loader, &error))
		fail_msg("policy %zu (%s): %s", index, policy_name(index), error.text);
}

static void pair_destroy(struct pair *pair)
{
	loader_destroy(&pair->loader);
	first_pass_destroy(&pair->pass);
	setmaps_destroy(&pair->maps);
	filter_destroy(&pair->filter);
}

/* Whether the program would have the packet copied. */
static bool kernel_run(const struct pair *pair, const struct corpus_packet *packet)
{
	static uint8_t data[FRONT + PACKET_MAX] = {[12] = 0x88, [13] = 0xb5};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = data,
		    .data_size_in = FRONT + packet->len, .repeat = 1);

	memcpy(data + FRONT, packet->data, packet->len);
	if (bpf_prog_test_run_opts(socket_program_fd(pair->loader.now.socket), &options))
		fail_msg("test run of %u bytes: %s", packet->len, strerror(errno));
	return options.retval != 0;
}

static void pair_compare(struct pair *pair, const struct corpus *corpus, const char *what)
{
	struct xdp_counters kernel;
	struct xfq_meta meta;

	for (size_t i = 0; i < corpus->cnt; i += test_scale_step(), compared_cnt++) {
		const struct corpus_packet *packet = &corpus->packets[i];
		bool user = first_pass_run(&pair->pass, packet->data, packet->len, packet->len, 0,
					   &meta)
				    .action == XDP_VERDICT_STEER;
		bool copied = kernel_run(pair, packet);

		steered_cnt += user;
		assert_int_equal(loader_counters(&pair->loader, &kernel), 0);
		if (copied == user && memcmp(&kernel, &pair->pass.counters, sizeof(kernel)) == 0)
			continue;
		for (uint32_t b = 0; b < packet->len; b++)
			print_error("%s%02x", b % 32 ? " " : "\n  ", packet->data[b]);
		print_error("\nkernel %d, user space %d\n", copied, user);
		fail_msg("policy %zu (%s), %s packet %zu: the builds differ", pair->index,
			 policy_name(pair->index), what, i);
	}
}

static void test_all(void **state)
{
	struct pair pair;

	(void)state;
	for (size_t i = 0; i < POLICY_CNT; i++) {
		pair_load(&pair, i);
		pair_compare(&pair, &shapes, "made-up");
		pair_compare(&pair, &cuts, "cut");
		pair_compare(&pair, &captured, "captured");
		pair_compare(&pair, &mutated, "mutated");
		pair_destroy(&pair);
	}
	assert_true(steered_cnt > 0 && steered_cnt < compared_cnt);
}

/* A socket that is given the program is judged by it, and after a reload by the next one. */
static void test_replace(void **state)
{
	struct filter none, all;
	struct loader loader;
	uint32_t lo = if_nametoindex("lo");
	struct loader_options options = {.filter = &none, .ifindex = &lo, .interface_cnt = 1};
	struct xfq_error error = {0};
	struct xdp_counters counters;
	uint8_t data[64] = {[12] = 0x88, [13] = 0xb5}, in[64];
	int pair[2];

	(void)state;
	filter_init(&none);
	filter_init(&all);
	none.default_action = FILTER_DROP;
	/* a filter of any socket sees what that is to receive */
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	if (loader_load(&loader, &options, &error) || loader_packet_sockets(&loader, &error) ||
	    loader_packet_socket(&loader, pair[1], &error))
		fail_msg("%s", error.text);
	assert_int_equal(send(pair[0], data, sizeof(data), MSG_DONTWAIT), sizeof(data));
	assert_true(recv(pair[1], in, sizeof(in), MSG_DONTWAIT) < 0);
	assert_int_equal(loader_counters(&loader, &counters), 0);
	assert_int_equal(counters.verdicts[XDP_VERDICT_DROP].packets, 1);
	if (loader_replace(&loader, &all, NULL, &error))
		fail_msg("%s", error.text);
	assert_int_equal(send(pair[0], data, sizeof(data), MSG_DONTWAIT), sizeof(data));
	assert_int_equal(recv(pair[1], in, sizeof(in), MSG_DONTWAIT), sizeof(data));
	assert_int_equal(loader_counters(&loader, &counters), 0);
	assert_int_equal(counters.verdicts[XDP_VERDICT_DROP].packets, 1);
	assert_int_equal(counters.verdicts[XDP_VERDICT_STEER].packets, 1);
	assert_int_equal(counters.verdicts[XDP_VERDICT_STEER].bytes, sizeof(data));
	loader_destroy(&loader);
	close(pair[0]);
	close(pair[1]);
	filter_destroy(&none);
	filter_destroy(&all);
}

static void corpora_create(void)
{
	const char *shared = getenv("XFQ_SHARED_DIR");
	char dir[4096];

	corpus_init(&captured, SCENARIO_SEED, PACKET_MIN, PACKET_MAX);
	snprintf(dir, sizeof(dir), "%s/data/pcaps", shared ? shared : ".");
	(void)corpus_captures(&captured, dir);
	corpus_init(&shapes, SCENARIO_SEED, PACKET_MIN, PACKET_MAX);
	corpus_shapes(&shapes);
	corpus_init(&cuts, SCENARIO_SEED, PACKET_MIN, PACKET_MAX);
	corpus_cuts(&cuts, &shapes, 1000);
	corpus_init(&mutated, SCENARIO_SEED, PACKET_MIN, PACKET_MAX);
	corpus_mutations(&mutated, &shapes, test_scale(MUTATIONS));
	sets_create(made_sets, &shapes, &mutated);
	for (uint32_t i = 0; i < SET_CNT; i++)
		sets[i] = &made_sets[i];
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_replace),
	};
	struct filter filter;
	struct loader_options options = {.filter = &filter};
	struct xfq_error error = {0};
	struct loader loader;
	int failed;

	filter_init(&filter);
	if (loader_load(&loader, &options, &error)) {
		printf("%s: %s\n", error.code == -EPERM ? "skipped" : "failed", error.text);
		return error.code == -EPERM ? 77 : 1;
	}
	loader_destroy(&loader);
	corpora_create();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	print_message("%llu comparisons under %zu policies, %llu steered\n",
		      (unsigned long long)compared_cnt, POLICY_CNT,
		      (unsigned long long)steered_cnt);
	corpus_destroy(&captured);
	corpus_destroy(&shapes);
	corpus_destroy(&cuts);
	corpus_destroy(&mutated);
	for (uint32_t i = 0; i < SET_CNT; i++)
		set_destroy(&made_sets[i]);
	return failed;
}
