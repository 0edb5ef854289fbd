/* SPDX-License-Identifier: BSD-2-Clause */
/* By which interfaces a session's packets come: the question of lockout.h that asks the kernel. */
#ifndef INSTANCE_LOCKOUT_ROUTE_H
#define INSTANCE_LOCKOUT_ROUTE_H

#include "apps/instance/lockout.h"

#define LOCKOUT_WAYS_MAX 32

/* An interface, and the VLAN that the packets are in there; 0: none. */
struct lockout_way {
	uint32_t ifindex;
	uint16_t vlan;
};

/* The interfaces on the way of a session, the upper ones first; their number. A server address that
 * is missing is filled in with that of the host which is nearest to the client. */
uint32_t lockout_route(struct lockout_session *session, struct lockout_way ways[LOCKOUT_WAYS_MAX]);

#endif
