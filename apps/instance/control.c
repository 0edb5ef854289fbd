/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/control.h"
#include "apps/instance/control_peer.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

#define CONTROL_BACKLOG 64
#define CONTROL_EVENTS  64 /* taken at once */
#define CONTROL_ACCEPTS 64 /* new clients in a round, so that others are served too */

/* --- the socket ------------------------------------------------------------------------------ */

static int control_address(struct sockaddr_un *address, const char *name, struct xfq_error *error)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s" PROTOCOL_SUFFIX,
		     protocol_dir(), name) >= (int)sizeof(address->sun_path))
		return xfq_error_set(error, -ENAMETOOLONG,
				     "%s/%s" PROTOCOL_SUFFIX ": too long for a socket's path",
				     protocol_dir(), name);
	return 0;
}

/* Whether somebody listens at an address: 0, or -errno of connecting. */
static int control_probe(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int code = 0;

	if (fd < 0)
		return -errno;
	/* EAGAIN: so many ask it that there is no room for one more */
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) && errno != EAGAIN)
		code = -errno;
	close(fd);
	return code;
}

/* Everyone may ask; what they get depends on who asks. By chmod(), as the umask is the whole
 * process's, and its threads may be making files. */
static int control_admit(const struct control *control)
{
	return chmod(control->address.sun_path, 0666) || listen(control->listen_fd, CONTROL_BACKLOG)
		       ? -errno
		       : 0;
}

/* Bind and listen; a dead instance's socket gives way. */
static int control_claim(struct control *control)
{
	const struct sockaddr *address = (const struct sockaddr *)&control->address;
	struct stat status;

	if (bind(control->listen_fd, address, sizeof(control->address)) == 0)
		return control_admit(control);
	if (errno != EADDRINUSE)
		return -errno;
	if (control_probe(&control->address) != -ECONNREFUSED)
		return -EADDRINUSE;
	if (lstat(control->address.sun_path, &status) || !S_ISSOCK(status.st_mode))
		return -EEXIST;
	/* nobody listens: its owner died without removing it */
	unlink(control->address.sun_path);
	if (bind(control->listen_fd, address, sizeof(control->address)))
		return -errno;
	return control_admit(control);
}

/* One instance at a time claims a name: a socket that is bound, but does not listen yet, looks like
 * a dead instance's. */
static int control_bind(struct control *control)
{
	int dir = open(protocol_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int code;

	if (dir < 0)
		return -errno;
	/* for a second and no longer: everyone who may look into the folder can lock it */
	for (int i = 0; flock(dir, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK && i < 100; i++)
		usleep(10000);
	code = control_claim(control);
	close(dir);
	return code;
}

/* The folder of control sockets: made if it is not there, and not one in which everyone could put
 * another socket in the place of this one. */
static int control_folder(struct xfq_error *error)
{
	const char *dir = protocol_dir();
	struct stat status;

	if (mkdir(dir, 0755) == 0)
		(void)!chmod(dir, 0755); /* whatever the umask */
	else if (errno != EEXIST)
		return xfq_error_set(error, -errno, "%s: making the folder of control sockets: %s",
				     dir, strerror(errno));
	if (stat(dir, &status) == 0 && (status.st_mode & S_IWOTH) && !(status.st_mode & S_ISVTX))
		return xfq_error_set(error, -EPERM,
				     "%s: everyone may remove what is in the folder of control "
				     "sockets: chmod o-w %s",
				     dir, dir);
	return 0;
}

static int control_listen(struct control *control, const char *name, struct xfq_error *error)
{
	int code = control_address(&control->address, name, error);
	const int off = 0;

	if (code == 0)
		code = control_folder(error);
	if (code)
		return code;
	control->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->listen_fd < 0)
		return xfq_error_set(error, -errno, "control socket: %s", strerror(errno));
	/* clients inherit it; without it, before Linux 6.16, one that sends a descriptor can have
	 * its closing wait */
	(void)setsockopt(control->listen_fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
	code = control_bind(control);
	if (code == 0)
		return 0;
	close(control->listen_fd);
	control->listen_fd = -1;
	if (code == -EADDRINUSE)
		return xfq_error_set(error, code,
				     "an instance named %s is running (%s); give this one another "
				     "name: in its config",
				     name, control->address.sun_path);
	return xfq_error_set(error, code, "%s: %s", control->address.sun_path, strerror(-code));
}

static int control_watch(struct control *control, int fd, void *who)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = who};

	return epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int control_open(struct control *control, const char *name, const struct control_handler *handler,
		 void *context, struct xfq_error *error)
{
	int pair[2], code = 0;

	memset(control, 0, sizeof(*control));
	control->listen_fd = control->local_fd = control->local_peer_fd = -1;
	control->handler = handler;
	control->context = context;
	control->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (control->epoll_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		code = xfq_error_set(error, -errno, "control: %s", strerror(errno));
		goto failed;
	}
	control->local_fd = pair[0];
	control->local_peer_fd = pair[1];
	code = control_watch(control, control->local_fd, &control->local_fd);
	if (code) {
		xfq_error_set(error, code, "control: %s", strerror(-code));
		goto failed;
	}
	if (!name)
		return 0;
	code = control_listen(control, name, error);
	if (code)
		goto failed;
	code = control_watch(control, control->listen_fd, &control->listen_fd);
	if (code == 0)
		return 0;
	xfq_error_set(error, code, "control socket: %s", strerror(-code));
failed:
	control_close(control, "");
	return code;
}

/* --- serving --------------------------------------------------------------------------------- */

/* Where there is no place for one more client, one of those that say nothing gives way: the oldest
 * of the user who has the most, so that no user can keep out others. The threads of this process
 * are nobody's to keep out, and not counted. */
static void control_make_room(struct control *control)
{
	struct control_peer *victim = NULL;
	uint32_t most = 0;

	if (control->client_cnt < CONTROL_CLIENTS_MAX)
		return;
	for (struct control_peer *peer = control->peers; peer; peer = peer->next) {
		uint32_t same = 0;

		for (struct control_peer *other = control->peers; other; other = other->next)
			same += !other->member && !other->local &&
				other->asker.uid == peer->asker.uid;
		/* the list is newest first: the last of equals is the oldest */
		if (!peer->member && !peer->local && same >= most) {
			most = same;
			victim = peer;
		}
	}
	if (victim)
		control_peer_drop(control, victim);
}

/* Take up a connection, of another process or of a thread of this one. */
static void control_welcome(struct control *control, int fd, bool local)
{
	struct control_peer *peer;

	if (!local)
		control_make_room(control);
	peer = control_peer_create(fd, local);
	if (!peer) {
		close(fd);
		return;
	}
	peer->next = control->peers;
	if (peer->next)
		peer->next->previous = peer;
	control->peers = peer;
	control->client_cnt += !local;
	if (control_watch(control, fd, peer))
		control_peer_drop(control, peer);
}

static void control_accept(struct control *control)
{
	for (int i = 0; i < CONTROL_ACCEPTS; i++) {
		int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		control_welcome(control, fd, false);
		/* the others wait for the next round, when those that are here have had a turn */
		if (control->client_cnt >= CONTROL_CLIENTS_MAX)
			return;
	}
}

/* A thread of this process has sent an end of a socketpair. False: no more of them has come. */
static bool control_accept_one(struct control *control)
{
	char byte, room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = room,
				 .msg_controllen = sizeof(room)};
	ssize_t got = recvmsg(control->local_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head = got < 0 ? NULL : CMSG_FIRSTHDR(&message);
	int fd;

	if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
		return got >= 0;
	/* there is room for two, because of its alignment */
	for (size_t at = CMSG_LEN(0); at + sizeof(fd) <= head->cmsg_len; at += sizeof(fd)) {
		memcpy(&fd, (const char *)head + at, sizeof(fd));
		if (at == CMSG_LEN(0))
			control_welcome(control, fd, true);
		else
			close(fd);
	}
	return true;
}

static void control_accept_local(struct control *control)
{
	for (int i = 0; i < CONTROL_ACCEPTS && control_accept_one(control); i++)
		;
}

void control_serve(struct control *control)
{
	struct epoll_event events[CONTROL_EVENTS];
	int cnt = control->epoll_fd >= 0 ? epoll_wait(control->epoll_fd, events, CONTROL_EVENTS, 0)
					 : 0;

	/* first those who are here, then those who want to come and may need their places */
	for (int i = 0; i < cnt; i++) {
		void *who = events[i].data.ptr;

		if (who != &control->listen_fd && who != &control->local_fd)
			control_peer_serve(control, who);
	}
	for (int i = 0; i < cnt; i++) {
		void *who = events[i].data.ptr;

		if (who == &control->listen_fd)
			control_accept(control);
		else if (who == &control->local_fd)
			control_accept_local(control);
	}
	control_peer_free_gone(control);
}

void control_dismiss(struct control *control, uint32_t slot, int code, const char *text)
{
	for (struct control_peer *peer = control->peers; peer; peer = peer->next)
		if (peer->member && peer->slot == slot) {
			control_peer_dismiss(control, peer, code, text);
			return;
		}
}

void control_close(struct control *control, const char *text)
{
	while (control->peers)
		control_peer_dismiss(control, control->peers, -EPIPE, text);
	control_peer_free_gone(control);
	if (control->listen_fd >= 0) {
		unlink(control->address.sun_path);
		close(control->listen_fd);
	}
	if (control->local_fd >= 0)
		close(control->local_fd);
	if (control->local_peer_fd >= 0)
		close(control->local_peer_fd);
	if (control->epoll_fd >= 0)
		close(control->epoll_fd);
	control->epoll_fd = control->listen_fd = control->local_fd = control->local_peer_fd = -1;
}
