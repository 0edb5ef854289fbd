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

/* engine_members.c: rings, sinks and files of every member; needs the workers. */
int engine_make_members(struct engine *engine, struct xfq_error *error);

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
