/* SPDX-License-Identifier: BSD-2-Clause */
/* The placement policy on machines that exist only as text, and the hints from a made-up /sys. */
#include "workers/placement.h"
#include "workers/topology.h"
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define U          PLACEMENT_UNKNOWN
#define WORKER_MAX 18
#define LIST_MAX   8

/* CPU numbers as Linux gives them: all first siblings, then all second ones. */
#define TWO_SOCKETS "pack:2 [numa] l3:1 core:4 pu:2(indexes=2*8:1*2)"
/* Two nodes in each package: node n has CPUs 2n and 2n + 1. */
#define FOUR_NODES "pack:2 l3:2 [numa] core:2 pu:1"

struct row {
	const char *name;
	const char *machine;
	const char *allowed;                     /* NULL: all CPUs */
	struct placement_hint hints[WORKER_MAX]; /* given: hint_cnt */
	uint32_t hint_cnt;
	uint16_t cpus[LIST_MAX]; /* given: cpu_cnt; 0: automatic */
	uint32_t cpu_cnt;
	uint32_t worker_cnt;
	struct placement expected[WORKER_MAX];
};

static const struct row rows[] = {
	{.name = "one core takes every worker, and that is said",
	 .machine = "core:1 pu:1",
	 .worker_cnt = 3,
	 .expected = {{0, 0, true}, {0, 0, true}, {0, 0, true}}},
	{.name = "two cores, one worker: CPU 0 is left to the kernel",
	 .machine = "core:2 pu:1",
	 .worker_cnt = 1,
	 .expected = {{1, 0, false}}},
	{.name = "two cores, two workers: CPU 0 last",
	 .machine = "core:2 pu:1",
	 .worker_cnt = 2,
	 .expected = {{1, 0, false}, {0, 0, false}}},
	{.name = "two cores, IRQ on the second: keeping off it weighs more than CPU 0",
	 .machine = "core:2 pu:1",
	 .hints = {{0, 1}},
	 .hint_cnt = 1,
	 .worker_cnt = 1,
	 .expected = {{0, 0, false}}},
	{.name = "as many IRQs as CPUs: each worker on its own IRQ's CPU",
	 .machine = "core:2 pu:1",
	 .hints = {{U, 0}, {U, 1}},
	 .hint_cnt = 2,
	 .worker_cnt = 2,
	 .expected = {{0, 0, false}, {1, 0, false}}},
	{.name = "three workers on two cores: the doubled one is flagged, the other is not",
	 .machine = "core:2 pu:1",
	 .worker_cnt = 3,
	 .expected = {{1, 0, true}, {0, 0, false}, {1, 0, true}}},

	{.name = "a worker per core of the interface's node",
	 .machine = TWO_SOCKETS,
	 .hints = {{1, U}, {1, U}, {1, U}, {1, U}},
	 .hint_cnt = 4,
	 .worker_cnt = 4,
	 .expected = {{4, 1, false}, {5, 1, false}, {6, 1, false}, {7, 1, false}}},
	{.name = "the first core last, its sibling before CPU 0, and before other siblings",
	 .machine = TWO_SOCKETS,
	 .hints = {{0, U}, {0, U}, {0, U}, {0, U}, {0, U}, {0, U}},
	 .hint_cnt = 6,
	 .worker_cnt = 6,
	 .expected = {{1, 0, false},
		      {2, 0, false},
		      {3, 0, false},
		      {8, 0, false},
		      {9, 0, false},
		      {10, 0, false}}},
	{.name = "more workers than the node has CPUs spill to the other node",
	 .machine = TWO_SOCKETS,
	 .hints = {{1, U}, {1, U}, {1, U}, {1, U}, {1, U}, {1, U}, {1, U}, {1, U}, {1, U}, {1, U}},
	 .hint_cnt = 10,
	 .worker_cnt = 10,
	 .expected = {{4, 1, false},
		      {5, 1, false},
		      {6, 1, false},
		      {7, 1, false},
		      {12, 1, false},
		      {13, 1, false},
		      {14, 1, false},
		      {15, 1, false},
		      {1, 0, false},
		      {2, 0, false}}},
	{.name = "more workers than CPUs double up on cores of their own, from the home node on",
	 .machine = TWO_SOCKETS,
	 .worker_cnt = 18,
	 .expected = {{1, 0, true},
		      {2, 0, true},
		      {3, 0, false},
		      {8, 0, false},
		      {9, 0, false},
		      {10, 0, false},
		      {11, 0, false},
		      {0, 0, false},
		      {4, 1, false},
		      {5, 1, false},
		      {6, 1, false},
		      {7, 1, false},
		      {12, 1, false},
		      {13, 1, false},
		      {14, 1, false},
		      {15, 1, false},
		      {1, 0, true},
		      {2, 0, true}}},
	{.name = "two IRQs: the cores of the node without one",
	 .machine = TWO_SOCKETS,
	 .hints = {{1, 4}, {1, 5}},
	 .hint_cnt = 2,
	 .worker_cnt = 2,
	 .expected = {{6, 1, false}, {7, 1, false}}},
	{.name = "an IRQ on every core: the sibling of the own one",
	 .machine = TWO_SOCKETS,
	 .hints = {{1, 7}, {1, 6}, {1, 5}, {1, 4}},
	 .hint_cnt = 4,
	 .worker_cnt = 4,
	 .expected = {{15, 1, false}, {14, 1, false}, {13, 1, false}, {12, 1, false}}},
	{.name = "an IRQ on every core but one: the free core first, then the own sibling",
	 .machine = TWO_SOCKETS,
	 .hints = {{1, 4}, {1, 5}, {1, 6}},
	 .hint_cnt = 3,
	 .worker_cnt = 3,
	 .expected = {{7, 1, false}, {13, 1, false}, {14, 1, false}}},
	{.name = "no node known: the IRQ's; nothing known: the first node",
	 .machine = TWO_SOCKETS,
	 .hints = {{U, 5}},
	 .hint_cnt = 1,
	 .worker_cnt = 2,
	 .expected = {{4, 1, false}, {1, 0, false}}},
	{.name = "hints that this machine does not have are no hints",
	 .machine = TWO_SOCKETS,
	 .hints = {{9, 99}},
	 .hint_cnt = 1,
	 .worker_cnt = 1,
	 .expected = {{1, 0, false}}},
	{.name = "a cpuset without CPU 0 and with half of one core",
	 .machine = TWO_SOCKETS,
	 .allowed = "2,3,10",
	 .hints = {{0, U}, {0, U}, {0, U}, {0, U}},
	 .hint_cnt = 4,
	 .worker_cnt = 4,
	 .expected = {{2, 0, false}, {3, 0, true}, {10, 0, false}, {3, 0, true}}},
	{.name = "a cpuset that leaves the interface's node nothing",
	 .machine = TWO_SOCKETS,
	 .allowed = "4-5",
	 .hints = {{0, 0}, {0, 1}},
	 .hint_cnt = 2,
	 .worker_cnt = 2,
	 .expected = {{4, 1, false}, {5, 1, false}}},

	{.name = "two nodes in each package: spill to the neighbour in the package first",
	 .machine = FOUR_NODES,
	 .hints = {{3, U}, {3, U}, {3, U}, {3, U}, {3, U}, {3, U}, {3, U}, {3, U}},
	 .hint_cnt = 8,
	 .worker_cnt = 8,
	 .expected = {{6, 3, false},
		      {7, 3, false},
		      {4, 2, false},
		      {5, 2, false},
		      {1, 0, false},
		      {0, 0, false},
		      {2, 1, false},
		      {3, 1, false}}},
	{.name = "queues of interfaces on different nodes",
	 .machine = FOUR_NODES,
	 .hints = {{2, U}, {1, U}, {2, U}, {1, U}},
	 .hint_cnt = 4,
	 .worker_cnt = 4,
	 .expected = {{4, 2, false}, {2, 1, false}, {5, 2, false}, {3, 1, false}}},
	{.name = "one node over two packages: the CPU that shares the IRQ's last-level cache",
	 .machine = "[numa] pack:2 l3:1 core:3 pu:1",
	 .hints = {{0, 4}, {0, 4}, {0, 4}},
	 .hint_cnt = 3,
	 .worker_cnt = 3,
	 .expected = {{3, 0, false}, {5, 0, false}, {1, 0, false}}},
	{.name = "memory of two kinds in a package: the ordinary one is the worker's",
	 .machine = "pack:2 [numa] [numa] core:2 pu:1",
	 .hints = {{3, U}, {3, U}},
	 .hint_cnt = 2,
	 .worker_cnt = 2,
	 .expected = {{2, 2, false}, {3, 2, false}}},
	{.name = "no cores in the topology: each CPU is one",
	 .machine = "numa:2 pu:2",
	 .hints = {{1, 2}},
	 .hint_cnt = 1,
	 .worker_cnt = 2,
	 .expected = {{3, 1, false}, {1, 0, false}}},

	{.name = "a configured list is taken in its order",
	 .machine = TWO_SOCKETS,
	 .hints = {{0, U}, {0, U}},
	 .hint_cnt = 2,
	 .cpus = {12, 0, 3},
	 .cpu_cnt = 3,
	 .worker_cnt = 2,
	 .expected = {{12, 1, false}, {0, 0, false}}},
	{.name = "a configured list that is too short is begun again",
	 .machine = TWO_SOCKETS,
	 .cpus = {5, 1},
	 .cpu_cnt = 2,
	 .worker_cnt = 3,
	 .expected = {{5, 1, true}, {1, 0, false}, {5, 1, true}}},
};

static hwloc_topology_t machine_create(const char *synthetic, const char *allowed)
{
	hwloc_bitmap_t set = hwloc_bitmap_alloc();
	hwloc_topology_t topology;

	assert_int_equal(hwloc_topology_init(&topology), 0);
	assert_int_equal(hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED),
			 0);
	assert_int_equal(hwloc_topology_set_synthetic(topology, synthetic), 0);
	assert_int_equal(hwloc_topology_load(topology), 0);
	if (allowed) {
		hwloc_bitmap_list_sscanf(set, allowed);
		assert_int_equal(hwloc_topology_allow(topology, set, NULL, HWLOC_ALLOW_FLAG_CUSTOM),
				 0);
	}
	hwloc_bitmap_free(set);
	return topology;
}

static void check_row(hwloc_topology_t topology, const struct row *row)
{
	const struct placement_request request = {
		.worker_cnt = row->worker_cnt,
		.hints = row->hints,
		.hint_cnt = row->hint_cnt,
		.cpus = row->cpu_cnt ? row->cpus : NULL,
		.cpu_cnt = row->cpu_cnt,
	};
	struct placement plan[WORKER_MAX];
	struct xfq_error error = {0};

	assert_int_equal(placement_plan(topology, &request, plan, &error), 0);
	for (uint32_t i = 0; i < row->worker_cnt; i++) {
		const struct placement *expected = &row->expected[i];

		if (plan[i].cpu != expected->cpu || plan[i].node != expected->node ||
		    plan[i].shared != expected->shared)
			fail_msg("%s: worker %u: CPU %d node %d shared %d, expected %d %d %d",
				 row->name, i, plan[i].cpu, plan[i].node, plan[i].shared,
				 expected->cpu, expected->node, expected->shared);
	}
}

static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		hwloc_topology_t topology = machine_create(rows[i].machine, rows[i].allowed);

		check_row(topology, &rows[i]);
		check_row(topology, &rows[i]); /* nothing of the first plan is left */
		hwloc_topology_destroy(topology);
	}
}

/* A cpuset that hwloc has already taken out of the topology. */
static void test_restricted(void **state)
{
	static const struct row row = {
		.name = "restricted",
		.hints = {{1, 5}, {1, 6}},
		.hint_cnt = 2,
		.worker_cnt = 2,
		.expected = {{13, 1, false}, {14, 1, false}},
	};
	hwloc_topology_t topology = machine_create(TWO_SOCKETS, NULL);
	hwloc_bitmap_t set = hwloc_bitmap_alloc();

	(void)state;
	hwloc_bitmap_list_sscanf(set, "5,6,13,14");
	assert_int_equal(hwloc_topology_restrict(topology, set, 0), 0);
	check_row(topology, &row);
	hwloc_bitmap_free(set);
	hwloc_topology_destroy(topology);
}

/* Where the machine tells its latencies, they decide what is near, and not the packages. */
static void test_distances(void **state)
{
	static const struct row row = {
		.name = "distances",
		.hints = {{3, U}, {3, U}, {3, U}, {3, U}, {3, U}, {3, U}, {3, U}},
		.hint_cnt = 7,
		.worker_cnt = 7,
		.expected = {{6, 3, false},
			     {7, 3, false},
			     {2, 1, false},
			     {3, 1, false},
			     {1, 0, false},
			     {0, 0, false},
			     {4, 2, false}},
	};
	hwloc_uint64_t latency[16] = {10, 20, 30, 20, 20, 10, 20, 12,
				      30, 20, 10, 40, 20, 12, 40, 10};
	hwloc_topology_t topology = machine_create(FOUR_NODES, NULL);
	hwloc_distances_add_handle_t handle;
	hwloc_obj_t nodes[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		nodes[i] = hwloc_get_numanode_obj_by_os_index(topology, i);
	handle = hwloc_distances_add_create(
		topology, "latency",
		HWLOC_DISTANCES_KIND_FROM_USER | HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0);
	assert_non_null(handle);
	assert_int_equal(hwloc_distances_add_values(topology, handle, 4, nodes, latency, 0), 0);
	assert_int_equal(hwloc_distances_add_commit(topology, handle, 0), 0);
	check_row(topology, &row);
	hwloc_topology_destroy(topology);
}

static void check_refused(const struct placement_request *request, const char *allowed,
			  const char *sentence)
{
	hwloc_topology_t topology = machine_create(TWO_SOCKETS, allowed);
	struct placement plan[WORKER_MAX];
	struct xfq_error error = {0};

	assert_int_equal(placement_plan(topology, request, plan, &error), -EINVAL);
	assert_int_equal(error.code, -EINVAL);
	assert_string_equal(error.text, sentence);
	assert_int_equal(placement_plan(topology, request, plan, NULL), -EINVAL);
	hwloc_topology_destroy(topology);
}

static void test_refused(void **state)
{
	static const uint16_t cpus[] = {1, 2, 16};
	static const struct placement_request beyond = {
		.worker_cnt = 1, .cpus = cpus, .cpu_cnt = 3};
	static const struct placement_request outside = {
		.worker_cnt = 3, .cpus = cpus, .cpu_cnt = 2};
	static const struct placement_request empty = {.worker_cnt = 1, .cpus = cpus};
	static const struct placement_request nobody = {.worker_cnt = 0};

	(void)state;
	check_refused(&beyond, NULL, "CPU 16 does not exist; use some of CPUs 0-15");
	check_refused(&outside, "0-1,3",
		      "CPU 2 is offline or not in this process's cpuset; use some of CPUs 0-1,3");
	check_refused(&empty, NULL, "the list of CPUs for the workers is empty");
	check_refused(&nobody, NULL, "there is no worker to place");
}

/* Whatever the hints: only allowed CPUs, none doubled while another is free. */
static void test_any_hints(void **state)
{
	static const char *const machines[] = {TWO_SOCKETS, FOUR_NODES, "core:3 pu:2",
					       "numa:3 l3:2 core:2 pu:4"};
	uint32_t random = 1;

	(void)state;
	for (uint32_t round = 0; round < 400; round++) {
		hwloc_topology_t topology = machine_create(machines[round % 4], NULL);
		uint32_t cpu_cnt = (uint32_t)hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
		struct placement_hint hints[64];
		struct placement plan[64];
		uint32_t worker_cnt = 1 + round % 64, users[64] = {0};
		struct placement_request request = {
			.worker_cnt = worker_cnt, .hints = hints, .hint_cnt = 1 + round % 63};

		for (uint32_t i = 0; i < 64; i++) {
			random = random * 1664525 + 1013904223;
			hints[i].node = (int32_t)(random >> 28) % 6 - 1;
			hints[i].irq_cpu = (int32_t)(random >> 16 & 0xff) % 20 - 1;
		}
		assert_int_equal(placement_plan(topology, &request, plan, NULL), 0);
		for (uint32_t i = 0; i < worker_cnt; i++) {
			assert_in_range(plan[i].cpu, 0, cpu_cnt - 1);
			assert_int_not_equal(plan[i].node, PLACEMENT_UNKNOWN);
			users[plan[i].cpu]++;
		}
		for (uint32_t i = 0; i < worker_cnt; i++)
			assert_int_equal(plan[i].shared, users[plan[i].cpu] > 1);
		for (uint32_t i = 0; i < cpu_cnt; i++)
			assert_in_range(users[i], worker_cnt / cpu_cnt,
					(worker_cnt + cpu_cnt - 1) / cpu_cnt);
		hwloc_topology_destroy(topology);
	}
}

static void test_environment(void **state)
{
	hwloc_topology_t topology;
	struct xfq_error error;

	(void)state;
	assert_int_equal(setenv("HWLOC_SYNTHETIC", "numa:2 core:3 pu:1", 1), 0);
	assert_int_equal(topology_open(&topology, &error), 0);
	assert_int_equal(hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU), 6);
	topology_close(topology);
	assert_int_equal(unsetenv("HWLOC_SYNTHETIC"), 0);
	assert_int_equal(topology_open(&topology, &error), 0);
	assert_true(hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU) > 0);
	topology_close(topology);
	topology_close(NULL);
}

static char tree[64];

/* Create a file, and the folders it needs, under the made-up root. */
static void tree_write(const char *path, const char *text)
{
	char full[PATH_MAX];
	FILE *file;

	snprintf(full, sizeof(full), "%s%s", tree, path);
	for (char *slash = strchr(full + strlen(tree) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int tree_create(void **state)
{
	(void)state;
	snprintf(tree, sizeof(tree), "/tmp/xfq-topology-XXXXXX");
	return mkdtemp(tree) ? 0 : -1;
}

static int tree_destroy(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", tree);
	return system(command);
}

static void check_hints(const struct placement_hint *expected, uint32_t cnt)
{
	struct placement_hint hints[8];

	memset(hints, 0x55, sizeof(hints));
	topology_hints(tree, "lo", hints, cnt);
	for (uint32_t i = 0; i < cnt; i++) {
		assert_int_equal(hints[i].node, expected[i].node);
		assert_int_equal(hints[i].irq_cpu, expected[i].irq_cpu);
	}
}

static const char interrupts[] =
	"           CPU0       CPU1\n"
	"  9:          0          0  IO-APIC   9-fasteoi   acpi\n"
	" 40:          1          2  PCI-MSIX-0000:03:00.0   0-edge      lo\n"
	" 41:          1          2  PCI-MSIX-0000:03:00.0   1-edge      lo-TxRx-0\n"
	" 42:          1          2  PCI-MSIX-0000:03:00.0   2-edge      drv-lo-TxRx-1\n"
	" 43:          1          2  PCI-MSIX-0000:03:00.0   3-edge      lo-tx-2\n"
	" 44:          1          2  PCI-MSIX-0000:03:00.0   4-edge      virtio2-input.2\n"
	" 45:          1          2  PCI-MSIX-0000:03:00.0   5-edge      virtio2-output.3\n"
	" 46:          1          2  PCI-MSIX-0000:03:00.0   6-edge      "
	"drv_comp3@pci:0000:03:00.0\n"
	" 47:          1          2  PCI-MSIX-0000:03:00.0   7-edge      "
	"drv_async0@pci:0000:03:00.0\n"
	" 48:          1          2  PCI-MSIX-0000:03:00.0   8-edge      lo-rx-7\n"
	"NMI:          0          0   Non-maskable interrupts\n";

static void write_interrupts(const char *folder)
{
	char path[128];

	tree_write("/proc/interrupts", interrupts);
	for (int irq = 40; irq <= 48; irq++) {
		snprintf(path, sizeof(path), "%s/msi_irqs/%d", folder, irq);
		tree_write(path, "msix\n");
	}
	tree_write("/proc/irq/40/effective_affinity_list", "9\n");
	tree_write("/proc/irq/41/effective_affinity_list", "5\n");
	tree_write("/proc/irq/41/smp_affinity_list", "0-7\n");
	tree_write("/proc/irq/42/smp_affinity_list", "6\n");
	tree_write("/proc/irq/43/effective_affinity_list", "9\n");
	tree_write("/proc/irq/44/effective_affinity_list", "2-3\n");
	tree_write("/proc/irq/45/effective_affinity_list", "9\n");
	tree_write("/proc/irq/46/effective_affinity_list", "12\n");
	tree_write("/proc/irq/47/effective_affinity_list", "9\n");
	tree_write("/proc/irq/48/effective_affinity_list", "9\n");
}

static void test_hints(void **state)
{
	static const struct placement_hint nothing[4] = {{U, U}, {U, U}, {U, U}, {U, U}};
	static const struct placement_hint node[4] = {{1, U}, {1, U}, {1, U}, {1, U}};
	static const struct placement_hint all[4] = {{1, 5}, {1, 6}, {1, U}, {1, 12}};
	char text[16];

	(void)state;
	if (if_nametoindex("lo") == 0) {
		print_message("skipped: this network namespace has no interface lo\n");
		skip();
	}
	check_hints(nothing, 4);
	tree_write("/sys/class/net/lo/device/numa_node", "1\n");
	write_interrupts("/sys/class/net/lo/device");
	check_hints(nothing, 4); /* no ifindex: another namespace's sysfs */
	tree_write("/sys/class/net/lo/ifindex", "77777\n");
	check_hints(nothing, 4);
	snprintf(text, sizeof(text), "%u\n", if_nametoindex("lo"));
	tree_write("/sys/class/net/lo/ifindex", text);
	check_hints(all, 4);
	check_hints(all, 2);
	tree_write("/proc/interrupts", "no table\n");
	check_hints(node, 4);
	tree_write("/sys/class/net/lo/device/numa_node", "-1\n");
	check_hints(nothing, 4);
}

/* As with virtio: the node and the IRQs are of the parent device. */
static void test_hints_of_parent(void **state)
{
	static const struct placement_hint all[4] = {{3, 5}, {3, 6}, {3, U}, {3, 12}};
	char text[16], link[128];

	(void)state;
	if (if_nametoindex("lo") == 0) {
		print_message("skipped: this network namespace has no interface lo\n");
		skip();
	}
	snprintf(text, sizeof(text), "%u\n", if_nametoindex("lo"));
	tree_write("/sys/class/net/lo/ifindex", text);
	tree_write("/sys/devices/pci0/virtio2/vendor", "0x1af4\n");
	tree_write("/sys/devices/pci0/numa_node", "3\n");
	write_interrupts("/sys/devices/pci0");
	snprintf(link, sizeof(link), "%s/sys/class/net/lo/device", tree);
	assert_int_equal(symlink("../../../devices/pci0/virtio2", link), 0);
	check_hints(all, 4);
}

/* The running system has no device behind lo. */
static void test_hints_of_loopback(void **state)
{
	struct placement_hint hint = {0, 0};

	(void)state;
	topology_hints("", "lo", &hint, 1);
	assert_int_equal(hint.node, PLACEMENT_UNKNOWN);
	assert_int_equal(hint.irq_cpu, PLACEMENT_UNKNOWN);
	topology_hints("", "no-such-iface", &hint, 1);
	assert_int_equal(hint.node, PLACEMENT_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_restricted),
		cmocka_unit_test(test_distances),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_any_hints),
		cmocka_unit_test(test_environment),
		cmocka_unit_test_setup_teardown(test_hints, tree_create, tree_destroy),
		cmocka_unit_test_setup_teardown(test_hints_of_parent, tree_create, tree_destroy),
		cmocka_unit_test(test_hints_of_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
