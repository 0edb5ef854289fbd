/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Named sets, changed and shown while the instance runs (command.h):
 *
 *	{"command": "set-list"}
 *		{"sets": [{"name", "type", "members", "hits", "max"}]}
 *	{"command": "set-list", "set": NAME, "from": 0, "count": 20000}
 *		the same of one set, and so many of its members: "texts": [...], where they count
 *		"packets": [...], where they expire "seconds": [left, or null for those that do not]
 *	{"command": "set-add", "set": NAME, "members": [TEXT ...], "seconds": 60}
 *		{"added", "renewed", "members"}; without "seconds" they stay
 *	{"command": "set-del", "set": NAME, "members": [TEXT ...]}
 *		{"removed", "absent", "members"}
 *	{"command": "set-flush", "set": NAME}
 *	{"command": "set-load", "set": NAME, "add": false, "seconds": 60}, a list (set_text.h)
 *behind it
 *		{"loaded": true, "members"}, or {"loaded": false, "errors": ["LINE: text" ...]}: and
 *		nothing has changed. The list takes the place of all members, or with "add" is added
 *		to them: at once, for every packet
 *
 * Members are read before any is added or taken out, so that a wrong one changes nothing.
 */
#ifndef INSTANCE_COMMAND_SET_H
#define INSTANCE_COMMAND_SET_H

#include "apps/instance/command.h"

#define COMMAND_SET_PAGE 20000 /* members that one answer lists at most */

json_t *command_set_list(struct instance *instance, const json_t *request, struct xfq_error *error);
json_t *command_set_add(struct instance *instance, const json_t *request, struct xfq_error *error);
json_t *command_set_del(struct instance *instance, const json_t *request, struct xfq_error *error);
json_t *command_set_flush(struct instance *instance, const json_t *request,
			  struct xfq_error *error);

/* set-load: the four of struct command_entry. */
int command_set_load_begin(struct instance *instance, const json_t *request, uint64_t data_len,
			   void **state, struct xfq_error *error);
int command_set_load_data(void *state, const char *bytes, size_t len, struct xfq_error *error);
json_t *command_set_load_end(struct instance *instance, void *state, struct xfq_error *error);
void command_set_load_free(void *state);

#endif
