/* SPDX-License-Identifier: BSD-2-Clause */
/* The pcapng writer: what it writes is read back, block by block, and where it cannot it says so.
 */
#include "tests/unit/capture_rig.h"

static void test_pcapng_round_trip(void **state)
{
	(void)state;
	write_packets(5000, 0);
	check_packets(5000, PCAPNG_SNAPLEN_MAX);
	write_packets(300, 96);
	check_packets(300, 96);
	write_packets(0, 65535);
	check_packets(0, 65535);
}

/* Block by block what draft-ietf-opsawg-pcapng says, and not only what one reader accepts. */
static void test_pcapng_blocks(void **state)
{
	static const uint32_t types[] = {0x0a0d0d0a, 1, 6, 6, 5};
	static const uint8_t data[5] = {1, 2, 3, 4, 5};
	struct pcapng pcapng;
	uint32_t word, bytes;
	size_t file_bytes, at = 0;
	uint8_t *file;

	(void)state;
	assert_int_equal(pcapng_create(&pcapng, path, "", 4, NULL), 0);
	assert_int_equal(pcapng_write(&pcapng, data, 3, 1, 0x123456789), 0);
	assert_int_equal(pcapng_write(&pcapng, data, 5, 70, 1), 0);
	assert_int_equal(pcapng_close(&pcapng, 0x1122334455667788, 3, NULL), 0);
	file = file_read(path, &file_bytes);
	for (size_t i = 0; i < 5; i++) {
		memcpy(&word, file + at, 4);
		memcpy(&bytes, file + at + 4, 4);
		assert_int_equal(word, types[i]);
		assert_int_equal(bytes % 4, 0);
		assert_true(at + bytes <= file_bytes);
		memcpy(&word, file + at + bytes - 4, 4);
		assert_int_equal(word, bytes);
		if (i == 2) /* interface, time, lengths, data and padding */
			assert_memory_equal(file + at + 8,
					    "\0\0\0\0\x01\0\0\0\x89\x67\x45\x23\x03\0\0\0"
					    "\x03\0\0\0\x01\x02\x03\0",
					    24);
		if (i == 3)
			assert_memory_equal(file + at + 20, "\x04\0\0\0\x46\0\0\0\x01\x02\x03\x04",
					    12);
		if (i == 4) /* isb_ifrecv, isb_ifdrop */
			assert_memory_equal(file + at + 20,
					    "\x04\0\x08\0\x88\x77\x66\x55\x44\x33\x22\x11"
					    "\x05\0\x08\0\x03\0\0\0\0\0\0\0\0\0\0\0",
					    28);
		at += bytes;
	}
	assert_int_equal(at, file_bytes);
	free(file);
}

static void test_pcapng_errors(void **state)
{
	char missing[192], sentence[512];
	struct pcapng pcapng;
	struct xfq_error error;

	(void)state;
	snprintf(missing, sizeof(missing), "%s/no/such", folder);
	snprintf(sentence, sizeof(sentence),
		 "%s: cannot create the capture file: No such file or directory", missing);
	assert_int_equal(pcapng_create(&pcapng, missing, NULL, 0, &error), -ENOENT);
	assert_string_equal(error.text, sentence);
	assert_int_equal(pcapng_close(&pcapng, 0, 0, &error), 0);
	assert_int_equal(pcapng_create(&pcapng, folder, NULL, 0, &error), -EISDIR);
	if (access("/dev/full", W_OK) == 0) {
		assert_int_equal(pcapng_create(&pcapng, "/dev/full", NULL, 0, &error), -ENOSPC);
		assert_string_equal(error.text, "/dev/full: cannot write the capture file: No "
						"space left on device");
	}
}

/* The disk is full in the middle of the file: whole packets stay, the rest is counted. */
static void test_pcapng_full(void **state)
{
	struct rlimit before, limit;
	static uint8_t data[65536];
	struct pcapng pcapng;
	struct xfq_error error;
	uint64_t refused = 0;
	uint32_t cnt = 3000;

	(void)state;
	signal(SIGXFSZ, SIG_IGN); /* so that a write beyond the limit fails as on a full disk */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 1000003;
	assert_int_equal(pcapng_create(&pcapng, path, NULL, 0, &error), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t len = packet_fill(data, i);

		refused += pcapng_write(&pcapng, data, len, len, packet_ts_ns(i)) == -EFBIG;
	}
	assert_int_equal(pcapng_flush(&pcapng), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(pcapng_close(&pcapng, cnt, 0, &error), -EFBIG);
	assert_non_null(strstr(error.text, path));
	assert_non_null(strstr(error.text, "File too large; "));
	assert_true(refused > 0);
	assert_true(pcapng.lost_cnt >= refused);
	assert_true(pcapng.packet_cnt > 0);
	assert_int_equal(pcapng.packet_cnt + pcapng.lost_cnt, cnt);
	check_packets((uint32_t)pcapng.packet_cnt, PCAPNG_SNAPLEN_MAX);
}

/* Told to stop, a writer does not wait for ever for a pipe's reader, and counts what it lost. */
static void test_pcapng_stop(void **state)
{
	static uint8_t data[65536];
	struct pcapng pcapng;
	struct xfq_error error;
	uint64_t one = 1;
	int reader, stop = eventfd(0, EFD_CLOEXEC);
	uint32_t i = 0, len;

	(void)state;
	assert_true(stop >= 0);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	assert_int_equal(pcapng_open(&pcapng, path, "eth0", 0, &error), 0);
	pcapng_set_interface(&pcapng, "eth1");
	pcapng.stop_fds[1] = stop;
	assert_int_equal(pcapng_begin(&pcapng, &error), 0);
	assert_int_equal(write(stop, &one, sizeof(one)), sizeof(one));
	/* as long as the reader gets on, all is well */
	assert_int_equal(pcapng_write(&pcapng, data, 100, 100, 1), 0);
	assert_int_equal(pcapng_flush(&pcapng), 0);
	assert_in_range(read(reader, data, sizeof(data)), 200, 400);
	assert_non_null(memmem(data, 200, "eth1", 4));
	assert_null(memmem(data, 200, "eth0", 4));
	do
		len = packet_fill(data, i++);
	while (pcapng_write(&pcapng, data, len, len, packet_ts_ns(i)) == 0);
	assert_int_equal(pcapng_close(&pcapng, i, 0, &error), -ECANCELED);
	assert_non_null(strstr(error.text, "nobody reads it"));
	assert_true(pcapng.lost_cnt > 0);
	assert_int_equal(pcapng.packet_cnt + pcapng.lost_cnt, i + 1);
	close(reader);
	close(stop);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pcapng_round_trip), cmocka_unit_test(test_pcapng_blocks),
		cmocka_unit_test(test_pcapng_errors),     cmocka_unit_test(test_pcapng_full),
		cmocka_unit_test(test_pcapng_stop),
	};

	return cmocka_run_group_tests(tests, folder_create, folder_destroy);
}
