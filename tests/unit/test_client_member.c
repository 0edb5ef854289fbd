/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Being a member: what a peek shows and a release gives back, how waiting ends in each mode, and
 * how the membership ends. Under ThreadSanitizer, too.
 */
#include "apps/libxfq/member.h"
#include "tests/fake_instance.h"
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#define STUCK_SECONDS 240 /* many times what the whole program takes */

static struct fake fake;
static struct xfq_member *member;
static uint32_t expected[FAKE_WORKERS]; /* number of each ring's next packet */

static void stuck(int number)
{
	static const char text[] = "stuck: a wake-up was lost, or a ring stands still\n";

	(void)number;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

/* A member, whose struct xfq is closed by then. */
static struct xfq_member *join(enum xfq_wait_mode wait)
{
	const struct xfq_join_options options = {.wait = wait};
	struct xfq_member *made;
	struct xfq_error error;
	struct xfq *xfq;

	assert_int_equal(xfq_open(&xfq, NULL, &error), 0);
	assert_int_equal(xfq_join(&made, xfq, "web", &options, &error), 0);
	xfq_close(xfq);
	return made;
}

static int setup(void **state)
{
	const enum xfq_wait_mode *wait = *state;

	fake_create(&fake, "demo");
	memset(expected, 0, sizeof(expected));
	member = join(wait ? *wait : XFQ_WAIT_POLL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	xfq_leave(member);
	fake_destroy(&fake);
	return 0;
}

/* --- peek and release ------------------------------------------------------------------------- */

/* Packets are those that come next of one ring, and whole. Returns the ring; counts nothing. */
static uint32_t check(const struct xfq_packet *pkts, int cnt)
{
	uint32_t ring = pkts[0].data[4], number;

	FAKE_REQUIRE(ring < FAKE_WORKERS);
	for (int i = 0; i < cnt; i++) {
		FAKE_REQUIRE(pkts[i].len == FAKE_LEN);
		memcpy(&number, pkts[i].data, sizeof(number));
		FAKE_REQUIRE(number == expected[ring] + (uint32_t)i);
		FAKE_REQUIRE(pkts[i].mark == ~number);
		FAKE_REQUIRE(pkts[i].meta->magic == XFQ_META_CHECKED);
		FAKE_REQUIRE(pkts[i].meta->flow_hash == number);
		for (uint32_t j = 4; j < FAKE_LEN; j++)
			FAKE_REQUIRE(pkts[i].data[j] == ring);
	}
	return ring;
}

/* Peek, which must show `cnt` packets of a ring, and release `release` of them. */
static void expect_packets(uint32_t max, int cnt, uint32_t ring, uint32_t release)
{
	struct xfq_packet pkts[FAKE_SLOTS];

	assert_int_equal(xfq_peek(member, pkts, max), cnt);
	assert_int_equal(check(pkts, cnt), ring);
	xfq_release(member, release);
	expected[ring] += release < (uint32_t)cnt ? release : (uint32_t)cnt;
}

static void expect_nothing(void)
{
	struct xfq_packet pkt;

	assert_int_equal(xfq_peek(member, &pkt, 1), 0);
}

static uint32_t waiting(uint32_t worker)
{
	return __atomic_load_n(&fake_cons(&fake.members[0], worker)->waiting, __ATOMIC_SEQ_CST);
}

static uint64_t released(void)
{
	struct xfq_member_stats stats;

	xfq_member_stats(member, &stats);
	return stats.packets;
}

static void test_peek(void **state)
{
	struct xfq_packet first[8], again[8];

	(void)state;
	expect_nothing();
	fake_publish(&fake, 0, 0, 5);
	assert_int_equal(xfq_peek(member, first, 0), 0);
	memset(again, 0xff, sizeof(again));
	assert_int_equal(xfq_peek(member, first, 8), 5);
	assert_int_equal(xfq_peek(member, again, 8), 5);
	assert_memory_equal(first, again, 5 * sizeof(first[0]));
	expect_packets(8, 5, 0, 0);
	assert_int_equal(released(), 0);
	expect_packets(8, 5, 0, 2);
	expect_packets(8, 3, 0, 1000); /* not more than there are */
	assert_int_equal(released(), 5);
	xfq_release(member, 1);
	assert_int_equal(released(), 5);
	expect_nothing();

	/* what has come in the meantime is shown too; what was not shown is not released */
	fake_publish(&fake, 0, 0, 1);
	expect_packets(8, 1, 0, 0);
	fake_publish(&fake, 0, 0, 3);
	expect_packets(8, 4, 0, 0);
	expect_packets(1, 1, 0, 4);
	assert_int_equal(released(), 6);
	fake_publish(&fake, 0, 0, 1);
	expect_packets(8, 4, 0, 4);
	expect_nothing();
}

/* One ring at a time, the other one after all of it was released. */
static void test_turns(void **state)
{
	(void)state;
	fake_publish(&fake, 0, 0, 40);
	fake_publish(&fake, 0, 1, 40);
	expect_packets(16, 16, 0, 16);
	expect_packets(16, 16, 1, 8);
	expect_packets(16, 16, 1, 16);
	expect_packets(16, 16, 0, 16);
	expect_packets(64, 16, 1, 16);
	expect_packets(64, 8, 0, 8);
	expect_nothing();
}

/* A member that always leaves something goes on to the next ring all the same. */
static void test_partial_releases(void **state)
{
	struct xfq_packet pkts[FAKE_SLOTS];
	uint32_t turn = 0, last = 0, changes = 0;

	(void)state;
	for (uint32_t round = 0; round < 4000; round++) {
		uint32_t ring;
		int cnt;

		fake_publish(&fake, 0, 0, FAKE_SLOTS);
		fake_publish(&fake, 0, 1, FAKE_SLOTS);
		cnt = xfq_peek(member, pkts, FAKE_SLOTS);
		assert_true(cnt > 0);
		ring = check(pkts, cnt);
		turn = ring == last ? turn : 0;
		changes += ring != last;
		last = ring;
		xfq_release(member, cnt > 1 ? (uint32_t)cnt - 1 : 1);
		expected[ring] += cnt > 1 ? (uint32_t)cnt - 1 : 1;
		turn += cnt > 1 ? (uint32_t)cnt - 1 : 1;
		assert_true(turn <= FAKE_SLOTS);
	}
	assert_true(changes > 1000);
}

static void test_wrap(void **state)
{
	const uint32_t start = UINT32_MAX - 20;

	(void)state;
	fake.members[1].ring[0].prod = fake.members[1].ring[0].reclaimed = start;
	fake_shared(&fake.members[1], 0)->prod = start;
	fake_cons(&fake.members[1], 0)->cons = start;
	xfq_leave(member);
	member = join(XFQ_WAIT_POLL);
	for (uint32_t round = 0; round < 10; round++) {
		assert_int_equal(fake_publish(&fake, 1, 0, 13), 13);
		expect_packets(64, 13, 0, 13);
		expect_nothing();
	}
}

static void test_stats(void **state)
{
	struct xfq_member_stats stats;

	(void)state;
	expect_nothing();
	assert_int_equal(fake_publish(&fake, 0, 0, 10), 10);
	fake_publish(&fake, 0, 1, 4);
	fake_shared(&fake.members[0], 0)->lost_ring = 1ULL << 40;
	fake_shared(&fake.members[0], 1)->lost_ring = 3;
	fake_shared(&fake.members[0], 1)->lost_quota = 5;
	expect_packets(64, 10, 0, 7);
	xfq_member_stats(member, &stats);
	assert_int_equal(stats.packets, 7);
	assert_int_equal(stats.queued, 3 + 4);
	assert_int_equal(stats.lost_ring, (1ULL << 40) + 3);
	assert_int_equal(stats.lost_quota, 5);
	assert_int_equal(stats.wakeups, 0); /* not seen yet: it had packets to look at */
	expect_packets(64, 3, 0, 3);
	expect_packets(64, 4, 1, 4);
	expect_nothing();
	xfq_member_stats(member, &stats);
	assert_int_equal(stats.packets, 14);
	assert_int_equal(stats.queued, 0);
	assert_int_equal(stats.wakeups, 1);
}

/* --- waiting ---------------------------------------------------------------------------------- */

static bool readable(int timeout_ms)
{
	struct pollfd fd = {.fd = xfq_fd(member), .events = POLLIN};

	return poll(&fd, 1, timeout_ms) == 1;
}

static void test_poll(void **state)
{
	(void)state;
	assert_int_equal(waiting(0) + waiting(1), 0);
	fake_publish(&fake, 0, 0, 1);
	assert_false(readable(0));
	expect_packets(8, 1, 0, 1);
	expect_nothing();
	assert_int_equal(waiting(0) + waiting(1), 2);
	assert_false(readable(0));
	for (uint32_t round = 0; round < 100; round++) {
		uint32_t ring = round % 3 == 0;

		fake_publish(&fake, 0, ring, 2);
		assert_true(readable(10000));
		expect_packets(1, 1, ring, 1);
		assert_int_equal(waiting(0) + waiting(1), 0);
		expect_packets(1, 1, ring, 1);
		expect_nothing();
		assert_false(readable(0));
	}
	/* a wake-up without a packet is taken, and does not keep the descriptor readable */
	assert_int_equal(send(fake.members[0].conn, "", 1, 0), 1);
	assert_true(readable(10000));
	expect_nothing();
	assert_false(readable(0));
	assert_int_equal(waiting(0) + waiting(1), 2);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct nagger {
	pthread_t thread, victim;
	bool signals; /* else wake-ups */
	bool done;
};

/* Again and again: the first may come before the victim sleeps. */
static void *nagger_run(void *argument)
{
	struct nagger *nagger = argument;

	while (!__atomic_load_n(&nagger->done, __ATOMIC_ACQUIRE)) {
		usleep(5000);
		if (nagger->signals)
			pthread_kill(nagger->victim, SIGUSR1);
		else
			(void)!send(fake.members[0].conn, "", 1, MSG_DONTWAIT);
	}
	return NULL;
}

static void nagger_start(struct nagger *nagger, bool signals)
{
	*nagger = (struct nagger){.victim = pthread_self(), .signals = signals};
	assert_int_equal(pthread_create(&nagger->thread, NULL, nagger_run, nagger), 0);
}

static void nagger_stop(struct nagger *nagger)
{
	__atomic_store_n(&nagger->done, true, __ATOMIC_RELEASE);
	pthread_join(nagger->thread, NULL);
}

static void test_wait(void **state)
{
	const enum xfq_wait_mode *wait = *state;
	uint32_t armed = *wait == XFQ_WAIT_POLL ? 2 : 0;
	int64_t from = now_ms();
	struct nagger nagger;

	assert_int_equal(xfq_wait(member, 0), 0);
	assert_int_equal(xfq_wait(member, 50), 0);
	assert_in_range(now_ms() - from, 49, 20000);
	assert_int_equal(waiting(0) + waiting(1), armed);
	fake_publish(&fake, 0, 1, 2);
	assert_int_equal(xfq_wait(member, -1), 1);
	assert_int_equal(xfq_wait(member, 0), 1);
	expect_packets(8, 2, 1, 1);
	assert_int_equal(xfq_wait(member, -1), 1); /* there is one that was not released */
	expect_packets(8, 1, 1, 1);
	assert_int_equal(xfq_wait(member, 0), 0);

	/* woken for nothing, it goes on waiting, and not for longer */
	from = now_ms();
	nagger_start(&nagger, false);
	assert_int_equal(xfq_wait(member, 50), 0);
	nagger_stop(&nagger);
	assert_in_range(now_ms() - from, 49, 20000);
	fake_hang_up(&fake.members[0]);
	assert_int_equal(xfq_wait(member, -1), 1);
	assert_int_equal(xfq_wait(member, 0), 1);
}

static void handle(int number)
{
	(void)number;
}

static void test_signal(void **state)
{
	struct xfq_packet pkt;
	struct nagger nagger;

	(void)state;
	signal(SIGUSR1, handle); /* which restarts system calls that can be restarted */
	nagger_start(&nagger, true);
	assert_int_equal(xfq_wait(member, -1), -EINTR);
	assert_int_equal(xfq_wait(member, 100000), -EINTR);
	assert_int_equal(xfq_peek(member, &pkt, 1), -EINTR);
	nagger_stop(&nagger);
	fake_publish(&fake, 0, 0, 1);
	expect_packets(1, 1, 0, 1);
}

/* --- a stream --------------------------------------------------------------------------------- */

#define STREAM_ROUNDS 6000

/* Bursts into both rings, with pauses of every length, and none lost: what does not fit waits. */
static void *stream_run(void *argument)
{
	const uint64_t *consumed = argument;
	uint64_t sent = 0;

	for (uint32_t round = 0; round < STREAM_ROUNDS; round++) {
		uint32_t left = 1 + round % 40;

		while (left > 0) {
			uint32_t cnt = fake_publish(&fake, 0, round % 5 == 0, left);

			left -= cnt;
			sent += cnt;
			if (cnt == 0)
				sched_yield();
		}
		if (round % 100 == 0)
			usleep(1000);
		/* the moment at which it is about to sleep */
		for (uint32_t i = 0; i < round % 1000; i++)
			(void)__atomic_load_n(consumed, __ATOMIC_RELAXED);
		while (round % 4 == 0 && __atomic_load_n(consumed, __ATOMIC_RELAXED) != sent)
			sched_yield();
	}
	for (uint32_t w = 0; w < FAKE_WORKERS; w++)
		ring_close(&fake.members[0].ring[w]);
	fake_notice(&fake.members[0], -EPIPE, "the stream has ended");
	return NULL;
}

/* Nothing is lost, doubled or out of order, and nobody sleeps on a packet. */
static void test_stream(void **state)
{
	const enum xfq_wait_mode *wait = *state;
	struct xfq_packet pkts[FAKE_SLOTS];
	uint64_t consumed = 0;
	pthread_t thread;
	int cnt;

	assert_int_equal(pthread_create(&thread, NULL, stream_run, &consumed), 0);
	while ((cnt = xfq_peek(member, pkts, 1 + consumed % FAKE_SLOTS)) >= 0) {
		if (cnt > 0) {
			uint32_t release = consumed % 7 && cnt > 1 ? (uint32_t)cnt : 1;
			uint32_t ring = check(pkts, cnt);

			xfq_release(member, release);
			expected[ring] += release;
			__atomic_store_n(&consumed, consumed + release, __ATOMIC_RELAXED);
		} else if (*wait == XFQ_WAIT_POLL) {
			FAKE_REQUIRE(consumed % 2 ? readable(-1) : xfq_wait(member, -1) == 1);
		} else {
			assert_int_equal(*wait, XFQ_WAIT_SPIN);
			sched_yield();
		}
	}
	assert_int_equal(cnt, -EPIPE);
	assert_string_equal(xfq_end(member), xfq_end(member)[4] == 's' ? "the stream has ended"
								       : "the instance has ended");
	pthread_join(thread, NULL);
	assert_int_equal(consumed, fake.members[0].sent[0] + fake.members[0].sent[1]);
	assert_int_equal(released(), consumed);
	assert_true((fake.members[0].wakes > 0) == (*wait != XFQ_WAIT_SPIN));
}

/* --- the end ---------------------------------------------------------------------------------- */

static void expect_end(int code, const char *text)
{
	struct xfq_packet pkt;

	for (int i = 0; i < 3; i++) {
		int got = 0;

		/* a spinning one looks at the connection now and then only */
		for (uint32_t spins = 0; got == 0 && spins < 1000000; spins++)
			got = xfq_peek(member, &pkt, 1);
		assert_int_equal(got, code);
		assert_string_equal(xfq_end(member), text);
		assert_int_equal(xfq_wait(member, -1), 1);
	}
	xfq_release(member, 1);
}

static void test_ended(void **state)
{
	(void)state;
	fake_publish(&fake, 0, 0, 3);
	fake_publish(&fake, 0, 1, 2);
	fake_notice(&fake.members[0], -EPIPE, "xfq run was stopped");
	fake_hang_up(&fake.members[0]);
	assert_int_equal(xfq_wait(member, -1), 1);
	assert_null(xfq_end(member));
	expect_packets(2, 2, 0, 2);
	expect_packets(2, 2, 1, 2);
	assert_null(xfq_end(member));
	expect_packets(2, 1, 0, 1);
	expect_end(-EPIPE, "xfq run was stopped");
	assert_int_equal(released(), 5);
}

/* The same, but it comes while the member waits for packets. */
static void test_ended_waiting(void **state)
{
	(void)state;
	assert_int_equal(xfq_wait(member, 0), 0);
	fake_publish(&fake, 0, 0, 3);
	fake_notice(&fake.members[0], -EPIPE, "xfq run was stopped");
	assert_int_equal(xfq_wait(member, -1), 1);
	expect_packets(8, 3, 0, 3);
	expect_end(-EPIPE, "xfq run was stopped");
}

static void test_killed(void **state)
{
	(void)state;
	fake_publish(&fake, 0, 1, 3);
	fake_hang_up(&fake.members[0]);
	expect_packets(8, 3, 1, 3);
	expect_end(-ECONNRESET, "the instance ended without a word: it was killed or has crashed");
}

static void test_closed(void **state)
{
	(void)state;
	fake_publish(&fake, 0, 0, 3);
	ring_close(&fake.members[0].ring[0]);
	expect_packets(8, 3, 0, 3);
	assert_int_equal(xfq_wait(member, 0), 0); /* one worker of two is there */
	fake_publish(&fake, 0, 1, 3);
	ring_close(&fake.members[0].ring[1]);
	assert_int_equal(xfq_wait(member, -1), 1);
	expect_packets(8, 3, 1, 3);
	assert_int_equal(xfq_wait(member, -1), 1);
	expect_end(-EPIPE, "the instance has ended");
}

/* Packets of a detached member are somebody else's: they are shown no more. */
static void test_detached(void **state)
{
	const enum xfq_wait_mode *wait = *state;
	struct xfq_member_stats stats;

	assert_int_equal(xfq_wait(member, 0), 0);
	fake_notice(&fake.members[0], -ECONNABORTED, "its cons was out of range");
	if (*wait != XFQ_WAIT_SPIN) /* which would look at the ring before the connection */
		assert_int_equal(xfq_wait(member, -1), 1);
	fake_publish(&fake, 0, 0, 3);
	for (uint32_t w = 0; w < FAKE_WORKERS; w++)
		ring_close(&fake.members[0].ring[w]);
	expect_end(-ECONNABORTED, "its cons was out of range");
	assert_int_equal(released(), 0);
	xfq_member_stats(member, &stats);
	assert_int_equal(stats.queued, 3);
}

/* Even in the middle of a burst, where the rings say that something is up. */
static void test_detached_shown(void **state)
{
	(void)state;
	fake_publish(&fake, 0, 0, 3);
	expect_packets(8, 3, 0, 1);
	fake_notice(&fake.members[0], -ECONNABORTED, "");
	ring_close(&fake.members[0].ring[0]);
	expect_end(-ECONNABORTED, "");
	assert_int_equal(released(), 1);
}

/* Messages of another kind are wake-ups, whatever they say; a notice's code is one of two. */
static void test_odd_messages(void **state)
{
	struct protocol_notice notice = {.code = -ECONNABORTED};

	(void)state;
	expect_nothing();
	assert_int_equal(send(fake.members[0].conn, &notice, sizeof(notice), 0), sizeof(notice));
	assert_int_equal(send(fake.members[0].conn, &notice, 7, 0), 7);
	expect_nothing();
	fake_notice(&fake.members[0], 12345, "gone");
	expect_end(-EPIPE, "gone");
}

#define MODE(test, mode)                                                                           \
	cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &modes[mode])
#define TEST(test)  cmocka_unit_test_setup_teardown(test, setup, teardown)
#define MODES(test) MODE(test, XFQ_WAIT_BLOCK), MODE(test, XFQ_WAIT_POLL), MODE(test, XFQ_WAIT_SPIN)

int main(void)
{
	static enum xfq_wait_mode modes[] = {XFQ_WAIT_BLOCK, XFQ_WAIT_POLL, XFQ_WAIT_SPIN};
	const struct CMUnitTest tests[] = {
		TEST(test_peek),
		TEST(test_turns),
		TEST(test_partial_releases),
		TEST(test_wrap),
		TEST(test_stats),
		TEST(test_poll),
		MODES(test_wait),
		MODE(test_signal, XFQ_WAIT_BLOCK),
		MODES(test_stream),
		MODES(test_ended),
		MODES(test_ended_waiting),
		MODES(test_killed),
		MODES(test_closed),
		MODES(test_detached),
		MODES(test_detached_shown),
		TEST(test_odd_messages),
	};

	signal(SIGALRM, stuck);
	alarm(STUCK_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
