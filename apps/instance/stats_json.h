/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All counters as one JSON object: what `run --json` and `status --json` print, and what the tables
 * are made from. docs/json.md describes the keys; keys may be added, none goes away.
 */
#ifndef INSTANCE_STATS_JSON_H
#define INSTANCE_STATS_JSON_H

#include "workers/stats.h"
#include <jansson.h>

/* A new object, or NULL without memory; the caller decrefs it. */
json_t *stats_json(const struct stats *stats);

#endif
