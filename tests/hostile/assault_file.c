/* SPDX-License-Identifier: BSD-2-Clause */
/* Attempts through descriptors: the one that was given, and others of the same file. */
#include "tests/hostile/assault.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FILE_FDS 256 /* of the instance, that are looked at */

#ifndef FALLOC_FL_WRITE_ZEROES
#define FALLOC_FL_WRITE_ZEROES 0x80
#endif

static int file_write(const struct assault *assault, int vectors)
{
	uint8_t bytes[64];
	struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	off_t at = (off_t)assault->at;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)~assault->base[assault->at + i];
	switch (vectors) {
	case 0:
		return assault_result(lseek(assault->fd, at, SEEK_SET) < 0
					      ? -1
					      : write(assault->fd, bytes, sizeof(bytes)));
	case 1:
		return assault_result(pwrite(assault->fd, bytes, sizeof(bytes), at));
	case 2:
		return assault_result(pwritev(assault->fd, &part, 1, at));
	default:
		return assault_result(pwritev2(assault->fd, &part, 1, at, RWF_HIPRI | RWF_SYNC));
	}
}

static int file_resize(const struct assault *assault, int how)
{
	const off_t lens[] = {0, (off_t)(assault->len - assault->page),
			      (off_t)(assault->len + assault->page)};

	return assault_result(ftruncate(assault->fd, lens[how]));
}

static int file_truncate_path(const struct assault *assault, int argument)
{
	char path[64];

	(void)argument;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", assault->fd);
	return assault_result(truncate(path, 0));
}

static int file_allocate(const struct assault *assault, int mode)
{
	return assault_result(fallocate(assault->fd, mode, (off_t)assault->at,
					(off_t)(assault->len - assault->at)));
}

static int file_allocate_page(const struct assault *assault, int mode)
{
	return assault_result(
		fallocate(assault->fd, mode, (off_t)assault->at, (off_t)assault->page));
}

static int file_allocate_beyond(const struct assault *assault, int mode)
{
	return assault_result(
		fallocate(assault->fd, mode, (off_t)assault->len, (off_t)assault->page));
}

static int file_seal(const struct assault *assault, int seals)
{
	return assault_result(fcntl(assault->fd, F_ADD_SEALS, seals));
}

static int file_flags(const struct assault *assault, int flags)
{
	return assault_result(fcntl(assault->fd, F_SETFL, flags));
}

static int file_lease(const struct assault *assault, int type)
{
	return assault_result(fcntl(assault->fd, F_SETLEASE, type));
}

static int file_lock(const struct assault *assault, int argument)
{
	return assault_result(flock(assault->fd, argument));
}

static int file_attributes(const struct assault *assault, int flags)
{
	return assault_result(ioctl(assault->fd, FS_IOC_SETFLAGS, &flags));
}

static int file_xattr(const struct assault *assault, int argument)
{
	(void)argument;
	return assault_result(fsetxattr(assault->fd, "user.hostile", "1", 1, 0));
}

static int file_times(const struct assault *assault, int argument)
{
	(void)argument;
	return assault_result(futimens(assault->fd, NULL));
}

/* Give it a mode or an owner that a new descriptor could be had by, and have one. */
static int file_mode(const struct assault *assault, int own)
{
	char path[64];
	int fd;

	if (own ? fchown(assault->fd, geteuid(), getegid()) : fchmod(assault->fd, 0666))
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", assault->fd);
	fd = open(path, O_RDWR);
	return fd < 0 ? -errno : assault_use(assault, fd);
}

static int file_reopen(const struct assault *assault, int flags)
{
	const char *const folders[] = {"/proc/self/fd", "/proc/thread-self/fd", "/dev/fd"};
	int code = 0;
	char path[64];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/%d", folders[i], assault->fd);
		int fd = open(path, flags);

		code = fd < 0 ? -errno : assault_use(assault, fd);
		if (code == 0)
			return 0;
	}
	return code;
}

/* By the name of the mapping in place of the descriptor's. */
static int file_reopen_mapping(const struct assault *assault, int flags)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)assault->base,
		 (unsigned long)assault->base + assault->len);
	fd = open(path, flags);
	return fd < 0 ? -errno : assault_use(assault, fd);
}

static int file_reopen_handle(const struct assault *assault, int flags)
{
	struct {
		struct file_handle handle;
		unsigned char bytes[MAX_HANDLE_SZ];
	} room = {.handle.handle_bytes = MAX_HANDLE_SZ};
	int mount, fd;

	if (name_to_handle_at(assault->fd, "", &room.handle, &mount, AT_EMPTY_PATH))
		return -errno;
	fd = open_by_handle_at(assault->fd, &room.handle, flags);
	return fd < 0 ? -errno : assault_use(assault, fd);
}

/* Give it a name in the file system. */
static int file_link(const struct assault *assault, int follow)
{
	char from[64], to[] = "/tmp/xfq-hostile-XXXXXX";
	int code;

	close(mkstemp(to));
	unlink(to);
	snprintf(from, sizeof(from), "/proc/self/fd/%d", assault->fd);
	code = assault_result(follow ? linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW)
				     : linkat(assault->fd, "", AT_FDCWD, to, AT_EMPTY_PATH));
	if (code == 0) {
		int fd = open(to, O_RDWR);

		code = fd < 0 ? -errno : assault_use(assault, fd);
		unlink(to);
	}
	return code;
}

static int file_clone(const struct assault *assault, int range)
{
	int other = memfd_create("hostile", 0), code;
	struct file_clone_range part = {.src_fd = other, .src_length = assault->page};

	if (other < 0 || ftruncate(other, (off_t)assault->len))
		return -errno;
	code = assault_result(range ? ioctl(assault->fd, FICLONERANGE, &part)
				    : ioctl(assault->fd, FICLONE, other));
	close(other);
	return code;
}

/* Whether a descriptor is of the same file as the one that is attacked. */
static bool file_same(const struct assault *assault, int fd)
{
	struct stat ours, theirs;

	return fstat(assault->fd, &ours) == 0 && fstat(fd, &theirs) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* The instance's own descriptor of the same file, by its name. */
static int file_reopen_theirs(const struct assault *assault, int flags)
{
	int code = ASSAULT_ABSENT;

	for (int i = 0; i < FILE_FDS; i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", assault->instance, i);
		fd = open(path, O_PATH);
		if (fd < 0) {
			code = errno == ENOENT ? code : -errno;
			continue;
		}
		if (file_same(assault, fd)) {
			close(fd);
			fd = open(path, flags);
			return fd < 0 ? -errno : assault_use(assault, fd);
		}
		close(fd);
	}
	return code;
}

/* The instance's own descriptor of the same file, as it is. */
static int file_take(const struct assault *assault, int argument)
{
	int pidfd = (int)syscall(SYS_pidfd_open, assault->instance, 0);
	int code = ASSAULT_ABSENT;

	(void)argument;
	for (int i = 0; i < FILE_FDS; i++) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, i, 0);

		if (fd < 0) {
			code = errno == EBADF ? code : -errno;
			continue;
		}
		if (file_same(assault, fd))
			return assault_use(assault, fd);
		close(fd);
	}
	return code;
}

const struct assault_way assault_file_ways[] = {
	{.name = "write", .attempt = file_write},
	{.name = "pwrite", .attempt = file_write, .argument = 1},
	{.name = "pwritev", .attempt = file_write, .argument = 2},
	{.name = "pwritev2", .attempt = file_write, .argument = 3},
	{.name = "ftruncate to nothing", .attempt = file_resize},
	{.name = "ftruncate shorter", .attempt = file_resize, .argument = 1},
	{.name = "ftruncate longer", .attempt = file_resize, .argument = 2},
	{.name = "truncate by name", .attempt = file_truncate_path},
	{.name = "fallocate", .attempt = file_allocate},
	{.name = "fallocate beyond the end", .attempt = file_allocate_beyond},
	{.name = "fallocate beyond the end, size kept",
	 .attempt = file_allocate_beyond,
	 .argument = FALLOC_FL_KEEP_SIZE},
	{.name = "punch a hole",
	 .attempt = file_allocate,
	 .argument = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
	{.name = "punch out a page",
	 .attempt = file_allocate_page,
	 .argument = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
	{.name = "zero a range", .attempt = file_allocate, .argument = FALLOC_FL_ZERO_RANGE},
	{.name = "write zeroes", .attempt = file_allocate, .argument = FALLOC_FL_WRITE_ZEROES},
	{.name = "collapse a range",
	 .attempt = file_allocate_page,
	 .argument = FALLOC_FL_COLLAPSE_RANGE},
	{.name = "insert a range",
	 .attempt = file_allocate_page,
	 .argument = FALLOC_FL_INSERT_RANGE},
	{.name = "unshare a range", .attempt = file_allocate, .argument = FALLOC_FL_UNSHARE_RANGE},
	{.name = "seal: no seal", .attempt = file_seal},
	{.name = "seal: write", .attempt = file_seal, .argument = F_SEAL_WRITE},
	{.name = "seal: grow", .attempt = file_seal, .argument = F_SEAL_GROW},
	{.name = "F_SETFL append", .attempt = file_flags, .argument = O_APPEND},
	{.name = "F_SETFL nothing", .attempt = file_flags},
	{.name = "a write lease", .attempt = file_lease, .argument = F_WRLCK},
	{.name = "flock", .attempt = file_lock, .argument = LOCK_EX | LOCK_NB},
	{.name = "attributes", .attempt = file_attributes, .argument = FS_NODUMP_FL},
	{.name = "an extended attribute", .attempt = file_xattr},
	{.name = "time stamps", .attempt = file_times},
	{.name = "fchmod, then a new descriptor", .attempt = file_mode},
	{.name = "fchown, then a new descriptor", .attempt = file_mode, .argument = 1},
	{.name = "reopen to read and write", .attempt = file_reopen, .argument = O_RDWR},
	{.name = "reopen to write", .attempt = file_reopen, .argument = O_WRONLY},
	{.name = "reopen to truncate", .attempt = file_reopen, .argument = O_RDWR | O_TRUNC},
	{.name = "reopen to append", .attempt = file_reopen, .argument = O_RDWR | O_APPEND},
	{.name = "reopen by the mapping", .attempt = file_reopen_mapping, .argument = O_RDWR},
	{.name = "reopen by handle", .attempt = file_reopen_handle, .argument = O_RDWR},
	{.name = "a name for the descriptor", .attempt = file_link},
	{.name = "a name by /proc", .attempt = file_link, .argument = 1},
	{.name = "clone another file into it", .attempt = file_clone},
	{.name = "clone a range into it", .attempt = file_clone, .argument = 1},
	{.name = "the instance's descriptor by name",
	 .attempt = file_reopen_theirs,
	 .argument = O_RDWR,
	 .grant = true},
	{.name = "the instance's descriptor by pidfd_getfd", .attempt = file_take, .grant = true},
	{.name = NULL},
};
