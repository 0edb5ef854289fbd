/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands: their way through the control socket, from the client's function to the instance's. */
#include "apps/instance/command.h"
#include "apps/instance/control.h"
#include "apps/instance/control_peer.h"
#include "apps/libxfq/client.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct rig {
	struct control control;
	char dir[32];
	uint64_t sum, bytes; /* of the data */
	uint64_t refuse_at;  /* refuse data from that byte on; 0: take all */
	uint32_t begun, ended, aborted;
};

static uint32_t rig_groups(void *context, const struct access_asker *asker,
			   struct protocol_group *groups)
{
	(void)context;
	(void)asker;
	snprintf(groups[0].name, sizeof(groups[0].name), "all");
	return 1;
}

static int rig_begin(void *context, const struct access_asker *asker, const char *json, size_t len,
		     uint64_t data_len, struct command **command, struct xfq_error *error)
{
	struct rig *rig = context;

	assert_true(command_trusts(asker));
	/* what is not data is the real thing's to judge */
	if (data_len == 0)
		return command_begin(NULL, asker, json, len, data_len, command, error);
	assert_memory_equal(json, "{\"command\":\"load\"}", len);
	*command = (struct command *)(void *)rig;
	rig->begun++;
	return 0;
}

static int rig_data(void *context, struct command *command, const char *bytes, size_t len,
		    struct xfq_error *error)
{
	struct rig *rig = context;

	assert_ptr_equal(command, rig);
	assert_true(len > 0 && len <= PROTOCOL_MESSAGE_BYTES);
	for (size_t i = 0; i < len; i++)
		rig->sum += (uint8_t)bytes[i];
	rig->bytes += len;
	if (rig->refuse_at && rig->bytes > rig->refuse_at)
		return xfq_error_set(error, -EINVAL, "byte %llu is none",
				     (unsigned long long)rig->refuse_at);
	return 0;
}

static char *rig_end(void *context, struct command *command, struct xfq_error *error)
{
	struct rig *rig = context;
	char *text;

	if ((void *)command != (void *)rig)
		return command_end(NULL, command, error);
	rig->ended++;
	return asprintf(&text, "{\"ok\":true,\"sum\":%llu}", (unsigned long long)rig->sum) < 0
		       ? NULL
		       : text;
}

static void rig_abort(void *context, struct command *command)
{
	struct rig *rig = context;

	if ((void *)command == (void *)rig)
		rig->aborted++;
	else
		command_abort(command);
}

static const struct control_handler rig_handler = {
	.groups = rig_groups,
	.command_begin = rig_begin,
	.command_data = rig_data,
	.command_end = rig_end,
	.command_abort = rig_abort,
};

static void rig_create(struct rig *rig)
{
	struct xfq_error error;

	memset(rig, 0, sizeof(*rig));
	strcpy(rig->dir, "/tmp/xfq-command-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	setenv("XFQ_RUN_DIR", rig->dir, 1);
	if (control_open(&rig->control, "rig", &rig_handler, rig, &error))
		fail_msg("%s", error.text);
}

static void rig_destroy(struct rig *rig)
{
	assert_int_equal(rig->control.client_cnt, 0);
	control_close(&rig->control, "the end");
	assert_int_equal(rmdir(rig->dir), 0);
	assert_int_equal(rig->begun, rig->ended + rig->aborted);
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

/* --- a client, in a thread of its own ----------------------------------------------------------
 */

struct asking {
	struct client_command command;
	int code;
	char *answer;
	struct xfq_error error;
	bool done;
};

static void *asking_run(void *argument)
{
	struct asking *asking = argument;
	struct xfq *xfq;

	asking->code = xfq_open(&xfq, "rig", &asking->error);
	if (asking->code == 0)
		asking->code =
			client_command(xfq, &asking->command, &asking->answer, &asking->error);
	xfq_close(xfq);
	__atomic_store_n(&asking->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void ask(struct rig *rig, struct asking *asking)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, asking_run, asking), 0);
	while (!__atomic_load_n(&asking->done, __ATOMIC_ACQUIRE))
		control_serve(&rig->control);
	pthread_join(thread, NULL);
	rig_serve(rig);
}

/* A command that is refused with a code and these words. */
static void check_refused(struct rig *rig, const char *json, int code, const char *words)
{
	struct asking asking = {.command = {.json = json}};

	ask(rig, &asking);
	assert_int_equal(asking.code, code);
	assert_null(asking.answer);
	if (!strstr(asking.error.text, words))
		fail_msg("%s: %s", json, asking.error.text);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_commands(void **state)
{
	struct asking asking = {.command = {.json = "{\"command\":\"commands\"}"}};
	struct rig rig;
	json_t *answer;

	(void)state;
	rig_create(&rig);
	ask(&rig, &asking);
	assert_int_equal(asking.code, 0);
	answer = json_loads(asking.answer, 0, NULL);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(answer, "commands"), 0)),
		"commands");
	json_decref(answer);
	free(asking.answer);
	check_refused(&rig, "{\"command\":\"dance\"}", -ENOTSUP, "no command \"dance\"");
	check_refused(&rig, "{\"command\":7}", -EINVAL, "wants \"command\", a string");
	check_refused(&rig, "{}", -EINVAL, "wants \"command\", a string");
	check_refused(&rig, "[]", -EINVAL, "no JSON object");
	check_refused(&rig, "{\"command\"", -EINVAL, "no JSON object: ");
	check_refused(&rig, "{\"command\":\"commands\",\"command\":\"x\"}", -EINVAL, "duplicate");
	rig_destroy(&rig);
}

/* Large data comes piece by piece, and is answered for; or refused in the middle. */
static void test_data(void **state)
{
	const size_t len = 5000000;
	char *data = malloc(len);
	struct asking asking = {
		.command = {.json = "{\"command\":\"load\"}", .data = data, .data_len = len}};
	struct rig rig;

	(void)state;
	assert_non_null(data);
	memset(data, 1, len);
	rig_create(&rig);
	ask(&rig, &asking);
	assert_int_equal(asking.code, 0);
	assert_string_equal(asking.answer, "{\"ok\":true,\"sum\":5000000}");
	free(asking.answer);
	assert_int_equal(rig.ended, 1);
	asking = (struct asking){.command = asking.command};
	rig.bytes = 0;
	rig.refuse_at = 1000000;
	ask(&rig, &asking);
	assert_int_equal(asking.code, -EINVAL);
	assert_string_equal(asking.error.text, "byte 1000000 is none");
	assert_int_equal(rig.aborted, 1);
	asking = (struct asking){.command = {.json = "{\"command\":\"commands\"}", .data = data}};
	asking.command.data_len = PROTOCOL_DATA_BYTES_MAX + 1ULL;
	/* refused before any of it is read: the client need not have that much */
	asking.command.json = "{}";
	ask(&rig, &asking);
	assert_int_equal(asking.code, -E2BIG);
	rig_destroy(&rig);
	free(data);
}

static void begin(int fd, uint64_t json_len, uint64_t data_len)
{
	struct protocol_request request = {.magic = PROTOCOL_MAGIC,
					   .version = PROTOCOL_VERSION,
					   .type = PROTOCOL_COMMAND,
					   .json_len = json_len,
					   .data_len = data_len};

	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
}

static void expect_answer(int fd, int code)
{
	struct protocol_answer answer;

	assert_int_equal(recv(fd, &answer, sizeof(answer), MSG_DONTWAIT), sizeof(answer));
	assert_int_equal(answer.type, PROTOCOL_COMMAND);
	assert_int_equal(answer.code, code);
}

/* Who stops in the middle keeps nobody, and who goes away leaves nothing behind. */
static void test_slow_and_gone(void **state)
{
	static const char json[] = "{\"command\":\"load\"}";
	const size_t len = sizeof(json) - 1;
	struct rig rig;
	int fds[4], crowd[CONTROL_CLIENTS_MAX];

	(void)state;
	rig_create(&rig);
	for (int i = 0; i < 4; i++) {
		fds[i] = rig_connect(&rig);
		begin(fds[i], len, 10);
	}
	rig_serve(&rig);
	assert_int_equal(send(fds[0], json, 5, 0), 5);
	assert_int_equal(send(fds[1], json, len, 0), (ssize_t)len);
	rig_serve(&rig);
	assert_int_equal(rig.begun, 1);
	/* JSON text and data in one message, cut where it pleases */
	assert_int_equal(send(fds[2], "{\"command\"", 10, 0), 10);
	assert_int_equal(send(fds[2], ":\"load\"}12345", 13, 0), 13);
	assert_int_equal(send(fds[2], "67890", 5, 0), 5);
	/* more than was said */
	assert_int_equal(send(fds[3], "{\"command\":\"load\"}1234567890x", len + 11, 0),
			 (ssize_t)len + 11);
	rig_serve(&rig);
	expect_answer(fds[2], 0);
	expect_answer(fds[3], -EPROTO);
	assert_int_equal(rig.begun, 2);
	assert_int_equal(rig.ended, 1);
	assert_int_equal(rig.aborted, 0);
	close(fds[0]);
	close(fds[1]);
	rig_serve(&rig);
	assert_int_equal(rig.aborted, 1);
	/* one in the middle gives way like any other that is waited for */
	close(fds[2]);
	fds[2] = rig_connect(&rig);
	begin(fds[2], len, 10);
	assert_int_equal(send(fds[2], json, len, 0), (ssize_t)len);
	rig_serve(&rig);
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		crowd[i] = rig_connect(&rig);
		control_serve(&rig.control);
	}
	assert_int_equal(rig.aborted, 2);
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		close(crowd[i]);
	close(fds[2]);
	close(fds[3]);
	rig_serve(&rig);
	rig_destroy(&rig);
}

/* Lengths that are none, and a message that is too long. */
static void test_lengths(void **state)
{
	static char bytes[PROTOCOL_MESSAGE_BYTES + 1];
	struct protocol_answer answer;
	struct rig rig;
	int fd;

	(void)state;
	rig_create(&rig);
	for (int i = 0; i < 3; i++) {
		fd = rig_connect(&rig);
		begin(fd, i == 0 ? 0 : i == 1 ? UINT64_MAX : 2, i == 2 ? UINT64_MAX : 0);
		rig_serve(&rig);
		expect_answer(fd, -E2BIG);
		close(fd);
	}
	fd = rig_connect(&rig);
	begin(fd, PROTOCOL_JSON_BYTES_MAX, 0);
	rig_serve(&rig);
	assert_int_equal(send(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	rig_serve(&rig);
	assert_int_equal(recv(fd, &answer, sizeof(answer), MSG_DONTWAIT), 0);
	close(fd);
	rig_serve(&rig);
	rig_destroy(&rig);
}

/* Who is neither root nor the instance's user gets no further than the name of a command. */
static void test_access(void **state)
{
	struct access_asker other = {.uid = geteuid() + 12345};
	static const char json[] = "{\"command\":\"commands\"}";
	struct command *command = NULL;
	struct xfq_error error;

	(void)state;
	assert_false(command_trusts(&other));
	assert_true(command_trusts(NULL));
	assert_int_equal(command_begin(NULL, &other, json, sizeof(json) - 1, 0, &command, &error),
			 -EACCES);
	assert_null(command);
	assert_int_equal(command_begin(NULL, NULL, json, sizeof(json) - 1, 5, &command, &error),
			 -EINVAL);
	assert_string_equal(error.text, "the command commands takes no data");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),      cmocka_unit_test(test_data),
		cmocka_unit_test(test_slow_and_gone), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_access),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
