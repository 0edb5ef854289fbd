/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets in packets, made by hand, for tests and fuzz targets:
 *
 *	nest_start(&n);				Ethernet header
 *	nest_ip(&n, 4, false);			outer addresses, from the near end to the far one
 *	nest_udp(&n, 4789);
 *	nest_vxlan(&n);
 *	nest_frame(&n);				an Ethernet frame in it
 *	nest_ip(&n, 6, false);
 *	nest_tcp(&n, 1000, 80);
 *	nest_bytes(&n, 20);
 *	nest_finish(&n);			lengths become true
 *
 * Each header writes its own number into the field before it. What was a packet is noted: where it
 * begins, and how much of it must be there that it can be taken. Nothing here uses what is tested.
 */
#ifndef TESTS_TUNNEL_BUILDER_H
#define TESTS_TUNNEL_BUILDER_H

#include "tests/packet_builder.h"

#define NEST_MAX 64

/* The field that says what comes next. */
enum nest_next { NEST_NOTHING, NEST_ETHERTYPE, NEST_PROTO, NEST_PPP, NEST_GPE };

/* A length field: counts bytes from `from` to the end. */
struct nest_length {
	uint32_t at, from;
	uint32_t packet; /* in which of the packets it is */
	bool zero;       /* 0 stands for all that is there */
};

struct nest_packet {
	uint32_t off;
	uint32_t ethertype; /* 0: an Ethernet frame */
	uint32_t need;      /* offset of the end of what must be there */
	uint32_t paths;     /* how many headers of tunnels it is behind */
};

struct nest {
	struct packet_builder b;
	enum nest_next next;
	uint32_t next_at;
	struct nest_length lengths[NEST_MAX];
	uint32_t length_cnt;
	struct nest_packet packets[NEST_MAX]; /* outermost first */
	uint32_t packet_cnt;
	uint32_t path_cnt; /* headers of tunnels so far */
	uint32_t tags;     /* of the current frame that have not been counted yet */
	uint32_t header;   /* where the last tunnel's header begins */
	bool labelled;     /* a frame behind labels needs an IP packet in it */
	uint32_t hosts;    /* makes addresses differ from level to level */
};

/* Write the number of what follows into the field before it. */
static inline void nest_link(struct nest *n, uint32_t ethertype, uint32_t proto)
{
	switch (n->next) {
	case NEST_ETHERTYPE:
		packet_put16(&n->b, n->next_at, ethertype);
		break;
	case NEST_PROTO:
		n->b.bytes[n->next_at] = (uint8_t)proto;
		break;
	case NEST_PPP:
		packet_put16(&n->b, n->next_at, ethertype == 0x0800 ? 0x0021 : 0x0057);
		break;
	case NEST_GPE:
		n->b.bytes[n->next_at] = ethertype == 0x0800   ? 1
					 : ethertype == 0x86dd ? 2
					 : ethertype == 0x8847 ? 5
							       : 3;
		break;
	case NEST_NOTHING:
	default:
		break;
	}
	n->next = NEST_NOTHING;
}

static inline void nest_then(struct nest *n, enum nest_next next, uint32_t at)
{
	n->next = next;
	n->next_at = at;
}

static inline void nest_length(struct nest *n, uint32_t at, uint32_t from, bool zero)
{
	assert(n->length_cnt < NEST_MAX);
	n->lengths[n->length_cnt++] = (struct nest_length){at, from, n->packet_cnt - 1, zero};
}

static inline void nest_packet(struct nest *n, uint32_t off, uint32_t ethertype, uint32_t need)
{
	assert(n->packet_cnt < NEST_MAX);
	n->packets[n->packet_cnt++] = (struct nest_packet){off, ethertype, need, n->path_cnt};
}

/* A header of a tunnel begins: tags before it are counted as well. */
static inline uint32_t nest_tunnel(struct nest *n, uint32_t bytes)
{
	n->path_cnt += 1 + n->tags;
	n->tags = 0;
	n->header = packet_append(&n->b, bytes);
	return n->header;
}

/* An Ethernet frame begins here. */
static inline void nest_frame(struct nest *n)
{
	uint32_t at;

	nest_link(n, 0x6558, 97);
	at = packet_append(&n->b, 14);
	/* of a maker that dissectors know: behind labels some guess by that */
	memcpy(n->b.bytes + at, "\x00\x1b\x21\x00\x00\x02\x00\x1b\x21\x00\x00\x01", 12);
	n->b.bytes[at + 4] = n->b.bytes[at + 10] = (uint8_t)n->packet_cnt;
	nest_then(n, NEST_ETHERTYPE, at + 12);
	nest_packet(n, at, 0, at + 14);
}

static inline void nest_start(struct nest *n)
{
	memset(n, 0, sizeof(*n));
	nest_frame(n);
}

/* Tags of a frame are its own, if there are at most two and nothing comes between them and IP. */
static inline void nest_vlan(struct nest *n, uint32_t tpid, uint32_t id)
{
	uint32_t at;

	nest_link(n, tpid, 0);
	at = packet_append(&n->b, 4);
	packet_put16(&n->b, at, id);
	nest_then(n, NEST_ETHERTYPE, at + 2);
	n->tags++;
}

/* Ends of level i are 10.i.0.1 and 10.i.0.2, or 2001:db8:i::1 and 2001:db8:i::2. */
static inline void nest_address(struct nest *n, uint32_t at, uint32_t ip, uint32_t end)
{
	uint8_t *p = n->b.bytes + at;

	if (ip == 4) {
		packet_put32(&n->b, at, 0x0a000000 | n->hosts << 16 | end);
	} else {
		memcpy(p, "\x20\x01\x0d\xb8", 4);
		packet_put16(&n->b, at + 4, n->hosts);
		p[15] = (uint8_t)end;
	}
}

static inline void nest_ip(struct nest *n, uint32_t ip, bool back)
{
	uint32_t bytes = ip == 4 ? 20 : 40, type = ip == 4 ? 0x0800 : 0x86dd, at;
	bool bare = n->next != NEST_ETHERTYPE || n->tags > 2 ||
		    n->next_at != n->packets[n->packet_cnt - 1].off + 12 + 4 * n->tags;

	if (n->next == NEST_PROTO) /* IP in IP has no header of its own */
		nest_tunnel(n, 0);
	nest_link(n, type, ip == 4 ? 4 : 41);
	at = packet_append(&n->b, bytes);
	if (bare) {
		n->path_cnt += n->tags;
		nest_packet(n, at, type, at + bytes);
		n->tags = 0;
	} else if (n->labelled) {
		n->packets[n->packet_cnt - 1].need = at + bytes;
	}
	n->labelled = false;
	n->b.l3 = at;
	n->b.bytes[at] = (uint8_t)(ip == 4 ? 0x45 : 0x60);
	n->b.bytes[at + (ip == 4 ? 8 : 7)] = 64;
	nest_length(n, at + (ip == 4 ? 2 : 4), at + (ip == 4 ? 0 : 40), n->packet_cnt == 1);
	nest_address(n, at + (ip == 4 ? 12 : 8), ip, back ? 2 : 1);
	nest_address(n, at + (ip == 4 ? 16 : 24), ip, back ? 1 : 2);
	n->hosts++;
	n->b.bytes[at + (ip == 4 ? 9 : 6)] = ip == 4 ? 253 : 59;
	nest_then(n, NEST_PROTO, at + (ip == 4 ? 9 : 6));
}

/* An IPv6 extension header, or AH after either. */
static inline uint32_t nest_extension(struct nest *n, uint32_t type, uint32_t bytes)
{
	uint32_t at;

	nest_link(n, 0, type);
	at = packet_append(&n->b, bytes);
	n->b.bytes[at] = 59;
	n->b.bytes[at + 1] = (uint8_t)(type == 51 ? bytes / 4 - 2 : bytes / 8 - 1);
	nest_then(n, NEST_PROTO, at);
	return at;
}

static inline void nest_ports(struct nest *n, uint32_t proto, uint32_t bytes, uint32_t sport,
			      uint32_t dport)
{
	nest_link(n, 0, proto);
	n->b.l4 = packet_append(&n->b, bytes);
	packet_put16(&n->b, n->b.l4, sport);
	packet_put16(&n->b, n->b.l4 + 2, dport);
}

/* A tunnel's UDP. */
static inline void nest_udp_ports(struct nest *n, uint32_t sport, uint32_t dport)
{
	nest_ports(n, 17, 8, sport, dport);
	nest_length(n, n->b.l4 + 4, n->b.l4, n->b.bytes[n->b.l3] >> 4 == 6);
}

static inline void nest_udp(struct nest *n, uint32_t dport)
{
	nest_udp_ports(n, 50000, dport);
}

static inline void nest_tcp(struct nest *n, uint32_t sport, uint32_t dport)
{
	nest_ports(n, 6, 20, sport, dport);
	n->b.bytes[n->b.l4 + 12] = 0x50;
	n->b.bytes[n->b.l4 + 13] = 0x10;
}

static inline void nest_bytes(struct nest *n, uint32_t bytes)
{
	memset(n->b.bytes + packet_append(&n->b, bytes), 'x', bytes);
}

/* --- tunnels -----------------------------------------------------------------------------------
 */

/* `control`: a word between labels and an Ethernet frame. */
static inline void nest_mpls(struct nest *n, uint32_t labels, bool control)
{
	nest_link(n, 0x8847, 0);
	n->labelled = true;
	nest_tunnel(n, labels * 4 + (control ? 4 : 0));
	for (uint32_t i = 0; i < labels; i++)
		packet_put32(&n->b, n->header + 4 * i,
			     (100 + i) << 12 | (i + 1 == labels) << 8 | 64);
}

static inline void nest_pppoe(struct nest *n)
{
	nest_link(n, 0x8864, 0);
	nest_tunnel(n, 8);
	n->b.bytes[n->header] = 0x11;
	packet_put16(&n->b, n->header + 2, 7);
	nest_length(n, n->header + 4, n->header + 6, false);
	nest_then(n, NEST_PPP, n->header + 6);
}

static inline void nest_gre(struct nest *n, uint32_t flags)
{
	uint32_t fields = !!(flags & 0x8000) + !!(flags & 0x2000) + !!(flags & 0x1000);

	nest_link(n, 0, 47);
	nest_tunnel(n, 4 + 4 * fields);
	packet_put16(&n->b, n->header, flags);
	nest_then(n, NEST_ETHERTYPE, n->header + 2);
}

/* `version` I, II or III; the last perhaps with a platform's subheader. */
static inline void nest_erspan(struct nest *n, uint32_t version, bool subheader)
{
	uint32_t at, bytes = version == 1 ? 0 : version == 2 ? 8 : subheader ? 20 : 12;

	nest_gre(n, version == 1 ? 0 : 0x1000);
	nest_link(n, version == 3 ? 0x22eb : 0x88be, 0);
	at = packet_append(&n->b, bytes);
	if (version > 1)
		n->b.bytes[at] = (uint8_t)((version - 1) << 4);
	if (subheader)
		n->b.bytes[at + 11] = 1;
}

static inline void nest_vxlan(struct nest *n)
{
	nest_tunnel(n, 8);
	n->b.bytes[n->header] = 0x08;
	n->b.bytes[n->header + 6] = 42;
}

static inline void nest_vxlan_gpe(struct nest *n)
{
	nest_tunnel(n, 8);
	n->b.bytes[n->header] = 0x0c;
	nest_then(n, NEST_GPE, n->header + 3);
}

/* With an option of 4 bytes and one of `option_bytes` more, a multiple of 4; 0: without any. */
static inline void nest_geneve(struct nest *n, uint32_t option_bytes)
{
	uint32_t options = option_bytes ? 4 + 4 + option_bytes : 0;

	nest_tunnel(n, 8 + options);
	n->b.bytes[n->header] = (uint8_t)(options / 4);
	if (options)
		n->b.bytes[n->header + 8 + 4 + 3] = (uint8_t)(option_bytes / 4);
	nest_then(n, NEST_ETHERTYPE, n->header + 2);
}

/* `flags`: of E (4), S (2), PN (1); with E `extensions` headers, of 4, 8, 12 ... bytes. */
static inline void nest_gtpu(struct nest *n, uint32_t flags, uint32_t extensions)
{
	uint32_t at;

	nest_tunnel(n, 8 + (flags ? 4 : 0));
	n->b.bytes[n->header] = (uint8_t)(0x30 | flags);
	n->b.bytes[n->header + 1] = 0xff;
	nest_length(n, n->header + 2, n->header + 8, false);
	at = n->header + 11;
	for (uint32_t i = 1; i <= extensions; i++) {
		n->b.bytes[at] = 0x85;
		at = packet_append(&n->b, 4 * i);
		n->b.bytes[at] = (uint8_t)i;
		at += 4 * i - 1;
	}
}

static inline void nest_teredo(struct nest *n, bool authentication, bool origin)
{
	uint32_t at = nest_tunnel(n, (authentication ? 4 + 3 + 5 + 9 : 0) + (origin ? 8 : 0));

	if (authentication)
		memcpy(n->b.bytes + at, "\x00\x01\x03\x05", 4);
}

static inline void nest_finish(struct nest *n)
{
	for (uint32_t i = 0; i < n->length_cnt; i++)
		packet_put16(&n->b, n->lengths[i].at, n->b.len - n->lengths[i].from);
}

#endif
