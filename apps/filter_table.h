/* SPDX-License-Identifier: BSD-2-Clause */
/* The first pass of an instance, out of its JSON object, with rates: `xfq filter show`. */
#ifndef APPS_FILTER_TABLE_H
#define APPS_FILTER_TABLE_H

#include <jansson.h>
#include <stdio.h>

/*
 * What concerns the first pass, of the object of `xfq status --json` (stats_json.h): an object of
 * its own, which the caller decrefs. Rules have packets_per_second and bits_per_second since
 * `before`, `seconds` earlier; NULL: no rates.
 */
json_t *filter_view(const json_t *now, const json_t *before, double seconds);

/* Print such an object. */
void filter_table(FILE *out, const json_t *view);

#endif
