/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets in a line. */
#include "apps/packet_text.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void check_text(const uint8_t *data, uint32_t len, uint32_t wire_len, const char *wanted)
{
	char text[256], cut[8];

	packet_text(data, len, wire_len, text, sizeof(text));
	assert_string_equal(text, wanted);
	packet_text(data, len, wire_len, cut, sizeof(cut));
	assert_int_equal(strlen(cut), 7);
	assert_memory_equal(cut, wanted, 7);
}

static void test_ip(void **state)
{
	uint8_t udp[60] = {
		[12] = 8,  [14] = 0x45, [17] = 32, [22] = 64, [23] = 17,   [26] = 10, [29] = 1,
		[30] = 10, [33] = 2,    [35] = 53, [36] = 4,  [37] = 0xd2, [39] = 12};
	uint8_t ping6[62] = {
		[12] = 0x86, [13] = 0xdd, [14] = 0x60, [19] = 8, [20] = 58, [21] = 64, [22] = 0x20,
		[23] = 1,    [37] = 1,    [38] = 0x20, [39] = 1, [53] = 2,  [54] = 128};

	(void)state;
	check_text(udp, 46, 46, "IPv4 UDP 10.0.0.1:53 > 10.0.0.2:1234 len 46");
	check_text(udp, 46, 60, "IPv4 UDP 10.0.0.1:53 > 10.0.0.2:1234 len 60, cut to 46");
	udp[17] = 200;
	check_text(udp, 60, 60, "IPv4 UDP 10.0.0.1:53 > 10.0.0.2:1234 len 60, malformed");
	udp[17] = 32;
	udp[20] = 0x20;
	check_text(udp, 46, 46, "IPv4 UDP 10.0.0.1:53 > 10.0.0.2:1234 len 46, first fragment");
	udp[21] = 1;
	check_text(udp, 46, 46, "IPv4 UDP 10.0.0.1 > 10.0.0.2 len 46, later fragment");
	udp[20] = udp[21] = 0;
	udp[23] = 200;
	check_text(udp, 46, 46, "IPv4 proto 200 10.0.0.1 > 10.0.0.2 len 46");
	check_text(ping6, 62, 62, "IPv6 ICMP6 2001::1 > 2001::2 len 62");
}

static void test_other(void **state)
{
	uint8_t data[64] = {[12] = 8, [13] = 6};

	(void)state;
	check_text(data, 42, 42, "ARP len 42");
	data[12] = 0x88;
	data[13] = 0xcc;
	check_text(data, 60, 60, "ethertype 0x88cc len 60");
	data[12] = 0;
	data[13] = 38;
	check_text(data, 60, 60, "802.3 len 60");
	data[12] = 0x81;
	data[13] = 0;
	data[16] = 8;
	data[17] = 6;
	check_text(data, 60, 60, "VLAN ARP len 60");
	check_text(data, 5, 5, "Ethernet len 5, malformed");
	check_text(data, 0, 64, "Ethernet len 64, cut to 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip),
		cmocka_unit_test(test_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
