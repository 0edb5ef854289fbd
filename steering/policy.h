/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policy: all groups, what each wants and how it shares it among its members. Immutable once
 * built, and read by every worker. Who the members are is another matter, and changes: roster.h.
 *
 * A reload makes another policy. A group that both have keeps its place, where its members and its
 * counters are; groups that only one of them has, have places of their own.
 */
#ifndef STEERING_POLICY_H
#define STEERING_POLICY_H

#include "steering/expression.h"
#include "steering/method.h"
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

#define POLICY_GROUPS_MAX 64
#define POLICY_PLACES_MAX (2 * POLICY_GROUPS_MAX) /* of the groups of two policies */

/* What becomes of a packet whose member has no room for it. */
enum policy_overflow {
	POLICY_DROP = 0, /* it is lost for that member: flows stay where they are */
	POLICY_SPILL     /* another member of the group gets it; lost where none has room */
};

struct policy_group {
	const char *name; /* the caller's */
	uint32_t place;   /* below POLICY_PLACES_MAX: where its members and counters are */
	struct expression match;
	enum method method;
	enum policy_overflow overflow;
};

struct policy {
	uint64_t hash_seed;
	uint8_t generation; /* of the packets that it is for, struct xfq_meta; 0: of all */
	uint32_t group_cnt;
	struct policy_group groups[POLICY_GROUPS_MAX];
};

/* An empty policy. Its owner calls policy_destroy(). */
void policy_init(struct policy *policy, uint64_t hash_seed);

/*
 * Add a group, whose place is its number unless the caller sets another; `match` is a tcpdump
 * expression or NULL, `name` outlives the policy. 0, -EINVAL with libpcap's message, or -E2BIG
 * beyond POLICY_GROUPS_MAX groups.
 */
int policy_add(struct policy *policy, const char *name, const char *match, enum method method,
	       enum policy_overflow overflow, struct xfq_error *error);

/* Free what it owns; safe on zeroed memory. No worker may use it any more. */
void policy_destroy(struct policy *policy);

#endif
