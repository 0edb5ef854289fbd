/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A condition of a group or a case: the keys `match`, `in` and `plugin`, of which all that are
 * given must hold.
 *
 *	match: tcp port 80                           # a tcpdump expression
 *	in: { set: lab, field: either, not: true }   # membership of a set, or a list of them
 *	plugin: voip                                 # a predicate; { name: voip, not: true }
 */
#ifndef INSTANCE_CONFIG_WHEN_H
#define INSTANCE_CONFIG_WHEN_H

#include "apps/instance/config_schema.h"
#include "workers/config.h"

/* Read the value of each key; sets and plug-ins are those of the config. Errors go to the reader.
 * Expressions are compiled for libpcap's opinion, where the reader may. */
void config_when_read_match(struct config_reader *reader, int node, struct group_when *when);
void config_when_read_in(struct config_reader *reader, int node, const struct config *config,
			 struct group_when *when);
void config_when_read_plugin(struct config_reader *reader, int node, const struct config *config,
			     struct group_when *when);

/* The number of the plug-in that a node names. False: reported. */
bool config_plugin_find(struct config_reader *reader, int node, const struct config *config,
			uint32_t *number);

#endif
