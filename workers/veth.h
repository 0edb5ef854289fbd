/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual Ethernet pairs, by rtnetlink and ethtool: what a mirror needs of them. All calls are
 * about the network namespace of the calling thread, and return 0 or -errno.
 */
#ifndef WORKERS_VETH_H
#define WORKERS_VETH_H

#include <stdint.h>

struct veth_request {
	const char *name; /* of this end; it gets the index `ifindex` */
	uint32_t ifindex;
	const char *peer_name; /* of the other end, with %d for a number */
	int peer_netns;        /* descriptor of the namespace of the other end */
	uint32_t mtu;
	uint32_t queue_cnt;
};

int veth_create(const struct veth_request *request);

/* The index of the other end. */
int veth_peer(uint32_t ifindex, uint32_t *peer);

/* Packets that a device was to send and did not. */
int veth_tx_dropped(uint32_t ifindex, uint64_t *dropped);

/* Switch off every feature that can be: packets leave this end as they are on a wire. */
int veth_plain(const char *name);

/* Switch a device on. */
int veth_up(const char *name);

#endif
