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
	       enum policy_overflow overflow, struct xfq_error *error)
{
	struct policy_group *group = &policy->groups[policy->group_cnt];
	int code;

	if (policy->group_cnt == POLICY_GROUPS_MAX)
		return xfq_error_set(error, -E2BIG, "group %s: at most %d groups", name,
				     POLICY_GROUPS_MAX);
	code = expression_compile(&group->match, match, error);
	if (code)
		return code;
	group->name = name;
	group->place = policy->group_cnt;
	group->method = method;
	group->overflow = overflow;
	policy->group_cnt++;
	return 0;
}

void policy_destroy(struct policy *policy)
{
	for (uint32_t i = 0; i < policy->group_cnt; i++)
		expression_destroy(&policy->groups[i].match);
	memset(policy, 0, sizeof(*policy));
}
