/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/control.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define CONTROL_SUFFIX       ".sock"
#define CONTROL_ANSWER_BYTES (64U << 20) /* more than any instance can say */
#define CONTROL_WAIT_SECONDS 5

const char *control_dir(void)
{
	const char *dir = getenv("XFQ_RUN_DIR");

	return dir && dir[0] ? dir : "/run/xfq";
}

static int control_address(struct sockaddr_un *address, const char *name, struct xfq_error *error)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s" CONTROL_SUFFIX,
		     control_dir(), name) >= (int)sizeof(address->sun_path))
		return xfq_error_set(error, -ENAMETOOLONG,
				     "%s/%s" CONTROL_SUFFIX ": too long for a socket's path",
				     control_dir(), name);
	return 0;
}

/* Connect; -errno where nobody listens. */
static int control_connect(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address))) {
		int code = -errno;

		close(fd);
		return code;
	}
	return fd;
}

/* Bind and listen; a dead instance's socket gives way. */
static int control_claim(struct control *control)
{
	const struct sockaddr *address = (const struct sockaddr *)&control->address;
	struct stat status;
	int client;

	if (bind(control->fd, address, sizeof(control->address)) == 0)
		return listen(control->fd, CONTROL_CLIENTS_MAX) ? -errno : 0;
	if (errno != EADDRINUSE)
		return -errno;
	client = control_connect(&control->address);
	if (client >= 0) {
		close(client);
		return -EADDRINUSE;
	}
	if (client != -ECONNREFUSED)
		return -EADDRINUSE;
	if (lstat(control->address.sun_path, &status) || !S_ISSOCK(status.st_mode))
		return -EEXIST;
	/* nobody listens: its owner died without removing it */
	unlink(control->address.sun_path);
	if (bind(control->fd, address, sizeof(control->address)) ||
	    listen(control->fd, CONTROL_CLIENTS_MAX))
		return -errno;
	return 0;
}

/* One instance at a time claims a name: a socket that is bound, but does not listen yet, looks like
 * a dead instance's. */
static int control_bind(struct control *control)
{
	int dir = open(control_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int code;

	if (dir < 0)
		return -errno;
	code = flock(dir, LOCK_EX) ? -errno : control_claim(control);
	close(dir);
	return code;
}

int control_open(struct control *control, const char *name, struct xfq_error *error)
{
	mode_t mask;
	int code;

	memset(control, 0, sizeof(*control));
	control->fd = -1;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
	code = control_address(&control->address, name, error);
	if (code)
		return code;
	if (mkdir(control_dir(), 0755) && errno != EEXIST)
		return xfq_error_set(error, -errno, "%s: making the folder of control sockets: %s",
				     control_dir(), strerror(errno));
	control->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->fd < 0)
		return xfq_error_set(error, -errno, "control socket: %s", strerror(errno));
	mask = umask(0177); /* only its owner may ask */
	code = control_bind(control);
	umask(mask);
	if (code == 0)
		return 0;
	close(control->fd);
	control->fd = -1;
	if (code == -EADDRINUSE)
		return xfq_error_set(error, code,
				     "an instance named %s is running (%s); give this one another "
				     "name: in its config",
				     name, control->address.sun_path);
	return xfq_error_set(error, code, "%s: %s", control->address.sun_path, strerror(-code));
}

nfds_t control_poll(const struct control *control, struct pollfd *fds)
{
	nfds_t cnt = 0;

	if (control->fd < 0)
		return 0;
	fds[cnt++] = (struct pollfd){.fd = control->fd, .events = POLLIN};
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].fd >= 0)
			fds[cnt++] = (struct pollfd){
				.fd = control->clients[i].fd,
				.events = control->clients[i].answer ? POLLOUT : POLLIN,
			};
	return cnt;
}

static void control_drop(struct control_client *client)
{
	close(client->fd);
	free(client->answer);
	*client = (struct control_client){.fd = -1};
}

/* A new client; where there is no place, the one that came first gives way. */
static void control_accept(struct control *control)
{
	int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct control_client *place = &control->clients[0];

	if (fd < 0)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX && place->fd >= 0; i++)
		if (control->clients[i].fd < 0 || control->clients[i].number < place->number)
			place = &control->clients[i];
	if (place->fd >= 0)
		control_drop(place);
	place->fd = fd;
	place->number = ++control->accepted;
}

static void control_client_serve(struct control_client *client, control_status *status,
				 void *context)
{
	char request[64];
	ssize_t got;

	if (!client->answer) {
		got = recv(client->fd, request, sizeof(request) - 1, 0);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		request[got > 0 ? got : 0] = '\0';
		if (strcmp(request, "status") == 0)
			client->answer = status(context);
		if (!client->answer) {
			control_drop(client);
			return;
		}
		client->len = strlen(client->answer);
	}
	while (client->sent < client->len) {
		size_t part = client->len - client->sent;

		if (part > CONTROL_MESSAGE_BYTES)
			part = CONTROL_MESSAGE_BYTES;
		got = send(client->fd, client->answer + client->sent, part, MSG_NOSIGNAL);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got < 0)
			break;
		client->sent += (size_t)got;
	}
	control_drop(client);
}

void control_serve(struct control *control, control_status *status, void *context)
{
	if (control->fd < 0)
		return;
	control_accept(control);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].fd >= 0)
			control_client_serve(&control->clients[i], status, context);
}

void control_close(struct control *control)
{
	if (control->fd < 0)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].fd >= 0)
			control_drop(&control->clients[i]);
	unlink(control->address.sun_path);
	close(control->fd);
	control->fd = -1;
}

/* Read messages up to the end of file. */
static int control_read(int fd, char **answer)
{
	char *text = NULL;
	size_t len = 0;
	ssize_t got;

	do {
		char *more = len < CONTROL_ANSWER_BYTES
				     ? realloc(text, len + CONTROL_MESSAGE_BYTES + 1)
				     : NULL;

		if (!more) {
			free(text);
			return -ENOMEM;
		}
		text = more;
		got = recv(fd, text + len, CONTROL_MESSAGE_BYTES, 0);
		if (got < 0) {
			int code = -errno;

			free(text);
			return code;
		}
		len += (size_t)got;
	} while (got > 0);
	text[len] = '\0';
	*answer = text;
	return len ? 0 : -ECONNRESET;
}

int control_ask(const char *name, const char *request, char **answer, struct xfq_error *error)
{
	struct timeval wait = {.tv_sec = CONTROL_WAIT_SECONDS};
	struct sockaddr_un address;
	int code = control_address(&address, name, error);
	int fd;

	if (code)
		return code;
	fd = control_connect(&address);
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		return xfq_error_set(error, -ENOENT, "no instance named %s is running (%s)", name,
				     address.sun_path);
	if (fd < 0)
		return xfq_error_set(error, fd, "%s: %s", address.sun_path, strerror(-fd));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		code = -errno;
	if (code == 0)
		code = control_read(fd, answer);
	close(fd);
	if (code)
		return xfq_error_set(error, code, "%s: no answer: %s", address.sun_path,
				     code == -EAGAIN ? "timed out" : strerror(-code));
	return 0;
}

size_t control_names(char names[][NAME_MAX + 1], size_t max)
{
	DIR *dir = opendir(control_dir());
	char name[NAME_MAX + 1];
	const struct dirent *entry;
	struct sockaddr_un address;
	size_t cnt = 0;
	int client;

	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name), suffix = strlen(CONTROL_SUFFIX);

		if (len <= suffix || strcmp(entry->d_name + len - suffix, CONTROL_SUFFIX) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(len - suffix), entry->d_name);
		client = control_address(&address, name, NULL) ? -1 : control_connect(&address);
		if (client == -ECONNREFUSED)
			continue; /* a dead instance's */
		if (client >= 0)
			close(client);
		if (cnt < max)
			memcpy(names[cnt], name, sizeof(name));
		cnt++;
	}
	if (dir)
		closedir(dir);
	return cnt;
}
