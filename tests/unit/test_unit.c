/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Units: whatever the expressions, the packets and how many of them come at once, the answers are
 * those of libpcap's interpreter, and no byte outside a packet is read.
 */
#include "steering/unit.h"
#include "steering/unit_plan.h"
#include "tests/bpf/corpus.h"
#include "tests/bpf/expression_maker.h"
#include "tests/bpf/expressions.h"
#include "tests/scale.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define SEED        0x5eed0000c0ffee01ULL
#define RANDOM_CNT  10000 /* expressions, in units of */
#define RANDOM_UNIT 20
#define PROGRAM_CNT 2000
#define SAMPLE_CNT  600
#define PACKET_MAX  9000
#define BURSTS      8 /* of different sizes, for each random unit */

static struct corpus captured, sample;
static bool have_captures;
static struct maker maker;
static unsigned long long compared_cnt, matched_cnt;

/* Expressions, and the unit of them. */
struct set {
	struct expression expressions[UNIT_EXPRESSIONS_MAX + 1];
	const struct expression *pointers[UNIT_EXPRESSIONS_MAX + 1];
	char *texts[UNIT_EXPRESSIONS_MAX + 1]; /* NULL: a program */
	uint32_t cnt;
	struct unit unit;
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

/* The kernel for any processor that does the same; the kernel itself, if it is one. */
static unit_kernel *plain_kernel(unit_kernel *kernel)
{
#ifdef __x86_64__
	for (size_t code = 0; code < UNIT_CODES; code++)
		for (size_t width = 0; width < 3; width++)
			for (size_t kind = 0; kind < UNIT_KINDS; kind++)
				if (unit_kernels_avx2[code][width][kind] == kernel)
					return unit_kernels_plain[code][width][kind];
#endif
	return kernel;
}

/* Every other unit runs as on a processor without AVX2. */
static void set_create(void)
{
	static uint32_t turn;
	struct xfq_error error = {0};

	if (unit_create(&set.unit, set.pointers, set.cnt, &error))
		fail_msg("%s", error.text);
	for (uint32_t i = 0; turn % 2 && i < set.unit.plan->op_cnt; i++)
		set.unit.plan->ops[i].kernel = plain_kernel(set.unit.plan->ops[i].kernel);
	turn++;
}

static void set_destroy(void)
{
	unit_destroy(&set.unit);
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

/* A burst, which must have libpcap's answers. */
static void set_check(const struct packet *pkts, uint32_t cnt)
{
	uint64_t hits[UNIT_EXPRESSIONS_MAX], same[UNIT_EXPRESSIONS_MAX];

	memset(hits, 0xa5, sizeof(hits));
	unit_interpret(&set.unit, pkts, cnt, hits);
	unit_run(&set.unit, pkts, cnt, same);
	assert_memory_equal(hits, same, set.cnt * sizeof(hits[0]));
	for (uint32_t r = 0; r < set.cnt; r++) {
		uint64_t expected = 0;

		for (uint32_t i = 0; i < cnt; i++)
			expected |= (uint64_t)expression_match(&set.expressions[r], pkts[i].data,
							       pkts[i].meta->wire_len, pkts[i].len)
				    << i;
		compared_cnt += cnt;
		matched_cnt += (unsigned)__builtin_popcountll(expected);
		if (hits[r] == expected)
			continue;
		if ((hits[r] ^ expected) & (cnt < 64 ? (UINT64_C(1) << cnt) - 1 : UINT64_MAX))
			show_failure(r, &pkts[__builtin_ctzll(hits[r] ^ expected)]);
		fail_msg("\"%s\", burst of %u: %016llx, libpcap %016llx",
			 set.texts[r] ? set.texts[r] : "program", cnt, (unsigned long long)hits[r],
			 (unsigned long long)expected);
	}
}

/* --- packets --------------------------------------------------------------------------------- */

/* Packets of a corpus, from the first one on; some were longer on the wire. */
static uint32_t burst_fill(const struct corpus *from, size_t first, uint32_t cnt,
			   struct packet *pkts, struct xfq_meta *meta)
{
	uint32_t i;

	for (i = 0; i < cnt && first + i < from->cnt; i++) {
		const struct corpus_packet *packet = &from->packets[first + i];

		meta[i] = (struct xfq_meta){.wire_len = packet->len};
		if (maker_below(&maker, 4) == 0)
			meta[i].wire_len += maker_below(&maker, 2000);
		pkts[i] =
			(struct packet){.data = packet->data, .len = packet->len, .meta = &meta[i]};
	}
	return i;
}

/* Bursts of one size after the other, over all packets. */
static void check_all(const struct corpus *from)
{
	struct packet pkts[PACKET_BURST];
	struct xfq_meta meta[PACKET_BURST];
	uint32_t size = 1;

	for (size_t first = 0; first < from->cnt;) {
		uint32_t cnt = burst_fill(from, first, size, pkts, meta);

		set_check(pkts, cnt);
		first += cnt;
		size = size % PACKET_BURST + 1;
	}
}

/* Some bursts, of the sizes that come next. */
static void check_some(void)
{
	static uint32_t size;
	struct packet pkts[PACKET_BURST];
	struct xfq_meta meta[PACKET_BURST];

	for (uint32_t i = 0; i < BURSTS; i++) {
		uint32_t first = maker_below(&maker, (uint32_t)sample.cnt - PACKET_BURST);

		size = size % PACKET_BURST + 1;
		set_check(pkts, burst_fill(&sample, first, size, pkts, meta));
	}
}

static void corpora_create(void)
{
	const char *shared = getenv("XFQ_SHARED_DIR");
	struct corpus shapes, mutated;
	char dir[4096];

	corpus_init(&captured, SEED, 1, PACKET_MAX);
	snprintf(dir, sizeof(dir), "%s/data/pcaps", shared ? shared : ".");
	have_captures = corpus_captures(&captured, dir) == 0 && captured.cnt > 0;
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
}

/* --- tests ----------------------------------------------------------------------------------- */

/* All that people write, in one unit, on all packets that they have captured. */
static void test_captures(void **state)
{
	(void)state;
	if (!have_captures) {
		print_message("skipped: no captures in $XFQ_SHARED_DIR/data/pcaps\n");
		skip();
	}
	for (size_t i = 0; i < EXPRESSION_CNT; i++)
		assert_true(set_add(expressions[i]));
	set_create();
	check_all(&captured);
	print_message("  %u expressions: %u loads, %u values, %u tests, %u junctions, %u bytes\n",
		      set.cnt, set.unit.plan->load_cnt, set.unit.plan->value_cnt,
		      set.unit.plan->test_cnt, set.unit.plan->junction_cnt,
		      set.unit.plan->scratch_bytes);
	set_destroy();
}

/* Each by itself, where nothing is shared, on packets that nobody sends. */
static void test_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < EXPRESSION_CNT; i++) {
		assert_true(set_add(expressions[i]));
		set_create();
		check_all(&sample);
		set_destroy();
	}
}

static void test_random(void **state)
{
	size_t refused = 0, compared = 0;

	(void)state;
	while (compared < test_scale(RANDOM_CNT)) {
		while (set.cnt < RANDOM_UNIT) {
			refused += !set_add(maker_expression(&maker));
			assert_true(refused < 20 * RANDOM_CNT);
		}
		set_create();
		compared += set.cnt;
		check_some();
		set_destroy();
	}
	print_message("  %zu expressions; libpcap refused %zu\n", compared, refused);
}

/* What libpcap would not make, but its interpreter runs. */
static void test_programs(void **state)
{
	(void)state;
	for (size_t i = 0; i < test_scale(PROGRAM_CNT); i++) {
		for (uint32_t n = 0; n < 1 + i % 4; n++)
			set_add_program();
		set_create();
		check_some();
		set_destroy();
	}
}

static void test_few(void **state)
{
	struct packet pkts[PACKET_BURST];
	struct xfq_meta meta[PACKET_BURST];
	uint64_t hits[2] = {1, 2};
	uint32_t cnt = burst_fill(&sample, 0, PACKET_BURST, pkts, meta);

	(void)state;
	set_create(); /* of none */
	assert_int_equal(set.unit.reach, 0);
	unit_run(&set.unit, pkts, cnt, hits);
	assert_int_equal(hits[0], 1);
	set_destroy();
	assert_true(set_add(NULL));
	assert_true(set_add("ether[0] + ether[1] > 600"));
	set_create();
	check_all(&sample);
	unit_run(&set.unit, pkts, 3, hits);
	assert_int_equal(hits[0], 7);
	assert_int_equal(hits[1], 0);
	set_destroy();
	set_destroy(); /* zeroed memory */
}

/* As many as may be, and one more. */
static void test_many(void **state)
{
	struct xfq_error error = {0};

	(void)state;
	while (set.cnt <= UNIT_EXPRESSIONS_MAX)
		set_add(maker_expression(&maker));
	assert_int_equal(unit_create(&set.unit, set.pointers, set.cnt, &error), -E2BIG);
	assert_non_null(strstr(error.text, "expression 512"));
	set.cnt--;
	set_create();
	check_some();
	set.cnt++;
	set_destroy();
}

/* Far more than a graph holds: the sentence names who was too many. */
static void test_too_big(void **state)
{
	enum { INSNS = 60002 };
	struct sock_filter *insns = calloc(INSNS, sizeof(*insns));
	const struct expression big = {.insns = (struct bpf_insn *)insns, .insn_cnt = INSNS};
	const struct expression *pointers[] = {&big, &big, &big, &big, &big, &big, &big, &big};
	struct xfq_error error = {0};
	struct unit unit;

	(void)state;
	assert_non_null(insns);
	insns[0] = (struct sock_filter){.code = BPF_LD | BPF_W | BPF_ABS, .k = 20};
	for (uint32_t i = 1; i < INSNS - 1; i += 1)
		insns[i] = i % 2 ? (struct sock_filter){.code = BPF_ALU | BPF_ADD | BPF_X}
				 : (struct sock_filter){.code = BPF_MISC | BPF_TAX};
	for (uint32_t i = 1; i < INSNS - 2; i += 3) {
		insns[i] = (struct sock_filter){.code = BPF_ALU | BPF_MUL | BPF_K, .k = i | 3};
		insns[i + 1] = (struct sock_filter){.code = BPF_ALU | BPF_XOR | BPF_K, .k = i};
		insns[i + 2] = (struct sock_filter){.code = BPF_ALU | BPF_ADD | BPF_K, .k = i};
	}
	insns[INSNS - 1] = (struct sock_filter){.code = BPF_RET | BPF_A};
	/* the same again says nothing new */
	assert_int_equal(unit_create(&unit, pointers, 8, &error), 0);
	unit_destroy(&unit);
	for (uint32_t n = 0; n < 8; n++) {
		struct sock_filter *other = calloc(INSNS, sizeof(*other));
		struct expression *expression = &set.expressions[n];

		assert_non_null(other);
		memcpy(other, insns, INSNS * sizeof(*insns));
		other[0].k = 30 + n;
		*expression =
			(struct expression){.insns = (struct bpf_insn *)other, .insn_cnt = INSNS};
		set.pointers[n] = expression;
		set.cnt++;
	}
	assert_int_equal(unit_create(&unit, set.pointers, 8, &error), -E2BIG);
	assert_non_null(strstr(error.text, "expression 3"));
	free(insns);
	set_destroy();
}

static uint64_t native_hits;

static void native(const struct packet *pkts, uint32_t cnt, uint64_t *hits)
{
	(void)pkts;
	hits[0] = native_hits + cnt;
}

static void test_native(void **state)
{
	struct packet pkts[PACKET_BURST];
	struct xfq_meta meta[PACKET_BURST];
	uint64_t hits[1];

	(void)state;
	burst_fill(&sample, 0, PACKET_BURST, pkts, meta);
	assert_true(set_add("len >= 0"));
	set_create();
	native_hits = 1000;
	unit_set_native(&set.unit, native);
	unit_run(&set.unit, pkts, 5, hits);
	assert_int_equal(hits[0], 1005);
	unit_interpret(&set.unit, pkts, 5, hits);
	assert_int_equal(hits[0], 31);
	unit_set_native(&set.unit, NULL);
	unit_run(&set.unit, pkts, 5, hits);
	assert_int_equal(hits[0], 31);
	set_destroy();
}

/* --- reach ----------------------------------------------------------------------------------- */

/* Memory of which nothing behind the end can be read. */
#define GUARDED_BYTES 16384

static uint8_t *guarded_end;

static int guarded_create(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *memory = mmap(NULL, GUARDED_BYTES + page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*state = memory;
	if (memory == MAP_FAILED || mprotect(memory + GUARDED_BYTES, page, PROT_NONE))
		return -1;
	guarded_end = memory + GUARDED_BYTES;
	return 0;
}

static int guarded_destroy(void **state)
{
	return munmap(*state, GUARDED_BYTES + (size_t)sysconf(_SC_PAGESIZE));
}

/* Nothing of a packet can be read from the unit's reach on, and nothing behind it; with 64 and with
 * 33 packets, and the answers are the same. */
static void check_reach(const struct corpus_packet *packet)
{
	uint32_t len = packet->len, seen = set.unit.reach < len ? set.unit.reach : len;
	struct xfq_meta meta = {.wire_len = len};
	struct packet pkts[PACKET_BURST];
	uint64_t hits[RANDOM_UNIT];

	memcpy(guarded_end - seen, packet->data, seen);
	for (uint32_t i = 0; i < PACKET_BURST; i++)
		pkts[i] = (struct packet){.data = guarded_end - seen, .len = len, .meta = &meta};
	unit_interpret(&set.unit, pkts, PACKET_BURST - len % 32, hits);
	for (uint32_t r = 0; r < set.cnt; r++)
		if ((hits[r] & 1) != expression_match(&set.expressions[r], packet->data, len, len))
			fail_msg("\"%s\": beyond %u", set.texts[r], set.unit.reach);
}

static void test_reach(void **state)
{
	size_t bounded = 0;

	(void)state;
	for (size_t i = 0; i < test_scale(400); i++) {
		uint32_t cnt = 1 + (uint32_t)i % RANDOM_UNIT;

		while (set.cnt < cnt)
			set_add(maker_expression(&maker));
		set_create();
		bounded += set.unit.reach < 1500;
		for (uint32_t n = 0; n < 50; n++)
			check_reach(&sample.packets[maker_below(&maker, (uint32_t)sample.cnt)]);
		set_destroy();
	}
	assert_true(bounded >= test_scale(40));
}

/* As far as one must look, and no further. */
static void test_reach_known(void **state)
{
	static const struct {
		const char *text;
		uint32_t reach;
	} known[] = {
		{"ip", 14},
		{"len > 100", 0},
		{"ip proto 17", 24},
		{"ether[100:4] = 7", 104},
		/* ports of IPv6, and of IPv4 behind a header of at most 60 bytes */
		{"tcp port 80", 14 + 60 + 4},
		{"tcp[13] & 2 != 0", 14 + 60 + 14},
		{"ip[ip[0]] = 1", 14 + 255 + 1},
		{"ip[ip[2:2]:4] = 1", 14 + 65535 + 4},
		{"ip6 protochain 6", UINT32_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		assert_true(set_add(known[i].text));
		set_create();
		if (set.unit.reach != known[i].reach)
			fail_msg("\"%s\": %u, not %u", known[i].text, set.unit.reach,
				 known[i].reach);
		set_destroy();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_captures),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_native),
		cmocka_unit_test_setup_teardown(test_reach, guarded_create, guarded_destroy),
		cmocka_unit_test(test_reach_known),
	};
	int failed;

	print_message("seed %#llx\n", SEED);
	maker_init(&maker, SEED);
	corpora_create();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	print_message("%llu compared, %llu matched\n", compared_cnt, matched_cnt);
	corpus_destroy(&captured);
	corpus_destroy(&sample);
	return failed;
}
