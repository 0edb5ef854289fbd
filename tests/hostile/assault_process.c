/* SPDX-License-Identifier: BSD-2-Clause */
/* Attempts upon the process of the instance, for members that know its number. */
#include "tests/hostile/assault.h"
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int process_trace(const struct assault *assault, int request)
{
	return assault_result(
		ptrace((enum __ptrace_request)request, assault->instance, NULL, NULL));
}

static int process_write(const struct assault *assault, int argument)
{
	uint8_t byte = 1;
	struct iovec from = {.iov_base = &byte, .iov_len = 1},
		     to = {.iov_base = &byte, .iov_len = 1};

	(void)argument;
	return assault_result(process_vm_writev(assault->instance, &from, 1, &to, 1, 0));
}

static int process_open(const struct assault *assault, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", assault->instance);
	return assault_result(open(path, flags));
}

static int process_advise(const struct assault *assault, int advice)
{
	struct iovec part = {.iov_base = assault->base, .iov_len = assault->page};
	int pidfd = (int)syscall(SYS_pidfd_open, assault->instance, 0);

	return assault_result(syscall(SYS_process_madvise, pidfd, &part, 1UL, advice, 0));
}

static int process_signal(const struct assault *assault, int number)
{
	return assault_result(kill(assault->instance, number));
}

static int process_limit(const struct assault *assault, int what)
{
	const struct rlimit limit = {0, 0};

	return assault_result(
		prlimit(assault->instance, (enum __rlimit_resource)what, &limit, NULL));
}

static int process_place(const struct assault *assault, int argument)
{
	cpu_set_t cpus;

	(void)argument;
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	return assault_result(sched_setaffinity(assault->instance, sizeof(cpus), &cpus));
}

static int process_slow(const struct assault *assault, int policy)
{
	const struct sched_param none = {0};

	if (setpriority(PRIO_PROCESS, (id_t)assault->instance, 19) == 0)
		return 0;
	return assault_result(sched_setscheduler(assault->instance, policy, &none));
}

static int process_move(const struct assault *assault, int flags)
{
	void *page = assault->base;
	int node = 0, status;

	return assault_result(
		syscall(SYS_move_pages, assault->instance, 1UL, &page, &node, &status, flags));
}

static int process_watch(const struct assault *assault, int argument)
{
	struct perf_event_attr attribute = {.type = PERF_TYPE_SOFTWARE,
					    .size = sizeof(attribute),
					    .config = PERF_COUNT_SW_PAGE_FAULTS};

	(void)argument;
	return assault_result(
		syscall(SYS_perf_event_open, &attribute, assault->instance, -1, -1, 0UL));
}

const struct assault_way assault_process_ways[] = {
	{.name = "ptrace attach",
	 .attempt = process_trace,
	 .argument = PTRACE_ATTACH,
	 .grant = true},
	{.name = "ptrace seize", .attempt = process_trace, .argument = PTRACE_SEIZE, .grant = true},
	{.name = "process_vm_writev to the instance", .attempt = process_write, .grant = true},
	{.name = "/proc/PID/mem of the instance",
	 .attempt = process_open,
	 .argument = O_RDWR,
	 .grant = true},
	{.name = "process_madvise of the instance",
	 .attempt = process_advise,
	 .argument = MADV_COLD,
	 .grant = true},
	{.name = "SIGSTOP", .attempt = process_signal, .argument = SIGSTOP, .grant = true},
	{.name = "SIGKILL", .attempt = process_signal, .argument = SIGKILL, .grant = true},
	{.name = "limits of the instance",
	 .attempt = process_limit,
	 .argument = RLIMIT_NOFILE,
	 .grant = true},
	{.name = "CPUs of the instance", .attempt = process_place, .grant = true},
	{.name = "priority of the instance",
	 .attempt = process_slow,
	 .argument = SCHED_IDLE,
	 .grant = true},
	{.name = "moving pages of the instance",
	 .attempt = process_move,
	 .argument = MPOL_MF_MOVE,
	 .grant = true},
	{.name = "watching the instance", .attempt = process_watch, .grant = true},
	{.name = NULL},
};
