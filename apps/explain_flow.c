/* SPDX-License-Identifier: BSD-2-Clause */
/* A packet of a flow, as a set of flows has it, in the direction that is written; and what is wrong
 * with one. */
#include "apps/explain_parts.h"
#include "xdp/flow_text.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLOW_FRAME_L3   14
#define FLOW_WORDS_MAX  5   /* one more than there may be */
#define FLOW_WORD_BYTES 256 /* of all of them */
#define FLOW_TCP_ACK    0x010

struct flow_words {
	char text[FLOW_WORD_BYTES];
	char *words[FLOW_WORDS_MAX];
	uint32_t cnt; /* FLOW_WORDS_MAX: or more */
};

/* A flow from one end to the other; of flow_parse_text() the ends come in an order of its own. */
struct flow_parts {
	uint8_t ip, proto;
	uint8_t addr[2][16];
	uint16_t port[2];
	uint16_t tcp_flags;
};

static bool flow_has_ports(uint8_t proto)
{
	return proto == PARSE_IP_TCP || proto == PARSE_IP_UDP || proto == PARSE_IP_SCTP;
}

static bool flow_split(struct flow_words *to, const char *text)
{
	char *save = NULL, *word;

	to->cnt = 0;
	if ((size_t)snprintf(to->text, sizeof(to->text), "%s", text) >= sizeof(to->text))
		return false;
	for (word = strtok_r(to->text, " \t", &save); word && to->cnt < FLOW_WORDS_MAX;
	     word = strtok_r(NULL, " \t", &save))
		to->words[to->cnt++] = word;
	return to->cnt > 0;
}

/* The protocol that a name, or a number, stands for; false: it is none. */
static bool flow_parse_proto(const char *word, uint8_t *proto)
{
	char text[FLOW_TEXT_BYTES];
	struct xdp_flow_key key;

	/* some end of each kind, so that the word decides */
	snprintf(text, sizeof(text), "%.15s 0.0.0.0:0 0.0.0.0:0", word);
	if (flow_parse_text(&key, text, NULL)) {
		snprintf(text, sizeof(text), "%.15s 0.0.0.0 0.0.0.0", word);
		if (flow_parse_text(&key, text, NULL))
			return false;
	}
	*proto = key.proto;
	return true;
}

/* --- what is wrong with an end ---------------------------------------------------------------- */

static uint8_t flow_address_version(const char *text)
{
	uint8_t addr[16];

	if (inet_pton(AF_INET, text, addr) == 1)
		return 4;
	return inet_pton(AF_INET6, text, addr) == 1 ? 6 : 0;
}

/* Say what is wrong with an end with a port, or return 4 or 6. */
static int flow_judge_port_end(const char *end, struct xfq_error *error)
{
	char addr[FLOW_WORD_BYTES];
	const char *colon = strrchr(end, ':');
	size_t len = colon ? (size_t)(colon - end) : 0;
	unsigned long port;
	char *behind;

	snprintf(addr, sizeof(addr), "%.*s", (int)len, end);
	if (end[0] == '[' && end[strlen(end) - 1] == ']')
		return xfq_error_set(error, -EINVAL, "\"%.60s\" has no port", end);
	if (flow_address_version(end) == 6 || flow_address_version(addr) == 6)
		return xfq_error_set(error, -EINVAL,
				     "\"%.60s\": an IPv6 address with a port wants brackets, such "
				     "as [2001:db8::1]:80",
				     end);
	if (!colon)
		return xfq_error_set(error, -EINVAL, "\"%.60s\" has no %s", end,
				     flow_address_version(end) ? "port" : "address and port");
	port = strtoul(colon + 1, &behind, 10);
	if (colon[1] < '0' || colon[1] > '9' || *behind || port > UINT16_MAX)
		return xfq_error_set(error, -EINVAL,
				     "\"%.60s\": the port is no number from 0 to 65535", end);
	if (flow_address_version(addr) == 4)
		return 4;
	if (addr[0] == '[' && addr[len - 1] == ']') {
		addr[len - 1] = '\0';
		if (flow_address_version(addr + 1) == 6)
			return 6;
	}
	return xfq_error_set(error, -EINVAL, "\"%.60s\": no address is in front of the port", end);
}

/* The same of an end without a port. */
static int flow_judge_end(const char *end, struct xfq_error *error)
{
	char addr[FLOW_WORD_BYTES];
	uint8_t ip = flow_address_version(end);
	size_t len = strlen(end);

	snprintf(addr, sizeof(addr), "%s", end);
	if (ip == 0 && end[0] == '[' && end[len - 1] == ']') {
		addr[len - 1] = '\0';
		ip = flow_address_version(addr + 1) == 6 ? 6 : 0;
	}
	if (ip)
		return ip;
	if (flow_judge_port_end(end, NULL) > 0)
		return xfq_error_set(error, -EINVAL, "\"%.60s\": this protocol has no ports", end);
	return xfq_error_set(error, -EINVAL, "\"%.60s\" is no address", end);
}

/* Say what is wrong with a flow that was refused. */
static int flow_judge(const struct flow_words *words, uint8_t proto, struct xfq_error *error)
{
	bool ports = flow_has_ports(proto);
	int ip[2];

	for (uint32_t i = 0; i < 2; i++) {
		const char *end = i + 1 < words->cnt ? words->words[i + 1] : NULL;

		if (!end)
			return xfq_error_set(error, -EINVAL,
					     "a flow wants two ends, and \"%.15s\" is followed by "
					     "%s: such as \"%s\"",
					     words->words[0], i ? "one" : "none",
					     ports ? "tcp 192.0.2.1:1234 198.51.100.2:80"
						   : "icmp 192.0.2.1 198.51.100.2");
		ip[i] = ports ? flow_judge_port_end(end, error) : flow_judge_end(end, error);
		if (ip[i] < 0)
			return ip[i];
	}
	if (ip[0] != ip[1])
		return xfq_error_set(error, -EINVAL, "\"%.60s\" is IPv%d and \"%.60s\" IPv%d",
				     words->words[1], ip[0], words->words[2], ip[1]);
	return xfq_error_set(error, -EINVAL, "\"%.15s %.60s %.60s\" is no flow", words->words[0],
			     words->words[1], words->words[2]);
}

/* --- parsing ---------------------------------------------------------------------------------- */

static const struct {
	char name[4];
	uint16_t bit;
} flow_flags[] = {
	{"fin", 0x001}, {"syn", 0x002}, {"rst", 0x004}, {"psh", 0x008}, {"ack", FLOW_TCP_ACK},
	{"urg", 0x020}, {"ece", 0x040}, {"cwr", 0x080}, {"ns", 0x100},
};

static uint16_t flow_find_flag(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(flow_flags) / sizeof(flow_flags[0]); i++)
		if (strlen(flow_flags[i].name) == len &&
		    strncmp(flow_flags[i].name, name, len) == 0)
			return flow_flags[i].bit;
	return 0;
}

/* "syn+ack" */
static int flow_parse_flags(uint16_t *flags, const char *text, struct xfq_error *error)
{
	const char *at = text;

	*flags = 0;
	for (;;) {
		size_t len = strcspn(at, "+");
		uint16_t bit = flow_find_flag(at, len);

		if (!bit)
			return xfq_error_set(
				error, -EINVAL,
				"\"%.60s\" is behind the flow, where TCP flags may be, "
				"such as syn or syn+ack: fin, syn, rst, psh, ack, "
				"urg, ece, cwr, ns",
				text);
		*flags |= bit;
		if (at[len] == '\0')
			return 0;
		at += len + 1;
	}
}

/* What is behind the ends. */
static int flow_parse_rest(struct flow_parts *flow, const struct flow_words *words,
			   struct xfq_error *error)
{
	flow->tcp_flags = FLOW_TCP_ACK;
	if (words->cnt <= 3)
		return 0;
	if (words->cnt == FLOW_WORDS_MAX)
		return xfq_error_set(error, -EINVAL, "\"%.60s\" is one word too many for a flow",
				     words->words[4]);
	if (flow->proto != PARSE_IP_TCP)
		return xfq_error_set(error, -EINVAL,
				     "\"%.60s\" is behind a flow that is not TCP's, which has no "
				     "flags",
				     words->words[3]);
	return flow_parse_flags(&flow->tcp_flags, words->words[3], error);
}

/* One end, by the flow from it to itself. 0 or -EINVAL. */
static int flow_parse_end(struct flow_parts *flow, const struct flow_words *words, uint32_t i)
{
	char both[FLOW_TEXT_BYTES];
	struct xdp_flow_key key;
	int len = snprintf(both, sizeof(both), "%s %s %s", words->words[0], words->words[1 + i],
			   words->words[1 + i]);

	if (len >= (int)sizeof(both) || flow_parse_text(&key, both, NULL))
		return -EINVAL;
	if (i == 1 && key.ip != flow->ip)
		return -EINVAL;
	flow->ip = key.ip;
	memcpy(flow->addr[i], key.addr[0], sizeof(flow->addr[i]));
	flow->port[i] = key.port[0];
	return 0;
}

/* --- the frame -------------------------------------------------------------------------------- */

static void flow_put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

/* The header behind IP. Returns its length. */
static uint32_t flow_make_l4(uint8_t *l4, const struct flow_parts *flow)
{
	if (flow_has_ports(flow->proto)) {
		flow_put16(l4, flow->port[0]);
		flow_put16(l4 + 2, flow->port[1]);
	}
	if (flow->proto == PARSE_IP_TCP) {
		flow_put16(l4 + 12, 0x5000u | flow->tcp_flags);
		return 20;
	}
	if (flow->proto == PARSE_IP_UDP)
		flow_put16(l4 + 4, 8);
	else if (flow->proto == PARSE_IP_ICMP)
		l4[0] = 8; /* echo request */
	else if (flow->proto == PARSE_IP_ICMPV6)
		l4[0] = 128;
	return flow->proto == PARSE_IP_SCTP ? 12 : 8;
}

/* An Ethernet frame from the first end to the second. Returns its length. */
static int flow_make_frame(uint8_t *frame, const struct flow_parts *flow)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	uint32_t l3_len = flow->ip == 6 ? 40 : 20, l4_len;
	uint8_t *l3 = frame + FLOW_FRAME_L3;

	memcpy(frame, macs, sizeof(macs));
	l4_len = flow_make_l4(l3 + l3_len, flow);
	if (flow->ip == 6) {
		flow_put16(frame + 12, PARSE_ETH_IPV6);
		l3[0] = 0x60;
		flow_put16(l3 + 4, l4_len);
		l3[6] = flow->proto;
		l3[7] = 64;
		memcpy(l3 + 8, flow->addr[0], 16);
		memcpy(l3 + 24, flow->addr[1], 16);
	} else {
		flow_put16(frame + 12, PARSE_ETH_IPV4);
		l3[0] = 0x45;
		flow_put16(l3 + 2, l3_len + l4_len);
		l3[8] = 64;
		l3[9] = flow->proto;
		memcpy(l3 + 12, flow->addr[0], 4);
		memcpy(l3 + 16, flow->addr[1], 4);
	}
	return (int)(FLOW_FRAME_L3 + l3_len + l4_len);
}

int explain_make_flow(uint8_t *frame, const char *text, struct xfq_error *error)
{
	struct flow_parts flow = {.ip = 0};
	struct flow_words words;
	bool named;
	int code;

	if (!flow_split(&words, text) || !flow_parse_proto(words.words[0], &flow.proto))
		return 0;
	/* a number may begin something else, such as a frame in hex */
	named = words.words[0][0] < '0' || words.words[0][0] > '9';
	if (words.cnt < 3 || flow_parse_end(&flow, &words, 0) || flow_parse_end(&flow, &words, 1))
		return named ? flow_judge(&words, flow.proto, error) : 0;
	code = flow_parse_rest(&flow, &words, error);
	return code ? code : flow_make_frame(frame, &flow);
}
