/* SPDX-License-Identifier: BSD-2-Clause */
/* The rules of a configuration's sections `filter` and `egress`. */
#ifndef INSTANCE_CONFIG_RULE_H
#define INSTANCE_CONFIG_RULE_H

#include "apps/instance/config_schema.h"
#include "workers/config.h"

/* Read a list of rules and append them to `filter`, which is config->filter or config->egress; the
 * sets they may name have been read. Errors go to the reader. */
void config_rules_read(struct config_reader *reader, int node, const struct config *config,
		       struct filter *filter);

#endif
