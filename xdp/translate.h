/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Classic BPF, as libpcap compiles tcpdump expressions to, into eBPF.
 *
 * The translation decides what libpcap's interpreter decides, on every packet: a load beyond the
 * packet and a division by zero end it with "no match".
 */
#ifndef XDP_TRANSLATE_H
#define XDP_TRANSLATE_H

#include "steering/expression.h"
#include "xdp/code.h"
#include <stdbool.h>
#include <xfq/error.h>

/* How the program around the code sees a packet. */
enum translate_target {
	TRANSLATE_XDP, /* R6 is a struct xdp_md: loads go to the packet, and by CODE_LOAD where it
			* is in several buffers */
	TRANSLATE_SKB  /* R6 is a struct __sk_buff: every load is a CODE_LOAD */
};

/*
 * What holds where translated code stands: R6 is the context, R7 the struct xdp_judged, and both
 * are kept; XDP: R9 is the end of the packet's first buffer, also kept. Everything else is lost.
 * The stack is the code's own.
 *
 * Load R9 from R6, at the begin of a function.
 */
void translate_begin(struct code *code, enum translate_target target);

/*
 * Append the code of an expression: it goes on behind where that matches, and to the label `no`
 * where not. 0, or -EINVAL with a sentence for an instruction that libpcap does not emit.
 */
int translate(struct code *code, enum translate_target target, const struct expression *expression,
	      uint32_t no, struct xfq_error *error);

#endif
