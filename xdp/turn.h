/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A packet turned around, for the way back out of its port: BPF and user space. Swapping the two
 * ends leaves every checksum right, as sums do not know an order.
 */
#ifndef XDP_TURN_H
#define XDP_TURN_H

#include "xdp/xdp_abi.h"

#define TURN_WORD(p) (*(__u16 *)(void *)(p))

/* Swap the `words` 16-bit words at `at` with those that come `distance` bytes later; where not all
 * of them lie in the packet nothing is done. */
PARSE_INLINE void turn_words(unsigned char *data, const unsigned char *end, __u32 at,
			     __u32 distance, __u32 words)
{
	/* no header is beyond that: for the verifier, who also wants to see the very comparison of
	 * pointers */
	unsigned char *p = data + (at & PARSE_OFF_MAX);

	if (p + distance + 2 * words > end)
		return;
#ifdef __clang__
#pragma clang loop unroll(full)
#endif
	for (__u32 i = 0; i < words; i++) {
		__u16 word = TURN_WORD(p + 2 * i);

		TURN_WORD(p + 2 * i) = TURN_WORD(p + distance + 2 * i);
		TURN_WORD(p + distance + 2 * i) = word;
	}
}

/* Swap what `swap` (XDP_SWAP_*) says in the packet at [data, end); what it does not have is left.
 * Words are aligned as in a packet that begins at an even address. */
PARSE_INLINE void turn_packet(void *data, void *end, const struct xdp_judged *judged, __u8 swap)
{
	unsigned char *p = (unsigned char *)data;
	const struct xfq_meta *meta = &judged->meta;

	if (swap & XDP_SWAP_MAC)
		turn_words(p, (unsigned char *)end, 0, 6, 3);
	if ((swap & XDP_SWAP_ADDRESSES) && (meta->flags & XFQ_META_IPV4))
		turn_words(p, (unsigned char *)end, meta->l3_off + 12U, 4, 2);
	if ((swap & XDP_SWAP_ADDRESSES) && (meta->flags & XFQ_META_IPV6))
		turn_words(p, (unsigned char *)end, meta->l3_off + 8U, 16, 8);
	if ((swap & XDP_SWAP_PORTS) && (meta->flags & XFQ_META_PORTS))
		turn_words(p, (unsigned char *)end, meta->l4_off, 2, 1);
}

#endif
