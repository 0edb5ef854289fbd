/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/port.h"
#include "steering/counter.h"
#include "xdp/first_pass.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

/* A completion ring must exist, though nothing is sent. */
#define PORT_COMPLETION_SLOTS 64

/* The kernel frees the queue of a closed socket some time after its owner has ended: a bind that is
 * refused because of that is tried again, for a second in all. */
#define PORT_BUSY_TRIES 20
#define PORT_BUSY_US    50000

/* Refill in chunks, so that the ring's indices are shared with the kernel's core less often. */
#define PORT_REFILL_MIN PACKET_BURST

static int port_register(struct port *port, const struct umem *umem, struct xfq_error *error)
{
	struct xsk_umem_config config = {
		.fill_size = PORT_RING_SLOTS,
		.comp_size = PORT_COMPLETION_SLOTS,
		.frame_size = umem->frame_size,
		.frame_headroom = 0,
	};
	int code = xsk_umem__create(&port->registered, umem->base, umem->shm.len, &port->fill,
				    &port->completion, &config);

	if (code == -EPERM || code == -EACCES)
		return xfq_error_set(error, code,
				     "AF_XDP: not permitted; run as root, or with CAP_NET_RAW");
	if (code == -ENOBUFS)
		return xfq_error_set(error, code,
				     "AF_XDP: the limit of locked memory is too low for %zu bytes "
				     "of packet memory; raise it (ulimit -l), or have CAP_IPC_LOCK",
				     umem->shm.len);
	if (code)
		return xfq_error_set(error, code,
				     "AF_XDP: registering %zu bytes of packet memory: %s",
				     umem->shm.len, strerror(-code));
	return 0;
}

static int port_bind(struct port *port, const struct port_options *options, struct xfq_error *error)
{
	struct xsk_socket_config config = {
		.rx_size = PORT_RING_SLOTS,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_USE_NEED_WAKEUP,
	};
	struct xdp_options got = {0};
	socklen_t got_len = sizeof(got);
	int code = -EBUSY;

	if (options->zero_copy)
		config.bind_flags |= XDP_ZEROCOPY;
	else if (options->generic)
		config.bind_flags |= XDP_COPY;
	for (uint32_t wait = 0; wait < PORT_BUSY_TRIES; wait++) {
		code = xsk_socket__create(&port->socket, options->interface_name, options->queue,
					  port->registered, &port->rx, NULL, &config);
		if (code != -EBUSY)
			break;
		usleep(PORT_BUSY_US);
	}
	if (code == -EBUSY)
		return xfq_error_set(error, code,
				     "%s: queue %u already has an AF_XDP socket; another program, "
				     "or another xfq, receives there",
				     options->interface_name, options->queue);
	if (code == -EOPNOTSUPP && options->zero_copy)
		return xfq_error_set(error, code,
				     "%s: the driver has no zero-copy AF_XDP; use mode: auto or "
				     "mode: native",
				     options->interface_name);
	if (code == -ENETDOWN)
		return xfq_error_set(error, code,
				     "%s: the interface is down; ip link set dev %s up",
				     options->interface_name, options->interface_name);
	if (code)
		return xfq_error_set(error, code, "%s: AF_XDP socket on queue %u: %s",
				     options->interface_name, options->queue, strerror(-code));
	port->fd = xsk_socket__fd(port->socket);
	if (getsockopt(port->fd, SOL_XDP, XDP_OPTIONS, &got, &got_len) == 0)
		port->zero_copy = got.flags & XDP_OPTIONS_ZEROCOPY;
	return 0;
}

int port_open(struct port *port, const struct umem *umem, const struct port_options *options,
	      struct xfq_error *error)
{
	int code = port_register(port, umem, error);

	port->interface = options->interface;
	port->queue = options->queue;
	/* from 3 on: 0 is none; and if there is none, fragments are hashed by their addresses */
	port->notes = fcntl(options->notes, F_DUPFD_CLOEXEC, 3);
	if (port->notes < 0)
		port->notes = 0;
	return code ? code : port_bind(port, options, error);
}

int port_open_packet(struct port *port, const struct port_options *options, struct xfq_error *error)
{
	int code = af_packet_open(&port->packet, options->interface_name, error);

	port->interface = options->interface;
	port->queue = options->queue;
	port->copies = true;
	port->fd = port->packet.fd;
	port_set_filter(port, options->filter);
	return code;
}

void port_set_filter(struct port *port, const struct filter *filter)
{
	/* where there is a program, its metadata says what becomes of them */
	if (port->copies)
		first_pass_notes_set(&port->packet.notes, filter);
}

void port_close(struct port *port)
{
	if (port->copies)
		af_packet_close(&port->packet);
	port->copies = false;
	if (port->notes)
		close(port->notes);
	port->notes = 0;
	if (port->socket)
		xsk_socket__delete(port->socket);
	if (port->registered)
		xsk_umem__delete(port->registered);
	port->socket = NULL;
	port->registered = NULL;
}

void port_abandon(struct port *port, struct umem *umem)
{
	/* nothing was taken out of the fill ring, which begins at 0 */
	frame_from_kernel(&umem->frames, port->fill_cnt);
	for (uint32_t i = 0; i < port->fill_cnt; i++) {
		uint64_t at = *xsk_ring_prod__fill_addr(&port->fill, i);

		frame_give(&umem->frames, (uint32_t)(at >> umem->frame_shift));
	}
	port_close(port);
	memset(port, 0, sizeof(*port));
}

/* Whether every offset that metadata from the kernel names lies in the packet, with the bytes that
 * steering reads there. */
static inline bool port_meta_valid(const struct xfq_meta *meta, uint32_t len)
{
	uint32_t l3_len = meta->flags & XFQ_META_IPV6 ? 40 : meta->flags & XFQ_META_IPV4 ? 20 : 0;

	return meta->magic == XFQ_META_RAW && meta->wire_len == len &&
	       meta->l3_off + l3_len <= len && meta->payload_off <= len &&
	       meta->l4_off + (meta->flags & XFQ_META_PORTS ? 4U : 0U) <= len;
}

uint32_t port_receive(struct port *port, struct umem *umem, uint64_t hash_seed, struct packet *pkts)
{
	uint32_t at = 0, cnt;

	if (port->copies)
		return af_packet_receive(&port->packet, umem, hash_seed, pkts);
	cnt = xsk_ring_cons__peek(&port->rx, PACKET_BURST, &at);

	for (uint32_t i = 0; i < cnt; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&port->rx, at + i);
		uint8_t *data = umem->base + desc->addr;

		pkts[i].data = data;
		pkts[i].meta = (struct xfq_meta *)(void *)(data - XFQ_META_BYTES);
		pkts[i].len = desc->len;
		pkts[i].frame = (uint32_t)(desc->addr >> umem->frame_shift);
		__builtin_prefetch(pkts[i].meta, 1);
		__builtin_prefetch(data);
	}
	if (cnt == 0)
		return 0;
	xsk_ring_cons__release(&port->rx, cnt);
	frame_from_kernel(&umem->frames, cnt);
	port->fill_cnt -= cnt;
	for (uint32_t i = 0; i < cnt; i++) {
		struct xfq_meta *meta = pkts[i].meta;

		if (__builtin_expect(!port_meta_valid(meta, pkts[i].len), 0)) {
			first_pass_parse_noted(hash_seed, port->notes ? port->notes : -1,
					       pkts[i].data, pkts[i].len, pkts[i].len, meta);
			counter_add(&port->reparsed, 1);
		}
		meta->magic = XFQ_META_CHECKED;
	}
	return cnt;
}

void port_refill(struct port *port, struct umem *umem)
{
	uint32_t want = PORT_RING_SLOTS - port->fill_cnt;
	uint32_t at = 0;

	if (port->copies || port_is_gone(port))
		return;
	if (want > umem->frames.free_cnt)
		want = umem->frames.free_cnt;
	if (want >= PORT_REFILL_MIN && xsk_ring_prod__reserve(&port->fill, want, &at) == want) {
		for (uint32_t i = 0; i < want; i++)
			*xsk_ring_prod__fill_addr(&port->fill, at + i) =
				(uint64_t)frame_take(&umem->frames) << umem->frame_shift;
		xsk_ring_prod__submit(&port->fill, want);
		frame_to_kernel(&umem->frames, want);
		port->fill_cnt += want;
	}
	if (xsk_ring_prod__needs_wakeup(&port->fill))
		recvfrom(port->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

void port_failed(struct port *port)
{
	socklen_t len = sizeof(int);

	/* of a packet socket that is told once, and it goes on when the interface does */
	if (port->copies && getsockopt(port->fd, SOL_SOCKET, SO_ERROR, &(int){0}, &len) == 0)
		return;
	port_set_gone(port);
}

int port_losses(struct port *port, struct port_losses *losses)
{
	struct xdp_statistics stats = {0};
	socklen_t len = sizeof(stats);

	memset(losses, 0, sizeof(*losses));
	if (port->copies) {
		losses->rx_dropped = af_packet_losses(&port->packet);
		losses->cut = counter_read(&port->packet.cut);
		return 0;
	}
	if (getsockopt(port->fd, SOL_XDP, XDP_STATISTICS, &stats, &len))
		return -errno;
	losses->rx_dropped = stats.rx_dropped;
	losses->rx_ring_full = stats.rx_ring_full;
	losses->fill_empty = stats.rx_fill_ring_empty_descs;
	return 0;
}
