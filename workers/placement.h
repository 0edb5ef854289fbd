/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which CPU each worker runs on: a pure function of the machine, the interface and the config.
 *
 * It reads nothing but its arguments, so that a synthetic hwloc topology tests it. The same
 * arguments give the same plan.
 *
 * Without a configured list, workers take a CPU one after the other, worker 0 first. Each takes the
 * CPU that is best by these rules, the first that tells two CPUs apart deciding:
 *
 *  1. Fewest workers on that CPU already. So a CPU is doubled up only when every CPU that may be
 *     used, on whatever node, has a worker.
 *  2. Nearest to the worker's home node: packets are written into memory of the interface's node,
 *     and reading them from another node costs more than anything below. Home is the interface's
 *     node; if that is not known, the node of the queue's IRQ CPU; else the lowest node that has
 *     CPUs. Other nodes follow by hwloc's latency matrix, or, without one, by how deep in the
 *     topology their common ancestor lies (same package before another), then by number.
 *  3. Fewest workers on the physical core: SMT siblings share its execution units and first caches,
 *     so they come after every core of the node has one worker.
 *  4. Off the CPUs that take interrupts: the softirq fills the ring that the worker empties, and on
 *     one CPU they take turns, which costs a context switch per burst. From good to bad: a core
 *     without a queue's IRQ; a sibling of the own queue's IRQ CPU, for the shared caches; a sibling
 *     of another's; the own IRQ CPU, where at least the packet's headers are still in its first
 *     cache; another queue's IRQ CPU. With as many IRQs as CPUs each worker thus sits on the CPU
 *     of its own IRQ.
 *  5. Not the core of CPU 0, and there CPU 0 itself last: the kernel's housekeeping runs on it.
 *  6. Shares the last-level cache with the own queue's IRQ CPU: the packet crosses in cache.
 *  7. Lowest number.
 *
 * Only CPUs of hwloc_topology_get_allowed_cpuset() are used: a cpuset cgroup or a container's share
 * is honoured.
 *
 * A configured list is taken as it is, in order, whatever the rules above say; if it is shorter
 * than the number of workers, it is begun again.
 */
#ifndef WORKERS_PLACEMENT_H
#define WORKERS_PLACEMENT_H

#include <hwloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

#define PLACEMENT_UNKNOWN (-1)

/* What is known of one receive queue. */
struct placement_hint {
	int32_t node;    /* OS index of the interface's NUMA node, or PLACEMENT_UNKNOWN */
	int32_t irq_cpu; /* OS index of the CPU that takes the queue's IRQ, or PLACEMENT_UNKNOWN */
};

struct placement_request {
	uint32_t worker_cnt;
	const struct placement_hint *hints; /* of queue i, which is worker i's */
	uint32_t hint_cnt;                  /* workers from there on: nothing known */
	const uint16_t *cpus;               /* configured, OS indices; NULL: chosen here */
	uint32_t cpu_cnt;
};

/* One worker's place. */
struct placement {
	int32_t cpu;  /* OS index of the logical CPU */
	int32_t node; /* OS index of the NUMA node nearest to it, or PLACEMENT_UNKNOWN */
	bool shared;  /* another worker has the same CPU: worth a warning */
};

/*
 * Fill plan[0 ... worker_cnt - 1]. A hint that names a node or CPU outside of the topology counts
 * as not known. Returns 0; -EINVAL with a sentence where there is no worker, or a configured CPU
 * does not exist or may not be used, which the sentence names with the CPUs there are; -ENOMEM. On
 * an error the plan is not to be read. Set-up only; any thread, if none changes the topology.
 */
int placement_plan(hwloc_topology_t topology, const struct placement_request *request,
		   struct placement *plan, struct xfq_error *error);

#endif
