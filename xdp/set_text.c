/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/set_text.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Digits only, no sign, no needless zero in front: -1 where it is not a number up to `max`. */
static int set_parse_number(const char *text, size_t len, int max)
{
	int number = 0;

	if (len == 0 || (text[0] == '0' && len > 1))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = number * 10 + (text[i] - '0');
		if (number > max)
			return -1;
	}
	return number;
}

/* An address of `len` characters. False: it is none. */
static bool set_parse_address(uint8_t addr[16], uint8_t *v6, const char *text, size_t len)
{
	char host[INET6_ADDRSTRLEN];

	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	*v6 = memchr(text, ':', len) != NULL;
	return inet_pton(*v6 ? AF_INET6 : AF_INET, host, addr) == 1;
}

static int set_parse_net(struct set_net *net, const char *text, struct xfq_error *error)
{
	const char *slash = strchrnul(text, '/');
	int max, bits;

	if (!set_parse_address(net->addr, &net->v6, text, (size_t)(slash - text)))
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\" is neither an address nor a prefix such as "
				     "192.0.2.0/24 or 2001:db8::/32",
				     text);
	max = net->v6 ? 128 : 32;
	bits = *slash ? set_parse_number(slash + 1, strlen(slash + 1), max) : max;
	if (bits < 0)
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\": the length of an IPv%d prefix is a number "
				     "from 0 to %d",
				     text, net->v6 ? 6 : 4, max);
	net->len = (uint8_t)bits;
	set_clear_host_bits(net->addr, net->len);
	return 0;
}

static int set_parse_single(struct set_net *net, const char *text, struct xfq_error *error)
{
	const char *slash = strchrnul(text, '/');

	if (!set_parse_address(net->addr, &net->v6, text, (size_t)(slash - text)))
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\" is not an address such as 192.0.2.1 or 2001:db8::1",
				     text);
	net->len = net->v6 ? 128 : 32;
	/* a prefix of full length is an address, as lists have it */
	if (*slash && set_parse_number(slash + 1, strlen(slash + 1), 128) != net->len)
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\" is a prefix, and the set has single addresses; "
				     "type: net has prefixes",
				     text);
	return 0;
}

static int set_parse_ports(struct set_ports *ports, const char *text, struct xfq_error *error)
{
	const char *dash = strchrnul(text, '-');
	int lo = set_parse_number(text, (size_t)(dash - text), UINT16_MAX);
	int hi = *dash ? set_parse_number(dash + 1, strlen(dash + 1), UINT16_MAX) : lo;

	if (lo < 0 || hi < lo)
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\" is not a port from 0 to 65535, nor a range such as "
				     "8000-8100",
				     text);
	ports->lo = (uint16_t)lo;
	ports->hi = (uint16_t)hi;
	return 0;
}

static int set_hex(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit |= 0x20;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static int set_parse_mac(uint8_t mac[6], const char *text, struct xfq_error *error)
{
	bool good = strlen(text) == 17 && (text[2] == ':' || text[2] == '-');

	for (int i = 0; i < 6 && good; i++) {
		int high = set_hex(text[i * 3]), low = set_hex(text[i * 3 + 1]);

		good = high >= 0 && low >= 0 && (i == 5 || text[i * 3 + 2] == text[2]);
		mac[i] = (uint8_t)(high * 16 + low);
	}
	if (good)
		return 0;
	return xfq_error_set(error, -EINVAL,
			     "\"%.80s\" is not an Ethernet address such as 02:00:00:00:00:01",
			     text);
}

/* "ADDRESS:PORT", "[ADDRESS]:PORT". */
static bool set_parse_end(uint32_t addr[4], uint8_t *v6, uint16_t *port, const char *text,
			  size_t len)
{
	const char *colon = memrchr(text, ':', len);
	uint8_t bytes[16] = {0};
	int number;
	size_t host;

	if (!colon)
		return false;
	host = (size_t)(colon - text);
	number = set_parse_number(colon + 1, len - host - 1, UINT16_MAX);
	if (number < 1)
		return false;
	if (text[0] == '[') {
		if (host < 2 || text[host - 1] != ']' ||
		    !set_parse_address(bytes, v6, text + 1, host - 2) || !*v6)
			return false;
	} else if (!set_parse_address(bytes, v6, text, host) || *v6) {
		return false;
	}
	memcpy(addr, bytes, sizeof(bytes));
	*port = (uint16_t)number;
	return true;
}

static const struct {
	const char *name;
	uint8_t proto;
} set_protos[] = {{"tcp", PARSE_IP_TCP}, {"udp", PARSE_IP_UDP}, {"sctp", PARSE_IP_SCTP}};

static int set_parse_flow(struct xdp_flow_key *flow, const char *text, struct xfq_error *error)
{
	const char *word[3];
	size_t len[3];
	uint32_t addr[2][4];
	uint16_t port[2];
	uint8_t v6[2], proto = 0;
	const char *at = text;

	for (int i = 0; i < 3; i++) {
		at += strspn(at, " \t");
		word[i] = at;
		len[i] = strcspn(at, " \t");
		at += len[i];
	}
	for (size_t i = 0; i < sizeof(set_protos) / sizeof(set_protos[0]); i++)
		if (len[0] == strlen(set_protos[i].name) &&
		    strncasecmp(word[0], set_protos[i].name, len[0]) == 0)
			proto = set_protos[i].proto;
	if (*at || !proto || !set_parse_end(addr[0], &v6[0], &port[0], word[1], len[1]) ||
	    !set_parse_end(addr[1], &v6[1], &port[1], word[2], len[2]) || v6[0] != v6[1])
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\" is not a flow such as tcp 192.0.2.1:80 "
				     "198.51.100.2:1234, or udp [2001:db8::1]:53 [2001:db8::2]:53 "
				     "(tcp, udp or sctp; ports from 1)",
				     text);
	flow_key_set(flow, v6[0] ? 6 : 4, proto, addr[0], port[0], addr[1], port[1]);
	return 0;
}

int set_parse_member(enum set_type type, struct set_member *member, const char *text,
		     struct xfq_error *error)
{
	memset(member, 0, sizeof(*member));
	member->expires_ns = SET_FOREVER;
	switch (type) {
	case SET_NET:
		return set_parse_net(&member->key.net, text, error);
	case SET_ADDRESS:
		return set_parse_single(&member->key.net, text, error);
	case SET_PORT:
		return set_parse_ports(&member->key.ports, text, error);
	case SET_FLOW:
		return set_parse_flow(&member->key.flow, text, error);
	case SET_MAC:
		return set_parse_mac(member->key.mac, text, error);
	}
	return xfq_error_set(error, -EINVAL, "no such type of set");
}

static void set_format_flow(const struct xdp_flow_key *flow, char *text)
{
	int family = flow->ip == 6 ? AF_INET6 : AF_INET;
	const char *proto = "?";
	char a[INET6_ADDRSTRLEN] = "", b[INET6_ADDRSTRLEN] = "";

	for (size_t i = 0; i < sizeof(set_protos) / sizeof(set_protos[0]); i++)
		if (flow->proto == set_protos[i].proto)
			proto = set_protos[i].name;
	inet_ntop(family, flow->addr[0], a, sizeof(a));
	inet_ntop(family, flow->addr[1], b, sizeof(b));
	if (family == AF_INET6)
		snprintf(text, SET_TEXT_BYTES, "%s [%s]:%u [%s]:%u", proto, a, flow->port[0], b,
			 flow->port[1]);
	else
		snprintf(text, SET_TEXT_BYTES, "%s %s:%u %s:%u", proto, a, flow->port[0], b,
			 flow->port[1]);
}

const char *set_format_member(enum set_type type, const struct set_member *member, char *text)
{
	const struct set_net *net = &member->key.net;
	const struct set_ports *ports = &member->key.ports;
	const uint8_t *mac = member->key.mac;
	size_t len;

	switch (type) {
	case SET_NET:
	case SET_ADDRESS:
		inet_ntop(net->v6 ? AF_INET6 : AF_INET, net->addr, text, SET_TEXT_BYTES);
		len = strlen(text);
		if (type == SET_NET && net->len < (net->v6 ? 128 : 32))
			snprintf(text + len, SET_TEXT_BYTES - len, "/%u", net->len);
		break;
	case SET_PORT:
		len = (size_t)snprintf(text, SET_TEXT_BYTES, "%u", ports->lo);
		if (ports->hi != ports->lo)
			snprintf(text + len, SET_TEXT_BYTES - len, "-%u", ports->hi);
		break;
	case SET_FLOW:
		set_format_flow(&member->key.flow, text);
		break;
	case SET_MAC:
		snprintf(text, SET_TEXT_BYTES, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
			 mac[2], mac[3], mac[4], mac[5]);
		break;
	}
	return text;
}

static bool set_is_blank(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r';
}

int set_parse_line(enum set_type type, struct set_member *member, const char *line, size_t len,
		   struct xfq_error *error)
{
	char text[SET_TEXT_BYTES];

	if (len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
		line += 3;
		len -= 3;
	}
	for (size_t i = 0; i < len; i++)
		if (line[i] == '#' || line[i] == ';')
			len = i;
	while (len > 0 && set_is_blank(line[len - 1]))
		len--;
	while (len > 0 && set_is_blank(line[0])) {
		line++;
		len--;
	}
	if (len == 0)
		return 1;
	if (memchr(line, 0, len))
		return xfq_error_set(error, -EINVAL, "a NUL byte: this is not a text file");
	if (len >= sizeof(text))
		return xfq_error_set(error, -EINVAL, "\"%.80s\" ... is too long for a member",
				     line);
	memcpy(text, line, len);
	text[len] = '\0';
	if (type != SET_FLOW && strpbrk(text, " \t"))
		return xfq_error_set(error, -EINVAL,
				     "\"%.80s\": one member per line, and nothing after it but a "
				     "comment (# or ;)",
				     text);
	return set_parse_member(type, member, text, error);
}
