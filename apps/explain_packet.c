/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/explain_parts.h"
#include "apps/packet_text.h"
#include "steering/method_read.h"
#include "steering/parse.h"
#include <arpa/inet.h>
#include <stdio.h>

#define PACKET_TEXT_BYTES 256

static void packet_number(json_t *to, const char *key, uint64_t number)
{
	json_object_set_new(to, key, json_integer((json_int_t)number));
}

static void packet_hex(json_t *to, const char *key, uint32_t number, int digits)
{
	char text[16];

	snprintf(text, sizeof(text), "0x%0*x", digits, number);
	json_object_set_new(to, key, json_string(text));
}

static void packet_mac(json_t *to, const char *key, const uint8_t *mac)
{
	json_object_set_new(to, key,
			    json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
					 mac[3], mac[4], mac[5]));
}

static void packet_address(json_t *to, const char *key, bool v4, const uint32_t *addr)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(v4 ? AF_INET : AF_INET6, addr, text, sizeof(text));
	json_object_set_new(to, key, json_string(text));
}

static void packet_flags(json_t *to, uint32_t flags)
{
	json_t *names = json_array();

	if (flags & XFQ_META_FRAG_NEXT)
		json_array_append_new(names, json_string("later fragment"));
	else if (flags & XFQ_META_FRAGMENT)
		json_array_append_new(names, json_string("first fragment"));
	if (flags & XFQ_META_MALFORMED)
		json_array_append_new(names, json_string("malformed"));
	if (flags & XFQ_META_CUT)
		json_array_append_new(names, json_string("cut"));
	json_object_set_new(to, "flags", names);
}

static void packet_ip(json_t *to, const struct packet *pkt)
{
	const struct xfq_meta *meta = pkt->meta;
	const uint8_t *l4;
	struct parse_key key;

	if (!meta->l3_off || !method_read_addresses(pkt, &key))
		return;
	packet_number(to, "ip", meta->flags & XFQ_META_IPV4 ? 4 : 6);
	packet_number(to, "ip_at", meta->l3_off);
	packet_address(to, "src", meta->flags & XFQ_META_IPV4, key.src);
	packet_address(to, "dst", meta->flags & XFQ_META_IPV4, key.dst);
	packet_number(to, "proto", meta->l4_proto);
	if (meta->l4_off)
		packet_number(to, "proto_at", meta->l4_off);
	if (meta->payload_off)
		packet_number(to, "payload_at", meta->payload_off);
	if (!(meta->flags & XFQ_META_PORTS))
		return;
	l4 = pkt->data + meta->l4_off;
	packet_number(to, "sport", parse_be16(l4));
	packet_number(to, "dport", parse_be16(l4 + 2));
	if (meta->l4_proto == PARSE_IP_TCP && pkt->len >= meta->l4_off + 14u)
		packet_hex(to, "tcp_flags", parse_be16(l4 + 12) & 0x1ff, 3);
}

json_t *explain_packet(const struct packet *pkt)
{
	const struct xfq_meta *meta = pkt->meta;
	char summary[PACKET_TEXT_BYTES];
	json_t *object = json_object();

	packet_text(pkt->data, pkt->len, meta->wire_len, summary, sizeof(summary));
	json_object_set_new(object, "summary", json_string(summary));
	packet_number(object, "len", pkt->len);
	packet_number(object, "wire_len", meta->wire_len);
	if (pkt->len >= 14) {
		packet_mac(object, "src_mac", pkt->data + 6);
		packet_mac(object, "dst_mac", pkt->data);
	}
	packet_hex(object, "ethertype", meta->ethertype, 4);
	if (meta->flags & XFQ_META_VLAN && pkt->len >= 18)
		packet_number(object, "vlan", parse_be16(pkt->data + 14) & 0xfff);
	packet_ip(object, pkt);
	/* what is not steered has none */
	if (meta->flow_hash)
		packet_hex(object, "flow_hash", meta->flow_hash, 8);
	packet_flags(object, meta->flags);
	return object;
}

json_t *explain_tunnel(const struct explain *explain)
{
	struct tunnel_inner inner;
	json_t *path = json_array();

	tunnel_find(explain->pkt.data, explain->pkt.len, explain->pkt.meta, &inner);
	for (uint32_t i = 0; i < inner.path.cnt; i++)
		json_array_append_new(
			path, json_string(tunnel_kind_name((enum tunnel_kind)inner.path.kinds[i])));
	return json_pack("{s:o, s:o}", "path", path, "inner", explain_packet(&explain->inner));
}
