/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *engine_mode_name(enum loader_mode mode)
{
	switch (mode) {
	case LOADER_MODE_NATIVE:
		return "native";
	case LOADER_MODE_GENERIC:
		return "generic";
	case LOADER_MODE_NONE:
		break;
	}
	return "none";
}

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
		to->mode = engine_mode_name(engine->modes[i]);
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
	for (uint32_t p = 0; p < from->port_cnt; p++) {
		struct port_losses losses;

		port_losses(&from->ports[p], &losses);
		to->rx_dropped += losses.rx_dropped;
		to->rx_ring_full += losses.rx_ring_full;
		to->fill_empty += losses.fill_empty;
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

static void engine_stats_member(struct engine *engine, uint32_t m, bool in_worker,
				struct stats_member *to)
{
	for (uint32_t w = 0; w < engine->worker_cnt; w++) {
		const struct outlet *outlet = &engine->workers[w].fanout.outlets[m];

		to->packets += counter_read(&outlet->packets);
		to->bytes += counter_read(&outlet->bytes);
		to->lost_ring += counter_read(&outlet->lost_ring);
		to->lost_quota += counter_read(&outlet->lost_quota);
		to->lost_detached += counter_read(&outlet->lost_detached);
	}
	to->consumed = in_worker ? to->packets : counter_read(&engine->members[m].sink.packets);
	to->unwritten = sink_file_unwritten(&engine->files[m]);
	/* consumed is read later than packets, and may be ahead of it */
	to->queued = to->packets > to->consumed ? to->packets - to->consumed : 0;
}

static void engine_stats_group(struct engine *engine, uint32_t g, struct stats *stats)
{
	const struct config_group *group = &engine->config->groups[g];
	const struct policy_group *policy = &engine->policy.groups[g];
	struct stats_group *to = &stats->groups[g];

	to->name = group->name;
	to->match = group->match ? group->match : "";
	to->steer = method_name(group->steer);
	to->broadcast = group->steer == METHOD_BROADCAST;
	to->member_cnt = group->members;
	to->members = &stats->members[policy->first_member];
	for (uint32_t w = 0; w < engine->worker_cnt; w++) {
		to->packets += counter_read(&engine->workers[w].fanout.groups[g].packets);
		to->bytes += counter_read(&engine->workers[w].fanout.groups[g].bytes);
	}
	for (uint32_t i = 0; i < group->members; i++)
		engine_stats_member(engine, policy->first_member + i,
				    group->run == CONFIG_RUN_WORKER, &to->members[i]);
}

int engine_stats(struct engine *engine, struct stats *stats)
{
	struct timespec now;

	memset(stats, 0, sizeof(*stats));
	stats->workers = calloc(engine->worker_cnt, sizeof(*stats->workers));
	stats->members = calloc(engine->policy.member_cnt + 1, sizeof(*stats->members));
	if (!stats->workers || !stats->members) {
		stats_destroy(stats);
		return -ENOMEM;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	stats->uptime_ns =
		(uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec - engine->started_ns;
	stats->name = engine->config->name;
	stats->source = engine->options.read_path;
	stats->filter = &engine->config->filter;
	engine_stats_interfaces(engine, stats);
	if (engine->options.read_path) {
		first_pass_counters(&engine->replay.pass, &stats->xdp);
	} else if (loader_counters(&engine->loader, &stats->xdp)) {
		stats_destroy(stats);
		return -ENOMEM;
	}
	stats->worker_cnt = engine->worker_cnt;
	for (uint32_t w = 0; w < engine->worker_cnt; w++)
		engine_stats_worker(engine, w, stats);
	stats->group_cnt = engine->config->group_cnt;
	for (uint32_t g = 0; g < stats->group_cnt; g++)
		engine_stats_group(engine, g, stats);
	return 0;
}

void stats_destroy(struct stats *stats)
{
	free(stats->workers);
	free(stats->members);
	memset(stats, 0, sizeof(*stats));
}
