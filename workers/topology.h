/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine as placement_plan() wants to know it: its CPUs and memory nodes by hwloc, and which
 * node and IRQ CPUs an interface's queues belong to, by sysfs and procfs.
 */
#ifndef WORKERS_TOPOLOGY_H
#define WORKERS_TOPOLOGY_H

#include "workers/placement.h"
#include <hwloc.h>
#include <stdint.h>
#include <xfq/error.h>

/*
 * Load the topology of this machine, or the one that the environment names (HWLOC_SYNTHETIC,
 * HWLOC_XMLFILE: see hwloc(7)). CPUs that this process may not use are left out. Returns 0, or
 * -errno with a sentence. The caller owns the topology until topology_close(). Set-up only.
 */
int topology_open(hwloc_topology_t *topology, struct xfq_error *error);

/* Free a topology; NULL is allowed. */
void topology_close(hwloc_topology_t topology);

/*
 * Fill hints[0 ... queue_cnt - 1] with what the system tells of an interface's queues; what it does
 * not tell is PLACEMENT_UNKNOWN, and never an error, since a hint is only ever that.
 *
 * The node is that of the interface's device, or of the device's parent (a virtio device is the
 * child of the PCI device that has the node). A queue's IRQ is one of the device's, or its
 * parent's, MSI interrupts; which queue it serves is read from the name that the driver gave it in
 * /proc/interrupts: the number at its end, where the name does not say that it only sends or serves
 * no queue ("eth0-TxRx-3", "virtio2-input.0", "mlx5_comp7@pci:0000:03:00.0"). Its CPU is known
 * where the kernel delivers it to exactly one.
 *
 * A sysfs mounted in another network namespace shows that namespace's interfaces, maybe another one
 * of the same name: unless its ifindex is the one that this thread's namespace has for the name,
 * nothing is known.
 *
 * `root` stands before /sys and /proc: "" for the running system, a folder for tests. Set-up only;
 * any thread.
 */
void topology_hints(const char *root, const char *interface, struct placement_hint *hints,
		    uint32_t queue_cnt);

#endif
