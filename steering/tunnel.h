/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tunnels: the innermost packet of a packet, as if it had come alone.
 *
 *	VLAN tags (any number) . MPLS . PPPoE . IPv4 and IPv6 in IP . GRE (also with
 *	key; ERSPAN I, II, III) . VXLAN, also GPE . GENEVE . GTP-U . Teredo, one in
 *	the other, at most TUNNEL_DEPTH_MAX
 *
 * What is behind the last header that is understood, and whose inside is an IP packet or an
 * Ethernet frame, is the inner packet. One that was an Ethernet frame is shown in place. One
 * without is shown as a copy behind an Ethernet header made of the outer MAC addresses and of the
 * ethertype of its IP version, without tags. An inside that is no packet, or whose headers lie
 * (parse.h says what counts as malformed), is not taken for one: the packet around it is the
 * innermost then. A packet that is no tunnel is its own innermost; one or two tags, which the
 * parser reads, make none. docs/decisions/inner-packets.md says how each kind is told.
 *
 * Its metadata is what the parser (parse.h) says of it, hash included; ts_ns, rule and generation
 * are the outer packet's. A datagram in fragments outside shows its inside in the first fragment
 * alone: the later ones have the hash of its inside as long as they come to the same worker
 * (TUNNEL_DATAGRAMS are remembered, each for 30 s of packet time); expressions see them as they
 * are. So with fragments inside: all of them have the hash of their flow.
 *
 * Thread: the worker's only.
 */
#ifndef STEERING_TUNNEL_H
#define STEERING_TUNNEL_H

#include "steering/packet.h"
#include <stdbool.h>

#define TUNNEL_DEPTH_MAX 8
#define TUNNEL_DATAGRAMS 4096

enum tunnel_kind {
	TUNNEL_VLAN = 0,
	TUNNEL_MPLS,
	TUNNEL_PPPOE,
	TUNNEL_IPIP, /* IPv4 or IPv6 in IPv4 or IPv6 */
	TUNNEL_GRE,
	TUNNEL_ERSPAN,
	TUNNEL_VXLAN,
	TUNNEL_GENEVE,
	TUNNEL_GTPU,
	TUNNEL_TEREDO,
	TUNNEL_KINDS
};

/* The way to the innermost packet, for whoever explains it: every header that it is behind, each
 * tag too; the tags of an inner frame are its own. */
struct tunnel_path {
	uint8_t cnt;
	uint8_t kinds[TUNNEL_DEPTH_MAX]; /* enum tunnel_kind, outermost first */
};

/* Where the inner packet of a packet is: */
struct tunnel_inner {
	uint32_t off;       /* of its first byte; 0: the packet is its own innermost */
	uint16_t ethertype; /* 0: an Ethernet frame begins at `off`; else an IP packet of this */
	struct tunnel_path path;
};

/* Look for it. `len` bytes at `data`, whose metadata is checked. Reads nothing outside. */
void tunnel_find(const uint8_t *data, uint32_t len, const struct xfq_meta *meta,
		 struct tunnel_inner *inner);

struct tunnels; /* room for the inner packets of a burst, and notes of fragments */

/* `reach`: how far into inner packets somebody looks (unit.h), so that no more is copied;
 * UINT32_MAX: no bound. NULL: no memory. The caller owes a tunnels_destroy(), which takes NULL. */
struct tunnels *tunnels_create(uint32_t reach);
void tunnels_destroy(struct tunnels *tunnels);

/* Another reach from the next burst on, at most the one that it was created with. */
void tunnels_set_reach(struct tunnels *tunnels, uint32_t reach);

/*
 * The innermost packets of a burst, at most PACKET_BURST: inner[i] of pkts[i], which may be the
 * same packet. `inner[i].data` and `.meta` hold until the next call; `.len` is the whole length of
 * the inner packet, of which no byte at or beyond `reach` is to be read but those of headers that
 * the metadata names; `.frame` is the outer one's. Returns for whom inner[i] is another packet, or
 * the same one with another hash: a later fragment of a tunnel's datagram.
 */
uint64_t tunnels_burst(struct tunnels *tunnels, uint64_t hash_seed, const struct packet *pkts,
		       uint32_t cnt, struct packet *inner);

/* "vlan", "mpls" and so on. */
const char *tunnel_kind_name(enum tunnel_kind kind);

#endif
