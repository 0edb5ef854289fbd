/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/replay.h"
#include <string.h>

uint32_t replay_receive(struct replay *replay, struct umem *umem, uint32_t max, struct packet *pkts)
{
	struct capture_packet from;
	struct judge_result result;
	struct xfq_meta meta;
	uint32_t cnt = 0;

	while (cnt < max && !replay->ended) {
		struct packet *pkt = &pkts[cnt];

		if (capture_next(&replay->capture, &from, &replay->error) <= 0 ||
		    judge_packet(&replay->judge, &from, &meta, &result, &replay->error)) {
			replay->ended = true;
			break;
		}
		if (result.pass.action != XDP_VERDICT_STEER)
			continue;
		pkt->frame = frame_take(&umem->frames);
		pkt->data =
			umem->base + ((uint64_t)pkt->frame << umem->frame_shift) + UMEM_HEADROOM;
		pkt->meta = (struct xfq_meta *)(void *)(pkt->data - XFQ_META_BYTES);
		pkt->len = from.len;
		memcpy(pkt->data, from.data, from.len);
		meta.magic = XFQ_META_CHECKED;
		meta.ts_ns = from.ts_ns;
		*pkt->meta = meta;
		cnt++;
	}
	return cnt;
}
