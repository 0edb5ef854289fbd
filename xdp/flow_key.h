/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The name of a flow, the same for both of its directions: in BPF and in user space. Keys of maps
 * and tables are compared byte by byte, so there are no holes and what is unused is 0.
 *
 *	TCP, UDP, SCTP		protocol, both ends with their ports
 *	other IP		protocol and addresses; ports 0
 *	later fragments		as their first one, where that is known (fragment.h); else ports 0
 *	not IP			all 0: no flow
 */
#ifndef XDP_FLOW_KEY_H
#define XDP_FLOW_KEY_H

#include "steering/parse.h"

struct xdp_flow_key {
	__u32 addr[2][4]; /* of both ends, network byte order; the lower end first */
	__u16 port[2];    /* host byte order */
	__u8 proto;
	__u8 ip;          /* 4 or 6; 0: no flow */
	__u8 reserved[2]; /* 0 */
};

_Static_assert(sizeof(struct xdp_flow_key) == 40, "a flow key has no holes");

/* Whether the end at `a` comes before that at `b`; any order will do, as long as it is one. */
PARSE_INLINE bool flow_key_before(const __u32 a[4], __u16 a_port, const __u32 b[4], __u16 b_port)
{
	/* two words at a time: fewer branches for the verifier to follow */
	__u64 a_high = (__u64)a[0] << 32 | a[1], b_high = (__u64)b[0] << 32 | b[1];
	__u64 a_low = (__u64)a[2] << 32 | a[3], b_low = (__u64)b[2] << 32 | b[3];

	if (a_high != b_high)
		return a_high < b_high;
	if (a_low != b_low)
		return a_low < b_low;
	return a_port < b_port;
}

/* The key of a flow between two ends in any order; `ip` is 4 or 6. */
PARSE_INLINE void flow_key_set(struct xdp_flow_key *key, __u8 ip, __u8 proto, const __u32 a[4],
			       __u16 a_port, const __u32 b[4], __u16 b_port)
{
	bool before = flow_key_before(a, a_port, b, b_port);

	__builtin_memset(key, 0, sizeof(*key));
	for (int i = 0; i < 4; i++) {
		key->addr[0][i] = before ? a[i] : b[i];
		key->addr[1][i] = before ? b[i] : a[i];
	}
	key->port[0] = before ? a_port : b_port;
	key->port[1] = before ? b_port : a_port;
	key->proto = proto;
	key->ip = ip;
}

/* The key of a parsed packet. False, and all 0, where it is not IP. */
PARSE_INLINE bool flow_key_make(struct xdp_flow_key *key, const struct xfq_meta *meta,
				const struct parse_key *from)
{
	if (!meta->l3_off) {
		__builtin_memset(key, 0, sizeof(*key));
		return false;
	}
	flow_key_set(key, meta->flags & XFQ_META_IPV6 ? 6 : 4, meta->l4_proto, from->src,
		     from->sport, from->dst, from->dport);
	return true;
}

#endif
