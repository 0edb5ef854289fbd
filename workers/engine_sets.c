/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_sets.h"
#include <errno.h>
#include <string.h>
#include <time.h>

static uint32_t engine_sets_place(const struct config *config, const char *name)
{
	for (uint32_t i = 0; i < config->set_cnt; i++)
		if (strcmp(config->sets[i]->name, name) == 0)
			return i;
	return ENGINE_NO_SET;
}

uint32_t engine_find_set(const struct engine *engine, const char *name)
{
	return engine_sets_place(engine->config, name);
}

int engine_set_target(struct engine *engine, struct engine_set_target *target,
		      struct xfq_error *error)
{
	if (engine->options.read_path)
		return xfq_error_set(error, -EBUSY,
				     "sets stay as they are while a capture file is read");
	*target =
		(struct engine_set_target){.maps = {.maps = &engine->sets, .slots = target->slots}};
	target->maps.slot_cnt += loader_set_slots(&engine->loader, &target->slots[0]);
	target->maps.slot_cnt +=
		tc_set_slots(&engine->egress_tc, &target->slots[target->maps.slot_cnt]);
	target->maps.slot_cnt +=
		tc_set_slots(&engine->mirror_tc, &target->slots[target->maps.slot_cnt]);
	return 0;
}

int engine_sweep_sets(struct engine *engine, struct xfq_error *error)
{
	struct engine_set_target target;
	struct timespec now;
	uint64_t now_ns;

	if (engine_set_target(engine, &target, NULL))
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	for (uint32_t i = 0; i < engine->config->set_cnt; i++) {
		int code = setmaps_sweep(&target.maps, i, engine->config->sets[i], now_ns, error);

		if (code < 0)
			return code;
	}
	return 0;
}

/* The place of the set of before that set `place` of the next config goes on as; -1: none. */
static int engine_sets_before(const struct engine *engine, const struct config *next,
			      uint32_t place)
{
	const struct set *set = next->sets[place];
	uint32_t before = engine_find_set(engine, set->name);
	const struct set *was;

	if (before == ENGINE_NO_SET)
		return -1;
	was = engine->config->sets[before];
	/* what counts or how many there may be has changed: maps are to be built for it */
	if (was->type != set->type || was->source != set->source || was->hits != set->hits ||
	    was->max != set->max)
		return -1;
	return (int)before;
}

int engine_share_sets(const struct engine *engine, const struct config *next, struct setmaps *maps,
		      struct xfq_error *error)
{
	int before[XDP_SETS_MAX];

	for (uint32_t i = 0; i < next->set_cnt; i++)
		before[i] = engine_sets_before(engine, next, i);
	return setmaps_share(maps, (const struct set *const *)next->sets, next->set_cnt,
			     &engine->sets, before, error);
}

void engine_keep_members(struct engine *engine, const struct config *next)
{
	/* there, a worker looks into the sets */
	if (engine->options.read_path)
		return;
	for (uint32_t i = 0; i < next->set_cnt; i++) {
		int before = engine_sets_before(engine, next, i);

		if (before >= 0)
			set_swap(next->sets[i], engine->config->sets[before]);
	}
}
