/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an instance is to do, as plain data: filled by the YAML reader of apps/ or by code, read by
 * the engine. Everything in it has been checked by whoever filled it, except what only the running
 * system can say (does the interface exist, is there memory).
 *
 * Strings are owned by the structure and freed by config_destroy(), which lives with the structure
 * in config.c and accepts a half-filled or zeroed one.
 */
#ifndef WORKERS_CONFIG_H
#define WORKERS_CONFIG_H

#include "steering/policy.h"
#include "xdp/filter.h"
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#define CONFIG_NAME_BYTES  32 /* of a group or an instance, with the terminator */
#define CONFIG_GROUPS_MAX  64
#define CONFIG_MEMBERS_MAX 64 /* of one group */
#define CONFIG_CPUS_MAX    1024
#define CONFIG_RING_SLOTS  1024 /* of a ring, unless the config says otherwise */
#define CONFIG_FLOW_CACHE  32768

enum config_mode {
	CONFIG_MODE_AUTO =
		0, /* native where the driver can, else generic; zero-copy where it can */
	CONFIG_MODE_ZERO_COPY, /* native and zero-copy, or fail */
	CONFIG_MODE_NATIVE,    /* native, or fail */
	CONFIG_MODE_GENERIC,   /* in the stack, any driver */
	CONFIG_MODE_MIRROR,    /* keep its traffic: copies of what is steered, both directions */
	CONFIG_MODE_AF_PACKET  /* no XDP: copies through a packet socket */
};

enum config_idle {
	CONFIG_IDLE_ADAPTIVE = 0, /* spin a while, then sleep until a packet comes */
	CONFIG_IDLE_SPIN,         /* never sleep */
	CONFIG_IDLE_SLEEP         /* sleep as soon as there is nothing */
};

enum config_sink {
	CONFIG_SINK_COUNT = 0, /* count packets and bytes */
	CONFIG_SINK_PCAP       /* write pcapng, DIR/GROUP.MEMBER.pcapng */
};

enum config_run {
	CONFIG_RUN_THREAD = 0, /* each member is a thread of its own, behind a ring */
	CONFIG_RUN_WORKER      /* handled in the worker, run to completion, no ring */
};

enum config_attach {
	CONFIG_ATTACH_EXCLUSIVE = 0, /* the only program, on a bpf_link */
	CONFIG_ATTACH_SHARED         /* beside others, by libxdp's dispatcher */
};

#define CONFIG_PRIORITY 50 /* among programs that share an interface, the lowest first */

struct config_interface {
	char name[IF_NAMESIZE];
	enum config_mode mode;
	enum config_attach attach;
	uint32_t priority; /* of CONFIG_ATTACH_SHARED */
	bool promiscuous;  /* default true */
};

struct config_workers {
	uint16_t *cpus; /* logical CPU numbers in the order of the workers; NULL: chosen by XFQ */
	uint32_t cpu_cnt;
	enum config_idle idle;
	uint32_t frames;     /* of each worker's UMEM; 0: as many as the rings ask for */
	uint32_t frame_size; /* bytes, 2048 or 4096; 0: what the MTU asks for */
	uint32_t flow_cache; /* flows that each worker's cache has room for; 0: no cache */
};

/* Who may join a group from another process, as with the permission to read a file: root always,
 * else the class of the asking user (the user, a member of the group, anyone else) decides. */
struct config_access {
	uint32_t user;  /* uid; CONFIG_USER_SELF: the one that the instance runs as */
	uint32_t group; /* gid; CONFIG_GROUP_NONE: none */
	uint16_t mode;  /* CONFIG_ACCESS_*; default CONFIG_ACCESS_USER */
};

#define CONFIG_ACCESS_USER   0400 /* who may join: the user, */
#define CONFIG_ACCESS_GROUP  0040 /* the members of the group, */
#define CONFIG_ACCESS_OTHERS 0004 /* everyone else */

#define CONFIG_USER_SELF  UINT32_MAX
#define CONFIG_GROUP_NONE UINT32_MAX
#define CONFIG_JOIN_MAX   4 /* members that may join a group, unless the config says otherwise */

struct config_group {
	char name[CONFIG_NAME_BYTES];
	struct group_spec spec; /* what it gets, and what becomes of it; owned */
	struct config_access access;
	/* Built in: of no class, and of each of spec.classes alone; all in all at most
	 * CONFIG_MEMBERS_MAX. */
	uint32_t members;
	uint32_t class_members[GROUP_CLASSES_MAX];
	struct table_rule *rules; /* of spec.table, as its file had them; owned; NULL where the
				   * config was read without opening files */
	uint32_t rule_cnt;
	uint32_t members_max; /* that may join from outside, 0 to CONFIG_MEMBERS_MAX */
	enum config_sink sink;
	enum config_run run;
	char *dir;           /* of CONFIG_SINK_PCAP; relative to the working directory */
	bool shunt;          /* who may join may also have flows shunted */
	uint32_t ring_slots; /* power of two, XFQ_RING_SLOTS_MIN to _MAX; CONFIG_RING_SLOTS */
	uint32_t line;       /* in the file it came from; 0: none */
};

/* A plug-in: a shared object, or functions that code has given. */
struct config_plugin {
	char name[CONFIG_NAME_BYTES];
	char *file;                         /* owned; NULL: `functions` */
	const struct xfq_plugin *functions; /* the caller's */
	struct xfq_plugin_arg *args;        /* owned, with their texts */
	uint32_t arg_cnt;
	uint32_t line; /* in the file it came from; 0: none */
};

struct config {
	char *path;                   /* of the file it came from; NULL: none */
	char name[CONFIG_NAME_BYTES]; /* of the instance; default the first interface's name */
	struct config_interface *interfaces;
	uint32_t interface_cnt; /* 0 is allowed: such a config serves capture files only */
	struct config_workers workers;
	struct set **sets; /* named, owned; of all filters */
	uint32_t set_cnt;
	struct filter filter; /* of what comes in */
	bool has_egress;
	struct filter egress; /* of what the host sends by the interfaces: pass, drop, limit */
	struct config_plugin *plugins; /* owned */
	uint32_t plugin_cnt;
	struct config_group *groups;
	uint32_t group_cnt;
};

/* All built-in members of a group, those of its classes among them. */
static inline uint32_t config_group_built_in(const struct config_group *group)
{
	uint32_t cnt = group->members;

	for (uint32_t c = 0; c < group->spec.class_cnt; c++)
		cnt += group->class_members[c];
	return cnt;
}

/* The values that hold where nothing is said: default steer, no rules, no groups. */
void config_init(struct config *config);

/* The same of a group: every packet, by flow, to one built-in member that counts, and to members of
 * the instance's own user that may join. It has no name yet. */
void config_group_init(struct config_group *group);

/*
 * Let the filter know what the groups want, where its default is `claimed`; else do nothing. A
 * group claims what its match wants, and so at least what it gets: sets, plug-in, table and cases
 * only take away from that. One with `inner` claims every packet, as only its worker looks into
 * tunnels; one with `tee_only` none, as what it is handed others have claimed. Again after a change
 * of the groups, and before the filter is used. 0, or -errno with a sentence that names the group.
 * Set-up only, as expression_compile().
 */
int config_claim(struct config *config, struct xfq_error *error);

/* Free everything the structure owns and zero it. */
void config_destroy(struct config *config);

/* Move a config to memory of its own, which the caller owes a config_free(); it is empty
 * afterwards, whatever comes of it. NULL: no memory. */
struct config *config_take(struct config *config);
void config_free(struct config *config);

#endif
