/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/interface.h"
#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* One read of the watch: some links' messages are over 1 KiB, and the kernel puts several in one.
 */
#define WATCH_BUFFER_BYTES 32768

/* A socket of any family serves for questions about interfaces; this one always exists. */
static int control_open(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static struct ifreq request_make(const char *name)
{
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	memcpy(request.ifr_name, name, strnlen(name, IF_NAMESIZE - 1));
	return request;
}

static int ethtool_ask(int fd, const char *name, void *command)
{
	struct ifreq request = request_make(name);

	request.ifr_data = command;
	return ioctl(fd, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

/* Receive queues by sysfs, if it shows the interface that is meant; 0: not known. */
static uint32_t sysfs_queue_cnt(const struct interface *interface)
{
	char path[64];
	struct dirent *entry;
	uint32_t ifindex = 0, cnt = 0;
	FILE *file;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/net/%s/ifindex", interface->name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%u", &ifindex) != 1)
		ifindex = 0;
	fclose(file);
	snprintf(path, sizeof(path), "/sys/class/net/%s/queues", interface->name);
	dir = ifindex == interface->ifindex ? opendir(path) : NULL;
	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		cnt += strncmp(entry->d_name, "rx-", 3) == 0;
	closedir(dir);
	return cnt;
}

static uint32_t count_queues(const struct interface *interface, int fd)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ethtool_rxnfc rings = {.cmd = ETHTOOL_GRXRINGS};
	uint32_t cnt;

	if (ethtool_ask(fd, interface->name, &channels) == 0 &&
	    channels.rx_count + channels.combined_count > 0)
		return channels.rx_count + channels.combined_count;
	if (ethtool_ask(fd, interface->name, &rings) == 0 && rings.data > 0 &&
	    rings.data <= UINT16_MAX)
		return (uint32_t)rings.data;
	cnt = sysfs_queue_cnt(interface);
	return cnt ? cnt : 1;
}

static int read_facts(struct interface *interface, int fd, struct xfq_error *error)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_value gro = {.cmd = ETHTOOL_GGRO};
	struct ifreq request = request_make(interface->name);
	const char *what = "its index";
	int err;

	if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
		goto fail;
	interface->ifindex = (uint32_t)request.ifr_ifindex;
	what = "its MTU";
	if (ioctl(fd, SIOCGIFMTU, &request) < 0)
		goto fail;
	interface->mtu = (uint32_t)request.ifr_mtu;
	what = "its type";
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		goto fail;
	if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER &&
	    request.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		return xfq_error_set(
			error, -EOPNOTSUPP,
			"%s: its packets have no Ethernet header (a tunnel?), and rules and "
			"groups are for those that have",
			interface->name);
	what = "its flags";
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		goto fail;
	interface->up = request.ifr_flags & IFF_UP;
	interface->running = interface->up && (request.ifr_flags & IFF_RUNNING);
	if (ethtool_ask(fd, interface->name, &info) == 0)
		memcpy(interface->driver, info.driver,
		       strnlen(info.driver, sizeof(interface->driver) - 1));
	interface->merging = ethtool_ask(fd, interface->name, &gro) == 0 && gro.data;
	interface->queue_cnt = count_queues(interface, fd);
	return 0;
fail:
	err = errno;
	if (err == ENODEV)
		return xfq_error_set(error, -ENODEV,
				     "%s: no such interface in this network namespace; `ip link` "
				     "lists those there are",
				     interface->name);
	return xfq_error_set(error, -err, "%s: cannot read %s: %s", interface->name, what,
			     strerror(err));
}

/* Protocol 0: the socket holds the membership and never receives a packet. */
static int join_promiscuous(struct interface *interface, struct xfq_error *error)
{
	struct packet_mreq mreq = {.mr_ifindex = (int)interface->ifindex,
				   .mr_type = PACKET_MR_PROMISC};
	int fd, err;

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) == 0) {
		interface->membership_fd = fd;
		interface->promiscuous = true;
		return 0;
	}
	err = errno;
	if (fd >= 0)
		close(fd);
	if (err == EPERM)
		return xfq_error_set(error, -err,
				     "%s: promiscuous mode needs CAP_NET_RAW; run as root, or set "
				     "`promiscuous: false`",
				     interface->name);
	return xfq_error_set(error, -err, "%s: cannot switch to promiscuous mode: %s",
			     interface->name, strerror(err));
}

int interface_open(struct interface *interface, const char *name, bool promiscuous,
		   struct xfq_error *error)
{
	size_t len = strlen(name);
	int fd, err;

	memset(interface, 0, sizeof(*interface));
	if (len == 0 || len >= IF_NAMESIZE)
		return xfq_error_set(error, -EINVAL,
				     "\"%.64s\": the name of an interface has 1 to %d characters",
				     name, IF_NAMESIZE - 1);
	memcpy(interface->name, name, len);
	fd = control_open();
	if (fd < 0)
		return xfq_error_set(error, fd, "%s: cannot open a socket to ask about it: %s",
				     name, strerror(-fd));
	err = read_facts(interface, fd, error);
	close(fd);
	if (!err && promiscuous)
		err = join_promiscuous(interface, error);
	return err;
}

void interface_close(struct interface *interface)
{
	if (interface->promiscuous)
		close(interface->membership_fd);
	interface->promiscuous = false;
}

static enum interface_event flags_state(unsigned flags)
{
	return (flags & IFF_UP) && (flags & IFF_RUNNING) ? INTERFACE_UP : INTERFACE_DOWN;
}

/* What an interface is now, by asking. */
static enum interface_event watch_ask(const struct interface_watch *watch, uint32_t ifindex)
{
	struct ifreq request = request_make("");

	request.ifr_ifindex = (int)ifindex;
	if (ioctl(watch->control_fd, SIOCGIFNAME, &request) < 0 ||
	    ioctl(watch->control_fd, SIOCGIFFLAGS, &request) < 0)
		return INTERFACE_GONE;
	return flags_state((unsigned short)request.ifr_flags);
}

int interface_watch_open(struct interface_watch *watch, const uint32_t *ifindexes, uint32_t cnt,
			 struct xfq_error *error)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int err;

	*watch = (struct interface_watch){.fd = -1, .control_fd = -1, .link_cnt = cnt};
	watch->links = calloc(cnt ? cnt : 1, sizeof(*watch->links));
	if (!watch->links)
		return xfq_error_set(error, -ENOMEM, "no memory to watch %u interfaces", cnt);
	watch->control_fd = control_open();
	watch->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (watch->control_fd < 0 || watch->fd < 0 ||
	    bind(watch->fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) < 0) {
		err = watch->control_fd < 0 ? -watch->control_fd : errno;
		interface_watch_close(watch);
		return xfq_error_set(error, -err, "cannot watch interfaces by a netlink socket: %s",
				     strerror(err));
	}
	/* after the bind, so that no change falls between the two */
	for (uint32_t i = 0; i < cnt; i++) {
		struct interface_link *link = &watch->links[i];

		link->ifindex = ifindexes[i];
		link->state = link->seen = watch_ask(watch, link->ifindex);
		if (link->state == INTERFACE_GONE) {
			interface_watch_close(watch);
			return xfq_error_set(error, -ENODEV,
					     "the interface with index %u went away before it "
					     "could be watched",
					     ifindexes[i]);
		}
	}
	return 0;
}

static void watch_message(struct interface_watch *watch, const struct nlmsghdr *header)
{
	const struct ifinfomsg *info = NLMSG_DATA(header);

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) ||
	    (header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK) ||
	    info->ifi_family == AF_BRIDGE) /* left a bridge, still here */
		return;
	for (uint32_t i = 0; i < watch->link_cnt; i++) {
		struct interface_link *link = &watch->links[i];

		if (link->ifindex != (uint32_t)info->ifi_index || link->seen == INTERFACE_GONE)
			continue;
		link->seen = header->nlmsg_type == RTM_DELLINK ? INTERFACE_GONE
							       : flags_state(info->ifi_flags);
	}
}

/* Read one datagram. Returns 1; 0 when there is none; -errno. */
static int watch_receive(struct interface_watch *watch)
{
	union {
		struct nlmsghdr align;
		uint8_t bytes[WATCH_BUFFER_BYTES];
	} buffer;
	struct sockaddr_nl sender = {0};
	struct iovec iov = {&buffer, sizeof(buffer)};
	struct msghdr message = {.msg_name = &sender,
				 .msg_namelen = sizeof(sender),
				 .msg_iov = &iov,
				 .msg_iovlen = 1};
	ssize_t received = recvmsg(watch->fd, &message, 0);
	size_t at = 0;

	if (received < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (message.msg_flags & MSG_TRUNC)
		return -ENOBUFS;
	if (sender.nl_pid != 0) /* not the kernel's */
		return 1;
	while (at + sizeof(struct nlmsghdr) <= (size_t)received) {
		const struct nlmsghdr *header = (const void *)(buffer.bytes + at);

		if (header->nlmsg_len < sizeof(*header) ||
		    header->nlmsg_len > (size_t)received - at)
			break;
		watch_message(watch, header);
		at += NLMSG_ALIGN(header->nlmsg_len);
	}
	return 1;
}

uint32_t interface_watch_read(struct interface_watch *watch, struct interface_change *changes)
{
	bool missed = false;
	uint32_t cnt = 0;
	int err;

	while ((err = watch_receive(watch)) != 0) {
		if (err == -ENOBUFS)
			missed = true;
		else if (err < 0 && err != -EINTR)
			break;
	}
	for (uint32_t i = 0; i < watch->link_cnt; i++) {
		struct interface_link *link = &watch->links[i];

		if ((missed || err < 0) && link->seen != INTERFACE_GONE)
			link->seen = watch_ask(watch, link->ifindex);
		if (link->seen == link->state)
			continue;
		link->state = link->seen;
		changes[cnt++] = (struct interface_change){link->ifindex, link->state};
	}
	return cnt;
}

void interface_watch_close(struct interface_watch *watch)
{
	if (!watch->links)
		return;
	if (watch->fd >= 0)
		close(watch->fd);
	if (watch->control_fd >= 0)
		close(watch->control_fd);
	free(watch->links);
	*watch = (struct interface_watch){.fd = -1, .control_fd = -1};
}
