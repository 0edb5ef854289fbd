/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policy: all groups, what each wants and how it shares it among its members, made of their
 * specs (group_spec.h). Immutable once built, and read by every worker. Who the members are is
 * another matter, and changes: roster.h. What is in sets and tables changes too: struct
 * policy_data.
 *
 *	tests    each condition there is, once: expressions, memberships of sets,
 *	         predicates of plug-ins. Bit i of a test's word: packet i passes it
 *	units    the expressions among them, evaluated together (unit.h): those of
 *	         packets as they came, those of their innermost packets, and `rest`:
 *	         of the first, those that the flow cache cannot answer for packets
 *	         of every shape
 *	groups   in an order in which those that hand copies come first
 *
 * A reload makes another policy. A group that both have keeps its place, where its members and its
 * counters are; groups that only one of them has, have places of their own.
 */
#ifndef STEERING_POLICY_H
#define STEERING_POLICY_H

#include "steering/group_spec.h"
#include "steering/shape.h"
#include "steering/table.h"
#include "steering/unit.h"
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>
#include <xfq/plugin.h>

#define POLICY_GROUPS_MAX  64
#define POLICY_PLACES_MAX  (2 * POLICY_GROUPS_MAX) /* of the groups of two policies */
#define POLICY_TESTS_MAX   UNIT_EXPRESSIONS_MAX
#define POLICY_TABLES_MAX  16
#define POLICY_PLUGINS_MAX 16
#define POLICY_WHEN_MAX    (GROUP_INS_MAX + 2)

/* A plug-in that was loaded; the wiring's. */
struct policy_plugin {
	const struct xfq_plugin *functions;
	void *instance;
};

enum policy_test_kind { POLICY_EXPRESSION = 0, POLICY_SET, POLICY_PLUGIN };

struct policy_test {
	enum policy_test_kind kind;
	bool inner;                   /* of the innermost packet */
	struct expression expression; /* owned */
	uint32_t set;
	uint8_t fields;
	bool keyed; /* of POLICY_SET */
	uint32_t plugin;
};

/* A condition: tests that must pass, or must not. */
struct policy_when {
	uint8_t cnt;
	uint8_t negated; /* a bit for each */
	uint16_t tests[POLICY_WHEN_MAX];
};

struct policy_case {
	struct policy_when when;
	bool has_marked;
	uint32_t marked;
	enum group_sample sample;
	uint32_t sample_of;
	enum group_action action;
	bool has_mark;
	uint32_t mark;
	uint32_t class, counter; /* GROUP_NONE */
	uint32_t tee;            /* number of the group; GROUP_NONE */
	uint32_t point;          /* what it remembers: its place in policy_state.points */
	struct method_spec steer;
};

struct policy_group {
	const char *name; /* the caller's */
	uint32_t place;   /* below POLICY_PLACES_MAX: where its members and counters are */
	bool inner, tee_only;
	struct policy_when when;
	struct method_spec steer; /* nets are the caller's spec's */
	enum policy_overflow overflow;
	uint32_t table;  /* below POLICY_TABLES_MAX; GROUP_NONE */
	uint32_t point;  /* what its method remembers; of a group with a table, and then for packets
			  * of  each class */
	uint32_t counts; /* its counters: the first place in policy_state.counts */
	uint32_t counter_cnt;
	uint32_t class_cnt;
	uint32_t case_cnt;
	struct policy_case *cases; /* owned */
	const struct group_spec *spec;
};

struct policy_unit {
	struct unit unit;
	const struct expression **expressions; /* owned; the tests' */
	uint16_t *tests;                       /* owned: the test of each root */
};

struct policy {
	uint64_t hash_seed;
	uint8_t generation; /* of the packets that it is for, struct xfq_meta; 0: of all */
	uint32_t group_cnt;
	struct policy_group groups[POLICY_GROUPS_MAX];
	uint32_t order[POLICY_GROUPS_MAX]; /* numbers of groups, in which they are asked */
	uint32_t test_cnt;
	struct policy_test *tests; /* owned, POLICY_TESTS_MAX */
	uint32_t table_cnt;
	uint32_t table_groups[POLICY_TABLES_MAX]; /* whose each is */
	uint32_t point_cnt, count_cnt;
	struct policy_unit outer, inner, rest;
	uint32_t inner_reach;      /* how far into innermost packets somebody looks */
	bool asks_inner;           /* some group has `inner` */
	uint8_t tcp_flags;         /* those that are part of a flow's key */
	uint64_t keyed[SHAPE_CNT]; /* tests 0 to 63 that depend on the key alone, by shape */
	uint32_t loose_shapes;     /* a bit for each shape of which some tests of `rest` do not */
	const struct policy_plugin *plugins; /* the caller's, by the config's numbers */
	uint32_t plugin_cnt;
	void *native; /* code of the units; owned */
	void (*free_native)(void *native);
};

/*
 * What a policy asks that changes while it holds: sets by the config's numbers, tables by the
 * policy's. A change makes another one, with another epoch, that the workers take at a burst
 * boundary; what they read is never written.
 */
struct policy_data {
	uint32_t epoch; /* never 0 */
	/* which of the packets `among` have `fields` in a set, by the config's number of it */
	uint64_t (*in_set)(const void *sets, uint32_t set, uint8_t fields,
			   const struct packet *pkts, uint64_t among);
	const void *sets; /* of in_set */
	const struct table *tables[POLICY_TABLES_MAX];
};

struct policy_count {
	uint64_t packets, bytes;
};

/* What a worker remembers of a policy; anyone may read the counts. */
struct policy_state {
	struct method_state *points; /* owned, policy.point_cnt */
	struct policy_count *counts; /* owned, policy.count_cnt */
	void *plugin_states[POLICY_PLUGINS_MAX];
};

/* An empty policy. Its owner calls policy_destroy(). */
void policy_init(struct policy *policy, uint64_t hash_seed);

/*
 * Add a group, whose place is its number unless the caller sets another before policy_build();
 * `name` and `spec` outlive the policy. 0, or -errno with a sentence: -EINVAL with libpcap's
 * message, -E2BIG beyond POLICY_GROUPS_MAX groups or POLICY_TESTS_MAX conditions.
 */
int policy_add_group(struct policy *policy, const char *name, const struct group_spec *spec,
		     struct xfq_error *error);

/* Make it ready: the units, what depends on keys alone, the order. 0, or -errno with a sentence:
 * -ELOOP where groups hand each other copies in a ring. Set-up only. */
int policy_build(struct policy *policy, struct xfq_error *error);

/* Free what it owns; safe on zeroed memory. No worker may use it any more. */
void policy_destroy(struct policy *policy);

/*
 * What a worker is to remember of a policy: new, but groups and cases that `before` has as well
 * (NULL: none) share with it which member has which flow (METHOD_STICKY), and their counters begin
 * where those stand. `before` may be a worker's by then. The states of plug-ins are the wiring's to
 * put in. 0 or -ENOMEM; policy_state_destroy() takes zeroed memory.
 */
int policy_state_create(struct policy_state *state, const struct policy *policy,
			const struct policy_state *before, const struct policy *before_policy);
void policy_state_destroy(struct policy_state *state, const struct policy *policy);

#endif
