/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/commands.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} main_commands[] = {
	{"run", command_run, "steer packets, in the foreground; or a capture file with --read"},
	{"check", command_check, "parse and compile a config, and print the plan"},
	{"join", command_join,
	 "take the packets of a running instance's group: count, or write pcapng"},
	{"reload", command_reload, "have a running instance read its config again"},
	{"status", command_status, "show the counters of a running instance"},
	{"shunt", command_shunt, "drop or pass single flows instead of steering them"},
	{"filter", command_filter,
	 "show the rules of a running instance; or which rule decides about each packet of a file"},
	{"set", command_set, "show and change the named sets of a running instance"},
	{"table", command_table, "show and change the rule tables of a running instance"},
};

#define MAIN_COMMANDS (sizeof(main_commands) / sizeof(main_commands[0]))

static void main_usage(FILE *out)
{
	fputs("Usage: xfq COMMAND [ARGUMENTS]\n"
	      "Steer packets from NIC queues to the applications that want them.\n\n",
	      out);
	for (size_t i = 0; i < MAIN_COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", main_commands[i].name, main_commands[i].help);
	fputs("\nxfq COMMAND --help tells more; xfq --version names the version.\n"
	      "Exit status: 0 done, 1 failed, 2 usage.\n",
	      out);
}

/* Output that could not be written is a failure, whatever the command was. */
static int main_finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	if (status == COMMAND_DONE)
		fputs("xfq: writing the output failed\n", stderr);
	return status == COMMAND_DONE ? COMMAND_FAILED : status;
}

/* Where a standard stream is closed, take its number: a socket or file that got it would be written
 * to. Using it stays an error, as these are open the wrong way. */
static void main_guard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	main_guard_streams();
	if (argc < 2) {
		main_usage(stderr);
		return COMMAND_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		main_usage(stdout);
		return main_finish(COMMAND_DONE);
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("xfq " XFQ_VERSION);
		return main_finish(COMMAND_DONE);
	}
	for (size_t i = 0; i < MAIN_COMMANDS; i++)
		if (strcmp(argv[1], main_commands[i].name) == 0)
			return main_finish(main_commands[i].run(argc - 1, argv + 1));
	fprintf(stderr, "xfq: \"%s\" is no command\n", argv[1]);
	main_usage(stderr);
	return COMMAND_USAGE;
}
