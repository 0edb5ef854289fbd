/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/expression.h"
#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>

/* The longest packet that expressions are compiled for: libpcap's own limit for Ethernet. */
#define EXPRESSION_SNAPLEN 262144

int expression_compile(struct expression *expression, const char *text, struct xfq_error *error)
{
	struct bpf_program program;
	pcap_t *pcap;
	int code = 0;

	memset(expression, 0, sizeof(*expression));
	if (!text || text[strspn(text, " \t\r\n")] == '\0') {
		expression->all = true;
		return 0;
	}
	pcap = pcap_open_dead(DLT_EN10MB, EXPRESSION_SNAPLEN);
	if (!pcap)
		return xfq_error_set(error, -ENOMEM, "no memory to compile an expression");
	/* netmask 0 is what tcpdump gives for a file */
	if (pcap_compile(pcap, &program, text, 1, 0) == 0) {
		expression->insns = program.bf_insns;
		expression->insn_cnt = program.bf_len;
	} else {
		code = xfq_error_set(error, -EINVAL, "expression \"%.200s\": %s", text,
				     pcap_geterr(pcap));
	}
	pcap_close(pcap);
	return code;
}

void expression_destroy(struct expression *expression)
{
	struct bpf_program program = {.bf_len = expression->insn_cnt,
				      .bf_insns = expression->insns};

	if (expression->insns)
		pcap_freecode(&program);
	memset(expression, 0, sizeof(*expression));
}
