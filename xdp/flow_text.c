/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/flow_text.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	const char *name;
	uint8_t proto;
	bool ports;
} flow_protos[] = {
	{"tcp", PARSE_IP_TCP, true},       {"udp", PARSE_IP_UDP, true},
	{"sctp", PARSE_IP_SCTP, true},     {"icmp", PARSE_IP_ICMP, false},
	{"icmp6", PARSE_IP_ICMPV6, false},
};
#define FLOW_PROTOS (sizeof(flow_protos) / sizeof(flow_protos[0]))

/* A whole decimal number up to `max`; -1: it is none. */
static int flow_parse_number(const char *text, int max)
{
	char *end;
	long number;

	if (*text < '0' || *text > '9')
		return -1;
	number = strtol(text, &end, 10);
	return *end || number > max ? -1 : (int)number;
}

static int flow_parse_proto(const char *text, bool *ports)
{
	int number;

	for (size_t i = 0; i < FLOW_PROTOS; i++)
		if (strcmp(text, flow_protos[i].name) == 0) {
			*ports = flow_protos[i].ports;
			return flow_protos[i].proto;
		}
	number = flow_parse_number(text, UINT8_MAX);
	*ports = false;
	for (size_t i = 0; i < FLOW_PROTOS; i++)
		if (number == flow_protos[i].proto)
			*ports = flow_protos[i].ports;
	return number;
}

/* "ADDRESS", "ADDRESS:PORT" or "[ADDRESS]:PORT", which is changed. Returns 4, 6, or 0: it is none.
 */
static uint8_t flow_parse_end(char *text, bool ports, uint32_t addr[4], uint16_t *port)
{
	char *colon = ports ? strrchr(text, ':') : NULL;
	int number = 0;

	*port = 0;
	if (ports) {
		if (!colon)
			return 0;
		number = flow_parse_number(colon + 1, UINT16_MAX);
		*colon = '\0';
		if (number < 0)
			return 0;
		*port = (uint16_t)number;
	}
	if (text[0] == '[' && text[strlen(text) - 1] == ']') {
		text[strlen(text) - 1] = '\0';
		text++;
		return inet_pton(AF_INET6, text, addr) == 1 ? 6 : 0;
	}
	if (inet_pton(AF_INET, text, addr) == 1)
		return 4;
	/* with a port it would not be clear where the address ends */
	return !ports && inet_pton(AF_INET6, text, addr) == 1 ? 6 : 0;
}

int flow_parse_text(struct xdp_flow_key *key, const char *text, struct xfq_error *error)
{
	char words[FLOW_TEXT_BYTES], *save = NULL, *word[4] = {NULL};
	uint32_t addr[2][4] = {{0}};
	uint16_t port[2];
	bool ports = false;
	uint8_t ip[2];
	int proto;

	if ((size_t)snprintf(words, sizeof(words), "%s", text) >= sizeof(words))
		goto refused;
	for (int i = 0; i < 4; i++)
		word[i] = strtok_r(i ? NULL : words, " \t", &save);
	if (!word[2] || word[3])
		goto refused;
	proto = flow_parse_proto(word[0], &ports);
	ip[0] = flow_parse_end(word[1], ports, addr[0], &port[0]);
	ip[1] = flow_parse_end(word[2], ports, addr[1], &port[1]);
	if (proto < 0 || !ip[0] || ip[0] != ip[1])
		goto refused;
	flow_key_set(key, ip[0], (uint8_t)proto, addr[0], port[0], addr[1], port[1]);
	return 0;
refused:
	return xfq_error_set(error, -EINVAL,
			     "\"%.100s\" is not a flow such as tcp 192.0.2.1:80 198.51.100.2:1234, "
			     "udp [2001:db8::1]:53 [2001:db8::2]:1024 or icmp 192.0.2.1 "
			     "198.51.100.2",
			     text);
}

const char *flow_format_text(const struct xdp_flow_key *key, char text[FLOW_TEXT_BYTES])
{
	int family = key->ip == 6 ? AF_INET6 : AF_INET, len = 0;
	const char *open = key->ip == 6 ? "[" : "", *shut = key->ip == 6 ? "]" : "";
	char a[INET6_ADDRSTRLEN] = "", b[INET6_ADDRSTRLEN] = "";
	bool ports = false;

	inet_ntop(family, key->addr[0], a, sizeof(a));
	inet_ntop(family, key->addr[1], b, sizeof(b));
	for (size_t i = 0; i < FLOW_PROTOS && len == 0; i++)
		if (key->proto == flow_protos[i].proto) {
			len = snprintf(text, FLOW_TEXT_BYTES, "%s", flow_protos[i].name);
			ports = flow_protos[i].ports;
		}
	if (len == 0)
		len = snprintf(text, FLOW_TEXT_BYTES, "%u", key->proto);
	if (ports)
		snprintf(text + len, FLOW_TEXT_BYTES - (size_t)len, " %s%s%s:%u %s%s%s:%u", open, a,
			 shut, key->port[0], open, b, shut, key->port[1]);
	else
		snprintf(text + len, FLOW_TEXT_BYTES - (size_t)len, " %s %s", a, b);
	return text;
}
