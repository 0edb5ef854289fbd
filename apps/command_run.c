/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/commands.h"
#include "apps/instance/control.h"
#include "apps/instance/stats_json.h"
#include "apps/stats_table.h"
#include "workers/engine.h"
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const char run_help[] =
	"Usage: xfq run CONFIG [--read FILE] [--write DIR] [--for SECONDS] [--json] [--live]\n"
	"Steer packets as CONFIG says, in the foreground, until Ctrl-C; then print a summary.\n\n"
	"  --read FILE    take packets from a capture file (pcap, pcapng, - for standard input)\n"
	"                 instead of the interfaces; needs no root; ends with the file\n"
	"  --write DIR    every member writes what it gets to DIR/GROUP.MEMBER.pcapng\n"
	"  --for SECONDS  end after that time\n"
	"  --json         the summary as one JSON object on standard output\n"
	"  --live         show a table while running: redrawn each second on a terminal, else\n"
	"                 printed every 5 s (on a terminal it is shown anyway)\n\n"
	"Exit status: 0 done, 1 failed, 2 usage.\n";

#define RUN_TABLE_SECONDS 5 /* between tables where there is no terminal */
#define RUN_NOTES         8
#define RUN_NOTE_BYTES    (XFQ_ERROR_TEXT_BYTES + 64)
#define RUN_SECONDS_MIN   0.001
#define RUN_SECONDS_MAX   (10.0 * 365 * 86400)

struct run_arguments {
	const char *config_path;
	struct engine_options engine;
	double seconds; /* 0: until it is told to end */
	bool json, live;
};

struct run {
	struct run_arguments arguments;
	struct config config;
	struct engine engine;
	struct control control;
	int signal_fd, tick_fd, end_fd;
	json_t *before;                        /* last live snapshot, for the rates */
	char notes[RUN_NOTES][RUN_NOTE_BYTES]; /* a ring */
	uint32_t note_cnt;
	uint64_t ticks;
	bool failed;
};

/* The live table goes where the JSON object does not. */
static FILE *run_table_out(const struct run *run)
{
	return run->arguments.json ? stderr : stdout;
}

/* Whether the table is redrawn on a terminal, and would wipe away what is said beside it. */
static bool run_redraws(const struct run *run)
{
	return run->arguments.live && isatty(fileno(run_table_out(run)));
}

/* Say something on standard error: at once, or, where the table is redrawn, below each table and
 * again after the summary. */
static void __attribute__((format(printf, 2, 3))) run_say(struct run *run, const char *format, ...)
{
	char *note = run->notes[run->note_cnt % RUN_NOTES];
	va_list args;

	va_start(args, format);
	vsnprintf(note, RUN_NOTE_BYTES, format, args);
	va_end(args);
	run->note_cnt++;
	if (!run_redraws(run))
		fprintf(stderr, "xfq run: %s\n", note);
}

/* The last notes, oldest first. */
static void run_print_notes(const struct run *run, FILE *out)
{
	uint32_t i = run->note_cnt > RUN_NOTES ? run->note_cnt - RUN_NOTES : 0;

	for (; i < run->note_cnt; i++)
		fprintf(out, "xfq run: %s\n", run->notes[i % RUN_NOTES]);
}

/* The counters now; NULL without memory. */
static json_t *run_snapshot(struct run *run)
{
	struct stats stats;
	json_t *object;

	if (engine_stats(&run->engine, &stats))
		return NULL;
	object = stats_json(&stats);
	stats_destroy(&stats);
	return object;
}

/* Answer "status". */
static char *run_status(void *context)
{
	json_t *object = run_snapshot(context);
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	json_decref(object);
	return text;
}

static void run_draw(struct run *run)
{
	FILE *out = run_table_out(run);
	bool terminal = isatty(fileno(out));
	double seconds = terminal ? 1 : RUN_TABLE_SECONDS;
	json_t *now;

	if (!terminal && run->ticks % RUN_TABLE_SECONDS != 0)
		return;
	now = run_snapshot(run);
	if (!now)
		return;
	if (terminal)
		fputs("\033[H\033[J", out);
	stats_table(out, now, run->before, seconds, false);
	if (terminal)
		run_print_notes(run, out);
	else
		fputc('\n', out);
	fflush(out);
	json_decref(run->before);
	run->before = now;
}

static void run_changed(const char *name, enum interface_event event, void *context)
{
	struct run *run = context;

	switch (event) {
	case INTERFACE_GONE:
		run_say(run, "%s: the interface went away", name);
		run->failed = true;
		break;
	case INTERFACE_DOWN:
		run_say(run, "%s: the link is down", name);
		break;
	case INTERFACE_UP:
		run_say(run, "%s: the link is up again", name);
		break;
	}
}

/* A timer that fires after, and then every, so many seconds; one that never fires for 0. */
static int run_timer(double first, double every)
{
	struct itimerspec when = {0};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	when.it_value.tv_sec = (time_t)first;
	when.it_value.tv_nsec = (long)(fmod(first, 1) * 1e9);
	when.it_interval.tv_sec = (time_t)every;
	if (fd >= 0 && timerfd_settime(fd, 0, &when, NULL)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* One round of the control loop. Returns whether to go on. */
static bool run_round(struct run *run)
{
	struct pollfd fds[CONTROL_CLIENTS_MAX + 6];
	struct signalfd_siginfo signal_info;
	struct xfq_error error;
	uint64_t fired;
	nfds_t cnt = 0;

	fds[cnt++] = (struct pollfd){.fd = run->signal_fd, .events = POLLIN};
	fds[cnt++] = (struct pollfd){.fd = run->end_fd, .events = POLLIN};
	fds[cnt++] = (struct pollfd){.fd = run->tick_fd, .events = POLLIN};
	fds[cnt++] = (struct pollfd){.fd = run->engine.done_fd, .events = POLLIN};
	/* poll skips negative descriptors: there is nothing to watch where a file is read */
	fds[cnt++] = (struct pollfd){.fd = run->engine.watch.fd, .events = POLLIN};
	cnt += control_poll(&run->control, fds + cnt);
	if (poll(fds, cnt, -1) < 0)
		return errno == EINTR;
	if (fds[0].revents) {
		(void)!read(run->signal_fd, &signal_info, sizeof(signal_info));
		return false;
	}
	if (fds[1].revents || (fds[3].revents && engine_is_done(&run->engine)))
		return false;
	if (fds[2].revents && read(run->tick_fd, &fired, sizeof(fired)) == sizeof(fired)) {
		run->ticks += fired;
		if (engine_flush(&run->engine, &error))
			run_say(run, "%s", error.text);
		if (run->arguments.live)
			run_draw(run);
	}
	if (fds[4].revents && engine_watch(&run->engine, run_changed, run) == 0) {
		run_say(run, "no interface is left");
		return false;
	}
	control_serve(&run->control, run_status, run);
	return true;
}

/* What was got, in a line. */
static void run_announce(struct run *run)
{
	struct stats stats;

	if (engine_stats(&run->engine, &stats))
		return;
	for (uint32_t i = 0; i < stats.interface_cnt; i++) {
		const struct stats_interface *to = &stats.interfaces[i];
		const struct interface *from = &run->engine.interfaces[i];

		run_say(run, "%s: %s (%s), XDP %s, AF_XDP %s, %u queue%s, frames in %s", stats.name,
			to->name, to->driver, to->mode, to->zero_copy ? "zero-copy" : "copy mode",
			to->queues, to->queues == 1 ? "" : "s",
			stats.huge_pages ? "huge pages" : "ordinary pages");
		if (run->engine.modes[i] == LOADER_MODE_GENERIC && from->merging)
			run_say(run,
				"%s: generic XDP sees packets after the stack has merged them, and "
				"those that do not fit a frame are passed on: ethtool -K %s gro "
				"off",
				to->name, to->name);
		if (!from->up)
			run_say(run,
				"%s: the interface is down, and nothing comes until it is up: ip "
				"link set dev %s up",
				to->name, to->name);
	}
	for (uint32_t i = 0; i < stats.worker_cnt; i++)
		if (stats.workers[i].shared_cpu)
			run_say(run, "worker %u shares CPU %d with another worker", i,
				stats.workers[i].cpu);
	if (stats.group_cnt == 0 && run->config.filter.policy.default_verdict == XDP_VERDICT_STEER)
		run_say(run, "no groups: what is steered is taken from the stack and goes nowhere");
	stats_destroy(&stats);
}

static int run_set_up(struct run *run, struct xfq_error *error)
{
	const struct run_arguments *arguments = &run->arguments;
	int code = engine_create(&run->engine, &run->config, &arguments->engine, error);

	if (code)
		return code;
	if (!arguments->engine.read_path) {
		code = control_open(&run->control, run->config.name, error);
		if (code)
			return code;
	}
	return engine_start(&run->engine, error);
}

/* The summary. Returns whether it could be made and written. */
static bool run_finish(struct run *run)
{
	json_t *object = run_snapshot(run);
	bool written;

	if (!object) {
		run_say(run, "no memory for the summary");
		return false;
	}
	if (run->arguments.json) {
		json_dumpf(object, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
		putchar('\n');
	} else {
		if (run->arguments.live && isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		stats_table(stdout, object, NULL, 0, true);
	}
	json_decref(object);
	if (run_redraws(run))
		run_print_notes(run, stderr);
	written = fflush(stdout) == 0 && !ferror(stdout);
	if (!written)
		run_say(run, "writing the summary failed");
	return written;
}

/* Whether a capture file was left before its end. */
static bool run_ended_early(const struct engine *engine)
{
	const struct replay *replay = &engine->replay;

	return engine->options.read_path &&
	       (!replay->ended || (replay->capture.pipe && replay->capture.pipe->stopped));
}

static int run_loop(struct run *run)
{
	struct xfq_error error = {0};
	int status = COMMAND_DONE;

	if (run_set_up(run, &error)) {
		fprintf(stderr, "xfq run: %s\n", error.text);
		return COMMAND_FAILED;
	}
	run_announce(run);
	while (run_round(run))
		;
	if (engine_stop(&run->engine, &error)) {
		run_say(run, "%s", error.text);
		status = COMMAND_FAILED;
	} else if (run_ended_early(&run->engine)) {
		run_say(run, "%s: not read to its end", run->arguments.engine.read_path);
	}
	if (!run_finish(run) || run->failed)
		status = COMMAND_FAILED;
	return status;
}

/* Read the arguments. COMMAND_DONE to go on; *ended where only help was asked for. */
static int run_parse(int argc, char **argv, struct run_arguments *arguments, bool *ended)
{
	static const struct option options[] = {{"read", required_argument, NULL, 'r'},
						{"write", required_argument, NULL, 'w'},
						{"for", required_argument, NULL, 'f'},
						{"json", no_argument, NULL, 'j'},
						{"live", no_argument, NULL, 'l'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	char *end;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			arguments->engine.read_path = optarg;
			break;
		case 'w':
			arguments->engine.write_dir = optarg;
			break;
		case 'f':
			arguments->seconds = strtod(optarg, &end);
			if (*end || end == optarg || !(arguments->seconds >= RUN_SECONDS_MIN) ||
			    arguments->seconds > RUN_SECONDS_MAX) {
				fprintf(stderr,
					"xfq run: --for %s: not a number of seconds from %g to "
					"%.0f\n",
					optarg, RUN_SECONDS_MIN, RUN_SECONDS_MAX);
				return COMMAND_USAGE;
			}
			break;
		case 'j':
			arguments->json = true;
			break;
		case 'l':
			arguments->live = true;
			break;
		case 'h':
			fputs(run_help, stdout);
			*ended = true;
			return COMMAND_DONE;
		default:
			fputs(run_help, stderr);
			return COMMAND_USAGE;
		}
	}
	if (argc - optind != 1) {
		fprintf(stderr, "xfq run: %s\n",
			argc == optind ? "no CONFIG was named" : "more than one CONFIG");
		fputs(run_help, stderr);
		return COMMAND_USAGE;
	}
	arguments->config_path = argv[optind];
	return COMMAND_DONE;
}

/* The signals that end a run. What is ignored, as SIGHUP is under nohup, stays so: blocking it
 * would bring it back. */
static void run_signals(sigset_t *signals)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action;

	sigemptyset(signals);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends[i] == SIGTERM || sigaction(ends[i], NULL, &action) ||
		    action.sa_handler != SIG_IGN)
			sigaddset(signals, ends[i]);
}

int command_run(int argc, char **argv)
{
	struct run run = {.arguments.engine.stop_fds = {-1, -1},
			  .control.fd = -1,
			  .signal_fd = -1,
			  .tick_fd = -1,
			  .end_fd = -1};
	bool ended = false;
	sigset_t signals;
	int status = run_parse(argc, argv, &run.arguments, &ended);

	if (status || ended)
		return status;
	status = command_config(&run.config, run.arguments.config_path);
	if (status)
		return status;
	if (!run.arguments.json && !run.arguments.engine.read_path && isatty(STDOUT_FILENO))
		run.arguments.live = true;
	/* before any thread, so that all of them leave signals to this loop */
	run_signals(&signals);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	run.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	run.end_fd = run_timer(run.arguments.seconds, 0);
	run.tick_fd = run_timer(1, 1);
	if (run.signal_fd < 0 || run.end_fd < 0 || run.tick_fd < 0) {
		fprintf(stderr, "xfq run: signals and timers: %s\n", strerror(errno));
		status = COMMAND_FAILED;
	} else {
		run.arguments.engine.stop_fds[0] = run.signal_fd;
		run.arguments.engine.stop_fds[1] = run.end_fd;
		status = run_loop(&run);
	}
	control_close(&run.control);
	engine_destroy(&run.engine);
	config_destroy(&run.config);
	json_decref(run.before);
	if (run.signal_fd >= 0)
		close(run.signal_fd);
	if (run.end_fd >= 0)
		close(run.end_fd);
	if (run.tick_fd >= 0)
		close(run.tick_fd);
	return status;
}
