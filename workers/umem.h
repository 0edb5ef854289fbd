/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's packet memory: frames of one size in one memfd, and who owns each.
 *
 *	base                 base + frame_size
 *	|<- headroom ->|packet ...           |<- headroom ->|packet ...
 *	+--------------+---------------------+--------------+-----------
 *
 * The headroom of 256 bytes is what the kernel keeps in front of a packet in AF_XDP's copy and
 * zero-copy modes (XDP_PACKET_HEADROOM); metadata lies at its end. Other sources keep it too.
 */
#ifndef WORKERS_UMEM_H
#define WORKERS_UMEM_H

#include "steering/frame.h"
#include "workers/shm.h"
#include <stdint.h>

#define UMEM_HEADROOM 256

struct umem {
	struct shm shm;
	uint8_t *base;
	uint32_t frame_size; /* bytes, a power of two */
	uint32_t frame_shift;
	struct frame_table frames;
};

/*
 * Make the memory: `frames` frames of `frame_size` bytes (a power of two over UMEM_HEADROOM). Huge
 * pages are used if `huge` says so and there are any. 0 or -errno with a sentence; the caller owes
 * a umem_destroy().
 */
int umem_create(struct umem *umem, uint32_t worker, uint32_t frames, uint32_t frame_size, bool huge,
		struct xfq_error *error);

/* Free everything; safe on zeroed memory. */
void umem_destroy(struct umem *umem);

/* Longest packet that fits into a frame. */
static inline uint32_t umem_packet_max(uint32_t frame_size)
{
	return frame_size - UMEM_HEADROOM;
}

#endif
