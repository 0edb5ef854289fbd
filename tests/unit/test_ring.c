/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings between threads: a worker that is in a hurry and members of every pace. What a member reads
 * is whole, in order, and does not change before it releases it; nobody sleeps on a packet.
 */
#include "workers/consumer.h"
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
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
	bool dead;         /* once set, it ends where it stands */
	bool spilled;      /* its group is one that spills, and all bursts are full */
	uint32_t most;     /* packets that it peeks at most */
	uint32_t yields;   /* times that it gives its processor away with each packet in hand */
	uint32_t sleep_us; /* that it stands still for, every 500 packets */
	uint32_t last;     /* number of the last packet */
	uint64_t packets, released;
	pthread_t thread;
};

static void check_packet(const struct reader *reader, const struct xfq_ring_desc *desc,
			 uint32_t *number)
{
	const uint8_t *data = xfq_ring_packet(reader->view, desc);
	const struct xfq_meta *meta = xfq_ring_meta(reader->view, desc);
	uint32_t words[PAYLOAD_WORDS];

	RIG_REQUIRE(desc->len == 42 + sizeof(words) && desc->mark == 0);
	RIG_REQUIRE(meta->magic == XFQ_META_CHECKED && meta->payload_off == 42);
	memcpy(words, data + meta->payload_off, sizeof(words));
	for (uint32_t i = 1; i < PAYLOAD_WORDS; i++)
		RIG_REQUIRE(words[i] == words[0]);
	*number = words[0];
}

/* What others had no room for comes after a member's own, burst by burst. */
static bool in_order(const struct reader *reader, uint32_t number)
{
	if (!reader->spilled)
		return number > reader->last;
	return number != reader->last &&
	       (number - 1) / PACKET_BURST + 1 >= (reader->last + PACKET_BURST - 1) / PACKET_BURST;
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
			RIG_REQUIRE(after == before && in_order(reader, before));
			reader->last = before;
		}
		if (__atomic_load_n(&reader->dead, __ATOMIC_ACQUIRE))
			return NULL;
		xfq_ring_release(reader->view, cnt);
		reader->released += cnt;
	}
}

static void reader_start(struct rig *rig, struct reader *readers, uint32_t m, const bool *stop)
{
	readers[m].view = &rig->members[m].view;
	readers[m].stop = stop;
	assert_int_equal(pthread_create(&readers[m].thread, NULL, reader_run, &readers[m]), 0);
}

/* End a reader; it has read all that was published for it. */
static void reader_join(struct rig *rig, struct reader *readers, uint32_t m, bool *stop)
{
	__atomic_store_n(stop, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(readers[m].thread, NULL), 0);
	assert_int_equal(readers[m].packets, rig->fanout.outlets[m].packets);
}

static void readers_start(struct rig *rig, struct reader *readers, const bool *stop)
{
	for (uint32_t m = 0; m < rig->member_cnt; m++)
		reader_start(rig, readers, m, stop);
}

static void readers_join(struct rig *rig, struct reader *readers, bool *stop)
{
	for (uint32_t m = 0; m < rig->member_cnt; m++)
		reader_join(rig, readers, m, stop);
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

/*
 * Members come, read for a while and go, some of them with packets in hand; what those had no room
 * for went to others. A place is taken again at once, with the frames that its last member had.
 */
static void test_come_and_go(void **state)
{
	struct reader readers[5];
	struct packet_builder b;
	struct rig rig;
	bool stop[5] = {false};
	uint32_t sent = 0;
	uint64_t spilled = 0;

	(void)state;
	make_packet(&b);
	rig_create(&rig, 5 * 64 + PACKET_BURST);
	rig_group_overflow(&rig, NULL, METHOD_ROUND_ROBIN, 3, POLICY_SPILL);
	rig_group(&rig, "udp", METHOD_BROADCAST, 2);
	rig_connect(&rig, 64, 64);
	for (uint32_t m = 0; m < 5; m++) {
		readers[m] = (struct reader){.most = 1 + m * 16, .yields = m % 2, .spilled = m < 3};
		reader_start(&rig, readers, m, &stop[m]);
	}
	for (uint32_t round = 0; round < 3000; round++) {
		uint32_t m = round / 10 % 5;
		bool reads = round / 50 % 2; /* all that it has, before it goes */

		send_numbers(&rig, &b, sent + 1, PACKET_BURST);
		sent += PACKET_BURST;
		if (round % 3 == 0)
			fanout_reclaim(&rig.fanout, 2);
		if (round % 10 != 9)
			continue;
		__atomic_store_n(reads ? &stop[m] : &readers[m].dead, true, __ATOMIC_RELEASE);
		assert_int_equal(pthread_join(readers[m].thread, NULL), 0);
		rig_leave(&rig, m);
		assert_int_equal(readers[m].released, rig.fanout.outlets[m].consumed);
		assert_true(!reads || rig.fanout.outlets[m].discarded == 0);
		spilled += rig.fanout.outlets[m].spilled;
		rig_check_sums(&rig, sent);
		stop[m] = false;
		readers[m] = (struct reader){
			.most = 1 + round % 64, .yields = round % 2, .spilled = m < 3};
		rig_join(&rig, m < 3 ? 0 : 1, m, 64, 64, (uint16_t)(1 + round % 3));
		reader_start(&rig, readers, m, &stop[m]);
	}
	for (uint32_t m = 0; m < 5; m++)
		reader_join(&rig, readers, m, &stop[m]);
	rig_check_sums(&rig, sent);
	assert_int_equal(rig.fanout.faulty, 0);
	assert_int_equal(rig.fanout.groups[0].no_member, 0);
	assert_true(spilled > 0);
	rig_finish(&rig);
}

/* --- members that sleep
 * ---------------------------------------------------------------------------- */

struct sleeper {
	struct consumer consumer;
	struct xfq_ring rings[2]; /* one per worker */
	int waker;                /* a message wakes the consumer */
};

static void sleeper_create(struct sleeper *sleeper, uint32_t workers)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	memset(sleeper, 0, sizeof(*sleeper));
	sleeper->consumer.rings = sleeper->rings;
	sleeper->consumer.ring_cnt = workers;
	sleeper->consumer.wake_fd = fds[0];
	strcpy(sleeper->consumer.name, "reader");
	sleeper->waker = fds[1];
}

static void sleeper_destroy(struct sleeper *sleeper)
{
	close(sleeper->consumer.wake_fd);
	close(sleeper->waker);
}

/* A worker of a member, its only one. */
static void worker_connect(struct rig *rig, struct sleeper *sleeper, uint32_t worker)
{
	rig_create(rig, 64 + PACKET_BURST);
	rig_group(rig, NULL, METHOD_FLOW, 1);
	rig_connect(rig, 64, 64);
	sleeper->rings[worker] = rig->members[0].view;
}

/* The end: every frame is back. */
static void worker_disconnect(struct rig *rig)
{
	fanout_reclaim(&rig->fanout, 0);
	rig_check(rig);
	RIG_REQUIRE(rig->frames.free_cnt == rig->frames.total && rig->fanout.faulty == 0);
	rig_destroy(rig);
}

/* As the worker's loop does after each burst. Returns whether it woke the member. */
static bool worker_wake(struct rig *rig, const struct sleeper *sleeper)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!ring_wants_wake(&rig->fanout.outlets[0].ring))
		return false;
	RIG_REQUIRE(send(sleeper->waker, "", 1, MSG_DONTWAIT) == 1);
	return true;
}

static void wait_consumed(const struct sleeper *sleeper, uint64_t packets)
{
	for (uint32_t i = 1; counter_read(&sleeper->consumer.sink.packets) != packets; i++)
		if (i % 65536 == 0)
			sched_yield();
}

/* A moment, about as many loads long. */
static void pass_time(const struct sleeper *sleeper, uint32_t loads)
{
	while (loads--)
		(void)counter_read(&sleeper->consumer.sink.packets);
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
	struct sleeper sleeper;
	struct rig rig;
	uint64_t sent = 0;
	uint32_t wakes = 0, loads = 100;
	cpu_set_t allowed;
	bool woke;

	(void)state;
	make_packet(&b);
	sleeper_create(&sleeper, 1);
	worker_connect(&rig, &sleeper, 0);
	assert_int_equal(consumer_start(&sleeper.consumer, NULL), 0);
	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	part_threads(pthread_self(), sleeper.consumer.thread);
	write_one(&rig, &b);
	for (uint32_t round = 0; round < 60000; round++) {
		const struct xfq_ring_cons *page = rig.members[0].cons_page;
		bool said = round % 16 == 0;

		while (said && !__atomic_load_n(&page->waiting, __ATOMIC_RELAXED))
			sched_yield();
		if (!said)
			pass_time(&sleeper, loads);
		ring_publish(&rig.fanout.outlets[0].ring, 1);
		woke = worker_wake(&rig, &sleeper);
		wakes += woke;
		if (!said)
			loads = woke ? loads - loads / 32 : loads + loads / 32 + 1;
		write_one(&rig, &b); /* the next one */
		wait_consumed(&sleeper, ++sent);
		/* not in every round: see ring_wants_wake() */
		if (round % 32 == 0)
			assert_int_equal(ring_reclaim(&rig.fanout.outlets[0].ring, &rig.frames), 0);
	}
	assert_true(wakes > 0);
	assert_int_equal(sched_setaffinity(0, sizeof(allowed), &allowed), 0);
	/* the last one needs no wake-up: the end is one */
	ring_publish(&rig.fanout.outlets[0].ring, 1);
	consumer_finish(&sleeper.consumer, sleeper.waker);
	assert_int_equal(sleeper.consumer.sink.packets, sent + 1);
	assert_int_equal(sleeper.consumer.sink.bytes, (sent + 1) * b.len);
	assert_int_equal(ring_reclaim(&rig.fanout.outlets[0].ring, &rig.frames), 0);
	worker_disconnect(&rig);
	sleeper_destroy(&sleeper);
}

struct producer {
	struct sleeper *sleeper;
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
		worker_wake(rig, producer->sleeper);
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
	struct sleeper sleeper;

	(void)state;
	sleeper_create(&sleeper, 2);
	for (uint32_t w = 0; w < 2; w++) {
		producers[w] = (struct producer){.sleeper = &sleeper, .id = w};
		worker_connect(&producers[w].rig, &sleeper, w);
	}
	assert_int_equal(consumer_start(&sleeper.consumer, NULL), 0);
	for (uint32_t w = 0; w < 2; w++)
		assert_int_equal(
			pthread_create(&producers[w].thread, NULL, producer_run, &producers[w]), 0);
	for (uint32_t w = 0; w < 2; w++)
		assert_int_equal(pthread_join(producers[w].thread, NULL), 0);
	consumer_finish(&sleeper.consumer, sleeper.waker);
	assert_int_equal(sleeper.consumer.sink.packets, producers[0].sent + producers[1].sent);
	for (uint32_t w = 0; w < 2; w++) {
		assert_int_equal(rig_offered(&producers[w].rig, 0), producers[w].sent);
		assert_int_equal(producers[w].rig.fanout.outlets[0].packets, producers[w].sent);
		worker_disconnect(&producers[w].rig);
	}
	sleeper_destroy(&sleeper);
}

/* A member that never had a packet ends when it is told to; so does one that was never started. */
static void test_idle_member(void **state)
{
	struct sleeper sleeper;
	struct rig rig;

	(void)state;
	for (uint32_t round = 0; round < 100; round++) {
		sleeper_create(&sleeper, 1);
		worker_connect(&rig, &sleeper, 0);
		if (round % 2)
			assert_int_equal(consumer_start(&sleeper.consumer, NULL), 0);
		consumer_finish(&sleeper.consumer, sleeper.waker);
		assert_int_equal(sleeper.consumer.sink.packets, 0);
		worker_disconnect(&rig);
		sleeper_destroy(&sleeper);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hurry),       cmocka_unit_test(test_patience),
		cmocka_unit_test(test_come_and_go), cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_two_workers), cmocka_unit_test(test_idle_member),
	};

	signal(SIGALRM, stuck);
	alarm(STUCK_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
