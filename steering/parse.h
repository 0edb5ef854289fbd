/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The parser: Ethernet, up to two VLAN tags, IPv4, IPv6 with extension headers, TCP, UDP, ICMP,
 * SCTP, fragments. One source for the XDP program and for user space, so that both see a packet the
 * same way; tests/bpf holds the two builds against each other.
 *
 *	parse_packet(ctx, data, end, wire_len, meta, key)
 *
 * It never fails: what it cannot read it leaves at 0, and a header that contradicts itself or the
 * packet's length sets XFQ_META_MALFORMED. A header that is missing only because the capture kept
 * too little (wire_len beyond the data) sets XFQ_META_CUT instead. It reads nothing outside
 * [data, end). Any thread.
 *
 * What counts as malformed: less than an Ethernet header; a VLAN tag or an IP header that is cut
 * off; an IP version unlike the ethertype; an IPv4 header length under 20 or a total length under
 * the header's; an IP length beyond the packet; an IPv6 extension header beyond its packet, or more
 * than PARSE_IPV6_EXT_MAX of them; a TCP data offset under 5 or beyond the segment; a UDP length
 * under 8 or beyond the datagram; an L4 header that does not fit. Bytes after the IP length are
 * padding and no error.
 */
#ifndef STEERING_PARSE_H
#define STEERING_PARSE_H

#include <xfq/packet.h>

#ifdef __bpf__
#include <bpf/bpf_endian.h>
#include <linux/bpf.h>
#include <stdbool.h>
#define PARSE_INLINE static __attribute__((always_inline)) inline
#else
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#define PARSE_INLINE static inline
#endif

/* Extension headers that are followed. RFC 8200, 4.1: each at most once, destination options twice;
 * with AH, mobility, HIP and shim6 that is 8. */
#define PARSE_IPV6_EXT_MAX 8

/* Flow key: addresses in network byte order (IPv4 in [0], the rest 0), ports in host byte order.
 * All 0 where the packet is not IP; the ports are 0 without XFQ_META_PORTS. fragment_id names the
 * datagram that a fragment is of, as a number of no byte order in particular; else it is 0. */
struct parse_key {
	__u32 src[4];
	__u32 dst[4];
	__u16 sport;
	__u16 dport;
	__u32 fragment_id;
};

enum parse_ethertype {
	PARSE_ETH_IPV4 = 0x0800,
	PARSE_ETH_8021Q = 0x8100,
	PARSE_ETH_IPV6 = 0x86dd,
	PARSE_ETH_8021AD = 0x88a8,
	PARSE_ETH_QINQ_OLD = 0x9100 /* double tagging before 802.1ad, still on the wire */
};

enum parse_proto {
	PARSE_IP_HOPOPTS = 0,
	PARSE_IP_ICMP = 1,
	PARSE_IP_TCP = 6,
	PARSE_IP_UDP = 17,
	PARSE_IP_ROUTING = 43,
	PARSE_IP_FRAGMENT = 44,
	PARSE_IP_AH = 51,
	PARSE_IP_ICMPV6 = 58,
	PARSE_IP_DSTOPTS = 60,
	PARSE_IP_SCTP = 132,
	PARSE_IP_MOBILITY = 135,
	PARSE_IP_HIP = 139,
	PARSE_IP_SHIM6 = 140
};

/* No packet that is parsed is longer; keeps offsets in 16 bits and in the verifier's bounds. */
#define PARSE_OFF_MAX 0x7fff

#ifdef PARSE_SKB
#define PARSE_CTX   struct __sk_buff
#define PARSE_HEAD  64 /* two tags and an IPv6 header end before */
#define PARSE_PIECE 32 /* so much is read of a header behind them, at most */
#else
#define PARSE_CTX struct xdp_md
#endif

/* Where parsing is. `off` never exceeds PARSE_OFF_MAX. */
struct parse_cursor {
#ifdef __bpf__
	PARSE_CTX *ctx;
#endif
	const unsigned char *data;
	const unsigned char *end;
#ifdef PARSE_SKB
	unsigned char *piece;
#endif
	__u32 wire_len;
	__u32 off;
	__u32 l3_end; /* offset where the IP packet says that it ends */
	__u16 flags;
};

#ifdef __bpf__
#ifdef PARSE_SKB
/* `data` is a copy of the first PARSE_HEAD bytes, which is all that is read there; headers behind
 * IP are loaded one by one into `piece`. */
#define PARSE_FITS(c, at, n)   ((at) + (n) <= (c)->wire_len)
#define PARSE_HEADER(c, at, n) parse_piece(c, at)
#else
/* The verifier wants to see the very comparison of pointers; loads may be unaligned in BPF. */
#define PARSE_FITS(c, at, n)   ((c)->data + (at) + (n) <= (c)->end)
#define PARSE_HEADER(c, at, n) ((c)->data + (at))
#endif
/* Whether bytes that lie in the packet also lie in the capture: here the packet is all there. */
#define PARSE_CAPTURED(c, at, n) true
PARSE_INLINE __u16 parse_be16(const unsigned char *p)
{
	return bpf_ntohs(*(const __u16 *)p);
}
PARSE_INLINE __u32 parse_raw32(const unsigned char *p)
{
	return *(const __u32 *)p;
}
#else
#define PARSE_FITS(c, at, n)     ((size_t)((c)->end - (c)->data) >= (size_t)(at) + (n))
#define PARSE_HEADER(c, at, n)   ((c)->data + (at))
#define PARSE_CAPTURED(c, at, n) PARSE_FITS(c, at, n)
PARSE_INLINE __u16 parse_be16(const unsigned char *p)
{
	return (__u16)(p[0] << 8 | p[1]);
}
PARSE_INLINE __u32 parse_raw32(const unsigned char *p)
{
	__u32 word;

	memcpy(&word, p, sizeof(word));
	return word;
}
#endif

#ifdef PARSE_SKB
/* The tag that the kernel keeps beside the packet is part of it here, behind the MAC addresses. */
PARSE_INLINE __u32 parse_beside(const PARSE_CTX *ctx)
{
	return ctx->vlan_present ? 4 : 0;
}

/* Copy up to `room` bytes, a power of two, from `offset` of what lies in the packet. What is not
 * there is left as it was. */
PARSE_INLINE void parse_copy(PARSE_CTX *ctx, __u32 offset, unsigned char *to, __u32 room)
{
	__u32 n = ctx->len > offset ? ctx->len - offset : 0;

	if (n == 0)
		return;
	if (n > room)
		n = room;
	/* the verifier, for which this is, does not know of the comparisons */
	asm volatile("" : "+r"(n));
	bpf_skb_load_bytes(ctx, offset, to, ((n - 1) & (room - 1)) + 1);
}

PARSE_INLINE const unsigned char *parse_piece(const struct parse_cursor *c, __u32 at)
{
	parse_copy(c->ctx, at - parse_beside(c->ctx), c->piece, PARSE_PIECE);
	return c->piece;
}
#endif

/* Note that `n` bytes at `at` are missing: cut off by the capture, or a lie of the packet. */
PARSE_INLINE void parse_missing(struct parse_cursor *c, __u32 at, __u32 n)
{
	c->flags |= at + n <= c->wire_len ? XFQ_META_CUT : XFQ_META_MALFORMED;
}

/* Ethernet and VLAN tags. Leaves the offset behind them; returns the ethertype, 0 if missing. */
PARSE_INLINE __u16 parse_ethernet(struct parse_cursor *c)
{
	__u16 type;

	if (!PARSE_FITS(c, 0, 14)) {
		parse_missing(c, 0, 14);
		return 0;
	}
	type = parse_be16(c->data + 12);
	c->off = 14;
#ifdef __clang__
#pragma clang loop unroll(full)
#endif
	for (int tag = 0; tag < 2; tag++) {
		if (type != PARSE_ETH_8021Q && type != PARSE_ETH_8021AD &&
		    type != PARSE_ETH_QINQ_OLD)
			break;
		if (!PARSE_FITS(c, c->off, 4)) {
			parse_missing(c, c->off, 4);
			return 0;
		}
		c->flags |= tag == 0 ? XFQ_META_VLAN : XFQ_META_QINQ;
		type = parse_be16(c->data + c->off + 2);
		c->off += 4;
	}
	return type;
}

/* Bytes of the shortest header of a protocol; 0: it is not looked at. */
PARSE_INLINE __u32 parse_l4_need(__u8 proto)
{
	if (proto == PARSE_IP_TCP)
		return 20;
	if (proto == PARSE_IP_SCTP)
		return 12;
	if (proto == PARSE_IP_UDP || proto == PARSE_IP_ICMP)
		return 8;
	return proto == PARSE_IP_ICMPV6 ? 4 : 0;
}

/* The header at the cursor: where it is, its ports and length; the IP packet ends at l3_end. */
PARSE_INLINE void parse_l4(struct parse_cursor *c, struct xfq_meta *meta, struct parse_key *key)
{
	__u32 off = c->off;
	__u32 room = c->l3_end > off ? c->l3_end - off : 0;
	__u32 need, header, length;
	const unsigned char *p;

	if (off > PARSE_OFF_MAX)
		return;
	/* padding is no header, and the capture may have cut off all of it */
	if (room > 0 && PARSE_CAPTURED(c, off, 1))
		meta->l4_off = (__u16)off;
	need = parse_l4_need(meta->l4_proto);
	if (!need)
		return;
	p = PARSE_HEADER(c, off, 20);
	if (need > 4 && meta->l4_proto != PARSE_IP_ICMP && room >= 4 && PARSE_FITS(c, off, 4)) {
		key->sport = parse_be16(p);
		key->dport = parse_be16(p + 2);
		c->flags |= XFQ_META_PORTS;
	}
	if (room < need) {
		c->flags |= XFQ_META_MALFORMED;
		return;
	}
	header = need;
	if (meta->l4_proto == PARSE_IP_TCP) {
		if (!PARSE_FITS(c, off, 20)) {
			parse_missing(c, off, 20);
			return;
		}
		header = (__u32)(p[12] >> 4) * 4;
		if (header < 20 || header > room) {
			c->flags |= XFQ_META_MALFORMED;
			return;
		}
		if (!PARSE_CAPTURED(c, off, header)) {
			parse_missing(c, off, header);
			return;
		}
	} else if (meta->l4_proto == PARSE_IP_UDP) {
		if (!PARSE_FITS(c, off, 8)) {
			parse_missing(c, off, 8);
			return;
		}
		length = parse_be16(p + 4);
		/* the first fragment of a datagram holds less than the length says; a length of 0
		 * stands for a jumbogram (RFC 2675, 4), which only IPv6 can carry */
		if ((length < 8 || length > room) && !(c->flags & XFQ_META_FRAGMENT) &&
		    !(length == 0 && (c->flags & XFQ_META_IPV6))) {
			c->flags |= XFQ_META_MALFORMED;
			return;
		}
	} else if (!PARSE_FITS(c, off, need)) {
		parse_missing(c, off, need);
		return;
	}
	meta->payload_off = (__u16)(off + header);
}

PARSE_INLINE void parse_ipv4(struct parse_cursor *c, struct xfq_meta *meta, struct parse_key *key)
{
	const unsigned char *p = c->data + c->off;
	__u32 header, total;
	__u16 frag;

	if (!PARSE_FITS(c, c->off, 20)) {
		parse_missing(c, c->off, 20);
		return;
	}
	header = (__u32)(p[0] & 0x0f) * 4;
	total = parse_be16(p + 2);
	if (p[0] >> 4 != 4 || header < 20) {
		c->flags |= XFQ_META_MALFORMED;
		return;
	}
	c->flags |= XFQ_META_IPV4;
	meta->l3_off = (__u16)c->off;
	meta->l4_proto = p[9];
	key->src[0] = parse_raw32(p + 12);
	key->dst[0] = parse_raw32(p + 16);
	/* segmentation offload leaves a total length of 0: the packet's own length holds then */
	if (total == 0)
		total = c->wire_len - c->off;
	if (total < header || c->off + total > c->wire_len) {
		c->flags |= XFQ_META_MALFORMED;
		if (total < header)
			return;
		total = c->wire_len - c->off;
		if (total < header)
			return;
	}
	c->l3_end = c->off + total;
	frag = parse_be16(p + 6);
	if (frag & 0x3fff) {
		c->flags |= XFQ_META_FRAGMENT;
		key->fragment_id = parse_be16(p + 4);
	}
	c->off += header;
	if (frag & 0x1fff) {
		c->flags |= XFQ_META_FRAG_NEXT;
		return;
	}
	parse_l4(c, meta, key);
}

/* Whether an IPv6 next header is an extension header: a bit per number, not eight comparisons, as
 * the verifier follows every branch. */
PARSE_INLINE bool parse_is_extension(__u8 next)
{
	const __u64 low = 1ULL << PARSE_IP_HOPOPTS | 1ULL << PARSE_IP_ROUTING |
			  1ULL << PARSE_IP_FRAGMENT | 1ULL << PARSE_IP_AH |
			  1ULL << PARSE_IP_DSTOPTS;
	const __u64 high = 1ULL << (PARSE_IP_MOBILITY - 128) | 1ULL << (PARSE_IP_HIP - 128) |
			   1ULL << (PARSE_IP_SHIM6 - 128);

	return next < 64 ? low >> next & 1 : next >= 128 && next < 192 && high >> (next - 128) & 1;
}

/* What the walk over the extension headers found, in one word: a BPF function returns no more. The
 * masks are for the verifier of 6.1, which forgets a comparison where the compiler moved the number
 * away before. */
#define PARSE_EXT_OFF(result)      ((__u32)(result)&PARSE_OFF_MAX)
#define PARSE_EXT_NEXT(result)     ((__u8)((result) >> 16))
#define PARSE_EXT_FLAGS(result)    ((__u16)((result) >> 32))
#define PARSE_EXT_DONE             (1ULL << 24) /* the L4 header is at PARSE_EXT_OFF */
#define PARSE_EXT_FRAGMENT(result) ((__u32)((result) >> 48) & PARSE_OFF_MAX) /* 0: none */

PARSE_INLINE __u64 parse_ext_result(const struct parse_cursor *c, __u8 next, __u64 done,
				    __u32 fragment)
{
	return (__u64)fragment << 48 | (__u64)c->flags << 32 | done | (__u64)next << 16 | c->off;
}

/* Follow extension headers from `next`, at the cursor, on. Without PARSE_EXT_DONE there is no L4
 * header to read; PARSE_EXT_NEXT is its protocol where that is known, else 0. */
PARSE_INLINE __u64 parse_extensions(struct parse_cursor *c, __u8 next)
{
	const unsigned char *p;
	__u32 length, fragment = 0;
	__u16 frag;

	for (int i = 0; i < PARSE_IPV6_EXT_MAX; i++) {
		if (c->off > PARSE_OFF_MAX - 2048 || c->off + 8 > c->l3_end) {
			c->flags |= XFQ_META_MALFORMED;
			return parse_ext_result(c, 0, 0, fragment);
		}
		if (!PARSE_FITS(c, c->off, 8)) {
			parse_missing(c, c->off, 8);
			return parse_ext_result(c, 0, 0, fragment);
		}
		p = PARSE_HEADER(c, c->off, 8);
		length = ((__u32)p[1] + 1) * 8;
		if (next == PARSE_IP_AH) {
			length = ((__u32)p[1] + 2) * 4;
		} else if (next == PARSE_IP_FRAGMENT) {
			length = 8;
			frag = parse_be16(p + 2);
			/* offset 0 and no more to come is a whole datagram (RFC 6946) */
			if (frag & 0xfff9) {
				c->flags |= XFQ_META_FRAGMENT;
				fragment = c->off;
			}
			if (frag & 0xfff8) {
				c->flags |= XFQ_META_FRAG_NEXT;
				return parse_ext_result(c, p[0], 0, fragment);
			}
		}
		if (c->off + length > c->l3_end) {
			c->flags |= XFQ_META_MALFORMED;
			return parse_ext_result(c, 0, 0, fragment);
		}
		next = p[0];
		c->off += length;
		if (!parse_is_extension(next))
			return parse_ext_result(c, next, PARSE_EXT_DONE, fragment);
	}
	c->flags |= XFQ_META_MALFORMED;
	return parse_ext_result(c, 0, 0, fragment);
}

#ifdef __bpf__
/* The walk as a function of its own, which the verifier checks once instead of on every path. */
__attribute__((noinline)) __u64 parse_walk_extensions(PARSE_CTX *ctx, __u32 at, __u32 l3_end);
__attribute__((noinline)) __u64 parse_walk_extensions(PARSE_CTX *ctx, __u32 at, __u32 l3_end)
{
#ifdef PARSE_SKB
	unsigned char piece[PARSE_PIECE] = {0};
#endif
	struct parse_cursor c = {
#ifdef PARSE_SKB
		.ctx = ctx,
		.piece = piece,
		.wire_len = ctx->len + parse_beside(ctx),
#else
		.data = (const unsigned char *)(long)ctx->data,
		.end = (const unsigned char *)(long)ctx->data_end,
		.wire_len = (__u32)(ctx->data_end - ctx->data),
#endif
		.off = at & 0xffff,
		.l3_end = l3_end,
	};

	return parse_extensions(&c, (__u8)(at >> 16));
}
#endif

PARSE_INLINE void parse_ipv6(struct parse_cursor *c, struct xfq_meta *meta, struct parse_key *key)
{
	const unsigned char *p = c->data + c->off;
	__u32 payload, fragment;
	__u64 walk;

	if (!PARSE_FITS(c, c->off, 40)) {
		parse_missing(c, c->off, 40);
		return;
	}
	if (p[0] >> 4 != 6) {
		c->flags |= XFQ_META_MALFORMED;
		return;
	}
	c->flags |= XFQ_META_IPV6;
	meta->l3_off = (__u16)c->off;
#ifdef __clang__
#pragma clang loop unroll(full)
#endif
	for (int i = 0; i < 4; i++) {
		key->src[i] = parse_raw32(p + 8 + 4 * i);
		key->dst[i] = parse_raw32(p + 24 + 4 * i);
	}
	payload = parse_be16(p + 4);
	/* 0 before a hop-by-hop header is a jumbogram (RFC 2675); before anything else it is what
	 * segmentation offload leaves, or a packet of a bare header */
	if (payload == 0) {
		c->l3_end = c->wire_len;
	} else if (c->off + 40 + payload > c->wire_len) {
		c->flags |= XFQ_META_MALFORMED;
		c->l3_end = c->wire_len;
	} else {
		c->l3_end = c->off + 40 + payload;
	}
	c->off += 40;
	meta->l4_proto = p[6];
	if (parse_is_extension(p[6])) {
#ifdef __bpf__
		walk = parse_walk_extensions(c->ctx, (__u32)p[6] << 16 | c->off, c->l3_end);
#else
		walk = parse_extensions(c, p[6]);
#endif
		meta->l4_proto = PARSE_EXT_NEXT(walk);
		c->flags |= PARSE_EXT_FLAGS(walk);
		c->off = PARSE_EXT_OFF(walk);
		fragment = PARSE_EXT_FRAGMENT(walk);
		if (fragment && PARSE_FITS(c, fragment, 8))
			key->fragment_id = parse_raw32(PARSE_HEADER(c, fragment, 8) + 4);
		if (!(walk & PARSE_EXT_DONE))
			return;
	}
	parse_l4(c, meta, key);
}

/*
 * Fill `meta` (all but flow_hash, rule and ts_ns, which become 0) and `key` from the packet at
 * [data, end), which was `wire_len` bytes on the wire (at least end - data). `ctx` is the
 * program's context, unused in user space. In programs on skbs (PARSE_SKB) `data` is a copy of the
 * first PARSE_HEAD bytes, and PARSE_PIECE bytes of room are at `end`.
 */
PARSE_INLINE void parse_packet(void *ctx, const void *data, const void *end, __u32 wire_len,
			       struct xfq_meta *meta, struct parse_key *key)
{
	struct parse_cursor c = {
#ifdef __bpf__
		.ctx = (PARSE_CTX *)ctx,
#endif
		.data = (const unsigned char *)data,
		.end = (const unsigned char *)end,
#ifdef PARSE_SKB
		.piece = (unsigned char *)end,
#endif
		.wire_len = wire_len,
	};

	__builtin_memset(meta, 0, sizeof(*meta));
	__builtin_memset(key, 0, sizeof(*key));
	(void)ctx;
	meta->magic = XFQ_META_RAW;
	meta->wire_len = wire_len;
#ifndef __bpf__
	/* there, what is not in the first buffer is in the next ones */
	if (wire_len > (__u32)(c.end - c.data))
		c.flags |= XFQ_META_CUT;
#endif
	meta->ethertype = parse_ethernet(&c);
	if (meta->ethertype == PARSE_ETH_IPV4)
		parse_ipv4(&c, meta, key);
	else if (meta->ethertype == PARSE_ETH_IPV6)
		parse_ipv6(&c, meta, key);
	meta->flags = c.flags;
}

#endif
