/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Keys and values of the maps that hold sets; BPF and user space. Why they are as they are:
 * docs/decisions/set-by-levels.md.
 *
 * Prefixes, and addresses as prefixes of full length: a prefix of `len` bits belongs to the level
 * above, a multiple of 8. All prefixes of one level that have their first level - 8 bits in common
 * are one node: 256 bits, one for each value of the next 8, set where a prefix covers it.
 *
 *	IPv4    level 8, 16 -- block.whole \  one array, by the upper 16 bits of the address
 *	        level 24 ----- block.full  /
 *	        level 32 ----- nodes, by the upper 24 bits, where block.more says that there is one
 *	IPv6    every level -- nodes, by the upper bits; `filter` says of which levels there may be
 *	                       one for an address, so that the others need no look-up
 *
 * Where members count or expire, each is an entry of a hash table besides, which is asked once a
 * node says yes: the longest prefix first, by the lengths that there are.
 */
#ifndef XDP_SETMAP_ABI_H
#define XDP_SETMAP_ABI_H

#include "steering/flow.h"
#include "xdp/flow_key.h"
#include <linux/types.h>

/* What is known of a member that is an entry of its own. */
struct setmap_value {
	__u64 expires_ns; /* ~0: never; 0: no member */
	__u64 hits;       /* packets, where the set counts them */
};

#define SETMAP_FOREVER (~0ULL)

/* 256 bits, one for each value of a byte. */
struct setmap_bits {
	__u64 words[4];
};

#define SETMAP_BLOCKS 65536

struct setmap_block {
	__u64 whole;             /* 1: all of these addresses are in the set */
	struct setmap_bits full; /* by the third byte: all addresses are in the set */
	struct setmap_bits more; /* by the third byte: nodes may have some of them */
};

/* A node of IPv6: the upper level - 8 bits, in host byte order; the level in the lowest 8 bits. */
struct setmap_node6 {
	__u64 high, low;
};

/* Places of the filter, in an array of lines of the size of a cache line. A place has bit
 * level / 8 - 1 set where a node of that level may be in question:
 *	the place of a node (setmap_node6)    its level
 *	the places of the upper 32, 48 and    the levels beyond these bits that there are below
 *	64 bits of an address (setmap_index6) them
 */
#define SETMAP_LINE_PLACES 32
struct setmap_line {
	__u16 levels[SETMAP_LINE_PLACES];
};

/* A prefix that is an entry of its own. */
struct setmap_net {
	__u32 addr[4]; /* network byte order */
	__u32 len;     /* SETMAP_V6 besides: IPv6 */
};
#define SETMAP_V6 0x100

/* An Ethernet address: byte 0 in the lowest 8 bits, and so on. */
typedef __u64 setmap_mac;

#define SETMAP_HITS    1 /* members are counted */
#define SETMAP_ENTRIES 2 /* prefixes are entries besides */

/* What is known of a set as a whole. */
struct setmap_info {
	__u32 flags;      /* SETMAP_* */
	__u32 line_mask;  /* lines of the filter - 1; a power of two is their number */
	__u64 levels6;    /* levels up to 32 that IPv6 has, as in the filter */
	__u64 lengths[5]; /* bit n: there are prefixes of n bits: [0] IPv4, [1] to [3] IPv6 */
};

/* Two sides, of which one is looked at: a set of several maps is replaced at once by building its
 * maps on the other side. Side s of set i is slot 2 * i + s of the arrays of maps. */
struct setmap_head {
	__u64 side;
	struct setmap_info sides[2];
};

#define SETMAP_SLOTS_MAX (2 * XDP_SETS_MAX)

/* Where the filter notes a node, or the upper bits of an address. */
PARSE_INLINE __u32 setmap_filter_hash(__u64 high, __u64 low)
{
	__u64 x = (high ^ (low << 32 | low >> 32)) * 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 32) ^ low) * 0xbf58476d1ce4e5b9ULL;
	return (__u32)(x >> 32);
}

/* Index `i`: the upper 32, 48 or 64 bits of an address, noted at (this, i), which is no node. */
#define SETMAP_INDEXES       3
#define SETMAP_INDEX_BITS(i) (32 + 16 * (i))
/* The levels beyond those bits, as the filter has them. */
#define SETMAP_INDEX_LEVELS(i) ((0xffffu << (4 + 2 * (i))) & 0xffff)
PARSE_INLINE __u64 setmap_index6(__u64 high, __u32 i)
{
	return high >> (32 - 16 * i) << (32 - 16 * i);
}

/* The node of level `level`, 8 to 128, that an address belongs to. */
PARSE_INLINE struct setmap_node6 setmap_node6(__u64 high, __u64 low, __u32 level)
{
	struct setmap_node6 node = {0, level};

	if (level <= 64) {
		/* 56 down to 0 bits; shifted in two steps, as 64 at once is not defined */
		if (level > 8)
			node.high = high >> (72 - level) << (72 - level);
		return node;
	}
	node.high = high;
	if (level > 72)
		node.low |= low >> (136 - level) << (136 - level);
	return node;
}

/* The 8 bits of an address that choose one of a node's. */
PARSE_INLINE __u32 setmap_octet6(__u64 high, __u64 low, __u32 level)
{
	return (__u32)((level <= 64 ? high >> (64 - level) : low >> (128 - level)) & 0xff);
}

PARSE_INLINE bool setmap_bit(const struct setmap_bits *bits, __u32 octet)
{
	return bits->words[(octet >> 6) & 3] >> (octet & 63) & 1;
}

_Static_assert(sizeof(struct setmap_block) == 72, "a block has no holes");
_Static_assert(sizeof(struct setmap_net) == 20, "a key has no holes");
_Static_assert(sizeof(struct setmap_info) == 56, "an info has no holes");

#endif
