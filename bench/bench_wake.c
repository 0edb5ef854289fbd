/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What it costs to wake a member, in the thread that wakes: a message on a socket, as XFQ does it,
 * beside a write to an eventfd, which would be the usual way.
 *
 *	who            the descriptor's other end
 *	nobody         nobody waits; a thread takes what came, off the clock
 *	poll           a thread of another CPU sleeps in poll(2), and is asleep before each wake
 *	watched N      nobody waits, but N epoll watches lie on it: the kernel calls each of them in
 *	               the time of the one who wakes
 *
 * All rows are measured in turn, round after round; each has the median of all its rounds.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BENCH_WAKE_ROUNDS_MAX 9999
#define BENCH_WAKE_ASLEEP_US  60   /* until a thread that was woken sleeps again, surely */
#define BENCH_WAKE_DESCS      4000 /* descriptors of one end, of which each epoll takes all */

enum bench_wake_way { BENCH_MESSAGE, BENCH_EVENTFD, BENCH_WAYS };

struct bench_wake_case {
	const char *who;
	uint32_t watches;
	uint32_t batch; /* wakes in a measurement */
	bool sleeper;
};

static const struct bench_wake_case bench_wake_cases[] = {
	{"nobody", 0, 64, false},    {"poll", 0, 1, true},         {"watched", 100, 16, false},
	{"watched", 1000, 4, false}, {"watched", 10000, 1, false},
};
#define BENCH_CASES (sizeof(bench_wake_cases) / sizeof(bench_wake_cases[0]))

/* One way of waking, with those who wait for it. */
struct bench_wake {
	enum bench_wake_way way;
	const struct bench_wake_case *of;
	int from, to; /* the waker's end and the other; of an eventfd the same */
	pthread_t sleeper;
	double ns[BENCH_WAKE_ROUNDS_MAX];
};

static const char *const bench_wake_names[] = {"message", "eventfd"};

static _Noreturn void bench_wake_fail(const char *what)
{
	fprintf(stderr, "bench_wake: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t bench_wake_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void bench_wake_pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((size_t)cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		bench_wake_fail("choosing a CPU");
}

/* Take all that has come. */
static void bench_wake_drain(const struct bench_wake *wake)
{
	char bytes[8];

	while (recv(wake->to, bytes, 1, MSG_DONTWAIT) > 0)
		;
	if (errno == ENOTSOCK)
		(void)!read(wake->to, bytes, sizeof(bytes));
}

static inline void bench_wake_once(const struct bench_wake *wake)
{
	const uint64_t one = 1;

	if (wake->way == BENCH_MESSAGE)
		(void)!send(wake->from, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		(void)!write(wake->from, &one, sizeof(one));
}

static void *bench_wake_sleep(void *context)
{
	const struct bench_wake *wake = context;
	struct pollfd poll_fd = {.fd = wake->to, .events = POLLIN};

	bench_wake_pin(1);
	for (;;) {
		(void)poll(&poll_fd, 1, -1);
		bench_wake_drain(wake);
	}
	return NULL;
}

/* ns of one wake. */
static double bench_wake_measure(const struct bench_wake *wake)
{
	uint32_t cnt = wake->of->batch;
	uint64_t begin_ns, end_ns;

	if (wake->of->sleeper)
		usleep(BENCH_WAKE_ASLEEP_US);
	else
		bench_wake_once(wake); /* warm up */
	begin_ns = bench_wake_now_ns();
	for (uint32_t i = 0; i < cnt; i++)
		bench_wake_once(wake);
	end_ns = bench_wake_now_ns();
	if (!wake->of->sleeper)
		bench_wake_drain(wake);
	return (double)(end_ns - begin_ns) / cnt;
}

/* Watch the other end so often: each epoll takes each of its descriptors once. */
static void bench_wake_watch(const struct bench_wake *wake)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int fds[BENCH_WAKE_DESCS], epoll_fd = -1;
	uint32_t cnt = wake->of->watches < BENCH_WAKE_DESCS ? wake->of->watches : BENCH_WAKE_DESCS;

	for (uint32_t i = 0; i < cnt; i++)
		if ((fds[i] = dup(wake->to)) < 0)
			bench_wake_fail("descriptors (ulimit -n)");
	for (uint32_t i = 0; i < wake->of->watches; i++) {
		if (i % cnt == 0 && (epoll_fd = epoll_create1(0)) < 0)
			bench_wake_fail("epoll_create1");
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[i % cnt], &event))
			bench_wake_fail("epoll_ctl");
	}
}

static void bench_wake_create(struct bench_wake *wake, enum bench_wake_way way,
			      const struct bench_wake_case *of)
{
	int pair[2];

	wake->way = way;
	wake->of = of;
	if (way == BENCH_EVENTFD) {
		wake->from = wake->to = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (wake->to < 0)
			bench_wake_fail("eventfd");
	} else {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
			bench_wake_fail("socketpair");
		wake->from = pair[0];
		wake->to = pair[1];
	}
	if (of->watches)
		bench_wake_watch(wake);
	if (of->sleeper && pthread_create(&wake->sleeper, NULL, bench_wake_sleep, wake))
		bench_wake_fail("a thread");
}

static int bench_wake_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void bench_wake_print(struct bench_wake *wake, uint32_t rounds)
{
	qsort(wake->ns, rounds, sizeof(double), bench_wake_compare);
	printf("{\"bench\": \"wake\", \"way\": \"%s\", \"who\": \"%s\", \"watches\": %u, "
	       "\"runs\": %u, \"ns_per_wake\": {\"median\": %.0f, \"min\": %.0f, \"max\": %.0f}}\n",
	       bench_wake_names[wake->way], wake->of->who, wake->of->watches, rounds,
	       wake->ns[rounds / 2], wake->ns[0], wake->ns[rounds - 1]);
}

static const char bench_wake_usage[] =
	"usage: bench_wake [--rounds N]\n"
	"Wakes whoever waits at a socket and at an eventfd, in turn, and prints a row for each.\n"
	"  --rounds N  1 to 9999; default 301\n";

static bool bench_wake_parse(int argc, char **argv, uint32_t *rounds)
{
	static const struct option options[] = {{"rounds", required_argument, NULL, 'r'},
						{NULL, 0, NULL, 0}};
	unsigned long number = *rounds;
	int option;
	char *end = NULL;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		number = option == 'r' ? strtoul(optarg, &end, 10) : 0;
	*rounds = (uint32_t)number;
	if (optind == argc && number >= 1 && number <= BENCH_WAKE_ROUNDS_MAX && (!end || !*end))
		return true;
	fputs(bench_wake_usage, stderr);
	return false;
}

int main(int argc, char **argv)
{
	static struct bench_wake wakes[BENCH_CASES][BENCH_WAYS];
	const uint32_t cnt = BENCH_CASES * BENCH_WAYS;
	uint32_t rounds = 301;
	struct rlimit limit;

	if (!bench_wake_parse(argc, argv, &rounds))
		return 2;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	bench_wake_pin(0);
	for (uint32_t i = 0; i < cnt; i++)
		bench_wake_create(&wakes[0][0] + i, (enum bench_wake_way)(i % BENCH_WAYS),
				  &bench_wake_cases[i / BENCH_WAYS]);
	for (uint32_t round = 0; round < rounds; round++)
		for (uint32_t i = 0; i < cnt; i++) {
			struct bench_wake *wake = &wakes[0][0] + (i + round) % cnt;

			wake->ns[round] = bench_wake_measure(wake);
		}
	for (uint32_t i = 0; i < cnt; i++)
		bench_wake_print(&wakes[0][0] + i, rounds);
	return 0;
}
