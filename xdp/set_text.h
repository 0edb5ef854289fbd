/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Members of sets as text, and lists of them: one member per line, with or without a comment from
 * '#' or ';' on; blank lines, white space around members, lines that end with a carriage return,
 * and a byte order mark are nothing.
 */
#ifndef XDP_SET_TEXT_H
#define XDP_SET_TEXT_H

#include "xdp/set.h"

/*
 * Read one line of a list, `len` bytes without the newline. 1: it has no member; 0: *member, as
 * from set_parse_member(); -EINVAL with a sentence.
 */
int set_parse_line(enum set_type type, struct set_member *member, const char *line, size_t len,
		   struct xfq_error *error);

#endif
