/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Members and processes: fork() leaves a membership to the parent alone, exec() takes nothing
 * along, the end of a process is the end of its memberships; and several members in one process.
 */
#include "apps/libxfq/member.h"
#include "tests/fake_instance.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

static struct fake fake;
static struct xfq *xfq;

static int setup(void **state)
{
	(void)state;
	fake_create(&fake, "demo");
	return xfq_open(&xfq, NULL, NULL);
}

static int teardown(void **state)
{
	(void)state;
	xfq_close(xfq);
	fake_destroy(&fake);
	return 0;
}

static struct xfq_member *join(enum xfq_wait_mode wait)
{
	const struct xfq_join_options options = {.wait = wait};
	struct xfq_member *member = NULL;

	assert_int_equal(xfq_join(&member, xfq, "web", &options, NULL), 0);
	return member;
}

/* Peek until there is nothing more; how many packets were released. */
static uint32_t drain(struct xfq_member *member)
{
	struct xfq_packet pkts[16];
	uint32_t sum = 0;
	int cnt;

	while ((cnt = xfq_peek(member, pkts, 16)) > 0) {
		xfq_release(member, (uint32_t)cnt);
		sum += (uint32_t)cnt;
	}
	assert_int_equal(cnt, 0);
	return sum;
}

static void expect_exit(pid_t child, int status)
{
	int got;

	assert_int_equal(waitpid(child, &got, 0), child);
	assert_true(WIFEXITED(got));
	assert_int_equal(WEXITSTATUS(got), status);
}

/* What a child sees of its parent's member: 0, or the line that is wrong. */
static int child_look(struct xfq_member *member, int connection)
{
	struct xfq_member_stats stats;
	struct xfq_member_info info;
	struct xfq_packet pkts[16];

	if (xfq_peek(member, pkts, 16) != -ECHILD || xfq_peek(member, pkts, 0) != -ECHILD)
		return __LINE__;
	if (xfq_wait(member, -1) != -ECHILD || xfq_fd(member) != -1)
		return __LINE__;
	if (!xfq_end(member) || !strstr(xfq_end(member), "fork()"))
		return __LINE__;
	xfq_release(member, 16);
	xfq_member_stats(member, &stats);
	if (stats.packets != 2 || stats.queued != 0)
		return __LINE__;
	xfq_member_info(member, &info);
	if (strcmp(info.group, "web") != 0)
		return __LINE__;
	if (fcntl(connection, F_GETFD) != -1 || errno != EBADF)
		return __LINE__;
	for (uint32_t i = 0; i < 2 + FAKE_WORKERS; i++)
		if (msync(member->mapping.areas[i].base, 1, MS_ASYNC) != -1 || errno != ENOMEM)
			return __LINE__;
	xfq_leave(member);
	return 0;
}

static void test_fork(void **state)
{
	struct xfq_member *members[2] = {join(XFQ_WAIT_POLL), join(XFQ_WAIT_POLL)};
	const int connections[2] = {xfq_fd(members[0]), xfq_fd(members[1])};
	struct xfq_packet pkts[16];
	pid_t child;

	(void)state;
	for (uint32_t m = 0; m < 2; m++) {
		fake_publish(&fake, m, 0, 5);
		assert_int_equal(xfq_peek(members[m], pkts, 2), 2);
		xfq_release(members[m], 2);
		assert_int_equal(xfq_peek(members[m], pkts, 2), 2);
	}
	child = fork();
	if (child == 0) {
		int line = child_look(members[1], connections[1]);

		line = line ? line : child_look(members[0], connections[0]);
		if (line)
			fprintf(stderr, "in the child: line %d\n", line);
		_exit(line != 0);
	}
	expect_exit(child, 0);

	/* the parent goes on where it was: nothing was released for it, and nobody has left */
	for (uint32_t m = 0; m < 2; m++) {
		assert_int_equal(drain(members[m]), 3);
		fake_publish(&fake, m, 1, 1);
		assert_int_equal(xfq_wait(members[m], -1), 1);
		assert_int_equal(drain(members[m]), 1);
		assert_null(xfq_end(members[m]));
		xfq_leave(members[m]);
		assert_true(fake_await_leave(&fake, m));
	}
}

/* A child may join for itself, and its own children do not share that. */
static void test_join_in_child(void **state)
{
	struct xfq_member *member = join(XFQ_WAIT_POLL);
	struct xfq_packet pkt;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		const struct xfq_join_options options = {.wait = XFQ_WAIT_POLL};
		struct xfq_member *own;
		pid_t grandchild;
		int status;

		if (xfq_join(&own, xfq, "web", &options, NULL) || xfq_peek(own, &pkt, 1) != 0)
			_exit(1);
		grandchild = fork();
		if (grandchild == 0)
			_exit(xfq_peek(own, &pkt, 1) == -ECHILD ? 0 : 1);
		if (waitpid(grandchild, &status, 0) != grandchild || status != 0)
			_exit(2);
		if (xfq_peek(own, &pkt, 1) != 0 || xfq_peek(member, &pkt, 1) != -ECHILD)
			_exit(3);
		xfq_leave(member);
		xfq_leave(own);
		_exit(0);
	}
	expect_exit(child, 0);
	assert_true(fake_await_leave(&fake, 1));
	assert_int_equal(xfq_peek(member, &pkt, 1), 0);
	xfq_leave(member);
	assert_true(fake_await_leave(&fake, 0));
}

/* A member dies; that a child of it lives on does not keep its membership up. */
static void test_orphan(void **state)
{
	int pids[2];
	pid_t parent, orphan = -1;

	(void)state;
	assert_int_equal(pipe2(pids, O_CLOEXEC), 0);
	parent = fork();
	if (parent == 0) {
		struct xfq_member *member;
		pid_t child;

		if (xfq_join(&member, xfq, "web", NULL, NULL))
			_exit(1);
		child = fork();
		if (child == 0) {
			sleep(60);
			_exit(0);
		}
		_exit(write(pids[1], &child, sizeof(child)) != sizeof(child));
	}
	expect_exit(parent, 0);
	assert_int_equal(read(pids[0], &orphan, sizeof(orphan)), sizeof(orphan));
	assert_false(fake_await_leave(&fake, 0));
	assert_int_equal(kill(orphan, 0), 0);
	assert_int_equal(kill(orphan, SIGKILL), 0);
	close(pids[0]);
	close(pids[1]);
}

/* A leave is one, also where the connection was inherited past the fork handlers, and where there
 * is something unread in it. */
static void test_leave(void **state)
{
	struct xfq_member *members[2] = {join(XFQ_WAIT_BLOCK), join(XFQ_WAIT_BLOCK)};
	int inherited = dup(xfq_fd(members[0]));

	(void)state;
	for (uint32_t m = 0; m < 2; m++) {
		fake_publish(&fake, m, 0, 1);
		assert_int_equal(send(fake.members[m].conn, "", 1, 0), 1);
		xfq_leave(members[m]);
		assert_true(fake_await_leave(&fake, m));
	}
	close(inherited);
}

/* What is spawned runs no fork handlers, and has no descriptor all the same. */
static void test_exec(void **state)
{
	struct xfq_member *member = join(XFQ_WAIT_BLOCK);
	char shell[] = "sh", option[] = "-c", script[64];
	char *arguments[] = {shell, option, script, NULL}, *environment[] = {NULL};
	pid_t child;

	(void)state;
	snprintf(script, sizeof(script), "! test -e /proc/self/fd/%d", xfq_fd(member));
	assert_int_equal(posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environment), 0);
	expect_exit(child, 0);
	xfq_leave(member);
}

/* Members of one process are independent, whichever leaves first. */
static void test_two_members(void **state)
{
	struct xfq_member *members[2] = {join(XFQ_WAIT_POLL), join(XFQ_WAIT_POLL)};
	struct xfq_member_info info;

	(void)state;
	fake_publish(&fake, 0, 0, 3);
	fake_publish(&fake, 1, 1, 4);
	fake_publish(&fake, 0, 1, 5);
	assert_int_equal(drain(members[1]), 4);
	assert_int_equal(drain(members[0]), 8);
	for (uint32_t m = 0; m < 2; m++) {
		xfq_member_info(members[m], &info);
		assert_int_equal(info.id, 7 + m);
	}
	xfq_leave(members[0]);
	assert_true(fake_await_leave(&fake, 0));
	fake_publish(&fake, 1, 0, 6);
	assert_int_equal(drain(members[1]), 6);
	xfq_leave(members[1]);
	assert_true(fake_await_leave(&fake, 1));
}

/* Joining and leaving in some threads while others fork. */
static void *fork_run(void *argument)
{
	(void)argument;
	for (uint32_t i = 0; i < 50; i++) {
		pid_t child = fork();
		int status;

		if (child == 0)
			_exit(0);
		FAKE_REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	}
	return NULL;
}

static void test_fork_meanwhile(void **state)
{
	struct xfq_member *members[2];
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, fork_run, NULL), 0);
	for (uint32_t i = 0; i < 200; i++) {
		members[0] = join(XFQ_WAIT_POLL);
		members[1] = join(XFQ_WAIT_POLL);
		fake_publish(&fake, 0, 0, 1);
		assert_int_equal(drain(members[0]), 1);
		xfq_leave(members[i % 2]);
		xfq_leave(members[1 - i % 2]);
		for (uint32_t m = 0; m < 2; m++)
			assert_true(fake_await_leave(&fake, m));
		fake_renew(&fake);
	}
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fork, setup, teardown),
		cmocka_unit_test_setup_teardown(test_join_in_child, setup, teardown),
		cmocka_unit_test_setup_teardown(test_orphan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exec, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_members, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fork_meanwhile, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
