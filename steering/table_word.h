/* SPDX-License-Identifier: BSD-2-Clause */
/* The words that rules of a table are written in, between table_text.c and table_file.c. */
#ifndef STEERING_TABLE_WORD_H
#define STEERING_TABLE_WORD_H

#include "steering/table_text.h"

/* Each reads one word into its fields of a rule; 0, or -EINVAL with a sentence. */
int table_word_net(const char *word, uint8_t *addr, uint8_t *len, uint8_t *ip,
		   struct xfq_error *error);
int table_word_ports(const char *word, uint32_t *lo, uint32_t *hi, struct xfq_error *error);
int table_word_proto(const char *word, struct table_rule *rule, struct xfq_error *error);
int table_word_flags(const char *word, struct table_rule *rule, struct xfq_error *error);
int table_word_action(const char *word, const struct table_words *words, struct table_rule *rule,
		      struct xfq_error *error);

/* A number, decimal or 0x, of at most `max`; the word has nothing else. */
bool table_word_number(const char *word, uint32_t max, uint32_t *number);

/* "VALUE/MASK", each of at most `max`. */
bool table_word_masked(const char *word, uint32_t max, uint32_t *value, uint32_t *mask);

/* The other way; `text` has room for 64 bytes. */
const char *table_word_of_net(const uint8_t *addr, uint8_t len, uint8_t ip, char *text);
const char *table_word_of_ports(uint32_t lo, uint32_t hi, char *text);
const char *table_word_of_proto(const struct table_rule *rule, char *text);
const char *table_word_of_flags(const struct table_rule *rule, char *text);

#endif
