/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcpdump expressions in the kernel against libpcap: every packet, under every expression, must
 * match in both or in neither. The kernel runs a filter of one rule, {drop, match}, on each packet
 * by BPF_PROG_TEST_RUN; the first pass in user space must agree on rule and verdict.
 */
#include "tests/bpf/corpus.h"
#include "tests/bpf/expression_maker.h"
#include "tests/bpf/expressions.h"
#include "tests/scale.h"
#include "xdp/first_pass.h"
#include "xdp/loader.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/time.h>

#include <cmocka.h>

#define SEED          20221
#define PACKET_MIN    14    /* the kernel refuses less: so do devices */
#define PACKET_MAX    16384 /* of several buffers */
#define RANDOM_CNT    250
#define PROGRAM_CNT   200
#define SAMPLE_CNT    600 /* packets for random expressions */
#define UNION_CNT     12  /* filters of many rules, and of many claims */
#define UNION_MEMBERS 24

/* libpcap's, declared here and not by its header, as in steering/expression.h. */
struct pcap;
struct bpf_program {
	unsigned insn_cnt;
	struct bpf_insn *insns;
};
struct pcap_pkthdr {
	struct timeval time;
	uint32_t caplen, len;
};
extern struct pcap *pcap_open_dead(int link_type, int snaplen);
extern int pcap_compile(struct pcap *pcap, struct bpf_program *program, const char *text,
			int optimize, uint32_t netmask);
extern int pcap_offline_filter(const struct bpf_program *program, const struct pcap_pkthdr *header,
			       const uint8_t *data);
extern void pcap_freecode(struct bpf_program *program);
extern void pcap_close(struct pcap *pcap);

static struct corpus captured, sample;
static bool have_captures;
static uint64_t compared_cnt, matched_cnt;
static uint32_t verified_max;

/* --- one expression ----------------------------------------------------------------------------
 */

/* A filter in both places. */
struct pair {
	struct filter filter;
	struct loader loader;
	struct first_pass pass;
};

static int pair_load(struct pair *pair, struct xfq_error *error)
{
	struct loader_options options = {.filter = &pair->filter};
	struct bpf_prog_info info = {0};
	__u32 info_len = sizeof(info);
	int code = loader_load(&pair->loader, &options, error);

	pair->pass = (struct first_pass){.filter = &pair->filter};
	if (code)
		return code;
	if (bpf_obj_get_info_by_fd(loader_judge_fd(&pair->loader), &info, &info_len) == 0 &&
	    info.verified_insns > verified_max)
		verified_max = info.verified_insns;
	return 0;
}

static void pair_destroy(struct pair *pair)
{
	loader_destroy(&pair->loader);
	first_pass_destroy(&pair->pass);
	filter_destroy(&pair->filter);
}

/* Run the kernel's program on a packet: the action, or -errno. */
static int pair_run(const struct pair *pair, const struct corpus_packet *packet)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet->data,
		    .data_size_in = packet->len, .repeat = 1);

	if (bpf_prog_test_run_opts(loader_program_fd(&pair->loader), &options))
		return -errno;
	return (int)options.retval;
}

static void show_packet(const struct corpus_packet *packet)
{
	print_error("%u bytes:", packet->len);
	for (uint32_t i = 0; i < packet->len && i < 256; i++)
		print_error("%s%02x", i % 32 ? " " : "\n  ", packet->data[i]);
	print_error("\n");
}

/* Let a rule, {drop, match}, be judged for all packets; what libpcap says is in `expected`, or, if
 * that is NULL, what expression_match() does. */
static void compare(struct pair *pair, const struct corpus *corpus, const char *text,
		    const bool *expected)
{
	const struct expression *expression = &pair->filter.rules[0].expression;

	for (size_t i = 0; i < corpus->cnt; i += test_scale_step()) {
		const struct corpus_packet *packet = &corpus->packets[i];
		struct xfq_meta meta;
		struct first_pass_result user = first_pass_run(&pair->pass, packet->data,
							       packet->len, packet->len, 0, &meta);
		bool matches = expected ? expected[i]
					: expression_match(expression, packet->data, packet->len,
							   packet->len);
		int action = pair_run(pair, packet);

		compared_cnt++;
		matched_cnt += matches;
		if (action == (matches ? XDP_DROP : XDP_PASS) &&
		    user.rule == (matches ? 0 : XFQ_RULE_DEFAULT) &&
		    user.verdict == (matches ? XDP_VERDICT_DROP : XDP_VERDICT_PASS))
			continue;
		show_packet(packet);
		fail_msg("\"%s\", packet %zu: libpcap %d, kernel's action %d, user space's rule %u",
			 text, i, matches, action, user.rule);
	}
}

/* A rule that drops what an expression matches; false if libpcap refuses it. */
static bool pair_make(struct pair *pair, const char *text, struct xfq_error *error)
{
	struct filter_rule *rule;

	memset(pair, 0, sizeof(*pair));
	filter_init(&pair->filter);
	pair->filter.default_action = FILTER_PASS;
	rule = filter_add(&pair->filter, FILTER_DROP);
	assert_non_null(rule);
	return filter_rule_match(rule, text, error) == 0;
}

/* --- tests ----------------------------------------------------------------------------------- */

/* What pcap_offline_filter() says of every packet. */
static void offline(const char *text, const struct corpus *corpus, bool *matches)
{
	struct pcap *pcap = pcap_open_dead(1, 262144);
	struct bpf_program program;

	assert_non_null(pcap);
	assert_int_equal(pcap_compile(pcap, &program, text, 1, 0), 0);
	for (size_t i = 0; i < corpus->cnt; i++) {
		struct pcap_pkthdr header = {.caplen = corpus->packets[i].len,
					     .len = corpus->packets[i].len};

		matches[i] = pcap_offline_filter(&program, &header, corpus->packets[i].data) != 0;
	}
	pcap_freecode(&program);
	pcap_close(pcap);
}

static void test_captures(void **state)
{
	bool *matches;

	(void)state;
	if (!have_captures) {
		print_message("skipped: no captures in $XFQ_SHARED_DIR/data/pcaps\n");
		skip();
	}
	matches = calloc(captured.cnt, sizeof(*matches));
	assert_non_null(matches);
	assert_true(EXPRESSION_CNT >= 150);
	for (size_t i = 0; i < EXPRESSION_CNT; i += test_scale_step()) {
		struct xfq_error error = {0};
		struct pair pair;

		if (!pair_make(&pair, expressions[i], &error) || pair_load(&pair, &error))
			fail_msg("\"%s\": %s", expressions[i], error.text);
		offline(expressions[i], &captured, matches);
		compare(&pair, &captured, expressions[i], matches);
		pair_destroy(&pair);
	}
	free(matches);
}

/* The same on packets that nobody sends: cut, mutated, of many buffers. */
static void test_sample(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXPRESSION_CNT; i += test_scale_step()) {
		struct xfq_error error = {0};
		struct pair pair;

		if (!pair_make(&pair, expressions[i], &error) || pair_load(&pair, &error))
			fail_msg("\"%s\": %s", expressions[i], error.text);
		compare(&pair, &sample, expressions[i], NULL);
		pair_destroy(&pair);
	}
}

static void test_random(void **state)
{
	struct maker maker;
	size_t refused = 0, compared = 0;

	(void)state;
	maker_init(&maker, SEED);
	while (compared < test_scale(RANDOM_CNT)) {
		const char *text = maker_expression(&maker);
		struct xfq_error error = {0};
		struct pair pair;

		assert_true(refused < 20 * RANDOM_CNT);
		if (!pair_make(&pair, text, &error)) {
			filter_destroy(&pair.filter);
			refused++;
			continue;
		}
		if (pair_load(&pair, &error))
			fail_msg("\"%s\": %s", text, error.text);
		compare(&pair, &sample, text, NULL);
		pair_destroy(&pair);
		compared++;
	}
	print_message("  %zu compared; libpcap refused %zu\n", compared, refused);
}

/* Classic BPF that libpcap would not make, but its interpreter runs. */
static void test_programs(void **state)
{
	struct maker maker;

	(void)state;
	maker_init(&maker, SEED);
	for (size_t i = 0; i < test_scale(PROGRAM_CNT); i++) {
		struct sock_filter *insns = calloc(MAKER_INSNS_MAX, sizeof(*insns));
		struct xfq_error error = {0};
		struct expression *expression;
		char name[32];
		struct pair pair;

		assert_non_null(insns);
		assert_true(pair_make(&pair, "ip", &error));
		expression = &pair.filter.rules[0].expression;
		expression_destroy(expression);
		expression->insn_cnt = maker_program(&maker, insns);
		expression->insns = (struct bpf_insn *)insns;
		snprintf(name, sizeof(name), "program %zu", i);
		if (pair_load(&pair, &error)) {
			for (uint32_t n = 0; n < expression->insn_cnt; n++)
				print_error("{ 0x%x, %u, %u, 0x%08x },\n", insns[n].code,
					    insns[n].jt, insns[n].jf, insns[n].k);
			fail_msg("%s: %s", name, error.text);
		}
		compare(&pair, &sample, name, NULL);
		pair_destroy(&pair);
	}
}

/* --- many in one function -------------------------------------------------------------------- */

/* The packets of each rule, the default last, as the kernel has counted them. */
static void count_rules(const struct loader *loader, const struct filter *filter, uint64_t *packets)
{
	struct xdp_counters counters;

	assert_int_equal(loader_counters(loader, &counters), 0);
	for (uint32_t i = 0; i < filter->rule_cnt; i++)
		packets[i] = counters.rules[i].packets;
	packets[filter->rule_cnt] = counters.rules[XDP_RULES_MAX].packets;
	/* what is steered finds no socket here */
	packets[filter->rule_cnt + 1] = counters.no_socket;
}

/* Both must come to the same rule and verdict, packet by packet. */
static void compare_many(struct pair *pair)
{
	uint64_t before[XDP_RULES_MAX + 2], after[XDP_RULES_MAX + 2];
	uint32_t rule_cnt = pair->filter.rule_cnt;

	count_rules(&pair->loader, &pair->filter, before);
	for (size_t i = 0; i < sample.cnt; i += test_scale_step()) {
		const struct corpus_packet *packet = &sample.packets[i];
		struct xfq_meta meta;
		struct first_pass_result user = first_pass_run(&pair->pass, packet->data,
							       packet->len, packet->len, 0, &meta);
		uint32_t rule = user.rule == XFQ_RULE_DEFAULT ? rule_cnt : user.rule;
		int action = pair_run(pair, packet);

		compared_cnt++;
		count_rules(&pair->loader, &pair->filter, after);
		if (action == (user.verdict == XDP_VERDICT_DROP ? XDP_DROP : XDP_PASS) &&
		    after[rule] == before[rule] + 1 &&
		    after[rule_cnt + 1] - before[rule_cnt + 1] ==
			    (user.verdict == XDP_VERDICT_STEER)) {
			memcpy(before, after, sizeof(before));
			continue;
		}
		show_packet(packet);
		fail_msg("packet %zu: kernel's action %d, user space's rule %u, verdict %u", i,
			 action, user.rule, user.verdict);
	}
}

static void test_rules(void **state)
{
	static const enum filter_action actions[] = {FILTER_DROP, FILTER_PASS, FILTER_STEER};
	struct maker maker;

	(void)state;
	maker_init(&maker, SEED);
	for (size_t i = 0; i < test_scale(UNION_CNT * 2) && i < UNION_CNT; i++) {
		struct xfq_error error = {0};
		struct pair pair = {0};

		filter_init(&pair.filter);
		pair.filter.default_action = actions[i % 3];
		for (size_t n = 0; n < UNION_MEMBERS; n++) {
			struct filter_rule *rule = filter_add(&pair.filter, actions[n % 3]);

			assert_non_null(rule);
			assert_int_equal(
				filter_rule_match(rule, MAKER_PICK(&maker, expressions), &error),
				0);
		}
		if (pair_load(&pair, &error))
			fail_msg("filter %zu: %s", i, error.text);
		compare_many(&pair);
		pair_destroy(&pair);
	}
}

/* Every expression passes the verifier, also where there is no time for one program each. */
static void test_all_load(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXPRESSION_CNT; i += UNION_MEMBERS) {
		struct xfq_error error = {0};
		struct pair pair = {0};

		filter_init(&pair.filter);
		for (size_t n = i; n < EXPRESSION_CNT && n < i + UNION_MEMBERS; n++)
			assert_int_equal(filter_rule_match(filter_add(&pair.filter, FILTER_DROP),
							   expressions[n], &error),
					 0);
		if (pair_load(&pair, &error))
			fail_msg("from \"%s\" on: %s", expressions[i], error.text);
		pair_destroy(&pair);
	}
}

/* What any group wants is steered, the rest passed. */
static void test_claims(void **state)
{
	struct maker maker;

	(void)state;
	maker_init(&maker, SEED);
	for (size_t i = 0; i < test_scale(UNION_CNT * 2) && i < UNION_CNT; i++) {
		struct xfq_error error = {0};
		struct pair pair = {0};
		uint32_t cnt = 1 + maker_below(&maker, UNION_MEMBERS);

		filter_init(&pair.filter);
		pair.filter.default_action = FILTER_CLAIMED;
		pair.filter.claim_push_down = i != 0;
		pair.filter.claims = calloc(cnt, sizeof(*pair.filter.claims));
		assert_non_null(pair.filter.claims);
		pair.filter.claim_cnt = cnt;
		for (uint32_t n = 0; n < cnt; n++)
			assert_int_equal(expression_compile(&pair.filter.claims[n].expression,
							    MAKER_PICK(&maker, expressions),
							    &error),
					 0);
		if (pair_load(&pair, &error))
			fail_msg("filter %zu: %s", i, error.text);
		compare_many(&pair);
		pair_destroy(&pair);
	}
}

/* --- packets --------------------------------------------------------------------------------- */

/* Longer than the first buffer: what a packet begins with, and then more. */
static void add_long(struct corpus *to, const struct corpus_packet *packet, uint32_t len)
{
	static uint8_t data[PACKET_MAX];
	uint32_t head = packet->len < len ? packet->len : len;

	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)corpus_random(to);
	memcpy(data, packet->data, head);
	corpus_add(to, data, len);
}

static void corpora_create(void)
{
	static const uint32_t lengths[] = {1514, 3000, 3400, 3520, 3600, 4096, 5001, 9000, 16384};
	const char *shared = getenv("XFQ_SHARED_DIR");
	struct corpus shapes, mutated;
	char dir[4096];

	corpus_init(&captured, SEED, PACKET_MIN, PACKET_MAX);
	snprintf(dir, sizeof(dir), "%s/data/pcaps", shared ? shared : ".");
	have_captures = corpus_captures(&captured, dir) == 0 && captured.cnt > 0;
	corpus_init(&shapes, SEED, PACKET_MIN, PACKET_MAX);
	corpus_shapes(&shapes);
	corpus_init(&mutated, SEED, PACKET_MIN, PACKET_MAX);
	corpus_cuts(&mutated, &shapes, 4);
	corpus_mutations(&mutated, have_captures ? &captured : &shapes, SAMPLE_CNT / 3);
	corpus_init(&sample, SEED, PACKET_MIN, PACKET_MAX);
	for (size_t i = 0; i < SAMPLE_CNT / 3; i++) {
		const struct corpus_packet *packet =
			&shapes.packets[i * shapes.cnt * 3 / SAMPLE_CNT];

		corpus_add(&sample, packet->data, packet->len);
		if (!have_captures)
			continue;
		packet = &captured.packets[i * captured.cnt * 3 / SAMPLE_CNT];
		corpus_add(&sample, packet->data, packet->len);
		if (i % 8 == 0)
			add_long(&sample, packet,
				 lengths[i / 8 % (sizeof(lengths) / sizeof(lengths[0]))]);
	}
	for (size_t i = 0; i < mutated.cnt; i++)
		corpus_add(&sample, mutated.packets[i].data, mutated.packets[i].len);
	corpus_destroy(&shapes);
	corpus_destroy(&mutated);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_captures), cmocka_unit_test(test_sample),
		cmocka_unit_test(test_random),   cmocka_unit_test(test_programs),
		cmocka_unit_test(test_all_load), cmocka_unit_test(test_rules),
		cmocka_unit_test(test_claims),
	};
	struct xfq_error error = {0};
	struct pair pair;
	int failed;

	if (!pair_make(&pair, "ip", &error) || pair_load(&pair, &error)) {
		printf("%s: %s\n", error.code == -EPERM ? "skipped" : "failed", error.text);
		return error.code == -EPERM ? 77 : 1;
	}
	pair_destroy(&pair);
	corpora_create();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	print_message(
		"%zu expressions; packets: %zu captured, %zu in the sample; %llu comparisons, "
		"%llu matched; at most %u instructions verified\n",
		EXPRESSION_CNT, captured.cnt, sample.cnt, (unsigned long long)compared_cnt,
		(unsigned long long)matched_cnt, verified_max);
	corpus_destroy(&captured);
	corpus_destroy(&sample);
	return failed;
}
