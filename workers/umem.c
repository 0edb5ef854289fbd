/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/umem.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int umem_create(struct umem *umem, uint32_t worker, uint32_t frames, uint32_t frame_size, bool huge,
		struct xfq_error *error)
{
	char name[32];
	uint32_t *free_stack;
	uint16_t *refs;
	int code;

	memset(umem, 0, sizeof(*umem));
	snprintf(name, sizeof(name), "xfq-umem-%u", worker);
	code = shm_create(&umem->shm, name, (size_t)frames * frame_size,
			  SHM_READ_ONLY | (huge ? SHM_HUGE : 0), error);
	if (code)
		return code;
	umem->base = umem->shm.base;
	umem->frame_size = frame_size;
	umem->frame_shift = (uint32_t)__builtin_ctz(frame_size);
	free_stack = malloc(frames * sizeof(*free_stack));
	refs = malloc(frames * sizeof(*refs));
	frame_init(&umem->frames, free_stack, refs, free_stack && refs ? frames : 0);
	if (umem->frames.total != frames) {
		umem_destroy(umem);
		return xfq_error_set(error, -ENOMEM, "no memory for a table of %u frames", frames);
	}
	return 0;
}

void umem_destroy(struct umem *umem)
{
	free(umem->frames.free);
	free(umem->frames.refs);
	shm_destroy(&umem->shm);
	memset(umem, 0, sizeof(*umem));
}
