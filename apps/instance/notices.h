/* SPDX-License-Identifier: BSD-2-Clause */
/* What whoever starts an instance should know of how it came up: what kernel, driver and process
 * did not let it have, as far as this config cares. A sentence each. */
#ifndef INSTANCE_NOTICES_H
#define INSTANCE_NOTICES_H

#include "workers/engine.h"

/* The features of probe.h that a config has use for, a bit each. */
uint64_t notices_wanted(const struct config *config);

/* Find out what notices_of_engine() is to know, while the process has the privileges to. */
void notices_probe(const struct config *config);

/* What the config would like to have and this system has not; before anything is set up. */
void notices_of_config(const struct config *config, void (*say)(void *context, const char *text),
		       void *context);

/* The same of an engine that is attached, and what it has got instead. */
void notices_of_engine(const struct engine *engine, void (*say)(void *context, const char *text),
		       void *context);

#endif
