/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/merged.h"
#include <linux/filter.h>

#define MERGED_LINK    14 /* bytes before an IP header, in untagged packets */
#define MERGED_IPV6    0x86dd
#define MERGED_IP4_END 34 /* behind it are other headers, or IPv6 addresses and then ports */
#define MERGED_IP6_END 58

/*
 * Whether bytes at fixed offsets are the same in all segments, of IPv4 and of IPv6: link header,
 * version, class of service; fragment bits, TTL and protocol, or next header and hop limit;
 * addresses. Not the IP length, id and checksum. `ip6`: the expression asks for IPv6, and what
 * libpcap then reads behind where an IPv4 header ends are addresses and ports of that.
 */
static bool merged_common(uint32_t at, uint32_t bytes, bool ip6)
{
	uint32_t end = at + bytes;

	if (at > MERGED_IP6_END)
		return false;
	if (end <= 16 || (at >= 20 && end <= 24) || (at >= 26 && end <= MERGED_IP4_END))
		return true;
	if (!ip6)
		return false;
	/* words of addresses, and the two ports */
	return (bytes == 4 && at >= 22 && end <= 54 && (at - 22) % 4 == 0) ||
	       (at >= 54 && end <= MERGED_IP6_END);
}

static uint32_t merged_bytes(const struct sock_filter *insn)
{
	return BPF_SIZE(insn->code) == BPF_W ? 4 : BPF_SIZE(insn->code) == BPF_H ? 2 : 1;
}

/* Whether X is only ever the length of the IPv4 header, so that ports can be told by offsets from
 * it. */
static bool merged_plain_x(const struct sock_filter *insns, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++) {
		if (insns[i].code == (BPF_MISC | BPF_TAX))
			return false;
		if (BPF_CLASS(insns[i].code) == BPF_LDX &&
		    (BPF_MODE(insns[i].code) != BPF_MSH || insns[i].k != MERGED_LINK))
			return false;
	}
	return true;
}

static bool merged_expression(const struct expression *expression)
{
	/* libpcap's structure is the kernel's */
	const struct sock_filter *insns = (const struct sock_filter *)(void *)expression->insns;
	uint32_t cnt = expression->all ? 0 : expression->insn_cnt;
	bool ip6 = false;

	if (!merged_plain_x(insns, cnt))
		return true;
	for (uint32_t i = 0; i < cnt; i++)
		ip6 |= insns[i].code == (BPF_JMP | BPF_JEQ | BPF_K) && insns[i].k == MERGED_IPV6;
	for (uint32_t i = 0; i < cnt; i++) {
		const struct sock_filter *insn = &insns[i];

		if (BPF_CLASS(insn->code) != BPF_LD)
			continue;
		if (BPF_MODE(insn->code) == BPF_LEN)
			return true;
		if (BPF_MODE(insn->code) == BPF_ABS &&
		    !merged_common(insn->k, merged_bytes(insn), ip6))
			return true;
		if (BPF_MODE(insn->code) == BPF_IND &&
		    (insn->k < MERGED_LINK || insn->k + merged_bytes(insn) > MERGED_LINK + 4))
			return true;
	}
	return false;
}

bool merged_differs(const struct filter *filter)
{
	for (uint32_t i = 0; i < filter->rule_cnt; i++)
		if (filter->rules[i].match && merged_expression(&filter->rules[i].expression))
			return true;
	for (uint32_t i = 0; i < filter->claim_cnt; i++)
		if (merged_expression(&filter->claims[i].expression))
			return true;
	return false;
}
