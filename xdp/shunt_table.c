/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/shunt_table.h"

int shunt_table_create(struct shunt_table *table, uint32_t max)
{
	int code;

	*table = (struct shunt_table){0};
	code = lru_create(&table->flows, max, sizeof(struct xdp_flow_key),
			  sizeof(struct xdp_shunt));
	if (code == 0)
		pthread_mutex_init(&table->lock, NULL);
	return code;
}

void shunt_table_destroy(struct shunt_table *table)
{
	if (!table->flows.entries)
		return;
	lru_destroy(&table->flows);
	pthread_mutex_destroy(&table->lock);
}

uint64_t shunt_table_now(const struct shunt_table *table)
{
	return __atomic_load_n(&table->now_ns, __ATOMIC_RELAXED);
}

/* The same as shunt_find() of shunt.bpf.h. */
static enum shunt_action shunt_table_find(struct shunt_table *table,
					  const struct xdp_judged *judged)
{
	struct xdp_flow_key key;
	struct xdp_shunt *entry;

	if (!flow_key_make(&key, &judged->meta, &judged->key))
		return SHUNT_NONE;
	entry = lru_find(&table->flows, &key);
	if (!entry)
		return SHUNT_NONE;
	/* it was put in before there was a time */
	if (entry->relative) {
		entry->expires_ns += judged->now_ns;
		entry->relative = 0;
	}
	if (shunt_expired(entry, judged->now_ns))
		return SHUNT_NONE;
	entry->packets++;
	if (entry->most && entry->packets > entry->most)
		return SHUNT_NONE;
	entry->bytes += judged->meta.wire_len;
	entry->seen_ns = judged->now_ns;
	return (enum shunt_action)entry->action;
}

enum shunt_action shunt_table_look(struct shunt_table *table, const struct xdp_judged *judged)
{
	enum shunt_action action;

	if (__atomic_load_n(&table->used, __ATOMIC_RELAXED) == 0)
		return SHUNT_NONE;
	pthread_mutex_lock(&table->lock);
	action = shunt_table_find(table, judged);
	pthread_mutex_unlock(&table->lock);
	return action;
}

static void shunt_table_unlock(struct shunt_table *table)
{
	__atomic_store_n(&table->used, table->flows.cnt, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&table->lock);
}

void shunt_table_put(struct shunt_table *table, const struct xdp_flow_key *key,
		     const struct xdp_shunt *entry)
{
	struct xdp_shunt *to;

	pthread_mutex_lock(&table->lock);
	to = lru_put(&table->flows, key);
	*to = *entry;
	to->relative = entry->expires_ns && shunt_table_now(table) == 0;
	shunt_table_unlock(table);
}

bool shunt_table_take(struct shunt_table *table, const struct xdp_flow_key *key,
		      struct xdp_shunt *entry)
{
	const struct xdp_shunt *from;

	pthread_mutex_lock(&table->lock);
	from = lru_find(&table->flows, key);
	if (from) {
		*entry = *from;
		lru_delete(&table->flows, key);
	}
	shunt_table_unlock(table);
	return from != NULL;
}

void shunt_table_walk(struct shunt_table *table,
		      bool (*look)(const struct xdp_flow_key *key, const struct xdp_shunt *entry,
				   void *context),
		      void *context)
{
	const struct xdp_shunt *entry;
	const void *key;
	uint32_t at;

	pthread_mutex_lock(&table->lock);
	at = table->flows.newest;
	while ((entry = lru_next(&table->flows, &at, &key)))
		if (!look(key, entry, context))
			lru_delete(&table->flows, key);
	shunt_table_unlock(table);
}
