/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of an instance inside the application: what may be done when, what is refused, and that
 * its end is nobody else's.
 */
#include "tests/embedded_rig.h"
#include <time.h>

#define GROUP "groups: { all: { members: 0 } }"

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void end(void)
{
	xfq_close(rig.xfq);
	xfq_instance_destroy(rig.instance);
}

/* --- start, wait, stop ------------------------------------------------------------------------ */

static void test_never_started(void **state)
{
	int fds = rig_open_fds();

	(void)state;
	rig_begin(GROUP, 1, 1);
	end();
	rig_begin(GROUP, 1, 1);
	assert_int_equal(xfq_instance_stop(rig.instance, NULL), 0);
	json_decref(rig_finish());
	xfq_instance_destroy(NULL);
	assert_int_equal(rig_open_fds(), fds);
}

/* Counters before the start, at the end, and after the stop. */
static void test_status(void **state)
{
	struct xfq_error error;
	json_t *status;

	(void)state;
	rig_begin("groups: { all: { run: worker } }", 10, 1000);
	status = rig_status();
	rig_check(status);
	assert_int_equal(rig_number(rig_group(status, "all"), "packets"), 0);
	assert_true(json_number_value(json_object_get(status, "uptime_seconds")) == 0);
	assert_string_equal(json_string_value(json_object_get(status, "source")), rig.file);
	json_decref(status);
	rig_start();
	assert_int_equal(xfq_instance_wait(rig.instance, RIG_LONG_MS), 1);
	status = rig_status();
	assert_int_equal(rig_number(rig_group(status, "all"), "packets"), 1000);
	json_decref(status);
	rig_done(xfq_instance_stop(rig.instance, &error), &error);
	rig_done(xfq_instance_stop(rig.instance, &error), &error);
	status = rig_finish();
	assert_int_equal(rig_number(rig_group(status, "all"), "packets"), 1000);
	json_decref(status);
}

/* What is too late. */
static void test_order(void **state)
{
	struct xfq_error error = {0};
	struct taking taking = {0};
	struct xfq *xfq = rig.xfq;

	(void)state;
	rig_begin(GROUP, 10, 1000);
	rig_expect(xfq_instance_callback(rig.instance, "none", taking_take, NULL, &error), &error,
		   -ESRCH, "instance xfq has no group none");
	rig_expect(xfq_instance_callback(rig.instance, NULL, taking_take, NULL, &error), &error,
		   -ESRCH, "has no group");
	rig_expect(xfq_instance_callback(rig.instance, "all", NULL, NULL, &error), &error, -EINVAL,
		   "no function to call");
	rig_start();
	rig_expect(xfq_instance_start(rig.instance, &error), &error, -EALREADY, "was started");
	rig_expect(xfq_instance_callback(rig.instance, "all", taking_take, &taking, &error), &error,
		   -EBUSY, "before the start");
	rig_complete();
	rig_expect(xfq_instance_start(rig.instance, &error), &error, -EALREADY, "was stopped");
	rig_expect(xfq_instance_callback(rig.instance, "all", taking_take, &taking, &error), &error,
		   -EBUSY, "before the start");
	rig_expect(xfq_instance_connect(&xfq, rig.instance, &error), &error, -ENOENT,
		   "xfq: the instance has ended");
	assert_null(xfq);
	end();
	rig_begin(GROUP, 10, 1000);
	assert_int_equal(xfq_instance_stop(rig.instance, NULL), 0);
	rig_expect(xfq_instance_start(rig.instance, &error), &error, -EALREADY, "was stopped");
	end();
}

static void *stop_soon(void *argument)
{
	usleep(100000);
	TRAFFIC_REQUIRE(xfq_instance_stop(argument, NULL) == 0);
	return NULL;
}

/* Who waits is told when the time is up, at the end of the file, and when another thread stops it.
 */
static void test_wait(void **state)
{
	struct xfq_join_options options = {.ring_slots = 64};
	struct xfq_member *member;
	pthread_t thread;
	uint64_t since;

	(void)state;
	rig_begin(GROUP, 10, 1000);
	since = now_ms();
	assert_int_equal(xfq_instance_wait(rig.instance, 0), 0);
	assert_int_equal(xfq_instance_wait(rig.instance, 150), 0);
	assert_true(now_ms() - since >= 150);
	assert_int_equal(xfq_join(&member, rig.xfq, "all", &options, NULL), 0);
	rig_start();
	since = now_ms();
	/* the file waits for a member that does not read */
	assert_int_equal(xfq_instance_wait(rig.instance, 1050), 0);
	assert_true(now_ms() - since >= 1050);
	xfq_leave(member);
	assert_int_equal(xfq_instance_wait(rig.instance, -1), 1);
	assert_int_equal(xfq_instance_wait(rig.instance, 0), 1);
	end();

	rig_begin(GROUP, 10, 1000);
	assert_int_equal(xfq_join(&member, rig.xfq, "all", &options, NULL), 0);
	rig_start();
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, rig.instance), 0);
	assert_int_equal(xfq_instance_wait(rig.instance, -1), 1);
	pthread_join(thread, NULL);
	xfq_leave(member);
	json_decref(rig_finish());
}

/* --- callbacks -------------------------------------------------------------------------------- */

static void asks_its_own(void *context, const struct xfq_packet *pkts, uint32_t cnt)
{
	uint32_t *calls = context;
	struct xfq_error error;
	struct xfq *xfq;
	char *json;

	(void)pkts;
	(void)cnt;
	TRAFFIC_REQUIRE(xfq_instance_status(rig.instance, &json, &error) == -EDEADLK);
	TRAFFIC_REQUIRE(strstr(error.text, "a callback may not call its own instance") && !json);
	TRAFFIC_REQUIRE(xfq_instance_stop(rig.instance, NULL) == -EDEADLK);
	TRAFFIC_REQUIRE(xfq_instance_start(rig.instance, NULL) == -EDEADLK);
	TRAFFIC_REQUIRE(xfq_instance_wait(rig.instance, -1) == -EDEADLK);
	TRAFFIC_REQUIRE(xfq_instance_connect(&xfq, rig.instance, NULL) == -EDEADLK && !xfq);
	TRAFFIC_REQUIRE(xfq_instance_callback(rig.instance, "all", asks_its_own, NULL, NULL) ==
			-EDEADLK);
	++*calls;
}

/* A callback that calls its own instance is told so, where it would wait for itself. */
static void test_callback_asks(void **state)
{
	uint32_t calls = 0;

	(void)state;
	rig_begin(GROUP, 10, 100);
	assert_int_equal(xfq_instance_callback(rig.instance, "all", asks_its_own, &calls, NULL), 0);
	rig_start();
	rig_complete();
	assert_true(calls > 0);
	json_decref(rig_finish());
}

/* How many callbacks and members there may be. */
static void test_full(void **state)
{
	struct taking taking = {0};
	struct tally tally;
	struct xfq_error error = {0};
	char config[256];

	(void)state;
	rig_begin(GROUP, 10, 100);
	tally_create(&tally, 10, 1600, false);
	taker_create(&taking.taker, &tally, 0);
	for (int i = 0; i < 16; i++)
		assert_int_equal(
			xfq_instance_callback(rig.instance, "all", taking_take, &taking, NULL), 0);
	rig_expect(xfq_instance_callback(rig.instance, "all", taking_take, &taking, &error), &error,
		   -EBUSY, "it has 16 callbacks");
	end();
	snprintf(config, sizeof(config),
		 "groups: { all: { members: 64, sink: pcap, dir: \"%s\", run: worker } }",
		 rig.folder);
	rig_begin(config, 10, 100);
	rig_expect(xfq_instance_callback(rig.instance, "all", taking_take, &taking, &error), &error,
		   -EBUSY, "it has 64 members");
	end();
	taker_destroy(&taking.taker);
	tally_destroy(&tally);
}

/* --- members and the end ---------------------------------------------------------------------- */

/* Members read to their end when the instance is no more, and their memory is still there. */
static void test_outlive(void **state)
{
	struct reader readers[2] = {0};
	struct xfq_error error = {0};
	struct xfq_member *member;
	struct xfq *xfq;
	struct tally tally;

	(void)state;
	rig_begin(GROUP, 50, 1000);
	xfq = rig.xfq;
	tally_create(&tally, 50, 1000, true);
	reader_join(&readers[0], &tally, "all", NULL, 0);
	reader_join(&readers[1], &tally, "all", NULL, 1);
	rig_start();
	rig_complete();
	xfq_instance_destroy(rig.instance);
	for (int i = 0; i < 2; i++) {
		reader_start(&readers[i]);
		reader_end(&readers[i]);
	}
	assert_int_equal(tally_sum(&tally, 1), 1000);
	rig_expect(xfq_join(&member, xfq, "all", NULL, &error), &error, -ENOENT,
		   "xfq: the instance has ended");
	assert_null(member);
	xfq_close(xfq);
	tally_destroy(&tally);
}

/* A member whose packets are not read keeps them, through the end, again and again. */
static void test_end_stays(void **state)
{
	struct xfq_packet pkts[8];
	struct xfq_member *member;

	(void)state;
	rig_begin(GROUP, 1, 3);
	assert_int_equal(xfq_join(&member, rig.xfq, "all", NULL, NULL), 0);
	rig_start();
	rig_complete();
	end();
	assert_null(xfq_end(member));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(xfq_wait(member, 0), 1);
		assert_int_equal(xfq_peek(member, pkts, 8), 3);
	}
	assert_int_equal(traffic_read(pkts[2].data, pkts[2].len).index, 2);
	xfq_release(member, 3);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(xfq_wait(member, -1), 1);
		assert_int_equal(xfq_peek(member, pkts, 8), -EPIPE);
		assert_string_equal(xfq_end(member), "the instance has ended");
	}
	xfq_leave(member);
}

struct joiner {
	pthread_t thread;
	struct xfq_instance *instance;
	struct xfq *xfq;
	struct xfq_member *member;
};

static void *joiner_run(void *argument)
{
	struct joiner *joiner = argument;
	struct xfq_error error;

	if (xfq_instance_connect(&joiner->xfq, joiner->instance, &error) ||
	    xfq_join(&joiner->member, joiner->xfq, "all", NULL, &error)) {
		fprintf(stderr, "%s\n", error.text);
		abort();
	}
	return NULL;
}

/* As many threads as a group may have members join at the same time. */
static void test_all_join(void **state)
{
	struct joiner joiners[64] = {0};
	struct xfq_error error = {0};
	struct xfq_member *member;

	(void)state;
	rig_begin("groups: { all: { members: 0, max_members: 64, ring: 64 } }", 100, 100);
	for (int i = 0; i < 64; i++) {
		joiners[i].instance = rig.instance;
		assert_int_equal(pthread_create(&joiners[i].thread, NULL, joiner_run, &joiners[i]),
				 0);
	}
	for (int i = 0; i < 64; i++)
		pthread_join(joiners[i].thread, NULL);
	rig_expect(xfq_join(&member, rig.xfq, "all", NULL, &error), &error, -EBUSY, "is full");
	for (int i = 0; i < 64; i++) {
		xfq_leave(joiners[i].member);
		xfq_close(joiners[i].xfq);
	}
	json_decref(rig_finish());
}

/* --- several instances ------------------------------------------------------------------------ */

/* Two instances read the same file at the same time; each has its members, one of them by the
 * instance's socket. */
static void test_two(void **state)
{
	static const char *const texts[] = {"name: one\ngroups: { all: { members: 0 } }",
					    "name: two\ngroups: { all: { members: 0 } }"};
	struct xfq_instance_options options = {.socket = true};
	struct reader readers[2] = {0};
	struct xfq_instance *instances[2];
	struct xfq_error error = {0};
	struct tally tallies[2];
	char path[sizeof(rig.file)];

	(void)state;
	traffic_write(rig.file, 100, 20000);
	for (int i = 0; i < 2; i++) {
		struct xfq_config *config = xfq_config_parse(texts[i], NULL);

		/* the text is the caller's again afterwards */
		memcpy(path, rig.file, sizeof(path));
		options.read_path = path;
		rig_done(xfq_instance_create(&instances[i], config, &options, &error), &error);
		memset(path, 'x', sizeof(path) - 1);
		xfq_config_destroy(config);
		tally_create(&tallies[i], 100, 20000, true);
	}
	rig_done(xfq_instance_connect(&rig.xfq, instances[0], &error), &error);
	reader_join(&readers[0], &tallies[0], "all", NULL, 0);
	xfq_close(rig.xfq);
	rig_done(xfq_open(&rig.xfq, "two", &error), &error);
	reader_join(&readers[1], &tallies[1], "all", NULL, 0);
	xfq_close(rig.xfq);
	for (int i = 0; i < 2; i++) {
		reader_start(&readers[i]);
		rig_done(xfq_instance_start(instances[i], &error), &error);
	}
	for (int i = 0; i < 2; i++) {
		json_t *status;

		rig.instance = instances[i];
		rig.xfq = NULL;
		rig_complete();
		reader_end(&readers[i]);
		assert_int_equal(tally_sum(&tallies[i], 1), 20000);
		status = rig_finish();
		assert_string_equal(json_string_value(json_object_get(status, "source")), rig.file);
		assert_string_equal(json_string_value(json_object_get(status, "name")),
				    i ? "two" : "one");
		json_decref(status);
		tally_destroy(&tallies[i]);
	}
}

/* --- files ------------------------------------------------------------------------------------ */

/* A file that breaks off: what came before it is delivered, and the stop says what happened. */
static void test_broken_file(void **state)
{
	struct xfq_error error = {0};
	json_t *status;

	(void)state;
	rig_begin("groups: { all: { run: worker } }", 10, 1000);
	/* it is open, and has been read as far as its header */
	assert_int_equal(truncate(rig.file, 60000), 0);
	rig_start();
	assert_int_equal(xfq_instance_wait(rig.instance, RIG_LONG_MS), 1);
	rig_expect(xfq_instance_stop(rig.instance, &error), &error, -EINVAL, "packets: ");
	assert_true(strncmp(error.text, rig.file, strlen(rig.file)) == 0);
	assert_int_equal(xfq_instance_stop(rig.instance, NULL), 0);
	status = rig_finish();
	assert_in_range(rig_number(rig_group(status, "all"), "packets"), 100, 999);
	json_decref(status);
}

/* What built-in members write can be read by others while the instance runs. */
static void test_flushed(void **state)
{
	char config[256], path[160];
	struct xfq_member *member;
	uint64_t since = now_ms();
	long bytes = 0;

	(void)state;
	snprintf(config, sizeof(config),
		 "groups: { file: { sink: pcap, dir: \"%s\" }, all: { members: 0, ring: 64 } }",
		 rig.folder);
	snprintf(path, sizeof(path), "%s/file.0.pcapng", rig.folder);
	rig_begin(config, 10, 1000);
	/* one that does not read keeps the instance from its end */
	assert_int_equal(xfq_join(&member, rig.xfq, "all", NULL, NULL), 0);
	rig_start();
	while (bytes < 4096) {
		FILE *file = fopen(path, "r");

		assert_true(now_ms() - since < RIG_LONG_MS);
		assert_non_null(file);
		fseek(file, 0, SEEK_END);
		bytes = ftell(file);
		fclose(file);
		usleep(10000);
	}
	assert_int_equal(xfq_instance_wait(rig.instance, 0), 0);
	xfq_leave(member);
	rig_complete();
	json_decref(rig_finish());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never_started), cmocka_unit_test(test_status),
		cmocka_unit_test(test_order),         cmocka_unit_test(test_wait),
		cmocka_unit_test(test_callback_asks), cmocka_unit_test(test_full),
		cmocka_unit_test(test_outlive),       cmocka_unit_test(test_end_stays),
		cmocka_unit_test(test_all_join),      cmocka_unit_test(test_two),
		cmocka_unit_test(test_broken_file),   cmocka_unit_test(test_flushed),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
