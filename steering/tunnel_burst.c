/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/tunnel_walk.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of an inner packet without a frame of its own: its longest, and the frame it is given. */
#define COPY_BYTES_MAX (TUNNEL_WALK_LINK_BYTES + 65535u)

/* What is copied of each at least: common headers, whoever looks at them. */
#define COPY_BYTES_MIN 128u

/* What those who look at the header at l4_off may read of it. */
#define L4_BYTES 20u

#define LINE_BYTES 64u

struct tunnels {
	uint32_t reach;  /* at most COPY_BYTES_MAX */
	uint32_t used;   /* bytes of `copies`, by the burst */
	uint8_t *copies; /* owned; room for a burst of the longest. Those of a burst lie one behind
			    the other, so that no more memory is touched than is copied */
	struct tunnel_notes notes;
	struct tunnel_walk walk;
	struct xfq_meta metas[PACKET_BURST];
};

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint32_t whole_lines(uint32_t bytes)
{
	return (bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}

void tunnels_set_reach(struct tunnels *tunnels, uint32_t reach)
{
	tunnels->reach = max_u32(min_u32(reach, COPY_BYTES_MAX), COPY_BYTES_MIN);
}

struct tunnels *tunnels_create(uint32_t reach)
{
	struct tunnels *tunnels = calloc(1, sizeof(*tunnels));
	uint32_t longest;

	if (!tunnels)
		return NULL;
	tunnels_set_reach(tunnels, reach);
	/* headers that the metadata names are copied, wherever they are */
	longest = max_u32(tunnels->reach, PARSE_OFF_MAX + LINE_BYTES);
	tunnels->copies = malloc((size_t)PACKET_BURST * whole_lines(longest));
	if (!tunnels->copies || tunnel_notes_create(&tunnels->notes, TUNNEL_DATAGRAMS) < 0) {
		tunnels_destroy(tunnels);
		return NULL;
	}
	return tunnels;
}

void tunnels_destroy(struct tunnels *tunnels)
{
	if (!tunnels)
		return;
	tunnel_notes_destroy(&tunnels->notes);
	free(tunnels->copies);
	free(tunnels);
}

/* --- which packets are worth a walk ------------------------------------------------------------
 */

/* Whether tunnels are of that protocol, ports aside; in IPv6 a later fragment may name an extension
 * header. */
static bool proto_carries(uint8_t proto, bool v6)
{
	switch (proto) {
	case 4:
	case 41:
	case 47:
	case PARSE_IP_UDP:
	case PARSE_IP_AH:
		return true;
	default:
		return v6 && parse_is_extension(proto);
	}
}

/* What metadata and ports rule out costs no more than this. */
static bool packet_may_be(const struct packet *pkt)
{
	const struct xfq_meta *meta = pkt->meta;
	const uint8_t *ports;

	if (meta->flags & XFQ_META_MALFORMED)
		return false;
	if (!meta->l3_off)
		return tunnel_link_type(meta->ethertype);
	if (!proto_carries(meta->l4_proto, meta->flags & XFQ_META_IPV6))
		return false;
	if (meta->l4_proto != PARSE_IP_UDP || meta->flags & XFQ_META_FRAGMENT)
		return true;
	if (!(meta->flags & XFQ_META_PORTS) || meta->l4_off + 4u > pkt->len)
		return false;
	ports = pkt->data + meta->l4_off;
	return tunnel_udp_port(parse_be16(ports), parse_be16(ports + 2));
}

/* --- fragments ---------------------------------------------------------------------------------
 */

/*
 * The hash of a later fragment: that of its datagram's note. Where there is none it is an orphan,
 * whose own hash is noted, so that those after it, and the first one, should it come yet, go where
 * it went. 0: as it is.
 */
static uint32_t later_hash(struct tunnels *tunnels, const struct tunnel_name *name, uint64_t now_ns,
			   uint64_t seed, uint32_t own)
{
	const struct tunnel_note *note = tunnel_note_find(&tunnels->notes, name, now_ns, seed);

	if (note)
		return note->hash;
	tunnel_note_put(&tunnels->notes, name, now_ns, seed, own, false);
	return 0;
}

/* A packet that is the first fragment of one datagram or more has a hash: note it, or take that of
 * orphans that came before. `hash` 0: it is no tunnel. Returns the hash. */
static uint32_t first_hash(struct tunnels *tunnels, uint64_t now_ns, uint64_t seed, uint32_t hash)
{
	const struct tunnel_walk *walk = &tunnels->walk;

	for (uint32_t i = walk->name_cnt; i-- > 0 && hash;) {
		const struct tunnel_note *note =
			tunnel_note_find(&tunnels->notes, &walk->names[i], now_ns, seed);

		if (note && !note->first && note->hash)
			hash = note->hash;
	}
	for (uint32_t i = 0; i < walk->name_cnt; i++)
		tunnel_note_put(&tunnels->notes, &walk->names[i], now_ns, seed, hash, true);
	return hash;
}

static bool is_later(const struct xfq_meta *meta)
{
	return meta->flags & XFQ_META_FRAG_NEXT;
}

/* The hash of the inner packet that the walk has found. */
static uint32_t inner_hash(struct tunnels *tunnels, uint64_t now_ns, uint64_t seed)
{
	const struct tunnel_walk *walk = &tunnels->walk;
	const uint8_t *begin = walk->data + walk->base;
	struct tunnel_name name;
	uint32_t hash, noted;

	if (walk->meta.flags & XFQ_META_FRAGMENT && !is_later(&walk->meta))
		hash = flow_hash_whole(&walk->meta, &walk->key, seed);
	else
		hash = flow_hash(&walk->meta, &walk->key, begin, begin + walk->bytes, seed);
	if (is_later(&walk->meta)) {
		tunnel_name_make(&name, &walk->meta, &walk->key, true);
		noted = later_hash(tunnels, &name, now_ns, seed, hash);
		hash = noted ? noted : hash;
	}
	return walk->name_cnt ? first_hash(tunnels, now_ns, seed, hash) : hash;
}

/* --- inner packets -----------------------------------------------------------------------------
 */

/* A copy of the IP packet that the walk has found, behind a frame's header. */
static uint8_t *inner_copy(struct tunnels *tunnels, uint32_t len)
{
	const struct tunnel_walk *walk = &tunnels->walk;
	uint8_t *copy = tunnels->copies + tunnels->used;
	uint32_t bytes = max_u32(tunnels->reach, walk->meta.payload_off);

	if (walk->meta.l4_off)
		bytes = max_u32(bytes, walk->meta.l4_off + L4_BYTES);
	bytes = min_u32(bytes, len);
	memcpy(copy, walk->data, 12);
	copy[12] = (uint8_t)(walk->inner.ethertype >> 8);
	copy[13] = (uint8_t)walk->inner.ethertype;
	memcpy(copy + TUNNEL_WALK_LINK_BYTES, walk->data + walk->inner.off,
	       bytes - TUNNEL_WALK_LINK_BYTES);
	tunnels->used += whole_lines(bytes);
	return copy;
}

/* Show what the walk has found in pkt. */
static void inner_show(struct tunnels *tunnels, uint64_t seed, const struct packet *pkt,
		       struct packet *inner, struct xfq_meta *meta)
{
	const struct tunnel_walk *walk = &tunnels->walk;
	uint32_t len = walk->bytes;

	if (walk->inner.ethertype) {
		len = min_u32(len, COPY_BYTES_MAX);
		inner->data = inner_copy(tunnels, len);
	} else {
		inner->data = pkt->data + walk->base;
	}
	*meta = walk->meta;
	meta->magic = XFQ_META_CHECKED;
	meta->ts_ns = pkt->meta->ts_ns;
	meta->rule = pkt->meta->rule;
	meta->generation = pkt->meta->generation;
	meta->wire_len = walk->wire_len;
	/* the parser saw a packet whose end it did not know, perhaps, or padding that was cut */
	meta->flags &= (uint16_t)~XFQ_META_CUT;
	if (meta->wire_len > len)
		meta->flags |= XFQ_META_CUT;
	meta->flow_hash = inner_hash(tunnels, pkt->meta->ts_ns, seed);
	inner->meta = meta;
	inner->len = len;
	inner->frame = pkt->frame;
}

/* A later fragment of an outer datagram: itself, with the hash of what its first one showed.
 * Whether that is another. */
static bool later_show(struct tunnels *tunnels, uint64_t seed, const struct packet *pkt,
		       struct packet *inner, struct xfq_meta *meta)
{
	struct tunnel_name name;
	struct parse_key key;
	uint32_t hash;

	if (pkt->meta->l3_off + (pkt->meta->flags & XFQ_META_IPV4 ? 20u : 40u) > pkt->len)
		return false;
	tunnel_key(&key, pkt->data, pkt->len, pkt->meta);
	tunnel_name_make(&name, pkt->meta, &key, false);
	hash = later_hash(tunnels, &name, pkt->meta->ts_ns, seed, pkt->meta->flow_hash);
	if (!hash || hash == pkt->meta->flow_hash)
		return false;
	*meta = *pkt->meta;
	meta->flow_hash = hash;
	inner->meta = meta;
	return true;
}

/* The innermost packet of one that may be a tunnel; inner is pkt so far. Whether it is another. */
static bool tunnels_packet(struct tunnels *tunnels, uint64_t seed, const struct packet *pkt,
			   struct packet *inner, struct xfq_meta *meta)
{
	if (is_later(pkt->meta))
		return later_show(tunnels, seed, pkt, inner, meta);
	tunnel_walk(&tunnels->walk, pkt->data, pkt->len, pkt->meta);
	if (tunnels->walk.inner.off) {
		inner_show(tunnels, seed, pkt, inner, meta);
		return true;
	}
	if (tunnels->walk.name_cnt)
		(void)first_hash(tunnels, pkt->meta->ts_ns, seed, 0);
	return false;
}

uint64_t tunnels_burst(struct tunnels *tunnels, uint64_t hash_seed, const struct packet *pkts,
		       uint32_t cnt, struct packet *inner)
{
	uint64_t found = 0;

	tunnels->used = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		inner[i] = pkts[i];
		if (packet_may_be(&pkts[i]) &&
		    tunnels_packet(tunnels, hash_seed, &pkts[i], &inner[i], &tunnels->metas[i]))
			found |= 1ULL << i;
	}
	return found;
}
