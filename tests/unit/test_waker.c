/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waking members: by a message, which nobody can make block, as one could a write to an eventfd;
 * and within a share of the worker's time, whatever a wake-up is made to cost.
 */
#include "workers/waker.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* --- why a message ---------------------------------------------------------------------------- */

static void on_alarm(int number)
{
	(void)number;
}

/* Interrupt what blocks: after 100 ms, and again. */
static void alarm_start(void)
{
	const struct itimerval timer = {{0, 100000}, {0, 100000}};
	struct sigaction action = {.sa_handler = on_alarm};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void alarm_stop(void)
{
	const struct itimerval off = {{0, 0}, {0, 0}};

	setitimer(ITIMER_REAL, &off, NULL);
}

/* The other process: what a member can do with the descriptor that it is woken by. */
static void attack(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	uint64_t most = UINT64_MAX - 1, was;
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		/* what may block is a flag of the open file, which both have */
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
		if (poll(&poll_fd, 1, 0) == 1)
			(void)!read(fd, &was, sizeof(was));
		(void)!write(fd, &most, sizeof(most)); /* as much as a counter holds */
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
}

/* Whoever shares an eventfd can have its writer block, however that had opened it. */
static void test_eventfd(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const uint64_t one = 1;
	uint64_t began_ns;

	(void)state;
	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
	attack(fd);
	alarm_start();
	began_ns = now_ns(CLOCK_MONOTONIC);
	assert_int_equal(write(fd, &one, sizeof(one)), -1);
	/* not EAGAIN: it waited until the signal came, and would have for ever */
	assert_int_equal(errno, EINTR);
	assert_true(now_ns(CLOCK_MONOTONIC) - began_ns > 50000000);
	alarm_stop();
	close(fd);
}

/* A message sent without waiting is, whatever the receiver does with its end. */
static void test_message(void **state)
{
	const int small = 1;
	int pair[2], cnt = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	attack(pair[1]);
	setsockopt(pair[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	alarm_start();
	while (send(pair[0], "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		cnt++;
	assert_int_equal(errno, EAGAIN);
	alarm_stop();
	assert_in_range(cnt, 1, 10000); /* what a deaf member can pile up */
	close(pair[0]);
	close(pair[1]);
}

/* --- what it costs ---------------------------------------------------------------------------- */

#define MEMBERS 4
#define WATCHES 20000 /* more than a millisecond of a wake-up */
#define DESCS   200

struct rig {
	struct waker waker;
	int fds[MEMBERS], ends[MEMBERS];
	int descs[DESCS], epolls[WATCHES / DESCS];
};

static void rig_create(struct rig *rig)
{
	assert_int_equal(waker_create(&rig->waker, MEMBERS), 0);
	for (uint32_t i = 0; i < MEMBERS; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
		rig->fds[i] = pair[0];
		rig->ends[i] = pair[1];
		waker_set(&rig->waker, i, rig->fds[i]);
	}
	for (uint32_t i = 0; i < WATCHES / DESCS; i++)
		rig->epolls[i] = -1;
	for (uint32_t i = 0; i < DESCS; i++)
		rig->descs[i] = -1;
}

static void rig_destroy(struct rig *rig)
{
	for (uint32_t i = 0; i < WATCHES / DESCS; i++)
		close(rig->epolls[i]);
	for (uint32_t i = 0; i < DESCS; i++)
		close(rig->descs[i]);
	for (uint32_t i = 0; i < MEMBERS; i++) {
		close(rig->fds[i]);
		close(rig->ends[i]);
	}
	waker_destroy(&rig->waker);
}

/* Make the wake-ups of a member dear. */
static void rig_watch(struct rig *rig, uint32_t member)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (uint32_t i = 0; i < DESCS; i++)
		rig->descs[i] = dup(rig->ends[member]);
	for (uint32_t i = 0; i < WATCHES; i++) {
		if (i % DESCS == 0)
			rig->epolls[i / DESCS] = epoll_create1(0);
		assert_int_equal(epoll_ctl(rig->epolls[i / DESCS], EPOLL_CTL_ADD,
					   rig->descs[i % DESCS], &event),
				 0);
	}
}

/* How many messages have come. */
static uint32_t rig_heard(const struct rig *rig, uint32_t member)
{
	uint32_t cnt = 0;
	char byte;

	while (recv(rig->ends[member], &byte, 1, MSG_DONTWAIT) == 1)
		cnt++;
	return cnt;
}

/* Who costs no more than others is woken each time. */
static void test_fair(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig);
	for (int i = 0; i < 1000; i++) {
		waker_wake(&rig.waker, (uint32_t)i % MEMBERS);
		assert_int_equal(rig_heard(&rig, (uint32_t)i % MEMBERS), 1);
	}
	rig_destroy(&rig);
}

/* Who costs much is woken late, and takes no more than the share; the others notice nothing. */
static void test_dear(void **state)
{
	uint64_t began_ns, cpu_ns, dear_ns = 0, wall_ns;
	uint32_t heard = 0, wanted = 0;
	struct rig rig;

	(void)state;
	rig_create(&rig);
	rig_watch(&rig, 0);
	began_ns = now_ns(CLOCK_MONOTONIC);
	while ((wall_ns = now_ns(CLOCK_MONOTONIC) - began_ns) < 600000000) {
		cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
		waker_wake(&rig.waker, 0);
		waker_pay(&rig.waker);
		dear_ns += now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
		wanted++;
		heard += rig_heard(&rig, 0);
		waker_wake(&rig.waker, 1);
		assert_int_equal(rig_heard(&rig, 1), 1);
		usleep(20);
	}
	assert_true(rig.waker.members[0].timed);
	assert_true(heard > 2);
	assert_true(heard < wanted / 2);
	/* its share, and the grace, and what it took at first, and as much again for a busy machine
	 */
	assert_true(dear_ns < 2 * (wall_ns / WAKER_SHARE + WAKER_GRACE_NS) + 20000000);
	rig_destroy(&rig);
}

/* What was put off is done when it is paid for, also where nothing more is wanted; and who has left
 * owes nothing, nor does who comes after. */
static void test_late(void **state)
{
	struct rig rig;

	(void)state;
	rig_create(&rig);
	rig_watch(&rig, 2);
	for (int i = 0; i < 10000 && !rig.waker.members[2].late; i++)
		waker_wake(&rig.waker, 2);
	assert_true(rig.waker.members[2].late);
	rig_heard(&rig, 2);
	assert_int_equal(rig.waker.debtor_cnt, 1);
	for (int i = 0; i < 10000 && rig.waker.debtor_cnt > 0; i++) {
		waker_pay(&rig.waker);
		usleep(1000);
	}
	assert_int_equal(rig.waker.debtor_cnt, 0);
	assert_int_equal(rig_heard(&rig, 2), 1);
	for (int i = 0; i < 10000 && !rig.waker.members[2].late; i++)
		waker_wake(&rig.waker, 2);
	waker_set(&rig.waker, 2, -1);
	assert_int_equal(rig.waker.debtor_cnt, 0);
	rig_heard(&rig, 2);
	waker_set(&rig.waker, 2, rig.fds[1]);
	waker_wake(&rig.waker, 2);
	assert_int_equal(rig_heard(&rig, 1), 1);
	assert_int_equal(rig_heard(&rig, 2), 0);
	rig_destroy(&rig);
}

/* Members that are dear together take the share together, not one share each. */
static void test_together(void **state)
{
	struct waker waker;

	(void)state;
	assert_int_equal(waker_create(&waker, MEMBERS), 0);
	for (uint32_t i = 0; i < MEMBERS; i++) {
		waker.members[i].debt_ns = 1000000000;
		waker.debtors[waker.debtor_cnt++] = (uint16_t)i;
	}
	waker.paid_at_ns = now_ns(CLOCK_MONOTONIC) - 1600000000;
	waker_pay(&waker);
	for (uint32_t i = 0; i < MEMBERS; i++)
		assert_in_range(waker.members[i].debt_ns, 900000000,
				1000000000 - 1600000000 / WAKER_SHARE / MEMBERS);
	assert_int_equal(waker.debtor_cnt, MEMBERS);
	waker_destroy(&waker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eventfd), cmocka_unit_test(test_message),
		cmocka_unit_test(test_fair),    cmocka_unit_test(test_dear),
		cmocka_unit_test(test_late),    cmocka_unit_test(test_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
