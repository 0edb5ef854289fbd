/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may join: the decision on made-up askers, and the reading of real ones. */
#include "workers/access.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the decision ---------------------------------------------------------------------------- */

#define SELF  CONFIG_USER_SELF
#define NONE  CONFIG_GROUP_NONE
#define XFQ   100 /* the user of the instance */
#define ALICE 1000
#define BOB   1001
#define IDS   50 /* a group */
#define USERS 60 /* another */

struct access_case {
	struct config_access access;
	uid_t uid;
	gid_t gid, more; /* the effective group, and the last of the supplementary ones */
	bool allowed;
};

static const struct access_case access_cases[] = {
	/* private */
	{{SELF, NONE, 0400}, XFQ, XFQ, USERS, true},
	{{SELF, NONE, 0400}, 0, 0, 0, true},
	{{SELF, NONE, 0400}, ALICE, USERS, USERS, false},
	{{SELF, NONE, 0400}, ALICE, XFQ, XFQ, false},
	/* restricted */
	{{SELF, IDS, 0440}, XFQ, XFQ, USERS, true},
	{{SELF, IDS, 0440}, ALICE, IDS, USERS, true},
	{{SELF, IDS, 0440}, ALICE, USERS, IDS, true},
	{{SELF, IDS, 0440}, ALICE, USERS, USERS, false},
	{{SELF, IDS, 0440}, 0, 0, 0, true},
	/* shared */
	{{SELF, NONE, 0444}, XFQ, XFQ, USERS, true},
	{{SELF, NONE, 0444}, ALICE, USERS, USERS, true},
	{{SELF, NONE, 0444}, 65534, 65534, 65534, true},
	/* a user by name: the instance's own is nobody special */
	{{ALICE, NONE, 0400}, ALICE, USERS, USERS, true},
	{{ALICE, NONE, 0400}, BOB, USERS, USERS, false},
	{{ALICE, NONE, 0400}, XFQ, XFQ, USERS, false},
	{{ALICE, NONE, 0400}, 0, IDS, IDS, true},
	{{ALICE, IDS, 0440}, BOB, USERS, IDS, true},
	{{0, IDS, 0440}, BOB, USERS, USERS, false},
	/* the first class that fits decides, and no other */
	{{ALICE, IDS, 0044}, ALICE, IDS, IDS, false},
	{{ALICE, IDS, 0044}, BOB, IDS, USERS, true},
	{{ALICE, IDS, 0044}, BOB, USERS, USERS, true},
	{{ALICE, IDS, 0404}, ALICE, IDS, IDS, true},
	{{ALICE, IDS, 0404}, BOB, IDS, USERS, false},
	{{ALICE, IDS, 0404}, BOB, USERS, IDS, false},
	{{ALICE, IDS, 0404}, BOB, USERS, USERS, true},
	{{ALICE, IDS, 0400}, BOB, IDS, IDS, false},
	{{ALICE, IDS, 0004}, BOB, USERS, USERS, true},
	{{ALICE, IDS, 0040}, ALICE, IDS, IDS, false},
	/* a bit for a group that is not there, and an asker whose group is as unknown */
	{{SELF, NONE, 0440}, ALICE, USERS, USERS, false},
	{{SELF, NONE, 0440}, ALICE, NONE, NONE, false},
	{{SELF, NONE, 0040}, XFQ, XFQ, XFQ, false},
	/* group root is not user root */
	{{SELF, NONE, 0400}, ALICE, 0, 0, false},
	{{SELF, 0, 0440}, ALICE, 0, USERS, true},
	/* nobody, not even by the word for the instance's own user */
	{{SELF, NONE, 0400}, ACCESS_ID_NONE, USERS, USERS, false},
	{{SELF, NONE, 0444}, ACCESS_ID_NONE, USERS, USERS, false},
	/* a config that nobody filled, but root */
	{{0, 0, 0}, XFQ, 0, 0, false},
	{{0, 0, 0}, 0, 0, 0, true},
	{{SELF, IDS, 0000}, XFQ, IDS, IDS, false},
};

static void test_decision(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(access_cases) / sizeof(access_cases[0]); i++) {
		const struct access_case *it = &access_cases[i];
		gid_t groups[3] = {7, 8, it->more};
		const struct access_asker asker = {
			.uid = it->uid, .gid = it->gid, .group_cnt = 3, .groups = groups};

		if (access_allows(&it->access, XFQ, &asker) != it->allowed)
			fail_msg("case %zu: mode %04o, user %u: wanted %d", i, it->access.mode,
				 it->uid, it->allowed);
	}
}

/* An instance that root runs; an asker without supplementary groups. */
static void test_decision_root(void **state)
{
	const struct config_access mine = {SELF, NONE, 0400}, group = {SELF, IDS, 0440};
	struct access_asker asker = {.uid = 0};

	(void)state;
	assert_true(access_allows(&mine, 0, &asker));
	asker.uid = ALICE;
	assert_false(access_allows(&mine, 0, &asker));
	assert_false(access_allows(&group, 0, &asker));
	asker.gid = IDS;
	assert_true(access_allows(&group, 0, &asker));
}

/* --- the reading ----------------------------------------------------------------------------- */

static const struct config_access shared = {CONFIG_USER_SELF, CONFIG_GROUP_NONE, 0444};

static int group_compare(const void *a, const void *b)
{
	gid_t one = *(const gid_t *)a, other = *(const gid_t *)b;

	return (one > other) - (one < other);
}

/* The asker has exactly these groups, in whatever order. */
static void check_groups(struct access_asker *asker, gid_t *groups, size_t cnt)
{
	assert_int_equal(asker->group_cnt, cnt);
	if (cnt == 0)
		return;
	qsort(groups, cnt, sizeof(*groups), group_compare);
	qsort(asker->groups, cnt, sizeof(*groups), group_compare);
	assert_memory_equal(asker->groups, groups, cnt * sizeof(*groups));
}

static void test_socketpair(void **state)
{
	struct access_asker asker;
	gid_t groups[1024];
	int fds[2], cnt = getgroups(1024, groups);

	(void)state;
	assert_true(cnt >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(access_asker_read(fds[0], &asker), 0);
	assert_int_equal(asker.uid, geteuid());
	assert_int_equal(asker.gid, getegid());
	assert_int_equal(asker.pid, getpid());
	check_groups(&asker, groups, (size_t)cnt);
	assert_true(access_allows(&shared, geteuid(), &asker));
	access_asker_destroy(&asker);
	assert_null(asker.groups);
	assert_false(access_allows(&shared, geteuid(), &asker));
	access_asker_destroy(&asker);
	close(fds[0]);
	close(fds[1]);
}

/* A descriptor without an asker: an error, and nobody who may anything. */
static void check_refused(int fd, int code)
{
	struct access_asker asker;

	memset(&asker, 0, sizeof(asker));
	assert_int_equal(access_asker_read(fd, &asker), code);
	assert_null(asker.groups);
	assert_false(access_allows(&shared, geteuid(), &asker));
	access_asker_destroy(&asker);
}

static void test_no_asker(void **state)
{
	int alone = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int inet = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(alone >= 0 && file >= 0);
	check_refused(alone, -ENOTCONN);
	if (inet >= 0)
		check_refused(inet, -ENOTCONN);
	check_refused(file, -ENOTSOCK);
	check_refused(-1, -EBADF);
	close(alone);
	if (inet >= 0)
		close(inet);
	close(file);
}

/* A listening socket at a name that the kernel chooses; nothing in the file system. */
static int listener_create(struct sockaddr_un *address, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fd, 1), 0);
	*len = sizeof(*address);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, len), 0);
	return fd;
}

static void fill_groups(gid_t *groups, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++)
		groups[i] = 100000 + i * 3;
}

/*
 * The child: connect as ALICE of group USERS and `cnt` others, then become BOB without any before a
 * word is said, and wait for the parent. Its exit status: 0, 1, or 77 where it may not become
 * ALICE.
 */
static int child_run(const struct sockaddr_un *address, socklen_t len, uint32_t cnt)
{
	gid_t *groups = calloc(cnt + 1, sizeof(*groups));
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char byte;

	if (!groups || fd < 0)
		return 1;
	fill_groups(groups, cnt);
	if (setgroups(cnt, groups) != 0 || setresgid(USERS, USERS, 0) != 0 ||
	    setresuid(ALICE, ALICE, 0) != 0)
		return 77;
	if (connect(fd, (const struct sockaddr *)address, len) != 0)
		return 1;
	if (seteuid(0) != 0 || setgroups(0, NULL) != 0 || setresgid(NONE, 0, NONE) != 0 ||
	    seteuid(BOB) != 0)
		return 1;
	if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 0)
		return 1;
	free(groups);
	close(fd);
	return 0;
}

/* A child with `cnt` supplementary groups asks; what the parent reads is how it connected. */
static void check_connection(uint32_t cnt)
{
	const struct config_access mine = {SELF, NONE, 0400}, hers = {ALICE, NONE, 0400};
	const struct config_access first = {SELF, 100000, 0440}, users = {SELF, USERS, 0440};
	const struct config_access last = {SELF, 100000 + (cnt - 1) * 3, 0440};
	const struct config_access others = {SELF, 100001, 0440}, bobs = {BOB, 0, 0440};
	gid_t *groups = calloc(cnt + 1, sizeof(*groups));
	struct sockaddr_un address;
	struct access_asker asker;
	int status, fd, listener;
	socklen_t len;
	pid_t child;
	char byte;

	assert_non_null(groups);
	listener = listener_create(&address, &len);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(child_run(&address, len, cnt));
	/* a child that never connects ends the wait by its end, not by a connection */
	assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	for (fd = -1; fd < 0; usleep(1000)) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && waitpid(child, &status, WNOHANG) == child)
			break;
	}
	if (fd < 0) {
		free(groups);
		close(listener);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == 77) {
			print_message("skipped: this root may not become another user\n");
			skip();
		}
		fail_msg("the child ended with status %d", WEXITSTATUS(status));
	}
	assert_int_equal(recv(fd, &byte, 1, 0), 1);
	assert_int_equal(access_asker_read(fd, &asker), 0);
	assert_int_equal(asker.uid, ALICE);
	assert_int_equal(asker.gid, USERS);
	assert_int_equal(asker.pid, child);
	fill_groups(groups, cnt);
	check_groups(&asker, groups, cnt);
	assert_true(access_allows(&shared, 0, &asker));
	assert_true(access_allows(&hers, 0, &asker));
	assert_true(access_allows(&users, 0, &asker));
	assert_int_equal(access_allows(&first, 0, &asker), cnt > 0);
	assert_int_equal(access_allows(&last, 0, &asker), cnt > 0);
	assert_false(access_allows(&mine, 0, &asker));
	assert_false(access_allows(&others, 0, &asker));
	assert_false(access_allows(&bobs, 0, &asker));
	access_asker_destroy(&asker);
	free(groups);
	close(fd);
	close(listener);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_connection(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: needs root, to be another user in a child\n");
		skip();
	}
	check_connection(0);
	check_connection(1);
	check_connection(200);
	check_connection(65536); /* as many as the kernel lets a process have */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decision),   cmocka_unit_test(test_decision_root),
		cmocka_unit_test(test_socketpair), cmocka_unit_test(test_no_asker),
		cmocka_unit_test(test_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
