/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture file as a source of packets: the first pass applies (judge.h), and what it steers is
 * copied into frames as if it had been received.
 *
 * Thread: the worker's; counters may be read by others once the worker has ended.
 */
#ifndef WORKERS_REPLAY_H
#define WORKERS_REPLAY_H

#include "steering/packet.h"
#include "workers/capture.h"
#include "workers/judge.h"
#include "workers/umem.h"
#include <stdbool.h>

struct replay {
	struct capture capture;
	struct judge judge;
	struct shunt_table shunt; /* judge.pass.shunt, where the filter has one */
	bool ended;               /* the whole file was read, or it broke */
	struct xfq_error error;   /* code is not 0: why it broke */
};

/*
 * Read on until `max` packets (at most PACKET_BURST) are to be steered, or the file ends: then
 * replay->ended is set. Needs `max` free frames. Returns how many packets there are in `pkts`,
 * whose frames are the worker's.
 */
uint32_t replay_receive(struct replay *replay, struct umem *umem, uint32_t max,
			struct packet *pkts);

#endif
