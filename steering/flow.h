/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Symmetric hashes: the same number for both directions of a flow, in BPF and in user space.
 *
 * Each end of the flow (address, port) is mixed to 64 bits by itself; the two are then combined by
 * operations that do not know their order (sum and exclusive or), and mixed again with the
 * protocol. The mixer is the finaliser of MurmurHash3 with the constants of Stafford's "Mix13"
 * (zimbry.blogspot.com/2011/09/better-bit-mixing-improving-on.html): two multiplications, each
 * output bit changes with probability near one half.
 *
 * The seed keeps a sender from choosing flows that all meet in one member.
 *
 *	fragments of a datagram: addresses only, all of them the same: in IPv6, later ones do not
 *	                         know the protocol where extension headers follow the fragment's.
 *	                         Where later ones follow their first (xdp/fragment.h), all of them
 *	                         have flow_hash_whole() of that one instead
 *	not IP:                  the two MAC addresses and the ethertype
 *
 * No hash is 0: that stands for one that is not known yet.
 */
#ifndef STEERING_FLOW_H
#define STEERING_FLOW_H

#include "steering/parse.h"

PARSE_INLINE __u64 flow_mix(__u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* One end of a flow. `addr` as in struct parse_key; the upper words are 0 for IPv4. */
PARSE_INLINE __u64 flow_end(const __u32 addr[4], __u16 port, __u64 seed)
{
	__u64 x = ((__u64)addr[0] << 32 | (__u64)port << 8) ^ seed;

	if (addr[1] | addr[2] | addr[3]) {
		/* times an odd number: what only stood beside addr[0] and the port could make up
		 * for a change in them */
		x = flow_mix(x + addr[1] * 0x9e3779b97f4a7c15ULL);
		x ^= (__u64)addr[2] << 32 | addr[3];
	}
	return flow_mix(x);
}

PARSE_INLINE __u32 flow_combine(__u64 a, __u64 b, __u64 more)
{
	__u64 x = flow_mix((a + b) ^ ((a ^ b) * 0x9e3779b97f4a7c15ULL) ^ more);
	__u32 hash = (__u32)(x >> 32);

	return hash ? hash : 1;
}

/* MAC pair and ethertype, for packets without IP. `data` holds at least 14 bytes. */
PARSE_INLINE __u32 flow_hash_link(const unsigned char *data, __u16 ethertype, __u64 seed)
{
	__u64 dst = (__u64)parse_raw32(data) << 16 | parse_be16(data + 4);
	__u64 src = (__u64)parse_raw32(data + 6) << 16 | parse_be16(data + 10);

	return flow_combine(flow_mix(dst ^ seed), flow_mix(src ^ seed), ethertype);
}

/* The flow hash of an IP packet as one that is whole: of a first fragment, that of its flow. */
PARSE_INLINE __u32 flow_hash_whole(const struct xfq_meta *meta, const struct parse_key *key,
				   __u64 seed)
{
	return flow_combine(flow_end(key->src, key->sport, seed),
			    flow_end(key->dst, key->dport, seed), meta->l4_proto);
}

/* Hash over the two addresses alone; not IP: as flow_hash(). */
PARSE_INLINE __u32 flow_hash_ip_pair(const struct parse_key *key, __u64 seed)
{
	return flow_combine(flow_end(key->src, 0, seed), flow_end(key->dst, 0, seed), 0);
}

/*
 * The flow hash of a parsed packet: what meta and key say, or the MAC addresses at [data, end)
 * where it is not IP. A packet shorter than an Ethernet header has 0.
 */
PARSE_INLINE __u32 flow_hash(const struct xfq_meta *meta, const struct parse_key *key,
			     const void *data, const void *end, __u64 seed)
{
	bool whole = !(meta->flags & XFQ_META_FRAGMENT);

	if (meta->l3_off == 0) {
		if ((const unsigned char *)data + 14 > (const unsigned char *)end)
			return 0;
		return flow_hash_link((const unsigned char *)data, meta->ethertype, seed);
	}
	return flow_combine(flow_end(key->src, whole ? key->sport : 0, seed),
			    flow_end(key->dst, whole ? key->dport : 0, seed),
			    whole ? meta->l4_proto : 0);
}

#endif
