/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port: one AF_XDP socket on one queue of one interface, receiving into a worker's UMEM; or,
 *where XDP cannot be had, a packet socket (af_packet.h), whose packets are copied there.
 *
 *	   worker's frames --port_refill--> fill ring --> kernel --> rx ring --port_receive-->
 *worker
 *
 * Set-up is the wiring's; receive, refill and poll are the worker thread's alone.
 */
#ifndef WORKERS_PORT_H
#define WORKERS_PORT_H

#include "steering/packet.h"
#include "workers/af_packet.h"
#include "workers/umem.h"
#include <linux/if_xdp.h>
#include <stdbool.h>
#include <stdint.h>
#include <xdp/xsk.h>
#include <xfq/error.h>

/* Slots of the receive and the fill ring, and so the frames that the kernel may hold of a port: at
 * 10 Mpps what comes in 200 us. Frames are used in turn, so that more of them than stay in the
 * cache cost rate: twice as many were slower, and half as many lost more (bench/receive.sh). */
#define PORT_RING_SLOTS 2048

struct port {
	struct xsk_umem *registered; /* the worker's UMEM, once for each port: a second socket on
				      * one registration would take over the first one's mode */
	struct xsk_socket *socket;
	struct xsk_ring_cons rx;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion; /* unused, but AF_XDP wants one */
	int fd;
	int notes;          /* what the program knows of fragments; 0: nothing */
	uint32_t interface; /* place of its interface in the config */
	uint32_t queue;
	uint32_t fill_cnt; /* frames the kernel holds: in the fill ring, in flight, in rx */
	bool copies; /* a packet socket: what is above but fd, interface and queue is unused */
	struct af_packet packet;
	bool zero_copy;
	bool gone;         /* its interface went away */
	uint64_t reparsed; /* packets that came without valid metadata */
};

/* What port_open() asks for. */
struct port_options {
	const char *interface_name;
	uint32_t interface; /* place in the config */
	uint32_t queue;
	bool zero_copy;              /* refuse anything else */
	bool generic;                /* the program runs in generic mode, which can only copy */
	int notes;                   /* of the program, loader_notes(): a duplicate is kept */
	const struct filter *filter; /* of packet sockets: how fragments are treated */
};

/* What the kernel lost of a port's packets (XDP_STATISTICS). */
struct port_losses {
	uint64_t rx_dropped; /* no frame in the fill ring, or the packet was longer than a frame */
	uint64_t rx_ring_full; /* the worker did not keep up */
	uint64_t fill_empty;   /* times that the fill ring was found empty; no packets */
	uint64_t cut; /* received, but of a packet longer than a frame the rest was cut off */
};

/*
 * Register the worker's UMEM with the kernel and open the socket. 0, or -errno with a sentence:
 * -EBUSY where another socket has the queue, -EOPNOTSUPP where zero-copy was asked for and not got.
 * Either way the caller owes a port_close().
 */
int port_open(struct port *port, const struct umem *umem, const struct port_options *options,
	      struct xfq_error *error);

/* The same with a packet socket; options->zero_copy and generic mean nothing. What is then to be
 * done with port->packet is af_packet.h. */
int port_open_packet(struct port *port, const struct port_options *options,
		     struct xfq_error *error);

/* Another filter judges what comes: fragments are treated as it says. The worker thread, or the
 * wiring before there is one. */
void port_set_filter(struct port *port, const struct filter *filter);

/* Close and unregister; safe on zeroed memory. Frames in the kernel's hands are lost with it. */
void port_close(struct port *port);

/*
 * Receive up to PACKET_BURST packets: their frames are the worker's from here on. Metadata is
 * checked, or made where it is missing or wrong; ts_ns is left to the caller, but for packet
 * sockets, which say it. Returns their number.
 */
uint32_t port_receive(struct port *port, struct umem *umem, uint64_t hash_seed,
		      struct packet *pkts);

/* Give free frames to the kernel, up to a full fill ring, and wake it where it asks for that. */
void port_refill(struct port *port, struct umem *umem);

/* Close a port that has not been connected to a program: the frames that the kernel has are free
 * again. */
void port_abandon(struct port *port, struct umem *umem);

/* Whether the port's interface went away, and saying so; any thread. */
static inline bool port_is_gone(const struct port *port)
{
	return __atomic_load_n(&port->gone, __ATOMIC_RELAXED);
}
static inline void port_set_gone(struct port *port)
{
	__atomic_store_n(&port->gone, true, __ATOMIC_RELAXED);
}

/* A poll said that something is wrong: the port is gone, or its interface was only switched off. */
void port_failed(struct port *port);

/* Read the kernel's loss counters; any thread. 0 or -errno. */
int port_losses(struct port *port, struct port_losses *losses);

#endif
