/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/policy.h"
#include <errno.h>
#include <string.h>

void policy_init(struct policy *policy, uint64_t hash_seed)
{
	memset(policy, 0, sizeof(*policy));
	policy->hash_seed = hash_seed;
}

int policy_add(struct policy *policy, const char *name, const char *match, enum method method,
	       uint32_t members, struct xfq_error *error)
{
	struct policy_group *group = &policy->groups[policy->group_cnt];
	int code;

	if (policy->group_cnt == POLICY_GROUPS_MAX)
		return xfq_error_set(error, -E2BIG, "group %s: at most %d groups", name,
				     POLICY_GROUPS_MAX);
	if (members == 0 || members > METHOD_MEMBERS_MAX)
		return xfq_error_set(error, -E2BIG, "group %s: 1 to %d members, not %u", name,
				     METHOD_MEMBERS_MAX, members);
	code = expression_compile(&group->match, match, error);
	if (code)
		return code;
	group->name = name;
	group->method = method;
	group->members = members;
	group->first_member = policy->member_cnt;
	method_share(&group->buckets, members);
	policy->member_cnt += members;
	policy->group_cnt++;
	return 0;
}

void policy_destroy(struct policy *policy)
{
	for (uint32_t i = 0; i < policy->group_cnt; i++)
		expression_destroy(&policy->groups[i].match);
	memset(policy, 0, sizeof(*policy));
}
