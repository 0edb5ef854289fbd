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
	bool user_alone; /* none: a capture file is read */
	struct setmap_slots slots[3];
	struct setmaps_target maps;
};

/* The place of a set; ENGINE_NO_SET where there is none of that name. */
uint32_t engine_find_set(const struct engine *engine, const char *name);

/* Where changes of a set go. -EBUSY with a sentence where a capture file is read and rules ask it.
 */
int engine_set_target(struct engine *engine, uint32_t place, struct engine_set_target *target,
		      struct xfq_error *error);

/*
 * Change a set in all of these and in what the groups ask, as setmaps_add(), setmaps_del() and
 * setmaps_replace() (setmap.h) do it; the first two return how many are new, or were there, and
 * where they fail in the middle what came before is done. -EBUSY as engine_set_target().
 */
int engine_add_members(struct engine *engine, uint32_t place, const struct set_member *members,
		       uint32_t cnt, struct xfq_error *error);
int engine_del_members(struct engine *engine, uint32_t place, const struct set_member *members,
		       uint32_t cnt, struct xfq_error *error);
int engine_replace_members(struct engine *engine, uint32_t place, struct set *with,
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

/* as[i] is the set of before that set i of the next config goes on as, or is left as it is. */
void engine_sets_begin(const struct engine *engine, const struct config *next,
		       const struct set **as);

/* The members of those sets move to the next config. */
void engine_keep_members(struct engine *engine, const struct config *next);

#endif
