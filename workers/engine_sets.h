/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The named sets of an engine: in every program that it has loaded, and changed while it runs.
 *
 * A set is at the same place in config->sets and engine->sets. Control thread.
 */
#ifndef WORKERS_ENGINE_SETS_H
#define WORKERS_ENGINE_SETS_H

#include "workers/engine.h"

#define ENGINE_NO_SET UINT32_MAX

/* The programs that have the sets. */
struct engine_set_target {
	struct setmap_slots slots[3];
	struct setmaps_target maps;
};

/* The place of a set; ENGINE_NO_SET where there is none of that name. */
uint32_t engine_find_set(const struct engine *engine, const char *name);

/* Where changes go. -EBUSY with a sentence where a capture file is read: its sets stay. */
int engine_set_target(struct engine *engine, struct engine_set_target *target,
		      struct xfq_error *error);

/* Take out what has expired; call it about once a second. 0 or -errno with a sentence. */
int engine_sweep_sets(struct engine *engine, struct xfq_error *error);

/*
 * For a reload: maps for the sets of another config, where a set that says what it said before goes
 * on with the members that it has by now. 0, or -errno with a sentence, and nothing is left; on
 * success the caller owes a setmaps_destroy() or, once all programs have them and before the config
 * of before goes, an engine_keep_members().
 */
int engine_share_sets(const struct engine *engine, const struct config *next, struct setmaps *maps,
		      struct xfq_error *error);

/* The members of those sets move to the next config. */
void engine_keep_members(struct engine *engine, const struct config *next);

#endif
