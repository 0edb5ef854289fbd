/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection to the control socket: a client until its request is answered, a member from the
 * moment that it has joined.
 *
 * A peer that is dropped is not freed before the end of the round, as an event for it may still
 * wait to be looked at.
 */
#ifndef INSTANCE_CONTROL_PEER_H
#define INSTANCE_CONTROL_PEER_H

#include "apps/instance/control.h"

struct control_peer {
	struct control_peer *next, *previous;
	int fd;
	bool local;     /* a thread of this process */
	bool member;    /* has joined */
	bool ready;     /* and has said that packets may come */
	bool dropped;   /* closed; freed at the end of the round */
	uint32_t slot;  /* of a member */
	int process_fd; /* pidfd of a member's process; -1: none */
	struct access_asker asker;

	/* the command of a client, as it comes */
	bool commanding;
	char *json; /* owned */
	uint32_t json_len, json_got;
	uint64_t data_len, data_left;
	struct command *command; /* once the JSON text is whole */

	/* the answer to a client */
	bool answering, head_sent;
	struct protocol_answer head;
	char *body; /* owned; NULL: none */
	size_t body_len, sent;
};

/* A client on a connected socket, which is the peer's then; NULL: no memory, or nobody is there. */
struct control_peer *control_peer_create(int fd, bool local);

/* Do what its socket asks for; also when its process has ended. */
void control_peer_serve(struct control *control, struct control_peer *peer);

/* Begin an answer: the peer's body, or a refusal where `error` says so. */
void control_peer_answer(struct control_peer *peer, uint16_t type, const struct xfq_error *error);

/* Close and take off the list; a member's place is not given up here. */
void control_peer_drop(struct control *control, struct control_peer *peer);

/* The same, but a member gets last words first. */
void control_peer_dismiss(struct control *control, struct control_peer *peer, int code,
			  const char *text);

void control_peer_free_gone(struct control *control);

#endif
