/* SPDX-License-Identifier: BSD-2-Clause */
/* A folder for capture files, packets that are known by their number, files made of them and read
 * back: for the tests of those that write capture files and those that read them. */
#ifndef TESTS_UNIT_CAPTURE_RIG_H
#define TESTS_UNIT_CAPTURE_RIG_H

#include "workers/capture.h"
#include "workers/pcapng.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_BYTES_MAX (8u * 1024 * 1024)

static char folder[64];
static char path[128];

static int folder_create(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/xfq-capture-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/file", folder);
	return 0;
}

static int folder_destroy(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static uint8_t *file_read(const char *name, size_t *bytes)
{
	FILE *file = fopen(name, "rb");
	uint8_t *data = malloc(FILE_BYTES_MAX);

	assert_non_null(file);
	assert_non_null(data);
	*bytes = fread(data, 1, FILE_BYTES_MAX, file);
	fclose(file);
	return data;
}

/* Packet i of the made-up traffic. */
static uint32_t packet_fill(uint8_t *data, uint32_t i)
{
	uint32_t len = i == 0 ? 0 : i % 97 == 5 ? 9000 + i : 14 + i % 1487;

	for (uint32_t j = 0; j < len; j++)
		data[j] = (uint8_t)(i * 31 + j);
	return len;
}

static uint64_t packet_ts_ns(uint32_t i)
{
	return 1700000000123456789u + i * 1000000007u;
}

static void write_packets(uint32_t cnt, uint32_t snaplen)
{
	static uint8_t data[65536];
	struct pcapng pcapng;
	struct xfq_error error;

	assert_int_equal(pcapng_create(&pcapng, path, "eth0", snaplen, &error), 0);
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t len = packet_fill(data, i);

		assert_int_equal(pcapng_write(&pcapng, data, len, len, packet_ts_ns(i)), 0);
	}
	assert_int_equal(pcapng_flush(&pcapng), 0);
	assert_int_equal(pcapng_close(&pcapng, cnt + 7, 7, &error), 0);
	assert_int_equal(pcapng.packet_cnt, cnt);
	assert_int_equal(pcapng.lost_cnt, 0);
	assert_int_equal(pcapng_close(&pcapng, 0, 0, &error), 0);
}

static void check_packets(uint32_t cnt, uint32_t snaplen)
{
	static uint8_t data[65536];
	struct capture capture;
	struct capture_packet packet;
	struct xfq_error error;

	assert_int_equal(capture_open(&capture, path, &error), 0);
	assert_int_equal(capture_snaplen(&capture), snaplen);
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t len = packet_fill(data, i);

		assert_int_equal(capture_next(&capture, &packet, &error), 1);
		assert_int_equal(packet.len, len < snaplen ? len : snaplen);
		assert_int_equal(packet.wire_len, len);
		assert_memory_equal(packet.data, data, packet.len);
		assert_true(packet.ts_ns == packet_ts_ns(i));
	}
	assert_int_equal(capture_next(&capture, &packet, &error), 0);
	assert_int_equal(capture_next(&capture, &packet, &error), 0);
	capture_close(&capture);
	capture_close(&capture);
}

#endif
