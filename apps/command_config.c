/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/commands.h"
#include "apps/config_yaml.h"
#include <stdio.h>

int command_config(struct config *config, const char *path)
{
	struct config_errors errors = {0};
	int code = config_read(config, path, &errors);

	for (size_t i = 0; i < errors.cnt; i++)
		fprintf(stderr, "%s\n", errors.lines[i].text);
	config_errors_destroy(&errors);
	return code ? COMMAND_FAILED : COMMAND_DONE;
}
