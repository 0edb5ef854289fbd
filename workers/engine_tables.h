/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule tables of groups, changed while the engine runs: each packet is judged by all of a
 * change or by nothing of it (engine_data.h). Places are those of groups, engine_find_group(). Also
 * while a capture file is read. Control thread.
 */
#ifndef WORKERS_ENGINE_TABLES_H
#define WORKERS_ENGINE_TABLES_H

#include "workers/engine.h"

/* The table of a group, to be read until the next change; NULL: it has none. */
const struct table *engine_find_table(const struct engine *engine, uint32_t place);

/* Whether the last reload made it of the config's rules in the place of one that had been changed
 * while the engine ran. */
bool engine_table_replaces(const struct engine *engine, uint32_t place);

/* Add a rule, whose priority is free. 0, or -errno with a sentence, and nothing has changed:
 * -EEXIST, -ENOSPC, -ENOMEM. */
int engine_add_rule(struct engine *engine, uint32_t place, const struct table_rule *rule,
		    struct xfq_error *error);

/* Take a rule out. 1: it was there; 0: it was not; -ENOMEM with a sentence. */
int engine_del_rule(struct engine *engine, uint32_t place, uint32_t priority,
		    struct xfq_error *error);

/* Exchange all rules, at once for every packet. 0, or -errno with a sentence, and nothing has
 * changed; *at is the place of the rule that cannot be added then. */
int engine_load_rules(struct engine *engine, uint32_t place, const struct table_rule *rules,
		      uint32_t cnt, uint32_t *at, struct xfq_error *error);

#endif
