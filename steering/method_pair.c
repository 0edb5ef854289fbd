/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods that may name two members, or all. */
#include "steering/method_read.h"
#include <endian.h>

static bool pair_is_broadcast(const uint32_t addr[4])
{
	static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1}; /* RFC 4291, 2.7.1 */

	if (addr[1] | addr[2] | addr[3])
		return memcmp(addr, all_nodes, sizeof(all_nodes)) == 0;
	return addr[0] == UINT32_MAX;
}

/* Whether it is from everyone or to everyone, which is noted. */
static bool pair_note_broadcast(struct method_pairs *pairs, uint32_t k, const struct parse_key *key)
{
	if (!pair_is_broadcast(key->src) && !pair_is_broadcast(key->dst))
		return false;
	pairs->all |= 1ULL << k;
	return true;
}

static void pair_note_both(struct method_pairs *pairs, uint32_t k, uint32_t first, uint32_t second)
{
	pairs->first[k] = first;
	pairs->second[k] = second;
	pairs->twice |= 1ULL << k;
}

static void pair_by_double(const struct method_context *context, const struct packet *pkts,
			   const uint8_t *index, uint32_t cnt, struct method_pairs *pairs)
{
	for (uint32_t k = 0; k < cnt; k++) {
		struct parse_key key;

		if (!method_read_addresses(&pkts[index[k]], &key))
			pairs->missed |= 1ULL << k;
		else if (!pair_note_broadcast(pairs, k, &key))
			pair_note_both(pairs, k, method_address_number(key.src, context->seed),
				       method_address_number(key.dst, context->seed));
	}
}

static void pair_by_link(const struct method_spec *spec, const struct method_context *context,
			 const struct packet *pkts, const uint8_t *index, uint32_t cnt,
			 struct method_pairs *pairs)
{
	uint64_t gateway = method_read_mac(spec->gateway);

	for (uint32_t k = 0; k < cnt; k++) {
		const struct packet *pkt = &pkts[index[k]];
		uint64_t src, dst;

		if (pkt->len < 14) {
			pairs->missed |= 1ULL << k;
			continue;
		}
		dst = method_read_mac(pkt->data);
		src = method_read_mac(pkt->data + 6);
		if (src == METHOD_MAC_BROADCAST || dst == METHOD_MAC_BROADCAST)
			pairs->all |= 1ULL << k;
		else if (spec->method == METHOD_LINK)
			pairs->first[k] = flow_combine(flow_mix(src ^ context->seed),
						       flow_mix(dst ^ context->seed), 0);
		else if (dst == gateway)
			pairs->first[k] = method_number(src, context->seed);
		else if (src == gateway)
			pairs->first[k] = method_number(dst, context->seed);
		else
			pair_note_both(pairs, k, method_number(src, context->seed),
				       method_number(dst, context->seed));
	}
}

/* The upper and the lower half of an address, as numbers. */
struct pair_halves {
	uint64_t high, low;
};

static struct pair_halves pair_read_halves(const void *addr)
{
	struct pair_halves halves;

	memcpy(&halves, addr, sizeof(halves));
	halves.high = be64toh(halves.high);
	halves.low = be64toh(halves.low);
	return halves;
}

/* The first `bits` bits, at most 64, of a half set. */
static uint64_t pair_mask(uint32_t bits)
{
	return bits ? UINT64_MAX << (64 - bits) : 0;
}

static bool pair_in_net(const struct pair_halves *addr, const struct method_net *net)
{
	struct pair_halves prefix = pair_read_halves(net->addr);

	if (net->len <= 64)
		return ((addr->high ^ prefix.high) & pair_mask(net->len)) == 0;
	return addr->high == prefix.high &&
	       ((addr->low ^ prefix.low) & pair_mask((uint32_t)net->len - 64)) == 0;
}

/* The longest prefix that an address lies in; NULL: in none. */
static const struct method_net *pair_find_net(const struct method_spec *spec, bool v6,
					      const uint32_t addr[4])
{
	const struct pair_halves halves = pair_read_halves(addr);
	const struct method_net *found = NULL;

	for (uint32_t i = 0; i < spec->net_cnt; i++) {
		const struct method_net *net = &spec->nets[i];

		if ((net->v6 != 0) == v6 && (!found || net->len > found->len) &&
		    pair_in_net(&halves, net))
			found = net;
	}
	return found;
}

/* The number of the network of an address that lies in `net`. */
static uint32_t pair_net_number(const struct method_net *net, const uint32_t addr[4], uint64_t seed)
{
	uint32_t bits = net->sub ? net->sub : net->len, words[4];
	struct pair_halves halves = pair_read_halves(addr);

	halves.high = htobe64(halves.high & pair_mask(bits < 64 ? bits : 64));
	halves.low = htobe64(halves.low & pair_mask(bits < 64 ? 0 : bits - 64));
	memcpy(words, &halves, sizeof(words));
	return (uint32_t)(flow_end(words, (uint16_t)bits, seed) >> 32);
}

static uint32_t pair_local_number(const struct method_spec *spec, const struct method_net *net,
				  const uint32_t addr[4], uint64_t seed)
{
	if (spec->method == METHOD_LOCAL_IP)
		return method_address_number(addr, seed);
	return pair_net_number(net, addr, seed);
}

static void pair_by_nets(const struct method_spec *spec, const struct method_context *context,
			 const struct packet *pkts, const uint8_t *index, uint32_t cnt,
			 struct method_pairs *pairs)
{
	uint64_t seed = context->seed;

	for (uint32_t k = 0; k < cnt; k++) {
		bool v6 = pkts[index[k]].meta->flags & XFQ_META_IPV6;
		const struct method_net *src, *dst;
		struct parse_key key;

		if (!method_read_addresses(&pkts[index[k]], &key)) {
			pairs->missed |= 1ULL << k;
			continue;
		}
		if (pair_note_broadcast(pairs, k, &key))
			continue;
		src = pair_find_net(spec, v6, key.src);
		dst = pair_find_net(spec, v6, key.dst);
		if (src && dst)
			pair_note_both(pairs, k, pair_local_number(spec, src, key.src, seed),
				       pair_local_number(spec, dst, key.dst, seed));
		else if (src)
			pairs->first[k] = pair_local_number(spec, src, key.src, seed);
		else if (dst)
			pairs->first[k] = pair_local_number(spec, dst, key.dst, seed);
		else
			pairs->missed |= 1ULL << k;
	}
}

static void pair_by_field(const struct method_spec *spec, const struct method_context *context,
			  const struct packet *pkts, const uint8_t *index, uint32_t cnt,
			  struct method_pairs *pairs)
{
	for (uint32_t k = 0; k < cnt; k++) {
		const struct packet *pkt = &pkts[index[k]];

		if (!method_has_bytes(pkt, spec->offset, spec->size) ||
		    !method_has_bytes(pkt, spec->offset2, spec->size)) {
			pairs->missed |= 1ULL << k;
			continue;
		}
		pair_note_both(pairs, k,
			       (uint32_t)(method_bytes_mix(pkt->data + spec->offset, spec->size,
							   context->seed) >>
					  32),
			       (uint32_t)(method_bytes_mix(pkt->data + spec->offset2, spec->size,
							   context->seed) >>
					  32));
	}
}

void method_find_pairs(const struct method_spec *spec, const struct method_context *context,
		       const struct packet *pkts, const uint8_t *index, uint32_t cnt,
		       struct method_pairs *pairs)
{
	pairs->missed = pairs->twice = pairs->all = 0;
	for (uint32_t k = 0; k < cnt; k++)
		pairs->first[k] = pkts[index[k]].meta->flow_hash;
	if (spec->method == METHOD_DOUBLE)
		pair_by_double(context, pkts, index, cnt, pairs);
	else if (spec->method == METHOD_LINK || spec->method == METHOD_LOCAL_LINK)
		pair_by_link(spec, context, pkts, index, cnt, pairs);
	else if (spec->method == METHOD_FIELD)
		pair_by_field(spec, context, pkts, index, cnt, pairs);
	else
		pair_by_nets(spec, context, pkts, index, cnt, pairs);
}
