/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/instance.h"
#include "apps/instance/command.h"
#include "apps/instance/privileges.h"
#include "apps/instance/stats_json.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void instance_say(struct instance *instance, const char *format, ...)
{
	char text[XFQ_ERROR_TEXT_BYTES];
	va_list args;

	if (!instance->options.say)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	instance->options.say(instance->options.context, text);
}

/* --- what the control socket asks ------------------------------------------------------------ */

static char *instance_answer_status(void *context, const struct access_asker *asker,
				    struct xfq_error *error)
{
	json_t *object;
	char *text;

	if (asker && asker->uid != 0 && asker->uid != geteuid()) {
		xfq_error_set(error, -EACCES,
			      "only the user that the instance runs as, and root, may ask for its "
			      "counters");
		return NULL;
	}
	object = instance_status(context);
	text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (!text)
		xfq_error_set(error, -ENOMEM, "no memory for an answer");
	return text;
}

static bool instance_allows(const struct config_group *group, const struct access_asker *asker)
{
	return !asker || access_allows(&group->access, geteuid(), asker);
}

/* Names of all classes, commas between; those that do not fit are left out. */
static void instance_classes(const struct group_spec *spec, const char *between, char *to,
			     size_t room)
{
	size_t used = 0, gap = strlen(between);

	to[0] = '\0';
	for (uint32_t c = 0; c < spec->class_cnt; c++) {
		const char *name = spec->classes[c];

		if (used + gap + strlen(name) + 1 > room)
			return;
		used += (size_t)snprintf(to + used, room - used, "%s%s", used ? between : "", name);
	}
}

static uint32_t instance_answer_groups(void *context, const struct access_asker *asker,
				       struct protocol_group *groups)
{
	struct instance *instance = context;

	for (uint32_t g = 0; g < instance->config->group_cnt; g++) {
		const struct config_group *from = &instance->config->groups[g];
		const struct engine_group *state =
			&instance->engine.groups[instance->engine.places[g]];
		struct protocol_group *to = &groups[g];

		snprintf(to->name, sizeof(to->name), "%s", from->name);
		snprintf(to->steer, sizeof(to->steer), "%s", method_name(from->spec.steer.method));
		to->members = state->member_cnt;
		to->members_max = from->members_max;
		to->ring_slots = from->ring_slots;
		to->joined = state->joined_cnt;
		to->allowed = from->members_max > 0 && instance_allows(from, asker);
		instance_classes(&from->spec, ",", to->classes, sizeof(to->classes));
	}
	return instance->config->group_cnt;
}

/* Names of all interfaces, commas between; those that do not fit are left out. */
static void instance_interfaces(const struct instance *instance, char *to, size_t room)
{
	size_t used = 0;

	to[0] = '\0';
	for (uint32_t i = 0; i < instance->config->interface_cnt; i++) {
		const char *name = instance->config->interfaces[i].name;

		if (used + strlen(name) + 2 > room)
			return;
		used += (size_t)snprintf(to + used, room - used, "%s%s", used ? "," : "", name);
	}
}

static void instance_describe(const struct instance *instance, uint32_t slot,
			      struct protocol_joined *joined, int *fds, uint32_t *fd_cnt)
{
	const struct engine *engine = &instance->engine;
	const struct member *member = &engine->members[slot];
	uint32_t cnt = 0;

	snprintf(joined->instance, sizeof(joined->instance), "%s", instance->config->name);
	snprintf(joined->group, sizeof(joined->group), "%s",
		 instance->engine.groups[member->group].config->name);
	instance_interfaces(instance, joined->interfaces, sizeof(joined->interfaces));
	joined->id = member->id;
	joined->worker_cnt = engine->worker_cnt;
	joined->ring_slots = member->ring_slots;
	joined->ring_stride = member_ring_stride(member->ring_slots);
	joined->cons_stride = member_cons_stride();
	fds[cnt++] = member->rings.fd;
	fds[cnt++] = member->cons.fd;
	for (uint32_t w = 0; w < engine->worker_cnt; w++)
		fds[cnt++] = engine->workers[w].umem.shm.fd;
	*fd_cnt = cnt;
}

/* "web: member 3 (count, pid 812, user 1000)", for those who read what is said. */
static void instance_name_member(const struct instance *instance, uint32_t slot, char *to,
				 size_t room)
{
	const struct member *member = &instance->engine.members[slot];
	const char *group = instance->engine.groups[member->group].config->name;

	if (member->pid)
		snprintf(to, room, "%s: member %u (%s, pid %d, user %u)", group, member->id,
			 member->process, member->pid, member->uid);
	else
		snprintf(to, room, "%s: member %u (%s)", group, member->id, member->process);
}

/* The classes that a member is to be of, as bits. 0, or -ESRCH with a sentence. */
static int instance_find_classes(const struct config_group *group, const char *names,
				 uint32_t *classes, struct xfq_error *error)
{
	const struct group_spec *spec = &group->spec;
	char name[GROUP_NAME_BYTES], all[160];

	*classes = 0;
	while (*names) {
		size_t len = strcspn(names, ",");
		uint32_t class = GROUP_NONE;

		snprintf(name, sizeof(name), "%.*s", (int)len, names);
		if (len < sizeof(name))
			class = group_spec_find_class(spec, name);
		if (class == GROUP_NONE) {
			instance_classes(spec, ", ", all, sizeof(all));
			return xfq_error_set(error, -ESRCH,
					     "group %s: there is no class \"%s\"; %s%s",
					     group->name, name,
					     spec->class_cnt ? "there is " : "it has none", all);
		}
		*classes |= 1u << class;
		names += len + (names[len] == ',');
	}
	return 0;
}

static int instance_answer_join(void *context, const struct access_asker *asker,
				const struct protocol_request *request, int fd,
				struct protocol_joined *joined, int *fds, uint32_t *fd_cnt,
				uint32_t *slot, struct xfq_error *error)
{
	struct instance *instance = context;
	struct engine_join join = {
		.group = engine_find_group(&instance->engine, request->group),
		.ring_slots = request->ring_slots,
		.weight = request->weight ? request->weight : 1,
		.wake_fd = fd,
		.pid = asker ? asker->pid : getpid(),
		.uid = asker ? asker->uid : geteuid(),
		.process = request->process,
		.lent = true,
	};
	int code;

	if (join.group == ENGINE_NO_GROUP)
		return xfq_error_set(error, -ESRCH, "instance %s has no group %s",
				     instance->config->name, request->group);
	if (!instance_allows(instance->engine.groups[join.group].config, asker))
		return xfq_error_set(error, -EACCES,
				     "group %s: user %u may not join; its access: in the config "
				     "says who may",
				     request->group, join.uid);
	code = instance_find_classes(instance->engine.groups[join.group].config, request->classes,
				     &join.classes, error);
	if (code == 0)
		code = engine_join(&instance->engine, &join, slot, error);
	if (code)
		return code;
	instance_describe(instance, *slot, joined, fds, fd_cnt);
	return 0;
}

static int instance_member_ready(void *context, uint32_t slot, struct xfq_error *error)
{
	struct instance *instance = context;
	int code = engine_admit(&instance->engine, slot, error);
	char who[128];

	instance_name_member(instance, slot, who, sizeof(who));
	instance_say(instance, "%s %s%s", who, code ? "could not join: " : "joined",
		     code ? error->text : "");
	return code;
}

/* A member is gone: say so, and what it lost. */
static void instance_member_left(void *context, uint32_t slot, const char *why)
{
	struct instance *instance = context;
	bool admitted = instance->engine.members[slot].kind == MEMBER_JOINED;
	struct stats_member last;
	char who[128];

	instance_name_member(instance, slot, who, sizeof(who));
	last = engine_leave(&instance->engine, slot, why);
	if (!admitted)
		return; /* nobody has heard of it */
	instance_say(instance, "%s %s: read %llu, lost %llu, discarded %llu", who, why,
		     (unsigned long long)last.consumed,
		     (unsigned long long)(last.lost_ring + last.lost_quota + last.lost_detached),
		     (unsigned long long)last.discarded);
}

static int instance_command_begin(void *context, const struct access_asker *asker, const char *json,
				  size_t len, uint64_t data_len, struct command **command,
				  struct xfq_error *error)
{
	return command_begin(context, asker, json, len, data_len, command, error);
}

static int instance_command_data(void *context, struct command *command, const char *bytes,
				 size_t len, struct xfq_error *error)
{
	(void)context;
	return command_data(command, bytes, len, error);
}

static char *instance_command_end(void *context, struct command *command, struct xfq_error *error)
{
	return command_end(context, command, error);
}

static void instance_command_abort(void *context, struct command *command)
{
	(void)context;
	command_abort(command);
}

static const struct control_handler instance_handler = {
	.status = instance_answer_status,
	.groups = instance_answer_groups,
	.join = instance_answer_join,
	.ready = instance_member_ready,
	.leave = instance_member_left,
	.command_begin = instance_command_begin,
	.command_data = instance_command_data,
	.command_end = instance_command_end,
	.command_abort = instance_command_abort,
};

/* --- life ------------------------------------------------------------------------------------ */

int instance_create(struct instance *instance, struct config *config,
		    const struct instance_options *options, struct xfq_error *error)
{
	const char *name;
	int code;

	memset(instance, 0, sizeof(*instance));
	instance->config = config_take(config);
	if (!instance->config)
		return xfq_error_set(error, -ENOMEM, "no memory for an instance");
	instance->options = *options;
	instance->options.engine.bare_threads = options->drop_privileges;
	instance->control.epoll_fd = -1;
	code = engine_create(&instance->engine, instance->config, &instance->options.engine, error);
	if (code) {
		config_free(instance->config);
		memset(instance, 0, sizeof(*instance));
		return code;
	}
	name = options->socket ? instance->config->name : NULL;
	code = control_open(&instance->control, name, &instance_handler, instance, error);
	if (code)
		instance_destroy(instance);
	return code;
}

void instance_say_native(struct instance *instance)
{
	const struct engine_policy *policy = instance->engine.policy;

	if (!policy->native.code || instance->said_native ||
	    policy->policy.outer.unit.cnt + policy->policy.inner.unit.cnt == 0)
		return;
	instance_say(instance, "%s", policy->native.text);
	instance->said_native = true;
}

int instance_start(struct instance *instance, struct xfq_error *error)
{
	int code = engine_attach(&instance->engine, error);

	instance_say_native(instance);
	if (code == 0 && instance->options.drop_privileges)
		code = privileges_drop(!instance->options.no_reload, error);
	return code ? code : engine_start(&instance->engine, error);
}

nfds_t instance_poll(const struct instance *instance, struct pollfd *fds)
{
	nfds_t cnt = 0;

	/* poll skips negative descriptors: there is nothing to watch where a file is read */
	fds[cnt++] = (struct pollfd){.fd = instance->control.epoll_fd, .events = POLLIN};
	fds[cnt++] = (struct pollfd){.fd = instance->engine.notice_fd, .events = POLLIN};
	fds[cnt++] = (struct pollfd){.fd = instance->engine.watch.fd, .events = POLLIN};
	return cnt;
}

static void instance_changed(const char *name, enum interface_event event, void *context)
{
	struct instance *instance = context;

	switch (event) {
	case INTERFACE_GONE:
		instance_say(instance, "%s: the interface went away", name);
		instance->failed = true;
		break;
	case INTERFACE_DOWN:
		instance_say(instance, "%s: the link is down", name);
		break;
	case INTERFACE_UP:
		instance_say(instance, "%s: the link is up again", name);
		break;
	}
}

/* A worker has detached a member that lied: it is told why, and is one no more. */
static void instance_fault(uint32_t slot, const char *what, void *context)
{
	struct instance *instance = context;
	char who[128];

	instance_name_member(instance, slot, who, sizeof(who));
	instance_say(instance, "%s is faulty and was detached: %s", who, what);
	/* first the workers: they may be about to wake it */
	instance_member_left(instance, slot, "faulty");
	control_dismiss(&instance->control, slot, -ECONNABORTED, what);
}

enum instance_state instance_serve(struct instance *instance)
{
	struct engine *engine = &instance->engine;
	struct pollfd watch = {.fd = engine->watch.fd, .events = POLLIN};
	uint64_t cnt;

	if (read(engine->notice_fd, &cnt, sizeof(cnt)) == sizeof(cnt))
		engine_faults(engine, instance_fault, instance);
	control_serve(&instance->control);
	if (poll(&watch, 1, 0) > 0 && engine_watch(engine, instance_changed, instance) == 0) {
		instance_say(instance, "no interface is left");
		return INSTANCE_ALONE;
	}
	return engine->options.read_path && engine_is_done(engine) ? INSTANCE_DONE : INSTANCE_RUNS;
}

json_t *instance_status(struct instance *instance)
{
	struct stats stats;
	json_t *object;

	if (engine_stats(&instance->engine, &stats))
		return NULL;
	object = stats_json(&stats);
	stats_destroy(&stats);
	return object;
}

int instance_stop(struct instance *instance, struct xfq_error *error)
{
	int code;

	if (!instance->engine.config)
		return 0; /* it was never made: its descriptors are none */
	/* a filter in clsact is taken away by who may change the network */
	privileges_raise();
	code = engine_stop(&instance->engine, error);
	privileges_lower();
	/* after the engine: members that sleep were woken, and have read to their end */
	control_close(&instance->control, "the instance has ended");
	return code;
}

void instance_destroy(struct instance *instance)
{
	if (!instance->engine.config)
		return;
	instance_stop(instance, NULL);
	engine_destroy(&instance->engine);
	config_free(instance->config);
	memset(instance, 0, sizeof(*instance));
	instance->control.epoll_fd = -1;
}
