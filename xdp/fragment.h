/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Fragments that follow their flow: one algorithm for the program in the kernel and for user space.
 *
 * Only the first fragment of a datagram has ports. It has the hash of its flow, like a packet that
 * was not fragmented, and leaves a note of it under the datagram's name; later fragments take their
 * hash, and the ports for flow keys, from there, whatever queue they come from. So all of them go
 * where the flow goes. Rules that ask for ports do not see them: XFQ_META_PORTS says that ports lie
 * in the packet.
 *
 * A later one that finds no note is an orphan: its first one was lost, was forgotten, or is still
 * to come. Judged by the rules it is hashed by its addresses alone, and leaves a note as well; if
 * the first one comes after all, it takes that hash: the fragments of a datagram stay together,
 * even where they do not meet their flow.
 *
 * A note is believed for FRAGMENT_LIFETIME_NS: senders use the names of datagrams again.
 */
#ifndef XDP_FRAGMENT_H
#define XDP_FRAGMENT_H

#include "steering/flow.h"
#include "xdp/xdp_abi.h"

/* As long as Linux waits for the rest of a datagram (net.ipv4.ipfrag_time). */
#define FRAGMENT_LIFETIME_NS 30000000000ULL

/* Datagrams that are remembered. */
#define FRAGMENT_DATAGRAMS 16384

/* The name of a datagram: RFC 791, 3.2, and RFC 8200, 4.5. */
struct fragment_key {
	__u32 src[4], dst[4];
	__u32 id;
	__u8 proto; /* IPv4 only: in IPv6 later fragments need not say the same */
	__u8 ip;    /* 4 or 6 */
	__u8 reserved[2];
};

struct fragment_note {
	__u64 seen_ns;
	__u32 hash;
	__u16 sport, dport; /* of the first fragment */
	__u32 first;        /* 1: the first fragment was seen */
	__u32 reserved;
};

_Static_assert(sizeof(struct fragment_key) == 40, "a datagram's name has no holes");
_Static_assert(sizeof(struct fragment_note) == 24, "a note has no holes");

PARSE_INLINE void fragment_key_make(struct fragment_key *key, const struct xdp_judged *judged)
{
	bool v6 = judged->meta.flags & XFQ_META_IPV6;

	__builtin_memset(key, 0, sizeof(*key));
	for (int i = 0; i < 4; i++) {
		key->src[i] = judged->key.src[i];
		key->dst[i] = judged->key.dst[i];
	}
	key->id = judged->key.fragment_id;
	key->proto = v6 ? 0 : judged->meta.l4_proto;
	key->ip = v6 ? 6 : 4;
}

/* Whether a note is still believed; one that is a little newer than the packet is. */
PARSE_INLINE bool fragment_fresh(const struct fragment_note *note, __u64 now_ns)
{
	return (__s64)(now_ns - note->seen_ns) <= (__s64)FRAGMENT_LIFETIME_NS;
}

/*
 * What becomes of a fragment, `note` being the fresh one under its datagram's name; NULL: there is
 * none. Sets its hash and, of a later one, its ports; fills `mine`, the note that it would leave.
 * Returns whether its flow is known; if not it is an orphan.
 */
PARSE_INLINE bool fragment_judge(struct xdp_judged *judged, const struct fragment_note *note,
				 __u64 now_ns, __u64 seed, struct fragment_note *mine)
{
	bool later = judged->meta.flags & XFQ_META_FRAG_NEXT;
	bool known = !later;

	if (later && note && note->first) {
		judged->key.sport = note->sport;
		judged->key.dport = note->dport;
		known = true;
	}
	/* a first fragment's note gives way to that of another one: a name that is used again */
	if (note && (later || !note->first))
		judged->meta.flow_hash = note->hash;
	else if (later)
		judged->meta.flow_hash = flow_hash_ip_pair(&judged->key, seed);
	else
		judged->meta.flow_hash = flow_hash_whole(&judged->meta, &judged->key, seed);
	mine->seen_ns = now_ns;
	mine->hash = judged->meta.flow_hash;
	mine->sport = judged->key.sport;
	mine->dport = judged->key.dport;
	mine->first = known;
	mine->reserved = 0;
	return known;
}

/* Whether a fragment is one that asks for the note of its datagram before the rules judge it. */
PARSE_INLINE bool fragment_is_later(const struct xdp_judged *judged)
{
	return judged->meta.flags & XFQ_META_FRAG_NEXT;
}

/*
 * Whether a fragment is a first one that leaves a note, now that its verdict is known. One that is
 * dropped does not: a flood of them would cost more than to drop it, and push out the notes of
 * datagrams that somebody wants.
 */
PARSE_INLINE bool fragment_is_noted(const struct xdp_judged *judged, __u32 verdict, __u32 malformed)
{
	if ((judged->meta.flags & (XFQ_META_FRAGMENT | XFQ_META_FRAG_NEXT)) != XFQ_META_FRAGMENT)
		return false;
	return verdict != XDP_VERDICT_DROP && verdict != XDP_VERDICT_LIMITED &&
	       !(verdict == XDP_VERDICT_MALFORMED && malformed == XDP_MALFORMED_DROP);
}

/* Whether a fragment leaves its note: a first one does, and an orphan that the rules judge where
 * there is none yet. */
PARSE_INLINE bool fragment_leaves(const struct xdp_judged *judged, const struct fragment_note *note,
				  bool known, __u8 orphans)
{
	if (!(judged->meta.flags & XFQ_META_FRAG_NEXT))
		return true;
	return !known && !note && orphans == XDP_ORPHAN_BY_RULES;
}

#endif
