/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/control_peer.h"
#include "apps/instance/control_command.h"
#include "steering/policy.h"
#include "steering/roster.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

struct control_peer *control_peer_create(int fd, bool local)
{
	struct control_peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return NULL;
	peer->fd = fd;
	peer->local = local;
	peer->process_fd = -1;
	if (!local && access_asker_read(fd, &peer->asker)) {
		free(peer);
		return NULL;
	}
	return peer;
}

void control_peer_drop(struct control *control, struct control_peer *peer)
{
	if (peer->dropped)
		return;
	peer->dropped = true;
	control_command_abort(control, peer);
	control->client_cnt -= !peer->member && !peer->local;
	/* not by closing alone: a child that this process has fork()ed may hold the connection,
	 * too, and keep it up, and in the epoll */
	epoll_ctl(control->epoll_fd, EPOLL_CTL_DEL, peer->fd, NULL);
	shutdown(peer->fd, SHUT_RDWR);
	close(peer->fd);
	if (peer->process_fd >= 0) {
		epoll_ctl(control->epoll_fd, EPOLL_CTL_DEL, peer->process_fd, NULL);
		close(peer->process_fd);
	}
	if (peer->previous)
		peer->previous->next = peer->next;
	else
		control->peers = peer->next;
	if (peer->next)
		peer->next->previous = peer->previous;
	peer->next = control->gone;
	control->gone = peer;
}

void control_peer_free_gone(struct control *control)
{
	while (control->gone) {
		struct control_peer *peer = control->gone;

		control->gone = peer->next;
		access_asker_destroy(&peer->asker);
		free(peer->body);
		free(peer);
	}
}

void control_peer_dismiss(struct control *control, struct control_peer *peer, int code,
			  const char *text)
{
	struct protocol_notice notice = {.magic = PROTOCOL_MAGIC, .code = code};

	if (peer->member) {
		snprintf(notice.text, sizeof(notice.text), "%s", text);
		/* one that does not read has no room for it, and sees the end of file */
		(void)!send(peer->fd, &notice, sizeof(notice), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	control_peer_drop(control, peer);
}

void control_peer_answer(struct control_peer *peer, uint16_t type, const struct xfq_error *error)
{
	peer->answering = true;
	peer->head = (struct protocol_answer){.magic = PROTOCOL_MAGIC,
					      .version = PROTOCOL_VERSION,
					      .type = type,
					      .code = error->code};
	if (error->code)
		snprintf(peer->head.text, sizeof(peer->head.text), "%.*s", PROTOCOL_TEXT_BYTES - 1,
			 error->text);
}

/* Send what there is to be sent, as far as the client reads. */
static void peer_send(struct control *control, struct control_peer *peer)
{
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	struct epoll_event event = {.events = EPOLLOUT, .data.ptr = peer};
	ssize_t got = 0;

	if (!peer->head_sent) {
		got = send(peer->fd, &peer->head, sizeof(peer->head), flags);
		peer->head_sent = got > 0;
	}
	while (peer->head_sent && peer->sent < peer->body_len) {
		size_t part = peer->body_len - peer->sent;

		if (part > PROTOCOL_MESSAGE_BYTES)
			part = PROTOCOL_MESSAGE_BYTES;
		got = send(peer->fd, peer->body + peer->sent, part, flags);
		if (got < 0)
			break;
		peer->sent += (size_t)got;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR) &&
	    epoll_ctl(control->epoll_fd, EPOLL_CTL_MOD, peer->fd, &event) == 0)
		return;
	control_peer_drop(control, peer);
}

/* Watch a member's process: a child that it has fork()ed may hold its connection open after it. */
static int peer_watch_process(struct control *control, struct control_peer *peer)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
	socklen_t len = sizeof(peer->process_fd);

	if (peer->local)
		return 0;
	/* the process that has connected, and not one that has got its number since */
	if (getsockopt(peer->fd, SOL_SOCKET, SO_PEERPIDFD, &peer->process_fd, &len)) {
		peer->process_fd = -1;
		if (errno == ENOPROTOOPT && peer->asker.pid)
			peer->process_fd = (int)syscall(SYS_pidfd_open, peer->asker.pid, 0);
	}
	if (peer->process_fd < 0) /* without, its hang-up has to do */
		return errno == ESRCH ? -ESRCH : 0;
	return epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, peer->process_fd, &event) ? -errno : 0;
}

/* Send a granted join with its descriptors: a new connection has room for it. */
static int peer_send_joined(const struct control_peer *peer, struct protocol_joined *joined,
			    const int *fds, uint32_t fd_cnt)
{
	char room[CMSG_SPACE(sizeof(int) * PROTOCOL_FDS_MAX)] __attribute__((aligned(8))) = {0};
	struct iovec part = {.iov_base = joined, .iov_len = sizeof(*joined)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = room,
				 .msg_controllen = CMSG_SPACE(sizeof(int) * fd_cnt)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int) * fd_cnt);
	memcpy(CMSG_DATA(head), fds, sizeof(int) * fd_cnt);
	return sendmsg(peer->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* What makes a join request unfit, whoever asks. */
static int peer_check_join(const struct protocol_request *request, struct xfq_error *error)
{
	if (request->ring_version != XFQ_RING_VERSION ||
	    request->desc_len != sizeof(struct xfq_ring_desc) ||
	    request->meta_len != XFQ_META_BYTES)
		return xfq_error_set(
			error, -EPROTONOSUPPORT,
			"the member knows rings of version %u (descriptors of %u, "
			"metadata of %u bytes), and this instance has version %u (%zu, "
			"%u); use libraries of one version",
			request->ring_version, request->desc_len, request->meta_len,
			XFQ_RING_VERSION, sizeof(struct xfq_ring_desc), XFQ_META_BYTES);
	if (!memchr(request->group, 0, sizeof(request->group)) ||
	    !memchr(request->process, 0, sizeof(request->process)) ||
	    !memchr(request->classes, 0, sizeof(request->classes)))
		return xfq_error_set(error, -EINVAL, "a name in the request does not end");
	if (request->weight > ROSTER_WEIGHT_MAX)
		return xfq_error_set(error, -EINVAL, "a weight of %u; 1 to %d", request->weight,
				     ROSTER_WEIGHT_MAX);
	return 0;
}

/* A join: the client becomes a member, or is refused. */
static void peer_join(struct control *control, struct control_peer *peer,
		      const struct protocol_request *request, struct xfq_error *error)
{
	const struct control_handler *handler = control->handler;
	struct protocol_joined joined = {.answer = {.magic = PROTOCOL_MAGIC,
						    .version = PROTOCOL_VERSION,
						    .type = PROTOCOL_JOIN}};
	int fds[PROTOCOL_FDS_MAX];
	uint32_t fd_cnt = 0;
	int code = peer_check_join(request, error);

	if (code == 0)
		code = handler->join(control->context, peer->local ? NULL : &peer->asker, request,
				     peer->fd, &joined, fds, &fd_cnt, &peer->slot, error);
	if (code) {
		control_peer_answer(peer, PROTOCOL_JOIN, error);
		return;
	}
	peer->member = true;
	control->client_cnt -= !peer->local;
	code = peer_watch_process(control, peer);
	if (code == 0)
		code = peer_send_joined(peer, &joined, fds, fd_cnt);
	if (code) {
		/* it went away while it was being served */
		handler->leave(control->context, peer->slot, "died");
		control_peer_drop(control, peer);
	}
}

/* A request has come. */
static void peer_request(struct control *control, struct control_peer *peer)
{
	const struct control_handler *handler = control->handler;
	const struct access_asker *asker = peer->local ? NULL : &peer->asker;
	struct protocol_request request;
	struct xfq_error error = {.code = 0};
	/* descriptors that come along are closed by the kernel, as none are asked for */
	ssize_t got = recv(peer->fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got < (ssize_t)offsetof(struct protocol_request, group) ||
	    request.magic != PROTOCOL_MAGIC) {
		control_peer_drop(control, peer);
		return;
	}
	if (request.version != PROTOCOL_VERSION || got != sizeof(request)) {
		xfq_error_set(&error, -EPROTONOSUPPORT,
			      "the request is of version %u (%zd bytes), and this instance "
			      "understands version %u (%zu)",
			      request.version, got, PROTOCOL_VERSION, sizeof(request));
		control_peer_answer(peer, request.type, &error);
	} else if (request.type == PROTOCOL_JOIN) {
		peer_join(control, peer, &request, &error);
	} else if (request.type == PROTOCOL_STATUS) {
		peer->body = handler->status(control->context, asker, &error);
		peer->body_len = peer->body ? strlen(peer->body) : 0;
		control_peer_answer(peer, request.type, &error);
	} else if (request.type == PROTOCOL_COMMAND) {
		control_command_request(control, peer, &request);
	} else if (request.type == PROTOCOL_GROUPS) {
		struct protocol_group *groups = calloc(POLICY_GROUPS_MAX, sizeof(*groups));
		uint32_t cnt = groups ? handler->groups(control->context, asker, groups) : 0;

		if (!groups)
			xfq_error_set(&error, -ENOMEM, "no memory for an answer");
		peer->body = (char *)groups;
		peer->body_len = cnt * sizeof(*groups);
		control_peer_answer(peer, request.type, &error);
		peer->head.cnt = cnt;
	} else {
		xfq_error_set(&error, -EOPNOTSUPP, "this instance knows no request %u",
			      request.type);
		control_peer_answer(peer, request.type, &error);
	}
}

/* A member says that packets may come: they do, and it is told, or it hears why not. */
static void peer_admit(struct control *control, struct control_peer *peer)
{
	const struct control_handler *handler = control->handler;
	const char byte[PROTOCOL_WAKE_BYTES] = {0};
	struct xfq_error error;

	peer->ready = true;
	if (handler->ready(control->context, peer->slot, &error) == 0) {
		(void)!send(peer->fd, byte, sizeof(byte), MSG_DONTWAIT | MSG_NOSIGNAL);
		return;
	}
	handler->leave(control->context, peer->slot, "died");
	control_peer_dismiss(control, peer, -ECONNABORTED, error.text);
}

/* Whether a member is still one: NULL, or why not. */
static const char *peer_end(struct control *control, struct control_peer *peer)
{
	struct pollfd process = {.fd = peer->process_fd, .events = POLLIN};
	char message[16];
	ssize_t got = recv(peer->fd, message, sizeof(message), MSG_DONTWAIT);

	if (got == PROTOCOL_READY_BYTES && !peer->ready) {
		peer_admit(control, peer);
		return NULL;
	}
	if (got > 0)
		return "left"; /* it says so: a member says nothing else */
	if (got == 0 || (errno != EAGAIN && errno != EINTR))
		return "died";
	return poll(&process, 1, 0) > 0 ? "died" : NULL;
}

void control_peer_serve(struct control *control, struct control_peer *peer)
{
	const char *why;

	if (peer->dropped)
		return;
	if (peer->member) {
		why = peer_end(control, peer);
		if (why) {
			control->handler->leave(control->context, peer->slot, why);
			control_peer_drop(control, peer);
		}
		return;
	}
	if (!peer->answering && !peer->commanding)
		peer_request(control, peer);
	if (peer->commanding && !peer->dropped)
		control_command_receive(control, peer);
	if (peer->answering && !peer->dropped)
		peer_send(control, peer);
}
