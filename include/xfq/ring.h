/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring between one worker and one member: its layout in shared memory, and the consumer's side.
 *
 *	 producer mapping: the worker writes, the member maps it read-only
 *	+------------------+------------------+------------------------------+
 *	| header, constant | prod, losses     | desc[0] ... desc[slots - 1]  |
 *	+------------------+------------------+------------------------------+
 *	 0                  64                 128
 *	 consumer page: the member writes, the worker only reads
 *	+------------------+
 *	| cons   waiting   |
 *	+------------------+
 *
 * Life of a slot: the worker writes desc[prod & mask] and then publishes by a release store of
 * prod; the member peeks (acquire load of prod), reads descriptor and packet in place, and releases
 * by a release store of cons; the worker takes the frame back once it has seen cons pass the slot
 * (acquire load). Indices are free-running 32-bit counts; queued = prod - cons, modulo 2^32.
 *
 * The worker believes nothing here: it keeps which frame each slot holds in memory of its own and
 * checks that cons lies between what it reclaimed and what it published. A member can harm only
 * itself. A member never learns where a frame goes next; what it has released may change under it
 * at once, so a packet that is needed for longer is copied before the release.
 *
 * Threads: one consumer thread per ring.
 */
#ifndef XFQ_RING_H
#define XFQ_RING_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <xfq/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XFQ_RING_MAGIC     0x474e5258u /* "XRNG" in little-endian memory */
#define XFQ_RING_VERSION   3
#define XFQ_RING_SLOTS_MIN 64u
#define XFQ_RING_SLOTS_MAX 65536u
#define XFQ_CACHE_LINE     64

/* One packet. addr is a byte offset in the worker's UMEM, of the first byte of the packet; its
 * struct xfq_meta ends there. */
struct xfq_ring_desc {
	__u64 addr;
	__u32 len;  /* bytes captured, from addr on */
	__u32 mark; /* what the group's cases have set; 0: nothing */
};

/* The producer mapping. Writer: the worker. */
struct xfq_ring_prod {
	__u32 magic;    /* XFQ_RING_MAGIC */
	__u16 version;  /* XFQ_RING_VERSION */
	__u16 desc_len; /* sizeof(struct xfq_ring_desc) */
	__u32 slots;    /* N, a power of two, XFQ_RING_SLOTS_MIN to XFQ_RING_SLOTS_MAX */
	__u32 worker;   /* id of the worker whose UMEM the addresses count from */
	__u64 umem_len; /* bytes of that UMEM */
	__u64 reserved0[5];
	__u32 prod;       /* index of the next slot to be published */
	__u32 closed;     /* 1: nothing more will be published; set after the last prod */
	__u64 lost_ring;  /* packets lost because every slot was in use; for the member to know */
	__u64 lost_quota; /* because its share of the packet memory was in use */
	__u32 reserved1[10];
	struct xfq_ring_desc desc[];
};

/* The consumer page. Writer: the member. */
struct xfq_ring_cons {
	__u32 cons;    /* index of the first slot not yet released */
	__u32 waiting; /* 1: the member sleeps, and wants to be woken once when prod moves */
	__u32 reserved[14];
};

#ifndef __cplusplus
_Static_assert(sizeof(struct xfq_ring_desc) == 16, "descriptor is 16 bytes");
_Static_assert(offsetof(struct xfq_ring_prod, prod) == XFQ_CACHE_LINE, "prod has its own line");
_Static_assert(offsetof(struct xfq_ring_prod, desc) == 2 * XFQ_CACHE_LINE, "desc after it");
_Static_assert(sizeof(struct xfq_ring_cons) == XFQ_CACHE_LINE, "cons has its own line");
#endif

/* The consumer's view of a ring, private to its thread. */
struct xfq_ring {
	const struct xfq_ring_prod *shared;
	struct xfq_ring_cons *cons_page;
	const __u8 *umem;  /* base of the worker's UMEM in this process */
	__u32 mask;        /* slots - 1 */
	__u32 cons;        /* what this side has released */
	__u32 prod_cached; /* prod as last read */
};

/* Bytes of a producer mapping for a ring of `slots`. */
static inline size_t xfq_ring_prod_bytes(__u32 slots)
{
	return sizeof(struct xfq_ring_prod) + (size_t)slots * sizeof(struct xfq_ring_desc);
}

/*
 * Prepare a view over the two mappings of a ring and its worker's UMEM, all of which stay the
 * caller's and must outlive the view. Returns false, and touches nothing, where magic, version,
 * descriptor length or slots are not what this header describes, or `prod_bytes` is too small for
 * the slots.
 */
static inline bool xfq_ring_open(struct xfq_ring *ring, const struct xfq_ring_prod *shared,
				 size_t prod_bytes, struct xfq_ring_cons *cons_page,
				 const void *umem)
{
	if (prod_bytes < sizeof(*shared) || shared->magic != XFQ_RING_MAGIC ||
	    shared->version != XFQ_RING_VERSION ||
	    shared->desc_len != sizeof(struct xfq_ring_desc) ||
	    shared->slots < XFQ_RING_SLOTS_MIN || shared->slots > XFQ_RING_SLOTS_MAX ||
	    (shared->slots & (shared->slots - 1)) != 0 ||
	    prod_bytes < xfq_ring_prod_bytes(shared->slots))
		return false;
	ring->shared = shared;
	ring->cons_page = cons_page;
	ring->umem = (const __u8 *)umem;
	ring->mask = shared->slots - 1;
	ring->cons = __atomic_load_n(&cons_page->cons, __ATOMIC_RELAXED);
	ring->prod_cached = ring->cons;
	return true;
}

/* How many packets can be read now, at most `max`. Advances nothing: peeking again shows the same
 * packets. Their descriptors are xfq_ring_desc(ring, 0 ... n - 1). */
static inline __u32 xfq_ring_peek(struct xfq_ring *ring, __u32 max)
{
	__u32 ready = ring->prod_cached - ring->cons;

	if (ready < max) {
		/* pairs with the release store of prod in ring_publish() */
		ring->prod_cached = __atomic_load_n(&ring->shared->prod, __ATOMIC_ACQUIRE);
		ready = ring->prod_cached - ring->cons;
	}
	return ready < max ? ready : max;
}

/* The i-th packet after the last release, i below what xfq_ring_peek() answered. */
static inline const struct xfq_ring_desc *xfq_ring_desc(const struct xfq_ring *ring, __u32 i)
{
	return &ring->shared->desc[(ring->cons + i) & ring->mask];
}

/* First byte of a descriptor's packet. Valid until its release. */
static inline const __u8 *xfq_ring_packet(const struct xfq_ring *ring,
					  const struct xfq_ring_desc *desc)
{
	return ring->umem + desc->addr;
}

/* Metadata of a descriptor's packet. Valid until its release. */
static inline const struct xfq_meta *xfq_ring_meta(const struct xfq_ring *ring,
						   const struct xfq_ring_desc *desc)
{
	return (const struct xfq_meta *)(const void *)(ring->umem + desc->addr - XFQ_META_BYTES);
}

/* Give the first `cnt` peeked packets back, in order. After this they must not be read again. */
static inline void xfq_ring_release(struct xfq_ring *ring, __u32 cnt)
{
	ring->cons += cnt;
	/* pairs with the acquire load of cons in ring_reclaim() */
	__atomic_store_n(&ring->cons_page->cons, ring->cons, __ATOMIC_RELEASE);
}

/*
 * Say whether the member sleeps. Falling asleep is: set it on every ring, look at every ring with
 * xfq_ring_ready(), and sleep only if none has anything: either the member sees the worker's prod,
 * or the worker sees `waiting`.
 */
static inline void xfq_ring_set_waiting(struct xfq_ring *ring, __u32 waiting)
{
	/* pairs with the fence between ring_publish() and ring_wants_wake() */
	__atomic_store_n(&ring->cons_page->waiting, waiting, __ATOMIC_SEQ_CST);
}

/* Whether there is anything to peek, as of now. */
static inline bool xfq_ring_ready(const struct xfq_ring *ring)
{
	return __atomic_load_n(&ring->shared->prod, __ATOMIC_SEQ_CST) != ring->cons;
}

/* Whether the worker has ended and everything was read. */
static inline bool xfq_ring_ended(const struct xfq_ring *ring)
{
	/* pairs with the release store in ring_close(); prod is read after it */
	return __atomic_load_n(&ring->shared->closed, __ATOMIC_ACQUIRE) && !xfq_ring_ready(ring);
}

#ifdef __cplusplus
}
#endif
#endif
