/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/hostile/assault.h"
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ASSAULT_SECONDS 5 /* that an attempt has */

/* Run an attempt in a child. 0, -errno or ASSAULT_ABSENT as it says; -EFAULT: it crashed;
 * -ETIMEDOUT: it hangs. */
static int assault_child(const struct assault *assault, const struct assault_way *way)
{
	int code = -EFAULT, status = 0, pipe_fds[2];
	pid_t child;

	if (pipe(pipe_fds))
		err(2, "pipe");
	child = fork();
	if (child < 0)
		err(2, "fork");
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		signal(SIGALRM, SIG_DFL);
		alarm(ASSAULT_SECONDS);
		code = way->attempt(assault, way->argument);
		_exit(write(pipe_fds[1], &code, sizeof(code)) != sizeof(code));
	}
	close(pipe_fds[1]);
	waitpid(child, &status, 0);
	if (read(pipe_fds[0], &code, sizeof(code)) != sizeof(code))
		code = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? -ETIMEDOUT : -EFAULT;
	close(pipe_fds[0]);
	return code;
}

static bool assault_changed(const struct assault *assault, const uint8_t *before)
{
	struct stat status;

	return fstat(assault->fd, &status) || (size_t)status.st_size != assault->len ||
	       memcmp(assault->base, before, assault->len) != 0;
}

/* Returns whether it changed anything. */
static bool assault_try(const struct assault *assault, const struct assault_way *way,
			uint8_t *before)
{
	const char *verdict = "harmless", *why = "";
	int code;

	code = assault_child(assault, way);
	if (code == ASSAULT_ABSENT) {
		verdict = "absent";
	} else if (code < 0) {
		verdict = "refused";
		why = strerror(-code);
	}
	if (assault_changed(assault, before) || (code == 0 && way->grant)) {
		verdict = "WRITTEN";
		memcpy(before, assault->base, assault->len);
	}
	printf("%-8s %s: %s%s%s\n", verdict, assault->what, way->name, why[0] ? ": " : "", why);
	fflush(stdout);
	return verdict[0] == 'W';
}

static int assault_list(const struct assault *assault, const struct assault_way *ways,
			uint8_t *before)
{
	int breaches = 0;

	for (; ways->name; ways++)
		breaches += assault_try(assault, ways, before);
	return breaches;
}

static int assault_one(struct assault *assault, int fd)
{
	struct stat status;
	uint8_t *before;
	int breaches;

	if (fstat(fd, &status))
		err(2, "fstat");
	assault->fd = fd;
	assault->len = (size_t)status.st_size;
	assault->base = mmap(NULL, assault->len, PROT_READ, MAP_SHARED, fd, 0);
	before = malloc(assault->len);
	if (assault->base == MAP_FAILED || !before)
		err(2, "mapping %s", assault->what);
	memcpy(before, assault->base, assault->len);
	for (assault->at = 0; assault->at < assault->len && !before[assault->at]; assault->at++)
		;
	assault->at = assault->at < assault->len ? assault->at / assault->page * assault->page : 0;
	breaches = assault_list(assault, assault_file_ways, before);
	breaches += assault_list(assault, assault_memory_ways, before);
	breaches += assault_list(assault, assault_kernel_ways, before);
	if (assault->instance && !assault->root)
		breaches += assault_list(assault, assault_process_ways, before);
	free(before);
	munmap(assault->base, assault->len);
	return breaches;
}

int assault_all(const struct seat *seat, pid_t instance)
{
	struct assault assault = {
		.page = (size_t)sysconf(_SC_PAGESIZE),
		.instance = instance,
		.root = geteuid() == 0,
	};
	int breaches = 0;
	char what[32];

	for (uint32_t i = 0; i < seat->fd_cnt; i++) {
		snprintf(what, sizeof(what), "packets of worker %u", i - SEAT_UMEM);
		assault.what = i == SEAT_RINGS ? "rings" : i == SEAT_CONS ? "consumer pages" : what;
		breaches += assault_one(&assault, seat->fds[i]);
	}
	return breaches;
}

int assault_self(void)
{
	struct assault assault = {
		.what = "own file", .page = (size_t)sysconf(_SC_PAGESIZE), .root = geteuid() == 0};
	int fd = memfd_create("own", MFD_ALLOW_SEALING);
	const size_t len = 16 * assault.page;
	uint8_t *base;

	if (fd < 0 || ftruncate(fd, (off_t)len))
		err(2, "memfd_create");
	base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		err(2, "mmap");
	memset(base, 0x5a, len);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		err(2, "F_ADD_SEALS");
	return assault_one(&assault, fd);
}

int assault_use(const struct assault *assault, int fd)
{
	uint8_t byte = (uint8_t)~assault->base[assault->at], *base;

	if (pwrite(fd, &byte, 1, (off_t)assault->at) == 1)
		return 0;
	base = mmap(NULL, assault->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	assault_poke(base + assault->at);
	return 0;
}
