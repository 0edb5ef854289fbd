/* SPDX-License-Identifier: BSD-2-Clause */
/* Attempts through mappings: new ones, and the read-only one that a member is to have. */
#include "tests/hostile/assault.h"
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define MEMORY_HUGE_BYTES ((size_t)2 << 20)

static int memory_map(const struct assault *assault, int flags)
{
	uint8_t *base = mmap(NULL, assault->len, PROT_READ | PROT_WRITE, flags, assault->fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	for (size_t at = 0; at < assault->len; at += assault->page)
		assault_poke(base + at);
	return 0;
}

/* Map it so that it may be read, and then allow writing. */
static int memory_map_protect(const struct assault *assault, int protection)
{
	uint8_t *base = mmap(NULL, assault->len, protection, MAP_SHARED, assault->fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	if (mprotect(base, assault->len, PROT_READ | PROT_WRITE))
		return -errno;
	assault_poke(base + assault->at);
	return 0;
}

static int memory_protect(const struct assault *assault, int protection)
{
	if (mprotect(assault->base, assault->len, protection))
		return -errno;
	if (protection & PROT_WRITE)
		assault_poke(assault->base + assault->at);
	return 0;
}

static int memory_protect_key(const struct assault *assault, int argument)
{
	(void)argument;
	if (syscall(SYS_pkey_mprotect, assault->base, assault->len, PROT_READ | PROT_WRITE, -1))
		return -errno;
	assault_poke(assault->base + assault->at);
	return 0;
}

/* Move, or double, the mapping, and allow writing there. */
static int memory_remap(const struct assault *assault, int twice)
{
	uint8_t *base =
		mremap(assault->base, twice ? 0 : assault->len, assault->len, MREMAP_MAYMOVE);

	if (base == MAP_FAILED || mprotect(base, assault->len, PROT_READ | PROT_WRITE))
		return -errno;
	assault_poke(base + assault->at);
	return 0;
}

static int memory_grow(const struct assault *assault, int argument)
{
	uint8_t *base =
		mremap(assault->base, assault->len, assault->len + assault->page, MREMAP_MAYMOVE);

	(void)argument;
	if (base == MAP_FAILED)
		return -errno;
	assault_poke(base + assault->len); /* beyond the end: SIGBUS */
	return 0;
}

static int memory_remap_pages(const struct assault *assault, int argument)
{
	(void)argument;
	return assault_result(syscall(SYS_remap_file_pages, assault->base, assault->page, 0,
				      (assault->len - assault->page) / assault->page, 0));
}

static int memory_store(const struct assault *assault, int argument)
{
	(void)argument;
	assault_poke(assault->base + assault->at);
	return 0;
}

static int memory_advise(const struct assault *assault, int advice)
{
	return assault_result(madvise(assault->base, assault->len, advice));
}

/* Say that the hardware is broken: root is believed. */
static int memory_fail(const struct assault *assault, int advice)
{
	return assault->root ? ASSAULT_ABSENT : memory_advise(assault, advice);
}

/* As memory_advise(), through a mapping that is large enough for huge pages. */
static int memory_advise_huge(const struct assault *assault, int advice)
{
	uint8_t *room = mmap(NULL, 3 * MEMORY_HUGE_BYTES, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *base = room + (-(uintptr_t)room & (MEMORY_HUGE_BYTES - 1));

	if (room == MAP_FAILED || mmap(base, MEMORY_HUGE_BYTES, PROT_READ, MAP_SHARED | MAP_FIXED,
				       assault->fd, 0) == MAP_FAILED)
		return -errno;
	return assault_result(madvise(base, MEMORY_HUGE_BYTES, advice));
}

static int memory_sync(const struct assault *assault, int flags)
{
	return assault_result(msync(assault->base, assault->len, flags));
}

static int memory_lock(const struct assault *assault, int argument)
{
	(void)argument;
	return assault_result(mlock(assault->base, assault->page));
}

static int memory_bind(const struct assault *assault, int flags)
{
	unsigned long nodes = 1;

	return assault_result(syscall(SYS_mbind, assault->base, assault->len, MPOL_BIND, &nodes,
				      8 * sizeof(nodes), flags));
}

static int memory_move(const struct assault *assault, int flags)
{
	void *page = assault->base + assault->at;
	int node = 0, status = 0;

	return assault_result(syscall(SYS_move_pages, 0, 1UL, &page, &node, &status, flags));
}

const struct assault_way assault_memory_ways[] = {
	{.name = "map shared and writable",
	 .attempt = memory_map,
	 .argument = MAP_SHARED,
	 .grant = true},
	{.name = "map shared and writable, validated",
	 .attempt = memory_map,
	 .argument = MAP_SHARED_VALIDATE,
	 .grant = true},
	{.name = "map a private copy, and write that",
	 .attempt = memory_map,
	 .argument = MAP_PRIVATE},
	{.name = "map to read, then mprotect",
	 .attempt = memory_map_protect,
	 .argument = PROT_READ,
	 .grant = true},
	{.name = "map for nothing, then mprotect",
	 .attempt = memory_map_protect,
	 .argument = PROT_NONE,
	 .grant = true},
	{.name = "mprotect",
	 .attempt = memory_protect,
	 .argument = PROT_READ | PROT_WRITE,
	 .grant = true},
	{.name = "mprotect to write and run",
	 .attempt = memory_protect,
	 .argument = PROT_READ | PROT_WRITE | PROT_EXEC,
	 .grant = true},
	{.name = "pkey_mprotect", .attempt = memory_protect_key, .grant = true},
	{.name = "mremap, then mprotect", .attempt = memory_remap, .grant = true},
	{.name = "mremap to a second mapping, then mprotect",
	 .attempt = memory_remap,
	 .argument = 1,
	 .grant = true},
	{.name = "mremap beyond the end", .attempt = memory_grow},
	{.name = "remap_file_pages", .attempt = memory_remap_pages},
	{.name = "store", .attempt = memory_store, .grant = true},
	{.name = "MADV_REMOVE", .attempt = memory_advise, .argument = MADV_REMOVE},
	{.name = "MADV_DONTNEED", .attempt = memory_advise, .argument = MADV_DONTNEED},
	{.name = "MADV_DONTNEED_LOCKED",
	 .attempt = memory_advise,
	 .argument = MADV_DONTNEED_LOCKED},
	{.name = "MADV_FREE", .attempt = memory_advise, .argument = MADV_FREE},
	{.name = "MADV_COLD", .attempt = memory_advise, .argument = MADV_COLD},
	{.name = "MADV_PAGEOUT", .attempt = memory_advise, .argument = MADV_PAGEOUT},
	{.name = "MADV_MERGEABLE", .attempt = memory_advise, .argument = MADV_MERGEABLE},
	{.name = "MADV_WIPEONFORK", .attempt = memory_advise, .argument = MADV_WIPEONFORK},
	{.name = "MADV_POPULATE_WRITE",
	 .attempt = memory_advise,
	 .argument = MADV_POPULATE_WRITE,
	 .grant = true},
	{.name = "MADV_GUARD_INSTALL", .attempt = memory_advise, .argument = MADV_GUARD_INSTALL},
	{.name = "MADV_HUGEPAGE", .attempt = memory_advise, .argument = MADV_HUGEPAGE},
	{.name = "MADV_COLLAPSE", .attempt = memory_advise_huge, .argument = MADV_COLLAPSE},
	{.name = "MADV_HWPOISON", .attempt = memory_fail, .argument = MADV_HWPOISON},
	{.name = "MADV_SOFT_OFFLINE", .attempt = memory_fail, .argument = MADV_SOFT_OFFLINE},
	{.name = "msync, invalidating",
	 .attempt = memory_sync,
	 .argument = MS_INVALIDATE | MS_SYNC},
	{.name = "mlock", .attempt = memory_lock},
	{.name = "mbind", .attempt = memory_bind},
	{.name = "mbind, moving", .attempt = memory_bind, .argument = MPOL_MF_MOVE},
	{.name = "mbind, moving others' pages",
	 .attempt = memory_bind,
	 .argument = MPOL_MF_MOVE_ALL},
	{.name = "move_pages", .attempt = memory_move, .argument = MPOL_MF_MOVE},
	{.name = NULL},
};
