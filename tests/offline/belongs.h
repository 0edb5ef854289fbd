/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which packets belong together, by a small parser that shares nothing with the one that is tested:
 * up to two VLAN tags, IPv4, IPv6 with the common extension headers. What is broken or cut it does
 * not judge.
 */
#ifndef TESTS_OFFLINE_BELONGS_H
#define TESTS_OFFLINE_BELONGS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct packet_copy {
	uint64_t ts_ns;
	uint32_t len, wire_len;
	uint8_t *data;
};

/* Two ends in an order that does not depend on the direction, and what else names the thing. */
struct key {
	uint8_t low[18], high[18]; /* address and port */
	uint32_t id;               /* of a datagram */
	uint8_t v6, proto;
	uint8_t direction; /* of a datagram */
	bool swapped;      /* not compared */
};

struct parsed {
	const uint8_t *src, *dst, *l4;
	uint32_t l4_len, id;
	uint8_t v6, proto, first_proto; /* of a first fragment, behind its header */
	bool fragment, first;           /* first: of its fragments */
};

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static bool parse_v4(const uint8_t *p, uint32_t len, struct parsed *parsed)
{
	uint32_t header = (p[0] & 15u) * 4;

	if (len < 20 || p[0] >> 4 != 4 || header < 20 || be16(p + 2) < header || be16(p + 2) > len)
		return false;
	parsed->src = p + 12;
	parsed->dst = p + 16;
	parsed->proto = p[9];
	parsed->id = be16(p + 4);
	parsed->fragment = be16(p + 6) & 0x3fff;
	parsed->first = parsed->fragment && !(be16(p + 6) & 0x1fff);
	parsed->l4 = p + header;
	parsed->l4_len = be16(p + 2) - header;
	return true;
}

static bool parse_v6(const uint8_t *p, uint32_t len, struct parsed *parsed)
{
	uint32_t at = 40, step;

	if (len < 40 || p[0] >> 4 != 6 || be16(p + 4) == 0 || be16(p + 4) + 40 > len)
		return false;
	len = be16(p + 4) + 40;
	parsed->v6 = 1;
	parsed->src = p + 8;
	parsed->dst = p + 24;
	parsed->proto = p[6];
	while (parsed->proto == 0 || parsed->proto == 43 || parsed->proto == 44 ||
	       parsed->proto == 60) {
		if (at + 8 > len)
			return false;
		step = parsed->proto == 44 ? 8 : (p[at + 1] + 1u) * 8;
		if (parsed->proto == 44 && (be16(p + at + 2) & 0xfff9)) {
			parsed->fragment = true;
			parsed->first = !(be16(p + at + 2) & 0xfff8);
			parsed->first_proto = p[at];
			parsed->l4 = p + at + 8;
			parsed->l4_len = len - at - 8;
			memcpy(&parsed->id, p + at + 4, 4);
			/* what follows the header is not compared: later fragments do not have it
			 */
			parsed->proto = 0;
			return true;
		}
		parsed->proto = p[at];
		at += step;
		if (at > len)
			return false;
	}
	parsed->l4 = p + at;
	parsed->l4_len = len - at;
	return true;
}

/* False: not IP, broken, or not all of it was captured. */
static bool parse(const struct packet_copy *packet, struct parsed *parsed)
{
	uint32_t at = 12, tags = 0;

	memset(parsed, 0, sizeof(*parsed));
	if (packet->len != packet->wire_len)
		return false;
	while (at + 2 <= packet->len && tags < 2 &&
	       (be16(packet->data + at) == 0x8100 || be16(packet->data + at) == 0x88a8)) {
		at += 4;
		tags++;
	}
	if (at + 22 > packet->len)
		return false;
	if (be16(packet->data + at) == 0x0800)
		return parse_v4(packet->data + at + 2, packet->len - at - 2, parsed);
	if (be16(packet->data + at) == 0x86dd)
		return parse_v6(packet->data + at + 2, packet->len - at - 2, parsed);
	return false;
}

static void key_make(struct key *key, const struct parsed *parsed, bool ports)
{
	uint8_t src[18] = {0}, dst[18] = {0};
	uint32_t bytes = parsed->v6 ? 16 : 4;

	memset(key, 0, sizeof(*key));
	memcpy(src, parsed->src, bytes);
	memcpy(dst, parsed->dst, bytes);
	if (ports) {
		memcpy(src + 16, parsed->l4, 2);
		memcpy(dst + 16, parsed->l4 + 2, 2);
	}
	key->swapped = memcmp(src, dst, sizeof(src)) > 0;
	memcpy(key->low, key->swapped ? dst : src, sizeof(src));
	memcpy(key->high, key->swapped ? src : dst, sizeof(src));
	key->v6 = parsed->v6;
}

/* The flow that a packet that is no fragment belongs to. */
static bool key_flow(struct key *key, const struct parsed *parsed)
{
	bool ports = parsed->proto == 6 || parsed->proto == 17 || parsed->proto == 132;

	if (parsed->fragment || (ports && parsed->l4_len < 20u - 12 * (parsed->proto == 17)))
		return false;
	key_make(key, parsed, ports);
	key->proto = parsed->proto;
	return true;
}

static bool key_datagram(struct key *key, const struct parsed *parsed)
{
	if (!parsed->fragment)
		return false;
	key_make(key, parsed, false);
	key->proto = parsed->proto;
	key->id = parsed->id;
	/* the name is the sender's: what the other one sends by the same name is another datagram
	 */
	key->direction = key->swapped;
	return true;
}

/* The flow of a datagram whose first fragment this is; ports behind extension headers are not
 * looked for. */
static bool key_first(struct key *key, const struct parsed *parsed)
{
	uint8_t proto = parsed->v6 ? parsed->first_proto : parsed->proto;

	if (!parsed->first || (proto != 6 && proto != 17 && proto != 132) || parsed->l4_len < 8)
		return false;
	key_make(key, parsed, true);
	key->proto = proto;
	return true;
}

static bool key_pair(struct key *key, const struct parsed *parsed)
{
	key_make(key, parsed, false);
	return true;
}

#endif
