/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/libxfq/mapping.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

enum { MAPPING_RINGS, MAPPING_CONS, MAPPING_UMEMS };

/* Whether `cnt` pieces of at least `bytes` lie `stride` apart in `len` bytes. */
static bool mapping_fits(uint64_t stride, uint64_t bytes, uint32_t cnt, size_t len)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	return stride >= bytes && stride % page == 0 && stride <= len / cnt;
}

static int mapping_check(const struct protocol_joined *joined, uint32_t fd_cnt,
			 struct xfq_error *error)
{
	uint32_t slots = joined->ring_slots;

	if (joined->worker_cnt < 1 || joined->worker_cnt > MAPPING_WORKERS_MAX)
		return xfq_error_set(error, -EPROTO, "the instance has %u workers, and not 1 to %d",
				     joined->worker_cnt, MAPPING_WORKERS_MAX);
	if (fd_cnt != MAPPING_UMEMS + joined->worker_cnt)
		return xfq_error_set(error, -EPROTO, "%u descriptors came for %u workers", fd_cnt,
				     joined->worker_cnt);
	if (slots < XFQ_RING_SLOTS_MIN || slots > XFQ_RING_SLOTS_MAX || (slots & (slots - 1)) != 0)
		return xfq_error_set(error, -EPROTO, "rings of %u slots", slots);
	return 0;
}

static int mapping_map(struct mapping_area *area, int fd, bool writable, const char *what,
		       struct xfq_error *error)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;

	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return xfq_error_set(error, -EPROTO, "the memory of %s is not sealed", what);
	if (fstat(fd, &status) || status.st_size <= 0)
		return xfq_error_set(error, -EPROTO, "the memory of %s has no size", what);
	area->base = mmap(NULL, (size_t)status.st_size, PROT_READ | (writable ? PROT_WRITE : 0),
			  MAP_SHARED, fd, 0);
	if (area->base == MAP_FAILED) {
		area->base = NULL;
		return xfq_error_set(error, -errno, "mapping %jd bytes of %s: %s",
				     (intmax_t)status.st_size, what, strerror(errno));
	}
	area->len = (size_t)status.st_size;
	if (madvise(area->base, area->len, MADV_DONTFORK))
		return xfq_error_set(error, -errno, "keeping %s from fork(): %s", what,
				     strerror(errno));
	return 0;
}

/* From here on nobody can write the consumer pages but through this mapping, nor take one away: the
 * worker that reads there relies on it. */
static int mapping_seal(int fd, struct xfq_error *error)
{
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL))
		return xfq_error_set(error, -errno, "sealing the consumer pages: %s",
				     strerror(errno));
	return 0;
}

static int mapping_open_ring(struct mapping *mapping, const struct protocol_joined *joined,
			     uint32_t i, struct xfq_error *error)
{
	const struct mapping_area *umem = &mapping->areas[MAPPING_UMEMS + i];
	uint8_t *rings = mapping->areas[MAPPING_RINGS].base;
	uint8_t *cons = mapping->areas[MAPPING_CONS].base;
	const struct xfq_ring_prod *shared = (void *)(rings + i * joined->ring_stride);

	if (!xfq_ring_open(&mapping->rings[i], shared, joined->ring_stride,
			   (void *)(cons + i * joined->cons_stride), umem->base))
		return xfq_error_set(error, -EPROTONOSUPPORT,
				     "ring %u has a layout that this library does not know: it and "
				     "the instance must be of the same release",
				     i);
	if (shared->slots != joined->ring_slots)
		return xfq_error_set(error, -EPROTO, "ring %u has %u slots, and not %u", i,
				     shared->slots, joined->ring_slots);
	if (shared->umem_len > umem->len)
		return xfq_error_set(error, -EPROTO,
				     "the packet memory of worker %u has %zu bytes, and not %ju", i,
				     umem->len, (uintmax_t)shared->umem_len);
	return 0;
}

static int mapping_fill(struct mapping *mapping, const struct protocol_joined *joined,
			const int *fds, struct xfq_error *error)
{
	uint32_t cnt = joined->worker_cnt;
	int code;

	code = mapping_map(&mapping->areas[MAPPING_RINGS], fds[MAPPING_RINGS], false, "the rings",
			   error);
	if (code == 0)
		code = mapping_map(&mapping->areas[MAPPING_CONS], fds[MAPPING_CONS], true,
				   "the consumer pages", error);
	for (uint32_t i = MAPPING_UMEMS; i < MAPPING_UMEMS + cnt && code == 0; i++)
		code = mapping_map(&mapping->areas[i], fds[i], false, "the packets", error);
	if (code)
		return code;
	if (!mapping_fits(joined->ring_stride, xfq_ring_prod_bytes(joined->ring_slots), cnt,
			  mapping->areas[MAPPING_RINGS].len))
		return xfq_error_set(error, -EPROTO, "%u rings of %ju bytes in %zu", cnt,
				     (uintmax_t)joined->ring_stride,
				     mapping->areas[MAPPING_RINGS].len);
	if (!mapping_fits(joined->cons_stride, sizeof(struct xfq_ring_cons), cnt,
			  mapping->areas[MAPPING_CONS].len))
		return xfq_error_set(error, -EPROTO, "%u consumer pages of %ju bytes in %zu", cnt,
				     (uintmax_t)joined->cons_stride,
				     mapping->areas[MAPPING_CONS].len);
	for (uint32_t i = 0; i < cnt && code == 0; i++)
		code = mapping_open_ring(mapping, joined, i, error);
	return code ? code : mapping_seal(fds[MAPPING_CONS], error);
}

int mapping_create(struct mapping *mapping, const struct protocol_joined *joined, const int *fds,
		   uint32_t fd_cnt, struct xfq_error *error)
{
	int code = mapping_check(joined, fd_cnt, error);

	memset(mapping, 0, sizeof(*mapping));
	if (code)
		return code;
	mapping->rings = calloc(joined->worker_cnt, sizeof(*mapping->rings));
	if (!mapping->rings)
		return xfq_error_set(error, -ENOMEM, "%s", strerror(ENOMEM));
	mapping->ring_cnt = joined->worker_cnt;
	code = mapping_fill(mapping, joined, fds, error);
	if (code)
		mapping_destroy(mapping);
	return code;
}

void mapping_forget(struct mapping *mapping)
{
	free(mapping->rings);
	memset(mapping, 0, sizeof(*mapping));
}

void mapping_destroy(struct mapping *mapping)
{
	for (size_t i = 0; i < PROTOCOL_FDS_MAX; i++)
		if (mapping->areas[i].base)
			munmap(mapping->areas[i].base, mapping->areas[i].len);
	mapping_forget(mapping);
}
