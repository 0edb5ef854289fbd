/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/shunt.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t shunt_now_ns(const struct shunt *shunt)
{
	struct timespec now;

	if (shunt->table)
		return shunt_table_now(shunt->table);
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

bool shunt_acts(const struct xdp_shunt *entry, uint64_t now_ns)
{
	return !shunt_expired(entry, now_ns) && (!entry->most || entry->packets < entry->most);
}

int shunt_make(struct xdp_shunt *entry, const struct xdp_flow_key *key,
	       const struct shunt_order *order, uint64_t now_ns, struct xfq_error *error)
{
	uint64_t end = now_ns + order->lifetime_ns;

	if (key->ip != 4 && key->ip != 6)
		return xfq_error_set(error, -EINVAL, "only flows of IP can be shunted");
	if (order->action != SHUNT_DROP && order->action != SHUNT_PASS)
		return xfq_error_set(error, -EINVAL, "a flow is shunted by drop or pass");
	*entry = (struct xdp_shunt){
		.most = order->packets,
		.action = order->action,
	};
	if (order->lifetime_ns)
		entry->expires_ns = end < now_ns ? UINT64_MAX : end;
	return 0;
}

/* Tell the program whether there is anything to be looked up. */
static int shunt_set_used(const struct shunt *shunt, uint32_t used)
{
	__u32 zero = 0;

	return bpf_map_update_elem(shunt->state_fd, &zero, &used, BPF_ANY) ? -errno : 0;
}

int shunt_add(const struct shunt *shunt, const struct xdp_flow_key *key,
	      const struct shunt_order *order, uint64_t now_ns, struct xfq_error *error)
{
	struct xdp_shunt entry;
	int code = shunt_make(&entry, key, order, now_ns, error);

	if (code)
		return code;
	if (shunt->table) {
		shunt_table_put(shunt->table, key, &entry);
		return 0;
	}
	/* before it is there: the program may look in vain, but never misses it */
	code = shunt_set_used(shunt, 1);
	if (code == 0 && bpf_map_update_elem(shunt->flows_fd, key, &entry, BPF_ANY))
		code = -errno;
	return code ? xfq_error_set(error, code, "shunting a flow: %s", strerror(-code)) : 0;
}

/* Entries that are read at once; more than any bucket of the map has, or the kernel refuses. */
#define SHUNT_BATCH 1024

struct shunt_batch {
	struct xdp_flow_key keys[SHUNT_BATCH];
	struct xdp_shunt entries[SHUNT_BATCH];
};

/* Call `look` with every entry; those that it does not want to keep are deleted. In batches, bucket
 * by bucket: a walk from key to key begins anew when the program takes out the one it is at. */
static int shunt_walk_map(const struct shunt *shunt,
			  bool (*look)(const struct xdp_flow_key *key,
				       const struct xdp_shunt *entry, void *context),
			  void *context)
{
	struct shunt_batch *batch = malloc(sizeof(*batch));
	uint64_t place = 0; /* what the kernel keeps here is 32 bits */
	bool begun = false;
	int code = batch ? 0 : -ENOMEM;

	while (code == 0) {
		__u32 cnt = SHUNT_BATCH;

		code = bpf_map_lookup_batch(shunt->flows_fd, begun ? &place : NULL, &place,
					    batch->keys, batch->entries, &cnt, NULL);
		if (code && code != -ENOENT)
			break;
		for (__u32 i = 0; i < cnt; i++)
			if (!look(&batch->keys[i], &batch->entries[i], context))
				bpf_map_delete_elem(shunt->flows_fd, &batch->keys[i]);
		begun = true;
	}
	free(batch);
	return code == -ENOENT ? 0 : code;
}

static int shunt_walk(const struct shunt *shunt,
		      bool (*look)(const struct xdp_flow_key *key, const struct xdp_shunt *entry,
				   void *context),
		      void *context)
{
	if (!shunt->table)
		return shunt_walk_map(shunt, look, context);
	shunt_table_walk(shunt->table, look, context);
	return 0;
}

struct shunt_sweeping {
	uint64_t now_ns;
	uint32_t cnt;
};

static bool shunt_sweep_one(const struct xdp_flow_key *key, const struct xdp_shunt *entry,
			    void *context)
{
	struct shunt_sweeping *sweeping = context;

	(void)key;
	if (!shunt_acts(entry, sweeping->now_ns))
		return false;
	sweeping->cnt++;
	return true;
}

uint32_t shunt_sweep(const struct shunt *shunt, uint64_t now_ns)
{
	struct shunt_sweeping sweeping = {.now_ns = now_ns};

	if (shunt_walk(shunt, shunt_sweep_one, &sweeping) == 0 && sweeping.cnt == 0 &&
	    !shunt->table)
		shunt_set_used(shunt, 0);
	return sweeping.cnt;
}

int shunt_del(const struct shunt *shunt, const struct xdp_flow_key *key, uint64_t now_ns,
	      struct xfq_error *error)
{
	struct xdp_shunt entry = {0};
	bool there;

	if (shunt->table) {
		there = shunt_table_take(shunt->table, key, &entry);
	} else {
		there = bpf_map_lookup_elem(shunt->flows_fd, key, &entry) == 0;
		bpf_map_delete_elem(shunt->flows_fd, key);
	}
	shunt_sweep(shunt, now_ns);
	return there && shunt_acts(&entry, now_ns)
		       ? 0
		       : xfq_error_set(error, -ENOENT, "the flow is not shunted");
}

struct shunt_reading {
	uint64_t now_ns;
	struct shunt_flow *flows;
	uint32_t cnt, room;
	bool failed;
};

static bool shunt_read_one(const struct xdp_flow_key *key, const struct xdp_shunt *entry,
			   void *context)
{
	struct shunt_reading *reading = context;
	struct shunt_flow *to;

	if (!shunt_acts(entry, reading->now_ns))
		return false;
	if (reading->cnt == reading->room) {
		uint32_t room = reading->room ? reading->room * 2 : 64;

		to = reallocarray(reading->flows, room, sizeof(*to));
		if (!to) {
			reading->failed = true;
			return true;
		}
		reading->flows = to;
		reading->room = room;
	}
	reading->flows[reading->cnt++] = (struct shunt_flow){.key = *key, .entry = *entry};
	return true;
}

int shunt_read(const struct shunt *shunt, uint64_t now_ns, struct shunt_flow **flows, uint32_t *cnt,
	       struct xfq_error *error)
{
	struct shunt_reading reading = {.now_ns = now_ns};
	int code = shunt_walk(shunt, shunt_read_one, &reading);

	if (code == 0 && reading.failed)
		code = -ENOMEM;
	if (code) {
		free(reading.flows);
		reading = (struct shunt_reading){0};
		xfq_error_set(error, code, "reading the shunt table: %s", strerror(-code));
	} else if (reading.cnt == 0 && !shunt->table) {
		shunt_set_used(shunt, 0);
	}
	*flows = reading.flows;
	*cnt = reading.cnt;
	return code;
}

int shunt_copy(const struct shunt *to, const struct shunt *from, uint64_t now_ns)
{
	struct shunt_flow *flows;
	uint32_t cnt;
	int code = shunt_read(from, now_ns, &flows, &cnt, NULL);

	for (uint32_t i = 0; code == 0 && i < cnt; i++)
		if (bpf_map_update_elem(to->flows_fd, &flows[i].key, &flows[i].entry, BPF_ANY))
			code = -errno;
	free(flows);
	return code;
}
