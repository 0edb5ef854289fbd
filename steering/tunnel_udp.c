/* SPDX-License-Identifier: BSD-2-Clause */
/* Tunnels in UDP: VXLAN, GENEVE, GTP-U, Teredo. Ports alone say which. */
#include "steering/tunnel_walk.h"

enum {
	PORT_GTPU = 2152,
	PORT_TEREDO = 3544,
	PORT_VXLAN = 4789,
	PORT_VXLAN_GPE = 4790,
	PORT_VXLAN_LINUX = 8472, /* before 4789 was assigned */
	PORT_GENEVE = 6081
};

enum { UDP_BYTES = 8, VXLAN_BYTES = 8, GENEVE_BYTES = 8, GTPU_BYTES = 8 };

/* Extension headers of one GTP-U packet that are followed; no message has more than three. */
#define GTPU_EXTENSIONS_MAX 8

/* RFC 7348: the flag says that there is a network; the rest is ignored on receipt. */
static bool walk_vxlan(struct tunnel_walk *walk)
{
	if (!tunnel_walk_enter(walk, TUNNEL_VXLAN, VXLAN_BYTES) || !(walk->data[walk->at] & 0x08))
		return false;
	walk->at += VXLAN_BYTES;
	return tunnel_walk_take_frame(walk);
}

/* draft-ietf-nvo3-vxlan-gpe: the same with a version and a type, which a flag says is there. */
static bool walk_vxlan_gpe(struct tunnel_walk *walk)
{
	const uint8_t *p = walk->data + walk->at;

	/* version 0, a network, no message between the ends */
	if (!tunnel_walk_enter(walk, TUNNEL_VXLAN, VXLAN_BYTES) || (p[0] & 0x39) != 0x08)
		return false;
	walk->at += VXLAN_BYTES;
	switch (p[0] & 0x04 ? p[3] : 3) {
	case 1:
		return tunnel_walk_take_ip(walk, PARSE_ETH_IPV4);
	case 2:
		return tunnel_walk_take_ip(walk, PARSE_ETH_IPV6);
	case 3:
		return tunnel_walk_take_frame(walk);
	case 5:
		return tunnel_walk_payload(walk, TUNNEL_WALK_MPLS);
	default:
		return false;
	}
}

/* RFC 8926. The options must add up to what the header says. */
static bool walk_geneve(struct tunnel_walk *walk)
{
	const uint8_t *p = walk->data + walk->at;
	uint32_t end, option;

	/* version 0, no message between the ends */
	if (!tunnel_walk_enter(walk, TUNNEL_GENEVE, GENEVE_BYTES) || p[0] & 0xc0 || p[1] & 0x80)
		return false;
	end = GENEVE_BYTES + (uint32_t)(p[0] & 0x3f) * 4;
	if (!tunnel_walk_has(walk, end))
		return false;
	for (uint32_t at = GENEVE_BYTES; at < end; at += option) {
		option = 4 + (uint32_t)(p[at + 3] & 0x1f) * 4;
		if (option > end - at)
			return false;
	}
	walk->at += end;
	return tunnel_walk_payload(walk, parse_be16(p + 2));
}

/* Step over extension headers, the first of which is of type `next` (3GPP TS 29.281, 5.2). */
static bool walk_gtpu_extensions(struct tunnel_walk *walk, uint8_t next)
{
	for (uint32_t i = 0; next; i++) {
		uint32_t bytes;

		if (i == GTPU_EXTENSIONS_MAX || !tunnel_walk_has(walk, 1))
			return false;
		bytes = walk->data[walk->at] * 4u;
		if (bytes == 0 || !tunnel_walk_has(walk, bytes))
			return false;
		walk->at += bytes;
		next = walk->data[walk->at - 1];
	}
	return true;
}

/* 3GPP TS 29.281, 5.1. What is in it is an IP packet, or does not say what it is. */
static bool walk_gtpu(struct tunnel_walk *walk)
{
	const uint8_t *p = walk->data + walk->at;
	uint8_t next = 0;

	/* version 1, GTP, a user's packet */
	if (!tunnel_walk_enter(walk, TUNNEL_GTPU, GTPU_BYTES) || p[0] >> 4 != 3 || p[1] != 0xff ||
	    !tunnel_walk_narrow(walk, walk->at + GTPU_BYTES + parse_be16(p + 2)))
		return false;
	walk->at += GTPU_BYTES;
	if (p[0] & 0x07) {
		if (!tunnel_walk_has(walk, 4))
			return false;
		next = p[0] & 0x04 ? p[11] : 0;
		walk->at += 4;
	}
	return walk_gtpu_extensions(walk, next) && tunnel_walk_take_ip_any(walk);
}

/* Whether an IPv6 header names what a host sends. */
static bool next_header_known(uint8_t next)
{
	switch (next) {
	case 4:   /* IPv4 */
	case 6:   /* TCP */
	case 17:  /* UDP */
	case 33:  /* DCCP */
	case 41:  /* IPv6 */
	case 47:  /* GRE */
	case 50:  /* ESP */
	case 58:  /* ICMPv6 */
	case 59:  /* nothing: Teredo's bubbles */
	case 132: /* SCTP */
	case 136: /* UDP-Lite */
		return true;
	default:
		return parse_is_extension(next);
	}
}

/* One of Teredo's (RFC 4380, 2.6), that of its experiments, or a link's. */
static bool teredo_address(const uint8_t *p)
{
	uint32_t prefix = (uint32_t)parse_be16(p) << 16 | parse_be16(p + 2);

	return prefix == 0x20010000 || prefix == 0x3ffe831f || prefix >> 22 == 0xfe80 >> 6;
}

/* RFC 4380, 5.1.1. The port is no proof: what is in there must look like an IPv6 packet of it. */
static bool walk_teredo(struct tunnel_walk *walk)
{
	const uint8_t *p = walk->data + walk->at;

	if (!tunnel_walk_enter(walk, TUNNEL_TEREDO, 4))
		return false;
	if (parse_be16(p) == 0x0001) /* authentication: two lengths, nonce, confirmation */
		walk->at += 4u + p[2] + p[3] + 9;
	if (tunnel_walk_has(walk, 8) && parse_be16(walk->data + walk->at) == 0) /* origin */
		walk->at += 8;
	if (!tunnel_walk_has(walk, 40))
		return false;
	p = walk->data + walk->at;
	if (!next_header_known(p[6]) || (parse_be16(p + 4) == 0 && p[6] != 59))
		return false;
	if (!teredo_address(p + 8) && !teredo_address(p + 24))
		return false;
	return tunnel_walk_take_ip(walk, PARSE_ETH_IPV6);
}

bool tunnel_walk_udp(struct tunnel_walk *walk)
{
	const uint8_t *p = walk->data + walk->at;
	uint32_t bytes;

	if (!tunnel_walk_has(walk, UDP_BYTES))
		return false;
	bytes = parse_be16(p + 4);
	/* it is the whole datagram's: known even where the rest is in other fragments */
	if (bytes && (bytes < UDP_BYTES || !tunnel_walk_narrow(walk, walk->at + bytes)))
		return false;
	walk->at += UDP_BYTES;
	switch (parse_be16(p + 2)) {
	case PORT_VXLAN:
	case PORT_VXLAN_LINUX:
		return walk_vxlan(walk);
	case PORT_VXLAN_GPE:
		return walk_vxlan_gpe(walk);
	case PORT_GENEVE:
		return walk_geneve(walk);
	case PORT_GTPU:
		return walk_gtpu(walk);
	case PORT_TEREDO:
		return walk_teredo(walk);
	default:
		return parse_be16(p) == PORT_TEREDO && walk_teredo(walk);
	}
}

bool tunnel_udp_port(uint16_t sport, uint16_t dport)
{
	switch (dport) {
	case PORT_VXLAN:
	case PORT_VXLAN_LINUX:
	case PORT_VXLAN_GPE:
	case PORT_GENEVE:
	case PORT_GTPU:
	case PORT_TEREDO:
		return true;
	default:
		return sport == PORT_TEREDO;
	}
}
