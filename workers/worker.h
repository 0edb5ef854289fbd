/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker: one pinned thread that owns a UMEM and moves packets from its sources to the members.
 *
 *	burst of 64: receive -> classify -> steer -> publish -> wake -> reclaim -> refill
 *
 * The loop is in worker.c and does nothing else; who makes the pieces is engine.c.
 */
#ifndef WORKERS_WORKER_H
#define WORKERS_WORKER_H

#include "steering/fanout.h"
#include "workers/config.h"
#include "workers/port.h"
#include "workers/replay.h"
#include "workers/umem.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

enum worker_state {
	WORKER_RUN = 0,
	WORKER_DRAIN /* take what the sources still hold, then end */
};

/* The census as the worker last said it, whole: seq is odd while it is being written. */
struct worker_census {
	uint32_t seq;
	uint32_t free, kernel, held, worker, tx;
};

struct worker {
	uint32_t id;
	int32_t cpu;  /* OS index; -1: not pinned */
	int32_t node; /* NUMA node; -1: not known */
	enum config_idle idle;
	struct umem umem;
	struct port *ports; /* owned array */
	uint32_t port_cnt;
	struct replay *replay; /* the caller's; NULL: no capture file */
	struct fanout fanout;
	uint64_t hash_seed;
	int *wake_fds;           /* of each member, to wake it; -1: never sleeps; owned array */
	int event_fd;            /* eventfd: wakes the worker itself */
	int done_fd;             /* the caller's eventfd, written when the worker ends by itself */
	enum worker_state state; /* set by the wiring */
	bool ended;              /* its thread has nothing more to do */
	bool started;
	pthread_t thread;

	/* one writer, the worker; anyone reads */
	uint64_t received __attribute__((aligned(64)));
	uint64_t bytes;
	uint64_t sleeps;
	struct worker_census census;
};

/* Start the thread, pinned to worker->cpu where that is not -1. A CPU that may not be used is an
 * error. 0 or -errno with a sentence. */
int worker_start(struct worker *worker, struct xfq_error *error);

/* Let the worker take what its sources still hold, and wait for its end. After this all that it
 * owns may be read and changed by the caller. Nothing to do where it was not started. */
void worker_finish(struct worker *worker);

/* A census that adds up, as of the worker's last burst; any thread. */
void worker_census_read(const struct worker *worker, struct worker_census *census);

/* Publish the census; the worker's thread, or the wiring's once that has ended. */
void worker_census_write(struct worker *worker);

#endif
