/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client that pesters the control socket. Whoever starts it looks whether others are still
 * served.
 *
 *	pester idle SOCKET CNT		hold so many connections and say nothing; again where
 *					dropped
 *	pester flood SOCKET		connect and hang up as fast as can be
 *	pester mute SOCKET CNT TYPE	ask for TYPE (1: status, 2: groups) and never read the
 *					answer; 4: begin a command and never go on
 *	pester garbage SOCKET CNT	so many messages of random bytes
 *	pester descriptors SOCKET	send descriptors along with a request
 *	pester linger SOCKET		send one whose closing takes an hour
 *	pester version SOCKET NUMBER	ask in another version of the protocol
 *	pester storm SOCKET GROUP	join and leave as fast as can be
 *
 * The first four and the last go on until SIGTERM and say "ready" when they have begun.
 */
#include "tests/hostile/seat.h"
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PESTER_CONNECTIONS_MAX 20000
#define PESTER_DESCS           200 /* in a message */

static const char *path;

static void pester_ready(void)
{
	puts("ready");
	fflush(stdout);
}

/* A connection; -1: refused. */
static int pester_connect(int flags)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);

	if (fd < 0)
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int pester_connect_surely(void)
{
	int fd = pester_connect(0);

	if (fd < 0)
		err(2, "%s", path);
	return fd;
}

static struct protocol_request pester_request(uint16_t type)
{
	return (struct protocol_request){.magic = PROTOCOL_MAGIC,
					 .version = PROTOCOL_VERSION,
					 .type = type,
					 .ring_version = XFQ_RING_VERSION,
					 .desc_len = sizeof(struct xfq_ring_desc),
					 .meta_len = XFQ_META_BYTES};
}

/* Keep `cnt` connections, on each of which `begin` was sent. */
static void pester_hold(uint32_t cnt, const void *begin, size_t len)
{
	static int fds[PESTER_CONNECTIONS_MAX];
	bool ready = false;
	char byte;

	memset(fds, -1, sizeof(fds));
	for (;;) {
		for (uint32_t i = 0; i < cnt && i < PESTER_CONNECTIONS_MAX; i++) {
			if (fds[i] >= 0 &&
			    (len || recv(fds[i], &byte, 1, MSG_DONTWAIT | MSG_PEEK) != 0))
				continue;
			if (fds[i] >= 0)
				close(fds[i]);
			fds[i] = pester_connect(SOCK_NONBLOCK);
			if (fds[i] >= 0 && len)
				(void)!send(fds[i], begin, len, MSG_NOSIGNAL);
		}
		if (!ready)
			pester_ready();
		ready = true;
		usleep(1000);
	}
}

static void pester_flood(void)
{
	pester_ready();
	for (;;) {
		int fd = pester_connect(SOCK_NONBLOCK);

		if (fd >= 0)
			close(fd);
	}
}

static void pester_garbage(uint32_t cnt)
{
	uint8_t bytes[4096];

	pester_ready();
	for (uint32_t i = 0; i < cnt; i++) {
		struct protocol_request request = pester_request((uint16_t)random());
		size_t len = (size_t)random() % sizeof(bytes);
		int fd = pester_connect(0);

		for (size_t at = 0; at < sizeof(bytes); at++)
			bytes[at] = (uint8_t)random();
		if (random() % 2) /* so that it is looked at */
			memcpy(bytes, &request, (size_t)random() % sizeof(request));
		if (fd < 0)
			continue;
		(void)!send(fd, bytes, len, MSG_NOSIGNAL);
		close(fd);
	}
}

/* Send a request with descriptors. 0 or -errno. */
static int pester_send(int to, const int *fds, size_t cnt)
{
	struct protocol_request request = pester_request(PROTOCOL_GROUPS);
	char room[CMSG_SPACE(PESTER_DESCS * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec part = {.iov_base = &request, .iov_len = sizeof(request)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = room,
				 .msg_controllen = CMSG_SPACE(cnt * sizeof(int))};
	struct cmsghdr *head = (struct cmsghdr *)(void *)room;

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(cnt * sizeof(int));
	memcpy(CMSG_DATA(head), fds, cnt * sizeof(int));
	return sendmsg(to, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void pester_descriptors(void)
{
	int fds[PESTER_DESCS], code = 0;

	for (int i = 0; i < PESTER_DESCS; i++)
		fds[i] = memfd_create("pester", 0);
	for (int i = 0; i < 20 && code == 0; i++) {
		int fd = pester_connect_surely();

		code = pester_send(fd, fds, PESTER_DESCS);
		if (i % 2) /* answered, or not even read */
			(void)!recv(fd, &fds[0], 0, 0);
		close(fd);
	}
	printf("%s\n", code ? strerror(-code) : "sent");
}

/* A TCP connection that waits for an hour when it is closed: its other end does not read. */
static int pester_linger_fd(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct linger linger = {1, 3600};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	char bytes[65536] = {0};

	if (bind(listener, (const struct sockaddr *)&address, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &len) ||
	    connect(fd, (const struct sockaddr *)&address, len))
		err(2, "a TCP connection");
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)))
		err(2, "SO_LINGER");
	return fd; /* the other end stays with `listener` */
}

static void pester_linger(void)
{
	int linger_fd = pester_linger_fd();
	int fd = pester_connect_surely();
	int code = pester_send(fd, &linger_fd, 1);

	if (code == 0)
		close(linger_fd); /* the one in the message is the last */
	printf("%s\n", code ? strerror(-code) : "sent");
	fflush(stdout);
	pause();
}

static void pester_version(uint16_t version)
{
	struct protocol_request request = pester_request(PROTOCOL_GROUPS);
	struct protocol_answer answer = {.code = 0};
	int fd = pester_connect_surely();

	request.version = version;
	if (send(fd, &request, sizeof(request), MSG_NOSIGNAL) < 0 ||
	    recv(fd, &answer, sizeof(answer), 0) < 0)
		err(2, "asking");
	printf("%d: %s\n", answer.code, answer.text);
}

static _Noreturn void pester_storm(const char *group)
{
	pester_ready();
	for (;;) {
		struct seat seat;

		seat_take(&seat, path, group);
		seat_seal(&seat);
		seat_ready(&seat);
		seat_leave(&seat);
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[1] : "", *argument = argc > 3 ? argv[3] : "0";
	struct protocol_request request = pester_request(argc > 4 ? (uint16_t)atoi(argv[4]) : 0);
	uint32_t number = (uint32_t)atoi(argument);
	struct rlimit limit;

	if (request.type == PROTOCOL_COMMAND)
		request.json_len = 1000; /* of which nothing comes */
	path = argc > 2 ? argv[2] : "";
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (strcmp(mode, "idle") == 0)
		pester_hold(number, NULL, 0);
	else if (strcmp(mode, "flood") == 0)
		pester_flood();
	else if (strcmp(mode, "mute") == 0)
		pester_hold(number, &request, sizeof(request));
	else if (strcmp(mode, "garbage") == 0)
		pester_garbage(number);
	else if (strcmp(mode, "descriptors") == 0)
		pester_descriptors();
	else if (strcmp(mode, "linger") == 0)
		pester_linger();
	else if (strcmp(mode, "version") == 0)
		pester_version((uint16_t)number);
	else if (strcmp(mode, "storm") == 0)
		pester_storm(argument);
	else
		errx(2, "usage: pester MODE SOCKET [ARGUMENT [TYPE]]");
	return 0;
}
