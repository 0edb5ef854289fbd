/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/control_command.h"
#include "apps/instance/command.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define COMMAND_ROUND 16 /* messages taken before others have a turn */

void control_command_abort(struct control *control, struct control_peer *peer)
{
	if (peer->command)
		control->handler->command_abort(control->context, peer->command);
	peer->command = NULL;
	peer->commanding = false;
	free(peer->json);
	peer->json = NULL;
}

/* All has been said, or too much: answer. */
static void control_command_answer(struct control *control, struct control_peer *peer,
				   const struct xfq_error *error)
{
	control_command_abort(control, peer);
	peer->body_len = peer->body ? strlen(peer->body) : 0;
	control_peer_answer(peer, PROTOCOL_COMMAND, error);
}

void control_command_request(struct control *control, struct control_peer *peer,
			     const struct protocol_request *request)
{
	const struct access_asker *asker = peer->local ? NULL : &peer->asker;
	struct xfq_error error = {.code = 0};
	bool trusted = command_trusts(asker);

	if (!control->handler->command_begin)
		xfq_error_set(&error, -EOPNOTSUPP, "this instance takes no commands");
	else if (!trusted && (request->data_len > 0 || request->json_len > COMMAND_OTHERS_BYTES))
		xfq_error_set(&error, -EACCES,
			      "only the user that the instance runs as, and root, may do that");
	else if (request->json_len == 0 || request->json_len > PROTOCOL_JSON_BYTES_MAX ||
		 request->data_len > PROTOCOL_DATA_BYTES_MAX)
		xfq_error_set(&error, -E2BIG,
			      "a command of %llu bytes and %llu bytes of data; at most %u and %u",
			      (unsigned long long)request->json_len,
			      (unsigned long long)request->data_len, PROTOCOL_JSON_BYTES_MAX,
			      PROTOCOL_DATA_BYTES_MAX);
	else
		peer->json = malloc(request->json_len);
	if (error.code == 0 && !peer->json)
		xfq_error_set(&error, -ENOMEM, "no memory for a command");
	if (error.code) {
		control_command_answer(control, peer, &error);
		return;
	}
	peer->commanding = true;
	peer->json_len = (uint32_t)request->json_len;
	peer->json_got = 0;
	peer->data_left = peer->data_len = request->data_len;
}

/* Some bytes of it. -errno with *error: it is at its end. */
static int control_command_feed(struct control *control, struct control_peer *peer,
				const char *bytes, size_t len, struct xfq_error *error)
{
	const struct control_handler *handler = control->handler;
	size_t part = peer->json_len - peer->json_got;
	int code = 0;

	if (part > len)
		part = len;
	if (len - part > peer->data_left)
		return xfq_error_set(error, -EPROTO, "a command that is longer than it said");
	if (part > 0) {
		memcpy(peer->json + peer->json_got, bytes, part);
		peer->json_got += (uint32_t)part;
		if (peer->json_got == peer->json_len)
			code = handler->command_begin(
				control->context, peer->local ? NULL : &peer->asker, peer->json,
				peer->json_len, peer->data_len, &peer->command, error);
	}
	if (code == 0 && len > part) {
		peer->data_left -= len - part;
		code = handler->command_data(control->context, peer->command, bytes + part,
					     len - part, error);
	}
	return code;
}

void control_command_receive(struct control *control, struct control_peer *peer)
{
	char bytes[PROTOCOL_MESSAGE_BYTES];
	struct xfq_error error = {.code = 0};

	for (int i = 0; i < COMMAND_ROUND && peer->commanding; i++) {
		struct command *command;
		ssize_t got = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0 || got > (ssize_t)sizeof(bytes)) {
			control_peer_drop(control, peer);
			return;
		}
		if (control_command_feed(control, peer, bytes, (size_t)got, &error)) {
			control_command_answer(control, peer, &error);
			return;
		}
		if (!peer->command || peer->data_left > 0)
			continue;
		command = peer->command;
		peer->command = NULL; /* its end is its end */
		peer->body = control->handler->command_end(control->context, command, &error);
		control_command_answer(control, peer, &error);
	}
}
