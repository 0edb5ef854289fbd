/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key `access` of a group: who may join it from other processes.
 *
 *	access: private                     the user that the instance runs as
 *	access: restricted                  and the members of that user's primary group
 *	access: shared                      everyone
 *	access: { group: ids }              the user that the instance runs as, and the group's
 *members access: { user: 1000, group: ids, mode: "0440" }   every key may be left out
 *
 * A user or group is a number, or a name that the system knows. What the mode leaves out follows
 * from the other keys: 0400, and 0040 where there is a group.
 */
#ifndef INSTANCE_CONFIG_ACCESS_H
#define INSTANCE_CONFIG_ACCESS_H

#include "apps/instance/config_schema.h"
#include "workers/config.h"

/*
 * Read the key's value into what config_group_init() has made. Errors go to the reader. Names are
 * looked up at once, and so is the primary group of `restricted` (getegid(), of this process);
 * where the reader has no folder, names are errors.
 */
void config_access_read(struct config_reader *reader, int node, struct config_access *access);

#endif
