/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_parts.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void engine_stats_interfaces(const struct engine *engine, struct stats *stats)
{
	if (engine->options.read_path)
		return;
	stats->interface_cnt = engine->config->interface_cnt;
	for (uint32_t i = 0; i < stats->interface_cnt; i++) {
		struct stats_interface *to = &stats->interfaces[i];
		const struct interface *from = &engine->interfaces[i];

		memcpy(to->name, from->name, sizeof(to->name));
		memcpy(to->driver, from->driver, sizeof(to->driver));
		to->mode = engine->packet[i] ? "af_packet" : attach_mode_name(engine->modes[i]);
		to->queues = from->queue_cnt;
		to->gone = engine->gone[i];
		for (uint32_t p = 0; p < engine->workers[0].port_cnt; p++)
			if (engine->workers[0].ports[p].interface == i)
				to->zero_copy = engine->workers[0].ports[p].zero_copy;
	}
}

static void engine_stats_worker(const struct engine *engine, uint32_t w, struct stats *stats)
{
	const struct worker *from = &engine->workers[w];
	struct stats_worker *to = &stats->workers[w];
	struct worker_census census;

	to->cpu = from->cpu;
	to->node = from->node;
	to->shared_cpu = engine->plan[w].shared;
	to->received = counter_read(&from->received);
	to->bytes = counter_read(&from->bytes);
	to->sleeps = counter_read(&from->sleeps);
	to->unclaimed = counter_read(&from->fanout.unclaimed);
	to->faulty = counter_read(&from->fanout.faulty);
	to->cache_hits = counter_read(&from->classify.cache.hits);
	to->cache_misses = counter_read(&from->classify.cache.misses);
	for (uint32_t p = 0; p < from->port_cnt; p++) {
		struct port_losses losses;

		port_losses(&from->ports[p], &losses);
		to->rx_dropped += losses.rx_dropped;
		to->rx_ring_full += losses.rx_ring_full;
		to->fill_empty += losses.fill_empty;
		to->cut += losses.cut;
		to->reparsed += counter_read(&from->ports[p].reparsed);
	}
	worker_census_read(from, &census);
	stats->frames.total += from->umem.frames.total;
	stats->frames.free += census.free;
	stats->frames.kernel += census.kernel;
	stats->frames.worker += census.worker;
	stats->frames.held += census.held;
	stats->frames.tx += census.tx;
	stats->huge_pages = from->umem.shm.huge;
}

/* The members of the group at a place that are there, in the order of their numbers. */
static void engine_stats_members(struct engine *engine, uint32_t place, struct stats_group *to)
{
	static const char *const kinds[] = {[MEMBER_JOINING] = "joining",
					    [MEMBER_CALLBACK] = "worker",
					    [MEMBER_THREAD] = "thread",
					    [MEMBER_JOINED] = "joined"};

	for (uint32_t slot = 0; slot < engine->outlet_max; slot++) {
		const struct member *member = &engine->members[slot];
		struct stats_member now = {.kind = kinds[member->kind]};
		uint32_t at = to->member_cnt;

		if (member->kind == MEMBER_FREE || member->group != place)
			continue;
		engine_sum_member(engine, slot, &now);
		if (engine->built_ins[slot])
			now.unwritten = sink_file_unwritten(&engine->built_ins[slot]->file);
		for (; at > 0 && to->members[at - 1].id > now.id; at--)
			to->members[at] = to->members[at - 1];
		to->members[at] = now;
		to->member_cnt++;
	}
}

/* Counters of cases, and the rule table. */
static void engine_stats_policy(const struct engine *engine, uint32_t g, struct stats_group *to)
{
	const struct policy_group *group = &engine->policy->policy.groups[g];
	const struct engine_data *data = &engine->policy->data;

	to->has_table = group->table != GROUP_NONE;
	if (to->has_table)
		to->rule_cnt = table_cnt(data->sides[data->side].tables[group->table]);
	to->counter_cnt = group->counter_cnt;
	for (uint32_t i = 0; i < group->counter_cnt; i++) {
		struct policy_count count = engine_sum_count(engine->policy, g, i);

		to->counters[i] = (struct stats_counter){.name = group->spec->counters[i],
							 .packets = count.packets,
							 .bytes = count.bytes};
	}
}

static void engine_stats_group(struct engine *engine, uint32_t g, struct stats *stats)
{
	const struct config_group *group = &engine->config->groups[g];
	uint32_t place = engine->places[g];
	const struct engine_group *state = &engine->groups[place];
	struct stats_group *to = &stats->groups[g];

	to->name = group->name;
	to->match = group->spec.when.match ? group->spec.when.match : "";
	to->steer = method_name(group->spec.steer.method);
	to->spec = &group->spec;
	to->members_max = group->members_max;
	to->left_cnt = state->left_cnt;
	to->left_sum = &state->left_sum;
	for (uint32_t i = 0; i < STATS_LEFT_MAX && i < state->left_cnt; i++)
		to->left[i] = &state->left[(state->left_cnt - 1 - i) % STATS_LEFT_MAX];
	/* the members first: what they count is of what the group counts */
	engine_stats_members(engine, place, to);
	for (uint32_t w = 0; w < engine->worker_cnt; w++) {
		const struct fanout_group *from = &engine->workers[w].fanout.groups[place];

		to->offered += counter_read(&from->offered);
		to->no_member += counter_read(&from->no_member);
		to->dropped += counter_read(&from->dropped);
		to->packets += counter_read(&from->packets);
		to->bytes += counter_read(&from->bytes);
	}
	engine_stats_policy(engine, g, to);
}

int engine_stats(struct engine *engine, struct stats *stats)
{
	struct timespec now;

	memset(stats, 0, sizeof(*stats));
	stats->workers = calloc(engine->worker_cnt, sizeof(*stats->workers));
	stats->members = calloc(engine->outlet_max, sizeof(*stats->members));
	if (!stats->workers || !stats->members) {
		stats_destroy(stats);
		return -ENOMEM;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (engine->started)
		stats->uptime_ns = (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec -
				   engine->started_ns;
	stats->name = engine->config->name;
	stats->source = engine->options.read_path;
	stats->filter = &engine->config->filter;
	engine_stats_interfaces(engine, stats);
	if (engine->options.read_path) {
		judge_counters(&engine->replay.judge, &stats->xdp);
	} else if (loader_counters(&engine->loader, &stats->xdp)) {
		stats_destroy(stats);
		return -ENOMEM;
	}
	if (engine_stats_tc(engine, stats)) {
		stats_destroy(stats);
		return -ENOMEM;
	}
	stats->worker_cnt = engine->worker_cnt;
	for (uint32_t w = 0; w < engine->worker_cnt; w++)
		engine_stats_worker(engine, w, stats);
	stats->group_cnt = engine->config->group_cnt;
	for (uint32_t g = 0, members = 0; g < stats->group_cnt; g++) {
		stats->groups[g].members = &stats->members[members];
		engine_stats_group(engine, g, stats);
		members += stats->groups[g].member_cnt;
	}
	return 0;
}

void stats_destroy(struct stats *stats)
{
	free(stats->workers);
	free(stats->members);
	memset(stats, 0, sizeof(*stats));
}
