/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_policy.h"
#include "workers/engine_parts.h"
#include "workers/native_load.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int engine_make_policy(struct engine_policy **made, const struct config *config,
		       const uint32_t *places, uint64_t hash_seed, uint8_t generation,
		       struct xfq_error *error)
{
	struct engine_policy *self = calloc(1, sizeof(*self));
	struct policy *policy;
	int code = 0;

	*made = NULL;
	if (!self)
		return xfq_error_set(error, -ENOMEM, "no memory for the groups");
	policy = &self->policy;
	policy_init(policy, hash_seed);
	policy->generation = generation;
	policy->plugins = self->plugins.seen;
	policy->plugin_cnt = config->plugin_cnt;
	for (uint32_t i = 0; i < config->group_cnt && code == 0; i++) {
		code = policy_add_group(policy, config->groups[i].name, &config->groups[i].spec,
					error);
		if (code == 0 && places)
			policy->groups[i].place = places[i];
	}
	if (code == 0)
		code = policy_build(policy, error);
	if (code) {
		engine_destroy_policy(self);
		return code;
	}
	*made = self;
	return 0;
}

void engine_compile_policy(struct engine_policy *made)
{
	(void)native_load_compile(&made->policy, &made->native);
}

/* What the states say of a counter, or what takes that away. */
static struct policy_count policy_sum(const struct engine_policy *policy, uint32_t i, bool less)
{
	struct policy_count sum = {0};

	for (uint32_t w = 0; w < policy->state_cnt; w++) {
		sum.packets += counter_read(&policy->states[w].counts[i].packets);
		sum.bytes += counter_read(&policy->states[w].counts[i].bytes);
	}
	if (less) {
		sum.packets = -sum.packets;
		sum.bytes = -sum.bytes;
	}
	return sum;
}

/* Room for inner packets, of workers that need some and have none. */
static int policy_make_tunnels(const struct engine *engine, struct engine_policy *made,
			       struct xfq_error *error)
{
	for (uint32_t w = 0; w < engine->worker_cnt && made->policy.asks_inner; w++) {
		if (engine->workers[w].classify.tunnels)
			continue;
		made->tunnels[w] = tunnels_create(UINT32_MAX);
		if (!made->tunnels[w])
			return xfq_error_set(error, -ENOMEM, "no memory for inner packets");
	}
	return 0;
}

int engine_make_states(struct engine *engine, struct engine_policy *made,
		       const struct config *config, const struct set *const *as,
		       const struct engine_policy *before, struct xfq_error *error)
{
	uint32_t workers = engine->worker_cnt;
	int code = plugins_load(&made->plugins, config, before ? &before->plugins : NULL, workers,
				error);

	if (code == 0)
		code = plugins_check(&made->plugins, config, error);
	if (code == 0)
		code = engine_make_data(
			&made->data, &made->policy, config, as, before ? &before->data : NULL,
			before ? &before->policy : NULL, engine_next_epoch(engine), error);
	if (code)
		return code;
	made->states = calloc(workers, sizeof(*made->states));
	made->tunnels = calloc(workers, sizeof(*made->tunnels));
	made->bases = calloc(made->policy.count_cnt + 1, sizeof(*made->bases));
	if (!made->states || !made->tunnels || !made->bases)
		return xfq_error_set(error, -ENOMEM, "no memory for the groups");
	for (uint32_t w = 0; w < workers; w++) {
		struct policy_state *state = &made->states[w];

		if (policy_state_create(state, &made->policy, before ? &before->states[w] : NULL,
					before ? &before->policy : NULL))
			return xfq_error_set(error, -ENOMEM,
					     "no memory for what the groups remember");
		made->state_cnt = w + 1;
		plugins_states(&made->plugins, w, state->plugin_states);
	}
	/* counting has not stopped where the counters were read */
	for (uint32_t i = 0; i < made->policy.count_cnt; i++)
		made->bases[i] = policy_sum(made, i, true);
	return policy_make_tunnels(engine, made, error);
}

void engine_gave_tunnels(const struct engine *engine, struct engine_policy *policy)
{
	for (uint32_t w = 0; w < policy->state_cnt; w++)
		if (policy->tunnels[w] == engine->workers[w].classify.tunnels)
			policy->tunnels[w] = NULL;
}

void engine_carry_on(struct engine_policy *policy, struct engine_policy *before)
{
	for (uint32_t g = 0; g < policy->policy.group_cnt; g++) {
		const struct policy_group *group = &policy->policy.groups[g];
		uint32_t was = 0;

		while (was < before->policy.group_cnt &&
		       before->policy.groups[was].place != group->place)
			was++;
		for (uint32_t i = 0; was < before->policy.group_cnt && i < group->counter_cnt;
		     i++) {
			uint32_t j = group_spec_find_counter(before->policy.groups[was].spec,
							     group->spec->counters[i]);
			struct policy_count last;

			if (j == GROUP_NONE)
				continue;
			last = engine_sum_count(before, was, j);
			policy->bases[group->counts + i].packets += last.packets;
			policy->bases[group->counts + i].bytes += last.bytes;
		}
	}
	engine_keep_tables(&policy->data, &before->data);
}

struct policy_count engine_sum_count(const struct engine_policy *policy, uint32_t group,
				     uint32_t counter)
{
	uint32_t i = policy->policy.groups[group].counts + counter;
	struct policy_count sum = policy_sum(policy, i, false);

	sum.packets += policy->bases[i].packets;
	sum.bytes += policy->bases[i].bytes;
	return sum;
}

void engine_destroy_policy(struct engine_policy *policy)
{
	if (!policy)
		return;
	for (uint32_t w = 0; w < policy->state_cnt; w++)
		policy_state_destroy(&policy->states[w], &policy->policy);
	for (uint32_t w = 0; policy->tunnels && w < policy->state_cnt; w++)
		tunnels_destroy(policy->tunnels[w]);
	free(policy->tunnels);
	free(policy->bases);
	free(policy->states);
	engine_free_data(&policy->data);
	policy_destroy(&policy->policy);
	plugins_free(&policy->plugins);
	free(policy);
}
