/* SPDX-License-Identifier: BSD-2-Clause */
/* Capture files, read: what was written comes back, and what is broken ends in a sentence. */
#include "tests/unit/capture_rig.h"

/* Read all packets of `bytes` in memory. Returns how many, and what it ended with in *end. */
static uint64_t read_bytes(const uint8_t *data, size_t bytes, int *end)
{
	struct capture capture;
	struct capture_packet packet;
	struct xfq_error error = {0};
	FILE *stream = fmemopen((void *)(uintptr_t)data, bytes, "rb");
	uint64_t cnt = 0;
	uint8_t *copy;

	assert_non_null(stream);
	*end = capture_open_stream(&capture, stream, "memory", &error);
	if (*end == 0) {
		copy = malloc(capture_snaplen(&capture));
		assert_non_null(copy);
		assert_in_range(capture_snaplen(&capture), 1, CAPTURE_SNAPLEN_MAX);
		while ((*end = capture_next(&capture, &packet, &error)) == 1) {
			assert_in_range(packet.len, 0, capture_snaplen(&capture));
			assert_true(packet.wire_len >= packet.len);
			memcpy(copy, packet.data, packet.len);
			cnt++;
		}
		assert_int_equal(cnt, capture.packet_cnt);
		assert_int_equal(capture_next(&capture, &packet, NULL), *end);
		free(copy);
	}
	if (*end < 0) {
		assert_int_equal(error.code, *end);
		assert_true(strncmp(error.text, "memory: ", 8) == 0);
	}
	capture_close(&capture);
	return cnt;
}

/* Write a pcap file by libpcap, as `link_type` and with `precision`. */
static void write_pcap(int link_type, u_int precision, uint32_t cnt)
{
	static uint8_t data[65536];
	pcap_t *pcap = pcap_open_dead_with_tstamp_precision(link_type, 65535, precision);
	pcap_dumper_t *dumper = pcap_dump_open(pcap, path);
	uint32_t divisor = precision == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000;

	assert_non_null(dumper);
	for (uint32_t i = 0; i < cnt; i++) {
		struct pcap_pkthdr header = {0};

		header.len = header.caplen = packet_fill(data, i);
		header.ts.tv_sec = (time_t)(packet_ts_ns(i) / 1000000000);
		header.ts.tv_usec = (suseconds_t)(packet_ts_ns(i) % 1000000000 / divisor);
		pcap_dump((u_char *)dumper, &header, data);
	}
	pcap_dump_close(dumper);
	pcap_close(pcap);
}

static void test_pcap(void **state)
{
	struct capture capture;
	struct capture_packet packet;

	(void)state;
	write_pcap(DLT_EN10MB, PCAP_TSTAMP_PRECISION_NANO, 200);
	check_packets(200, 65535);
	write_pcap(DLT_EN10MB, PCAP_TSTAMP_PRECISION_MICRO, 1);
	assert_int_equal(capture_open(&capture, path, NULL), 0);
	assert_int_equal(capture_next(&capture, &packet, NULL), 1);
	assert_true(packet.ts_ns == 1700000000123456000u);
	capture_close(&capture);
}

static void test_other_link_type(void **state)
{
	struct capture capture;
	struct xfq_error error;
	char sentence[512];

	(void)state;
	write_pcap(DLT_LINUX_SLL2, PCAP_TSTAMP_PRECISION_NANO, 3);
	assert_int_equal(capture_open(&capture, path, &error), -EPROTONOSUPPORT);
	snprintf(sentence, sizeof(sentence),
		 "%s: link type LINUX_SLL2 (Linux cooked v2), but only Ethernet (EN10MB) can be "
		 "read; capture on an Ethernet interface, or convert the file, for instance by "
		 "`tcprewrite --dlt=enet`",
		 path);
	assert_string_equal(error.text, sentence);
	capture_close(&capture);
	write_pcap(DLT_USER0 + 3, PCAP_TSTAMP_PRECISION_NANO, 3);
	assert_int_equal(capture_open(&capture, path, &error), -EPROTONOSUPPORT);
	assert_non_null(strstr(error.text, "link type DLT 150, but"));
}

/* Two interfaces, the second not Ethernet: libpcap says so, after the packets before it. */
static void test_mixed_link_types(void **state)
{
	static const uint32_t block[] = {1, 20, 113 /* Linux cooked */, PCAPNG_SNAPLEN_MAX, 20};
	struct capture capture;
	struct capture_packet packet;
	struct xfq_error error;
	char start[192];
	FILE *file;

	(void)state;
	write_packets(2, 0);
	file = fopen(path, "ab");
	assert_non_null(file);
	assert_int_equal(fwrite(block, sizeof(block), 1, file), 1);
	fclose(file);
	assert_int_equal(capture_open(&capture, path, &error), 0);
	assert_int_equal(capture_next(&capture, &packet, &error), 1);
	assert_int_equal(capture_next(&capture, &packet, &error), 1);
	assert_int_equal(capture_next(&capture, &packet, &error), -EINVAL);
	snprintf(start, sizeof(start), "%s: after 2 packets: ", path);
	assert_true(strncmp(error.text, start, strlen(start)) == 0);
	assert_true(strlen(error.text) > strlen(start) + 10);
	capture_close(&capture);
}

/* Times before 1970, beyond 64 bits of nanoseconds, and fractions of more than a second. */
static void test_absurd_times(void **state)
{
	struct {
		uint32_t section[7], interface[13], packet[8];
	} file = {
		.section = {0x0a0d0d0a, 28, 0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX, 28},
		/* if_tsresol 10^0 s, if_tsoffset */
		.interface = {1, 52, 1, 0, 9 | 1 << 16, 0, 14 | 8 << 16, 0, 0, 0, 0, 0, 52},
		.packet = {6, 32, 0, 0, 0, 0, 0, 32},
	};
	static const struct {
		uint64_t offset_s, seconds, expected_ns;
	} rows[] = {
		{0, 7, 7000000000u},
		{(uint64_t)-5, 4, 0},
		{(uint64_t)-5, 6, 1000000000u},
		{0, 18446744073u, 18446744073000000000u},
		{0, 18446744074u, UINT64_MAX},
		{0, INT64_MAX, UINT64_MAX},
		{(uint64_t)INT64_MIN, 0, 0},
	};
	struct {
		uint32_t file[6], packet[4];
	} pcap = {{0xa1b23c4d, 2 | 4 << 16, 0, 0, 65535, 1}, {INT32_MAX, INT32_MAX, 0, 0}};
	struct capture capture;
	struct capture_packet packet;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(&file.interface[7], &rows[i].offset_s, 8);
		file.packet[3] = (uint32_t)(rows[i].seconds >> 32);
		file.packet[4] = (uint32_t)rows[i].seconds;
		assert_int_equal(capture_open_stream(&capture, fmemopen(&file, sizeof(file), "rb"),
						     "times", NULL),
				 0);
		assert_int_equal(capture_next(&capture, &packet, NULL), 1);
		assert_true(packet.ts_ns == rows[i].expected_ns);
		capture_close(&capture);
	}
	assert_int_equal(
		capture_open_stream(&capture, fmemopen(&pcap, sizeof(pcap), "rb"), "times", NULL),
		0);
	assert_int_equal(capture_next(&capture, &packet, NULL), 1);
	assert_true(packet.ts_ns == INT32_MAX * 1000000000ull + INT32_MAX);
	capture_close(&capture);
}

static void check_refused(const char *name, int code, const char *sentence)
{
	struct capture capture;
	struct xfq_error error;
	char expected[512];

	assert_int_equal(capture_open(&capture, name, &error), code);
	snprintf(expected, sizeof(expected), "%s: %s", name, sentence);
	assert_string_equal(error.text, expected);
	capture_close(&capture);
}

static void test_no_capture(void **state)
{
	FILE *file;

	(void)state;
	check_refused(folder, -EISDIR, "a directory, not a capture file");
	check_refused("/no/such/file", -ENOENT,
		      "cannot open the capture file: No such file or directory");
	file = fopen(path, "wb");
	assert_non_null(file);
	fflush(file);
	check_refused(path, -EINVAL, "empty; a pcap or pcapng file has at least a header");
	fputs("#!/bin/sh\necho this is no capture file\n", file);
	fclose(file);
	check_refused(path, -EINVAL,
		      "cannot be read as a pcap or pcapng file: unknown file format");
}

static void test_standard_streams(void **state)
{
	int in = dup(STDIN_FILENO), file;
	struct capture capture;
	struct capture_packet packet;
	struct xfq_error error;

	(void)state;
	write_packets(3, 0);
	file = open(path, O_RDONLY);
	assert_true(file >= 0);
	assert_int_equal(dup2(file, STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(capture_open(&capture, "-", &error), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(capture_next(&capture, &packet, &error), 1);
	assert_int_equal(capture_next(&capture, &packet, &error), 0);
	capture_close(&capture);
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0); /* still open */
	if (in >= 0) {
		dup2(in, STDIN_FILENO);
		close(in);
	}
	close(file);
}

static void test_standard_output(void **state)
{
	int out = dup(STDOUT_FILENO), file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	static uint8_t data[65536];
	struct pcapng pcapng;
	int err;

	(void)state;
	assert_true(file >= 0 && out >= 0);
	fflush(stdout);
	dup2(file, STDOUT_FILENO);
	err = pcapng_create(&pcapng, "-", "eth0", 0, NULL);
	for (uint32_t i = 0; i < 10 && !err; i++) {
		uint32_t len = packet_fill(data, i);

		err = pcapng_write(&pcapng, data, len, len, packet_ts_ns(i));
	}
	if (!err)
		err = pcapng_close(&pcapng, 10, 0, NULL);
	dup2(out, STDOUT_FILENO);
	close(out);
	assert_int_equal(err, 0);
	assert_true(lseek(file, 0, SEEK_CUR) > 500); /* not closed, and written to */
	close(file);
	check_packets(10, PCAPNG_SNAPLEN_MAX);
}

/* Cut `bytes` short at every place near the start, and at many others: it ends, and in order. */
static void check_cuts(const uint8_t *data, size_t bytes)
{
	uint64_t whole, cnt, last = 0;
	int end;

	whole = read_bytes(data, bytes, &end);
	for (size_t cut = 1; cut < bytes; cut += cut < 300 ? 1 : 1 + bytes / 61) {
		cnt = read_bytes(data, cut, &end);
		assert_in_range(cnt, last, whole);
		last = cnt;
	}
}

/* The same with each byte of the start, and many others, changed. */
static void check_changes(uint8_t *data, size_t bytes)
{
	int end;

	for (size_t at = 0; at < bytes; at += at < 200 ? 1 : 1 + bytes / 61) {
		uint8_t before = data[at];

		data[at] ^= (uint8_t)(0x80 | at);
		read_bytes(data, bytes, &end);
		data[at] = 0xff;
		read_bytes(data, bytes, &end);
		data[at] = before;
	}
}

static void test_broken(void **state)
{
	uint8_t garbage[4096];
	uint32_t random = 1;
	size_t bytes;
	uint8_t *data;
	int end;

	(void)state;
	write_packets(20, 0);
	data = file_read(path, &bytes);
	assert_int_equal(read_bytes(data, bytes, &end), 20);
	assert_int_equal(end, 0);
	assert_int_equal(read_bytes(data, bytes - 70, &end), 19);
	assert_int_equal(end, -EINVAL);
	check_cuts(data, bytes);
	check_changes(data, bytes);
	free(data);
	write_pcap(DLT_EN10MB, PCAP_TSTAMP_PRECISION_MICRO, 20);
	data = file_read(path, &bytes);
	check_cuts(data, bytes);
	check_changes(data, bytes);
	for (uint32_t round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof(garbage); i++)
			garbage[i] = (uint8_t)((random = random * 1664525 + 1013904223) >> 24);
		read_bytes(garbage, sizeof(garbage), &end);
		assert_int_equal(end, -EINVAL);
		memcpy(garbage, data, 24); /* a good header before it */
		read_bytes(garbage, sizeof(garbage), &end);
	}
	free(data);
}

/* Captures of other projects' test suites, where they are present. */
static void test_shared_captures(void **state)
{
	const char *shared = getenv("XFQ_SHARED_DIR");
	char name[512], pcaps[256];
	struct dirent *entry;
	DIR *dir = NULL;
	uint32_t cnt = 0;

	(void)state;
	if (shared) {
		snprintf(pcaps, sizeof(pcaps), "%s/data/pcaps", shared);
		dir = opendir(pcaps);
	}
	if (!dir) {
		print_message("skipped: no captures in $XFQ_SHARED_DIR/data/pcaps\n");
		skip();
	}
	while ((entry = readdir(dir))) {
		bool ethernet = !strstr(entry->d_name, "mpls-traceroute") &&
				!strstr(entry->d_name, "ipv6hdr-heapoverflow");
		struct capture capture;
		struct xfq_error error;
		size_t bytes;
		uint8_t *data;
		int end;

		if (!strstr(entry->d_name, ".pcap"))
			continue;
		snprintf(name, sizeof(name), "%s/%s", pcaps, entry->d_name);
		assert_int_equal(capture_open(&capture, name, &error),
				 ethernet ? 0 : -EPROTONOSUPPORT);
		capture_close(&capture);
		data = file_read(name, &bytes);
		assert_int_equal(read_bytes(data, bytes, &end) > 0, ethernet);
		assert_int_equal(end, ethernet ? 0 : -EPROTONOSUPPORT);
		check_cuts(data, bytes);
		free(data);
		cnt++;
	}
	closedir(dir);
	print_message("%u captures\n", cnt);
	assert_true(cnt > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pcap),
		cmocka_unit_test(test_other_link_type),
		cmocka_unit_test(test_mixed_link_types),
		cmocka_unit_test(test_absurd_times),
		cmocka_unit_test(test_no_capture),
		cmocka_unit_test(test_standard_streams),
		cmocka_unit_test(test_standard_output),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_shared_captures),
	};

	return cmocka_run_group_tests(tests, folder_create, folder_destroy);
}
