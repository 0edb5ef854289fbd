/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a rule table is held against: an array of rules, searched from its beginning, field by field
 * as table.h says it and without anything of the table's own. And rules and keys by chance, from so
 * few values that they overlap.
 */
#ifndef TESTS_TABLE_MODEL_H
#define TESTS_TABLE_MODEL_H

#include "steering/table.h"
#include <stdlib.h>
#include <string.h>

struct table_model {
	struct table_rule *rules; /* by priority */
	uint32_t cnt, room;
};

static inline bool model_bits_equal(const void *net, const void *addr, uint32_t len)
{
	const uint8_t *a = net, *b = addr;

	for (uint32_t bit = 0; bit < len; bit++)
		if ((a[bit / 8] ^ b[bit / 8]) & 0x80 >> bit % 8)
			return false;
	return true;
}

/* The same, by bytes: many rules are compared. */
static inline bool model_in_net(const uint8_t *net, uint8_t len, const uint32_t *addr)
{
	const uint8_t *bytes = (const uint8_t *)addr;

	return memcmp(net, bytes, len / 8) == 0 &&
	       (len % 8 == 0 || model_bits_equal(net + len / 8, bytes + len / 8, len % 8));
}

static inline bool model_flags_match(const struct table_rule *rule, const struct table_key *key)
{
	bool icmp = rule->proto_mask == 0xff && (rule->proto == 1 || rule->proto == 58);

	if (rule->flags_mask == 0)
		return true;
	if (key->proto != 6 && !(icmp && key->proto == rule->proto))
		return false;
	return (key->flags & rule->flags_mask) == rule->flags;
}

static inline bool model_matches(const struct table_rule *rule, const struct table_key *key)
{
	if (key->ip != 4 && key->ip != 6)
		return false;
	if (rule->ip != 0 && rule->ip != key->ip)
		return false;
	if ((key->proto & rule->proto_mask) != (rule->proto & rule->proto_mask))
		return false;
	if (key->sport < rule->sport_lo || key->sport > rule->sport_hi ||
	    key->dport < rule->dport_lo || key->dport > rule->dport_hi)
		return false;
	return model_in_net(rule->src, rule->src_len, key->src) &&
	       model_in_net(rule->dst, rule->dst_len, key->dst) && model_flags_match(rule, key);
}

/* The first rule that matches; NULL: none. */
static inline const struct table_rule *model_find(const struct table_model *model,
						  const struct table_key *key)
{
	for (uint32_t i = 0; i < model->cnt; i++)
		if (model_matches(&model->rules[i], key))
			return &model->rules[i];
	return NULL;
}

/* The place of the first rule at or above a priority. */
static inline uint32_t model_place(const struct table_model *model, uint32_t priority)
{
	uint32_t at = model->cnt;

	while (at > 0 && model->rules[at - 1].priority >= priority)
		at--;
	return at;
}

/* false: there is one of that priority. */
static inline bool model_add(struct table_model *model, const struct table_rule *rule)
{
	uint32_t at = model_place(model, rule->priority);

	if (at < model->cnt && model->rules[at].priority == rule->priority)
		return false;
	if (model->cnt == model->room) {
		model->room = model->room ? 2 * model->room : 64;
		model->rules = realloc(model->rules, model->room * sizeof(*model->rules));
		if (!model->rules)
			abort();
	}
	memmove(model->rules + at + 1, model->rules + at,
		(model->cnt - at) * sizeof(*model->rules));
	model->rules[at] = *rule;
	model->cnt++;
	return true;
}

static inline bool model_del(struct table_model *model, uint32_t priority)
{
	uint32_t at = model_place(model, priority);

	if (at == model->cnt || model->rules[at].priority != priority)
		return false;
	model->cnt--;
	memmove(model->rules + at, model->rules + at + 1,
		(model->cnt - at) * sizeof(*model->rules));
	return true;
}

static inline void model_clear(struct table_model *model)
{
	free(model->rules);
	*model = (struct table_model){0};
}

/* --- by chance -------------------------------------------------------------------------------- */

/* xorshift64*: Vigna, An experimental exploration of Marsaglia's xorshift generators, scrambled. */
static inline uint32_t model_random(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (uint32_t)((*seed * 0x2545f4914f6cdd1dULL) >> 32);
}

/* An address of which `spread` bits at each end of its first and its last word are by chance. */
static inline void model_address(uint64_t *seed, uint8_t *addr, uint8_t ip, uint32_t spread)
{
	uint32_t last = ip == 4 ? 3 : 15, low = model_random(seed) & ((1u << spread) - 1);

	memset(addr, 0, 16);
	addr[0] = (uint8_t)(model_random(seed) & ((1u << spread) - 1)) << (8 - spread);
	addr[last] = (uint8_t)low;
	if (model_random(seed) % 4 == 0)
		addr[1 + model_random(seed) % (last - 1)] = (uint8_t)model_random(seed);
}

static inline void model_net(uint64_t *seed, uint8_t *addr, uint8_t *len, uint8_t ip,
			     uint32_t spread)
{
	uint32_t max = ip == 4 ? 32 : 128, chance = model_random(seed) % 8;

	model_address(seed, addr, ip, spread);
	*len = (uint8_t)(chance < 2   ? 0
			 : chance < 5 ? max
			 : chance < 6 ? max - model_random(seed) % 8
				      : model_random(seed) % (max + 1));
	for (uint32_t bit = *len; bit < 128; bit++)
		addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static inline uint32_t model_port(uint64_t *seed)
{
	static const uint32_t ports[] = {0, 1, 53, 80, 1023, 1024, 32767, 32768, 65534, 65535};
	uint32_t chance = model_random(seed);

	return chance % 4 == 0 ? chance >> 16 : ports[(chance >> 8) % 10];
}

static inline void model_ports(uint64_t *seed, uint32_t *lo, uint32_t *hi)
{
	uint32_t chance = model_random(seed) % 4, other;

	*lo = 0;
	*hi = TABLE_NO_PORT;
	if (chance == 0)
		return;
	*lo = *hi = model_port(seed);
	other = chance == 1 ? *lo : model_port(seed);
	if (other < *lo)
		*lo = other;
	else
		*hi = other;
}

/* A rule of a family, 4 or 6, or 0; its priority is below `priorities`. */
static inline struct table_rule model_rule(uint64_t *seed, uint8_t ip, uint32_t spread,
					   uint32_t priorities)
{
	static const uint8_t protos[] = {6, 6, 17, 1, 58, 132};
	struct table_rule rule = {.ip = ip, .priority = model_random(seed) % priorities};
	uint32_t chance = model_random(seed) % 8;

	if (ip) {
		model_net(seed, rule.src, &rule.src_len, ip, spread);
		model_net(seed, rule.dst, &rule.dst_len, ip, spread);
	}
	model_ports(seed, &rule.sport_lo, &rule.sport_hi);
	model_ports(seed, &rule.dport_lo, &rule.dport_hi);
	if (chance < 6) {
		rule.proto = protos[model_random(seed) % sizeof(protos)];
		rule.proto_mask = chance < 5 ? 0xff : (uint8_t)model_random(seed);
		rule.proto &= rule.proto_mask;
	}
	if (model_random(seed) % 4 == 0) {
		rule.flags_mask = model_random(seed) % 0x200;
		rule.flags = (uint16_t)(model_random(seed) & rule.flags_mask);
	}
	rule.outcome = (uint16_t)(TABLE_DROP + model_random(seed) % 8);
	return rule;
}

/* An address in a net, or any. */
static inline void model_key_address(uint64_t *seed, uint32_t *to, const uint8_t *net, uint8_t len,
				     uint8_t ip, uint32_t spread)
{
	uint8_t addr[16], *bytes = (uint8_t *)to;

	model_address(seed, addr, ip, spread);
	if (model_random(seed) % 4 == 0)
		for (uint32_t i = 0; i < (ip == 4 ? 4u : 16u); i++)
			addr[i] = (uint8_t)model_random(seed);
	memcpy(bytes, addr, sizeof(addr));
	for (uint32_t bit = 0; bit < len; bit++) {
		uint8_t one = 0x80 >> bit % 8;

		bytes[bit / 8] = (uint8_t)((bytes[bit / 8] & ~one) | (net[bit / 8] & one));
	}
}

/* A key that a rule matches, or that nearly does: fields by chance, some of them the rule's. */
static inline struct table_key model_key(uint64_t *seed, const struct table_rule *rule, uint8_t ip,
					 uint32_t spread)
{
	uint32_t take = model_random(seed) % 4 ? UINT32_MAX : model_random(seed);
	struct table_key key = {.ip = ip};
	bool family = rule->ip == ip;

	model_key_address(seed, key.src, rule->src, take & 1 && family ? rule->src_len : 0, ip,
			  spread);
	model_key_address(seed, key.dst, rule->dst, take & 2 && family ? rule->dst_len : 0, ip,
			  spread);
	key.proto = (uint8_t)(take & 4 ? rule->proto | (model_random(seed) & ~rule->proto_mask)
				       : model_random(seed));
	key.sport = take & 8    ? take & 16 ? rule->sport_lo : rule->sport_hi
		    : take & 32 ? model_port(seed)
				: TABLE_NO_PORT;
	key.dport = take & 64    ? take & 128 ? rule->dport_lo : rule->dport_hi
		    : take & 256 ? model_port(seed)
				 : TABLE_NO_PORT;
	if (take & 512)
		key.sport = (key.sport + 1) % (TABLE_NO_PORT + 1);
	if (key.proto == 6)
		key.flags =
			(uint16_t)((model_random(seed) & ~rule->flags_mask) | rule->flags) & 0x1ff;
	if (key.proto == 1 || key.proto == 58)
		key.flags = (uint16_t)(model_random(seed) % 3 ? rule->flags : model_random(seed)) &
			    0xff;
	return key;
}

#endif
