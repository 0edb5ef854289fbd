/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The named sets of a configuration: `filter.sets`, and the files they name.
 *
 *	blocklist: { type: net, file: blocklist.txt }   # type: net | address | port | flow | mac
 *	lab: { type: net, entries: [192.0.2.0/24, "2001:db8::/32"] }
 *	web: { type: port, entries: [80, 8000-8100], hits: true }
 *	live: { type: flow, max: 100000 }               # empty until xfq set add
 *
 * `hits`: each member counts its packets. `max`: how many members there may be. A file is relative
 * to the configuration's folder; its format is that of set_text.h.
 */
#ifndef INSTANCE_CONFIG_SET_H
#define INSTANCE_CONFIG_SET_H

#include "apps/instance/config_schema.h"
#include "workers/config.h"

#define CONFIG_SET_ERRORS_MAX 20 /* lines reported of one set file */

/*
 * Add the members of a set file's text (set_text.h) to a set. `file` names the file in errors, `at`
 * is the line of the configuration that they are sorted by. Returns 0, -ENOMEM, or -EINVAL with the
 * first CONFIG_SET_ERRORS_MAX bad lines reported and the others counted; one member more than the
 * set may have ends it.
 */
int config_set_parse(struct set *set, const char *file, const char *text, size_t len, uint32_t at,
		     struct config_errors *errors);

/* Membership of a set: `in: { set: NAME, field: src }`. */
struct config_in {
	uint32_t set;   /* number of the config's set */
	uint8_t fields; /* XDP_FIELD_*; of a set of flows: not used */
	bool negated;   /* `not: true` */
	bool found;     /* there is such a set */
};

/* Read a membership of one of the config's sets, which may be negated or not. Whether there is such
 * a set. */
bool config_in_read(struct config_reader *reader, int node, const struct config *config,
		    bool may_negate, struct config_in *in);

/* Read `filter.sets` into config->filter. Errors go to the reader. */
void config_sets_read(struct config_reader *reader, int node, struct config *config);

#endif
