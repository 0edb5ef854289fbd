/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether the process at the other end of a Unix socket may join a group.
 *
 * Who asks is what the kernel noted when the connection was made (connect, or socketpair): the
 * effective user, the effective group and all supplementary groups of that moment. What the process
 * becomes later, or who else gets hold of its socket, changes nothing; nor does what it sends.
 *
 * Ids are as this process sees them: a user of another user namespace has the id that it is mapped
 * to here, so root of a container is not root; one that is not mapped is the overflow user (65534).
 */
#ifndef WORKERS_ACCESS_H
#define WORKERS_ACCESS_H

#include "workers/config.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define ACCESS_ID_NONE UINT32_MAX /* uid and gid of nobody at all */

struct access_asker {
	uid_t uid; /* ACCESS_ID_NONE: not known, may nothing */
	gid_t gid;
	pid_t pid; /* to be shown only: it may have ended; 0: of a PID namespace out of sight */
	uint32_t group_cnt;
	gid_t *groups; /* supplementary ones, in no order; owned; NULL: none */
};

/*
 * Read who is at the other end of the connected socket `fd`; `asker` is taken as uninitialised
 * memory. Returns 0, and the caller owes an access_asker_destroy(); or -ENOTCONN: nobody is there,
 * -ENOMEM, or the -errno of getsockopt() (-EBADF, -ENOTSOCK, ...): then the asker may nothing and
 * owns nothing. Does not wait; any thread.
 */
int access_asker_read(int fd, struct access_asker *asker);

/* Free what the asker owns; from then on it may nothing. */
void access_asker_destroy(struct access_asker *asker);

/*
 * Decided as for files: root (uid 0) always; else the first of these that the asker is in, and no
 * other: the user, the group (by its effective group or a supplementary one), everyone else. `self`
 * is the effective uid of the instance, what CONFIG_USER_SELF stands for. Looks at nothing but its
 * arguments; any thread.
 */
bool access_allows(const struct config_access *access, uid_t self,
		   const struct access_asker *asker);

#endif
