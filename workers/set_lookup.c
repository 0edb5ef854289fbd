/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/set_lookup.h"
#include <string.h>

int set_lookup_copy(struct set_lookup *lookup, const struct set *from)
{
	int code = set_copy(&lookup->set, from);

	set_lookup_renew(lookup);
	return code;
}

void set_lookup_renew(struct set_lookup *lookup)
{
	const struct set *set = &lookup->set;

	lookup->len_cnt[0] = lookup->len_cnt[1] = 0;
	for (uint32_t len = 33; len-- > 0;)
		if (set->len_cnt[len])
			lookup->lens[0][lookup->len_cnt[0]++] = (uint8_t)len;
	for (uint32_t len = SET_LOOKUP_LENS; len-- > 0;)
		if (set->len_cnt[SET_LEN_V6 + len])
			lookup->lens[1][lookup->len_cnt[1]++] = (uint8_t)len;
}

void set_lookup_destroy(struct set_lookup *lookup)
{
	set_destroy(&lookup->set);
	memset(lookup, 0, sizeof(*lookup));
}

/* Addresses and ports, as the parser gives them. False: it is not IP. */
static bool set_lookup_key(const struct packet *pkt, struct parse_key *key)
{
	const struct xfq_meta *meta = pkt->meta;
	const uint8_t *l3 = pkt->data + meta->l3_off, *l4 = pkt->data + meta->l4_off;

	memset(key, 0, sizeof(*key));
	if (meta->flags & XFQ_META_IPV4) {
		memcpy(key->src, l3 + 12, 4);
		memcpy(key->dst, l3 + 16, 4);
	} else if (meta->flags & XFQ_META_IPV6) {
		memcpy(key->src, l3 + 8, sizeof(key->src));
		memcpy(key->dst, l3 + 24, sizeof(key->dst));
	} else {
		return false;
	}
	if (meta->flags & XFQ_META_PORTS) {
		key->sport = parse_be16(l4);
		key->dport = parse_be16(l4 + 2);
	}
	return true;
}

static bool set_lookup_address(const struct set_lookup *lookup, const uint32_t addr[4], bool v6)
{
	union set_key key = {0};

	memcpy(key.net.addr, addr, v6 ? 16 : 4);
	key.net.v6 = v6;
	for (uint32_t i = 0; i < lookup->len_cnt[v6]; i++) {
		uint32_t len = lookup->lens[v6][i];

		set_clear_host_bits(key.net.addr, len);
		key.net.len = (uint8_t)len;
		if (set_find(&lookup->set, &key))
			return true;
	}
	return false;
}

static bool set_lookup_net(const struct set_lookup *lookup, uint8_t fields,
			   const struct packet *pkt)
{
	bool v6 = pkt->meta->flags & XFQ_META_IPV6;
	struct parse_key key;

	if (!set_lookup_key(pkt, &key))
		return false;
	return ((fields & XDP_FIELD_SRC) && set_lookup_address(lookup, key.src, v6)) ||
	       ((fields & XDP_FIELD_DST) && set_lookup_address(lookup, key.dst, v6));
}

/* Everything but prefixes. */
static bool set_lookup_other(const struct set *set, uint8_t fields, const struct packet *pkt)
{
	struct xdp_judged judged;

	judged.meta = *pkt->meta;
	judged.now_ns = 0; /* nothing has expired */
	if (set->type != SET_MAC && !set_lookup_key(pkt, &judged.key))
		return false;
	return set_has(set, fields, &judged, pkt->data, pkt->len);
}

uint64_t set_lookup_burst(const struct set_lookup *lookup, uint8_t fields,
			  const struct packet *pkts, uint64_t among)
{
	const struct set *set = &lookup->set;
	bool net = set->type == SET_NET || set->type == SET_ADDRESS;
	uint64_t in = 0;

	if (set->cnt == 0)
		return 0;
	for (uint64_t left = among; left; left &= left - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(left);
		bool has = net ? set_lookup_net(lookup, fields, &pkts[i])
			       : set_lookup_other(set, fields, &pkts[i]);

		in |= (uint64_t)has << i;
	}
	return in;
}
