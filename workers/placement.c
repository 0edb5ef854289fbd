/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/placement.h"
#include <errno.h>
#include <stdlib.h>

/* A CPU that may be used, with the objects it belongs to. */
struct placement_cpu {
	hwloc_obj_t core; /* the PU itself where the topology knows no cores */
	hwloc_obj_t llc;  /* outermost data cache; NULL: none known */
	hwloc_obj_t node; /* nearest NUMA node; NULL: none */
	int32_t index;    /* OS index */
	uint32_t worker_cnt;
	uint32_t core_worker_cnt; /* on all siblings, this one included */
	uint32_t irq_cnt;         /* queues whose IRQ this CPU takes */
	uint32_t core_irq_cnt;
};

struct placement_table {
	hwloc_topology_t topology;
	const struct placement_request *request;
	struct hwloc_distances_s *distances; /* between NUMA nodes; NULL: not known */
	struct placement_cpu *cpus;          /* by rising OS index */
	uint32_t cpu_cnt;
};

/* How good a CPU is for a worker: the rules of the header in their order, less is better. The last
 * rule is the order of the table. */
#define PLACEMENT_RULES 7
struct placement_cost {
	uint64_t rule[PLACEMENT_RULES];
};

static hwloc_obj_t obj_llc(hwloc_obj_t pu)
{
	hwloc_obj_t llc = NULL;

	for (hwloc_obj_t obj = pu->parent; obj; obj = obj->parent) {
		if (hwloc_obj_type_is_dcache(obj->type))
			llc = obj;
	}
	return llc;
}

/* The NUMA node with the smallest set of CPUs around this one; of equals (memory of several kinds)
 * the lowest OS index, which is the ordinary memory. */
static hwloc_obj_t obj_node(hwloc_topology_t topology, uint32_t cpu)
{
	hwloc_obj_t best = NULL, node = NULL;
	int best_weight = 0;

	while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node))) {
		int weight = hwloc_bitmap_weight(node->cpuset);

		if (!hwloc_bitmap_isset(node->cpuset, cpu))
			continue;
		if (!best || weight < best_weight ||
		    (weight == best_weight && node->os_index < best->os_index)) {
			best = node;
			best_weight = weight;
		}
	}
	return best;
}

static int cpu_compare(const void *key, const void *element)
{
	const int32_t *index = key;
	const struct placement_cpu *cpu = element;

	return (*index > cpu->index) - (*index < cpu->index);
}

static struct placement_cpu *table_cpu(const struct placement_table *table, int32_t index)
{
	return bsearch(&index, table->cpus, table->cpu_cnt, sizeof(*table->cpus), cpu_compare);
}

static void table_destroy(struct placement_table *table)
{
	if (table->distances)
		hwloc_distances_release(table->topology, table->distances);
	free(table->cpus);
}

static void table_fill(struct placement_table *table, hwloc_const_cpuset_t allowed)
{
	for (int index = hwloc_bitmap_first(allowed); index >= 0;
	     index = hwloc_bitmap_next(allowed, index)) {
		hwloc_obj_t pu = hwloc_get_pu_obj_by_os_index(table->topology, (unsigned)index);
		struct placement_cpu *cpu = &table->cpus[table->cpu_cnt];

		if (!pu)
			continue;
		cpu->index = index;
		cpu->core = hwloc_get_ancestor_obj_by_type(table->topology, HWLOC_OBJ_CORE, pu);
		if (!cpu->core)
			cpu->core = pu;
		cpu->llc = obj_llc(pu);
		cpu->node = obj_node(table->topology, (unsigned)index);
		table->cpu_cnt++;
	}
}

static void table_count_irqs(struct placement_table *table)
{
	for (uint32_t i = 0; i < table->request->hint_cnt; i++) {
		struct placement_cpu *irq = table_cpu(table, table->request->hints[i].irq_cpu);

		if (!irq)
			continue;
		irq->irq_cnt++;
		for (uint32_t j = 0; j < table->cpu_cnt; j++) {
			if (table->cpus[j].core == irq->core)
				table->cpus[j].core_irq_cnt++;
		}
	}
}

static int table_create(struct placement_table *table, hwloc_topology_t topology,
			const struct placement_request *request, struct xfq_error *error)
{
	hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(topology);
	unsigned distances_cnt = 1;

	*table = (struct placement_table){.topology = topology, .request = request};
	if (hwloc_distances_get_by_type(topology, HWLOC_OBJ_NUMANODE, &distances_cnt,
					&table->distances, HWLOC_DISTANCES_KIND_MEANS_LATENCY,
					0) != 0 ||
	    distances_cnt == 0)
		table->distances = NULL;
	table->cpus = calloc((size_t)hwloc_bitmap_weight(allowed) + 1, sizeof(*table->cpus));
	if (!table->cpus)
		return xfq_error_set(error, -ENOMEM, "no memory to place the workers");
	table_fill(table, allowed);
	if (table->cpu_cnt == 0)
		return xfq_error_set(error, -EINVAL,
				     "the topology has no CPU that this process may use");
	table_count_irqs(table);
	return 0;
}

static struct placement_hint request_hint(const struct placement_request *request, uint32_t worker)
{
	if (worker < request->hint_cnt)
		return request->hints[worker];
	return (struct placement_hint){PLACEMENT_UNKNOWN, PLACEMENT_UNKNOWN};
}

/* The worker's home node, as rule 2 says; NULL where the topology knows no nodes. */
static hwloc_obj_t table_home(const struct placement_table *table, struct placement_hint hint)
{
	const struct placement_cpu *irq = table_cpu(table, hint.irq_cpu);
	hwloc_obj_t home = NULL;

	if (hint.node >= 0)
		home = hwloc_get_numanode_obj_by_os_index(table->topology, (unsigned)hint.node);
	if (!home && irq)
		home = irq->node;
	if (home)
		return home;
	for (uint32_t i = 0; i < table->cpu_cnt; i++) {
		hwloc_obj_t node = table->cpus[i].node;

		if (!home || (node && node->os_index < home->os_index))
			home = node;
	}
	return home;
}

static hwloc_obj_t obj_above_memory(hwloc_obj_t obj)
{
	while (hwloc_obj_type_is_memory(obj->type))
		obj = obj->parent;
	return obj;
}

/* 0 for the same node, else above 0 and the less, the nearer. */
static uint64_t table_distance(const struct placement_table *table, hwloc_obj_t home,
			       hwloc_obj_t node)
{
	hwloc_uint64_t there = 0, back = 0;
	hwloc_obj_t common;

	if (!home || !node || home == node)
		return home == node ? 0 : UINT64_MAX;
	if (table->distances &&
	    hwloc_distances_obj_pair_values(table->distances, home, node, &there, &back) == 0)
		return there + 1;
	common = hwloc_get_common_ancestor_obj(table->topology, obj_above_memory(home),
					       obj_above_memory(node));
	return (uint64_t)(hwloc_topology_get_depth(table->topology) - common->depth) + 1;
}

/* Rule 4: from 0, no queue's IRQ on the core, to 4, another queue's IRQ on this very CPU. */
static uint32_t cpu_irq_load(const struct placement_cpu *cpu, const struct placement_cpu *own)
{
	if (cpu->irq_cnt)
		return cpu == own ? 3 : 4;
	if (cpu->core_irq_cnt)
		return own && own->core == cpu->core ? 1 : 2;
	return 0;
}

static struct placement_cost table_cost(const struct placement_table *table,
					const struct placement_cpu *cpu, hwloc_obj_t home,
					const struct placement_cpu *irq)
{
	const struct placement_cpu *zero = table_cpu(table, 0);
	struct placement_cost cost = {{0}};

	cost.rule[0] = cpu->worker_cnt;
	cost.rule[1] = table_distance(table, home, cpu->node);
	cost.rule[2] = cpu->node ? cpu->node->os_index : 0;
	cost.rule[3] = cpu->core_worker_cnt;
	cost.rule[4] = cpu_irq_load(cpu, irq);
	if (zero && zero->core == cpu->core)
		cost.rule[5] = cpu == zero ? 2 : 1;
	cost.rule[6] = irq && irq->llc && irq->llc != cpu->llc;
	return cost;
}

static bool cost_below(const struct placement_cost *a, const struct placement_cost *b)
{
	for (uint32_t i = 0; i < PLACEMENT_RULES; i++) {
		if (a->rule[i] != b->rule[i])
			return a->rule[i] < b->rule[i];
	}
	return false;
}

/* The CPU for the next worker. */
static struct placement_cpu *table_best(const struct placement_table *table,
					struct placement_hint hint)
{
	const struct placement_cpu *irq = table_cpu(table, hint.irq_cpu);
	hwloc_obj_t home = table_home(table, hint);
	struct placement_cost best_cost = {{0}};
	struct placement_cpu *best = NULL;

	for (uint32_t i = 0; i < table->cpu_cnt; i++) {
		struct placement_cost cost = table_cost(table, &table->cpus[i], home, irq);

		if (!best || cost_below(&cost, &best_cost)) {
			best = &table->cpus[i];
			best_cost = cost;
		}
	}
	return best;
}

static void table_take(struct placement_table *table, struct placement_cpu *cpu)
{
	cpu->worker_cnt++;
	for (uint32_t i = 0; i < table->cpu_cnt; i++) {
		if (table->cpus[i].core == cpu->core)
			table->cpus[i].core_worker_cnt++;
	}
}

static int refuse_cpu(const struct placement_table *table, uint16_t cpu, struct xfq_error *error)
{
	hwloc_const_cpuset_t complete = hwloc_topology_get_complete_cpuset(table->topology);
	hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(table->topology);
	char list[256];

	hwloc_bitmap_list_snprintf(list, sizeof(list), allowed);
	if (hwloc_bitmap_isset(complete, cpu))
		return xfq_error_set(error, -EINVAL,
				     "CPU %u is offline or not in this process's cpuset; use some "
				     "of CPUs %s",
				     cpu, list);
	return xfq_error_set(error, -EINVAL, "CPU %u does not exist; use some of CPUs %s", cpu,
			     list);
}

static int table_check_list(const struct placement_table *table, struct xfq_error *error)
{
	const struct placement_request *request = table->request;

	if (!request->cpus)
		return 0;
	if (request->cpu_cnt == 0)
		return xfq_error_set(error, -EINVAL, "the list of CPUs for the workers is empty");
	for (uint32_t i = 0; i < request->cpu_cnt; i++) {
		if (!table_cpu(table, request->cpus[i]))
			return refuse_cpu(table, request->cpus[i], error);
	}
	return 0;
}

int placement_plan(hwloc_topology_t topology, const struct placement_request *request,
		   struct placement *plan, struct xfq_error *error)
{
	struct placement_table table = {0};
	int err;

	if (request->worker_cnt == 0)
		return xfq_error_set(error, -EINVAL, "there is no worker to place");
	err = table_create(&table, topology, request, error);
	if (!err)
		err = table_check_list(&table, error);
	for (uint32_t i = 0; i < request->worker_cnt && !err; i++) {
		struct placement_cpu *cpu;

		if (request->cpus)
			cpu = table_cpu(&table, request->cpus[i % request->cpu_cnt]);
		else
			cpu = table_best(&table, request_hint(request, i));
		table_take(&table, cpu);
		plan[i].cpu = cpu->index;
		plan[i].node = cpu->node ? (int32_t)cpu->node->os_index : PLACEMENT_UNKNOWN;
	}
	for (uint32_t i = 0; i < request->worker_cnt && !err; i++)
		plan[i].shared = table_cpu(&table, plan[i].cpu)->worker_cnt > 1;
	table_destroy(&table);
	return err;
}
