/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the engine share among themselves, in the order of use. */
#ifndef WORKERS_ENGINE_PARTS_H
#define WORKERS_ENGINE_PARTS_H

#include "workers/engine.h"

/* engine_workers.c: workers with their memory, sized for the members' rings; no ports yet. All
 * return 0 or -errno with a sentence, and leave freeing to engine_free_workers(). */
int engine_make_workers(struct engine *engine, uint32_t frame_size, struct xfq_error *error);

/* Open the ports of an interface whose program is attached. Nothing comes to them yet. */
int engine_open_ports(struct engine *engine, uint32_t interface, struct xfq_error *error);

/* Put every port into the XSKMAP: from here on packets are taken from the stack. */
int engine_connect_ports(struct engine *engine, struct xfq_error *error);
void engine_free_workers(struct engine *engine);

/* engine_join.c: the table of members, and empty rosters; needs the workers. */
int engine_make_table(struct engine *engine, struct xfq_error *error);
void engine_free_table(struct engine *engine);

/* A free place for a member of a group, with its number, group and weight 1; ENGINE_NO_SLOT where
 * there is none. */
uint32_t engine_take_slot(struct engine *engine, uint32_t group, enum member_kind kind);

/* Whether one more fits on a group's roster; stand-ins give way, and do not count. */
bool engine_has_room(const struct engine *engine, uint32_t group);

/* Attach the member at `slot`, whose outlets are in engine->outlets, to all workers, with the
 * roster that follows from who is there. */
void engine_put_in(struct engine *engine, uint32_t slot);

/* Tell joined members that nothing more comes, and give those that read on some time to finish. */
void engine_drain_joined(struct engine *engine);

/* The rings of the member at `slot`, and in engine->outlets what workers need of them; `join` says
 * how large. */
int engine_join_rings(struct engine *engine, uint32_t slot, const struct engine_join *join,
		      struct xfq_error *error);

/* A member's counters over all workers. */
void engine_sum_member(const struct engine *engine, uint32_t slot, struct stats_member *to);

#define ENGINE_NO_SLOT UINT32_MAX

/* engine_members.c: rings, sinks and files of every built-in member; needs the table. */
int engine_make_members(struct engine *engine, struct xfq_error *error);

/* Start and end the threads of built-in members; they end when their rings are empty. */
int engine_start_consumers(struct engine *engine, struct xfq_error *error);
void engine_finish_consumers(struct engine *engine);

/* Begin the capture files of all members: older ones of their names are gone. */
int engine_begin_files(struct engine *engine, struct xfq_error *error);

/* Close the capture files of all members; the first that failed gives code and sentence. */
int engine_close_files(struct engine *engine, struct xfq_error *error);
void engine_free_members(struct engine *engine);

/* Slots that a worker may fill of a group's ring at once: the ring, or its share of the frames. */
uint32_t engine_quota(const struct engine *engine, const struct config_group *group);

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

/* Whether a group's members are handled in the worker. */
static inline bool engine_in_worker(const struct config_group *group)
{
	return group->run == CONFIG_RUN_WORKER;
}

#endif
