/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/libxfq/client.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Send bytes in messages. 0 too where the other end is closed: it has said why. */
static int client_send_all(const struct xfq *xfq, int fd, const char *bytes, size_t len,
			   const struct client_command *watched, struct xfq_error *error)
{
	const size_t total = len;

	while (len > 0) {
		size_t part = len < PROTOCOL_MESSAGE_BYTES ? len : PROTOCOL_MESSAGE_BYTES;
		ssize_t sent = send(fd, bytes, part, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (sent < 0)
			return xfq_error_set(error, -errno, "%s: telling the instance: %s",
					     xfq->name,
					     strerror(errno == EAGAIN ? ETIMEDOUT : errno));
		bytes += sent;
		len -= (size_t)sent;
		if (watched && watched->progress)
			watched->progress(watched->context, total - len, total);
	}
	return 0;
}

int client_command(const struct xfq *xfq, const struct client_command *command, char **answer,
		   struct xfq_error *error)
{
	struct protocol_request request = {.type = PROTOCOL_COMMAND,
					   .json_len = strlen(command->json),
					   .data_len = command->data_len};
	struct protocol_answer head;
	struct client_answer wanted = {.type = PROTOCOL_COMMAND,
				       .bytes = &head,
				       .len = sizeof(head),
				       .wait_ms = CLIENT_COMMAND_MS};
	int fd = -1;
	int code = client_ask(xfq, &request, &fd, error);

	*answer = NULL;
	if (code == 0) {
		client_limit_sends(fd, CLIENT_COMMAND_MS);
		code = client_send_all(xfq, fd, command->json, (size_t)request.json_len, NULL,
				       error);
	}
	if (code == 0)
		code = client_send_all(xfq, fd, command->data, command->data_len, command, error);
	if (code == 0)
		code = client_answer(xfq, fd, &wanted, error);
	if (code == 0)
		code = client_text(xfq, fd, answer, error);
	if (fd >= 0)
		close(fd);
	if (code) {
		free(*answer);
		*answer = NULL;
	}
	return code;
}
