/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/veth.h"
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- messages --------------------------------------------------------------------------------- */

struct veth_message {
	struct nlmsghdr header;
	char body[512];
};

static void *veth_tail(struct veth_message *message)
{
	return (char *)message + NLMSG_ALIGN(message->header.nlmsg_len);
}

static void *veth_put(struct veth_message *message, const void *data, size_t bytes)
{
	void *to = veth_tail(message);

	memset(to, 0, NLMSG_ALIGN(bytes));
	if (data)
		memcpy(to, data, bytes);
	message->header.nlmsg_len = NLMSG_ALIGN(message->header.nlmsg_len) + NLMSG_ALIGN(bytes);
	return to;
}

static void veth_attribute(struct veth_message *message, uint16_t type, const void *data,
			   size_t bytes)
{
	const struct rtattr head = {.rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(bytes)};

	veth_put(message, &head, sizeof(head));
	if (bytes)
		veth_put(message, data, bytes);
}

/* An attribute that holds attributes, until veth_end(). */
static struct rtattr *veth_begin(struct veth_message *message, uint16_t type)
{
	struct rtattr *nest = veth_tail(message);

	veth_attribute(message, type, NULL, 0);
	return nest;
}

static void veth_end(struct veth_message *message, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)((char *)veth_tail(message) - (char *)nest);
}

/* Send a request, and receive the answer into `answer`: 0, or what the kernel says. */
static int veth_ask(struct veth_message *request, void *answer, size_t room)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	const struct nlmsghdr *header = answer;
	ssize_t got;
	int code = 0;

	if (fd < 0)
		return -errno;
	if (send(fd, request, request->header.nlmsg_len, 0) < 0)
		code = -errno;
	got = code ? 0 : recv(fd, answer, room, 0);
	if (code == 0 && got < 0)
		code = -errno;
	else if (code == 0 && !NLMSG_OK(header, (uint32_t)got))
		code = -EBADMSG;
	else if (code == 0 && header->nlmsg_type == NLMSG_ERROR)
		code = ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
	close(fd);
	return code;
}

/* --- pairs ------------------------------------------------------------------------------------ */

static void veth_put_link(struct veth_message *message, const char *name, uint32_t mtu,
			  uint32_t queue_cnt)
{
	veth_attribute(message, IFLA_IFNAME, name, strlen(name) + 1);
	veth_attribute(message, IFLA_MTU, &mtu, sizeof(mtu));
	veth_attribute(message, IFLA_NUM_TX_QUEUES, &queue_cnt, sizeof(queue_cnt));
	veth_attribute(message, IFLA_NUM_RX_QUEUES, &queue_cnt, sizeof(queue_cnt));
}

int veth_create(const struct veth_request *request)
{
	const struct ifinfomsg link = {.ifi_index = (int)request->ifindex}, peer = {0};
	struct veth_message message = {
		.header = {.nlmsg_len = sizeof(message.header),
			   .nlmsg_type = RTM_NEWLINK,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL}};
	struct rtattr *info, *data, *other;
	char answer[4096] __attribute__((aligned(8)));

	veth_put(&message, &link, sizeof(link));
	veth_put_link(&message, request->name, request->mtu, request->queue_cnt);
	info = veth_begin(&message, IFLA_LINKINFO);
	veth_attribute(&message, IFLA_INFO_KIND, "veth", sizeof("veth"));
	data = veth_begin(&message, IFLA_INFO_DATA);
	other = veth_begin(&message, VETH_INFO_PEER);
	veth_put(&message, &peer, sizeof(peer));
	veth_put_link(&message, request->peer_name, request->mtu, request->queue_cnt);
	veth_attribute(&message, IFLA_NET_NS_FD, &request->peer_netns, sizeof(request->peer_netns));
	veth_end(&message, other);
	veth_end(&message, data);
	veth_end(&message, info);
	return veth_ask(&message, answer, sizeof(answer));
}

/* Copy an attribute of a device. -ENOENT where it has none. */
static int veth_read(uint32_t ifindex, uint16_t type, void *to, size_t bytes)
{
	const struct ifinfomsg link = {.ifi_index = (int)ifindex};
	struct veth_message message = {.header = {.nlmsg_len = sizeof(message.header),
						  .nlmsg_type = RTM_GETLINK,
						  .nlmsg_flags = NLM_F_REQUEST}};
	char answer[16384] __attribute__((aligned(8)));
	const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)answer;
	size_t at = NLMSG_SPACE(sizeof(link));
	int code;

	veth_put(&message, &link, sizeof(link));
	code = veth_ask(&message, answer, sizeof(answer));
	if (code)
		return code;
	while (at + sizeof(struct rtattr) <= header->nlmsg_len) {
		const struct rtattr *attribute = (const void *)(answer + at);

		if (!RTA_OK(attribute, header->nlmsg_len - at))
			break;
		if (attribute->rta_type == type && RTA_PAYLOAD(attribute) >= bytes) {
			memcpy(to, RTA_DATA(attribute), bytes);
			return 0;
		}
		at += RTA_ALIGN(attribute->rta_len);
	}
	return -ENOENT;
}

int veth_peer(uint32_t ifindex, uint32_t *peer)
{
	return veth_read(ifindex, IFLA_LINK, peer, sizeof(*peer));
}

int veth_tx_dropped(uint32_t ifindex, uint64_t *dropped)
{
	struct rtnl_link_stats64 stats = {0};
	/* the tail of the structure is younger than its begin */
	int code = veth_read(ifindex, IFLA_STATS64, &stats,
			     offsetof(struct rtnl_link_stats64, multicast));

	*dropped = stats.tx_dropped;
	return code;
}

/* --- settings --------------------------------------------------------------------------------- */

static int veth_control(const char *name, unsigned long what, struct ifreq *request)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), code = 0;

	if (fd < 0)
		return -errno;
	memset(request->ifr_name, 0, sizeof(request->ifr_name));
	memcpy(request->ifr_name, name, strnlen(name, IF_NAMESIZE - 1));
	if (ioctl(fd, what, request))
		code = -errno;
	close(fd);
	return code;
}

int veth_plain(const char *name)
{
	enum { WORDS = 8 };
	uint32_t have_room[(sizeof(struct ethtool_gfeatures) +
			    WORDS * sizeof(struct ethtool_get_features_block)) /
			   sizeof(uint32_t)] = {0};
	uint32_t want_room[(sizeof(struct ethtool_sfeatures) +
			    WORDS * sizeof(struct ethtool_set_features_block)) /
			   sizeof(uint32_t)] = {0};
	struct ethtool_gfeatures *have = (struct ethtool_gfeatures *)have_room;
	struct ethtool_sfeatures *want = (struct ethtool_sfeatures *)want_room;
	struct ifreq request = {.ifr_data = (char *)have};
	int code;

	have->cmd = ETHTOOL_GFEATURES;
	have->size = WORDS;
	code = veth_control(name, SIOCETHTOOL, &request);
	if (code)
		return code;
	want->cmd = ETHTOOL_SFEATURES;
	want->size = have->size < WORDS ? have->size : WORDS;
	for (uint32_t i = 0; i < want->size; i++)
		want->features[i].valid = have->features[i].available;
	request.ifr_data = (char *)want;
	return veth_control(name, SIOCETHTOOL, &request);
}

int veth_up(const char *name)
{
	struct ifreq request = {0};
	int code = veth_control(name, SIOCGIFFLAGS, &request);

	if (code)
		return code;
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP | IFF_NOARP);
	return veth_control(name, SIOCSIFFLAGS, &request);
}
