/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rule tables: hostile text through the parser, and what it understood back through format and
 * parser; those rules and others by chance come and go as the bytes say, and the table finds what a
 * search through all rules finds.
 */
#include "steering/table_find.h"
#include "steering/table_text.h"
#include "tests/table_model.h"

#define FUZZ_RULES 200 /* of a table: the model is slow */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static const char *const classes[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
static const struct table_words words = {
	.otherwise = TABLE_DELIVER, .classes = classes, .class_cnt = TABLE_CLASSES_MAX};

static void fuzz_again(const struct table_rule *rule)
{
	char text[TABLE_TEXT_BYTES];
	struct xfq_error error;
	struct table_rule again;

	check(table_parse_rule(&again, table_format_rule(rule, &words, text), &words, &error) == 0);
	again.line = rule->line;
	check(memcmp(&again, rule, sizeof(again)) == 0);
}

/* What text says: the table is filled with it. */
static void fuzz_text(const uint8_t *data, size_t len, struct table *table,
		      struct table_model *model)
{
	struct xfq_error error = {0};
	struct table_rule *rules;
	uint32_t cnt, at;
	int code = table_parse("fuzz", (const char *)data, len, &words, &rules, &cnt, &error);

	check(!strchr(error.text, '\n'));
	check(code == 0 || (error.code == code && strncmp(error.text, "fuzz:", 5) == 0));
	if (code)
		return;
	for (uint32_t i = 0; i < cnt; i++)
		fuzz_again(&rules[i]);
	if (cnt <= FUZZ_RULES) {
		check(table_add_all(table, rules, cnt, &at) == 0);
		for (uint32_t i = 0; i < cnt; i++)
			check(model_add(model, &rules[i]));
	}
	free(rules);
}

static void fuzz_find(struct table *table, const struct table_model *model, uint64_t *seed)
{
	struct table_key keys[TABLE_BATCH];
	uint16_t outcomes[TABLE_BATCH];
	uint32_t rules[TABLE_BATCH], cnt = 1 + model_random(seed) % 16;

	for (uint32_t i = 0; i < cnt && model->cnt > 0; i++) {
		const struct table_rule *rule = &model->rules[model_random(seed) % model->cnt];

		keys[i] = model_key(seed, rule, rule->ip ? rule->ip : 6, 8);
	}
	if (model->cnt == 0)
		return;
	table_set_level(table, model_random(seed) % (table_find_best() + 1));
	table_find(table, keys, cnt, outcomes, rules);
	for (uint32_t i = 0; i < cnt; i++) {
		const struct table_rule *rule = model_find(model, &keys[i]);

		check(rules[i] == (rule ? rule->priority : TABLE_NO_RULE));
		check(outcomes[i] == (rule ? rule->outcome : TABLE_NONE));
	}
}

/* Each byte is a step: what it does, and to how many rules. */
static struct table *fuzz_steps(const uint8_t *data, size_t len, struct table *table,
				struct table_model *model)
{
	uint64_t seed = 1 + len;

	for (size_t at = 0; at < len && at < 12; at++) {
		uint32_t spread = 1 + (data[at] >> 6) * 2;

		seed = (seed ^ data[at]) * 0x9e3779b97f4a7c15ULL + 1;
		for (uint32_t i = 0; i < (data[at] & 7u) * 8; i++) {
			uint8_t ip = (uint8_t[]){4, 6, 0}[(data[at] >> 4) % 3];
			struct table_rule rule = model_rule(&seed, ip, spread, 1000);

			if (data[at] & 8)
				check(table_del(table, rule.priority) ==
				      model_del(model, rule.priority));
			else if (model->cnt < FUZZ_RULES)
				check((table_add(table, &rule) == 0) == model_add(model, &rule));
		}
		if ((data[at] & 15) == 15) {
			struct table *copy = table_copy(table);

			check(copy != NULL);
			table_destroy(table);
			table = copy;
		}
		fuzz_find(table, model, &seed);
		check(table_cnt(table) == model->cnt);
	}
	return table;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct table_model model = {0};
	struct table *table = table_create();

	check(table != NULL);
	fuzz_text(data, len, table, &model);
	table = fuzz_steps(data, len, table, &model);
	table_destroy(table);
	model_clear(&model);
	return 0;
}
