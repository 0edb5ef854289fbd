/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/commands.h"
#include "apps/control.h"
#include "apps/stats_table.h"
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define STATUS_NAMES_MAX 64

static const char status_help[] =
	"Usage: xfq status [NAME] [--json]\n"
	"Show the counters of a running instance, once.\n\n"
	"  NAME      of the instance: its config's name:, or its first interface; may be left\n"
	"            out where one runs\n"
	"  --json    as the JSON object that docs/json.md describes\n\n"
	"XFQ_RUN_DIR names the folder of control sockets, if it is not /run/xfq.\n";

/* The only instance there is; NULL, with a message, where there is none or there are several. */
static const char *status_only(char names[][NAME_MAX + 1])
{
	size_t cnt = control_names(names, STATUS_NAMES_MAX);

	if (cnt == 1)
		return names[0];
	if (cnt == 0) {
		fprintf(stderr, "xfq status: no instance is running (no socket in %s)\n",
			control_dir());
		return NULL;
	}
	fprintf(stderr, "xfq status: several instances, name one:");
	for (size_t i = 0; i < cnt && i < STATUS_NAMES_MAX; i++)
		fprintf(stderr, " %s", names[i]);
	fputc('\n', stderr);
	return NULL;
}

static int status_show(const char *answer, bool as_json)
{
	json_error_t why;
	json_t *object = json_loads(answer, 0, &why);

	if (!object) {
		fprintf(stderr, "xfq status: the answer is no JSON: %s\n", why.text);
		return COMMAND_FAILED;
	}
	if (as_json) {
		json_dumpf(object, stdout, JSON_INDENT(1));
		putchar('\n');
	} else {
		stats_table(stdout, object, NULL, 0, true);
	}
	json_decref(object);
	return COMMAND_DONE;
}

int command_status(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	static char names[STATUS_NAMES_MAX][NAME_MAX + 1];
	struct xfq_error error;
	const char *name;
	char *answer = NULL;
	bool as_json = false;
	int option, status;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			as_json = true;
			break;
		case 'h':
			fputs(status_help, stdout);
			return COMMAND_DONE;
		default:
			fputs(status_help, stderr);
			return COMMAND_USAGE;
		}
	}
	if (argc - optind > 1) {
		fputs(status_help, stderr);
		return COMMAND_USAGE;
	}
	name = optind < argc ? argv[optind] : status_only(names);
	if (!name)
		return COMMAND_FAILED;
	if (control_ask(name, "status", &answer, &error)) {
		fprintf(stderr, "xfq status: %s\n", error.text);
		return COMMAND_FAILED;
	}
	status = status_show(answer, as_json);
	free(answer);
	return status;
}
