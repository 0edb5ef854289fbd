/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/shm.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define SHM_HUGE_BYTES (2UL << 20) /* of a huge page on x86-64 and of MFD_HUGE_2MB */

#define SHM_SEALS_SIZE  (F_SEAL_SHRINK | F_SEAL_GROW)
#define SHM_SEALS_WRITE (F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

static int shm_map(struct shm *shm, const char *name, size_t len, bool huge)
{
	size_t page = huge ? SHM_HUGE_BYTES : (size_t)sysconf(_SC_PAGESIZE);
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;

	if (huge)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;
	shm->len = (len + page - 1) / page * page;
	shm->huge = huge;
	shm->fd = memfd_create(name, flags);
	if (shm->fd < 0)
		return -errno;
	if (ftruncate(shm->fd, (off_t)shm->len) || fchmod(shm->fd, 0))
		goto failed;
	/* huge pages are reserved by the mapping, so that it fails here and not on a touch */
	shm->base = mmap(NULL, shm->len, PROT_READ | PROT_WRITE, MAP_SHARED, shm->fd, 0);
	if (shm->base == MAP_FAILED)
		goto failed;
	return 0;
failed:;
	int code = -errno;

	close(shm->fd);
	return code;
}

/* Seal a region; then see that the seal is kept, as kernels before 5.13 did not where it lies in
 * huge pages. 0 or -errno. */
static int shm_seal(const struct shm *shm, int flags)
{
	int seals = SHM_SEALS_SIZE;
	void *base;

	if (flags & SHM_READ_ONLY)
		seals |= SHM_SEALS_WRITE;
	else if (!(flags & SHM_LENT))
		seals |= F_SEAL_SEAL;
	if (fcntl(shm->fd, F_ADD_SEALS, seals))
		return -errno;
	if (!(flags & SHM_READ_ONLY))
		return 0;
	base = mmap(NULL, shm->len, PROT_READ | PROT_WRITE, MAP_SHARED, shm->fd, 0);
	if (base == MAP_FAILED)
		return 0;
	munmap(base, shm->len);
	return -EOPNOTSUPP;
}

int shm_create(struct shm *shm, const char *name, size_t len, int flags, struct xfq_error *error)
{
	int code = -ENOMEM;

	memset(shm, 0, sizeof(*shm));
	if (flags & SHM_HUGE)
		code = shm_map(shm, name, len, true);
	if (code)
		code = shm_map(shm, name, len, false);
	if (code) {
		memset(shm, 0, sizeof(*shm));
		return xfq_error_set(error, code, "%s: %zu bytes of shared memory: %s%s", name, len,
				     strerror(-code),
				     code == -EMFILE ? "; raise the limit: ulimit -n" : "");
	}
	code = shm_seal(shm, flags);
	if (code == -EOPNOTSUPP && shm->huge) {
		shm_destroy(shm);
		return shm_create(shm, name, len, flags & ~SHM_HUGE, error);
	}
	if (code) {
		xfq_error_set(error, code, "%s: sealing shared memory: %s", name, strerror(-code));
		shm_destroy(shm);
	}
	return code;
}

int shm_populate(const struct shm *shm)
{
	volatile uint8_t *bytes = shm->base;

	if (madvise(shm->base, shm->len, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	/* before Linux 5.14; a store of what is there would undo another's */
	for (size_t at = 0; at < shm->len; at += (size_t)sysconf(_SC_PAGESIZE))
		(void)bytes[at];
	return 0;
}

bool shm_is_sealed(const struct shm *shm)
{
	const int wanted = SHM_SEALS_SIZE | SHM_SEALS_WRITE;
	int seals = fcntl(shm->fd, F_GET_SEALS);

	return seals >= 0 && (seals & wanted) == wanted;
}

void shm_close(struct shm *shm)
{
	if (shm->base && shm->fd >= 0)
		close(shm->fd);
	shm->fd = -1;
}

void shm_destroy(struct shm *shm)
{
	if (!shm->base)
		return;
	munmap(shm->base, shm->len);
	shm_close(shm);
	memset(shm, 0, sizeof(*shm));
}
