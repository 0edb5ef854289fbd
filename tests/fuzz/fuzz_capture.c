/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile capture files. An input that begins like one is read as it is; of any other, the first
 * byte chooses a good header to stand before the rest, since libpcap is not instrumented and magic
 * numbers would otherwise never be found.
 */
#include "workers/capture.h"
#include <stdlib.h>
#include <string.h>

struct header {
	uint32_t words[12];
	uint32_t bytes;
};

static const struct header headers[] = {
	/* pcap: microseconds, nanoseconds, the other byte order, the modified one of old Linux */
	{{0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1}, 24},
	{{0xa1b23c4d, 2 | 4 << 16, 0, 0, 262144, 1}, 24},
	{{0xd4c3b2a1, 2 << 8 | 4 << 24, 0, 0, 1 << 24, 1 << 24}, 24},
	{{0xa1b2cd34, 2 | 4 << 16, 0, 0, 96, 1}, 24},
	/* pcapng: up to the section, and up to one Ethernet interface */
	{{0x0a0d0d0a, 28, 0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX, 28}, 28},
	{{0x0a0d0d0a, 28, 0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX, 28, 1, 20, 1, 0, 20}, 48},
};

#define HEADER_CNT (sizeof(headers) / sizeof(headers[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int begins_like_one(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < HEADER_CNT && size >= sizeof(uint32_t); i++) {
		if (memcmp(data, headers[i].words, sizeof(uint32_t)) == 0)
			return 1;
	}
	return 0;
}

static void require(int condition)
{
	if (!condition)
		abort();
}

static void read_all(FILE *stream)
{
	struct capture capture;
	struct capture_packet packet;
	struct xfq_error error = {0};
	uint8_t *copy;
	int result = capture_open_stream(&capture, stream, "fuzz", &error);

	if (result == 0) {
		copy = malloc(capture_snaplen(&capture));
		require(copy && capture_snaplen(&capture) <= CAPTURE_SNAPLEN_MAX);
		while ((result = capture_next(&capture, &packet, &error)) == 1) {
			require(packet.len <= capture_snaplen(&capture));
			require(packet.wire_len >= packet.len);
			memcpy(copy, packet.data, packet.len); /* all of it is there */
		}
		require(capture_next(&capture, &packet, &error) == result);
		free(copy);
	}
	require(result <= 0 && (result == 0 || (error.code == result && error.text[0])));
	capture_close(&capture);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct header *header = NULL;
	size_t bytes = size;
	uint8_t *file;
	FILE *stream;

	if (size == 0)
		return 0;
	if (!begins_like_one(data, size)) {
		header = &headers[data[0] % HEADER_CNT];
		bytes = header->bytes + size - 1;
	}
	file = malloc(bytes);
	require(file != NULL);
	if (header) {
		memcpy(file, header->words, header->bytes);
		memcpy(file + header->bytes, data + 1, size - 1);
	} else {
		memcpy(file, data, size);
	}
	stream = fmemopen(file, bytes, "rb");
	require(stream != NULL);
	read_all(stream);
	free(file);
	return 0;
}
