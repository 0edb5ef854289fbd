/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guard against locking oneself out: whether a config would cut the SSH session that the process
 * was started from. The packets of that session are made up and judged in user space, before
 * anything is attached; what would not be passed on to the host is refused.
 *
 * The session is what sshd says of it in SSH_CONNECTION or SSH_CLIENT, in this process or, as sudo
 * removes them, in one that it descends from. Its interface is the one by which the client is
 * reached or that has the server's address, with what lies below: a bridge's ports, a VLAN's
 * device. Whoever asks may answer with --force. Set-up only; one thread.
 */
#ifndef INSTANCE_LOCKOUT_H
#define INSTANCE_LOCKOUT_H

#include "workers/config.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

#define LOCKOUT_TEXT_BYTES 192

struct lockout_end {
	uint8_t address[16]; /* network byte order; IPv4: the first four bytes */
	uint16_t port;
};

struct lockout_session {
	bool v6;
	struct lockout_end client, server;
	char scope[IF_NAMESIZE]; /* of a link-local address: its interface; "": none */
};

/* The session that this process was started from, as sshd tells it; false: none. */
bool lockout_find(char text[LOCKOUT_TEXT_BYTES]);

/*
 * The whole question, of a session that lockout_find() found, here or in the process that asks for
 * a reload: 0 where nothing is in danger, or the session's way cannot be found out; -EPERM with a
 * sentence that names session, interface, rule and line, and --force; -EINVAL for what is no
 * session.
 */
int lockout_check(const struct config *config, const char *text, struct xfq_error *error);

/* Read SSH_CONNECTION ("client port server port") or SSH_CLIENT ("client port port"), whose server
 * address is then 0. False for anything else. */
bool lockout_read(struct lockout_session *session, const char *text);

/* The same as lockout_check() of a session whose packets come by the config's interface at place
 * `interface`; `vlan` is the VLAN that they are in there, 0: none. */
int lockout_judge(const struct config *config, const struct lockout_session *session,
		  uint32_t interface, uint16_t vlan, struct xfq_error *error);

#endif
