/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a group or a case shares its packets: the key `steer`.
 *
 *	steer: flow                  # or ip-pair, src, dst, double, link, vlan, queue, rss-hash,
 *	                             # round-robin, random, broadcast, sticky
 *	steer: to:3                  # { by: to, member: 3 }
 *	steer: { by: local-link, gateway: "02:00:00:00:00:01" }
 *	steer: { by: local-ip, nets: [192.0.2.0/24, "2001:db8::/32"], else: drop }
 *	steer: { by: local-net, nets: [192.0.2.0/24, 10.0.0.0/8/24] }
 *	                             # the second: networks of 24 bits in 10.0.0.0/8
 *	steer: { by: field, offset: 26, size: 4 }
 *	                             # with: 30 (a second place, in any order), and
 *	                             # each: true (to the members of both)
 *	steer: { by: key, fields: [src, dst, sport, dport, proto], symmetric: true }
 *	                             # also vlan, src-mac, dst-mac, ethertype, tos, flow-label,
 *	                             # dscp, ecn, icmp-type, icmp-code
 *	steer: { by: sticky, flows: 65536, idle: 300 }
 *	steer: { by: plugin, name: voip }
 *
 * `else: drop` goes with every method that may not apply to a packet; without it such a packet goes
 * by its flow.
 */
#ifndef INSTANCE_CONFIG_STEER_H
#define INSTANCE_CONFIG_STEER_H

#include "apps/instance/config_schema.h"
#include "workers/config.h"

#define CONFIG_STICKY_FLOWS     65536
#define CONFIG_STICKY_FLOWS_MAX (1u << 24)
#define CONFIG_STICKY_IDLE      300 /* seconds */
#define CONFIG_STICKY_IDLE_MAX  1000000
#define CONFIG_OFFSET_MAX       65535 /* of method field */

/* The methods that need no more than a word, for messages. */
#define CONFIG_STEER_WORDS                                                                         \
	"flow, ip-pair, src, dst, double, link, vlan, queue, rss-hash, round-robin, random, "      \
	"to:N, "                                                                                   \
	"broadcast, sticky"

/* Such a word, or "to:N". *method tells the method that was named; METHOD_CNT: none was. False: it
 * is none, or needs more than a word. `spec` is zeroed memory. */
bool config_steer_parse(const char *text, struct method_spec *spec, enum method *method);

/* Read the value of `steer`; the plug-ins are those of the config. False: reported. `spec` is
 * zeroed memory, whose owner calls method_spec_destroy() whatever comes of it. */
bool config_steer_read(struct config_reader *reader, int node, const struct config *config,
		       struct method_spec *spec);

#endif
