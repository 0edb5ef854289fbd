/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shapes: kinds of packets whose headers stand at known places, so that an expression can be asked
 * beforehand whether it looks at anything but the flow's key.
 *
 *	shape   IPv4 or IPv6; without a tag or with one (802.1Q); TCP, UDP, or another protocol that
 *	        is not SCTP
 *	in all  whole packets, no fragments; no options before the L4 header; nothing wrong, nothing
 *	        cut off
 *	key     addresses, ports (of TCP and UDP), protocol, tag; of TCP some of the flags, where
 *	        somebody asks for them
 *
 * Packets of no shape are classified each by itself. Tunnels and everything above are payload here.
 */
#ifndef STEERING_SHAPE_H
#define STEERING_SHAPE_H

#include "steering/graph.h"
#include "steering/packet.h"
#include <string.h>

#define SHAPE_NONE   0xff
#define SHAPE_V6     0x1
#define SHAPE_TAGGED 0x2
#define SHAPE_UDP    0x4 /* 0: TCP */
#define SHAPE_OTHER  0x8 /* neither */
#define SHAPE_CNT    12

/* The key of a flow, in one direction: addresses as the packet has them (of IPv4 both in the first
 * word, and the others are not used), and everything else in one word. */
struct shape_key {
	uint64_t addresses[4];
	uint64_t rest; /* ports, tag, protocol or TCP flags, shape, from the low bits on */
};

_Static_assert(sizeof(struct shape_key) == 40, "a key has no holes");

static inline uint8_t shape_of_key(const struct shape_key *key)
{
	return (uint8_t)(key->rest >> 56);
}

static inline bool shape_key_same(const struct shape_key *a, const struct shape_key *b)
{
	if (((a->addresses[0] ^ b->addresses[0]) | (a->rest ^ b->rest)) != 0)
		return false;
	/* b is of the same shape */
	if (!(a->rest >> 56 & SHAPE_V6))
		return true;
	return ((a->addresses[1] ^ b->addresses[1]) | (a->addresses[2] ^ b->addresses[2]) |
		(a->addresses[3] ^ b->addresses[3])) == 0;
}

/* TCP flags that may be part of the key: FIN, SYN, RST, ACK. Once a connection stands these do not
 * change from packet to packet, as PSH does. */
#define SHAPE_FLAGS 0x17

_Static_assert(sizeof(struct shape_key) == 40, "a key has no holes");

/* What holds of the packets of a shape; `flags` of TCP are part of the key. */
void shape_facts(uint8_t shape, uint8_t flags, struct graph_facts *facts);

/* By the flags of the metadata: what shape they stand for, and where its headers are. */
struct shape_layout {
	uint16_t l3_off, l4_off; /* 0: no shape has such flags */
	uint16_t tag_mask;       /* 0xffff where there is a tag */
	uint8_t shape;
	uint8_t ports; /* 1: the packet has them */
};

#define SHAPE_FLAGS_END 128

extern const struct shape_layout shape_layouts[SHAPE_FLAGS_END];

/* What a protocol adds to the shape, without ports and with: TCP and UDP have them. */
extern const uint8_t shape_protos[2][256];

/*
 * The shape of a packet with checked metadata, and its key, in which there are `tcp_flags`;
 * SHAPE_NONE: it has none, and what is in the key means nothing. Packets of all kinds come mixed,
 * so there are few branches that a processor could guess wrongly.
 */
static inline uint8_t shape_of(const struct packet *pkt, uint8_t tcp_flags, struct shape_key *key)
{
	const struct xfq_meta *meta = pkt->meta;
	const uint8_t *data = pkt->data;
	const struct shape_layout *layout;
	uint16_t tpid, tag;
	uint32_t ports, l4 = meta->l4_off;
	uint8_t proto = meta->l4_proto, more, shape;

	if (meta->flags >= SHAPE_FLAGS_END)
		return SHAPE_NONE;
	layout = &shape_layouts[meta->flags];
	more = shape_protos[layout->ports][proto];
	shape = layout->shape | more;
	if (__builtin_expect((l4 == 0) | (l4 != layout->l4_off) | (meta->l3_off != layout->l3_off) |
				     (shape >= SHAPE_CNT) |
				     ((more < SHAPE_OTHER) & (meta->payload_off == 0)),
			     0))
		return SHAPE_NONE;
	/* an IP header is there: so are the first 16 bytes, tag or no tag */
	memcpy(&tpid, data + 12, sizeof(tpid));
	memcpy(&tag, data + 14, sizeof(tag));
	if (__builtin_expect((tpid ^ __builtin_bswap16(0x8100)) & layout->tag_mask, 0))
		return SHAPE_NONE;
	if (shape & SHAPE_V6)
		memcpy(key->addresses, data + layout->l3_off + 8, 32);
	else
		memcpy(key->addresses, data + layout->l3_off + 12, 8);
	/* of a protocol without ports there may be less than four bytes behind IP */
	memcpy(&ports, data + (more == SHAPE_OTHER ? 0 : l4), sizeof(ports));
	ports = more == SHAPE_OTHER ? 0 : ports;
	proto = more == SHAPE_OTHER ? proto : 0;
	proto |= data[more == 0 ? l4 + 13 : 0] & (more == 0 ? tcp_flags : 0);
	key->rest = ports | (uint64_t)(tag & layout->tag_mask) << 32 | (uint64_t)proto << 48 |
		    (uint64_t)shape << 56;
	return shape;
}

#endif
