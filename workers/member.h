/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A member of a group as the instance knows it: who it is, and the memory of its rings with all
 * workers.
 *
 *	rings  ring with worker 0 | ring with worker 1 | ...	the workers write, the member reads
 *	cons   page for worker 0  | page for worker 1  | ...	the member writes, the workers read
 *	frames which frame each slot holds: private to each worker
 *
 * Rings and consumer pages lie in memfds of their own, each ring and each page at a page boundary,
 * so that a member in another process can be given them, and nothing else.
 *
 * Thread: the wiring's. While a worker has the outlet attached, ring memory is the worker's.
 */
#ifndef WORKERS_MEMBER_H
#define WORKERS_MEMBER_H

#include "steering/fanout.h"
#include "workers/shm.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <xfq/error.h>
#include <xfq/ring.h>

enum member_kind {
	MEMBER_FREE = 0, /* nobody */
	MEMBER_JOINING,  /* has asked and has its memory, but no packets yet */
	MEMBER_CALLBACK, /* called in the worker; no rings */
	MEMBER_THREAD,   /* a built-in consumer's thread */
	MEMBER_JOINED    /* through the control socket: another process, or this one */
};

struct member {
	enum member_kind kind;
	uint32_t group; /* place of its group */
	uint32_t id;    /* in its group; not used again */
	uint16_t weight;
	uint32_t classes; /* a bit for each class of its group that it is of */
	bool stand_in;    /* has the group's packets only while no application has joined it */
	bool faulty;      /* a worker has detached it; the wiring knows */
	bool withheld;    /* is not on the roster: a reload will put it there, or takes it out */
	uint32_t ring_slots, quota;
	uint32_t worker_cnt;
	struct shm rings, cons;
	uint32_t *frames; /* worker_cnt * ring_slots; owned */
	int wake_fd;      /* a socket: a message without waiting wakes the member; -1: none */
	int32_t pid;      /* of a joined one; 0: not known */
	uint32_t uid;
	char process[16]; /* what it calls itself */
};

/* What member_create() makes rings from. */
struct member_ring_options {
	uint32_t slots; /* power of two */
	uint32_t quota;
	uint32_t worker_cnt;
	const uint64_t *umem_bytes; /* of each worker */
};

/*
 * Make the rings of a member whose other fields the caller has set, and in `outlets`, one for each
 * worker, the outlets to attach. All their memory is there then: workers do not wait for it. 0 or
 * -errno with a sentence, and then nothing is left.
 */
int member_make_rings(struct member *member, const struct member_ring_options *options,
		      struct outlet *outlets, struct xfq_error *error);

/* The same outlets once more, where nothing has come through them yet. */
void member_outlets(const struct member *member, const uint64_t *umem_bytes,
		    struct outlet *outlets);

/* Bytes from the ring with one worker to that with the next, and from one consumer page to the
 * next. */
size_t member_ring_stride(uint32_t slots);
size_t member_cons_stride(void);

/* The member's view of its ring with a worker, for a member in this process. */
bool member_view(const struct member *member, uint32_t worker, const void *umem,
		 struct xfq_ring *ring);

/* Free everything and make it MEMBER_FREE; no worker may have its outlet. Safe on zeroed memory. */
void member_destroy(struct member *member);

#endif
