/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/ask.h"
#include "apps/libxfq/client.h"
#include <errno.h>
#include <stdlib.h>
#include <xfq/xfq.h>

/* The object of a text, which is freed. */
static int ask_parse(char *text, json_t **answer, struct xfq_error *error)
{
	json_error_t why;

	*answer = json_loads(text, 0, &why);
	free(text);
	if (json_is_object(*answer))
		return 0;
	json_decref(*answer);
	*answer = NULL;
	return xfq_error_set(error, -EPROTO, "what the instance answers is no JSON object");
}

int ask_instance(const char *name, const json_t *request, const char *data, size_t len,
		 json_t **answer, struct xfq_error *error)
{
	char *json = json_dumps(request, JSON_COMPACT), *text = NULL;
	struct client_command command = {.json = json, .data = data, .data_len = len};
	struct xfq *xfq = NULL;
	int code;

	*answer = NULL;
	if (!json)
		return xfq_error_set(error, -ENOMEM, "no memory for a command");
	code = xfq_open(&xfq, name, error);
	if (code == 0)
		code = client_command(xfq, &command, &text, error);
	if (code == 0)
		code = ask_parse(text, answer, error);
	xfq_close(xfq);
	free(json);
	return code;
}

int ask_status(const char *name, json_t **status, struct xfq_error *error)
{
	struct xfq *xfq = NULL;
	char *text;
	int code = xfq_open(&xfq, name, error);

	*status = NULL;
	if (code == 0)
		code = xfq_status(xfq, &text, error);
	if (code == 0)
		code = ask_parse(text, status, error);
	xfq_close(xfq);
	return code;
}
