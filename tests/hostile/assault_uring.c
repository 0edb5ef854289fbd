/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/hostile/assault_uring.h"
#include "tests/hostile/assault.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *uring_map(int fd, size_t len, off_t at)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, at);
}

static uint32_t *uring_word(uint8_t *base, uint32_t at)
{
	return (uint32_t *)(void *)(base + at);
}

int assault_uring(const struct io_uring_sqe *entry, const struct iovec *buffer)
{
	struct io_uring_params params = {.flags = 0};
	int fd = (int)syscall(SYS_io_uring_setup, 1, &params);
	const struct io_uring_cqe *done;
	struct io_uring_sqe *entries;
	uint8_t *submits, *ends;
	uint32_t *tail;

	if (fd < 0)
		return errno == ENOSYS ? ASSAULT_ABSENT : -errno;
	submits = uring_map(fd, params.sq_off.array + params.sq_entries * sizeof(uint32_t),
			    IORING_OFF_SQ_RING);
	ends = uring_map(fd, params.cq_off.cqes + params.cq_entries * sizeof(*done),
			 IORING_OFF_CQ_RING);
	entries = uring_map(fd, params.sq_entries * sizeof(*entries), IORING_OFF_SQES);
	if (submits == MAP_FAILED || ends == MAP_FAILED || entries == MAP_FAILED)
		return -errno;
	if (buffer && syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, buffer, 1))
		return -errno;
	entries[0] = *entry;
	*uring_word(submits, params.sq_off.array) = 0;
	tail = uring_word(submits, params.sq_off.tail);
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	if (__atomic_load_n(uring_word(ends, params.cq_off.tail), __ATOMIC_ACQUIRE) == 0)
		return -EIO;
	done = (const void *)(ends + params.cq_off.cqes);
	return done->res < 0 ? done->res : 0;
}
