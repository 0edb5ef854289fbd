/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared memory: who else can do what to it, by its descriptor. */
#include "workers/shm.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES 100000

static void create(struct shm *shm, int flags)
{
	struct xfq_error error;

	if (shm_create(shm, "test", BYTES, flags, &error))
		fail_msg("%s", error.text);
	assert_true(shm->len >= BYTES && shm->len % (size_t)sysconf(_SC_PAGESIZE) == 0);
	assert_int_equal(shm_populate(shm), 0);
	memset(shm->base, 1, shm->len);
}

static int map(const struct shm *shm, int protection)
{
	void *base = mmap(NULL, shm->len, protection, MAP_SHARED, shm->fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	munmap(base, shm->len);
	return 0;
}

static int punch(const struct shm *shm)
{
	return fallocate(shm->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)shm->len)
		       ? -errno
		       : 0;
}

/* The size of a region is as it is, whoever has it. */
static void expect_size_sealed(const struct shm *shm)
{
	struct stat status;

	assert_int_equal(ftruncate(shm->fd, 0), -1);
	assert_int_equal(ftruncate(shm->fd, (off_t)shm->len * 2), -1);
	assert_int_equal(fstat(shm->fd, &status), 0);
	assert_int_equal(status.st_size, shm->len);
	assert_int_equal(status.st_mode & 0777, 0);
}

static void test_read_only(void **state)
{
	struct shm shm;

	(void)state;
	create(&shm, SHM_READ_ONLY);
	assert_true(shm_is_sealed(&shm));
	expect_size_sealed(&shm);
	assert_int_equal(map(&shm, PROT_READ), 0);
	assert_int_equal(map(&shm, PROT_READ | PROT_WRITE), -EPERM);
	assert_int_equal(punch(&shm), -EPERM);
	assert_int_equal(pwrite(shm.fd, "", 1, 0), -1);
	memset(shm.base, 2, shm.len); /* the owner's mapping goes on working */
	shm_destroy(&shm);
	shm_destroy(&shm);
}

/* In huge pages, where there are any, it is the same. */
static void test_huge(void **state)
{
	struct shm shm;

	(void)state;
	create(&shm, SHM_READ_ONLY | SHM_HUGE);
	expect_size_sealed(&shm);
	assert_int_equal(map(&shm, PROT_READ | PROT_WRITE), -EPERM);
	assert_int_equal(punch(&shm), -EPERM);
	shm_destroy(&shm);
}

/* What another process writes is sealed by it, when it has mapped it: then nobody else can write,
 * nor take pages out. */
static void test_lent(void **state)
{
	struct shm shm;
	uint8_t *theirs;

	(void)state;
	create(&shm, SHM_LENT);
	expect_size_sealed(&shm);
	assert_false(shm_is_sealed(&shm));
	theirs = mmap(NULL, shm.len, PROT_READ | PROT_WRITE, MAP_SHARED, shm.fd, 0);
	assert_true(theirs != MAP_FAILED);
	assert_int_equal(punch(&shm), 0); /* what it is about */
	assert_int_equal(fcntl(shm.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	assert_false(shm_is_sealed(&shm)); /* seals could be added still */
	assert_int_equal(fcntl(shm.fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
	assert_true(shm_is_sealed(&shm));
	assert_int_equal(shm_populate(&shm), 0);
	assert_int_equal(punch(&shm), -EPERM);
	assert_int_equal(madvise(theirs, shm.len, MADV_REMOVE), -1);
	assert_int_equal(map(&shm, PROT_READ | PROT_WRITE), -EPERM);
	theirs[0] = 7;
	assert_int_equal(((const uint8_t *)shm.base)[0], 7);
	munmap(theirs, shm.len);
	shm_close(&shm);
	shm_destroy(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_lent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
