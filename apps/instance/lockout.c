/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/lockout.h"
#include "apps/instance/lockout_route.h"
#include "apps/instance/rule_text.h"
#include "xdp/first_pass.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCKOUT_ANCESTORS     64
#define LOCKOUT_ENVIRON_BYTES 131072
#define LOCKOUT_RULE_BYTES    160
#define LOCKOUT_PACKET_BYTES  1600

/* The sizes of what is judged: a bare acknowledgement, a line typed, and a full segment. */
static const uint32_t lockout_payloads[] = {0, 36, 1400};

/* --- the session ------------------------------------------------------------------------------ */

static bool lockout_read_end(struct lockout_session *session, struct lockout_end *end, char *text)
{
	char *scope = strchr(text, '%');

	if (scope) {
		*scope++ = '\0';
		snprintf(session->scope, sizeof(session->scope), "%s", scope);
	}
	if (inet_pton(AF_INET, text, end->address) == 1)
		return !session->v6;
	if (inet_pton(AF_INET6, text, end->address) != 1)
		return false;
	session->v6 = true;
	return true;
}

bool lockout_read(struct lockout_session *session, const char *text)
{
	char client[64], server[64] = "", rest;
	unsigned from = 0, to = 0;
	int found = sscanf(text, "%63s %u %63s %u %c", client, &from, server, &to, &rest);

	memset(session, 0, sizeof(*session));
	if (found == 3) { /* the third word is a port */
		server[0] = '\0';
		found = sscanf(text, "%63s %u %u %c", client, &from, &to, &rest) == 3 ? 4 : 0;
	}
	if (found != 4 || from > UINT16_MAX || to > UINT16_MAX || !from || !to)
		return false;
	session->client.port = (uint16_t)from;
	session->server.port = (uint16_t)to;
	return lockout_read_end(session, &session->client, client) &&
	       (!server[0] || lockout_read_end(session, &session->server, server));
}

/* Take what sshd says, if it can be read. */
static bool lockout_take(char text[LOCKOUT_TEXT_BYTES], const char *said)
{
	struct lockout_session session;

	if (!said || strlen(said) >= LOCKOUT_TEXT_BYTES || !lockout_read(&session, said))
		return false;
	strcpy(text, said);
	return true;
}

/* The parent of a process; 0: none. */
static pid_t lockout_parent(pid_t pid)
{
	char path[32], line[256];
	int parent = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file) && sscanf(line, "PPid: %d", &parent) != 1)
		;
	fclose(file);
	return parent;
}

/* What another process was started with. */
static bool lockout_take_environ(char text[LOCKOUT_TEXT_BYTES], pid_t pid)
{
	char *all = calloc(1, LOCKOUT_ENVIRON_BYTES + 1), *at;
	const char *connection = NULL, *client = NULL;
	char path[32];
	size_t len = 0;
	FILE *file;
	bool found;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	file = fopen(path, "re");
	if (all && file)
		len = fread(all, 1, LOCKOUT_ENVIRON_BYTES, file);
	for (at = all; len && at < all + len; at += strlen(at) + 1) {
		if (strncmp(at, "SSH_CONNECTION=", 15) == 0)
			connection = at + 15;
		else if (strncmp(at, "SSH_CLIENT=", 11) == 0)
			client = at + 11;
	}
	found = lockout_take(text, connection) || lockout_take(text, client);
	if (file)
		fclose(file);
	free(all);
	return found;
}

bool lockout_find(char text[LOCKOUT_TEXT_BYTES])
{
	pid_t pid = getppid();

	if (lockout_take(text, getenv("SSH_CONNECTION")) ||
	    lockout_take(text, getenv("SSH_CLIENT")))
		return true;
	for (uint32_t i = 0; i < LOCKOUT_ANCESTORS && pid > 1; i++, pid = lockout_parent(pid))
		if (lockout_take_environ(text, pid))
			return true;
	return false;
}

/* --- its packets ------------------------------------------------------------------------------ */

static void lockout_put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* The IP header in front of `payload` bytes; its length. */
static uint32_t lockout_ip(uint8_t *at, const struct lockout_session *session,
			   const struct lockout_end *from, const struct lockout_end *to,
			   uint32_t payload)
{
	uint32_t sum = 0;

	if (session->v6) {
		at[0] = 0x60;
		lockout_put16(at + 4, payload);
		at[6] = IPPROTO_TCP;
		at[7] = 64;
		memcpy(at + 8, from->address, 16);
		memcpy(at + 24, to->address, 16);
		return 40;
	}
	at[0] = 0x45;
	lockout_put16(at + 2, 20 + payload);
	at[6] = 0x40; /* don't fragment */
	at[8] = 64;
	at[9] = IPPROTO_TCP;
	memcpy(at + 12, from->address, 4);
	memcpy(at + 16, to->address, 4);
	for (uint32_t i = 0; i < 20; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	lockout_put16(at + 10, ~(sum + (sum >> 16)));
	return 20;
}

/* A segment of the session with `payload` bytes; the packet's length. */
static uint32_t lockout_packet(uint8_t packet[LOCKOUT_PACKET_BYTES],
			       const struct lockout_session *session, bool to_server, uint16_t vlan,
			       uint8_t tcp_flags, uint32_t payload)
{
	const struct lockout_end *from = to_server ? &session->client : &session->server;
	const struct lockout_end *to = to_server ? &session->server : &session->client;
	uint32_t at = 12;

	memset(packet, 0, LOCKOUT_PACKET_BYTES);
	packet[0] = packet[6] = 2; /* addresses of no maker: nobody knows those on the wire */
	packet[5] = 1;
	packet[11] = 2;
	if (vlan) {
		lockout_put16(packet + at, 0x8100);
		lockout_put16(packet + at + 2, vlan);
		at += 4;
	}
	lockout_put16(packet + at, session->v6 ? 0x86dd : 0x0800);
	at += 2;
	at += lockout_ip(packet + at, session, from, to, 20 + payload);
	lockout_put16(packet + at, from->port);
	lockout_put16(packet + at + 2, to->port);
	packet[at + 7] = 1;     /* sequence number */
	packet[at + 12] = 0x50; /* header of 20 bytes */
	packet[at + 13] = tcp_flags;
	lockout_put16(packet + at + 14, 65535);
	return at + 20 + payload;
}

/* --- what becomes of them --------------------------------------------------------------------- */

/* The session is in the words of the config; what is done to it is said by the action. */
static const char *lockout_deed(enum filter_action action)
{
	switch (action) {
	case FILTER_DROP:
		return "drop";
	case FILTER_TX:
		return "send back";
	case FILTER_LIMIT:
		return "limit";
	case FILTER_STEER:
	case FILTER_CLAIMED:
	case FILTER_PASS:
		break;
	}
	return "take away from the host";
}

static int lockout_refuse(const struct config *config, const struct filter *filter, uint16_t rule,
			  const struct lockout_session *session, const char *interface,
			  struct xfq_error *error)
{
	char client[INET6_ADDRSTRLEN] = "", what[LOCKOUT_RULE_BYTES] = "default";
	const char *where = filter == &config->egress ? "egress" : "filter";
	enum filter_action action = filter->default_action;
	char number[48] = "";

	if (rule < filter->rule_cnt) {
		action = filter->rules[rule].action;
		rule_text(filter, &filter->rules[rule], what, sizeof(what));
		snprintf(number, sizeof(number), "rule %u, line %u: ", rule,
			 filter->rules[rule].line);
	}
	inet_ntop(session->v6 ? AF_INET6 : AF_INET, session->client.address, client,
		  sizeof(client));
	return xfq_error_set(error, -EPERM,
			     "%s: %s%s (%s) would %s the SSH session from %s port %u that "
			     "this was started from, on %s; put a rule before it that passes the "
			     "session, or insist with --force",
			     where, number, filter_action_name(action), what, lockout_deed(action),
			     client, session->client.port, interface);
}

/* Judge the session in one direction. A limit that concerns it is as bad as its being exceeded, so
 * `strict` is a filter in which limits drop. */
static int lockout_direction(const struct config *config, const struct filter *filter,
			     const struct filter *strict, const struct lockout_session *session,
			     uint16_t vlan, const char *interface, struct xfq_error *error)
{
	bool in = filter == &config->filter;
	struct first_pass pass = {.filter = strict};
	uint8_t packet[LOCKOUT_PACKET_BYTES];
	struct xfq_meta meta;

	for (uint32_t i = 0; i <= sizeof(lockout_payloads) / sizeof(lockout_payloads[0]); i++) {
		/* first the segment by which such a session begins */
		uint8_t flags = i ? 0x18 : in ? 0x02 : 0x12;
		uint32_t len = lockout_packet(packet, session, in, vlan, flags,
					      i ? lockout_payloads[i - 1] : 0);
		struct first_pass_result result = first_pass_run(&pass, packet, len, len, 0, &meta);

		if (result.action != XDP_VERDICT_PASS) {
			first_pass_destroy(&pass);
			return lockout_refuse(config, filter, result.rule, session, interface,
					      error);
		}
	}
	first_pass_destroy(&pass);
	return 0;
}

static int lockout_strictly(const struct config *config, const struct filter *filter,
			    const struct lockout_session *session, uint16_t vlan,
			    const char *interface, struct xfq_error *error)
{
	struct filter strict = *filter;
	int code;

	strict.rules = calloc(filter->rule_cnt ? filter->rule_cnt : 1, sizeof(*strict.rules));
	if (!strict.rules)
		return xfq_error_set(error, -ENOMEM, "no memory to judge the SSH session");
	for (uint32_t i = 0; i < filter->rule_cnt; i++) {
		strict.rules[i] = filter->rules[i];
		if (strict.rules[i].action == FILTER_LIMIT)
			strict.rules[i].action = FILTER_DROP;
	}
	code = lockout_direction(config, filter, &strict, session, vlan, interface, error);
	free(strict.rules);
	return code;
}

int lockout_judge(const struct config *config, const struct lockout_session *session,
		  uint32_t interface, uint16_t vlan, struct xfq_error *error)
{
	const struct config_interface *on = &config->interfaces[interface];
	int code = 0;

	/* copies alone: the host keeps what comes in */
	if (on->mode != CONFIG_MODE_MIRROR && on->mode != CONFIG_MODE_AF_PACKET)
		code = lockout_strictly(config, &config->filter, session, vlan, on->name, error);
	if (code == 0 && config->has_egress)
		code = lockout_strictly(config, &config->egress, session, vlan, on->name, error);
	return code;
}

int lockout_check(const struct config *config, const char *text, struct xfq_error *error)
{
	struct lockout_way ways[LOCKOUT_WAYS_MAX];
	struct lockout_session session;
	uint32_t cnt;
	int code = 0;

	if (!lockout_read(&session, text))
		return xfq_error_set(error, -EINVAL, "\"%.64s\" is no SSH session", text);
	cnt = lockout_route(&session, ways);
	for (uint32_t w = 0; w < cnt && code == 0; w++)
		for (uint32_t i = 0; i < config->interface_cnt && code == 0; i++)
			if (if_nametoindex(config->interfaces[i].name) == ways[w].ifindex)
				code = lockout_judge(config, &session, i, ways[w].vlan, error);
	return code;
}
