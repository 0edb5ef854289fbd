/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/undertaker.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long its work is waited for: a dispatcher is built anew. */
#define UNDERTAKER_WAIT_MS 5000

#define UNDERTAKER_FD 3 /* the first behind the standard ones */

/* Keep nothing open of who started it: neither the maps of its programs, which are to end with it,
 * nor what others wait for the end of. */
static void undertaker_leave(int fd)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	prctl(PR_SET_NAME, "xfq-undertaker", 0, 0, 0);
	for (int i = 0; i < UNDERTAKER_FD && null >= 0; i++)
		dup2(null, i);
	if (fd != UNDERTAKER_FD)
		dup2(fd, UNDERTAKER_FD);
	syscall(SYS_close_range, UNDERTAKER_FD + 1, ~0U, 0);
	/* who ends a whole group of processes means the others; this one ends by itself */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (chdir("/"))
		_exit(1);
}

int undertaker_start(void (*bury)(uint32_t argument), uint32_t argument)
{
	int pair[2], code = 0;
	char byte;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	pid = fork();
	if (pid == 0) {
		/* no child of who started it, who may be waiting for children of its own */
		if (fork() != 0)
			_exit(0);
		undertaker_leave(pair[1]);
		while (read(UNDERTAKER_FD, &byte, 1) < 0 && errno == EINTR)
			;
		bury(argument);
		_exit(0);
	}
	if (pid < 0)
		code = -errno;
	else
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	close(pair[1]);
	if (code)
		close(pair[0]);
	return code ? code : pair[0];
}

void undertaker_end(int fd)
{
	struct pollfd end = {.fd = fd, .events = POLLIN};

	shutdown(fd, SHUT_WR);
	while (poll(&end, 1, UNDERTAKER_WAIT_MS) < 0 && errno == EINTR)
		;
	close(fd);
}
