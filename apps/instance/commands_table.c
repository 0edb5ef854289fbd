/* SPDX-License-Identifier: BSD-2-Clause */
/* Every command of the control socket: a line each. */
#include "apps/instance/command.h"
#include "apps/instance/command_reload.h"
#include "apps/instance/command_set.h"
#include "apps/instance/command_shunt.h"
#include "apps/instance/command_table.h"

/* What this instance understands. */
static json_t *commands_list(struct instance *instance, const json_t *request,
			     struct xfq_error *error)
{
	json_t *names = json_array();

	(void)instance;
	(void)request;
	(void)error;
	for (const struct command_entry *entry = commands_table; entry->name; entry++)
		json_array_append_new(names, json_string(entry->name));
	return json_pack("{s:o}", "commands", names);
}

const struct command_entry commands_table[] = {
	{.name = "commands", .run = commands_list},
	{.name = "reload", .run = command_reload_run},
	{.name = "shunt-add", .run = command_shunt_add, .allows = command_shunt_allows},
	{.name = "shunt-del", .run = command_shunt_del, .allows = command_shunt_allows},
	{.name = "shunt-list", .run = command_shunt_list},
	{.name = "set-list", .run = command_set_list},
	{.name = "set-add", .run = command_set_add},
	{.name = "set-del", .run = command_set_del},
	{.name = "set-flush", .run = command_set_flush},
	{.name = "set-load",
	 .begin = command_set_load_begin,
	 .data = command_set_load_data,
	 .end = command_set_load_end,
	 .free = command_set_load_free},
	{.name = "table-list", .run = command_table_list},
	{.name = "table-add", .run = command_table_add},
	{.name = "table-del", .run = command_table_del},
	{.name = "table-flush", .run = command_table_flush},
	{.name = "table-load",
	 .begin = command_table_load_begin,
	 .data = command_table_load_data,
	 .end = command_table_load_end,
	 .free = command_table_load_free},
	{.name = NULL},
};
