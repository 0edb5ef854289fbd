/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a packet goes where it goes: `xfq check CONFIG --explain WHAT`.
 *
 * WHAT is a packet of a capture file, FILE:N, counted from 1, or several, FILE:FIRST-LAST (of which
 * --json prints a line each); or the bytes of a frame in hex; or a
 * flow as in a set of flows, "tcp 192.0.2.1:1234 198.51.100.2:80", of which a small packet is made.
 *
 * An engine is made of the config as for reading a capture file, and started never: its own first
 * pass, policy, sets, tables, plug-ins and rosters answer. Packets of a file before the one that is
 * asked about go the same way in silence, as what is remembered of them may matter.
 */
#ifndef APPS_EXPLAIN_H
#define APPS_EXPLAIN_H

#include "workers/config.h"
#include <stdbool.h>

/* The exit status of the command; what went wrong is told on standard error. */
int explain_run(const struct config *config, const char *what, bool as_json);

#endif
