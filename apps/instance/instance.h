/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A running instance: the engine with its control socket, as `xfq run` and the library run it.
 *
 *	instance_create   from a config, which it takes over
 *	instance_start    packets flow; privileges are given up first, if that is wanted
 *	  instance_poll, instance_serve		the control loop's part
 *	instance_stop     the engine stops, and members are told
 *	instance_destroy
 *
 * Thread: one at a time.
 */
#ifndef INSTANCE_INSTANCE_H
#define INSTANCE_INSTANCE_H

#include "apps/instance/config_errors.h"
#include "apps/instance/control.h"
#include "workers/engine.h"
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>

#define INSTANCE_POLL_MAX 3

struct instance_options {
	struct engine_options engine;
	bool socket;          /* listen on the control socket */
	bool drop_privileges; /* once the interfaces are attached: all but what a reload needs */
	bool no_reload;       /* those too: nothing is reloaded */

	/* What happens: a sentence that lives during the call; NULL: nobody listens. */
	void (*say)(void *context, const char *text);
	void *context;
};

struct instance {
	struct config *config; /* owned */
	struct instance_options options;
	struct engine engine;
	struct control control;
	bool failed; /* an interface went away */
	bool said_native;
};

enum instance_state {
	INSTANCE_RUNS = 0,
	INSTANCE_DONE, /* the capture file was read */
	INSTANCE_ALONE /* no interface is left */
};

/* Make it; `config` is taken over, and empty afterwards, whatever comes of it. 0, or -errno with a
 * sentence, and nothing is left. The caller owes an instance_destroy(). */
int instance_create(struct instance *instance, struct config *config,
		    const struct instance_options *options, struct xfq_error *error);

/* 0, or -errno with a sentence; then call instance_destroy(). */
int instance_start(struct instance *instance, struct xfq_error *error);

/*
 * Do from now on what another config says, which is taken over, and empty afterwards, whatever
 * comes of it; engine_reload() says what may be another. Members of groups that are no more are
 * told, and what has changed is said in a line. 0, or -errno with a sentence, and nothing has
 * changed.
 */
int instance_reload(struct instance *instance, struct config *config, struct xfq_error *error);

/*
 * The same with a file; `path` NULL: the one that the config there is came from. `session`
 * is an SSH session that must not be cut (lockout.h), NULL: none. -EINVAL or -errno
 * with every line that is wrong in `errors`, zeroed memory that the caller frees with
 * config_errors_destroy(); where the file is sound and is refused all the same, that is a line too.
 */
int instance_reload_file(struct instance *instance, const char *path, const char *session,
			 struct config_errors *errors);

/* Say something to whoever listens. */
void instance_say(struct instance *instance, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Say why the groups' expressions are not machine code, where they are not: once. */
void instance_say_native(struct instance *instance);

/* What to poll: fills INSTANCE_POLL_MAX entries, some with descriptors below 0, and returns their
 * number. When any is ready, call instance_serve(). */
nfds_t instance_poll(const struct instance *instance, struct pollfd *fds);

/* Serve clients, members and interfaces, without waiting. */
enum instance_state instance_serve(struct instance *instance);

/* All counters; NULL without memory. The caller decrefs it. */
json_t *instance_status(struct instance *instance);

/* 0, or the first thing that went wrong on the way, with a sentence. A second call does nothing;
 * safe on zeroed memory. */
int instance_stop(struct instance *instance, struct xfq_error *error);

/* Stop if need be and free everything; safe on zeroed memory. */
void instance_destroy(struct instance *instance);

#endif
