/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The groups of a configuration: the section `groups` (config_yaml.h), with config_when.h,
 * config_steer.h, config_table.h, config_case.h and config_access.h.
 */
#ifndef INSTANCE_CONFIG_GROUP_H
#define INSTANCE_CONFIG_GROUP_H

#include "apps/instance/config_schema.h"
#include "workers/config.h"

/* Copies that cases want to hand to other groups, by name: which groups there are is known when all
 * have been read. */
struct config_tee {
	uint32_t group, number; /* of the config's group, and of its case */
	uint32_t index;         /* of the case in the file's list */
	int node;
};

struct config_tees {
	struct config_tee *tees; /* owned; room for all that there can be */
	uint32_t cnt;
};

/* A group being read. */
struct config_group_draft {
	struct config_group group;
	struct config *config; /* its sets and plug-ins, and the groups before this one */
	struct config_tees *tees;
	uint32_t number; /* of the group */
	/* of each case: its place in the file's list, and the node of its `steer`, or 0 */
	struct {
		uint32_t index;
		int steer;
	} cases[GROUP_CASES_MAX];
};

/* Read `groups` into a struct config, whose sets and plug-ins are known. Errors go to the reader.
 */
void config_groups_read(struct config_reader *reader, int node, void *object);

/* Read the group's table, unless there are too many. */
void config_group_read_table(struct config_reader *reader, int node, void *object);

#endif
