/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/ask.h"
#include "apps/commands.h"
#include "apps/filter_table.h"
#include "apps/filter_test.h"
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char filter_help[] =
	"Usage: xfq filter show [--instance NAME] [--json] [--live]\n"
	"       xfq filter test CONFIG --read FILE [--packets] [--user] [--json]\n"
	"show: the first pass of a running instance: rules of both directions with packets,\n"
	"bytes and rates (over one second), limits, sets, and what was noticed.\n"
	"test: which rule of CONFIG decides about each packet of a capture file, by the very\n"
	"program that would run on the interface: in the kernel, by test runs, which needs root;\n"
	"no interface is touched, and nothing is steered.\n\n"
	"  --instance NAME  which instance; or the path of its socket; may be left out where one\n"
	"                   runs\n"
	"  --live           again every second, until Ctrl-C\n"
	"  --read FILE      pcap or pcapng; - for standard input\n"
	"  --packets        a line for each packet, with the rule and why; else sums\n"
	"  --user           the same rules in user space, which needs no privilege\n"
	"  --json           as JSON: docs/json.md\n\n"
	"XFQ_RUN_DIR names the folder of control sockets, if it is not /run/xfq.\n"
	"Exit status: 0 done, 1 failed, 2 usage.\n";

struct filter_arguments {
	const char *instance;
	bool live, json, ended;
	struct filter_test test;
};

static double filter_seconds(const struct timespec *from, const struct timespec *to)
{
	return (double)(to->tv_sec - from->tv_sec) + (double)(to->tv_nsec - from->tv_nsec) / 1e9;
}

/* Wait a second; false: it is to end. */
static bool filter_wait(int signal_fd)
{
	struct pollfd fd = {.fd = signal_fd, .events = POLLIN};

	return poll(&fd, 1, 1000) == 0;
}

static int filter_print(const struct filter_arguments *arguments, const json_t *now,
			const json_t *before, double seconds)
{
	json_t *view = filter_view(now, before, seconds);

	if (!view) {
		fputs("xfq filter: no memory for an answer\n", stderr);
		return COMMAND_FAILED;
	}
	if (arguments->json) {
		json_dumpf(view, stdout,
			   (arguments->live ? JSON_COMPACT : JSON_INDENT(1)) |
				   JSON_REAL_PRECISION(12));
		putchar('\n');
	} else {
		if (arguments->live && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		filter_table(stdout, view);
	}
	json_decref(view);
	return fflush(stdout) ? COMMAND_FAILED : COMMAND_DONE;
}

/* Two looks, a second apart; again and again until Ctrl-C with --live. */
static int filter_show(const struct filter_arguments *arguments)
{
	int signal_fd = command_signals(), status = COMMAND_DONE;
	struct timespec then, now_time;
	json_t *before = NULL, *now;
	struct xfq_error error;
	int code = ask_status(arguments->instance, &before, &error);

	clock_gettime(CLOCK_MONOTONIC, &then);
	while (code == 0 && status == COMMAND_DONE && filter_wait(signal_fd)) {
		code = ask_status(arguments->instance, &now, &error);
		if (code)
			break;
		clock_gettime(CLOCK_MONOTONIC, &now_time);
		status = filter_print(arguments, now, before, filter_seconds(&then, &now_time));
		json_decref(before);
		before = now;
		then = now_time;
		if (!arguments->live)
			break;
	}
	if (code) {
		fprintf(stderr, "xfq filter show: %s\n", error.text);
		status = COMMAND_FAILED;
	}
	json_decref(before);
	if (signal_fd >= 0)
		close(signal_fd);
	return status;
}

static int filter_usage(const char *problem)
{
	if (problem)
		fprintf(stderr, "xfq filter: %s\n", problem);
	fputs(filter_help, stderr);
	return COMMAND_USAGE;
}

static int filter_parse(int argc, char **argv, struct filter_arguments *arguments)
{
	static const struct option options[] = {
		{"instance", required_argument, NULL, 'i'}, {"live", no_argument, NULL, 'l'},
		{"read", required_argument, NULL, 'r'},     {"packets", no_argument, NULL, 'p'},
		{"user", no_argument, NULL, 'u'},           {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},           {0}};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'i':
			arguments->instance = optarg;
			break;
		case 'l':
			arguments->live = true;
			break;
		case 'r':
			arguments->test.read_path = optarg;
			break;
		case 'p':
			arguments->test.packets = true;
			break;
		case 'u':
			arguments->test.user = true;
			break;
		case 'j':
			arguments->json = arguments->test.json = true;
			break;
		case 'h':
			fputs(filter_help, stdout);
			arguments->ended = true;
			return COMMAND_DONE;
		default:
			return filter_usage(NULL);
		}
	}
	return COMMAND_DONE;
}

int command_filter(int argc, char **argv)
{
	struct filter_arguments arguments = {0};
	const char *verb = argc > 1 ? argv[1] : "";
	bool test = strcmp(verb, "test") == 0, show = strcmp(verb, "show") == 0;
	int status;

	if (!test && !show && verb[0] != '-')
		return filter_usage(verb[0] ? "what is to be done: show or test" : NULL);
	if (test || show) {
		argc--;
		argv++;
	}
	status = filter_parse(argc, argv, &arguments);
	if (status || arguments.ended)
		return status;
	if (!test && !show)
		return filter_usage("what is to be done: show or test");
	if (show && (arguments.test.read_path || arguments.test.packets || arguments.test.user))
		return filter_usage("--read, --packets and --user belong to filter test");
	if (test && (arguments.instance || arguments.live))
		return filter_usage("--instance and --live belong to filter show");
	if (show)
		return optind == argc ? filter_show(&arguments)
				      : filter_usage("show takes no words: --instance NAME?");
	if (argc - optind != 1 || !arguments.test.read_path)
		return filter_usage("test wants one CONFIG, and --read FILE");
	arguments.test.config_path = argv[optind];
	return filter_test_run(&arguments.test);
}
