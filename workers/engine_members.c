/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_parts.h"
#include "workers/engine_sets.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

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
	struct sink_file *file = &engine->built_ins[slot]->file;
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
static struct sink_file *engine_file(struct engine_built_in *built_in)
{
	return built_in->file.pcapng.buffer ? &built_in->file : NULL;
}

/* A member that is handled in the worker: a sink for each, as each counts by itself. */
static int engine_make_callback(struct engine *engine, uint32_t slot, struct xfq_error *error)
{
	struct engine_built_in *built_in = engine->built_ins[slot];
	size_t bytes = engine->worker_cnt * sizeof(struct sink);

	built_in->sinks = aligned_alloc(__alignof__(struct sink), bytes);
	if (!built_in->sinks)
		return xfq_error_set(error, -ENOMEM, "no memory for a member");
	memset(built_in->sinks, 0, bytes);
	for (uint32_t w = 0; w < engine->worker_cnt; w++) {
		struct sink *sink = &built_in->sinks[w];

		sink->file = engine_file(built_in);
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
	struct consumer *consumer = &engine->built_ins[slot]->consumer;
	struct member *member = &engine->members[slot];
	int pair[2], code;

	snprintf(consumer->name, sizeof(consumer->name), "%.11s.%u", group->name, member->id);
	consumer->sink.file = engine_file(engine->built_ins[slot]);
	consumer->bare = engine->options.bare_threads;
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
	code = engine_join_rings(engine, slot, group, 0, error);
	for (uint32_t w = 0; w < engine->worker_cnt && code == 0; w++)
		if (!member_view(member, w, engine->workers[w].umem.base, &consumer->rings[w]))
			code = xfq_error_set(error, -EINVAL, "group %s: a ring of %u slots",
					     group->name, member->ring_slots);
	/* nobody else is given them, and descriptors are few */
	engine_close_memory(engine, slot);
	return code;
}

/* What a built-in member is made of. */
static int engine_furnish(struct engine *engine, const struct config_group *group, uint32_t slot,
			  struct xfq_error *error)
{
	struct engine_built_in *built_in =
		aligned_alloc(__alignof__(struct engine_built_in), sizeof(*built_in));
	struct member *member = &engine->members[slot];
	int code;

	if (!built_in)
		return xfq_error_set(error, -ENOMEM, "no memory for a member");
	memset(built_in, 0, sizeof(*built_in));
	built_in->consumer.wake_fd = -1;
	engine->built_ins[slot] = built_in;
	built_in->outlets = calloc(engine->worker_cnt, sizeof(*built_in->outlets));
	if (!built_in->outlets)
		return xfq_error_set(error, -ENOMEM, "no memory for a member");
	code = engine_open_file(engine, group, slot, error);
	if (code)
		return code;
	/* who only counts does so because nobody else is there */
	member->stand_in = !engine_file(built_in);
	code = member->kind == MEMBER_CALLBACK ? engine_make_callback(engine, slot, error)
					       : engine_make_thread(engine, group, slot, error);
	memcpy(built_in->outlets, engine->outlets, engine->worker_cnt * sizeof(struct outlet));
	return code;
}

int engine_make_built_in(struct engine *engine, uint32_t place, const struct config_group *group,
			 uint32_t classes, uint32_t *slot, struct xfq_error *error)
{
	int code;

	*slot = engine_take_slot(engine, place,
				 engine_in_worker(group) ? MEMBER_CALLBACK : MEMBER_THREAD);
	if (*slot == ENGINE_NO_SLOT)
		return xfq_error_set(error, -ENOSPC,
				     "group %s: there is no place for one more member",
				     group->name);
	engine->members[*slot].withheld = true;
	engine->members[*slot].classes = classes;
	code = engine_furnish(engine, group, *slot, error);
	if (code)
		engine_drop_built_in(engine, *slot);
	return code;
}

int engine_begin_built_in(struct engine *engine, uint32_t slot, struct xfq_error *error)
{
	struct engine_built_in *built_in = engine->built_ins[slot];
	int code = sink_file_begin(&built_in->file, error);

	if (code == 0 && engine->members[slot].kind == MEMBER_THREAD)
		code = consumer_start(&built_in->consumer, error);
	return code;
}

void engine_put_in_built_in(struct engine *engine, uint32_t slot)
{
	engine->members[slot].withheld = false;
	memcpy(engine->outlets, engine->built_ins[slot]->outlets,
	       engine->worker_cnt * sizeof(struct outlet));
	engine_put_in(engine, slot);
}

/* Free what is not the member's own. */
static void engine_free_built_in(struct engine *engine, uint32_t slot)
{
	struct engine_built_in *built_in = engine->built_ins[slot];

	if (!built_in)
		return;
	free(built_in->consumer.rings);
	if (built_in->consumer.wake_fd >= 0) {
		close(built_in->consumer.wake_fd);
		close(engine->members[slot].wake_fd);
	}
	free(built_in->sinks);
	free(built_in->outlets);
	free(built_in);
	engine->built_ins[slot] = NULL;
}

void engine_drop_built_in(struct engine *engine, uint32_t slot)
{
	struct member *member = &engine->members[slot];

	if (engine->built_ins[slot]) {
		consumer_finish(&engine->built_ins[slot]->consumer, member->wake_fd);
		sink_file_close(&engine->built_ins[slot]->file, 0, 0, NULL);
	}
	engine_free_built_in(engine, slot);
	engine->groups[member->group].member_cnt--;
	member_destroy(member);
}

/* Close the file of a built-in member. */
static int engine_close_file(struct engine *engine, uint32_t slot, struct xfq_error *error)
{
	uint64_t received = 0, lost = 0;

	for (uint32_t w = 0; w < engine->worker_cnt; w++) {
		const struct outlet *outlet = &engine->workers[w].fanout.outlets[slot];
		uint64_t missed = counter_read(&outlet->lost_ring) +
				  counter_read(&outlet->lost_quota) +
				  counter_read(&outlet->lost_detached);

		received += counter_read(&outlet->packets) + missed;
		lost += missed;
	}
	return sink_file_close(&engine->built_ins[slot]->file, received, lost, error);
}

int engine_remove_built_in(struct engine *engine, uint32_t slot, struct xfq_error *error)
{
	struct member *member = &engine->members[slot];
	int code;

	/* what is in its rings stays there until it has read it: it never fails to */
	consumer_finish(&engine->built_ins[slot]->consumer, member->wake_fd);
	engine_take_out_member(engine, slot, "removed");
	code = engine_close_file(engine, slot, error);
	engine_free_built_in(engine, slot);
	engine->groups[member->group].member_cnt--;
	member_destroy(member);
	return code;
}

/* Built-in members of a group that are of no class (0), or of one (1 and its number). */
uint32_t engine_built_in_wish(const struct config_group *group, uint32_t kind)
{
	return kind == 0 ? group->members : group->class_members[kind - 1];
}

int engine_make_members(struct engine *engine, struct xfq_error *error)
{
	uint32_t slot;
	int code = 0;

	for (uint32_t g = 0; g < engine->config->group_cnt; g++) {
		const struct config_group *group = &engine->config->groups[g];
		uint32_t kind = 0, cnt = 0;

		while (kind <= group->spec.class_cnt && code == 0) {
			if (cnt++ == engine_built_in_wish(group, kind)) {
				kind++;
				cnt = 0;
				continue;
			}
			code = engine_make_built_in(engine, g, group, engine_kind_classes(kind),
						    &slot, error);
			if (code == 0)
				engine_put_in_built_in(engine, slot);
		}
	}
	return code;
}

int engine_add_callback(struct engine *engine, uint32_t group, packet_consumer *consume,
			void *context, struct xfq_error *error)
{
	const char *name = engine->groups[group].config->name;
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

	for (uint32_t slot = 0; slot < engine->outlet_max && code == 0; slot++)
		if (engine->built_ins[slot] && engine->members[slot].kind == MEMBER_THREAD)
			code = consumer_start(&engine->built_ins[slot]->consumer, error);
	return code;
}

void engine_finish_consumers(struct engine *engine)
{
	for (uint32_t slot = 0; engine->built_ins && slot < engine->outlet_max; slot++)
		if (engine->built_ins[slot])
			consumer_finish(&engine->built_ins[slot]->consumer,
					engine->members[slot].wake_fd);
}

int engine_begin_files(struct engine *engine, struct xfq_error *error)
{
	int code = 0;

	for (uint32_t slot = 0; slot < engine->outlet_max && code == 0; slot++)
		if (engine->built_ins[slot])
			code = sink_file_begin(&engine->built_ins[slot]->file, error);
	return code;
}

int engine_flush(struct engine *engine, struct xfq_error *error)
{
	int first = 0;

	for (uint32_t slot = 0; slot < engine->outlet_max; slot++) {
		int code = 0;

		if (engine->built_ins[slot])
			code = sink_file_flush(&engine->built_ins[slot]->file,
					       first ? NULL : error);
		if (first == 0)
			first = code;
	}
	if (engine_sweep_sets(engine, first ? NULL : error) && first == 0)
		first = -EIO;
	return first;
}

int engine_close_files(struct engine *engine, struct xfq_error *error)
{
	int first = 0;

	for (uint32_t slot = 0; engine->built_ins && slot < engine->outlet_max; slot++) {
		int code = 0;

		if (engine->built_ins[slot])
			code = engine_close_file(engine, slot, first ? NULL : error);
		if (first == 0)
			first = code;
	}
	return first;
}

void engine_free_members(struct engine *engine)
{
	for (uint32_t slot = 0; engine->built_ins && slot < engine->outlet_max; slot++)
		engine_free_built_in(engine, slot);
}
