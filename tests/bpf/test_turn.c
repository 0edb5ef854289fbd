/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets that are sent back: the bytes are those that `swap` says, and checksums are right. */
#include "tests/bpf/state_rig.h"

static uint32_t sum16(const uint8_t *bytes, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	return len % 2 ? sum + ((uint32_t)bytes[len - 1] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Checksums of IPv4 and UDP: written, or whether they are right. */
static uint16_t udp_checksum(const struct packet_builder *b, const uint8_t *bytes, bool v6)
{
	uint32_t len = b->len - b->l4;

	return fold(sum16(bytes + b->l3 + (v6 ? 8 : 12), v6 ? 32 : 8,
			  sum16(bytes + b->l4, len, len + 17)));
}

static void test_turned(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 32; i++) {
		bool v6 = i & 8, tagged = i & 16;
		uint8_t swap = i & 7, out[2048], was[2048];
		LIBBPF_OPTS(bpf_test_run_opts, options, .data_out = out,
			    .data_size_out = sizeof(out), .repeat = 1);
		struct packet_builder b;
		struct pair pair;

		pair_begin(&pair);
		filter_add(&pair.filter, FILTER_TX)->swap = swap;
		pair_load(&pair);
		packet_start(&b);
		if (tagged)
			packet_vlan(&b, 0x8100, 7);
		if (v6)
			packet_ipv6(&b, 1, 2);
		else
			packet_ipv4(&b, 0x0a000001, 0x0a000002, 0);
		packet_udp(&b, 1000, 7);
		packet_payload(&b, 33);
		packet_finish(&b);
		if (!v6) {
			packet_put16(&b, b.l3 + 10, 0);
			packet_put16(&b, b.l3 + 10, fold(sum16(b.bytes + b.l3, 20, 0)));
		}
		packet_put16(&b, b.l4 + 6, 0);
		packet_put16(&b, b.l4 + 6, udp_checksum(&b, b.bytes, v6));
		memcpy(was, b.bytes, b.len);
		options.data_in = b.bytes;
		options.data_size_in = b.len;
		assert_int_equal(bpf_prog_test_run_opts(loader_program_fd(&pair.loader), &options),
				 0);
		assert_int_equal(options.retval, XDP_TX);
		assert_int_equal(options.data_size_out, b.len);
		assert_memory_equal(out, was + (swap & XDP_SWAP_MAC ? 6 : 0), 6);
		assert_memory_equal(out + 6, was + (swap & XDP_SWAP_MAC ? 0 : 6), 6);
		for (uint32_t end = 0; end < 2; end++) {
			uint32_t from = b.l3 + (v6 ? 8 : 12), bytes = v6 ? 16 : 4;
			uint32_t other = swap & XDP_SWAP_ADDRESSES ? !end : end;

			assert_memory_equal(out + from + end * bytes, was + from + other * bytes,
					    bytes);
			other = swap & XDP_SWAP_PORTS ? !end : end;
			assert_memory_equal(out + b.l4 + end * 2, was + b.l4 + other * 2, 2);
		}
		assert_memory_equal(out + b.l4 + 4, was + b.l4 + 4, b.len - b.l4 - 4);
		if (!v6)
			assert_int_equal(fold(sum16(out + b.l3, 20, 0)), 0);
		assert_int_equal(udp_checksum(&b, out, v6), 0);
		pair_destroy(&pair);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turned),
	};
	int impossible = pair_possible();

	return impossible ? impossible : cmocka_run_group_tests(tests, NULL, NULL);
}
