/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mirror of an interface: a pair of virtual devices, into which a TC program clones what is to
 * be steered, and at whose other end XFQ receives as from any interface.
 *
 *	interface --(in, out: TC clones)--> near end ==== far end --XDP--> AF_XDP socket
 *	                                                  alone in a network namespace
 *
 * The far end has the interface's name and index, so that all that is attached to "the interface"
 * within mirror_enter() and mirror_leave() is attached there. Its namespace has no name: it ends
 * with this process, however that ends, and the pair with it. The host's packets stay as they are.
 * The pair's features are off, so that what comes out is as on the wire: cut into segments, with
 * its checksums and tags. One thread, the same for all calls.
 */
#ifndef WORKERS_MIRROR_H
#define WORKERS_MIRROR_H

#include "workers/interface.h"
#include "xdp/hook.h"
#include "xdp/tc.h"
#include <stdint.h>
#include <xfq/error.h>

enum mirror_hook { MIRROR_IN = 0, MIRROR_OUT, MIRROR_NEAR_IN, MIRROR_NEAR_OUT, MIRROR_HOOKS };

struct mirror {
	bool made;
	int home; /* descriptors of the two namespaces */
	int away;
	uint32_t near; /* index of the near end */
	char near_name[IF_NAMESIZE];
	struct hook hooks[MIRROR_HOOKS];
};

/*
 * Make the pair for an interface. 0, or -errno with a sentence, and nothing is left: -EPERM without
 * CAP_NET_ADMIN and CAP_SYS_ADMIN (a namespace of its own), -EOPNOTSUPP for what is no Ethernet.
 */
int mirror_create(struct mirror *mirror, const struct interface *interface,
		  struct xfq_error *error);

/* Go into the namespace of the far end, and come back: the calling thread alone. 0, or -errno with
 * a sentence. A failure to come back ends the process, as nothing would be right any more. */
int mirror_enter(const struct mirror *mirror, struct xfq_error *error);
void mirror_leave(const struct mirror *mirror);

/* From here on clones come out at the far end: attach `tc` (TC_MIRROR, loaded for this pair). 0, or
 * -errno with a sentence, and nothing is attached. */
int mirror_attach(struct mirror *mirror, const struct interface *interface, const struct tc *tc,
		  struct xfq_error *error);

/* And from here on none. */
void mirror_detach(struct mirror *mirror);

/* Clones that the pair had no room for. */
uint64_t mirror_lost(const struct mirror *mirror);

/* Detach, and give the pair up: it is gone when all sockets in its namespace are closed. Safe on
 * zeroed memory. */
void mirror_destroy(struct mirror *mirror);

#endif
