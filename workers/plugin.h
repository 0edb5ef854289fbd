/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plug-ins of a config, loaded: their functions (xfq/plugin.h), an instance of each, and a
 * state for each worker.
 *
 *	plugins_load    shared objects are opened and checked, instances and states made; what a
 *	                config before had with the same name, object and arguments goes on
 *	plugins_check   whether groups ask of each only what it can do
 *	plugins_free    states, then instances, then the objects; of those that nobody else has
 *
 * A plug-in is trusted code, in this process. Where that is root's, its file and the folder of it
 * must not be for others to write.
 *
 * Control thread. What a worker reads, plugins->seen and the states, is not changed until
 * plugins_free().
 */
#ifndef WORKERS_PLUGIN_H
#define WORKERS_PLUGIN_H

#include "steering/policy.h"
#include "workers/config.h"
#include <xfq/error.h>

struct plugin; /* one, with its instance and states; several configs may have it */

struct plugins {
	uint32_t cnt;
	struct plugin *loaded[POLICY_PLUGINS_MAX];     /* by the config's number; held */
	struct policy_plugin seen[POLICY_PLUGINS_MAX]; /* for policy.plugins */
};

/*
 * Load what `config` names, with states for `worker_cnt` workers; `before`, which may be NULL, is
 * of the config that there was, with as many. 0, or -errno with a sentence that names the plug-in,
 * and then nothing is left: -ENOENT, -EACCES; -ENOEXEC: no shared object, or no plug-in; -EPERM:
 * others may write to it; -EPROTONOSUPPORT: of another version; what it says itself. The caller
 * owes a plugins_free().
 */
int plugins_load(struct plugins *plugins, const struct config *config, const struct plugins *before,
		 uint32_t worker_cnt, struct xfq_error *error);

/* Whether what groups and cases want of plug-ins is there. 0, or -EINVAL with a sentence that names
 * group, line and plug-in. */
int plugins_check(const struct plugins *plugins, const struct config *config,
		  struct xfq_error *error);

/* The states of a worker, for policy_state.plugin_states. */
void plugins_states(const struct plugins *plugins, uint32_t worker, void **states);

/* No worker may call them any more. Safe on zeroed memory. */
void plugins_free(struct plugins *plugins);

#endif
