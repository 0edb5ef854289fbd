/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steering methods: how a packet finds its member in a group.
 *
 * The hashing ones map a hash to a bucket and the bucket to a member, as RSS does; both directions
 * of a flow have the same hash and so the same member. roster.h says who has which bucket.
 *
 *	flow         addresses, ports and protocol; fragments by addresses; not IP: by MAC pair and
 *	             ethertype
 *	ip-pair      addresses only; not IP: as flow
 *	round-robin  one member after the other, counted per worker and group
 *	broadcast    every member
 */
#ifndef STEERING_METHOD_H
#define STEERING_METHOD_H

#include "steering/flow.h"
#include "steering/packet.h"
#include <string.h>

enum method { METHOD_FLOW = 0, METHOD_IP_PAIR, METHOD_ROUND_ROBIN, METHOD_BROADCAST, METHOD_CNT };

/* Symmetric hash over the two addresses of a packet whose metadata was checked. */
static inline uint32_t method_hash_ip_pair(const struct packet *pkt, uint64_t seed)
{
	const uint8_t *l3 = pkt->data + pkt->meta->l3_off;
	struct parse_key key = {.sport = 0};

	if (pkt->meta->flags & XFQ_META_IPV4) {
		key.src[0] = parse_raw32(l3 + 12);
		key.dst[0] = parse_raw32(l3 + 16);
	} else if (pkt->meta->flags & XFQ_META_IPV6) {
		memcpy(key.src, l3 + 8, sizeof(key.src));
		memcpy(key.dst, l3 + 24, sizeof(key.dst));
	} else {
		return pkt->meta->flow_hash;
	}
	return flow_hash_ip_pair(&key, seed);
}

/* "flow", "ip-pair", "round-robin", "broadcast". */
const char *method_name(enum method method);

#endif
