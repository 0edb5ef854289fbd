/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration file: YAML into struct config.
 *
 *	name: demo                   # of the instance; default: the first interface's, or xfq
 *	interfaces:                  # none: for capture files only
 *	  - { name: eth0, queues: all, mode: auto, promiscuous: true, attach: exclusive }
 *	                             # mode: auto | zero-copy | native | generic |
 *	                             #       mirror | af_packet
 *	                             # attach: exclusive | shared, with priority: 50
 *	workers: { cpus: auto, idle: adaptive, frames: 16384, frame_size: 2048, flow_cache: 32768 }
 *	                             # cpus: auto or a list such as [0, 2, "4-7"]
 *	                             # idle: adaptive | spin | sleep; frame_size: 2048 | 4096
 *	                             # flow_cache: flows of each worker; 0: none
 *	filter:
 *	  default: steer             # steer | pass | drop | claimed, with push_down: true
 *	  malformed: rules           # rules | drop | pass
 *	  fragments: follow          # follow, with orphans: rules | drop | pass; or ignore
 *	  shunt: 65536               # flows; 0: none
 *	  sets:                      # config_set.h
 *	    blocklist: { type: net, file: blocklist.txt }
 *	    lab: { type: net, entries: [192.0.2.0/24, "2001:db8::/32"] }
 *	  rules:                     # the first that matches decides: drop | pass | steer | tx
 *	    - { action: drop, in: { set: blocklist, field: src } }  # src | dst | either
 *	    - { action: drop, proto: udp, port: 53 }  # also sport, dport; a number or LO-HI
 *	    - { action: drop, match: "icmp or arp" }
 *	    - { action: tx, proto: icmp, swap: [mac, addresses, ports] }  # default [mac]
 *	    - { action: limit, match: udp, per: src, rate: 10k }  # per: all | src | dst | flow
 *	                             # unit: packets | bytes, burst: N, keys: 65536
 *	egress:                      # what leaves; with the sets of filter
 *	  default: pass              # pass | drop; also malformed, as above
 *	  rules:                     # drop | pass | limit, with the same keys
 *	    - { action: drop, in: { set: blocklist, field: dst } }
 *	plugins:                     # config_plugin.h
 *	  voip: { file: ./steer_voip.so, args: { port: 5060 } }
 *	groups:
 *	  web:                       # every key may be left out
 *	    match: tcp port 80       # default: every packet
 *	    in: { set: lab, field: src }  # and a set, or several: config_when.h
 *	    plugin: voip             # and a plug-in's predicate
 *	    inner: false             # true: of tunnels the innermost packet is looked at
 *	    tee_only: false          # true: it gets what other groups' cases hand it, and no more
 *	    table: rules.csv         # config_table.h
 *	    classes: [user, control]      # or with built-in members: { user: { members: 2 } }
 *	    cases:                   # config_case.h
 *	      - { match: tcp port 81, class: control, count: odd, mark: 7 }
 *	    steer: flow              # config_steer.h
 *	    overflow: drop           # drop | spill: when a member has no room
 *	    members: 4               # built in, of no class; default 1
 *	    max_members: 8           # that may join from other processes; default 4
 *	    access: private          # who may: config_access.h
 *	    sink: pcap               # count | pcap; default count
 *	    dir: captures            # of sink pcap; default "."
 *	    run: thread              # thread | worker
 *	    ring: 1024               # slots, a power of two
 *	    shunt: false             # true: who may join may have flows shunted
 *
 * Everything wrong with a file is reported in one run, each error a line "FILE:LINE: KEY: text";
 * only what makes the text no YAML at all ends the run at once. What the format foresees but this
 * version does not have is refused by name. A section that is left empty is one that is not there.
 * Limits: a file of 16 MiB, a set's or a table's file of 64 MiB, and those of config_document.h and
 * config_schema.h.
 *
 * Set-up only, one thread at a time (libpcap compiles the expressions). Nothing is printed.
 */
#ifndef INSTANCE_CONFIG_YAML_H
#define INSTANCE_CONFIG_YAML_H

#include "apps/instance/config_errors.h"
#include "workers/config.h"
#include <stddef.h>

/*
 * Read a configuration file. The files that it names are relative to its folder. `config` is taken
 * as uninitialised memory; `errors` is zeroed memory or an empty list.
 *
 * Returns 0, and the caller owns what config_destroy() frees; or -EINVAL for a file with errors,
 * -ENOMEM, or the -errno of a file that cannot be read (-EISDIR, -ENOENT, ...; -EFBIG beyond
 * 16 MiB). Then `config` is zeroed and `errors` has a line or more, sorted; the caller frees them
 * with config_errors_destroy().
 */
int config_read(struct config *config, const char *path, struct config_errors *errors);

/*
 * The same from `len` bytes of text. `name` stands for the file in messages; the files that it
 * names are relative to `dir`. With a `dir` of NULL the text stands alone: no file is opened (a
 * set's is refused, the paths of tables and plug-ins are kept), users and groups are numbers, and
 * no `match` is compiled, neither a group's, a case's nor a rule's, which could ask a name server:
 * such a config is not to be run. Returns as above.
 */
int config_read_buffer(struct config *config, const char *name, const char *dir, const void *text,
		       size_t len, struct config_errors *errors);

/* Name an instance after its first interface, whose name may have characters that names of
 * instances do not; "xfq" where there is none. */
void config_name_default(struct config *config);

/* Whether the kernel takes a text for the name of an interface. */
bool config_interface_name_valid(const char *name);

#endif
