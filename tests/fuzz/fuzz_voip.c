/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile packets and messages through the plug-in of examples/steer_voip.c. The first byte chooses
 * what stands before the rest: headers with the ports of SIP, a whole message up to its body, or
 * nothing.
 */
#include "examples/steer_voip.c"
#include "tests/packet_builder.h"
#include "xdp/first_pass.h"

#define VOIP_REQUIRE(condition)                                                                    \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void begin(struct packet_builder *b, uint32_t choice)
{
	static const char head[] = "INVITE sip:b SIP/2.0\r\nCall-ID: a\r\n\r\n";

	packet_start(b);
	if (choice & 1)
		packet_ipv6(b, 1, 2);
	else
		packet_ipv4(b, 1, 2, 0);
	if (choice & 2)
		packet_tcp(b, 5060, 7, choice & 4 ? 8 : 0);
	else
		packet_udp(b, choice & 4 ? 5060 : 7, 5060);
	if (choice & 8)
		memcpy(b->bytes + packet_append(b, sizeof(head) - 1), head, sizeof(head) - 1);
	if (choice & 16)
		b->len = 0;
	if (choice & 32 && !(choice & 17))
		packet_fragment4(b, choice & 64 ? 10 : 0, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct xfq_plugin_arg args[] = {{"calls", "64"}};
	static void *instance;
	static struct packet_builder b;
	struct xfq_plugin_target target = {.kind = XFQ_TARGET_NONE};
	struct xfq_error error;
	struct xfq_meta meta;
	struct xfq_plugin_packet pkt = {.meta = &meta};
	struct xfq_plugin_burst burst = {.pkts = &pkt, .cnt = 1};
	uint8_t *memory;

	if (!instance)
		VOIP_REQUIRE(xfq_plugin()->create(&instance, args, 1, &error) == 0);
	if (size < 1)
		return 0;
	begin(&b, data[0]);
	if (size - 1 > sizeof(b.bytes) - b.len)
		size = sizeof(b.bytes) - b.len + 1;
	memcpy(b.bytes + packet_append(&b, (uint32_t)size - 1), data + 1, size - 1);
	if (!(data[0] & 16))
		packet_finish(&b);
	memory = malloc(b.len + 1);
	VOIP_REQUIRE(memory);
	memcpy(memory + 1, b.bytes, b.len);
	pkt.data = memory + 1;
	pkt.len = b.len;
	first_pass_parse(1, pkt.data, b.len, b.len, &meta);
	meta.ts_ns = burst.now_ns = (uint64_t)data[0] * VOIP_NS;
	xfq_plugin()->steer(instance, &burst, 1, 4, &target);
	VOIP_REQUIRE(target.kind == XFQ_TARGET_NONE || target.kind == XFQ_TARGET_HASH);
	VOIP_REQUIRE((target.kind == XFQ_TARGET_HASH) ==
		     (xfq_plugin()->match(instance, &burst, 1) == 1));
	free(memory);
	return 0;
}
