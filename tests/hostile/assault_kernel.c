/* SPDX-License-Identifier: BSD-2-Clause */
/* Attempts to have the kernel write: into the file, or through the read-only mapping. */
#include "tests/hostile/assault.h"
#include "tests/hostile/assault_uring.h"
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/if_xdp.h>
#include <linux/udmabuf.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

#define KERNEL_BYTES 64

/* Bytes to be written, each other than what is there, and a file that holds them. */
static int kernel_source(const struct assault *assault, uint8_t bytes[KERNEL_BYTES])
{
	int fd = memfd_create("hostile", 0);

	for (size_t i = 0; i < KERNEL_BYTES; i++)
		bytes[i] = (uint8_t)~assault->base[assault->at + i];
	if (fd < 0 || pwrite(fd, bytes, KERNEL_BYTES, 0) != KERNEL_BYTES)
		_exit(2);
	return fd;
}

/* --- into the file ---------------------------------------------------------------------------- */

static int kernel_copy(const struct assault *assault, int how)
{
	uint8_t bytes[KERNEL_BYTES];
	int from = kernel_source(assault, bytes), pipe_fds[2];
	off_t at = (off_t)assault->at, start = 0;

	switch (how) {
	case 0:
		return assault_result(
			copy_file_range(from, &start, assault->fd, &at, KERNEL_BYTES, 0));
	case 1:
		lseek(assault->fd, at, SEEK_SET);
		return assault_result(sendfile(assault->fd, from, &start, KERNEL_BYTES));
	default:
		if (pipe(pipe_fds) || write(pipe_fds[1], bytes, KERNEL_BYTES) != KERNEL_BYTES)
			return -errno;
		return assault_result(splice(pipe_fds[0], NULL, assault->fd, &at, KERNEL_BYTES, 0));
	}
}

/* A page of the file, or of the mapping, in a pipe, and then more bytes into the same pipe: they
 * must not end up behind those that are there. */
static int kernel_pipe(const struct assault *assault, int mapping)
{
	uint8_t bytes[KERNEL_BYTES];
	off_t at = (off_t)assault->at;
	struct iovec part = {.iov_base = assault->base + assault->at, .iov_len = 1};
	int pipe_fds[2];
	ssize_t got;

	close(kernel_source(assault, bytes));
	if (pipe(pipe_fds))
		return -errno;
	got = mapping ? vmsplice(pipe_fds[1], &part, 1, SPLICE_F_GIFT)
		      : splice(assault->fd, &at, pipe_fds[1], NULL, 1, 0);
	if (got != 1)
		return -errno;
	return assault_result(write(pipe_fds[1], bytes + 1, KERNEL_BYTES - 1));
}

/* Give a page of the mapping away into another file, and write that. */
static int kernel_gift(const struct assault *assault, int argument)
{
	uint8_t bytes[KERNEL_BYTES];
	int to = kernel_source(assault, bytes), pipe_fds[2];
	struct iovec part = {.iov_base = assault->base + assault->at, .iov_len = assault->page};
	off_t at = 0;

	(void)argument;
	if (pipe(pipe_fds) || vmsplice(pipe_fds[1], &part, 1, SPLICE_F_GIFT) < 0 ||
	    splice(pipe_fds[0], NULL, to, &at, assault->page, SPLICE_F_MOVE) < 0)
		return -errno;
	return assault_result(pwrite(to, bytes, KERNEL_BYTES, 0));
}

/* Asynchronously: a write of the file, or a read into the mapping. */
static int kernel_aio(const struct assault *assault, int mapping)
{
	uint8_t bytes[KERNEL_BYTES];
	int from = kernel_source(assault, bytes);
	struct iocb block = {
		.aio_lio_opcode = mapping ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE,
		.aio_fildes = (uint32_t)(mapping ? from : assault->fd),
		.aio_buf = mapping ? (uintptr_t)(assault->base + assault->at) : (uintptr_t)bytes,
		.aio_nbytes = KERNEL_BYTES,
		.aio_offset = mapping ? 0 : (int64_t)assault->at,
	};
	struct iocb *blocks[] = {&block};
	struct io_event event = {.res = 0};
	aio_context_t context = 0;

	if (syscall(SYS_io_setup, 1, &context))
		return errno == ENOSYS ? ASSAULT_ABSENT : -errno;
	if (syscall(SYS_io_submit, context, 1L, blocks) != 1 ||
	    syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL) != 1)
		return -errno;
	return event.res < 0 ? (int)event.res : 0;
}

static int kernel_udmabuf(const struct assault *assault, int argument)
{
	struct udmabuf_create create = {.memfd = (uint32_t)assault->fd, .size = assault->page};
	int device = open("/dev/udmabuf", O_RDWR), fd;

	(void)argument;
	if (device < 0)
		return errno == ENOENT ? ASSAULT_ABSENT : -errno;
	fd = ioctl(device, UDMABUF_CREATE, &create);
	return fd < 0 ? -errno : assault_use(assault, fd);
}

/* --- through the mapping ---------------------------------------------------------------------- */

enum kernel_call { KERNEL_READ, KERNEL_RECV, KERNEL_RANDOM, KERNEL_READV, KERNEL_WRITEV };

static int kernel_call(const struct assault *assault, int call)
{
	uint8_t *target = assault->base + assault->at, bytes[KERNEL_BYTES];
	struct iovec to = {.iov_base = target, .iov_len = KERNEL_BYTES};
	struct iovec from = {.iov_base = bytes, .iov_len = KERNEL_BYTES};
	int file = kernel_source(assault, bytes), pair[2];

	switch ((enum kernel_call)call) {
	case KERNEL_READ:
		return assault_result(pread(file, target, KERNEL_BYTES, 0));
	case KERNEL_RECV:
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) ||
		    send(pair[0], bytes, KERNEL_BYTES, 0) != KERNEL_BYTES)
			return -errno;
		return assault_result(recv(pair[1], target, KERNEL_BYTES, 0));
	case KERNEL_RANDOM:
		return assault_result(getrandom(target, KERNEL_BYTES, 0));
	case KERNEL_READV:
		return assault_result(process_vm_readv(getpid(), &to, 1, &from, 1, 0));
	case KERNEL_WRITEV:
		return assault_result(process_vm_writev(getpid(), &from, 1, &to, 1, 0));
	}
	return ASSAULT_ABSENT;
}

/* /proc/self/mem writes where even the process may not, but for shared files. */
static int kernel_proc_mem(const struct assault *assault, int private)
{
	uint8_t bytes[KERNEL_BYTES], *base = assault->base;
	int fd = open("/proc/self/mem", O_RDWR);

	close(kernel_source(assault, bytes));
	if (private)
		base = mmap(NULL, assault->len, PROT_READ, MAP_PRIVATE, assault->fd, 0);
	if (fd < 0 || base == MAP_FAILED)
		return -errno;
	return assault_result(
		pwrite(fd, bytes, KERNEL_BYTES, (off_t)(uintptr_t)(base + assault->at)));
}

/* As a debugger of a child that has the mapping, too. */
static int kernel_poke(const struct assault *assault, int argument)
{
	pid_t child = fork();
	long word;
	int code;

	(void)argument;
	if (child == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	memcpy(&word, assault->base + assault->at, sizeof(word));
	code = assault_result(
		ptrace(PTRACE_POKEDATA, child, assault->base + assault->at, (void *)~word));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return code;
}

/* Answer page faults of the mapping with pages of one's own. */
static int kernel_userfault(const struct assault *assault, int mode)
{
	uint8_t *page = aligned_alloc(assault->page, assault->page);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {
		.range = {.start = (uintptr_t)assault->base, .len = assault->len},
		.mode = (uint64_t)mode};
	struct uffdio_copy copy = {
		.dst = (uintptr_t)assault->base, .src = (uintptr_t)page, .len = assault->page};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd < 0)
		return errno == ENOSYS ? ASSAULT_ABSENT : -errno;
	if (!page || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range))
		return -errno;
	memset(page, 0x55, assault->page);
	return assault_result(ioctl(fd, UFFDIO_COPY, &copy));
}

/* Packet memory of another AF_XDP socket, for the kernel to receive into. Who may not have one here
 * may in a namespace of its own. */
static int kernel_umem(const struct assault *assault, int argument)
{
	struct xdp_umem_reg umem = {.addr = (uintptr_t)assault->base,
				    .len = assault->page,
				    .chunk_size = (uint32_t)assault->page};
	int fd = socket(AF_XDP, SOCK_RAW, 0);

	(void)argument;
	if (fd < 0 && errno == EPERM && unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)
		fd = socket(AF_XDP, SOCK_RAW, 0);
	if (fd < 0)
		return -errno;
	return assault_result(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)));
}

/* --- io_uring --------------------------------------------------------------------------------- */

enum kernel_uring { URING_WRITE, URING_READ, URING_BUFFERS, URING_PUNCH, URING_REMOVE };

static int kernel_uring(const struct assault *assault, int what)
{
	uint8_t bytes[KERNEL_BYTES], *target = assault->base + assault->at;
	struct iovec buffer = {.iov_base = target, .iov_len = assault->page};
	int from = kernel_source(assault, bytes);
	struct io_uring_sqe entry = {.fd = assault->fd};

	switch ((enum kernel_uring)what) {
	case URING_WRITE:
		entry.opcode = IORING_OP_WRITE;
		entry.addr = (uintptr_t)bytes;
		entry.len = KERNEL_BYTES;
		entry.off = assault->at;
		break;
	case URING_READ:
	case URING_BUFFERS:
		entry.opcode = what == URING_READ ? IORING_OP_READ : IORING_OP_READ_FIXED;
		entry.fd = from;
		entry.addr = (uintptr_t)target;
		entry.len = KERNEL_BYTES;
		break;
	case URING_PUNCH:
		entry.opcode = IORING_OP_FALLOCATE;
		entry.off = assault->at;
		entry.addr = assault->page;
		entry.len = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
		break;
	case URING_REMOVE:
		entry.opcode = IORING_OP_MADVISE;
		entry.addr = (uintptr_t)target;
		entry.len = (uint32_t)assault->page;
		entry.fadvise_advice = MADV_REMOVE;
		break;
	}
	return assault_uring(&entry, what == URING_BUFFERS ? &buffer : NULL);
}

const struct assault_way assault_kernel_ways[] = {
	{.name = "copy_file_range", .attempt = kernel_copy},
	{.name = "sendfile", .attempt = kernel_copy, .argument = 1},
	{.name = "splice", .attempt = kernel_copy, .argument = 2},
	{.name = "splice into a pipe, then write that", .attempt = kernel_pipe},
	{.name = "vmsplice into a pipe, then write that", .attempt = kernel_pipe, .argument = 1},
	{.name = "give a page to another file, and write that", .attempt = kernel_gift},
	{.name = "asynchronous write", .attempt = kernel_aio},
	{.name = "asynchronous read into the mapping", .attempt = kernel_aio, .argument = 1},
	{.name = "udmabuf", .attempt = kernel_udmabuf, .grant = true},
	{.name = "read into the mapping",
	 .attempt = kernel_call,
	 .argument = KERNEL_READ,
	 .grant = true},
	{.name = "recv into the mapping",
	 .attempt = kernel_call,
	 .argument = KERNEL_RECV,
	 .grant = true},
	{.name = "getrandom into the mapping",
	 .attempt = kernel_call,
	 .argument = KERNEL_RANDOM,
	 .grant = true},
	{.name = "process_vm_readv into the mapping",
	 .attempt = kernel_call,
	 .argument = KERNEL_READV,
	 .grant = true},
	{.name = "process_vm_writev into the mapping",
	 .attempt = kernel_call,
	 .argument = KERNEL_WRITEV,
	 .grant = true},
	{.name = "/proc/self/mem", .attempt = kernel_proc_mem, .grant = true},
	{.name = "/proc/self/mem of a private copy", .attempt = kernel_proc_mem, .argument = 1},
	{.name = "ptrace of a child", .attempt = kernel_poke, .grant = true},
	{.name = "userfaultfd, missing pages",
	 .attempt = kernel_userfault,
	 .argument = UFFDIO_REGISTER_MODE_MISSING},
	{.name = "userfaultfd, write protection",
	 .attempt = kernel_userfault,
	 .argument = UFFDIO_REGISTER_MODE_WP},
	{.name = "packet memory of AF_XDP", .attempt = kernel_umem, .grant = true},
	{.name = "io_uring: write", .attempt = kernel_uring, .argument = URING_WRITE},
	{.name = "io_uring: read into the mapping",
	 .attempt = kernel_uring,
	 .argument = URING_READ,
	 .grant = true},
	{.name = "io_uring: the mapping as a buffer",
	 .attempt = kernel_uring,
	 .argument = URING_BUFFERS,
	 .grant = true},
	{.name = "io_uring: punch a hole", .attempt = kernel_uring, .argument = URING_PUNCH},
	{.name = "io_uring: MADV_REMOVE", .attempt = kernel_uring, .argument = URING_REMOVE},
	{.name = NULL},
};
