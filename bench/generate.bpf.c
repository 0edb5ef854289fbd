/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Writes the next packet of a map over the live frame and hands it to the program under test by a
 * tail call, so that one BPF_PROG_TEST_RUN injects many different packets. Runs on one CPU at a
 * time: its counters are plain globals, and user space zeroes them between two runs.
 */
#include "bench/generate.h"
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define GENERATE_STAMP_CNT 1024 /* packets between two looks at the clock */

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Packets to cycle through; 1: the frames already hold it, nothing is copied. */
const volatile __u32 packet_cnt = 1;

/* Bytes the frames come with: the longest packet's. */
const volatile __u32 frame_len = GENERATE_PACKET_BYTES_MAX;

/* Packets differ in their first GENERATE_HEAD_BYTES only: copied inline, 3 times as fast. */
const volatile __u32 heads_only = 1;

/* Whether each packet ends with a struct generate_mark, and the queue to be named there. */
const volatile __u32 numbered = 0;
const volatile __u32 queue = 0;

/* The device that packets leave through; 0: they come in, as the program under test. */
const volatile __u32 send_ifindex = 0;

__u64 injected_cnt; /* packets handed over in this run */
__u64 started_ns;   /* CLOCK_MONOTONIC of the first */
__u64 stamped_ns;   /* the same of the last that looked at the clock */
__u64 stamped_cnt;  /* injected_cnt then */

static __u32 next;
static __u64 sequence; /* of the packets of this turn: all flows take turns */

/* What is cycled through: one of the two has packet_cnt entries, the other is not used. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct generate_packet);
} packets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct generate_head);
} heads SEC(".maps");

/* Slot 0: the program under test. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

/* Both write packet `key` over the frame and return its length, or 0. */
static __always_inline __u32 generate_head(struct xdp_md *ctx, __u32 key)
{
	const struct generate_head *head = bpf_map_lookup_elem(&heads, &key);
	__u64 *data = (__u64 *)(long)ctx->data;

	if (!head || (void *)(data + GENERATE_HEAD_WORDS) > (void *)(long)ctx->data_end)
		return 0;
	for (int i = 0; i < GENERATE_HEAD_WORDS; i++)
		data[i] = head->data[i];
	return head->len;
}

static __always_inline __u32 generate_whole(struct xdp_md *ctx, __u32 key)
{
	struct generate_packet *packet = bpf_map_lookup_elem(&packets, &key);
	__u32 len;

	if (!packet)
		return 0;
	len = packet->len;
	if (len < GENERATE_PACKET_BYTES_MIN || len > GENERATE_PACKET_BYTES_MAX)
		return 0;
	return bpf_xdp_store_bytes(ctx, 0, packet->data, len) ? 0 : len;
}

/* Write the packet's number over the last bytes of its `len`. */
static __always_inline int generate_number(struct xdp_md *ctx, __u32 key, __u32 len)
{
	struct generate_mark mark = {
		.magic = GENERATE_MARK_MAGIC,
		.queue = (__u16)queue,
		.flow = key,
		.sequence = sequence,
	};

	return (int)bpf_xdp_store_bytes(ctx, len - sizeof(mark), &mark, sizeof(mark));
}

/* Make the frame the next packet. */
static __always_inline int generate_write(struct xdp_md *ctx)
{
	__u32 key = next, len = frame_len;
	int err = 0;

	next = key + 1 < packet_cnt ? key + 1 : 0;
	if (packet_cnt > 1)
		len = heads_only ? generate_head(ctx, key) : generate_whole(ctx, key);
	if (len < GENERATE_PACKET_BYTES_MIN || len > frame_len)
		return -1;
	if (numbered)
		err = generate_number(ctx, key, len);
	sequence += next == 0;
	if (!err && len < frame_len)
		err = (int)bpf_xdp_adjust_tail(ctx, (int)len - (int)frame_len);
	return err;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	if ((packet_cnt > 1 || numbered) && generate_write(ctx))
		return XDP_ABORTED;
	if (injected_cnt % GENERATE_STAMP_CNT == 0) {
		stamped_ns = bpf_ktime_get_ns();
		stamped_cnt = injected_cnt;
		if (injected_cnt == 0)
			started_ns = stamped_ns;
	}
	injected_cnt++;
	if (send_ifindex)
		return (int)bpf_redirect(send_ifindex, 0);
	bpf_tail_call(ctx, &target, 0);
	injected_cnt--; /* nobody took it */
	return XDP_ABORTED;
}
