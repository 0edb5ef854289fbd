/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cases of a group, in order (group_spec.h):
 *
 *	cases:
 *	  - { table: rules.csv }    # the first alone: the same as the group's table
 *	  - match: tcp port 80      # with in and plugin the condition: config_when.h
 *	    marked: 7               # what cases above have set; 0: none has
 *	    sample: 100             # one flow in 100; { of: 100, by: packet }
 *	    count: NAME             # packets and bytes
 *	    mark: 7
 *	    tee: GROUP              # a copy
 *	    action: deliver         # deliver | drop | pass
 *	    class: NAME             # of deliver
 *	    steer: ip-pair          # of deliver: config_steer.h
 */
#ifndef INSTANCE_CONFIG_CASE_H
#define INSTANCE_CONFIG_CASE_H

#include "apps/instance/config_group.h"

/* Read `cases` into a struct config_group_draft, whose classes are known. Errors go to the reader.
 */
void config_cases_read(struct config_reader *reader, int node, void *object);

/* Find the groups that cases hand copies to, and report those that there are not, and copies that
 * would come back. All groups have been read; the path is that of the section. */
void config_tees_resolve(struct config_reader *reader, const struct config_tees *tees,
			 struct config *config);

#endif
