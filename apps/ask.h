/* SPDX-License-Identifier: BSD-2-Clause */
/* Giving a running instance a command, as the subcommands do. */
#ifndef APPS_ASK_H
#define APPS_ASK_H

#include <jansson.h>
#include <stddef.h>
#include <xfq/error.h>

/*
 * Give the instance of a name (NULL: the only one that runs) a command: `request` is an object with
 * the key "command" (apps/instance/commands_table.c), and stays the caller's; `data`, of `len`
 * bytes, goes with it, NULL: none. 0 and *answer, an object, which the caller decrefs; or -errno
 * with a sentence, the instance's own where it refused.
 */
int ask_instance(const char *name, const json_t *request, const char *data, size_t len,
		 json_t **answer, struct xfq_error *error);

/* Its counters, as `xfq status --json` prints them. Returns as above. */
int ask_status(const char *name, json_t **status, struct xfq_error *error);

#endif
