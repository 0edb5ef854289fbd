/* SPDX-License-Identifier: BSD-2-Clause */
/* A packet in a line. */
#ifndef APPS_PACKET_TEXT_H
#define APPS_PACKET_TEXT_H

#include <stddef.h>
#include <stdint.h>

/*
 * "IPv4 UDP 10.0.0.1:53 > 10.0.0.2:1234 len 74", "ARP len 42", "IPv6 ICMP6 2001:db8::1 >
 * 2001:db8::2 len 86, malformed": `len` bytes at `data` of the `wire_len` that the wire had, whose
 * number is the one at the end. The text is cut to `size`, and always terminated.
 */
void packet_text(const uint8_t *data, uint32_t len, uint32_t wire_len, char *text, size_t size);

#endif
