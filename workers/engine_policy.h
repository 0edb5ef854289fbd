/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The groups of a config as an engine runs them: the policy with its code, the plug-ins that it
 * asks, its sets and tables, and what each worker remembers of it.
 *
 *	engine_make_policy       from a config; a reload's at places that were assigned before
 *	engine_make_states       what it needs of workers, beside those of the policy of before
 *	engine_destroy_policy
 *
 * Control thread.
 */
#ifndef WORKERS_ENGINE_POLICY_H
#define WORKERS_ENGINE_POLICY_H

#include "steering/policy.h"
#include "workers/config.h"
#include "workers/engine_data.h"
#include "workers/plugin.h"

struct engine_policy {
	struct policy policy;
	struct plugins plugins;
	struct engine_data data;
	struct policy_state *states; /* by worker; owned */
	uint32_t state_cnt;
	struct tunnels *
		*tunnels; /* by worker: to be given to it; NULL: it has some, or needs none */
	struct policy_count *bases; /* by counter: what is to be added to what the states say */
	struct xfq_error native;    /* code not 0: it is interpreted, and why */
};

/* Make a policy of the groups of a config, at `places`, NULL: at their numbers. 0 or -errno with a
 * sentence, and then *made is NULL; else the caller owes an engine_destroy_policy(). */
int engine_make_policy(struct engine_policy **made, const struct config *config,
		       const uint32_t *places, uint64_t hash_seed, uint8_t generation,
		       struct xfq_error *error);

/* Have its expressions compiled; where that cannot be they are interpreted, and made->native says
 * why. For what is live: reading a capture file takes longer than either, and starting LLVM does.
 */
void engine_compile_policy(struct engine_policy *made);

/*
 * Make its plug-ins and data and, for each worker, its state and room for what it asks; `before` is
 * the policy that the workers have, NULL: none. Sets begin as `as` says (engine_make_data()). 0 or
 * -errno with a sentence; what was made goes with the policy.
 */
int engine_make_states(struct engine *engine, struct engine_policy *made,
		       const struct config *config, const struct set *const *as,
		       const struct engine_policy *before, struct xfq_error *error);

/* The workers have taken the tunnels that were made for the policy. */
void engine_gave_tunnels(const struct engine *engine, struct engine_policy *policy);

/* No worker uses the policy of before any more: its counters and tables go on in `policy`. */
void engine_carry_on(struct engine_policy *policy, struct engine_policy *before);

/* A counter of the group at a number, by the group's number of it: over all workers. */
struct policy_count engine_sum_count(const struct engine_policy *policy, uint32_t group,
				     uint32_t counter);

/* No worker may use it any more. NULL is allowed. */
void engine_destroy_policy(struct engine_policy *policy);

#endif
