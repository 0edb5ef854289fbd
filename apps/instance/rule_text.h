/* SPDX-License-Identifier: BSD-2-Clause */
/* A rule of the first pass in words, for tables and plans. */
#ifndef INSTANCE_RULE_TEXT_H
#define INSTANCE_RULE_TEXT_H

#include "workers/config.h"
#include <stddef.h>

/* "udp port 53", "src in blocklist", "any". The text is cut to `size`, and always terminated. */
void rule_text(const struct config_filter *filter, const struct xdp_rule *rule, char *text,
	       size_t size);

/* "steer", "pass", "drop", "tx", "limited", "shunted", "malformed". */
const char *rule_verdict_name(unsigned verdict);

#endif
