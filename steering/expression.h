/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tcpdump expression, compiled by libpcap for Ethernet frames.
 *
 * It sees a packet's bytes as `tcpdump -r` would: the same compiler, the same netmask (none), the
 * same interpreter, so the same verdict. But for `protochain`: it follows at most 64 headers and
 * then does not match, where libpcap 1.10.3 may go on for ever.
 */
#ifndef STEERING_EXPRESSION_H
#define STEERING_EXPRESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

/* libpcap's, declared here and not by its header: that one and linux/bpf.h each define a struct
 * bpf_insn, and no file may see both. */
struct bpf_insn;
extern unsigned bpf_filter(const struct bpf_insn *insns, const unsigned char *data,
			   unsigned wire_len, unsigned len);

struct expression {
	struct bpf_insn *insns; /* classic BPF; owned; NULL where `all` */
	uint32_t insn_cnt;
	bool all; /* matches every packet, without looking */
};

/*
 * Compile `text`; NULL or blanks match every packet. Returns 0, or -EINVAL with libpcap's own
 * message, or for what asks beside the packet (inbound, ifindex); -E2BIG beyond 8192 bytes. Set-up
 * only; one thread at a time. On success the caller owns what expression_destroy() frees.
 */
int expression_compile(struct expression *expression, const char *text, struct xfq_error *error);

/* Whether two compiled to the same, and so match the same packets; false says nothing. */
bool expression_same(const struct expression *a, const struct expression *b);

/* Free a compiled expression, or zeroed memory. */
void expression_destroy(struct expression *expression);

/* Whether it matches a packet of `wire_len` bytes of which `len` are at `data`. Any thread. */
static inline bool expression_match(const struct expression *expression, const uint8_t *data,
				    uint32_t wire_len, uint32_t len)
{
	return expression->all || bpf_filter(expression->insns, data, wire_len, len) != 0;
}

#endif
