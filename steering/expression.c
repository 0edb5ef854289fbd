/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/expression.h"
#include "steering/expression_mend.h"
#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>

/* The longest packet that expressions are compiled for: libpcap's own limit for Ethernet. */
#define EXPRESSION_SNAPLEN 262144

/* libpcap's optimiser takes more than quadratic time: 4 s for alternatives of this length. */
#define EXPRESSION_TEXT_MAX 8192

/* Whether it loads what the kernel keeps beside a packet: SKF_AD_OFF and below, negative offsets.
 */
static bool expression_asks_aside(const struct expression *expression)
{
	for (uint32_t i = 0; i < expression->insn_cnt; i++) {
		const struct bpf_insn *insn = &expression->insns[i];

		if (BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_ABS &&
		    insn->k >= 0x80000000u)
			return true;
	}
	return false;
}

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
	if (strlen(text) > EXPRESSION_TEXT_MAX)
		return xfq_error_set(
			error, -E2BIG,
			"expression \"%.40s ...\": longer than %d bytes, for which "
			"libpcap may take minutes; use several groups, or a set in the "
			"filter's rules",
			text, EXPRESSION_TEXT_MAX);
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
	if (code == 0 && expression_asks_aside(expression)) {
		expression_destroy(expression);
		code = xfq_error_set(
			error, -EINVAL,
			"expression \"%.200s\": inbound, outbound, ifindex and the like "
			"ask for what is not in the packet, and would never match",
			text);
	}
	if (code == 0) {
		code = expression_mend(expression, error);
		if (code)
			expression_destroy(expression);
	}
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

bool expression_same(const struct expression *a, const struct expression *b)
{
	if (a->all || b->all)
		return a->all && b->all;
	return a->insn_cnt == b->insn_cnt &&
	       memcmp(a->insns, b->insns, a->insn_cnt * sizeof(*a->insns)) == 0;
}
