/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a file to a YAML document that is safe to walk.
 *
 * libyaml compares every anchor and alias with every anchor before it, looks at every open bracket
 * for each new one (80,000 of them take 8 seconds), and a document costs a hundred bytes of memory
 * per value, so that a small hostile file could cost hours or gigabytes. A first pass over the
 * events, which is linear, therefore counts anchors, depth and values before the document is built.
 * The walk itself is bounded by config_schema.h.
 */
#ifndef INSTANCE_CONFIG_DOCUMENT_H
#define INSTANCE_CONFIG_DOCUMENT_H

#include "apps/instance/config_errors.h"
#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#define CONFIG_FILE_BYTES_MAX     (16u << 20) /* of a configuration file */
#define CONFIG_SET_FILE_BYTES_MAX (64u << 20) /* of a set's or a table's file */
#define CONFIG_VALUES_MAX         (1u << 20)  /* scalars, lists and mappings of a document */
#define CONFIG_ANCHORS_MAX        1000        /* anchors and aliases of a document */
#define CONFIG_DEPTH_MAX          64          /* lists and mappings within each other */

/*
 * Read a whole file of at most `max` bytes; with `regular`, nothing but a regular file is opened
 * (a FIFO could wait for ever). Returns 0, and *text is the caller's to free, with a NUL byte
 * behind its *len bytes; or -errno: -EISDIR for a directory, -EFBIG beyond `max`, -EINVAL for what
 * is not a regular file.
 */
int config_file_read(const char *path, size_t max, bool regular, char **text, size_t *len);

/* A sentence for what config_file_read() returned; `room` bytes at `to`. Returns `to`. */
const char *config_file_problem(int code, size_t max, char *to, size_t room);

/* The path of a file that a configuration in the folder `dir` names. The caller frees it; NULL: no
 * memory. */
char *config_file_path(const char *dir, const char *file);

/*
 * Build the one YAML document of a text. Returns 0, and the caller deletes the document with
 * yaml_document_delete(); or -EINVAL with an error added that has libyaml's own words: not YAML, a
 * NUL byte, a %TAG directive, no document or an empty one, a second one, or more than the limits
 * above; or -ENOMEM.
 */
int config_document_load(yaml_document_t *document, const char *file, const char *text, size_t len,
			 struct config_errors *errors);

#endif
