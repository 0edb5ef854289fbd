/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Generated code into a program that libbpf loads.
 *
 * The compiled object has a function decide() that does nothing of use but call all functions that
 * generated code may call. Between the moment when libbpf has put program and functions together
 * and that when it hands them to the kernel, its instructions are replaced, and what is behind them
 * moves: calls and the table of functions follow. So the kernel's verifier sees one program, whose
 * decide() it checks once, as a function of its own.
 */
#ifndef XDP_SPLICE_H
#define XDP_SPLICE_H

#include "xdp/code.h"
#include <bpf/libbpf.h>
#include <xfq/error.h>

/* The sections whose programs are spliced. */
#define SPLICE_SECTION_XDP    "xfq/xdp"
#define SPLICE_SECTION_TC     "xfq/tc"
#define SPLICE_SECTION_SOCKET "xfq/socket"

/* Tell libbpf of the sections: before an object with them is opened. 0 or -errno with a sentence.
 * A second call does nothing. */
int splice_register(struct xfq_error *error);

/*
 * bpf_object__load() of an object in whose programs decide() is `code`, finished; NULL: as it is.
 * 0 or what libbpf returns. One thread at a time in the whole process.
 */
int splice_load(struct bpf_object *object, const struct code *code);

#endif
