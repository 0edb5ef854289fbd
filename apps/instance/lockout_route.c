/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/lockout_route.h"
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOCKOUT_LINKS_MAX    1024
#define LOCKOUT_ANSWER_BYTES 65536
#define LOCKOUT_WAIT_S       2 /* for the kernel's answer */

/* What matters of a link: what it is part of, and what lies below. */
struct lockout_link {
	uint32_t ifindex, master, lower;
	uint16_t vlan;
};

struct lockout_links {
	struct lockout_link link[LOCKOUT_LINKS_MAX];
	uint32_t cnt;
};

/* A netlink message with its answer. */
union lockout_message {
	struct nlmsghdr header;
	uint8_t bytes[LOCKOUT_ANSWER_BYTES];
};

/* What lies behind something of a message: all is aligned there. */
static const void *lockout_behind(const void *at, size_t bytes)
{
	return (const char *)at + bytes;
}

static const struct rtattr *lockout_attribute(const struct rtattr *first, int len, unsigned type)
{
	while (RTA_OK(first, len)) {
		int step = (int)RTA_ALIGN(first->rta_len);

		if ((first->rta_type & NLA_TYPE_MASK) == type)
			return first;
		len -= step;
		first = lockout_behind(first, (size_t)step);
	}
	return NULL;
}

static uint32_t lockout_number(const struct rtattr *attribute)
{
	uint32_t value = 0;

	if (attribute && RTA_PAYLOAD(attribute) >= sizeof(value))
		memcpy(&value, RTA_DATA(attribute), sizeof(value));
	return value;
}

static int lockout_netlink(void)
{
	const struct timeval wait = {.tv_sec = LOCKOUT_WAIT_S};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return fd;
}

/* --- links ------------------------------------------------------------------------------------ */

static uint16_t lockout_vlan_of(const struct rtattr *info)
{
	const struct rtattr *kind, *data, *id;
	uint16_t vlan = 0;

	if (!info)
		return 0;
	kind = lockout_attribute(RTA_DATA(info), (int)RTA_PAYLOAD(info), IFLA_INFO_KIND);
	data = lockout_attribute(RTA_DATA(info), (int)RTA_PAYLOAD(info), IFLA_INFO_DATA);
	if (!kind || !data || RTA_PAYLOAD(kind) < sizeof("vlan") ||
	    memcmp(RTA_DATA(kind), "vlan", sizeof("vlan")) != 0)
		return 0;
	id = lockout_attribute(RTA_DATA(data), (int)RTA_PAYLOAD(data), IFLA_VLAN_ID);
	if (id && RTA_PAYLOAD(id) >= sizeof(vlan))
		memcpy(&vlan, RTA_DATA(id), sizeof(vlan));
	return vlan;
}

static void lockout_add_link(struct lockout_links *links, const struct nlmsghdr *header)
{
	const struct ifinfomsg *info = NLMSG_DATA(header);
	struct lockout_link *link = &links->link[links->cnt];
	int len = (int)header->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*info));
	const struct rtattr *first = lockout_behind(info, NLMSG_ALIGN(sizeof(*info)));

	if (links->cnt == LOCKOUT_LINKS_MAX || len < 0)
		return;
	link->ifindex = (uint32_t)info->ifi_index;
	link->master = lockout_number(lockout_attribute(first, len, IFLA_MASTER));
	link->lower = 0;
	/* the other end of a veth is named the same way, but is not below: it has a namespace */
	if (!lockout_attribute(first, len, IFLA_LINK_NETNSID))
		link->lower = lockout_number(lockout_attribute(first, len, IFLA_LINK));
	link->vlan = lockout_vlan_of(lockout_attribute(first, len, IFLA_LINKINFO));
	links->cnt++;
}

/* Ask for all links. */
static void lockout_read_links(struct lockout_links *links)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} request = {.header = {.nlmsg_len = sizeof(request),
				.nlmsg_type = RTM_GETLINK,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		     .info = {.ifi_family = AF_UNSPEC}};
	union lockout_message *answer = malloc(sizeof(*answer));
	int fd = lockout_netlink();
	bool more = answer && fd >= 0 && send(fd, &request, sizeof(request), 0) > 0;

	links->cnt = 0;
	while (more) {
		ssize_t len = recv(fd, answer, sizeof(*answer), 0);
		const struct nlmsghdr *header = &answer->header;

		if (len <= 0)
			break;
		for (size_t at = 0; at < (size_t)len && NLMSG_OK(header, (size_t)len - at);
		     at += NLMSG_ALIGN(header->nlmsg_len), header = lockout_behind(answer, at)) {
			if (header->nlmsg_type == RTM_NEWLINK)
				lockout_add_link(links, header);
			else
				more = false; /* NLMSG_DONE or an error */
		}
	}
	if (fd >= 0)
		close(fd);
	free(answer);
}

/* --- addresses -------------------------------------------------------------------------------- */

/* The interface by which the host reaches an address; 0: none. */
static uint32_t lockout_reaches(const struct lockout_session *session)
{
	size_t bytes = session->v6 ? 16 : 4;
	struct {
		struct nlmsghdr header;
		struct rtmsg route;
		struct rtattr attribute;
		uint8_t address[16];
	} request = {.header = {.nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST},
		     .route = {.rtm_family = session->v6 ? AF_INET6 : AF_INET,
			       .rtm_dst_len = (unsigned char)(8 * bytes)},
		     .attribute = {.rta_type = RTA_DST}};
	union lockout_message *answer = malloc(sizeof(*answer));
	int fd = lockout_netlink();
	uint32_t ifindex = 0;
	ssize_t len = 0;

	request.attribute.rta_len = (unsigned short)RTA_LENGTH(bytes);
	request.header.nlmsg_len =
		(uint32_t)(NLMSG_LENGTH(sizeof(request.route)) + RTA_LENGTH(bytes));
	memcpy(request.address, session->client.address, bytes);
	if (answer && fd >= 0 && send(fd, &request, request.header.nlmsg_len, 0) > 0)
		len = recv(fd, answer, sizeof(*answer), 0);
	if (len > 0 && NLMSG_OK(&answer->header, (size_t)len) &&
	    answer->header.nlmsg_type == RTM_NEWROUTE) {
		const struct rtmsg *route = NLMSG_DATA(&answer->header);

		ifindex = lockout_number(
			lockout_attribute(lockout_behind(route, NLMSG_ALIGN(sizeof(*route))),
					  (int)RTM_PAYLOAD(&answer->header), RTA_OIF));
	}
	if (fd >= 0)
		close(fd);
	free(answer);
	return ifindex;
}

/* The host's address that it would answer the client from: what a datagram socket gets. */
static void lockout_fill_server(struct lockout_session *session)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(22)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(22)};
	struct sockaddr *address =
		session->v6 ? (struct sockaddr *)(void *)&six : (struct sockaddr *)(void *)&four;
	socklen_t len = session->v6 ? sizeof(six) : sizeof(four);
	int fd = socket(session->v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&six.sin6_addr, session->client.address, 16);
	memcpy(&four.sin_addr, session->client.address, 4);
	if (session->scope[0])
		six.sin6_scope_id = if_nametoindex(session->scope);
	if (fd >= 0 && connect(fd, address, len) == 0 && getsockname(fd, address, &len) == 0) {
		if (session->v6)
			memcpy(session->server.address, &six.sin6_addr, 16);
		else
			memcpy(session->server.address, &four.sin_addr, 4);
	}
	if (fd >= 0)
		close(fd);
}

/* The interface that has the server's address; 0: none. */
static uint32_t lockout_owns(const struct lockout_session *session)
{
	struct ifaddrs *list, *at;
	uint32_t ifindex = 0;

	if (getifaddrs(&list))
		return 0;
	for (at = list; at && !ifindex; at = at->ifa_next) {
		const struct sockaddr_in6 *six = (const void *)at->ifa_addr;
		const struct sockaddr_in *four = (const void *)at->ifa_addr;

		if (!at->ifa_addr || at->ifa_addr->sa_family != (session->v6 ? AF_INET6 : AF_INET))
			continue;
		if (session->v6 ? memcmp(&six->sin6_addr, session->server.address, 16) == 0
				: memcmp(&four->sin_addr, session->server.address, 4) == 0)
			ifindex = if_nametoindex(at->ifa_name);
	}
	freeifaddrs(list);
	return ifindex;
}

/* --- the way ---------------------------------------------------------------------------------- */

static uint32_t lockout_add_way(struct lockout_way *ways, uint32_t cnt, uint32_t ifindex,
				uint16_t vlan)
{
	for (uint32_t i = 0; i < cnt; i++)
		if (ways[i].ifindex == ifindex && ways[i].vlan == vlan)
			return cnt;
	if (ifindex && cnt < LOCKOUT_WAYS_MAX)
		ways[cnt++] = (struct lockout_way){ifindex, vlan};
	return cnt;
}

uint32_t lockout_route(struct lockout_session *session, struct lockout_way ways[LOCKOUT_WAYS_MAX])
{
	static const uint8_t none[16];
	struct lockout_links *links = malloc(sizeof(*links));
	uint32_t cnt = 0;

	if (!links)
		return 0;
	lockout_read_links(links);
	if (memcmp(session->server.address, none, sizeof(none)) == 0)
		lockout_fill_server(session);
	if (session->scope[0])
		cnt = lockout_add_way(ways, cnt, if_nametoindex(session->scope), 0);
	else
		cnt = lockout_add_way(ways, cnt, lockout_reaches(session), 0);
	cnt = lockout_add_way(ways, cnt, lockout_owns(session), 0);
	/* and what is below: the ports of a bridge or a bond, the device of a VLAN */
	for (uint32_t i = 0; i < cnt; i++)
		for (uint32_t l = 0; l < links->cnt; l++) {
			const struct lockout_link *link = &links->link[l];

			if (link->master == ways[i].ifindex)
				cnt = lockout_add_way(ways, cnt, link->ifindex, ways[i].vlan);
			if (link->ifindex == ways[i].ifindex && link->lower)
				cnt = lockout_add_way(ways, cnt, link->lower,
						      link->vlan ? link->vlan : ways[i].vlan);
		}
	free(links);
	return cnt;
}
