/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the configuration share: read a text that is good, or one with errors. */
#ifndef TESTS_CONFIG_CHECK_H
#define TESTS_CONFIG_CHECK_H

#include "apps/instance/config_yaml.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct config zeroed;

static inline void errors_show(const struct config_errors *errors)
{
	for (size_t i = 0; i < errors->cnt; i++)
		print_message("%s\n", errors->lines[i].text);
}

static inline void read_good(struct config *config, const char *text)
{
	struct config_errors errors = {0};
	int code = config_read_buffer(config, "t.yaml", ".", text, strlen(text), &errors);

	errors_show(&errors);
	assert_int_equal(code, 0);
	assert_false(config_errors_any(&errors));
	config_errors_destroy(&errors);
}

static inline void check_access(const struct config_access *access, uint32_t user, uint32_t group,
				uint32_t mode)
{
	assert_int_equal(access->user, user);
	assert_int_equal(access->group, group);
	assert_int_equal(access->mode, mode);
}

/* Whether a line is what was wanted, up to a '*' where its end is libyaml's own choice of words. */
static inline bool line_is(const char *got, const char *wanted)
{
	const char *star = strchr(wanted, '*');

	if (strncmp(got, "t.yaml:", 7) != 0)
		return false;
	return star ? strncmp(got + 7, wanted, (size_t)(star - wanted)) == 0
		    : strcmp(got + 7, wanted) == 0;
}

/* The text is refused with exactly these lines, each without "t.yaml:" in front. */
static inline void check_lines(const char *text, size_t len, const char *const *lines)
{
	struct config_errors errors = {0};
	struct config config;
	size_t cnt = 0;

	assert_int_equal(config_read_buffer(&config, "t.yaml", ".", text, len, &errors), -EINVAL);
	assert_memory_equal(&config, &zeroed, sizeof(config));
	while (lines[cnt])
		cnt++;
	for (size_t i = 0; i < cnt || i < errors.cnt; i++) {
		const char *got = i < errors.cnt ? errors.lines[i].text : "t.yaml:nothing";
		const char *wanted = i < cnt ? lines[i] : "nothing";

		if (!line_is(got, wanted)) {
			print_message("text:\n%.400s\nwanted: %s\n", text, wanted);
			errors_show(&errors);
			fail();
		}
	}
	config_errors_destroy(&errors);
}

struct bad_text {
	const char *text;
	const char *lines[8];
};

static inline void check_table(const struct bad_text *table, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++)
		check_lines(table[i].text, strlen(table[i].text), table[i].lines);
}

#define CHECK_TABLE(table) check_table(table, sizeof(table) / sizeof((table)[0]))

#endif
