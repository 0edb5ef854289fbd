/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frames of one UMEM: who owns each, and the census.
 *
 *	          frame_take              frame_to_kernel
 *	  free ----------------> worker ------------------> kernel
 *	   ^                      |  ^                        |
 *	   |  frame_give          |  +------------------------+
 *	   +----------------------+     frame_from_kernel
 *	   |                      | frame_settle, while rings hold references
 *	   |  frame_drop, last    v
 *	   +-------------------- held
 *
 * The table is the worker's private memory; no member can reach it. One reference stands for one
 * slot of one ring. At every moment free + worker + kernel + held + tx == total.
 *
 * Thread: the worker's only. Memory is given by the caller; nothing is allocated.
 */
#ifndef STEERING_FRAME_H
#define STEERING_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_NONE UINT32_MAX

struct frame_table {
	uint32_t *free; /* a stack: the frame given last is taken first, still warm in the cache */
	uint16_t *refs; /* rings that hold the frame */
	uint32_t total;
	/* census, in frames; transmission has none yet */
	uint32_t free_cnt, worker_cnt, kernel_cnt, held_cnt, tx_cnt;
};

/* All `total` frames free. `free` and `refs` hold total elements and stay the caller's. */
static inline void frame_init(struct frame_table *table, uint32_t *free, uint16_t *refs,
			      uint32_t total)
{
	*table = (struct frame_table){.free = free, .refs = refs, .total = total};
	for (uint32_t i = 0; i < total; i++) {
		free[i] = total - 1 - i;
		refs[i] = 0;
	}
	table->free_cnt = total;
}

/* A free frame for the worker; FRAME_NONE if there is none. */
static inline uint32_t frame_take(struct frame_table *table)
{
	if (table->free_cnt == 0)
		return FRAME_NONE;
	table->worker_cnt++;
	return table->free[--table->free_cnt];
}

/* The worker's frame is free again. */
static inline void frame_give(struct frame_table *table, uint32_t frame)
{
	table->worker_cnt--;
	table->free[table->free_cnt++] = frame;
}

/* `cnt` of the worker's frames went into a fill ring. */
static inline void frame_to_kernel(struct frame_table *table, uint32_t cnt)
{
	table->worker_cnt -= cnt;
	table->kernel_cnt += cnt;
}

/* `cnt` frames came out of a receive ring. */
static inline void frame_from_kernel(struct frame_table *table, uint32_t cnt)
{
	table->kernel_cnt -= cnt;
	table->worker_cnt += cnt;
}

/* One more ring holds the worker's frame. */
static inline void frame_hold(struct frame_table *table, uint32_t frame)
{
	table->refs[frame]++;
}

/* The worker is done with `cnt` frames, which rings hold. */
static inline void frame_settle_held(struct frame_table *table, uint32_t cnt)
{
	table->worker_cnt -= cnt;
	table->held_cnt += cnt;
}

/* The worker is done with a frame: held while rings hold it, else free. */
static inline void frame_settle(struct frame_table *table, uint32_t frame)
{
	if (table->refs[frame])
		frame_settle_held(table, 1);
	else
		frame_give(table, frame);
}

/* One ring holds these settled frames no longer; the last one frees them. */
static inline void frame_drop(struct frame_table *table, const uint32_t *frames, uint32_t cnt)
{
	uint16_t *refs = table->refs;
	uint32_t *first = table->free + table->free_cnt, *free = first;
	uint32_t freed;

	for (uint32_t k = 0; k < cnt; k++)
		if (--refs[frames[k]] == 0)
			*free++ = frames[k];
	freed = (uint32_t)(free - first);
	table->free_cnt += freed;
	table->held_cnt -= freed;
}

/* Whether the census adds up. */
static inline bool frame_census_holds(const struct frame_table *table)
{
	return (uint64_t)table->free_cnt + table->worker_cnt + table->kernel_cnt + table->held_cnt +
		       table->tx_cnt ==
	       table->total;
}

#endif
