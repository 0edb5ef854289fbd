/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/libxfq/client.h"
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CLIENT_NAMES_MAX    64
#define CLIENT_STATUS_BYTES (64U << 20) /* more than any instance can say */

const char *xfq_version(void)
{
	return XFQ_VERSION;
}

/* --- addresses -------------------------------------------------------------------------------- */

static int client_address(struct sockaddr_un *address, const char *name, struct xfq_error *error)
{
	bool path = strchr(name, '/');
	int len;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (path)
		len = snprintf(address->sun_path, sizeof(address->sun_path), "%s", name);
	else
		len = snprintf(address->sun_path, sizeof(address->sun_path),
			       "%s/%s" PROTOCOL_SUFFIX, protocol_dir(), name);
	if (len < (int)sizeof(address->sun_path))
		return 0;
	return xfq_error_set(error, -ENAMETOOLONG, "%s%s%s%s: too long for a socket's path",
			     path ? "" : protocol_dir(), path ? "" : "/", name,
			     path ? "" : PROTOCOL_SUFFIX);
}

/* Where a file of the folder of sockets is one that an instance may listen on: its name. */
static bool client_socket_name(char name[XFQ_NAME_BYTES], const char *file)
{
	size_t len = strlen(file), suffix = strlen(PROTOCOL_SUFFIX);

	if (len <= suffix || strcmp(file + len - suffix, PROTOCOL_SUFFIX) != 0 ||
	    len - suffix >= XFQ_NAME_BYTES)
		return false;
	memcpy(name, file, len - suffix);
	name[len - suffix] = '\0';
	return true;
}

/* Whether somebody listens there, as far as this user may know. */
static bool client_alive(const char *name)
{
	struct sockaddr_un address;
	bool alive;
	int fd;

	if (client_address(&address, name, NULL))
		return false;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return true;
	alive = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ||
		(errno != ECONNREFUSED && errno != ENOENT);
	close(fd);
	return alive;
}

static int client_name_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

int client_names(char names[][XFQ_NAME_BYTES], size_t max)
{
	DIR *dir = opendir(protocol_dir());
	const struct dirent *entry;
	char name[XFQ_NAME_BYTES];
	size_t cnt = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		if (!client_socket_name(name, entry->d_name) || !client_alive(name))
			continue;
		if (cnt < max)
			memcpy(names[cnt], name, sizeof(name));
		cnt++;
	}
	closedir(dir);
	if (max)
		qsort(names, cnt < max ? cnt : max, sizeof(names[0]), client_name_compare);
	return (int)cnt;
}

/* The only instance that runs. */
static int client_only(char name[XFQ_NAME_BYTES], struct xfq_error *error)
{
	char names[CLIENT_NAMES_MAX][XFQ_NAME_BYTES];
	char list[XFQ_ERROR_TEXT_BYTES] = "";
	int cnt = client_names(names, CLIENT_NAMES_MAX);
	size_t len = 0;

	if (cnt < 0)
		return xfq_error_set(error, cnt, "%s: %s", protocol_dir(), strerror(-cnt));
	if (cnt == 0)
		return xfq_error_set(error, -ENOENT, "no instance is running (no socket in %s)",
				     protocol_dir());
	if (cnt == 1) {
		memcpy(name, names[0], XFQ_NAME_BYTES);
		return 0;
	}
	for (int i = 0; i < cnt && i < CLIENT_NAMES_MAX && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, " %s", names[i]);
	return xfq_error_set(error, -ENOTUNIQ, "several instances are running, name one:%s", list);
}

/* --- connections ------------------------------------------------------------------------------ */

void client_limit_sends(int fd, uint32_t wait_ms)
{
	struct timeval wait = {.tv_sec = wait_ms / 1000};

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
}

static int client_connect_address(const struct xfq *xfq, int *fd)
{
	*fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	client_limit_sends(*fd, CLIENT_WAIT_MS);
	while (connect(*fd, (const struct sockaddr *)&xfq->address, sizeof(xfq->address)))
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* Whether an error of the local socket means that its other end, the instance's, is closed. */
static bool client_local_gone(int code)
{
	return code == -EPIPE || code == -ECONNRESET || code == -ECONNREFUSED || code == -ENOTCONN;
}

static int client_connect_local(const struct xfq *xfq, int *fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	char byte = 0;
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int pair[2], code = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	*fd = pair[0];
	client_limit_sends(pair[0], CLIENT_WAIT_MS);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &pair[1], sizeof(int));
	while (code == 0 && sendmsg(xfq->local_fd, &message, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			code = -errno;
	close(pair[1]);
	return code;
}

static int client_connect(const struct xfq *xfq, int *fd, struct xfq_error *error)
{
	bool local = xfq->local_fd >= 0;
	int code = local ? client_connect_local(xfq, fd) : client_connect_address(xfq, fd);

	if (code == 0)
		return 0;
	if (local && client_local_gone(code))
		return xfq_error_set(error, -ENOENT, "%s: the instance has ended", xfq->name);
	if (code == -ENOENT || code == -ECONNREFUSED)
		return xfq_error_set(error, -ENOENT, "no instance named %s is running (%s)",
				     xfq->name, xfq->address.sun_path);
	if (code == -EAGAIN)
		return xfq_error_set(error, -ETIMEDOUT,
				     "%s: no answer in %d seconds: is it stopped?", xfq->name,
				     CLIENT_WAIT_MS / 1000);
	return xfq_error_set(error, code, "%s: connecting to %s: %s%s", xfq->name,
			     local ? "the instance" : xfq->address.sun_path, strerror(-code),
			     code == -EMFILE ? "; raise the limit: ulimit -n" : "");
}

/* The instance's end of the connection is closed, and it has not answered. */
static int client_hung_up(const struct xfq *xfq, struct xfq_error *error)
{
	if (xfq->local_fd >= 0)
		return xfq_error_set(error, -ENOENT, "%s: the instance has ended", xfq->name);
	return xfq_error_set(error, -ECONNRESET,
			     "%s: the instance hung up without an answer: it has just ended, is "
			     "asked by too many, or is of a version that does not understand",
			     xfq->name);
}

int client_ask(const struct xfq *xfq, struct protocol_request *request, int *fd,
	       struct xfq_error *error)
{
	int code = client_connect(xfq, fd, error);

	if (code)
		return code;
	request->magic = PROTOCOL_MAGIC;
	request->version = PROTOCOL_VERSION;
	while (send(*fd, request, sizeof(*request), MSG_NOSIGNAL) < 0) {
		if (errno == EPIPE || errno == ECONNRESET)
			return 0; /* it may have said why before it hung up */
		if (errno != EINTR)
			return xfq_error_set(error, -errno, "%s: asking the instance: %s",
					     xfq->name, strerror(errno));
	}
	return 0;
}

static uint64_t client_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* One message; its length as it was sent, which may be more than there is room for; 0: end of file;
 * or -errno. Signals do not end the wait, nor make it longer. */
static ssize_t client_receive(int fd, struct msghdr *message, uint32_t wait_ms)
{
	uint64_t until = client_now_ms() + wait_ms, now;
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	const size_t room = message->msg_controllen;
	bool ended = false;
	ssize_t got;

	for (;;) {
		message->msg_controllen = room;
		got = recvmsg(fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
		/* the kernel looks for a message and then for the end; if both come in between, it
		 * says that it ended, and the message is there for who asks again */
		if (got > 0 || (got == 0 && ended))
			return got;
		ended = got == 0;
		if (ended)
			continue;
		/* reset: it hung up and had not read all; said once, before what it had said */
		if (errno == ECONNRESET)
			continue;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		now = client_now_ms();
		if (now >= until)
			return -ETIMEDOUT;
		(void)poll(&poll_fd, 1, (int)(until - now));
	}
}

static int client_receive_failed(const struct xfq *xfq, ssize_t got, uint32_t wait_ms,
				 struct xfq_error *error)
{
	if (got == 0)
		return client_hung_up(xfq, error);
	if (got == -ETIMEDOUT)
		return xfq_error_set(error, -ETIMEDOUT,
				     "%s: no answer in %d seconds: is it stopped?", xfq->name,
				     wait_ms / 1000);
	return xfq_error_set(error, (int)got, "%s: receiving an answer: %s", xfq->name,
			     strerror((int)-got));
}

/* Take the descriptors of a message over; those that there is no room for are closed. */
static void client_take_fds(struct client_answer *answer, struct msghdr *message)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		size_t bytes = header->cmsg_len - CMSG_LEN(0);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < bytes / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			if (answer->fd_cnt < answer->fd_max)
				answer->fds[answer->fd_cnt++] = fd;
			else
				close(fd);
		}
	}
}

/* Check what has come, `got` bytes of it. */
static int client_check(const struct xfq *xfq, const struct client_answer *answer, size_t got,
			struct xfq_error *error)
{
	struct protocol_answer *head = answer->bytes;

	if (got < offsetof(struct protocol_answer, type) || head->magic != PROTOCOL_MAGIC)
		return xfq_error_set(error, -EPROTO, "%s: what answers is no instance of XFQ",
				     xfq->name);
	if (head->version != PROTOCOL_VERSION)
		return xfq_error_set(error, -EPROTONOSUPPORT,
				     "%s: the instance speaks version %u of the protocol, and this "
				     "library version %d: they must be of the same release",
				     xfq->name, head->version, PROTOCOL_VERSION);
	if (got < sizeof(*head) || head->type != answer->type || head->code > 0 ||
	    head->code < -4095)
		return xfq_error_set(error, -EPROTO, "%s: the answer fits no question", xfq->name);
	if (head->code) {
		head->text[sizeof(head->text) - 1] = '\0';
		return xfq_error_set(error, head->code, "%s", head->text);
	}
	if (got != answer->len)
		return xfq_error_set(error, -EPROTO, "%s: an answer of %zu bytes, and not of %zu",
				     xfq->name, got, answer->len);
	return 0;
}

int client_answer(const struct xfq *xfq, int fd, struct client_answer *answer,
		  struct xfq_error *error)
{
	union {
		char bytes[CMSG_SPACE(PROTOCOL_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = answer->bytes, .iov_len = answer->len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t got;
	uint32_t wait_ms = answer->wait_ms ? answer->wait_ms : CLIENT_WAIT_MS;
	int code;

	if (answer->fds) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
	}
	memset(answer->bytes, 0, answer->len);
	answer->fd_cnt = 0;
	got = client_receive(fd, &message, wait_ms);
	if (got <= 0)
		return client_receive_failed(xfq, got, wait_ms, error);
	client_take_fds(answer, &message);
	code = client_check(xfq, answer, (size_t)got, error);
	/* the kernel gives as many descriptors as fit, and drops the others */
	if (code == 0 && answer->fds && (message.msg_flags & MSG_CTRUNC))
		code = xfq_error_set(error, -EMFILE,
				     "%s: %u descriptors came, and not all: raise the limit: "
				     "ulimit -n",
				     xfq->name, answer->fd_cnt);
	if (code) {
		for (uint32_t i = 0; i < answer->fd_cnt; i++)
			close(answer->fds[i]);
		answer->fd_cnt = 0;
	}
	return code;
}

int client_ready(const struct xfq *xfq, int fd, struct xfq_error *error)
{
	const char bytes[PROTOCOL_READY_BYTES] = {0};
	struct protocol_notice notice;
	struct iovec part = {.iov_base = &notice, .iov_len = sizeof(notice)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t got;

	/* what it may have said before it hung up is read all the same */
	while (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
	got = client_receive(fd, &message, CLIENT_WAIT_MS);
	if (got <= 0)
		return client_receive_failed(xfq, got, CLIENT_WAIT_MS, error);
	if (got == PROTOCOL_WAKE_BYTES)
		return 0;
	if (got != sizeof(notice) || notice.magic != PROTOCOL_MAGIC || notice.code >= 0)
		return xfq_error_set(error, -EPROTO, "%s: the answer fits no question", xfq->name);
	notice.text[sizeof(notice.text) - 1] = '\0';
	return xfq_error_set(error, notice.code, "%s: %s", xfq->name, notice.text);
}

/* One more message of an answer, at most `max` bytes: how many, 0: end of file, or -errno. */
static ssize_t client_more(const struct xfq *xfq, int fd, void *bytes, size_t max,
			   struct xfq_error *error)
{
	struct iovec part = {.iov_base = bytes, .iov_len = max};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t got = client_receive(fd, &message, CLIENT_WAIT_MS);

	if (got < 0)
		return client_receive_failed(xfq, got, CLIENT_WAIT_MS, error);
	if ((size_t)got > max)
		return xfq_error_set(error, -EPROTO, "%s: a message of %zd bytes, and not of %zu",
				     xfq->name, got, max);
	return got;
}

/* --- the API ---------------------------------------------------------------------------------- */

static int client_create(struct xfq **xfq, const char *name, struct xfq_error *error)
{
	*xfq = calloc(1, sizeof(**xfq));
	if (!*xfq)
		return xfq_error_set(error, -ENOMEM, "%s: %s", name, strerror(ENOMEM));
	snprintf((*xfq)->name, sizeof((*xfq)->name), "%s", name);
	(*xfq)->local_fd = -1;
	return 0;
}

int client_local(struct xfq **xfq, int local_fd, const char *name, struct xfq_error *error)
{
	int code = client_create(xfq, name, error);

	if (code) {
		close(local_fd);
		return code;
	}
	client_limit_sends(local_fd, CLIENT_WAIT_MS);
	(*xfq)->local_fd = local_fd;
	return 0;
}

int xfq_open(struct xfq **xfq, const char *name, struct xfq_error *error)
{
	char only[XFQ_NAME_BYTES], from_path[XFQ_NAME_BYTES];
	const char *base, *shown;
	int code;

	*xfq = NULL;
	if (!name) {
		code = client_only(only, error);
		if (code)
			return code;
		name = only;
	}
	base = strrchr(name, '/');
	shown = base ? base + 1 : name;
	if (!base && (shown[0] == '\0' || strlen(shown) >= XFQ_NAME_BYTES))
		return xfq_error_set(error, -ENOENT,
				     "no instance named \"%s\" is running: names have 1 to %d "
				     "bytes",
				     shown, XFQ_NAME_BYTES - 1);
	if (base && client_socket_name(from_path, shown))
		shown = from_path;
	code = client_create(xfq, shown, error);
	if (code == 0)
		code = client_address(&(*xfq)->address, name, error);
	if (code == 0) /* to see who answers */
		code = xfq_groups(*xfq, NULL, 0, error);
	if (code >= 0)
		return 0;
	xfq_close(*xfq);
	*xfq = NULL;
	return code;
}

void xfq_close(struct xfq *xfq)
{
	if (!xfq)
		return;
	if (xfq->local_fd >= 0)
		close(xfq->local_fd);
	free(xfq);
}

const char *xfq_name(const struct xfq *xfq)
{
	return xfq->name;
}

/* Receive `cnt` groups, all in one message. */
static int client_groups(const struct xfq *xfq, int fd, uint32_t cnt, struct xfq_group *groups,
			 uint32_t max, struct xfq_error *error)
{
	struct protocol_group wire[PROTOCOL_MESSAGE_BYTES / sizeof(struct protocol_group)];
	ssize_t got = 0;

	if (cnt > sizeof(wire) / sizeof(wire[0]))
		return xfq_error_set(error, -EPROTO, "%s: an answer of %u groups", xfq->name, cnt);
	if (cnt)
		got = client_more(xfq, fd, wire, sizeof(wire), error);
	if (got < 0)
		return (int)got;
	if ((size_t)got != cnt * sizeof(wire[0]))
		return xfq_error_set(error, -EPROTO, "%s: %u groups in %zd bytes", xfq->name, cnt,
				     got);
	for (uint32_t i = 0; i < cnt && i < max; i++) {
		groups[i] = (struct xfq_group){
			.members = wire[i].members,
			.members_max = wire[i].members_max,
			.ring_slots = wire[i].ring_slots,
			.joined = wire[i].joined,
			.allowed = wire[i].allowed != 0,
		};
		/* the last byte, as zeroed, terminates */
		memcpy(groups[i].name, wire[i].name, sizeof(groups[i].name) - 1);
		memcpy(groups[i].steer, wire[i].steer, sizeof(groups[i].steer) - 1);
		memcpy(groups[i].classes, wire[i].classes, sizeof(groups[i].classes) - 1);
	}
	return (int)cnt;
}

int xfq_groups(struct xfq *xfq, struct xfq_group *groups, uint32_t max, struct xfq_error *error)
{
	struct protocol_request request = {.type = PROTOCOL_GROUPS};
	struct protocol_answer head;
	struct client_answer answer = {
		.type = PROTOCOL_GROUPS, .bytes = &head, .len = sizeof(head)};
	int fd = -1;
	int code = client_ask(xfq, &request, &fd, error);

	if (code == 0)
		code = client_answer(xfq, fd, &answer, error);
	if (code == 0)
		code = client_groups(xfq, fd, head.cnt, groups, max, error);
	if (fd >= 0)
		close(fd);
	return code;
}

int client_text(const struct xfq *xfq, int fd, char **text, struct xfq_error *error)
{
	size_t len = 0;
	ssize_t got = 0;

	do {
		char *more = len < CLIENT_STATUS_BYTES
				     ? realloc(*text, len + PROTOCOL_MESSAGE_BYTES + 1)
				     : NULL;

		if (!more)
			return xfq_error_set(error, -ENOMEM, "%s: an answer of %zu bytes: %s",
					     xfq->name, len, strerror(ENOMEM));
		*text = more;
		got = client_more(xfq, fd, more + len, PROTOCOL_MESSAGE_BYTES, error);
		if (got < 0)
			return (int)got;
		len += (size_t)got;
	} while (got > 0);
	(*text)[len] = '\0';
	return len ? 0 : client_hung_up(xfq, error);
}

int xfq_status(struct xfq *xfq, char **json, struct xfq_error *error)
{
	struct protocol_request request = {.type = PROTOCOL_STATUS};
	struct protocol_answer head;
	struct client_answer answer = {
		.type = PROTOCOL_STATUS, .bytes = &head, .len = sizeof(head)};
	int fd = -1;
	int code = client_ask(xfq, &request, &fd, error);

	*json = NULL;
	if (code == 0)
		code = client_answer(xfq, fd, &answer, error);
	if (code == 0)
		code = client_text(xfq, fd, json, error);
	if (fd >= 0)
		close(fd);
	if (code) {
		free(*json);
		*json = NULL;
	}
	return code;
}
