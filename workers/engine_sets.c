/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_sets.h"
#include "workers/engine_parts.h"
#include <errno.h>
#include <stdlib.h>
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

/* Whether a filter's rules ask a set. */
static bool engine_rules_ask(const struct filter *filter, uint32_t place)
{
	for (uint32_t i = 0; i < filter->rule_cnt; i++)
		if ((filter->rules[i].fields & FILTER_SET) && filter->rules[i].set == place)
			return true;
	return false;
}

int engine_set_target(struct engine *engine, uint32_t place, struct engine_set_target *target,
		      struct xfq_error *error)
{
	if (engine->options.read_path && engine_rules_ask(&engine->config->filter, place))
		return xfq_error_set(error, -EBUSY,
				     "set %s, which rules ask, stays as it is while a capture file "
				     "is read",
				     engine->config->sets[place]->name);
	if (engine->options.read_path) {
		*target = (struct engine_set_target){.user_alone = true};
		return 0;
	}
	*target =
		(struct engine_set_target){.maps = {.maps = &engine->sets, .slots = target->slots}};
	target->maps.slot_cnt += loader_set_slots(&engine->loader, &target->slots[0]);
	target->maps.slot_cnt +=
		tc_set_slots(&engine->egress_tc, &target->slots[target->maps.slot_cnt]);
	target->maps.slot_cnt +=
		tc_set_slots(&engine->mirror_tc, &target->slots[target->maps.slot_cnt]);
	return 0;
}

/* --- what groups ask -------------------------------------------------------------------------- */

/* A change of a set that groups ask: made on one side, then on the other. */
struct engine_set_edit {
	const struct set_member *members;
	uint32_t cnt;
	bool del;
	uint64_t next_ns;         /* no member expires before this; 0: as it was */
	const struct set *become; /* instead: all members are those of this */
};

static int engine_edit_side(struct engine_side *side, uint32_t place,
			    const struct engine_set_edit *edit)
{
	struct set_lookup *lookup = &side->sets[place].lookup;
	int code = 0;

	if (edit->become) {
		set_lookup_destroy(lookup);
		return set_lookup_copy(lookup, edit->become);
	}
	for (uint32_t i = 0; i < edit->cnt && code >= 0; i++) {
		if (edit->del)
			set_del(&lookup->set, &edit->members[i].key);
		else
			code = set_add(&lookup->set, &edit->members[i]);
	}
	if (edit->next_ns)
		lookup->set.next_ns = edit->next_ns;
	set_lookup_renew(lookup);
	return code < 0 ? code : 0;
}

/* The config's set has changed: now what groups ask of it. 0 or -ENOMEM with a sentence, and groups
 * go on with what it was. */
static int engine_edit_set(struct engine *engine, uint32_t place,
			   const struct engine_set_edit *edit, struct xfq_error *error)
{
	struct engine_side *side;

	if (!engine_asks_set(engine, place))
		return 0;
	side = engine_begin_change(engine, error);
	if (!side)
		return -ENOMEM;
	if (engine_edit_side(side, place, edit)) {
		side->sets[place].stale = true;
		return xfq_error_set(error, -ENOMEM,
				     "set %s: no memory: what its groups ask is as "
				     "it was; load it anew",
				     engine->config->sets[place]->name);
	}
	side = engine_publish_data(engine);
	/* what cannot be done here is, before this side is used */
	if (engine_edit_side(side, place, edit))
		side->sets[place].stale = true;
	return 0;
}

static int engine_put_member(struct engine *engine, uint32_t place,
			     const struct engine_set_target *target,
			     const struct set_member *member, struct xfq_error *error)
{
	struct set *set = engine->config->sets[place];
	int code;

	if (!target->user_alone)
		return setmaps_add(&target->maps, place, set, member, error);
	code = set_add(set, member);
	if (code == -ENOSPC)
		return xfq_error_set(error, code, "set %s is full: it has %u members", set->name,
				     set->cnt);
	return code < 0 ? xfq_error_set(error, code, "set %s: no memory", set->name) : code;
}

int engine_add_members(struct engine *engine, uint32_t place, const struct set_member *members,
		       uint32_t cnt, struct xfq_error *error)
{
	struct engine_set_edit edit = {.members = members};
	struct engine_set_target target;
	int code = engine_set_target(engine, place, &target, error), added = 0, edited;

	while (edit.cnt < cnt && code >= 0) {
		code = engine_put_member(engine, place, &target, &members[edit.cnt], error);
		added += code == 1;
		edit.cnt += code >= 0;
	}
	edited = edit.cnt ? engine_edit_set(engine, place, &edit, code < 0 ? NULL : error) : 0;
	if (code < 0)
		return code;
	return edited ? edited : added;
}

int engine_del_members(struct engine *engine, uint32_t place, const struct set_member *members,
		       uint32_t cnt, struct xfq_error *error)
{
	struct engine_set_edit edit = {.members = members, .del = true};
	struct engine_set_target target;
	int code = engine_set_target(engine, place, &target, error), removed = 0, edited;

	while (edit.cnt < cnt && code >= 0) {
		code = target.user_alone
			       ? set_del(engine->config->sets[place], &members[edit.cnt].key)
			       : setmaps_del(&target.maps, place, engine->config->sets[place],
					     &members[edit.cnt].key, error);
		removed += code == 1;
		edit.cnt += code >= 0;
	}
	edited = edit.cnt ? engine_edit_set(engine, place, &edit, code < 0 ? NULL : error) : 0;
	if (code < 0)
		return code;
	return edited ? edited : removed;
}

int engine_replace_members(struct engine *engine, uint32_t place, struct set *with,
			   struct xfq_error *error)
{
	struct engine_set_edit edit = {.become = engine->config->sets[place]};
	struct engine_set_target target;
	int code = engine_set_target(engine, place, &target, error);

	if (code == 0 && target.user_alone)
		set_swap(engine->config->sets[place], with);
	else if (code == 0)
		code = setmaps_replace(&target.maps, place, engine->config->sets[place], with,
				       error);
	return code ? code : engine_edit_set(engine, place, &edit, error);
}

/* Take what has expired out of what groups ask: there it is a member until then. */
static int engine_sweep_lookup(struct engine *engine, uint32_t place, uint64_t now_ns,
			       struct xfq_error *error)
{
	const struct engine_data *data = &engine->policy->data;
	const struct set *now = &data->sides[data->side].sets[place].lookup.set;
	struct engine_set_edit edit = {.del = true, .next_ns = SET_FOREVER};
	struct set_member *gone;
	uint32_t gone_cnt = 0;
	int code;

	if (!engine_asks_set(engine, place) || !now->timed || now_ns < now->next_ns)
		return 0;
	for (uint32_t i = 0; i < now->cnt; i++)
		gone_cnt += now->members[i].expires_ns <= now_ns;
	gone = malloc((size_t)(gone_cnt + 1) * sizeof(*gone));
	if (!gone)
		return xfq_error_set(error, -ENOMEM, "set %s: no memory for a change", now->name);
	for (uint32_t i = 0; i < now->cnt; i++) {
		uint64_t expires_ns = now->members[i].expires_ns;

		if (expires_ns <= now_ns)
			gone[edit.cnt++] = now->members[i];
		else if (expires_ns < edit.next_ns)
			edit.next_ns = expires_ns;
	}
	edit.members = gone;
	code = engine_edit_set(engine, place, &edit, error);
	free(gone);
	return code;
}

/* --- sweeping and reloads --------------------------------------------------------------------- */

static void engine_sweep_set(struct set *set, uint64_t now_ns)
{
	const struct set_member *member;

	while ((member = set_next_expired(set, now_ns)) != NULL)
		set_del(set, &member->key);
}

int engine_sweep_sets(struct engine *engine, struct xfq_error *error)
{
	struct engine_set_target target;
	struct timespec now;
	uint64_t now_ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	for (uint32_t i = 0; i < engine->config->set_cnt; i++) {
		int code = engine_set_target(engine, i, &target, NULL);

		if (code) /* its members do not expire */
			continue;
		if (target.user_alone)
			engine_sweep_set(engine->config->sets[i], now_ns);
		else
			code = setmaps_sweep(&target.maps, i, engine->config->sets[i], now_ns,
					     error);
		if (code >= 0)
			code = engine_sweep_lookup(engine, i, now_ns, error);
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

/* The place of the set of before whose members go on in a set of the next config; -1: none. Where a
 * capture file is read, a worker looks into the sets that rules ask. */
static int engine_sets_moved(const struct engine *engine, const struct config *next, uint32_t place)
{
	int before = engine_sets_before(engine, next, place);

	if (before < 0 || !engine->options.read_path)
		return before;
	return engine_rules_ask(&engine->config->filter, (uint32_t)before) ||
			       engine_rules_ask(&next->filter, place)
		       ? -1
		       : before;
}

void engine_sets_begin(const struct engine *engine, const struct config *next,
		       const struct set **as)
{
	for (uint32_t i = 0; i < next->set_cnt; i++) {
		int before = engine_sets_moved(engine, next, i);

		if (before >= 0)
			as[i] = engine->config->sets[before];
	}
}

void engine_keep_members(struct engine *engine, const struct config *next)
{
	for (uint32_t i = 0; i < next->set_cnt; i++) {
		int before = engine_sets_moved(engine, next, i);

		if (before >= 0)
			set_swap(next->sets[i], engine->config->sets[before]);
	}
}
