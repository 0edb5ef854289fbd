/* SPDX-License-Identifier: BSD-2-Clause */
/* A rule of the first pass in words, for tables and plans. */
#ifndef INSTANCE_RULE_TEXT_H
#define INSTANCE_RULE_TEXT_H

#include "workers/config.h"
#include <stddef.h>

/* Room for the text of any rule but those with long expressions, which are cut. */
#define RULE_TEXT_BYTES 512

/* "udp port 53", "src in blocklist", "any, over 100 packets/s per src, burst 10", "icmp, swap mac".
 * The text is cut to `size`, and always terminated. */
void rule_text(const struct filter *filter, const struct filter_rule *rule, char *text,
	       size_t size);

/* "all", "src", "dst", "flow". */
const char *rule_per_name(enum filter_per per);

/* "steer", "pass", "drop", "tx", "limited", "shunted", "malformed". */
const char *rule_verdict_name(unsigned verdict);

#endif
