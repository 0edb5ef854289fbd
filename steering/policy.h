/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policy: all groups, what each wants and how it shares it among its members. Immutable once
 * built, and read by every worker.
 */
#ifndef STEERING_POLICY_H
#define STEERING_POLICY_H

#include "steering/expression.h"
#include "steering/method.h"
#include <stdint.h>
#include <xfq/error.h>

#define POLICY_GROUPS_MAX 64

struct policy_group {
	const char *name; /* the caller's */
	struct expression match;
	enum method method;
	uint32_t members;      /* 1 to METHOD_MEMBERS_MAX */
	uint32_t first_member; /* of this group among all members of the policy */
	struct method_buckets buckets;
};

struct policy {
	uint64_t hash_seed;
	uint32_t group_cnt;
	uint32_t member_cnt; /* of all groups */
	struct policy_group groups[POLICY_GROUPS_MAX];
};

/* An empty policy. Its owner calls policy_destroy(). */
void policy_init(struct policy *policy, uint64_t hash_seed);

/*
 * Add a group; `match` is a tcpdump expression or NULL, `name` outlives the policy. 0, -EINVAL with
 * libpcap's message, or -E2BIG beyond POLICY_GROUPS_MAX groups or METHOD_MEMBERS_MAX members.
 */
int policy_add(struct policy *policy, const char *name, const char *match, enum method method,
	       uint32_t members, struct xfq_error *error);

/* Free what it owns; safe on zeroed memory. No worker may use it any more. */
void policy_destroy(struct policy *policy);

#endif
