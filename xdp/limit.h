/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Rate limits: one algorithm for the programs in the kernel and for user space.
 *
 * The generic cell rate algorithm (ITU-T I.371, annex A), which is a bucket of tokens whose whole
 * state is one number: the time at which the bucket will be full again. A packet moves it on by
 * what it costs; it is within the rate if the bucket then lacks no more than it holds:
 *
 *	        now            full'
 *	---------+----------------+------------+----> time
 *	         <--- missing ---->            |
 *	         <-------- allowance --------->
 *
 * Times are counted in parts of a nanosecond, so that the interval of a high rate is not rounded
 * to a whole number of them, in 64 bits that wrap every 2 years; compared are differences. A bucket
 * that seems to be filled later than any packet can have moved it (it was not used for so long that
 * its time wrapped, or the clock was set) counts as full.
 */
#ifndef XDP_LIMIT_H
#define XDP_LIMIT_H

#include "xdp/flow_key.h"
#include "xdp/xdp_abi.h"

#define LIMIT_TIME_BITS 8  /* parts of a nanosecond, as a power of two */
#define LIMIT_COST_BITS 32 /* the same in xdp_limit.cost */

/* Most that a bucket may hold: 104 days, far from where times wrap. */
#define LIMIT_ALLOWANCE_MAX (1ULL << 61)

/* How much older than the one before the time of a packet may be: clocks of CPUs, and packets of a
 * capture file, are not quite in order. 1 minute. */
#define LIMIT_DISORDER (60000000000ULL << LIMIT_TIME_BITS)

/* enum filter_per, where filter.h cannot be included */
enum limit_per { LIMIT_PER_ALL = 0, LIMIT_PER_SRC, LIMIT_PER_DST, LIMIT_PER_FLOW };

/* What a packet costs; `wire_len` below 2^24. */
PARSE_INLINE __u64 limit_cost(const struct xdp_limit *limit, __u32 wire_len)
{
	const __u32 shift = LIMIT_COST_BITS - LIMIT_TIME_BITS;
	__u64 units = limit->bytes ? wire_len & 0xffffff : 1;
	__u64 low = limit->cost & ((1ULL << shift) - 1);

	return units * (limit->cost >> shift) + ((units * low + (1ULL << (shift - 1))) >> shift);
}

/*
 * Whether a packet that costs `cost` at `now` (LIMIT_TIME_BITS) is beyond the rate; if it is not,
 * *full becomes the bucket's new state. A bucket that was never used is full at `now`.
 */
PARSE_INLINE bool limit_step(__u64 *full, __u64 now, __u64 cost, __u64 allowance)
{
	__u64 missing = *full - now;

	/* full already, or not to be believed */
	if (missing > allowance + LIMIT_DISORDER)
		missing = 0;
	if (missing + cost > allowance)
		return true;
	*full = now + missing + cost;
	return false;
}

/* Whose bucket a packet takes from; packets that have no such thing share one of all 0. */
PARSE_INLINE void limit_key(struct xdp_flow_key *key, __u32 per, const struct xfq_meta *meta,
			    const struct parse_key *from)
{
	if (per == LIMIT_PER_FLOW) {
		flow_key_make(key, meta, from);
		return;
	}
	__builtin_memset(key, 0, sizeof(*key));
	if (per == LIMIT_PER_ALL || !meta->l3_off)
		return;
	key->ip = meta->flags & XFQ_META_IPV6 ? 6 : 4;
	for (int i = 0; i < 4; i++)
		key->addr[0][i] = per == LIMIT_PER_SRC ? from->src[i] : from->dst[i];
}

#endif
