/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client that gives a command (command.h): its JSON text and its data come in messages, a few of
 * which are taken in each round, so that one with much to say keeps nobody waiting.
 */
#ifndef INSTANCE_CONTROL_COMMAND_H
#define INSTANCE_CONTROL_COMMAND_H

#include "apps/instance/control_peer.h"

/* A request of type PROTOCOL_COMMAND has come: what follows is the command, or it is refused. */
void control_command_request(struct control *control, struct control_peer *peer,
			     const struct protocol_request *request);

/* More of it may have come; once all has, the peer has its answer. */
void control_command_receive(struct control *control, struct control_peer *peer);

/* The peer is dropped: so is its command. */
void control_command_abort(struct control *control, struct control_peer *peer);

#endif
