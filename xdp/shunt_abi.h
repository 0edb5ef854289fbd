/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Entries of the shunt table, in the kernel's map and in user space: a flow, by its canonical key,
 * whose packets are dropped or passed where the rules would have them steered.
 */
#ifndef XDP_SHUNT_ABI_H
#define XDP_SHUNT_ABI_H

#include "xdp/flow_key.h"

enum shunt_action { SHUNT_NONE = 0, SHUNT_DROP, SHUNT_PASS };

/* Who adds an entry writes all of it; afterwards the first pass alone changes it. */
struct xdp_shunt {
	__u64 expires_ns; /* CLOCK_MONOTONIC, or of a capture file; 0: never */
	__u64 most;       /* packets that it acts on; 0: any number */
	__u64 packets;    /* that came so far; those beyond `most` were not acted on */
	__u64 bytes;      /* of those that it acted on */
	__u64 seen_ns;    /* when the last one came; 0: none has */
	__u32 action;     /* enum shunt_action */
	__u32 relative;   /* of a capture file: 1: expires_ns counts from the next packet */
};

_Static_assert(sizeof(struct xdp_shunt) == 48, "a shunt entry has no holes");

/* Whether an entry's time is over. */
PARSE_INLINE bool shunt_expired(const struct xdp_shunt *entry, __u64 now_ns)
{
	return entry->expires_ns && now_ns >= entry->expires_ns;
}

#endif
