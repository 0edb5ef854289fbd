/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An instance that is none: a control socket with a thread behind it, and rings in memory of the
 * test's own, whose producer's side is in the test's hands.
 *
 *	fake_create(&fake, "demo");		in a folder of its own, XFQ_RUN_DIR; serves properly
 *	fake_bend(&fake, bend, context);	... or as bend() makes of it
 *	xfq_open(), xfq_join()
 *	fake_publish(&fake, 0, worker, cnt);	to the member that joined first
 *	fake_destroy(&fake);
 *
 * Every packet's payload is its number, which counts from 0 in each ring. A condition that does not
 * hold ends the program through FAKE_REQUIRE, which any thread may use.
 */
#ifndef TESTS_FAKE_INSTANCE_H
#define TESTS_FAKE_INSTANCE_H

#include "apps/instance/protocol.h"
#include "steering/ring.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FAKE_WORKERS     2
#define FAKE_MEMBERS     2
#define FAKE_SLOTS       64u
#define FAKE_FRAMES      256u
#define FAKE_FRAME_BYTES 256u
#define FAKE_HEADROOM    64u /* a multiple of 8, with room for metadata */
#define FAKE_LEN         60u /* bytes of a packet */
#define FAKE_STRIDE      4096u

#define FAKE_REQUIRE(condition)                                                                    \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct fake_area {
	int fd;
	uint8_t *base;
	size_t len;
};

struct fake_member {
	struct fake_area rings, cons;
	struct ring ring[FAKE_WORKERS];
	uint32_t slots[FAKE_WORKERS][FAKE_SLOTS];
	uint32_t sent[FAKE_WORKERS]; /* packets published */
	int conn;                    /* -1: has not joined */
	uint32_t wakes;              /* messages sent to it */
};

/* Each worker's frames belong to one thread at a time, which publishes. */
struct fake_worker {
	struct fake_area umem;
	struct frame_table frames;
	uint32_t free[FAKE_FRAMES];
	uint16_t refs[FAKE_FRAMES];
};

/* An answer as it is about to be sent; what bend() may change. */
struct fake_answer {
	struct protocol_joined joined; /* its `answer` alone where nobody joins */
	size_t len;
	int fds[PROTOCOL_FDS_MAX + 8];
	uint32_t fd_cnt;
	const void *more; /* bytes after it, in messages of at most PROTOCOL_MESSAGE_BYTES */
	size_t more_len;
	bool mute; /* send nothing, and keep the connection */
};

typedef void fake_bender(struct fake_answer *answer, const void *context);

struct fake {
	char dir[64];
	struct sockaddr_un address;
	int listen_fd, local_fd, local_peer_fd, stop_fds[2];
	pthread_t thread;
	struct fake_worker workers[FAKE_WORKERS];
	struct fake_member members[FAKE_MEMBERS];
	uint32_t joined_cnt;

	pthread_mutex_t lock; /* of what follows */
	fake_bender *bend;
	const void *context;
	bool curt;                    /* refuse without reading the request */
	struct protocol_request last; /* request */
	int muted[4];                 /* connections that are kept waiting */
	uint32_t muted_cnt;
};

static const struct protocol_group fake_groups[2] = {
	{.name = "web",
	 .steer = "flow",
	 .members = 1,
	 .members_max = 8,
	 .ring_slots = FAKE_SLOTS,
	 .allowed = 1,
	 .classes = "user,control"},
	{.name = "all", .steer = "broadcast", .members_max = 1, .ring_slots = 1024},
};

static const char fake_json[] = "{\"name\": \"demo\"}";

/* --- memory ----------------------------------------------------------------------------------- */

static inline void fake_area_create(struct fake_area *area, size_t len, int seals)
{
	area->len = len;
	area->fd = memfd_create("fake", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	FAKE_REQUIRE(area->fd >= 0 && ftruncate(area->fd, (off_t)len) == 0);
	area->base = NULL;
	if (len) {
		area->base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, area->fd, 0);
		FAKE_REQUIRE(area->base != MAP_FAILED);
	}
	FAKE_REQUIRE(fcntl(area->fd, F_ADD_SEALS, seals) == 0);
}

static inline void fake_area_destroy(struct fake_area *area)
{
	if (area->base)
		munmap(area->base, area->len);
	close(area->fd);
}

static inline struct xfq_ring_prod *fake_shared(struct fake_member *member, uint32_t worker)
{
	return (struct xfq_ring_prod *)(void *)(member->rings.base + worker * FAKE_STRIDE);
}

static inline struct xfq_ring_cons *fake_cons(struct fake_member *member, uint32_t worker)
{
	return (struct xfq_ring_cons *)(void *)(member->cons.base + worker * FAKE_STRIDE);
}

/* A member that has not joined. */
static inline void fake_make_member(struct fake *fake, struct fake_member *member)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW;

	fake_area_create(&member->rings, FAKE_WORKERS * FAKE_STRIDE, seals);
	fake_area_create(&member->cons, FAKE_WORKERS * FAKE_STRIDE, seals);
	member->conn = -1;
	for (uint32_t w = 0; w < FAKE_WORKERS; w++)
		FAKE_REQUIRE(ring_init(&member->ring[w], fake_shared(member, w),
				       fake_cons(member, w), member->slots[w], FAKE_SLOTS,
				       FAKE_SLOTS, w, fake->workers[w].umem.len) == 0);
}

/* --- the producer's side ---------------------------------------------------------------------- */

/* As the worker's loop does after a burst. Returns whether it woke the member. */
static inline bool fake_wake(struct fake_member *member, uint32_t worker)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!ring_wants_wake(&member->ring[worker]))
		return false;
	FAKE_REQUIRE(send(member->conn, "", PROTOCOL_WAKE_BYTES, MSG_DONTWAIT | MSG_NOSIGNAL) > 0 ||
		     errno == EAGAIN);
	member->wakes++;
	return true;
}

/* Publish `cnt` packets at once, at most as many as there is room for; returns how many. The
 * worker's frames come back first. */
static inline uint32_t fake_publish(struct fake *fake, uint32_t m, uint32_t w, uint32_t cnt)
{
	struct fake_member *member = &fake->members[m];
	struct fake_worker *worker = &fake->workers[w];
	uint32_t room;

	FAKE_REQUIRE(ring_reclaim(&member->ring[w], &worker->frames) == 0);
	room = ring_room(&member->ring[w]);
	cnt = cnt < room ? cnt : room;
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t frame = frame_take(&worker->frames), number = member->sent[w]++;
		uint64_t addr = (uint64_t)frame * FAKE_FRAME_BYTES + FAKE_HEADROOM;
		struct xfq_meta meta = {
			.magic = XFQ_META_CHECKED, .wire_len = FAKE_LEN, .flow_hash = number};
		uint8_t *data = worker->umem.base + addr;

		FAKE_REQUIRE(frame != FRAME_NONE);
		memcpy(data - XFQ_META_BYTES, &meta, sizeof(meta));
		memset(data, (int)w, FAKE_LEN);
		memcpy(data, &number, sizeof(number));
		ring_write_slot(&member->ring[w], (member->ring[w].prod + i) & member->ring[w].mask,
				frame, addr, FAKE_LEN, ~number);
		frame_hold(&worker->frames, frame);
		frame_settle(&worker->frames, frame);
	}
	ring_publish(&member->ring[w], cnt);
	if (cnt)
		fake_wake(member, w);
	return cnt;
}

/* All members are gone, and others may join. */
static inline void fake_renew(struct fake *fake)
{
	pthread_mutex_lock(&fake->lock);
	for (uint32_t m = 0; m < FAKE_MEMBERS; m++) {
		struct fake_member *member = &fake->members[m];

		for (uint32_t w = 0; w < FAKE_WORKERS; w++)
			ring_detach(&member->ring[w], &fake->workers[w].frames);
		fake_area_destroy(&member->rings);
		fake_area_destroy(&member->cons);
		if (member->conn >= 0)
			close(member->conn);
		memset(member, 0, sizeof(*member));
		fake_make_member(fake, member);
	}
	fake->joined_cnt = 0;
	pthread_mutex_unlock(&fake->lock);
}

static inline void fake_notice(struct fake_member *member, int code, const char *text)
{
	struct protocol_notice notice = {.magic = PROTOCOL_MAGIC, .code = code};

	snprintf(notice.text, sizeof(notice.text), "%s", text);
	FAKE_REQUIRE(send(member->conn, &notice, sizeof(notice), MSG_NOSIGNAL) == sizeof(notice));
}

static inline void fake_hang_up(struct fake_member *member)
{
	close(member->conn);
	member->conn = -1;
}

/* Wait until the member's end of the connection is gone; whether it said farewell before. */
static inline bool fake_await_leave(struct fake *fake, uint32_t m)
{
	struct pollfd end = {.events = POLLIN};
	char byte;
	ssize_t got;

	pthread_mutex_lock(&fake->lock); /* another process may have joined */
	end.fd = fake->members[m].conn;
	pthread_mutex_unlock(&fake->lock);
	FAKE_REQUIRE(poll(&end, 1, 10000) == 1);
	got = recv(end.fd, &byte, 1, 0);
	if (got == PROTOCOL_LEAVE_BYTES) {
		FAKE_REQUIRE(recv(end.fd, &byte, 1, 0) == 0);
		return true;
	}
	FAKE_REQUIRE(got == 0);
	return false;
}

/* --- the control socket ----------------------------------------------------------------------- */

static inline void fake_answer_join(struct fake *fake, struct fake_answer *answer)
{
	struct fake_member *member = &fake->members[fake->joined_cnt];
	struct protocol_joined *joined = &answer->joined;

	FAKE_REQUIRE(fake->joined_cnt < FAKE_MEMBERS);
	answer->len = sizeof(*joined);
	strcpy(joined->instance, "demo");
	memcpy(joined->group, fake->last.group, sizeof(joined->group));
	strcpy(joined->interfaces, "eth0,eth1");
	joined->id = 7 + fake->joined_cnt;
	joined->worker_cnt = FAKE_WORKERS;
	joined->ring_slots = FAKE_SLOTS;
	joined->ring_stride = FAKE_STRIDE;
	joined->cons_stride = FAKE_STRIDE;
	answer->fds[answer->fd_cnt++] = member->rings.fd;
	answer->fds[answer->fd_cnt++] = member->cons.fd;
	for (uint32_t w = 0; w < FAKE_WORKERS; w++)
		answer->fds[answer->fd_cnt++] = fake->workers[w].umem.fd;
}

static inline void fake_send(int fd, const struct fake_answer *answer)
{
	char room[CMSG_SPACE(sizeof(answer->fds))] __attribute__((aligned(8))) = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)&answer->joined,
			     .iov_len = answer->len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	size_t bytes = answer->fd_cnt * sizeof(int);

	if (answer->len == 0)
		return;
	if (bytes) {
		struct cmsghdr *head = (struct cmsghdr *)(void *)room;

		message.msg_control = room;
		message.msg_controllen = CMSG_SPACE(bytes);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(head), answer->fds, bytes);
	}
	(void)!sendmsg(fd, &message, MSG_NOSIGNAL);
	for (size_t sent = 0; sent < answer->more_len; sent += PROTOCOL_MESSAGE_BYTES) {
		size_t left = answer->more_len - sent;

		(void)!send(fd, (const char *)answer->more + sent,
			    left < PROTOCOL_MESSAGE_BYTES ? left : PROTOCOL_MESSAGE_BYTES,
			    MSG_NOSIGNAL);
	}
}

/* The member maps its memory, says so, and is told that packets come; or it is gone. */
static inline void fake_await_ready(int fd)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	char bytes[PROTOCOL_READY_BYTES + 1];

	FAKE_REQUIRE(poll(&ready, 1, 10000) == 1);
	if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) == PROTOCOL_READY_BYTES)
		(void)!send(fd, "", PROTOCOL_WAKE_BYTES, MSG_NOSIGNAL);
}

/* Serve one client, which has 10 seconds to ask. */
static inline void fake_serve(struct fake *fake, int fd)
{
	struct fake_answer answer = {.len = sizeof(struct protocol_answer)};
	struct pollfd client = {.fd = fd, .events = POLLIN};
	struct protocol_request *last = &fake->last;

	FAKE_REQUIRE(poll(&client, 1, 10000) == 1);
	if (fake->curt) {
		answer.joined.answer = (struct protocol_answer){.magic = PROTOCOL_MAGIC,
								.version = PROTOCOL_VERSION,
								.type = PROTOCOL_GROUPS,
								.code = -EBUSY,
								.text = "too many ask"};
		fake_send(fd, &answer);
		close(fd);
		return;
	}
	if (recv(fd, last, sizeof(*last), 0) != sizeof(*last)) {
		close(fd); /* it wanted to know whether somebody is there */
		return;
	}
	FAKE_REQUIRE(last->magic == PROTOCOL_MAGIC && last->version == PROTOCOL_VERSION);
	answer.joined.answer = (struct protocol_answer){
		.magic = PROTOCOL_MAGIC, .version = PROTOCOL_VERSION, .type = last->type};
	if (last->type == PROTOCOL_JOIN) {
		fake_answer_join(fake, &answer);
	} else if (last->type == PROTOCOL_GROUPS) {
		answer.joined.answer.cnt = 2;
		answer.more = fake_groups;
		answer.more_len = sizeof(fake_groups);
	} else {
		answer.more = fake_json;
		answer.more_len = sizeof(fake_json) - 1;
	}
	if (fake->bend)
		fake->bend(&answer, fake->context);
	if (answer.mute) {
		FAKE_REQUIRE(fake->muted_cnt < 4);
		fake->muted[fake->muted_cnt++] = fd;
		return;
	}
	if (last->type == PROTOCOL_JOIN && !fake->bend) {
		fake->members[fake->joined_cnt++].conn = fd; /* before the member can know */
		fake_send(fd, &answer);
		fake_await_ready(fd);
		return;
	}
	fake_send(fd, &answer);
	close(fd);
}

/* The end of a socketpair that a thread of this process has sent; -1: there will be none. */
static inline int fake_accept_local(const struct fake *fake)
{
	char byte, room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = room,
				 .msg_controllen = sizeof(room)};
	int fd;

	if (recvmsg(fake->local_fd, &message, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	FAKE_REQUIRE(CMSG_FIRSTHDR(&message)->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static inline void *fake_run(void *argument)
{
	struct fake *fake = argument;
	struct pollfd fds[3] = {{.fd = fake->stop_fds[0], .events = POLLIN},
				{.fd = fake->listen_fd, .events = POLLIN},
				{.fd = fake->local_fd, .events = POLLIN}};

	for (;;) {
		int fd;

		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[0].revents)
			return NULL;
		fd = fds[1].revents ? accept4(fake->listen_fd, NULL, NULL, SOCK_CLOEXEC)
				    : fake_accept_local(fake);
		if (fd < 0) {
			fds[2].fd = -1;
			continue;
		}
		pthread_mutex_lock(&fake->lock);
		fake_serve(fake, fd);
		pthread_mutex_unlock(&fake->lock);
	}
}

/* From now on, answers are sent as `bend` makes of them, and nobody joins; NULL: properly. */
static inline void fake_bend(struct fake *fake, fake_bender *bend, const void *context)
{
	pthread_mutex_lock(&fake->lock);
	fake->bend = bend;
	fake->context = context;
	pthread_mutex_unlock(&fake->lock);
}

/* How many descriptors this process has, while nobody is being served. */
static inline int fake_open_fds(struct fake *fake)
{
	int cnt = 0;
	DIR *dir;

	pthread_mutex_lock(&fake->lock);
	dir = opendir("/proc/self/fd");
	FAKE_REQUIRE(dir);
	while (readdir(dir))
		cnt++;
	closedir(dir);
	pthread_mutex_unlock(&fake->lock);
	return cnt;
}

static inline void fake_create(struct fake *fake, const char *name)
{
	memset(fake, 0, sizeof(*fake));
	strcpy(fake->dir, "/tmp/xfq-fake.XXXXXX");
	FAKE_REQUIRE(mkdtemp(fake->dir) && setenv("XFQ_RUN_DIR", fake->dir, 1) == 0);
	pthread_mutex_init(&fake->lock, NULL);
	for (uint32_t w = 0; w < FAKE_WORKERS; w++) {
		struct fake_worker *worker = &fake->workers[w];

		fake_area_create(&worker->umem, FAKE_FRAMES * FAKE_FRAME_BYTES, F_SEAL_SHRINK);
		frame_init(&worker->frames, worker->free, worker->refs, FAKE_FRAMES);
	}
	for (uint32_t m = 0; m < FAKE_MEMBERS; m++)
		fake_make_member(fake, &fake->members[m]);
	fake->address.sun_family = AF_UNIX;
	snprintf(fake->address.sun_path, sizeof(fake->address.sun_path), "%s/%s" PROTOCOL_SUFFIX,
		 fake->dir, name);
	fake->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	FAKE_REQUIRE(bind(fake->listen_fd, (struct sockaddr *)&fake->address,
			  sizeof(fake->address)) == 0);
	FAKE_REQUIRE(listen(fake->listen_fd, 8) == 0 && pipe2(fake->stop_fds, O_CLOEXEC) == 0);
	int pair[2];
	FAKE_REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	fake->local_fd = pair[0];
	fake->local_peer_fd = pair[1];
	FAKE_REQUIRE(pthread_create(&fake->thread, NULL, fake_run, fake) == 0);
}

static inline void fake_destroy(struct fake *fake)
{
	FAKE_REQUIRE(write(fake->stop_fds[1], "", 1) == 1);
	pthread_join(fake->thread, NULL);
	for (uint32_t m = 0; m < FAKE_MEMBERS; m++) {
		fake_area_destroy(&fake->members[m].rings);
		fake_area_destroy(&fake->members[m].cons);
		if (fake->members[m].conn >= 0)
			close(fake->members[m].conn);
	}
	for (uint32_t w = 0; w < FAKE_WORKERS; w++)
		fake_area_destroy(&fake->workers[w].umem);
	for (uint32_t i = 0; i < fake->muted_cnt; i++)
		close(fake->muted[i]);
	close(fake->listen_fd);
	close(fake->local_fd);
	if (fake->local_peer_fd >= 0)
		close(fake->local_peer_fd);
	close(fake->stop_fds[0]);
	close(fake->stop_fds[1]);
	unlink(fake->address.sun_path);
	rmdir(fake->dir);
}

#endif
