/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/commands.h"
#include "apps/instance/config_yaml.h"
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define COMMAND_SECONDS_MIN 0.001
#define COMMAND_SECONDS_MAX (10.0 * 365 * 86400)

int command_config(struct config *config, const char *path)
{
	struct config_errors errors = {0};
	int code = config_read(config, path, &errors);

	for (size_t i = 0; i < errors.cnt; i++)
		fprintf(stderr, "%s\n", errors.lines[i].text);
	config_errors_destroy(&errors);
	return code ? COMMAND_FAILED : COMMAND_DONE;
}

int command_words(int argc, char **argv, const char *help, struct command_words *words)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	int option;

	memset(words, 0, sizeof(*words));
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			words->ended = true;
			return COMMAND_DONE;
		}
		if (option != 'j') {
			fputs(help, stderr);
			return COMMAND_USAGE;
		}
		words->json = true;
	}
	if (argc - optind > 1) {
		fprintf(stderr, "xfq %s: \"%s\" is one word too many\n", argv[0], argv[optind + 1]);
		fputs(help, stderr);
		return COMMAND_USAGE;
	}
	words->word = argv[optind];
	return COMMAND_DONE;
}

bool command_seconds(const char *command, const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	if (!*end && end != text && *seconds >= COMMAND_SECONDS_MIN &&
	    *seconds <= COMMAND_SECONDS_MAX)
		return true;
	fprintf(stderr, "xfq %s: --for %s: not a number of seconds from %g to %.0f\n", command,
		text, COMMAND_SECONDS_MIN, COMMAND_SECONDS_MAX);
	return false;
}

int command_signals(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action;
	sigset_t signals;

	/* what is ignored, as SIGHUP is under nohup, stays so: blocking would bring it back */
	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends[i] == SIGTERM || sigaction(ends[i], NULL, &action) ||
		    action.sa_handler != SIG_IGN)
			sigaddset(&signals, ends[i]);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

int command_timer(double first, double every)
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
