/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The subcommands of xfq, one file each. Each takes its own argc and argv, argv[0] being its name,
 * and returns the exit status: 0 done, 1 failed, 2 usage.
 */
#ifndef APPS_COMMANDS_H
#define APPS_COMMANDS_H

#include <stdbool.h>

#define COMMAND_DONE   0
#define COMMAND_FAILED 1
#define COMMAND_USAGE  2

int command_run(int argc, char **argv);
int command_check(int argc, char **argv);
int command_shunt(int argc, char **argv);
int command_status(int argc, char **argv);
int command_reload(int argc, char **argv);
int command_join(int argc, char **argv);
int command_filter(int argc, char **argv);
int command_set(int argc, char **argv);
int command_table(int argc, char **argv);

/* What a subcommand got that takes at most one word and knows --json and --help. */
struct command_words {
	const char *word; /* NULL: none */
	bool json;
	bool ended; /* help was asked for, and printed */
};

/* Read such arguments. COMMAND_DONE, or COMMAND_USAGE once the help was printed to stderr. */
int command_words(int argc, char **argv, const char *help, struct command_words *words);

/* Read what --for is given: seconds, or false once it was told on standard error that it is no such
 * number. */
bool command_seconds(const char *command, const char *text, double *seconds);

/* Block the signals that end a command, in this thread and those it makes, and ignore SIGPIPE.
 * Returns a descriptor that is readable once one of them has come, or -1 with errno. */
int command_signals(void);

/* A descriptor that is readable after, and then every, so many seconds; never, for 0. -1: errno. */
int command_timer(double first, double every);

struct config;

/* Read a config for a subcommand: on errors they are all printed to stderr. COMMAND_DONE, and the
 * caller owns what config_destroy() frees, or COMMAND_FAILED. */
int command_config(struct config *config, const char *path);

#endif
