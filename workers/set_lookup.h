/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A named set as groups ask it: which packets of a burst are in it. A copy of the config's set,
 * that workers read while it stays as it is.
 *
 * A member that has expired is one until it is taken out, so that the answer for a flow changes
 * only with the set. Later fragments have no ports here: they are in no set of ports, and in one of
 * flows only where the flow has none.
 */
#ifndef WORKERS_SET_LOOKUP_H
#define WORKERS_SET_LOOKUP_H

#include "steering/packet.h"
#include "xdp/set.h"

#define SET_LOOKUP_LENS 129 /* of IPv6 prefixes: 0 to 128 */

struct set_lookup {
	struct set set;
	/* the lengths that its prefixes have, the longest first; IPv4, IPv6 */
	uint32_t len_cnt[2];
	uint8_t lens[2][SET_LOOKUP_LENS];
};

/* Become an equal of a set; `lookup` is empty. 0 or -ENOMEM. */
int set_lookup_copy(struct set_lookup *lookup, const struct set *from);

/* lookup->set has changed. */
void set_lookup_renew(struct set_lookup *lookup);

/* Safe on zeroed memory. */
void set_lookup_destroy(struct set_lookup *lookup);

/* Which of the packets `among` have `fields` (XDP_FIELD_*, of a set of flows not used) in the set.
 * They have checked metadata. Any thread. */
uint64_t set_lookup_burst(const struct set_lookup *lookup, uint8_t fields,
			  const struct packet *pkts, uint64_t among);

#endif
