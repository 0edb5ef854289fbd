/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/topology.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IRQ_NAME_BYTES 64

int topology_open(hwloc_topology_t *topology, struct xfq_error *error)
{
	int err;

	*topology = NULL;
	if (hwloc_topology_init(topology) != 0)
		return xfq_error_set(error, -ENOMEM, "no memory for the machine's topology");
	if (hwloc_topology_load(*topology) == 0)
		return 0;
	err = errno ? errno : EINVAL;
	topology_close(*topology);
	*topology = NULL;
	return xfq_error_set(error, -err,
			     "hwloc cannot read the machine's topology: %s; if HWLOC_SYNTHETIC or "
			     "HWLOC_XMLFILE is set, check what it says",
			     strerror(err));
}

void topology_close(hwloc_topology_t topology)
{
	if (topology)
		hwloc_topology_destroy(topology);
}

/* The number that a file holds alone on its only line; PLACEMENT_UNKNOWN for anything else. */
__attribute__((format(printf, 1, 2))) static int32_t file_number(const char *format, ...)
{
	char path[PATH_MAX], text[32] = "", *end;
	va_list args;
	FILE *file;
	long number;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	file = fopen(path, "re");
	if (!file)
		return PLACEMENT_UNKNOWN;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || (*end && *end != '\n') || number < 0 || number > INT32_MAX)
		return PLACEMENT_UNKNOWN;
	return (int32_t)number;
}

/* The last column of an interrupt's row in /proc/interrupts; empty where there is none. */
static void irq_name(const char *root, uint32_t irq, char *name)
{
	char path[PATH_MAX], *line = NULL, *end;
	size_t line_bytes = 0;
	FILE *file;

	name[0] = '\0';
	snprintf(path, sizeof(path), "%s/proc/interrupts", root);
	file = fopen(path, "re");
	if (!file)
		return;
	while (getline(&line, &line_bytes, file) > 0) {
		if (strtoul(line, &end, 10) != irq || end == line || *end != ':')
			continue;
		end += strcspn(end, "\n");
		while (end > line && isspace((unsigned char)end[-1]))
			end--;
		*end = '\0';
		end = strrchr(line, ' ');
		if (end)
			snprintf(name, IRQ_NAME_BYTES, "%s", end + 1);
		break;
	}
	free(line);
	fclose(file);
}

/* The queue that an IRQ of this name receives for, or -1. */
static int64_t irq_queue(const char *name, const char *interface)
{
	static const char *const others[] = {"output", "config", "control", "ctrl",
					     "async",  "event",  "mgm",     "misc",
					     "fdir",   "ptp",    "admin",   "cmd"};
	const char *own = strstr(name, interface);
	char text[IRQ_NAME_BYTES];
	size_t len, digits;

	/* without the interface's own number: "eth0" alone is no queue 0, "eth0-3" is queue 3 */
	snprintf(text, sizeof(text), "%s", own ? own + strlen(interface) : name);
	text[strcspn(text, "@")] = '\0';
	for (uint32_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (strcasestr(text, others[i]))
			return -1;
	}
	if (strcasestr(text, "tx") && !strcasestr(text, "rx"))
		return -1;
	len = strlen(text);
	for (digits = 0; digits < len && isdigit((unsigned char)text[len - digits - 1]); digits++)
		;
	if (digits == 0 || digits > 6)
		return -1;
	return strtol(text + len - digits, NULL, 10);
}

static int32_t irq_cpu(const char *root, uint32_t irq)
{
	int32_t cpu = file_number("%s/proc/irq/%u/effective_affinity_list", root, irq);

	if (cpu < 0)
		cpu = file_number("%s/proc/irq/%u/smp_affinity_list", root, irq);
	return cpu;
}

/* Read the IRQs of one device; returns how many it has. */
static uint32_t hint_irqs(const char *root, const char *device, const char *interface,
			  struct placement_hint *hints, uint32_t queue_cnt)
{
	char path[PATH_MAX], name[IRQ_NAME_BYTES];
	struct dirent *entry;
	uint32_t irq_cnt = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/msi_irqs", device);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		char *end;
		unsigned long irq = strtoul(entry->d_name, &end, 10);
		int64_t queue;

		if (end == entry->d_name || *end || irq > INT32_MAX)
			continue;
		irq_cnt++;
		irq_name(root, (uint32_t)irq, name);
		queue = irq_queue(name, interface);
		if (queue >= 0 && queue < queue_cnt)
			hints[queue].irq_cpu = irq_cpu(root, (uint32_t)irq);
	}
	closedir(dir);
	return irq_cnt;
}

void topology_hints(const char *root, const char *interface, struct placement_hint *hints,
		    uint32_t queue_cnt)
{
	unsigned ifindex = if_nametoindex(interface);
	char device[PATH_MAX / 2], parent[PATH_MAX / 2];
	int32_t node;

	for (uint32_t i = 0; i < queue_cnt; i++)
		hints[i] = (struct placement_hint){PLACEMENT_UNKNOWN, PLACEMENT_UNKNOWN};
	if (ifindex == 0 || ifindex > INT32_MAX ||
	    file_number("%s/sys/class/net/%s/ifindex", root, interface) != (int32_t)ifindex)
		return;
	snprintf(device, sizeof(device), "%s/sys/class/net/%s/device", root, interface);
	/* `device` is a link, which the kernel follows before it goes up */
	snprintf(parent, sizeof(parent), "%s/sys/class/net/%s/device/..", root, interface);
	node = file_number("%s/numa_node", device);
	if (node < 0)
		node = file_number("%s/numa_node", parent);
	for (uint32_t i = 0; i < queue_cnt; i++)
		hints[i].node = node;
	if (hint_irqs(root, device, interface, hints, queue_cnt) == 0)
		hint_irqs(root, parent, interface, hints, queue_cnt);
}
