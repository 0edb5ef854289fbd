/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/hook.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Since Linux 6.6: older headers do not have them. */
#define HOOK_TCX_INGRESS ((enum bpf_attach_type)46)
#define HOOK_TCX_EGRESS  ((enum bpf_attach_type)47)

#define HOOK_TCX_FIRST (1U << 3) /* BPF_F_BEFORE */

/* Our filters in clsact have this priority, or one more, and handles from this on. */
#define HOOK_PRIORITY    0x5846
#define HOOK_HANDLE      0x5846
#define HOOK_HANDLES_MAX 8

#define HOOK_PROGRAM "xfq_tc"

/* For tests: XFQ_TC=clsact does as on a kernel without TCX. */
static bool hook_may_tcx(void)
{
	const char *wanted = getenv("XFQ_TC");

	return !wanted || strcmp(wanted, "clsact") != 0;
}

static enum bpf_tc_attach_point hook_point(enum hook_where where)
{
	return where == HOOK_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

/* --- clsact ----------------------------------------------------------------------------------- */

/* Whether the program with this id is one of ours that goes on to nothing, as its owner is dead. */
static bool hook_is_stale(uint32_t program_id)
{
	struct bpf_prog_info info = {0};
	uint32_t maps[8] = {0}, len = sizeof(info), zero = 0, value;
	int program = bpf_prog_get_fd_by_id(program_id), map;
	bool stale = false;

	if (program < 0)
		return false;
	info.map_ids = (uintptr_t)maps;
	info.nr_map_ids = sizeof(maps) / sizeof(maps[0]);
	if (bpf_obj_get_info_by_fd(program, &info, &len) == 0 &&
	    strcmp(info.name, HOOK_PROGRAM) == 0 && info.nr_map_ids > 0) {
		/* its only map is the one with the slot */
		map = bpf_map_get_fd_by_id(maps[0]);
		stale = map >= 0 && bpf_map_lookup_elem(map, &zero, &value) && errno == ENOENT;
		if (map >= 0)
			close(map);
	}
	close(program);
	return stale;
}

/* Take away what killed processes left; whether there was something. */
static bool hook_clean(uint32_t ifindex, enum hook_where where)
{
	LIBBPF_OPTS(bpf_tc_hook, at, .ifindex = (int)ifindex, .attach_point = hook_point(where));
	bool found = false;

	for (uint32_t i = 0; i < 2 * HOOK_HANDLES_MAX; i++) {
		LIBBPF_OPTS(bpf_tc_opts, filter, .handle = HOOK_HANDLE + i / 2,
			    .priority = HOOK_PRIORITY + i % 2);

		if (bpf_tc_query(&at, &filter) || !hook_is_stale(filter.prog_id))
			continue;
		filter.prog_fd = 0;
		filter.prog_id = 0;
		filter.flags = 0;
		found |= bpf_tc_detach(&at, &filter) == 0;
	}
	return found;
}

/* Whether a message of the kernel's answer is a filter; *more: others may follow. */
static bool hook_read_filters(const char *answer, ssize_t got, bool *more)
{
	for (size_t at = 0; at + sizeof(struct nlmsghdr) <= (size_t)got;) {
		const struct nlmsghdr *message = (const void *)(answer + at);

		if (!NLMSG_OK(message, (size_t)got - at))
			break;
		at += NLMSG_ALIGN(message->nlmsg_len);
		if (message->nlmsg_type == RTM_NEWTFILTER)
			return true;
		if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
			*more = false;
	}
	return false;
}

/* Whether any filter hangs at one of the two places of clsact; where in doubt, yes. */
static bool hook_has_filters(uint32_t ifindex, bool egress)
{
	struct {
		struct nlmsghdr header;
		struct tcmsg body;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = RTM_GETTFILTER,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.body = {.tcm_family = AF_UNSPEC,
			 .tcm_ifindex = (int)ifindex,
			 .tcm_parent = TC_H_MAKE(TC_H_CLSACT,
						 egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS)},
	};
	char answer[16384] __attribute__((aligned(8)));
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool found = fd < 0 || send(fd, &request, sizeof(request), 0) < 0, more = !found;

	while (!found && more) {
		ssize_t got = recv(fd, answer, sizeof(answer), 0);

		if (got <= 0)
			found = true;
		else
			found = hook_read_filters(answer, got, &more);
	}
	if (fd >= 0)
		close(fd);
	return found;
}

static int hook_try_clsact(struct hook *hook, int program)
{
	LIBBPF_OPTS(bpf_tc_hook, at, .ifindex = (int)hook->ifindex,
		    .attach_point = hook_point(hook->where));
	int code = bpf_tc_hook_create(&at);

	if (code && code != -EEXIST)
		return code;
	hook->made_qdisc |= code == 0;
	hook->priority = HOOK_PRIORITY + (hook->where != HOOK_EGRESS_FIRST);
	for (uint32_t i = 0; i < HOOK_HANDLES_MAX; i++) {
		LIBBPF_OPTS(bpf_tc_opts, filter, .handle = HOOK_HANDLE + i,
			    .priority = hook->priority, .prog_fd = program);

		hook->handle = HOOK_HANDLE + i;
		code = bpf_tc_attach(&at, &filter);
		if (code != -EEXIST)
			break;
	}
	return code;
}

static void hook_detach_clsact(struct hook *hook)
{
	LIBBPF_OPTS(bpf_tc_hook, at, .ifindex = (int)hook->ifindex,
		    .attach_point = hook_point(hook->where));
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = hook->handle, .priority = hook->priority);

	if (hook->handle)
		bpf_tc_detach(&at, &filter);
	if (!hook->made_qdisc || hook_has_filters(hook->ifindex, true) ||
	    hook_has_filters(hook->ifindex, false))
		return;
	at.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	bpf_tc_hook_destroy(&at);
}

/* --- both ------------------------------------------------------------------------------------- */

int hook_attach(struct hook *hook, uint32_t ifindex, const char *name, enum hook_where where,
		int program, struct xfq_error *error)
{
	LIBBPF_OPTS(bpf_link_create_opts, options,
		    .flags = where == HOOK_EGRESS_FIRST ? HOOK_TCX_FIRST : 0);
	bool cleaned = hook_clean(ifindex, where);
	int code = -EOPNOTSUPP;

	*hook = (struct hook){.where = where, .link = -1, .made_qdisc = cleaned};
	if (hook_may_tcx()) {
		hook->link = bpf_link_create(
			program, (int)ifindex,
			where == HOOK_INGRESS ? HOOK_TCX_INGRESS : HOOK_TCX_EGRESS, &options);
		code = hook->link < 0 ? -errno : 0;
	}
	hook->ifindex = ifindex;
	if (code && code != -EPERM && code != -ENODEV) {
		code = hook_try_clsact(hook, program);
		if (code) {
			hook->handle = 0;
			hook_detach_clsact(hook);
		}
	}
	if (code == 0)
		return 0;
	*hook = (struct hook){.link = -1};
	if (code == -EPERM)
		return xfq_error_set(
			error, code,
			"%s: attaching a program by TC: not permitted; run as root, or "
			"with CAP_BPF and CAP_NET_ADMIN",
			name);
	return xfq_error_set(error, code, "%s: attaching a program by TC (%s): %s", name,
			     where == HOOK_INGRESS ? "ingress" : "egress", strerror(-code));
}

void hook_detach(struct hook *hook)
{
	if (!hook->ifindex)
		return;
	if (hook->link >= 0)
		close(hook->link);
	if (hook->link < 0 || hook->made_qdisc)
		hook_detach_clsact(hook);
	*hook = (struct hook){.link = -1};
}

const char *hook_kind(const struct hook *hook)
{
	if (!hook->ifindex)
		return "none";
	return hook->link >= 0 ? "tcx" : "clsact";
}
