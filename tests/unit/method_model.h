/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the steering methods ought to look at, found out slowly and apart from them: the packet is
 * read anew, byte by byte, and what a method looks at becomes a string of bytes. Methods must make
 * one number of equal strings, and different ones of different strings.
 *
 * The model is for packets whose headers are sound; those that lie it does not judge.
 */
#ifndef TESTS_UNIT_METHOD_MODEL_H
#define TESTS_UNIT_METHOD_MODEL_H

#include "steering/method.h"
#include <stdio.h>

#define MODEL_BYTES 160 /* of a string */

/* A packet, field by field; what it does not have is 0. */
struct model {
	const uint8_t *bytes;
	uint32_t len;
	uint32_t ip; /* 4, 6; 0: neither */
	uint32_t vlan, ethertype, tos, label, proto;
	const uint8_t *src, *dst; /* addresses of 4 or 16 bytes */
	uint32_t addr_bytes;
	bool fragment, later;
	uint32_t l4; /* offset; 0: none */
	bool ports;
	uint32_t sport, dport;
};

/* What a method looks at. */
struct model_text {
	bool applies;
	uint32_t len;
	uint8_t bytes[MODEL_BYTES];
};

static inline uint32_t model_16(const struct model *model, uint32_t at)
{
	return (uint32_t)model->bytes[at] * 256 + model->bytes[at + 1];
}

/* The header behind IP, which has `room` bytes. */
static inline void model_read_l4(struct model *model, uint32_t at, uint32_t room)
{
	uint32_t proto = model->proto;

	if (at + room > model->len)
		room = model->len > at ? model->len - at : 0;
	if (room == 0 || model->later)
		return;
	model->l4 = at;
	model->ports = room >= 4 && (proto == 6 || proto == 17 || proto == 132);
	if (model->ports) {
		model->sport = model_16(model, at);
		model->dport = model_16(model, at + 2);
	}
}

static inline void model_read_ipv4(struct model *model, uint32_t at)
{
	uint32_t header = (model->bytes[at] & 15u) * 4, total = model_16(model, at + 2);

	model->ip = 4;
	model->tos = model->bytes[at + 1];
	model->proto = model->bytes[at + 9];
	model->src = model->bytes + at + 12;
	model->dst = model->bytes + at + 16;
	model->addr_bytes = 4;
	model->later = model_16(model, at + 6) % 0x2000 != 0;
	model->fragment = model->later || model_16(model, at + 6) / 0x2000 % 2;
	if (total == 0)
		total = model->len - at;
	model_read_l4(model, at + header, total - header);
}

static inline void model_read_ipv6(struct model *model, uint32_t at)
{
	uint32_t next = model->bytes[at + 6], payload = model_16(model, at + 4), end,
		 here = at + 40;

	model->ip = 6;
	model->tos = model_16(model, at) / 16 % 256;
	model->label = model->bytes[at + 1] % 16 * 65536u + model_16(model, at + 2);
	model->src = model->bytes + at + 8;
	model->dst = model->bytes + at + 24;
	model->addr_bytes = 16;
	end = payload ? here + payload : model->len;
	while (next == 0 || next == 43 || next == 44 || next == 51 || next == 60 || next == 135 ||
	       next == 139 || next == 140) {
		uint32_t bytes = model->bytes[here + 1] * 8u + 8;

		if (next == 51)
			bytes = model->bytes[here + 1] * 4u + 8;
		if (next == 44) {
			bytes = 8;
			model->later |= model_16(model, here + 2) / 8 != 0;
			model->fragment |= model->later || model->bytes[here + 3] % 2;
		}
		next = model->bytes[here];
		here += bytes;
		if (model->later)
			break;
	}
	model->proto = next;
	model_read_l4(model, here, end > here ? end - here : 0);
}

static inline void model_read(struct model *model, const uint8_t *bytes, uint32_t len)
{
	uint32_t at = 12;

	*model = (struct model){.bytes = bytes, .len = len};
	if (len < 14)
		return;
	for (uint32_t tags = 0; tags < 2; tags++, at += 4) {
		uint32_t type = model_16(model, at);

		if (type != 0x8100 && type != 0x88a8 && type != 0x9100)
			break;
		if (tags == 0)
			model->vlan = model_16(model, 14) % 4096;
	}
	model->ethertype = model_16(model, at);
	if (model->ethertype == 0x0800)
		model_read_ipv4(model, at + 2);
	else if (model->ethertype == 0x86dd)
		model_read_ipv6(model, at + 2);
}

static inline void model_put(struct model_text *text, const void *bytes, uint32_t len)
{
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

static inline void model_put_number(struct model_text *text, uint32_t number)
{
	uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
			    (uint8_t)(number >> 8), (uint8_t)number};

	model_put(text, bytes, 4);
}

/* Two strings of one length, the lesser one first. */
static inline void model_put_sorted(struct model_text *text, const void *a, const void *b,
				    uint32_t len)
{
	bool swap = memcmp(a, b, len) > 0;

	model_put(text, swap ? b : a, len);
	model_put(text, swap ? a : b, len);
}

/* One end of a flow, of the fields that are asked for: those of the source, whichever end it is. */
static inline void model_put_end(struct model_text *text, const struct model *model,
				 uint32_t fields, bool dst)
{
	uint8_t zeros[16] = {0};

	if (fields & METHOD_KEY_SRC) {
		model_put(text, dst ? model->dst : model->src, model->addr_bytes);
		model_put(text, zeros, 16 - model->addr_bytes);
	}
	if (fields & METHOD_KEY_SPORT)
		model_put_number(text, model->fragment ? 0 : dst ? model->dport : model->sport);
	if (fields & METHOD_KEY_SRC_MAC)
		model_put(text, model->bytes + (dst ? 0 : 6), 6);
}

static inline void model_put_key(struct model_text *text, const struct model *model,
				 const struct method_spec *spec)
{
	uint32_t fields = spec->fields, icmp = 0;
	uint32_t of_src = fields & (METHOD_KEY_SRC | METHOD_KEY_SPORT | METHOD_KEY_SRC_MAC);
	uint32_t of_dst = fields & (METHOD_KEY_DST | METHOD_KEY_DPORT | METHOD_KEY_DST_MAC);
	uint32_t of_link =
		METHOD_KEY_SRC_MAC | METHOD_KEY_DST_MAC | METHOD_KEY_VLAN | METHOD_KEY_ETHERTYPE;
	struct model_text a = {.len = 0}, b = {.len = 0};

	text->applies = model->len >= 14 && (model->ip || !(fields & ~of_link));
	if (!text->applies)
		return;
	of_dst /= 2; /* by the names of the source's */
	if (spec->symmetric)
		of_src = of_dst = of_src | of_dst;
	model_put_end(&a, model, of_src, false);
	model_put_end(&b, model, of_dst, true);
	if (spec->symmetric) {
		model_put_sorted(text, a.bytes, b.bytes, a.len);
	} else {
		model_put(text, a.bytes, a.len);
		model_put(text, b.bytes, b.len);
	}
	if (fields & METHOD_KEY_PROTO)
		model_put_number(text, model->ip == 6 && model->fragment ? 0 : model->proto);
	if (fields & METHOD_KEY_VLAN)
		model_put_number(text, model->vlan);
	if (fields & METHOD_KEY_ETHERTYPE)
		model_put_number(text, model->ethertype);
	if (fields & (METHOD_KEY_TOS | METHOD_KEY_DSCP))
		model_put_number(text, model->tos / 4);
	if (fields & (METHOD_KEY_TOS | METHOD_KEY_ECN))
		model_put_number(text, model->tos % 4);
	if (fields & METHOD_KEY_FLOW_LABEL)
		model_put_number(text, model->label);
	if ((model->proto == 1 || model->proto == 58) && model->l4 && !model->fragment &&
	    model->l4 + 2 <= model->len)
		icmp = model->l4;
	if (fields & METHOD_KEY_ICMP_TYPE)
		model_put_number(text, icmp ? model->bytes[icmp] : 0);
	if (fields & METHOD_KEY_ICMP_CODE)
		model_put_number(text, icmp ? model->bytes[icmp + 1] : 0);
}

static inline void model_put_field(struct model_text *text, const struct model *model,
				   const struct method_spec *spec)
{
	uint64_t one = (uint64_t)spec->offset + spec->size;
	uint64_t two = (uint64_t)spec->offset2 + spec->size;

	text->applies = one <= model->len && (!spec->symmetric || two <= model->len);
	if (!text->applies)
		return;
	if (spec->symmetric)
		model_put_sorted(text, model->bytes + spec->offset, model->bytes + spec->offset2,
				 spec->size);
	else
		model_put(text, model->bytes + spec->offset, spec->size);
}

/* What a method that makes one number looks at; METHOD_FLOW only of IP packets. */
static inline void model_look(struct model_text *text, const struct model *model,
			      const struct method_spec *spec)
{
	memset(text, 0, sizeof(*text));
	text->applies = model->ip != 0;
	if (spec->method == METHOD_VLAN) {
		text->applies = model->vlan != 0;
		model_put_number(text, model->vlan);
	} else if (spec->method == METHOD_KEY) {
		model_put_key(text, model, spec);
	} else if (spec->method == METHOD_FIELD) {
		model_put_field(text, model, spec);
	} else if (!model->ip) {
		return;
	} else if (spec->method == METHOD_SRC) {
		model_put(text, model->src, model->addr_bytes);
	} else if (spec->method == METHOD_DST) {
		model_put(text, model->dst, model->addr_bytes);
	} else if (spec->method == METHOD_IP_PAIR) {
		model_put_sorted(text, model->src, model->dst, model->addr_bytes);
	} else if (spec->method == METHOD_RSS_HASH) {
		model_put(text, model->src, model->addr_bytes);
		model_put(text, model->dst, model->addr_bytes);
		if (model->ports && model->proto != 132 && !model->fragment) {
			uint8_t ports[4] = {(uint8_t)(model->sport >> 8), (uint8_t)model->sport,
					    (uint8_t)(model->dport >> 8), (uint8_t)model->dport};

			model_put(text, ports, 4);
		}
	} else if (spec->method == METHOD_FLOW) {
		struct model_text a = {.len = 0}, b = {.len = 0};

		model_put_end(&a, model, METHOD_KEY_SRC | METHOD_KEY_SPORT, false);
		model_put_end(&b, model, METHOD_KEY_SRC | METHOD_KEY_SPORT, true);
		model_put_sorted(text, a.bytes, b.bytes, a.len);
		model_put_number(text, model->fragment ? 0 : model->proto);
	}
}

/* Bit by bit, as RSS hashing is specified. */
static inline uint32_t model_toeplitz(const uint8_t *bytes, uint32_t len)
{
	static const uint8_t key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
					0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
					0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
					0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
	uint32_t hash = 0;

	for (uint32_t bit = 0; bit < len * 8; bit++) {
		if (!(bytes[bit / 8] >> (7 - bit % 8) & 1))
			continue;
		for (uint32_t i = 0; i < 32; i++) {
			uint32_t at = bit + i;

			hash ^= (uint32_t)(key[at / 8] >> (7 - at % 8) & 1) << (31 - i);
		}
	}
	return hash;
}

#endif
