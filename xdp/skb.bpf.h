/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What programs on skbs (TC, socket filters) put in the place of what XDP programs have: the packet
 * as it is on the wire, for the same parser and the same decide(). To be included before anything
 * else of xdp/ and steering/.
 *
 * The kernel may keep the outer VLAN tag beside the packet; here it is where it is on the wire, at
 * offset 12, and counts as part of the length. Packet bytes are read by bpf_skb_load_bytes() alone:
 * socket filters have nothing else, and a packet may be in pieces. A packet that the kernel will
 * still cut into segments, or has merged of several, is judged as the one that it is now.
 */
#ifndef XDP_SKB_BPF_H
#define XDP_SKB_BPF_H

#define JUDGED_CTX struct __sk_buff
#define JUDGED_SKB /* load.bpf.h: judged_load() is here */
#define PARSE_SKB  /* parse.h */

#include "xdp/judged.bpf.h"

#define SKB_TAG_AT 12 /* where a tag stands on the wire */

/* Bytes on the wire; of one to be segmented: of all of it. */
static __always_inline __u32 skb_wire_len(const struct __sk_buff *ctx)
{
	return ctx->len + parse_beside(ctx);
}

/* parse_packet() of an skb; a function, so that its copies are off the stack afterwards. */
static __noinline void skb_parse(struct __sk_buff *ctx, struct xdp_judged *judged)
{
	/* The stack is read aligned only: behind 2 bytes an IP header is. Copied is a power of two,
	 * also behind a tag, where it goes a little over what is parsed. */
	unsigned char room[2 + PARSE_HEAD + 14 + PARSE_PIECE] __attribute__((aligned(8))) = {0};
	unsigned char *head = room + 2;
	__u16 tag[2];

	if (parse_beside(ctx)) {
		tag[0] = (__u16)ctx->vlan_proto;
		tag[1] = bpf_htons((__u16)ctx->vlan_tci);
		parse_copy(ctx, SKB_TAG_AT, head + SKB_TAG_AT + 4, PARSE_HEAD);
		bpf_skb_load_bytes(ctx, 0, head, SKB_TAG_AT);
		__builtin_memcpy(head + SKB_TAG_AT, tag, sizeof(tag));
	} else {
		parse_copy(ctx, 0, head, PARSE_HEAD);
	}
	judged->now_ns = 0;
	parse_packet(ctx, head, head + PARSE_HEAD + 14, skb_wire_len(ctx), &judged->meta,
		     &judged->key);
}

/* One byte of the packet as on the wire, where a tag is beside it; XDP_LOAD_FAILED: not there. */
static __always_inline __u64 skb_load_byte(struct __sk_buff *ctx, __u32 offset)
{
	__u32 tag = (__u32)bpf_ntohs((__u16)ctx->vlan_proto) << 16 | (__u16)ctx->vlan_tci;
	__u8 byte = 0;

	if (offset >= SKB_TAG_AT && offset < SKB_TAG_AT + 4)
		return tag >> (8 * (SKB_TAG_AT + 3 - offset)) & 0xff;
	if (offset >= SKB_TAG_AT + 4)
		offset -= 4;
	return bpf_skb_load_bytes(ctx, offset, &byte, 1) ? XDP_LOAD_FAILED : byte;
}

/* `bytes` (1, 2 or 4) at `offset` of the packet as on the wire, in host byte order, or
 * XDP_LOAD_FAILED. */
JUDGED_FUNCTION __u64 judged_load(struct __sk_buff *ctx, __u32 offset, __u32 bytes);
JUDGED_FUNCTION __u64 judged_load(struct __sk_buff *ctx, __u32 offset, __u32 bytes)
{
	__u64 value = 0;
	__u32 word = 0;

	if (parse_beside(ctx) && offset < SKB_TAG_AT + 4 && offset + bytes > SKB_TAG_AT) {
		/* all of it or some is the tag */
		for (__u32 i = 0; i < 4 && i < bytes; i++) {
			__u64 byte = skb_load_byte(ctx, offset + i);

			if (byte == XDP_LOAD_FAILED)
				return XDP_LOAD_FAILED;
			value = value << 8 | byte;
		}
		return value;
	}
	if (offset >= SKB_TAG_AT + 4)
		offset -= parse_beside(ctx);
	if (bytes == 4)
		return bpf_skb_load_bytes(ctx, offset, &word, 4) ? XDP_LOAD_FAILED
								 : bpf_ntohl(word);
	if (bytes == 2)
		return bpf_skb_load_bytes(ctx, offset, &word, 2) ? XDP_LOAD_FAILED
								 : bpf_ntohs((__u16)word);
	return bpf_skb_load_bytes(ctx, offset, &word, 1) ? XDP_LOAD_FAILED : word & 0xff;
}

#endif
