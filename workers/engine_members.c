/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_parts.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Memory for all members; empty configs get one element, so that NULL means failure. */
static int engine_allocate_members(struct engine *engine, struct xfq_error *error)
{
	size_t members = engine->policy.member_cnt ? engine->policy.member_cnt : 1;
	size_t pairs = members * engine->worker_cnt;

	engine->members =
		aligned_alloc(__alignof__(struct member), members * sizeof(struct member));
	engine->sinks = aligned_alloc(__alignof__(struct sink), pairs * sizeof(struct sink));
	engine->files = calloc(members, sizeof(*engine->files));
	engine->rings = calloc(members, sizeof(*engine->rings));
	engine->slots = calloc(pairs, sizeof(*engine->slots));
	if (engine->members)
		memset(engine->members, 0, members * sizeof(struct member));
	if (!engine->members || !engine->sinks || !engine->files || !engine->rings ||
	    !engine->slots)
		return xfq_error_set(error, -ENOMEM, "no memory for %zu members", members);
	memset(engine->sinks, 0, pairs * sizeof(struct sink));
	return 0;
}

/* Bytes from a member's ring with one worker to that with the next: whole pages. */
static size_t engine_ring_stride(const struct config_group *group)
{
	return (xfq_ring_prod_bytes(group->ring_slots) + MEMBER_PAGE_BYTES - 1) /
	       MEMBER_PAGE_BYTES * MEMBER_PAGE_BYTES;
}

/* The ring between a worker and a member, both ends, in the member's memory of all its rings. */
static int engine_make_ring(struct engine *engine, const struct config_group *group, uint32_t w,
			    uint32_t m, struct xfq_error *error)
{
	size_t pair = (size_t)w * engine->policy.member_cnt + m;
	size_t stride = engine_ring_stride(group);
	struct worker *worker = &engine->workers[w];
	struct member *member = &engine->members[m];
	uint8_t *bytes = (uint8_t *)engine->rings[m].base + w * stride;
	struct xfq_ring_prod *shared = (struct xfq_ring_prod *)(void *)bytes;
	int code;

	engine->slots[pair] = calloc(group->ring_slots, sizeof(**engine->slots));
	if (!engine->slots[pair])
		return xfq_error_set(error, -ENOMEM, "no memory for a ring of %u slots",
				     group->ring_slots);
	code = ring_init(&worker->fanout.outlets[m].ring, shared, member_cons_page(member, w),
			 engine->slots[pair], group->ring_slots, engine_quota(engine, group), w,
			 worker->umem.shm.len);
	if (code == 0 && !xfq_ring_open(&member->rings[w], shared, stride,
					member_cons_page(member, w), worker->umem.base))
		code = -EINVAL;
	if (code)
		return xfq_error_set(error, code, "group %s: a ring of %u slots", group->name,
				     group->ring_slots);
	worker->wake_fds[m] = member->wake_fd;
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

static int engine_make_member(struct engine *engine, const struct config_group *group, uint32_t m,
			      uint32_t id, struct xfq_error *error)
{
	struct member *member = &engine->members[m];
	struct sink_file *file = NULL;
	const char *dir = group->sink == CONFIG_SINK_PCAP ? group->dir : NULL;
	char name[CONFIG_NAME_BYTES + 16];
	int code = 0;

	if (engine->options.write_dir)
		dir = engine->options.write_dir;
	if (dir) {
		file = &engine->files[m];
		code = sink_file_open(
			file, dir, group->name, id,
			engine->config->interface_cnt ? engine->config->interfaces[0].name : NULL,
			error);
		if (code == 0)
			code = engine_check_output(engine, file, error);
		if (code)
			return code;
	}
	if (engine_in_worker(group)) {
		for (uint32_t w = 0; w < engine->worker_cnt; w++) {
			struct sink *sink =
				&engine->sinks[(size_t)w * engine->policy.member_cnt + m];
			struct outlet *outlet = &engine->workers[w].fanout.outlets[m];

			sink->file = file;
			outlet->consume = sink_consume;
			outlet->context = sink;
		}
		return 0;
	}
	snprintf(name, sizeof(name), "%s.%u", group->name, id);
	code = member_create(member, name, engine->worker_cnt, error);
	member->sink.file = file;
	if (code == 0)
		code = shm_create(&engine->rings[m], "xfq-rings",
				  engine->worker_cnt * engine_ring_stride(group), SHM_READ_ONLY,
				  error);
	for (uint32_t w = 0; w < engine->worker_cnt && code == 0; w++)
		code = engine_make_ring(engine, group, w, m, error);
	return code;
}

int engine_make_members(struct engine *engine, struct xfq_error *error)
{
	int code = engine_allocate_members(engine, error);

	for (uint32_t g = 0; g < engine->config->group_cnt; g++) {
		const struct config_group *group = &engine->config->groups[g];

		for (uint32_t id = 0; id < group->members && code == 0; id++)
			code = engine_make_member(engine, group,
						  engine->policy.groups[g].first_member + id, id,
						  error);
	}
	return code;
}

int engine_begin_files(struct engine *engine, struct xfq_error *error)
{
	int code = 0;

	for (uint32_t m = 0; m < engine->policy.member_cnt && code == 0; m++)
		code = sink_file_begin(&engine->files[m], error);
	return code;
}

int engine_flush(struct engine *engine, struct xfq_error *error)
{
	int first = 0;

	for (uint32_t m = 0; m < engine->policy.member_cnt; m++) {
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
	for (uint32_t m = 0; m < engine->policy.member_cnt; m++) {
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
	uint32_t members = engine->policy.member_cnt;

	for (uint32_t m = 0; engine->members && m < members; m++)
		member_destroy(&engine->members[m]);
	for (uint32_t m = 0; engine->rings && m < members; m++)
		shm_destroy(&engine->rings[m]);
	for (size_t pair = 0; engine->slots && pair < (size_t)members * engine->worker_cnt; pair++)
		free(engine->slots[pair]);
	free(engine->members);
	free(engine->sinks);
	free(engine->files);
	free(engine->rings);
	free(engine->slots);
	engine->members = NULL;
	engine->sinks = NULL;
	engine->files = NULL;
	engine->rings = NULL;
	engine->slots = NULL;
}
