/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings between threads: a worker that is in a hurry and members of every pace. What a member reads
 * is whole, in order, and does not change before it releases it; nobody sleeps on a packet.
 */
#include "workers/member.h"
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

/* not cmocka's, which only the main thread may use */
#define RIG_REQUIRE(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)
#include "tests/fanout_rig.h"

#define PAYLOAD_WORDS 64
#define STUCK_SECONDS 120 /* many times what the whole program takes */

static void stuck(int number)
{
	static const char text[] = "stuck: a wake-up was lost, or a ring stands still\n";

	(void)number;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

/* --- a worker ------------------------------------------------------------------------------------
 */

/* A packet whose payload says its number, again and again. */
static void put_number(struct packet_builder *b, uint32_t number)
{
	for (uint32_t i = 0; i < PAYLOAD_WORDS; i++)
		memcpy(b->bytes + b->payload + 4 * i, &number, sizeof(number));
}

static void make_packet(struct packet_builder *b)
{
	packet_start(b);
	packet_ipv4(b, 1, 2, 0);
	packet_udp(b, 3, 4);
	packet_payload(b, 4 * PAYLOAD_WORDS);
	packet_finish(b);
}

/* The packets numbered first to first + cnt - 1. */
static void send_numbers(struct rig *rig, struct packet_builder *b, uint32_t first, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++) {
		put_number(b, first + i);
		rig_add(rig, b);
	}
	rig_burst(rig);
}

/* --- a member that looks closely
 * ------------------------------------------------------------------ */

struct reader {
	struct xfq_ring *view;
	const bool *stop;  /* once set, it ends when there is nothing more */
	uint32_t most;     /* packets that it peeks at most */
	uint32_t yields;   /* times that it gives its processor away with each packet in hand */
	uint32_t sleep_us; /* that it stands still for, every 500 packets */
	uint32_t last;     /* number of the last packet */
	uint64_t packets;
	pthread_t thread;
};

static void check_packet(const struct reader *reader, const struct xfq_ring_desc *desc,
			 uint32_t *number)
{
	const uint8_t *data = xfq_ring_packet(reader->view, desc);
	const struct xfq_meta *meta = xfq_ring_meta(reader->view, desc);
	uint32_t words[PAYLOAD_WORDS];

	RIG_REQUIRE(desc->len == 42 + sizeof(words) && desc->flags == 0);
	RIG_REQUIRE(meta->magic == XFQ_META_CHECKED && meta->payload_off == 42);
	memcpy(words, data + meta->payload_off, sizeof(words));
	for (uint32_t i = 1; i < PAYLOAD_WORDS; i++)
		RIG_REQUIRE(words[i] == words[0]);
	*number = words[0];
}

static void *reader_run(void *argument)
{
	struct reader *reader = argument;

	for (;;) {
		bool stop = __atomic_load_n(reader->stop, __ATOMIC_ACQUIRE);
		uint32_t cnt = xfq_ring_peek(reader->view, reader->most);

		if (cnt == 0) {
			if (stop)
				return NULL;
			sched_yield();
		}
		for (uint32_t i = 0; i < cnt; i++) {
			const struct xfq_ring_desc *desc = xfq_ring_desc(reader->view, i);
			uint32_t before, after;

			check_packet(reader, desc, &before);
			for (uint32_t y = 0; y < reader->yields; y++)
				sched_yield();
			if (++reader->packets % 500 == 0 && reader->sleep_us)
				usleep(reader->sleep_us);
			check_packet(reader, desc, &after);
			RIG_REQUIRE(after == before && before > reader->last);
			reader->last = before;
		}
		xfq_ring_release(reader->view, cnt);
	}
}

static void readers_start(struct rig *rig, struct reader *readers, const bool *stop)
{
	for (uint32_t m = 0; m < rig->policy.member_cnt; m++) {
		readers[m].view = &rig->members[m].view;
		readers[m].stop = stop;
		assert_int_equal(pthread_create(&readers[m].thread, NULL, reader_run, &readers[m]),
				 0);
	}
}

/* End the readers; each has read all that was published for it. */
static void readers_join(struct rig *rig, struct reader *readers, bool *stop)
{
	__atomic_store_n(stop, true, __ATOMIC_RELEASE);
	for (uint32_t m = 0; m < rig->policy.member_cnt; m++) {
		assert_int_equal(pthread_join(readers[m].thread, NULL), 0);
		assert_int_equal(readers[m].packets, rig->fanout.outlets[m].packets);
	}
}

/* The worker waits for nobody. */
static void test_hurry(void **state)
{
	struct reader readers[6] = {
		{.most = UINT32_MAX}, {.most = 64, .yields = 1}, {.most = 64, .sleep_us = 2000},
		{.most = 1},          {.most = 7, .yields = 3},  {.most = 64},
	};
	struct packet_builder b;
	struct rig rig;
	bool stop = false;
	uint32_t sent = 0;

	(void)state;
	make_packet(&b);
	rig_create(&rig, 6 * 100 + PACKET_BURST);
	rig_group(&rig, NULL, METHOD_BROADCAST, 4);
	rig_group(&rig, "udp", METHOD_ROUND_ROBIN, 2);
	rig_connect(&rig, 128, 100);
	readers_start(&rig, readers, &stop);
	for (uint32_t round = 0; round < 4000; round++) {
		uint32_t cnt = 1 + round * 7 % PACKET_BURST;

		send_numbers(&rig, &b, sent + 1, cnt);
		sent += cnt;
		if (round % 3 == 0)
			fanout_reclaim(&rig.fanout, 4);
		if (round % 16 == 0)
			sched_yield();
	}
	readers_join(&rig, readers, &stop);
	rig_check_sums(&rig, sent);
	assert_int_equal(rig.fanout.faulty, 0);
	assert_int_equal(rig.fanout.groups[0].packets, sent);
	fanout_reclaim(&rig.fanout, 0);
	rig_check(&rig);
	assert_int_equal(rig.frames.free_cnt, rig.frames.total);
	rig_destroy(&rig);
}

/* The worker waits for room: nothing is lost, everybody reads every packet. */
static void test_patience(void **state)
{
	struct reader readers[4] = {
		{.most = UINT32_MAX},
		{.most = 3},
		{.most = 64, .yields = 1},
		{.most = 64, .sleep_us = 100},
	};
	struct packet_builder b;
	struct rig rig;
	bool stop = false;
	uint32_t sent = 0;

	(void)state;
	make_packet(&b);
	rig_create(&rig, 64 + PACKET_BURST);
	rig_group(&rig, NULL, METHOD_BROADCAST, 4);
	rig_connect(&rig, 64, 64);
	for (uint32_t m = 0; m < 4; m++) /* over the end of the indices on the way */
		rig_set_index(&rig, m, UINT32_MAX - 10000);
	readers_start(&rig, readers, &stop);
	while (sent < 30000) {
		uint32_t room;

		fanout_reclaim(&rig.fanout, 0);
		room = fanout_room(&rig.fanout);
		if (room > rig.frames.free_cnt)
			room = rig.frames.free_cnt;
		if (room == 0) {
			sched_yield();
			continue;
		}
		send_numbers(&rig, &b, sent + 1, room);
		sent += room;
	}
	readers_join(&rig, readers, &stop);
	for (uint32_t m = 0; m < 4; m++) {
		assert_int_equal(readers[m].packets, sent);
		assert_int_equal(readers[m].last, sent);
		assert_int_equal(rig_offered(&rig, m), sent);
	}
	rig_finish(&rig);
}

/* --- members that sleep
 * ---------------------------------------------------------------------------- */

/* A worker of member `member`, its only one. */
static void worker_connect(struct rig *rig, struct member *member, uint32_t worker)
{
	struct ring *ring;

	rig_create(rig, 64 + PACKET_BURST);
	rig_group(rig, NULL, METHOD_FLOW, 1);
	rig_connect(rig, 64, 64);
	ring = &rig->fanout.outlets[0].ring;
	ring->cons_page = member_cons_page(member, worker);
	RIG_REQUIRE(xfq_ring_open(&member->rings[worker], ring->shared, xfq_ring_prod_bytes(64),
				  member_cons_page(member, worker), rig->umem));
}

/* The end: every frame is back. */
static void worker_disconnect(struct rig *rig)
{
	RIG_REQUIRE(ring_reclaim(&rig->fanout.outlets[0].ring, &rig->frames) == 0);
	rig_check(rig);
	RIG_REQUIRE(rig->frames.free_cnt == rig->frames.total && rig->fanout.faulty == 0);
	rig_destroy(rig);
}

/* As the worker's loop does after each burst. Returns whether it woke the member. */
static bool worker_wake(struct rig *rig, const struct member *member)
{
	uint64_t one = 1;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!ring_wants_wake(&rig->fanout.outlets[0].ring))
		return false;
	RIG_REQUIRE(write(member->wake_fd, &one, sizeof(one)) == sizeof(one));
	return true;
}

static void wait_consumed(const struct member *member, uint64_t packets)
{
	for (uint32_t i = 1; counter_read(&member->sink.packets) != packets; i++)
		if (i % 65536 == 0)
			sched_yield();
}

/* A moment, about as many loads long. */
static void pass_time(const struct member *member, uint32_t loads)
{
	while (loads--)
		(void)counter_read(&member->sink.packets);
}

/* Two threads at the same time, not in turn, wherever there are two processors. */
static void part_threads(pthread_t a, pthread_t b)
{
	cpu_set_t allowed, one;
	uint32_t found = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	if (CPU_COUNT(&allowed) < 2)
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		(void)pthread_setaffinity_np(found++ ? b : a, sizeof(one), &one);
	}
}

/* A packet that lacks nothing but being published, for which there is then no time to lose. */
static void write_one(struct rig *rig, const struct packet_builder *b)
{
	struct packet pkt = rig_packet_bytes(rig, b->bytes, b->len);

	ring_write(&rig->fanout.outlets[0].ring, 0, pkt.frame, (uint64_t)(pkt.data - rig->umem),
		   pkt.len);
	frame_hold(&rig->frames, pkt.frame);
	frame_settle(&rig->frames, pkt.frame);
}

/*
 * Packets come one by one. Some wait until the member says that it sleeps; the rest come at the
 * very moment when it is about to: a little later where it did not sleep yet the last time, a
 * little earlier where it did. None of them is left lying.
 */
static void test_sleep(void **state)
{
	struct packet_builder b;
	struct member member;
	struct rig rig;
	uint64_t sent = 0;
	uint32_t wakes = 0, loads = 100;
	cpu_set_t allowed;
	bool woke;

	(void)state;
	make_packet(&b);
	assert_int_equal(member_create(&member, "reader", 1, NULL), 0);
	worker_connect(&rig, &member, 0);
	assert_int_equal(member_start(&member, NULL), 0);
	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	part_threads(pthread_self(), member.thread);
	write_one(&rig, &b);
	for (uint32_t round = 0; round < 60000; round++) {
		const struct xfq_ring_cons *page = member_cons_page(&member, 0);
		bool said = round % 16 == 0;

		while (said && !__atomic_load_n(&page->waiting, __ATOMIC_RELAXED))
			sched_yield();
		if (!said)
			pass_time(&member, loads);
		ring_publish(&rig.fanout.outlets[0].ring, 1);
		woke = worker_wake(&rig, &member);
		wakes += woke;
		if (!said)
			loads = woke ? loads - loads / 32 : loads + loads / 32 + 1;
		write_one(&rig, &b); /* the next one */
		wait_consumed(&member, ++sent);
		/* not in every round: see ring_wants_wake() */
		if (round % 32 == 0)
			assert_int_equal(ring_reclaim(&rig.fanout.outlets[0].ring, &rig.frames), 0);
	}
	assert_true(wakes > 0);
	assert_int_equal(sched_setaffinity(0, sizeof(allowed), &allowed), 0);
	/* the last one needs no wake-up: the end is one */
	ring_publish(&rig.fanout.outlets[0].ring, 1);
	member_finish(&member);
	assert_int_equal(member.sink.packets, sent + 1);
	assert_int_equal(member.sink.bytes, (sent + 1) * b.len);
	worker_disconnect(&rig);
	member_destroy(&member);
}

struct producer {
	struct member *member;
	struct rig rig;
	uint32_t id;
	uint64_t sent;
	pthread_t thread;
};

/* Bursts with pauses between them, in which the member sleeps or not; losing nothing. */
static void *producer_run(void *argument)
{
	struct producer *producer = argument;
	struct rig *rig = &producer->rig;
	struct packet_builder b;

	make_packet(&b);
	for (uint32_t round = 0; round < 1500; round++) {
		uint32_t room;

		while ((room = fanout_room(&rig->fanout)) == 0) {
			sched_yield();
			fanout_reclaim(&rig->fanout, 0);
		}
		if (room > 1 + round % 40)
			room = 1 + round % 40;
		send_numbers(rig, &b, 1, room);
		producer->sent += room;
		worker_wake(rig, producer->member);
		if (round % 100 == 50)
			usleep(1000);
		else if (round % 8 == producer->id)
			while (rig->members[0].shared->prod !=
			       __atomic_load_n(&rig->fanout.outlets[0].ring.cons_page->cons,
					       __ATOMIC_RELAXED))
				sched_yield();
	}
	return NULL;
}

static void test_two_workers(void **state)
{
	static struct producer producers[2];
	struct member member;

	(void)state;
	assert_int_equal(member_create(&member, "reader", 2, NULL), 0);
	for (uint32_t w = 0; w < 2; w++) {
		producers[w] = (struct producer){.member = &member, .id = w};
		worker_connect(&producers[w].rig, &member, w);
	}
	assert_int_equal(member_start(&member, NULL), 0);
	for (uint32_t w = 0; w < 2; w++)
		assert_int_equal(
			pthread_create(&producers[w].thread, NULL, producer_run, &producers[w]), 0);
	for (uint32_t w = 0; w < 2; w++)
		assert_int_equal(pthread_join(producers[w].thread, NULL), 0);
	member_finish(&member);
	assert_int_equal(member.sink.packets, producers[0].sent + producers[1].sent);
	for (uint32_t w = 0; w < 2; w++) {
		assert_int_equal(rig_offered(&producers[w].rig, 0), producers[w].sent);
		assert_int_equal(producers[w].rig.fanout.outlets[0].packets, producers[w].sent);
		worker_disconnect(&producers[w].rig);
	}
	member_destroy(&member);
}

/* A member that never had a packet ends when it is told to; so does one that was never started. */
static void test_idle_member(void **state)
{
	struct member member;
	struct rig rig;

	(void)state;
	for (uint32_t round = 0; round < 100; round++) {
		assert_int_equal(member_create(&member, "reader", 1, NULL), 0);
		worker_connect(&rig, &member, 0);
		if (round % 2)
			assert_int_equal(member_start(&member, NULL), 0);
		member_finish(&member);
		assert_int_equal(member.sink.packets, 0);
		worker_disconnect(&rig);
		member_destroy(&member);
	}
	member_destroy(&member); /* zeroed by now */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hurry),       cmocka_unit_test(test_patience),
		cmocka_unit_test(test_sleep),       cmocka_unit_test(test_two_workers),
		cmocka_unit_test(test_idle_member),
	};

	signal(SIGALRM, stuck);
	alarm(STUCK_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
