/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine.h"
#include "workers/engine_parts.h"
#include "workers/topology.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Two VLAN tags beyond what the MTU counts, and the Ethernet header. */
#define ENGINE_LINK_BYTES (14 + 2 * 4)

/* In generic mode a CPU may still be running the program when it has been detached: some RCU grace
 * periods, until the last packet is counted and handed over. */
#define ENGINE_GRACE_US 20000

static uint64_t engine_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* Packet memory is locked, and members cost descriptors. Where a limit cannot be raised, what is
 * allowed may still be enough, so failing is no error here. */
static void engine_raise_limits(void)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

	(void)setrlimit(RLIMIT_MEMLOCK, &limit);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int engine_first_policy(struct engine *engine, struct xfq_error *error)
{
	uint64_t seed = 0;
	int code;

	/* live, nobody outside can choose flows that meet; from a file, every run is the same */
	if (!engine->options.read_path && getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = engine_now_ns();
	code = engine_make_policy(&engine->policy, engine->config, NULL, seed, 1, error);
	if (code == 0 && !engine->options.read_path)
		engine_compile_policy(engine->policy);
	return code;
}

/* Open every interface; returns the number of workers that their queues ask for, or -errno. */
static int engine_open_interfaces(struct engine *engine, struct xfq_error *error)
{
	const struct config *config = engine->config;
	uint32_t workers = 0;

	if (config->interface_cnt == 0)
		return xfq_error_set(error, -EINVAL,
				     "%s: no interfaces; name one under interfaces:, or read a "
				     "capture file with --read",
				     config->path ? config->path : "config");
	for (uint32_t i = 0; i < config->interface_cnt; i++) {
		struct interface *interface = &engine->interfaces[i];
		int code = interface_open(interface, config->interfaces[i].name,
					  config->interfaces[i].promiscuous, error);

		if (code)
			return code;
		if (interface->queue_cnt > XDP_QUEUES_MAX)
			return xfq_error_set(error, -E2BIG,
					     "%s: %u queues, and at most %d are supported; fewer: "
					     "ethtool -L %s combined %d",
					     interface->name, interface->queue_cnt, XDP_QUEUES_MAX,
					     interface->name, XDP_QUEUES_MAX);
		if (interface->queue_cnt > workers)
			workers = interface->queue_cnt;
	}
	return (int)workers;
}

/* Frames of a size that the longest packet fits. */
static int engine_frame_size(const struct engine *engine, uint32_t *size, struct xfq_error *error)
{
	uint32_t wanted = engine->config->workers.frame_size;

	*size = wanted ? wanted : 2048;
	if (engine->options.read_path) {
		uint32_t snaplen = capture_snaplen(&engine->replay.capture);

		while (umem_packet_max(*size) < snaplen)
			*size *= 2;
		return 0;
	}
	for (uint32_t i = 0; i < engine->config->interface_cnt; i++) {
		const struct interface *interface = &engine->interfaces[i];
		uint32_t need = interface->mtu + ENGINE_LINK_BYTES;

		if (need > umem_packet_max(*size) && !wanted)
			*size = 4096;
		/* a packet socket has what is too long cut */
		if (need > umem_packet_max(*size) && !engine->packet[i])
			return xfq_error_set(error, -EMSGSIZE,
					     "%s: an MTU of %u does not fit into frames of %u "
					     "bytes; lower it: ip link set dev %s mtu %u%s",
					     interface->name, interface->mtu, *size,
					     interface->name,
					     umem_packet_max(*size) - ENGINE_LINK_BYTES,
					     *size < 4096 ? ", or set frame_size: 4096" : "");
	}
	return 0;
}

/* Where each worker runs. A capture file's worker is not pinned: there is no queue to be near to.
 */
static int engine_place(struct engine *engine, struct xfq_error *error)
{
	const struct config *config = engine->config;
	struct placement_hint hints[XDP_QUEUES_MAX];
	struct placement_request request = {
		.worker_cnt = engine->worker_cnt,
		.hints = hints,
		.cpus = config->workers.cpus,
		.cpu_cnt = config->workers.cpu_cnt,
	};
	hwloc_topology_t topology;
	int code;

	engine->plan = calloc(engine->worker_cnt, sizeof(*engine->plan));
	if (!engine->plan)
		return xfq_error_set(error, -ENOMEM, "no memory for the workers");
	if (engine->options.read_path) {
		engine->plan[0] = (struct placement){.cpu = -1, .node = PLACEMENT_UNKNOWN};
		return 0;
	}
	/* the interface listed last that has a queue speaks for it last: the first one decides */
	for (uint32_t i = config->interface_cnt; i-- > 0;) {
		topology_hints("", engine->interfaces[i].name, hints,
			       engine->interfaces[i].queue_cnt);
		if (engine->interfaces[i].queue_cnt > request.hint_cnt)
			request.hint_cnt = engine->interfaces[i].queue_cnt;
	}
	code = topology_open(&topology, error);
	if (code)
		return code;
	code = placement_plan(topology, &request, engine->plan, error);
	topology_close(topology);
	return code;
}

static struct attach_options engine_attach_options(const struct engine *engine, uint32_t interface)
{
	const struct config_interface *from = &engine->config->interfaces[interface];

	return (struct attach_options){
		.name = from->name,
		.native = from->mode != CONFIG_MODE_GENERIC,
		.generic = from->mode == CONFIG_MODE_AUTO || from->mode == CONFIG_MODE_GENERIC,
		/* the other end of a mirror's pair has nobody to be shared with */
		.shared = from->attach == CONFIG_ATTACH_SHARED && from->mode != CONFIG_MODE_MIRROR,
		.priority = from->priority,
	};
}

static int engine_load(struct engine *engine, uint32_t frame_size, struct xfq_error *error)
{
	struct attach_options attach;
	uint32_t ifindex[XDP_INTERFACES_MAX];
	struct loader_options options = {
		.filter = &engine->config->filter,
		.sets = &engine->sets,
		.hash_seed = engine->policy->policy.hash_seed,
		.generation = engine->policy->policy.generation,
		.packet_max = umem_packet_max(frame_size),
		.ifindex = ifindex,
		.interface_cnt = engine->config->interface_cnt,
	};
	int code;

	for (uint32_t i = 0; i < options.interface_cnt; i++) {
		ifindex[i] = engine->interfaces[i].ifindex;
		attach = engine_attach_options(engine, i);
		options.shared |= attach.shared;
		code = engine->packet[i] || engine_is_mirrored(engine, i)
			       ? 0
			       : attach_clear(ifindex[i], &attach, error);
		if (code)
			return code;
	}
	code = setmaps_create(&engine->sets, (const struct set *const *)engine->config->sets,
			      engine->config->set_cnt, error);
	if (code)
		return code;
	code = loader_load(&engine->loader, &options, error);
	return code ? code : engine_load_tc(engine, error);
}

/* The capture file, and what judges its packets. */
static int engine_open_capture(struct engine *engine, struct xfq_error *error)
{
	const struct engine_options *options = &engine->options;
	const int stop_fds[CAPTURE_STOPS] = {options->stop_fds[0], options->stop_fds[1], -1};
	const struct judge_options judge = {.filter = &engine->config->filter,
					    .hash_seed = engine->policy->policy.hash_seed,
					    .generation = engine->policy->policy.generation,
					    .kernel = options->read_xdp};
	int code =
		capture_open_waiting(&engine->replay.capture, options->read_path, stop_fds, error);

	if (code == 0)
		code = judge_open(&engine->replay.judge, &judge, error);
	return code ? code : engine_make_replay_shunt(engine, error);
}

int engine_create(struct engine *engine, const struct config *config,
		  const struct engine_options *options, struct xfq_error *error)
{
	uint32_t frame_size;
	int code;

	memset(engine, 0, sizeof(*engine));
	engine->config = config;
	engine->options = *options;
	engine->watch.fd = engine->watch.control_fd = -1;
	engine->notice_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (engine->notice_fd < 0)
		return xfq_error_set(error, -errno, "eventfd: %s", strerror(errno));
	engine_raise_limits();
	code = engine_first_policy(engine, error);
	if (code)
		goto failed;
	if (options->read_path) {
		code = engine_open_capture(engine, error);
		if (code)
			goto failed;
		engine->worker_cnt = 1;
	} else {
		code = engine_open_interfaces(engine, error);
		if (code < 0)
			goto failed;
		engine->worker_cnt = (uint32_t)code;
	}
	if (!options->read_path)
		engine_choose_packet(engine);
	code = engine_frame_size(engine, &frame_size, error);
	if (code == 0 && !options->read_path)
		code = engine_load(engine, frame_size, error);
	if (code == 0)
		code = engine_place(engine, error);
	if (code == 0)
		code = engine_make_workers(engine, frame_size, error);
	if (code == 0)
		code = engine_make_table(engine, error);
	if (code == 0)
		code = engine_make_members(engine, error);
	if (code)
		goto failed;
	return 0;

failed:
	engine_destroy(engine);
	return code;
}

static int engine_attach_one(struct engine *engine, uint32_t interface, struct xfq_error *error)
{
	const struct attach_options options = engine_attach_options(engine, interface);
	int code = loader_attach(&engine->loader, interface, &options, error);

	engine->modes[interface] = engine->loader.attach[interface].mode;
	return code ? code : engine_open_ports(engine, interface, error);
}

/* The program, then the sockets, as the mode that it got decides how they are bound. The program
 * finds no socket until engine_connect_ports(), and passes packets on to the stack, counted. */
int engine_attach(struct engine *engine, struct xfq_error *error)
{
	const struct config *config = engine->config;
	uint32_t ifindex[XDP_INTERFACES_MAX];
	int code;

	if (engine->options.read_path)
		return 0;
	for (uint32_t i = 0; i < config->interface_cnt; i++)
		ifindex[i] = engine->interfaces[i].ifindex;
	code = interface_watch_open(&engine->watch, ifindex, config->interface_cnt, error);
	for (uint32_t i = 0; i < config->interface_cnt && code == 0; i++) {
		code = engine_enter_netns(engine, i, error);
		if (code)
			return code;
		code = engine->packet[i] ? 0 : engine_attach_one(engine, i, error);
		engine_leave_netns(engine, i);
		if (code && engine_falls_back(engine, i, code))
			code = 0;
		if (code == 0 && engine->packet[i])
			code = engine_open_packet(engine, i, error);
	}
	return code ? code : engine_attach_tc(engine, error);
}

int engine_start(struct engine *engine, struct xfq_error *error)
{
	int code;

	engine->started_ns = engine_now_ns();
	engine->started = true;
	code = engine_start_consumers(engine, error);
	/* as late as can be: a start that fails leaves older captures alone */
	if (code == 0)
		code = engine_begin_files(engine, error);
	for (uint32_t i = 0; i < engine->worker_cnt && code == 0; i++)
		code = worker_start(&engine->workers[i], error);
	if (code == 0 && !engine->options.read_path)
		code = engine_connect_ports(engine, error);
	return code;
}

bool engine_is_done(const struct engine *engine)
{
	for (uint32_t i = 0; i < engine->worker_cnt; i++)
		if (!__atomic_load_n(&engine->workers[i].ended, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

static void engine_take_out(struct engine *engine, uint32_t interface)
{
	engine->gone[interface] = true;
	loader_detach_one(&engine->loader, interface);
	engine_detach_tc_one(engine, interface);
	for (uint32_t w = 0; w < engine->worker_cnt; w++)
		for (uint32_t p = 0; p < engine->workers[w].port_cnt; p++)
			if (engine->workers[w].ports[p].interface == interface)
				port_set_gone(&engine->workers[w].ports[p]);
}

uint32_t engine_watch(struct engine *engine,
		      void (*changed)(const char *name, enum interface_event event, void *context),
		      void *context)
{
	struct interface_change changes[XDP_INTERFACES_MAX];
	uint32_t cnt = interface_watch_read(&engine->watch, changes);
	uint32_t left = 0;

	for (uint32_t c = 0; c < cnt; c++)
		for (uint32_t i = 0; i < engine->config->interface_cnt; i++)
			if (!engine->gone[i] &&
			    engine->interfaces[i].ifindex == changes[c].ifindex) {
				if (changes[c].event == INTERFACE_GONE)
					engine_take_out(engine, i);
				changed(engine->interfaces[i].name, changes[c].event, context);
			}
	for (uint32_t i = 0; i < engine->config->interface_cnt; i++)
		left += !engine->gone[i];
	return left;
}

int engine_stop(struct engine *engine, struct xfq_error *error)
{
	int code = 0;

	if (engine->stopped)
		return 0;
	engine->stopped = true;
	if (engine->loader.attached) {
		engine_detach_tc(engine);
		loader_detach(&engine->loader);
		engine_stop_packet(engine);
		usleep(ENGINE_GRACE_US);
	}
	if (!engine->workers)
		return 0; /* it never got so far that anything could run */
	for (uint32_t i = 0; i < engine->worker_cnt; i++)
		worker_finish(&engine->workers[i]);
	engine_finish_consumers(engine);
	/* the workers have ended: what they own is this thread's now */
	if (engine->members)
		engine_drain_joined(engine);
	for (uint32_t i = 0; i < engine->worker_cnt; i++) {
		if (!engine->workers[i].fanout.outlets)
			continue;
		fanout_reclaim(&engine->workers[i].fanout, 0);
		worker_census_write(&engine->workers[i]);
	}
	if (engine->replay.error.code) {
		code = engine->replay.error.code;
		if (error)
			*error = engine->replay.error;
	}
	int file_code = engine_close_files(engine, code ? NULL : error);

	return code ? code : file_code;
}

void engine_destroy(struct engine *engine)
{
	if (!engine->config)
		return;
	engine_stop(engine, NULL);
	engine_free_members(engine);
	engine_free_table(engine);
	engine_free_workers(engine);
	engine_free_tc(engine);
	loader_destroy(&engine->loader);
	setmaps_destroy(&engine->sets);
	interface_watch_close(&engine->watch);
	for (uint32_t i = 0; i < XDP_INTERFACES_MAX; i++)
		interface_close(&engine->interfaces[i]);
	capture_close(&engine->replay.capture);
	judge_close(&engine->replay.judge);
	shunt_table_destroy(&engine->replay.shunt);
	engine_destroy_policy(engine->policy);
	free(engine->plan);
	close(engine->notice_fd);
	memset(engine, 0, sizeof(*engine));
}
