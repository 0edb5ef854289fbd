/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of a reload:
 *
 *	prepare   policy, sets, program, places, members of new groups: all that can fail. Packets
 *	          are judged as before, and nothing that is new is seen by any of them
 *	switch    the workers get the new policy beside the old one; then one write in the kernel:
 *	          packets are marked with the new generation now. Each is handed out by the policy
 *	          of its mark
 *	settle    no packet with the old mark is under way any more, and the old policy goes
 *	finish    members that are the config's come and go; groups that are no more end
 */
#include "workers/engine_parts.h"
#include "workers/engine_sets.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long joined members of a group that ends may read on: as long as they get on, and no longer
 * than a person notices. */
#define RELOAD_DRAIN_US      1000
#define RELOAD_DRAIN_STALLED 100 /* steps without any release */
#define RELOAD_DRAIN_STEPS   1000

struct reload {
	struct engine *engine;
	const struct config *next;
	const struct engine_reload_events *events;
	struct engine_policy *policy;
	struct rosters *rosters[POLICY_PLACES_MAX]; /* of groups whose classes are others; owned */
	uint32_t places[CONFIG_GROUPS_MAX];         /* of the next config's groups */
	bool fresh[CONFIG_GROUPS_MAX];              /* the group is new */
	uint32_t kept[CONFIG_GROUPS_MAX]
		     [ENGINE_KINDS]; /* of its built-in members: those that stay */
	struct engine_demand demand; /* as it was */
	bool *made;                  /* by slot: a new built-in member */
	uint32_t *quotas;
	struct setmaps sets;
	struct loader_generation generation;
	struct engine_tc_change tc;
};

static bool reload_is_live(const struct reload *reload)
{
	return !reload->engine->options.read_path;
}

/* Whether the next config has the group at a place. */
static bool reload_has(const struct reload *reload, uint32_t place)
{
	for (uint32_t i = 0; i < reload->next->group_cnt; i++)
		if (reload->places[i] == place)
			return true;
	return false;
}

/* --- prepare ---------------------------------------------------------------------------------- */

/* Groups that stay keep their places, the others get free ones: there are as many as the groups of
 * two configs. */
static void reload_assign_places(struct reload *reload)
{
	const struct engine *engine = reload->engine;
	uint32_t free_place = 0;

	for (uint32_t i = 0; i < reload->next->group_cnt; i++) {
		reload->places[i] = engine_find_group(engine, reload->next->groups[i].name);
		reload->fresh[i] = reload->places[i] == ENGINE_NO_GROUP;
		if (!reload->fresh[i])
			continue;
		while (engine->groups[free_place].config)
			free_place++;
		reload->places[i] = free_place++;
	}
}

static int reload_make_policy(struct reload *reload, struct xfq_error *error)
{
	struct engine *engine = reload->engine;
	const struct policy *now = &engine->policy->policy;
	/* as the loader counts them */
	uint8_t generation = now->generation < UINT8_MAX ? (uint8_t)(now->generation + 1) : 1;
	const struct set *as[XDP_SETS_MAX] = {0};
	int code = engine_make_policy(&reload->policy, reload->next, reload->places, now->hash_seed,
				      generation, error);

	if (code)
		return code;
	if (reload_is_live(reload))
		engine_compile_policy(reload->policy);
	engine_sets_begin(engine, reload->next, as);
	return engine_make_states(engine, reload->policy, reload->next, as, engine->policy, error);
}

/* The classes of a member by the next config, which has those of the same names. */
static uint32_t reload_classes(const struct group_spec *now, const struct group_spec *next,
			       uint32_t classes)
{
	uint32_t found = 0;

	for (uint32_t c = 0; c < now->class_cnt; c++) {
		uint32_t as = group_spec_find_class(next, now->classes[c]);

		if ((classes >> c & 1) && as != GROUP_NONE)
			found |= 1u << as;
	}
	return found;
}

static bool reload_same_classes(const struct group_spec *a, const struct group_spec *b)
{
	bool same = a->class_cnt == b->class_cnt;

	for (uint32_t c = 0; c < a->class_cnt && same; c++)
		same = strcmp(a->classes[c], b->classes[c]) == 0;
	return same;
}

/* The rosters of a group with other classes: the same members, in the same buckets of the classes
 * that it still has. */
static int reload_make_rosters(struct reload *reload, uint32_t i, struct xfq_error *error)
{
	const struct engine_group *state = &reload->engine->groups[reload->places[i]];
	const struct group_spec *now = &state->config->spec, *next = &reload->next->groups[i].spec;
	struct rosters *rosters;

	if (reload->fresh[i] || reload_same_classes(now, next))
		return 0;
	rosters = engine_make_rosters(next->class_cnt);
	if (!rosters)
		return xfq_error_set(error, -ENOMEM, "no memory for group %s", state->config->name);
	rosters->all = state->rosters->all;
	for (uint32_t m = 0; m < rosters->all.cnt; m++) {
		uint32_t mask = state->rosters->masks[m];

		rosters->masks[m] = reload_classes(now, next, mask) | (mask >> now->class_cnt & 1)
									      << next->class_cnt;
	}
	rosters->of_class[next->class_cnt] = state->rosters->of_class[now->class_cnt];
	for (uint32_t c = 0; c < next->class_cnt; c++) {
		uint32_t was = group_spec_find_class(now, next->classes[c]);

		if (was != GROUP_NONE)
			rosters->of_class[c] = state->rosters->of_class[was];
	}
	reload->rosters[reload->places[i]] = rosters;
	return 0;
}

static int reload_check_room(struct reload *reload, struct xfq_error *error)
{
	struct engine *engine = reload->engine;
	uint32_t places = engine_places(engine, reload->next);
	int code;

	if (places > engine->outlet_max)
		return xfq_error_set(error, -ENOSPC,
				     "groups: with their callbacks, %u members are allowed, and "
				     "there are places for %u, which takes a restart to change: "
				     "fewer members, or lower max_members",
				     places, engine->outlet_max);
	reload->demand = engine->demand;
	engine->demand = engine_demand(engine, reload->next);
	code = engine_check_demand(engine, &engine->demand, error);
	if (code)
		engine->demand = reload->demand;
	return code;
}

static int reload_make_program(struct reload *reload, struct xfq_error *error)
{
	const struct config *next = reload->next;
	int code;

	if (!reload_is_live(reload))
		return 0;
	code = engine_share_sets(reload->engine, next, &reload->sets, error);
	if (code)
		return code;
	code = loader_prepare(&reload->engine->loader, &reload->generation, &next->filter,
			      &reload->sets, error);
	if (code == 0)
		code = engine_prepare_tc(reload->engine, next, &reload->sets, &reload->tc, error);
	return code;
}

static int reload_begin_groups(struct reload *reload, struct xfq_error *error)
{
	int code = 0;

	for (uint32_t i = 0; i < reload->next->group_cnt && code == 0; i++)
		if (reload->fresh[i])
			code = engine_begin_group(reload->engine, reload->places[i],
						  &reload->next->groups[i], error);
	return code;
}

/* The built-in members of a group that the next config counts among those with `classes`. */
static uint32_t reload_built_in_cnt(const struct reload *reload, uint32_t i, uint32_t classes)
{
	const struct engine *engine = reload->engine;
	const struct engine_group *state = &engine->groups[reload->places[i]];
	uint32_t cnt = 0;

	for (uint32_t slot = 0; slot < engine->outlet_max; slot++)
		cnt += engine->built_ins[slot] &&
		       engine->members[slot].group == reload->places[i] && !reload->made[slot] &&
		       reload_classes(&state->config->spec, &reload->next->groups[i].spec,
				      engine->members[slot].classes) == classes;
	return cnt;
}

static bool reload_same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whether the built-in members of a group may stay as they are. */
static bool reload_same_members(const struct engine *engine, const struct config_group *now,
				const struct config_group *next)
{
	return now->sink == next->sink && now->run == next->run &&
	       now->ring_slots == next->ring_slots &&
	       (engine->options.write_dir || reload_same_text(now->dir, next->dir));
}

/* Make the built-in members of a kind that are to come; how many stay is in kept[]. */
static int reload_make_kind(struct reload *reload, uint32_t i, uint32_t kind,
			    struct xfq_error *error)
{
	struct engine *engine = reload->engine;
	const struct config_group *group = &reload->next->groups[i];
	uint32_t place = reload->places[i], have = 0, slot;
	uint32_t classes = engine_kind_classes(kind), wish = engine_built_in_wish(group, kind);
	int code = 0;

	if (reload_same_members(engine, engine->groups[place].config, group))
		have = reload_built_in_cnt(reload, i, classes);
	reload->kept[i][kind] = have < wish ? have : wish;
	for (uint32_t m = reload->kept[i][kind]; m < wish && code == 0; m++) {
		code = engine_make_built_in(engine, place, group, classes, &slot, error);
		if (code == 0)
			reload->made[slot] = true;
	}
	return code;
}

static int reload_make_members(struct reload *reload, struct xfq_error *error)
{
	int code = 0;

	for (uint32_t i = 0; i < reload->next->group_cnt; i++)
		for (uint32_t kind = 0; kind <= reload->next->groups[i].spec.class_cnt && code == 0;
		     kind++)
			code = reload_make_kind(reload, i, kind, error);
	return code;
}

/* Where the instance runs, have the new members begin; those of new groups are put in: nothing
 * comes to them yet. */
static int reload_begin_members(struct reload *reload, struct xfq_error *error)
{
	struct engine *engine = reload->engine;
	int code = 0;

	for (uint32_t slot = 0; slot < engine->outlet_max && code == 0; slot++)
		if (reload->made[slot] && engine->started)
			code = engine_begin_built_in(engine, slot, error);
	for (uint32_t i = 0; i < reload->next->group_cnt && code == 0; i++)
		for (uint32_t slot = 0; slot < engine->outlet_max && reload->fresh[i]; slot++)
			if (reload->made[slot] && engine->members[slot].group == reload->places[i])
				engine_put_in_built_in(engine, slot);
	return code;
}

static int reload_prepare(struct reload *reload, struct xfq_error *error)
{
	struct engine *engine = reload->engine;
	int code;

	reload->made = calloc(engine->outlet_max, sizeof(*reload->made));
	reload->quotas = calloc(engine->outlet_max, sizeof(*reload->quotas));
	if (!reload->made || !reload->quotas)
		return xfq_error_set(error, -ENOMEM, "no memory for %u members",
				     engine->outlet_max);
	reload_assign_places(reload);
	code = reload_make_policy(reload, error);
	if (code == 0)
		code = reload_make_program(reload, error);
	if (code == 0)
		code = reload_begin_groups(reload, error);
	for (uint32_t i = 0; i < reload->next->group_cnt && code == 0; i++)
		code = reload_make_rosters(reload, i, error);
	if (code == 0)
		code = reload_make_members(reload, error);
	if (code == 0)
		code = reload_begin_members(reload, error);
	return code;
}

/* Take back what reload_prepare() has made, however far it came. */
static void reload_undo(struct reload *reload)
{
	struct engine *engine = reload->engine;

	for (uint32_t slot = 0; reload->made && slot < engine->outlet_max; slot++) {
		struct member *member = &engine->members[slot];

		if (!reload->made[slot])
			continue;
		if (!member->withheld) {
			member->withheld = true;
			engine_take_off(engine, member->group);
			engine_remove_built_in(engine, slot, NULL);
		} else {
			engine_drop_built_in(engine, slot);
		}
	}
	for (uint32_t i = 0; i < reload->next->group_cnt; i++)
		if (reload->fresh[i] && engine->groups[reload->places[i]].config)
			engine_end_group(engine, reload->places[i]);
	engine->demand = reload->demand;
	loader_forget(&reload->generation);
	engine_forget_tc(engine, &reload->tc);
	setmaps_destroy(&reload->sets);
	for (uint32_t place = 0; place < POLICY_PLACES_MAX; place++)
		free(reload->rosters[place]);
	engine_destroy_policy(reload->policy);
}

/* --- switch ----------------------------------------------------------------------------------- */

/* The quotas of all members, by what the next config asks for; `least`: none is raised yet. */
static void reload_set_quotas(struct reload *reload, bool least)
{
	struct engine *engine = reload->engine;

	for (uint32_t slot = 0; slot < engine->outlet_max; slot++) {
		struct member *member = &engine->members[slot];
		const struct config_group *group = engine->groups[member->group].config;
		uint32_t quota;

		reload->quotas[slot] = 0;
		if (member->kind == MEMBER_FREE || member->ring_slots == 0)
			continue;
		for (uint32_t i = 0; i < reload->next->group_cnt; i++)
			if (reload->places[i] == member->group)
				group = &reload->next->groups[i];
		quota = engine_quota(engine, group);
		if (quota > member->ring_slots)
			quota = member->ring_slots;
		if (least && quota > member->quota)
			quota = member->quota;
		reload->quotas[slot] = quota;
	}
}

/* The quotas that there are. */
static void reload_keep_quotas(struct reload *reload)
{
	struct engine *engine = reload->engine;

	for (uint32_t slot = 0; slot < engine->outlet_max; slot++)
		reload->quotas[slot] = engine->members[slot].quota;
}

static int reload_switch(struct reload *reload, struct xfq_error *error)
{
	struct engine *engine = reload->engine;
	struct worker_change change = worker_no_change();
	int code = 0;

	reload_set_quotas(reload, true);
	change.quotas = reload->quotas;
	change.policy_change = WORKER_POLICY_SET;
	change.policy = &reload->policy->policy;
	change.states = reload->policy->states;
	change.tunnels = reload->policy->tunnels;
	change.rosters = (const struct rosters *const *)reload->rosters;
	change.data = engine_data_now(&reload->policy->data);
	change.filter = &reload->next->filter;
	engine_change_all(engine, &change);
	engine_gave_tunnels(engine, reload->policy);
	change.data = NULL;
	if (reload_is_live(reload))
		code = loader_commit(&engine->loader, &reload->generation, error);
	/* what comes in is judged anew, and there is no way back: where the kernel refuses a write
	 * to a slot that exists, which none is known to, what goes out passes */
	if (reload_is_live(reload) && code == 0 && engine_commit_tc(engine, &reload->tc, NULL))
		engine_end_egress(engine);
	change.policy_change = WORKER_POLICY_SETTLE;
	if (code) {
		reload_keep_quotas(reload);
		change.policy_change = WORKER_POLICY_RESTORE;
	}
	/* where the program did not change, nothing was judged by the new policy; where it did, the
	 * kernel has handed over all that was judged by the old one */
	engine_change_all(engine, &change);
	return code;
}

/* --- finish ----------------------------------------------------------------------------------- */

/* Take the built-in members of a group out but for the first keep[] of each kind, and those that
 * are new; NULL: none is kept. */
static void reload_thin_out(struct reload *reload, uint32_t place, const uint32_t *keep)
{
	struct engine *engine = reload->engine;
	uint32_t cnt = 0;

	/* the last ones first, so that numbers stay */
	for (uint32_t slot = 0; slot < engine->outlet_max; slot++) {
		struct member *member = &engine->members[slot];
		uint32_t before = 0, kind = 0;

		if (!engine->built_ins[slot] || member->group != place || reload->made[slot])
			continue;
		for (uint32_t other = 0; other < engine->outlet_max; other++)
			before += engine->built_ins[other] && !reload->made[other] &&
				  engine->members[other].group == place &&
				  engine->members[other].classes == member->classes &&
				  engine->members[other].id < member->id;
		while (kind < ENGINE_KINDS && engine_kind_classes(kind) != member->classes)
			kind++;
		member->withheld = !keep || kind == ENGINE_KINDS || before >= keep[kind];
		cnt += member->withheld;
	}
	if (cnt == 0)
		return;
	engine_take_off(engine, place);
	for (uint32_t slot = 0; slot < engine->outlet_max; slot++)
		if (engine->built_ins[slot] && engine->members[slot].group == place &&
		    engine->members[slot].withheld)
			engine_remove_built_in(engine, slot, NULL);
}

/* What joined members of a group have not read yet. */
static uint64_t reload_queued(const struct engine *engine, uint32_t place)
{
	uint64_t queued = 0;

	for (uint32_t slot = 0; slot < engine->outlet_max; slot++) {
		struct stats_member now = {0};

		if (engine->members[slot].kind != MEMBER_JOINED ||
		    engine->members[slot].group != place || engine->members[slot].faulty)
			continue;
		engine_sum_member(engine, slot, &now);
		queued += now.queued;
	}
	return queued;
}

/* Wait until the joined members of a group have read what they were given, or do not get on. */
static void reload_drain(struct engine *engine, uint32_t place)
{
	const struct worker_change nothing = worker_no_change();
	uint64_t queued = reload_queued(engine, place), before = queued;

	for (uint32_t step = 0, stalled = 0;
	     queued > 0 && step < RELOAD_DRAIN_STEPS && stalled < RELOAD_DRAIN_STALLED; step++) {
		usleep(RELOAD_DRAIN_US);
		/* a worker that sleeps looks at the rings then */
		engine_change_all(engine, &nothing);
		queued = reload_queued(engine, place);
		stalled = queued == before ? stalled + 1 : 0;
		before = queued;
	}
}

/* Tell a joined member, which is on no roster any more, that its group has ended. */
static void reload_dismiss(struct reload *reload, uint32_t slot, const char *group)
{
	struct engine *engine = reload->engine;
	struct worker_change change = worker_no_change();

	/* first the words, then the ring's end, which without them would be the instance's */
	change.hush = slot;
	engine_change_all(engine, &change);
	engine->members[slot].wake_fd = -1;
	if (reload->events)
		reload->events->removed(slot, group, reload->events->context);
	if (engine->members[slot].kind != MEMBER_JOINED)
		return;
	change.hush = FANOUT_NONE;
	change.close = slot;
	engine_change_all(engine, &change);
}

/* End a group that the next config does not have; no packet comes to it any more. */
static void reload_end_group(struct reload *reload, uint32_t place)
{
	struct engine *engine = reload->engine;
	const char *name = engine->groups[place].config->name;

	reload_thin_out(reload, place, NULL);
	for (uint32_t slot = 0; slot < engine->outlet_max; slot++)
		if (engine->members[slot].kind != MEMBER_FREE &&
		    engine->members[slot].group == place)
			engine->members[slot].withheld = true;
	engine_take_off(engine, place);
	for (uint32_t slot = 0; slot < engine->outlet_max; slot++)
		if (engine->members[slot].group == place &&
		    (engine->members[slot].kind == MEMBER_JOINED ||
		     engine->members[slot].kind == MEMBER_JOINING))
			reload_dismiss(reload, slot, name);
	reload_drain(engine, place);
	for (uint32_t slot = 0; slot < engine->outlet_max; slot++)
		if (engine->members[slot].kind != MEMBER_FREE &&
		    engine->members[slot].group == place)
			engine_leave(engine, slot, "removed");
	engine_end_group(engine, place);
}

/* The workers have the new policy alone: its classes are those of the groups now. */
static void reload_take_classes(struct reload *reload)
{
	struct engine *engine = reload->engine;

	for (uint32_t i = 0; i < reload->next->group_cnt; i++) {
		uint32_t place = reload->places[i];
		struct engine_group *state = &engine->groups[place];
		struct worker_change change = worker_no_change();

		if (!reload->rosters[place])
			continue;
		for (uint32_t slot = 0; slot < engine->outlet_max; slot++)
			if (engine->members[slot].group == place && !reload->made[slot])
				engine->members[slot].classes = reload_classes(
					&state->config->spec, &reload->next->groups[i].spec,
					engine->members[slot].classes);
		change.group = place;
		change.roster = reload->rosters[place];
		engine_change_all(engine, &change);
		free(state->rosters);
		state->rosters = reload->rosters[place];
	}
}

static void reload_finish(struct reload *reload)
{
	struct engine *engine = reload->engine;
	struct worker_change change = worker_no_change();

	reload_take_classes(reload);
	for (uint32_t slot = 0; slot < engine->outlet_max; slot++)
		if (reload->made[slot] && engine->members[slot].withheld)
			engine_put_in_built_in(engine, slot);
	for (uint32_t i = 0; i < reload->next->group_cnt; i++)
		if (!reload->fresh[i])
			reload_thin_out(reload, reload->places[i], reload->kept[i]);
	for (uint32_t place = 0; place < POLICY_PLACES_MAX; place++)
		if (engine->groups[place].config && !reload_has(reload, place))
			reload_end_group(reload, place);
	engine_keep_members(engine, reload->next);
	/* from here on nothing names the config of before */
	for (uint32_t i = 0; i < reload->next->group_cnt; i++) {
		engine->places[i] = reload->places[i];
		engine->groups[reload->places[i]].config = &reload->next->groups[i];
	}
	engine->config = reload->next;
	engine_carry_on(reload->policy, engine->policy);
	engine_destroy_policy(engine->policy);
	engine->policy = reload->policy;
	setmaps_destroy(&engine->sets);
	engine->sets = reload->sets;
	reload_set_quotas(reload, false);
	for (uint32_t slot = 0; slot < engine->outlet_max; slot++)
		engine->members[slot].quota = reload->quotas[slot];
	change.quotas = reload->quotas;
	engine_change_all(engine, &change);
}

int engine_reload(struct engine *engine, const struct config *next,
		  const struct engine_reload_events *events, struct xfq_error *error)
{
	struct reload reload = {.engine = engine, .next = next, .events = events};
	int code = engine_reload_check(engine, next, error);

	if (code == 0)
		code = reload_check_room(&reload, error);
	if (code)
		return code;
	code = reload_prepare(&reload, error);
	if (code == 0)
		code = reload_switch(&reload, error);
	if (code)
		reload_undo(&reload);
	else
		reload_finish(&reload);
	free(reload.made);
	free(reload.quotas);
	return code;
}
