/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A flow's key as text, as sets of flows have it, and with every protocol:
 *
 *	tcp 192.0.2.1:80 198.51.100.2:1234
 *	udp [2001:db8::1]:53 [2001:db8::2]:1024
 *	icmp 192.0.2.1 198.51.100.2
 *	47 192.0.2.1 198.51.100.2
 */
#ifndef XDP_FLOW_TEXT_H
#define XDP_FLOW_TEXT_H

#include "xdp/flow_key.h"
#include <xfq/error.h>

#define FLOW_TEXT_BYTES 128

/* Ends in either order. 0, or -EINVAL with a sentence. */
int flow_parse_text(struct xdp_flow_key *key, const char *text, struct xfq_error *error);

/* Returns `text`. */
const char *flow_format_text(const struct xdp_flow_key *key, char text[FLOW_TEXT_BYTES]);

#endif
