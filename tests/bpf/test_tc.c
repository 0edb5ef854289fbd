/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TC programs against the first pass in user space: every packet must come to the same decision
 * and counters, with its VLAN tag in the packet or beside it, as the kernel keeps it.
 *
 * The kernel runs the program that is attached by BPF_PROG_TEST_RUN. To have a tag beside the
 * packet, another program pushes one, which the kernel puts there, and goes on to that.
 */
#include "tests/bpf/corpus.h"
#include "tests/bpf/scenarios.h"
#include "tests/scale.h"
#include "xdp/first_pass.h"
#include "xdp/merged.h"
#include "xdp/tc.h"
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define MUTATIONS  4000
#define PACKET_MIN 15 /* a test run refuses an skb of nothing but an Ethernet header */
#define PACKET_MAX 3000
#define REFUSED    0xdead     /* nothing that a program here returns */
#define NOWHERE    0x7ffffff0 /* the index of no interface */

static struct corpus captured, shapes, mutated;
static struct set made_sets[SET_CNT];
static const struct set *sets[XDP_SETS_MAX];
static uint64_t compared_cnt, refused_cnt;

/* --- filters --------------------------------------------------------------------------------- */

static const char *const expressions[] = {
	"tcp or arp",
	"udp port 53",
	"vlan 5 and vlan and ip6",
	"vlan and udp",
	"vlan and tcp dst portrange 1-1023",
	"vlan and host 10.0.0.1",
	"ip6 and not icmp6",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
	"less 200",
	"ether[12:4] > 0x81000004 and ether[14:2] & 3 != 1 and ether[17:4] & 1 = 1",
	"ether src host 02:00:00:00:00:01 or ip[2:2] > 576",
	"ip multicast or ether[14:1] = 0x45",
	"net 10.0.0.0/8 and portrange 1000-40000",
	"vlan", /* last: it takes all that have a tag */
};
#define EXPRESSIONS (sizeof(expressions) / sizeof(expressions[0]))

/* After the scenarios: one filter with all expressions, in turn with each action. */
#define FILTERS (POLICY_CNT + 2)

static const char *filter_name(size_t index)
{
	return index < POLICY_CNT ? policy_name(index) : "expressions";
}

static uint32_t filter_make(struct filter *filter, size_t index)
{
	uint32_t set_cnt = SET_LARGE;

	if (index < POLICY_CNT) {
		set_cnt = policy_fill(filter, index);
	} else {
		filter_init(filter);
		filter->default_action = FILTER_PASS;
		for (size_t i = 0; i < EXPRESSIONS; i++) {
			struct filter_rule *rule = rule_add(
				filter, (enum filter_action)((i + index) % 3), FILTER_MATCH);

			assert_int_equal(filter_rule_match(rule, expressions[i], NULL), 0);
		}
	}
	/* the state that only the XDP program has */
	filter->fragments = false;
	filter->shunt_flows = 0;
	filter->sets = sets;
	filter->set_cnt = set_cnt;
	return set_cnt;
}

/* --- both sides ------------------------------------------------------------------------------ */

struct pair {
	struct tc tc;
	struct setmaps maps;
	struct first_pass pass;
	struct filter filter;
	size_t index;
	int pusher; /* the program that pushes a tag */
	uint16_t tag_proto, tci;
	uint64_t run_cnt;
};

/* What is asked of the program by a run. */
enum tagging { TAG_NONE = 0, TAG_BESIDE, TAG_BESIDE_AD, TAG_CNT };

/* The slot of the attached program: its only map. */
static int slot_open(const struct tc *tc)
{
	struct bpf_prog_info info = {0};
	uint32_t map = 0, len = sizeof(info);

	info.map_ids = (uintptr_t)&map;
	info.nr_map_ids = 1;
	assert_int_equal(bpf_obj_get_info_by_fd(tc_program_fd(tc), &info, &len), 0);
	return bpf_map_get_fd_by_id(map);
}

/* A program that pushes a tag, and goes on to what is in the slot. */
static int pusher_load(const struct tc *tc, uint16_t proto, uint16_t tci)
{
	int slot = slot_open(tc), fd;
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = htons(proto)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = tci},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_push},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_6},
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = BPF_REG_2,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = slot},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = 0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_tail_call},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 99},
		{.code = BPF_JMP | BPF_EXIT},
	};

	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "pusher", "GPL", insns,
			   sizeof(insns) / sizeof(insns[0]), NULL);
	close(slot);
	assert_true(fd >= 0);
	return fd;
}

static void pair_load(struct pair *pair, size_t index, enum tc_kind kind, enum tagging tagging)
{
	const struct tc_mirror mirror = {.ifindex = 1, .near = NOWHERE};
	struct xfq_error error = {0};
	struct tc_options options = {.kind = kind,
				     .filter = &pair->filter,
				     .sets = &pair->maps,
				     .mirrors = &mirror,
				     .mirror_cnt = kind == TC_MIRROR};
	uint32_t set_cnt;

	memset(pair, 0, sizeof(*pair));
	pair->index = index;
	pair->pusher = -1;
	set_cnt = filter_make(&pair->filter, index);
	pair->pass = (struct first_pass){.filter = &pair->filter};
	if (setmaps_create(&pair->maps, sets, set_cnt, &error) ||
	    tc_load(&pair->tc, &options, &error))
		fail_msg("filter %zu (%s): %s", index, filter_name(index), error.text);
	if (tagging == TAG_NONE)
		return;
	pair->tag_proto = tagging == TAG_BESIDE ? 0x8100 : 0x88a8;
	pair->tci = (uint16_t)(index % 2 ? 0xa005 : 0x0005);
	pair->pusher = pusher_load(&pair->tc, pair->tag_proto, pair->tci);
}

static void pair_destroy(struct pair *pair)
{
	if (pair->pusher >= 0)
		close(pair->pusher);
	tc_destroy(&pair->tc);
	setmaps_destroy(&pair->maps);
	first_pass_destroy(&pair->pass);
	filter_destroy(&pair->filter);
}

/* What user space says of the packet as on the wire. */
static struct first_pass_result user_run(struct pair *pair, const struct corpus_packet *packet)
{
	static uint8_t wire[PACKET_MAX + 4];
	uint32_t len = packet->len, tag = pair->tag_proto ? 4 : 0;
	struct xfq_meta meta;

	memcpy(wire, packet->data, 12);
	if (tag) {
		wire[12] = (uint8_t)(pair->tag_proto >> 8);
		wire[13] = (uint8_t)pair->tag_proto;
		wire[14] = (uint8_t)(pair->tci >> 8);
		wire[15] = (uint8_t)pair->tci;
	}
	memcpy(wire + 12 + tag, packet->data + 12, len - 12);
	return first_pass_run(&pair->pass, wire, len + tag, len + tag, 0, &meta);
}

/* Run the program; returns what it returned, or REFUSED where the kernel takes no such packet. */
static uint32_t kernel_run(const struct pair *pair, const struct corpus_packet *packet)
{
	static uint8_t out[PACKET_MAX + 256];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet->data,
		    .data_size_in = packet->len, .data_out = out, .data_size_out = sizeof(out),
		    .repeat = 1);

	if (bpf_prog_test_run_opts(pair->pusher >= 0 ? pair->pusher : tc_program_fd(&pair->tc),
				   &options)) {
		if (errno == EINVAL)
			return REFUSED;
		fail_msg("test run of %u bytes: %s", packet->len, strerror(errno));
	}
	assert_int_equal(options.data_size_out, packet->len);
	assert_memory_equal(out, packet->data, packet->len);
	return options.retval;
}

static void show_packet(const struct corpus_packet *packet)
{
	for (uint32_t i = 0; i < packet->len; i++)
		print_error("%s%02x", i % 32 ? " " : "\n  ", packet->data[i]);
	print_error("\n");
}

/* What TC counts, where user space counts as the XDP program does. */
static void expect_counters(const struct pair *pair, struct xdp_counters *expected)
{
	struct xdp_counter *steer = &expected->verdicts[XDP_VERDICT_STEER];
	struct xdp_counter *pass = &expected->verdicts[XDP_VERDICT_PASS];

	*expected = pair->pass.counters;
	/* nothing can be cloned here */
	if (pair->tc.kind == TC_MIRROR)
		expected->no_socket = steer->packets;
	pass->packets += steer->packets;
	pass->bytes += steer->bytes;
	*steer = (struct xdp_counter){0};
}

static void pair_compare(struct pair *pair, const struct corpus *corpus, const char *what)
{
	struct xdp_counters kernel = {0}, user;
	uint64_t sum = 0;

	if (corpus->cnt == 0)
		return;
	for (size_t i = 0; i < corpus->cnt; i += test_scale_step()) {
		const struct corpus_packet *packet = &corpus->packets[i];
		uint32_t got = kernel_run(pair, packet), expected;
		enum xdp_verdict action;

		if (got == REFUSED) {
			refused_cnt++;
			continue;
		}
		pair->run_cnt++;
		compared_cnt++;
		action = user_run(pair, packet).action;
		expected = action == XDP_VERDICT_DROP && pair->tc.kind == TC_EGRESS
				   ? (uint32_t)TC_ACT_SHOT
				   : (uint32_t)TC_ACT_UNSPEC;

		memset(&kernel, 0, sizeof(kernel));
		assert_int_equal(tc_counters(&pair->tc, &kernel), 0);
		expect_counters(pair, &user);
		if (got == expected && memcmp(&kernel, &user, sizeof(user)) == 0)
			continue;
		show_packet(packet);
		fail_msg("filter %zu (%s), %s packet %zu, tag %04x: kernel %d, user space %d",
			 pair->index, filter_name(pair->index), what, i, pair->tag_proto, (int)got,
			 (int)expected);
	}
	for (uint32_t i = 0; i < XDP_VERDICT_CNT; i++)
		sum += kernel.verdicts[i].packets;
	assert_int_equal(sum, pair->run_cnt);
}

static void compare_all(enum tc_kind kind, enum tagging tagging)
{
	/* the programs are the same, however the packets are tagged */
	size_t step = tagging != TAG_NONE || kind != TC_EGRESS ? test_scale_step()
		      : test_scale_step() > 1                  ? 3
							       : 1;

	/* the last ones, with the expressions, are in any selection */
	for (size_t n = 0; n < FILTERS; n += step) {
		size_t i = FILTERS - 1 - n;
		struct pair pair;

		pair_load(&pair, i, kind, tagging);
		if (policy_has_limits(&pair.filter)) {
			pair_destroy(&pair);
			continue;
		}
		pair_compare(&pair, &shapes, "made-up");
		if (kind == TC_EGRESS || i >= POLICY_CNT) {
			pair_compare(&pair, &captured, "captured");
			pair_compare(&pair, &mutated, "mutated");
		}
		pair_destroy(&pair);
	}
}

/* --- tests ----------------------------------------------------------------------------------- */

static void test_plain(void **state)
{
	(void)state;
	compare_all(TC_EGRESS, TAG_NONE);
}

static void test_tag_beside(void **state)
{
	(void)state;
	compare_all(TC_EGRESS, TAG_BESIDE);
	compare_all(TC_EGRESS, TAG_BESIDE_AD);
}

static void test_mirror(void **state)
{
	(void)state;
	compare_all(TC_MIRROR, TAG_NONE);
	compare_all(TC_MIRROR, TAG_BESIDE);
}

/* What is beyond a limit is dropped on the way out, and only cloned or not by a mirror. */
static void test_limit(void **state)
{
	struct filter filter;
	struct filter_rule *rule;
	struct pair pair = {.pusher = -1};
	struct tc_options options = {.filter = &filter};
	struct xdp_counters sum = {0};
	uint32_t dropped = 0;

	(void)state;
	filter_init(&filter);
	filter.default_action = FILTER_PASS;
	rule = rule_add(&filter, FILTER_LIMIT, 0);
	rule->limit =
		(struct filter_limit){.per = FILTER_PER_ALL, .rate = 1, .burst = 3, .max_keys = 16};
	assert_int_equal(tc_load(&pair.tc, &options, NULL), 0);
	for (uint32_t i = 0; i < 10; i++)
		dropped += kernel_run(&pair, &shapes.packets[0]) == (uint32_t)TC_ACT_SHOT;
	assert_int_equal(tc_counters(&pair.tc, &sum), 0);
	assert_in_range(dropped, 5, 7); /* a slow machine may see some seconds pass */
	assert_int_equal(sum.verdicts[XDP_VERDICT_LIMITED].packets, dropped);
	assert_int_equal(sum.rules[0].packets, dropped);
	assert_int_equal(sum.verdicts[XDP_VERDICT_PASS].packets, 10 - dropped);
	/* a limit that the next filter has as well goes on where it was, and so does its counter */
	assert_int_equal(tc_replace(&pair.tc, &filter, NULL, NULL), 0);
	for (uint32_t i = 0; i < 3; i++)
		dropped += kernel_run(&pair, &shapes.packets[0]) == (uint32_t)TC_ACT_SHOT;
	memset(&sum, 0, sizeof(sum));
	assert_int_equal(tc_counters(&pair.tc, &sum), 0);
	assert_in_range(dropped, 7, 10);
	assert_int_equal(sum.rules[0].packets, dropped);
	tc_destroy(&pair.tc);
	options.kind = TC_MIRROR;
	options.mirrors = &(struct tc_mirror){.ifindex = 1, .near = NOWHERE};
	options.mirror_cnt = 1;
	assert_int_equal(tc_load(&pair.tc, &options, NULL), 0);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(kernel_run(&pair, &shapes.packets[0]), (uint32_t)TC_ACT_UNSPEC);
	memset(&sum, 0, sizeof(sum));
	assert_int_equal(tc_counters(&pair.tc, &sum), 0);
	assert_int_equal(sum.verdicts[XDP_VERDICT_LIMITED].packets, 0);
	tc_destroy(&pair.tc);
	filter_destroy(&filter);
}

/* What expressions may say differently of a packet's segments. */
static void test_merged(void **state)
{
	static const struct {
		const char *text;
		bool differs;
	} cases[] = {
		{"tcp", false},
		{"udp port 53", false},
		{"host 10.0.0.1 and tcp portrange 1-100", false},
		{"ip6 and tcp dst port 80", false},
		{"ip6 host 2001:db8::1", false},
		{"ether host 02:00:00:00:00:01", false},
		{"arp", false},
		{"greater 100", true},
		{"len < 1000", true},
		{"tcp[tcpflags] & tcp-push != 0", true},
		{"ip[2:2] > 100", true},
		{"ip[4:2] = 7", true},
		{"tcp[4:4] = 1", true},
		{"ether[38:4] = 1", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter filter;

		filter_init(&filter);
		assert_int_equal(filter_rule_match(rule_add(&filter, FILTER_STEER, FILTER_MATCH),
						   cases[i].text, NULL),
				 0);
		if (merged_differs(&filter) != cases[i].differs)
			fail_msg("%s: %d", cases[i].text, !cases[i].differs);
		filter_destroy(&filter);
	}
}

static void corpora_create(void)
{
	const char *shared = getenv("XFQ_SHARED_DIR");
	struct corpus all;
	char dir[4096];

	corpus_init(&all, SCENARIO_SEED, PACKET_MIN, PACKET_MAX);
	corpus_init(&captured, SCENARIO_SEED, PACKET_MIN, PACKET_MAX);
	snprintf(dir, sizeof(dir), "%s/data/pcaps", shared ? shared : ".");
	corpus_captures(&all, dir);
	/* the other test has all of them */
	for (size_t i = 0; i < all.cnt; i += 1 + all.cnt / 2000)
		corpus_add(&captured, all.packets[i].data, all.packets[i].len);
	corpus_destroy(&all);
	corpus_init(&shapes, SCENARIO_SEED, PACKET_MIN, PACKET_MAX);
	corpus_shapes(&shapes);
	corpus_init(&mutated, SCENARIO_SEED, PACKET_MIN, PACKET_MAX);
	corpus_mutations(&mutated, &shapes, MUTATIONS);
	corpus_cuts(&mutated, &shapes, 40);
	sets_create(made_sets, &shapes, captured.cnt ? &captured : &shapes);
	for (uint32_t i = 0; i < SET_CNT; i++)
		sets[i] = &made_sets[i];
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),  cmocka_unit_test(test_tag_beside),
		cmocka_unit_test(test_mirror), cmocka_unit_test(test_limit),
		cmocka_unit_test(test_merged),
	};
	struct filter filter;
	struct tc_options options = {.filter = &filter};
	struct xfq_error error = {0};
	struct tc tc;
	int failed;

	filter_init(&filter);
	if (tc_load(&tc, &options, &error)) {
		printf("%s: %s\n", error.code == -EPERM ? "skipped" : "failed", error.text);
		return error.code == -EPERM ? 77 : 1;
	}
	tc_destroy(&tc);
	corpora_create();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	print_message("packets: %zu captured, %zu made, %zu mutated; %llu comparisons, and %llu "
		      "times a packet that a test run refuses\n",
		      captured.cnt, shapes.cnt, mutated.cnt, (unsigned long long)compared_cnt,
		      (unsigned long long)refused_cnt);
	if (refused_cnt * 4 > compared_cnt)
		failed++;
	corpus_destroy(&captured);
	corpus_destroy(&shapes);
	corpus_destroy(&mutated);
	for (uint32_t i = 0; i < SET_CNT; i++)
		set_destroy(&made_sets[i]);
	return failed;
}
