/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/commands.h"
#include "apps/instance/instance.h"
#include "apps/instance/lockout.h"
#include "apps/instance/notices.h"
#include "apps/stats_table.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char run_help[] =
	"Usage: xfq run CONFIG [--read FILE [--xdp]] [--write DIR] [--for SECONDS] [--json] "
	"[--live]\n"
	"               [--no-reload] [--force]\n"
	"Steer packets as CONFIG says, in the foreground, until Ctrl-C; then print a summary.\n\n"
	"  --read FILE    take packets from a capture file (pcap, pcapng, - for standard input)\n"
	"                 instead of the interfaces; needs no root; ends with the file\n"
	"  --xdp          with --read: the first pass really runs in the kernel, by test runs of "
	"the\n"
	"                 very program that would be on an interface; needs root\n"
	"  --write DIR    every member writes what it gets to DIR/GROUP.MEMBER.pcapng\n"
	"  --for SECONDS  end after that time\n"
	"  --json         the summary as one JSON object on standard output\n"
	"  --live         show a table while running: redrawn each second on a terminal, else\n"
	"                 printed every 5 s (on a terminal it is shown anyway)\n"
	"  --no-reload    once it runs, give up every privilege: the config cannot be reloaded "
	"then,\n"
	"                 nor can sets be changed for which the kernel makes new maps\n"
	"  --force        even if that cuts the SSH session that this is started from\n\n"
	"SIGHUP, and xfq reload, have it read CONFIG again; not with --read.\n\n"
	"Exit status: 0 done, 1 failed, 2 usage.\n";

#define RUN_TABLE_SECONDS 5 /* between tables where there is no terminal */
#define RUN_NOTES         8
#define RUN_NOTE_BYTES    (XFQ_ERROR_TEXT_BYTES + 64)

struct run_arguments {
	const char *config_path;
	struct engine_options engine;
	double seconds; /* 0: until it is told to end */
	bool json, live, no_reload, force;
};

struct run {
	struct run_arguments arguments;
	struct config config; /* until the instance takes it over */
	struct instance instance;
	int signal_fd, tick_fd, end_fd;
	json_t *before;                        /* last live snapshot, for the rates */
	char session[LOCKOUT_TEXT_BYTES];      /* SSH, that must not be cut; "": none */
	char notes[RUN_NOTES][RUN_NOTE_BYTES]; /* a ring */
	uint32_t note_cnt;
	uint64_t ticks;
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

/* What the instance has to tell. */
static void run_listen(void *context, const char *text)
{
	run_say(context, "%s", text);
}

static void run_draw(struct run *run)
{
	FILE *out = run_table_out(run);
	bool terminal = isatty(fileno(out));
	double seconds = terminal ? 1 : RUN_TABLE_SECONDS;
	json_t *now;

	if (!terminal && run->ticks % RUN_TABLE_SECONDS != 0)
		return;
	now = instance_status(&run->instance);
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

/* Whether a signal asks for another look at the config. The kernel sends SIGHUP where the terminal
 * is gone: that ends. */
static bool run_is_reload(const struct run *run, const struct signalfd_siginfo *signal_info)
{
	return signal_info->ssi_signo == SIGHUP && signal_info->ssi_code != SI_KERNEL &&
	       !run->arguments.engine.read_path;
}

static void run_reload(struct run *run)
{
	struct config_errors errors = {0};

	if (instance_reload_file(&run->instance, NULL, run->session[0] ? run->session : NULL,
				 &errors)) {
		for (size_t i = 0; i < errors.cnt; i++)
			run_say(run, "%s", errors.lines[i].text);
		run_say(run, "not reloaded: everything stays as it was");
	}
	config_errors_destroy(&errors);
}

/* One round of the control loop. Returns whether to go on. */
static bool run_round(struct run *run)
{
	struct pollfd fds[INSTANCE_POLL_MAX + 3];
	struct signalfd_siginfo signal_info;
	struct xfq_error error;
	uint64_t fired;
	nfds_t cnt = 0;

	fds[cnt++] = (struct pollfd){.fd = run->signal_fd, .events = POLLIN};
	fds[cnt++] = (struct pollfd){.fd = run->end_fd, .events = POLLIN};
	fds[cnt++] = (struct pollfd){.fd = run->tick_fd, .events = POLLIN};
	cnt += instance_poll(&run->instance, fds + cnt);
	if (poll(fds, cnt, -1) < 0)
		return errno == EINTR;
	if (fds[0].revents) {
		if (read(run->signal_fd, &signal_info, sizeof(signal_info)) < 0 ||
		    !run_is_reload(run, &signal_info))
			return false;
		run_reload(run);
	}
	if (fds[1].revents)
		return false;
	if (fds[2].revents && read(run->tick_fd, &fired, sizeof(fired)) == sizeof(fired)) {
		run->ticks += fired;
		if (engine_flush(&run->instance.engine, &error))
			run_say(run, "%s", error.text);
		if (run->arguments.live)
			run_draw(run);
	}
	return instance_serve(&run->instance) == INSTANCE_RUNS;
}

/* What was got, in a line. */
static void run_announce(struct run *run)
{
	struct stats stats;

	if (engine_stats(&run->instance.engine, &stats))
		return;
	for (uint32_t i = 0; i < stats.interface_cnt; i++) {
		const struct stats_interface *to = &stats.interfaces[i];
		const struct interface *from = &run->instance.engine.interfaces[i];

		run_say(run, "%s: %s (%s), %s%s%s, %u queue%s, frames in %s", stats.name, to->name,
			to->driver, run->instance.engine.packet[i] ? "" : "XDP ", to->mode,
			run->instance.engine.packet[i] ? ""
			: to->zero_copy                ? ", AF_XDP zero-copy"
						       : ", AF_XDP copy mode",
			to->queues, to->queues == 1 ? "" : "s",
			stats.huge_pages ? "huge pages" : "ordinary pages");
		if (run->instance.engine.modes[i] == ATTACH_MODE_GENERIC && from->merging)
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
	if (stats.group_cnt == 0 && run->instance.config->filter.default_action == FILTER_STEER)
		run_say(run, "no groups: what is steered is taken from the stack and goes nowhere");
	notices_of_engine(&run->instance.engine, run_listen, run);
	stats_destroy(&stats);
}

/* Whether this would cut the session that it is started from, which nobody insisted on. */
static bool run_would_lock_out(struct run *run, struct xfq_error *error)
{
	if (run->arguments.force || run->arguments.engine.read_path || !lockout_find(run->session))
		return false;
	return lockout_check(&run->config, run->session, error) == -EPERM;
}

static int run_set_up(struct run *run, struct xfq_error *error)
{
	const struct instance_options options = {
		.engine = run->arguments.engine,
		.socket = !run->arguments.engine.read_path,
		.drop_privileges = true,
		.no_reload = run->arguments.no_reload,
		.say = run_listen,
		.context = run,
	};
	int code;

	if (!run->arguments.engine.read_path)
		notices_probe(&run->config);
	code = instance_create(&run->instance, &run->config, &options, error);

	return code ? code : instance_start(&run->instance, error);
}

/* The summary. Returns whether it could be made and written. */
static bool run_finish(struct run *run)
{
	json_t *object = instance_status(&run->instance);
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

	if (run_would_lock_out(run, &error) || run_set_up(run, &error)) {
		fprintf(stderr, "xfq run: %s\n", error.text);
		return COMMAND_FAILED;
	}
	run_announce(run);
	while (run_round(run))
		;
	if (instance_stop(&run->instance, &error)) {
		run_say(run, "%s", error.text);
		status = COMMAND_FAILED;
	} else if (run_ended_early(&run->instance.engine)) {
		run_say(run, "%s: not read to its end", run->arguments.engine.read_path);
	}
	if (!run_finish(run) || run->instance.failed)
		status = COMMAND_FAILED;
	return status;
}

/* Read the arguments. COMMAND_DONE to go on; *ended where only help was asked for. */
static int run_parse(int argc, char **argv, struct run_arguments *arguments, bool *ended)
{
	static const struct option options[] = {
		{"read", required_argument, NULL, 'r'}, {"write", required_argument, NULL, 'w'},
		{"xdp", no_argument, NULL, 'x'},        {"for", required_argument, NULL, 'f'},
		{"json", no_argument, NULL, 'j'},       {"live", no_argument, NULL, 'l'},
		{"no-reload", no_argument, NULL, 'n'},  {"force", no_argument, NULL, 'F'},
		{"help", no_argument, NULL, 'h'},       {0}};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			arguments->engine.read_path = optarg;
			break;
		case 'x':
			arguments->engine.read_xdp = true;
			break;
		case 'w':
			arguments->engine.write_dir = optarg;
			break;
		case 'f':
			if (!command_seconds("run", optarg, &arguments->seconds))
				return COMMAND_USAGE;
			break;
		case 'j':
			arguments->json = true;
			break;
		case 'l':
			arguments->live = true;
			break;
		case 'F':
			arguments->force = true;
			break;
		case 'n':
			arguments->no_reload = true;
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
	if (arguments->engine.read_xdp && !arguments->engine.read_path) {
		fputs("xfq run: --xdp belongs to --read FILE: on an interface XDP is used anyway\n",
		      stderr);
		return COMMAND_USAGE;
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

int command_run(int argc, char **argv)
{
	struct run run = {.arguments.engine.stop_fds = {-1, -1},
			  .signal_fd = -1,
			  .tick_fd = -1,
			  .end_fd = -1};
	bool ended = false;
	int status = run_parse(argc, argv, &run.arguments, &ended);

	if (status || ended)
		return status;
	status = command_config(&run.config, run.arguments.config_path);
	if (status)
		return status;
	if (!run.arguments.json && !run.arguments.engine.read_path && isatty(STDOUT_FILENO))
		run.arguments.live = true;
	/* before any thread, so that all of them leave signals to this loop */
	run.signal_fd = command_signals();
	run.end_fd = command_timer(run.arguments.seconds, 0);
	run.tick_fd = command_timer(1, 1);
	if (run.signal_fd < 0 || run.end_fd < 0 || run.tick_fd < 0) {
		fprintf(stderr, "xfq run: signals and timers: %s\n", strerror(errno));
		status = COMMAND_FAILED;
	} else {
		run.arguments.engine.stop_fds[0] = run.signal_fd;
		run.arguments.engine.stop_fds[1] = run.end_fd;
		run.arguments.engine.join = !run.arguments.engine.read_path;
		status = run_loop(&run);
	}
	instance_destroy(&run.instance);
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
