/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/counter.h"
#include "steering/policy.h"
#include "steering/sticky.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a method remembers begins, or goes on where the same method did: of that whose flows are
 * where. Whose turn it is, a worker is writing. */
static int state_begin_point(struct method_state *to, const struct method_spec *spec,
			     const struct method_state *from, const struct method_spec *before)
{
	memset(to, 0, sizeof(*to));
	if (from && method_spec_same(spec, before)) {
		to->sticky = from->sticky;
		if (to->sticky)
			sticky_hold(to->sticky);
		return 0;
	}
	if (spec->method != METHOD_STICKY)
		return 0;
	to->sticky = sticky_create(spec->flows, spec->idle_s);
	return to->sticky ? 0 : -ENOMEM;
}

/* The group of the policy before that is at the same place. */
static const struct policy_group *state_group_before(const struct policy *before,
						     const struct policy_group *group)
{
	for (uint32_t i = 0; before && i < before->group_cnt; i++)
		if (before->groups[i].place == group->place)
			return &before->groups[i];
	return NULL;
}

/* The case of before that says the same, of several the one in the same place among them. */
static const struct policy_case *state_case_before(const struct policy_group *before,
						   const struct policy_group *group, uint32_t i)
{
	const struct group_case *wanted = &group->spec->cases[i];
	uint32_t skip = 0;

	for (uint32_t j = 0; j < i; j++)
		skip += group_case_same(&group->spec->cases[j], wanted);
	for (uint32_t j = 0; before && j < before->case_cnt; j++)
		if (group_case_same(&before->spec->cases[j], wanted) && skip-- == 0)
			return &before->cases[j];
	return NULL;
}

static void state_carry_counts(struct policy_state *state, const struct policy_group *group,
			       const struct policy_state *from, const struct policy_group *before)
{
	for (uint32_t i = 0; before && i < group->counter_cnt; i++) {
		uint32_t j = group_spec_find_counter(before->spec, group->spec->counters[i]);
		const struct policy_count *count;

		if (j == GROUP_NONE)
			continue;
		count = &from->counts[before->counts + j];
		state->counts[group->counts + i].packets = counter_read(&count->packets);
		state->counts[group->counts + i].bytes = counter_read(&count->bytes);
	}
}

/* The number that a class had in the policy before, for whose packets its table had a point. */
static uint32_t state_class_before(const struct policy_group *before,
				   const struct policy_group *group, uint32_t class)
{
	if (!before || before->table == GROUP_NONE)
		return GROUP_NONE;
	return group_spec_find_class(before->spec, group->spec->classes[class]);
}

static int state_begin_group(struct policy_state *state, const struct policy_group *group,
			     const struct policy_state *from, const struct policy_group *before)
{
	int code = state_begin_point(&state->points[group->point], &group->steer,
				     before ? &from->points[before->point] : NULL,
				     before ? &before->steer : NULL);

	for (uint32_t c = 0; c < group->class_cnt && group->table != GROUP_NONE && code == 0; c++) {
		uint32_t old = state_class_before(before, group, c);

		code = state_begin_point(&state->points[group->point + 1 + c], &group->steer,
					 old != GROUP_NONE ? &from->points[before->point + 1 + old]
							   : NULL,
					 old != GROUP_NONE ? &before->steer : NULL);
	}
	for (uint32_t i = 0; i < group->case_cnt && code == 0; i++) {
		const struct policy_case *old = state_case_before(before, group, i);

		code = state_begin_point(
			&state->points[group->cases[i].point], &group->cases[i].steer,
			old ? &from->points[old->point] : NULL, old ? &old->steer : NULL);
	}
	state_carry_counts(state, group, from, before);
	return code;
}

int policy_state_create(struct policy_state *state, const struct policy *policy,
			const struct policy_state *before, const struct policy *before_policy)
{
	int code = 0;

	memset(state, 0, sizeof(*state));
	state->points = calloc(policy->point_cnt + 1, sizeof(*state->points));
	state->counts = calloc(policy->count_cnt + 1, sizeof(*state->counts));
	if (!state->points || !state->counts)
		code = -ENOMEM;
	for (uint32_t i = 0; i < policy->group_cnt && code == 0; i++)
		code = state_begin_group(state, &policy->groups[i], before,
					 state_group_before(before_policy, &policy->groups[i]));
	if (code)
		policy_state_destroy(state, policy);
	return code;
}

void policy_state_destroy(struct policy_state *state, const struct policy *policy)
{
	for (uint32_t i = 0; state->points && i < policy->point_cnt; i++)
		sticky_release(state->points[i].sticky);
	free(state->points);
	free(state->counts);
	memset(state, 0, sizeof(*state));
}
