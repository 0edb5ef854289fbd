/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/explain_parts.h"
#include "steering/method_read.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* What methods look at, as fields of METHOD_KEY; of those that look at something else 0. */
static uint32_t method_fields(const struct method_spec *spec)
{
	const uint32_t ends = METHOD_KEY_SRC | METHOD_KEY_DST;
	const uint32_t ports = METHOD_KEY_SPORT | METHOD_KEY_DPORT;

	switch (spec->method) {
	case METHOD_FLOW:
	case METHOD_STICKY:
	case METHOD_RSS_HASH:
		return ends | ports | METHOD_KEY_PROTO;
	case METHOD_IP_PAIR:
	case METHOD_DOUBLE:
	case METHOD_LOCAL_IP:
	case METHOD_LOCAL_NET:
		return ends;
	case METHOD_SRC:
		return METHOD_KEY_SRC;
	case METHOD_DST:
		return METHOD_KEY_DST;
	case METHOD_LINK:
	case METHOD_LOCAL_LINK:
		return METHOD_KEY_SRC_MAC | METHOD_KEY_DST_MAC;
	case METHOD_VLAN:
		return METHOD_KEY_VLAN;
	case METHOD_KEY:
		return method_key_fields(spec);
	case METHOD_QUEUE:
	case METHOD_ROUND_ROBIN:
	case METHOD_RANDOM:
	case METHOD_TO:
	case METHOD_FIELD:
	case METHOD_BROADCAST:
	case METHOD_PLUGIN:
	case METHOD_CNT:
		break;
	}
	return 0;
}

static json_t *method_address(const struct packet *pkt, const uint32_t *addr)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(pkt->meta->flags & XFQ_META_IPV4 ? AF_INET : AF_INET6, addr, text, sizeof(text));
	return json_string(text);
}

static json_t *method_mac(const uint8_t *mac)
{
	return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
			    mac[5]);
}

/* The TOS byte or traffic class, and of IPv6 the flow label. */
static uint32_t method_tos(const struct packet *pkt, uint32_t *label)
{
	const uint8_t *l3 = pkt->data + pkt->meta->l3_off;

	*label = 0;
	if (pkt->meta->flags & XFQ_META_IPV4)
		return l3[1];
	*label = (uint32_t)(l3[1] & 0xf) << 16 | parse_be16(l3 + 2);
	return (uint32_t)(l3[0] & 0xf) << 4 | l3[1] >> 4;
}

/* A field of the IP header or behind it; NULL: the packet has none. */
static json_t *method_ip_field(const struct packet *pkt, enum method_field field)
{
	uint32_t tos, label;
	struct parse_key key;
	const uint8_t *l4;

	if (!pkt->meta->l3_off || !method_read_addresses(pkt, &key))
		return NULL;
	tos = method_tos(pkt, &label);
	if (field == METHOD_KEY_SRC || field == METHOD_KEY_DST)
		return method_address(pkt, field == METHOD_KEY_SRC ? key.src : key.dst);
	if (field == METHOD_KEY_SPORT || field == METHOD_KEY_DPORT) {
		if (!method_read_ports(pkt, &key))
			return NULL;
		return json_integer(field == METHOD_KEY_SPORT ? key.sport : key.dport);
	}
	if (field == METHOD_KEY_PROTO)
		return json_integer(pkt->meta->l4_proto);
	if (field == METHOD_KEY_TOS)
		return json_integer(tos);
	if (field == METHOD_KEY_FLOW_LABEL)
		return json_integer(label);
	if (field == METHOD_KEY_DSCP)
		return json_integer(tos >> 2);
	if (field == METHOD_KEY_ECN)
		return json_integer(tos & 3);
	l4 = method_read_l4(pkt, 2);
	if (!l4 || (pkt->meta->l4_proto != PARSE_IP_ICMP && pkt->meta->l4_proto != PARSE_IP_ICMPV6))
		return NULL;
	return json_integer(field == METHOD_KEY_ICMP_TYPE ? l4[0] : l4[1]);
}

static json_t *method_field_value(const struct packet *pkt, enum method_field field)
{
	if (field == METHOD_KEY_VLAN && pkt->meta->flags & XFQ_META_VLAN && pkt->len >= 18)
		return json_integer(parse_be16(pkt->data + 14) & 0xfff);
	if (field == METHOD_KEY_VLAN)
		return json_integer(0);
	if (field == METHOD_KEY_ETHERTYPE)
		return json_sprintf("0x%04x", pkt->meta->ethertype);
	if (field == METHOD_KEY_SRC_MAC || field == METHOD_KEY_DST_MAC)
		return pkt->len >= 14
			       ? method_mac(pkt->data + (field == METHOD_KEY_SRC_MAC ? 6 : 0))
			       : NULL;
	return method_ip_field(pkt, field);
}

/* Bytes of a packet in hex; NULL: they do not lie in it. */
static json_t *method_bytes(const struct packet *pkt, uint32_t offset, uint32_t size)
{
	char text[2 * METHOD_FIELD_MAX + 1];

	if (size > METHOD_FIELD_MAX || !method_has_bytes(pkt, offset, size))
		return NULL;
	for (uint32_t i = 0; i < size; i++)
		snprintf(text + 2 * i, 3, "%02x", pkt->data[offset + i]);
	return json_string(text);
}

static void method_looked_at_bytes(json_t *to, const struct method_spec *spec,
				   const struct packet *pkt, uint32_t offset)
{
	json_t *bytes = method_bytes(pkt, offset, spec->size);
	char name[32];

	snprintf(name, sizeof(name), "bytes %u", offset);
	json_object_set_new(to, name, bytes ? bytes : json_null());
}

static json_t *method_looked_at(const struct explain_steer *steer)
{
	const struct method_spec *spec = steer->spec;
	uint32_t fields = method_fields(spec);
	json_t *values = json_object();

	/* a flow of packets that are not IP */
	if (steer->seen->meta->l3_off == 0 &&
	    (spec->method == METHOD_FLOW || spec->method == METHOD_STICKY))
		fields = METHOD_KEY_SRC_MAC | METHOD_KEY_DST_MAC | METHOD_KEY_ETHERTYPE;
	for (uint32_t bit = 0; bit < METHOD_KEY_FIELDS; bit++) {
		json_t *value;

		if (!(fields >> bit & 1))
			continue;
		value = method_field_value(steer->seen, (enum method_field)(1u << bit));
		json_object_set_new(values, method_field_name(1u << bit),
				    value ? value : json_null());
	}
	if (spec->method == METHOD_QUEUE)
		json_object_set_new(values, "queue", json_integer(steer->context->worker));
	if (spec->method != METHOD_FIELD)
		return values;
	method_looked_at_bytes(values, spec, steer->seen, spec->offset);
	if (spec->each || spec->symmetric)
		method_looked_at_bytes(values, spec, steer->seen, spec->offset2);
	return values;
}

json_t *explain_method(const struct explain *explain, const struct explain_steer *steer)
{
	const struct method_spec *spec = steer->spec;
	const uint8_t index[1] = {0};
	json_t *object = json_object();
	char text[256];
	uint32_t hash;

	method_spec_text(spec, text, sizeof(text));
	json_object_set_new(object, "method", json_string(text));
	if (spec->method == METHOD_PLUGIN)
		json_object_set_new(object, "plugin",
				    json_string(explain->config->plugins[spec->plugin].name));
	json_object_set_new(object, "looked_at", method_looked_at(steer));
	json_object_set_new(object, "applies", json_boolean(!(steer->missed & 1)));
	if (steer->missed & 1)
		json_object_set_new(
			object, "else",
			json_string(spec->otherwise == METHOD_ELSE_DROP ? "drop" : "flow"));
	if (steer->missed & 1 && spec->otherwise == METHOD_ELSE_DROP)
		return object;
	if (steer->missed & 1)
		hash = steer->seen->meta->flow_hash;
	else if (method_makes_hash(spec))
		method_hashes(spec, steer->state, steer->context, steer->seen, index, 1, &hash);
	else
		return object;
	snprintf(text, sizeof(text), "0x%08x", hash);
	json_object_set_new(object, "hash", json_string(text));
	json_object_set_new(object, "bucket", json_integer(hash & (ROSTER_BUCKETS - 1)));
	json_object_set_new(object, "buckets", json_integer(ROSTER_BUCKETS));
	return object;
}
