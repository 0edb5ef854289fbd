/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/af_packet.h"
#include "steering/counter.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* 8 MiB for each worker: 4,000 full frames of Ethernet. A block is what is handed over at once. */
#define AF_PACKET_BLOCK_BYTES (256U << 10)
#define AF_PACKET_BLOCKS      32

#define AF_PACKET_TAG_BYTES 4
#define AF_PACKET_MACS      12 /* bytes in front of a VLAN tag */

#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif

/* Where the kernel and this process meet in a block. */
static inline struct tpacket_hdr_v1 *block_header(const struct af_packet *source)
{
	uint8_t *block = source->ring + (size_t)source->block * source->block_bytes;

	return &((struct tpacket_block_desc *)(void *)block)->hdr.bh1;
}

static int af_packet_make_ring(struct af_packet *source)
{
	struct tpacket_req3 request = {
		.tp_block_size = AF_PACKET_BLOCK_BYTES,
		.tp_block_nr = AF_PACKET_BLOCKS,
		.tp_frame_size = 2048, /* of no meaning here, but it must divide the block */
		.tp_frame_nr = AF_PACKET_BLOCK_BYTES / 2048 * AF_PACKET_BLOCKS,
		.tp_retire_blk_tov = AF_PACKET_RETIRE_MS,
	};
	void *ring;

	if (setsockopt(source->fd, SOL_PACKET, PACKET_VERSION, &(int){TPACKET_V3}, sizeof(int)) ||
	    setsockopt(source->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)))
		return -errno;
	ring = mmap(NULL, (size_t)AF_PACKET_BLOCK_BYTES * AF_PACKET_BLOCKS, PROT_READ | PROT_WRITE,
		    MAP_SHARED, source->fd, 0);
	if (ring == MAP_FAILED)
		return -errno;
	source->ring = ring;
	source->block_bytes = AF_PACKET_BLOCK_BYTES;
	source->block_cnt = AF_PACKET_BLOCKS;
	return 0;
}

int af_packet_open(struct af_packet *source, const char *interface_name, struct xfq_error *error)
{
	int code;

	*source = (struct af_packet){0};
	/* protocol 0: nothing comes before the socket is bound */
	source->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (source->fd < 0) {
		code = -errno;
		source->fd = 0;
		if (code == -EPERM)
			return xfq_error_set(error, code,
					     "%s: a packet socket is not permitted; run as root, "
					     "or with CAP_NET_RAW",
					     interface_name);
		return xfq_error_set(error, code, "%s: packet socket: %s", interface_name,
				     strerror(-code));
	}
	af_packet_stop(source);
	/* what the host sends is not looked at; older kernels leave that to the filter */
	(void)setsockopt(source->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &(int){1}, sizeof(int));
	code = af_packet_make_ring(source);
	if (code)
		return xfq_error_set(
			error, code, "%s: a ring of %u MiB for a packet socket: %s", interface_name,
			AF_PACKET_BLOCK_BYTES / 1024 * AF_PACKET_BLOCKS / 1024, strerror(-code));
	if (first_pass_notes_create(&source->notes))
		return xfq_error_set(error, -ENOMEM, "%s: no memory for the notes of fragments",
				     interface_name);
	return 0;
}

/* The first socket of an interface has the kernel choose a number that no other group has. By
 * hash: its flow dissector, asked for a symmetric hash, stops at the header of a fragment, before
 * the ports of a first one, so that the fragments of a datagram are never apart. Nothing is put
 * together before (PACKET_FANOUT_FLAG_DEFRAG), and no socket stands in for a full one
 * (PACKET_FANOUT_FLAG_ROLLOVER). */
static int af_packet_fan(struct af_packet *source, uint32_t *group)
{
	uint32_t wanted = (PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_UNIQUEID |
			   PACKET_FANOUT_FLAG_IGNORE_OUTGOING)
			  << 16;
	socklen_t len = sizeof(*group);

	if (*group)
		return setsockopt(source->fd, SOL_PACKET, PACKET_FANOUT, group, len) ? -errno : 0;
	if (setsockopt(source->fd, SOL_PACKET, PACKET_FANOUT, &wanted, sizeof(wanted))) {
		wanted = (PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_UNIQUEID) << 16;
		if (setsockopt(source->fd, SOL_PACKET, PACKET_FANOUT, &wanted, sizeof(wanted)))
			return -errno;
	}
	return getsockopt(source->fd, SOL_PACKET, PACKET_FANOUT, group, &len) ? -errno : 0;
}

int af_packet_join(struct af_packet *source, const char *interface_name, uint32_t ifindex,
		   bool alone, uint32_t *group, struct xfq_error *error)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)ifindex,
	};
	int code = 0;

	if (bind(source->fd, (const struct sockaddr *)(const void *)&address, sizeof(address)))
		code = -errno;
	if (code == 0 && !alone)
		code = af_packet_fan(source, group);
	if (code)
		return xfq_error_set(error, code, "%s: binding a packet socket: %s", interface_name,
				     strerror(-code));
	return 0;
}

void af_packet_stop(struct af_packet *source)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog program = {.len = 1, .filter = &nothing};

	(void)setsockopt(source->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* --- receiving -------------------------------------------------------------------------------- */

static void af_packet_release(struct af_packet *source)
{
	/* pairs with the kernel's read of the status before it writes into the block */
	__atomic_store_n(&block_header(source)->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	source->block = (source->block + 1) % source->block_cnt;
	source->left = 0;
}

/* The next packet of the ring; NULL where there is none now. */
static const struct tpacket3_hdr *af_packet_peek(struct af_packet *source)
{
	const struct tpacket_hdr_v1 *block;
	const struct tpacket3_hdr *packet;

	while (source->left == 0) {
		block = block_header(source);
		/* pairs with the kernel's write barrier before it hands the block over */
		if (!(__atomic_load_n(&block->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			return NULL;
		source->left = block->num_pkts;
		source->at = block->offset_to_first_pkt;
		if (source->left == 0)
			af_packet_release(source);
	}
	packet = (const void *)(source->ring + (size_t)source->block * source->block_bytes +
				source->at);
	if (source->at + sizeof(*packet) <= source->block_bytes &&
	    (uint64_t)source->at + packet->tp_mac + packet->tp_snaplen <= source->block_bytes)
		return packet;
	counter_add(&source->broken, 1);
	af_packet_release(source);
	return NULL;
}

static void af_packet_advance(struct af_packet *source, const struct tpacket3_hdr *packet)
{
	if (--source->left == 0) {
		af_packet_release(source);
	} else if (packet->tp_next_offset > source->block_bytes - source->at) {
		counter_add(&source->broken, 1);
		af_packet_release(source);
	} else {
		source->at += packet->tp_next_offset;
	}
}

/* Copy a packet to `to`, with the tag that the kernel keeps beside it; the bytes that there are
 * now, at most `room`. */
static uint32_t af_packet_copy(const struct tpacket3_hdr *packet, uint8_t *to, uint32_t room)
{
	const uint8_t *from = (const uint8_t *)packet + packet->tp_mac;
	uint32_t len = packet->tp_snaplen;
	uint16_t tpid = ETH_P_8021Q;

	if (!(packet->tp_status & TP_STATUS_VLAN_VALID) || len < AF_PACKET_MACS) {
		len = len < room ? len : room;
		memcpy(to, from, len);
		return len;
	}
	if (packet->tp_status & TP_STATUS_VLAN_TPID_VALID)
		tpid = packet->hv1.tp_vlan_tpid;
	len = len < room - AF_PACKET_TAG_BYTES ? len : room - AF_PACKET_TAG_BYTES;
	memcpy(to, from, AF_PACKET_MACS);
	to[12] = (uint8_t)(tpid >> 8);
	to[13] = (uint8_t)tpid;
	to[14] = (uint8_t)(packet->hv1.tp_vlan_tci >> 8);
	to[15] = (uint8_t)packet->hv1.tp_vlan_tci;
	memcpy(to + AF_PACKET_MACS + AF_PACKET_TAG_BYTES, from + AF_PACKET_MACS,
	       len - AF_PACKET_MACS);
	return len + AF_PACKET_TAG_BYTES;
}

uint32_t af_packet_receive(struct af_packet *source, struct umem *umem, uint64_t hash_seed,
			   struct packet *pkts)
{
	uint32_t room = umem_packet_max(umem->frame_size);
	uint32_t max = umem->frames.free_cnt, cnt = 0;
	const struct tpacket3_hdr *from;

	if (max > PACKET_BURST)
		max = PACKET_BURST;
	while (cnt < max && (from = af_packet_peek(source))) {
		struct packet *pkt = &pkts[cnt++];
		uint32_t wire_len = from->tp_len;
		uint64_t now_ns;

		pkt->frame = frame_take(&umem->frames);
		pkt->data =
			umem->base + ((uint64_t)pkt->frame << umem->frame_shift) + UMEM_HEADROOM;
		pkt->meta = (struct xfq_meta *)(void *)(pkt->data - XFQ_META_BYTES);
		pkt->len = af_packet_copy(from, pkt->data, room);
		if (from->tp_status & TP_STATUS_VLAN_VALID && from->tp_snaplen >= AF_PACKET_MACS)
			wire_len += AF_PACKET_TAG_BYTES;
		if (wire_len < pkt->len)
			wire_len = pkt->len;
		if (wire_len > pkt->len)
			counter_add(&source->cut, 1);
		now_ns = (uint64_t)from->tp_sec * 1000000000ULL + from->tp_nsec;
		first_pass_parse_following(hash_seed, &source->notes, now_ns, pkt->data, pkt->len,
					   wire_len, pkt->meta);
		pkt->meta->magic = XFQ_META_CHECKED;
		pkt->meta->ts_ns = now_ns;
		af_packet_advance(source, from);
	}
	return cnt;
}

uint64_t af_packet_losses(struct af_packet *source)
{
	struct tpacket_stats_v3 stats = {0};
	socklen_t len = sizeof(stats);

	/* the kernel forgets what it has told: whoever asks adds it up */
	if (getsockopt(source->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len))
		stats.tp_drops = 0;
	return __atomic_add_fetch(&source->dropped, stats.tp_drops, __ATOMIC_RELAXED);
}

void af_packet_close(struct af_packet *source)
{
	if (source->ring)
		munmap(source->ring, (size_t)source->block_bytes * source->block_cnt);
	if (source->fd > 0)
		close(source->fd);
	first_pass_notes_destroy(&source->notes);
	memset(source, 0, sizeof(*source));
}
