/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's side of a ring to a member; include/xfq/ring.h shows the shared memory and the
 * member's side.
 *
 *	  reclaimed            cons (the member's)          prod
 *	------+-------------------+--------------------------+-----> index
 *	      | read, to be       | published, the member    | room, up to
 *	      | taken back        | may be reading           | reclaimed + quota
 *
 * frames[] says which frame each slot holds. It is private, so that a member which scribbles over
 * what it can write can at most give its own slots back too early or too late.
 *
 * Thread: the worker's only.
 */
#ifndef STEERING_RING_H
#define STEERING_RING_H

#include "steering/frame.h"
#include <errno.h>
#include <stdbool.h>
#include <xfq/ring.h>

struct ring {
	struct xfq_ring_prod *shared;
	const struct xfq_ring_cons *cons_page; /* NULL: detached, takes nothing */
	uint32_t *frames;                      /* of each slot */
	uint32_t mask;
	uint32_t quota; /* slots that may be in use at once, at most the ring's */
	uint32_t prod;
	uint32_t reclaimed;
	uint32_t woken_at; /* prod when the member was last woken */
	uint32_t refused;  /* the cons that ring_reclaim() refused */
	bool woken;
};

/*
 * Build a ring in shared memory of xfq_ring_prod_bytes(slots), aligned to a cache line, and a
 * zeroed consumer page. All memory stays the caller's; `frames` holds `slots` elements. `quota` is
 * 1 to slots. Returns 0, or -EINVAL where slots is no power of two between XFQ_RING_SLOTS_MIN and
 * _MAX or the quota is out of range.
 */
static inline int ring_init(struct ring *ring, struct xfq_ring_prod *shared,
			    const struct xfq_ring_cons *cons_page, uint32_t *frames, uint32_t slots,
			    uint32_t quota, uint32_t worker, uint64_t umem_len)
{
	if (slots < XFQ_RING_SLOTS_MIN || slots > XFQ_RING_SLOTS_MAX ||
	    (slots & (slots - 1)) != 0 || quota == 0 || quota > slots)
		return -EINVAL;
	*ring = (struct ring){
		.shared = shared,
		.cons_page = cons_page,
		.frames = frames,
		.mask = slots - 1,
		.quota = quota,
	};
	shared->magic = XFQ_RING_MAGIC;
	shared->version = XFQ_RING_VERSION;
	shared->desc_len = sizeof(struct xfq_ring_desc);
	shared->slots = slots;
	shared->worker = worker;
	shared->umem_len = umem_len;
	__atomic_store_n(&shared->prod, 0, __ATOMIC_RELAXED);
	return 0;
}

/* Slots in use: published and not yet taken back. */
static inline uint32_t ring_used(const struct ring *ring)
{
	return ring->prod - ring->reclaimed;
}

/* Slots that may be written now. */
static inline uint32_t ring_room(const struct ring *ring)
{
	uint32_t used = ring_used(ring);

	/* a quota that was lowered may be below what is in use */
	return ring->cons_page && used < ring->quota ? ring->quota - used : 0;
}

/* How many slots from an index on lie side by side. */
static inline uint32_t ring_straight(const struct ring *ring, uint32_t index)
{
	return ring->mask + 1 - (index & ring->mask);
}

/* Write a slot, of those that ring_room() counts. Not yet visible. */
static inline void ring_write_slot(struct ring *ring, size_t slot, uint32_t frame, uint64_t addr,
				   uint32_t len, uint32_t mark)
{
	struct xfq_ring_desc *desc = &ring->shared->desc[slot];

	ring->frames[slot] = frame;
	desc->addr = addr;
	desc->len = len;
	desc->mark = mark;
}

/* Write the i-th slot after what is published; i below ring_room(). Not yet visible. */
static inline void ring_write(struct ring *ring, uint32_t i, uint32_t frame, uint64_t addr,
			      uint32_t len)
{
	ring_write_slot(ring, (ring->prod + i) & ring->mask, frame, addr, len, 0);
}

/* Make the first `cnt` written slots visible to the member. */
static inline void ring_publish(struct ring *ring, uint32_t cnt)
{
	ring->prod += cnt;
	/* pairs with the acquire load of prod in xfq_ring_peek() */
	__atomic_store_n(&ring->shared->prod, ring->prod, __ATOMIC_RELEASE);
}

/* Take back every slot up to `cons`, whoever said so. */
static inline void ring_reclaim_to(struct ring *ring, uint32_t cons, struct frame_table *table)
{
	uint32_t slot = ring->reclaimed & ring->mask, cnt = cons - ring->reclaimed;
	uint32_t straight = ring_straight(ring, ring->reclaimed);

	if (__builtin_expect(cnt > straight, 0)) {
		frame_drop(table, ring->frames + slot, straight);
		slot = 0;
		cnt -= straight;
	}
	frame_drop(table, ring->frames + slot, cnt);
	ring->reclaimed = cons;
}

/*
 * Take back what the member has released. Returns 0, or -EPROTO where its cons does not lie between
 * what was reclaimed and what was published: the member is faulty and to be detached.
 */
static inline int ring_reclaim(struct ring *ring, struct frame_table *table)
{
	uint32_t cons;

	if (!ring->cons_page)
		return 0;
	/* pairs with the release store of cons in xfq_ring_release() */
	cons = __atomic_load_n(&ring->cons_page->cons, __ATOMIC_ACQUIRE);
	if (cons - ring->reclaimed > ring->prod - ring->reclaimed) {
		ring->refused = cons;
		return -EPROTO;
	}
	ring_reclaim_to(ring, cons, table);
	return 0;
}

/* Tell the member that nothing more comes; what it has may still be read. */
static inline void ring_close(struct ring *ring)
{
	/* pairs with the acquire load of closed in xfq_ring_ended() */
	__atomic_store_n(&ring->shared->closed, 1, __ATOMIC_RELEASE);
}

/* The member is gone or faulty: all its slots come back, and it is given nothing more. */
static inline void ring_detach(struct ring *ring, struct frame_table *table)
{
	ring_reclaim_to(ring, ring->prod, table);
	ring->cons_page = NULL;
}

/*
 * Whether the member sleeps and is to be woken now; asked after a publish, with a full fence in
 * between (the member stores `waiting` and then looks at prod; one of the two sees the other). A
 * member that was woken has released all that it was woken for before it sleeps again; until then
 * it is not woken a second time, so that one that always claims to sleep costs no system call a
 * burst.
 */
static inline bool ring_wants_wake(struct ring *ring)
{
	uint32_t cons;

	/* pairs with the member's store of `waiting`, which comes after all that it has released */
	if (!ring->cons_page || !__atomic_load_n(&ring->cons_page->waiting, __ATOMIC_ACQUIRE)) {
		ring->woken = false;
		return false;
	}
	/* not `reclaimed`: the member may have released all and slept again since that was read */
	cons = __atomic_load_n(&ring->cons_page->cons, __ATOMIC_RELAXED);
	if (ring->woken && ring->prod - ring->woken_at < ring->prod - cons)
		return false;
	ring->woken = true;
	ring->woken_at = ring->prod;
	return true;
}

#endif
