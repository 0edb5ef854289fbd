/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules of a table as text.
 *
 *	ClassBench   @198.51.100.0/24 203.0.113.0/25 0 : 65535 1521 : 1521 0x06/0xFF 0x0000/0x0200
 *	             IPv6 likewise; flags may be missing, and what is behind them is not read
 *	CSV          priority,src,dst,sport,dport,proto,flags,action
 *	             150,198.51.100.0/24,any,any,1521-1522,tcp,syn/syn+ack,class:control
 *
 * A line that begins with '@' is ClassBench's; a file may have either, not both. Blank lines and
 * lines that begin with '#' are skipped; the CSV's first line may be its heading. Rules without a
 * priority of their own (ClassBench; an empty field) have 10, 20, 30 ... in their order, so that
 * others fit in between.
 *
 *	addresses   a prefix or an address, bits beyond its length do not count; CSV: any, or empty
 *	ports       a number, LO-HI (ClassBench LO : HI, where 0 : 65535 is any), any, or empty. A
 *	            packet without ports, as ICMP, matches `any` alone
 *	proto       a name (tcp, udp, icmp ...), a number, number/mask, any, or empty
 *	flags       of TCP, by name or number: syn/syn+ack is SYN set and ACK not, none/rst RST not
 *	            set, ack is ack/ack. A rule that names no protocol and has flags is for TCP
 *	            of icmp and icmp6: the type, as number/mask
 *	            ClassBench: number/mask, of 16 bits the upper 8: 0x0200 is SYN
 *	action      deliver, drop, class:NAME; empty: the table's default
 *
 * Numbers are decimal, or 0x and hexadecimal digits. A rule that no packet can match, as one of
 * icmp with ports or with IPv6 prefixes, is an error. So are fields in quotes, and a heading that
 * names other fields or another order. A byte order mark in front of a file is skipped.
 */
#ifndef STEERING_TABLE_TEXT_H
#define STEERING_TABLE_TEXT_H

#include "steering/table.h"

#define TABLE_TEXT_BYTES  256 /* of a rule, with the terminator */
#define TABLE_LINE_BYTES  512 /* of a line that is read */
#define TABLE_CLASSES_MAX 8
#define TABLE_FAULTS_MAX  20 /* of a text that are told at once */

/* What the words of an action stand for. */
struct table_words {
	uint16_t otherwise; /* the action of a rule that names none: TABLE_DELIVER, TABLE_DROP */
	const char *const *classes;
	uint32_t class_cnt;
	const char *group; /* whose classes they are, for sentences; NULL: just "the group" */
};

/* One rule from a line. 0, 1: the line has none (blank, comment, heading); -EINVAL with a sentence
 * that quotes what is wrong. A rule without a priority has 0. */
int table_parse_rule(struct table_rule *rule, const char *line, const struct table_words *words,
		     struct xfq_error *error);

/* All rules of a text, their lines set. 0 and *rules, of *cnt, which the caller frees; -EINVAL with
 * a sentence that begins with "FILE:LINE: ", also where two rules have one priority; -E2BIG,
 * -ENOMEM. */
int table_parse(const char *file, const char *text, size_t len, const struct table_words *words,
		struct table_rule **rules, uint32_t *cnt, struct xfq_error *error);

/* Is told of each fault of a text: its line and a sentence, which lives as long as the call. */
typedef void table_fault(void *context, uint32_t line, const char *text);

/* The same, but reading goes on behind a line that is wrong: `fault` is told of up to
 * TABLE_FAULTS_MAX lines, and the error is the first one's. Of what has no line, as -ENOMEM, it is
 * not told. */
int table_parse_all(const char *file, const char *text, size_t len, const struct table_words *words,
		    table_fault *fault, void *context, struct table_rule **rules, uint32_t *cnt,
		    struct xfq_error *error);

/* A rule as a line of CSV, which table_parse_rule() reads. Returns `text`, of TABLE_TEXT_BYTES. */
const char *table_format_rule(const struct table_rule *rule, const struct table_words *words,
			      char *text);

#endif
