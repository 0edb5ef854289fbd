/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters with one writer: the thread that owns them adds, any other thread may read. No atomic
 * read-modify-write, and no torn value.
 */
#ifndef STEERING_COUNTER_H
#define STEERING_COUNTER_H

#include <stdint.h>

/* Add; the owning thread only. */
static inline void counter_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Read; any thread. */
static inline uint64_t counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
