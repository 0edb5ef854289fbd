/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a group is to get and what is to become of it, as plain data: texts, names and numbers, as a
 * config has them. policy.h makes of it what packets go through.
 *
 *	wanted   `when` holds, or a case of another group hands it a copy (tee)
 *	table    the first rule that matches drops it, or delivers it, to a class or to all
 *	cases    in order; of each that holds:
 *	           count    it is counted under a name
 *	           mark     members see a number beside it, the last one that was set
 *	           tee      another group gets a copy, as if it had wanted it
 *	           action   deliver: to members, of a class or all, by a method
 *	                    drop: to nobody
 *	                    pass: the next cases decide; after the others none is asked
 *	         decided by none: delivered to all, by the group's own method
 */
#ifndef STEERING_GROUP_SPEC_H
#define STEERING_GROUP_SPEC_H

#include "steering/method.h"
#include <stdbool.h>
#include <stdint.h>
#include <xfq/error.h>

#define GROUP_NAME_BYTES   32 /* of a class or a counter, with the terminator */
#define GROUP_CASES_MAX    32
#define GROUP_CLASSES_MAX  8
#define GROUP_COUNTERS_MAX 32
#define GROUP_INS_MAX      4
#define GROUP_NONE         UINT32_MAX
#define GROUP_SAMPLE_MAX   1000000000u

/* What becomes of a packet whose member has no room for it. */
enum policy_overflow {
	POLICY_DROP = 0, /* it is lost for that member: flows stay where they are */
	POLICY_SPILL     /* another member of the group gets it; lost where none has room */
};

/* Membership of a named set. */
struct group_in {
	uint32_t set;   /* number of the config's set */
	uint8_t fields; /* XDP_FIELD_*: which of the packet's; of a set of flows: not used */
	bool negated;   /* not in the set */
	bool keyed; /* it is one of addresses, ports or flows: of a flow's packets all are in it, or
		     * none is */
};

/* A condition: all that is given must hold. Nothing given: it holds. */
struct group_when {
	char *match; /* tcpdump expression; owned; NULL: every packet */
	struct group_in ins[GROUP_INS_MAX];
	uint32_t in_cnt;
	uint32_t plugin; /* number of the config's plug-in, whose predicate is asked; GROUP_NONE */
	bool plugin_negated;
};

enum group_sample { GROUP_SAMPLE_ALL = 0, GROUP_SAMPLE_FLOW, GROUP_SAMPLE_PACKET };

enum group_action { GROUP_DELIVER = 0, GROUP_DISCARD, GROUP_PASS };

struct group_case {
	struct group_when when;
	bool has_marked; /* and only of packets whose mark, as cases above have set it, is `marked`
			  */
	uint32_t marked;
	enum group_sample
		sample;     /* and only for one in sample_of: flows by their hash, or packets as */
	uint32_t sample_of; /* each worker counts those that `when` holds of */
	enum group_action action;
	bool has_mark;
	uint32_t mark;
	uint32_t class;   /* number of the group's class; GROUP_NONE: all members */
	uint32_t counter; /* number of the group's counter; GROUP_NONE */
	uint32_t tee;     /* number of the config's group; GROUP_NONE */
	bool has_steer;   /* else the group's */
	struct method_spec steer;
	uint32_t line; /* in the file it came from; 0: none */
};

struct group_spec {
	bool inner;    /* the innermost packet of tunnels is looked at */
	bool tee_only; /* it wants nothing by itself */
	struct group_when when;
	struct method_spec steer;
	enum policy_overflow overflow;
	char *table;            /* path of a rule table; owned; NULL: none */
	uint16_t table_outcome; /* of its rules that name none: TABLE_DELIVER or TABLE_DROP */
	uint32_t class_cnt;
	char classes[GROUP_CLASSES_MAX][GROUP_NAME_BYTES];
	uint32_t counter_cnt;
	char counters[GROUP_COUNTERS_MAX][GROUP_NAME_BYTES];
	struct group_case *cases; /* owned */
	uint32_t case_cnt;
};

/* Every packet, by flow, and nothing else. Its owner calls group_spec_destroy(). */
void group_spec_init(struct group_spec *spec);
void group_when_init(struct group_when *when);
void group_case_init(struct group_case *one);

/* Append a case as group_case_init() makes it; NULL without memory or beyond GROUP_CASES_MAX. The
 * pointer holds until the next one is added. */
struct group_case *group_spec_add_case(struct group_spec *spec);

/* The number of a class, or of a counter; GROUP_NONE: there is none of that name. */
uint32_t group_spec_find_class(const struct group_spec *spec, const char *name);
uint32_t group_spec_find_counter(const struct group_spec *spec, const char *name);

/* The number of a counter, which is added where there is none of that name; GROUP_NONE: there is no
 * room for one more. */
uint32_t group_spec_counter(struct group_spec *spec, const char *name);

/* Whether two say the same, but for the lines that they came from. */
bool group_spec_same(const struct group_spec *a, const struct group_spec *b);
bool group_case_same(const struct group_case *a, const struct group_case *b);

/* Free what it owns; safe on zeroed memory. */
void group_spec_destroy(struct group_spec *spec);

/* "deliver", "drop", "pass". */
const char *group_action_name(enum group_action action);

#endif
