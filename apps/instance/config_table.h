/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule table of a group: the key `table`, and the file that it names (table_text.h).
 *
 *	table: rules.csv
 *	table: { file: rules.csv, action: drop }   # of rules that name none: deliver | drop
 *
 * The file is relative to the configuration's folder.
 */
#ifndef INSTANCE_CONFIG_TABLE_H
#define INSTANCE_CONFIG_TABLE_H

#include "apps/instance/config_schema.h"
#include "workers/config.h"

/*
 * Read the value of `table` into the group, whose classes are known: its path, and the rules of the
 * file where the reader may open it. Errors go to the reader, those of the file with its line.
 */
void config_table_read(struct config_reader *reader, int node, struct config_group *group);

#endif
