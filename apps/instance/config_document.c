/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_document.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Read to the end of `fd`, at most `max` bytes. */
static int config_file_slurp(int fd, size_t max, char **text, size_t *len)
{
	size_t room = 0, used = 0;
	char *all = NULL;
	ssize_t got = 1;

	while (got > 0) {
		if (used + 1 >= room) {
			size_t wanted = room ? room * 2 : 16384;
			char *more = realloc(all, wanted);

			if (!more)
				goto no_memory;
			all = more;
			room = wanted;
		}
		got = read(fd, all + used, room - used - 1);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			used += (size_t)got;
		if (got < 0 || used > max)
			break;
	}
	if (got < 0 || used > max) {
		int code = got < 0 ? -errno : -EFBIG;

		free(all);
		return code;
	}
	all[used] = '\0';
	*text = all;
	*len = used;
	return 0;

no_memory:
	free(all);
	return -ENOMEM;
}

int config_file_read(const char *path, size_t max, bool regular, char **text, size_t *len)
{
	struct stat status;
	int fd, code;

	/* before opening too: to open a device can do things */
	if (stat(path, &status) != 0)
		return -errno;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	if (regular && !S_ISREG(status.st_mode))
		return -EINVAL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular ? O_NONBLOCK : 0));
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) != 0)
		code = -errno;
	else if (regular && !S_ISREG(status.st_mode))
		code = -EINVAL;
	else if (S_ISREG(status.st_mode) && (uint64_t)status.st_size > max)
		code = -EFBIG;
	else
		code = config_file_slurp(fd, max, text, len);
	close(fd);
	return code;
}

char *config_file_path(const char *dir, const char *file)
{
	char *path;

	if (file[0] == '/' || strcmp(dir, ".") == 0 || dir[0] == '\0')
		return strdup(file);
	return asprintf(&path, "%s/%s", dir, file) < 0 ? NULL : path;
}

const char *config_file_problem(int code, size_t max, char *to, size_t room)
{
	if (code == -EISDIR)
		snprintf(to, room, "is a directory, not a file");
	else if (code == -EFBIG)
		snprintf(to, room, "is larger than the %zu MiB that are read", max >> 20);
	else if (code == -EINVAL)
		snprintf(to, room, "is not a regular file");
	else
		snprintf(to, room, "cannot be read: %s", strerror(-code));
	return to;
}

/* The line, from 1, of the byte at `offset`. */
static uint32_t config_document_line(const char *text, size_t len, size_t offset)
{
	uint32_t line = 1;

	for (size_t i = 0; i < offset && i < len; i++)
		line += text[i] == '\n';
	return line;
}

/* Turn libyaml's error into one of ours. */
static int config_document_refuse(const yaml_parser_t *parser, const char *file, const char *text,
				  size_t len, struct config_errors *errors)
{
	uint32_t line = (uint32_t)parser->problem_mark.line + 1;
	const char *problem = parser->problem ? parser->problem : "no reason given";

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	/* the reader is ahead of the scanner and knows bytes only */
	if (parser->error == YAML_READER_ERROR)
		line = config_document_line(text, len, parser->problem_offset);
	config_errors_add(errors, file, line, line, "not YAML: %s%s%s",
			  parser->context ? parser->context : "", parser->context ? ", " : "",
			  problem);
	return -EINVAL;
}

struct config_survey {
	uint32_t values, anchors, documents, depth;
};

/* Count an event; NULL, or what is wrong with the document. */
static const char *config_survey_count(struct config_survey *survey, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL;

	if (event->type == YAML_DOCUMENT_START_EVENT && ++survey->documents > 1)
		return "a second document begins here; a configuration is one document";
	if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT)
		survey->depth--;
	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		survey->depth++;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		survey->depth++;
	} else if (event->type == YAML_ALIAS_EVENT) {
		anchor = event->data.alias.anchor;
	} else {
		return NULL;
	}
	if (survey->depth > CONFIG_DEPTH_MAX)
		return "lists and mappings nested more deeply than a configuration may have (64)";
	if (anchor && ++survey->anchors > CONFIG_ANCHORS_MAX)
		return "more anchors and aliases than a configuration may have (1000)";
	if (++survey->values > CONFIG_VALUES_MAX)
		return "more values than a configuration may have (1048576); long sets belong in "
		       "files of their own";
	return NULL;
}

/* The pass over the events: is it YAML, and small enough to become a document? */
static int config_document_survey(const char *file, const char *text, size_t len,
				  struct config_errors *errors)
{
	struct config_survey survey = {0};
	yaml_parser_t parser;
	bool last = false;
	int code = 0;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (!last && code == 0) {
		yaml_event_t event;
		const char *problem;

		if (!yaml_parser_parse(&parser, &event)) {
			code = config_document_refuse(&parser, file, text, len, errors);
			break;
		}
		last = event.type == YAML_STREAM_END_EVENT;
		problem = config_survey_count(&survey, &event);
		if (problem) {
			uint32_t line = (uint32_t)event.start_mark.line + 1;

			config_errors_add(errors, file, line, line, "%s", problem);
			code = -EINVAL;
		}
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return code;
}

/*
 * The place of a %TAG directive; NULL: none. Tags are not used here, and libyaml compares each with
 * all before it. A directive begins a line, however the line before it ends.
 */
static const char *config_document_find_tag(const char *text, size_t len)
{
	const char *at = text, *end = text + len;

	while ((at = memmem(at, (size_t)(end - at), "%TAG", 4)) != NULL) {
		if (at == text || (unsigned char)at[-1] < ' ' || (unsigned char)at[-1] > '~')
			return at;
		at += 4;
	}
	return NULL;
}

/* What makes a text unfit for libyaml, reported; 0 where there is nothing. */
static int config_document_check(const char *file, const char *text, size_t len,
				 struct config_errors *errors)
{
	const char *nul = memchr(text, 0, len);
	const char *tag = config_document_find_tag(text, len);
	const char *bad = nul ? nul : tag;
	uint32_t line;

	if (!bad)
		return 0;
	line = config_document_line(text, len, (size_t)(bad - text));
	config_errors_add(errors, file, line, line, "%s",
			  nul ? "a NUL byte: this is not a text file in UTF-8"
			      : "a %TAG directive; tags are not used here");
	return -EINVAL;
}

static bool config_document_is_empty(yaml_document_t *document)
{
	const yaml_node_t *root = yaml_document_get_root_node(document);

	return !root || (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0);
}

int config_document_load(yaml_document_t *document, const char *file, const char *text, size_t len,
			 struct config_errors *errors)
{
	yaml_parser_t parser;
	int code = config_document_check(file, text, len, errors);

	if (code == 0)
		code = config_document_survey(file, text, len, errors);
	if (code != 0)
		return code;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, document)) {
		code = config_document_refuse(&parser, file, text, len, errors);
	} else if (config_document_is_empty(document)) {
		config_errors_add(errors, file, 1, 1,
				  "the file is empty; it wants keys such as interfaces: and "
				  "groups:");
		yaml_document_delete(document);
		code = -EINVAL;
	}
	yaml_parser_delete(&parser);
	return code;
}
