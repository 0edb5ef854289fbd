/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything that is wrong with a configuration file, one line of text per error.
 *
 * A line is "FILE:LINE: text", without a newline, as compilers write it. FILE is the configuration
 * file or a set's file; LINE counts from 1, and is 1 where the error is the file itself (it cannot
 * be opened, say). Control characters and bytes beyond ASCII in the text are written as \xNN, so
 * that hostile input cannot forge lines or send escapes to a terminal.
 *
 * The list starts as zeroed memory and belongs to one thread.
 */
#ifndef INSTANCE_CONFIG_ERRORS_H
#define INSTANCE_CONFIG_ERRORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_ERRORS_MAX 1000 /* lines that are kept; the others are only counted */

struct config_error_line {
	char *text;     /* owned by the list */
	uint32_t at;    /* line of the configuration file it is sorted by */
	uint32_t order; /* of its adding */
};

struct config_errors {
	struct config_error_line *lines;
	size_t cnt, room;
	size_t more; /* errors that have no line: beyond CONFIG_ERRORS_MAX, or memory ran out */
};

/*
 * Append "FILE:LINE: text". `at` is the line of the configuration file that the error is sorted by:
 * `line` itself, or, for an error in a set's file, the line that names the file. Never fails: what
 * finds no room is counted in `more`.
 */
void config_errors_add(struct config_errors *errors, const char *file, uint32_t line, uint32_t at,
		       const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Whether there is any error. */
static inline bool config_errors_any(const struct config_errors *errors)
{
	return errors->cnt != 0 || errors->more != 0;
}

/*
 * Sort by line, in the order of adding within a line; where errors have no line, the last line says
 * how many. Once, when everything has been added.
 */
void config_errors_sort(struct config_errors *errors, const char *file);

/* Free the lines and zero the list; safe on zeroed memory and NULL. */
void config_errors_destroy(struct config_errors *errors);

#endif
