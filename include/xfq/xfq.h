/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libxfq: take packets from a running XFQ, in place, or run one inside an application.
 *
 *	xfq_open    which instance                xfq_instance_create  an instance of one's own
 *	xfq_groups  what it offers                xfq_instance_start
 *	xfq_join    become a member of a group    xfq_instance_connect then as on the left
 *	  xfq_peek     look at a burst of packets, where they lie
 *	  xfq_release  give them back
 *	xfq_leave
 *	xfq_close                                 xfq_instance_destroy
 *
 * A member needs no privilege, only the group's permission. It maps packets and descriptors
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
	char steer[16];       /* "flow", "ip-pair", "round-robin", "broadcast" */
	uint32_t members;     /* there are now, built-in ones included */
	uint32_t members_max; /* that may join */
	uint32_t ring_slots;  /* of a member that wishes for none */
	bool allowed;         /* whether the caller may join */
	uint8_t reserved[31];
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
	uint32_t reserved[13];
};

/*
 * Join a group: from now on a share of its packets is this member's. 0 and *member, which the
 * caller owes an xfq_leave(). -ESRCH: there is no such group; -EACCES: the group's access does not
 * allow it; -EBUSY: the group is full; -EPROTONOSUPPORT: layouts differ; -ENOMEM.
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
	uint32_t len; /* bytes at data */
	uint32_t reserved;
};

/*
 * Show the next packets, at most `max`, in the order of their arrival at one worker. Advances
 * nothing: the same packets are shown until they are released. Returns how many; 0: none now, in
 * the modes XFQ_WAIT_POLL and XFQ_WAIT_SPIN, or `max` is 0; -EINTR: a signal came while it waited;
 * -EPIPE: the instance has ended, and everything it had delivered was read; -ECONNABORTED: the
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

/* Why xfq_peek() answers -EPIPE or -ECONNABORTED, as a sentence; NULL: it goes on. */
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

/* --- an instance inside the application ------------------------------------------------------ */

/*
 * The same engine, its workers being threads of this process. It needs the privileges of `xfq run`
 * while it is created and started, and keeps none of them from the application: dropping them is
 * the application's. Members are
 *
 *	callbacks  in the worker thread itself, run to completion: xfq_instance_callback()
 *	threads    of the application, each with an xfq_join() through xfq_instance_connect()
 *	processes  that join through its control socket, where it has one
 */
struct xfq_config;
struct xfq_instance;

/* A config: empty, from a file, or from a text in YAML as docs/config.md has it; or NULL with all
 * errors, a line each, in *errors, which the caller frees (NULL: without memory). The caller owes
 * an xfq_config_destroy(). */
struct xfq_config *xfq_config_create(void);
struct xfq_config *xfq_config_read(const char *path, char **errors);
struct xfq_config *xfq_config_parse(const char *text, char **errors);
void xfq_config_destroy(struct xfq_config *config);

/* Add an interface; `mode` is "auto", "zero-copy", "native" or "generic", NULL: "auto". 0, -EINVAL,
 * -EEXIST, -E2BIG or -ENOMEM. */
int xfq_config_interface(struct xfq_config *config, const char *name, const char *mode,
			 struct xfq_error *error);

struct xfq_group_options {
	const char *match;    /* tcpdump expression; NULL: every packet */
	const char *steer;    /* NULL: "flow" */
	uint32_t members_max; /* that may join; default 8 */
	uint32_t ring_slots;  /* default 1024 */
	bool spill;           /* a full ring's packets go to another member, not lost */
	uint8_t reserved[31];
};

/* Add a group without built-in members, that only this process may join. As above; -EINVAL with
 * libpcap's message for a match that is no expression. */
int xfq_config_group(struct xfq_config *config, const char *name,
		     const struct xfq_group_options *options, struct xfq_error *error);

struct xfq_instance_options {
	const char *read_path; /* a capture file instead of the interfaces: needs no privilege;
				  NULL: live */
	bool socket;           /* other processes may join, as the groups' access says */
	uint8_t reserved[47];
};

/* Make an instance of a config, of which it takes a share: the config may be destroyed before it.
 * Nothing moves yet. 0 and *instance, which the caller owes an xfq_instance_destroy(); or -errno.
 */
int xfq_instance_create(struct xfq_instance **instance, struct xfq_config *config,
			const struct xfq_instance_options *options, struct xfq_error *error);

/*
 * Called in a worker's thread with 1 to 64 packets, which are valid during the call; may not block
 * for long: the worker's queue waits. Several workers call it at the same time.
 */
typedef void xfq_callback(void *context, const struct xfq_packet *pkts, uint32_t cnt);

/* Add a member to a group that is a callback. Before the start. 0, -ESRCH, -EBUSY: the group has 64
 * members, or it has started. */
int xfq_instance_callback(struct xfq_instance *instance, const char *group, xfq_callback *callback,
			  void *context, struct xfq_error *error);

/* A connection for members that are threads of this process; before or after the start. 0 and *xfq,
 * which the caller owes an xfq_close(). Members may outlive the instance. */
int xfq_instance_connect(struct xfq **xfq, struct xfq_instance *instance, struct xfq_error *error);

/* Attach to the interfaces, start the workers, let packets in. 0 or -errno. */
int xfq_instance_start(struct xfq_instance *instance, struct xfq_error *error);

/* Whether it has ended by itself: 1: the capture file was read, or no interface is left; 0: it
 * runs, and `timeout_ms` has passed (-1: never). */
int xfq_instance_wait(struct xfq_instance *instance, int timeout_ms);

/* All counters, as xfq_status(); between create and destroy, also after stop. */
int xfq_instance_status(struct xfq_instance *instance, char **json, struct xfq_error *error);

/* Stop: packets go to the kernel's stack again; what is in flight arrives; members read to their
 * end. 0, or the first thing that went wrong on the way. A second call does nothing. */
int xfq_instance_stop(struct xfq_instance *instance, struct xfq_error *error);

/* Stop if need be, and free. NULL is allowed. */
void xfq_instance_destroy(struct xfq_instance *instance);

#ifdef __cplusplus
}
#endif
#endif
