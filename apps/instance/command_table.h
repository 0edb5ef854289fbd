/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rule tables of groups, changed and shown while the instance runs (command.h). Rules are lines of
 * CSV as table_text.h reads them.
 *
 *	{"command": "table-list"}
 *		{"tables": [{"group", "rules", "bytes"}]}
 *	{"command": "table-list", "group": NAME, "from": PRIORITY, "count": 10000}
 *		the same of one table, and so many of its rules from a priority on: "lines": [...],
 *		and "next": the priority to go on with, or null
 *	{"command": "table-add", "group": NAME, "rules": [LINE ...]}
 *		{"added", "rules"}; each with a priority of its own that no rule has
 *	{"command": "table-del", "group": NAME, "priorities": [NUMBER ...]}
 *		{"removed", "absent", "rules"}
 *	{"command": "table-flush", "group": NAME}
 *		{"removed"}
 *	{"command": "table-load", "group": NAME, "file": NAME}, rules behind it, as a file has them
 *		{"loaded": true, "rules"}, or {"loaded": false, "errors": ["NAME:LINE: text"]}: and
 *		nothing has changed. They take the place of all rules: at once, for every packet
 *
 * Rules are read before any is added, so that a wrong one changes nothing.
 */
#ifndef INSTANCE_COMMAND_TABLE_H
#define INSTANCE_COMMAND_TABLE_H

#include "apps/instance/command.h"

#define COMMAND_TABLE_PAGE 10000 /* rules of a list, at most */

json_t *command_table_list(struct instance *instance, const json_t *request,
			   struct xfq_error *error);
json_t *command_table_add(struct instance *instance, const json_t *request,
			  struct xfq_error *error);
json_t *command_table_del(struct instance *instance, const json_t *request,
			  struct xfq_error *error);
json_t *command_table_flush(struct instance *instance, const json_t *request,
			    struct xfq_error *error);

int command_table_load_begin(struct instance *instance, const json_t *request, uint64_t data_len,
			     void **state, struct xfq_error *error);
int command_table_load_data(void *state, const char *bytes, size_t len, struct xfq_error *error);
json_t *command_table_load_end(struct instance *instance, void *state, struct xfq_error *error);
void command_table_load_free(void *state);

#endif
