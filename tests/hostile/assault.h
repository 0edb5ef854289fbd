/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attempts to change memory that a member may only read, one after the other, each in a child of
 * its own, so that it may crash or hang; and what the owner sees of each: the same bytes through a
 * read-only mapping, compared with what was there before. Nobody else may change them meanwhile.
 */
#ifndef HOSTILE_ASSAULT_H
#define HOSTILE_ASSAULT_H

#include "tests/hostile/seat.h"
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ASSAULT_ABSENT 1 /* the system has nothing of the kind */

/* What is attacked. */
struct assault {
	const char *what;
	int fd;        /* as the instance gave it */
	uint8_t *base; /* a read-only mapping of all of it */
	size_t len;
	size_t at; /* of a page that is not all zeros */
	size_t page;
	pid_t instance; /* 0: not known */
	bool root;
};

/* 0: nobody objected; -errno: refused; ASSAULT_ABSENT. */
typedef int assault_attempt(const struct assault *assault, int argument);

struct assault_way {
	const char *name; /* NULL: the end of a list */
	assault_attempt *attempt;
	int argument;
	bool grant; /* that nobody objects is a breach already */
};

extern const struct assault_way assault_file_ways[];   /* through descriptors */
extern const struct assault_way assault_memory_ways[]; /* through mappings */
extern const struct assault_way assault_kernel_ways[]; /* having the kernel do it */

/* Upon the instance's process. Root may all of these, and the instance would suffer. */
extern const struct assault_way assault_process_ways[];

/* Try everything on all memory of the seat, and print a line for each. Returns the number of those
 * that changed something. */
int assault_all(const struct seat *seat, pid_t instance);

/* The same on a file of one's own that may be written: attempts that change nothing there would be
 * no test. Returns how many did. */
int assault_self(void);

/* Store what is not there into a byte. */
static inline void assault_poke(uint8_t *byte)
{
	__atomic_store_n(byte, (uint8_t) ~*byte, __ATOMIC_RELAXED);
}

/* What a system call has answered. */
static inline int assault_result(long value)
{
	return value < 0 ? -errno : 0;
}

/* Try to write through a descriptor: by write() and by a mapping. */
int assault_use(const struct assault *assault, int fd);

#endif
