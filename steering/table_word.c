/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/table_word.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TABLE_WORD_BYTES 64

struct table_name {
	const char *name;
	uint32_t number;
};

static const struct table_name table_protos[] = {
	{"icmp", 1},  {"igmp", 2},  {"ipip", 4},   {"tcp", 6},    {"udp", 17},   {"dccp", 33},
	{"ipv6", 41}, {"gre", 47},  {"esp", 50},   {"ah", 51},    {"icmp6", 58}, {"icmpv6", 58},
	{"ospf", 89}, {"pim", 103}, {"vrrp", 112}, {"l2tp", 115}, {"sctp", 132}, {"udplite", 136},
};

static const struct table_name table_flags[] = {
	{"fin", 0x001}, {"syn", 0x002}, {"rst", 0x004}, {"psh", 0x008}, {"ack", 0x010},
	{"urg", 0x020}, {"ece", 0x040}, {"cwr", 0x080}, {"ns", 0x100},
};
#define TABLE_FLAGS (sizeof(table_flags) / sizeof(table_flags[0]))

bool table_word_number(const char *word, uint32_t max, uint32_t *number)
{
	uint32_t base = word[0] == '0' && (word[1] == 'x' || word[1] == 'X') ? 16 : 10;
	uint64_t value = 0;

	if (base == 16)
		word += 2;
	if (!*word)
		return false;
	for (; *word; word++) {
		char c = *word | 0x20;
		uint32_t digit = base;

		if (*word >= '0' && *word <= '9')
			digit = (uint32_t)(*word - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (uint32_t)(c - 'a') + 10;
		value = value * base + digit;
		if (digit >= base || value > max)
			return false;
	}
	*number = (uint32_t)value;
	return true;
}

/* What stands before the first `by`, into `part`, and what stands behind it. NULL: there is none.
 */
static const char *table_word_divide(const char *word, char by, char *part)
{
	const char *at = strchr(word, by);

	if (!at || at - word >= TABLE_WORD_BYTES)
		return NULL;
	memcpy(part, word, (size_t)(at - word));
	part[at - word] = '\0';
	return at + 1;
}

bool table_word_masked(const char *word, uint32_t max, uint32_t *value, uint32_t *mask)
{
	char part[TABLE_WORD_BYTES];
	const char *rest = table_word_divide(word, '/', part);

	return rest && table_word_number(part, max, value) && table_word_number(rest, max, mask);
}

static bool table_word_is_any(const char *word)
{
	return !*word || strcmp(word, "any") == 0 || strcmp(word, "*") == 0;
}

int table_word_net(const char *word, uint8_t *addr, uint8_t *len, uint8_t *ip,
		   struct xfq_error *error)
{
	char part[TABLE_WORD_BYTES];
	const char *length = table_word_divide(word, '/', part);
	const char *text = length ? part : word;
	uint32_t max, number;

	memset(addr, 0, 16);
	*len = *ip = 0;
	if (table_word_is_any(word))
		return 0;
	if (inet_pton(AF_INET, text, addr) == 1)
		*ip = 4;
	else if (inet_pton(AF_INET6, text, addr) == 1)
		*ip = 6;
	else
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\" is neither an address nor a prefix such as "
				     "198.51.100.0/24 or 2001:db8::/32",
				     word);
	number = max = *ip == 4 ? 32 : 128;
	if (length && !table_word_number(length, max, &number))
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\": the length of an IPv%d prefix is a number from 0 "
				     "to %u",
				     word, *ip, max);
	*len = (uint8_t)number;
	for (uint32_t bit = number; bit < max; bit++)
		addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return 0;
}

int table_word_ports(const char *word, uint32_t *lo, uint32_t *hi, struct xfq_error *error)
{
	char part[TABLE_WORD_BYTES];
	const char *rest = table_word_divide(word, '-', part);

	*lo = 0;
	*hi = TABLE_NO_PORT;
	if (table_word_is_any(word))
		return 0;
	if (!table_word_number(rest ? part : word, 65535, lo) ||
	    !table_word_number(rest ? rest : word, 65535, hi) || *lo > *hi)
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\" is neither a port from 0 to 65535 nor a range such "
				     "as 1024-65535 nor any",
				     word);
	return 0;
}

int table_word_proto(const char *word, struct table_rule *rule, struct xfq_error *error)
{
	uint32_t number = 0, mask = 0xff;

	rule->proto = rule->proto_mask = 0;
	if (table_word_is_any(word))
		return 0;
	for (size_t i = 0; i < sizeof(table_protos) / sizeof(table_protos[0]); i++) {
		if (strcmp(word, table_protos[i].name) != 0)
			continue;
		rule->proto = (uint8_t)table_protos[i].number;
		rule->proto_mask = 0xff;
		return 0;
	}
	if (!table_word_number(word, 255, &number) && !table_word_masked(word, 255, &number, &mask))
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\" is no protocol: a name such as tcp, a number up to "
				     "255, number/mask or any",
				     word);
	rule->proto = (uint8_t)(number & mask);
	rule->proto_mask = (uint8_t)mask;
	return 0;
}

/* Names of flags with '+' between them, "none", or a number. */
static bool table_word_flag_set(const char *word, uint16_t *flags)
{
	uint32_t number;

	*flags = 0;
	if (strcmp(word, "none") == 0)
		return true;
	if (table_word_number(word, 0x1ff, &number)) {
		*flags = (uint16_t)number;
		return true;
	}
	for (;;) {
		size_t len = strcspn(word, "+"), i = 0;

		while (i < TABLE_FLAGS && (strlen(table_flags[i].name) != len ||
					   memcmp(word, table_flags[i].name, len) != 0))
			i++;
		if (i == TABLE_FLAGS)
			return false;
		*flags |= (uint16_t)table_flags[i].number;
		if (!word[len])
			return true;
		word += len + 1;
	}
}

int table_word_flags(const char *word, struct table_rule *rule, struct xfq_error *error)
{
	char part[TABLE_WORD_BYTES];
	const char *mask = table_word_divide(word, '/', part);

	rule->flags = rule->flags_mask = 0;
	if (table_word_is_any(word))
		return 0;
	if (!table_word_flag_set(mask ? part : word, &rule->flags) ||
	    !table_word_flag_set(mask ? mask : word, &rule->flags_mask))
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\" are no flags: fin, syn, rst, psh, ack, urg, ece, "
				     "cwr, ns or a number, as in syn/syn+ack",
				     word);
	if (rule->flags & ~rule->flags_mask)
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\" asks for a flag that its mask leaves out", word);
	return table_rule_asks(rule) != TABLE_ASKS_NOTHING || rule->flags_mask == 0
		       ? 0
		       : xfq_error_set(error, -EINVAL,
				       "\"%.80s\": flags are for tcp, icmp (the type) and icmp6, "
				       "not for protocol %u",
				       word, rule->proto);
}

int table_word_action(const char *word, const struct table_words *words, struct table_rule *rule,
		      struct xfq_error *error)
{
	rule->outcome = words && words->otherwise ? words->otherwise : TABLE_DELIVER;
	if (!*word)
		return 0;
	if (strcmp(word, "deliver") == 0)
		rule->outcome = TABLE_DELIVER;
	else if (strcmp(word, "drop") == 0)
		rule->outcome = TABLE_DROP;
	else if (strncmp(word, "class:", 6) != 0)
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\" is no action: deliver, drop or class:NAME", word);
	else {
		for (uint32_t i = 0; words && i < words->class_cnt; i++) {
			rule->outcome = (uint16_t)(TABLE_CLASS + i);
			if (strcmp(word + 6, words->classes[i]) == 0)
				return 0;
		}
		return xfq_error_set(error, -EINVAL, "\"%.80s\": %s%s has no class of that name",
				     word, words && words->group ? "group " : "the group",
				     words && words->group ? words->group : "");
	}
	return 0;
}

const char *table_word_of_net(const uint8_t *addr, uint8_t len, uint8_t ip, char *text)
{
	char name[INET6_ADDRSTRLEN];

	if (ip == 0)
		return "any";
	inet_ntop(ip == 4 ? AF_INET : AF_INET6, addr, name, sizeof(name));
	snprintf(text, TABLE_WORD_BYTES, "%s/%u", name, len);
	return text;
}

const char *table_word_of_ports(uint32_t lo, uint32_t hi, char *text)
{
	if (hi == TABLE_NO_PORT)
		return "any";
	if (lo == hi)
		snprintf(text, TABLE_WORD_BYTES, "%u", lo);
	else
		snprintf(text, TABLE_WORD_BYTES, "%u-%u", lo, hi);
	return text;
}

const char *table_word_of_proto(const struct table_rule *rule, char *text)
{
	if (rule->proto_mask == 0)
		return "any";
	if (rule->proto_mask != 0xff) {
		snprintf(text, TABLE_WORD_BYTES, "%u/0x%02x", rule->proto, rule->proto_mask);
		return text;
	}
	for (size_t i = 0; i < sizeof(table_protos) / sizeof(table_protos[0]); i++)
		if (table_protos[i].number == rule->proto)
			return table_protos[i].name;
	snprintf(text, TABLE_WORD_BYTES, "%u", rule->proto);
	return text;
}

static char *table_word_of_flag_set(uint16_t flags, char *text)
{
	if (!flags)
		return stpcpy(text, "none");
	for (size_t i = 0; i < TABLE_FLAGS; i++) {
		if (!(flags & table_flags[i].number))
			continue;
		text = stpcpy(text, table_flags[i].name);
		flags &= (uint16_t)~table_flags[i].number;
		if (flags)
			*text++ = '+';
	}
	return text;
}

const char *table_word_of_flags(const struct table_rule *rule, char *text)
{
	char *end;

	if (rule->flags_mask == 0)
		return "any";
	if (table_rule_asks(rule) != TABLE_ASKS_FLAGS) {
		snprintf(text, TABLE_WORD_BYTES, "0x%02x/0x%02x", rule->flags, rule->flags_mask);
		return text;
	}
	end = table_word_of_flag_set(rule->flags & rule->flags_mask, text);
	*end++ = '/';
	*table_word_of_flag_set(rule->flags_mask, end) = '\0';
	return text;
}
