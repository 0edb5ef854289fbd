/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Worker and members as threads over the very same memory. A member elsewhere has mappings of its
 * own, between which a race detector sees no connection; here it sees every access of both sides.
 *
 *	fan-out   a worker that waits for nobody: members lose packets, spill them, come and go
 *	engine    its worker, its built-in consumers, and members that join, sleep and leave
 */
#include "apps/instance/config_yaml.h"
#include "tests/traffic.h"
#include "workers/capture.h"
#include "workers/engine.h"
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define RIG_REQUIRE TRAFFIC_REQUIRE
#include "tests/fanout_rig.h"

#define FLOWS 97

/* What a member does: looks at some packets, and again before it gives them back. */
struct reader {
	pthread_t thread;
	bool running;          /* the thread is to be joined */
	struct xfq_ring *ring; /* its own while it runs */
	struct tally *tally;
	struct taker taker;
	int wake_fd;   /* -1: it never sleeps */
	uint32_t stop; /* 1: finish; 2: with packets in hand */
};

/* In place, nothing changes. */
static void reader_look(struct reader *reader, uint32_t cnt, uint64_t *sums, bool first)
{
	for (uint32_t i = 0; i < cnt; i++) {
		const struct xfq_ring_desc *desc = xfq_ring_desc(reader->ring, i);
		const uint8_t *data = xfq_ring_packet(reader->ring, desc);
		const struct xfq_meta *meta = xfq_ring_meta(reader->ring, desc);
		uint64_t sum =
			(uint64_t)desc->addr << 32 ^ traffic_sum(data, desc->len) ^ meta->flow_hash;

		TRAFFIC_REQUIRE(meta->magic == XFQ_META_CHECKED && meta->wire_len == desc->len);
		if (first)
			sums[i] = sum;
		TRAFFIC_REQUIRE(sums[i] == sum);
	}
}

/* Take up to 16 packets. Returns how many. */
static uint32_t reader_take(struct reader *reader)
{
	uint32_t cnt = xfq_ring_peek(reader->ring, 16);
	uint64_t sums[16];

	if (cnt == 0)
		return 0;
	reader_look(reader, cnt, sums, true);
	sched_yield();
	reader_look(reader, cnt, sums, false);
	if (__atomic_load_n(&reader->stop, __ATOMIC_ACQUIRE) == 2)
		return 0;
	for (uint32_t i = 0; i < cnt; i++) {
		const struct xfq_ring_desc *desc = xfq_ring_desc(reader->ring, i);

		tally_take(reader->tally, &reader->taker, xfq_ring_packet(reader->ring, desc),
			   desc->len);
	}
	xfq_ring_release(reader->ring, cnt);
	return cnt;
}

/* Sleep until there is something. */
static void reader_sleep(struct reader *reader)
{
	struct pollfd fd = {.fd = reader->wake_fd, .events = POLLIN};
	char message[8];

	xfq_ring_set_waiting(reader->ring, 1);
	if (!xfq_ring_ready(reader->ring) && !xfq_ring_ended(reader->ring) &&
	    !__atomic_load_n(&reader->stop, __ATOMIC_SEQ_CST))
		poll(&fd, 1, -1);
	xfq_ring_set_waiting(reader->ring, 0);
	while (recv(reader->wake_fd, message, sizeof(message), MSG_DONTWAIT) > 0)
		;
}

static void *reader_run(void *argument)
{
	struct reader *reader = argument;

	while (!__atomic_load_n(&reader->stop, __ATOMIC_ACQUIRE) && !xfq_ring_ended(reader->ring)) {
		if (reader_take(reader) > 0)
			continue;
		if (reader->wake_fd >= 0)
			reader_sleep(reader);
		else
			sched_yield();
	}
	return NULL;
}

static void reader_start(struct reader *reader, struct xfq_ring *ring, struct tally *tally,
			 int wake_fd)
{
	*reader =
		(struct reader){.running = true, .ring = ring, .tally = tally, .wake_fd = wake_fd};
	taker_create(&reader->taker, tally, 0);
	TRAFFIC_REQUIRE(pthread_create(&reader->thread, NULL, reader_run, reader) == 0);
}

/* Have it end; 2: with packets in hand. Returns how many it has taken. */
static uint64_t reader_finish(struct reader *reader, uint32_t stop, int waker)
{
	__atomic_store_n(&reader->stop, stop, __ATOMIC_SEQ_CST);
	if (waker >= 0)
		send(waker, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	pthread_join(reader->thread, NULL);
	taker_destroy(&reader->taker);
	reader->running = false;
	return reader->taker.packets;
}

/* --- the fan-out ------------------------------------------------------------------------------ */

#define BURSTS  4000
#define PLACES  4 /* of each group */
#define GROUPS  3
#define IN_CALL (PLACES * GROUPS) /* the place of a member that the worker calls */

static struct rig rig;
static struct reader readers[PLACES * GROUPS];
static struct tally tallies[GROUPS];

/* One in the worker, which sees the packets of its group beside the others. */
static void count_calls(void *context, const struct packet *pkts, const uint32_t *marks,
			const uint8_t *index, uint32_t cnt)
{
	struct taker *taker = context;

	(void)marks;
	for (uint32_t i = 0; i < cnt; i++)
		tally_take(&tallies[1], taker, pkts[index[i]].data, pkts[index[i]].len);
}

/* A member comes, or one that is there goes, at the end of a burst. */
static void change_member(uint32_t slot)
{
	struct reader *reader = &readers[slot];
	uint32_t slots = 64u << random() % 2;
	uint64_t taken;

	if (!reader->running) {
		rig_join(&rig, slot / PLACES, slot, slots,
			 random() % 2 ? slots : 1 + (uint32_t)random() % slots,
			 (uint16_t)(1 + random() % 5));
		reader_start(reader, &rig.members[slot].view, &tallies[slot / PLACES], -1);
		return;
	}
	taken = reader_finish(reader, 1 + (uint32_t)random() % 2, -1);
	rig_leave(&rig, slot);
	assert_int_equal(rig.fanout.outlets[slot].consumed, taken);
}

static void test_fanout(void **state)
{
	struct packet_builder b;
	struct taker taker;
	uint32_t sent = 0;

	(void)state;
	rig_create(&rig, 64 + PLACES * GROUPS * 128);
	rig_group(&rig, NULL, METHOD_FLOW, PLACES);
	rig_group_overflow(&rig, "udp", METHOD_ROUND_ROBIN, PLACES, POLICY_SPILL);
	rig_group(&rig, NULL, METHOD_BROADCAST, PLACES);
	rig.member_cnt++;
	rig_connect(&rig, 0, 0);
	for (int g = 0; g < GROUPS; g++)
		tally_create(&tallies[g], FLOWS, BURSTS * 64, false);
	taker_create(&taker, &tallies[1], 0);
	rig_join_consumer(&rig, 1, IN_CALL, 1, count_calls, &taker);
	srandom(1);
	for (uint32_t burst = 0; burst < BURSTS; burst++) {
		for (uint32_t cnt = 1 + (uint32_t)random() % 64; cnt > 0; cnt--) {
			traffic_build(&b, FLOWS, sent++);
			rig_add(&rig, &b);
		}
		rig_burst(&rig);
		if (random() % 4 == 0)
			fanout_reclaim(&rig.fanout, (uint32_t)random() % 3);
		if (burst % 16 == 0)
			change_member((uint32_t)random() % (PLACES * GROUPS));
	}
	rig_check_sums(&rig, sent);
	for (uint32_t slot = 0; slot < PLACES * GROUPS; slot++)
		if (readers[slot].running)
			change_member(slot);
	assert_true(tally_sum(&tallies[0], 1) > 0);
	/* the one in the worker has always room for what others spill */
	assert_int_equal(rig.past[1].lost, 0);
	assert_true(tally_sum(&tallies[1], 1) > taker.packets);
	assert_true(tally_sum(&tallies[2], PLACES) > 0);
	taker_destroy(&taker);
	for (int g = 0; g < GROUPS; g++)
		tally_destroy(&tallies[g]);
	rig_finish(&rig);
}

/* --- the engine ------------------------------------------------------------------------------- */

#define PACKETS 60000
#define SEATS   6

/* A member that joins as those of the control socket do, but over the engine's own memory. */
struct seat {
	struct reader reader;
	struct xfq_ring ring;
	uint32_t slot;
	int pair[2]; /* the worker wakes through the first, the member sleeps on the second */
};

static struct engine engine;
static struct seat seats[SEATS];

static void seat_join(struct seat *seat, struct tally *tally)
{
	struct engine_join join = {.group = 0,
				   .ring_slots = 64u << random() % 3,
				   .weight = 1 + (uint32_t)random() % 9,
				   .process = "thread"};
	struct xfq_error error;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, seat->pair), 0);
	join.wake_fd = seat->pair[0];
	if (engine_join(&engine, &join, &seat->slot, &error))
		fail_msg("%s", error.text);
	engine_close_memory(&engine, seat->slot);
	assert_true(member_view(&engine.members[seat->slot], 0, engine.workers[0].umem.base,
				&seat->ring));
	reader_start(&seat->reader, &seat->ring, tally, seat->pair[1]);
}

static void seat_leave(struct seat *seat)
{
	uint64_t taken = reader_finish(&seat->reader, 1 + (uint32_t)random() % 2, seat->pair[0]);
	struct stats_member last = engine_leave(&engine, seat->slot, "left");

	assert_int_equal(last.consumed, taken);
	assert_int_equal(last.packets, last.consumed + last.discarded);
	assert_int_equal(last.lost_ring + last.lost_quota + last.lost_detached, 0);
	close(seat->pair[0]);
	close(seat->pair[1]);
}

/* Every packet is once in the files of the two built-in members. */
static void check_files(const char *folder)
{
	struct capture_packet packet;
	struct capture capture;
	struct tally tally;
	struct taker taker;
	char path[128];

	tally_create(&tally, FLOWS, PACKETS, true);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/file.%d.pcapng", folder, i);
		taker_create(&taker, &tally, i);
		assert_int_equal(capture_open(&capture, path, NULL), 0);
		while (capture_next(&capture, &packet, NULL) == 1)
			tally_take(&tally, &taker, packet.data, packet.len);
		assert_true(taker.packets > 0);
		capture_close(&capture);
		taker_destroy(&taker);
		unlink(path);
	}
	assert_int_equal(tally_sum(&tally, 1), PACKETS);
	tally_destroy(&tally);
}

/* The counters of a running instance, which other threads make, can be read. */
static void look(void)
{
	struct stats stats;

	assert_int_equal(engine_stats(&engine, &stats), 0);
	assert_int_equal(stats.frames.total, stats.frames.free + stats.frames.kernel +
						     stats.frames.worker + stats.frames.held +
						     stats.frames.tx);
	assert_true(stats.groups[0].packets <= PACKETS);
	stats_destroy(&stats);
}

static void engine_begin(struct config *config, const char *folder, const char *file)
{
	struct engine_options options = {.read_path = file, .stop_fds = {-1, -1}, .join = true};
	struct config_errors errors = {0};
	struct xfq_error error;
	char text[256];

	snprintf(text, sizeof(text),
		 "groups:\n"
		 "  all: { max_members: %d, members: 2 }\n"
		 "  file: { members: 2, sink: pcap, dir: \"%s\", max_members: 0, ring: 64 }\n",
		 SEATS, folder);
	assert_int_equal(config_read_buffer(config, "text", ".", text, strlen(text), &errors), 0);
	if (engine_create(&engine, config, &options, &error) || engine_attach(&engine, &error) ||
	    engine_start(&engine, &error))
		fail_msg("%s", error.text);
}

static void test_engine(void **state)
{
	char folder[] = "/tmp/xfq-threads-XXXXXX", file[64];
	struct config config;
	struct tally tally;
	uint32_t changes = 0;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/traffic.pcapng", folder);
	traffic_write(file, FLOWS, PACKETS);
	tally_create(&tally, FLOWS, PACKETS, false);
	srandom(2);
	engine_begin(&config, folder, file);
	for (; !engine_is_done(&engine); changes++) {
		struct seat *seat = &seats[random() % SEATS];

		if (seat->reader.running)
			seat_leave(seat);
		else
			seat_join(seat, &tally);
		look();
		usleep(1000);
	}
	assert_true(changes > 10);
	/* half of those who are there leave before the end, and the others read to it */
	for (int i = 0; i < SEATS / 2; i++)
		if (seats[i].reader.running)
			seat_leave(&seats[i]);
	assert_int_equal(engine_stop(&engine, NULL), 0);
	for (int i = SEATS / 2; i < SEATS; i++)
		if (seats[i].reader.running) {
			pthread_join(seats[i].reader.thread, NULL);
			taker_destroy(&seats[i].reader.taker);
			close(seats[i].pair[0]);
			close(seats[i].pair[1]);
		}
	look();
	engine_destroy(&engine);
	config_destroy(&config);
	assert_true(tally_sum(&tally, 1) > 0);
	check_files(folder);
	tally_destroy(&tally);
	unlink(file);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fanout),
		cmocka_unit_test(test_engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
