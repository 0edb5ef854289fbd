/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_parts.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long, at the end, members that still read are waited for: as long as they get on, and no
 * longer than a person notices. */
#define ENGINE_DRAIN_STEP_US 1000
#define ENGINE_DRAIN_STALLED 100 /* steps without any release */
#define ENGINE_DRAIN_STEPS   1000

int engine_make_table(struct engine *engine, struct xfq_error *error)
{
	size_t places = engine->outlet_max, workers = engine->worker_cnt;

	engine->members = calloc(places, sizeof(*engine->members));
	engine->built_ins = calloc(places, sizeof(*engine->built_ins));
	engine->outlets = calloc(workers, sizeof(*engine->outlets));
	engine->changes = calloc(workers, sizeof(*engine->changes));
	engine->spare = engine_make_rosters(0);
	if (!engine->members || !engine->built_ins || !engine->outlets || !engine->changes ||
	    !engine->spare)
		return xfq_error_set(error, -ENOMEM, "no memory for %zu members", places);
	for (size_t i = 0; i < places; i++)
		engine->members[i].wake_fd = -1;
	for (uint32_t g = 0; g < engine->config->group_cnt; g++) {
		int code = engine_begin_group(engine, g, &engine->config->groups[g], error);

		if (code)
			return code;
		engine->places[g] = g;
	}
	return 0;
}

void engine_free_table(struct engine *engine)
{
	for (uint32_t i = 0; engine->members && i < engine->outlet_max; i++)
		member_destroy(&engine->members[i]);
	for (uint32_t g = 0; g < POLICY_PLACES_MAX; g++)
		free(engine->groups[g].rosters);
	free(engine->members);
	free(engine->built_ins);
	free(engine->outlets);
	free(engine->changes);
	free(engine->spare);
	memset(engine->groups, 0, sizeof(engine->groups));
	engine->members = NULL;
	engine->built_ins = NULL;
	engine->outlets = NULL;
	engine->changes = NULL;
	engine->spare = NULL;
}

uint32_t engine_find_group(const struct engine *engine, const char *name)
{
	for (uint32_t place = 0; place < POLICY_PLACES_MAX; place++)
		if (engine->groups[place].config &&
		    strcmp(engine->groups[place].config->name, name) == 0)
			return place;
	return ENGINE_NO_GROUP;
}

void engine_change_all(struct engine *engine, const struct worker_change *change)
{
	for (uint32_t w = 0; w < engine->worker_cnt; w++)
		worker_post(&engine->workers[w], change);
	for (uint32_t w = 0; w < engine->worker_cnt; w++)
		worker_await(&engine->workers[w]);
}

int engine_begin_group(struct engine *engine, uint32_t place, const struct config_group *config,
		       struct xfq_error *error)
{
	struct worker_change change = worker_no_change();
	struct rosters *rosters = engine_make_rosters(config->spec.class_cnt);

	if (!rosters)
		return xfq_error_set(error, -ENOMEM, "no memory for group %s", config->name);
	engine->groups[place] = (struct engine_group){.config = config, .rosters = rosters};
	change.group = place;
	change.roster = rosters;
	change.begin = true;
	engine_change_all(engine, &change);
	return 0;
}

void engine_end_group(struct engine *engine, uint32_t place)
{
	/* workers still name its roster, but look at it for no packet */
	free(engine->groups[place].rosters);
	memset(&engine->groups[place], 0, sizeof(engine->groups[place]));
}

uint32_t engine_take_slot(struct engine *engine, uint32_t group, enum member_kind kind)
{
	struct engine_group *state = &engine->groups[group];

	for (uint32_t slot = 0; slot < engine->outlet_max; slot++) {
		struct member *member = &engine->members[slot];

		if (member->kind != MEMBER_FREE)
			continue;
		*member = (struct member){.kind = kind,
					  .group = group,
					  .id = state->next_id++,
					  .weight = 1,
					  .wake_fd = -1};
		state->member_cnt++;
		return slot;
	}
	return ENGINE_NO_SLOT;
}

/* Whether a member may have packets; stand-ins only where others do not serve what they do. */
static bool engine_is_ready(const struct member *member, uint32_t group)
{
	return member->kind > MEMBER_JOINING && member->group == group && !member->faulty &&
	       !member->withheld;
}

bool engine_has_room(const struct engine *engine, uint32_t group)
{
	uint32_t cnt = 0;

	for (uint32_t slot = 0; slot < engine->outlet_max; slot++) {
		const struct member *member = &engine->members[slot];

		cnt += (engine_is_ready(member, group) && !member->stand_in) ||
		       (member->kind == MEMBER_JOINING && member->group == group);
	}
	return cnt < ROSTER_MEMBERS_MAX;
}

/* Who is there that is no stand-in, and what that leaves for stand-ins. */
struct engine_served {
	bool any;         /* there is somebody: packets for all members are theirs */
	uint32_t classes; /* that they are of */
	uint32_t room;    /* on the roster, for stand-ins */
};

static struct engine_served engine_serve(const struct engine *engine, uint32_t group,
					 uint32_t leaving)
{
	struct engine_served served = {.room = ROSTER_MEMBERS_MAX};

	for (uint32_t slot = 0; slot < engine->outlet_max; slot++) {
		const struct member *member = &engine->members[slot];

		if (slot == leaving || member->stand_in || !engine_is_ready(member, group))
			continue;
		served.any = true;
		served.classes |= member->classes;
		served.room--;
	}
	return served;
}

/* The rosters that a member is to be on, as bits (engine_make_rosters()); false: on none. Asked
 * once of each member, in the order of their slots. */
static bool engine_seat(const struct engine *engine, uint32_t group, uint32_t slot,
			struct engine_served *served, uint32_t *mask)
{
	const struct member *member = &engine->members[slot];
	uint32_t open = 1u << (engine->groups[group].rosters->class_cnt - 1);

	*mask = (member->classes & (open - 1)) | open;
	if (!engine_is_ready(member, group))
		return false;
	if (!member->stand_in)
		return true;
	if (served->any)
		*mask &= ~(served->classes | open);
	if (*mask == 0 || served->room == 0)
		return false;
	served->room--;
	return true;
}

static bool engine_has_seat(const struct rosters *rosters, uint32_t slot, uint32_t mask)
{
	for (uint32_t i = 0; i < rosters->all.cnt; i++)
		if (rosters->all.slots[i] == slot)
			return rosters->masks[i] == mask;
	return false;
}

/* Make the rosters that follow from who is there, in engine->spare: first who is to go, then who is
 * to come, so that nothing else moves. `leaving` is on it no more. */
static void engine_revise_roster(struct engine *engine, uint32_t group, uint32_t leaving)
{
	const struct rosters *now = engine->groups[group].rosters;
	const struct engine_served all = engine_serve(engine, group, leaving);
	struct engine_served served = all;
	struct rosters *rosters = engine->spare;
	uint32_t mask;

	memcpy(rosters, now, rosters_bytes(now->class_cnt));
	for (uint32_t slot = 0; slot < engine->outlet_max; slot++) {
		if (engine->members[slot].group != group)
			continue;
		if (slot == leaving || !engine_seat(engine, group, slot, &served, &mask) ||
		    !engine_has_seat(rosters, slot, mask))
			rosters_leave(rosters, rosters, (uint16_t)slot);
	}
	served = all;
	for (uint32_t slot = 0; slot < engine->outlet_max; slot++) {
		const struct member *member = &engine->members[slot];

		if (slot != leaving && engine_seat(engine, group, slot, &served, &mask) &&
		    !engine_has_seat(rosters, slot, mask))
			rosters_join(rosters, rosters, (uint16_t)slot, member->weight, mask);
	}
}

/* Have all workers make a change, with the rosters in engine->spare; the old ones are spare then.
 */
static void engine_change(struct engine *engine, uint32_t group, uint32_t attach, uint32_t detach)
{
	struct engine_group *state = &engine->groups[group];
	struct rosters *old = state->rosters;

	for (uint32_t w = 0; w < engine->worker_cnt; w++) {
		struct worker_change *change = &engine->changes[w];

		*change = worker_no_change();
		change->detach = detach;
		change->attach = attach;
		change->outlet = &engine->outlets[w];
		change->wake_fd = attach == FANOUT_NONE ? -1 : engine->members[attach].wake_fd;
		change->group = group;
		change->roster = engine->spare;
		worker_post(&engine->workers[w], &engine->changes[w]);
	}
	for (uint32_t w = 0; w < engine->worker_cnt; w++)
		worker_await(&engine->workers[w]);
	state->rosters = engine->spare;
	engine->spare = old;
}

void engine_put_in(struct engine *engine, uint32_t slot)
{
	uint32_t group = engine->members[slot].group;

	engine_revise_roster(engine, group, ENGINE_NO_SLOT);
	engine_change(engine, group, slot, FANOUT_NONE);
}

void engine_take_off(struct engine *engine, uint32_t group)
{
	engine_revise_roster(engine, group, ENGINE_NO_SLOT);
	engine_change(engine, group, FANOUT_NONE, FANOUT_NONE);
}

/* The power of two at or above a wish, within what the group has. */
static uint32_t engine_ring_wish(const struct config_group *group, uint32_t wish)
{
	uint32_t slots = XFQ_RING_SLOTS_MIN;

	if (wish == 0 || wish >= group->ring_slots)
		return group->ring_slots;
	while (slots < wish)
		slots *= 2;
	return slots;
}

static void engine_umem_bytes(const struct engine *engine, uint64_t *bytes)
{
	for (uint32_t w = 0; w < engine->worker_cnt; w++)
		bytes[w] = engine->workers[w].umem.shm.len;
}

int engine_join_rings(struct engine *engine, uint32_t slot, const struct config_group *group,
		      uint32_t wish, struct xfq_error *error)
{
	uint64_t umem_bytes[XDP_QUEUES_MAX];
	uint32_t quota = engine_quota(engine, group);
	struct member_ring_options options = {
		.slots = engine_ring_wish(group, wish),
		.worker_cnt = engine->worker_cnt,
		.umem_bytes = umem_bytes,
	};

	options.quota = quota < options.slots ? quota : options.slots;
	engine_umem_bytes(engine, umem_bytes);
	return member_make_rings(&engine->members[slot], &options, engine->outlets, error);
}

/* What a member calls itself is shown on terminals: as text and nothing else. */
static void engine_copy_name(char *to, const char *from, size_t room)
{
	size_t i = 0;

	for (; i + 1 < room && from[i]; i++)
		to[i] = from[i] > ' ' && from[i] <= '~' ? from[i] : '?';
	to[i] = '\0';
}

int engine_join(struct engine *engine, const struct engine_join *join, uint32_t *slot,
		struct xfq_error *error)
{
	struct engine_group *state = &engine->groups[join->group];
	const struct config_group *config = state->config;
	uint32_t place = ENGINE_NO_SLOT;
	struct member *member;
	int code;

	if (state->joined_cnt < config->members_max && engine_has_room(engine, join->group))
		place = engine_take_slot(engine, join->group,
					 join->lent ? MEMBER_JOINING : MEMBER_JOINED);
	if (place == ENGINE_NO_SLOT)
		return config->members_max == 0
			       ? xfq_error_set(error, -EBUSY,
					       "group %s lets nobody join (max_members: 0)",
					       config->name)
			       : xfq_error_set(error, -EBUSY,
					       "group %s is full: %u members have joined, and "
					       "max_members is %u",
					       config->name, state->joined_cnt,
					       config->members_max);
	member = &engine->members[place];
	member->weight = (uint16_t)join->weight;
	member->classes = join->classes;
	member->wake_fd = join->wake_fd;
	member->pid = join->pid;
	member->uid = join->uid;
	engine_copy_name(member->process, join->process, sizeof(member->process));
	code = engine_join_rings(engine, place, config, join->ring_slots, error);
	if (code) {
		member_destroy(member);
		state->member_cnt--;
		return code;
	}
	state->joined_cnt++;
	if (!join->lent)
		engine_put_in(engine, place);
	*slot = place;
	return 0;
}

int engine_admit(struct engine *engine, uint32_t slot, struct xfq_error *error)
{
	struct member *member = &engine->members[slot];
	uint64_t umem_bytes[XDP_QUEUES_MAX];
	int code;

	if (!shm_is_sealed(&member->cons))
		return xfq_error_set(error, -EPERM,
				     "the member has not sealed the memory that it writes; its "
				     "library must be of the same release");
	/* once more: it could take pages out until now */
	code = shm_populate(&member->cons);
	if (code)
		return xfq_error_set(error, code, "the memory that the member writes: %s",
				     strerror(-code));
	engine_close_memory(engine, slot);
	engine_umem_bytes(engine, umem_bytes);
	member_outlets(member, umem_bytes, engine->outlets);
	member->kind = MEMBER_JOINED;
	engine_put_in(engine, slot);
	return 0;
}

void engine_close_memory(struct engine *engine, uint32_t slot)
{
	shm_close(&engine->members[slot].rings);
	shm_close(&engine->members[slot].cons);
}

void engine_sum_member(const struct engine *engine, uint32_t slot, struct stats_member *to)
{
	const struct member *member = &engine->members[slot];

	to->id = member->id;
	to->weight = member->weight;
	to->classes = member->classes;
	to->ring_slots = member->ring_slots;
	to->stand_in = member->stand_in;
	to->pid = member->pid;
	to->uid = member->uid;
	memcpy(to->process, member->process, sizeof(to->process));
	if (member->kind == MEMBER_JOINING)
		return; /* what is counted there is another's, who has left */
	for (uint32_t w = 0; w < engine->worker_cnt; w++) {
		const struct outlet *outlet = &engine->workers[w].fanout.outlets[slot];

		/* what comes later is read first, so that no sum is more than what it is of */
		to->consumed += counter_read(&outlet->consumed);
		to->discarded += counter_read(&outlet->discarded);
		to->packets += counter_read(&outlet->packets);
		to->bytes += counter_read(&outlet->bytes);
		to->lost_ring += counter_read(&outlet->lost_ring);
		to->lost_quota += counter_read(&outlet->lost_quota);
		to->lost_detached += counter_read(&outlet->lost_detached);
		to->spilled += counter_read(&outlet->spilled);
	}
	to->queued = to->packets - to->consumed - to->discarded;
}

/* Keep the counters of a member that is gone. */
static void engine_remember(struct engine_group *group, const struct stats_member *last)
{
	struct stats_member *sum = &group->left_sum;

	group->left[group->left_cnt++ % STATS_LEFT_MAX] = *last;
	sum->packets += last->packets;
	sum->bytes += last->bytes;
	sum->consumed += last->consumed;
	sum->discarded += last->discarded;
	sum->lost_ring += last->lost_ring;
	sum->lost_quota += last->lost_quota;
	sum->lost_detached += last->lost_detached;
	sum->spilled += last->spilled;
}

struct stats_member engine_take_out_member(struct engine *engine, uint32_t slot, const char *why)
{
	uint32_t group = engine->members[slot].group;
	struct stats_member last = {.kind = why};

	engine_revise_roster(engine, group, slot);
	engine_change(engine, group, FANOUT_NONE, slot);
	engine_sum_member(engine, slot, &last);
	engine_remember(&engine->groups[group], &last);
	return last;
}

struct stats_member engine_leave(struct engine *engine, uint32_t slot, const char *why)
{
	struct member *member = &engine->members[slot];
	struct engine_group *group = &engine->groups[member->group];
	struct stats_member last = {.kind = why};

	if (member->kind == MEMBER_JOINED)
		last = engine_take_out_member(engine, slot, why);
	group->joined_cnt--;
	group->member_cnt--;
	member_destroy(member);
	return last;
}

void engine_faults(struct engine *engine,
		   void (*fault)(uint32_t slot, const char *what, void *context), void *context)
{
	char what[160];

	for (uint32_t slot = 0; slot < engine->outlet_max; slot++) {
		struct member *member = &engine->members[slot];

		for (uint32_t w = 0;
		     w < engine->worker_cnt && member->kind == MEMBER_JOINED && !member->faulty;
		     w++) {
			const struct outlet *outlet = &engine->workers[w].fanout.outlets[slot];
			/* pairs with the release store in fanout_blame() */
			enum outlet_fault found = __atomic_load_n(&outlet->fault, __ATOMIC_ACQUIRE);

			if (found == OUTLET_SOUND)
				continue;
			snprintf(what, sizeof(what),
				 "%s: cons is %u, and %u to %u is what worker %u gave it and did "
				 "not get back",
				 found == OUTLET_CONS_AHEAD ? "it released what it was never given"
							    : "it took back what it had released",
				 outlet->fault_cons, outlet->fault_reclaimed, outlet->fault_prod,
				 w);
			member->faulty = true;
			fault(slot, what, context);
		}
	}
}

/* Slots in use over the rings of joined members. */
static uint64_t engine_joined_queue(const struct engine *engine)
{
	uint64_t queued = 0;

	for (uint32_t slot = 0; slot < engine->outlet_max; slot++)
		for (uint32_t w = 0; w < engine->worker_cnt; w++)
			if (engine->members[slot].kind == MEMBER_JOINED)
				queued += ring_used(&engine->workers[w].fanout.outlets[slot].ring);
	return queued;
}

void engine_drain_joined(struct engine *engine)
{
	uint64_t queued = engine_joined_queue(engine), before = queued;

	for (uint32_t w = 0; w < engine->worker_cnt; w++)
		fanout_close(&engine->workers[w].fanout);
	for (uint32_t slot = 0; slot < engine->outlet_max; slot++)
		if (engine->members[slot].kind == MEMBER_JOINED)
			(void)!send(engine->members[slot].wake_fd, "", 1,
				    MSG_DONTWAIT | MSG_NOSIGNAL);
	for (uint32_t step = 0, stalled = 0;
	     queued > 0 && step < ENGINE_DRAIN_STEPS && stalled < ENGINE_DRAIN_STALLED; step++) {
		usleep(ENGINE_DRAIN_STEP_US);
		for (uint32_t w = 0; w < engine->worker_cnt; w++)
			fanout_reclaim(&engine->workers[w].fanout, 0);
		queued = engine_joined_queue(engine);
		stalled = queued == before ? stalled + 1 : 0;
		before = queued;
	}
}
