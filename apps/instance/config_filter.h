/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sections `filter` and `egress` of a configuration: the first pass over what comes in and over
 * what leaves, their rules (config_rule.h) and sets (config_set.h).
 */
#ifndef INSTANCE_CONFIG_FILTER_H
#define INSTANCE_CONFIG_FILTER_H

#include "apps/instance/config_schema.h"
#include "workers/config.h"

/* Read the section into config->filter, a `struct config *object`. Errors go to the reader. */
void config_filter_read(struct config_reader *reader, int node, void *object);

/* The same into config->egress; after the other, whose sets it may name. */
void config_egress_read(struct config_reader *reader, int node, void *object);

#endif
