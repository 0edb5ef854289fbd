/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wiring of an instance: from a config to interfaces, XDP program, memory, workers and members,
 * and back down again in an order that loses nothing.
 *
 *	engine_create   everything is made and checked; no packet moves
 *	engine_attach   live: the program is attached, sockets are bound; the last thing that needs
 *	                privileges
 *	engine_start    threads run and packets flow
 *	  engine_join, engine_leave	members come and go; also before engine_start
 *	engine_stop     no new packets; what is in flight arrives; threads end; counters stand still
 *	engine_destroy
 *
 * One thread calls all of it, the control thread; it may run while workers and members do.
 */
#ifndef WORKERS_ENGINE_H
#define WORKERS_ENGINE_H

#include "steering/policy.h"
#include "workers/config.h"
#include "workers/consumer.h"
#include "workers/engine_policy.h"
#include "workers/interface.h"
#include "workers/member.h"
#include "workers/mirror.h"
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
	bool read_xdp;         /* its first pass runs in the kernel, by test runs */
	int stop_fds[2]; /* readable: stop waiting for a capture file that is a pipe; -1: unused */
	const char *write_dir; /* every built-in member writes a capture file here; NULL: as the
				  config says */
	bool join;             /* members may join: packet memory for them is set aside */
	bool bare_threads;     /* threads of the engine give up all capabilities */
};

#define ENGINE_CALLBACKS_MAX 16 /* of a group, through engine_add_callback() */

/* A group as it stands, at its place: where it is from when a config first has it until one has it
 * no more. */
struct engine_group {
	const struct config_group *config; /* the engine's config has it; NULL: the place is free */
	struct rosters *rosters; /* what the workers read; owned, with room for all classes */
	uint32_t next_id;
	uint32_t member_cnt;   /* with stand-ins */
	uint32_t joined_cnt;   /* through engine_join() */
	uint32_t callback_cnt; /* through engine_add_callback() */
	uint32_t left_cnt;     /* that joined and left */
	struct stats_member left_sum;
	struct stats_member left[STATS_LEFT_MAX]; /* a ring; left_cnt is the next place */
};

/* A member by the config, made of what its kind asks for. */
struct engine_built_in {
	struct consumer consumer; /* of one that is a thread */
	struct sink_file file;
	struct sink *sinks;     /* of one that is handled in the workers, for each; owned */
	struct outlet *outlets; /* to be attached, for each worker; owned */
};

/* What the rings of all members together ask for; see engine_share(). */
struct engine_demand {
	uint64_t slots;
	uint32_t rings; /* of each worker */
};

struct engine {
	const struct config *config;
	struct engine_options options;
	struct engine_policy *policy;       /* owned */
	uint32_t epoch;                     /* of the last data that was made */
	uint32_t places[CONFIG_GROUPS_MAX]; /* of the config's groups */
	struct engine_demand demand;
	struct setmaps sets; /* live: the named sets in the kernel */
	struct loader loader;
	struct tc egress_tc; /* loaded if the config has egress rules */
	struct hook egress_hooks[XDP_INTERFACES_MAX];
	struct tc mirror_tc;                       /* loaded if an interface is mirrored */
	struct mirror mirrors[XDP_INTERFACES_MAX]; /* of those that are */
	struct interface interfaces[XDP_INTERFACES_MAX];
	enum attach_mode modes[XDP_INTERFACES_MAX];
	bool gone[XDP_INTERFACES_MAX];
	bool packet[XDP_INTERFACES_MAX];    /* received by packet sockets, without XDP */
	bool fell_back[XDP_INTERFACES_MAX]; /* of them, those whose mode was auto */
	struct interface_watch
		watch; /* live only: engine_watch() is to be called when watch.fd reads */
	struct placement *plan;
	struct worker *workers;
	uint32_t worker_cnt;
	struct engine_group groups[POLICY_PLACES_MAX]; /* by place */
	struct rosters *spare;              /* for the next change; so that none needs memory */
	struct member *members;             /* by outlet */
	uint32_t outlet_max;                /* places for members */
	struct engine_built_in **built_ins; /* by outlet; NULL: there is none */
	struct outlet *outlets;             /* of the change being made, one for each worker */
	struct worker_change *changes;
	struct replay replay;
	int notice_fd; /* eventfd: readable once a worker has read its file, or has detached a
			* member: see engine_is_done(), engine_faults() */
	uint64_t started_ns;
	bool started, stopped;
};

/*
 * Build an instance. `config` outlives the engine. 0, or -errno with a sentence; on failure nothing
 * is left. The caller owes an engine_destroy().
 */
int engine_create(struct engine *engine, const struct config *config,
		  const struct engine_options *options, struct xfq_error *error);

/* Attach the program and bind the sockets; nothing to do where a file is read. 0, or -errno with a
 * sentence; then call engine_destroy(). */
int engine_attach(struct engine *engine, struct xfq_error *error);

/* Start the threads and, live, let packets in; needs no privileges, so that the threads have only
 * those that were kept. 0, or -errno with a sentence; then call engine_destroy(). */
int engine_start(struct engine *engine, struct xfq_error *error);

/* Whether every worker has ended by itself: the capture file was read to its end or broke. */
bool engine_is_done(const struct engine *engine);

/* The place of a group; ENGINE_NO_GROUP where there is none of that name. */
#define ENGINE_NO_GROUP UINT32_MAX
uint32_t engine_find_group(const struct engine *engine, const char *name);

/* A member that wants to join. */
struct engine_join {
	uint32_t group;      /* its place: engine_find_group() */
	uint32_t ring_slots; /* wish; 0: the group's */
	uint32_t weight;     /* 1 to ROSTER_WEIGHT_MAX */
	int wake_fd;         /* the caller's, until it has left: a socket, on which a message is
				sent without waiting to wake it */
	int32_t pid;         /* 0: not known */
	uint32_t uid;
	const char *process; /* its name for itself */
	uint32_t classes;    /* a bit for each class of the group that it is to be of */
	bool lent;           /* the memory that it writes is another process's to map and to seal
				first: no packets before engine_admit() */
};

/*
 * Make a member and its rings, and put it on its group's roster: within a burst packets come.
 * Stand-ins give way. 0 and *slot, its place in engine->members, or -errno with a sentence: -EBUSY
 * where the group is full, -ENOMEM. The descriptors of its memory are open until
 * engine_close_memory().
 */
int engine_join(struct engine *engine, const struct engine_join *join, uint32_t *slot,
		struct xfq_error *error);
void engine_close_memory(struct engine *engine, uint32_t slot);

/*
 * A member that was lent its memory has mapped it, and sealed what it writes: put it on the roster.
 * 0, or -errno with a sentence, and then it is still to leave: -EPERM where that is not sealed,
 * -ENOMEM.
 */
int engine_admit(struct engine *engine, uint32_t slot, struct xfq_error *error);

/* A member has left, or is to: its flows go to the others within a burst, what it had not read is
 * discarded, and its memory here is gone. `why` is a word that stays ("left", "died", "faulty").
 * Returns its last counters, which are kept; of one that was never admitted they are 0. */
struct stats_member engine_leave(struct engine *engine, uint32_t slot, const char *why);

/* Add a member that is called in the workers, each with the same `context`. Before engine_start().
 * 0, or -EBUSY with a sentence where the group is full or the engine runs. */
int engine_add_callback(struct engine *engine, uint32_t group, packet_consumer *consume,
			void *context, struct xfq_error *error);

/* Look for members that workers have detached because they lied; each is told of once: `fault` is
 * called with its slot and what it did. It is still to leave. */
void engine_faults(struct engine *engine,
		   void (*fault)(uint32_t slot, const char *what, void *context), void *context);

/* Who is told of a reload. */
struct engine_reload_events {
	/* The group of a joined member is no more: it is to be told, and its connection closed; it
	 * will be gone when the reload returns. The workers do not wake it any more. */
	void (*removed)(uint32_t slot, const char *group, void *context);
	void *context;
};

/*
 * Do from now on what `next` says, which outlives the engine in the place of the config there was:
 * that one is the caller's again. No packet is lost by it, and each is judged by the one or by the
 * other, in the first pass and by the groups. Groups go by their names: those that both configs
 * have keep their counters, and the members that have joined.
 *
 * 0, or -errno with a sentence, and nothing has changed: -EOPNOTSUPP where a restart would be
 * needed (name, interfaces, workers), -ENOSPC where the groups ask for more packet memory or more
 * members than there is room for, otherwise as engine_create(). Live, it takes CAP_BPF,
 * CAP_PERFMON and CAP_NET_ADMIN of the calling thread.
 */
int engine_reload(struct engine *engine, const struct config *next,
		  const struct engine_reload_events *events, struct xfq_error *error);

/*
 * Look what became of the interfaces since, and take out those that went away. Returns how many are
 * left; for each that changed, `changed` is called with its name and what happened.
 */
uint32_t engine_watch(struct engine *engine,
		      void (*changed)(const char *name, enum interface_event event, void *context),
		      void *context);

/* The shunt table, of the XDP program or of the first pass over a capture file; valid until the
 * next reload. 0, or -EOPNOTSUPP with a sentence: there is none. */
int engine_shunt(struct engine *engine, struct shunt *shunt, struct xfq_error *error);

/*
 * Let readers of the members' capture files see what has come so far, and take members that have
 * expired out of the sets; call it about once a second.
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
