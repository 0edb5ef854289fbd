/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/attach.h"
#include "xdp/probe.h"
#include "xdp/undertaker.h"
#include <attached.skel.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#define ATTACH_PROGRAM "xfq_first_pass" /* name of attached.bpf.c's program */
#define ATTACH_SLOT    "first_pass"     /* and of the map that it goes on by */
#define ATTACH_SECTION "xdp"

/* What a killed xfq has left is removed by its undertaker, too, and both need some time. */
#define ATTACH_AGAIN      1
#define ATTACH_BURY_TRIES 10
#define ATTACH_BURY_US    100000
#define ATTACH_TRIES      10
#define ATTACH_WAIT_US    100000

#define ATTACH_MAPS_MAX 16 /* of one program, that are looked at */

/* A program that an interface has. */
struct attach_holder {
	__u32 id; /* 0: none */
	char name[BPF_OBJ_NAME_LEN];
	bool generic;
};

void attach_init(struct attach *attach)
{
	*attach = (struct attach){.link = -1, .undertaker = -1};
}

const char *attach_mode_name(enum attach_mode mode)
{
	return mode == ATTACH_MODE_NATIVE    ? "native"
	       : mode == ATTACH_MODE_GENERIC ? "generic"
					     : "none";
}

static char attach_log[XFQ_ERROR_TEXT_BYTES / 2]; /* libxdp's last warning */

/* libxdp speaks through a hook of the process: keep its last warning for our own sentence. */
static int __attribute__((format(printf, 2, 0)))
attach_print(enum libxdp_print_level level, const char *format, va_list args)
{
	if (level != LIBXDP_WARN)
		return 0;
	vsnprintf(attach_log, sizeof(attach_log), format, args);
	attach_log[strcspn(attach_log, "\n")] = '\0';
	return 0;
}

/* --- who has the interface --------------------------------------------------------------------
 */

static void attach_name_of(__u32 id, char *name, size_t room)
{
	struct bpf_prog_info info = {0};
	__u32 info_len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &info_len))
		snprintf(info.name, sizeof(info.name), "unknown");
	if (fd >= 0)
		close(fd);
	snprintf(name, room, "%s", info.name);
}

static struct attach_holder attach_holder(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct attach_holder holder = {0};

	if (bpf_xdp_query((int)ifindex, 0, &query))
		return holder;
	holder.generic = query.attach_mode == XDP_ATTACHED_SKB;
	holder.id = query.prog_id       ? query.prog_id
		    : query.drv_prog_id ? query.drv_prog_id
					: query.skb_prog_id;
	if (holder.id)
		attach_name_of(holder.id, holder.name, sizeof(holder.name));
	return holder;
}

/* Whether the slot behind a program of ours is empty, as its process has died. */
static bool attach_is_stale(int program_fd)
{
	__u32 maps[ATTACH_MAPS_MAX];
	struct bpf_prog_info info = {.nr_map_ids = ATTACH_MAPS_MAX,
				     .map_ids = (__u64)(unsigned long)maps};
	__u32 info_len = sizeof(info), zero = 0, value;
	bool stale = false;

	if (bpf_obj_get_info_by_fd(program_fd, &info, &info_len))
		return false;
	for (__u32 i = 0; i < info.nr_map_ids && i < ATTACH_MAPS_MAX; i++) {
		struct bpf_map_info map = {0};
		__u32 map_len = sizeof(map);
		int fd = bpf_map_get_fd_by_id(maps[i]);

		if (fd < 0)
			continue;
		if (bpf_obj_get_info_by_fd(fd, &map, &map_len) == 0 &&
		    map.type == BPF_MAP_TYPE_PROG_ARRAY && strcmp(map.name, ATTACH_SLOT) == 0)
			stale = bpf_map_lookup_elem(fd, &zero, &value) && errno == ENOENT;
		close(fd);
	}
	return stale;
}

/* The programs of a dispatcher, as text. */
static void attach_list(const struct xdp_multiprog *dispatcher, char *text, size_t room)
{
	struct xdp_program *program = NULL;
	size_t at = 0;

	text[0] = '\0';
	while ((program = xdp_multiprog__next_prog(program, dispatcher)) && at < room) {
		int wrote;

		if (strcmp(xdp_program__name(program), ATTACH_PROGRAM) == 0)
			continue; /* it has just been removed */
		wrote = snprintf(text + at, room - at, "%s%s (id %u, priority %u)", at ? ", " : "",
				 xdp_program__name(program), xdp_program__id(program),
				 xdp_program__run_prio(program));

		at += wrote > 0 ? (size_t)wrote : 0;
	}
}

static int attach_other_xfq(const char *name, __u32 id, struct xfq_error *error)
{
	return xfq_error_set(error, -EBUSY,
			     "%s: another xfq instance already has this interface (XDP program "
			     "%u); end it first, see xfq status",
			     name, id);
}

/* Say who holds an interface without a dispatcher. */
static int attach_busy(const struct attach_holder *holder, const struct attach_options *options,
		       struct xfq_error *error)
{
	const char *name = options->name;

	if (strcmp(holder->name, ATTACH_PROGRAM) == 0)
		return attach_other_xfq(name, holder->id, error);
	return xfq_error_set(error, -EBUSY,
			     "%s: another XDP program has this interface (\"%s\", id %u, %s mode); "
			     "remove it first (ip link set dev %s xdp off), or end its owner (see "
			     "bpftool net); a program loaded by libxdp (xdp-loader load) can "
			     "share it%s",
			     name, holder->name, holder->id, holder->generic ? "generic" : "native",
			     name, options->shared ? "" : ": attach: shared");
}

/* Take a program of ours out of a dispatcher; 1: nothing else was in it. */
static int attach_remove(uint32_t ifindex, struct xdp_multiprog *dispatcher,
			 struct xdp_program *stale)
{
	int code;

	if (xdp_multiprog__program_count(dispatcher) == 1)
		return xdp_multiprog__detach(dispatcher) ? -EIO : 1;
	code = xdp_program__detach(stale, (int)ifindex, xdp_multiprog__attach_mode(dispatcher), 0);
	return code < 0 ? code : 0;
}

/* Take what has died of ours out of a dispatcher. Whether there was none of ours that still lives.
 */
static bool attach_bury_now(uint32_t ifindex)
{
	struct xdp_multiprog *dispatcher = xdp_multiprog__get_from_ifindex((int)ifindex);
	struct xdp_program *program = NULL;
	bool alive = false;

	if (libxdp_get_error(dispatcher) || xdp_multiprog__is_legacy(dispatcher))
		return true;
	while ((program = xdp_multiprog__next_prog(program, dispatcher))) {
		if (strcmp(xdp_program__name(program), ATTACH_PROGRAM) != 0)
			continue;
		alive = !attach_is_stale(xdp_program__fd(program));
		if (!alive)
			attach_remove(ifindex, dispatcher, program);
		break;
	}
	xdp_multiprog__close(dispatcher);
	return !alive;
}

/* What is left to do when a process has ended that was in a dispatcher. The kernel may tell of the
 * end before it has emptied the slot. */
static void attach_bury(uint32_t ifindex)
{
	for (int i = 0; i < ATTACH_BURY_TRIES && !attach_bury_now(ifindex); i++)
		usleep(ATTACH_BURY_US);
}

/* A dispatcher is there: remove what died of ours, and see whether there is room for us. Returns
 * ATTACH_AGAIN where that is to be looked at afresh, 0 where we may go beside the others. */
static int attach_clear_dispatcher(uint32_t ifindex, struct xdp_multiprog *dispatcher,
				   const struct attach_options *options, bool last,
				   struct xfq_error *error)
{
	bool generic = xdp_multiprog__attach_mode(dispatcher) == XDP_MODE_SKB;
	struct xdp_program *program = NULL, *stale = NULL;
	char list[XFQ_ERROR_TEXT_BYTES / 2];
	int code = 0;

	while ((program = xdp_multiprog__next_prog(program, dispatcher))) {
		if (strcmp(xdp_program__name(program), ATTACH_PROGRAM) != 0)
			continue;
		if (!attach_is_stale(xdp_program__fd(program)))
			return attach_other_xfq(options->name, xdp_program__id(program), error);
		stale = program;
	}
	if (stale)
		code = attach_remove(ifindex, dispatcher, stale);
	if (code < 0 && !last)
		return ATTACH_AGAIN; /* its undertaker may be at it, too */
	if (code < 0)
		return xfq_error_set(error, code,
				     "%s: removing the program %u that a killed xfq has left in "
				     "libxdp's dispatcher: %s; try xdp-loader unload %s --all",
				     options->name, xdp_program__id(stale), strerror(-code),
				     options->name);
	if (code)
		return ATTACH_AGAIN;
	attach_list(dispatcher, list, sizeof(list));
	if (!options->shared)
		return xfq_error_set(error, -EBUSY,
				     "%s: libxdp's dispatcher has this interface, with %s; to run "
				     "beside them, set attach: shared; to have it alone, remove "
				     "them: xdp-loader unload %s --all",
				     options->name, list, options->name);
	if (generic ? !options->generic : !options->native)
		return xfq_error_set(
			error, -EBUSY,
			"%s: libxdp's dispatcher runs here in %s mode, with %s; all of "
			"a dispatcher's programs run in one mode: set mode: %s",
			options->name, generic ? "generic" : "native", list,
			generic ? "generic" : "native");
	return 0;
}

/* Whether the file system is there by which dispatchers are found again. */
static int attach_check_bpffs(const char *name, struct xfq_error *error)
{
	const char *path = getenv("LIBXDP_BPFFS");
	struct statfs fs;

	if (!path)
		path = "/sys/fs/bpf";
	if (statfs(path, &fs) == 0 && (__u32)fs.f_type == BPF_FS_MAGIC)
		return 0;
	return xfq_error_set(error, -ENOENT,
			     "%s: attach: shared needs the BPF file system at %s, which is not "
			     "mounted: mount -t bpf bpf %s",
			     name, path, path);
}

static int attach_look(uint32_t ifindex, const struct attach_options *options, bool last,
		       struct xfq_error *error)
{
	struct attach_holder holder = attach_holder(ifindex);
	struct xdp_multiprog *dispatcher;
	int code;

	if (!holder.id)
		return 0;
	dispatcher = xdp_multiprog__get_from_ifindex((int)ifindex);
	if (libxdp_get_error(dispatcher))
		return last ? attach_busy(&holder, options, error) : ATTACH_AGAIN;
	if (xdp_multiprog__is_legacy(dispatcher))
		code = attach_busy(&holder, options, error);
	else
		code = attach_clear_dispatcher(ifindex, dispatcher, options, last, error);
	xdp_multiprog__close(dispatcher);
	return code;
}

int attach_clear(uint32_t ifindex, const struct attach_options *options, struct xfq_error *error)
{
	int code = 0;

	libxdp_set_print(attach_print);
	attach_log[0] = '\0';
	if (options->shared)
		code = attach_check_bpffs(options->name, error);
	for (uint32_t tries = ATTACH_TRIES; code == 0 && tries > 0; tries--) {
		code = attach_look(ifindex, options, tries == 1, error);
		if (code != ATTACH_AGAIN)
			return code;
		code = 0;
		usleep(ATTACH_WAIT_US);
	}
	return code;
}

/* --- attaching --------------------------------------------------------------------------------
 */

static int attach_link(struct attach *attach, const struct attached_bpf *from,
		       enum attach_mode mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, options,
		    .flags = mode == ATTACH_MODE_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	int fd = bpf_link_create(bpf_program__fd(from->progs.xfq_first_pass), (int)attach->ifindex,
				 BPF_XDP, &options);

	if (fd < 0)
		return -errno;
	attach->link = fd;
	return 0;
}

static void attach_unshare(struct attach *attach)
{
	if (attach->program)
		xdp_program__close(attach->program);
	attached_bpf__destroy(attach->object);
	attach->program = NULL;
	attach->object = NULL;
}

static enum xdp_attach_mode attach_libxdp_mode(enum attach_mode mode)
{
	return mode == ATTACH_MODE_NATIVE ? XDP_MODE_NATIVE : XDP_MODE_SKB;
}

/* An object of our own for libxdp, which loads it as the dispatcher needs it; it goes on by the
 * same slot. */
static int attach_share_object(struct attach *attach, const struct attached_bpf *from,
			       uint32_t priority)
{
	int code;

	attach->object = attached_bpf__open();
	if (!attach->object)
		return -errno;
	/* as that of all programs that lead to one slot; see the loader */
	bpf_program__set_expected_attach_type(attach->object->progs.xfq_first_pass,
					      (enum bpf_attach_type)0);
	code = bpf_map__reuse_fd(attach->object->maps.first_pass,
				 bpf_map__fd(from->maps.first_pass));
	if (code)
		return code;
	attach->program = xdp_program__from_bpf_obj(attach->object->obj, ATTACH_SECTION);
	code = (int)libxdp_get_error(attach->program);
	if (code) {
		attach->program = NULL;
		return code;
	}
	code = xdp_program__set_run_prio(attach->program, priority);
	if (code == 0) /* those behind us see what we pass */
		code = xdp_program__set_chain_call_enabled(attach->program, XDP_PASS, true);
	return code;
}

/* Where the kernel cannot do better, libxdp attaches a single program: that one would stay when its
 * process is killed, and nothing could be put beside it. */
static bool attach_is_single(const struct attach *attach)
{
	struct xdp_multiprog *dispatcher = xdp_multiprog__get_from_ifindex((int)attach->ifindex);
	bool single = false;

	if (libxdp_get_error(dispatcher) == 0) {
		single = xdp_multiprog__is_legacy(dispatcher);
		xdp_multiprog__close(dispatcher);
	}
	return single;
}

static int attach_share(struct attach *attach, const struct attached_bpf *from, uint32_t priority,
			enum attach_mode mode)
{
	int code = attach_share_object(attach, from, priority);

	if (code == 0)
		code = xdp_program__attach(attach->program, (int)attach->ifindex,
					   attach_libxdp_mode(mode), 0);
	if (code == 0 && !attach_is_single(attach)) {
		attach->undertaker = undertaker_start(attach_bury, attach->ifindex);
		return 0;
	}
	if (code == 0) {
		code = xdp_program__detach(attach->program, (int)attach->ifindex,
					   attach_libxdp_mode(mode), 0);
		attach->alone = code == 0;
	}
	attach_unshare(attach);
	return code ? code : attach_link(attach, from, mode);
}

static int attach_try(struct attach *attach, const struct attached_bpf *from,
		      const struct attach_options *options, enum attach_mode mode)
{
	int code;

	attach->alone = options->shared && !probe_has(PROBE_DISPATCHER);
	if (options->shared && !attach->alone)
		code = attach_share(attach, from, options->priority, mode);
	else
		code = attach_link(attach, from, mode);
	if (code == 0)
		attach->mode = mode;
	return code;
}

static int attach_failed(int code, const struct attach *attach,
			 const struct attach_options *options, struct xfq_error *error)
{
	struct attach_holder holder;
	int busy;

	/* a program in the other mode, or one attached by netlink, answers EBUSY or EEXIST */
	if (code == -EBUSY || code == -EEXIST) {
		busy = attach_clear(attach->ifindex, options, error);
		if (busy)
			return busy;
		holder = attach_holder(attach->ifindex);
		return attach_busy(&holder, options, error);
	}
	if (code == -EINVAL || code == -EOPNOTSUPP || code == -ERANGE)
		return xfq_error_set(
			error, code,
			"%s: attaching in %s mode: %s; the driver cannot run XDP with "
			"these settings (MTU, offloads)%s",
			options->name, options->generic ? "generic" : "native", strerror(-code),
			options->generic ? ""
					 : ", or not at all: mode: auto falls back to generic");
	return xfq_error_set(error, code, "%s: attaching the XDP program: %s%s%s", options->name,
			     strerror(-code), attach_log[0] ? ": " : "", attach_log);
}

int attach_open(struct attach *attach, const struct attached_bpf *from, uint32_t ifindex,
		const struct attach_options *options, struct xfq_error *error)
{
	enum attach_mode first = options->native ? ATTACH_MODE_NATIVE : ATTACH_MODE_GENERIC;
	struct attach_holder holder;
	int code;

	attach_init(attach);
	attach->ifindex = ifindex;
	if (options->shared) {
		code = attach_clear(ifindex, options, error);
		if (code)
			return code;
		/* beside others in their mode */
		holder = attach_holder(ifindex);
		if (holder.id)
			first = holder.generic ? ATTACH_MODE_GENERIC : ATTACH_MODE_NATIVE;
	}
	code = attach_try(attach, from, options, first);
	if (code && first == ATTACH_MODE_NATIVE && options->generic && code != -EPERM &&
	    code != -ENODEV && code != -EBUSY && code != -EEXIST)
		code = attach_try(attach, from, options, ATTACH_MODE_GENERIC);
	return code ? attach_failed(code, attach, options, error) : 0;
}

void attach_close(struct attach *attach)
{
	if (attach->undertaker >= 0)
		undertaker_end(attach->undertaker);
	else if (attach->program)
		xdp_program__detach(attach->program, (int)attach->ifindex,
				    attach_libxdp_mode(attach->mode), 0);
	attach_unshare(attach);
	if (attach->link >= 0) {
		bpf_link_detach(attach->link);
		close(attach->link);
	}
	attach_init(attach);
}
