/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What XFQ knows of a packet: 32 bytes that stand right in front of its first byte.
 *
 *	          XFQ_META_BYTES
 *	        <---------------->
 *	--------+----------------+-------------------------------+----
 *	headroom| struct xfq_meta| Ethernet header, IP, payload  |
 *	--------+----------------+-------------------------------+----
 *	                         ^ data, struct xfq_ring_desc.addr
 *
 * The first pass (XDP program, or its user-space build for capture files) fills it from the
 * headers; the worker checks it against the length of the packet and adds the time. For members it
 * is read-only. All fields are in host byte order. Offsets are bytes from the first byte of the
 * Ethernet header; an offset that is not 0 has passed the check that the header lies in the packet.
 */
#ifndef XFQ_PACKET_H
#define XFQ_PACKET_H

#include <linux/types.h>

#define XFQ_META_BYTES 32
/* Who filled the metadata: the XDP program writes RAW; the worker, once it has checked it or parsed
 * the packet itself, CHECKED. So what a frame's last packet left behind is never taken for new. */
#define XFQ_META_RAW     0x5852 /* "XR" */
#define XFQ_META_CHECKED 0x5846 /* "XF": the only value that a member sees */

/* struct xfq_meta.rule of a packet that no rule named, so that `default` decided. */
#define XFQ_RULE_DEFAULT 0xffff

/* struct xfq_meta.flags */
#define XFQ_META_IPV4      0x0001 /* l3_off is an IPv4 header */
#define XFQ_META_IPV6      0x0002 /* l3_off is an IPv6 header */
#define XFQ_META_VLAN      0x0004 /* one VLAN tag or more, the outer one at offset 12 */
#define XFQ_META_QINQ      0x0008 /* two VLAN tags or more */
#define XFQ_META_FRAGMENT  0x0010 /* one of several fragments of a datagram */
#define XFQ_META_FRAG_NEXT 0x0020 /* a fragment other than the first: it has no L4 header */
#define XFQ_META_PORTS     0x0040 /* both ports of TCP, UDP or SCTP lie at l4_off */
#define XFQ_META_MALFORMED 0x0080 /* a header contradicts itself or the packet's length */
#define XFQ_META_CUT       0x0100 /* the capture kept less than the wire had: snap length */

struct xfq_meta {
	__u64 ts_ns;     /* CLOCK_REALTIME in ns: live, the burst's arrival; offline, the file's */
	__u32 flow_hash; /* the same for both directions of a flow; see docs/life-of-a-packet.md */
	__u32 wire_len;  /* bytes on the wire; more than the descriptor's len where XFQ_META_CUT */
	__u16 magic;     /* XFQ_META_RAW or XFQ_META_CHECKED */
	__u16 flags;     /* XFQ_META_* */
	__u16 l3_off;    /* IP header; 0: not IP, or its first bytes are missing */
	__u16 l4_off;    /* header after IP and its extensions; 0: none, or a later fragment */
	__u16 payload_off; /* first byte after the L4 header; 0: none, or the header is incomplete
			    */
	__u16 ethertype;   /* the one after all VLAN tags; 0: missing */
	__u16 rule;        /* index of the rule that steered it, or XFQ_RULE_DEFAULT */
	__u8 l4_proto;     /* IP protocol number of what is at l4_off; 0 where not known */
	__u8 generation; /* of the config that judged it: 1 to 255, one more with each reload, after
			    255 again 1; 0: not known. `rule` counts the rules of that config */
};

#ifdef __cplusplus
static_assert(sizeof(struct xfq_meta) == XFQ_META_BYTES, "metadata is 32 bytes");
#else
_Static_assert(sizeof(struct xfq_meta) == XFQ_META_BYTES, "metadata is 32 bytes");
_Static_assert(__builtin_offsetof(struct xfq_meta, magic) == 16, "magic at 16");
_Static_assert(__builtin_offsetof(struct xfq_meta, rule) == 28, "rule at 28");
#endif

#endif
