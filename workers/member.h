/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A member that is a thread of this process: it takes packets from its ring with every worker and
 * gives them to its sink. It uses the public consumer's side of the ring alone, as a member in
 * another process does.
 */
#ifndef WORKERS_MEMBER_H
#define WORKERS_MEMBER_H

#include "workers/shm.h"
#include "workers/sink.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>
#include <xfq/ring.h>

struct member {
	struct sink sink;
	struct xfq_ring *rings; /* one per worker; owned */
	uint32_t ring_cnt;
	struct shm cons_shm; /* a consumer page for each worker */
	int wake_fd;         /* eventfd; workers write it when the member sleeps */
	bool draining;       /* ends once its rings are empty; set by the wiring */
	bool started;
	pthread_t thread;
	char name[16]; /* of the thread */
};

/* Bytes from one consumer page to the next: a page each, so that they can be mapped singly. */
#define MEMBER_PAGE_BYTES 4096

/* Make pages and eventfd for `worker_cnt` rings, which the wiring then opens in member->rings.
 * 0 or -errno with a sentence. The caller owes a member_destroy(). */
int member_create(struct member *member, const char *name, uint32_t worker_cnt,
		  struct xfq_error *error);

/* The consumer page of the ring with worker `worker`. */
struct xfq_ring_cons *member_cons_page(const struct member *member, uint32_t worker);

/* Start its thread. 0 or -errno with a sentence. */
int member_start(struct member *member, struct xfq_error *error);

/* Let the thread consume what its rings hold, and wait for its end. The workers must have ended.
 * Nothing to do where it was not started. */
void member_finish(struct member *member);

/* Free everything; safe on zeroed memory. */
void member_destroy(struct member *member);

#endif
