/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/socket.h"
#include "xdp/blame.h"
#include "xdp/decide.h"
#include "xdp/splice.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <first_pass.skel.h>
#include <socket.skel.h>
#include <socket_attached.skel.h>
#include <string.h>
#include <sys/socket.h>

static char socket_reason[1 << 20]; /* the verifier's, of the last program */

/* Maps are found by their names, but for the program's own constants. */
static int socket_share(struct bpf_object *to, const struct bpf_object *from)
{
	struct bpf_map *map;
	int code = 0;

	bpf_object__for_each_map(map, to)
	{
		const struct bpf_map *there;

		if (bpf_map__is_internal(map))
			continue;
		there = bpf_object__find_map_by_name(from, bpf_map__name(map));
		if (!there)
			return -ENOENT;
		code = bpf_map__reuse_fd(map, bpf_map__fd(there));
		if (code)
			break;
	}
	return code;
}

/* What a program for packet sockets is loaded beside. */
struct socket_attempt {
	const struct first_pass_bpf *beside;
};

/* Load the program of a filter, for the kernel's log `log`. 0, or -errno: from decide_generate()
 * with a sentence, else without one. */
static int socket_try(struct socket_bpf **socket, const struct first_pass_bpf *beside,
		      const struct filter *filter, uint32_t log, struct xfq_error *error)
{
	struct socket_bpf *made = socket_bpf__open();
	struct code code = {0};
	int result;

	*socket = made;
	socket_reason[0] = '\0';
	if (!made)
		return -errno;
	memcpy((void *)&made->rodata->settings, (const void *)&beside->rodata->settings,
	       sizeof(made->rodata->settings));
	memcpy((void *)&made->rodata->limits, (const void *)&beside->rodata->limits,
	       sizeof(made->rodata->limits));
	bpf_program__set_log_buf(made->progs.xfq_socket, socket_reason, sizeof(socket_reason));
	bpf_program__set_log_level(made->progs.xfq_socket, log);
	result = socket_share(made->obj, beside->obj);
	if (result == 0)
		result = decide_generate(&code, TRANSLATE_SKB, filter, error);
	if (result == 0)
		result = splice_load(made->obj, &code);
	code_destroy(&code);
	return result;
}

/* The same; on failure nothing is left. */
static int socket_build(struct socket_bpf **socket, const struct first_pass_bpf *beside,
			const struct filter *filter, struct xfq_error *error)
{
	int result = socket_try(socket, beside, filter, BLAME_LOG, error);

	/* not a refusal: too much for the log */
	if (result == -ENOSPC) {
		socket_unload(*socket);
		result = socket_try(socket, beside, filter, 0, error);
	}
	if (result) {
		socket_unload(*socket);
		*socket = NULL;
	}
	return result;
}

static int socket_attempt(const struct filter *filter, void *context)
{
	const struct socket_attempt *attempt = context;
	struct socket_bpf *socket;
	int result = socket_build(&socket, attempt->beside, filter, NULL);

	socket_unload(socket);
	return result;
}

int socket_load(struct socket_bpf **socket, const struct first_pass_bpf *beside,
		const struct filter *filter, struct xfq_error *error)
{
	struct socket_attempt attempt = {.beside = beside};
	struct xfq_error said = {0};
	int result = socket_build(socket, beside, filter, &said), blamed = 0;

	if (result == 0)
		return 0;
	if (said.code)
		return xfq_error_set(error, said.code, "%s", said.text);
	if (blame_is_refusal(result))
		blamed = blame_find(filter, socket_attempt, &attempt, socket_reason, error);
	if (blamed)
		return blamed;
	return xfq_error_set(error, result, "loading the program for packet sockets: %s",
			     strerror(-result));
}

int socket_hub(struct socket_attached_bpf **hub, struct xfq_error *error)
{
	*hub = socket_attached_bpf__open_and_load();
	if (!*hub)
		return xfq_error_set(error, -errno, "loading the program for packet sockets: %s",
				     strerror(errno));
	return 0;
}

int socket_attach(const struct socket_attached_bpf *hub, int fd, struct xfq_error *error)
{
	int program = bpf_program__fd(hub->progs.xfq_socket_pass);

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program)))
		return xfq_error_set(error, -errno, "giving the rules to a packet socket: %s",
				     strerror(errno));
	return 0;
}

int socket_switch(const struct socket_attached_bpf *hub, const struct socket_bpf *socket)
{
	int program = socket_program_fd(socket);
	__u32 zero = 0;

	return bpf_map_update_elem(bpf_map__fd(hub->maps.socket_pass), &zero, &program, BPF_ANY)
		       ? -errno
		       : 0;
}

void socket_unhub(struct socket_attached_bpf *hub)
{
	socket_attached_bpf__destroy(hub);
}

int socket_program_fd(const struct socket_bpf *socket)
{
	return socket ? bpf_program__fd(socket->progs.xfq_socket) : -1;
}

void socket_unload(struct socket_bpf *socket)
{
	socket_bpf__destroy(socket);
}
