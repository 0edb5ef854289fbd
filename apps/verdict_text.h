/* SPDX-License-Identifier: BSD-2-Clause */
/* Why the first pass did with a packet what it did, in words. */
#ifndef APPS_VERDICT_TEXT_H
#define APPS_VERDICT_TEXT_H

#include "workers/judge.h"
#include <stddef.h>

#define VERDICT_TEXT_BYTES 768

/* A rule, and where it stands: "rule 3 (line 12): udp port 53". */
void verdict_rule_text(const struct filter *filter, uint16_t rule, char *text, size_t size);

/* The same, or what else decided: "default: claimed, by group web (line 8)", "malformed: drop". */
void verdict_text(const struct filter *filter, const struct capture_packet *packet,
		  const struct judge_result *result, char *text, size_t size);

#endif
