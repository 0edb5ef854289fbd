/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/commands.h"
#include "apps/stats_table.h"
#include <stdio.h>
#include <stdlib.h>
#include <xfq/xfq.h>

static const char status_help[] =
	"Usage: xfq status [NAME] [--json]\n"
	"Show the counters of a running instance, once. For its user, and root.\n\n"
	"  NAME      of the instance: its config's name:, or its first interface; or the path of\n"
	"            its socket; may be left out where one runs\n"
	"  --json    as the JSON object that docs/json.md describes\n\n"
	"XFQ_RUN_DIR names the folder of control sockets, if it is not /run/xfq.\n"
	"Exit status: 0 done, 1 failed, 2 usage.\n";

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
	struct command_words words;
	struct xfq_error error;
	struct xfq *xfq = NULL;
	char *answer = NULL;
	int status = command_words(argc, argv, status_help, &words);

	if (status || words.ended)
		return status;
	if (xfq_open(&xfq, words.word, &error) || xfq_status(xfq, &answer, &error)) {
		fprintf(stderr, "xfq status: %s\n", error.text);
		status = COMMAND_FAILED;
	} else {
		status = status_show(answer, words.json);
	}
	free(answer);
	xfq_close(xfq);
	return status;
}
