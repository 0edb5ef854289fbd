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

#include "steering/classify.h"
#include "steering/fanout.h"
#include "workers/config.h"
#include "workers/port.h"
#include "workers/replay.h"
#include "workers/umem.h"
#include "workers/waker.h"
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

/* What becomes of the policy; see fanout_set_policy(). */
enum worker_policy {
	WORKER_POLICY_KEEP = 0,
	WORKER_POLICY_SET,     /* another one, and the one there was for what was judged before */
	WORKER_POLICY_RESTORE, /* back to that: the reload came to nothing */
	WORKER_POLICY_SETTLE   /* the one of before is needed no more. That change is made once all
				* is handed out that the ports have when it is posted */
};

/*
 * A change of members, of the policy or of its data, made by a worker between two bursts: all of
 * it, or nothing yet. First the detaching, then the attaching, the roster, the quotas, the policy,
 * then data and classes.
 */
struct worker_change {
	enum worker_policy policy_change;
	const struct policy *policy;       /* of WORKER_POLICY_SET */
	const struct policy_state *states; /* of it, by worker */
	struct tunnels *const *tunnels; /* and room for inner packets, by worker, where it has none;
					 * NULL: it has, or needs none. The worker's from then on */
	const struct rosters *const *rosters; /* and of groups whose classes are others by it, by
					       * place, NULL: as they were */
	const struct policy_data *data;       /* from now on; NULL: as it was */
	const struct filter *filter;  /* of a capture file's first pass, from WORKER_POLICY_SET on;
				       * of ports, from WORKER_POLICY_SETTLE on */
	const uint32_t *quotas;       /* of all outlets, 0: as it was; NULL: all as they were */
	uint32_t hush;                /* outlet whose member is woken no more; FANOUT_NONE: none */
	uint32_t close;               /* outlet whose member sees that nothing more comes */
	uint32_t detach;              /* outlet; FANOUT_NONE: none */
	uint32_t attach;              /* outlet; FANOUT_NONE: none */
	const struct outlet *outlet;  /* of attach; copied */
	int wake_fd;                  /* of attach: where a message wakes the member; -1: never */
	uint32_t group;               /* its place */
	const struct rosters *roster; /* of `group` from now on; NULL: as they were */
	bool begin;                   /* `group` is new there */
};

/* A change of nothing. */
static inline struct worker_change worker_no_change(void)
{
	return (struct worker_change){.detach = FANOUT_NONE,
				      .attach = FANOUT_NONE,
				      .hush = FANOUT_NONE,
				      .close = FANOUT_NONE,
				      .wake_fd = -1};
}

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
	struct classify classify; /* of the fan-out */
	uint64_t hash_seed;
	struct waker waker;      /* of the members of all outlets */
	int event_fd;            /* eventfd: wakes the worker itself */
	int changed_fd;          /* eventfd: the worker has made a change */
	int notice_fd;           /* the caller's eventfd, written when the worker has read its file,
				  * and when it has detached a faulty member */
	enum worker_state state; /* set by the wiring */
	const struct worker_change *change; /* posted by the wiring, taken by the worker */
	bool ended;                         /* the file was read; changes are still made */
	bool started;
	bool bare; /* its thread gives up all capabilities */
	pthread_t thread;

	uint64_t faulty_told;                   /* of fanout.faulty, what the wiring was told of */
	bool settling;                          /* WORKER_POLICY_SETTLE was posted */
	uint32_t unsettled[XDP_INTERFACES_MAX]; /* by port: packets that may still be of before */

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

/*
 * Post a change, and wait until it is made. Post it to all workers first, and then wait for each,
 * so that they make it at nearly the same time. Where the thread does not run, posting makes it.
 * The change is the caller's, and must stay until it is made.
 */
void worker_post(struct worker *worker, const struct worker_change *change);
void worker_await(struct worker *worker);

/* A census that adds up, as of the worker's last burst; any thread. */
void worker_census_read(const struct worker *worker, struct worker_census *census);

/* Publish the census; the worker's thread, or the wiring's once that has ended. */
void worker_census_write(struct worker *worker);

#endif
