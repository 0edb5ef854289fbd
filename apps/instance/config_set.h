/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The named sets of a configuration: `filter.sets`, and the files they name.
 *
 * A set's file has one address or prefix per line; '#' begins a comment, blank lines are skipped.
 */
#ifndef INSTANCE_CONFIG_SET_H
#define INSTANCE_CONFIG_SET_H

#include "apps/instance/config_schema.h"
#include "workers/config.h"

#define CONFIG_SET_ERRORS_MAX 20 /* lines reported of one set file */

/*
 * Add the prefixes of a set file's text to `nets`, which is not sealed by this. `file` names the
 * file in errors, `at` is the line of the configuration that they are sorted by. Returns 0,
 * -ENOMEM, or -EINVAL with the first CONFIG_SET_ERRORS_MAX bad lines reported and the others
 * counted.
 */
int config_set_parse(struct netset *nets, const char *file, const char *text, size_t len,
		     uint32_t at, struct config_errors *errors);

/* Read `filter.sets` into config->filter, every set sealed. Errors go to the reader. */
void config_sets_read(struct config_reader *reader, int node, struct config *config);

#endif
