/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_parts.h"
#include <errno.h>
#include <string.h>

static int reload_refuse(const char *key, struct xfq_error *error)
{
	return xfq_error_set(error, -EOPNOTSUPP,
			     "%s: cannot change while the instance runs: end it, and start it with "
			     "the new config",
			     key);
}

static int reload_check_interfaces(const struct config *now, const struct config *next,
				   struct xfq_error *error)
{
	if (now->interface_cnt != next->interface_cnt)
		return reload_refuse("interfaces", error);
	for (uint32_t i = 0; i < now->interface_cnt; i++) {
		const struct config_interface *a = &now->interfaces[i], *b = &next->interfaces[i];

		if (strcmp(a->name, b->name) != 0)
			return reload_refuse("interfaces", error);
		if (a->mode != b->mode)
			return reload_refuse("interfaces.mode", error);
		if (a->attach != b->attach)
			return reload_refuse("interfaces.attach", error);
		if (a->priority != b->priority)
			return reload_refuse("interfaces.priority", error);
		if (a->promiscuous != b->promiscuous)
			return reload_refuse("interfaces.promiscuous", error);
	}
	return 0;
}

static int reload_check_workers(const struct config_workers *now, const struct config_workers *next,
				struct xfq_error *error)
{
	if (now->cpu_cnt != next->cpu_cnt ||
	    (now->cpu_cnt > 0 &&
	     memcmp(now->cpus, next->cpus, now->cpu_cnt * sizeof(*now->cpus)) != 0))
		return reload_refuse("workers.cpus", error);
	if (now->idle != next->idle)
		return reload_refuse("workers.idle", error);
	if (now->frames != next->frames)
		return reload_refuse("workers.frames", error);
	if (now->frame_size != next->frame_size)
		return reload_refuse("workers.frame_size", error);
	if (now->flow_cache != next->flow_cache)
		return reload_refuse("workers.flow_cache", error);
	return 0;
}

int engine_reload_check(const struct engine *engine, const struct config *next,
			struct xfq_error *error)
{
	const struct config *now = engine->config;
	int code;

	if (engine->stopped)
		return xfq_error_set(error, -ESHUTDOWN, "instance %s has ended", now->name);
	if (strcmp(now->name, next->name) != 0)
		return reload_refuse("name", error);
	/* the file is read by a thread that may not load programs, and its table is made once */
	if (engine->options.read_xdp)
		return reload_refuse("--xdp", error);
	if (engine->options.read_path && now->filter.shunt_flows != next->filter.shunt_flows)
		return reload_refuse("filter.shunt", error);
	/* of a capture file's packets, no interface is asked */
	code = engine->options.read_path ? 0 : reload_check_interfaces(now, next, error);
	if (code == 0)
		code = reload_check_workers(&now->workers, &next->workers, error);
	return code;
}
