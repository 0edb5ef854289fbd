/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libxfq: take packets from a running XFQ, in place, or run one inside an application.
 *
 *	xfq_open    which instance                xfq_instance_create  an instance of one's own
 *	xfq_groups  what it offers                xfq_instance_start
 *	xfq_join    become a member of a group    xfq_instance_connect then as on the left
 *	  xfq_peek     look at a burst of packets, where they lie
 *	  xfq_release  give them back
 *	  xfq_shunt_flow  see no more of a flow
 *	xfq_leave
 *	xfq_close                                 xfq_instance_destroy
 *
 * A member needs no privilege, only the group's permission; it can read every packet that the
 * instance steers, not only those of its group. It maps packets and descriptors
 * read-only and can harm nobody but itself; one that stalls, lies or dies loses its own packets and
 * no one else's. What it has released may change under it at once: copy what is needed for longer.
 *
 * Functions that can fail return 0 (or a count) or a negative errno and, where they take one, leave
 * a sentence in a `struct xfq_error`, which may be NULL. None prints, none exits, none raises a
 * signal. Options are structures that may be NULL and in which 0 means the default; their reserved
 * fields are 0.
 *
 * Threads: a struct xfq and a struct xfq_member belong to one thread at a time; different ones are
 * independent. Members do not survive fork() into the child: there, every call on them answers
 * -ECHILD, and xfq_leave() only frees; the parent's membership is not touched. exec() ends them.
 */
#ifndef XFQ_XFQ_H
#define XFQ_XFQ_H

#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>
#include <xfq/packet.h>
#include <xfq/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XFQ_NAME_BYTES 32 /* of an instance or a group, with the terminator */

struct xfq;
struct xfq_member;

/* "0.1.0": of the library that is loaded, which may be newer than this header. */
const char *xfq_version(void);

/* --- a running instance ---------------------------------------------------------------------- */

/*
 * Find an instance by its name, or by the path of its control socket where there is a '/' in it.
 * NULL: the only one that runs. Sockets lie in $XFQ_RUN_DIR or /run/xfq. 0 and *xfq, which the
 * caller owes an xfq_close(); -ENOENT: none of that name runs; -ENOTUNIQ: several, name one;
 * -EPROTONOSUPPORT: it is of a version that does not understand this one.
 */
int xfq_open(struct xfq **xfq, const char *name, struct xfq_error *error);

/* Forget it; members joined through it stay members. NULL is allowed. */
void xfq_close(struct xfq *xfq);

/* The name of the instance; lives as long as `xfq`. */
const char *xfq_name(const struct xfq *xfq);

struct xfq_group {
	char name[XFQ_NAME_BYTES];
	char steer[16];       /* "flow", "ip-pair" and so on: docs/steering.md */
	uint32_t members;     /* there are now, built-in ones included */
	uint32_t members_max; /* that may join */
	uint32_t ring_slots;  /* of a member that wishes for none */
	uint32_t joined;      /* of them, there are now */
	bool allowed;         /* the group's access lets the caller in, while there is a place */
	uint8_t reserved[27];
	char classes[128]; /* "user,control": that members may be of; cut where there are too many
			    */
};

/*
 * What groups there are. Stores at most `max` of them and returns how many there are, or -errno.
 */
int xfq_groups(struct xfq *xfq, struct xfq_group *groups, uint32_t max, struct xfq_error *error);

/*
 * All counters, as the JSON object that docs/json.md describes. 0 and *json, which the caller
 * frees; -EACCES: only the instance's user, and root, may ask.
 */
int xfq_status(struct xfq *xfq, char **json, struct xfq_error *error);

/* --- membership ------------------------------------------------------------------------------ */

/* What xfq_peek() does when there is nothing. */
enum xfq_wait_mode {
	XFQ_WAIT_BLOCK = 0, /* sleep until there is */
	XFQ_WAIT_POLL,      /* return 0; xfq_fd() then becomes readable as soon as there is */
	XFQ_WAIT_SPIN       /* return 0, for who asks again at once: nothing ever wakes it */
};

struct xfq_join_options {
	uint32_t ring_slots; /* wish: the power of two at or above it; at most the group's, which is
				the default */
	uint32_t weight;     /* 1 to 1000: the share of the flows, beside the others' weights;
				default 1 */
	enum xfq_wait_mode wait;
	uint32_t reserved0;
	const char *classes; /* of the group, "user,control": it gets their packets, too. NULL: it
				is of none, and gets what is for all members */
	uint32_t reserved[10];
};

/*
 * Join a group: from now on a share of its packets is this member's. 0 and *member, which the
 * caller owes an xfq_leave(). -ESRCH: there is no such group, or it has no such class;
 * -EACCES: the group's access does not allow it; -EBUSY: the group is full; -EPROTONOSUPPORT:
 * layouts differ; -ENOMEM.
 */
int xfq_join(struct xfq_member **member, struct xfq *xfq, const char *group,
	     const struct xfq_join_options *options, struct xfq_error *error);

/*
 * Leave: unread packets are given up, the flows go to the others. Frees the member; pointers into
 * packets are void. NULL is allowed.
 */
void xfq_leave(struct xfq_member *member);

/* A packet, where the worker has received it. Valid until its release. */
struct xfq_packet {
	const uint8_t *data; /* first byte of the Ethernet header; read-only memory */
	const struct xfq_meta *meta;
	uint32_t len;  /* bytes at data */
	uint32_t mark; /* what the group's cases have set; 0: nothing */
};

/*
 * Show the next packets, at most `max`, in the order of their arrival at one worker. Advances
 * nothing: the same packets are shown until they are released. Returns how many; 0: none now, in
 * the modes XFQ_WAIT_POLL and XFQ_WAIT_SPIN, or `max` is 0; -EINTR: a signal came while it waited;
 * -EPIPE: the instance has ended, and everything it had delivered was read; -ECONNRESET: the same,
 * but it was killed or has crashed; -ECONNABORTED: the
 * instance has detached this member, see xfq_end(); -ECHILD: a fork()ed child's.
 */
int xfq_peek(struct xfq_member *member, struct xfq_packet *pkts, uint32_t max);

/* Give back the first `cnt` packets that xfq_peek() has shown, at most all of them. */
void xfq_release(struct xfq_member *member, uint32_t cnt);

/* Wait until xfq_peek() has something to say, whatever the mode: 1; 0: `timeout_ms` has passed (-1:
 * never); -EINTR; -ECHILD. */
int xfq_wait(struct xfq_member *member, int timeout_ms);

/*
 * A descriptor for poll, select or epoll: readable (POLLIN, POLLHUP) as soon as there is something,
 * after xfq_peek() has returned 0 in mode XFQ_WAIT_POLL. It is the member's: not to be read,
 * written or closed. -1 in a fork()ed child.
 */
int xfq_fd(const struct xfq_member *member);

/* Why xfq_peek() answers -EPIPE, -ECONNRESET or -ECONNABORTED, as a sentence; NULL: it goes on. */
const char *xfq_end(const struct xfq_member *member);

struct xfq_member_stats {
	uint64_t packets;    /* released */
	uint64_t queued;     /* delivered, not released yet */
	uint64_t lost_ring;  /* not delivered: every slot of its ring was in use */
	uint64_t lost_quota; /* not delivered: its share of the packet memory was in use */
	uint64_t wakeups;    /* times it was woken from sleep */
	uint64_t reserved[3];
};

/* Its counters now; costs no system call. */
void xfq_member_stats(const struct xfq_member *member, struct xfq_member_stats *stats);

struct xfq_member_info {
	char instance[XFQ_NAME_BYTES];
	char group[XFQ_NAME_BYTES];
	char interfaces[128]; /* "eth0" or "eth0,eth1"; cut where there are too many */
	uint32_t id;          /* of this member in its group */
	uint32_t rings;       /* one for each worker */
	uint32_t ring_slots;  /* of each */
	uint32_t reserved[5];
};

void xfq_member_info(const struct xfq_member *member, struct xfq_member_info *info);

/* --- flows that nobody wants to see any more -------------------------------------------------- */

/* A flow of IP packets. Its ends are in any order: both directions are one flow. */
struct xfq_flow {
	uint8_t ip;                  /* 4 or 6 */
	uint8_t proto;               /* IP protocol number */
	uint16_t src_port, dst_port; /* host byte order; of TCP, UDP and SCTP, else 0 */
	uint8_t src[16], dst[16];    /* network byte order; IPv4 in the first 4 bytes, the rest 0 */
	uint8_t reserved[26];
};

/* The flow of a packet that xfq_peek() has shown. 0; -EINVAL: it is not IP; -ENODATA: it is a later
 * fragment, which has no ports: its first one tells. */
int xfq_packet_flow(const struct xfq_packet *pkt, struct xfq_flow *flow);

enum xfq_shunt_action {
	XFQ_SHUNT_DROP = 0,
	XFQ_SHUNT_PASS /* to the kernel's stack */
};

struct xfq_shunt_options {
	enum xfq_shunt_action action;
	uint32_t reserved0;
	uint64_t packets; /* to live; 0: any number */
	double seconds;   /* to live; 0: for good. Of a capture file: in its time */
	uint64_t reserved[5];
};

/*
 * Have the first pass drop or pass the packets of a flow from now on, in both directions, where
 * it would steer them; for every group of the instance, and in place of what was said of this flow
 * before. What is under way already still comes. NULL options: drop, for good. The table has places
 * for as many flows as the config's filter.shunt says; where it is full, the flow that was seen
 * least recently gives way.
 *
 * 0; -EACCES: only the instance's user and root may, and who may join a group that has `shunt:
 * true`; -EOPNOTSUPP: the instance has no such table; -EINVAL. It takes about as long as
 * xfq_groups(), and waits for the instance's control thread; the packets do not wait.
 */
int xfq_shunt_flow(struct xfq *xfq, const struct xfq_flow *flow,
		   const struct xfq_shunt_options *options, struct xfq_error *error);

/* No more of that. As above; -ENOENT: the flow is not shunted, or is no more. */
int xfq_unshunt_flow(struct xfq *xfq, const struct xfq_flow *flow, struct xfq_error *error);

/* --- an instance inside the application ------------------------------------------------------ */

/*
 * The same engine, its workers being threads of this process. It needs the privileges of `xfq run`
 * while it is created and started, and keeps none of them from the application: dropping them is
 * the application's. It raises the soft limits on descriptors and locked memory as far as it may;
 * its threads block all signals. Members are
 *
 *	callbacks  in the worker thread itself, run to completion: xfq_instance_callback()
 *	threads    of the application, each with an xfq_join() through xfq_instance_connect()
 *	processes  that join through its control socket, where it has one
 *
 * and those that the config has built in, as docs/config.md says.
 *
 * Threads: a config belongs to one at a time. An instance may be used by several at the same time,
 * but for its destruction. Not after fork(): the child calls nothing of its parent's instance, and
 * until its exec() or its end it keeps the interfaces' queues busy, even when the instance is gone.
 */
struct xfq_config;
struct xfq_instance;

/*
 * A config: empty, from a file, or from a text in YAML as docs/config.md has it, where files that
 * it names lie in the working directory, and lines of errors begin with "config:". NULL: without
 * memory, or with all errors, a line each, in *errors, which the caller frees; it is NULL where
 * there are none, or no memory, and `errors` may be NULL. The caller owes an xfq_config_destroy(),
 * which takes NULL.
 *
 * Interfaces and groups may be added to any config. What code has no call for (rules of the first
 * pass, CPUs, access) comes from a text.
 */
struct xfq_config *xfq_config_create(void);
struct xfq_config *xfq_config_read(const char *path, char **errors);
struct xfq_config *xfq_config_parse(const char *text, char **errors);
void xfq_config_destroy(struct xfq_config *config);

/*
 * Add an interface; `mode` is a word of docs/config.md, "auto", "native", "mirror" and so on, NULL:
 * "auto". The first interface names an instance that nothing else names; without one it is "xfq".
 * 0; -EINVAL: no such mode, or no name; -EEXIST; -E2BIG: there are 8; -ENOMEM.
 */
int xfq_config_interface(struct xfq_config *config, const char *name, const char *mode,
			 struct xfq_error *error);

struct xfq_group_options {
	const char *match;    /* tcpdump expression; NULL: every packet */
	const char *steer;    /* a word of docs/config.md, "src", "to:3"; NULL: "flow" */
	uint32_t members_max; /* that may join, 1 to 64; default 4. Packet memory is set aside for
				 each */
	uint32_t ring_slots;  /* a power of two from 64 to 65536; default 1024 */
	bool spill;           /* a full ring's packets go to another member, not lost; not in
				 broadcast. Where a file is read none is ever full: the file waits */
	uint8_t reserved[31];
};

/*
 * Add a group without built-in members: callbacks and threads of this process are its members and,
 * where the instance has a socket, processes of its user and of root. 0; -EINVAL: no name, a value
 * that is none, or a match that is no expression, with libpcap's message; -EEXIST; -E2BIG: there
 * are 64, or the match is longer than 8192 bytes; -ENOMEM.
 */
int xfq_config_group(struct xfq_config *config, const char *name,
		     const struct xfq_group_options *options, struct xfq_error *error);

/*
 * Give functions of one's own a name that groups of a text ask: in `plugin: NAME`, or in
 * `steer: { by: plugin, name: NAME }`. A text that is to name it says so first, and its arguments,
 * where no code gives them, are in it; a file is not:
 *
 *	plugins: { mine: {} }
 *	groups: { odd: { plugin: mine }, calls: { steer: { by: plugin, name: mine } } }
 *
 * `plugin` stays for as long as the config, and an instance of it, are there; arguments are copied.
 * Its functions are called by the workers of an instance, each of
 * which has a state of its own, and of their own instance they call nothing, as with callbacks.
 * What create() refuses is told by xfq_instance_create(). 0; -EINVAL: no name, or an argument
 * without one; -EPROTONOSUPPORT: it is of another version; -EEXIST: one of that name has a file, or
 * functions already; -E2BIG: there are 16; -ENOMEM.
 */
int xfq_config_plugin(struct xfq_config *config, const char *name, const struct xfq_plugin *plugin,
		      const struct xfq_plugin_arg *args, uint32_t arg_cnt, struct xfq_error *error);

struct xfq_instance_options {
	const char *read_path; /* a capture file, a regular one, instead of the interfaces: needs no
				  privilege, and waits for members that are slow; NULL: live */
	bool socket;           /* other processes may join, as the groups' access says, and ask */
	uint8_t reserved[47];
};

/*
 * Make an instance of a config, whose content it takes over: what the caller has then, also where
 * this fails, is an empty config, as xfq_config_create() makes. Nothing moves yet, but members can
 * join. 0 and *instance, which the caller owes an xfq_instance_destroy(); or -errno and NULL:
 * -EINVAL: no interface and no file, or the file is no capture; -ENODEV: no such interface;
 * -EADDRINUSE: an instance of that name has the socket; -EPERM, and what the system says.
 */
int xfq_instance_create(struct xfq_instance **instance, struct xfq_config *config,
			const struct xfq_instance_options *options, struct xfq_error *error);

/*
 * Called in a worker's thread with 1 to 64 packets, in the order of their arrival there; they are
 * valid during the call, and not to be changed. Several workers call it at the same time, each
 * with the same context.
 *
 * The worker's queue waits for it, and so may other threads that use the instance: it does not
 * block nor wait for them. Of its own instance it calls nothing: xfq_instance_*() answer -EDEADLK
 * (but for the destruction, which hangs), and an xfq_join() would wait for this very worker, in
 * vain. Other instances' functions, and their members', are allowed as far as they do not block.
 */
typedef void xfq_callback(void *context, const struct xfq_packet *pkts, uint32_t cnt);

/*
 * Add a member to a group that is a callback, of weight 1. Before the start. 0; -ESRCH: there is no
 * such group; -EBUSY: the group has 16 callbacks, or 64 members of any kind, or the instance was
 * started or stopped; -EINVAL: no function; -ENOMEM.
 */
int xfq_instance_callback(struct xfq_instance *instance, const char *group, xfq_callback *callback,
			  void *context, struct xfq_error *error);

/*
 * A connection for members that are threads of this process; before or after the start. Whoever
 * holds it may join any group and ask for all counters. 0 and *xfq, which the caller owes an
 * xfq_close(); -ENOENT: the instance was stopped; -EMFILE; -ENOMEM. It may outlive the instance,
 * and then answers -ENOENT; members may outlive both: they read what they were given, then -EPIPE.
 */
int xfq_instance_connect(struct xfq **xfq, struct xfq_instance *instance, struct xfq_error *error);

/*
 * Attach to the interfaces, start the workers, let packets in. What comes while a group has no
 * member is not kept for it: join before. 0; -EALREADY: it was started or stopped before; else
 * -errno, and it can only be destroyed.
 */
int xfq_instance_start(struct xfq_instance *instance, struct xfq_error *error);

/*
 * Wait for its end. 1: the capture file was read (members may still have some of it to read), no
 * interface is left, or it was stopped; 0: `timeout_ms` has passed (below 0: never); -EDEADLK: in a
 * callback.
 */
int xfq_instance_wait(struct xfq_instance *instance, int timeout_ms);

/* All counters, as xfq_status(); between create and destroy, also after stop. 0, -ENOMEM. */
int xfq_instance_status(struct xfq_instance *instance, char **json, struct xfq_error *error);

/*
 * Stop: packets go to the kernel's stack again; what is in flight arrives. Members that read are
 * given up to a second to get on, are told, and may read to their end even later. 0, or the first
 * thing that went wrong on the way (a capture file that is broken or cannot be written): it is
 * stopped all the same. A second call does nothing.
 */
int xfq_instance_stop(struct xfq_instance *instance, struct xfq_error *error);

/* Stop if need be, and free. Nobody may be using it. NULL is allowed. */
void xfq_instance_destroy(struct xfq_instance *instance);

#ifdef __cplusplus
}
#endif
#endif
