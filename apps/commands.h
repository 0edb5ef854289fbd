/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The subcommands of xfq, one file each. Each takes its own argc and argv, argv[0] being its name,
 * and returns the exit status: 0 done, 1 failed, 2 usage.
 */
#ifndef APPS_COMMANDS_H
#define APPS_COMMANDS_H

#define COMMAND_DONE   0
#define COMMAND_FAILED 1
#define COMMAND_USAGE  2

int command_run(int argc, char **argv);
int command_check(int argc, char **argv);
int command_status(int argc, char **argv);

struct config;

/* Read a config for a subcommand: on errors they are all printed to stderr. COMMAND_DONE, and the
 * caller owns what config_destroy() frees, or COMMAND_FAILED. */
int command_config(struct config *config, const char *path);

#endif
