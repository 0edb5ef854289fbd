/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the methods read of a packet, and the numbers that they make of it. Every read is checked
 * against the packet's length, but for what its metadata vouches for.
 */
#ifndef STEERING_METHOD_READ_H
#define STEERING_METHOD_READ_H

#include "steering/method.h"

#define METHOD_MAC_BROADCAST 0xffffffffffffULL

/* The addresses, as in struct parse_key, and nothing else of `key`. False: it is not IP. */
static inline bool method_read_addresses(const struct packet *pkt, struct parse_key *key)
{
	const uint8_t *l3 = pkt->data + pkt->meta->l3_off;
	uint32_t room = pkt->len > pkt->meta->l3_off ? pkt->len - pkt->meta->l3_off : 0;

	if (pkt->meta->flags & XFQ_META_IPV4 && room >= 20) {
		memset(key->src, 0, sizeof(key->src));
		memset(key->dst, 0, sizeof(key->dst));
		key->src[0] = parse_raw32(l3 + 12);
		key->dst[0] = parse_raw32(l3 + 16);
		return true;
	}
	if (pkt->meta->flags & XFQ_META_IPV6 && room >= 40) {
		memcpy(key->src, l3 + 8, sizeof(key->src));
		memcpy(key->dst, l3 + 24, sizeof(key->dst));
		return true;
	}
	return false;
}

/* The first `bytes` of the header behind IP, of a packet that is no fragment; NULL: there are none.
 */
static inline const uint8_t *method_read_l4(const struct packet *pkt, uint32_t bytes)
{
	uint32_t off = pkt->meta->l4_off;

	if (off == 0 || pkt->meta->flags & XFQ_META_FRAGMENT || off > METHOD_REACH_L4 - bytes ||
	    off + bytes > pkt->len)
		return NULL;
	return pkt->data + off;
}

/* Both ports, host byte order; false and 0: it has none. */
static inline bool method_read_ports(const struct packet *pkt, struct parse_key *key)
{
	const uint8_t *l4 = pkt->meta->flags & XFQ_META_PORTS ? method_read_l4(pkt, 4) : NULL;

	key->sport = l4 ? parse_be16(l4) : 0;
	key->dport = l4 ? parse_be16(l4 + 2) : 0;
	return l4 != NULL;
}

static inline uint64_t method_read_mac(const uint8_t *mac)
{
	return (uint64_t)parse_be16(mac) << 32 | (uint64_t)parse_be16(mac + 2) << 16 |
	       parse_be16(mac + 4);
}

/* The number of an end: the same for its packets in both directions. */
static inline uint32_t method_address_number(const uint32_t addr[4], uint64_t seed)
{
	return (uint32_t)(flow_end(addr, 0, seed) >> 32);
}

/* The number of whatever fits into 64 bits: a MAC address, a VLAN id. */
static inline uint32_t method_number(uint64_t value, uint64_t seed)
{
	return (uint32_t)(flow_mix(value ^ seed) >> 32);
}

/* What `size` bytes, 1 to METHOD_FIELD_MAX, are mixed to. */
static inline uint64_t method_bytes_mix(const uint8_t *bytes, uint32_t size, uint64_t seed)
{
	uint64_t mix = seed + size;

	while (size >= 8) {
		mix = flow_mix(mix ^ ((uint64_t)parse_raw32(bytes) << 32 | parse_raw32(bytes + 4)));
		bytes += 8;
		size -= 8;
	}
	/* what is left, some of it twice: cheaper than a copy of so many bytes */
	if (size >= 4)
		mix = flow_mix(
			mix ^ ((uint64_t)parse_raw32(bytes) << 32 | parse_raw32(bytes + size - 4)));
	else if (size > 0)
		mix = flow_mix(mix ^ ((uint64_t)bytes[0] << 16 | (uint64_t)bytes[size / 2] << 8 |
				      bytes[size - 1]));
	return mix;
}

/* Whether `size` bytes at `offset` lie in the packet. */
static inline bool method_has_bytes(const struct packet *pkt, uint32_t offset, uint32_t size)
{
	return size <= pkt->len && offset <= pkt->len - size;
}

/* The fields that METHOD_KEY looks at: in the symmetric form those of both ends. */
static inline uint32_t method_key_fields(const struct method_spec *spec)
{
	const uint32_t src = METHOD_KEY_SRC | METHOD_KEY_SPORT | METHOD_KEY_SRC_MAC;
	const uint32_t dst = METHOD_KEY_DST | METHOD_KEY_DPORT | METHOD_KEY_DST_MAC;

	if (!spec->symmetric)
		return spec->fields;
	/* the bit of a field at the destination is the one above that at the source */
	return spec->fields | (spec->fields & src) << 1 | (spec->fields & dst) >> 1;
}

/* Whether method_find_pairs() is for it. */
static inline bool method_makes_pairs(const struct method_spec *spec)
{
	return spec->method == METHOD_LINK || spec->method == METHOD_LOCAL_LINK ||
	       spec->method == METHOD_DOUBLE || spec->method == METHOD_LOCAL_IP ||
	       spec->method == METHOD_LOCAL_NET || (spec->method == METHOD_FIELD && spec->each);
}

/*
 * What the methods find that may name two members, or all: of each packet of a burst the numbers of
 * one or two of its ends, and which of them, bit by bit, the method does not apply to (their first
 * number is the flow's), has two, or is for all.
 */
struct method_pairs {
	uint32_t first[PACKET_BURST], second[PACKET_BURST];
	uint64_t missed, twice, all;
};

/* For METHOD_LINK, _LOCAL_LINK, _DOUBLE, _LOCAL_IP, _LOCAL_NET, and METHOD_FIELD with `each`. */
void method_find_pairs(const struct method_spec *spec, const struct method_context *context,
		       const struct packet *pkts, const uint8_t *index, uint32_t cnt,
		       struct method_pairs *pairs);

#endif
