/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XDP program in the kernel: load, attach, its maps, its counters.
 *
 *	loader_load     program and sets go into the kernel; nothing is attached
 *	loader_socket   a queue's AF_XDP socket goes into the XSKMAP
 *	loader_attach   the program sees an interface's packets from here on
 *	loader_detach   and from here on none; its counters stay readable
 *	loader_destroy
 *
 * Attachment is a bpf_link: it ends with the process that owns it, however that ends. One thread.
 */
#ifndef XDP_LOADER_H
#define XDP_LOADER_H

#include "xdp/netset.h"
#include "xdp/xdp_abi.h"
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

struct first_pass_bpf;
struct bpf_link;

/* Where a program runs. */
enum loader_mode {
	LOADER_MODE_NONE = 0, /* not attached */
	LOADER_MODE_NATIVE,   /* in the driver */
	LOADER_MODE_GENERIC   /* in the stack, after the driver has built an skb */
};

struct loader {
	struct first_pass_bpf *skeleton;
	uint32_t interface_cnt;
	uint32_t ifindex[XDP_INTERFACES_MAX];
	int link[XDP_INTERFACES_MAX]; /* fd of the bpf_link, or -1 */
};

/* What loader_load() builds from; all of it the caller's and needed only during the call. */
struct loader_options {
	const struct xdp_policy *policy;
	const struct netset *const *sets; /* sealed */
	uint32_t set_cnt;
	uint32_t packet_max;     /* longer packets are passed instead of steered; 0: no limit */
	const uint32_t *ifindex; /* of the interfaces it will be attached to; may be none */
	uint32_t interface_cnt;
};

/* Whether an interface, called `name` in messages, has no XDP program yet: 0, or -EBUSY with a
 * sentence that names the program. Before any set-up; loader_attach() asks again. */
int loader_is_free(uint32_t ifindex, const char *name, struct xfq_error *error);

/*
 * Load program and sets. 0, or -errno with a sentence: -EPERM without the privileges (CAP_BPF and
 * CAP_NET_ADMIN), -E2BIG for too many sets or interfaces, otherwise what the kernel said.
 * On success the caller owes a loader_destroy(); on failure nothing is left.
 */
int loader_load(struct loader *loader, const struct loader_options *options,
		struct xfq_error *error);

/* Let queue `queue` of the interface at place `interface` deliver to the AF_XDP socket `fd`. */
int loader_socket(struct loader *loader, uint32_t interface, uint32_t queue, int fd,
		  struct xfq_error *error);

/*
 * Attach to the interface at place `interface`, called `name` in messages: native first, then
 * generic, as far as `native` and `generic` allow. Returns 0 with the mode in *mode, or -errno with
 * a sentence; -EBUSY where another program has the interface, which is then named.
 */
int loader_attach(struct loader *loader, uint32_t interface, const char *name, bool native,
		  bool generic, enum loader_mode *mode, struct xfq_error *error);

/* Detach from every interface. In native mode the program has run for the last time when this
 * returns, in generic mode a grace period of RCU later. */
void loader_detach(struct loader *loader);

/* Detach from one interface, for instance because it is gone. */
void loader_detach_one(struct loader *loader, uint32_t interface);

/* Sum the counters of all CPUs. 0 or -errno. */
int loader_counters(const struct loader *loader, struct xdp_counters *sum);

/* The program's file descriptor, for BPF_PROG_TEST_RUN; it stays the loader's. */
int loader_program_fd(const struct loader *loader);

/* Detach and unload; safe on zeroed memory. */
void loader_destroy(struct loader *loader);

#endif
