/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket's server over real sockets, with an instance that grants everything. */
#include "apps/instance/control.h"
#include "apps/instance/control_peer.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define STATUS_BYTES 1000000 /* more than a socket takes at once */

struct rig {
	struct control control;
	char dir[32];
	int memory; /* what members are given */
	uint32_t joins, readies, leaves;
	bool refuse; /* members that say that they are ready */
};

static char *rig_status(void *context, const struct access_asker *asker, struct xfq_error *error)
{
	char *text = malloc(STATUS_BYTES + 1);

	(void)context;
	(void)asker;
	(void)error;
	memset(text, 'x', STATUS_BYTES);
	text[STATUS_BYTES] = '\0';
	return text;
}

static uint32_t rig_groups(void *context, const struct access_asker *asker,
			   struct protocol_group *groups)
{
	(void)context;
	(void)asker;
	snprintf(groups[0].name, sizeof(groups[0].name), "all");
	return 1;
}

static int rig_join(void *context, const struct access_asker *asker,
		    const struct protocol_request *request, int fd, struct protocol_joined *joined,
		    int *fds, uint32_t *fd_cnt, uint32_t *slot, struct xfq_error *error)
{
	struct rig *rig = context;

	(void)asker;
	(void)request;
	(void)fd;
	(void)error;
	joined->worker_cnt = 1;
	fds[0] = rig->memory;
	*fd_cnt = 1;
	*slot = rig->joins++;
	return 0;
}

static int rig_ready(void *context, uint32_t slot, struct xfq_error *error)
{
	struct rig *rig = context;

	(void)slot;
	if (rig->refuse)
		return xfq_error_set(error, -EPERM, "not sealed");
	rig->readies++;
	return 0;
}

static void rig_leave(void *context, uint32_t slot, const char *why)
{
	struct rig *rig = context;

	(void)slot;
	(void)why;
	rig->leaves++;
}

static const struct control_handler rig_handler = {
	.status = rig_status,
	.groups = rig_groups,
	.join = rig_join,
	.ready = rig_ready,
	.leave = rig_leave,
};

static void rig_create(struct rig *rig)
{
	struct xfq_error error;

	memset(rig, 0, sizeof(*rig));
	strcpy(rig->dir, "/tmp/xfq-control-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	setenv("XFQ_RUN_DIR", rig->dir, 1);
	rig->memory = memfd_create("control", MFD_CLOEXEC);
	if (control_open(&rig->control, "rig", &rig_handler, rig, &error))
		fail_msg("%s", error.text);
}

static void rig_destroy(struct rig *rig)
{
	control_close(&rig->control, "the end");
	close(rig->memory);
	assert_int_equal(rmdir(rig->dir), 0);
}

static int rig_connect(const struct rig *rig)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&rig->control.address,
				 sizeof(rig->control.address)),
			 0);
	return fd;
}

static void rig_serve(struct rig *rig)
{
	for (int i = 0; i < 20; i++)
		control_serve(&rig->control);
}

static void ask(int fd, enum protocol_type type)
{
	struct protocol_request request = {.magic = PROTOCOL_MAGIC,
					   .version = PROTOCOL_VERSION,
					   .type = (uint16_t)type,
					   .group = "all",
					   .ring_version = XFQ_RING_VERSION,
					   .desc_len = sizeof(struct xfq_ring_desc),
					   .meta_len = XFQ_META_BYTES};

	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
}

/* A member that has joined, and is ready where it is to be. */
static int member_join(struct rig *rig, bool ready)
{
	struct protocol_joined joined;
	int fd = rig_connect(rig);
	char byte;

	ask(fd, PROTOCOL_JOIN);
	rig_serve(rig);
	assert_int_equal(recv(fd, &joined, sizeof(joined), MSG_DONTWAIT), sizeof(joined));
	assert_int_equal(joined.answer.code, 0);
	if (!ready)
		return fd;
	assert_int_equal(send(fd, "ok", PROTOCOL_READY_BYTES, 0), PROTOCOL_READY_BYTES);
	rig_serve(rig);
	assert_int_equal(recv(fd, &byte, sizeof(byte), MSG_DONTWAIT), PROTOCOL_WAKE_BYTES);
	return fd;
}

/* It hears that it is over, and why. */
static void expect_notice(int fd, int code, const char *text)
{
	struct protocol_notice notice;
	char byte;

	assert_int_equal(recv(fd, &notice, sizeof(notice), MSG_DONTWAIT), sizeof(notice));
	assert_int_equal(notice.code, code);
	assert_string_equal(notice.text, text);
	assert_int_equal(recv(fd, &byte, sizeof(byte), MSG_DONTWAIT), 0);
}

/* --- tests ------------------------------------------------------------------------------------ */

/* Packets come only to who has said that they may, and not to who may not have them. */
static void test_ready(void **state)
{
	struct rig rig;
	int fds[3];

	(void)state;
	rig_create(&rig);
	fds[0] = member_join(&rig, false);
	fds[1] = member_join(&rig, true);
	assert_int_equal(rig.joins, 2);
	assert_int_equal(rig.readies, 1);
	/* a second time it is a farewell like any other */
	assert_int_equal(send(fds[1], "ok", PROTOCOL_READY_BYTES, 0), PROTOCOL_READY_BYTES);
	rig_serve(&rig);
	assert_int_equal(rig.leaves, 1);
	rig.refuse = true;
	assert_int_equal(send(fds[0], "ok", PROTOCOL_READY_BYTES, 0), PROTOCOL_READY_BYTES);
	rig_serve(&rig);
	expect_notice(fds[0], -ECONNABORTED, "not sealed");
	assert_int_equal(rig.leaves, 2);
	/* who says something else instead has left before it came */
	fds[2] = member_join(&rig, false);
	assert_int_equal(send(fds[2], "", PROTOCOL_LEAVE_BYTES, 0), PROTOCOL_LEAVE_BYTES);
	rig_serve(&rig);
	assert_int_equal(rig.leaves, 3);
	assert_int_equal(rig.readies, 1);
	assert_null(rig.control.peers);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	rig_destroy(&rig);
}

/* A process that the instance's application has fork()ed holds all connections, too: they end all
 * the same, and nothing that happens to them later reaches the server. */
static void test_fork(void **state)
{
	struct rig rig;
	int member, client;
	pid_t child;

	(void)state;
	rig_create(&rig);
	member = member_join(&rig, true);
	client = rig_connect(&rig);
	rig_serve(&rig);
	child = fork();
	if (child == 0) {
		close(member);
		close(client);
		pause();
		_exit(0);
	}
	assert_true(child > 0);
	control_dismiss(&rig.control, 0, -ECONNABORTED, "it lied");
	expect_notice(member, -ECONNABORTED, "it lied");
	ask(client, PROTOCOL_GROUPS);
	rig_serve(&rig); /* frees them both */
	assert_null(rig.control.peers);
	assert_int_equal(send(member, "", 1, MSG_NOSIGNAL), -1);
	close(member);
	close(client);
	rig_serve(&rig);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	rig_serve(&rig);
	rig_destroy(&rig);
}

/* Who does not read its large answer keeps nobody, and gets all of it when it does. */
static void test_slow(void **state)
{
	static char bytes[PROTOCOL_MESSAGE_BYTES];
	struct protocol_answer answer;
	struct rig rig;
	size_t got = 0;
	int slow, fast;
	ssize_t part;

	(void)state;
	rig_create(&rig);
	slow = rig_connect(&rig);
	ask(slow, PROTOCOL_STATUS);
	rig_serve(&rig);
	fast = rig_connect(&rig);
	ask(fast, PROTOCOL_GROUPS);
	rig_serve(&rig);
	assert_int_equal(recv(fast, &answer, sizeof(answer), MSG_DONTWAIT), sizeof(answer));
	assert_int_equal(answer.cnt, 1);
	assert_int_equal(recv(slow, &answer, sizeof(answer), MSG_DONTWAIT), sizeof(answer));
	while ((part = recv(slow, bytes, sizeof(bytes), MSG_DONTWAIT)) != 0) {
		assert_true(part > 0 || errno == EAGAIN);
		got += part > 0 ? (size_t)part : 0;
		control_serve(&rig.control);
	}
	assert_int_equal(got, STATUS_BYTES);
	close(slow);
	close(fast);
	rig_destroy(&rig);
}

/* However many say nothing, one more is served. */
static void test_crowd(void **state)
{
	struct protocol_answer answer;
	int fds[CONTROL_CLIENTS_MAX + 20], last;
	struct rig rig;

	(void)state;
	rig_create(&rig);
	for (int i = 0; i < CONTROL_CLIENTS_MAX + 20; i++) {
		fds[i] = rig_connect(&rig);
		control_serve(&rig.control);
	}
	assert_int_equal(rig.control.client_cnt, CONTROL_CLIENTS_MAX);
	last = rig_connect(&rig);
	ask(last, PROTOCOL_GROUPS);
	rig_serve(&rig);
	assert_int_equal(recv(last, &answer, sizeof(answer), MSG_DONTWAIT), sizeof(answer));
	assert_int_equal(answer.code, 0);
	for (int i = 0; i < CONTROL_CLIENTS_MAX + 20; i++)
		close(fds[i]);
	close(last);
	rig_serve(&rig);
	assert_int_equal(rig.control.client_cnt, 0);
	rig_destroy(&rig);
}

/* A folder in which everyone may replace the socket is none for it. */
static void test_folder(void **state)
{
	struct control control;
	struct xfq_error error;
	struct rig rig;

	(void)state;
	rig_create(&rig);
	assert_int_equal(chmod(rig.dir, 0777), 0);
	assert_int_equal(control_open(&control, "other", &rig_handler, &rig, &error), -EPERM);
	assert_non_null(strstr(error.text, "chmod o-w"));
	assert_int_equal(chmod(rig.dir, 01777), 0); /* nobody can here */
	assert_int_equal(control_open(&control, "other", &rig_handler, &rig, &error), 0);
	control_close(&control, "");
	rig_destroy(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ready),  cmocka_unit_test(test_fork),
		cmocka_unit_test(test_slow),   cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
