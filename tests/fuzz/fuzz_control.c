/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile clients: the input is a list of what clients do at a control socket, and threads of this
 * process at the local channel, with rounds of the server in between, whose instance refuses or
 * grants at the input's choice. After each step the server's books agree with the instance's: who
 * is a client, who a member, each joined once and left once; and in the end no descriptor is left
 * over.
 */
#include "apps/instance/control.h"
#include "apps/instance/control_peer.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS      8
#define STEPS_MAX    200
#define SLOTS        512
#define STATUS_BYTES 400000 /* more than a socket takes at once */
#define BYTES_MAX    6000   /* of a message: more than any that means something */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

struct input {
	const uint8_t *data;
	size_t size;
};

static uint32_t input_byte(struct input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

/* --- the instance ----------------------------------------------------------------------------- */

enum seat_state { SEAT_FREE = 0, SEAT_JOINED, SEAT_READY };

static struct {
	struct control control;
	enum seat_state seats[SLOTS];
	uint32_t next;     /* slot */
	uint32_t members;  /* joined and not left */
	uint32_t commands; /* begun and not ended */
	uint32_t sum;      /* of what they say, so that all of it is read */
	uint32_t whims;    /* what the instance refuses now, a bit each */
	int fds[4];        /* of members' memory */
	int clients[CLIENTS];
} fuzz;

static char *fuzz_status(void *context, const struct access_asker *asker, struct xfq_error *error)
{
	size_t len = fuzz.whims & 1 ? STATUS_BYTES : 20;
	char *text = fuzz.whims & 2 ? NULL : malloc(len + 1);

	(void)context;
	require(!asker || asker->uid == geteuid());
	if (!text) {
		xfq_error_set(error, -EACCES, "not now");
		return NULL;
	}
	memset(text, 'x', len);
	text[len] = '\0';
	return text;
}

static uint32_t fuzz_groups(void *context, const struct access_asker *asker,
			    struct protocol_group *groups)
{
	(void)context;
	(void)asker;
	for (uint32_t g = 0; g < (fuzz.whims & 4 ? 64u : 0u); g++)
		snprintf(groups[g].name, sizeof(groups[g].name), "group %u", g);
	return fuzz.whims & 4 ? 64 : 0;
}

static int fuzz_join(void *context, const struct access_asker *asker,
		     const struct protocol_request *request, int fd, struct protocol_joined *joined,
		     int *fds, uint32_t *fd_cnt, uint32_t *slot, struct xfq_error *error)
{
	(void)context;
	(void)asker;
	require(fd >= 0 && memchr(request->group, 0, sizeof(request->group)));
	require(memchr(request->process, 0, sizeof(request->process)) && request->weight <= 1000);
	if ((fuzz.whims & 8) || fuzz.next == SLOTS)
		return xfq_error_set(error, -EBUSY, "group %s is full", request->group);
	*fd_cnt = 1 + fuzz.next % 4;
	memcpy(fds, fuzz.fds, *fd_cnt * sizeof(int));
	joined->worker_cnt = *fd_cnt;
	*slot = fuzz.next++;
	fuzz.seats[*slot] = SEAT_JOINED;
	fuzz.members++;
	return 0;
}

static int fuzz_ready(void *context, uint32_t slot, struct xfq_error *error)
{
	(void)context;
	require(slot < SLOTS && fuzz.seats[slot] == SEAT_JOINED);
	if (fuzz.whims & 16)
		return xfq_error_set(error, -EPERM, "not sealed");
	fuzz.seats[slot] = SEAT_READY;
	return 0;
}

static void fuzz_leave(void *context, uint32_t slot, const char *why)
{
	(void)context;
	require(slot < SLOTS && fuzz.seats[slot] != SEAT_FREE);
	require(strcmp(why, "left") == 0 || strcmp(why, "died") == 0);
	fuzz.seats[slot] = SEAT_FREE;
	fuzz.members--;
}

/* A command, whose books are kept beside it. */
struct command {
	uint64_t data_left;
};

static int fuzz_command_begin(void *context, const struct access_asker *asker, const char *json,
			      size_t len, uint64_t data_len, struct command **command,
			      struct xfq_error *error)
{
	(void)context;
	(void)asker;
	require(json && len > 0 && len <= PROTOCOL_JSON_BYTES_MAX);
	for (size_t i = 0; i < len; i++)
		fuzz.sum += (uint8_t)json[i];
	if (fuzz.whims & 32)
		return xfq_error_set(error, -EINVAL, "no such command");
	*command = malloc(sizeof(**command));
	require(*command);
	(*command)->data_left = data_len;
	fuzz.commands++;
	return 0;
}

static int fuzz_command_data(void *context, struct command *command, const char *bytes, size_t len,
			     struct xfq_error *error)
{
	(void)context;
	require(len > 0 && len <= command->data_left);
	command->data_left -= len;
	for (size_t i = 0; i < len; i++)
		fuzz.sum += (uint8_t)bytes[i];
	return fuzz.whims & 64 ? xfq_error_set(error, -EINVAL, "no such data") : 0;
}

static void fuzz_command_abort(void *context, struct command *command)
{
	(void)context;
	fuzz.commands--;
	free(command);
}

static char *fuzz_command_end(void *context, struct command *command, struct xfq_error *error)
{
	require(command->data_left == 0);
	fuzz_command_abort(context, command);
	return fuzz_status(context, NULL, error);
}

static const struct control_handler fuzz_handler = {
	.status = fuzz_status,
	.groups = fuzz_groups,
	.join = fuzz_join,
	.ready = fuzz_ready,
	.leave = fuzz_leave,
	.command_begin = fuzz_command_begin,
	.command_data = fuzz_command_data,
	.command_end = fuzz_command_end,
	.command_abort = fuzz_command_abort,
};

/* The server's books agree with the instance's. */
static void fuzz_check(void)
{
	const struct control_peer *before = NULL;
	uint32_t clients = 0, members = 0, commands = 0;

	for (const struct control_peer *peer = fuzz.control.peers; peer; peer = peer->next) {
		require(!peer->dropped && peer->previous == before && peer->fd >= 0);
		if (peer->member) {
			members++;
			require(fuzz.seats[peer->slot] == (peer->ready ? SEAT_READY : SEAT_JOINED));
		} else {
			clients += !peer->local;
		}
		commands += peer->command != NULL;
		require(!peer->command || peer->commanding);
		before = peer;
	}
	require(clients == fuzz.control.client_cnt && clients <= CONTROL_CLIENTS_MAX);
	require(members == fuzz.members);
	require(commands == fuzz.commands);
}

/* --- clients ---------------------------------------------------------------------------------- */

static void client_close(uint32_t c)
{
	if (fuzz.clients[c] >= 0)
		close(fuzz.clients[c]);
	fuzz.clients[c] = -1;
}

static void client_connect(uint32_t c)
{
	client_close(c);
	fuzz.clients[c] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	require(fuzz.clients[c] >= 0);
	if (connect(fuzz.clients[c], (const struct sockaddr *)&fuzz.control.address,
		    sizeof(fuzz.control.address)))
		require(errno == EAGAIN);
}

/* Send bytes, with so many descriptors. */
static void message_send(int fd, const void *bytes, size_t len, const int *fds, size_t fd_cnt)
{
	char room[CMSG_SPACE(8 * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *head = (struct cmsghdr *)(void *)room;

	if (fd_cnt) {
		message.msg_control = room;
		message.msg_controllen = CMSG_SPACE(fd_cnt * sizeof(int));
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(fd_cnt * sizeof(int));
		memcpy(CMSG_DATA(head), fds, fd_cnt * sizeof(int));
	}
	(void)!sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void client_local(uint32_t c)
{
	int pair[2];

	client_close(c);
	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	message_send(fuzz.control.local_peer_fd, "", 1, &pair[1], 1);
	close(pair[1]);
	fuzz.clients[c] = pair[0];
}

/* A thread that sends what it should not: too many descriptors, of other kinds, without a byte. */
static void local_garbage(uint32_t how)
{
	uint32_t cnt = how & 3;
	int fds[3], pipe_fds[2];

	for (uint32_t i = 0; i < cnt; i++) {
		if (how & 4) {
			fds[i] = memfd_create("fuzz", MFD_CLOEXEC);
		} else {
			require(pipe2(pipe_fds, O_CLOEXEC) == 0);
			fds[i] = pipe_fds[0];
			close(pipe_fds[1]);
		}
		require(fds[i] >= 0);
	}
	message_send(fuzz.control.local_peer_fd, "garbage", how >> 3 & 7, fds, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		close(fds[i]);
}

/* A request that is right, but for what the input puts in the place of something. */
static void client_request(uint32_t c, struct input *input)
{
	struct protocol_request request = {.magic = PROTOCOL_MAGIC,
					   .version = PROTOCOL_VERSION,
					   .type = (uint16_t)(input_byte(input) % 6),
					   .ring_version = XFQ_RING_VERSION,
					   .desc_len = sizeof(struct xfq_ring_desc),
					   .meta_len = XFQ_META_BYTES,
					   .group = "all"};
	uint32_t at = input_byte(input), value = input_byte(input);

	if (request.type == PROTOCOL_COMMAND) {
		request.json_len = value;
		request.data_len = (uint64_t)at * 50;
	}

	else if (at < sizeof(request) && value)
		((uint8_t *)&request)[at] = (uint8_t)value;
	message_send(fuzz.clients[c], &request, sizeof(request), fuzz.fds, value % 3 == 1);
}

static void client_raw(uint32_t c, struct input *input)
{
	static uint8_t bytes[BYTES_MAX];
	size_t len = input_byte(input) * (BYTES_MAX / 256 + 1);

	if (len < sizeof(struct protocol_request) * 2)
		len /= 8;
	for (size_t i = 0; i < len && i < 16; i++)
		bytes[i] = (uint8_t)input_byte(input);
	message_send(fuzz.clients[c], bytes, len < sizeof(bytes) ? len : sizeof(bytes), fuzz.fds,
		     len % 4);
}

/* Take what has come, and close the descriptors in it. */
static void client_receive(uint32_t c)
{
	char room[CMSG_SPACE(PROTOCOL_FDS_MAX * sizeof(int))] __attribute__((aligned(8)));
	static char bytes[PROTOCOL_MESSAGE_BYTES];
	struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = room,
				 .msg_controllen = sizeof(room)};
	const struct cmsghdr *head;

	if (recvmsg(fuzz.clients[c], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return;
	head = CMSG_FIRSTHDR(&message);
	for (size_t at = CMSG_LEN(0); head && at + sizeof(int) <= head->cmsg_len;
	     at += sizeof(int)) {
		int fd;

		memcpy(&fd, (const char *)head + at, sizeof(fd));
		close(fd);
	}
}

/* --- steps ------------------------------------------------------------------------------------ */

static void fuzz_dismiss(uint32_t which)
{
	struct control_peer *peer = fuzz.control.peers;

	while (peer && which-- > 0)
		peer = peer->next;
	if (!peer || !peer->member)
		return;
	/* as the instance does with a member that lies: first it has left */
	fuzz.seats[peer->slot] = SEAT_FREE;
	fuzz.members--;
	control_dismiss(&fuzz.control, peer->slot, -ECONNABORTED, "it lied");
}

static void fuzz_step(struct input *input)
{
	uint32_t what = input_byte(input), c = what >> 4 & (CLIENTS - 1);
	static const char bytes[4];

	switch (what & 15) {
	case 0:
	case 1:
		client_connect(c);
		break;
	case 2:
		client_local(c);
		break;
	case 3:
	case 4:
		client_request(c, input);
		break;
	case 5:
		client_raw(c, input);
		break;
	case 6:
		client_receive(c);
		break;
	case 7:
		message_send(fuzz.clients[c], bytes, PROTOCOL_READY_BYTES, NULL, 0);
		break;
	case 8:
		message_send(fuzz.clients[c], bytes, PROTOCOL_LEAVE_BYTES, NULL, 0);
		break;
	case 9:
		client_close(c);
		break;
	case 10:
		shutdown(fuzz.clients[c], (int)(input_byte(input) % 3));
		break;
	case 11:
		local_garbage(input_byte(input));
		break;
	case 12:
		fuzz.whims = input_byte(input);
		break;
	case 13:
		fuzz_dismiss(input_byte(input) % 16);
		break;
	default:
		control_serve(&fuzz.control);
	}
}

static uint32_t fuzz_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint32_t cnt = 0;

	require(dir);
	while (readdir(dir))
		cnt++;
	closedir(dir);
	return cnt;
}

/* Made once: a folder for the socket, and descriptors to be given away. */
static char fuzz_dir[] = "/tmp/xfq-fuzz-XXXXXX";

static void fuzz_finish(void)
{
	rmdir(fuzz_dir);
}

static void fuzz_start(void)
{
	require(mkdtemp(fuzz_dir) && setenv("XFQ_RUN_DIR", fuzz_dir, 1) == 0);
	atexit(fuzz_finish);
	for (int i = 0; i < 4; i++)
		fuzz.fds[i] = memfd_create("fuzz", MFD_CLOEXEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct xfq_error error;
	uint32_t before;

	if (fuzz.fds[0] == 0)
		fuzz_start();
	before = fuzz_descriptors();
	memset(fuzz.seats, 0, sizeof(fuzz.seats));
	memset(fuzz.clients, -1, sizeof(fuzz.clients));
	fuzz.next = fuzz.members = fuzz.commands = fuzz.whims = 0;
	require(control_open(&fuzz.control, "fuzz", &fuzz_handler, NULL, &error) == 0);
	for (uint32_t step = 0; step < STEPS_MAX && input.size > 0; step++) {
		fuzz_step(&input);
		fuzz_check();
	}
	/* with nobody doing anything, the server has nothing to do after some rounds */
	for (uint32_t c = 0; c < CLIENTS; c++)
		client_close(c);
	for (uint32_t round = 0; round < 2 * CLIENTS + STEPS_MAX / CONTROL_CLIENTS_MAX; round++)
		control_serve(&fuzz.control);
	fuzz_check();
	require(!fuzz.control.peers && fuzz.members == 0 && fuzz.commands == 0);
	control_close(&fuzz.control, "the end");
	control_close(&fuzz.control, "the end");
	require(fuzz_descriptors() == before);
	return 0;
}
