/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server's side of an instance's control socket; protocol.h says what is said over it.
 *
 *	listening socket, or local channel ---> client: one request, one answer, end of file
 *	                                          | JOIN, granted
 *	                                          v
 *	                                        member: its connection is its membership; packets
 *	                                        come once it is ready
 *
 * Everyone may connect; each request is decided by who asks. Nobody is waited for: a client that
 * says nothing gives way to newer ones, one that does not read is served as it does, and a member
 * that says or does anything but stay connected has left.
 *
 * The local channel is for members in the instance's own process: a connected socket, over which a
 * thread sends one end of each socketpair that it wants to talk on.
 *
 * Thread: the control thread's only. All descriptors wait in one epoll.
 */
#ifndef INSTANCE_CONTROL_H
#define INSTANCE_CONTROL_H

#include "apps/instance/protocol.h"
#include "workers/access.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>
#include <xfq/error.h>

#define CONTROL_CLIENTS_MAX 32 /* with a request that is not yet answered */

struct command;
struct control_peer;

/* What control_serve() asks of the instance; `asker` NULL: a thread of this process, which may
 * anything. */
struct control_handler {
	/* All counters as JSON, which control frees; or NULL with *error set. */
	char *(*status)(void *context, const struct access_asker *asker, struct xfq_error *error);

	/* Fill `groups`, of POLICY_GROUPS_MAX; returns their number. */
	uint32_t (*groups)(void *context, const struct access_asker *asker,
			   struct protocol_group *groups);

	/*
	 * Make a member that has no packets yet: fill `joined`, from `instance` on, and `fds`,
	 * PROTOCOL_FDS_MAX, which stay the instance's; `fd` is where it is woken, until it has
	 * left. 0 and *slot, or -errno with a sentence.
	 */
	int (*join)(void *context, const struct access_asker *asker,
		    const struct protocol_request *request, int fd, struct protocol_joined *joined,
		    int *fds, uint32_t *fd_cnt, uint32_t *slot, struct xfq_error *error);

	/* The member says that it has mapped and sealed its memory. 0: it is to have packets; or
	 * -errno with a sentence, and it leaves. */
	int (*ready)(void *context, uint32_t slot, struct xfq_error *error);

	/* The member is gone, ready or not; `why` is "left" or "died". */
	void (*leave)(void *context, uint32_t slot, const char *why);

	/* A command, as command.h has it: `begin`, `data` for each piece, then `end`, whose answer
	 * control frees, or `abort`. All four, or none. */
	int (*command_begin)(void *context, const struct access_asker *asker, const char *json,
			     size_t len, uint64_t data_len, struct command **command,
			     struct xfq_error *error);
	int (*command_data)(void *context, struct command *command, const char *bytes, size_t len,
			    struct xfq_error *error);
	char *(*command_end)(void *context, struct command *command, struct xfq_error *error);
	void (*command_abort)(void *context, struct command *command);
};

struct control {
	int epoll_fd; /* to be polled; readable: call control_serve(). -1: none */
	int listen_fd, local_fd;
	int local_peer_fd; /* the other end of local_fd: for threads of this process */
	struct sockaddr_un address;
	const struct control_handler *handler;
	void *context;
	struct control_peer *peers; /* clients and members, newest first */
	struct control_peer *gone;  /* to be freed after this round */
	uint32_t client_cnt;        /* from other processes, not yet members */
};

/*
 * Open the local channel and, where `name` is not NULL, listen under that name. A socket that a
 * dead instance left is replaced. The handler is not called before control_serve(). 0, or -errno
 * with a sentence: -EADDRINUSE where an instance of that name runs. The caller owes a
 * control_close().
 */
int control_open(struct control *control, const char *name, const struct control_handler *handler,
		 void *context, struct xfq_error *error);

/* Serve whoever is ready, without waiting. */
void control_serve(struct control *control);

/* Send a member its last words, `code` -EPIPE or -ECONNABORTED, and close its connection. The
 * handler is not told. */
void control_dismiss(struct control *control, uint32_t slot, int code, const char *text);

/* The same to all members; then stop listening, remove the socket, and drop everyone. Safe where
 * control_open() failed, and twice. */
void control_close(struct control *control, const char *text);

#endif
