/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of address prefixes in user space: what a named set of type `net` holds.
 *
 * It is built once (add ... seal), then read: the loader copies its prefixes into LPM tries, and
 * the first pass in user space looks addresses up. Both answer membership alone, so overlapping
 * prefixes are no conflict. Not for several threads while it is being built.
 */
#ifndef XDP_NETSET_H
#define XDP_NETSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xfq/error.h>

/* One prefix as it was given, host bits cleared; addr in network byte order, IPv4 in addr[0..3]. */
struct netset_prefix {
	uint8_t addr[16];
	uint8_t len; /* bits: 0 to 32, or 0 to 128 */
	bool v6;
};

/* An inclusive range of addresses as two 64-bit halves in host order; IPv4 in lo[1] and hi[1]. */
struct netset_range {
	uint64_t lo[2], hi[2];
};

struct netset {
	struct netset_prefix *prefixes; /* without duplicates once sealed */
	size_t prefix_cnt, prefix_room;
	struct netset_range *v4, *v6; /* sealed: sorted and disjoint */
	size_t v4_cnt, v6_cnt;
};

/*
 * Read one prefix from text: "192.0.2.1", "192.0.2.0/24", "2001:db8::/32". Host bits beyond the
 * length are cleared. Returns 0, or -EINVAL with a sentence that quotes the text.
 */
int netset_parse(struct netset_prefix *prefix, const char *text, struct xfq_error *error);

/* Append a prefix. 0 or -ENOMEM. The set starts as zeroed memory. */
int netset_add(struct netset *set, const struct netset_prefix *prefix);

/* Remove duplicates and build the ranges; after this the set may be looked up. 0 or -ENOMEM. */
int netset_seal(struct netset *set);

/* Whether a sealed set holds an address; `addr` in network byte order, 4 or 16 bytes. */
bool netset_has(const struct netset *set, const void *addr, bool v6);

/* Free what the set owns and zero it; safe on zeroed memory. */
void netset_destroy(struct netset *set);

#endif
