/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The walk to the innermost packet, header by header. Inside tunnel_*.c only.
 *
 *	packet -> header of a tunnel -> packet in it -> ...
 *
 * A step is taken only where all of what it leads through holds.
 *
 * Two ends are kept of whatever is around the place where the walk is: `there`, up to which bytes
 * may be read, and `wire`, where it says that it ends. Each header's own length can only draw them
 * in. Of a first fragment, and of a mirrored frame that says it was cut, nobody knows `wire`.
 */
#ifndef STEERING_TUNNEL_WALK_H
#define STEERING_TUNNEL_WALK_H

#include "steering/flow.h"
#include "steering/tunnel.h"
#include "steering/tunnel_note.h"

/* A `wire` that nobody knows; beyond every packet, and far from where sums overflow. */
#define TUNNEL_WALK_OPEN 0x40000000u

#define TUNNEL_WALK_LINK_BYTES 14 /* Ethernet header */

struct tunnel_walk {
	const uint8_t *data;
	uint32_t at; /* of the next header */
	uint32_t there, wire;
	struct tunnel_path path; /* to `at` */

	/* the innermost packet so far */
	struct tunnel_inner inner;
	uint32_t base;     /* what the offsets of `meta` count from: of a packet without an Ethernet
			      header, where that would begin */
	uint32_t bytes;    /* of it that are there, counted from base */
	uint32_t wire_len; /* the same, on the wire */
	struct xfq_meta meta;
	struct parse_key key; /* of an inner packet, or of an outer fragment */

	/* datagrams of which this is the first fragment, outermost first */
	uint32_t name_cnt;
	struct tunnel_name names[TUNNEL_DEPTH_MAX + 1];
};

/* Walk as far as it goes. `meta` is the outer packet's. */
void tunnel_walk(struct tunnel_walk *walk, const uint8_t *data, uint32_t len,
		 const struct xfq_meta *meta);

/* Addresses and fragment id of a packet with checked metadata, as the parser fills them. `len`
 * bytes are at `data`. */
void tunnel_key(struct parse_key *key, const uint8_t *data, uint32_t len,
		const struct xfq_meta *meta);

/* The packet in a tunnel's UDP datagram, whose header is at walk->at. Whether there is one. */
bool tunnel_walk_udp(struct tunnel_walk *walk);

/* Whether there may be a tunnel behind an ethertype that the parser leaves alone (after two tags),
 * or in a UDP datagram of these ports. */
bool tunnel_link_type(uint16_t type);
bool tunnel_udp_port(uint16_t sport, uint16_t dport);

/* --- steps, for the parts of the walk ----------------------------------------------------------
 */

static inline bool tunnel_walk_has(const struct tunnel_walk *walk, uint32_t bytes)
{
	return walk->there >= walk->at && walk->there - walk->at >= bytes;
}

/* Go into a header of `bytes`, which must be there. False: it is not, or this is too deep. */
static inline bool tunnel_walk_enter(struct tunnel_walk *walk, enum tunnel_kind kind,
				     uint32_t bytes)
{
	if (walk->path.cnt == TUNNEL_DEPTH_MAX || !tunnel_walk_has(walk, bytes))
		return false;
	walk->path.kinds[walk->path.cnt++] = (uint8_t)kind;
	return true;
}

/* What is around ends at `end`. False: that is a lie, as what is around that ends before. */
static inline bool tunnel_walk_narrow(struct tunnel_walk *walk, uint32_t end)
{
	if (end > walk->wire || end < walk->at)
		return false;
	walk->wire = end;
	if (walk->there > end)
		walk->there = end;
	return true;
}

/* Take what is at walk->at for the innermost packet so far: an IP packet of that ethertype, or an
 * Ethernet frame. False: it is none, or its headers lie. */
bool tunnel_walk_take_ip(struct tunnel_walk *walk, uint16_t ethertype);
bool tunnel_walk_take_frame(struct tunnel_walk *walk);

/* The same: an IP packet of the version that its first bits say. */
bool tunnel_walk_take_ip_any(struct tunnel_walk *walk);

/* Ethertypes: what is at walk->at is an Ethernet frame (transparent Ethernet bridging), or labels.
 */
#define TUNNEL_WALK_FRAME 0x6558
#define TUNNEL_WALK_MPLS  0x8847

/* Take what an ethertype says is at walk->at, tags and labels stripped. */
bool tunnel_walk_payload(struct tunnel_walk *walk, uint16_t type);

#endif
