/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is said over the control socket of an instance, DIR/NAME.sock, SOCK_SEQPACKET; both sides
 * are of the same machine, so numbers are in host byte order.
 *
 *	client                        instance
 *	  protocol_request  ------------>
 *	                    <------------  protocol_answer, refused: code and sentence, end of file
 *
 *	STATUS              <------------  protocol_answer, then JSON text in messages of at most
 *	                                   PROTOCOL_MESSAGE_BYTES, end of file
 *	GROUPS              <------------  protocol_answer with `cnt`, then so many protocol_group
 *					   in one message (none: no message), end of file
 *	JOIN                <------------  protocol_joined, with descriptors (SCM_RIGHTS)
 *	  PROTOCOL_READY_BYTES  -------->
 *	                    <------------  PROTOCOL_WAKE_BYTES: from now on packets come
 *
 * Between the two the client maps its memory and then seals the consumer pages
 *(F_SEAL_FUTURE_WRITE, F_SEAL_SEAL), so that they can be changed through that mapping alone: a
 *member that can take pages out of them blocks the worker that reads there. It is a member, and
 *given packets, only then.
 *
 * From then on the connection is the membership: its end, by whichever side and for whatever
 * reason, is the end of that. The member says nothing more, but for PROTOCOL_LEAVE_BYTES of any
 * content when it leaves of its own will; the instance sends
 *
 *	PROTOCOL_WAKE_BYTES   to a member that said that it sleeps (struct xfq_ring_cons.waiting):
 *	                      packets have come. The content means nothing
 *	protocol_notice       last words: why the membership ends, or comes to nothing
 *
 * Wake-ups are messages and not writes to an eventfd: whether a write may block is a flag of the
 * open file, which sender and receiver would share; a member could clear it, fill the counter and
 * so block the worker. A message is sent without waiting, whatever the receiver does.
 *
 * Descriptors of JOIN: the memfd of the producers' mappings (one ring for each worker, read-only
 * for good), the memfd of the consumer pages, and the memfd of each worker's UMEM (read-only for
 * good). All are sealed against changes of their size. Descriptors for the instance are refused by
 * the kernel where it can (SO_PASSRIGHTS), as the one that closes a descriptor last may have to
 *wait for as long as its sender likes; no request needs any.
 */
#ifndef INSTANCE_PROTOCOL_H
#define INSTANCE_PROTOCOL_H

#include <stdint.h>
#include <stdlib.h>
#include <xfq/error.h>
#include <xfq/ring.h>
#include <xfq/xfq.h>

#define PROTOCOL_MAGIC          0x51465843u /* "CXFQ" in little-endian memory */
#define PROTOCOL_VERSION        2
#define PROTOCOL_MESSAGE_BYTES  16384
#define PROTOCOL_TEXT_BYTES     256
#define PROTOCOL_JSON_BYTES_MAX (1U << 20)   /* of a command */
#define PROTOCOL_DATA_BYTES_MAX (256U << 20) /* that follow it: some ten million prefixes */
#define PROTOCOL_READY_BYTES    2
#define PROTOCOL_WAKE_BYTES     1
#define PROTOCOL_LEAVE_BYTES    1
#define PROTOCOL_FDS_MAX        130 /* rings, consumer pages, and the UMEM of 128 workers */
#define PROTOCOL_SUFFIX         ".sock"

enum protocol_type {
	PROTOCOL_STATUS = 1,
	PROTOCOL_GROUPS = 2,
	PROTOCOL_JOIN = 3,
	PROTOCOL_COMMAND = 4
};

struct protocol_request {
	uint32_t magic;
	uint16_t version;
	uint16_t type; /* enum protocol_type */
	/* JOIN only, else 0 */
	char group[XFQ_NAME_BYTES]; /* terminated */
	uint32_t ring_slots;        /* wish; 0: the group's */
	uint32_t weight;            /* 1 to 1000; 0: 1 */
	uint16_t ring_version;      /* XFQ_RING_VERSION */
	uint16_t desc_len;          /* sizeof(struct xfq_ring_desc) */
	uint16_t meta_len;          /* XFQ_META_BYTES */
	uint16_t reserved0;
	char process[16];  /* the member's name for itself, to be shown; terminated */
	char classes[256]; /* of the group, commas between; terminated. "": none */
	/* COMMAND only, else 0 */
	uint64_t json_len;
	uint64_t data_len;
	uint32_t reserved[10];
};

struct protocol_answer {
	uint32_t magic;
	uint16_t version;
	uint16_t type; /* of the request */
	int32_t code;  /* 0, or a negative errno */
	uint32_t cnt;
	char text[PROTOCOL_TEXT_BYTES]; /* where code is not 0: why; terminated */
};

struct protocol_group {
	char name[XFQ_NAME_BYTES];
	char steer[16];
	uint32_t members, members_max, ring_slots, joined;
	uint32_t allowed; /* 1: the asking user may join, while there is a place */
	uint32_t reserved[7];
	char classes[128]; /* names with commas between; those that do not fit are left out */
};

struct protocol_joined {
	struct protocol_answer answer; /* code 0 */
	char instance[XFQ_NAME_BYTES];
	char group[XFQ_NAME_BYTES];
	char interfaces[128]; /* names with commas between; cut where there are too many */
	uint32_t id;          /* of the member in its group */
	uint32_t worker_cnt;  /* rings, consumer pages and UMEM descriptors */
	uint32_t ring_slots;
	uint32_t reserved0;
	uint64_t ring_stride; /* bytes from one ring to the next in the first descriptor */
	uint64_t cons_stride; /* bytes from one consumer page to the next in the second */
	uint32_t reserved[8];
};

struct protocol_notice {
	uint32_t magic;
	int32_t code;                   /* -EPIPE: the instance ended; -ECONNABORTED: detached */
	char text[PROTOCOL_TEXT_BYTES]; /* why; terminated */
};

_Static_assert(sizeof(struct protocol_request) == 384, "a request is 384 bytes");
_Static_assert(sizeof(struct protocol_answer) == 272, "an answer is 272 bytes");
_Static_assert(sizeof(struct protocol_group) == 224, "a group is 224 bytes");
_Static_assert(sizeof(struct protocol_joined) == 528, "a joined answer is 528 bytes");
_Static_assert(sizeof(struct protocol_notice) == 264, "a notice is 264 bytes");

/* The folder of all control sockets. */
static inline const char *protocol_dir(void)
{
	const char *dir = getenv("XFQ_RUN_DIR");

	return dir && dir[0] ? dir : "/run/xfq";
}

#endif
