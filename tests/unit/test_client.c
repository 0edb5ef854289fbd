/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library's requests: finding instances, asking them, and not believing whoever answers.
 */
#include "apps/libxfq/client.h"
#include "tests/fake_instance.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static struct fake fake;

static int setup(void **state)
{
	(void)state;
	fake_create(&fake, "demo");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_destroy(&fake);
	return 0;
}

static struct xfq *open_fake(void)
{
	struct xfq_error error;
	struct xfq *xfq;

	assert_int_equal(xfq_open(&xfq, "demo", &error), 0);
	return xfq;
}

/* --- finding ---------------------------------------------------------------------------------- */

static void test_version(void **state)
{
	(void)state;
	assert_string_equal(xfq_version(), XFQ_VERSION);
}

static void expect_open(const char *name, int code, const char *words)
{
	struct xfq_error error = {0};
	struct xfq *xfq = (void *)&error;

	assert_int_equal(xfq_open(&xfq, name, &error), code);
	assert_int_equal(xfq_open(&xfq, name, NULL), code);
	assert_null(xfq);
	assert_int_equal(error.code, code);
	if (!strstr(error.text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, error.text);
}

static void test_open(void **state)
{
	struct xfq_error error;
	struct xfq *xfq;
	char path[256];

	(void)state;
	assert_int_equal(xfq_open(&xfq, "demo", &error), 0);
	assert_string_equal(xfq_name(xfq), "demo");
	xfq_close(xfq);
	assert_int_equal(xfq_open(&xfq, NULL, &error), 0);
	assert_string_equal(xfq_name(xfq), "demo");
	xfq_close(xfq);
	setenv("XFQ_RUN_DIR", "/nonexistent", 1);
	assert_int_equal(xfq_open(&xfq, fake.address.sun_path, &error), 0);
	assert_string_equal(xfq_name(xfq), "demo");
	xfq_close(xfq);
	xfq_close(NULL);

	expect_open(NULL, -ENOENT, "no instance is running (no socket in /nonexistent)");
	setenv("XFQ_RUN_DIR", fake.dir, 1);
	expect_open("other", -ENOENT, "no instance named other is running");
	expect_open("", -ENOENT, "no instance named \"\"");
	expect_open("a-name-that-is-one-byte-too-long", -ENOENT, "31 bytes");
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	expect_open(path, -ENAMETOOLONG, "too long");
}

/* A socket of this kind in the fake's folder; its descriptor. */
static int make_socket(const char *name, bool listens, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", fake.dir, name);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (listens)
		assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void remove_socket(const char *name, int fd)
{
	char path[128];

	close(fd);
	snprintf(path, sizeof(path), "%s/%s", fake.dir, name);
	assert_int_equal(unlink(path), 0);
}

static void test_names(void **state)
{
	char names[4][XFQ_NAME_BYTES];
	int dead = make_socket("dead.sock", false, SOCK_SEQPACKET);
	int live = make_socket("another.sock", true, SOCK_SEQPACKET);
	int dots = make_socket(".sock", true, SOCK_SEQPACKET);
	int text = make_socket("text", true, SOCK_SEQPACKET);
	int stream = make_socket("stream.sock", true, SOCK_STREAM);

	(void)state;
	assert_int_equal(client_names(names, 4), 3);
	assert_string_equal(names[0], "another");
	assert_string_equal(names[1], "demo");
	assert_string_equal(names[2], "stream");
	assert_int_equal(client_names(names, 1), 3);
	assert_int_equal(client_names(NULL, 0), 3);
	expect_open(NULL, -ENOTUNIQ, "name one: another demo stream");
	expect_open("dead", -ENOENT, "no instance named dead is running");
	expect_open("stream", -EPROTOTYPE, "stream: connecting to");
	remove_socket("dead.sock", dead);
	remove_socket("another.sock", live);
	remove_socket(".sock", dots);
	remove_socket("text", text);
	remove_socket("stream.sock", stream);
	assert_int_equal(client_names(names, 4), 1);

	setenv("XFQ_RUN_DIR", fake.address.sun_path, 1);
	expect_open(NULL, -ENOTDIR, fake.address.sun_path);
	setenv("XFQ_RUN_DIR", fake.dir, 1);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void test_groups(void **state)
{
	struct xfq_group groups[3];
	struct xfq *xfq = open_fake();
	int before = fake_open_fds(&fake);

	(void)state;
	memset(groups, 0xff, sizeof(groups));
	assert_int_equal(xfq_groups(xfq, groups, 3, NULL), 2);
	assert_string_equal(groups[0].name, "web");
	assert_string_equal(groups[0].steer, "flow");
	assert_int_equal(groups[0].members, 1);
	assert_int_equal(groups[0].members_max, 8);
	assert_int_equal(groups[0].ring_slots, FAKE_SLOTS);
	assert_true(groups[0].allowed);
	assert_string_equal(groups[0].classes, "user,control");
	assert_string_equal(groups[1].classes, "");
	assert_string_equal(groups[1].name, "all");
	assert_false(groups[1].allowed);
	assert_int_equal(groups[1].reserved[26], 0);
	memset(groups, 0, sizeof(groups));
	assert_int_equal(xfq_groups(xfq, groups, 1, NULL), 2);
	assert_string_equal(groups[1].name, "");
	assert_int_equal(xfq_groups(xfq, NULL, 0, NULL), 2);
	assert_int_equal(fake_open_fds(&fake), before);
	xfq_close(xfq);
}

/* An answer of which `context`, a size_t, bytes follow the head, and are said to be two groups. */
static void bend_more(struct fake_answer *answer, const void *context)
{
	static const char zeros[PROTOCOL_MESSAGE_BYTES + 64];
	const size_t *len = context;

	answer->more = zeros;
	answer->more_len = *len;
}

static void bend_count(struct fake_answer *answer, const void *context)
{
	const uint32_t *cnt = context;

	answer->joined.answer.cnt = *cnt;
	if (*cnt == 0)
		answer->more_len = 0;
}

static void test_groups_bent(void **state)
{
	static const size_t one = sizeof(struct protocol_group);
	const size_t wrong[] = {one, 2 * one - 1, 2 * one + 1, 3 * one, 0};
	static const uint32_t counts[] = {1, 3, 257, UINT32_MAX};
	const uint32_t none = 0;
	struct xfq *xfq = open_fake();
	struct xfq_group group;
	struct xfq_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		fake_bend(&fake, bend_more, &wrong[i]);
		assert_int_equal(xfq_groups(xfq, &group, 1, &error), -EPROTO);
		assert_non_null(strstr(error.text, "demo: 2 groups in "));
	}
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		fake_bend(&fake, bend_count, &counts[i]);
		assert_int_equal(xfq_groups(xfq, &group, 1, &error), -EPROTO);
	}
	fake_bend(&fake, bend_count, &none);
	assert_int_equal(xfq_groups(xfq, &group, 1, &error), 0);
	xfq_close(xfq);
}

static void bend_text(struct fake_answer *answer, const void *context)
{
	answer->more = context;
	answer->more_len = strlen(context);
}

static void test_status(void **state)
{
	struct xfq *xfq = open_fake();
	size_t lens[] = {1, PROTOCOL_MESSAGE_BYTES, PROTOCOL_MESSAGE_BYTES + 1, 300000};
	struct xfq_error error;
	char *json;

	(void)state;
	assert_int_equal(xfq_status(xfq, &json, &error), 0);
	assert_string_equal(json, fake_json);
	free(json);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		char *text = malloc(lens[i] + 1);

		for (size_t j = 0; j < lens[i]; j++)
			text[j] = (char)('a' + j % 23);
		text[lens[i]] = '\0';
		fake_bend(&fake, bend_text, text);
		assert_int_equal(xfq_status(xfq, &json, &error), 0);
		assert_string_equal(json, text);
		fake_bend(&fake, NULL, NULL);
		free(json);
		free(text);
	}
	fake_bend(&fake, bend_text, "");
	assert_int_equal(xfq_status(xfq, &json, &error), -ECONNRESET);
	assert_null(json);
	xfq_close(xfq);
}

/* --- answers ---------------------------------------------------------------------------------- */

struct bent {
	struct protocol_answer head; /* 0: as it should be */
	size_t len;                  /* 0: as it should be */
	int code;                    /* that the caller gets, */
	const char *words;           /* and what is in its sentence */
};

static void bend_head(struct fake_answer *answer, const void *context)
{
	struct protocol_answer *head = &answer->joined.answer;
	const struct bent *bent = context;

	answer->more_len = 0;
	if (bent->head.magic)
		head->magic = bent->head.magic;
	if (bent->head.version)
		head->version = bent->head.version;
	if (bent->head.type)
		head->type = bent->head.type;
	if (bent->len)
		answer->len = bent->len;
	head->code = bent->head.code;
	memcpy(head->text, bent->head.text, sizeof(head->text));
}

/* Each kind of request refuses each of these in the same way. */
static void test_answers_bent(void **state)
{
	static const struct bent bents[] = {
		{.head = {.magic = 1}, .code = -EPROTO, .words = "no instance of XFQ"},
		{.len = 1, .code = -EPROTO, .words = "no instance of XFQ"},
		{.len = 5, .code = -EPROTO, .words = "no instance of XFQ"},
		{.head = {.version = 3}, .code = -EPROTONOSUPPORT, .words = "speaks version 3"},
		{.head = {.version = 9, .code = -EACCES}, .code = -EPROTONOSUPPORT, .words = "9"},
		{.len = 6, .code = -EPROTO, .words = "fits no question"},
		{.len = sizeof(struct protocol_answer) - 1, .code = -EPROTO, .words = "fits no"},
		{.len = sizeof(struct protocol_answer) + 1, .code = -EPROTO, .words = "273 bytes"},
		{.head = {.type = 77}, .code = -EPROTO, .words = "fits no question"},
		{.head = {.code = 1}, .code = -EPROTO, .words = "fits no question"},
		{.head = {.code = -4096}, .code = -EPROTO, .words = "fits no question"},
		{.head = {.code = -EACCES, .text = "only root may ask"},
		 .code = -EACCES,
		 .words = "only root may ask"},
		{.head = {.code = -EBUSY}, .code = -EBUSY, .words = ""},
	};
	struct xfq *xfq = open_fake();
	int before = fake_open_fds(&fake);
	struct xfq_member *member;
	struct xfq_error error;
	char *json;

	(void)state;
	for (size_t i = 0; i < sizeof(bents) / sizeof(bents[0]); i++) {
		fake_bend(&fake, bend_head, &bents[i]);
		expect_open("demo", bents[i].code, bents[i].words);
		assert_int_equal(xfq_groups(xfq, NULL, 0, &error), bents[i].code);
		assert_non_null(strstr(error.text, bents[i].words));
		assert_int_equal(xfq_status(xfq, &json, &error), bents[i].code);
		assert_null(json);
		assert_non_null(strstr(error.text, bents[i].words));
		if (bents[i].len == sizeof(struct protocol_answer) + 1)
			continue; /* of a join it is no answer for another reason */
		assert_int_equal(xfq_join(&member, xfq, "web", NULL, &error), bents[i].code);
		assert_null(member);
		assert_non_null(strstr(error.text, bents[i].words));
	}
	assert_int_equal(fake_open_fds(&fake), before);
	xfq_close(xfq);
}

/* A refusal's sentence that does not end is cut. */
static void test_endless_text(void **state)
{
	static struct bent bent = {.head = {.code = -EPERM}, .code = -EPERM, .words = "aaa"};
	struct xfq *xfq = open_fake();
	struct xfq_error error;

	(void)state;
	memset(bent.head.text, 'a', sizeof(bent.head.text));
	fake_bend(&fake, bend_head, &bent);
	assert_int_equal(xfq_groups(xfq, NULL, 0, &error), -EPERM);
	assert_int_equal(strlen(error.text), PROTOCOL_TEXT_BYTES - 1);
	xfq_close(xfq);
}

/* What was said before the connection was reset is heard. */
static void test_curt(void **state)
{
	struct xfq *xfq = open_fake();
	struct xfq_error error;

	(void)state;
	pthread_mutex_lock(&fake.lock);
	fake.curt = true;
	pthread_mutex_unlock(&fake.lock);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(xfq_groups(xfq, NULL, 0, &error), -EBUSY);
		assert_string_equal(error.text, "too many ask");
	}
	xfq_close(xfq);
}

static void bend_silent(struct fake_answer *answer, const void *context)
{
	(void)context;
	answer->len = answer->more_len = 0;
}

static void bend_mute(struct fake_answer *answer, const void *context)
{
	(void)context;
	answer->mute = true;
}

static void test_no_answer(void **state)
{
	struct timespec from, to;
	struct xfq_error error;
	struct xfq *xfq;

	(void)state;
	fake_bend(&fake, bend_silent, NULL);
	expect_open("demo", -ECONNRESET, "demo: the instance hung up without an answer");
	fake_bend(&fake, bend_mute, NULL);
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(xfq_open(&xfq, "demo", &error), -ETIMEDOUT);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_non_null(strstr(error.text, "demo: no answer in 5 seconds"));
	assert_in_range(to.tv_sec - from.tv_sec, 4, 30);
}

/* --- the local form --------------------------------------------------------------------------- */

static void expect_ended(struct xfq *xfq)
{
	struct xfq_member *member;
	struct xfq_error error;

	assert_int_equal(xfq_groups(xfq, NULL, 0, &error), -ENOENT);
	assert_string_equal(error.text, "demo: the instance has ended");
	assert_int_equal(xfq_join(&member, xfq, "web", NULL, &error), -ENOENT);
	assert_string_equal(error.text, "demo: the instance has ended");
}

static void test_local(void **state)
{
	int before = fake_open_fds(&fake);
	struct xfq_error error;
	struct xfq_group groups[2];
	struct xfq_member *member;
	struct xfq *xfq;
	int pair[2];
	char *json;

	(void)state;
	assert_int_equal(
		client_local(&xfq, fcntl(fake.local_peer_fd, F_DUPFD_CLOEXEC, 0), "demo", &error),
		0);
	assert_string_equal(xfq_name(xfq), "demo");
	assert_int_equal(xfq_groups(xfq, groups, 2, &error), 2);
	assert_string_equal(groups[0].name, "web");
	assert_int_equal(xfq_status(xfq, &json, &error), 0);
	assert_string_equal(json, fake_json);
	free(json);
	assert_int_equal(xfq_join(&member, xfq, "web", NULL, &error), 0);
	assert_true(fcntl(xfq_fd(member), F_GETFD) & FD_CLOEXEC);
	fake_publish(&fake, 0, 0, 1);
	assert_int_equal(xfq_wait(member, 0), 1);

	/* the instance goes: nobody joins any more, members may go on */
	fake_bend(&fake, bend_silent, NULL);
	expect_ended(xfq);
	shutdown(fake.local_fd, SHUT_RDWR);
	expect_ended(xfq);
	assert_int_equal(xfq_wait(member, 0), 1);
	xfq_leave(member);
	assert_true(fake_await_leave(&fake, 0));
	fake_hang_up(&fake.members[0]);
	xfq_close(xfq);
	assert_int_equal(fake_open_fds(&fake), before);

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(client_local(&xfq, pair[0], "demo", &error), 0);
	close(pair[1]);
	expect_ended(xfq);
	xfq_close(xfq);
	assert_int_equal(fake_open_fds(&fake), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test_setup_teardown(test_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups_bent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answers_bent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endless_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_curt, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_local, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
