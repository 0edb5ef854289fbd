/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packets that benches inject: always the same for the same count, valid in every header and
 * checksum, from addresses set aside for benchmarks and documentation (RFC 2544, RFC 3849).
 */
#ifndef BENCH_PACKETS_H
#define BENCH_PACKETS_H

#include "bench/generate.h"
#include <stdint.h>

/*
 * Fill `packets` with `cnt` flows, at most GENERATE_PACKETS_MAX, one packet of each, half of them
 * from the client and half from the server, in no order. Of 100: 30 TCP port 443, 15 TCP port 80,
 * 10 UDP port 53, 20 UDP port 4433, 4 ICMP and 1 ICMPv6 echo, 20 IPv6 TCP port 443. Of 100 again,
 * independent of that: 50 have 64 bytes (78 where IPv6 TCP needs them), 20 have 128, 15 have 256
 * and 15 have 512, without the frame check sequence.
 */
void packets_fill_mixed(struct generate_packet *packets, uint32_t cnt);

/*
 * The same with more kinds, for what looks at many: of 100, 28 TCP port 443 (6 of them IPv6), 12
 * TCP port 80, 10 TCP SYN and 3 RST to ports of services, 5 mail (25, 587, 993), 3 SSH, 11 DNS (2
 * of them IPv6), 8 UDP port 443, 5 VPN (1194, 4500, 51820, ESP), 2 each of NTP, SNMP and GRE, 3
 * ICMP and ICMPv6, 3 fragments of UDP, later ones among them. 15 of 100 are behind a VLAN tag.
 */
void packets_fill_varied(struct generate_packet *packets, uint32_t cnt);

/* The same as packets_fill_mixed(), but none is so short that the struct generate_mark at its end
 * would lie in a header: with IPv4 TCP the shortest have 70 bytes, with IPv6 TCP 90 and with
 * ICMPv6 78. */
void packets_fill_numbered(struct generate_packet *packets, uint32_t cnt);

/* Fill one packet: IPv4, UDP port 53, 64 bytes, with room for a struct generate_mark. */
void packets_fill_fixed(struct generate_packet *packet);

#endif
