/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the running kernel and this process can do, found by trying and never by version numbers:
 * for the choice of a source, for warnings at start, and for a table of everything.
 *
 * XFQ_WITHOUT in the environment, a list such as "af-xdp,tcx", has features treated as missing, so
 * that what is done without them can be tested anywhere. Nothing here touches an interface that
 * others use. Set-up only; one thread.
 */
#ifndef XDP_PROBE_H
#define XDP_PROBE_H

#include <stdbool.h>
#include <stdint.h>

/* In the order of a table: what the process may, what the kernel has, what comes of both. */
enum probe_feature {
	PROBE_CAP_BPF = 0,
	PROBE_CAP_PERFMON,
	PROBE_CAP_NET_ADMIN,
	PROBE_CAP_NET_RAW,
	PROBE_CAP_IPC_LOCK,
	PROBE_MEMLOCK,
	PROBE_JIT,
	PROBE_BTF,
	PROBE_BPFFS,
	PROBE_PROGRAM_XDP,
	PROBE_PROGRAM_TC,
	PROBE_PROGRAM_SOCKET,
	PROBE_MAP_XSK,
	PROBE_MAP_LPM,
	PROBE_MAP_LRU,
	PROBE_MAP_IN_MAP,
	PROBE_MAP_PROGRAMS,
	PROBE_HELPER_LOAD_BYTES,
	PROBE_HELPER_BUFF_LEN,
	PROBE_XDP_FRAGS,
	PROBE_XDP_LINK,
	PROBE_DISPATCHER,
	PROBE_TCX,
	PROBE_AF_XDP,
	PROBE_NEED_WAKEUP,
	PROBE_AF_PACKET,
	PROBE_CNT
};

struct probe_row {
	const char *name;     /* a word that stays: "af-xdp" */
	const char *what;     /* in words */
	const char *disables; /* what is not there without it */
};

/* What is known of a feature beforehand. */
const struct probe_row *probe_row(enum probe_feature feature);

/* Whether it is there; tried at the first call, and remembered. Where the process may not even
 * try, it neither has the feature nor lacks it, and tries again at the next call. */
bool probe_has(enum probe_feature feature);

/* Whether it is known not to be there. */
bool probe_lacks(enum probe_feature feature);

/* Whether an XDP program could be loaded, and deliver to AF_XDP sockets. */
bool probe_has_first_pass(void);

/* Forget what was tried: for tests. */
void probe_forget(void);

#endif
