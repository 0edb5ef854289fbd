/* SPDX-License-Identifier: BSD-2-Clause */
/* The section `filter` of a configuration: the first pass, its rules and (config_set.h) its sets.
 */
#ifndef INSTANCE_CONFIG_FILTER_H
#define INSTANCE_CONFIG_FILTER_H

#include "apps/instance/config_schema.h"
#include "workers/config.h"

/* Read the section into config->filter, a `struct config *object`. Errors go to the reader. */
void config_filter_read(struct config_reader *reader, int node, void *object);

#endif
