/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program on an interface, alone or beside others.
 *
 *	exclusive	a bpf_link: the only program there, and it ends with the process that owns
 *			it, however that ends
 *	shared		in libxdp's dispatcher, beside programs that others have put there, in the
 *			order of priorities. It takes privileges to take it out again, which who
 *owns it has given up, so a process of its own does that (undertaker.h), also when the owner is
 *killed. Until then its slot is empty and it passes everything; should that process die too,
 *attach_clear() of the next one does it
 *
 * Where the kernel has no dispatcher (no freplace), a shared program that finds the interface free
 * is attached like an exclusive one, and `alone` says so. One thread.
 */
#ifndef XDP_ATTACH_H
#define XDP_ATTACH_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

struct attached_bpf;
struct xdp_program;

/* Where a program runs. */
enum attach_mode {
	ATTACH_MODE_NONE = 0, /* not attached */
	ATTACH_MODE_NATIVE,   /* in the driver */
	ATTACH_MODE_GENERIC   /* in the stack, after the driver has built an skb */
};

struct attach_options {
	const char *name; /* of the interface, in messages */
	bool native;      /* modes that are allowed; native is tried first */
	bool generic;
	bool shared;
	uint32_t priority; /* of a shared one: the lowest run first */
};

struct attach {
	uint32_t ifindex;
	enum attach_mode mode;
	int link;                    /* fd of the bpf_link, or -1 */
	struct attached_bpf *object; /* shared: the program as libxdp has loaded it */
	struct xdp_program *program;
	int undertaker; /* of undertaker_start(); negative: none */
	bool alone;     /* was to be shared, but the kernel has no dispatcher */
};

/* Not attached to anything. */
void attach_init(struct attach *attach);

/*
 * Whether a program may be attached: before any set-up; attach_open() asks again. Removes what a
 * killed xfq has left in a dispatcher. 0, or -errno with a sentence: -EBUSY where another program
 * has the interface, which is named, with a way out; -ENOENT where `shared` finds no bpffs.
 */
int attach_clear(uint32_t ifindex, const struct attach_options *options, struct xfq_error *error);

/*
 * Attach `from`'s program, which is loaded. 0 with attach->mode, or -errno with a sentence: what
 * attach_clear() refuses, and -EOPNOTSUPP, -EINVAL, -ERANGE for what the driver cannot do. The
 * caller owes an attach_close() either way.
 */
int attach_open(struct attach *attach, const struct attached_bpf *from, uint32_t ifindex,
		const struct attach_options *options, struct xfq_error *error);

/* Detach; safe on what was never attached. Of a shared program the caller has emptied the slot. */
void attach_close(struct attach *attach);

/* "native", "generic" or "none". */
const char *attach_mode_name(enum attach_mode mode);

#endif
