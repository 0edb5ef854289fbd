/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a packet costs in the XDP program, beside bare programs and xdp-filter. See README.md.
 *
 * BPF_PROG_TEST_RUN runs a program many times on one packet. Counted is the time that this thread
 * had the CPU, so that what others take is not in it, but for the caches. A program that is
 * test-run while no device has it makes the kernel rebuild its dispatcher each time: each is
 * attached to a device of the bench's own before, where nothing ever comes.
 */
#include "bench/filter_cases.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BENCH_ROUNDS_MAX 9999
#define BENCH_REPEAT     20000
#define BENCH_WARM       1000
#define BENCH_CASES_MAX  32

struct bench_args {
	uint32_t rounds;
	int cpu;
	const char *only; /* in the names of those that are measured; NULL: all */
	bool table;
	struct bench_other {
		char *name, *device, *answers;
	} others[8];
	uint32_t other_cnt;
};

struct bench_filter {
	struct filter_packet packets[FILTER_PACKET_CNT];
	struct filter_case cases[BENCH_CASES_MAX];
	double *ns[BENCH_CASES_MAX][FILTER_PACKET_CNT]; /* a value per round */
	uint32_t case_cnt;
	uint32_t rounds;
	int tap_fd;
	int tap_ifindex;
};

static void __attribute__((noreturn)) bench_fail(const char *what, const char *why)
{
	fprintf(stderr, "bench_filter: %s: %s\n", what, why);
	exit(1);
}

/* --- measuring -------------------------------------------------------------------------------- */

static double bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ns per packet over `repeat` runs. */
static double bench_run(const struct filter_case *of, const struct filter_packet *packet,
			uint8_t expected, uint32_t repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet->data,
		    .data_size_in = packet->len, .repeat = (int)repeat);
	double start_ns = bench_now_ns(), end_ns;
	int code = bpf_prog_test_run_opts(of->fd, &options);

	end_ns = bench_now_ns();
	if (code)
		bench_fail(of->name, strerror(errno));
	if (options.retval != expected) {
		fprintf(stderr, "bench_filter: %s, %s: answers %u instead of %u\n", of->name,
			packet->name, options.retval, expected);
		exit(1);
	}
	return (end_ns - start_ns) / repeat;
}

/* A device to attach to. */
static void bench_open_tap(struct bench_filter *bench)
{
	struct ifreq request = {.ifr_name = "xfqfilter%d", .ifr_flags = IFF_TAP | IFF_NO_PI};

	bench->tap_fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (bench->tap_fd < 0 || ioctl(bench->tap_fd, TUNSETIFF, &request))
		bench_fail("a tap device", strerror(errno));
	bench->tap_ifindex = (int)if_nametoindex(request.ifr_name);
}

static void bench_measure(struct bench_filter *bench, uint32_t index, uint32_t round)
{
	const struct filter_case *of = &bench->cases[index];

	if (!of->attached && bpf_xdp_attach(bench->tap_ifindex, of->fd, 0, NULL))
		bench_fail(of->name, "cannot attach it");
	for (uint32_t i = 0; i < FILTER_PACKET_CNT; i++) {
		const struct filter_packet *packet = &bench->packets[i];

		bench_run(of, packet, of->expected[i], BENCH_WARM);
		bench->ns[index][i][round] = bench_run(of, packet, of->expected[i], BENCH_REPEAT);
	}
}

/* --- what is measured ------------------------------------------------------------------------- */

/* The program that a device has. */
static int bench_program_of(const char *device)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	unsigned ifindex = if_nametoindex(device);

	if (!ifindex || bpf_xdp_query((int)ifindex, 0, &query) || !query.prog_id)
		return -ENOENT;
	return bpf_prog_get_fd_by_id(query.prog_id);
}

static void bench_take_others(struct bench_filter *bench, const struct bench_args *args)
{
	for (uint32_t i = 0; i < args->other_cnt; i++) {
		const struct bench_other *other = &args->others[i];
		struct filter_case *of = &bench->cases[bench->case_cnt++];
		int fd = bench_program_of(other->device);

		if (fd < 0)
			bench_fail(other->device, "has no XDP program");
		if (filter_case_take(of, other->name, fd, other->answers))
			bench_fail(other->answers, "is not a letter, d or p, for each packet");
	}
}

static void bench_create(struct bench_filter *bench, const struct bench_args *args)
{
	struct xfq_error error;

	bench->rounds = args->rounds;
	filter_packets_make(bench->packets);
	bench_open_tap(bench);
	bench_take_others(bench, args);
	for (uint32_t i = 0; i < filter_case_cnt(); i++) {
		struct filter_case *of = &bench->cases[bench->case_cnt];

		/* those that the others are compared with are always there */
		if (args->only && strncmp(filter_case_name(i), "bare", 4) != 0 &&
		    !strstr(filter_case_name(i), args->only))
			continue;
		if (filter_case_create(of, i, &error)) {
			fprintf(stderr, "bench_filter: %s left out: %s\n", filter_case_name(i),
				error.text);
			continue;
		}
		bench->case_cnt++;
	}
	for (uint32_t i = 0; i < bench->case_cnt * FILTER_PACKET_CNT; i++) {
		double **ns = &bench->ns[0][0] + i;

		*ns = calloc(args->rounds, sizeof(**ns));
		if (!*ns)
			bench_fail("results", "no memory");
	}
}

static void bench_destroy(struct bench_filter *bench)
{
	for (uint32_t i = 0; i < bench->case_cnt; i++) {
		filter_case_destroy(&bench->cases[i]);
		for (uint32_t j = 0; j < FILTER_PACKET_CNT; j++)
			free(bench->ns[i][j]);
	}
	close(bench->tap_fd);
}

/* --- results ---------------------------------------------------------------------------------- */

struct bench_stats {
	double median, min, max;
	double by_bare; /* median of the quotients by what `bare` took in the same round */
	double net;     /* median of what it took more than `bare_drop` in the same round */
};

static int bench_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* What a program took for a packet, round by round. */
static const double *bench_ns(const struct bench_filter *bench, const char *name, uint32_t packet)
{
	for (uint32_t i = 0; i < bench->case_cnt; i++)
		if (strcmp(bench->cases[i].name, name) == 0)
			return bench->ns[i][packet];
	bench_fail(name, "is not there");
}

static double bench_median(double *values, uint32_t cnt)
{
	qsort(values, cnt, sizeof(*values), bench_compare);
	return values[cnt / 2];
}

static struct bench_stats bench_stats(const struct bench_filter *bench, uint32_t index,
				      uint32_t packet)
{
	const double *bare = bench_ns(bench, "bare", packet);
	const double *floor = bench_ns(bench, "bare_drop", packet);
	const double *ns = bench->ns[index][packet];
	uint32_t cnt = bench->rounds;
	double *values = calloc(cnt, sizeof(*values));
	struct bench_stats stats;

	if (!values)
		bench_fail("results", "no memory");
	for (uint32_t i = 0; i < cnt; i++)
		values[i] = ns[i] / bare[i];
	stats.by_bare = bench_median(values, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		values[i] = ns[i] - floor[i];
	stats.net = bench_median(values, cnt);
	memcpy(values, ns, cnt * sizeof(*values));
	stats.median = bench_median(values, cnt);
	stats.min = values[0];
	stats.max = values[cnt - 1];
	free(values);
	return stats;
}

static void bench_print_rows(const struct bench_filter *bench)
{
	for (uint32_t i = 0; i < bench->case_cnt; i++)
		for (uint32_t j = 0; j < FILTER_PACKET_CNT; j++) {
			struct bench_stats stats = bench_stats(bench, i, j);

			printf("{\"bench\": \"filter\", \"what\": \"%s\", \"of\": \"%s\", "
			       "\"packet\": \"%s\", \"runs\": %u, \"packets\": %u, \"ns\": "
			       "{\"median\": %.2f, \"min\": %.2f, \"max\": %.2f}, "
			       "\"net_ns\": %.2f, \"by_bare\": %.2f}\n",
			       bench->cases[i].name, bench->cases[i].of, bench->packets[j].name,
			       bench->rounds, BENCH_REPEAT, stats.median, stats.min, stats.max,
			       stats.net, stats.by_bare);
		}
}

static void bench_print_table(const struct bench_filter *bench)
{
	printf("%-22s", "ns, more than a drop");
	for (uint32_t j = 0; j < FILTER_PACKET_CNT; j++)
		printf("  %18s", bench->packets[j].name);
	putchar('\n');
	for (uint32_t i = 0; i < bench->case_cnt; i++) {
		printf("%-22s", bench->cases[i].name);
		for (uint32_t j = 0; j < FILTER_PACKET_CNT; j++) {
			struct bench_stats stats = bench_stats(bench, i, j);

			printf("  %6.1f %5.1f %4.2fx", stats.median, stats.net, stats.by_bare);
		}
		putchar('\n');
	}
}

/* --- the command line ------------------------------------------------------------------------- */

static const char bench_usage[] =
	"usage: bench_filter [--rounds N] [--cpu N] [--only TEXT] [--table] [--quick]\n"
	"                    [--other NAME=DEVICE:ANSWERS]...\n"
	"Runs the first pass on test packets under several filters, in turn, and prints rows.\n"
	"  --rounds N     1 to 9999; default 101\n"
	"  --cpu N        run on this CPU; default 1\n"
	"  --only TEXT    only those whose name contains it, beside the yardstick\n"
	"  --table        a table to read, instead of rows\n"
	"  --quick        11 rounds, and a table\n"
	"  --other ...    the XDP program of a device, too; ANSWERS is a letter for each packet: "
	"d\n"
	"                 for one that it drops, p for one that it passes\n";

static bool bench_number(const char *text, uint32_t low, uint32_t high, uint32_t *value)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	*value = (uint32_t)number;
	return *text >= '0' && *text <= '9' && !*end && number >= low && number <= high;
}

/* NAME=DEVICE:ANSWERS */
static bool bench_parse_other(struct bench_args *args, char *text)
{
	struct bench_other *other = &args->others[args->other_cnt];
	char *device = strchr(text, '='), *answers = device ? strchr(device, ':') : NULL;

	if (!answers || args->other_cnt == sizeof(args->others) / sizeof(args->others[0]))
		return false;
	*device = *answers = '\0';
	*other = (struct bench_other){text, device + 1, answers + 1};
	args->other_cnt++;
	return true;
}

static bool bench_parse(int argc, char **argv, struct bench_args *args)
{
	static const struct option options[] = {{"rounds", required_argument, NULL, 'r'},
						{"cpu", required_argument, NULL, 'c'},
						{"only", required_argument, NULL, 'o'},
						{"table", no_argument, NULL, 't'},
						{"quick", no_argument, NULL, 'q'},
						{"other", required_argument, NULL, 'x'},
						{NULL, 0, NULL, 0}};
	uint32_t cpu = 1;
	bool ok = true;
	int option;

	while (ok && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			ok = bench_number(optarg, 1, BENCH_ROUNDS_MAX, &args->rounds);
			break;
		case 'c':
			ok = bench_number(optarg, 0, CPU_SETSIZE - 1, &cpu);
			break;
		case 'o':
			args->only = optarg;
			break;
		case 'q':
			args->rounds = 11;
			args->table = true;
			break;
		case 't':
			args->table = true;
			break;
		case 'x':
			ok = bench_parse_other(args, optarg);
			break;
		default:
			ok = false;
		}
	}
	args->cpu = (int)cpu;
	if (ok && optind == argc)
		return true;
	fputs(bench_usage, stderr);
	return false;
}

int main(int argc, char **argv)
{
	static struct bench_filter bench;
	struct bench_args args = {.rounds = 101};
	cpu_set_t cpus;

	if (!bench_parse(argc, argv, &args))
		return 2;
	CPU_ZERO(&cpus);
	CPU_SET((size_t)args.cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		bench_fail("--cpu", strerror(errno));
	bench_create(&bench, &args);
	for (uint32_t round = 0; round < bench.rounds; round++)
		for (uint32_t i = 0; i < bench.case_cnt; i++)
			bench_measure(&bench, (i + round) % bench.case_cnt, round);
	if (args.table)
		bench_print_table(&bench);
	else
		bench_print_rows(&bench);
	bench_destroy(&bench);
	return 0;
}
