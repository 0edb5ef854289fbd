/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/ask.h"
#include "apps/commands.h"
#include "apps/instance/lockout.h"
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static const char reload_help[] =
	"Usage: xfq reload [--instance NAME] [--force] [CONFIG]\n"
	"Have a running instance read its config again: rules, sets and groups change without a\n"
	"packet lost. An error in the new config changes nothing, and is told. For the user of "
	"the\n"
	"instance, and root. SIGHUP to the instance does the same.\n\n"
	"  --instance NAME  of the instance; may be left out where one runs\n"
	"  --force          even if that cuts the SSH session that this is asked from\n"
	"  CONFIG           another file than that which the instance was started with, from now "
	"on\n\n"
	"Name, interfaces and workers take a restart to change.\n\n"
	"Exit status: 0 reloaded, 1 failed and nothing has changed, 2 usage.\n";

/* Print what is wrong. Whether it was reloaded. */
static bool reload_show(const json_t *answer)
{
	const json_t *errors = json_object_get(answer, "errors");

	for (size_t i = 0; i < json_array_size(errors); i++) {
		const char *line = json_string_value(json_array_get(errors, i));

		fprintf(stderr, "%s\n", line ? line : "");
	}
	return json_is_true(json_object_get(answer, "reloaded"));
}

static int reload_ask(const char *instance, const char *path, bool force)
{
	json_t *request = json_pack("{s:s}", "command", "reload"), *answer = NULL;
	char session[LOCKOUT_TEXT_BYTES];
	struct xfq_error error;
	int status = COMMAND_FAILED;

	if (request && path)
		json_object_set_new(request, "path", json_string(path));
	if (request && !force && lockout_find(session))
		json_object_set_new(request, "session", json_string(session));
	if (!request)
		fputs("xfq reload: no memory for a command\n", stderr);
	else if (ask_instance(instance, request, NULL, 0, &answer, &error))
		fprintf(stderr, "xfq reload: %s\n", error.text);
	else if (reload_show(answer))
		status = COMMAND_DONE;
	json_decref(request);
	json_decref(answer);
	return status;
}

int command_reload(int argc, char **argv)
{
	static const struct option options[] = {{"instance", required_argument, NULL, 'i'},
						{"force", no_argument, NULL, 'f'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	const char *instance = NULL;
	char *path = NULL;
	bool force = false;
	int option, status;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(reload_help, stdout);
			return COMMAND_DONE;
		}
		if (option == 'f') {
			force = true;
		} else if (option == 'i') {
			instance = optarg;
		} else {
			fputs(reload_help, stderr);
			return COMMAND_USAGE;
		}
	}
	if (argc - optind > 1) {
		fprintf(stderr, "xfq reload: \"%s\" is one word too many\n", argv[optind + 1]);
		fputs(reload_help, stderr);
		return COMMAND_USAGE;
	}
	if (argv[optind]) {
		/* the instance may run in another folder */
		path = realpath(argv[optind], NULL);
		if (!path) {
			fprintf(stderr, "xfq reload: %s: %m\n", argv[optind]);
			return COMMAND_FAILED;
		}
	}
	status = reload_ask(instance, path, force);
	free(path);
	return status;
}
