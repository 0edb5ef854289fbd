/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/libxfq/embedded.h"
#include "apps/instance/instance.h"
#include "apps/libxfq/client.h"
#include "workers/thread.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Between two looks of the control thread at what nothing wakes it for. */
#define EMBEDDED_ROUND_MS 1000

/* A callback of the application, and what workers need to call it. */
struct embedded_callback {
	struct embedded_callback *next;
	const struct xfq_instance *instance;
	xfq_callback *callback;
	void *context;
};

enum embedded_state {
	EMBEDDED_MADE = 0,
	EMBEDDED_STARTED, /* or the start has failed */
	EMBEDDED_STOPPED
};

/*
 * The control thread serves the instance from create to stop, so that members can join before the
 * start; the application's threads do with it what they are told to. Whoever touches it holds
 * `lock`, and so may wait for a worker: a worker, which may be in a callback, never takes it.
 */
struct xfq_instance {
	struct instance instance;
	char *read_path; /* owned; NULL: live */
	struct embedded_callback *callbacks;
	pthread_mutex_t lock;
	pthread_cond_t ended_cond;
	pthread_t thread;
	int stop_fd; /* eventfd: the control thread is to end */
	enum embedded_state state;
	bool serving; /* the control thread is to be joined */
	bool ended;
};

/* The instance whose callback this thread, a worker, is in. */
static _Thread_local const struct xfq_instance *embedded_inside;

/* Take the lock; refused within a callback, which the holder may be waiting for. */
static int embedded_lock(struct xfq_instance *self, struct xfq_error *error)
{
	if (embedded_inside == self)
		return xfq_error_set(error, -EDEADLK,
				     "a callback may not call its own instance, which may be "
				     "waiting for it");
	pthread_mutex_lock(&self->lock);
	return 0;
}

/* A packet_consumer: show the application its packets. */
static void embedded_consume(void *context, const struct packet *pkts, const uint32_t *marks,
			     const uint8_t *index, uint32_t cnt)
{
	const struct embedded_callback *callback = context;
	struct xfq_packet shown[PACKET_BURST];

	for (uint32_t i = 0; i < cnt; i++) {
		const struct packet *pkt = &pkts[index[i]];

		shown[i] = (struct xfq_packet){.data = pkt->data,
					       .meta = pkt->meta,
					       .len = pkt->len,
					       .mark = marks[index[i]]};
	}
	embedded_inside = callback->instance;
	callback->callback(callback->context, shown, cnt);
	embedded_inside = NULL;
}

static uint64_t embedded_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void embedded_set_ended(struct xfq_instance *self)
{
	if (self->ended)
		return;
	self->ended = true;
	pthread_cond_broadcast(&self->ended_cond);
}

/* A round of the control thread, with the lock. */
static void embedded_serve(struct xfq_instance *self, uint64_t *flushed_ms)
{
	uint64_t now_ms = embedded_now_ms();

	if (instance_serve(&self->instance) != INSTANCE_RUNS)
		embedded_set_ended(self);
	if (self->state != EMBEDDED_STARTED || now_ms - *flushed_ms < EMBEDDED_ROUND_MS)
		return;
	*flushed_ms = now_ms;
	/* a file that cannot be written is told of by the stop */
	(void)engine_flush(&self->instance.engine, NULL);
}

/* The control thread. */
static void *embedded_run(void *argument)
{
	struct xfq_instance *self = argument;
	struct pollfd fds[INSTANCE_POLL_MAX + 1];
	uint64_t flushed_ms = 0;
	bool stopped = false;

	pthread_setname_np(pthread_self(), "xfq-control");
	while (!stopped) {
		nfds_t cnt = 0;

		pthread_mutex_lock(&self->lock);
		stopped = self->state == EMBEDDED_STOPPED;
		if (!stopped)
			embedded_serve(self, &flushed_ms);
		fds[cnt++] = (struct pollfd){.fd = self->stop_fd, .events = POLLIN};
		cnt += instance_poll(&self->instance, fds + cnt);
		pthread_mutex_unlock(&self->lock);
		/* a start may add descriptors meanwhile: they are looked at a round later */
		if (!stopped && poll(fds, cnt, EMBEDDED_ROUND_MS) < 0 && errno != EINTR)
			usleep(EMBEDDED_ROUND_MS * 1000);
	}
	return NULL;
}

/* What a capture file has to be here: one that never makes the worker wait, nor this call. */
static int embedded_check_file(const char *path, struct xfq_error *error)
{
	struct stat status;

	if (stat(path, &status))
		return xfq_error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return xfq_error_set(error, -EINVAL,
				     "%s: is no regular file, and nothing else is read here", path);
	return 0;
}

/* Whether there is something to run: interfaces, or a capture file. */
static int embedded_check(const struct config *config, const struct xfq_instance_options *options,
			  struct xfq_error *error)
{
	if (!embedded_unused(options->reserved, sizeof(options->reserved)))
		return xfq_error_set(error, -EINVAL,
				     "an instance: reserved fields of the options must be 0");
	if (options->read_path)
		return embedded_check_file(options->read_path, error);
	if (config->interface_cnt == 0)
		return xfq_error_set(error, -EINVAL,
				     "instance %s: no interfaces; add one to the config, or set "
				     "read_path",
				     config->name);
	return 0;
}

/* Make what the control thread and the application share. */
static int embedded_prepare(struct xfq_instance *self, const struct xfq_instance_options *options,
			    struct xfq_error *error)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&self->lock, NULL);
	pthread_cond_init(&self->ended_cond, &attributes);
	pthread_condattr_destroy(&attributes);
	self->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (self->stop_fd < 0)
		return xfq_error_set(error, -errno, "eventfd: %s", strerror(errno));
	if (options->read_path) {
		self->read_path = strdup(options->read_path);
		if (!self->read_path)
			return xfq_error_set(error, -ENOMEM, "no memory for an instance");
	}
	return 0;
}

static int embedded_create(struct xfq_instance *self, struct config *config,
			   const struct xfq_instance_options *options, struct xfq_error *error)
{
	struct instance_options how = {
		.engine = {.stop_fds = {-1, -1}, .join = true},
		.socket = options->socket,
	};
	int code = embedded_prepare(self, options, error);

	if (code)
		return code;
	how.engine.read_path = self->read_path;
	code = instance_create(&self->instance, config, &how, error);
	if (code)
		return code;
	code = thread_start(&self->thread, -1, embedded_run, self);
	if (code)
		return xfq_error_set(error, code, "starting the control thread: %s",
				     strerror(-code));
	self->serving = true;
	return 0;
}

int xfq_instance_create(struct xfq_instance **instance, struct xfq_config *config,
			const struct xfq_instance_options *options, struct xfq_error *error)
{
	static const struct xfq_instance_options defaults;
	struct xfq_instance *self;
	struct config taken;
	int code;

	*instance = NULL;
	if (!options)
		options = &defaults;
	embedded_take_config(config, &taken);
	code = embedded_check(&taken, options, error);
	if (code == 0)
		code = config_claim(&taken, error);
	self = code ? NULL : calloc(1, sizeof(*self));
	if (!self) {
		config_destroy(&taken);
		return code ? code : xfq_error_set(error, -ENOMEM, "no memory for an instance");
	}
	code = embedded_create(self, &taken, options, error);
	config_destroy(&taken); /* empty, where the instance has it */
	if (code)
		xfq_instance_destroy(self);
	else
		*instance = self;
	return code;
}

/* The place of a group, or -ESRCH; with the lock. */
static int embedded_find(const struct xfq_instance *self, const char *group,
			 struct xfq_error *error)
{
	uint32_t place = group ? engine_find_group(&self->instance.engine, group) : ENGINE_NO_GROUP;

	if (place != ENGINE_NO_GROUP)
		return (int)place;
	return xfq_error_set(error, -ESRCH, "instance %s has no group %s",
			     self->instance.config->name, group ? group : "without a name");
}

/* Add a callback, with the lock. */
static int embedded_add(struct xfq_instance *self, uint32_t group, struct embedded_callback *added,
			struct xfq_error *error)
{
	int code;

	if (self->state != EMBEDDED_MADE)
		return xfq_error_set(error, -EBUSY,
				     "group %s: callbacks are added before the start",
				     self->instance.engine.groups[group].config->name);
	code = engine_add_callback(&self->instance.engine, group, embedded_consume, added, error);
	if (code)
		return code;
	added->next = self->callbacks;
	self->callbacks = added;
	return 0;
}

int xfq_instance_callback(struct xfq_instance *instance, const char *group, xfq_callback *callback,
			  void *context, struct xfq_error *error)
{
	struct embedded_callback *added;
	int code = embedded_lock(instance, error), place;

	if (code)
		return code;
	added = malloc(sizeof(*added));
	place = embedded_find(instance, group, error);
	if (place < 0) {
		code = place;
	} else if (!callback) {
		code = xfq_error_set(error, -EINVAL, "group %s: no function to call", group);
	} else if (!added) {
		code = xfq_error_set(error, -ENOMEM, "no memory for a callback");
	} else {
		*added = (struct embedded_callback){
			.instance = instance, .callback = callback, .context = context};
		code = embedded_add(instance, (uint32_t)place, added, error);
	}
	pthread_mutex_unlock(&instance->lock);
	if (code)
		free(added);
	return code;
}

int xfq_instance_connect(struct xfq **xfq, struct xfq_instance *instance, struct xfq_error *error)
{
	char name[CONFIG_NAME_BYTES];
	int code, fd = -1;

	*xfq = NULL;
	code = embedded_lock(instance, error);
	if (code)
		return code;
	memcpy(name, instance->instance.config->name, sizeof(name));
	if (instance->state == EMBEDDED_STOPPED)
		code = xfq_error_set(error, -ENOENT, "%s: the instance has ended", name);
	else
		fd = fcntl(instance->instance.control.local_peer_fd, F_DUPFD_CLOEXEC, 0);
	if (code == 0 && fd < 0)
		code = xfq_error_set(error, -errno, "%s: connecting: %s%s", name, strerror(errno),
				     errno == EMFILE ? "; raise the limit: ulimit -n" : "");
	pthread_mutex_unlock(&instance->lock);
	return code ? code : client_local(xfq, fd, name, error);
}

int xfq_instance_start(struct xfq_instance *instance, struct xfq_error *error)
{
	int code = embedded_lock(instance, error);

	if (code)
		return code;
	if (instance->state == EMBEDDED_MADE) {
		instance->state = EMBEDDED_STARTED;
		code = instance_start(&instance->instance, error);
	} else {
		code = xfq_error_set(error, -EALREADY,
				     "instance %s was %s before: make another one",
				     instance->instance.config->name,
				     instance->state == EMBEDDED_STARTED ? "started" : "stopped");
	}
	pthread_mutex_unlock(&instance->lock);
	return code;
}

int xfq_instance_wait(struct xfq_instance *instance, int timeout_ms)
{
	struct timespec until;
	int code = embedded_lock(instance, NULL), ended;

	if (code)
		return code;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	while (!instance->ended && code == 0)
		code = timeout_ms < 0 ? pthread_cond_wait(&instance->ended_cond, &instance->lock)
				      : pthread_cond_timedwait(&instance->ended_cond,
							       &instance->lock, &until);
	ended = instance->ended;
	pthread_mutex_unlock(&instance->lock);
	return ended;
}

int xfq_instance_status(struct xfq_instance *instance, char **json, struct xfq_error *error)
{
	json_t *object;
	int code;

	*json = NULL;
	code = embedded_lock(instance, error);
	if (code)
		return code;
	object = instance_status(&instance->instance);
	pthread_mutex_unlock(&instance->lock);
	*json = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	return *json ? 0 : xfq_error_set(error, -ENOMEM, "no memory for the counters");
}

int xfq_instance_stop(struct xfq_instance *instance, struct xfq_error *error)
{
	uint64_t one = 1;
	bool serving;
	int code = embedded_lock(instance, error);

	if (code)
		return code;
	code = instance_stop(&instance->instance, error);
	instance->state = EMBEDDED_STOPPED;
	embedded_set_ended(instance);
	serving = instance->serving;
	instance->serving = false;
	pthread_mutex_unlock(&instance->lock);
	if (serving) {
		(void)!write(instance->stop_fd, &one, sizeof(one));
		pthread_join(instance->thread, NULL);
	}
	return code;
}

void xfq_instance_destroy(struct xfq_instance *instance)
{
	struct embedded_callback *callback;

	if (!instance)
		return;
	xfq_instance_stop(instance, NULL);
	instance_destroy(&instance->instance);
	while ((callback = instance->callbacks)) {
		instance->callbacks = callback->next;
		free(callback);
	}
	if (instance->stop_fd >= 0)
		close(instance->stop_fd);
	pthread_cond_destroy(&instance->ended_cond);
	pthread_mutex_destroy(&instance->lock);
	free(instance->read_path);
	free(instance);
}
