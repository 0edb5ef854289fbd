/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Units (unit.h) as machine code for the CPU that they run on, made by LLVM.
 *
 *	gather    a loop over the packets: each load once, into a column on the stack. What lies
 *	          below `reach` in a packet that long is not checked again; all else is
 *	compute   a comparison is one of 64 packets side by side, in vectors of the narrowest type
 *	          that holds the values, and gives a word
 *	combine   the words, in registers; the roots go to hits[]
 *
 * This is what is known of xfq-native.so, a module that is loaded when a policy is to be compiled
 * (workers/native_load.h). Nothing else is linked with LLVM: who joins a group does not load it.
 * The module has one name for others, NATIVE_ENTRY, and asks nothing of who loads it but what is in
 * struct native_host.
 */
#ifndef STEERING_NATIVE_NATIVE_H
#define STEERING_NATIVE_NATIVE_H

#include "steering/expression.h"
#include "steering/graph.h"
#include "steering/unit.h"
#include <stdint.h>
#include <xfq/error.h>

#define NATIVE_VERSION 1u
#define NATIVE_ENTRY   "xfq_native_module"

/* Graphs of more nodes are left to the interpreter: LLVM would take more than some seconds. */
#define NATIVE_NODES_MAX (1u << 16)

/* Units that need more than so many bytes of columns and words are left to the interpreter: they
 * lie on the worker's stack. */
#define NATIVE_FRAME_BYTES_MAX (512u << 10)

/* What whoever loads the module takes for granted, and lends to the code. */
struct native_host {
	uint32_t version; /* NATIVE_VERSION */
	uint32_t packet_bytes, meta_bytes, node_bytes, error_bytes;
	/* of expressions that loop; called by the code */
	unsigned (*filter)(const struct bpf_insn *insns, const unsigned char *data,
			   unsigned wire_len, unsigned len);
};

#define NATIVE_HOST(function)                                                                      \
	{                                                                                          \
		.version = NATIVE_VERSION, .packet_bytes = sizeof(struct packet),                  \
		.meta_bytes = sizeof(struct xfq_meta), .node_bytes = sizeof(struct graph_node),    \
		.error_bytes = sizeof(struct xfq_error), .filter = (function)                      \
	}

/* A unit to be compiled, and its code. */
struct native_job {
	const struct graph_node *nodes;
	uint32_t node_cnt;
	uint32_t root_cnt;
	const uint32_t *roots;
	const struct expression *const *expressions; /* of GRAPH_EXTERN; outlive the code */
	unit_native *run;                            /* out */
};

struct native; /* the code of all jobs */

struct native_module {
	uint32_t version;
	/*
	 * Compile `cnt` units. 0, and `native` is the caller's, who owes a destroy() once no thread
	 * runs the code any more; or -errno with a sentence: -EOPNOTSUPP, without one, where the
	 * host is of another build, -E2BIG for a unit that is too large, -ENOMEM, -EIO with what
	 * LLVM says. Set-up only; one thread at a time. Milliseconds for each ten expressions, and
	 * some once for LLVM.
	 */
	int (*compile)(struct native **native, const struct native_host *host,
		       struct native_job *jobs, uint32_t cnt, struct xfq_error *error);
	void (*destroy)(struct native *native); /* takes NULL */
};

typedef const struct native_module *native_entry(void);

#endif
