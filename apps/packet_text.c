/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/packet_text.h"
#include "steering/parse.h"
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

#define PACKET_ADDRESS_BYTES (INET6_ADDRSTRLEN + 16) /* with brackets and a port */

struct packet_line {
	char *text;
	size_t size, used;
};

static void __attribute__((format(printf, 2, 3)))
packet_append(struct packet_line *line, const char *format, ...)
{
	va_list args;
	int more;

	if (line->used >= line->size)
		return;
	va_start(args, format);
	more = vsnprintf(line->text + line->used, line->size - line->used, format, args);
	va_end(args);
	if (more > 0)
		line->used += (size_t)more;
}

static void packet_ethertype(struct packet_line *line, uint16_t ethertype)
{
	switch (ethertype) {
	case 0x0806:
		packet_append(line, "ARP");
		break;
	case PARSE_ETH_IPV4:
		packet_append(line, "IPv4");
		break;
	case PARSE_ETH_IPV6:
		packet_append(line, "IPv6");
		break;
	case 0:
		packet_append(line, "Ethernet");
		break;
	default:
		packet_append(line, ethertype < 0x0600 ? "802.3" : "ethertype 0x%04x", ethertype);
	}
}

static void packet_proto(struct packet_line *line, uint8_t proto)
{
	static const struct {
		uint8_t proto;
		const char *name;
	} names[] = {{1, "ICMP"}, {2, "IGMP"}, {6, "TCP"},    {17, "UDP"},  {47, "GRE"},
		     {50, "ESP"}, {51, "AH"},  {58, "ICMP6"}, {89, "OSPF"}, {132, "SCTP"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].proto == proto) {
			packet_append(line, " %s", names[i].name);
			return;
		}
	}
	packet_append(line, " proto %u", proto);
}

static void packet_address(char to[PACKET_ADDRESS_BYTES], const uint32_t *address, uint16_t port,
			   uint16_t flags)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(flags & XFQ_META_IPV4 ? AF_INET : AF_INET6, address, text, sizeof(text));
	if (!(flags & XFQ_META_PORTS))
		snprintf(to, PACKET_ADDRESS_BYTES, "%s", text);
	else if (flags & XFQ_META_IPV4)
		snprintf(to, PACKET_ADDRESS_BYTES, "%s:%u", text, port);
	else
		snprintf(to, PACKET_ADDRESS_BYTES, "[%s]:%u", text, port);
}

void packet_text(const uint8_t *data, uint32_t len, uint32_t wire_len, char *text, size_t size)
{
	char src[PACKET_ADDRESS_BYTES], dst[PACKET_ADDRESS_BYTES];
	struct packet_line line = {text, size, 0};
	struct parse_key key;
	struct xfq_meta meta;

	parse_packet(NULL, data, data + len, wire_len, &meta, &key);
	text[0] = '\0';
	if (meta.flags & XFQ_META_VLAN)
		packet_append(&line, meta.flags & XFQ_META_QINQ ? "QinQ " : "VLAN ");
	packet_ethertype(&line, meta.ethertype);
	if (meta.l3_off) {
		packet_proto(&line, meta.l4_proto);
		packet_address(src, key.src, key.sport, meta.flags);
		packet_address(dst, key.dst, key.dport, meta.flags);
		packet_append(&line, " %s > %s", src, dst);
	}
	packet_append(&line, " len %u", wire_len);
	if (meta.flags & XFQ_META_FRAG_NEXT)
		packet_append(&line, ", later fragment");
	else if (meta.flags & XFQ_META_FRAGMENT)
		packet_append(&line, ", first fragment");
	if (meta.flags & XFQ_META_MALFORMED)
		packet_append(&line, ", malformed");
	if (len < wire_len)
		packet_append(&line, ", cut to %u", len);
}
