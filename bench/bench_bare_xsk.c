/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The yardstick: the least an AF_XDP program can do with a packet, which is to receive it in bursts
 * of 64, look at its first bytes and give the frame back, as xdpsock's rxdrop does. See README.md.
 */
#include "bare.skel.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xdp/xsk.h>

#define BARE_BURST       64
#define BARE_FRAMES      4096u /* all this and the ring sizes as xdpsock has them */
#define BARE_FRAME_BYTES 4096u
#define BARE_RX_SLOTS    2048u

struct bare {
	const char *ifname;
	uint32_t queue;
	void *frames; /* MAP_FAILED: none */
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion;
	struct xsk_ring_cons rx;
	struct bare_bpf *program;
	struct bpf_link *link;
	uint64_t received;
	uint64_t touched; /* sum of first bytes: the compiler must read them */
};

static volatile sig_atomic_t bare_stop;

static void bare_signal(int number)
{
	(void)number;
	bare_stop = 1;
}

/* Say which step failed; returns `err`. */
static int bare_fail(const struct bare *bare, const char *step, int err)
{
	fprintf(stderr, "bench_bare_xsk: %s queue %u: %s: %s\n", bare->ifname, bare->queue, step,
		strerror(-err));
	return err;
}

/* Make the UMEM and the socket on it, and give the kernel all frames. */
static int bare_open(struct bare *bare)
{
	const struct xsk_umem_config umem = {.fill_size = BARE_FRAMES,
					     .comp_size = BARE_RX_SLOTS,
					     .frame_size = BARE_FRAME_BYTES};
	const struct xsk_socket_config config = {.rx_size = BARE_RX_SLOTS,
						 .libxdp_flags =
							 XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
						 .bind_flags = XDP_USE_NEED_WAKEUP};
	uint32_t slot;
	int err;

	bare->frames = mmap(NULL, (size_t)BARE_FRAMES * BARE_FRAME_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (bare->frames == MAP_FAILED)
		return bare_fail(bare, "memory for frames", -errno);
	err = xsk_umem__create(&bare->umem, bare->frames, (uint64_t)BARE_FRAMES * BARE_FRAME_BYTES,
			       &bare->fill, &bare->completion, &umem);
	if (err)
		return bare_fail(bare, "UMEM", err);
	err = xsk_socket__create(&bare->socket, bare->ifname, bare->queue, bare->umem, &bare->rx,
				 NULL, &config);
	if (err)
		return bare_fail(bare, "AF_XDP socket", err);
	if (xsk_ring_prod__reserve(&bare->fill, BARE_FRAMES, &slot) != BARE_FRAMES)
		return bare_fail(bare, "fill ring", -ENOSPC);
	for (uint32_t i = 0; i < BARE_FRAMES; i++)
		*xsk_ring_prod__fill_addr(&bare->fill, slot++) = (uint64_t)i * BARE_FRAME_BYTES;
	xsk_ring_prod__submit(&bare->fill, BARE_FRAMES);
	return 0;
}

/* Load the XDP program and attach it; from then on packets come. */
static int bare_attach(struct bare *bare)
{
	int fd = xsk_socket__fd(bare->socket), err;

	bare->program = bare_bpf__open_and_load();
	if (!bare->program)
		return bare_fail(bare, "load the XDP program", -errno);
	err = bpf_map__update_elem(bare->program->maps.xsks, &bare->queue, sizeof(bare->queue), &fd,
				   sizeof(fd), BPF_ANY);
	if (err)
		return bare_fail(bare, "XSKMAP", err);
	bare->link = bpf_program__attach_xdp(bare->program->progs.bare,
					     (int)if_nametoindex(bare->ifname));
	if (!bare->link)
		return bare_fail(bare, "attach the XDP program", -errno);
	return 0;
}

/* Undo bare_open() and bare_attach(), however far they got. */
static void bare_close(struct bare *bare)
{
	bpf_link__destroy(bare->link);
	bare_bpf__destroy(bare->program);
	xsk_socket__delete(bare->socket);
	if (bare->umem)
		xsk_umem__delete(bare->umem);
	if (bare->frames != MAP_FAILED)
		munmap(bare->frames, (size_t)BARE_FRAMES * BARE_FRAME_BYTES);
}

/* Wake the kernel if it waits for frames. */
static void bare_wake(struct bare *bare)
{
	if (xsk_ring_prod__needs_wakeup(&bare->fill))
		recvfrom(xsk_socket__fd(bare->socket), NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

static void bare_receive(struct bare *bare)
{
	while (!bare_stop) {
		uint32_t rx_slot, fill_slot = 0, touched = 0;
		uint32_t cnt = xsk_ring_cons__peek(&bare->rx, BARE_BURST, &rx_slot);

		if (!cnt) {
			bare_wake(bare);
			continue;
		}
		/* as many slots as frames, but the kernel returns a slot after its packet */
		while (xsk_ring_prod__reserve(&bare->fill, cnt, &fill_slot) != cnt)
			bare_wake(bare);
		for (uint32_t i = 0; i < cnt; i++) {
			const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&bare->rx, rx_slot++);
			const uint8_t *packet = xsk_umem__get_data(bare->frames, desc->addr);

			touched += packet[0] + packet[13];
			*xsk_ring_prod__fill_addr(&bare->fill, fill_slot++) =
				desc->addr & ~(uint64_t)(BARE_FRAME_BYTES - 1);
		}
		xsk_ring_prod__submit(&bare->fill, cnt);
		xsk_ring_cons__release(&bare->rx, cnt);
		bare->touched += touched;
		bare->received += cnt;
	}
}

static int bare_print(const struct bare *bare, double seconds)
{
	int fd = xsk_socket__fd(bare->socket);
	struct xdp_statistics statistics = {0};
	struct xdp_options options = {0};
	socklen_t len = sizeof(statistics);

	if (getsockopt(fd, SOL_XDP, XDP_STATISTICS, &statistics, &len))
		return bare_fail(bare, "XDP_STATISTICS", -errno);
	len = sizeof(options);
	if (getsockopt(fd, SOL_XDP, XDP_OPTIONS, &options, &len))
		return bare_fail(bare, "XDP_OPTIONS", -errno);
	printf("{\"program\": \"bench_bare_xsk\", \"device\": \"%s\", \"queue\": %u, "
	       "\"zero_copy\": %s, \"received\": %llu, \"rx_dropped\": %llu, "
	       "\"rx_ring_full\": %llu, \"fill_ring_empty\": %llu, \"seconds\": %.4f, "
	       "\"touched\": %llu}\n",
	       bare->ifname, bare->queue, options.flags & XDP_OPTIONS_ZEROCOPY ? "true" : "false",
	       (unsigned long long)bare->received, (unsigned long long)statistics.rx_dropped,
	       (unsigned long long)statistics.rx_ring_full,
	       (unsigned long long)statistics.rx_fill_ring_empty_descs, seconds,
	       (unsigned long long)bare->touched);
	return 0;
}

static double bare_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct sigaction action = {.sa_handler = bare_signal};
	struct bare bare = {.frames = MAP_FAILED};
	unsigned int seconds;
	double start;
	int err;

	if (argc != 4 || (seconds = (unsigned int)strtoul(argv[3], NULL, 10)) == 0) {
		fputs("usage: bench_bare_xsk IFACE QUEUE SECONDS\n"
		      "Receives from one queue over AF_XDP and drops; prints one row.\n",
		      stderr);
		return 2;
	}
	bare.ifname = argv[1];
	bare.queue = (uint32_t)strtoul(argv[2], NULL, 10);
	/* only kernels before 5.11 need it, and not every root may */
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	err = bare_open(&bare);
	if (!err)
		err = bare_attach(&bare);
	if (!err) {
		alarm(seconds);
		start = bare_now();
		bare_receive(&bare);
		err = bare_print(&bare, bare_now() - start);
	}
	bare_close(&bare);
	return err ? 1 : 0;
}
