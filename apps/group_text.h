/* SPDX-License-Identifier: BSD-2-Clause */
/* A group of a config in words, and as JSON, for plans. */
#ifndef APPS_GROUP_TEXT_H
#define APPS_GROUP_TEXT_H

#include "workers/config.h"
#include <jansson.h>
#include <stddef.h>

/* Room for the text of any case but those with long expressions, which are cut. */
#define GROUP_TEXT_BYTES 1024

/* "tcp port 80", src in lab, not plug-in voip; "every packet". Returns `text`, cut to `room` bytes
 * and always terminated, as do the others. */
const char *group_when_text(const struct config *config, const struct group_when *when, char *text,
			    size_t room);

/* A method with its parameters: "flow", "to 3", "sticky 65536 flows, idle 300 s", "plugin voip". */
const char *group_steer_text(const struct config *config, const struct method_spec *steer,
			     char *text, size_t room);

/* A case: condition, and what becomes of the packet: `"udp port 53", 1 flow in 100: count dns, mark
 * 7, deliver to control by ip-pair`. */
const char *group_case_text(const struct config *config, const struct config_group *group,
			    const struct group_case *one, char *text, size_t room);

/* What a config says of a group, and how large its match is in classic BPF; the caller's. NULL: no
 * memory. */
json_t *group_json(const struct config *config, const struct config_group *group);

/* Print what group_json() made, in lines. */
void group_print(const char *name, const json_t *group);

#endif
