/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wiring of an instance: from a config to interfaces, XDP program, memory, workers and members,
 * and back down again in an order that loses nothing.
 *
 *	engine_create   everything is made and checked; no packet moves
 *	engine_start    threads run; live: the program is attached and packets flow
 *	engine_stop     no new packets; what is in flight arrives; threads end; counters stand still
 *	engine_destroy
 *
 * One thread calls all of it, the control thread; it may run while workers and members do.
 */
#ifndef WORKERS_ENGINE_H
#define WORKERS_ENGINE_H

#include "steering/policy.h"
#include "workers/config.h"
#include "workers/interface.h"
#include "workers/member.h"
#include "workers/placement.h"
#include "workers/stats.h"
#include "workers/worker.h"
#include "xdp/loader.h"
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

/* What is not in the config; strings are the caller's and outlive the engine. */
struct engine_options {
	const char *read_path; /* a capture file instead of the interfaces; NULL: live */
	int stop_fds[2]; /* readable: stop waiting for a capture file that is a pipe; -1: unused */
	const char
		*write_dir; /* every member writes a capture file here; NULL: as the config says */
};

struct engine {
	const struct config *config;
	struct engine_options options;
	struct policy policy;
	const struct netset *sets[XDP_SETS_MAX]; /* the config's */
	struct xdp_policy xdp_policy;            /* the config's, with the seed */
	struct loader loader;
	struct interface interfaces[XDP_INTERFACES_MAX];
	enum loader_mode modes[XDP_INTERFACES_MAX];
	bool gone[XDP_INTERFACES_MAX];
	struct interface_watch
		watch; /* live only: engine_watch() is to be called when watch.fd reads */
	struct placement *plan;
	struct worker *workers;
	uint32_t worker_cnt;
	struct member *members; /* of all groups, in order */
	struct sink_file *files;
	struct sink *sinks; /* worker after worker, of members that are handled there */
	struct shm *rings;  /* of each member, its rings with all workers; NULL base: none */
	uint32_t **slots;   /* private to the worker: frame of each slot */
	struct replay replay;
	int done_fd; /* eventfd: readable once a worker ended by itself, at the end of a file */
	uint64_t started_ns;
	bool stopped;
};

/*
 * Build an instance. `config` outlives the engine. 0, or -errno with a sentence; on failure nothing
 * is left. The caller owes an engine_destroy().
 */
int engine_create(struct engine *engine, const struct config *config,
		  const struct engine_options *options, struct xfq_error *error);

/* Start the threads and, live, let packets in. 0, or -errno with a sentence; then call
 * engine_destroy(). */
int engine_start(struct engine *engine, struct xfq_error *error);

/* Whether every worker has ended by itself: the capture file was read to its end or broke. */
bool engine_is_done(const struct engine *engine);

/*
 * Look what became of the interfaces since, and take out those that went away. Returns how many are
 * left; for each that changed, `changed` is called with its name and what happened.
 */
uint32_t engine_watch(struct engine *engine,
		      void (*changed)(const char *name, enum interface_event event, void *context),
		      void *context);

/*
 * Let readers of the members' capture files see what has come so far; call it about once a second.
 * 0, or -errno with a sentence for a file that cannot be written any more, once for each file.
 */
int engine_flush(struct engine *engine, struct xfq_error *error);

/*
 * Stop: detach, drain, end the threads, close the members' files. 0, or the first thing that went
 * wrong on the way, with a sentence (a broken capture file, a full disk); everything is stopped all
 * the same. A second call does nothing.
 */
int engine_stop(struct engine *engine, struct xfq_error *error);

/*
 * Read all counters, at any time between create and destroy. 0 or -ENOMEM. The caller owes a
 * stats_destroy(); the strings in it live as long as the engine and its config.
 */
int engine_stats(struct engine *engine, struct stats *stats);
void stats_destroy(struct stats *stats);

/* Stop if need be and free everything; safe on zeroed memory. */
void engine_destroy(struct engine *engine);

#endif
