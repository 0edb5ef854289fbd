/* SPDX-License-Identifier: BSD-2-Clause */
/* table_parse_all(): the lines of a text. */
#include "steering/table_text.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_STEP 10 /* between priorities that the order gives */

struct table_file {
	const char *name;
	const struct table_words *words;
	struct table_rule *rules;
	uint32_t cnt, room;
	uint32_t given; /* priorities that the order has given */
	char form;      /* of the first rule: '@', or ',' */
	table_fault *fault;
	void *context;
	uint32_t fault_most, fault_cnt;
	int code; /* of the first fault */
	struct xfq_error *error;
};

/* Something is wrong with a line: 0 where reading goes on behind it, else the first fault's code.
 */
static int __attribute__((format(printf, 4, 5)))
table_file_fault(struct table_file *file, int code, uint32_t line, const char *format, ...)
{
	char text[500];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (file->fault_cnt++ == 0) {
		file->code = code;
		xfq_error_set(file->error, code, "%s:%u: %s", file->name, line, text);
	}
	if (file->fault)
		file->fault(file->context, line, text);
	return file->fault_cnt < file->fault_most ? 0 : file->code;
}

static int table_file_add(struct table_file *file, const struct table_rule *rule)
{
	if (file->cnt == TABLE_RULES_MAX) {
		/* so it would say of all that follow */
		file->fault_most = 0;
		return table_file_fault(file, -E2BIG, rule->line, "a table has at most %u rules",
					TABLE_RULES_MAX);
	}
	if (file->cnt == file->room) {
		uint32_t room = file->room ? 2 * file->room : 256;
		struct table_rule *rules = realloc(file->rules, room * sizeof(*rules));

		if (!rules)
			return xfq_error_set(file->error, -ENOMEM, "%s: no memory for its rules",
					     file->name);
		file->rules = rules;
		file->room = room;
	}
	file->rules[file->cnt] = *rule;
	if (rule->priority == 0)
		file->rules[file->cnt].priority = ++file->given * TABLE_STEP;
	file->cnt++;
	return 0;
}

/* One line, that ends with a terminator. */
static int table_file_line(struct table_file *file, const char *line, uint32_t number)
{
	struct xfq_error why = {0};
	struct table_rule rule;
	int code = table_parse_rule(&rule, line, file->words, &why);
	bool bench = line[strspn(line, " \t\r")] == '@';

	if (code == 1)
		return 0;
	if (code)
		return table_file_fault(file, code, number, "%s", why.text);
	if (file->form && (file->form == '@') != bench)
		return table_file_fault(file, -EINVAL, number,
					"\"%.40s\": a file has ClassBench's lines, which begin "
					"with @, or CSV, not both",
					line);
	file->form = bench ? '@' : ',';
	rule.line = number;
	return table_file_add(file, &rule);
}

static int table_file_lines(struct table_file *file, const char *text, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf"; /* as spreadsheets write it in front of UTF-8 */
	const char *end = text + len;
	char line[TABLE_LINE_BYTES + 1];
	uint32_t number = 0;
	int code = 0;

	if (len >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0)
		text += strlen(mark);
	while (text < end && code == 0) {
		const char *next = memchr(text, '\n', (size_t)(end - text));
		size_t bytes = (size_t)((next ? next : end) - text);

		number++;
		/* what is longer is refused, or is a comment */
		if (bytes > TABLE_LINE_BYTES)
			bytes = TABLE_LINE_BYTES;
		memcpy(line, text, bytes);
		line[bytes] = '\0';
		if (strlen(line) < bytes)
			code = table_file_fault(file, -EINVAL, number,
						"\"%.80s\" is followed by a zero byte", line);
		else
			code = table_file_line(file, line, number);
		text = next ? next + 1 : end;
	}
	return code;
}

static int table_file_compare(const void *a, const void *b)
{
	const struct table_rule *const *left = a, *const *right = b;

	if ((*left)->priority != (*right)->priority)
		return (*left)->priority < (*right)->priority ? -1 : 1;
	return (*left)->line < (*right)->line ? -1 : (*left)->line > (*right)->line;
}

/* No two rules have the same priority. */
static int table_file_check(struct table_file *file)
{
	const struct table_rule **rules;
	uint32_t i = 1;
	int code = 0;

	while (i < file->cnt && file->rules[i - 1].priority < file->rules[i].priority)
		i++;
	if (i >= file->cnt)
		return 0;
	rules = malloc(file->cnt * sizeof(*rules));
	if (!rules)
		return xfq_error_set(file->error, -ENOMEM, "%s: no memory for its rules",
				     file->name);
	for (i = 0; i < file->cnt; i++)
		rules[i] = &file->rules[i];
	qsort(rules, file->cnt, sizeof(*rules), table_file_compare);
	for (i = 1; i < file->cnt && code == 0; i++)
		if (rules[i - 1]->priority == rules[i]->priority)
			code = table_file_fault(file, -EINVAL, rules[i]->line,
						"priority \"%u\" is that of line %u",
						rules[i]->priority, rules[i - 1]->line);
	free(rules);
	return code;
}

static int table_file_parse(struct table_file *file, const char *text, size_t len,
			    struct table_rule **rules, uint32_t *cnt)
{
	int code = table_file_lines(file, text, len);

	if (code == 0)
		code = table_file_check(file);
	if (code == 0)
		code = file->code;
	if (code) {
		free(file->rules);
		return code;
	}
	*rules = file->rules;
	*cnt = file->cnt;
	return 0;
}

int table_parse(const char *name, const char *text, size_t len, const struct table_words *words,
		struct table_rule **rules, uint32_t *cnt, struct xfq_error *error)
{
	struct table_file file = {.name = name, .words = words, .error = error, .fault_most = 1};

	return table_file_parse(&file, text, len, rules, cnt);
}

int table_parse_all(const char *name, const char *text, size_t len, const struct table_words *words,
		    table_fault *fault, void *context, struct table_rule **rules, uint32_t *cnt,
		    struct xfq_error *error)
{
	struct table_file file = {
		.name = name,
		.words = words,
		.error = error,
		.fault = fault,
		.context = context,
		.fault_most = TABLE_FAULTS_MAX,
	};

	return table_file_parse(&file, text, len, rules, cnt);
}
