/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/shm.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define SHM_HUGE_BYTES (2UL << 20) /* of a huge page on x86-64 and of MFD_HUGE_2MB */

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
	if (ftruncate(shm->fd, (off_t)shm->len))
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

int shm_create(struct shm *shm, const char *name, size_t len, int flags, struct xfq_error *error)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW;
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
	if (flags & SHM_READ_ONLY)
		seals |= F_SEAL_FUTURE_WRITE;
	if (fcntl(shm->fd, F_ADD_SEALS, seals | F_SEAL_SEAL)) {
		code = xfq_error_set(error, -errno, "%s: sealing shared memory: %s", name,
				     strerror(errno));
		shm_destroy(shm);
	}
	return code;
}

void shm_destroy(struct shm *shm)
{
	if (!shm->base)
		return;
	munmap(shm->base, shm->len);
	close(shm->fd);
	memset(shm, 0, sizeof(*shm));
}
