/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The named sets in the kernel: their maps, and the functions that look a packet up in them.
 *
 * What a set has of each kind of map is in the slot of its side (setmap_abi.h); an empty slot holds
 * nothing. A function reads the side once, so that a packet sees the set before it was replaced, or
 * after.
 */
#ifndef XDP_SET_BPF_H
#define XDP_SET_BPF_H

#include <bpf/bpf_endian.h>

#include "xdp/judged.bpf.h"
#include "xdp/setmap_abi.h"

struct set_blocks4 {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SETMAP_BLOCKS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct setmap_block));
};

struct set_nodes4 {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct setmap_bits));
};

struct set_filter6 {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct setmap_line));
};

struct set_nodes6 {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct setmap_node6));
	__uint(value_size, sizeof(struct setmap_bits));
};

struct set_entries {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct setmap_net));
	__uint(value_size, sizeof(struct setmap_value));
};

struct set_ports {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 65536);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct setmap_value));
};

struct set_flows {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct xdp_flow_key));
	__uint(value_size, sizeof(struct setmap_value));
};

struct set_macs {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(setmap_mac));
	__uint(value_size, sizeof(struct setmap_value));
};

#define SET_MAPS(kind)                                                                             \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                          \
		__uint(max_entries, SETMAP_SLOTS_MAX);                                             \
		__type(key, __u32);                                                                \
		__array(values, struct kind);                                                      \
	}

SET_MAPS(set_blocks4) sets_blocks4 SEC(".maps");
SET_MAPS(set_nodes4) sets_nodes4 SEC(".maps");
SET_MAPS(set_filter6) sets_filter6 SEC(".maps");
SET_MAPS(set_nodes6) sets_nodes6 SEC(".maps");
SET_MAPS(set_entries) sets_entries SEC(".maps");
SET_MAPS(set_ports) sets_ports SEC(".maps");
SET_MAPS(set_flows) sets_flows SEC(".maps");
SET_MAPS(set_macs) sets_macs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XDP_SETS_MAX);
	__type(key, __u32);
	__type(value, struct setmap_head);
} set_heads SEC(".maps");

/* An argument that is not used, which the compiler is not to know: callers would not pass it then,
 * and the verifier wants to see it. */
#define SET_KEEP(argument) asm volatile("" : : "r"(argument))

static __always_inline __u64 set_now(struct xdp_judged *judged)
{
	if (!judged->now_ns)
		judged->now_ns = judged_clock();
	return judged->now_ns;
}

/* Whether an entry is a member now; it is counted then. */
static __always_inline bool set_counts(struct setmap_value *value, __u32 flags,
				       struct xdp_judged *judged)
{
	/* read again rather than kept while the clock is asked: stack is scarce */
	const volatile __u64 *expires_ns = &value->expires_ns;

	if (*expires_ns != SETMAP_FOREVER && set_now(judged) >= *expires_ns)
		return false;
	if (flags & SETMAP_HITS)
		__sync_fetch_and_add(&value->hits, 1);
	return true;
}

/* --- prefixes --------------------------------------------------------------------------------- */

static __always_inline bool set_covers4(__u32 slot, __u32 addr)
{
	void *map = bpf_map_lookup_elem(&sets_blocks4, &slot);
	__u32 host = bpf_ntohl(addr), upper = host >> 16, octet = host >> 8 & 0xff;
	const struct setmap_block *block;
	const struct setmap_bits *node;

	if (!map)
		return false;
	block = bpf_map_lookup_elem(map, &upper);
	if (!block)
		return false;
	if (block->whole || setmap_bit(&block->full, octet))
		return true;
	if (!setmap_bit(&block->more, octet))
		return false;
	map = bpf_map_lookup_elem(&sets_nodes4, &slot);
	if (!map)
		return false;
	upper = host >> 8;
	node = bpf_map_lookup_elem(map, &upper);
	return node && setmap_bit(node, host & 0xff);
}

/* An address of a packet, and a side of a set, in one number: what functions are given. */
#define SET_WHERE(index, side, field) ((index) | (side) << 8 | (field) << 16)
#define SET_WHERE_INDEX(where)        ((where)&0xff)
#define SET_WHERE_SLOT(where)         (((where)&0xff) * 2 + ((where) >> 8 & 1))
#define SET_WHERE_SIDE(where)         ((where) >> 8 & 1)
#define SET_WHERE_FIELD(where)        ((where) >> 16)

static __always_inline const __u32 *set_address(const struct xdp_judged *judged, __u32 where)
{
	return SET_WHERE_FIELD(where) == XDP_FIELD_SRC ? judged->key.src : judged->key.dst;
}

static __always_inline __u64 set_half(const __u32 addr[2])
{
	return (__u64)bpf_ntohl(addr[0]) << 32 | bpf_ntohl(addr[1]);
}

static __always_inline __u32 set_levels6(void *filter, __u32 line_mask, __u64 high, __u64 low)
{
	__u32 hash = setmap_filter_hash(high, low);
	__u32 at = hash / SETMAP_LINE_PLACES & line_mask;
	const struct setmap_line *line = bpf_map_lookup_elem(filter, &at);

	return line ? line->levels[hash % SETMAP_LINE_PLACES] : 0;
}

/* Whether a prefix of one level, 0 to 15 for 8 to 128, covers an address. Functions of their own,
 * this and those below, as the verifier follows what is in a loop once so. */
JUDGED_FUNCTION __u32 set_covers6_at(const struct xdp_judged *judged, __u32 where, __u32 line_mask,
				     __u32 number);
JUDGED_FUNCTION __u32 set_covers6_at(const struct xdp_judged *judged, __u32 where, __u32 line_mask,
				     __u32 number)
{
	__u32 slot = SET_WHERE_SLOT(where), level = (number & 15) * 8 + 8;
	const struct setmap_bits *bits;
	struct setmap_node6 node;
	__u64 high, low;
	void *map;

	if (!judged)
		return 0;
	high = set_half(set_address(judged, where));
	low = set_half(set_address(judged, where) + 2);
	node = setmap_node6(high, low, level);
	map = bpf_map_lookup_elem(&sets_filter6, &slot);
	if (!map || !(set_levels6(map, line_mask, node.high, node.low) >> (number & 15) & 1))
		return 0;
	map = bpf_map_lookup_elem(&sets_nodes6, &slot);
	bits = map ? bpf_map_lookup_elem(map, &node) : NULL;
	return bits && setmap_bit(bits, setmap_octet6(high, low, level));
}

static __always_inline bool set_covers6(const struct xdp_judged *judged, __u32 where,
					const struct setmap_info *info)
{
	__u32 slot = SET_WHERE_SLOT(where), mask = info->line_mask, levels;
	__u64 high;
	void *filter = bpf_map_lookup_elem(&sets_filter6, &slot);

	if (!filter)
		return false;
	/* of the filter, what is beyond 32 bits; up to there the set says what it has */
	high = set_half(set_address(judged, where));
	levels = SETMAP_INDEX_LEVELS(0);
	for (__u32 i = 0; i < SETMAP_INDEXES; i++)
		if (levels & SETMAP_INDEX_LEVELS(i))
			levels &= ~SETMAP_INDEX_LEVELS(i) |
				  set_levels6(filter, mask, setmap_index6(high, i), i);
	levels |= info->levels6;
	for (__u32 number = 0; number < 16; number++)
		if ((levels >> number & 1) && set_covers6_at(judged, where, mask, number))
			return true;
	return false;
}

/* Whether the prefix of `len` bits of an address is an entry, and a member now. The key is made
 * first: what it is made of is then not kept on the stack, of which calls within each other share
 * 512 bytes, and this is the innermost. */
JUDGED_FUNCTION __u32 set_has_entry(struct xdp_judged *judged, __u32 where, __u32 len, __u32 flags);
JUDGED_FUNCTION __u32 set_has_entry(struct xdp_judged *judged, __u32 where, __u32 len, __u32 flags)
{
	__u32 slot = SET_WHERE_SLOT(where);
	struct setmap_value *value;
	struct setmap_net key;
	const __u32 *addr;
	__u64 high, low;
	void *map;

	if (!judged)
		return 0;
	addr = set_address(judged, where);
	key.len = len | (judged->meta.flags & XFQ_META_IPV6 ? SETMAP_V6 : 0);
	high = set_half(addr);
	low = set_half(addr + 2);
	if (len < 64) {
		high &= ~(~0ULL >> len);
		low = 0;
	} else if (len < 128) {
		low &= ~(~0ULL >> (len - 64));
	}
	key.addr[0] = bpf_htonl((__u32)(high >> 32));
	key.addr[1] = bpf_htonl((__u32)high);
	key.addr[2] = bpf_htonl((__u32)(low >> 32));
	key.addr[3] = bpf_htonl((__u32)low);
	map = bpf_map_lookup_elem(&sets_entries, &slot);
	if (!map)
		return 0;
	value = bpf_map_lookup_elem(map, &key);
	return value && set_counts(value, flags, judged);
}

/* Whether any is; the longest is counted. */
JUDGED_FUNCTION __u32 set_has_entries(struct xdp_judged *judged, __u32 where);
JUDGED_FUNCTION __u32 set_has_entries(struct xdp_judged *judged, __u32 where)
{
	__u32 index = SET_WHERE_INDEX(where);
	struct setmap_head *head = bpf_map_lookup_elem(&set_heads, &index);
	const struct setmap_info *info;
	bool v6;

	if (!judged || !head)
		return 0;
	info = &head->sides[SET_WHERE_SIDE(where)];
	v6 = judged->meta.flags & XFQ_META_IPV6;
	for (int len = v6 ? 128 : 32; len >= 0; len--)
		if ((info->lengths[v6 ? 1 + (len >> 6 & 3) : 0] >> (len & 63) & 1) &&
		    set_has_entry(judged, where, (__u32)len, info->flags))
			return 1;
	return 0;
}

static __always_inline bool set_has_address(__u32 index, struct xdp_judged *judged, __u32 field)
{
	struct setmap_head *head = bpf_map_lookup_elem(&set_heads, &index);
	const struct setmap_info *info;
	__u32 side, where;

	if (!head)
		return false;
	side = head->side & 1;
	where = SET_WHERE(index, side, field);
	info = &head->sides[side];
	if (judged->meta.flags & XFQ_META_IPV6
		    ? !set_covers6(judged, where, info)
		    : !set_covers4(index * 2 + side, field == XDP_FIELD_SRC ? judged->key.src[0]
									    : judged->key.dst[0]))
		return false;
	return !(info->flags & SETMAP_ENTRIES) || set_has_entries(judged, where);
}

/* Sets of prefixes, and of addresses, which are prefixes of full length. */
JUDGED_FUNCTION __u32 judged_in_net(JUDGED_CTX *ctx, struct xdp_judged *judged, __u32 set,
				    __u32 fields);
JUDGED_FUNCTION __u32 judged_in_net(JUDGED_CTX *ctx, struct xdp_judged *judged, __u32 set,
				    __u32 fields)
{
	SET_KEEP(ctx);
	if (!judged || !judged->meta.l3_off)
		return 0;
	if ((fields & XDP_FIELD_SRC) && set_has_address(set, judged, XDP_FIELD_SRC))
		return 1;
	return (fields & XDP_FIELD_DST) && set_has_address(set, judged, XDP_FIELD_DST);
}

/* --- others ----------------------------------------------------------------------------------- */

/* The slot of a set's side, and its flags. */
static __always_inline __u32 set_slot(__u32 index, __u32 *flags)
{
	struct setmap_head *head = bpf_map_lookup_elem(&set_heads, &index);
	__u32 side;

	if (!head)
		return SETMAP_SLOTS_MAX;
	side = head->side & 1;
	*flags = head->sides[side].flags;
	return index * 2 + side;
}

static __always_inline bool set_has_key(void *map, const void *key, __u32 flags,
					struct xdp_judged *judged)
{
	struct setmap_value *value = bpf_map_lookup_elem(map, key);

	return value && set_counts(value, flags, judged);
}

JUDGED_FUNCTION __u32 judged_in_port(JUDGED_CTX *ctx, struct xdp_judged *judged, __u32 set,
				     __u32 fields);
JUDGED_FUNCTION __u32 judged_in_port(JUDGED_CTX *ctx, struct xdp_judged *judged, __u32 set,
				     __u32 fields)
{
	__u32 flags = 0, slot = set_slot(set, &flags), port;
	void *map;

	SET_KEEP(ctx);
	if (!judged || !(judged->meta.flags & XFQ_META_PORTS))
		return 0;
	map = bpf_map_lookup_elem(&sets_ports, &slot);
	if (!map)
		return 0;
	port = judged->key.sport;
	if ((fields & XDP_FIELD_SRC) && set_has_key(map, &port, flags, judged))
		return 1;
	port = judged->key.dport;
	return (fields & XDP_FIELD_DST) && set_has_key(map, &port, flags, judged);
}

JUDGED_FUNCTION __u32 judged_in_flow(JUDGED_CTX *ctx, struct xdp_judged *judged, __u32 set,
				     __u32 fields);
JUDGED_FUNCTION __u32 judged_in_flow(JUDGED_CTX *ctx, struct xdp_judged *judged, __u32 set,
				     __u32 fields)
{
	__u32 flags = 0, slot = set_slot(set, &flags);
	struct xdp_flow_key key;
	void *map;

	SET_KEEP(ctx);
	(void)fields;
	if (!judged)
		return 0;
	map = bpf_map_lookup_elem(&sets_flows, &slot);
	return map && flow_key_make(&key, &judged->meta, &judged->key) &&
	       set_has_key(map, &key, flags, judged);
}

/* The packet's first 12 bytes: destination, then source. */
static __always_inline bool set_load_macs(JUDGED_CTX *ctx, __u8 macs[12])
{
#ifdef JUDGED_SKB
	return bpf_skb_load_bytes(ctx, 0, macs, 12) == 0;
#else
	return bpf_xdp_load_bytes(ctx, 0, macs, 12) == 0;
#endif
}

JUDGED_FUNCTION __u32 judged_in_mac(JUDGED_CTX *ctx, struct xdp_judged *judged, __u32 set,
				    __u32 fields);
JUDGED_FUNCTION __u32 judged_in_mac(JUDGED_CTX *ctx, struct xdp_judged *judged, __u32 set,
				    __u32 fields)
{
	__u32 flags = 0, slot = set_slot(set, &flags);
	setmap_mac src = 0, dst = 0;
	__u8 macs[12];
	void *map;

	if (!judged)
		return 0;
	map = bpf_map_lookup_elem(&sets_macs, &slot);
	if (!map || !set_load_macs(ctx, macs))
		return 0;
	__builtin_memcpy(&dst, macs, 6);
	__builtin_memcpy(&src, macs + 6, 6);
	if ((fields & XDP_FIELD_SRC) && set_has_key(map, &src, flags, judged))
		return 1;
	return (fields & XDP_FIELD_DST) && set_has_key(map, &dst, flags, judged);
}

#endif
