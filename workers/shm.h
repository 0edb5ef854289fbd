/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that can be shared with other processes: a memfd and the owner's mapping of it.
 *
 * A region whose others may only read is sealed after the owner has mapped it: from then on its
 * descriptor cannot be mapped writable, written, or reopened for that, by anybody
 * (F_SEAL_FUTURE_WRITE, fcntl(2)); the owner's mapping goes on working.
 */
#ifndef WORKERS_SHM_H
#define WORKERS_SHM_H

#include <stdbool.h>
#include <stddef.h>
#include <xfq/error.h>

struct shm {
	void *base; /* page-aligned, zeroed at first */
	size_t len; /* bytes, whole pages */
	int fd;
	bool huge; /* lies in huge pages */
};

enum shm_flags {
	SHM_READ_ONLY = 1, /* whoever else maps it may only read */
	SHM_HUGE = 2       /* in huge pages if there are any free, else in ordinary ones */
};

/*
 * Make a region of at least `len` bytes; `name` shows in /proc/PID/maps. 0, or -errno with a
 * sentence. The caller owes a shm_destroy().
 */
int shm_create(struct shm *shm, const char *name, size_t len, int flags, struct xfq_error *error);

/* Unmap and close; safe on zeroed memory. Mappings of other processes stay. */
void shm_destroy(struct shm *shm);

#endif
