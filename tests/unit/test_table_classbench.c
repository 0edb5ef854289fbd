/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ClassBench's rule sets in $XFQ_SHARED_DIR/data/classbench: each with its trace and with packets
 * near its rules, beside a search through all rules: loaded at once, then while rules come and go.
 */
#include "steering/table_find.h"
#include "steering/table_text.h"
#include "tests/scale.h"
#include "tests/table_model.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SEED      0xc1a55be7c4ULL
#define WORK      100000000u /* rules that are compared with keys for each set, about */
#define TRACE_MAX 65536

static char folder[4096];
static struct table_key keys[TRACE_MAX];

/* A whole file, which the caller frees; NULL: there is none. */
static char *read_file(const char *name, const char *suffix, size_t *len)
{
	char path[4200], *text = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.%s", folder, name, suffix);
	file = fopen(path, "r");
	if (!file)
		return NULL;
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	*len = (size_t)ftell(file);
	rewind(file);
	text = malloc(*len + 1);
	assert_non_null(text);
	assert_int_equal(fread(text, 1, *len, file), *len);
	text[*len] = '\0';
	fclose(file);
	return text;
}

/* The keys of a trace; how many. Of its flags, what a generator's word has in the upper byte. */
static uint32_t read_trace(const char *name)
{
	size_t len;
	char *text = read_file(name, "trace", &len), *at = text;
	uint32_t cnt = 0;

	assert_non_null(text);
	while (cnt < TRACE_MAX && *at) {
		uint32_t fields[7];

		for (int i = 0; i < 7; i++)
			fields[i] = (uint32_t)strtoul(at, &at, 10);
		at += strspn(at, " \t\r\n");
		keys[cnt++] = (struct table_key){.ip = 4,
						 .src = {htonl(fields[0])},
						 .dst = {htonl(fields[1])},
						 .sport = fields[2],
						 .dport = fields[3],
						 .proto = (uint8_t)fields[4],
						 .flags = (uint16_t)(fields[5] >> 24)};
	}
	free(text);
	return cnt;
}

static void check(const struct table *table, const struct table_model *model,
		  const struct table_key *some, uint32_t cnt)
{
	uint16_t outcomes[TABLE_BATCH];
	uint32_t rules[TABLE_BATCH];

	for (uint32_t at = 0, burst; at < cnt; at += burst) {
		burst = at % TABLE_BATCH + 1 < cnt - at ? at % TABLE_BATCH + 1 : cnt - at;
		table_find(table, some + at, burst, outcomes, rules);
		for (uint32_t i = 0; i < burst; i++) {
			const struct table_rule *rule = model_find(model, &some[at + i]);

			assert_int_equal(rules[i], rule ? rule->priority : TABLE_NO_RULE);
			assert_int_equal(outcomes[i], rule ? rule->outcome : TABLE_NONE);
		}
	}
}

/* `cnt` packets of the trace, from one by chance on, and as many near rules, at a level by chance.
 */
static void check_some(struct table *table, const struct table_model *model, uint32_t trace_cnt,
		       uint32_t cnt, uint64_t *seed)
{
	table_set_level(table, model_random(seed) % (table_find_best() + 1));
	for (uint32_t left = cnt; left > 0;) {
		struct table_key near[TABLE_BATCH];
		uint32_t burst = left < TABLE_BATCH ? left : TABLE_BATCH;
		uint32_t from = model_random(seed) % (trace_cnt - TABLE_BATCH);

		for (uint32_t i = 0; i < burst; i++)
			near[i] = model_key(seed, &model->rules[model_random(seed) % model->cnt], 4,
					    8);
		check(table, model, keys + from, burst);
		check(table, model, near, burst);
		left -= burst;
	}
}

/* Half of the rules come and go, one by one. */
static void churn(struct table *table, struct table_model *model, uint32_t trace_cnt,
		  const struct table_rule *rules, uint32_t cnt, uint64_t *seed)
{
	for (uint32_t round = 0; round < 8; round++) {
		for (uint32_t i = 0; i < cnt / 8; i++) {
			const struct table_rule *rule = &rules[model_random(seed) % cnt];

			if (model_del(model, rule->priority)) {
				assert_true(table_del(table, rule->priority));
			} else {
				assert_true(model_add(model, rule));
				assert_int_equal(table_add(table, rule), 0);
			}
		}
		check_some(table, model, trace_cnt, WORK / 32 / cnt, seed);
	}
}

static void check_set(const char *name)
{
	const struct table_words words = {.otherwise = TABLE_DROP};
	struct xfq_error error = {0};
	struct table_model model = {0};
	struct table *table = table_create();
	struct table_rule *rules;
	uint32_t cnt, at, trace_cnt;
	uint64_t seed = SEED;
	size_t len;
	char *text = read_file(name, "rules", &len);

	assert_non_null(table);
	if (table_parse(name, text, len, &words, &rules, &cnt, &error) != 0)
		fail_msg("%s", error.text);
	trace_cnt = read_trace(name);
	for (uint32_t i = 0; i < cnt; i++) {
		rules[i].outcome = (uint16_t)(1 + i % 1000);
		model_add(&model, &rules[i]);
	}
	assert_int_equal(table_add_all(table, rules, cnt, &at), 0);
	check_some(table, &model, trace_cnt, (uint32_t)test_scale(WORK / 2 / cnt), &seed);
	churn(table, &model, trace_cnt, rules, cnt, &seed);
	/* from nothing, in an order by chance */
	table_destroy(table);
	table = table_create();
	assert_non_null(table);
	model_clear(&model);
	churn(table, &model, trace_cnt, rules, cnt, &seed);
	churn(table, &model, trace_cnt, rules, cnt, &seed);
	assert_int_equal(table_cnt(table), model.cnt);
	print_message("%s: %u rules, %u packets\n", name, cnt, trace_cnt);
	table_destroy(table);
	model_clear(&model);
	free(rules);
	free(text);
}

static void test_sets(void **state)
{
	static const char *const names[] = {"acl1_1k", "fw1_1k", "ipc1_1k", "acl1_10k"};
	const char *shared = getenv("XFQ_SHARED_DIR");
	uint32_t found = 0;

	(void)state;
	snprintf(folder, sizeof(folder), "%s/data/classbench", shared ? shared : "");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len;
		char *text = read_file(names[i], "rules", &len);

		free(text);
		if (!text)
			continue;
		check_set(names[i]);
		found++;
	}
	if (found == 0) {
		print_message("skipped: no rule sets in $XFQ_SHARED_DIR/data/classbench\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_sets)};

	print_message("seed %llx\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
