/* SPDX-License-Identifier: BSD-2-Clause */
/* Injects load into an interface for a given time and prints one row. See README.md. */
#include "bench/inject.h"
#include "bench/packets.h"
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define BENCH_INJECT_FLOWS 4096 /* by default: 2 MB of packets */

/* With a rate, packets come in portions of a millisecond's worth: more would find queues of a few
 * thousand too short where the receiver is not running at the moment, fewer cost too much. */
#define BENCH_INJECT_PORTIONS 1000
/* After a delay this much is made up for at full speed, and no more. */
#define BENCH_INJECT_LATE_NS 2000000

struct bench_inject_args {
	const char *ifname;
	uint32_t queue;
	uint32_t seconds;
	uint32_t batch;
	uint32_t flows;
	uint32_t rate; /* packets a second; 0: as fast as it goes */
	int cpu;       /* -1: wherever the scheduler puts it */
	bool fixed;    /* one packet, always the same */
	bool sequence, send;
};

static const char bench_inject_usage[] =
	"usage: bench_inject IFACE QUEUE SECONDS [--cpu N] [--flows N | --fixed] [--batch N]\n"
	"                    [--rate PPS] [--sequence] [--send]\n"
	"Injects packets into IFACE, through the XDP program attached there, and prints a row.\n"
	"  --cpu N    run on this CPU\n"
	"  --flows N  a packet each of N flows in turn, 2 to 65536; default 4096\n"
	"  --fixed    the same packet again and again: UDP port 53, 64 bytes\n"
	"  --batch N  packets per round of the kernel, 1 to 256; default 64\n"
	"  --rate PPS at most so many packets a second, evenly spread; 1 to 10000000\n"
	"  --sequence number the packets of each flow, in their last 16 bytes\n"
	"  --send     send them out of IFACE, an end of a veth pair; they come to its other end "
	"on\n"
	"             queue QUEUE where that is the number of this CPU, which --cpu sets\n";

static volatile sig_atomic_t bench_inject_stop;

static void bench_inject_signal(int number)
{
	(void)number;
	bench_inject_stop = 1;
}

/* Read a number from `low` to `high`, or complain and return false. */
static bool bench_inject_number(const char *what, const char *text, uint32_t low, uint32_t high,
				uint32_t *value)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || number < low || number > high) {
		fprintf(stderr, "bench_inject: %s: %s is not a number from %u to %u\n", what, text,
			low, high);
		return false;
	}
	*value = (uint32_t)number;
	return true;
}

static bool bench_inject_parse(int argc, char **argv, struct bench_inject_args *args)
{
	static const struct option options[] = {
		{"cpu", required_argument, NULL, 'c'},   {"flows", required_argument, NULL, 'f'},
		{"batch", required_argument, NULL, 'b'}, {"fixed", no_argument, NULL, 'x'},
		{"rate", required_argument, NULL, 'r'},  {"sequence", no_argument, NULL, 's'},
		{"send", no_argument, NULL, 'o'},        {NULL, 0, NULL, 0}};
	uint32_t cpu;
	bool ok = true;
	int option;

	while (ok && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			ok = bench_inject_number("--cpu", optarg, 0, CPU_SETSIZE - 1, &cpu);
			args->cpu = ok ? (int)cpu : -1;
			break;
		case 'f':
			ok = bench_inject_number("--flows", optarg, 2, GENERATE_PACKETS_MAX,
						 &args->flows);
			break;
		case 'b':
			ok = bench_inject_number("--batch", optarg, 1, INJECT_BATCH_MAX,
						 &args->batch);
			break;
		case 'x':
			args->fixed = true;
			break;
		case 'r':
			ok = bench_inject_number("--rate", optarg, 1, 10000000, &args->rate);
			break;
		case 's':
			args->sequence = true;
			break;
		case 'o':
			args->send = true;
			break;
		default:
			ok = false;
		}
	}
	if (ok && argc - optind == 3) {
		args->ifname = argv[optind];
		return bench_inject_number("QUEUE", argv[optind + 1], 0, 65535, &args->queue) &&
		       bench_inject_number("SECONDS", argv[optind + 2], 1, 3600, &args->seconds);
	}
	fputs(bench_inject_usage, stderr);
	return false;
}

/* End the run after some seconds, or by SIGINT and SIGTERM. */
static void bench_inject_arm(uint32_t seconds)
{
	struct sigaction action = {.sa_handler = bench_inject_signal};
	/* once more and again: a signal between two runs would interrupt nothing */
	struct itimerval timer = {.it_value = {.tv_sec = seconds}, .it_interval = {0, 10000}};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static uint64_t bench_inject_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Sleep until a time, or until a signal comes. */
static void bench_inject_sleep(uint64_t until_ns)
{
	struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
				 .tv_nsec = (long)(until_ns % 1000000000u)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* Inject at a rate; result->ns is then all of the time. */
static int bench_inject_paced(struct inject *inject, uint32_t rate, struct inject_result *result,
			      struct xfq_error *error)
{
	uint64_t portion = (rate + BENCH_INJECT_PORTIONS - 1) / BENCH_INJECT_PORTIONS;
	uint64_t interval_ns = portion * 1000000000u / rate;
	uint64_t start_ns = bench_inject_now_ns(), due_ns = start_ns, now_ns;
	int err = 0;

	while (!err && !bench_inject_stop) {
		err = inject_run(inject, portion, result, error);
		due_ns += interval_ns;
		now_ns = bench_inject_now_ns();
		if (now_ns > due_ns + BENCH_INJECT_LATE_NS)
			due_ns = now_ns - BENCH_INJECT_LATE_NS;
		else if (now_ns < due_ns)
			bench_inject_sleep(due_ns);
	}
	result->ns = bench_inject_now_ns() - start_ns;
	return err;
}

static void bench_inject_print(const struct bench_inject_args *args, const struct inject *inject,
			       const struct inject_result *result)
{
	double seconds = (double)result->ns / 1e9;

	printf("{\"program\": \"bench_inject\", \"device\": \"%s\", \"queue\": %u, "
	       "\"way\": \"%s\", \"flows\": %u, \"batch\": %u, \"rate\": %u, \"packets\": %llu, "
	       "\"seconds\": %.6f, \"mpps\": %.4f}\n",
	       args->ifname, args->queue,
	       inject->direct ? "direct" : (args->send ? "send" : "generator"), inject->packet_cnt,
	       inject->batch, args->rate, (unsigned long long)result->packets, seconds,
	       seconds > 0 ? (double)result->packets / seconds / 1e6 : 0);
}

static int bench_inject_run(const struct bench_inject_args *args,
			    const struct generate_packet *packets, struct xfq_error *error)
{
	const struct inject_options options = {.packets = packets,
					       .packet_cnt = args->flows,
					       .numbered = args->sequence,
					       .anchored = args->rate > 0,
					       .send = args->send};
	struct inject_result result = {0};
	struct inject inject;
	int err = inject_create(&inject, args->ifname, args->queue, &options, error);

	if (err)
		return err;
	inject.batch = args->batch;
	bench_inject_arm(args->seconds);
	if (args->rate)
		err = bench_inject_paced(&inject, args->rate, &result, error);
	while (!err && !bench_inject_stop)
		err = inject_run(&inject, UINT32_MAX, &result, error);
	if (!err)
		bench_inject_print(args, &inject, &result);
	inject_destroy(&inject);
	return err;
}

int main(int argc, char **argv)
{
	struct bench_inject_args args = {
		.cpu = -1, .flows = BENCH_INJECT_FLOWS, .batch = INJECT_BATCH};
	struct generate_packet *packets;
	struct xfq_error error;
	cpu_set_t cpus;
	int err;

	if (!bench_inject_parse(argc, argv, &args))
		return 2;
	CPU_ZERO(&cpus);
	if (args.cpu >= 0) {
		CPU_SET((size_t)args.cpu, &cpus);
		if (sched_setaffinity(0, sizeof(cpus), &cpus)) {
			fprintf(stderr, "bench_inject: CPU %d: %s\n", args.cpu, strerror(errno));
			return 1;
		}
	}
	if (args.fixed)
		args.flows = 1;
	packets = calloc(args.flows, sizeof(*packets));
	if (!packets) {
		fprintf(stderr, "bench_inject: no memory for %u packets\n", args.flows);
		return 1;
	}
	if (args.fixed)
		packets_fill_fixed(packets);
	else if (args.sequence)
		packets_fill_numbered(packets, args.flows);
	else
		packets_fill_mixed(packets, args.flows);
	err = bench_inject_run(&args, packets, &error);
	if (err)
		fprintf(stderr, "bench_inject: %s\n", error.text);
	free(packets);
	return err ? 1 : 0;
}
