/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a policy asks that changes while it holds (policy.h: struct policy_data): copies of the sets
 * that groups ask, and the groups' rule tables. There are two sides; the workers read one of them:
 *
 *	engine_begin_change    the side that nobody reads is made equal to the other,
 *	                       and to be changed
 *	engine_publish_data    all workers take it at a burst boundary; nobody reads
 *	                       the other now
 *	                       and the same change is made there, or it is said to be stale
 *
 * So each packet is judged by all of a change or by nothing of it, nothing is locked, and a change
 * of one member or rule costs that and no copy of the rest.
 *
 * Control thread.
 */
#ifndef WORKERS_ENGINE_DATA_H
#define WORKERS_ENGINE_DATA_H

#include "steering/policy.h"
#include "workers/config.h"
#include "workers/set_lookup.h"

struct engine;

/* A set of the config, if a group asks it. */
struct engine_data_set {
	bool used;
	bool stale; /* to be copied anew from the other side before it is used */
	struct set_lookup lookup;
};

struct engine_side {
	struct policy_data data;
	struct engine_data_set *sets;            /* by the config's numbers; owned */
	struct table *tables[POLICY_TABLES_MAX]; /* by the policy's numbers; NULL: stale */
};

struct engine_data {
	struct engine_side sides[2];
	uint32_t side; /* that the workers read */
	uint32_t set_cnt;
	uint32_t table_cnt;
	uint64_t sources[POLICY_TABLES_MAX]; /* what the config says of each table */
	bool changed[POLICY_TABLES_MAX];     /* since it was made of the config's rules */
	bool replaces[POLICY_TABLES_MAX];    /* one of before that had been changed */
	bool borrowed[POLICY_TABLES_MAX];    /* from the data of before; see engine_keep_tables() */
	uint32_t lenders[POLICY_TABLES_MAX]; /* number there */
};

/*
 * Data for a policy of `config`, at `epoch` and the one after. Sets are as in `config`, but for
 * those where `as[i]` is not NULL: these begin as that set. Tables are made of the config's rules,
 * but for those of groups at places where `before` has one of which its config said the same: these
 * go on, with the changes that were made to them since, and are shared until engine_keep_tables()
 * or engine_free_data(). 0, or -ENOMEM with a sentence, and nothing is left.
 */
int engine_make_data(struct engine_data *data, const struct policy *policy,
		     const struct config *config, const struct set *const *as,
		     const struct engine_data *before, const struct policy *before_policy,
		     uint32_t epoch, struct xfq_error *error);

/* The tables that `data` shares with `before` are its own now. */
void engine_keep_tables(struct engine_data *data, struct engine_data *before);

/* Safe on zeroed memory. */
void engine_free_data(struct engine_data *data);

/* What the workers read. */
static inline const struct policy_data *engine_data_now(const struct engine_data *data)
{
	return &data->sides[data->side].data;
}

/* The side that nobody reads, equal to the other; NULL with a sentence: no memory. */
struct engine_side *engine_begin_change(struct engine *engine, struct xfq_error *error);

/* Have all workers read that side. Returns the other one, which nobody reads now. */
struct engine_side *engine_publish_data(struct engine *engine);

/* Whether a group or a case asks a set. */
bool engine_asks_set(const struct engine *engine, uint32_t set);

#endif
