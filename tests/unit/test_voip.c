/* SPDX-License-Identifier: BSD-2-Clause */
/* The plug-in of examples/steer_voip.c: which packets are of one call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "examples/steer_voip.c"
#include "tests/packet_builder.h"
#include "xdp/first_pass.h"
#include <pthread.h>

#define A  0x0a000001
#define B  0x0a000002
#define MA 0x0a000065 /* where media go to */
#define MB 0x0a000066

#define SECOND 1000000000ULL

static struct packet_builder built;
static uint64_t now_ns;

static struct voip *begin(const char *calls)
{
	const struct xfq_plugin_arg args[] = {{"port", "5060,5062"}, {"calls", calls}};
	struct xfq_error error = {0};
	void *instance = NULL;

	now_ns = 1000 * SECOND;
	assert_int_equal(xfq_plugin()->create(&instance, args, calls ? 2 : 1, &error), 0);
	return instance;
}

/* The call of the packet that was built, in memory that ends where it does. */
static uint64_t call_of(struct voip *voip)
{
	struct xfq_plugin_target target = {.kind = XFQ_TARGET_NONE};
	uint8_t *data = malloc(built.len + 1);
	struct xfq_meta meta;
	struct xfq_plugin_packet pkt = {.data = data + 1, .meta = &meta, .len = built.len};
	const struct xfq_plugin_burst burst = {.pkts = &pkt, .cnt = 1, .now_ns = now_ns};
	uint64_t hits;

	assert_non_null(data);
	memcpy(data + 1, built.bytes, built.len);
	first_pass_parse(1, data + 1, built.len, built.len, &meta);
	meta.ts_ns = now_ns;
	xfq_plugin()->steer(voip, &burst, 1, 4, &target);
	hits = xfq_plugin()->match(voip, &burst, 1);
	free(data);
	assert_int_equal(hits, target.kind == XFQ_TARGET_HASH);
	return target.kind == XFQ_TARGET_HASH ? target.value : 0;
}

static void append(const char *text)
{
	size_t len = strlen(text);

	memcpy(built.bytes + packet_append(&built, (uint32_t)len), text, len);
	packet_finish(&built);
}

static uint64_t sip(struct voip *voip, uint32_t src, uint32_t dst, const char *text)
{
	packet_start(&built);
	packet_ipv4(&built, src, dst, 0);
	packet_udp(&built, 5060, 5060);
	append(text);
	return call_of(voip);
}

static uint64_t media(struct voip *voip, uint32_t src, uint32_t sport, uint32_t dst, uint32_t dport)
{
	packet_start(&built);
	packet_ipv4(&built, src, dst, 0);
	packet_udp(&built, sport, dport);
	packet_payload(&built, 20);
	packet_finish(&built);
	return call_of(voip);
}

#define INVITE(id, sdp)                                                                            \
	"INVITE sip:b@example.org SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nCall-ID: " id                   \
	"\r\nContent-Type: application/sdp\r\n\r\n" sdp
#define SDP_A "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.101\r\nt=0 0\r\n"

static void test_call(void **state)
{
	struct voip *voip = begin(NULL);
	uint64_t call;

	(void)state;
	call = sip(voip, A, B, INVITE("one@a", SDP_A "m=audio 4000 RTP/AVP 0\r\n"));
	assert_int_not_equal(call, 0);
	/* answers and the compact form of the header are of the same call, */
	assert_int_equal(sip(voip, B, A, "SIP/2.0 180 Ringing\r\ni: one@a\r\n\r\n"), call);
	assert_int_equal(sip(voip, B, A, "SIP/2.0 200 OK\r\ncAlL-iD :\tone@a \r\n\r\n"), call);
	assert_int_equal(sip(voip, B, A, "\r\n\r\nBYE sip:a SIP/2.0\nI:one@a\n\n"), call);
	/* another Call-ID is another call */
	assert_int_not_equal(sip(voip, A, B, "BYE sip:a SIP/2.0\r\ni: two@a\r\n\r\n"), call);
	/* RTP and RTCP, to and from the address, and nothing beside it */
	assert_int_equal(media(voip, MB, 7000, MA, 4000), call);
	assert_int_equal(media(voip, MB, 7001, MA, 4001), call);
	assert_int_equal(media(voip, MA, 4000, MB, 7000), call);
	assert_int_equal(media(voip, MA, 4002, MB, 7000), 0);
	assert_int_equal(media(voip, A, 4000, B, 7000), 0);
	voip_destroy(voip);
}

static void test_answer(void **state)
{
	struct voip *voip = begin(NULL);
	uint64_t call;

	(void)state;
	/* early media are announced by a provisional answer; c= of the media counts, a=rtcp too */
	call = sip(voip, B, A,
		   "SIP/2.0 183 Session Progress\r\ni:x\r\n\r\nv=0\r\nc=IN IP4 192.0.2.9\r\n"
		   "m=audio 6000/2 RTP/AVP 0\r\nc=IN IP4 10.0.0.102/127\r\na=rtcp:6100 IN IP4 "
		   "10.0.0.103\r\n"
		   "m=video 8000 RTP/AVP 31\r\na=rtcp:8000\r\nm=audio 0 RTP/AVP 0\r\n"
		   "m=audio 65535 RTP/AVP 0\r\n");
	assert_int_equal(media(voip, A, 9, MB, 6000), call);
	assert_int_equal(media(voip, A, 9, MB, 6001), 0);
	assert_int_equal(media(voip, A, 9, MB + 1, 6100), call);
	assert_int_equal(media(voip, A, 9, MB, 6002), call);
	assert_int_equal(media(voip, A, 9, MB, 6003), call);
	assert_int_equal(media(voip, A, 9, 0xc0000209, 8000), call);
	assert_int_equal(media(voip, A, 9, 0xc0000209, 8001), 0);
	assert_int_equal(media(voip, A, 9, 0xc0000209, 65535), call);
	assert_int_equal(media(voip, A, 9, 0xc0000209, 0), 0);
	assert_int_equal(media(voip, A, 9, 0xc0000209, 1), 0);
	voip_destroy(voip);
}

static void test_ipv6_and_tcp(void **state)
{
	struct voip *voip = begin(NULL);
	uint64_t call;

	(void)state;
	packet_start(&built);
	packet_ipv6(&built, 1, 2);
	packet_tcp(&built, 40000, 5062, 4);
	append(INVITE("six", "v=0\r\nc=IN IP6 2001:db8::33\r\nm=audio 4000 RTP/AVP 0\r\n"));
	call = call_of(voip);
	assert_int_not_equal(call, 0);
	packet_start(&built);
	packet_ipv6(&built, 1, 0x33);
	packet_udp(&built, 1, 4001);
	packet_finish(&built);
	assert_int_equal(call_of(voip), call);
	/* the same address as four bytes is another */
	assert_int_equal(media(voip, A, 1, 0x20010db8, 4000), 0);
	voip_destroy(voip);
}

/* A message in fragments: the later ones go where the first one went. */
static void test_fragments(void **state)
{
	struct voip *voip = begin(NULL);
	uint64_t call;

	(void)state;
	packet_start(&built);
	packet_ipv4(&built, A, B, 0);
	packet_put16(&built, built.l3 + 4, 77);
	packet_fragment4(&built, 0, true);
	packet_udp(&built, 5060, 5060);
	append(INVITE("parts", SDP_A));
	call = call_of(voip);
	assert_int_not_equal(call, 0);
	packet_start(&built);
	packet_ipv4(&built, A, B, 0);
	packet_put16(&built, built.l3 + 4, 77);
	packet_fragment4(&built, 60, false);
	packet_payload(&built, 64);
	packet_finish(&built);
	assert_int_equal(call_of(voip), call);
	packet_put16(&built, built.l3 + 4, 78);
	assert_int_equal(call_of(voip), 0);
	packet_start(&built);
	packet_ipv6(&built, 1, 2);
	packet_fragment6(&built, 0, true);
	packet_udp(&built, 5060, 5060);
	append(INVITE("parts of six", SDP_A));
	call = call_of(voip);
	packet_start(&built);
	packet_ipv6(&built, 1, 2);
	packet_fragment6(&built, 60, false);
	packet_payload(&built, 64);
	packet_finish(&built);
	assert_int_not_equal(call, 0);
	assert_int_equal(call_of(voip), call);
	voip_destroy(voip);
}

/* A first fragment of IPv4, from one end to the other, or a later one of the same datagram. */
static uint64_t media_fragment(struct voip *voip, uint32_t src, uint32_t dst, uint32_t number,
			       uint32_t dport)
{
	packet_start(&built);
	packet_ipv4(&built, src, dst, 0);
	packet_put16(&built, built.l3 + 4, number);
	packet_fragment4(&built, dport ? 0 : 60, dport != 0);
	if (dport)
		packet_udp(&built, 7000, dport);
	packet_payload(&built, 480);
	packet_finish(&built);
	return call_of(voip);
}

/* The same of IPv6, whose datagrams have one number. */
static uint64_t media_fragment6(struct voip *voip, uint32_t src, uint32_t dport)
{
	packet_start(&built);
	packet_ipv6(&built, src, 0x33);
	packet_fragment6(&built, dport ? 0 : 60, dport != 0);
	if (dport)
		packet_udp(&built, 7000, dport);
	packet_payload(&built, 480);
	packet_finish(&built);
	return call_of(voip);
}

/* Media in fragments: the later ones go where the first one went, which alone has ports. */
static void test_media_fragments(void **state)
{
	struct voip *voip = begin(NULL);
	uint64_t one, two;

	(void)state;
	one = sip(voip, A, B, INVITE("one@a", SDP_A "m=video 4000 RTP/AVP 31\r\n"));
	two = sip(voip, A, B, INVITE("two@a", SDP_A "m=video 4100 RTP/AVP 31\r\n"));
	assert_int_not_equal(one, two);
	/* no first one yet: nothing is known */
	assert_int_equal(media_fragment(voip, MB, MA, 1, 0), 0);
	assert_int_equal(media_fragment(voip, MB, MA, 1, 4000), one);
	assert_int_equal(media_fragment(voip, MB, MA, 2, 4100), two);
	assert_int_equal(media_fragment(voip, MB, MA, 3, 5000), 0);
	assert_int_equal(media_fragment(voip, MB, MA, 1, 0), one);
	assert_int_equal(media_fragment(voip, MB, MA, 2, 0), two);
	assert_int_equal(media_fragment(voip, MB, MA, 3, 0), 0);
	/* neither of another datagram, nor of the same number between other ends */
	assert_int_equal(media_fragment(voip, MB, MA, 4, 0), 0);
	assert_int_equal(media_fragment(voip, MA, MB, 1, 0), 0);
	/* for a while */
	now_ns += (VOIP_FRAGMENT_S + 1) * SECOND;
	assert_int_equal(media_fragment(voip, MB, MA, 1, 0), 0);
	sip(voip, A, B, INVITE("six", "v=0\r\nc=IN IP6 2001:db8::33\r\nm=video 4000 x\r\n"));
	assert_int_equal(media_fragment6(voip, 1, 0), 0);
	one = media_fragment6(voip, 1, 4000);
	assert_int_not_equal(one, 0);
	assert_int_equal(media_fragment6(voip, 1, 0), one);
	assert_int_equal(media_fragment6(voip, 2, 0), 0);
	voip_destroy(voip);
}

static void test_time(void **state)
{
	struct voip *voip = begin(NULL);
	uint64_t call = sip(voip, A, B, INVITE("t", SDP_A "m=audio 4000 RTP/AVP 0\r\n"));

	(void)state;
	/* packets keep it alive; without any it ends */
	for (int i = 0; i < 10; i++) {
		now_ns += 100 * SECOND;
		assert_int_equal(media(voip, MB, 1, MA, 4000), call);
	}
	assert_int_equal(media(voip, MB, 1, MA, 4001), 0);
	now_ns += 181 * SECOND;
	assert_int_equal(media(voip, MB, 1, MA, 4000), 0);
	voip_destroy(voip);
}

/* As many calls as there are come and go, and memory does not grow: old ones give way. */
static void test_full(void **state)
{
	struct voip *voip = begin("64");
	uint32_t known = 0;
	char text[512];

	(void)state;
	assert_int_equal((voip->mask + 1) * VOIP_WAYS, 64);
	for (uint32_t i = 0; i < 1000; i++) {
		now_ns += 1000;
		snprintf(text, sizeof(text),
			 INVITE("call-%u", SDP_A "m=audio %u RTP/AVP 0\r\na=rtcp:%u\r\n"), i,
			 10000 + 2 * i, 10000 + 2 * i);
		assert_int_not_equal(sip(voip, A, B, text), 0);
		/* the newest is always there */
		assert_int_not_equal(media(voip, MB, 1, MA, 10000 + 2 * i), 0);
	}
	for (uint32_t i = 0; i < 1000; i++)
		known += media(voip, MB, 1, MA, 10000 + 2 * i) != 0;
	assert_in_range(known, 30, 64);
	voip_destroy(voip);
}

/* What is no message, or says no address, teaches nothing. */
static void test_nothing(void **state)
{
	static const char *const texts[] = {
		"",
		"\r\n\r\n",
		"INVITE sip:b SIP/2.0",
		"INVITE sip:b SIP/2.0\r\n\r\n",
		"INVITE sip:b SIP/3.0\r\ni: x\r\n\r\n",
		" SIP/2.0\r\ni: x\r\n\r\n",
		"SIP/2.0\r\ni: x\r\n\r\n",
		"invite sip:b SIP/2.0\r\ni: x\r\n\r\n",
		"INVITE sip:b SIP/2.0\r\ncall-id x\r\nix: y\r\ni:\r\n\r\ni: x\r\n",
		"HTTP/1.1 200 OK\r\ni: x\r\n\r\n",
	};
	static const char *const bodies[] = {
		"m=audio 4000 RTP/AVP 0\r\n",
		"c=IN IP4 10.0.0.101",
		"c=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0",
		"c=IN IP4 media.example.org\r\nm=audio 4000 RTP/AVP 0",
		"c=IN IP4 "
		"10.0.0.1011111111111111111111111111111111111111111111111111111111111111111"
		"\r\nm=audio 4000 x",
		"c=IN IP6 10.0.0.101\r\nm=audio 4000 RTP/AVP 0",
		"c=IN IP4\r\nc=\r\nm=\r\nm=audio\r\nm=audio \r\na=rtcp:\r\n=\r\nc",
		"c=IN IP4 10.0.0.101\r\nm=audio 99999999999999999999 RTP/AVP 0\r\n",
		"c=IN IP4 10.0.0.101\r\nm=audio x4000 RTP/AVP 0\r\n",
		"c=NO IP4 10.0.0.101\r\nm=audio 4000 RTP/AVP 0\r\n",
	};
	struct voip *voip = begin(NULL);
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(sip(voip, A, B, texts[i]), 0);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		snprintf(text, sizeof(text), INVITE("n", "%s"), bodies[i]);
		assert_int_not_equal(sip(voip, A, B, text), 0);
		assert_int_equal(media(voip, MB, 1, MA, 4000), 0);
	}
	/* not the ports of SIP */
	packet_start(&built);
	packet_ipv4(&built, A, B, 0);
	packet_udp(&built, 5061, 5063);
	append(INVITE("n", ""));
	assert_int_equal(call_of(voip), 0);
	voip_destroy(voip);
}

/* Cut anywhere, a message reads nothing behind its end, and is the same call once its id is there.
 */
static void test_cut(void **state)
{
	static const char text[] = INVITE("cut@a", SDP_A "m=audio 4000/3 RTP/AVP 0\r\n"
							 "a=rtcp:4100 IN IP4 10.0.0.102\r\n");
	struct voip *voip = begin(NULL);
	uint64_t call = sip(voip, A, B, text);
	char part[sizeof(text)];

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		bool whole = len >= (size_t)(strstr(text, "cut@a") - text) + 5;

		memcpy(part, text, len);
		part[len] = '\0';
		if (whole)
			assert_int_equal(sip(voip, A, B, part), call);
		else
			assert_int_not_equal(sip(voip, A, B, part), call);
	}
	voip_destroy(voip);
}

/* --- several workers -------------------------------------------------------------------------- */

#define THREADS 4
#define CALLS   50
#define ROUNDS  2000

struct worker {
	pthread_t thread;
	struct voip *voip;
	uint32_t number;
	uint64_t calls[CALLS]; /* what each message says */
	uint64_t found, wrong;
};

/* A packet of the worker's own. */
static uint64_t worker_call(struct worker *worker, struct packet_builder *b)
{
	struct xfq_meta meta;
	const struct xfq_plugin_packet pkt = {.data = b->bytes, .meta = &meta, .len = b->len};

	first_pass_parse(1, b->bytes, b->len, b->len, &meta);
	meta.ts_ns = now_ns;
	return voip_packet_call(worker->voip, &pkt);
}

static void worker_announce(struct worker *worker, uint32_t call)
{
	struct packet_builder b;
	char text[256];
	int len = snprintf(text, sizeof(text),
			   INVITE("call-%u", "c=IN IP4 10.0.0.101\r\nm=audio %u RTP/AVP 0\r\n"),
			   call, 10000 + 2 * call);

	packet_start(&b);
	packet_ipv4(&b, A, B, 0);
	packet_udp(&b, 5060, 5060);
	memcpy(b.bytes + packet_append(&b, (uint32_t)len), text, (size_t)len);
	packet_finish(&b);
	worker->calls[call] = worker_call(worker, &b);
}

/* Media of a call that all workers announce: of that call, or of none where its place was lost. */
static void *worker_run(void *argument)
{
	struct worker *worker = argument;
	struct packet_builder b;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < CALLS; i++)
			worker_announce(worker, (i * 7 + worker->number) % CALLS);
		for (uint32_t i = 0; i < CALLS; i++) {
			uint64_t call;

			packet_start(&b);
			packet_ipv4(&b, MB, MA, 0);
			packet_udp(&b, 1, 10000 + 2 * i + (round & 1));
			packet_finish(&b);
			call = worker_call(worker, &b);
			worker->found += call != 0;
			worker->wrong += call != 0 && call != worker->calls[i];
		}
	}
	return NULL;
}

static void test_workers(void **state)
{
	static struct worker workers[THREADS];
	struct voip *voip = begin("4"); /* one bucket: they give way all the time */
	uint64_t found = 0;

	(void)state;
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.voip = voip, .number = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]),
				 0);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].wrong, 0);
		found += workers[i].found;
	}
	assert_true(found > 0);
	voip_destroy(voip);
}

/* While somebody writes, nobody waits: nothing is known, and nothing is learnt. */
static void test_locked(void **state)
{
	struct voip *voip = begin("4");
	uint64_t call = sip(voip, A, B, INVITE("t", SDP_A "m=audio 4000 RTP/AVP 0\r\n"));

	(void)state;
	assert_int_equal(media(voip, MB, 1, MA, 4000), call);
	voip->buckets[0].sequence++;
	assert_int_equal(media(voip, MB, 1, MA, 4000), 0);
	assert_int_equal(sip(voip, A, B, INVITE("t", SDP_A "m=audio 4000 RTP/AVP 0\r\n")), call);
	sip(voip, A, B, INVITE("other", SDP_A "m=audio 5000 RTP/AVP 0\r\n"));
	voip->buckets[0].sequence++;
	assert_int_equal(media(voip, MB, 1, MA, 4000), call);
	assert_int_equal(media(voip, MB, 1, MA, 5000), 0);
	voip_destroy(voip);
}

static void test_arguments(void **state)
{
	static const struct xfq_plugin_arg bad[] = {
		{"port", ""},      {"port", "0"},
		{"port", "65536"}, {"port", "1,"},
		{"port", "1;2"},   {"port", "-1"},
		{"calls", "0"},    {"calls", "99999999999"},
		{"idle", "soon"},  {"calls", "5 or"},
		{"speed", "1"},    {"port", "1,2,3,4,5,6,7,8,9"},
	};
	struct xfq_error error;
	void *instance;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&error, 0, sizeof(error));
		assert_int_equal(xfq_plugin()->create(&instance, &bad[i], 1, &error), -EINVAL);
		assert_non_null(strchr(error.text, '"'));
	}
	voip_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_ipv6_and_tcp),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_media_fragments),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_locked),
		cmocka_unit_test(test_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
