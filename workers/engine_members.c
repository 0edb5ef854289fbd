/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_parts.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Memory for all built-in members; empty configs get one element, so that NULL means failure. */
static int engine_allocate_members(struct engine *engine, struct xfq_error *error)
{
	size_t members = engine->built_in_cnt ? engine->built_in_cnt : 1;
	size_t pairs = members * engine->worker_cnt;

	engine->consumers =
		aligned_alloc(__alignof__(struct consumer), members * sizeof(struct consumer));
	engine->sinks = aligned_alloc(__alignof__(struct sink), pairs * sizeof(struct sink));
	engine->files = calloc(members, sizeof(*engine->files));
	if (!engine->consumers || !engine->sinks || !engine->files)
		return xfq_error_set(error, -ENOMEM, "no memory for %zu members", members);
	memset(engine->consumers, 0, members * sizeof(struct consumer));
	memset(engine->sinks, 0, pairs * sizeof(struct sink));
	for (size_t i = 0; i < members; i++)
		engine->consumers[i].wake_fd = -1;
	return 0;
}

/* A file cannot be read and written at the same time. */
static int engine_check_output(const struct engine *engine, const struct sink_file *file,
			       struct xfq_error *error)
{
	struct stat in, out;

	if (!engine->options.read_path || stat(engine->options.read_path, &in) ||
	    fstat(file->pcapng.fd, &out) || in.st_dev != out.st_dev || in.st_ino != out.st_ino)
		return 0;
	return xfq_error_set(
		error, -EBUSY,
		"%s: this is the file that is read; write to another folder: --write DIR",
		file->pcapng.name);
}

/* The capture file of a built-in member, where it has one. */
static int engine_open_file(struct engine *engine, const struct config_group *group, uint32_t slot,
			    struct xfq_error *error)
{
	const char *dir = group->sink == CONFIG_SINK_PCAP ? group->dir : NULL;
	const struct config *config = engine->config;
	struct sink_file *file = &engine->files[slot];
	int code;

	if (engine->options.write_dir)
		dir = engine->options.write_dir;
	if (!dir)
		return 0;
	code = sink_file_open(file, dir, group->name, engine->members[slot].id,
			      config->interface_cnt ? config->interfaces[0].name : NULL, error);
	return code ? code : engine_check_output(engine, file, error);
}

/* The file of a built-in member; NULL: it only counts. */
static struct sink_file *engine_file(const struct engine *engine, uint32_t slot)
{
	return engine->files[slot].pcapng.buffer ? &engine->files[slot] : NULL;
}

/* A member that is handled in the worker: a sink for each, as each counts by itself. */
static int engine_make_callback(struct engine *engine, uint32_t slot)
{
	for (uint32_t w = 0; w < engine->worker_cnt; w++) {
		struct sink *sink = &engine->sinks[(size_t)w * engine->built_in_cnt + slot];

		sink->file = engine_file(engine, slot);
		engine->outlets[w] = (struct outlet){.group = (uint16_t)engine->members[slot].group,
						     .consume = sink_consume,
						     .context = sink};
	}
	return 0;
}

/* A member that is a thread: both ends of its rings, and of the socket that wakes it. */
static int engine_make_thread(struct engine *engine, const struct config_group *group,
			      uint32_t slot, struct xfq_error *error)
{
	struct consumer *consumer = &engine->consumers[slot];
	struct member *member = &engine->members[slot];
	const struct engine_join like = {.group = member->group};
	int pair[2], code;

	snprintf(consumer->name, sizeof(consumer->name), "%.11s.%u", group->name, member->id);
	consumer->sink.file = engine_file(engine, slot);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return xfq_error_set(error, -errno, "group %s: making a member: %s%s", group->name,
				     strerror(errno),
				     errno == EMFILE ? "; raise the limit: ulimit -n" : "");
	member->wake_fd = pair[0];
	consumer->wake_fd = pair[1];
	consumer->ring_cnt = engine->worker_cnt;
	consumer->rings = calloc(engine->worker_cnt, sizeof(*consumer->rings));
	if (!consumer->rings)
		return xfq_error_set(error, -ENOMEM, "no memory for a member");
	code = engine_join_rings(engine, slot, &like, error);
	for (uint32_t w = 0; w < engine->worker_cnt && code == 0; w++)
		if (!member_view(member, w, engine->workers[w].umem.base, &consumer->rings[w]))
			code = xfq_error_set(error, -EINVAL, "group %s: a ring of %u slots",
					     group->name, member->ring_slots);
	/* nobody else is given them, and descriptors are few */
	engine_close_memory(engine, slot);
	return code;
}

static int engine_make_member(struct engine *engine, uint32_t g, struct xfq_error *error)
{
	const struct config_group *group = &engine->config->groups[g];
	bool in_worker = engine_in_worker(group);
	uint32_t slot = engine_take_slot(engine, g, in_worker ? MEMBER_CALLBACK : MEMBER_THREAD);
	int code = engine_open_file(engine, group, slot, error);

	if (code)
		return code;
	/* who only counts does so because nobody else is there */
	engine->members[slot].stand_in = !engine_file(engine, slot);
	code = in_worker ? engine_make_callback(engine, slot)
			 : engine_make_thread(engine, group, slot, error);
	if (code == 0)
		engine_put_in(engine, slot);
	return code;
}

int engine_make_members(struct engine *engine, struct xfq_error *error)
{
	int code = engine_allocate_members(engine, error);

	for (uint32_t g = 0; g < engine->config->group_cnt; g++)
		for (uint32_t i = 0; i < engine->config->groups[g].members && code == 0; i++)
			code = engine_make_member(engine, g, error);
	return code;
}

int engine_add_callback(struct engine *engine, uint32_t group, packet_consumer *consume,
			void *context, struct xfq_error *error)
{
	const char *name = engine->config->groups[group].name;
	uint32_t slot = ENGINE_NO_SLOT;

	if (engine->started)
		return xfq_error_set(error, -EBUSY, "group %s: the instance runs already", name);
	if (engine->groups[group].callback_cnt == ENGINE_CALLBACKS_MAX)
		return xfq_error_set(error, -EBUSY,
				     "group %s is full: it has %d callbacks, the most it may have",
				     name, ENGINE_CALLBACKS_MAX);
	if (engine_has_room(engine, group))
		slot = engine_take_slot(engine, group, MEMBER_CALLBACK);
	if (slot == ENGINE_NO_SLOT)
		return xfq_error_set(error, -EBUSY,
				     "group %s is full: it has %d members, the most it may have",
				     name, ROSTER_MEMBERS_MAX);
	engine->groups[group].callback_cnt++;
	for (uint32_t w = 0; w < engine->worker_cnt; w++)
		engine->outlets[w] = (struct outlet){
			.group = (uint16_t)group, .consume = consume, .context = context};
	engine_put_in(engine, slot);
	return 0;
}

int engine_start_consumers(struct engine *engine, struct xfq_error *error)
{
	int code = 0;

	for (uint32_t slot = 0; slot < engine->built_in_cnt && code == 0; slot++)
		if (engine->members[slot].kind == MEMBER_THREAD)
			code = consumer_start(&engine->consumers[slot], error);
	return code;
}

void engine_finish_consumers(struct engine *engine)
{
	for (uint32_t slot = 0; engine->consumers && slot < engine->built_in_cnt; slot++)
		consumer_finish(&engine->consumers[slot], engine->members[slot].wake_fd);
}

int engine_begin_files(struct engine *engine, struct xfq_error *error)
{
	int code = 0;

	for (uint32_t m = 0; m < engine->built_in_cnt && code == 0; m++)
		code = sink_file_begin(&engine->files[m], error);
	return code;
}

int engine_flush(struct engine *engine, struct xfq_error *error)
{
	int first = 0;

	for (uint32_t m = 0; m < engine->built_in_cnt; m++) {
		int code = sink_file_flush(&engine->files[m], first ? NULL : error);

		if (first == 0)
			first = code;
	}
	return first;
}

int engine_close_files(struct engine *engine, struct xfq_error *error)
{
	int first = 0;

	if (!engine->files)
		return 0;
	for (uint32_t m = 0; m < engine->built_in_cnt; m++) {
		uint64_t received = 0, lost = 0;

		for (uint32_t w = 0; w < engine->worker_cnt; w++) {
			const struct outlet *outlet = &engine->workers[w].fanout.outlets[m];
			uint64_t missed =
				outlet->lost_ring + outlet->lost_quota + outlet->lost_detached;

			received += outlet->packets + missed;
			lost += missed;
		}
		int code = sink_file_close(&engine->files[m], received, lost, first ? NULL : error);

		if (first == 0)
			first = code;
	}
	return first;
}

void engine_free_members(struct engine *engine)
{
	for (uint32_t slot = 0; engine->consumers && slot < engine->built_in_cnt; slot++) {
		struct consumer *consumer = &engine->consumers[slot];

		free(consumer->rings);
		if (consumer->wake_fd >= 0) {
			close(consumer->wake_fd);
			close(engine->members[slot].wake_fd);
		}
	}
	free(engine->consumers);
	free(engine->sinks);
	free(engine->files);
	engine->consumers = NULL;
	engine->sinks = NULL;
	engine->files = NULL;
}
