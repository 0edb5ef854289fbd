/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcpdump expressions and classic BPF programs at random. The same seed makes the same ones.
 *
 * An expression is made from the grammar of pcap-filter(7); libpcap refuses some, for instance
 * those that contradict themselves. A program is any that libpcap's interpreter can run: known
 * instructions, jumps forward and within, a return at the end, no word of memory read that was not
 * written.
 */
#ifndef TESTS_BPF_EXPRESSION_MAKER_H
#define TESTS_BPF_EXPRESSION_MAKER_H

#include "tests/bpf/corpus.h"
#include <linux/filter.h>
#include <stdarg.h>

#define MAKER_TEXT_BYTES 2048
#define MAKER_INSNS_MAX  60

struct maker {
	struct corpus random; /* for its numbers alone */
	char text[MAKER_TEXT_BYTES];
	size_t len;
};

static void maker_init(struct maker *maker, uint64_t seed)
{
	memset(maker, 0, sizeof(*maker));
	maker->random.random = seed;
}

static uint32_t maker_below(struct maker *maker, uint32_t bound)
{
	return corpus_below(&maker->random, bound);
}

static void __attribute__((format(printf, 2, 3)))
maker_say(struct maker *maker, const char *format, ...)
{
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(maker->text + maker->len, sizeof(maker->text) - maker->len, format,
			arguments);
	va_end(arguments);
	maker->len += (size_t)len;
	if (maker->len >= sizeof(maker->text))
		maker->len = sizeof(maker->text) - 1;
}

#define MAKER_PICK(maker, list) (list)[maker_below(maker, sizeof(list) / sizeof((list)[0]))]

static const char *maker_direction(struct maker *maker)
{
	static const char *const directions[] = {
		"", "", "src ", "dst ", "src or dst ", "src and dst "};

	return MAKER_PICK(maker, directions);
}

static void maker_host(struct maker *maker)
{
	static const char *const hosts[] = {
		"192.168.1.1", "192.168.5.16",    "192.168.115.8", "10.0.0.1", "127.0.0.1",
		"224.0.0.251", "255.255.255.255", "fe80::1",       "ff02::fb", "2001:db8::1"};
	static const char *const nets[] = {
		"192.168.0.0/16", "10.0.0.0/8", "0.0.0.0/1", "128.0.0.0/2",   "224.0.0.0/4",
		"fe80::/10",      "ff00::/8",   "2000::/3",  "172.16.0.0/12", "192.168.5.0/24"};
	const char *direction = maker_direction(maker);

	if (maker_below(maker, 2))
		maker_say(maker, "%shost %s", direction, MAKER_PICK(maker, hosts));
	else
		maker_say(maker, "%snet %s", direction, MAKER_PICK(maker, nets));
}

static void maker_port(struct maker *maker)
{
	static const char *const protos[] = {"", "", "tcp ", "udp ", "sctp "};
	static const uint16_t ports[] = {0, 53, 80, 443, 5353, 1900, 137, 8080, 65535};
	const char *proto = MAKER_PICK(maker, protos);
	const char *direction = maker_direction(maker);
	uint32_t from = maker_below(maker, 65536);

	if (maker_below(maker, 2))
		maker_say(maker, "%s%sport %u", proto, direction, MAKER_PICK(maker, ports));
	else
		maker_say(maker, "%s%sportrange %u-%u", proto, direction, from,
			  from + maker_below(maker, 65536 - from));
}

static void maker_word(struct maker *maker)
{
	static const char *const words[] = {
		"ip",
		"ip6",
		"arp",
		"tcp",
		"udp",
		"icmp",
		"icmp6",
		"igmp",
		"sctp",
		"esp",
		"ah",
		"ether broadcast",
		"ether multicast",
		"ip multicast",
		"ip6 multicast",
		"llc",
		"stp",
		"ip proto 47",
		"proto 50",
		"ip6 proto 44",
		"ether proto 0x88cc",
		"ether host 01:00:5e:00:00:fb",
		"ether src 00:11:22:33:44:55",
		"ip[6:2] & 0x1fff = 0",
		"tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn",
		"icmp[icmptype] = icmp-echo",
		"ip protochain 17",
		"ip6 protochain 6",
	};

	maker_say(maker, "%s", MAKER_PICK(maker, words));
}

static void maker_number(struct maker *maker)
{
	static const uint32_t numbers[] = {0, 1, 2, 4, 6, 15, 17, 31, 64, 255, 1500, 65535};

	maker_say(maker, "%u",
		  maker_below(maker, 8) ? MAKER_PICK(maker, numbers)
					: corpus_random(&maker->random));
}

static void maker_arithmetic(struct maker *maker, uint32_t depth)
{
	static const char *const headers[] = {"ether", "ether", "ip",   "ip", "ip6",
					      "tcp",   "udp",   "icmp", "arp"};
	static const char *const sizes[] = {"", "", ":1", ":2", ":4"};
	static const char *const operators[] = {"+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"};
	uint32_t kind = maker_below(maker, depth ? 7 : 4);

	if (kind == 0) {
		maker_number(maker);
	} else if (kind == 1) {
		maker_say(maker, "len");
	} else if (kind <= 3) {
		const char *size = MAKER_PICK(maker, sizes);

		maker_say(maker, "%s[%u%s]", MAKER_PICK(maker, headers), maker_below(maker, 40),
			  size);
	} else if (kind == 4) {
		maker_say(maker, "%s[", MAKER_PICK(maker, headers));
		maker_arithmetic(maker, depth - 1);
		maker_say(maker, "%s]", MAKER_PICK(maker, sizes));
	} else {
		maker_say(maker, "(");
		maker_arithmetic(maker, depth - 1);
		maker_say(maker, " %s ", MAKER_PICK(maker, operators));
		maker_arithmetic(maker, depth - 1);
		maker_say(maker, ")");
	}
}

static void maker_primitive(struct maker *maker)
{
	static const char *const relations[] = {"=", "!=", "<", ">", "<=", ">="};

	switch (maker_below(maker, 6)) {
	case 0:
		maker_host(maker);
		break;
	case 1:
		maker_port(maker);
		break;
	case 2:
		maker_say(maker, "%s %u", maker_below(maker, 2) ? "less" : "greater",
			  maker_below(maker, 1600));
		break;
	case 3:
		maker_arithmetic(maker, 1 + maker_below(maker, 2));
		maker_say(maker, " %s ", MAKER_PICK(maker, relations));
		maker_arithmetic(maker, maker_below(maker, 2));
		break;
	default:
		maker_word(maker);
		break;
	}
}

static void maker_boolean(struct maker *maker, uint32_t depth)
{
	uint32_t cnt = depth ? 1 + maker_below(maker, 4) : 1;

	for (uint32_t i = 0; i < cnt; i++) {
		if (i)
			maker_say(maker, maker_below(maker, 2) ? " and " : " or ");
		if (maker_below(maker, 5) == 0)
			maker_say(maker, "not ");
		if (cnt > 1 && maker_below(maker, 3) == 0) {
			maker_say(maker, "(");
			maker_boolean(maker, depth - 1);
			maker_say(maker, ")");
		} else {
			maker_primitive(maker);
		}
	}
}

/* The next expression; it stays until the one after it. */
static inline const char *maker_expression(struct maker *maker)
{
	static const char *const shifts[] = {"vlan and ", "mpls and ", "pppoes and ", "geneve and ",
					     "vlan and vlan and "};

	maker->len = 0;
	maker->text[0] = '\0';
	if (maker_below(maker, 6) == 0)
		maker_say(maker, "%s", MAKER_PICK(maker, shifts));
	maker_boolean(maker, maker_below(maker, 4));
	return maker->text;
}

/* --- programs -------------------------------------------------------------------------------- */

static struct sock_filter maker_load(struct maker *maker)
{
	static const uint16_t codes[] = {BPF_LD | BPF_W | BPF_ABS, BPF_LD | BPF_H | BPF_ABS,
					 BPF_LD | BPF_B | BPF_ABS, BPF_LD | BPF_W | BPF_IND,
					 BPF_LD | BPF_H | BPF_IND, BPF_LD | BPF_B | BPF_IND,
					 BPF_LDX | BPF_B | BPF_MSH};
	static const uint32_t far[] = {1400,  3500,  4095,       32766,
				       32767, 65535, 0x7fffffff, 0xfffffffe};

	return (struct sock_filter){.code = MAKER_PICK(maker, codes),
				    .k = maker_below(maker, 12) ? maker_below(maker, 70)
								: MAKER_PICK(maker, far)};
}

static struct sock_filter maker_alu(struct maker *maker)
{
	static const uint16_t codes[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_MOD, BPF_AND,
					 BPF_OR,  BPF_XOR, BPF_LSH, BPF_RSH, BPF_NEG};
	uint16_t op = MAKER_PICK(maker, codes);
	uint16_t src = op != BPF_NEG && maker_below(maker, 2) ? BPF_X : BPF_K;
	uint32_t k = maker_below(maker, 3) ? 1 + maker_below(maker, 30)
					   : corpus_random(&maker->random) | 1;

	if (op == BPF_LSH || op == BPF_RSH)
		k &= 31;
	return (struct sock_filter){.code = BPF_ALU | op | src, .k = k};
}

static struct sock_filter maker_jump(struct maker *maker, uint32_t left)
{
	static const uint16_t codes[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
	uint16_t src = maker_below(maker, 4) ? BPF_K : BPF_X;

	if (maker_below(maker, 10) == 0)
		return (struct sock_filter){.code = BPF_JMP | BPF_JA,
					    .k = maker_below(maker, left < 4 ? left : 4)};
	return (struct sock_filter){.code = BPF_JMP | MAKER_PICK(maker, codes) | src,
				    .jt = (uint8_t)maker_below(maker, left),
				    .jf = (uint8_t)maker_below(maker, left < 3 ? left : 3),
				    .k = maker_below(maker, 2) ? maker_below(maker, 256)
							       : corpus_random(&maker->random)};
}

static struct sock_filter maker_other(struct maker *maker)
{
	static const uint16_t codes[] = {BPF_LD | BPF_IMM,
					 BPF_LDX | BPF_IMM,
					 BPF_LD | BPF_MEM,
					 BPF_LDX | BPF_MEM,
					 BPF_ST,
					 BPF_STX,
					 BPF_LD | BPF_W | BPF_LEN,
					 BPF_LDX | BPF_W | BPF_LEN,
					 BPF_MISC | BPF_TAX,
					 BPF_MISC | BPF_TXA,
					 BPF_MISC | BPF_TAX};

	/* words 0 to 3 are written at the begin */
	return (struct sock_filter){.code = MAKER_PICK(maker, codes), .k = maker_below(maker, 4)};
}

/* Fill `insns`, of MAKER_INSNS_MAX; how many it has. */
static inline uint32_t maker_program(struct maker *maker, struct sock_filter *insns)
{
	uint32_t cnt = 8 + maker_below(maker, MAKER_INSNS_MAX - 8);

	for (uint32_t i = 0; i < cnt - 2; i++) {
		uint32_t kind = maker_below(maker, 10);

		if (i < 4)
			insns[i] = (struct sock_filter){.code = BPF_ST, .k = i};
		else if (kind < 4)
			insns[i] = maker_load(maker);
		else if (kind < 6)
			insns[i] = maker_alu(maker);
		else if (kind < 8)
			insns[i] = maker_jump(maker, cnt - 1 - i);
		else
			insns[i] = maker_other(maker);
	}
	insns[cnt - 2] = maker_below(maker, 4)
				 ? (struct sock_filter){.code = BPF_RET | BPF_K, .k = 1}
				 : (struct sock_filter){.code = BPF_RET | BPF_A};
	insns[cnt - 1] = (struct sock_filter){.code = BPF_RET | BPF_K, .k = 0};
	return cnt;
}

#endif
