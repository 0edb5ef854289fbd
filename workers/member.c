/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/member.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t member_cons_stride(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

size_t member_ring_stride(uint32_t slots)
{
	size_t page = member_cons_stride();

	return (xfq_ring_prod_bytes(slots) + page - 1) / page * page;
}

static struct xfq_ring_prod *member_ring(const struct member *member, uint32_t worker)
{
	return (struct xfq_ring_prod *)(void *)((uint8_t *)member->rings.base +
						worker * member_ring_stride(member->ring_slots));
}

static struct xfq_ring_cons *member_cons(const struct member *member, uint32_t worker)
{
	return (struct xfq_ring_cons *)(void *)((uint8_t *)member->cons.base +
						worker * member_cons_stride());
}

static int member_init(const struct member *member, const uint64_t *umem_bytes,
		       struct outlet *outlets)
{
	int code = 0;

	for (uint32_t w = 0; w < member->worker_cnt && code == 0; w++) {
		outlets[w] = (struct outlet){.group = (uint16_t)member->group};
		code = ring_init(&outlets[w].ring, member_ring(member, w), member_cons(member, w),
				 member->frames + (size_t)w * member->ring_slots,
				 member->ring_slots, member->quota, w, umem_bytes[w]);
	}
	return code;
}

void member_outlets(const struct member *member, const uint64_t *umem_bytes, struct outlet *outlets)
{
	(void)member_init(member, umem_bytes, outlets);
}

int member_make_rings(struct member *member, const struct member_ring_options *options,
		      struct outlet *outlets, struct xfq_error *error)
{
	uint32_t slots = options->slots, workers = options->worker_cnt;
	int code;

	member->ring_slots = slots;
	member->quota = options->quota;
	member->worker_cnt = workers;
	member->frames = calloc((size_t)workers * slots, sizeof(*member->frames));
	code = member->frames
		       ? shm_create(&member->rings, "xfq-rings",
				    workers * member_ring_stride(slots), SHM_READ_ONLY, error)
		       : xfq_error_set(error, -ENOMEM, "no memory for rings of %u slots", slots);
	if (code == 0)
		code = shm_create(&member->cons, "xfq-consumer", workers * member_cons_stride(),
				  SHM_LENT, error);
	if (code == 0) {
		code = shm_populate(&member->rings);
		if (code == 0)
			code = shm_populate(&member->cons);
		if (code == 0)
			code = member_init(member, options->umem_bytes, outlets);
		if (code)
			xfq_error_set(error, code, "rings of %u slots: %s", slots, strerror(-code));
	}
	if (code) {
		free(member->frames);
		shm_destroy(&member->rings);
		shm_destroy(&member->cons);
		member->frames = NULL;
	}
	return code;
}

bool member_view(const struct member *member, uint32_t worker, const void *umem,
		 struct xfq_ring *ring)
{
	return xfq_ring_open(ring, member_ring(member, worker),
			     member_ring_stride(member->ring_slots), member_cons(member, worker),
			     umem);
}

void member_destroy(struct member *member)
{
	free(member->frames);
	shm_destroy(&member->rings);
	shm_destroy(&member->cons);
	memset(member, 0, sizeof(*member));
	member->wake_fd = -1;
}
