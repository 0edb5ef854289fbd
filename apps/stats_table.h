/* SPDX-License-Identifier: BSD-2-Clause */
/* The counters as a table for people, made from the JSON object of stats_json.h. */
#ifndef APPS_STATS_TABLE_H
#define APPS_STATS_TABLE_H

#include <jansson.h>
#include <stdio.h>

/*
 * Print the table. `before` is an earlier object of the same instance, `seconds` ago, for the
 * rates; NULL: no rates. Keys that are missing or of another type show as 0: the object may come
 * from another version. Members are listed singly only where `members` is true.
 */
void stats_table(FILE *out, const json_t *now, const json_t *before, double seconds, int members);

#endif
