/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network interface: the facts that the wiring needs of it, the promiscuous mode that lasts as
 * long as it is open, and a watch that says when it goes.
 *
 * Everything here asks about the network namespace of the calling thread, and goes on asking about
 * that one.
 */
#ifndef WORKERS_INTERFACE_H
#define WORKERS_INTERFACE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

struct interface {
	char name[IF_NAMESIZE];
	char driver[32]; /* as `ethtool -i` says; empty: the driver has no name */
	uint32_t ifindex;
	uint32_t mtu;       /* bytes, without the Ethernet header */
	uint32_t queue_cnt; /* receive queues in use, at least 1 */
	bool up;            /* switched on (IFF_UP) */
	bool merging;     /* the stack merges received packets (GRO) before generic XDP sees them */
	bool running;     /* up and able to receive: it has a carrier, as far as it knows */
	bool promiscuous; /* by this structure, whoever else may also want it */
	int membership_fd; /* private: what keeps it promiscuous, if it is */
};

/*
 * Read an interface's facts as they are now, and switch it to promiscuous mode if asked to. It may
 * be down: that is a fact, no error.
 *
 * The mode is a membership of a packet socket (PACKET_MR_PROMISC), which the kernel counts: it ends
 * with interface_close(), and also if the process dies in any way, kill -9 included, and never
 * takes the mode from another who wanted it too. The flag PROMISC of `ip link` need not show it,
 * `ip -d link` does (promiscuity).
 *
 * Returns 0, or -errno with a sentence: -ENODEV where there is no such interface here, -EINVAL for
 * what cannot be a name, -EPERM where promiscuous mode is asked for without CAP_NET_RAW. On an
 * error nothing is left open. Set-up only; any thread. The caller owns what interface_close()
 * frees.
 */
int interface_open(struct interface *interface, const char *name, bool promiscuous,
		   struct xfq_error *error);

/* End promiscuous mode as far as it was this one's; after a failed open, twice, or on zeroed memory
 * it does nothing. */
void interface_close(struct interface *interface);

enum interface_event {
	INTERFACE_GONE =
		0,      /* deleted, or moved to another namespace; said once, and nothing more */
	INTERFACE_DOWN, /* not running any more: switched off or without carrier */
	INTERFACE_UP    /* running again */
};

struct interface_change {
	uint32_t ifindex;
	enum interface_event event;
};

struct interface_link {
	uint32_t ifindex;
	enum interface_event state; /* as last told; at first, as it was found */
	enum interface_event seen;  /* as of the last message */
};

struct interface_watch {
	int fd;         /* readable (poll, epoll) when there is something to read */
	int control_fd; /* private: where states are asked for */
	struct interface_link *links;
	uint32_t link_cnt;
};

/*
 * Begin to watch interfaces by index. Their state at this moment is taken as known: an
 * interface_watch_read() tells what changed since. Returns 0, or -errno with a sentence: -ENODEV
 * where one of them does not exist. The caller owns what interface_watch_close() frees.
 */
int interface_watch_open(struct interface_watch *watch, const uint32_t *ifindexes, uint32_t cnt,
			 struct xfq_error *error);

/*
 * Drain the watch without waiting, and store what changed: at most one change for each interface,
 * so `changes` has room for as many as are watched. An interface that went down and up again in
 * between has not changed. Where the kernel could not keep up telling (ENOBUFS), every interface is
 * looked at afresh, so that nothing is missed. Returns how many changes were stored, 0 included.
 * One thread at a time.
 */
uint32_t interface_watch_read(struct interface_watch *watch, struct interface_change *changes);

/* End the watch; after a failed open, twice, or on zeroed memory it does nothing. */
void interface_watch_close(struct interface_watch *watch);

#endif
