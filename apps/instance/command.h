/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands that a running instance is given over its control socket (PROTOCOL_COMMAND): a JSON
 * object with the key "command", perhaps data behind it, and a JSON object as the answer, to which
 * this adds "ok": true.
 *
 *	command_begin    the object has come: the command is looked up, and whether this user may
 *	  command_data   what follows it, piece by piece, so that a long list is never whole in
 *memory command_end      carry it out; or command_abort    the client is gone
 *
 * A command is an entry of commands_table.c and a file of its own that has its functions. Thread:
 * the control thread. A function does what it does at once: nobody else is served meanwhile.
 */
#ifndef INSTANCE_COMMAND_H
#define INSTANCE_COMMAND_H

#include "workers/access.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xfq/error.h>

struct instance;

struct command_entry {
	const char *name; /* NULL ends the table */

	/* A command without data: the answer, which the caller decrefs; or NULL and *error.
	 * `request` stays the caller's. */
	json_t *(*run)(struct instance *instance, const json_t *request, struct xfq_error *error);

	/*
	 * A command with data instead: `begin` (0 and *state, or -errno and *error), then `data`
	 * for each piece, cut anywhere, `data_len` bytes in total (0 or -errno and *error), then
	 * `end`, as `run`. `free` follows everything that `begin` began, whatever came of it.
	 */
	int (*begin)(struct instance *instance, const json_t *request, uint64_t data_len,
		     void **state, struct xfq_error *error);
	int (*data)(void *state, const char *bytes, size_t len, struct xfq_error *error);
	json_t *(*end)(struct instance *instance, void *state, struct xfq_error *error);
	void (*free)(void *state);

	/* Whether a user may who is neither root nor the instance's own; NULL: none. Such a request
	 * is of COMMAND_OTHERS_BYTES at most, and has no data. */
	bool (*allows)(const struct instance *instance, const struct access_asker *asker,
		       const json_t *request);
};

#define COMMAND_OTHERS_BYTES 4096

/* All commands that there are. */
extern const struct command_entry commands_table[];

/* A command on its way. */
struct command;

/* Whether a user may give every command; NULL, a thread of this process, may. */
bool command_trusts(const struct access_asker *asker);

/* 0 and *command, which the caller owes a command_end() or command_abort(); or -errno and *error:
 * -EINVAL, -ENOTSUP for one that is not known, -EACCES, or what `begin` says. */
int command_begin(struct instance *instance, const struct access_asker *asker, const char *json,
		  size_t len, uint64_t data_len, struct command **command, struct xfq_error *error);

/* 0, or -errno and *error; then abort. */
int command_data(struct command *command, const char *bytes, size_t len, struct xfq_error *error);

/* The answer as text, the caller's; or NULL and *error. The command is gone, whatever came of it.
 */
char *command_end(struct instance *instance, struct command *command, struct xfq_error *error);

/* Forget it. */
void command_abort(struct command *command);

/*
 * A string of a request; NULL and *error where it is missing or something else. It lives as long as
 * the request.
 */
const char *command_text(const json_t *request, const char *key, struct xfq_error *error);

#endif
