/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/table_entry.h"

static void table_entry_put(struct table_entry *entry, uint32_t word, uint32_t lo, uint32_t span,
			    uint32_t mask)
{
	memcpy(&entry->lo[2 * word], &lo, sizeof(lo));
	memcpy(&entry->span[2 * word], &span, sizeof(span));
	memcpy(&entry->mask[2 * word], &mask, sizeof(mask));
}

/* A prefix, from a word on. */
static void table_entry_put_net(struct table_entry *entry, uint32_t word, uint32_t words,
				const uint8_t *addr, uint8_t len)
{
	for (uint32_t i = 0; i < words; i++) {
		uint32_t bits = len > 32 * i ? len - 32 * i : 0, be, rest;

		memcpy(&be, addr + 4 * i, sizeof(be));
		rest = bits >= 32 ? 0 : UINT32_MAX >> bits;
		table_entry_put(entry, word + i, table_entry_address(be), rest << 16 | rest >> 16,
				UINT32_MAX);
	}
}

bool table_entry_of(struct table_entry *entry, const struct table_rule *rule, uint8_t ip)
{
	uint32_t words = ip == 4 ? 1 : 4, mask = rule->proto_mask, proto = rule->proto & mask;
	bool any_sport = rule->sport_hi == TABLE_NO_PORT,
	     any_dport = rule->dport_hi == TABLE_NO_PORT;
	enum table_asks asks = table_rule_asks(rule);

	if (rule->ip != 0 && rule->ip != ip)
		return false;
	if (rule->flags_mask && asks == TABLE_ASKS_NOTHING)
		return false;
	if (asks == TABLE_ASKS_FLAGS) {
		proto = 6;
		mask = 0xff;
	}
	*entry = (struct table_entry){.priority = rule->priority, .outcome = rule->outcome};
	table_entry_put_net(entry, 0, words, rule->src, rule->src_len);
	table_entry_put_net(entry, words, words, rule->dst, rule->dst_len);
	table_entry_put(entry, 2 * words, table_entry_ports(rule->sport_lo, rule->dport_lo),
			table_entry_ports(any_sport ? 0xffff : rule->sport_hi - rule->sport_lo,
					  any_dport ? 0xffff : rule->dport_hi - rule->dport_lo),
			UINT32_MAX);
	mask |= (any_sport ? 0 : TABLE_NO_SPORT) | (any_dport ? 0 : TABLE_NO_DPORT);
	table_entry_put(entry, 2 * words + 1,
			proto | (uint32_t)(rule->flags & rule->flags_mask) << 16, 0,
			mask | (uint32_t)rule->flags_mask << 16);
	return true;
}

void table_entry_care(const struct table_entry *entry, uint32_t words, uint32_t *care)
{
	uint16_t halves[TABLE_HALVES_MAX];

	for (uint32_t i = 0; i < 2 * words; i++) {
		uint32_t differ = entry->lo[i] ^ (uint32_t)(entry->lo[i] + entry->span[i]);

		/* a range: what its ends have in common before the first bit that differs */
		differ |= differ >> 1;
		differ |= differ >> 2;
		differ |= differ >> 4;
		differ |= differ >> 8;
		halves[i] = (uint16_t)(entry->mask[i] & ~differ);
	}
	memcpy(care, halves, words * sizeof(*care));
}
