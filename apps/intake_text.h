/* SPDX-License-Identifier: BSD-2-Clause */
/* An intake in words, and as JSON. */
#ifndef APPS_INTAKE_TEXT_H
#define APPS_INTAKE_TEXT_H

#include "apps/intake.h"
#include <jansson.h>
#include <stdio.h>

/* What was joined, in a line. */
void intake_announce(const struct intake *intake, FILE *out);

/* Draw the live line on standard error: over the last one on a terminal, else below it. For struct
 * intake.live. */
void intake_draw(struct intake *intake);

/* Wipe the live line off a terminal, if there is one. */
void intake_wipe(const struct intake *intake);

/* The summary of one that was closed. */
void intake_summary(const struct intake *intake, FILE *out);

/* The same as docs/json.md describes it; NULL: no memory. The caller owns it. */
json_t *intake_json(const struct intake *intake);

#endif
