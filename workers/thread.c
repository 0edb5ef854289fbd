/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/thread.h"
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whatever the limit of the process is: a burst of a policy with hundreds of expressions takes up
 * to half a megabyte (UNIT_SCRATCH_MAX, NATIVE_FRAME_BYTES_MAX). */
#define THREAD_STACK_BYTES (2u << 20)

int thread_start(pthread_t *thread, int cpu, void *(*run)(void *), void *argument)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	cpu_set_t cpus;
	int code;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	}
	/* a thread begins with the mask of the one that starts it */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = -pthread_create(thread, &attributes, run, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return code;
}

void thread_drop_capabilities(void)
{
	/* not by libcap, which may change all threads of the process */
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	/* less is never refused: to go on with more would be worse than to end */
	if (syscall(SYS_capset, &header, none))
		abort();
}
