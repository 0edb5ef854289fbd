/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/commands.h"
#include "apps/instance/control.h"
#include "apps/stats_table.h"
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
		json_dumpf(object, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
		putchar('\n');
	} else {
		stats_table(stdout, object, NULL, 0, true);
	}
	json_decref(object);
	return COMMAND_DONE;
}

int command_status(int argc, char **argv)
{
	static char names[STATUS_NAMES_MAX][NAME_MAX + 1];
	struct command_words words;
	struct xfq_error error;
	const char *name;
	char *answer = NULL;
	int status = command_words(argc, argv, status_help, &words);

	if (status || words.ended)
		return status;
	name = words.word ? words.word : status_only(names);
	if (!name)
		return COMMAND_FAILED;
	if (control_ask(name, "status", &answer, &error)) {
		fprintf(stderr, "xfq status: %s\n", error.text);
		return COMMAND_FAILED;
	}
	status = status_show(answer, words.json);
	free(answer);
	return status;
}
