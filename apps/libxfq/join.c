/* SPDX-License-Identifier: BSD-2-Clause */
/* Becoming a member and ceasing to be one: the connection, its memory, and what fork() makes of
 * both. */
#include "apps/libxfq/client.h"
#include "apps/libxfq/member.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- fork ------------------------------------------------------------------------------------- */

/* All members of this process, from before they have a connection to lose. */
static pthread_mutex_t join_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t join_once = PTHREAD_ONCE_INIT;
static struct xfq_member *join_members;
static int join_fork_code;

static void join_before_fork(void)
{
	pthread_mutex_lock(&join_lock);
}

static void join_after_fork(void)
{
	pthread_mutex_unlock(&join_lock);
}

/* A child that kept the connections would keep up the memberships of a parent that has died. */
static void join_in_child(void)
{
	for (struct xfq_member *member = join_members; member; member = member->next) {
		int fd = __atomic_exchange_n(&member->fd, -1, __ATOMIC_RELAXED);

		if (fd >= 0)
			close(fd);
		member->stop = -ECHILD;
	}
	pthread_mutex_unlock(&join_lock);
}

static void join_watch_forks(void)
{
	join_fork_code = -pthread_atfork(join_before_fork, join_after_fork, join_in_child);
}

static int join_register(struct xfq_member *member)
{
	pthread_once(&join_once, join_watch_forks);
	if (join_fork_code)
		return join_fork_code;
	pthread_mutex_lock(&join_lock);
	member->next = join_members;
	if (member->next)
		member->next->previous = member;
	join_members = member;
	pthread_mutex_unlock(&join_lock);
	return 0;
}

static void join_unregister(struct xfq_member *member)
{
	pthread_mutex_lock(&join_lock);
	if (member->previous)
		member->previous->next = member->next;
	else if (join_members == member)
		join_members = member->next;
	if (member->next)
		member->next->previous = member->previous;
	pthread_mutex_unlock(&join_lock);
}

/* --- join ------------------------------------------------------------------------------------- */

static int join_request(struct protocol_request *request, const char *group,
			const struct xfq_join_options *options, struct xfq_error *error)
{
	*request = (struct protocol_request){
		.type = PROTOCOL_JOIN,
		.ring_slots = options->ring_slots,
		.weight = options->weight,
		.ring_version = XFQ_RING_VERSION,
		.desc_len = sizeof(struct xfq_ring_desc),
		.meta_len = XFQ_META_BYTES,
	};
	if (!group)
		return xfq_error_set(error, -EINVAL, "joining needs the name of a group");
	if (strlen(group) >= sizeof(request->group))
		return xfq_error_set(error, -ESRCH,
				     "there is no group \"%s\": names have at most %zu bytes",
				     group, sizeof(request->group) - 1);
	if (options->weight > 1000)
		return xfq_error_set(error, -EINVAL, "joining %s: weight %u is not in 1 to 1000",
				     group, options->weight);
	if (options->wait > XFQ_WAIT_SPIN)
		return xfq_error_set(error, -EINVAL, "joining %s: %d is no wait mode", group,
				     (int)options->wait);
	if (options->classes && strlen(options->classes) >= sizeof(request->classes))
		return xfq_error_set(
			error, -ESRCH,
			"joining %s: more than %zu bytes of classes: a group has fewer", group,
			sizeof(request->classes) - 1);
	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i] || options->reserved0)
			return xfq_error_set(error, -EINVAL,
					     "joining %s: reserved fields of the options must be 0",
					     group);
	snprintf(request->group, sizeof(request->group), "%s", group);
	snprintf(request->classes, sizeof(request->classes), "%s",
		 options->classes ? options->classes : "");
	snprintf(request->process, sizeof(request->process), "%.*s",
		 (int)sizeof(request->process) - 1, program_invocation_short_name);
	return 0;
}

static void join_fill(struct xfq_member *member, const struct protocol_joined *joined)
{
	struct xfq_member_info *info = &member->info;

	/* the last bytes, as zeroed, terminate */
	memcpy(info->instance, joined->instance, sizeof(info->instance) - 1);
	memcpy(info->group, joined->group, sizeof(info->group) - 1);
	memcpy(info->interfaces, joined->interfaces, sizeof(info->interfaces) - 1);
	info->id = joined->id;
	info->rings = joined->worker_cnt;
	info->ring_slots = joined->ring_slots;
	member->rings = member->mapping.rings;
	member->ring_cnt = member->mapping.ring_cnt;
	member->turn = joined->ring_slots;
}

static int join_ask(struct xfq_member *member, const struct xfq *xfq,
		    struct protocol_request *request, struct xfq_error *error)
{
	int fds[PROTOCOL_FDS_MAX];
	struct protocol_joined joined;
	struct client_answer answer = {
		.type = PROTOCOL_JOIN,
		.bytes = &joined,
		.len = sizeof(joined),
		.fds = fds,
		.fd_max = PROTOCOL_FDS_MAX,
	};
	struct xfq_error why;
	int code = client_ask(xfq, request, &member->fd, error);

	if (code == 0)
		code = client_answer(xfq, member->fd, &answer, error);
	if (code)
		return code;
	code = mapping_create(&member->mapping, &joined, fds, answer.fd_cnt, &why);
	for (uint32_t i = 0; i < answer.fd_cnt; i++)
		close(fds[i]);
	if (code)
		return xfq_error_set(error, code, "%s: joining %s: %s", xfq->name, request->group,
				     why.text);
	code = client_ready(xfq, member->fd, error);
	if (code == 0)
		join_fill(member, &joined);
	return code;
}

int xfq_join(struct xfq_member **member, struct xfq *xfq, const char *group,
	     const struct xfq_join_options *options, struct xfq_error *error)
{
	static const struct xfq_join_options defaults;
	struct protocol_request request;
	struct xfq_member *made;
	int code = join_request(&request, group, options ? options : &defaults, error);

	*member = NULL;
	if (code)
		return code;
	made = calloc(1, sizeof(*made));
	if (!made)
		return xfq_error_set(error, -ENOMEM, "joining %s: %s", group, strerror(ENOMEM));
	made->fd = -1;
	made->wait = options ? options->wait : XFQ_WAIT_BLOCK;
	code = join_register(made);
	if (code)
		xfq_error_set(error, code, "joining %s: %s", group, strerror(-code));
	else
		code = join_ask(made, xfq, &request, error);
	if (code)
		xfq_leave(made);
	else
		*member = made;
	return code;
}

static void join_hang_up(int fd)
{
	char bytes[PROTOCOL_LEAVE_BYTES] = {0};

	/* before a join was answered it says as little as the end that follows */
	(void)!send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
	/* of the connection, and not only of this descriptor of it: a fork() at the wrong moment
	 * may have left another one somewhere */
	shutdown(fd, SHUT_RDWR);
	/* what is closed with something to read in it resets the other end, which then takes the
	 * farewell for a crash */
	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	close(fd);
}

void xfq_leave(struct xfq_member *member)
{
	if (!member)
		return;
	join_unregister(member);
	if (member->stop == -ECHILD) {
		mapping_forget(&member->mapping);
	} else {
		if (member->fd >= 0)
			join_hang_up(member->fd);
		mapping_destroy(&member->mapping);
	}
	free(member);
}
