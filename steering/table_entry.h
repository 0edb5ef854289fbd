/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rule as it is compared with packets of one family: halves of 16 bits; a packet matches where
 *
 *	(half & mask) - lo <= span	in 16 bits, for each half
 *
 * A prefix is a range in each half of its address, a port is one; of protocol and flags the bits of
 * the mask count. Four such operations on vectors are a whole comparison.
 *
 *	word (32 bits)     halves
 *	IPv4  0            source, upper and lower
 *	      1            destination
 *	      2            source port, destination port
 *	      3            protocol and TABLE_NO_SPORT, TABLE_NO_DPORT; flags
 *	IPv6  0-3, 4-7, 8, 9 likewise
 *
 * The words of a packet's key, and those of a rule's `lo`, are also what is hashed (table_side.h).
 */
#ifndef STEERING_TABLE_ENTRY_H
#define STEERING_TABLE_ENTRY_H

#include "steering/table.h"
#include <string.h>

#define TABLE_WORDS_IPV4 4
#define TABLE_WORDS_IPV6 10
#define TABLE_WORDS_MAX  10
#define TABLE_HALVES_MAX 20

#define TABLE_NO_SPORT 0x100
#define TABLE_NO_DPORT 0x200

struct table_entry {
	uint16_t lo[TABLE_HALVES_MAX], span[TABLE_HALVES_MAX], mask[TABLE_HALVES_MAX];
	uint32_t priority;
	uint16_t outcome;
};

/* 32 bits of an address as a word: the upper half is the first one. */
static inline uint32_t table_entry_address(uint32_t be)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	be = __builtin_bswap32(be);
#endif
	return be << 16 | be >> 16;
}

static inline uint32_t table_entry_ports(uint32_t sport, uint32_t dport)
{
	return (sport & 0xffff) | dport << 16;
}

static inline uint32_t table_entry_misc(uint32_t proto, uint32_t sport, uint32_t dport,
					uint32_t flags)
{
	return proto | (sport >> 16) << 8 | (dport >> 16) << 9 | flags << 16;
}

/* A rule as entry of a family, 4 or 6; false: none of its packets can match it. */
bool table_entry_of(struct table_entry *entry, const struct table_rule *rule, uint8_t ip);

/* The bits that all packets which an entry matches have in common, as words. */
void table_entry_care(const struct table_entry *entry, uint32_t words, uint32_t *care);

/* The words of `lo`: where all have a bit in common, that is it. */
static inline void table_entry_words(const struct table_entry *entry, uint32_t words, uint32_t *to)
{
	memcpy(to, entry->lo, words * sizeof(*to));
}

#endif
