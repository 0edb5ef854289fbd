/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread of a built-in member: it takes packets from the member's ring with every worker and
 * gives them to a sink. It uses the public consumer's side of the ring alone, as a member in
 * another process does.
 */
#ifndef WORKERS_CONSUMER_H
#define WORKERS_CONSUMER_H

#include "workers/sink.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>
#include <xfq/ring.h>

struct consumer {
	struct sink sink;
	struct xfq_ring *rings; /* the caller's, one per worker */
	uint32_t ring_cnt;
	int wake_fd;   /* the caller's: a socket; a message wakes */
	bool draining; /* ends once its rings are empty */
	bool started;
	bool bare; /* the thread gives up all capabilities */
	pthread_t thread;
	char name[16]; /* of the thread */
};

/* Start the thread; rings, ring_cnt, wake_fd, sink and name are set. 0 or -errno with a sentence.
 */
int consumer_start(struct consumer *consumer, struct xfq_error *error);

/* Let the thread consume what its rings hold, and wait for its end. The workers must have ended, or
 * detached the member. `waker` is the other end of wake_fd. Nothing to do where it was not started.
 */
void consumer_finish(struct consumer *consumer, int waker);

#endif
