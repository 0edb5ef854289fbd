/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench/packets.h"
#include <arpa/inet.h>
#include <linux/icmp.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define PACKETS_SEED    20u
#define PACKETS_SERVERS 16u /* addresses the clients talk to */

#define PACKETS_LATER_FRAGMENT 0x0010 /* the field of IPv4: 128 bytes in */
#define PACKETS_FIRST_FRAGMENT 0x2000

struct packets_kind {
	uint32_t percent;
	bool ipv6;
	uint8_t proto;
	uint16_t port;     /* the server's */
	uint8_t tcp_flags; /* 0: PSH and ACK */
	uint16_t fragment; /* the field of IPv4; 0: none */
};

#define PACKETS_V4(percent, proto, port)                                                           \
	{                                                                                          \
		percent, false, proto, port, 0, 0                                                  \
	}
#define PACKETS_V6(percent, proto, port)                                                           \
	{                                                                                          \
		percent, true, proto, port, 0, 0                                                   \
	}

static const struct packets_kind packets_kinds[] = {
	PACKETS_V4(30, IPPROTO_TCP, 443), PACKETS_V4(15, IPPROTO_TCP, 80),
	PACKETS_V4(10, IPPROTO_UDP, 53),  PACKETS_V4(20, IPPROTO_UDP, 4433),
	PACKETS_V4(4, IPPROTO_ICMP, 0),   PACKETS_V6(1, IPPROTO_ICMPV6, 0),
	PACKETS_V6(20, IPPROTO_TCP, 443),
};

/* of packets_fill_varied() */
static const struct packets_kind packets_varied_kinds[] = {
	PACKETS_V4(22, IPPROTO_TCP, 443),
	PACKETS_V6(6, IPPROTO_TCP, 443),
	PACKETS_V4(12, IPPROTO_TCP, 80),
	{4, false, IPPROTO_TCP, 443, 0x02, 0},
	{3, false, IPPROTO_TCP, 22, 0x02, 0},
	{2, false, IPPROTO_TCP, 23, 0x02, 0},
	{1, true, IPPROTO_TCP, 80, 0x02, 0},
	{3, false, IPPROTO_TCP, 3389, 0x14, 0},
	PACKETS_V4(2, IPPROTO_TCP, 25),
	PACKETS_V4(1, IPPROTO_TCP, 587),
	PACKETS_V4(2, IPPROTO_TCP, 993),
	PACKETS_V4(3, IPPROTO_TCP, 22),
	PACKETS_V4(9, IPPROTO_UDP, 53),
	PACKETS_V6(2, IPPROTO_UDP, 53),
	PACKETS_V4(8, IPPROTO_UDP, 443),
	PACKETS_V4(1, IPPROTO_UDP, 1194),
	PACKETS_V4(1, IPPROTO_UDP, 4500),
	PACKETS_V4(1, IPPROTO_UDP, 51820),
	PACKETS_V4(2, IPPROTO_ESP, 0),
	PACKETS_V4(2, IPPROTO_GRE, 0),
	PACKETS_V4(2, IPPROTO_UDP, 123),
	PACKETS_V4(2, IPPROTO_UDP, 161),
	PACKETS_V4(5, IPPROTO_ICMP, 0),
	PACKETS_V6(1, IPPROTO_ICMPV6, 0),
	{1, false, IPPROTO_UDP, 2049, 0, PACKETS_FIRST_FRAGMENT},
	{2, false, IPPROTO_UDP, 2049, 0, PACKETS_LATER_FRAGMENT},
};
#define PACKETS_VARIED_TAGGED 15 /* of 100 */

static const struct {
	uint32_t percent;
	uint32_t len;
} packets_sizes[] = {{50, 64}, {20, 128}, {15, 256}, {15, 512}};

/* One packet's flow, before it becomes bytes. */
struct packets_flow {
	const struct packets_kind *kind;
	uint32_t id;      /* makes the client's address its own */
	uint32_t server;  /* 0 to PACKETS_SERVERS - 1 */
	uint16_t port;    /* the client's */
	bool from_server; /* which of the two sends */
	uint32_t len;
	uint32_t vlan; /* 0: no tag */
};

/* SplitMix64, Steele, Lea, Flood 2014. */
static uint64_t packets_random(uint64_t *state)
{
	uint64_t value = *state += 0x9e3779b97f4a7c15u;

	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
	return value ^ (value >> 31);
}

/* Add bytes to an Internet checksum that is not folded yet; an odd count only at the end. */
static uint32_t packets_sum(uint32_t sum, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
	return sum;
}

static uint16_t packets_checksum_be(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Write the L4 header; `sum` is that of the pseudo header, 0 where the protocol has none. */
static void packets_write_l4(const struct packets_flow *flow, uint8_t *l4, uint32_t len,
			     uint32_t sum)
{
	uint16_t sport_be = htons(flow->from_server ? flow->kind->port : flow->port);
	uint16_t dport_be = htons(flow->from_server ? flow->port : flow->kind->port);
	struct tcphdr tcp = {.source = sport_be,
			     .dest = dport_be,
			     .seq = htonl(flow->id),
			     .ack_seq = htonl(1),
			     .doff = 5,
			     .ack = 1,
			     .psh = 1,
			     .window = htons(64240)};
	struct udphdr udp = {.source = sport_be, .dest = dport_be, .len = htons((uint16_t)len)};
	struct icmphdr icmp = {.type = flow->from_server ? ICMP_ECHOREPLY : ICMP_ECHO};
	size_t check = offsetof(struct icmphdr, checksum);
	uint16_t check_be;

	if (flow->kind->proto == IPPROTO_ESP || flow->kind->proto == IPPROTO_GRE ||
	    flow->kind->fragment == PACKETS_LATER_FRAGMENT)
		return; /* no header that anybody looks at */
	if (flow->kind->proto == IPPROTO_TCP) {
		memcpy(l4, &tcp, sizeof(tcp));
		if (flow->kind->tcp_flags)
			l4[13] = flow->kind->tcp_flags;
		check = offsetof(struct tcphdr, check);
	} else if (flow->kind->proto == IPPROTO_UDP) {
		memcpy(l4, &udp, sizeof(udp));
		check = offsetof(struct udphdr, check);
	} else {
		if (flow->kind->proto == IPPROTO_ICMPV6)
			icmp.type = flow->from_server ? 129 : 128; /* RFC 4443 */
		icmp.un.echo.id = htons(flow->port);
		memcpy(l4, &icmp, sizeof(icmp));
	}
	check_be = packets_checksum_be(packets_sum(sum, l4, len));
	if (flow->kind->proto == IPPROTO_UDP && !check_be)
		check_be = 0xffff;
	memcpy(l4 + check, &check_be, sizeof(check_be));
}

static void packets_write_ipv4(const struct packets_flow *flow, uint8_t *l3, uint32_t len)
{
	uint32_t client_be = htonl(0xc6120000u | flow->id);     /* 198.18.0.0/16 */
	uint32_t server_be = htonl(0xc6130001u + flow->server); /* 198.19.0.0/16 */
	struct iphdr ip = {.version = 4,
			   .ihl = 5,
			   .tot_len = htons((uint16_t)len),
			   .id = htons((uint16_t)flow->id),
			   .frag_off = htons(flow->kind->fragment ? flow->kind->fragment : 0x4000),
			   .ttl = 64,
			   .protocol = flow->kind->proto,
			   .saddr = flow->from_server ? server_be : client_be,
			   .daddr = flow->from_server ? client_be : server_be};
	uint32_t l4_len = len - (uint32_t)sizeof(ip);
	uint32_t sum = 0;

	memcpy(l3, &ip, sizeof(ip));
	ip.check = packets_checksum_be(packets_sum(0, l3, sizeof(ip)));
	memcpy(l3, &ip, sizeof(ip));
	if (flow->kind->proto != IPPROTO_ICMP)
		sum = packets_sum(flow->kind->proto + l4_len, l3 + offsetof(struct iphdr, saddr),
				  8);
	packets_write_l4(flow, l3 + sizeof(ip), l4_len, sum);
}

static void packets_write_ipv6(const struct packets_flow *flow, uint8_t *l3, uint32_t len)
{
	struct ipv6hdr ip = {.version = 6, .nexthdr = flow->kind->proto, .hop_limit = 64};
	uint32_t l4_len = len - (uint32_t)sizeof(ip);
	uint8_t client[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 1}, server[16] = {0x20, 0x01, 0x0d, 0xb8};

	client[14] = (uint8_t)(flow->id >> 8);
	client[15] = (uint8_t)flow->id;
	server[15] = (uint8_t)(1 + flow->server);
	ip.payload_len = htons((uint16_t)l4_len);
	memcpy(&ip.saddr, flow->from_server ? server : client, sizeof(ip.saddr));
	memcpy(&ip.daddr, flow->from_server ? client : server, sizeof(ip.daddr));
	memcpy(l3, &ip, sizeof(ip));
	packets_write_l4(
		flow, l3 + sizeof(ip), l4_len,
		packets_sum(flow->kind->proto + l4_len, l3 + offsetof(struct ipv6hdr, saddr), 32));
}

static void packets_write_untagged(const struct packets_flow *flow, struct generate_packet *packet)
{
	static const uint8_t client[ETH_ALEN] = {2, 0, 0, 0, 0, 1};
	static const uint8_t server[ETH_ALEN] = {2, 0, 0, 0, 0, 2};
	struct ethhdr eth = {.h_proto = htons(flow->kind->ipv6 ? ETH_P_IPV6 : ETH_P_IP)};

	memset(packet, 0, sizeof(*packet));
	packet->len = flow->len;
	for (uint32_t i = 0; i < flow->len; i++)
		packet->data[i] = (uint8_t)i; /* the payload, the same for all; headers follow */
	memcpy(eth.h_source, flow->from_server ? server : client, ETH_ALEN);
	memcpy(eth.h_dest, flow->from_server ? client : server, ETH_ALEN);
	memcpy(packet->data, &eth, sizeof(eth));
	if (flow->kind->ipv6)
		packets_write_ipv6(flow, packet->data + ETH_HLEN, flow->len - ETH_HLEN);
	else
		packets_write_ipv4(flow, packet->data + ETH_HLEN, flow->len - ETH_HLEN);
}

static void packets_write(const struct packets_flow *flow, struct generate_packet *packet)
{
	uint8_t tag[4] = {0x81, 0x00, (uint8_t)(flow->vlan >> 8), (uint8_t)flow->vlan};

	packets_write_untagged(flow, packet);
	if (!flow->vlan)
		return;
	memmove(packet->data + 12 + sizeof(tag), packet->data + 12, packet->len - 12);
	memcpy(packet->data + 12, tag, sizeof(tag));
	packet->len += sizeof(tag);
}

static const struct packets_kind *packets_pick_kind(const struct packets_kind *kind,
						    uint32_t percent)
{

	for (; percent >= kind->percent; kind++)
		percent -= kind->percent;
	return kind;
}

/* Bytes in front of the payload. */
static uint32_t packets_headers_len(const struct packets_kind *kind)
{
	return 14 + (kind->ipv6 ? 40 : 20) + (kind->proto == IPPROTO_TCP ? 20 : 8);
}

/* The length of a packet that is to have so many bytes of payload at least. */
static uint32_t packets_pick_len(uint32_t percent, const struct packets_kind *kind,
				 uint32_t payload_len)
{
	uint32_t least = packets_headers_len(kind) + payload_len, i = 0;

	if (kind->ipv6 && kind->proto == IPPROTO_TCP && least < 78)
		least = 78; /* a few bytes of payload in any case */
	for (; percent >= packets_sizes[i].percent; i++)
		percent -= packets_sizes[i].percent;
	return packets_sizes[i].len < least ? least : packets_sizes[i].len;
}

static void packets_fill(struct generate_packet *packets, uint32_t cnt,
			 const struct packets_kind *kinds, uint32_t tagged_percent,
			 uint32_t payload_len)
{
	uint64_t random = PACKETS_SEED;

	for (uint32_t id = 0; id < cnt; id++) {
		uint64_t bits = packets_random(&random);
		const struct packets_kind *kind =
			packets_pick_kind(kinds, (uint32_t)(bits >> 32) % 100);
		struct packets_flow flow = {
			.kind = kind,
			.id = id,
			.server = (uint32_t)(bits & (PACKETS_SERVERS - 1)),
			.from_server = (bits >> 4) & 1,
			.port = (uint16_t)(32768 + ((bits >> 5) & 0x3fff)),
			.len = packets_pick_len((uint32_t)(packets_random(&random) >> 32) % 100,
						kind, payload_len),
		};
		/* a tag in place of the last bytes, where the packet is long already */
		if ((uint32_t)(bits >> 20) % 100 < tagged_percent) {
			flow.vlan = 1 + id % 64;
			if (flow.len == GENERATE_PACKET_BYTES_MAX)
				flow.len -= 4;
		}
		packets_write(&flow, &packets[id]);
	}
}

void packets_fill_mixed(struct generate_packet *packets, uint32_t cnt)
{
	packets_fill(packets, cnt, packets_kinds, 0, 0);
}

void packets_fill_numbered(struct generate_packet *packets, uint32_t cnt)
{
	packets_fill(packets, cnt, packets_kinds, 0, sizeof(struct generate_mark));
}

void packets_fill_varied(struct generate_packet *packets, uint32_t cnt)
{
	packets_fill(packets, cnt, packets_varied_kinds, PACKETS_VARIED_TAGGED, 0);
}

void packets_fill_fixed(struct generate_packet *packet)
{
	static const struct packets_kind kind = PACKETS_V4(100, IPPROTO_UDP, 53);
	struct packets_flow flow = {.kind = &kind, .id = 1, .port = 32768, .len = 64};

	packets_write(&flow, packet);
}
