/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/mirror.h"
#include "workers/veth.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Two VLAN tags, which the MTU does not count, of which the kernel would let one through. */
#define MIRROR_TAG_BYTES 8

#define MIRROR_NEAR_NAME "xfq%d"
#define MIRROR_NETNS     "/proc/thread-self/ns/net"

static int mirror_check(const struct interface *interface, struct xfq_error *error)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), type = -1;
	struct ifreq request = {0};

	memcpy(request.ifr_name, interface->name, sizeof(request.ifr_name));
	if (fd >= 0 && ioctl(fd, SIOCGIFHWADDR, &request) == 0)
		type = request.ifr_hwaddr.sa_family;
	if (fd >= 0)
		close(fd);
	if (type == ARPHRD_ETHER)
		return 0;
	return xfq_error_set(error, -EOPNOTSUPP,
			     "%s: mode: mirror is for Ethernet interfaces, and this is none",
			     interface->name);
}

/* No addresses, and so no packets, by themselves. Where there is no IPv6 there is no such file. */
static void mirror_silence(const char *name)
{
	char path[64 + IF_NAMESIZE];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, "1\n", 2);
	close(fd);
}

/* In the far end's namespace: make the pair. */
static int mirror_make(struct mirror *mirror, const struct interface *interface)
{
	const struct veth_request request = {
		.name = interface->name,
		.ifindex = interface->ifindex,
		.peer_name = MIRROR_NEAR_NAME,
		.peer_netns = mirror->home,
		.mtu = interface->mtu + MIRROR_TAG_BYTES,
		.queue_cnt = interface->queue_cnt,
	};
	int code;

	mirror_silence("all");
	mirror_silence("default");
	code = veth_create(&request);
	if (code == 0)
		code = veth_peer(interface->ifindex, &mirror->near);
	if (code == 0)
		code = veth_plain(interface->name);
	if (code == 0)
		code = veth_up(interface->name);
	return code;
}

/* Back at home: switch on the near end. */
static int mirror_open_near(struct mirror *mirror)
{
	int code;

	if (!if_indextoname(mirror->near, mirror->near_name))
		return -errno;
	mirror_silence(mirror->near_name);
	code = veth_plain(mirror->near_name);
	return code ? code : veth_up(mirror->near_name);
}

int mirror_create(struct mirror *mirror, const struct interface *interface, struct xfq_error *error)
{
	int code = mirror_check(interface, error);

	memset(mirror, 0, sizeof(*mirror));
	if (code)
		return code;
	mirror->made = true;
	mirror->away = -1;
	mirror->home = open(MIRROR_NETNS, O_RDONLY | O_CLOEXEC);
	if (mirror->home < 0) {
		code = xfq_error_set(error, -errno, "%s: %s", MIRROR_NETNS, strerror(errno));
		goto failed;
	}
	if (unshare(CLONE_NEWNET)) {
		code = xfq_error_set(error, -errno,
				     "%s: mode: mirror: a network namespace for the copies: %s%s",
				     interface->name, strerror(errno),
				     errno == EPERM ? "; it takes CAP_SYS_ADMIN" : "");
		goto failed;
	}
	mirror->away = open(MIRROR_NETNS, O_RDONLY | O_CLOEXEC);
	code = mirror->away < 0 ? -errno : mirror_make(mirror, interface);
	mirror_leave(mirror);
	if (code == 0)
		code = mirror_open_near(mirror);
	if (code == 0)
		return 0;
	xfq_error_set(error, code, "%s: mode: mirror: the pair of devices for the copies: %s",
		      interface->name, strerror(-code));
failed:
	mirror_destroy(mirror);
	return code;
}

int mirror_enter(const struct mirror *mirror, struct xfq_error *error)
{
	if (setns(mirror->away, CLONE_NEWNET))
		return xfq_error_set(error, -errno,
				     "entering the network namespace of the copies: %s",
				     strerror(errno));
	return 0;
}

void mirror_leave(const struct mirror *mirror)
{
	if (setns(mirror->home, CLONE_NEWNET))
		abort();
}

int mirror_attach(struct mirror *mirror, const struct interface *interface, const struct tc *tc,
		  struct xfq_error *error)
{
	static const enum hook_where where[] = {[MIRROR_IN] = HOOK_INGRESS,
						[MIRROR_OUT] = HOOK_EGRESS,
						[MIRROR_NEAR_IN] = HOOK_INGRESS,
						[MIRROR_NEAR_OUT] = HOOK_EGRESS};
	/* nothing is cloned before the near end is guarded */
	static const enum mirror_hook order[] = {MIRROR_NEAR_IN, MIRROR_NEAR_OUT, MIRROR_IN,
						 MIRROR_OUT};
	int code = 0;

	for (uint32_t i = 0; i < MIRROR_HOOKS && code == 0; i++) {
		bool near = order[i] == MIRROR_NEAR_IN || order[i] == MIRROR_NEAR_OUT;

		code = hook_attach(&mirror->hooks[order[i]],
				   near ? mirror->near : interface->ifindex,
				   near ? mirror->near_name : interface->name, where[order[i]],
				   near ? tc_guard_fd(tc) : tc_program_fd(tc), error);
	}
	if (code)
		mirror_detach(mirror);
	return code;
}

/* Last come, first served: the one that made a qdisc finds it empty. */
void mirror_detach(struct mirror *mirror)
{
	for (uint32_t i = MIRROR_HOOKS; i-- > 0;)
		hook_detach(&mirror->hooks[i]);
}

uint64_t mirror_lost(const struct mirror *mirror)
{
	uint64_t lost = 0;

	veth_tx_dropped(mirror->near, &lost);
	return lost;
}

void mirror_destroy(struct mirror *mirror)
{
	if (!mirror->made)
		return;
	mirror_detach(mirror);
	if (mirror->away >= 0)
		close(mirror->away);
	if (mirror->home >= 0)
		close(mirror->home);
	memset(mirror, 0, sizeof(*mirror));
}
