/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that can be shared with other processes: a memfd and the owner's mapping of it.
 *
 * A region whose others may only read is sealed after the owner has mapped it: from then on its
 * descriptor cannot be mapped writable, written, or reopened for that, by anybody
 * (F_SEAL_FUTURE_WRITE, fcntl(2)); the owner's mapping goes on working. All regions are sealed
 * against changes of their size, and of no mode that another user could reopen them by.
 *
 * A region that another process writes is sealed in the same way by that process, once it has
 * mapped it. Without that it could take pages out of the region (fallocate(2),
 * FALLOC_FL_PUNCH_HOLE): whoever reads there meanwhile waits until that is done, for as long as the
 * other process likes.
 */
#ifndef WORKERS_SHM_H
#define WORKERS_SHM_H

#include <stdbool.h>
#include <stddef.h>
#include <xfq/error.h>

struct shm {
	void *base; /* page-aligned, zeroed at first */
	size_t len; /* bytes, whole pages */
	int fd;     /* -1: closed */
	bool huge;  /* lies in huge pages */
};

enum shm_flags {
	SHM_READ_ONLY = 1, /* whoever else maps it may only read */
	SHM_HUGE = 2,      /* in huge pages if there are any free, else in ordinary ones */
	SHM_LENT = 4       /* another process writes it, and is to seal it: shm_is_sealed() */
};

/*
 * Make a region of at least `len` bytes; `name` shows in /proc/PID/maps. 0, or -errno with a
 * sentence. The caller owes a shm_destroy().
 */
int shm_create(struct shm *shm, const char *name, size_t len, int flags, struct xfq_error *error);

/* Have all of it in memory, and in the page tables of this process: from then on nobody here waits
 * for a page of it, or ends for want of one. 0 or -errno. */
int shm_populate(const struct shm *shm);

/* Whether nothing but the mappings that there are can change it any more, for good; its descriptor
 * is open. Waits for nobody. */
bool shm_is_sealed(const struct shm *shm);

/* Close the descriptor and keep the mapping: nobody else is to get the region any more. */
void shm_close(struct shm *shm);

/* Unmap and close; safe on zeroed memory. Mappings of other processes stay. */
void shm_destroy(struct shm *shm);

#endif
