/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/command.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct command {
	const struct command_entry *entry;
	json_t *request; /* owned */
	void *state;     /* of one with data */
};

bool command_trusts(const struct access_asker *asker)
{
	return !asker || asker->uid == 0 || asker->uid == geteuid();
}

const char *command_text(const json_t *request, const char *key, struct xfq_error *error)
{
	const char *text = json_string_value(json_object_get(request, key));

	if (!text)
		xfq_error_set(error, -EINVAL, "the command wants \"%s\", a string", key);
	return text;
}

static const struct command_entry *command_find(const json_t *request, struct xfq_error *error)
{
	const char *name = command_text(request, "command", error);

	if (!name)
		return NULL;
	for (const struct command_entry *entry = commands_table; entry->name; entry++)
		if (strcmp(entry->name, name) == 0)
			return entry;
	xfq_error_set(error, -ENOTSUP, "this instance knows no command \"%.64s\"", name);
	return NULL;
}

static json_t *command_parse(const char *json, size_t len, struct xfq_error *error)
{
	json_error_t why;
	json_t *request = json_loadb(json, len, JSON_REJECT_DUPLICATES, &why);

	if (json_is_object(request))
		return request;
	xfq_error_set(error, -EINVAL, "the command is no JSON object%s%s", request ? "" : ": ",
		      request ? "" : why.text);
	json_decref(request);
	return NULL;
}

int command_begin(struct instance *instance, const struct access_asker *asker, const char *json,
		  size_t len, uint64_t data_len, struct command **command, struct xfq_error *error)
{
	struct xfq_error why = {.code = -EINVAL};
	json_t *request = command_parse(json, len, &why);
	const struct command_entry *entry = request ? command_find(request, &why) : NULL;
	struct command *self = NULL;

	if (!entry)
		goto failed;
	if (!command_trusts(asker) &&
	    (!entry->allows || !entry->allows(instance, asker, request))) {
		xfq_error_set(&why, -EACCES,
			      "only the user that the instance runs as, and root, may do that");
		goto failed;
	}
	if (data_len > 0 && !entry->begin) {
		xfq_error_set(&why, -EINVAL, "the command %s takes no data", entry->name);
		goto failed;
	}
	self = calloc(1, sizeof(*self));
	if (!self) {
		xfq_error_set(&why, -ENOMEM, "no memory for a command");
		goto failed;
	}
	self->entry = entry;
	self->request = request;
	if (entry->begin && entry->begin(instance, request, data_len, &self->state, &why))
		goto failed;
	*command = self;
	return 0;
failed:
	free(self);
	json_decref(request);
	return xfq_error_set(error, why.code, "%s", why.text);
}

int command_data(struct command *command, const char *bytes, size_t len, struct xfq_error *error)
{
	return command->entry->data(command->state, bytes, len, error);
}

void command_abort(struct command *command)
{
	if (!command)
		return;
	if (command->entry->free && command->state)
		command->entry->free(command->state);
	json_decref(command->request);
	free(command);
}

char *command_end(struct instance *instance, struct command *command, struct xfq_error *error)
{
	const struct command_entry *entry = command->entry;
	json_t *answer = entry->begin ? entry->end(instance, command->state, error)
				      : entry->run(instance, command->request, error);
	char *text = NULL;

	if (answer) {
		json_object_set_new(answer, "ok", json_true());
		text = json_dumps(answer, JSON_COMPACT);
		json_decref(answer);
		if (!text)
			xfq_error_set(error, -ENOMEM, "no memory for an answer");
	}
	command_abort(command);
	return text;
}
