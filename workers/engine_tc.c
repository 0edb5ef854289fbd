/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_parts.h"
#include <errno.h>
#include <string.h>

/* --- mirrors ---------------------------------------------------------------------------------- */

bool engine_is_mirrored(const struct engine *engine, uint32_t interface)
{
	return engine->config->interfaces[interface].mode == CONFIG_MODE_MIRROR;
}

int engine_enter_netns(const struct engine *engine, uint32_t interface, struct xfq_error *error)
{
	if (!engine_is_mirrored(engine, interface))
		return 0;
	return mirror_enter(&engine->mirrors[interface], error);
}

void engine_leave_netns(const struct engine *engine, uint32_t interface)
{
	if (engine_is_mirrored(engine, interface))
		mirror_leave(&engine->mirrors[interface]);
}

static int engine_load_mirrors(struct engine *engine, struct xfq_error *error)
{
	struct tc_mirror pairs[XDP_INTERFACES_MAX] = {0};
	struct tc_options options = {.kind = TC_MIRROR,
				     .filter = &engine->config->filter,
				     .sets = &engine->sets,
				     .mirrors = pairs};

	for (uint32_t i = 0; i < engine->config->interface_cnt; i++) {
		int code;

		if (!engine_is_mirrored(engine, i))
			continue;
		code = mirror_create(&engine->mirrors[i], &engine->interfaces[i], error);
		if (code)
			return code;
		pairs[options.mirror_cnt++] = (struct tc_mirror){
			.ifindex = engine->interfaces[i].ifindex, .near = engine->mirrors[i].near};
	}
	return options.mirror_cnt ? tc_load(&engine->mirror_tc, &options, error) : 0;
}

/* --- egress ----------------------------------------------------------------------------------- */

static int engine_attach_egress(struct engine *engine, struct xfq_error *error)
{
	int code = 0;

	for (uint32_t i = 0; i < engine->config->interface_cnt && code == 0; i++)
		if (!engine->gone[i])
			code = hook_attach(&engine->egress_hooks[i], engine->interfaces[i].ifindex,
					   engine->interfaces[i].name, HOOK_EGRESS_FIRST,
					   tc_program_fd(&engine->egress_tc), error);
	return code;
}

void engine_end_egress(struct engine *engine)
{
	for (uint32_t i = 0; i < XDP_INTERFACES_MAX; i++)
		hook_detach(&engine->egress_hooks[i]);
	tc_destroy(&engine->egress_tc);
}

/* --- both ------------------------------------------------------------------------------------- */

int engine_load_tc(struct engine *engine, struct xfq_error *error)
{
	struct tc_options options = {
		.kind = TC_EGRESS, .filter = &engine->config->egress, .sets = &engine->sets};
	int code = engine_load_mirrors(engine, error);

	if (code || !engine->config->has_egress)
		return code;
	return tc_load(&engine->egress_tc, &options, error);
}

int engine_attach_tc(struct engine *engine, struct xfq_error *error)
{
	int code = 0;

	for (uint32_t i = 0; i < engine->config->interface_cnt && code == 0; i++)
		if (engine->mirrors[i].made)
			code = mirror_attach(&engine->mirrors[i], &engine->interfaces[i],
					     &engine->mirror_tc, error);
	if (code || !engine->egress_tc.attached)
		return code;
	return engine_attach_egress(engine, error);
}

void engine_detach_tc_one(struct engine *engine, uint32_t interface)
{
	hook_detach(&engine->egress_hooks[interface]);
	mirror_detach(&engine->mirrors[interface]);
}

void engine_detach_tc(struct engine *engine)
{
	for (uint32_t i = 0; i < XDP_INTERFACES_MAX; i++)
		engine_detach_tc_one(engine, i);
}

void engine_free_tc(struct engine *engine)
{
	for (uint32_t i = 0; i < XDP_INTERFACES_MAX; i++)
		mirror_destroy(&engine->mirrors[i]);
	tc_destroy(&engine->mirror_tc);
	engine_end_egress(engine);
}

/* --- reload ----------------------------------------------------------------------------------- */

int engine_prepare_tc(struct engine *engine, const struct config *next, const struct setmaps *sets,
		      struct engine_tc_change *change, struct xfq_error *error)
{
	const struct tc_options options = {.kind = TC_EGRESS};
	int code = 0;

	memset(change, 0, sizeof(*change));
	change->has_egress = next->has_egress;
	if (engine->mirror_tc.attached)
		code = tc_prepare(&engine->mirror_tc, &change->mirror, &next->filter, sets, error);
	if (code == 0 && next->has_egress && !engine->egress_tc.attached) {
		/* attached now, while all packets pass: the commit cannot fail because of that */
		code = tc_open(&engine->egress_tc, &options, error);
		change->opened = code == 0;
		if (code == 0)
			code = engine_attach_egress(engine, error);
	}
	if (code == 0 && next->has_egress)
		code = tc_prepare(&engine->egress_tc, &change->egress, &next->egress, sets, error);
	if (code)
		engine_forget_tc(engine, change);
	return code;
}

int engine_commit_tc(struct engine *engine, struct engine_tc_change *change,
		     struct xfq_error *error)
{
	int code = 0;

	if (change->mirror.skeleton)
		code = tc_commit(&engine->mirror_tc, &change->mirror, error);
	if (code == 0 && change->egress.skeleton)
		code = tc_commit(&engine->egress_tc, &change->egress, error);
	if (code == 0 && !change->has_egress)
		engine_end_egress(engine);
	if (code)
		engine_forget_tc(engine, change);
	memset(change, 0, sizeof(*change));
	return code;
}

void engine_forget_tc(struct engine *engine, struct engine_tc_change *change)
{
	tc_forget(&change->mirror);
	tc_forget(&change->egress);
	if (change->opened)
		engine_end_egress(engine);
	memset(change, 0, sizeof(*change));
}

/* --- numbers ---------------------------------------------------------------------------------- */

int engine_stats_tc(const struct engine *engine, struct stats *stats)
{
	int code = 0;

	for (uint32_t i = 0; i < stats->interface_cnt; i++) {
		if (!engine->mirrors[i].made)
			continue;
		stats->interfaces[i].mode = "mirror";
		stats->interfaces[i].mirror_lost = mirror_lost(&engine->mirrors[i]);
	}
	if (engine->mirror_tc.attached)
		code = tc_counters(&engine->mirror_tc, &stats->xdp);
	if (code || !engine->egress_tc.attached)
		return code;
	stats->egress_filter = engine->egress_tc.now.filter;
	return tc_counters(&engine->egress_tc, &stats->egress);
}
