/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A packet socket as a source, where XDP cannot be had: a ring of blocks (TPACKET_V3) that the
 * kernel fills with copies of an interface's packets, and the first pass as the socket's filter.
 *
 *	interface --fanout--> filter --copies--> blocks --af_packet_receive, copies--> frames
 *
 * One for each worker; the sockets of an interface share its packets by flow (PACKET_FANOUT_HASH).
 * To the kernel's hash a fragment, the first one too, is its addresses and its protocol: all
 * fragments of a datagram come by one socket, whichever the rest of their flow comes by. So the
 * notes that give them the hash of their flow (xdp/fragment.h) are each socket's own.
 *
 * The filter has notes of its own, and takes orphans out where the config says so. An orphan here,
 * one that it let in, is one whose first fragment did not come this way: it was not steered, or the
 * ring had no room for it.
 *
 * The host keeps every packet: nothing is taken from it or dropped for it. What the filter does not
 * steer is not copied.
 *
 *	af_packet_open	privileged; nothing comes yet
 *	af_packet_join	bound, and one of the interface's sockets; nothing comes yet
 *	loader_packet_socket	packets come that the filter steers
 *	af_packet_stop	nothing new comes; what is in the ring is still there
 *
 * Set-up is the wiring's; receive is the worker thread's alone.
 */
#ifndef WORKERS_AF_PACKET_H
#define WORKERS_AF_PACKET_H

#include "steering/packet.h"
#include "workers/umem.h"
#include "xdp/first_pass.h"
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

/* Blocks are handed over when they are full, or after this time. */
#define AF_PACKET_RETIRE_MS 4

/* After af_packet_stop(): how long until the kernel has handed over the last block, with the
 * coarseness of its timers. */
#define AF_PACKET_LAST_MS 50

struct af_packet {
	int fd;
	uint8_t *ring; /* the kernel writes packets, both block states */
	uint32_t block_cnt, block_bytes;
	uint32_t block; /* that is read, or the next to be */
	uint32_t at;    /* in it: the next packet, of `left` */
	uint32_t left;
	struct first_pass_notes notes; /* of fragments; by the time of packets */
	uint64_t cut;     /* packets longer than a frame, of which the rest was cut off */
	uint64_t broken;  /* blocks that contradict themselves; their rest is skipped */
	uint64_t dropped; /* what af_packet_losses() has been told so far */
};

/*
 * Open a socket with its ring. 0, or -errno with a sentence: -EPERM without CAP_NET_RAW, -ENOMEM.
 * The caller owes an af_packet_close() either way. Fragments follow nothing before
 * first_pass_notes_set() of its notes.
 */
int af_packet_open(struct af_packet *source, const char *interface_name, struct xfq_error *error);

/*
 * Bind the socket, and add it to those of the interface: *group is 0 for the first of them, and
 * then what the others are to be given. `alone`: there will be no others. 0 or -errno with a
 * sentence.
 */
int af_packet_join(struct af_packet *source, const char *interface_name, uint32_t ifindex,
		   bool alone, uint32_t *group, struct xfq_error *error);

/* Nothing new; what is in the ring comes within AF_PACKET_LAST_MS. */
void af_packet_stop(struct af_packet *source);

/*
 * Receive up to PACKET_BURST packets, as many as there are free frames for: copies, VLAN tags back
 * in their place, with metadata and the kernel's time. Returns their number.
 */
uint32_t af_packet_receive(struct af_packet *source, struct umem *umem, uint64_t hash_seed,
			   struct packet *pkts);

/* Packets that the filter steered, and for which the ring had no room; any thread. */
uint64_t af_packet_losses(struct af_packet *source);

/* Close and unmap; safe on what was opened half, and on zeroed memory. */
void af_packet_close(struct af_packet *source);

#endif
