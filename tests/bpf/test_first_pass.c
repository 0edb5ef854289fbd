/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first pass in the kernel against the same pass in user space: every packet, under every
 * policy, must come to the same action, rule, counters and metadata in both.
 *
 * The kernel runs the loaded program on each packet by BPF_PROG_TEST_RUN. What it puts in front of
 * the packet comes back there before the packet. A packet that is to be steered, but finds no
 * socket, goes to the stack; with one it is redirected: both are tried.
 */
#include "tests/bpf/corpus.h"
#include "tests/bpf/scenarios.h"
#include "tests/scale.h"
#include "xdp/first_pass.h"
#include "xdp/loader.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef AF_XDP
#define AF_XDP 44
#endif

#define MUTATIONS      24000
#define PACKET_MIN     14    /* the kernel refuses less: so do devices */
#define PACKET_TRY_MAX 16384 /* how far to look for the longest packet that the kernel takes */

static struct corpus captured, shapes, cuts, mutated;
static struct set made_sets[SET_CNT];
static const struct set *sets[XDP_SETS_MAX];
static bool have_captures;
static uint64_t compared_cnt;
static uint64_t verdict_cnt[XDP_VERDICT_CNT]; /* seen in any policy */

/* --- both builds ----------------------------------------------------------------------------- */

/* A policy in both places. */
struct pair {
	struct loader loader;
	struct setmaps maps;
	struct first_pass pass;
	struct filter filter;
	struct xdp_counters kernel;
	size_t index; /* of the policy */
	int socket;   /* -1: none */
};

static void pair_load(struct pair *pair, size_t index)
{
	uint32_t lo = if_nametoindex("lo");
	/* test runs come from the loopback interface; it stands at the second place */
	uint32_t interfaces[] = {lo + 1, lo};
	uint32_t set_cnt;
	struct xfq_error error = {0};
	struct loader_options options = {
		.filter = &pair->filter,
		.sets = &pair->maps,
		.hash_seed = SCENARIO_SEED * (index + 1),
		.ifindex = interfaces,
		.interface_cnt = 2,
	};

	memset(pair, 0, sizeof(*pair));
	pair->index = index;
	pair->socket = -1;
	set_cnt = policy_fill(&pair->filter, index);
	/* its time stands still, as it does for the pass in user space */
	options.test_clock = policy_has_limits(&pair->filter);
	pair->filter.sets = sets;
	pair->filter.set_cnt = set_cnt;
	pair->pass = (struct first_pass){.filter = &pair->filter, .hash_seed = options.hash_seed};
	if (setmaps_create(&pair->maps, sets, set_cnt, &error))
		fail_msg("policy %zu (%s): %s", index, policy_name(index), error.text);
	if (loader_load(&pair->loader, &options, &error))
		fail_msg("policy %zu (%s): %s", index, policy_name(index), error.text);
}

static void pair_destroy(struct pair *pair)
{
	loader_destroy(&pair->loader);
	first_pass_destroy(&pair->pass);
	setmaps_destroy(&pair->maps);
	filter_destroy(&pair->filter);
	if (pair->socket >= 0)
		close(pair->socket);
}

/* Run the program once; what it leaves is in `out`, metadata first. Returns 0 or -errno. */
static int kernel_run(const struct loader *loader, const struct corpus_packet *packet, uint8_t *out,
		      uint32_t *out_len, uint32_t *action)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet->data,
		    .data_size_in = packet->len, .data_out = out, .data_size_out = *out_len,
		    .repeat = 1);
	int code = bpf_prog_test_run_opts(loader_program_fd(loader), &options);

	*out_len = options.data_size_out;
	*action = options.retval;
	return code ? -errno : 0;
}

static void show_bytes(const char *what, const uint8_t *data, uint32_t len)
{
	print_error("%s, %u bytes:", what, len);
	for (uint32_t i = 0; i < len; i++)
		print_error("%s%02x", i % 32 ? " " : "\n  ", data[i]);
	print_error("\n");
}

static void show_counters(const struct xdp_counters *kernel, const struct xdp_counters *user)
{
	const __u64 *a = (const __u64 *)kernel, *b = (const __u64 *)user;

	for (size_t i = 0; i < sizeof(*kernel) / sizeof(*a); i++)
		if (a[i] != b[i])
			print_error("counter word %zu: kernel %llu, user space %llu\n", i,
				    (unsigned long long)a[i], (unsigned long long)b[i]);
}

/* What the kernel's counters must be: without a socket what is steered is passed, and noted. */
static void expect_counters(const struct pair *pair, struct xdp_counters *expected)
{
	struct xdp_counter *steer = &expected->verdicts[XDP_VERDICT_STEER];
	struct xdp_counter *pass = &expected->verdicts[XDP_VERDICT_PASS];

	*expected = pair->pass.counters;
	if (pair->socket >= 0)
		return;
	expected->no_socket = steer->packets;
	pass->packets += steer->packets;
	pass->bytes += steer->bytes;
	*steer = (struct xdp_counter){0};
}

static uint32_t expect_action(const struct pair *pair, enum xdp_verdict verdict)
{
	if (verdict == XDP_VERDICT_DROP)
		return XDP_DROP;
	if (verdict == XDP_VERDICT_TX)
		return XDP_TX;
	return verdict == XDP_VERDICT_STEER && pair->socket >= 0 ? XDP_REDIRECT : XDP_PASS;
}

static void swap_bytes(uint8_t *a, uint8_t *b, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++) {
		uint8_t byte = a[i];

		a[i] = b[i];
		b[i] = byte;
	}
}

/* What the kernel must leave of a packet: as it was, but for one that is sent back. */
static void expect_packet(const struct pair *pair, const struct corpus_packet *packet,
			  const struct first_pass_result *result, uint8_t *to)
{
	struct xfq_meta meta;
	uint8_t swap;

	memcpy(to, packet->data, packet->len);
	if (result->action != XDP_VERDICT_TX)
		return;
	swap = pair->filter.rules[result->rule].swap;
	first_pass_parse(0, packet->data, packet->len, packet->len, &meta);
	if (swap & XDP_SWAP_MAC)
		swap_bytes(to, to + 6, 6);
	if ((swap & XDP_SWAP_ADDRESSES) && (meta.flags & XFQ_META_IPV4))
		swap_bytes(to + meta.l3_off + 12, to + meta.l3_off + 16, 4);
	if ((swap & XDP_SWAP_ADDRESSES) && (meta.flags & XFQ_META_IPV6))
		swap_bytes(to + meta.l3_off + 8, to + meta.l3_off + 24, 16);
	if ((swap & XDP_SWAP_PORTS) && (meta.flags & XFQ_META_PORTS))
		swap_bytes(to + meta.l4_off, to + meta.l4_off + 2, 2);
}

/* Whether both builds agree on a packet; shows what they do not agree on. */
static bool pair_agrees(struct pair *pair, const struct corpus_packet *packet)
{
	static uint8_t out[PACKET_TRY_MAX + XFQ_META_BYTES], expected_data[PACKET_TRY_MAX];
	struct xdp_counters expected;
	struct xfq_meta meta;
	struct first_pass_result result =
		first_pass_run(&pair->pass, packet->data, packet->len, packet->len, 0, &meta);
	enum xdp_verdict verdict = result.action;
	bool redirected = verdict == XDP_VERDICT_STEER && pair->socket >= 0;
	uint32_t before = redirected ? XFQ_META_BYTES : 0;
	uint32_t out_len = sizeof(out), action = 0;
	int code = kernel_run(&pair->loader, packet, out, &out_len, &action);
	bool agrees = true;

	if (code) {
		print_error("test run: %s\n", strerror(-code));
		return false;
	}
	if (action != expect_action(pair, verdict)) {
		print_error("action: kernel %u, user space %u\n", action,
			    expect_action(pair, verdict));
		agrees = false;
	}
	expect_packet(pair, packet, &result, expected_data);
	if (out_len != before + packet->len ||
	    memcmp(out + before, expected_data, packet->len) != 0) {
		show_bytes("the packet that the kernel left", out, out_len);
		agrees = false;
	}
	if (before && memcmp(out, &meta, XFQ_META_BYTES) != 0) {
		show_bytes("metadata, kernel", out, XFQ_META_BYTES);
		show_bytes("metadata, user space", (const uint8_t *)&meta, XFQ_META_BYTES);
		agrees = false;
	}
	assert_int_equal(loader_counters(&pair->loader, &pair->kernel), 0);
	expect_counters(pair, &expected);
	if (memcmp(&pair->kernel, &expected, sizeof(expected)) != 0) {
		show_counters(&pair->kernel, &expected);
		agrees = false;
	}
	compared_cnt++;
	return agrees;
}

/* Each packet that was run has one verdict, and one rule, the default or the malformed one. */
static void check_sums(const struct pair *pair, uint64_t packets, uint64_t bytes)
{
	const struct xdp_counters *c = &pair->kernel;
	struct xdp_counter verdicts = {0};
	struct xdp_counter rules = c->verdicts[XDP_VERDICT_MALFORMED];

	for (uint32_t i = 0; i < XDP_VERDICT_CNT; i++) {
		verdicts.packets += c->verdicts[i].packets;
		verdicts.bytes += c->verdicts[i].bytes;
		verdict_cnt[i] += c->verdicts[i].packets;
	}
	for (uint32_t i = 0; i <= XDP_RULES_MAX; i++) {
		rules.packets += c->rules[i].packets;
		rules.bytes += c->rules[i].bytes;
	}
	assert_int_equal(verdicts.packets, packets);
	assert_int_equal(verdicts.bytes, bytes);
	assert_int_equal(rules.packets, packets);
	assert_int_equal(rules.bytes, bytes);
	assert_int_equal(c->no_meta, 0);
}

static void pair_compare(struct pair *pair, const struct corpus *corpus, const char *what)
{
	size_t cnt = 0, step = corpus == &mutated ? 1 : test_scale_step();
	uint64_t bytes = 0;

	for (size_t i = 0; i < corpus->cnt; i += step, cnt++) {
		const struct corpus_packet *packet = &corpus->packets[i];

		bytes += packet->len;
		if (pair_agrees(pair, packet))
			continue;
		show_bytes("the packet", packet->data, packet->len);
		pair_destroy(pair);
		fail_msg("policy %zu (%s), %s packet %zu: the builds differ", pair->index,
			 policy_name(pair->index), what, i);
	}
	check_sums(pair, cnt, bytes);
}

/* A socket with a receive ring; it need not be bound for a test run to redirect to it. */
static int socket_open(void)
{
	struct xdp_umem_reg reg = {.len = 16 * 4096, .chunk_size = 4096};
	int slots = 64, fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	void *area = NULL;

	if (fd < 0)
		return -1;
	if (posix_memalign(&area, 4096, reg.len) == 0) {
		reg.addr = (uint64_t)(uintptr_t)area;
		/* the kernel pins the pages, so that the memory itself may go */
		if (!setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) &&
		    !setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &slots, sizeof(slots)) &&
		    !setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &slots, sizeof(slots)) &&
		    !setsockopt(fd, SOL_XDP, XDP_RX_RING, &slots, sizeof(slots))) {
			free(area);
			return fd;
		}
		free(area);
	}
	close(fd);
	return -1;
}

/* Give the program a socket, so that what is steered is redirected, its metadata in front. */
static void pair_connect(struct pair *pair)
{
	struct xfq_error error = {0};

	pair->socket = socket_open();
	if (pair->socket < 0) {
		print_message("skipped: no AF_XDP socket: %s\n", strerror(errno));
		pair_destroy(pair);
		skip();
	}
	if (loader_socket(&pair->loader, 1, 0, pair->socket, &error))
		fail_msg("%s", error.text);
}

/* Where little of all is done: to load a policy is what takes the time there, and each corpus is
 * compared under another third of them. */
static size_t policy_step(void)
{
	return test_scale_percent() < 10 ? 3 : 1;
}

static void compare_all(const struct corpus *corpus, const char *what)
{
	static size_t turn;
	struct pair pair;

	for (size_t i = turn++ % policy_step(); i < POLICY_CNT; i += policy_step()) {
		pair_load(&pair, i);
		pair_connect(&pair);
		pair_compare(&pair, corpus, what);
		pair_destroy(&pair);
	}
}

/* --- tests ----------------------------------------------------------------------------------- */

/* Every policy loads; how much the verifier had to look at is told. */
static void test_verifier(void **state)
{
	(void)state;
	for (size_t i = 0; i < POLICY_CNT; i++) {
		struct bpf_prog_info info = {0};
		__u32 info_len = sizeof(info);
		struct pair pair;

		pair_load(&pair, i);
		assert_int_equal(
			bpf_obj_get_info_by_fd(loader_judge_fd(&pair.loader), &info, &info_len), 0);
		print_message("  %2u rules: verifier %u instructions, program %u bytes (%s)\n",
			      pair.filter.rule_cnt, info.verified_insns, info.xlated_prog_len,
			      policy_name(i));
		pair_destroy(&pair);
	}
}

static void test_captures(void **state)
{
	(void)state;
	if (!have_captures) {
		print_message("skipped: no captures in $XFQ_SHARED_DIR/data/pcaps\n");
		skip();
	}
	assert_true(captured.cnt > 0);
	compare_all(&captured, "captured");
}

static void test_made(void **state)
{
	(void)state;
	compare_all(&shapes, "made-up");
	compare_all(&cuts, "cut");
}

static void test_mutated(void **state)
{
	(void)state;
	assert_true(mutated.cnt + mutated.short_cnt >= test_scale(MUTATIONS));
	compare_all(&mutated, "mutated");
	/* where less is done, not every policy sees packets that it has something special for */
	for (uint32_t i = XDP_VERDICT_PASS; i <= XDP_VERDICT_LIMITED && policy_step() == 1; i++)
		assert_true(verdict_cnt[i] > 0);
	assert_true(policy_step() > 1 || verdict_cnt[XDP_VERDICT_MALFORMED] > 0);
}

/* Without a socket, what is to be steered is passed, counted so, and carries no metadata. */
static void test_no_socket(void **state)
{
	struct pair pair;

	(void)state;
	for (size_t i = 0; i < POLICY_CNT; i += policy_step()) {
		pair_load(&pair, i);
		pair_compare(&pair, &shapes, "made-up");
		pair_destroy(&pair);
	}
	assert_true(verdict_cnt[XDP_VERDICT_STEER] > 0);
}

/* Whether the program saw all of a packet of `len` bytes. */
static bool takes_length(struct loader *loader, uint32_t len)
{
	static uint8_t zeros[PACKET_TRY_MAX];
	static uint8_t out[PACKET_TRY_MAX + XFQ_META_BYTES];
	struct corpus_packet packet = {.data = zeros, .len = len};
	struct xdp_counters before, after;
	uint32_t out_len = sizeof(out), action;

	if (loader_counters(loader, &before) || kernel_run(loader, &packet, out, &out_len, &action))
		return false;
	if (loader_counters(loader, &after))
		return false;
	return after.rules[XDP_RULES_MAX].bytes - before.rules[XDP_RULES_MAX].bytes == len;
}

/* The longest packet of which a test run shows the program all. */
static uint32_t longest_packet(struct loader *loader)
{
	uint32_t good = PACKET_MIN, bad = PACKET_TRY_MAX + 1;

	while (bad - good > 1) {
		uint32_t middle = good + (bad - good) / 2;

		if (takes_length(loader, middle))
			good = middle;
		else
			bad = middle;
	}
	return good;
}

static void corpora_create(uint32_t max_bytes)
{
	const char *shared = getenv("XFQ_SHARED_DIR");
	struct corpus mixed;
	char dir[4096];

	corpus_init(&captured, SCENARIO_SEED, PACKET_MIN, max_bytes);
	snprintf(dir, sizeof(dir), "%s/data/pcaps", shared ? shared : ".");
	have_captures = corpus_captures(&captured, dir) == 0 && captured.cnt > 0;
	corpus_init(&shapes, SCENARIO_SEED, PACKET_MIN, max_bytes);
	corpus_shapes(&shapes);
	corpus_init(&cuts, SCENARIO_SEED, PACKET_MIN, max_bytes);
	corpus_cuts(&cuts, &shapes, (size_t)CORPUS_L3_CNT * CORPUS_PROTOS);
	/* what is mutated: all shapes, and as many packets from captures */
	corpus_init(&mixed, SCENARIO_SEED, PACKET_MIN, max_bytes);
	for (size_t i = 0; i < shapes.cnt; i++) {
		const struct corpus_packet *shape = &shapes.packets[i];

		corpus_add(&mixed, shape->data, shape->len);
		if (have_captures) {
			shape = &captured.packets[i * captured.cnt / shapes.cnt];
			corpus_add(&mixed, shape->data, shape->len);
		}
	}
	corpus_init(&mutated, SCENARIO_SEED, PACKET_MIN, max_bytes);
	corpus_mutations(&mutated, &mixed, test_scale(MUTATIONS));
	sets_create(made_sets, &shapes, &mixed);
	for (uint32_t i = 0; i < SET_CNT; i++)
		sets[i] = &made_sets[i];
	corpus_destroy(&mixed);
}

static void report_left_out(uint32_t max_bytes)
{
	print_message("captures: %zu files, %zu not Ethernet or broken; packets: %zu captured, "
		      "%zu made, %zu mutated; %llu comparisons under %zu policies\n",
		      captured.file_cnt, captured.refused_cnt, captured.cnt, shapes.cnt + cuts.cnt,
		      mutated.cnt, (unsigned long long)compared_cnt, POLICY_CNT);
	print_message("left out: %zu captured packets below %d bytes; cut to the %u bytes that a "
		      "test run allows: %zu captured, %zu mutated\n",
		      captured.short_cnt, PACKET_MIN, max_bytes, captured.cut_cnt, mutated.cut_cnt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verifier),  cmocka_unit_test(test_captures),
		cmocka_unit_test(test_made),      cmocka_unit_test(test_mutated),
		cmocka_unit_test(test_no_socket),
	};
	struct filter filter;
	struct loader_options options = {.filter = &filter};
	struct xfq_error error = {0};
	struct loader loader;
	uint32_t max_bytes;
	int failed;

	filter_init(&filter);
	filter.default_action = FILTER_PASS;
	if (loader_load(&loader, &options, &error)) {
		printf("%s: %s\n", error.code == -EPERM ? "skipped" : "failed", error.text);
		return error.code == -EPERM ? 77 : 1;
	}
	max_bytes = longest_packet(&loader);
	loader_destroy(&loader);
	corpora_create(max_bytes);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	report_left_out(max_bytes);
	corpus_destroy(&captured);
	corpus_destroy(&shapes);
	corpus_destroy(&cuts);
	corpus_destroy(&mutated);
	for (uint32_t i = 0; i < SET_CNT; i++)
		set_destroy(&made_sets[i]);
	return failed;
}
