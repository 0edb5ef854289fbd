/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An instance inside the test, on a capture file of made-up traffic (traffic.h):
 *
 *	rig_setup()				a folder, as a cmocka setup function
 *	rig_begin("groups: ...", flows, packets)	an instance that reads them
 *	reader_join(&reader, &tally, "group", &options)		a member that is a thread
 *	rig_callback("group", &taking)			a member that is a callback
 *	rig_run()				start, to the end of the file, stop; reader_end()
 *	rig_finish()				sums, and the instance is gone
 *
 * The test's thread asserts by cmocka, others by TRAFFIC_REQUIRE.
 */
#ifndef TESTS_EMBEDDED_RIG_H
#define TESTS_EMBEDDED_RIG_H

#include "tests/traffic.h"
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <xfq/xfq.h>

#include <cmocka.h>

#define RIG_LONG_MS 120000 /* what takes longer has hung */
#define RIG_BURST   32

/* A member that is a thread: joined by the test's, then the reader's own. */
struct reader {
	pthread_t thread;
	struct xfq_member *member;
	struct tally *tally;
	struct taker taker;
	enum xfq_wait_mode wait;
	bool direct;      /* it waits as `wait` says; else in xfq_wait(), for some time */
	uint64_t hold_at; /* stops reading once it has so many; 0: never */
	bool held;        /* it has; set to false, and hold_at to 0, by who lets it go on */
	bool leave;       /* it is to leave */
	int end;          /* what xfq_peek() ended with; 0: it has left */
	char why[256];    /* xfq_end() */
};

/* A member that is a callback; one worker calls it. */
struct taking {
	struct tally *tally;
	struct taker taker;
};

struct rig {
	char folder[64], file[96];
	struct xfq_instance *instance;
	struct xfq *xfq;
	uint32_t flow_cnt, packet_cnt;
};

static struct rig rig;

static inline int rig_setup(void **state)
{
	char run[96];

	(void)state;
	snprintf(rig.folder, sizeof(rig.folder), "/tmp/xfq-embedded-XXXXXX");
	if (!mkdtemp(rig.folder))
		return -1;
	snprintf(rig.file, sizeof(rig.file), "%s/traffic.pcapng", rig.folder);
	snprintf(run, sizeof(run), "%s/run", rig.folder);
	return setenv("XFQ_RUN_DIR", run, 1);
}

/* Remove a folder with the files in it. */
static inline int rig_remove(const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	char path[512];

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (entry->d_name[0] != '.')
			remove(path);
	}
	if (dir)
		closedir(dir);
	return rmdir(folder);
}

static inline int rig_teardown(void **state)
{
	(void)state;
	rig_remove(getenv("XFQ_RUN_DIR"));
	return rig_remove(rig.folder);
}

static inline int rig_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int cnt = 0;

	assert_non_null(dir);
	while (readdir(dir))
		cnt++;
	closedir(dir);
	return cnt;
}

/* That a call was refused, and with a sentence that has these words. */
static inline void rig_expect(int code, const struct xfq_error *error, int wanted,
			      const char *words)
{
	if (code != wanted || error->code != wanted || !strstr(error->text, words))
		fail_msg("%d (%d), \"%s\": wanted %d, \"%s\"", code, error->code, error->text,
			 wanted, words);
}

/* That a call has succeeded. */
static inline void rig_done(int code, const struct xfq_error *error)
{
	if (code)
		fail_msg("%d: %s", code, error->text);
}

static inline void rig_begin(const char *text, uint32_t flow_cnt, uint32_t packet_cnt)
{
	struct xfq_instance_options options = {.read_path = rig.file};
	struct xfq_error error = {0};
	struct xfq_config *config;
	char *errors;

	traffic_write(rig.file, flow_cnt, packet_cnt);
	rig.flow_cnt = flow_cnt;
	rig.packet_cnt = packet_cnt;
	config = xfq_config_parse(text, &errors);
	if (!config)
		fail_msg("%s", errors);
	rig_done(xfq_instance_create(&rig.instance, config, &options, &error), &error);
	xfq_config_destroy(config);
	rig_done(xfq_instance_connect(&rig.xfq, rig.instance, &error), &error);
}

static inline void rig_callback(const char *group, struct taking *taking, struct tally *tally,
				int32_t id, xfq_callback *callback)
{
	struct xfq_error error = {0};

	taking->tally = tally;
	taker_create(&taking->taker, tally, id);
	rig_done(xfq_instance_callback(rig.instance, group, callback, taking, &error), &error);
}

/* A packet of a member's: its metadata tells the truth. */
static inline void rig_take(struct tally *tally, struct taker *taker, const struct xfq_packet *pkt)
{
	struct traffic_stamp stamp = tally_take(tally, taker, pkt->data, pkt->len);
	const struct xfq_meta *meta = pkt->meta;

	TRAFFIC_REQUIRE(meta->magic == XFQ_META_CHECKED && meta->wire_len == pkt->len);
	TRAFFIC_REQUIRE(meta->ts_ns == TRAFFIC_TS_NS + stamp.index * 1000ULL);
	TRAFFIC_REQUIRE(meta->l4_proto == (stamp.flow % 2 ? 17 : 6));
	TRAFFIC_REQUIRE(!(meta->flags & XFQ_META_IPV4) == (stamp.flow % TRAFFIC_KINDS >= 2));
}

/* The callback of a struct taking. */
static inline void taking_take(void *context, const struct xfq_packet *pkts, uint32_t cnt)
{
	struct taking *taking = context;

	TRAFFIC_REQUIRE(cnt >= 1 && cnt <= 64);
	for (uint32_t i = 0; i < cnt; i++)
		rig_take(taking->tally, &taking->taker, &pkts[i]);
}

/* Hold still until somebody says otherwise. */
static inline void reader_hold(struct reader *reader)
{
	uint64_t at = __atomic_load_n(&reader->hold_at, __ATOMIC_ACQUIRE);

	if (at == 0 || reader->taker.packets < at)
		return;
	__atomic_store_n(&reader->held, true, __ATOMIC_RELEASE);
	while (__atomic_load_n(&reader->held, __ATOMIC_ACQUIRE))
		usleep(1000);
}

/* As xfq_peek(), 0 after a while. */
static inline int reader_peek(struct reader *reader, struct xfq_packet *pkts)
{
	struct pollfd fd = {.fd = xfq_fd(reader->member), .events = POLLIN};
	int cnt;

	if (!reader->direct) {
		cnt = xfq_wait(reader->member, 20);
		return cnt > 0 ? xfq_peek(reader->member, pkts, RIG_BURST) : cnt;
	}
	cnt = xfq_peek(reader->member, pkts, RIG_BURST);
	if (cnt == 0 && reader->wait == XFQ_WAIT_POLL)
		poll(&fd, 1, -1);
	else if (cnt == 0)
		sched_yield();
	return cnt;
}

/* Take what there is; released in two parts. Returns as reader_peek(). */
static inline int reader_take(struct reader *reader)
{
	struct xfq_packet pkts[RIG_BURST];
	int cnt = reader_peek(reader, pkts);

	for (int i = 0; i < cnt; i++)
		rig_take(reader->tally, &reader->taker, &pkts[i]);
	if (cnt > 0) {
		xfq_release(reader->member, (uint32_t)cnt / 2);
		xfq_release(reader->member, (uint32_t)cnt - (uint32_t)cnt / 2);
	}
	return cnt;
}

static inline void *reader_run(void *argument)
{
	struct reader *reader = argument;

	for (;;) {
		reader_hold(reader);
		if (__atomic_load_n(&reader->leave, __ATOMIC_ACQUIRE)) {
			reader->end = 0;
			break;
		}
		reader->end = reader_take(reader);
		if (reader->end < 0) {
			TRAFFIC_REQUIRE(xfq_end(reader->member));
			snprintf(reader->why, sizeof(reader->why), "%s", xfq_end(reader->member));
			break;
		}
	}
	xfq_leave(reader->member);
	reader->member = NULL;
	return NULL;
}

/* Become a member, whose thread is still to be started. */
static inline void reader_join(struct reader *reader, struct tally *tally, const char *group,
			       const struct xfq_join_options *options, int32_t id)
{
	struct xfq_error error = {0};

	reader->tally = tally;
	reader->wait = options ? options->wait : XFQ_WAIT_BLOCK;
	taker_create(&reader->taker, tally, id);
	rig_done(xfq_join(&reader->member, rig.xfq, group, options, &error), &error);
}

static inline void reader_start(struct reader *reader)
{
	assert_int_equal(pthread_create(&reader->thread, NULL, reader_run, reader), 0);
}

static inline void reader_go_on(struct reader *reader)
{
	__atomic_store_n(&reader->hold_at, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&reader->held, false, __ATOMIC_RELEASE);
}

static inline void reader_leave(struct reader *reader)
{
	__atomic_store_n(&reader->leave, true, __ATOMIC_RELEASE);
	reader_go_on(reader);
	pthread_join(reader->thread, NULL);
}

/* Wait until it holds still. */
static inline void reader_await_hold(const struct reader *reader)
{
	for (int ms = 0; !__atomic_load_n(&reader->held, __ATOMIC_ACQUIRE); ms++) {
		assert_true(ms < RIG_LONG_MS);
		usleep(1000);
	}
}

/* Wait for its end with the instance's. */
static inline void reader_end(struct reader *reader)
{
	pthread_join(reader->thread, NULL);
	assert_int_equal(reader->end, -EPIPE);
	assert_string_equal(reader->why, "the instance has ended");
	taker_destroy(&reader->taker);
}

static inline void rig_start(void)
{
	struct xfq_error error = {0};

	rig_done(xfq_instance_start(rig.instance, &error), &error);
}

/* To the end of the file. */
static inline void rig_complete(void)
{
	struct xfq_error error = {0};

	assert_int_equal(xfq_instance_wait(rig.instance, RIG_LONG_MS), 1);
	rig_done(xfq_instance_stop(rig.instance, &error), &error);
}

/* --- counters --------------------------------------------------------------------------------- */

static inline uint64_t rig_number(const json_t *object, const char *key)
{
	const json_t *number = json_object_get(object, key);

	if (!json_is_integer(number))
		fail_msg("no number \"%s\"", key);
	return (uint64_t)json_integer_value(number);
}

static inline json_t *rig_status(void)
{
	struct xfq_error error = {0};
	char *text = NULL;
	json_t *status;

	rig_done(xfq_instance_status(rig.instance, &text, &error), &error);
	status = json_loads(text, 0, NULL);
	free(text);
	assert_non_null(status);
	return status;
}

static inline const json_t *rig_group(const json_t *status, const char *name)
{
	const json_t *group = json_object_get(json_object_get(status, "groups"), name);

	assert_non_null(group);
	return group;
}

/* A counter of a group's members that are there, and of those that left. */
static inline uint64_t rig_sum(const json_t *group, const char *key)
{
	const json_t *members = json_object_get(group, "members");
	uint64_t sum = 0;

	for (size_t i = 0; i < json_array_size(members); i++)
		sum += rig_number(json_array_get(members, i), key);
	return sum + rig_number(json_object_get(group, "left"), key);
}

static inline void rig_check_member(const json_t *member, bool left)
{
	uint64_t queued = left ? 0 : rig_number(member, "queued");

	assert_int_equal(rig_number(member, "packets"),
			 rig_number(member, "consumed") + rig_number(member, "discarded") + queued);
	assert_int_equal(rig_number(member, "lost"), rig_number(member, "lost_ring") +
							     rig_number(member, "lost_quota") +
							     rig_number(member, "lost_detached"));
}

/* Of its members that are there, and of those that left. */
static inline void rig_check_members(const json_t *group)
{
	const json_t *members = json_object_get(group, "members");

	for (size_t i = 0; i < json_array_size(members); i++)
		rig_check_member(json_array_get(members, i), false);
	rig_check_member(json_object_get(group, "left"), true);
}

static inline void rig_check_group(const json_t *group)
{
	const char *steer = json_string_value(json_object_get(group, "steer"));

	rig_check_members(group);
	assert_int_equal(rig_number(group, "offered"),
			 rig_sum(group, "packets") + rig_sum(group, "lost"));
	if (strcmp(steer, "broadcast") != 0)
		assert_int_equal(rig_number(group, "packets"),
				 rig_number(group, "offered") + rig_number(group, "no_member"));
}

/* Each is in one place, at any time. */
static inline void rig_check_frames(const json_t *status)
{
	const json_t *frames = json_object_get(status, "frames");

	assert_int_equal(rig_number(frames, "total"),
			 rig_number(frames, "free") + rig_number(frames, "kernel") +
				 rig_number(frames, "worker") + rig_number(frames, "held") +
				 rig_number(frames, "tx"));
}

/* All sums that hold of an instance that has stopped. */
static inline void rig_check(const json_t *status)
{
	const json_t *workers = json_object_get(status, "workers");
	json_t *groups = json_object_get(status, "groups");
	uint64_t received = 0;
	const char *name;
	json_t *group;

	for (size_t i = 0; i < json_array_size(workers); i++)
		received += rig_number(json_array_get(workers, i), "received");
	assert_int_equal(received, rig_number(json_object_get(status, "verdicts"), "steer"));
	json_object_foreach(groups, name, group) rig_check_group(group);
	rig_check_frames(status);
}

/* Of a stopped instance: every sum holds, and it is gone. Its last counters are the caller's. */
static inline json_t *rig_finish(void)
{
	json_t *status = rig_status();

	rig_check(status);
	xfq_close(rig.xfq);
	xfq_instance_destroy(rig.instance);
	return status;
}

#endif
