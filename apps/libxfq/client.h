/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's side of the control socket: finding an instance, and asking it.
 *
 * A struct xfq holds no connection, only how to make one, and each request makes its own
 * (apps/instance/protocol.h). There are two ways to make one:
 *
 *	by address   connect(2) to DIR/NAME.sock
 *	local        to an instance in this process, which needs no name in the file system: one
 *	             end of a new socketpair(2) goes through `local_fd` to the instance, the other
 *	             end is the connection
 *
 * Whoever answers is checked before it is believed: magic, version, type and size. All descriptors
 * are close-on-exec. Functions that take an error fill it on every failure.
 */
#ifndef LIBXFQ_CLIENT_H
#define LIBXFQ_CLIENT_H

#include "apps/instance/protocol.h"
#include <stddef.h>
#include <sys/un.h>

#define CLIENT_WAIT_MS 5000 /* that an instance has for each message of an answer */
#define CLIENT_COMMAND_MS                                                                          \
	60000 /* the same for that of a command, which it may have to work for                     \
	       */

struct xfq {
	char name[XFQ_NAME_BYTES];
	struct sockaddr_un address;
	int local_fd; /* owned, SOCK_SEQPACKET; -1: by address */
};

/*
 * The names of the instances that run: sockets in protocol_dir(), without those that dead ones
 * left. Returns how many there are, of which it stores at most `max`, sorted; or -errno.
 */
int client_names(char names[][XFQ_NAME_BYTES], size_t max);

/*
 * The local form. `local_fd` belongs to *xfq from then on, and is closed where this fails. 0 and
 * *xfq, which the caller owes an xfq_close(), or -ENOMEM.
 */
int client_local(struct xfq **xfq, int local_fd, const char *name, struct xfq_error *error);

/*
 * Connect and send a request, whose magic and version this sets. *fd is stored as soon as there is
 * one, also where this fails; the caller, who has set it to -1, closes it. 0 or -errno; -ENOENT
 * where nobody listens.
 */
int client_ask(const struct xfq *xfq, struct protocol_request *request, int *fd,
	       struct xfq_error *error);

/* An answer on its way. */
struct client_answer {
	uint16_t type;    /* enum protocol_type of the request */
	void *bytes;      /* out: struct protocol_answer, and what a longer one has after it */
	size_t len;       /* bytes of it */
	int *fds;         /* out: descriptors; NULL: none are wanted */
	uint32_t fd_max;  /* room for them */
	uint32_t fd_cnt;  /* out: the caller's to close; 0 where this fails */
	uint32_t wait_ms; /* 0: CLIENT_WAIT_MS */
};

/*
 * Wait for the answer and check it. 0: code 0, and exactly `len` bytes. Else -errno: what the
 * instance refused with, and its sentence; -EPROTONOSUPPORT: another version; -EPROTO: no answer to
 * this; -ETIMEDOUT; -ECONNRESET, or -ENOENT in the local form: it hung up.
 */
int client_answer(const struct xfq *xfq, int fd, struct client_answer *answer,
		  struct xfq_error *error);

/* Sends and connects, unlike receives, wait in the kernel: from now on no longer than this. */
void client_limit_sends(int fd, uint32_t wait_ms);

/* Receive the text of an answer, up to the end of file, into *text, which is NULL before, and the
 * caller's to free also where this fails. Returns as client_answer(). */
int client_text(const struct xfq *xfq, int fd, char **text, struct xfq_error *error);

/* What a command is given. */
struct client_command {
	const char *json; /* JSON text, an object with the key "command" */
	const char *data; /* what follows it; NULL: nothing */
	size_t data_len;
	/* called with how many bytes of the data are sent; NULL: nobody looks */
	void (*progress)(void *context, size_t sent, size_t total);
	void *context;
};

/*
 * Give an instance a command. 0 and *answer, JSON text, the caller's to free; or -errno, and
 * *answer is NULL: what the instance refused with, and its sentence; else as client_answer(). An
 * instance has CLIENT_COMMAND_MS for it.
 */
int client_command(const struct xfq *xfq, const struct client_command *command, char **answer,
		   struct xfq_error *error);

/* Say that what a join was answered with is mapped, and wait until packets come. 0, or -errno: what
 * the instance says against it, and its sentence; else as client_answer(). */
int client_ready(const struct xfq *xfq, int fd, struct xfq_error *error);

#endif
