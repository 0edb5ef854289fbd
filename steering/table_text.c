/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/table_text.h"
#include "steering/table_word.h"
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TABLE_HEADING "priority,src,dst,sport,dport,proto,flags,action"

enum {
	TABLE_CSV_PRIORITY,
	TABLE_CSV_SRC,
	TABLE_CSV_DST,
	TABLE_CSV_SPORT,
	TABLE_CSV_DPORT,
	TABLE_CSV_PROTO,
	TABLE_CSV_FLAGS,
	TABLE_CSV_ACTION,
	TABLE_CSV_FIELDS
};

static const char *table_skip_space(const char *at)
{
	return at + strspn(at, " \t\r");
}

/* --- ClassBench ------------------------------------------------------------------------------- */

/* The next word of a line, into `word`; what stands behind it. */
static const char *table_next_word(const char *at, char *word, size_t room)
{
	size_t len;

	at = table_skip_space(at);
	len = strcspn(at, " \t\r:");
	if (len == 0 && *at == ':')
		len = 1;
	snprintf(word, room, "%.*s", (int)len, at);
	return at + len;
}

/* An address: the only word that may have colons. */
static const char *table_next_net(const char *at, char *word, size_t room)
{
	size_t len;

	at = table_skip_space(at);
	len = strcspn(at, " \t\r");
	snprintf(word, room, "%.*s", (int)len, at);
	return at + len;
}

/* "LO : HI"; NULL with a sentence where it is not. */
static const char *table_bench_ports(const char *at, const char *what, uint32_t *lo, uint32_t *hi,
				     struct xfq_error *error)
{
	char words[3][TABLE_LINE_BYTES];

	for (int i = 0; i < 3; i++)
		at = table_next_word(at, words[i], sizeof(words[i]));
	if (!table_word_number(words[0], 65535, lo) || strcmp(words[1], ":") != 0 ||
	    !table_word_number(words[2], 65535, hi) || *lo > *hi) {
		xfq_error_set(error, -EINVAL,
			      "\"%.40s %.40s %.40s\" is no range of %s ports such as 0 : 65535",
			      words[0], words[1], words[2], what);
		return NULL;
	}
	/* ClassBench has no other way to say that ports do not matter */
	if (*lo == 0 && *hi == 65535)
		*hi = TABLE_NO_PORT;
	return at;
}

/* The flags: upper 8 of 16 bits, as they come out of the seeds that ClassBench made its sets of. */
static int table_bench_flags(const char *word, struct table_rule *rule, struct xfq_error *error)
{
	uint32_t flags, mask;

	if (!*word)
		return 0;
	if (!table_word_masked(word, 0xffff, &flags, &mask))
		return xfq_error_set(error, -EINVAL, "\"%.80s\" are no flags such as 0x0200/0x1200",
				     word);
	if (mask & 0xff)
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\": flags are the upper 8 of 16 bits, SYN is 0x0200",
				     word);
	rule->flags = (uint16_t)((flags & mask) >> 8);
	rule->flags_mask = (uint16_t)(mask >> 8);
	if (mask && table_rule_asks(rule) == TABLE_ASKS_NOTHING)
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\": flags are for protocols 6 (TCP), 1 and 58 (ICMP), "
				     "not for %u",
				     word, rule->proto);
	return 0;
}

static int table_parse_bench(struct table_rule *rule, const char *at,
			     const struct table_words *words, struct xfq_error *error)
{
	char word[TABLE_LINE_BYTES];
	uint8_t ip;
	int code;

	at = table_next_net(at + 1, word, sizeof(word));
	code = table_word_net(word, rule->src, &rule->src_len, &rule->ip, error);
	if (code == 0) {
		at = table_next_net(at, word, sizeof(word));
		code = table_word_net(word, rule->dst, &rule->dst_len, &ip, error);
	}
	if (code)
		return code;
	if (ip == 0 || rule->ip != ip)
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\": two prefixes of one family are missing", word);
	at = table_bench_ports(at, "source", &rule->sport_lo, &rule->sport_hi, error);
	if (at)
		at = table_bench_ports(at, "destination", &rule->dport_lo, &rule->dport_hi, error);
	if (!at)
		return -EINVAL;
	at = table_next_word(at, word, sizeof(word));
	if (!*word)
		return xfq_error_set(error, -EINVAL, "\"\": the protocol is missing, as 0x06/0xFF");
	code = table_word_proto(word, rule, error);
	if (code)
		return code;
	table_next_word(at, word, sizeof(word));
	code = table_bench_flags(word, rule, error);
	return code ? code : table_word_action("", words, rule, error);
}

/* --- CSV -------------------------------------------------------------------------------------- */

/* Whether a line is a heading: it begins with a field's name. */
static bool table_is_heading(const char *line)
{
	static const char *const names[] = {"priority", "src",   "dst",   "sport",
					    "dport",    "proto", "flags", "action"};
	size_t len = strcspn(line, ", \t\r");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (len == strlen(names[i]) && strncasecmp(line, names[i], len) == 0)
			return true;
	return false;
}

/* 1 where a heading names the fields in their order. */
static int table_check_heading(const char *line, struct xfq_error *error)
{
	const char *expected = TABLE_HEADING, *at;

	for (at = line; *at; at++) {
		if (strchr(" \t\r", *at))
			continue;
		if (tolower((unsigned char)*at) != *expected)
			break;
		expected++;
	}
	if (*expected == '\0' && *at == '\0')
		return 1;
	return xfq_error_set(
		error, -EINVAL,
		"\"%.80s\": a heading of other fields, or in another order, than " TABLE_HEADING,
		line);
}

/* The fields of a line, which is cut up, without the blanks around them; -EINVAL with a sentence.
 */
static int table_divide(char *line, const char **fields, struct xfq_error *error)
{
	uint32_t cnt = 0;

	for (char *at = line; at; cnt++) {
		char *end = strchr(at, ','), *last;

		if (cnt == TABLE_CSV_FIELDS)
			return xfq_error_set(error, -EINVAL,
					     "\"%.80s\": a rule has %d fields and no more", at,
					     TABLE_CSV_FIELDS);
		if (end)
			*end = '\0';
		at += strspn(at, " \t\r");
		last = at + strlen(at);
		while (last > at && strchr(" \t\r", last[-1]))
			*--last = '\0';
		fields[cnt] = at;
		at = end ? end + 1 : NULL;
	}
	/* an empty last field may be left out with its comma */
	if (cnt == TABLE_CSV_ACTION)
		fields[cnt++] = "";
	if (cnt < TABLE_CSV_FIELDS)
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\" has %u of the %d fields " TABLE_HEADING, line, cnt,
				     TABLE_CSV_FIELDS);
	return 0;
}

static int table_parse_nets(struct table_rule *rule, const char *const *fields,
			    struct xfq_error *error)
{
	uint8_t src_ip, dst_ip;
	int code;

	code = table_word_net(fields[TABLE_CSV_SRC], rule->src, &rule->src_len, &src_ip, error);
	if (code == 0)
		code = table_word_net(fields[TABLE_CSV_DST], rule->dst, &rule->dst_len, &dst_ip,
				      error);
	if (code)
		return code;
	if (src_ip && dst_ip && src_ip != dst_ip)
		return xfq_error_set(error, -EINVAL, "\"%.80s\" and \"%.80s\" are of two families",
				     fields[TABLE_CSV_SRC], fields[TABLE_CSV_DST]);
	rule->ip = src_ip ? src_ip : dst_ip;
	return 0;
}

static int table_parse_csv(struct table_rule *rule, char *line, const struct table_words *words,
			   struct xfq_error *error)
{
	const char *fields[TABLE_CSV_FIELDS];
	const char *priority;
	int code = table_divide(line, fields, error);

	if (code)
		return code;
	priority = fields[TABLE_CSV_PRIORITY];
	if (*priority && (!table_word_number(priority, TABLE_NO_RULE - 1, &rule->priority) ||
			  rule->priority == 0))
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\" is no priority: a number from 1 to %u", priority,
				     TABLE_NO_RULE - 1);
	code = table_parse_nets(rule, fields, error);
	if (code == 0)
		code = table_word_ports(fields[TABLE_CSV_SPORT], &rule->sport_lo, &rule->sport_hi,
					error);
	if (code == 0)
		code = table_word_ports(fields[TABLE_CSV_DPORT], &rule->dport_lo, &rule->dport_hi,
					error);
	if (code == 0)
		code = table_word_proto(fields[TABLE_CSV_PROTO], rule, error);
	if (code == 0)
		code = table_word_flags(fields[TABLE_CSV_FLAGS], rule, error);
	if (code == 0)
		code = table_word_action(fields[TABLE_CSV_ACTION], words, rule, error);
	return code;
}

/* Whether ICMP is asked for what it does not have: no packet would match. */
static int table_check_proto(const struct table_rule *rule, struct xfq_error *error)
{
	bool v6 = rule->proto == IPPROTO_ICMPV6;

	if (rule->proto_mask != 0xff || (rule->proto != IPPROTO_ICMP && !v6))
		return 0;
	if (rule->sport_hi != TABLE_NO_PORT || rule->dport_hi != TABLE_NO_PORT)
		return xfq_error_set(error, -EINVAL,
				     "protocol %s has no ports: `any` in their place",
				     v6 ? "icmp6" : "icmp");
	if (rule->ip == (v6 ? 4 : 6))
		return xfq_error_set(error, -EINVAL,
				     "protocol %s does not go with IPv%u prefixes; %s does",
				     v6 ? "icmp6" : "icmp", rule->ip, v6 ? "icmp" : "icmp6");
	return 0;
}

int table_parse_rule(struct table_rule *rule, const char *line, const struct table_words *words,
		     struct xfq_error *error)
{
	char copy[TABLE_LINE_BYTES];
	size_t len;
	int code;

	*rule = (struct table_rule){0};
	line = table_skip_space(line);
	len = strcspn(line, "\n");
	if (len == 0 || *line == '#')
		return 1;
	if (len >= sizeof(copy))
		return xfq_error_set(error, -EINVAL, "\"%.40s...\": a rule of %zu bytes", line,
				     len);
	memcpy(copy, line, len);
	copy[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (!isprint((unsigned char)copy[i]) && copy[i] != '\t' && copy[i] != '\r')
			return xfq_error_set(
				error, -EINVAL,
				"\"%.*s\" is followed by byte 0x%02x, which no rule has",
				(int)(i < 80 ? i : 80), copy, (unsigned char)copy[i]);
	if (copy[0] != '@' && strchr(copy, '"'))
		return xfq_error_set(error, -EINVAL,
				     "%.80s: fields have no quotes around them: " TABLE_HEADING,
				     copy);
	if (table_is_heading(copy))
		return table_check_heading(copy, error);
	code = copy[0] == '@' ? table_parse_bench(rule, copy, words, error)
			      : table_parse_csv(rule, copy, words, error);
	return code ? code : table_check_proto(rule, error);
}

const char *table_format_rule(const struct table_rule *rule, const struct table_words *words,
			      char *text)
{
	char src[64], dst[64], sport[64], dport[64], proto[64], flags[80], priority[16], action[64];
	uint32_t class = rule->outcome - TABLE_CLASS;

	snprintf(priority, sizeof(priority), "%u", rule->priority);
	if (rule->outcome < TABLE_CLASS)
		snprintf(action, sizeof(action), "%s",
			 rule->outcome == TABLE_DROP ? "drop" : "deliver");
	else if (words && class < words->class_cnt)
		snprintf(action, sizeof(action), "class:%.48s", words->classes[class]);
	else
		snprintf(action, sizeof(action), "class:%u", class);
	snprintf(text, TABLE_TEXT_BYTES, "%s,%s,%s,%s,%s,%s,%s,%s", rule->priority ? priority : "",
		 table_word_of_net(rule->src, rule->src_len, rule->ip, src),
		 table_word_of_net(rule->dst, rule->dst_len, rule->ip, dst),
		 table_word_of_ports(rule->sport_lo, rule->sport_hi, sport),
		 table_word_of_ports(rule->dport_lo, rule->dport_hi, dport),
		 table_word_of_proto(rule, proto), table_word_of_flags(rule, flags), action);
	return text;
}
