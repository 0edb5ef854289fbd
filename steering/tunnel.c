/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/tunnel_walk.h"
#include <string.h>

enum {
	TYPE_ERSPAN = 0x88be,   /* I and II */
	TYPE_ERSPAN_3 = 0x22eb, /* III */
	TYPE_MPLS_UPSTREAM = 0x8848,
	TYPE_PPPOE = 0x8864, /* session */
	TYPE_FIRST = 0x0600, /* below are lengths (IEEE 802.3) */
	LENGTH_LAST = 1500
};

enum { PROTO_IPV4 = 4, PROTO_IPV6 = 41, PROTO_GRE = 47, PROTO_NONE = 59 };

enum { PPP_IPV4 = 0x0021, PPP_IPV6 = 0x0057 };

/* Labels of one stack that are followed; deeper ones have not been seen in use. */
#define MPLS_LABELS_MAX 16

static const char *const kind_names[TUNNEL_KINDS] = {
	[TUNNEL_VLAN] = "vlan",     [TUNNEL_MPLS] = "mpls",     [TUNNEL_PPPOE] = "pppoe",
	[TUNNEL_IPIP] = "ipip",     [TUNNEL_GRE] = "gre",       [TUNNEL_ERSPAN] = "erspan",
	[TUNNEL_VXLAN] = "vxlan",   [TUNNEL_GENEVE] = "geneve", [TUNNEL_GTPU] = "gtpu",
	[TUNNEL_TEREDO] = "teredo",
};

const char *tunnel_kind_name(enum tunnel_kind kind)
{
	return (uint32_t)kind < TUNNEL_KINDS ? kind_names[kind] : "unknown";
}

/* --- packets that are taken --------------------------------------------------------------------
 */

/* The packet that begins at `off` is the innermost so far. */
static void walk_accept(struct tunnel_walk *walk, uint32_t off, uint16_t ethertype,
			const struct xfq_meta *meta, const struct parse_key *key)
{
	uint32_t flags = meta->flags & (XFQ_META_FRAGMENT | XFQ_META_FRAG_NEXT);

	walk->inner.off = off;
	walk->inner.ethertype = ethertype;
	walk->inner.path = walk->path;
	walk->base = ethertype ? off - TUNNEL_WALK_LINK_BYTES : off;
	walk->meta = *meta;
	walk->key = *key;
	if (flags == XFQ_META_FRAGMENT)
		tunnel_name_make(&walk->names[walk->name_cnt++], meta, key, true);
}

/* Where the IP packet at `l3` says that it ends; 0: it does not. Its header is there. */
static uint32_t ip_end(const uint8_t *data, uint32_t l3, uint32_t flags)
{
	uint32_t length;

	if (flags & XFQ_META_IPV4) {
		length = parse_be16(data + l3 + 2);
		return length ? l3 + length : 0;
	}
	length = parse_be16(data + l3 + 4);
	return length ? l3 + 40 + length : 0;
}

/* How long the packet that was taken is. Behind an IP packet without a frame of its own nothing
 * belongs to it; a frame owns its padding. */
static void walk_measure(struct tunnel_walk *walk)
{
	uint32_t l3 = walk->base + walk->meta.l3_off, there = walk->there, wire = walk->wire;
	uint32_t end = walk->meta.l3_off ? ip_end(walk->data, l3, walk->meta.flags) : 0;

	if (walk->inner.ethertype && end && end < wire)
		wire = end;
	else if (wire == TUNNEL_WALK_OPEN)
		wire = end > there ? end : there;
	if (there > wire)
		there = wire;
	walk->bytes = there - walk->base;
	walk->wire_len = wire - walk->base;
}

/* Whether an inner IP packet says how long it is. Lengths of 0 are for what never was on a wire
 * (segmentation offload), jumbograms and bare headers; a MAC address may look like the first. */
static bool ip_has_length(const uint8_t *l3, uint16_t ethertype)
{
	if (ethertype == PARSE_ETH_IPV4)
		return parse_be16(l3 + 2) != 0;
	return parse_be16(l3 + 4) != 0 || l3[6] == PARSE_IP_HOPOPTS || l3[6] == PROTO_NONE;
}

bool tunnel_walk_take_ip(struct tunnel_walk *walk, uint16_t ethertype)
{
	struct parse_cursor c = {
		.data = walk->data + walk->at - TUNNEL_WALK_LINK_BYTES,
		.end = walk->data + walk->there,
		.wire_len = walk->wire - walk->at + TUNNEL_WALK_LINK_BYTES,
		.off = TUNNEL_WALK_LINK_BYTES,
	};
	struct xfq_meta meta = {.ethertype = ethertype};
	struct parse_key key = {0};

	if (!tunnel_walk_has(walk, 1))
		return false;
	if (ethertype == PARSE_ETH_IPV4)
		parse_ipv4(&c, &meta, &key);
	else
		parse_ipv6(&c, &meta, &key);
	if (c.flags & XFQ_META_MALFORMED || !meta.l3_off ||
	    !ip_has_length(walk->data + walk->at, ethertype))
		return false;
	meta.flags = c.flags;
	walk_accept(walk, walk->at, ethertype, &meta, &key);
	walk_measure(walk);
	return true;
}

bool tunnel_walk_take_ip_any(struct tunnel_walk *walk)
{
	if (!tunnel_walk_has(walk, 1))
		return false;
	switch (walk->data[walk->at] >> 4) {
	case 4:
		return tunnel_walk_take_ip(walk, PARSE_ETH_IPV4);
	case 6:
		return tunnel_walk_take_ip(walk, PARSE_ETH_IPV6);
	default:
		return false;
	}
}

static bool is_tag(uint16_t type)
{
	return type == PARSE_ETH_8021Q || type == PARSE_ETH_8021AD || type == PARSE_ETH_QINQ_OLD;
}

static uint32_t meta_tags(const struct xfq_meta *meta)
{
	return !!(meta->flags & XFQ_META_VLAN) + !!(meta->flags & XFQ_META_QINQ);
}

/* Whether the frame's type, where it is a length, holds; and is one. */
static bool frame_type_holds(const struct tunnel_walk *walk, const struct xfq_meta *meta)
{
	uint32_t begin = walk->at + TUNNEL_WALK_LINK_BYTES + 4 * meta_tags(meta);

	if (meta->ethertype >= TYPE_FIRST)
		return true;
	if (meta->ethertype == 0) /* cut off with the rest of a tag; else there is no such frame */
		return begin + 4 > walk->there && is_tag(parse_be16(walk->data + begin - 2));
	return meta->ethertype <= LENGTH_LAST && begin + meta->ethertype <= walk->wire;
}

static bool walk_take_frame(struct tunnel_walk *walk, bool only_ip)
{
	const uint8_t *begin = walk->data + walk->at;
	struct xfq_meta meta;
	struct parse_key key;

	if (!tunnel_walk_has(walk, TUNNEL_WALK_LINK_BYTES))
		return false;
	parse_packet(NULL, begin, walk->data + walk->there, walk->wire - walk->at, &meta, &key);
	if (meta.flags & XFQ_META_MALFORMED || !frame_type_holds(walk, &meta) ||
	    (meta.l3_off ? !ip_has_length(begin + meta.l3_off, meta.ethertype) : only_ip))
		return false;
	walk_accept(walk, walk->at, 0, &meta, &key);
	walk_measure(walk);
	return true;
}

bool tunnel_walk_take_frame(struct tunnel_walk *walk)
{
	return walk_take_frame(walk, false);
}

/* --- tags, labels, PPP -------------------------------------------------------------------------
 */

/*
 * What is behind the labels does not say what it is. An IP packet shows in its first bits, and its
 * header must hold. An Ethernet frame (RFC 4448), with a control word or without, is taken only
 * where an IP packet is in it whose header holds as well: bytes of anything else do not pass that.
 */
static bool walk_mpls(struct tunnel_walk *walk)
{
	uint32_t labels = 0;
	bool last = false;

	if (!tunnel_walk_enter(walk, TUNNEL_MPLS, 4))
		return false;
	while (!last) {
		if (!tunnel_walk_has(walk, 4) || labels++ == MPLS_LABELS_MAX)
			return false;
		last = walk->data[walk->at + 2] & 1;
		walk->at += 4;
	}
	if (tunnel_walk_take_ip_any(walk))
		return true;
	if (tunnel_walk_has(walk, 4) && parse_be16(walk->data + walk->at) == 0) {
		walk->at += 4;
		if (walk_take_frame(walk, true))
			return true;
		walk->at -= 4;
	}
	return walk_take_frame(walk, true);
}

static bool walk_pppoe(struct tunnel_walk *walk)
{
	const uint8_t *p = walk->data + walk->at;
	uint32_t length;
	uint16_t proto;

	if (!tunnel_walk_enter(walk, TUNNEL_PPPOE, 8))
		return false;
	length = parse_be16(p + 4);
	proto = parse_be16(p + 6);
	/* version and type 1, session data */
	if (p[0] != 0x11 || p[1] != 0 || length < 2 ||
	    !tunnel_walk_narrow(walk, walk->at + 6 + length))
		return false;
	walk->at += 8;
	if (proto == PPP_IPV4)
		return tunnel_walk_take_ip(walk, PARSE_ETH_IPV4);
	return proto == PPP_IPV6 && tunnel_walk_take_ip(walk, PARSE_ETH_IPV6);
}

bool tunnel_walk_payload(struct tunnel_walk *walk, uint16_t type)
{
	while (is_tag(type)) {
		if (!tunnel_walk_enter(walk, TUNNEL_VLAN, 4))
			return false;
		type = parse_be16(walk->data + walk->at + 2);
		walk->at += 4;
	}
	switch (type) {
	case PARSE_ETH_IPV4:
	case PARSE_ETH_IPV6:
		return tunnel_walk_take_ip(walk, type);
	case TUNNEL_WALK_MPLS:
	case TYPE_MPLS_UPSTREAM:
		return walk_mpls(walk);
	case TYPE_PPPOE:
		return walk_pppoe(walk);
	case TUNNEL_WALK_FRAME:
		return tunnel_walk_take_frame(walk);
	default:
		return false;
	}
}

bool tunnel_link_type(uint16_t type)
{
	return is_tag(type) || type == TUNNEL_WALK_MPLS || type == TYPE_MPLS_UPSTREAM ||
	       type == TYPE_PPPOE;
}

/* The tags that the parser has read are on the way. */
static bool walk_tags(struct tunnel_walk *walk)
{
	for (uint32_t i = meta_tags(&walk->meta); i > 0; i--)
		if (!tunnel_walk_enter(walk, TUNNEL_VLAN, 0))
			return false;
	return true;
}

/* From a frame that holds no IP packet as far as the parser sees. */
static bool walk_link(struct tunnel_walk *walk)
{
	uint16_t type = walk->meta.ethertype;

	if (!tunnel_link_type(type) || !walk_tags(walk))
		return false;
	walk->at = walk->base + TUNNEL_WALK_LINK_BYTES + 4 * meta_tags(&walk->meta);
	return tunnel_walk_payload(walk, type);
}

/* --- GRE ---------------------------------------------------------------------------------------
 */

enum {
	GRE_CHECKSUM = 0x8000,
	GRE_KEY = 0x2000,
	GRE_SEQUENCE = 0x1000,
	/* routing, and the bits that RFC 2784, 2.3 has packets discarded for; version */
	GRE_NOT = 0x4c07
};

/* ERSPAN's header (draft-foschiano-erspan): in II 8 bytes, in III 12 and perhaps 8 more. */
static bool walk_erspan(struct tunnel_walk *walk, bool third)
{
	uint32_t bytes = third ? 12 : 8;
	const uint8_t *p = walk->data + walk->at;
	uint32_t what = 0;

	if (!tunnel_walk_has(walk, bytes) || p[0] >> 4 != (third ? 2 : 1))
		return false;
	if (p[2] & 0x04) /* the mirror kept the beginning of the frame */
		walk->wire = TUNNEL_WALK_OPEN;
	if (third) {
		what = p[10] >> 2 & 0x1f;
		if (p[11] & 1)
			bytes += 8;
	}
	if (!tunnel_walk_has(walk, bytes))
		return false;
	walk->at += bytes;
	if (what == 2)
		return tunnel_walk_take_ip_any(walk);
	return what == 0 && tunnel_walk_take_frame(walk);
}

static bool walk_gre(struct tunnel_walk *walk)
{
	const uint8_t *p = walk->data + walk->at;
	enum tunnel_kind kind = TUNNEL_GRE;
	uint16_t flags, type;
	uint32_t bytes;

	if (!tunnel_walk_has(walk, 4))
		return false;
	flags = parse_be16(p);
	type = parse_be16(p + 2);
	if (flags & GRE_NOT)
		return false;
	bytes = 4 + (flags & GRE_CHECKSUM ? 4 : 0) + (flags & GRE_KEY ? 4 : 0) +
		(flags & GRE_SEQUENCE ? 4 : 0);
	if (type == TYPE_ERSPAN || type == TYPE_ERSPAN_3)
		kind = TUNNEL_ERSPAN;
	if (!tunnel_walk_enter(walk, kind, bytes))
		return false;
	walk->at += bytes;
	if (kind == TUNNEL_GRE)
		return tunnel_walk_payload(walk, type);
	if (type == TYPE_ERSPAN && !(flags & GRE_SEQUENCE)) /* I has no header */
		return tunnel_walk_take_frame(walk);
	return walk_erspan(walk, type == TYPE_ERSPAN_3);
}

/* --- IP ----------------------------------------------------------------------------------------
 */

/* Step over IPv4's authentication header, which the parser takes for the end (RFC 4302). */
static bool walk_ah(struct tunnel_walk *walk, uint8_t *proto)
{
	const uint8_t *p = walk->data + walk->at;
	uint32_t bytes;

	if (!tunnel_walk_has(walk, 8))
		return false;
	bytes = ((uint32_t)p[1] + 2) * 4;
	if (bytes < 12 || !tunnel_walk_has(walk, bytes))
		return false;
	*proto = p[0];
	walk->at += bytes;
	return true;
}

/* From an IP packet. */
static bool walk_ip(struct tunnel_walk *walk)
{
	const struct xfq_meta *meta = &walk->meta;
	uint8_t proto = meta->l4_proto;
	uint32_t end = ip_end(walk->data, walk->base + meta->l3_off, meta->flags);

	if (meta->flags & XFQ_META_FRAG_NEXT || !meta->l4_off || !walk_tags(walk))
		return false;
	walk->at = walk->base + meta->l4_off;
	if (end && !tunnel_walk_narrow(walk, end))
		return false;
	if (meta->flags & XFQ_META_FRAGMENT)
		walk->wire = TUNNEL_WALK_OPEN;
	if (proto == PARSE_IP_AH && meta->flags & XFQ_META_IPV4 && !walk_ah(walk, &proto))
		return false;
	switch (proto) {
	case PROTO_IPV4:
	case PROTO_IPV6:
		return tunnel_walk_enter(walk, TUNNEL_IPIP, 1) &&
		       tunnel_walk_take_ip(walk,
					   proto == PROTO_IPV4 ? PARSE_ETH_IPV4 : PARSE_ETH_IPV6);
	case PROTO_GRE:
		return walk_gre(walk);
	case PARSE_IP_UDP:
		return tunnel_walk_udp(walk);
	default:
		return false;
	}
}

/* --- the whole way -----------------------------------------------------------------------------
 */

void tunnel_key(struct parse_key *key, const uint8_t *data, uint32_t len,
		const struct xfq_meta *meta)
{
	struct parse_cursor c = {
		.data = data,
		.end = data + len,
		.wire_len = meta->wire_len > len ? meta->wire_len : len,
		.off = meta->l3_off,
	};
	struct xfq_meta again = {0};

	memset(key, 0, sizeof(*key));
	if (meta->flags & XFQ_META_IPV4)
		parse_ipv4(&c, &again, key);
	else if (meta->flags & XFQ_META_IPV6)
		parse_ipv6(&c, &again, key);
}

/* Whether the outer metadata's IP header is there, whoever filled it. */
static bool outer_holds(const struct xfq_meta *meta, uint32_t len)
{
	uint32_t header = meta->flags & XFQ_META_IPV4 ? 20 : meta->flags & XFQ_META_IPV6 ? 40 : 0;

	if (meta->flags & XFQ_META_MALFORMED || len < TUNNEL_WALK_LINK_BYTES)
		return false;
	return !meta->l3_off || (header && meta->l3_off + header <= len);
}

void tunnel_walk(struct tunnel_walk *walk, const uint8_t *data, uint32_t len,
		 const struct xfq_meta *meta)
{
	walk->data = data;
	walk->there = len;
	walk->wire = meta->wire_len > len ? meta->wire_len : len;
	walk->at = 0;
	walk->path.cnt = 0;
	walk->inner = (struct tunnel_inner){.off = 0};
	walk->base = 0;
	walk->bytes = len;
	walk->wire_len = walk->wire;
	walk->meta = *meta;
	walk->name_cnt = 0;
	/* beyond it lies no packet; and sums stay below 2^32 */
	if (!outer_holds(meta, len) || walk->wire >= TUNNEL_WALK_OPEN)
		return;
	if (meta->flags & XFQ_META_FRAGMENT) {
		tunnel_key(&walk->key, data, len, meta);
		if (!(meta->flags & XFQ_META_FRAG_NEXT))
			tunnel_name_make(&walk->names[walk->name_cnt++], meta, &walk->key, false);
	}
	while (walk->meta.l3_off ? walk_ip(walk) : walk_link(walk))
		;
}

void tunnel_find(const uint8_t *data, uint32_t len, const struct xfq_meta *meta,
		 struct tunnel_inner *inner)
{
	struct tunnel_walk walk;

	tunnel_walk(&walk, data, len, meta);
	*inner = walk.inner;
}
