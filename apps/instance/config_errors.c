/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_errors.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_ERROR_TEXT_BYTES 1024

/* Copy `text`, bytes above `highest` and control characters as \xNN; cut where there is no room. */
static void config_errors_escape(char *to, size_t room, const char *text, unsigned char highest)
{
	size_t used = 0;

	for (; *text && used + 5 <= room; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < 0x20 || byte == 0x7f || byte > highest)
			used += (size_t)snprintf(to + used, room - used, "\\x%02x", byte);
		else
			to[used++] = (char)byte;
	}
	to[used] = '\0';
}

/* A text by itself; NULL where memory is short. A file's name keeps its UTF-8. */
static __attribute__((format(printf, 3, 0))) char *
config_errors_format(const char *file, uint32_t line, const char *format, va_list args)
{
	char raw[CONFIG_ERROR_TEXT_BYTES], text[2 * CONFIG_ERROR_TEXT_BYTES];
	size_t file_room = strlen(file) * 4 + 5;
	char *name = malloc(file_room);
	char *all;

	if (!name)
		return NULL;
	config_errors_escape(name, file_room, file, 0xff);
	vsnprintf(raw, sizeof(raw), format, args);
	config_errors_escape(text, sizeof(text), raw, 0x7e);
	if (asprintf(&all, "%s:%u: %s", name, line, text) < 0)
		all = NULL;
	free(name);
	return all;
}

static __attribute__((format(printf, 3, 4))) char *
config_errors_line(const char *file, uint32_t line, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = config_errors_format(file, line, format, args);
	va_end(args);
	return text;
}

static bool config_errors_grow(struct config_errors *errors)
{
	size_t room = errors->room ? errors->room * 2 : 16;
	struct config_error_line *lines;

	if (errors->cnt < errors->room)
		return true;
	lines = reallocarray(errors->lines, room, sizeof(*lines));
	if (!lines)
		return false;
	errors->lines = lines;
	errors->room = room;
	return true;
}

void config_errors_add(struct config_errors *errors, const char *file, uint32_t line, uint32_t at,
		       const char *format, ...)
{
	char *text = NULL;
	va_list args;

	if (errors->cnt < CONFIG_ERRORS_MAX && config_errors_grow(errors)) {
		va_start(args, format);
		text = config_errors_format(file, line, format, args);
		va_end(args);
	}
	if (!text) {
		errors->more++;
		return;
	}
	errors->lines[errors->cnt] = (struct config_error_line){
		.text = text,
		.at = at,
		.order = (uint32_t)errors->cnt,
	};
	errors->cnt++;
}

static int config_errors_compare(const void *left, const void *right)
{
	const struct config_error_line *a = left, *b = right;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

void config_errors_sort(struct config_errors *errors, const char *file)
{
	struct config_error_line *last;
	char *text;

	if (errors->cnt == 0)
		return;
	qsort(errors->lines, errors->cnt, sizeof(*errors->lines), config_errors_compare);
	last = &errors->lines[errors->cnt - 1];
	if (errors->more == 0)
		return;
	/* the last line makes room for the sum, and is part of it */
	text = config_errors_line(file, last->at, "and %zu more errors", errors->more + 1);
	if (!text)
		return;
	free(last->text);
	last->text = text;
	errors->more++;
}

void config_errors_destroy(struct config_errors *errors)
{
	if (!errors)
		return;
	for (size_t i = 0; i < errors->cnt; i++)
		free(errors->lines[i].text);
	free(errors->lines);
	memset(errors, 0, sizeof(*errors));
}
