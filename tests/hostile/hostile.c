/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A member that misbehaves, in one way after another. Whoever starts it looks at what becomes of
 *the instance and of the other members.
 *
 *	hostile MODE SOCKET GROUP [PID]		PID: of the instance, where it is known
 *	hostile self				what "map" does, upon a file of its own that may be
 *						written: shows that it would be seen
 *
 * It says "ready" once it has joined, and goes on until SIGTERM, or until its membership ends: then
 * it says why.
 */
#include "tests/hostile/assault.h"
#include "tests/hostile/seat.h"
#include <err.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HOSTILE_WATCHES 300000 /* some 20 ms of a wake-up */
#define HOSTILE_DESCS   1000   /* of the connection; each epoll watches all of them */
#define HOSTILE_FLOOD   1000   /* messages of a chatty one */

static struct seat seat;

static void hostile_say(const char *text)
{
	puts(text);
	fflush(stdout);
}

static void hostile_sleep_ms(long ms)
{
	const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

static void hostile_thread(void *(*run)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, NULL))
		errx(2, "a thread");
}

/* Numbers that nobody can foresee; different in each thread. */
static uint32_t hostile_random(void)
{
	static _Thread_local uint64_t state;

	if (state == 0)
		state = (uint64_t)time(NULL) ^ (uintptr_t)&state;
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 32);
}

/* The ring with the worker that has published most. */
static uint32_t hostile_busiest(void)
{
	uint32_t busiest = 0;

	for (uint32_t w = 1; w < seat.joined.worker_cnt; w++)
		if (seat_ring(&seat, w)->prod > seat_ring(&seat, busiest)->prod)
			busiest = w;
	return busiest;
}

/* --- what is written into the consumer pages -----------------------------------------------------
 */

static void hostile_ahead(void)
{
	uint32_t w;

	while (seat_ring(&seat, w = hostile_busiest())->prod == 0)
		hostile_sleep_ms(1);
	__atomic_store_n(&seat_cons(&seat, w)->cons, seat_ring(&seat, w)->prod + 1000000,
			 __ATOMIC_RELEASE);
}

/* Release much, let the worker take it back, and then take some of it back, too. */
static void hostile_back(void)
{
	uint32_t w;

	while (seat_ring(&seat, w = hostile_busiest())->prod < 100)
		hostile_sleep_ms(1);
	for (int i = 0; i < 100; i++) {
		seat_release(&seat);
		hostile_sleep_ms(1);
	}
	seat_cons(&seat, w)->cons -= 50;
}

static void *hostile_wild(void *context)
{
	for (;;)
		for (uint32_t w = 0; w < seat.joined.worker_cnt; w++)
			__atomic_store_n(&seat_cons(&seat, w)->cons, hostile_random(),
					 __ATOMIC_RELAXED);
	return context;
}

static void *hostile_scribble(void *context)
{
	const struct seat_area *area = &seat.areas[SEAT_CONS];

	for (;;)
		for (size_t at = 0; at < area->len; at += sizeof(uint32_t))
			__atomic_store_n((uint32_t *)(void *)(area->base + at), hostile_random(),
					 __ATOMIC_RELAXED);
	return context;
}

static void *hostile_claim(void *context)
{
	for (;;)
		seat_set_waiting(&seat, 1);
	return context;
}

/* Keep up with the worker, and claim to sleep all the time. */
static void *hostile_keep_up(void *context)
{
	for (;;) {
		seat_release(&seat);
		seat_set_waiting(&seat, 1);
	}
	return context;
}

/* --- what is done to the memory behind them ------------------------------------------------------
 */

/* Take pages out of the consumer pages again and again, in a thread that gets to run as little as
 * can be, beside others that keep its CPU from it: whoever waits for it waits long. */
static void *hostile_punch(void *context)
{
	const struct sched_param none = {0};

	(void)sched_setscheduler(0, SCHED_IDLE, &none);
	for (;;) {
		if (fallocate(seat.fds[SEAT_CONS], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			      (off_t)seat.areas[SEAT_CONS].len) == 0)
			hostile_say("a hole was punched");
		(void)madvise(seat.areas[SEAT_CONS].base, seat.areas[SEAT_CONS].len, MADV_REMOVE);
	}
	return context;
}

static void *hostile_burn(void *context)
{
	while (hostile_random())
		;
	return context;
}

/* --- what is done with the connection ------------------------------------------------------------
 */

/* Lay watches on the connection: whoever wakes has to call each of them. */
static void hostile_watch(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int fds[HOSTILE_DESCS], epoll_fd = -1;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	for (int i = 0; i < HOSTILE_DESCS; i++)
		fds[i] = dup(seat.fd);
	for (int i = 0; i < HOSTILE_WATCHES; i++) {
		if (i % HOSTILE_DESCS == 0)
			epoll_fd = epoll_create1(EPOLL_CLOEXEC);
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i % HOSTILE_DESCS], &event))
			return; /* as many as the system allows */
	}
}

static void hostile_chat(void)
{
	char bytes[4096] = {0};

	for (int i = 0; i < HOSTILE_FLOOD; i++)
		if (send(seat.fd, bytes, 1 + hostile_random() % sizeof(bytes),
			 MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
}

/* A child keeps the connection; its parent ends without a word. */
static void hostile_fork(void)
{
	if (fork() == 0) {
		hostile_sleep_ms(4000);
		_exit(0);
	}
	raise(SIGKILL);
}

/* Another process has the connection, and the one that has joined ends. */
static void hostile_pass(void)
{
	char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	char byte = 0;
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = room,
				 .msg_controllen = sizeof(room)};
	struct cmsghdr *head = (struct cmsghdr *)(void *)room;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		err(2, "socketpair");
	if (fork() == 0) {
		close(seat.fd);
		if (recvmsg(pair[1], &message, 0) == 1)
			hostile_sleep_ms(4000);
		_exit(0);
	}
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &seat.fd, sizeof(int));
	if (sendmsg(pair[0], &message, 0) != 1)
		err(2, "passing the connection");
	_exit(0);
}

/* --- modes ------------------------------------------------------------------------------------ */

static void hostile_do(const char *mode)
{
	if (strcmp(mode, "ahead") == 0) {
		hostile_ahead();
	} else if (strcmp(mode, "back") == 0) {
		hostile_back();
	} else if (strcmp(mode, "wild") == 0) {
		hostile_thread(hostile_wild);
	} else if (strcmp(mode, "scribble") == 0) {
		hostile_thread(hostile_scribble);
	} else if (strcmp(mode, "sleepy") == 0) {
		hostile_thread(hostile_claim);
	} else if (strcmp(mode, "deaf") == 0) {
		hostile_thread(hostile_keep_up);
	} else if (strcmp(mode, "watched") == 0) {
		hostile_watch();
		hostile_thread(hostile_keep_up);
	} else if (strcmp(mode, "punch") == 0) {
		for (int i = 0; i < 2; i++) {
			hostile_thread(hostile_punch);
			hostile_thread(hostile_burn);
		}
	} else if (strcmp(mode, "chatty") == 0) {
		hostile_chat();
	} else if (strcmp(mode, "fork") == 0) {
		hostile_fork();
	} else if (strcmp(mode, "exec") == 0) {
		execlp("sleep", "sleep", "4", (char *)NULL);
		err(2, "sleep");
	} else if (strcmp(mode, "passed") == 0) {
		hostile_pass();
	} else if (strcmp(mode, "stall") != 0 && strcmp(mode, "half") != 0) {
		errx(2, "unknown mode %s", mode);
	}
}

/* Those that are deaf hear nothing: how it ends for them is the instance's to say. */
static int hostile_await(bool deaf)
{
	char text[PROTOCOL_TEXT_BYTES] = "";
	int code = 1;

	while (deaf)
		pause();
	while (code >= 0)
		code = seat_hear(&seat, -1, text);
	printf("ended: %d: %s\n", code, text);
	return 0;
}

int main(int argc, char **argv)
{
	bool deaf, assault;

	if (argc == 2 && strcmp(argv[1], "self") == 0)
		return assault_self() > 0 ? 0 : 1;
	if (argc < 4)
		errx(2, "usage: hostile MODE SOCKET GROUP [PID]");
	assault = strcmp(argv[1], "map") == 0;
	deaf = strcmp(argv[1], "sleepy") == 0 || strcmp(argv[1], "deaf") == 0 ||
	       strcmp(argv[1], "watched") == 0;
	seat_take(&seat, argv[2], argv[3]);
	if (strcmp(argv[1], "unsealed") == 0 || strcmp(argv[1], "half") == 0) {
		if (argv[1][0] == 'u')
			seat_ready(&seat); /* does not return */
	} else {
		seat_seal(&seat);
		seat_ready(&seat);
	}
	hostile_say("ready");
	if (assault)
		return assault_all(&seat, argc > 4 ? atoi(argv[4]) : 0) ? 1 : 0;
	hostile_do(argv[1]);
	return hostile_await(deaf);
}
