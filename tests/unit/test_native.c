/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Units as machine code: whatever the expressions, the packets and how many of them come at once,
 * the answers are the interpreter's and libpcap's, no byte outside a packet is read, and several
 * threads run the same code at once.
 */
#include "tests/bpf/corpus.h"
#include "tests/bpf/expression_maker.h"
#include "tests/bpf/expressions.h"
#include "tests/scale.h"
#include "workers/native_load.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define SEED        0x5eed0000ab1e0001ULL
#define RANDOM_CNT  10000 /* expressions, in units of */
#define RANDOM_UNIT 500
#define PROGRAM_CNT 600
#define SAMPLE_CNT  500
#define PACKET_MAX  9000
#define THREADS     4

static struct corpus sample;
static struct maker maker;
static unsigned long long compared_cnt, matched_cnt;

/* Expressions, and the policy of them: its first unit, and its last, of the same. */
struct set {
	struct expression expressions[UNIT_EXPRESSIONS_MAX];
	const struct expression *pointers[UNIT_EXPRESSIONS_MAX];
	char *texts[UNIT_EXPRESSIONS_MAX]; /* NULL: a program */
	uint32_t cnt;
	struct policy policy;
	struct unit *unit;
};

static struct set set;

/* --- sets ------------------------------------------------------------------------------------ */

static bool set_add(const char *text)
{
	struct xfq_error error;

	if (expression_compile(&set.expressions[set.cnt], text, &error))
		return false;
	set.texts[set.cnt] = strdup(text ? text : "");
	set.pointers[set.cnt] = &set.expressions[set.cnt];
	set.cnt++;
	return true;
}

static void set_add_program(void)
{
	struct sock_filter *insns = calloc(MAKER_INSNS_MAX, sizeof(*insns));

	assert_non_null(insns);
	set.expressions[set.cnt] = (struct expression){.insn_cnt = maker_program(&maker, insns),
						       .insns = (struct bpf_insn *)insns};
	set.pointers[set.cnt] = &set.expressions[set.cnt];
	set.cnt++;
}

static void set_create(void)
{
	struct xfq_error error = {0};

	set.unit = &set.policy.outer.unit;
	if (unit_create(set.unit, set.pointers, set.cnt, &error))
		fail_msg("%s", error.text);
	if (native_load_compile(&set.policy, &error))
		fail_msg("%s", error.text);
	assert_true(set.cnt == 0 || set.unit->native);
}

static void set_destroy(void)
{
	if (set.policy.native)
		set.policy.free_native(set.policy.native);
	unit_destroy(&set.policy.outer.unit);
	unit_destroy(&set.policy.rest.unit);
	for (uint32_t i = 0; i < set.cnt; i++) {
		expression_destroy(&set.expressions[i]);
		free(set.texts[i]);
	}
	memset(&set, 0, sizeof(set));
}

static void show_failure(uint32_t root, const struct packet *pkt)
{
	const struct sock_filter *insns = (const void *)set.expressions[root].insns;

	for (uint32_t i = 0; i < set.expressions[root].insn_cnt; i++)
		print_error("%3u {0x%02x, %u, %u, 0x%08x}\n", i, insns[i].code, insns[i].jt,
			    insns[i].jf, insns[i].k);
	for (uint32_t i = 0; i < pkt->len && i < 256; i++)
		print_error("%s%02x", i % 32 ? " " : "\n  ", pkt->data[i]);
	print_error("\n");
}

/* A burst, which must have libpcap's answers, and the interpreter's. */
static void set_check(const struct packet *pkts, uint32_t cnt)
{
	uint64_t hits[UNIT_EXPRESSIONS_MAX], interpreted[UNIT_EXPRESSIONS_MAX];

	memset(hits, 0xa5, sizeof(hits));
	unit_run(set.unit, pkts, cnt, hits);
	unit_interpret(set.unit, pkts, cnt, interpreted);
	for (uint32_t r = 0; r < set.cnt; r++) {
		uint64_t expected = 0;

		for (uint32_t i = 0; i < cnt; i++)
			expected |= (uint64_t)expression_match(&set.expressions[r], pkts[i].data,
							       pkts[i].meta->wire_len, pkts[i].len)
				    << i;
		compared_cnt += cnt;
		matched_cnt += (unsigned)__builtin_popcountll(expected);
		if (hits[r] == expected && interpreted[r] == expected)
			continue;
		if ((hits[r] ^ expected) & (cnt < 64 ? (UINT64_C(1) << cnt) - 1 : UINT64_MAX))
			show_failure(r, &pkts[__builtin_ctzll(hits[r] ^ expected)]);
		fail_msg("\"%s\", burst of %u: %016llx, interpreted %016llx, libpcap %016llx",
			 set.texts[r] ? set.texts[r] : "program", cnt, (unsigned long long)hits[r],
			 (unsigned long long)interpreted[r], (unsigned long long)expected);
	}
}

/* --- packets --------------------------------------------------------------------------------- */

/* Packets of the sample, from the first one on; some were longer on the wire. */
static uint32_t burst_fill(size_t first, uint32_t cnt, struct packet *pkts, struct xfq_meta *meta)
{
	uint32_t i;

	for (i = 0; i < cnt && first + i < sample.cnt; i++) {
		const struct corpus_packet *packet = &sample.packets[first + i];

		meta[i] = (struct xfq_meta){.wire_len = packet->len};
		if (maker_below(&maker, 4) == 0)
			meta[i].wire_len += maker_below(&maker, 2000);
		pkts[i] =
			(struct packet){.data = packet->data, .len = packet->len, .meta = &meta[i]};
	}
	return i;
}

/* Bursts of one size after the other, over all packets. */
static void check_all(void)
{
	struct packet pkts[PACKET_BURST];
	struct xfq_meta meta[PACKET_BURST];
	uint32_t size = 1;

	for (size_t first = 0; first < sample.cnt;) {
		uint32_t cnt = burst_fill(first, size, pkts, meta);

		set_check(pkts, cnt);
		first += cnt;
		size = size % PACKET_BURST + 1;
	}
}

/* Some bursts, of the sizes that come next. */
static void check_some(uint32_t bursts)
{
	static uint32_t size;
	struct packet pkts[PACKET_BURST];
	struct xfq_meta meta[PACKET_BURST];

	for (uint32_t i = 0; i < bursts; i++) {
		uint32_t first = maker_below(&maker, (uint32_t)sample.cnt - PACKET_BURST);

		size = size % PACKET_BURST + 1;
		set_check(pkts, burst_fill(first, size, pkts, meta));
	}
}

/* Packets of all shapes, cut ones, mutated ones, real ones where there are captures, and the first
 * bytes of each. */
static void sample_create(void)
{
	const char *shared = getenv("XFQ_SHARED_DIR");
	struct corpus shapes, mutated, captured;
	bool have_captures;
	char dir[4096];

	corpus_init(&captured, SEED, 1, PACKET_MAX);
	snprintf(dir, sizeof(dir), "%s/data/pcaps", shared ? shared : ".");
	have_captures = corpus_captures(&captured, dir) == 0 && captured.cnt > 0;
	if (!have_captures)
		print_message("without captures: none in $XFQ_SHARED_DIR/data/pcaps\n");
	corpus_init(&shapes, SEED, 0, PACKET_MAX);
	corpus_shapes(&shapes);
	corpus_init(&mutated, SEED, 14, PACKET_MAX);
	corpus_cuts(&mutated, &shapes, 4);
	corpus_mutations(&mutated, have_captures ? &captured : &shapes, SAMPLE_CNT);
	corpus_init(&sample, SEED, 0, PACKET_MAX);
	for (size_t i = 0; i < SAMPLE_CNT; i++) {
		const struct corpus *from[] = {&shapes, &mutated, &captured, &captured};

		for (size_t f = 0; f < (have_captures ? 4 : 2); f++) {
			const struct corpus_packet *packet =
				&from[f]->packets[corpus_below(&sample, (uint32_t)from[f]->cnt)];

			corpus_add(&sample, packet->data, packet->len);
		}
		corpus_add(&sample, sample.packets[sample.cnt - 1].data,
			   corpus_below(&sample, 60) % (sample.packets[sample.cnt - 1].len + 1));
	}
	corpus_destroy(&shapes);
	corpus_destroy(&mutated);
	corpus_destroy(&captured);
}

/* --- the same answers ------------------------------------------------------------------------- */

/* All that people write, in one unit, with bursts of all sizes. */
static void test_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXPRESSION_CNT; i++)
		assert_true(set_add(expressions[i]));
	set_create();
	check_all();
	set_destroy();
}

static void test_random(void **state)
{
	size_t refused = 0, compared = 0;

	(void)state;
	while (compared < test_scale(RANDOM_CNT)) {
		while (set.cnt < RANDOM_UNIT)
			refused += !set_add(maker_expression(&maker));
		set_create();
		compared += set.cnt;
		check_some(12);
		set_destroy();
	}
	print_message("  %zu expressions; libpcap refused %zu\n", compared, refused);
}

/* What libpcap would not make, but its interpreter runs. */
static void test_programs(void **state)
{
	(void)state;
	for (size_t i = 0; i < test_scale(PROGRAM_CNT); i += 40) {
		while (set.cnt < 40)
			set_add_program();
		set_create();
		check_some(24);
		set_destroy();
	}
}

/* Those that loop: libpcap's interpreter is called. */
static void test_loops(void **state)
{
	(void)state;
	assert_true(set_add("ip6 protochain 6"));
	assert_true(set_add("ip protochain 17 and len > 60"));
	assert_true(set_add("tcp"));
	set_create();
	check_all();
	set_destroy();
}

/* Of no expression, of those that need not look, of the most that there may be. */
static void test_sizes(void **state)
{
	(void)state;
	set_create();
	assert_null(set.policy.native);
	set_destroy();
	assert_true(set_add(NULL));
	assert_true(set_add("ether[0] + ether[1] > 600")); /* never */
	set_create();
	check_all();
	set_destroy();
	while (set.cnt < UNIT_EXPRESSIONS_MAX)
		set_add(maker_expression(&maker));
	set_create();
	check_some(4);
	set_destroy();
}

/* Both units of a policy get code of their own; what is compiled is not compiled again. */
static void test_policy(void **state)
{
	const struct expression *pointers[] = {&set.expressions[1], &set.expressions[0]};
	struct packet pkts[PACKET_BURST];
	struct xfq_meta meta[PACKET_BURST];
	uint64_t hits[2], others[2];
	struct xfq_error error;
	void *native;

	(void)state;
	assert_true(set_add("tcp"));
	assert_true(set_add("greater 100"));
	assert_int_equal(unit_create(&set.policy.rest.unit, pointers, 2, &error), 0);
	set_create();
	assert_non_null(set.policy.rest.unit.native);
	assert_ptr_not_equal(set.policy.rest.unit.native, set.policy.outer.unit.native);
	native = set.policy.native;
	assert_int_equal(native_load_compile(&set.policy, &error), 0);
	assert_ptr_equal(set.policy.native, native);
	burst_fill(0, PACKET_BURST, pkts, meta);
	unit_run(&set.policy.outer.unit, pkts, PACKET_BURST, hits);
	unit_run(&set.policy.rest.unit, pkts, PACKET_BURST, others);
	assert_int_equal(hits[0], others[1]);
	assert_int_equal(hits[1], others[0]);
	assert_int_not_equal(hits[0], hits[1]);
	set_destroy();
}

/* --- what is read ----------------------------------------------------------------------------- */

#define GUARDED_BYTES 16384

/* Packets that lie between memory that cannot be read: each ends where that begins, or as far as
 * the unit may look. */
static void test_guarded(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *memory = mmap(NULL, GUARDED_BYTES + page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *end = memory + GUARDED_BYTES;

	(void)state;
	assert_true(memory != MAP_FAILED);
	assert_int_equal(mprotect(end, page, PROT_NONE), 0);
	for (size_t round = 0; round < test_scale(20); round++) {
		while (set.cnt < 1 + round * 4)
			set_add(maker_expression(&maker));
		set_create();
		for (uint32_t n = 0; n < 400; n++) {
			const struct corpus_packet *packet =
				&sample.packets[maker_below(&maker, (uint32_t)sample.cnt)];
			uint32_t len = packet->len, reach = set.unit->reach;
			struct xfq_meta meta = {.wire_len = len};
			struct packet pkts[PACKET_BURST];
			uint64_t hits[UNIT_EXPRESSIONS_MAX];

			reach = reach < len ? reach : len;
			memcpy(end - reach, packet->data, reach);
			for (uint32_t i = 0; i < PACKET_BURST; i++)
				pkts[i] = (struct packet){
					.data = end - reach, .len = len, .meta = &meta};
			unit_run(set.unit, pkts, 1 + n % PACKET_BURST, hits);
			for (uint32_t r = 0; r < set.cnt; r++)
				if ((hits[r] & 1) !=
				    expression_match(&set.expressions[r], packet->data, len, len))
					fail_msg("\"%s\" of %u bytes", set.texts[r], len);
		}
		set_destroy();
	}
	assert_int_equal(munmap(memory, GUARDED_BYTES + page), 0);
}

/* --- threads ---------------------------------------------------------------------------------- */

struct runner {
	pthread_t thread;
	size_t first;
	unsigned long wrong;
};

static void *runner_run(void *argument)
{
	struct runner *runner = argument;
	uint64_t hits[UNIT_EXPRESSIONS_MAX], expected[UNIT_EXPRESSIONS_MAX];
	struct packet pkts[PACKET_BURST];
	struct xfq_meta meta[PACKET_BURST];

	for (uint32_t i = 0; i < PACKET_BURST; i++) {
		const struct corpus_packet *packet = &sample.packets[runner->first + i];

		meta[i] = (struct xfq_meta){.wire_len = packet->len};
		pkts[i] =
			(struct packet){.data = packet->data, .len = packet->len, .meta = &meta[i]};
	}
	unit_interpret(set.unit, pkts, PACKET_BURST, expected);
	for (size_t round = 0; round < test_scale(5000); round++) {
		unit_run(set.unit, pkts, PACKET_BURST, hits);
		runner->wrong += memcmp(hits, expected, set.cnt * sizeof(*hits)) != 0;
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct runner runners[THREADS];

	(void)state;
	for (size_t i = 0; i < EXPRESSION_CNT; i++)
		assert_true(set_add(expressions[i]));
	set_create();
	for (size_t i = 0; i < THREADS; i++) {
		runners[i] = (struct runner){.first = i * PACKET_BURST};
		assert_int_equal(pthread_create(&runners[i].thread, NULL, runner_run, &runners[i]),
				 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(runners[i].thread, NULL), 0);
		assert_int_equal(runners[i].wrong, 0);
	}
	set_destroy();
}

/* 0: there is a compiler; else why not is printed. */
static int probe(void)
{
	struct xfq_error error = {0};
	int code;

	set_add("tcp");
	code = unit_create(&set.policy.outer.unit, set.pointers, 1, &error);
	if (code == 0)
		code = native_load_compile(&set.policy, &error);
	set_destroy();
	if (code)
		print_message("skipped: %s\n", error.text);
	if (code == -EOPNOTSUPP && strstr(error.text, "XFQ_LLVM=OFF"))
		return 77;
	return code ? 1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),   cmocka_unit_test(test_written),
		cmocka_unit_test(test_random),  cmocka_unit_test(test_programs),
		cmocka_unit_test(test_loops),   cmocka_unit_test(test_policy),
		cmocka_unit_test(test_guarded), cmocka_unit_test(test_threads),
	};
	int failed = probe();

	if (failed)
		return failed;
	print_message("seed %#llx\n", SEED);
	maker_init(&maker, SEED);
	sample_create();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	print_message("%llu compared, %llu matched\n", compared_cnt, matched_cnt);
	corpus_destroy(&sample);
	return failed;
}
