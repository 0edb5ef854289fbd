/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory that an instance shares with a member, mapped in this process:
 *
 *	rings           read-only   one for each worker, ring_stride apart
 *	consumer pages  read-write  one for each worker, cons_stride apart
 *	UMEM            read-only   of each worker
 *
 * An instance is trusted with what it puts there, not with how much of it there is: one of another
 * version must end in a refusal and not in a fault. So sizes are checked against the descriptors,
 * which must be sealed against shrinking. An instance trusts less: the consumer pages are sealed
 * here once they are mapped, so that this mapping is the only way to change them. None of it is
 * there in a fork()ed child.
 */
#ifndef LIBXFQ_MAPPING_H
#define LIBXFQ_MAPPING_H

#include "apps/instance/protocol.h"
#include <stddef.h>

#define MAPPING_WORKERS_MAX (PROTOCOL_FDS_MAX - 2)

struct mapping_area {
	void *base; /* NULL: none */
	size_t len;
};

struct mapping {
	struct xfq_ring *rings; /* opened; one for each worker */
	uint32_t ring_cnt;
	struct mapping_area areas[PROTOCOL_FDS_MAX]; /* in the order of the descriptors */
};

/*
 * Map what a JOIN was answered with. The descriptors stay the caller's, and are not needed any more
 * afterwards. 0, and the caller owes a mapping_destroy(); or -errno with a sentence: -EPROTO:
 * numbers and descriptors contradict each other; -EPROTONOSUPPORT: rings of another layout;
 * -ENOMEM.
 */
int mapping_create(struct mapping *mapping, const struct protocol_joined *joined, const int *fds,
		   uint32_t fd_cnt, struct xfq_error *error);

/* Unmap all; safe on zeroed memory. */
void mapping_destroy(struct mapping *mapping);

/* As mapping_destroy() in a fork()ed child, where nothing is mapped: only frees. */
void mapping_forget(struct mapping *mapping);

#endif
