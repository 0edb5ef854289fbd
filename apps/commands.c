/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/commands.h"
#include "apps/instance/config_yaml.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

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
