/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/shape.h"
#include "steering/parse.h"

#define SHAPE_LAYOUT(flags, at_l3, at_l4, tag, kind)                                               \
	[flags] = {.l3_off = at_l3, .l4_off = at_l4, .tag_mask = tag, .shape = kind},              \
	[(flags) | XFQ_META_PORTS] = {                                                             \
		.l3_off = at_l3, .l4_off = at_l4, .tag_mask = tag, .shape = kind, .ports = 1}

/* Flags that are not here have offsets of 0, which no IP packet has. */
const struct shape_layout shape_layouts[SHAPE_FLAGS_END] = {
	SHAPE_LAYOUT(XFQ_META_IPV4, 14, 34, 0, 0),
	SHAPE_LAYOUT(XFQ_META_IPV6, 14, 54, 0, SHAPE_V6),
	SHAPE_LAYOUT(XFQ_META_IPV4 | XFQ_META_VLAN, 18, 38, 0xffff, SHAPE_TAGGED),
	SHAPE_LAYOUT(XFQ_META_IPV6 | XFQ_META_VLAN, 18, 58, 0xffff, SHAPE_V6 | SHAPE_TAGGED),
};

/* 6: TCP, 17: UDP, 132: SCTP */
const uint8_t shape_protos[2][256] = {
	{
		[0 ... 5] = SHAPE_OTHER,
		[6] = SHAPE_NONE,
		[7 ... 16] = SHAPE_OTHER,
		[17] = SHAPE_NONE,
		[18 ... 131] = SHAPE_OTHER,
		[132] = SHAPE_NONE,
		[133 ... 255] = SHAPE_OTHER,
	},
	{
		[0 ... 5] = SHAPE_NONE,
		[6] = 0,
		[7 ... 16] = SHAPE_NONE,
		[17] = SHAPE_UDP,
		[18 ... 255] = SHAPE_NONE,
	},
};

static void shape_know(struct graph_facts *facts, uint32_t at, uint8_t mask, uint8_t value)
{
	facts->known[at] |= mask;
	facts->value[at] = (uint8_t)((facts->value[at] & ~mask) | (value & mask));
}

static void shape_know16(struct graph_facts *facts, uint32_t at, uint16_t value)
{
	shape_know(facts, at, 0xff, (uint8_t)(value >> 8));
	shape_know(facts, at + 1, 0xff, (uint8_t)value);
}

static void shape_key_bytes(struct graph_facts *facts, uint32_t at, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		facts->keyed[at + i] = 0xff;
}

/* IPv4 without options, no fragment: reserved bit and DF may be anything. */
static uint32_t shape_know_ipv4(struct graph_facts *facts, uint32_t l3)
{
	shape_know(facts, l3, 0xff, 0x45);
	shape_know(facts, l3 + 6, 0x3f, 0);
	shape_know(facts, l3 + 7, 0xff, 0);
	shape_key_bytes(facts, l3 + 12, 8);
	return l3 + 20;
}

static uint32_t shape_know_ipv6(struct graph_facts *facts, uint32_t l3)
{
	shape_know(facts, l3, 0xf0, 0x60);
	shape_key_bytes(facts, l3 + 8, 32);
	return l3 + 40;
}

/* Neither TCP nor UDP nor SCTP, whose ports would be looked at; nor a fragment, whose header would.
 */
static void shape_know_other(struct graph_facts *facts, uint32_t at, bool v6)
{
	static const uint8_t protos[] = {PARSE_IP_TCP, PARSE_IP_UDP, PARSE_IP_SCTP,
					 PARSE_IP_FRAGMENT};

	facts->other_at = at;
	facts->other_cnt = v6 ? 4 : 3;
	memcpy(facts->others, protos, sizeof(protos));
}

void shape_facts(uint8_t shape, uint8_t flags, struct graph_facts *facts)
{
	uint16_t ethertype = shape & SHAPE_V6 ? PARSE_ETH_IPV6 : PARSE_ETH_IPV4;
	uint32_t l3 = 14, l4, proto_at;

	memset(facts, 0, sizeof(*facts));
	if (shape & SHAPE_TAGGED) {
		shape_know16(facts, 12, PARSE_ETH_8021Q);
		shape_key_bytes(facts, 14, 2);
		l3 = 18;
	}
	shape_know16(facts, l3 - 2, ethertype);
	l4 = shape & SHAPE_V6 ? shape_know_ipv6(facts, l3) : shape_know_ipv4(facts, l3);
	proto_at = shape & SHAPE_V6 ? l3 + 6 : l3 + 9;
	if (shape & SHAPE_OTHER) {
		shape_key_bytes(facts, proto_at, 1);
		shape_know_other(facts, proto_at, shape & SHAPE_V6);
		facts->len = l4;
		return;
	}
	shape_know(facts, proto_at, 0xff, shape & SHAPE_UDP ? PARSE_IP_UDP : PARSE_IP_TCP);
	shape_key_bytes(facts, l4, 4);
	if (!(shape & SHAPE_UDP))
		facts->keyed[l4 + 13] = flags;
	facts->len = l4 + (shape & SHAPE_UDP ? 8 : 20);
}
