/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Members that come and go: keeps a program running in several places at once, ends one after the
 * other at random, and starts another in its place. Prints a row of JSON at its end. All processes
 * are its own children, which do not outlive it, however it ends.
 *
 *	kill   SIGKILL
 *	leave  SIGTERM; it is to end with status 0
 *	exec   SIGUSR1; it is to become another program, which ends with status 0
 *
 * The program must take these signals as consume does. Some of the ends follow closely upon a
 * start, so that they come in the middle of joining.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHURN_PLACES_MAX 64
#define CHURN_TICK_NS    1000000ULL
#define CHURN_GRACE_NS   20000000000ULL /* that a member has for its end */

enum churn_way { CHURN_KILL, CHURN_LEAVE, CHURN_EXEC, CHURN_WAY_CNT };

static const char *const churn_ways[] = {"kill", "leave", "exec"};
static const int churn_signals[] = {SIGKILL, SIGTERM, SIGUSR1};

struct churn_args {
	uint32_t places, ends;
	uint32_t pause_us; /* between two ends, on average */
	uint32_t early_us; /* at most so long after a start comes an early end */
	bool ways[CHURN_WAY_CNT];
	char **program;
};

struct churn_place {
	pid_t pid;   /* 0: free */
	bool ending; /* was sent a signal */
	enum churn_way way;
	uint64_t since_ns; /* its start; where it is ending, the signal */
};

struct churn {
	struct churn_args args;
	struct churn_place places[CHURN_PLACES_MAX];
	uint64_t random;
	uint64_t due_ns;  /* the next end */
	uint32_t early;   /* the place that comes next, just started; places: any */
	uint32_t started; /* processes */
	uint32_t ends;    /* that were asked for */
	uint32_t ended[CHURN_WAY_CNT];
	uint32_t early_cnt;
	uint32_t failed; /* ended in another way than they were asked to, or by themselves */
};

static const char churn_usage[] =
	"usage: churn --places N --ends N [--pause US] [--early US] [--ways kill,leave,exec]\n"
	"             PROGRAM [ARGUMENT...]\n"
	"  --places N   so many at a time, 1 to 64\n"
	"  --ends N     end so many, then the rest\n"
	"  --pause US   between two ends, on average; default 10000\n"
	"  --early US   some end within that time after their start; default 5000\n"
	"  --ways WAYS  how they end, with commas between; default kill\n";

static volatile sig_atomic_t churn_stop;

static void churn_signal(int number)
{
	(void)number;
	churn_stop = 1;
}

/* --- arguments -------------------------------------------------------------------------------- */

static bool churn_number(const char *text, uint32_t low, uint32_t high, uint32_t *value)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	*value = (uint32_t)number;
	return *text >= '0' && *text <= '9' && !*end && number >= low && number <= high;
}

static bool churn_parse_ways(char *text, bool *ways)
{
	memset(ways, 0, CHURN_WAY_CNT * sizeof(*ways));
	for (char *way = strtok(text, ","); way; way = strtok(NULL, ",")) {
		unsigned i = 0;

		while (i < CHURN_WAY_CNT && strcmp(way, churn_ways[i]) != 0)
			i++;
		if (i == CHURN_WAY_CNT)
			return false;
		ways[i] = true;
	}
	return ways[CHURN_KILL] || ways[CHURN_LEAVE] || ways[CHURN_EXEC];
}

static bool churn_parse(int argc, char **argv, struct churn_args *args)
{
	static const struct option options[] = {
		{"places", required_argument, NULL, 'p'}, {"ends", required_argument, NULL, 'n'},
		{"pause", required_argument, NULL, 'u'},  {"early", required_argument, NULL, 'e'},
		{"ways", required_argument, NULL, 'w'},   {NULL, 0, NULL, 0}};
	bool ok = true;
	int option;

	while (ok && (option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == 'p')
			ok = churn_number(optarg, 1, CHURN_PLACES_MAX, &args->places);
		else if (option == 'n')
			ok = churn_number(optarg, 1, 1000000, &args->ends);
		else if (option == 'u')
			ok = churn_number(optarg, 1, 10000000, &args->pause_us);
		else if (option == 'e')
			ok = churn_number(optarg, 1, 10000000, &args->early_us);
		else
			ok = option == 'w' && churn_parse_ways(optarg, args->ways);
	}
	args->program = argv + optind;
	if (ok && optind < argc && args->places && args->ends)
		return true;
	fputs(churn_usage, stderr);
	return false;
}

/* --- processes -------------------------------------------------------------------------------- */

static uint64_t churn_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* xorshift64, Marsaglia 2003. */
static uint32_t churn_random(struct churn *churn, uint32_t below)
{
	churn->random ^= churn->random << 13;
	churn->random ^= churn->random >> 7;
	churn->random ^= churn->random << 17;
	return (uint32_t)((churn->random >> 16) % below);
}

/* Start a process. Signals wait until the program is ready to take them: it is born with them
 * blocked. */
static bool churn_start(struct churn *churn, uint32_t place)
{
	pid_t parent = getpid(), pid;
	sigset_t mask, before;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, &before);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			execvp(churn->args.program[0], churn->args.program);
		_exit(127);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0) {
		perror("churn: fork");
		return false;
	}
	churn->places[place] = (struct churn_place){.pid = pid, .since_ns = churn_now_ns()};
	churn->started++;
	return true;
}

static void churn_end(struct churn *churn, uint32_t i, enum churn_way way)
{
	struct churn_place *place = &churn->places[i];

	place->ending = true;
	place->way = way;
	place->since_ns = churn_now_ns();
	kill(place->pid, churn_signals[way]);
}

/* A process has ended: as it was to? */
static void churn_reaped(struct churn *churn, struct churn_place *place, int status)
{
	bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	bool exited = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (place->ending && (place->way == CHURN_KILL ? killed : exited)) {
		churn->ended[place->way]++;
	} else {
		fprintf(stderr, "churn: process %d ended with status 0x%x, %s\n", (int)place->pid,
			(unsigned)status, place->ending ? churn_ways[place->way] : "by itself");
		churn->failed++;
	}
	place->pid = 0;
}

/* See who has ended. Returns how many run. */
static uint32_t churn_reap(struct churn *churn)
{
	uint64_t now_ns = churn_now_ns();
	uint32_t running = 0;
	int status;

	for (uint32_t i = 0; i < churn->args.places; i++) {
		struct churn_place *place = &churn->places[i];

		if (!place->pid)
			continue;
		if (waitpid(place->pid, &status, WNOHANG) == place->pid) {
			churn_reaped(churn, place, status);
			continue;
		}
		running++;
		if (place->ending && now_ns - place->since_ns > CHURN_GRACE_NS) {
			fprintf(stderr, "churn: process %d does not end: %s\n", (int)place->pid,
				churn_ways[place->way]);
			kill(place->pid, SIGKILL); /* and then it has not ended as it should */
			place->since_ns = now_ns;
		}
	}
	return running;
}

/* --- the course of it ------------------------------------------------------------------------- */

static enum churn_way churn_pick_way(struct churn *churn)
{
	uint32_t way;

	do
		way = churn_random(churn, CHURN_WAY_CNT);
	while (!churn->args.ways[way]);
	return (enum churn_way)way;
}

/* Start in every free place; every third that is started will be the next to end, and soon. */
static bool churn_fill(struct churn *churn)
{
	for (uint32_t i = 0; i < churn->args.places; i++) {
		if (churn->places[i].pid)
			continue;
		if (!churn_start(churn, i))
			return false;
		if (churn->early == churn->args.places && churn_random(churn, 3) == 0) {
			churn->early = i;
			churn->due_ns = churn_now_ns() +
					1000ULL * churn_random(churn, churn->args.early_us);
		}
	}
	return true;
}

/* End one, if its time has come: the early one, or any. */
static void churn_next(struct churn *churn)
{
	uint32_t place = churn->early;

	if (churn_now_ns() < churn->due_ns)
		return;
	if (place == churn->args.places)
		place = churn_random(churn, churn->args.places);
	else
		churn->early_cnt++;
	if (!churn->places[place].pid || churn->places[place].ending)
		return; /* of those that are ending another comes with the next tick */
	churn_end(churn, place, churn_pick_way(churn));
	churn->ends++;
	churn->early = churn->args.places;
	churn->due_ns = churn_now_ns() + 1000ULL * churn_random(churn, 2 * churn->args.pause_us);
}

/* Sleep to the next tick, or to the next end where that is sooner. */
static void churn_sleep(const struct churn *churn)
{
	uint64_t now_ns = churn_now_ns(), ns = CHURN_TICK_NS;
	struct timespec pause = {0};

	if (churn->due_ns > now_ns && churn->due_ns - now_ns < ns)
		ns = churn->due_ns - now_ns;
	pause.tv_nsec = (long)ns;
	nanosleep(&pause, NULL);
}

static void churn_run(struct churn *churn)
{
	while (!churn_stop && churn->ends < churn->args.ends) {
		churn_reap(churn);
		if (!churn_fill(churn))
			break;
		churn_next(churn);
		churn_sleep(churn);
	}
}

/* End those that are left. */
static void churn_finish(struct churn *churn)
{
	for (uint32_t i = 0; i < churn->args.places; i++)
		if (churn->places[i].pid && !churn->places[i].ending)
			churn_end(churn, i, churn_pick_way(churn));
	while (churn_reap(churn) > 0)
		churn_sleep(churn);
}

int main(int argc, char **argv)
{
	struct churn churn = {
		.args = {.pause_us = 10000, .early_us = 5000, .ways = {[CHURN_KILL] = true}}};
	struct sigaction action = {.sa_handler = churn_signal};
	uint64_t seed = churn_now_ns() | 1;

	if (!churn_parse(argc, argv, &churn.args))
		return 2;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	churn.random = seed;
	churn.early = churn.args.places;
	churn_run(&churn);
	churn_finish(&churn);
	printf("{\"program\": \"churn\", \"seed\": %" PRIu64 ", \"started\": %u, \"early\": %u, "
	       "\"kill\": %u, \"leave\": %u, \"exec\": %u, \"failed\": %u}\n",
	       seed, churn.started, churn.early_cnt, churn.ended[CHURN_KILL],
	       churn.ended[CHURN_LEAVE], churn.ended[CHURN_EXEC], churn.failed);
	return churn.failed ? 1 : 0;
}
