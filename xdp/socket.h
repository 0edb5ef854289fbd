/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first pass as the filter of packet sockets: a program beside the XDP program of a generation,
 * by the same rules, with the same maps: sets, buckets, tables and counters are one.
 */
#ifndef XDP_SOCKET_H
#define XDP_SOCKET_H

#include "xdp/filter.h"
#include <xfq/error.h>

struct first_pass_bpf;
struct socket_bpf;
struct socket_attached_bpf;

/* Load the program beside one that is loaded. 0 with *socket, which the caller owes a
 * socket_unload(); or -errno with a sentence. */
int socket_load(struct socket_bpf **socket, const struct first_pass_bpf *beside,
		const struct filter *filter, struct xfq_error *error);

/* The program that sockets are given, which goes on to one of those. 0 with *hub, which the caller
 * owes a socket_unhub(); or -errno with a sentence. */
int socket_hub(struct socket_attached_bpf **hub, struct xfq_error *error);

/* Have it filter the packet socket `fd`. 0 or -errno with a sentence. */
int socket_attach(const struct socket_attached_bpf *hub, int fd, struct xfq_error *error);

/* Have it go on to this one from now on. 0 or -errno. */
int socket_switch(const struct socket_attached_bpf *hub, const struct socket_bpf *socket);

/* Sockets that it filters keep it, and receive nothing more. NULL is allowed. */
void socket_unhub(struct socket_attached_bpf *hub);

/* Its descriptor, for BPF_PROG_TEST_RUN; -1 where there is none. */
int socket_program_fd(const struct socket_bpf *socket);

/* NULL is allowed. */
void socket_unload(struct socket_bpf *socket);

#endif
