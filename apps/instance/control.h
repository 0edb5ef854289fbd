/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a running instance: DIR/NAME.sock, where DIR is $XFQ_RUN_DIR or /run/xfq.
 *
 * SOCK_SEQPACKET: a client sends one message, the name of what it wants ("status"), and reads the
 * answer, JSON in messages of at most CONTROL_MESSAGE_BYTES, up to the end of file. Clients are
 * served by the control thread without waiting for any of them; one that does not read, or says
 * something else, is dropped.
 */
#ifndef INSTANCE_CONTROL_H
#define INSTANCE_CONTROL_H

#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>
#include <xfq/error.h>

#define CONTROL_MESSAGE_BYTES 16384
#define CONTROL_CLIENTS_MAX   16

struct control_client {
	int fd;       /* -1: free */
	char *answer; /* owned; NULL: the request has not come yet */
	size_t len, sent;
	uint64_t number; /* in the order of coming */
};

struct control {
	int fd; /* listening; -1: none */
	struct sockaddr_un address;
	struct control_client clients[CONTROL_CLIENTS_MAX];
	uint64_t accepted;
};

/* Makes the answer to "status": JSON text that control frees, NULL without memory. */
typedef char *control_status(void *context);

/* The folder of all sockets. */
const char *control_dir(void);

/*
 * Listen under an instance's name. A socket that a dead instance left is replaced. 0, or -errno
 * with a sentence: -EADDRINUSE where an instance of that name runs.
 */
int control_open(struct control *control, const char *name, struct xfq_error *error);

/* What to poll: fills at most CONTROL_CLIENTS_MAX + 1 entries and returns their number. */
nfds_t control_poll(const struct control *control, struct pollfd *fds);

/* Serve whoever is ready, without waiting. */
void control_serve(struct control *control, control_status *status, void *context);

/* Stop listening and remove the socket. Safe where control_open() failed. */
void control_close(struct control *control);

/*
 * The client's side: ask the instance `name` and read the whole answer. 0 and *answer, which the
 * caller frees; or -errno with a sentence: -ENOENT where no instance of that name runs.
 */
int control_ask(const char *name, const char *request, char **answer, struct xfq_error *error);

/*
 * The names of the instances that run: sockets in control_dir(), without those that dead ones left.
 * Returns how many there are and stores at most `max` of them.
 */
size_t control_names(char names[][NAME_MAX + 1], size_t max);

#endif
