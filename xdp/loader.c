/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/loader.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <first_pass.skel.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Updates of an LPM trie go to the kernel in batches of this many. */
#define LOADER_BATCH 4096

static char loader_log[XFQ_ERROR_TEXT_BYTES / 2]; /* libbpf's last warning */

/* libbpf speaks through a hook of the process: keep its last warning for our own sentence. */
static int __attribute__((format(printf, 2, 0)))
loader_print(enum libbpf_print_level level, const char *format, va_list args)
{
	char *line;

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(loader_log, sizeof(loader_log), format, args);
	for (line = loader_log; *line; line++)
		if (*line == '\n')
			*line = ' ';
	return 0;
}

static int loader_fill(int map, const struct netset *set, bool v6, struct xfq_error *error)
{
	size_t key_len = v6 ? sizeof(struct xdp_net6_key) : sizeof(struct xdp_net4_key);
	uint8_t *keys = malloc(LOADER_BATCH * key_len);
	uint8_t values[LOADER_BATCH];
	__u32 cnt = 0;
	int code = 0;

	if (!keys)
		return xfq_error_set(error, -ENOMEM, "no memory to load a set");
	memset(values, 1, sizeof(values));
	for (size_t i = 0; i <= set->prefix_cnt && code == 0; i++) {
		const struct netset_prefix *prefix = &set->prefixes[i];

		if (cnt == LOADER_BATCH || (i == set->prefix_cnt && cnt > 0)) {
			if (bpf_map_update_batch(map, keys, values, &cnt, NULL))
				code = xfq_error_set(error, -errno,
						     "loading the prefixes of a set: %s",
						     strerror(errno));
			cnt = 0;
		}
		if (i == set->prefix_cnt || prefix->v6 != v6)
			continue;
		/* the length, then the address: both keys are laid out like this */
		memcpy(keys + cnt * key_len, &(__u32){prefix->len}, sizeof(__u32));
		memcpy(keys + cnt * key_len + sizeof(__u32), prefix->addr, key_len - sizeof(__u32));
		cnt++;
	}
	free(keys);
	return code;
}

/* Make the trie of one address family of a set and put it into its slot of the outer map. */
static int loader_add_nets(int outer, uint32_t index, const struct netset *set, bool v6,
			   struct xfq_error *error)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	__u32 cnt = 0;
	int code, map;

	for (size_t i = 0; i < set->prefix_cnt; i++)
		cnt += set->prefixes[i].v6 == v6;
	if (cnt == 0)
		return 0;
	map = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, v6 ? "xfq_nets6" : "xfq_nets4",
			     v6 ? sizeof(struct xdp_net6_key) : sizeof(struct xdp_net4_key),
			     sizeof(__u8), cnt, &options);
	if (map < 0)
		return xfq_error_set(error, -errno, "making an LPM trie of %u prefixes: %s", cnt,
				     strerror(errno));
	code = loader_fill(map, set, v6, error);
	if (code == 0 && bpf_map_update_elem(outer, &index, &map, BPF_ANY))
		code = xfq_error_set(error, -errno, "putting a set in its place: %s",
				     strerror(errno));
	close(map);
	return code;
}

static int loader_sentence(int code, struct xfq_error *error)
{
	if (code == -EPERM || code == -EACCES)
		return xfq_error_set(
			error, -EPERM,
			"loading the XDP program: not permitted; run as root, or with "
			"CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_NET_RAW and CAP_IPC_LOCK");
	return xfq_error_set(error, code, "loading the XDP program: %s%s%s", strerror(-code),
			     loader_log[0] ? ": " : "", loader_log);
}

int loader_load(struct loader *loader, const struct loader_options *options,
		struct xfq_error *error)
{
	int code;

	memset(loader, 0, sizeof(*loader));
	for (uint32_t i = 0; i < XDP_INTERFACES_MAX; i++)
		loader->link[i] = -1;
	if (options->set_cnt > XDP_SETS_MAX || options->interface_cnt > XDP_INTERFACES_MAX)
		return xfq_error_set(error, -E2BIG, "at most %d sets and %d interfaces",
				     XDP_SETS_MAX, XDP_INTERFACES_MAX);
	libbpf_set_print(loader_print);
	loader_log[0] = '\0';
	loader->skeleton = first_pass_bpf__open();
	if (!loader->skeleton)
		return loader_sentence(-errno, error);
	memcpy((void *)&loader->skeleton->rodata->policy, options->policy,
	       sizeof(*options->policy));
	loader->skeleton->rodata->packet_max = options->packet_max;
	loader->skeleton->rodata->interface_cnt = options->interface_cnt;
	for (uint32_t i = 0; i < options->interface_cnt; i++) {
		loader->ifindex[i] = options->ifindex[i];
		loader->skeleton->rodata->interfaces[i] = options->ifindex[i];
	}
	loader->interface_cnt = options->interface_cnt;
	code = first_pass_bpf__load(loader->skeleton);
	if (code) {
		loader_sentence(code, error);
		goto failed;
	}
	for (uint32_t i = 0; i < options->set_cnt; i++) {
		code = loader_add_nets(bpf_map__fd(loader->skeleton->maps.sets4), i,
				       options->sets[i], false, error);
		if (code == 0)
			code = loader_add_nets(bpf_map__fd(loader->skeleton->maps.sets6), i,
					       options->sets[i], true, error);
		if (code)
			goto failed;
	}
	return 0;

failed:
	loader_destroy(loader);
	return code;
}

int loader_socket(struct loader *loader, uint32_t interface, uint32_t queue, int fd,
		  struct xfq_error *error)
{
	__u32 key = interface * XDP_QUEUES_MAX + queue;

	if (interface >= loader->interface_cnt || queue >= XDP_QUEUES_MAX)
		return xfq_error_set(error, -E2BIG, "queue %u is beyond the %d that are supported",
				     queue, XDP_QUEUES_MAX);
	if (bpf_map_update_elem(bpf_map__fd(loader->skeleton->maps.xsks), &key, &fd, BPF_ANY))
		return xfq_error_set(error, -errno,
				     "putting the socket of queue %u into the XSKMAP: %s", queue,
				     strerror(errno));
	return 0;
}

/* Id of the program that an interface has, 0 if none. */
static __u32 loader_program_on(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	if (bpf_xdp_query((int)ifindex, 0, &query))
		return 0;
	if (query.prog_id)
		return query.prog_id;
	return query.drv_prog_id ? query.drv_prog_id : query.skb_prog_id;
}

/* Say who holds an interface. */
static int loader_busy(__u32 id, const char *name, struct xfq_error *error)
{
	struct bpf_prog_info info = {0};
	__u32 info_len = sizeof(info);
	int fd = id ? bpf_prog_get_fd_by_id(id) : -1;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &info_len))
		snprintf(info.name, sizeof(info.name), "unknown");
	if (fd >= 0)
		close(fd);
	if (strncmp(info.name, "xfq_first_pass", sizeof(info.name) - 1) == 0)
		return xfq_error_set(error, -EBUSY,
				     "%s: another xfq instance already has this interface (XDP "
				     "program %u); end it first, see xfq status",
				     name, id);
	return xfq_error_set(error, -EBUSY,
			     "%s: another XDP program has this interface (\"%s\", id %u); remove "
			     "it first (ip link set dev %s xdp off), or end its owner (see "
			     "bpftool net)",
			     name, info.name, id, name);
}

int loader_is_free(uint32_t ifindex, const char *name, struct xfq_error *error)
{
	__u32 id = loader_program_on(ifindex);

	return id ? loader_busy(id, name, error) : 0;
}

static int loader_try(struct loader *loader, uint32_t interface, __u32 flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
	int fd = bpf_link_create(loader_program_fd(loader), (int)loader->ifindex[interface],
				 BPF_XDP, &options);

	if (fd < 0)
		return -errno;
	loader->link[interface] = fd;
	return 0;
}

int loader_attach(struct loader *loader, uint32_t interface, const char *name, bool native,
		  bool generic, enum loader_mode *mode, struct xfq_error *error)
{
	int code = -EOPNOTSUPP;

	*mode = LOADER_MODE_NONE;
	if (native) {
		code = loader_try(loader, interface, XDP_FLAGS_DRV_MODE);
		if (code == 0) {
			*mode = LOADER_MODE_NATIVE;
			return 0;
		}
	}
	/* a program in the other mode, or one attached by netlink, answers EBUSY or EEXIST */
	if (code == -EBUSY || code == -EEXIST)
		return loader_busy(loader_program_on(loader->ifindex[interface]), name, error);
	if (generic && code != -EPERM && code != -ENODEV) {
		code = loader_try(loader, interface, XDP_FLAGS_SKB_MODE);
		if (code == 0) {
			*mode = LOADER_MODE_GENERIC;
			return 0;
		}
		if (code == -EBUSY || code == -EEXIST)
			return loader_busy(loader_program_on(loader->ifindex[interface]), name,
					   error);
	}
	if (code == -EINVAL || code == -EOPNOTSUPP || code == -ERANGE)
		return xfq_error_set(error, code,
				     "%s: attaching in %s mode: %s; the driver cannot run XDP with "
				     "these settings (MTU, offloads)%s",
				     name, native ? "native" : "generic", strerror(-code),
				     generic ? ""
					     : ", or not at all: mode: auto falls back to generic");
	return xfq_error_set(error, code, "%s: attaching the XDP program: %s", name,
			     strerror(-code));
}

void loader_detach_one(struct loader *loader, uint32_t interface)
{
	if (loader->link[interface] < 0)
		return;
	bpf_link_detach(loader->link[interface]);
	close(loader->link[interface]);
	loader->link[interface] = -1;
}

void loader_detach(struct loader *loader)
{
	for (uint32_t i = 0; i < loader->interface_cnt; i++)
		loader_detach_one(loader, i);
}

int loader_counters(const struct loader *loader, struct xdp_counters *sum)
{
	int cpus = libbpf_num_possible_cpus();
	/* all counters are 64-bit words: CPUs are summed word by word */
	size_t words = sizeof(*sum) / sizeof(__u64);
	__u64 *values, *to = (__u64 *)sum;
	__u32 zero = 0;
	int code = 0;

	memset(sum, 0, sizeof(*sum));
	if (cpus < 0)
		return cpus;
	values = calloc((size_t)cpus, sizeof(*sum));
	if (!values)
		return -ENOMEM;
	if (bpf_map_lookup_elem(bpf_map__fd(loader->skeleton->maps.counters), &zero, values))
		code = -errno;
	for (size_t i = 0; code == 0 && i < (size_t)cpus * words; i++)
		to[i % words] += values[i];
	free(values);
	return code;
}

int loader_program_fd(const struct loader *loader)
{
	return bpf_program__fd(loader->skeleton->progs.xfq_first_pass);
}

void loader_destroy(struct loader *loader)
{
	if (!loader->skeleton)
		return;
	loader_detach(loader);
	first_pass_bpf__destroy(loader->skeleton);
	loader->skeleton = NULL;
}
