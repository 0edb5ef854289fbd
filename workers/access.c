/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/access.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

_Static_assert(sizeof(uid_t) == sizeof(uint32_t) && sizeof(gid_t) == sizeof(uint32_t),
	       "ids of a config and of the kernel are the same");

static void access_asker_init(struct access_asker *asker)
{
	*asker = (struct access_asker){.uid = ACCESS_ID_NONE, .gid = ACCESS_ID_NONE};
}

/* The supplementary groups: asked how many, then for them. A connection's never change. */
static int access_asker_read_groups(int fd, struct access_asker *asker)
{
	socklen_t len = 0;
	gid_t *groups;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0)
		return 0; /* none */
	if (errno != ERANGE)
		return -errno;
	groups = malloc(len);
	if (!groups)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0) {
		int code = -errno;

		free(groups);
		return code;
	}
	asker->groups = groups;
	asker->group_cnt = (uint32_t)(len / sizeof(*groups));
	return 0;
}

int access_asker_read(int fd, struct access_asker *asker)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int code;

	access_asker_init(asker);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return -errno;
	/* what the kernel answers for a socket without a peer, and for one that is no Unix socket
	 */
	if (len != sizeof(cred) || cred.uid == ACCESS_ID_NONE || cred.gid == ACCESS_ID_NONE)
		return -ENOTCONN;
	code = access_asker_read_groups(fd, asker);
	if (code != 0)
		return code;
	asker->uid = cred.uid;
	asker->gid = cred.gid;
	asker->pid = cred.pid;
	return 0;
}

void access_asker_destroy(struct access_asker *asker)
{
	free(asker->groups);
	access_asker_init(asker);
}

static bool access_asker_in(const struct access_asker *asker, gid_t group)
{
	if (group == CONFIG_GROUP_NONE)
		return false;
	if (asker->gid == group)
		return true;
	for (uint32_t i = 0; i < asker->group_cnt; i++)
		if (asker->groups[i] == group)
			return true;
	return false;
}

bool access_allows(const struct config_access *access, uid_t self, const struct access_asker *asker)
{
	uid_t user = access->user == CONFIG_USER_SELF ? self : access->user;

	if (asker->uid == ACCESS_ID_NONE)
		return false;
	if (asker->uid == 0)
		return true;
	if (asker->uid == user)
		return access->mode & CONFIG_ACCESS_USER;
	if (access_asker_in(asker, access->group))
		return access->mode & CONFIG_ACCESS_GROUP;
	return access->mode & CONFIG_ACCESS_OTHERS;
}
