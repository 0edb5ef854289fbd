/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Classification: which tests of a policy each packet of a burst passes, and what its rule tables
 * say. First the flow cache, for what depends on a flow's key alone; then the units for the rest.
 * Sets, plug-ins and tables are asked only when somebody wants to know, and of those packets alone.
 *
 * The cache is asked where it can spare the looking up in sets or tables. Of expressions alone it
 * would know as much, but to evaluate them for a burst costs less than to find a flow in a table
 * (bench_tier; docs/decisions/flow-cache.md).
 *
 *	classify_burst(classify, ...)
 *	  classify_when(classify, when, among)	any number of times
 *	  classify_table(classify, table, among)
 *	classify_end(classify)			what was found out goes into the cache
 *
 * Thread: the worker's; the counters may be read by anyone.
 */
#ifndef STEERING_CLASSIFY_H
#define STEERING_CLASSIFY_H

#include "steering/cache.h"
#include "steering/policy.h"
#include "steering/tunnel.h"

struct classify {
	struct cache cache;
	struct tunnels *tunnels; /* owned; NULL: until somebody asks for inner packets */
	uint32_t worker;
	bool always; /* the cache is asked of every policy: for tests and benches */

	/* of the burst */
	const struct policy *policy;
	const struct policy_data *data;
	const struct policy_state *state;
	const struct packet *pkts;
	const struct packet *inner; /* the innermost packets; pkts where none was asked for */
	uint32_t cnt;
	uint64_t all;    /* a bit for each packet */
	uint64_t cached; /* those that the cache has answered */
	uint64_t missed; /* those that are to be put there */
	uint64_t loose;  /* those of which it has not all */
	struct shape_key keys[PACKET_BURST];
	const struct cache_entry *entries[PACKET_BURST];
	uint64_t words[PACKET_BURST];              /* cached: answer.hits of each */
	struct cache_answer answers[PACKET_BURST]; /* missed */
	uint64_t hits[POLICY_TESTS_MAX];           /* by test: who passes */
	uint64_t asked[POLICY_TESTS_MAX];          /* by test: of whom that is known */
	uint16_t outcomes[POLICY_TABLES_MAX][PACKET_BURST];
	uint64_t table_asked[POLICY_TABLES_MAX];
	struct packet inners[PACKET_BURST];

	/* what the cache holds answers of */
	const struct policy *cache_policy;
	uint32_t cache_epoch;  /* of the data */
	uint64_t keyed_sets;   /* tests 0 to 63: sets that depend on the key alone, of any shape */
	uint32_t keyed_tables; /* a bit for each table that does */
	bool worth_asking;
};

/* `flows` for the cache, 0: none. 0 or -ENOMEM. classify_destroy() takes zeroed memory. */
int classify_init(struct classify *classify, uint32_t worker, uint32_t flows);
void classify_destroy(struct classify *classify);

/* Room for what a policy asks, before it is used: inner packets. 0 or -ENOMEM. The control thread,
 * while the worker does not classify, or by a change that it takes. */
int classify_prepare(struct classify *classify, const struct policy *policy);

void classify_burst(struct classify *classify, const struct policy *policy,
		    const struct policy_data *data, const struct policy_state *state,
		    const struct packet *pkts, uint32_t cnt);

/* Which of the packets `among` a condition holds of. */
uint64_t classify_when(struct classify *classify, const struct policy_when *when, uint64_t among);

/* Look packets up in a table: classify->outcomes[table][i] of each packet i of `among`. */
void classify_table(struct classify *classify, uint32_t table, bool inner, uint64_t among);

/* What tables are asked of a packet whose metadata was checked. */
void classify_table_key(const struct packet *pkt, struct table_key *key);

void classify_end(struct classify *classify);

#endif
