/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A member that proves what it got: joins a group and checks that the packets of every flow that
 * `bench_inject --sequence` has numbered come once and in order. Prints a row of JSON at its end.
 * Signals: SIGTERM: leave. SIGUSR1: become another program, without leaving. Whoever starts it with
 * both blocked can send them at any time; before it has joined, they count as soon as it has.
 */
#include "bench/generate.h"
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <xfq/xfq.h>

#define CONSUME_BURST   64
#define CONSUME_QUEUES  64
#define CONSUME_REPORTS 8 /* that are printed one by one */

struct consume_args {
	const char *group, *instance, *name, *flows_path;
	struct xfq_join_options options;
	uint64_t packets; /* 0: until it is told to end */
	bool gaps;        /* are no error: flows come and go */
};

struct consume_flow {
	uint64_t packets, first, last;
};

struct consume {
	struct consume_args args;
	struct xfq_member *member;
	struct consume_flow *flows[CONSUME_QUEUES]; /* GENERATE_PACKETS_MAX each, or NULL */
	uint64_t packets;
	uint64_t flow_cnt;
	uint64_t gaps, missing; /* how often numbers are missing, and how many */
	uint64_t repeats;       /* numbers that came again, or too late */
	uint64_t others;        /* packets that bench_inject has not numbered */
	uint64_t damaged;       /* that changed while they were held, or have others' metadata */
	uint64_t reported;
	int code; /* of xfq_peek(), where it ended that way */
};

static const char consume_usage[] =
	"usage: consume GROUP [--instance NAME] [--name NAME] [--weight N] [--ring SLOTS]\n"
	"               [--mode block|poll|spin] [--count N] [--gaps] [--flows FILE]\n"
	"  --name NAME   what it calls itself to the instance\n"
	"  --count N     end after so many packets\n"
	"  --gaps        missing numbers are no error: flows come and go\n"
	"  --flows FILE  write a line for each flow: queue, flow, first and last number, packets\n";

static volatile sig_atomic_t consume_signal_seen;

static void consume_signal(int number)
{
	if (number != SIGALRM)
		consume_signal_seen = number;
}

/* --- arguments -------------------------------------------------------------------------------- */

static bool consume_mode(const char *text, enum xfq_wait_mode *mode)
{
	static const char *const names[] = {"block", "poll", "spin"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0) {
			*mode = (enum xfq_wait_mode)i;
			return true;
		}
	return false;
}

static bool consume_option(struct consume_args *args, int option)
{
	switch (option) {
	case 'i':
		args->instance = optarg;
		return true;
	case 'n':
		args->name = optarg;
		return true;
	case 'w':
		args->options.weight = (uint32_t)strtoul(optarg, NULL, 10);
		return true;
	case 'r':
		args->options.ring_slots = (uint32_t)strtoul(optarg, NULL, 10);
		return true;
	case 'm':
		return consume_mode(optarg, &args->options.wait);
	case 'c':
		args->packets = strtoull(optarg, NULL, 10);
		return true;
	case 'g':
		args->gaps = true;
		return true;
	case 'f':
		args->flows_path = optarg;
		return true;
	default:
		return false;
	}
}

static bool consume_parse(int argc, char **argv, struct consume_args *args)
{
	static const struct option options[] = {{"instance", required_argument, NULL, 'i'},
						{"name", required_argument, NULL, 'n'},
						{"weight", required_argument, NULL, 'w'},
						{"ring", required_argument, NULL, 'r'},
						{"mode", required_argument, NULL, 'm'},
						{"count", required_argument, NULL, 'c'},
						{"gaps", no_argument, NULL, 'g'},
						{"flows", required_argument, NULL, 'f'},
						{NULL, 0, NULL, 0}};
	bool ok = true;
	int option;

	while (ok && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
		ok = consume_option(args, option);
	if (!ok || argc - optind != 1) {
		fputs(consume_usage, stderr);
		return false;
	}
	args->group = argv[optind];
	return true;
}

/* --- packets ---------------------------------------------------------------------------------- */

static void consume_report(struct consume *consume, const struct generate_mark *mark,
			   const struct consume_flow *flow, const char *what)
{
	if (consume->reported++ < CONSUME_REPORTS)
		fprintf(stderr, "consume: %s: queue %u, flow %u: %llu after %" PRIu64 "\n", what,
			mark->queue, mark->flow, (unsigned long long)mark->sequence, flow->last);
}

static void consume_number(struct consume *consume, const struct generate_mark *mark)
{
	struct consume_flow **flows, *flow;

	if (mark->magic != GENERATE_MARK_MAGIC || mark->queue >= CONSUME_QUEUES ||
	    mark->flow >= GENERATE_PACKETS_MAX) {
		consume->others++;
		return;
	}
	flows = &consume->flows[mark->queue];
	if (!*flows)
		*flows = calloc(GENERATE_PACKETS_MAX, sizeof(**flows));
	if (!*flows)
		abort();
	flow = &(*flows)[mark->flow];
	if (flow->packets++ == 0) {
		flow->first = mark->sequence;
		consume->flow_cnt++;
	} else if (mark->sequence <= flow->last) {
		consume_report(consume, mark, flow, "again");
		consume->repeats++;
		return;
	} else if (mark->sequence != flow->last + 1) {
		if (!consume->args.gaps)
			consume_report(consume, mark, flow, "gap");
		consume->gaps++;
		consume->missing += mark->sequence - flow->last - 1;
	}
	flow->last = mark->sequence;
}

static void consume_read(const struct xfq_packet *pkt, struct generate_mark *mark)
{
	memset(mark, 0, sizeof(*mark));
	if (pkt->len >= GENERATE_PACKET_BYTES_MIN)
		memcpy(mark, pkt->data + pkt->len - sizeof(*mark), sizeof(*mark));
}

static void consume_burst(struct consume *consume, const struct xfq_packet *pkts, uint32_t cnt)
{
	struct generate_mark marks[CONSUME_BURST], again;

	for (uint32_t i = 0; i < cnt; i++) {
		consume_read(&pkts[i], &marks[i]);
		consume_number(consume, &marks[i]);
	}
	for (uint32_t i = 0; i < cnt; i++) {
		consume_read(&pkts[i], &again);
		if (memcmp(&again, &marks[i], sizeof(again)) != 0 ||
		    pkts[i].meta->magic != XFQ_META_CHECKED ||
		    pkts[i].meta->wire_len != pkts[i].len)
			consume->damaged++;
	}
	consume->packets += cnt;
	xfq_release(consume->member, cnt);
}

/* --- life ------------------------------------------------------------------------------------- */

static bool consume_goes_on(const struct consume *consume)
{
	const uint64_t wanted = consume->args.packets;

	return !consume_signal_seen && (wanted == 0 || consume->packets < wanted);
}

static void consume_run(struct consume *consume)
{
	const enum xfq_wait_mode mode = consume->args.options.wait;
	const uint64_t wanted = consume->args.packets;
	struct pollfd poll_fd = {.fd = xfq_fd(consume->member), .events = POLLIN};
	struct xfq_packet pkts[CONSUME_BURST];
	int cnt;

	while (consume_goes_on(consume)) {
		cnt = xfq_peek(consume->member, pkts, CONSUME_BURST);
		if (cnt > 0 && wanted && (uint64_t)cnt > wanted - consume->packets)
			cnt = (int)(wanted - consume->packets);
		if (cnt > 0) {
			consume_burst(consume, pkts, (uint32_t)cnt);
		} else if (cnt == 0 && mode == XFQ_WAIT_POLL) {
			(void)poll(&poll_fd, 1, -1);
		} else if (cnt < 0 && cnt != -EINTR) {
			consume->code = cnt;
			return;
		}
	}
}

/* Why it ended, in words. */
static const char *consume_end(const struct consume *consume)
{
	if (consume->code)
		return xfq_end(consume->member) ? xfq_end(consume->member) : "no reason given";
	return consume_signal_seen ? "signal" : "count";
}

static void consume_print(const struct consume *consume)
{
	struct xfq_member_stats stats;
	struct xfq_member_info info;

	xfq_member_stats(consume->member, &stats);
	xfq_member_info(consume->member, &info);
	printf("{\"program\": \"consume\", \"pid\": %d, \"group\": \"%s\", \"id\": %u, "
	       "\"packets\": %" PRIu64 ", \"released\": %" PRIu64 ", \"flows\": %" PRIu64
	       ", \"gaps\": %" PRIu64 ", \"missing\": %" PRIu64 ", \"repeats\": %" PRIu64
	       ", \"others\": %" PRIu64 ", \"damaged\": %" PRIu64 ", \"queued\": %" PRIu64
	       ", \"lost_ring\": %" PRIu64 ", \"lost_quota\": %" PRIu64 ", \"wakeups\": %" PRIu64
	       ", \"code\": %d, \"end\": \"%s\"}\n",
	       (int)getpid(), info.group, info.id, consume->packets, stats.packets,
	       consume->flow_cnt, consume->gaps, consume->missing, consume->repeats,
	       consume->others, consume->damaged, stats.queued, stats.lost_ring, stats.lost_quota,
	       stats.wakeups, consume->code, consume_end(consume));
	fflush(stdout); /* all of it in one write: others may write to the same file */
}

static bool consume_write_flows(const struct consume *consume)
{
	FILE *out = fopen(consume->args.flows_path, "w");

	for (uint32_t queue = 0; out && queue < CONSUME_QUEUES; queue++)
		for (uint32_t i = 0; consume->flows[queue] && i < GENERATE_PACKETS_MAX; i++) {
			const struct consume_flow *flow = &consume->flows[queue][i];

			if (flow->packets)
				fprintf(out, "%u %u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", queue,
					i, flow->first, flow->last, flow->packets);
		}
	if (out && fclose(out) == 0)
		return true;
	fprintf(stderr, "consume: %s: %s\n", consume->args.flows_path, strerror(errno));
	return false;
}

/* Take signals from now on. One that comes right before a sleep would not end it: another follows
 * soon. */
static void consume_listen(void)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1, SIGALRM};
	const struct itimerval timer = {{0, 50000}, {0, 50000}};
	struct sigaction action = {.sa_handler = consume_signal};
	sigset_t mask;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	sigemptyset(&mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* The same process, but no member any more. */
static int consume_become_another(void)
{
	const struct itimerval off = {{0, 0}, {0, 0}};

	setitimer(ITIMER_REAL, &off, NULL);
	execlp("sleep", "sleep", "0.3", (char *)NULL);
	perror("consume: sleep");
	return 1;
}

int main(int argc, char **argv)
{
	struct consume consume = {.args = {.group = NULL}};
	struct xfq *xfq = NULL;
	struct xfq_error error;
	bool ok;

	if (!consume_parse(argc, argv, &consume.args))
		return 2;
	consume_listen();
	if (consume.args.name)
		program_invocation_short_name = (char *)(uintptr_t)consume.args.name;
	if (xfq_open(&xfq, consume.args.instance, &error) ||
	    xfq_join(&consume.member, xfq, consume.args.group, &consume.args.options, &error)) {
		fprintf(stderr, "consume: %s\n", error.text);
		xfq_close(xfq);
		return 1;
	}
	consume_run(&consume);
	if (consume_signal_seen == SIGUSR1)
		return consume_become_another();
	consume_print(&consume);
	ok = consume.code == 0 || consume.code == -EPIPE || consume.code == -ECONNRESET;
	ok = ok && (consume.gaps == 0 || consume.args.gaps) && consume.repeats == 0;
	ok = ok && consume.damaged == 0;
	if (consume.args.flows_path)
		ok = consume_write_flows(&consume) && ok;
	for (uint32_t i = 0; i < CONSUME_QUEUES; i++)
		free(consume.flows[i]);
	xfq_leave(consume.member);
	xfq_close(xfq);
	return ok ? 0 : 1;
}
