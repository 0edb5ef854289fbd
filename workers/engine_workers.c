/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_parts.h"
#include "workers/topology.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Frames in a worker's hands at most: a burst that was received, and one to be refilled. */
#define ENGINE_WORKER_FRAMES (2 * PACKET_BURST)

/* Unless the config says otherwise, packet memory of a worker ends here, and members with large
 * rings get quotas. */
#define ENGINE_UMEM_BYTES_MAX (256ULL << 20)

/* Places beyond those that the config's members need, for those of the configs that are reloaded,
 * and for the members of two configs while one takes the place of the other. */
#define ENGINE_SPARE_PLACES 256

/* Frames that rings never get: what the kernel of every port, and the worker itself, may hold. */
static uint32_t engine_reserve(const struct engine *engine)
{
	uint32_t ports = engine->options.read_path ? 0 : engine->config->interface_cnt;

	return ports * PORT_RING_SLOTS + ENGINE_WORKER_FRAMES;
}

/* Members of a group that have or may have rings. */
static uint32_t engine_group_rings(const struct engine *engine, const struct config_group *group)
{
	return (engine_in_worker(group) ? 0 : config_group_built_in(group)) +
	       (engine->options.join ? group->members_max : 0);
}

struct engine_demand engine_demand(const struct engine *engine, const struct config *config)
{
	struct engine_demand demand = {0};

	for (uint32_t i = 0; i < config->group_cnt; i++) {
		uint32_t place = engine_find_group(engine, config->groups[i].name);
		uint32_t rings = engine_group_rings(engine, &config->groups[i]);

		/* more may be there than would be let in now */
		if (place != ENGINE_NO_GROUP &&
		    engine->groups[place].joined_cnt > config->groups[i].members_max)
			rings += engine->groups[place].joined_cnt - config->groups[i].members_max;
		demand.rings += rings;
		demand.slots += (uint64_t)rings * config->groups[i].ring_slots;
	}
	return demand;
}

uint32_t engine_quota(const struct engine *engine, const struct config_group *group)
{
	uint64_t frames = engine->workers[0].umem.frames.total - engine_reserve(engine);

	return engine_share(group->ring_slots, engine->demand.slots, engine->demand.rings, frames);
}

/* Frames that there must be: two slots of every ring can be filled, whatever its quota. */
static uint64_t engine_least(const struct engine *engine, const struct engine_demand *demand)
{
	return (uint64_t)engine_reserve(engine) + 2 * (uint64_t)demand->rings;
}

int engine_check_demand(const struct engine *engine, const struct engine_demand *demand,
			struct xfq_error *error)
{
	uint64_t least = engine_least(engine, demand);

	if (least <= engine->workers[0].umem.frames.total)
		return 0;
	return xfq_error_set(error, -ENOSPC,
			     "groups: %u members with rings need at least %llu frames, and there "
			     "are %u, which takes a restart to change: fewer members, or lower "
			     "max_members",
			     demand->rings, (unsigned long long)least,
			     engine->workers[0].umem.frames.total);
}

static int engine_frame_cnt(const struct engine *engine, uint32_t frame_size, uint32_t *frames,
			    struct xfq_error *error)
{
	const struct config *config = engine->config;
	uint64_t least = engine_least(engine, &engine->demand);
	uint64_t wanted = config->workers.frames;

	if (wanted == 0) {
		wanted = engine_reserve(engine) + engine->demand.slots;
		if (wanted > ENGINE_UMEM_BYTES_MAX / frame_size)
			wanted = ENGINE_UMEM_BYTES_MAX / frame_size;
		if (wanted < least)
			wanted = least;
	} else if (engine->options.read_path && wanted < least) {
		wanted = least;
	}
	if (wanted < least)
		return xfq_error_set(error, -EINVAL,
				     "workers.frames: %llu is too few; the receive queues and %u "
				     "members with rings need at least %llu",
				     (unsigned long long)wanted, engine->demand.rings,
				     (unsigned long long)least);
	*frames = (uint32_t)wanted;
	return 0;
}

/* Ask for the packet memory to lie on the worker's node; where it cannot, it lies elsewhere. */
static void engine_bind_memory(const struct worker *worker)
{
	hwloc_topology_t topology;
	hwloc_nodeset_t nodes;

	if (worker->node < 0 || topology_open(&topology, NULL))
		return;
	nodes = hwloc_bitmap_alloc();
	if (nodes && hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE) > 1) {
		hwloc_bitmap_only(nodes, (unsigned)worker->node);
		hwloc_set_area_membind(topology, worker->umem.base, worker->umem.shm.len, nodes,
				       HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_BYNODESET);
	}
	hwloc_bitmap_free(nodes);
	topology_close(topology);
}

static int engine_make_fanout(struct engine *engine, struct worker *worker, struct xfq_error *error)
{
	struct fanout *fanout = &worker->fanout;
	size_t room = engine->outlet_max;

	if (classify_init(&worker->classify, worker->id, engine->config->workers.flow_cache))
		return xfq_error_set(error, -ENOMEM, "no memory for a flow cache of %u flows",
				     engine->config->workers.flow_cache);
	fanout->classify = &worker->classify;
	fanout->policy = &engine->policy->policy;
	fanout->frames = &worker->umem.frames;
	fanout->umem = worker->umem.base;
	fanout->outlets = aligned_alloc(64, (room * sizeof(*fanout->outlets) + 63) / 64 * 64);
	fanout->outlet_max = engine->outlet_max;
	fanout->touched = calloc(2 * room, sizeof(*fanout->touched));
	fanout->rings = calloc(room, sizeof(*fanout->rings));
	if (!fanout->outlets || !fanout->touched || !fanout->rings ||
	    waker_create(&worker->waker, engine->outlet_max))
		return xfq_error_set(error, -ENOMEM, "no memory for %zu members", room);
	memset(fanout->outlets, 0, room * sizeof(*fanout->outlets));
	return 0;
}

static int engine_make_worker(struct engine *engine, uint32_t id, uint32_t frames,
			      uint32_t frame_size, struct xfq_error *error)
{
	struct worker *worker = &engine->workers[id];
	int code;

	worker->id = id;
	worker->cpu = engine->plan[id].cpu;
	worker->node = engine->plan[id].node;
	worker->idle = engine->config->workers.idle;
	worker->hash_seed = engine->policy->policy.hash_seed;
	worker->bare = engine->options.bare_threads;
	worker->notice_fd = engine->notice_fd;
	worker->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	worker->changed_fd = eventfd(0, EFD_CLOEXEC);
	if (worker->event_fd < 0 || worker->changed_fd < 0)
		return xfq_error_set(error, -errno, "eventfd: %s", strerror(errno));
	code = umem_create(&worker->umem, id, frames, frame_size, !engine->options.read_path,
			   error);
	if (code)
		return code;
	engine_bind_memory(worker);
	if (engine->options.read_path) {
		worker->replay = &engine->replay;
		/* the wiring's word to the worker ends its waiting too */
		if (engine->replay.capture.pipe)
			engine->replay.capture.pipe->stop_fds[CAPTURE_STOPS - 1] = worker->event_fd;
	} else
		worker->ports = calloc(engine->config->interface_cnt, sizeof(*worker->ports));
	if (!worker->ports && !worker->replay)
		return xfq_error_set(error, -ENOMEM, "no memory for the ports");
	worker_census_write(worker);
	return engine_make_fanout(engine, worker, error);
}

/* All that there may be at once; at least one, so that no table is empty. */
uint32_t engine_places(const struct engine *engine, const struct config *config)
{
	uint32_t places = 1;

	for (uint32_t i = 0; i < config->group_cnt; i++) {
		const struct config_group *group = &config->groups[i];

		places += config_group_built_in(group) + ENGINE_CALLBACKS_MAX +
			  (engine->options.join ? group->members_max : 0);
	}
	return places;
}

/* Give the workers what they read of the policy; none runs yet. */
static int engine_begin_policy(struct engine *engine, struct xfq_error *error)
{
	struct engine_policy *policy = engine->policy;
	int code = engine_make_states(engine, policy, engine->config, NULL, NULL, error);

	for (uint32_t w = 0; w < engine->worker_cnt && code == 0; w++) {
		struct worker *worker = &engine->workers[w];

		worker->fanout.state = &policy->states[w];
		worker->fanout.data = engine_data_now(&policy->data);
		worker->classify.tunnels = policy->tunnels[w];
	}
	if (code == 0)
		engine_gave_tunnels(engine, policy);
	return code;
}

int engine_make_workers(struct engine *engine, uint32_t frame_size, struct xfq_error *error)
{
	uint32_t frames = 0;
	int code;

	engine->demand = engine_demand(engine, engine->config);
	code = engine_frame_cnt(engine, frame_size, &frames, error);

	if (code)
		return code;
	engine->outlet_max = engine_places(engine, engine->config) + ENGINE_SPARE_PLACES;
	engine->workers = aligned_alloc(__alignof__(struct worker),
					engine->worker_cnt * sizeof(struct worker));
	if (!engine->workers)
		return xfq_error_set(error, -ENOMEM, "no memory for the workers");
	memset(engine->workers, 0, engine->worker_cnt * sizeof(struct worker));
	for (uint32_t i = 0; i < engine->worker_cnt; i++)
		engine->workers[i].event_fd = engine->workers[i].changed_fd = -1;
	for (uint32_t i = 0; i < engine->worker_cnt && code == 0; i++)
		code = engine_make_worker(engine, i, frames, frame_size, error);
	return code ? code : engine_begin_policy(engine, error);
}

int engine_open_ports(struct engine *engine, uint32_t interface, struct xfq_error *error)
{
	struct port_options options = {
		.interface_name = engine->interfaces[interface].name,
		.interface = interface,
		.zero_copy = engine->config->interfaces[interface].mode == CONFIG_MODE_ZERO_COPY,
		.generic = engine->modes[interface] == ATTACH_MODE_GENERIC,
		.notes = loader_notes(&engine->loader),
	};

	for (uint32_t queue = 0; queue < engine->interfaces[interface].queue_cnt; queue++) {
		struct worker *worker = &engine->workers[queue];
		struct port *port = &worker->ports[worker->port_cnt];
		int code;

		options.queue = queue;
		code = port_open(port, &worker->umem, &options, error);
		if (code) {
			port_close(port);
			return code;
		}
		worker->port_cnt++;
		port_refill(port, &worker->umem);
		worker_census_write(worker);
	}
	return 0;
}

int engine_connect_ports(struct engine *engine, struct xfq_error *error)
{
	int code = 0;

	for (uint32_t w = 0; w < engine->worker_cnt; w++) {
		const struct worker *worker = &engine->workers[w];

		for (uint32_t p = 0; p < worker->port_cnt && code == 0; p++)
			if (!worker->ports[p].copies)
				code = loader_socket(&engine->loader, worker->ports[p].interface,
						     worker->ports[p].queue, worker->ports[p].fd,
						     error);
	}
	return code ? code : engine_connect_packet(engine, error);
}

void engine_free_workers(struct engine *engine)
{
	if (!engine->workers)
		return;
	for (uint32_t i = 0; i < engine->worker_cnt; i++) {
		struct worker *worker = &engine->workers[i];

		for (uint32_t p = 0; p < worker->port_cnt; p++)
			port_close(&worker->ports[p]);
		free(worker->ports);
		waker_destroy(&worker->waker);
		classify_destroy(&worker->classify);
		free(worker->fanout.outlets);
		free(worker->fanout.touched);
		free(worker->fanout.rings);
		umem_destroy(&worker->umem);
		if (worker->event_fd >= 0)
			close(worker->event_fd);
		if (worker->changed_fd >= 0)
			close(worker->changed_fd);
	}
	free(engine->workers);
	engine->workers = NULL;
}
