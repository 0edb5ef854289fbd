/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * {"command": "reload"}, or {"command": "reload", "path": "/etc/xfq.yaml"}; "session", an SSH
 * session that must not be cut (lockout.h), may be added. The answer is
 * {"reloaded": true}, or {"reloaded": false, "errors": ["FILE:LINE: text", ...]}.
 */
#include "apps/instance/command_reload.h"
#include "apps/instance/instance.h"
#include <errno.h>

json_t *command_reload_run(struct instance *instance, const json_t *request,
			   struct xfq_error *error)
{
	const json_t *path = json_object_get(request, "path");
	const json_t *session = json_object_get(request, "session");
	struct config_errors errors = {0};
	json_t *answer, *lines;
	int code;

	if ((path && !json_is_string(path)) || (session && !json_is_string(session))) {
		xfq_error_set(error, -EINVAL, "reload: \"path\" and \"session\" are strings");
		return NULL;
	}
	code = instance_reload_file(instance, json_string_value(path), json_string_value(session),
				    &errors);
	lines = json_array();
	for (size_t i = 0; i < errors.cnt; i++)
		json_array_append_new(lines, json_string(errors.lines[i].text));
	config_errors_destroy(&errors);
	answer = json_pack("{s:b, s:o}", "reloaded", code == 0, "errors", lines);
	if (!answer)
		xfq_error_set(error, -ENOMEM, "no memory for an answer");
	return answer;
}
