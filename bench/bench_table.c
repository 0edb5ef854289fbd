/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a rule table costs: looking packets of a trace up, adding and taking out a rule, loading a
 * set in ClassBench's format. Prints one row; table.sh runs it beside DPDK's rte_acl, and adds the
 * rest.
 *
 * rte_acl's tool does not read TCP flags, so neither does this, but with --flags.
 */
#include "steering/table_find.h"
#include "steering/table_text.h"
#include <arpa/inet.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_TABLE_KEYS    65536 /* of a trace, at most: what rte_acl's tool reads */
#define BENCH_TABLE_CHANGES 4000  /* rules that are taken out and added again */
#define BENCH_TABLE_STEP    7919  /* a prime: through the rules in an order that is none */

static const char *const bench_table_levels[] = {"portable", "avx2", "avx512"};

struct bench_table {
	const char *rules_path, *trace_path;
	uint32_t iterations, copies;
	bool flags, print, changes;
	enum table_find_level level;

	struct table_rule *rules;
	uint32_t rule_cnt;
	struct table_key *keys;
	uint32_t key_cnt;
	struct table *table;
	double parse_ms, build_ms;
};

static void bench_table_fail(const char *what, const char *why)
{
	fprintf(stderr, "bench_table: %s: %s\n", what, why);
	exit(1);
}

static double bench_table_clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double bench_table_us(void)
{
	return bench_table_clock_us(CLOCK_MONOTONIC);
}

/* For single changes, of which the longest counts: without what others do on this CPU meanwhile. */
static double bench_table_own_us(void)
{
	return bench_table_clock_us(CLOCK_THREAD_CPUTIME_ID);
}

static void *bench_table_alloc(size_t cnt, size_t bytes)
{
	void *memory = calloc(cnt, bytes);

	if (!memory)
		bench_table_fail("memory", "there is none");
	return memory;
}

/* --- what is loaded --------------------------------------------------------------------------- */

static char *bench_table_read(const char *path, size_t *len)
{
	FILE *file = fopen(path, "r");
	char *text;

	if (!file || fseek(file, 0, SEEK_END) != 0)
		bench_table_fail(path, "cannot be read");
	*len = (size_t)ftell(file);
	rewind(file);
	text = bench_table_alloc(*len + 1, 1);
	if (fread(text, 1, *len, file) != *len)
		bench_table_fail(path, "cannot be read");
	fclose(file);
	return text;
}

/* As often as --copies says: each copy has its own upper bits in its addresses. */
static void bench_table_multiply(struct bench_table *bench)
{
	uint32_t cnt = bench->rule_cnt;
	struct table_rule *all = bench_table_alloc((size_t)cnt * bench->copies, sizeof(*all));

	for (uint32_t c = 0; c < bench->copies; c++) {
		for (uint32_t i = 0; i < cnt; i++) {
			struct table_rule *rule = &all[c * cnt + i];

			*rule = bench->rules[i];
			rule->priority = 10 * (c * cnt + i + 1);
			if (rule->src_len >= 8)
				rule->src[0] ^= (uint8_t)c;
			if (rule->dst_len >= 8)
				rule->dst[0] ^= (uint8_t)(3 * c);
		}
	}
	free(bench->rules);
	bench->rules = all;
	bench->rule_cnt *= bench->copies;
}

static void bench_table_load(struct bench_table *bench)
{
	struct xfq_error error = {0};
	size_t len;
	char *text = bench_table_read(bench->rules_path, &len);
	double begin = bench_table_us(), parsed;
	uint32_t at;

	if (table_parse(bench->rules_path, text, len, NULL, &bench->rules, &bench->rule_cnt,
			&error) != 0)
		bench_table_fail("rules", error.text);
	parsed = bench_table_us();
	bench->parse_ms = (parsed - begin) / 1e3;
	free(text);
	bench_table_multiply(bench);
	for (uint32_t i = 0; i < bench->rule_cnt && !bench->flags; i++)
		bench->rules[i].flags = bench->rules[i].flags_mask = 0;
	bench->table = table_create();
	begin = bench_table_us();
	if (!bench->table || table_add_all(bench->table, bench->rules, bench->rule_cnt, &at) != 0)
		bench_table_fail("rules", "cannot be added");
	bench->build_ms = (bench_table_us() - begin) / 1e3;
	table_set_level(bench->table, bench->level);
}

static void bench_table_trace(struct bench_table *bench)
{
	size_t len;
	char *text = bench_table_read(bench->trace_path, &len), *at = text;

	bench->keys = bench_table_alloc(BENCH_TABLE_KEYS, sizeof(*bench->keys));
	while (bench->key_cnt < BENCH_TABLE_KEYS && *at) {
		uint32_t fields[7];

		for (int i = 0; i < 7; i++)
			fields[i] = (uint32_t)strtoul(at, &at, 10);
		at += strspn(at, " \t\r\n");
		bench->keys[bench->key_cnt++] =
			(struct table_key){.ip = 4,
					   .src = {htonl(fields[0])},
					   .dst = {htonl(fields[1])},
					   .sport = fields[2],
					   .dport = fields[3],
					   .proto = (uint8_t)fields[4],
					   .flags = (uint16_t)(fields[5] >> 24)};
	}
	free(text);
}

/* --- what is measured ------------------------------------------------------------------------- */

/* Each packet of the trace is looked up; the sum of what was found, so that it is. */
static uint64_t bench_table_once(const struct bench_table *bench)
{
	uint16_t outcomes[TABLE_BATCH];
	uint32_t rules[TABLE_BATCH];
	uint64_t sum = 0;

	for (uint32_t at = 0; at < bench->key_cnt; at += TABLE_BATCH) {
		uint32_t left = bench->key_cnt - at, cnt = left < TABLE_BATCH ? left : TABLE_BATCH;

		table_find(bench->table, bench->keys + at, cnt, outcomes, rules);
		for (uint32_t i = 0; i < cnt; i++)
			sum += rules[i];
	}
	return sum;
}

static double bench_table_look_up(const struct bench_table *bench)
{
	uint64_t sum = bench_table_once(bench);
	double begin = bench_table_us();

	for (uint32_t i = 0; i < bench->iterations; i++)
		if (bench_table_once(bench) != sum)
			bench_table_fail("trace", "another answer than before");
	return (double)bench->key_cnt * bench->iterations / (bench_table_us() - begin);
}

/* For the comparison of answers: the number of each packet's rule, from 0, and as rte_acl's tool
 * has it 0 for none. */
static void bench_table_print(const struct bench_table *bench)
{
	for (uint32_t i = 0; i < bench->key_cnt; i++) {
		uint16_t outcome;
		uint32_t rule;

		table_find(bench->table, &bench->keys[i], 1, &outcome, &rule);
		printf("%u\n", rule == TABLE_NO_RULE ? 0 : rule / 10 - 1);
	}
}

static int bench_table_compare(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static json_t *bench_table_times(double *times, uint32_t cnt)
{
	qsort(times, cnt, sizeof(*times), bench_table_compare);
	return json_pack("{s:f, s:f, s:f}", "median", times[cnt / 2], "p99",
			 times[cnt - 1 - cnt / 100], "max", times[cnt - 1]);
}

/* One rule after the other is taken out, all over the table, and added again later. */
static void bench_table_change(struct bench_table *bench, json_t *row)
{
	uint32_t cnt = bench->rule_cnt / 2 < BENCH_TABLE_CHANGES ? bench->rule_cnt / 2
								 : BENCH_TABLE_CHANGES;
	double *times = bench_table_alloc(cnt, sizeof(*times)), begin;

	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t rule = (uint32_t)((uint64_t)i * BENCH_TABLE_STEP % bench->rule_cnt);

		begin = bench_table_own_us();
		if (!table_del(bench->table, bench->rules[rule].priority))
			bench_table_fail("rules", "one is not there");
		times[i] = bench_table_own_us() - begin;
	}
	json_object_set_new(row, "remove_us", bench_table_times(times, cnt));
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t rule = (uint32_t)((uint64_t)i * BENCH_TABLE_STEP % bench->rule_cnt);

		begin = bench_table_own_us();
		if (table_add(bench->table, &bench->rules[rule]) != 0)
			bench_table_fail("rules", "one cannot be added");
		times[i] = bench_table_own_us() - begin;
	}
	json_object_set_new(row, "insert_us", bench_table_times(times, cnt));
	free(times);
}

/* All rules, one by one, into an empty table, which looks up afterwards. */
static void bench_table_grow(struct bench_table *bench, json_t *row)
{
	double *times = bench_table_alloc(bench->rule_cnt, sizeof(*times)), begin;

	table_destroy(bench->table);
	bench->table = table_create();
	if (!bench->table)
		bench_table_fail("memory", "there is none");
	for (uint32_t i = 0; i < bench->rule_cnt; i++) {
		uint32_t rule = (uint32_t)((uint64_t)i * BENCH_TABLE_STEP % bench->rule_cnt);

		begin = bench_table_own_us();
		if (table_add(bench->table, &bench->rules[rule]) != 0)
			bench_table_fail("rules", "one cannot be added");
		times[i] = bench_table_own_us() - begin;
	}
	json_object_set_new(row, "grow_us", bench_table_times(times, bench->rule_cnt));
	free(times);
}

/* --- the program ------------------------------------------------------------------------------ */

static bool bench_table_count(const char *text, uint32_t max, uint32_t *cnt)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*cnt = (uint32_t)value;
	return *end == '\0' && value >= 1 && value <= max;
}

static int bench_table_usage(void)
{
	fprintf(stderr,
		"usage: bench_table --rules FILE [--trace FILE] [--iter N] [--copies N] [--flags]\n"
		"                   [--level portable|avx2|avx512] [--changes] [--print]\n");
	return 2;
}

static bool bench_table_option(struct bench_table *bench, int option)
{
	uint32_t level = 0;

	switch (option) {
	case 'r':
		bench->rules_path = optarg;
		return true;
	case 't':
		bench->trace_path = optarg;
		return true;
	case 'i':
		return bench_table_count(optarg, 100000, &bench->iterations);
	case 'c':
		return bench_table_count(optarg, 100, &bench->copies);
	case 'f':
		return bench->flags = true;
	case 'p':
		return bench->print = true;
	case 'u':
		return bench->changes = true;
	case 'l':
		while (level < 3 && strcmp(optarg, bench_table_levels[level]) != 0)
			level++;
		bench->level = level;
		return level <= table_find_best();
	default:
		return false;
	}
}

static void bench_table_row(struct bench_table *bench)
{
	json_t *row = json_pack("{s:i, s:s, s:f, s:f, s:f}", "rules", (int)bench->rule_cnt, "level",
				bench_table_levels[bench->level], "parse_ms", bench->parse_ms,
				"build_ms", bench->build_ms, "bytes_per_rule",
				(double)table_bytes(bench->table) / bench->rule_cnt);

	if (bench->key_cnt) {
		json_object_set_new(row, "packets", json_integer(bench->key_cnt));
		json_object_set_new(row, "m_per_s", json_real(bench_table_look_up(bench)));
	}
	if (bench->changes) {
		bench_table_change(bench, row);
		if (bench->key_cnt)
			json_object_set_new(row, "changed_m_per_s",
					    json_real(bench_table_look_up(bench)));
		bench_table_grow(bench, row);
		if (bench->key_cnt)
			json_object_set_new(row, "grown_m_per_s",
					    json_real(bench_table_look_up(bench)));
	}
	json_dumpf(row, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	printf("\n");
	json_decref(row);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"rules", required_argument, NULL, 'r'},
		{"trace", required_argument, NULL, 't'},
		{"iter", required_argument, NULL, 'i'},
		{"copies", required_argument, NULL, 'c'},
		{"flags", no_argument, NULL, 'f'},
		{"level", required_argument, NULL, 'l'},
		{"changes", no_argument, NULL, 'u'},
		{"print", no_argument, NULL, 'p'},
		{NULL, 0, NULL, 0},
	};
	struct bench_table bench = {.iterations = 10, .copies = 1, .level = table_find_best()};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!bench_table_option(&bench, option))
			return bench_table_usage();
	if (optind != argc || !bench.rules_path)
		return bench_table_usage();
	bench_table_load(&bench);
	if (bench.trace_path)
		bench_table_trace(&bench);
	if (bench.print)
		bench_table_print(&bench);
	else
		bench_table_row(&bench);
	table_destroy(bench.table);
	free(bench.rules);
	free(bench.keys);
	return 0;
}
