/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the engine share among themselves, in the order of use. */
#ifndef WORKERS_ENGINE_PARTS_H
#define WORKERS_ENGINE_PARTS_H

#include "workers/engine.h"
#include <stdlib.h>

/* engine_workers.c: workers with their memory, sized for the members' rings; no ports yet. All
 * return 0 or -errno with a sentence, and leave freeing to engine_free_workers(). */
int engine_make_workers(struct engine *engine, uint32_t frame_size, struct xfq_error *error);

/* Open the ports of an interface whose program is attached. Nothing comes to them yet. */
int engine_open_ports(struct engine *engine, uint32_t interface, struct xfq_error *error);

/* engine_packet.c: packet sockets. Which interfaces have them from the start; */
void engine_choose_packet(struct engine *engine);

/* whether one that could not be had by XDP, as `code` says, is to have them: then what there was of
 * it is undone; */
bool engine_falls_back(struct engine *engine, uint32_t interface, int code);

/* open those of an interface; give all of them their packets; take them away again. */
int engine_open_packet(struct engine *engine, uint32_t interface, struct xfq_error *error);
int engine_connect_packet(struct engine *engine, struct xfq_error *error);
void engine_stop_packet(struct engine *engine);

/* Put every port into the XSKMAP: from here on packets are taken from the stack. */
int engine_connect_ports(struct engine *engine, struct xfq_error *error);
void engine_free_workers(struct engine *engine);

/* engine_tc.c: pairs of mirrored interfaces, TC programs for these and for egress; needs the
 * interfaces and the sets. All return 0 or -errno with a sentence. */
int engine_load_tc(struct engine *engine, struct xfq_error *error);
int engine_attach_tc(struct engine *engine, struct xfq_error *error);
void engine_detach_tc(struct engine *engine);
void engine_detach_tc_one(struct engine *engine, uint32_t interface);
void engine_free_tc(struct engine *engine);

/* Take the egress rules away: what the host sends passes. */
void engine_end_egress(struct engine *engine);

/* Whether an interface is mirrored; then program and ports are attached to the other end of its
 * pair, between these two. */
bool engine_is_mirrored(const struct engine *engine, uint32_t interface);
int engine_enter_netns(const struct engine *engine, uint32_t interface, struct xfq_error *error);
void engine_leave_netns(const struct engine *engine, uint32_t interface);

/* Other filters, of `next`, in two steps as of the loader: engine_prepare_tc() owes an
 * engine_commit_tc() or an engine_forget_tc(). */
struct engine_tc_change {
	struct tc_generation egress, mirror;
	bool has_egress; /* the next config has */
	bool opened;     /* it has, and the one before has not */
};
int engine_prepare_tc(struct engine *engine, const struct config *next, const struct setmaps *sets,
		      struct engine_tc_change *change, struct xfq_error *error);
int engine_commit_tc(struct engine *engine, struct engine_tc_change *change,
		     struct xfq_error *error);
void engine_forget_tc(struct engine *engine, struct engine_tc_change *change);

/* Add what the TC programs counted. 0 or -errno. */
int engine_stats_tc(const struct engine *engine, struct stats *stats);

/* engine_shunt.c: the shunt table of the pass over a capture file, where the filter wants one. */
int engine_make_replay_shunt(struct engine *engine, struct xfq_error *error);

/* engine_join.c: the table of members, and empty rosters; needs the workers. */
int engine_make_table(struct engine *engine, struct xfq_error *error);
void engine_free_table(struct engine *engine);

/* A group of a config begins at a free place: an empty roster, and counters at 0; the workers know
 * of it. 0 or -ENOMEM with a sentence. */
int engine_begin_group(struct engine *engine, uint32_t place, const struct config_group *config,
		       struct xfq_error *error);

/* A group ends, which has no members and is of no policy any more: its place is free. */
void engine_end_group(struct engine *engine, uint32_t place);

/* Have all workers make the same change, and wait until they have. */
void engine_change_all(struct engine *engine, const struct worker_change *change);

/* A free place for a member of a group, with its number, group and weight 1; ENGINE_NO_SLOT where
 * there is none. */
uint32_t engine_take_slot(struct engine *engine, uint32_t group, enum member_kind kind);

/* Whether one more fits on a group's roster; stand-ins give way, and do not count. */
bool engine_has_room(const struct engine *engine, uint32_t group);

/* Attach the member at `slot`, whose outlets are in engine->outlets, to all workers, with the
 * roster that follows from who is there. */
void engine_put_in(struct engine *engine, uint32_t slot);

/* Take members that have become withheld off a group's roster. */
void engine_take_off(struct engine *engine, uint32_t group);

/* A member was detached, or is to be, and `why`: keep its counters, which are returned. */
struct stats_member engine_take_out_member(struct engine *engine, uint32_t slot, const char *why);

/* Tell joined members that nothing more comes, and give those that read on some time to finish. */
void engine_drain_joined(struct engine *engine);

/* The rings of the member at `slot`, and in engine->outlets what workers need of them; the group,
 * and its wish of slots (0: none), say how large. */
int engine_join_rings(struct engine *engine, uint32_t slot, const struct config_group *group,
		      uint32_t wish, struct xfq_error *error);

/* A member's counters over all workers. */
void engine_sum_member(const struct engine *engine, uint32_t slot, struct stats_member *to);

#define ENGINE_NO_SLOT UINT32_MAX

/* engine_members.c: rings, sinks and files of every built-in member; needs the table. */
int engine_make_members(struct engine *engine, struct xfq_error *error);

/* How many a group is to have that are of no class (kind 0), or of one alone (kind 1 and its
 * number); and the classes of such a member, as bits. */
#define ENGINE_KINDS (1 + GROUP_CLASSES_MAX)
uint32_t engine_built_in_wish(const struct config_group *group, uint32_t kind);
static inline uint32_t engine_kind_classes(uint32_t kind)
{
	return kind == 0 ? 0 : 1u << (kind - 1);
}

/* Make one more, of a group that is at a place and is to be as `group` says: withheld, without a
 * thread, its file not begun. Then begin that, start the thread, and put it in. 0 or -errno with a
 * sentence, and then it is as if nothing had been, but for what was begun. */
int engine_make_built_in(struct engine *engine, uint32_t place, const struct config_group *group,
			 uint32_t classes, uint32_t *slot, struct xfq_error *error);
int engine_begin_built_in(struct engine *engine, uint32_t slot, struct xfq_error *error);
void engine_put_in_built_in(struct engine *engine, uint32_t slot);

/* Take one out that is not on the roster: it reads what it has first. Its file is closed: 0, or
 * what was wrong with it, with a sentence. */
int engine_remove_built_in(struct engine *engine, uint32_t slot, struct xfq_error *error);

/* The same of one that was never put in. */
void engine_drop_built_in(struct engine *engine, uint32_t slot);

/* Start and end the threads of built-in members; they end when their rings are empty. */
int engine_start_consumers(struct engine *engine, struct xfq_error *error);
void engine_finish_consumers(struct engine *engine);

/* Begin the capture files of all members: older ones of their names are gone. */
int engine_begin_files(struct engine *engine, struct xfq_error *error);

/* Close the capture files of all members; the first that failed gives code and sentence. */
int engine_close_files(struct engine *engine, struct xfq_error *error);
void engine_free_members(struct engine *engine);

/* What the rings of a config's members ask for. */
struct engine_demand engine_demand(const struct engine *engine, const struct config *config);

/* Whether the packet memory that there is suffices for them. 0, or -ENOSPC with a sentence. */
int engine_check_demand(const struct engine *engine, const struct engine_demand *demand,
			struct xfq_error *error);

/* Places that a config's members may need. */
uint32_t engine_places(const struct engine *engine, const struct config *config);

/* Slots that a worker may fill of a group's ring at once, by engine->demand: the ring, or its share
 * of the frames. */
uint32_t engine_quota(const struct engine *engine, const struct config_group *group);

/* The epoch of the next data, never 0. */
static inline uint32_t engine_next_epoch(struct engine *engine)
{
	engine->epoch = engine->epoch < UINT32_MAX ? engine->epoch + 1 : 1;
	return engine->epoch;
}

/*
 * Room for the rosters of a group, whatever its classes are. Behind those of its classes is one of
 * the members that get what is for all of them: without stand-ins that are there for a class alone.
 */
static inline struct rosters *engine_make_rosters(uint32_t class_cnt)
{
	struct rosters *rosters = calloc(1, rosters_bytes(GROUP_CLASSES_MAX + 1));

	if (rosters)
		rosters->class_cnt = class_cnt + 1;
	return rosters;
}

/*
 * A ring's share of `frames` frames, where `members` rings want `slots` slots in all: its own `own`
 * slots if there are enough, else one, and of what is left in proportion. The shares of all rings
 * together never exceed `frames`, which is at least `members`.
 */
static inline uint32_t engine_share(uint64_t own, uint64_t slots, uint64_t members, uint64_t frames)
{
	if (slots <= frames)
		return (uint32_t)own;
	return (uint32_t)(1 + (own - 1) * (frames - members) / (slots - members));
}

/* In engine_reload_check.c: what a reload may not change. 0, or -EOPNOTSUPP with a sentence. */
int engine_reload_check(const struct engine *engine, const struct config *next,
			struct xfq_error *error);

/* Whether a group's members are handled in the worker. */
static inline bool engine_in_worker(const struct config_group *group)
{
	return group->run == CONFIG_RUN_WORKER;
}

#endif
