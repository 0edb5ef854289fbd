/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program on the packets of an interface, by TC: as they come in, or as they go out.
 *
 * Attachment is a bpf_link (TCX, since Linux 6.6), which ends with the process that owns it,
 * however that ends. Where the kernel has none it is a filter in the qdisc clsact, which outlives a
 * killed process: its program lets packets pass then (tc_attached.bpf.c), and the next
 * hook_attach() there takes it away. Others may be attached beside it. One thread, in the
 * interface's network namespace.
 */
#ifndef XDP_HOOK_H
#define XDP_HOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

enum hook_where {
	HOOK_INGRESS = 0,
	HOOK_EGRESS,
	HOOK_EGRESS_FIRST /* before others: those do not see what it drops */
};

struct hook {
	uint32_t ifindex; /* 0: not attached */
	enum hook_where where;
	int link;                  /* TCX; -1: clsact */
	uint32_t handle, priority; /* clsact: of the filter */
	bool made_qdisc;           /* clsact: it was not there before */
};

/* Attach `program` (a descriptor of tc_attached.bpf.c's) to an interface, called `name` in
 * messages. 0, or -errno with a sentence. */
int hook_attach(struct hook *hook, uint32_t ifindex, const char *name, enum hook_where where,
		int program, struct xfq_error *error);

/* Leave the interface as it was; safe on zeroed memory and on an interface that is gone. */
void hook_detach(struct hook *hook);

/* "tcx" or "clsact"; "none". */
const char *hook_kind(const struct hook *hook);

#endif
