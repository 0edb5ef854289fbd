/* SPDX-License-Identifier: BSD-2-Clause */
/* What is allowed in a configuration, and hardly meant: warnings of `xfq check`. */
#ifndef INSTANCE_CONFIG_ADVICE_H
#define INSTANCE_CONFIG_ADVICE_H

#include "workers/config.h"

/* A sentence about a line of the file; `line` 0: about the whole of it. The text lives during the
 * call. */
typedef void config_advice(void *context, uint32_t line, const char *text);

/*
 * Tell everything that is odd: rules and cases behind one that decides of all they ask for, groups
 * that can never get a packet, classes that nothing names, groups whose claims are every packet,
 * steering that takes packets from this host. Looks at the addresses of this machine's interfaces;
 * set-up only.
 */
void config_advise(const struct config *config, config_advice *say, void *context);

#endif
