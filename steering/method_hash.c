/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods that make one number of a packet. */
#include "steering/method_read.h"
#include "steering/method_toeplitz.h"

#define HASH_IP_FIELDS                                                                             \
	(METHOD_KEY_SRC | METHOD_KEY_DST | METHOD_KEY_SPORT | METHOD_KEY_DPORT |                   \
	 METHOD_KEY_PROTO | METHOD_KEY_TOS | METHOD_KEY_FLOW_LABEL | METHOD_KEY_DSCP |             \
	 METHOD_KEY_ECN | METHOD_KEY_ICMP_TYPE | METHOD_KEY_ICMP_CODE)

/* Odd, so that nothing is lost by the multiplication: the golden ratio. */
#define HASH_ODD 0x9e3779b97f4a7c15ULL

bool method_makes_hash(const struct method_spec *spec)
{
	switch (spec->method) {
	case METHOD_FLOW:
	case METHOD_IP_PAIR:
	case METHOD_SRC:
	case METHOD_DST:
	case METHOD_VLAN:
	case METHOD_RSS_HASH:
	case METHOD_KEY:
		return true;
	case METHOD_FIELD:
		return !spec->each;
	case METHOD_DOUBLE:
	case METHOD_LINK:
	case METHOD_LOCAL_LINK:
	case METHOD_QUEUE:
	case METHOD_ROUND_ROBIN:
	case METHOD_RANDOM:
	case METHOD_TO:
	case METHOD_LOCAL_IP:
	case METHOD_LOCAL_NET:
	case METHOD_BROADCAST:
	case METHOD_STICKY:
	case METHOD_PLUGIN:
	case METHOD_CNT:
		break;
	}
	return false;
}

static void hash_flow(const struct packet *pkts, const uint8_t *index, uint32_t cnt,
		      uint32_t *hashes)
{
	for (uint32_t k = 0; k < cnt; k++)
		hashes[k] = pkts[index[k]].meta->flow_hash;
}

/* Of the functions below each overwrites the hash of those that the method applies to, and returns
 * the others. */

static uint64_t hash_ip_pair(const struct method_context *context, const struct packet *pkts,
			     const uint8_t *index, uint32_t cnt, uint32_t *hashes)
{
	uint64_t missed = 0;

	for (uint32_t k = 0; k < cnt; k++) {
		struct parse_key key;

		if (method_read_addresses(&pkts[index[k]], &key))
			hashes[k] = flow_hash_ip_pair(&key, context->seed);
		else
			missed |= 1ULL << k;
	}
	return missed;
}

static uint64_t hash_address(bool src, const struct method_context *context,
			     const struct packet *pkts, const uint8_t *index, uint32_t cnt,
			     uint32_t *hashes)
{
	uint64_t missed = 0;

	for (uint32_t k = 0; k < cnt; k++) {
		struct parse_key key;

		if (method_read_addresses(&pkts[index[k]], &key))
			hashes[k] = method_address_number(src ? key.src : key.dst, context->seed);
		else
			missed |= 1ULL << k;
	}
	return missed;
}

/* The outermost VLAN id; 0: no tag, or one for its priority alone. */
static uint32_t hash_read_vlan(const struct packet *pkt)
{
	if (!(pkt->meta->flags & XFQ_META_VLAN) || pkt->len < 16)
		return 0;
	return parse_be16(pkt->data + 14) & 0x0fff;
}

static uint64_t hash_vlan(const struct method_context *context, const struct packet *pkts,
			  const uint8_t *index, uint32_t cnt, uint32_t *hashes)
{
	uint64_t missed = 0;

	for (uint32_t k = 0; k < cnt; k++) {
		uint32_t id = hash_read_vlan(&pkts[index[k]]);

		if (id)
			hashes[k] = method_number(id, context->seed);
		else
			missed |= 1ULL << k;
	}
	return missed;
}

static uint64_t hash_rss(const struct packet *pkts, const uint8_t *index, uint32_t cnt,
			 uint32_t *hashes)
{
	uint64_t missed = 0;

	for (uint32_t k = 0; k < cnt; k++) {
		const struct packet *pkt = &pkts[index[k]];
		uint8_t proto = pkt->meta->l4_proto, bytes[METHOD_TOEPLITZ_BYTES];
		uint32_t room = pkt->meta->flags & XFQ_META_IPV6 ? 16 : 4;
		struct parse_key key;
		const uint8_t *l4;

		if (!method_read_addresses(pkt, &key)) {
			missed |= 1ULL << k;
			continue;
		}
		memcpy(bytes, key.src, room);
		memcpy(bytes + room, key.dst, room);
		l4 = proto == PARSE_IP_TCP || proto == PARSE_IP_UDP ? method_read_l4(pkt, 4) : NULL;
		if (l4)
			memcpy(bytes + 2 * room, l4, 4);
		hashes[k] = method_toeplitz(bytes, 2 * room + (l4 ? 4 : 0));
	}
	return missed;
}

static uint64_t hash_field(const struct method_spec *spec, const struct method_context *context,
			   const struct packet *pkts, const uint8_t *index, uint32_t cnt,
			   uint32_t *hashes)
{
	uint32_t offset2 = spec->symmetric ? spec->offset2 : spec->offset;
	uint64_t missed = 0, mix, mix2;

	for (uint32_t k = 0; k < cnt; k++) {
		const struct packet *pkt = &pkts[index[k]];

		if (!method_has_bytes(pkt, spec->offset, spec->size) ||
		    !method_has_bytes(pkt, offset2, spec->size)) {
			missed |= 1ULL << k;
			continue;
		}
		mix = method_bytes_mix(pkt->data + spec->offset, spec->size, context->seed);
		if (spec->symmetric) {
			mix2 = method_bytes_mix(pkt->data + offset2, spec->size, context->seed);
			hashes[k] = flow_combine(mix, mix2, 0);
		} else {
			hashes[k] = (uint32_t)(mix >> 32);
		}
	}
	return missed;
}

/* The fields that are not of one end. */
static uint64_t hash_key_common(uint32_t fields, const struct packet *pkt)
{
	const uint8_t *l3 = pkt->data + pkt->meta->l3_off;
	bool v6 = pkt->meta->flags & XFQ_META_IPV6;
	uint64_t low = 0, high = 0;
	uint32_t tos, mask;

	if (fields & METHOD_KEY_VLAN)
		low |= hash_read_vlan(pkt);
	if (fields & METHOD_KEY_ETHERTYPE)
		low |= (uint64_t)pkt->meta->ethertype << 16;
	/* later fragments of IPv6 may not know theirs: there none does */
	if (fields & METHOD_KEY_PROTO && !(v6 && pkt->meta->flags & XFQ_META_FRAGMENT))
		low |= (uint64_t)pkt->meta->l4_proto << 32;
	if (fields & (METHOD_KEY_TOS | METHOD_KEY_DSCP | METHOD_KEY_ECN)) {
		tos = v6 ? parse_be16(l3) >> 4 & 0xff : l3[1];
		mask = (fields & METHOD_KEY_DSCP ? 0xfc : 0) | (fields & METHOD_KEY_ECN ? 3 : 0);
		low |= (uint64_t)(tos & (fields & METHOD_KEY_TOS ? 0xff : mask)) << 40;
	}
	if (fields & METHOD_KEY_FLOW_LABEL && v6)
		high |= (uint64_t)(l3[1] & 15) << 16 | parse_be16(l3 + 2);
	if (fields & (METHOD_KEY_ICMP_TYPE | METHOD_KEY_ICMP_CODE) &&
	    (pkt->meta->l4_proto == PARSE_IP_ICMP || pkt->meta->l4_proto == PARSE_IP_ICMPV6)) {
		const uint8_t *l4 = method_read_l4(pkt, 2);

		if (l4 && fields & METHOD_KEY_ICMP_TYPE)
			high |= (uint64_t)l4[0] << 32;
		if (l4 && fields & METHOD_KEY_ICMP_CODE)
			high |= (uint64_t)l4[1] << 40;
	}
	return high ? flow_mix(high) ^ low * HASH_ODD : low * HASH_ODD;
}

/* Whether a packet has what is asked for. */
static bool hash_key_applies(uint32_t fields, const struct packet *pkt, struct parse_key *key)
{
	if (pkt->len < 14)
		return false;
	return method_read_addresses(pkt, key) || !(fields & HASH_IP_FIELDS);
}

static uint64_t hash_key(const struct method_spec *spec, const struct method_context *context,
			 const struct packet *pkts, const uint8_t *index, uint32_t cnt,
			 uint32_t *hashes)
{
	uint32_t fields = method_key_fields(spec);
	uint64_t missed = 0, src, dst, common;

	for (uint32_t k = 0; k < cnt; k++) {
		const struct packet *pkt = &pkts[index[k]];
		struct parse_key key = {.sport = 0};

		if (!hash_key_applies(fields, pkt, &key)) {
			missed |= 1ULL << k;
			continue;
		}
		if (fields & (METHOD_KEY_SPORT | METHOD_KEY_DPORT))
			method_read_ports(pkt, &key);
		if (!(fields & METHOD_KEY_SRC))
			memset(key.src, 0, sizeof(key.src));
		if (!(fields & METHOD_KEY_DST))
			memset(key.dst, 0, sizeof(key.dst));
		src = flow_end(key.src, fields & METHOD_KEY_SPORT ? key.sport : 0, context->seed);
		dst = flow_end(key.dst, fields & METHOD_KEY_DPORT ? key.dport : 0, context->seed);
		if (fields & METHOD_KEY_SRC_MAC)
			src = flow_mix(src ^ method_read_mac(pkt->data + 6));
		if (fields & METHOD_KEY_DST_MAC)
			dst = flow_mix(dst ^ method_read_mac(pkt->data));
		common = hash_key_common(fields, pkt);
		/* in no order, or in this one */
		hashes[k] = flow_combine(src, spec->symmetric ? dst : dst * HASH_ODD, common);
	}
	return missed;
}

uint64_t method_hashes(const struct method_spec *spec, struct method_state *state,
		       const struct method_context *context, const struct packet *pkts,
		       const uint8_t *index, uint32_t cnt, uint32_t *hashes)
{
	(void)state;
	hash_flow(pkts, index, cnt, hashes);
	switch (spec->method) {
	case METHOD_IP_PAIR:
		return hash_ip_pair(context, pkts, index, cnt, hashes);
	case METHOD_SRC:
		return hash_address(true, context, pkts, index, cnt, hashes);
	case METHOD_DST:
		return hash_address(false, context, pkts, index, cnt, hashes);
	case METHOD_VLAN:
		return hash_vlan(context, pkts, index, cnt, hashes);
	case METHOD_RSS_HASH:
		return hash_rss(pkts, index, cnt, hashes);
	case METHOD_FIELD:
		return spec->each ? 0 : hash_field(spec, context, pkts, index, cnt, hashes);
	case METHOD_KEY:
		return hash_key(spec, context, pkts, index, cnt, hashes);
	case METHOD_FLOW:
	case METHOD_DOUBLE:
	case METHOD_LINK:
	case METHOD_LOCAL_LINK:
	case METHOD_QUEUE:
	case METHOD_ROUND_ROBIN:
	case METHOD_RANDOM:
	case METHOD_TO:
	case METHOD_LOCAL_IP:
	case METHOD_LOCAL_NET:
	case METHOD_BROADCAST:
	case METHOD_STICKY:
	case METHOD_PLUGIN:
	case METHOD_CNT:
		break;
	}
	return 0;
}
