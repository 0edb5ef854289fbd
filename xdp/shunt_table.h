/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shunt table of the first pass in user space: what the map shunt_flows is to the program in
 * the kernel. The thread that judges packets looks them up, another one may change the table: a
 * lock, that is taken only while there are entries. Its clock is that of the packets.
 */
#ifndef XDP_SHUNT_TABLE_H
#define XDP_SHUNT_TABLE_H

#include "xdp/lru.h"
#include "xdp/shunt_abi.h"
#include "xdp/xdp_abi.h"
#include <pthread.h>
#include <stdbool.h>

struct shunt_table {
	struct lru flows;
	pthread_mutex_t lock;
	uint32_t used;   /* entries; read without the lock */
	uint64_t now_ns; /* of the newest packet; 0: none has come */
};

/* 0 or -ENOMEM. The caller owes a shunt_table_destroy(). */
int shunt_table_create(struct shunt_table *table, uint32_t max);

/* What the table says of a packet; counted there. The thread that judges. */
enum shunt_action shunt_table_look(struct shunt_table *table, const struct xdp_judged *judged);

/* Any thread: put, take out (false: it was not there), walk. `look` says whether to keep. */
void shunt_table_put(struct shunt_table *table, const struct xdp_flow_key *key,
		     const struct xdp_shunt *entry);
bool shunt_table_take(struct shunt_table *table, const struct xdp_flow_key *key,
		      struct xdp_shunt *entry);
void shunt_table_walk(struct shunt_table *table,
		      bool (*look)(const struct xdp_flow_key *key, const struct xdp_shunt *entry,
				   void *context),
		      void *context);

/* What time it is, by the newest packet. The thread that judges. */
static inline void shunt_table_tick(struct shunt_table *table, uint64_t now_ns)
{
	__atomic_store_n(&table->now_ns, now_ns, __ATOMIC_RELAXED);
}

/* Any thread. */
uint64_t shunt_table_now(const struct shunt_table *table);

/* Nobody may be using it; safe on zeroed memory. */
void shunt_table_destroy(struct shunt_table *table);

#endif
