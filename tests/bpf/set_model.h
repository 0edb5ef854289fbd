/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What test_sets.c compares the sets with: a model, a list of members that is gone through with
 * every question. And members and packets at random, near enough to each other to meet.
 */
#ifndef TESTS_SET_MODEL_H
#define TESTS_SET_MODEL_H

#include "steering/parse.h"
#include "xdp/set.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MODEL_MAX    256
#define PACKET_BYTES 78

/* --- the model -------------------------------------------------------------------------------- */

struct model {
	struct set_member members[MODEL_MAX];
	uint32_t cnt;
};

static struct set_member *model_find(struct model *model, const union set_key *key)
{
	for (uint32_t i = 0; i < model->cnt; i++)
		if (memcmp(&model->members[i].key, key, sizeof(*key)) == 0)
			return &model->members[i];
	return NULL;
}

static void model_add(struct model *model, const struct set_member *member)
{
	struct set_member *was = model_find(model, &member->key);

	if (was)
		*was = *member;
	else
		model->members[model->cnt++] = *member;
}

static bool model_del(struct model *model, const union set_key *key)
{
	struct set_member *was = model_find(model, key);

	if (was)
		*was = model->members[--model->cnt];
	return was;
}

static bool model_covers(const struct set_net *net, const uint32_t addr[4], bool v6)
{
	const uint8_t *bytes = (const uint8_t *)addr;

	if (net->v6 != v6)
		return false;
	for (uint32_t bit = 0; bit < net->len; bit++)
		if ((bytes[bit / 8] ^ net->addr[bit / 8]) >> (7 - bit % 8) & 1)
			return false;
	return true;
}

static bool model_flow_is(const struct xdp_flow_key *flow, const struct xdp_judged *judged)
{
	const struct parse_key *key = &judged->key;

	if (flow->proto != judged->meta.l4_proto ||
	    flow->ip != (judged->meta.flags & XFQ_META_IPV6 ? 6 : 4))
		return false;
	for (int end = 0; end < 2; end++)
		if (memcmp(flow->addr[end], key->src, 16) == 0 && flow->port[end] == key->sport &&
		    memcmp(flow->addr[!end], key->dst, 16) == 0 && flow->port[!end] == key->dport)
			return true;
	return false;
}

static bool model_matches(enum set_type type, const struct set_member *member, uint8_t fields,
			  const struct xdp_judged *judged, const uint8_t *data)
{
	const struct parse_key *key = &judged->key;
	bool v6 = judged->meta.flags & XFQ_META_IPV6;
	const struct set_ports *ports = &member->key.ports;
	bool src = false, dst = false;

	switch (type) {
	case SET_NET:
	case SET_ADDRESS:
		src = model_covers(&member->key.net, key->src, v6);
		dst = model_covers(&member->key.net, key->dst, v6);
		break;
	case SET_PORT:
		src = key->sport >= ports->lo && key->sport <= ports->hi;
		dst = key->dport >= ports->lo && key->dport <= ports->hi;
		break;
	case SET_FLOW:
		return model_flow_is(&member->key.flow, judged);
	case SET_MAC:
		src = memcmp(member->key.mac, data + 6, 6) == 0;
		dst = memcmp(member->key.mac, data, 6) == 0;
		break;
	}
	return ((fields & XDP_FIELD_SRC) && src) || ((fields & XDP_FIELD_DST) && dst);
}

static bool model_has(const struct model *model, enum set_type type, uint8_t fields,
		      const struct xdp_judged *judged, const uint8_t *data)
{
	for (uint32_t i = 0; i < model->cnt; i++)
		if (model->members[i].expires_ns > judged->now_ns &&
		    model_matches(type, &model->members[i], fields, judged, data))
			return true;
	return false;
}

/* --- random things ---------------------------------------------------------------------------- */

static uint64_t random_state = 0x5eed0f5e75ULL;

static uint32_t below(uint32_t cnt)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((random_state >> 33) % cnt);
}

/* Addresses near each other, so that prefixes nest and packets meet them. */
static void random_address(uint8_t addr[16], bool v6)
{
	memset(addr, 0, 16);
	if (!v6) {
		addr[0] = 10;
		addr[1] = (uint8_t)below(2);
		addr[2] = (uint8_t)(below(2) * 128 + below(3));
		addr[3] = (uint8_t)below(256);
		return;
	}
	addr[0] = 0x20;
	addr[1] = 0x01;
	for (int i = 3; i < 16; i++)
		addr[i] = (uint8_t)(below(3) == 0 ? 0x80 | below(2) : 0);
	addr[15] = (uint8_t)below(256);
}

static uint8_t random_len(bool v6)
{
	/* seldom one that covers most of what there is */
	if (below(50) == 0)
		return (uint8_t)below(v6 ? 24 : 15);
	return (uint8_t)(v6 ? 24 + below(105) : 15 + below(18));
}

static uint8_t random_proto(void)
{
	return below(2) ? PARSE_IP_TCP : PARSE_IP_UDP;
}

static void random_mac(uint8_t mac[6])
{
	memset(mac, 0, 6);
	mac[0] = 2;
	mac[5] = (uint8_t)below(64);
}

static void random_key(enum set_type type, union set_key *key)
{
	bool v6 = below(2);
	uint32_t a[4], b[4];
	uint16_t port = (uint16_t)below(400);

	memset(key, 0, sizeof(*key));
	switch (type) {
	case SET_NET:
	case SET_ADDRESS:
		random_address(key->net.addr, v6);
		key->net.v6 = v6;
		key->net.len = type == SET_NET ? random_len(v6) : v6 ? 128 : 32;
		set_clear_host_bits(key->net.addr, key->net.len);
		break;
	case SET_PORT:
		key->ports.lo = port;
		key->ports.hi = (uint16_t)(below(3) ? port : port + below(40));
		break;
	case SET_FLOW:
		random_address((uint8_t *)a, v6);
		random_address((uint8_t *)b, v6);
		/* few flows: those of the packets */
		((uint8_t *)a)[15] = ((uint8_t *)b)[15] = 0;
		flow_key_set(&key->flow, v6 ? 6 : 4, random_proto(), a, (uint16_t)(1 + below(2)), b,
			     (uint16_t)(1 + below(2)));
		break;
	case SET_MAC:
		random_mac(key->mac);
		break;
	}
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* A whole packet of TCP or UDP between random ends, or those of a flow. */
static void random_packet(uint8_t packet[PACKET_BYTES], const struct xdp_flow_key *flow)
{
	bool v6 = flow ? flow->ip == 6 : below(2);
	uint32_t turn = below(2), header = v6 ? 40 : 20, size = v6 ? 16 : 4;
	uint8_t *ip = packet + 14, *ends = ip + (v6 ? 8 : 12), *l4 = ip + header;
	uint8_t proto = flow ? flow->proto : random_proto();

	memset(packet, 0, PACKET_BYTES);
	random_mac(packet);
	random_mac(packet + 6);
	put16(packet + 12, v6 ? 0x86dd : 0x0800);
	ip[0] = v6 ? 0x60 : 0x45;
	put16(ip + (v6 ? 4 : 2), PACKET_BYTES - 14 - (v6 ? 40 : 0));
	ip[v6 ? 6 : 9] = proto;
	for (uint32_t end = 0; end < 2; end++) {
		uint8_t addr[16];

		random_address(addr, v6);
		memcpy(ends + end * size, flow ? (const uint8_t *)flow->addr[end ^ turn] : addr,
		       size);
		put16(l4 + end * 2, flow ? flow->port[end ^ turn] : below(450));
	}
	if (proto == PARSE_IP_TCP)
		l4[12] = 0x50;
	else
		put16(l4 + 4, PACKET_BYTES - 14 - header);
}

#endif
