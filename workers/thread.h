/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads of the engine: signals are the application's, none is delivered to them. */
#ifndef WORKERS_THREAD_H
#define WORKERS_THREAD_H

#include <pthread.h>

/* As pthread_create(), with every signal blocked in the new thread: 0 or -errno. `cpu` is where it
 * is pinned, an OS index; -1: nowhere. */
int thread_start(pthread_t *thread, int cpu, void *(*run)(void *), void *argument);

/* Give up every capability of the calling thread, and of no other, for good. */
void thread_drop_capabilities(void);

#endif
