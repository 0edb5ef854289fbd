/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plug-in: a SIP call and its media go to one member.
 *
 *	plugins: { voip: { file: ./steer_voip.so, args: { port: "5060,5062" } } }
 *	groups: { calls: { plugin: voip, steer: { by: plugin, name: voip }, members: 4 } }
 *
 * Its predicate is true of SIP messages and of media that a message has announced; what it steers
 * beside those goes by flow, or as the group's `else` says.
 *
 * SIP is UDP and TCP from or to the ports. It is steered by a number made of its Call-ID. Of a
 * segment of TCP the first message counts, if it begins there.
 *
 * SDP is read in requests and answers of any kind: each m= line, with the c= line that holds for
 * it, tells the address and port of RTP, and of RTCP, which is one above or what a=rtcp says.
 *
 * Media are packets to such an address and port, or else from one: they are steered by the number
 * of the call. Nothing is taken for media by its looks. In a capture that has RTP and no SIP, such
 * as one that began after the call did, the plug-in finds no call.
 *
 * Later fragments have no ports: they follow the first fragment of their datagram.
 *
 * Arguments: `port`, up to 8 numbers with commas (5060); `calls`, how many addresses are remembered
 * (65536); `idle`, for how many seconds without a packet (180).
 *
 * What is remembered is shared by all workers, in buckets that each have a sequence lock: a reader
 * that meets a writer tries again, and after a few times takes it that nothing is known; a writer
 * that meets another leaves it at that, as the next message of the call says the same. Nobody waits
 * for longer than that.
 *
 * tests/offline/test_plugin.sh makes calls with media, and looks whether each call is at one
 * member; of rtp.pcapng, a capture of RTP alone, nothing is of a call. tests/unit/test_voip.c
 * has each kind of message, of media and of fragments.
 *
 *	cc -shared -fPIC -O2 -o steer_voip.so steer_voip.c $(pkg-config --cflags xfq)
 */
#include "steer_voip_text.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <xfq/plugin.h>

#define VOIP_PORTS_MAX  8
#define VOIP_WAYS       4
#define VOIP_MEDIA_MAX  8 /* m= lines of a message */
#define VOIP_TRIES      8
#define VOIP_NS         1000000000ULL
#define VOIP_FRAGMENT_S 30 /* for how long the datagram of a fragment is remembered */
#define VOIP_TCP        6
#define VOIP_UDP        17

/* --- what is remembered ----------------------------------------------------------------------- */

/* An address and port, or a datagram in fragments. */
struct voip_key {
	uint64_t word[3]; /* address in two; then kind (4, 6, 1: a datagram) and port or number */
};

struct voip_entry {
	struct voip_key key; /* word[2] == 0: nothing is here */
	uint64_t call;
	uint64_t until_ns;
};

struct voip_bucket {
	uint64_t sequence; /* odd: somebody writes */
	struct voip_entry entries[VOIP_WAYS];
};

struct voip {
	uint16_t ports[VOIP_PORTS_MAX];
	uint32_t port_cnt;
	uint64_t idle_ns;
	uint32_t mask;
	struct voip_bucket *buckets; /* owned */
};

static struct voip_bucket *voip_bucket(const struct voip *voip, const struct voip_key *key)
{
	uint64_t hash = voip_mix(key->word[0]) ^ key->word[1];

	hash = voip_mix(voip_mix(hash) ^ key->word[2]);
	return &voip->buckets[hash & voip->mask];
}

static void voip_copy_entry(struct voip_entry *to, const struct voip_entry *from)
{
	for (int i = 0; i < 3; i++)
		to->key.word[i] = __atomic_load_n(&from->key.word[i], __ATOMIC_ACQUIRE);
	to->call = __atomic_load_n(&from->call, __ATOMIC_ACQUIRE);
	to->until_ns = __atomic_load_n(&from->until_ns, __ATOMIC_ACQUIRE);
}

static void voip_put_entry(struct voip_entry *to, const struct voip_entry *from)
{
	/* release: the sequence number was odd before any of it is seen */
	for (int i = 0; i < 3; i++)
		__atomic_store_n(&to->key.word[i], from->key.word[i], __ATOMIC_RELEASE);
	__atomic_store_n(&to->call, from->call, __ATOMIC_RELEASE);
	__atomic_store_n(&to->until_ns, from->until_ns, __ATOMIC_RELEASE);
}

static bool voip_same_key(const struct voip_key *a, const struct voip_key *b)
{
	return ((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1]) |
		(a->word[2] ^ b->word[2])) == 0;
}

/* Which call a key belongs to, and until when; false: none is known. */
static bool voip_find(const struct voip *voip, const struct voip_key *key, uint64_t now_ns,
		      struct voip_entry *found)
{
	const struct voip_bucket *bucket = voip_bucket(voip, key);

	for (int try = 0; try < VOIP_TRIES; try++) {
		uint64_t before = __atomic_load_n(&bucket->sequence, __ATOMIC_ACQUIRE);
		bool has = false;

		if (before & 1)
			continue;
		for (int w = 0; w < VOIP_WAYS && !has; w++) {
			voip_copy_entry(found, &bucket->entries[w]);
			has = voip_same_key(&found->key, key) && found->until_ns >= now_ns;
		}
		if (__atomic_load_n(&bucket->sequence, __ATOMIC_RELAXED) == before)
			return has;
	}
	return false;
}

/* Which entry gives way: the one of the same key, a free one, or the one that ends first. */
static uint32_t voip_victim(const struct voip_bucket *bucket, const struct voip_key *key)
{
	uint32_t victim = 0;

	for (uint32_t w = 0; w < VOIP_WAYS; w++) {
		struct voip_entry there;

		voip_copy_entry(&there, &bucket->entries[w]);
		if (voip_same_key(&there.key, key))
			return w;
		if (there.until_ns <
		    __atomic_load_n(&bucket->entries[victim].until_ns, __ATOMIC_RELAXED))
			victim = w;
	}
	return victim;
}

static void voip_note(const struct voip *voip, const struct voip_key *key, uint64_t call,
		      uint64_t until_ns)
{
	struct voip_bucket *bucket = voip_bucket(voip, key);
	struct voip_entry entry = {.key = *key, .call = call, .until_ns = until_ns};
	uint64_t sequence = __atomic_load_n(&bucket->sequence, __ATOMIC_RELAXED);

	if (sequence & 1 || !__atomic_compare_exchange_n(&bucket->sequence, &sequence, sequence + 1,
							 false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	voip_put_entry(&bucket->entries[voip_victim(bucket, key)], &entry);
	__atomic_store_n(&bucket->sequence, sequence + 2, __ATOMIC_RELEASE);
}

static void voip_media_key(struct voip_key *key, bool v6, const uint8_t *addr, uint32_t port)
{
	uint8_t bytes[16] = {0};

	memcpy(bytes, addr, v6 ? 16 : 4);
	memcpy(&key->word[0], bytes, 8);
	memcpy(&key->word[1], bytes + 8, 8);
	key->word[2] = (uint64_t)(v6 ? 6 : 4) << 32 | port;
}

/* --- SDP -------------------------------------------------------------------------------------- */

static void voip_note_media(const struct voip *voip, const struct voip_media *media, uint64_t call,
			    uint64_t now_ns)
{
	const struct voip_address *rtcp = &media->address;
	uint64_t until_ns = now_ns + voip->idle_ns;
	struct voip_key key;

	if (media->port == 0 || !media->address.has)
		return;
	for (uint32_t i = 0; i < 2 * media->pairs; i++) {
		uint32_t port = media->port + i;

		if (port > UINT16_MAX || (i == 1 && media->rtcp_port))
			continue;
		voip_media_key(&key, media->address.v6, media->address.bytes, port);
		voip_note(voip, &key, call, until_ns);
	}
	if (media->rtcp_port == 0)
		return;
	if (media->rtcp_address.has)
		rtcp = &media->rtcp_address;
	voip_media_key(&key, rtcp->v6, rtcp->bytes, media->rtcp_port);
	voip_note(voip, &key, call, until_ns);
}

/* Learn from the body of a message. */
static void voip_learn(const struct voip *voip, struct voip_text body, uint64_t call,
		       uint64_t now_ns)
{
	struct voip_media media = {.port = 0};
	struct voip_address session = {.has = false};
	struct voip_text line;
	uint32_t cnt = 0;

	while (cnt <= VOIP_MEDIA_MAX && voip_take_line(&body, &line)) {
		if (line.len < 2 || line.at[1] != '=')
			continue;
		struct voip_text value = {line.at + 2, line.len - 2};

		if (line.at[0] == 'm') {
			voip_note_media(voip, &media, call, now_ns);
			media.address = session;
			voip_take_media(value, &media);
			cnt++;
		} else if (line.at[0] == 'c') {
			voip_take_address(value, cnt > 0 ? &media.address : &session);
		} else if (line.at[0] == 'a' && voip_begins(&value, "rtcp:")) {
			voip_skip(&value, 5);
			voip_take_rtcp(value, &media);
		}
	}
	if (cnt <= VOIP_MEDIA_MAX)
		voip_note_media(voip, &media, call, now_ns);
}

/* --- packets ---------------------------------------------------------------------------------- */

static uint32_t voip_port(const struct xfq_plugin_packet *pkt, uint32_t at)
{
	const uint8_t *port = pkt->data + pkt->meta->l4_off + at;

	return (uint32_t)port[0] << 8 | port[1];
}

static bool voip_is_signalling(const struct voip *voip, const struct xfq_plugin_packet *pkt)
{
	uint32_t src = voip_port(pkt, 0), dst = voip_port(pkt, 2);

	for (uint32_t i = 0; i < voip->port_cnt; i++)
		if (src == voip->ports[i] || dst == voip->ports[i])
			return true;
	return false;
}

/* The key of the datagram that a fragment belongs to; false: it cannot be told. */
static bool voip_datagram(const struct xfq_plugin_packet *pkt, struct voip_key *key)
{
	const struct xfq_meta *meta = pkt->meta;
	const uint8_t *l3 = pkt->data + meta->l3_off;
	uint32_t number = 0;

	if (meta->flags & XFQ_META_IPV4) {
		number = (uint32_t)l3[4] << 8 | l3[5];
		memset(key, 0, sizeof(*key));
		memcpy(&key->word[0], l3 + 12, 8);
	} else if (l3[6] == 44 && pkt->len >= meta->l3_off + 48u) {
		uint64_t part[4];

		memcpy(&number, l3 + 44, 4);
		memcpy(part, l3 + 8, sizeof(part));
		key->word[0] = voip_mix(part[0]) ^ part[1];
		key->word[1] = voip_mix(part[2]) ^ part[3];
	} else {
		return false;
	}
	key->word[2] = 1ULL << 32 | number;
	return true;
}

/* The call of a later fragment, whose first one was a message. */
static uint64_t voip_fragment_call(const struct voip *voip, const struct xfq_plugin_packet *pkt,
				   uint64_t now_ns)
{
	struct voip_entry found;
	struct voip_key key;

	if (!voip_datagram(pkt, &key) || !voip_find(voip, &key, now_ns, &found))
		return 0;
	return found.call;
}

/* Of a first fragment: note whose the later ones are, which have no ports. */
static void voip_note_datagram(const struct voip *voip, const struct xfq_plugin_packet *pkt,
			       uint64_t call, uint64_t now_ns)
{
	struct voip_key key;

	if (pkt->meta->flags & XFQ_META_FRAGMENT && voip_datagram(pkt, &key))
		voip_note(voip, &key, call, now_ns + VOIP_FRAGMENT_S * VOIP_NS);
}

/* The call that one end of a packet belongs to, which is seen now. */
static uint64_t voip_end_call(const struct voip *voip, const struct xfq_plugin_packet *pkt, bool to,
			      uint64_t now_ns)
{
	const uint8_t *l3 = pkt->data + pkt->meta->l3_off;
	bool v6 = pkt->meta->flags & XFQ_META_IPV6;
	struct voip_entry found;
	struct voip_key key;

	if (v6)
		voip_media_key(&key, true, l3 + (to ? 24 : 8), voip_port(pkt, to ? 2 : 0));
	else
		voip_media_key(&key, false, l3 + (to ? 16 : 12), voip_port(pkt, to ? 2 : 0));
	if (!voip_find(voip, &key, now_ns, &found))
		return 0;
	/* written once in a while, so that packets seldom write */
	if (found.until_ns < now_ns + voip->idle_ns / 2)
		voip_note(voip, &key, found.call, now_ns + voip->idle_ns);
	return found.call;
}

/* The call of a packet, 0: it is of none. What a message announces is remembered. */
static uint64_t voip_packet_call(const struct voip *voip, const struct xfq_plugin_packet *pkt)
{
	const struct xfq_meta *meta = pkt->meta;
	uint64_t now_ns = meta->ts_ns, call;
	struct voip_text text;

	if (!(meta->flags & (XFQ_META_IPV4 | XFQ_META_IPV6)))
		return 0;
	if (meta->flags & XFQ_META_FRAG_NEXT)
		return voip_fragment_call(voip, pkt, now_ns);
	if (!(meta->flags & XFQ_META_PORTS) ||
	    (meta->l4_proto != VOIP_TCP && meta->l4_proto != VOIP_UDP))
		return 0;
	if (meta->payload_off && meta->payload_off < pkt->len && voip_is_signalling(voip, pkt)) {
		text = (struct voip_text){pkt->data + meta->payload_off,
					  pkt->len - meta->payload_off};
		call = voip_call(&text);
		if (call) {
			voip_learn(voip, text, call, now_ns);
			voip_note_datagram(voip, pkt, call, now_ns);
			return call;
		}
	}
	call = voip_end_call(voip, pkt, true, now_ns);
	if (!call)
		call = voip_end_call(voip, pkt, false, now_ns);
	if (call)
		voip_note_datagram(voip, pkt, call, now_ns);
	return call;
}

static uint64_t voip_match(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted)
{
	uint64_t hits = 0;

	for (; wanted; wanted &= wanted - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(wanted);

		hits |= (uint64_t)(voip_packet_call(state, &burst->pkts[i]) != 0) << i;
	}
	return hits;
}

static void voip_steer(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted,
		       uint32_t members, struct xfq_plugin_target *targets)
{
	(void)members;
	for (; wanted; wanted &= wanted - 1) {
		uint32_t i = (uint32_t)__builtin_ctzll(wanted);
		uint64_t call = voip_packet_call(state, &burst->pkts[i]);

		if (!call)
			continue;
		targets[i].kind = XFQ_TARGET_HASH;
		targets[i].value = call;
	}
}

/* --- the instance ----------------------------------------------------------------------------- */

static int voip_say(struct xfq_error *error, int code, const char *what, const char *value)
{
	error->code = code;
	snprintf(error->text, sizeof(error->text), "%s \"%.64s\"", what, value);
	return code;
}

/* A number from 1 to `max` at the beginning of `value`, which is left behind it; 0: there is none.
 */
static unsigned long voip_number(const char **value, unsigned long max)
{
	char *end;
	unsigned long number = **value >= '0' && **value <= '9' ? strtoul(*value, &end, 10) : 0;

	if (number == 0 || number > max)
		return 0;
	*value = end;
	return number;
}

/* "5060,5062" */
static int voip_take_ports(struct voip *voip, const char *value, struct xfq_error *error)
{
	const char *at = value;

	do {
		unsigned long port = voip_number(&at, UINT16_MAX);

		if (port == 0 || voip->port_cnt == VOIP_PORTS_MAX)
			break;
		voip->ports[voip->port_cnt++] = (uint16_t)port;
		if (*at == '\0')
			return 0;
	} while (*at++ == ',');
	return voip_say(error, -EINVAL, "port wants up to 8 numbers with commas, and not", value);
}

static int voip_argument(struct voip *voip, const struct xfq_plugin_arg *arg, uint32_t *calls,
			 struct xfq_error *error)
{
	const char *at = arg->value;
	unsigned long value;

	if (strcmp(arg->name, "port") == 0)
		return voip_take_ports(voip, at, error);
	if (strcmp(arg->name, "calls") != 0 && strcmp(arg->name, "idle") != 0)
		return voip_say(error, -EINVAL, "there is no argument", arg->name);
	value = voip_number(&at, 16777216);
	if (value == 0 || *at)
		return voip_say(error, -EINVAL, "calls and idle want a number from 1 on, and not",
				arg->value);
	if (strcmp(arg->name, "calls") == 0)
		*calls = (uint32_t)value;
	else
		voip->idle_ns = value * VOIP_NS;
	return 0;
}

static void voip_destroy(void *instance)
{
	struct voip *voip = instance;

	if (!voip)
		return;
	free(voip->buckets);
	free(voip);
}

static int voip_create(void **instance, const struct xfq_plugin_arg *args, uint32_t arg_cnt,
		       struct xfq_error *error)
{
	struct voip *voip = calloc(1, sizeof(*voip));
	uint32_t calls = 65536, buckets = 1;
	int code = 0;

	if (!voip)
		return -ENOMEM;
	voip->idle_ns = 180 * VOIP_NS;
	for (uint32_t i = 0; i < arg_cnt && code == 0; i++)
		code = voip_argument(voip, &args[i], &calls, error);
	if (voip->port_cnt == 0)
		voip->ports[voip->port_cnt++] = 5060;
	while (buckets * VOIP_WAYS < calls)
		buckets *= 2;
	voip->mask = buckets - 1;
	if (code == 0)
		voip->buckets = calloc(buckets, sizeof(*voip->buckets));
	if (code == 0 && !voip->buckets)
		code = -ENOMEM;
	if (code) {
		voip_destroy(voip);
		return code;
	}
	*instance = voip;
	return 0;
}

const struct xfq_plugin *xfq_plugin(void)
{
	static const struct xfq_plugin plugin = {
		.version = XFQ_PLUGIN_VERSION,
		.size = sizeof(plugin),
		.name = "steer_voip",
		.create = voip_create,
		.destroy = voip_destroy,
		.match = voip_match,
		.steer = voip_steer,
	};

	return &plugin;
}
