/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/hostile/seat.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int seat_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(2, "socket");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		err(2, "%s", path);
	return fd;
}

static void seat_ask(const struct seat *seat, const char *group)
{
	struct protocol_request request = {
		.magic = PROTOCOL_MAGIC,
		.version = PROTOCOL_VERSION,
		.type = PROTOCOL_JOIN,
		.ring_version = XFQ_RING_VERSION,
		.desc_len = sizeof(struct xfq_ring_desc),
		.meta_len = XFQ_META_BYTES,
		.process = "hostile",
	};

	snprintf(request.group, sizeof(request.group), "%s", group);
	if (send(seat->fd, &request, sizeof(request), MSG_NOSIGNAL) != sizeof(request))
		err(2, "asking to join");
}

static void seat_take_answer(struct seat *seat)
{
	char room[CMSG_SPACE(sizeof(seat->fds))] __attribute__((aligned(8)));
	struct iovec part = {.iov_base = &seat->joined, .iov_len = sizeof(seat->joined)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = room,
				 .msg_controllen = sizeof(room)};
	ssize_t got = recvmsg(seat->fd, &message, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;

	if (got < (ssize_t)sizeof(seat->joined.answer))
		errx(2, "no answer to a join");
	if (seat->joined.answer.code)
		errx(3, "%s", seat->joined.answer.text);
	if (!head || head->cmsg_type != SCM_RIGHTS)
		errx(2, "a join was granted without descriptors");
	seat->fd_cnt = (uint32_t)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(seat->fds, CMSG_DATA(head), seat->fd_cnt * sizeof(int));
	if (seat->fd_cnt != SEAT_UMEM + seat->joined.worker_cnt)
		errx(2, "%u descriptors for %u workers", seat->fd_cnt, seat->joined.worker_cnt);
}

void seat_take(struct seat *seat, const char *path, const char *group)
{
	memset(seat, 0, sizeof(*seat));
	seat->fd = seat_connect(path);
	seat_ask(seat, group);
	seat_take_answer(seat);
	for (uint32_t i = 0; i < seat->fd_cnt; i++) {
		struct seat_area *area = &seat->areas[i];
		struct stat status;

		if (fstat(seat->fds[i], &status))
			err(2, "fstat");
		area->len = (size_t)status.st_size;
		area->base = mmap(NULL, area->len, PROT_READ | (i == SEAT_CONS ? PROT_WRITE : 0),
				  MAP_SHARED, seat->fds[i], 0);
		if (area->base == MAP_FAILED)
			err(2, "mapping descriptor %u of a join", i);
	}
}

void seat_seal(const struct seat *seat)
{
	if (fcntl(seat->fds[SEAT_CONS], F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL))
		err(2, "sealing the consumer pages");
}

void seat_ready(const struct seat *seat)
{
	const char bytes[PROTOCOL_READY_BYTES] = {0};
	char text[PROTOCOL_TEXT_BYTES] = "";
	int code;

	if (send(seat->fd, bytes, sizeof(bytes), MSG_NOSIGNAL) != sizeof(bytes))
		err(2, "saying that packets may come");
	code = seat_hear(seat, 10000, text);
	if (code <= 0)
		errx(4, "no packets will come: %d %s", code, text);
}

void seat_leave(const struct seat *seat)
{
	char byte = 0;

	for (uint32_t i = 0; i < seat->fd_cnt; i++) {
		munmap(seat->areas[i].base, seat->areas[i].len);
		close(seat->fds[i]);
	}
	(void)!send(seat->fd, &byte, PROTOCOL_LEAVE_BYTES, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(seat->fd);
}

const struct xfq_ring_prod *seat_ring(const struct seat *seat, uint32_t worker)
{
	return (const void *)(seat->areas[SEAT_RINGS].base + worker * seat->joined.ring_stride);
}

struct xfq_ring_cons *seat_cons(const struct seat *seat, uint32_t worker)
{
	return (void *)(seat->areas[SEAT_CONS].base + worker * seat->joined.cons_stride);
}

void seat_release(const struct seat *seat)
{
	for (uint32_t w = 0; w < seat->joined.worker_cnt; w++)
		__atomic_store_n(&seat_cons(seat, w)->cons,
				 __atomic_load_n(&seat_ring(seat, w)->prod, __ATOMIC_ACQUIRE),
				 __ATOMIC_RELEASE);
}

void seat_set_waiting(const struct seat *seat, uint32_t waiting)
{
	for (uint32_t w = 0; w < seat->joined.worker_cnt; w++)
		__atomic_store_n(&seat_cons(seat, w)->waiting, waiting, __ATOMIC_SEQ_CST);
}

int seat_hear(const struct seat *seat, int timeout_ms, char text[PROTOCOL_TEXT_BYTES])
{
	struct pollfd poll_fd = {.fd = seat->fd, .events = POLLIN};
	struct protocol_notice notice;
	ssize_t got;

	if (poll(&poll_fd, 1, timeout_ms) <= 0)
		return 0;
	got = recv(seat->fd, &notice, sizeof(notice), MSG_DONTWAIT);
	if (got == sizeof(notice) && notice.magic == PROTOCOL_MAGIC) {
		snprintf(text, PROTOCOL_TEXT_BYTES, "%.*s", PROTOCOL_TEXT_BYTES - 1, notice.text);
		return notice.code;
	}
	return got > 0 || (got < 0 && errno == EAGAIN) ? 1 : -ECONNRESET;
}
