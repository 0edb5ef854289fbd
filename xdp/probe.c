/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/probe.h"
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Newer than the headers of the oldest system that this is built on. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif
#define PROBE_TCX_INGRESS 46 /* enum bpf_attach_type, from Linux 6.6 on */

/* Packet memory of a worker is mostly more than this. */
#define PROBE_MEMLOCK_BYTES (64ULL << 20)

static const struct probe_row probe_rows[PROBE_CNT] = {
	[PROBE_CAP_BPF] = {"cap-bpf", "CAP_BPF", "everything live but packets from a file"},
	[PROBE_CAP_PERFMON] = {"cap-perfmon", "CAP_PERFMON",
			       "loading of programs that reach into packets"},
	[PROBE_CAP_NET_ADMIN] = {"cap-net-admin", "CAP_NET_ADMIN", "attaching to interfaces"},
	[PROBE_CAP_NET_RAW] = {"cap-net-raw", "CAP_NET_RAW",
			       "AF_XDP and packet sockets, promiscuous mode"},
	[PROBE_CAP_IPC_LOCK] = {"cap-ipc-lock", "CAP_IPC_LOCK",
				"packet memory beyond the limit of locked memory"},
	[PROBE_MEMLOCK] = {"memlock", "enough lockable memory (ulimit -l)",
			   "packet memory of a usual size, unless there is CAP_IPC_LOCK"},
	[PROBE_JIT] = {"jit", "the BPF JIT compiler", "speed, as programs are interpreted"},
	[PROBE_BTF] = {"btf", "the kernel's BTF", "attach: shared"},
	[PROBE_BPFFS] = {"bpffs", "the BPF file system at /sys/fs/bpf", "attach: shared"},
	[PROBE_PROGRAM_XDP] = {"xdp", "XDP programs", "mode but af_packet"},
	[PROBE_PROGRAM_TC] = {"tc", "TC programs", "egress, mode: mirror"},
	[PROBE_PROGRAM_SOCKET] = {"socket-filter", "BPF socket filters", "mode: af_packet"},
	[PROBE_MAP_XSK] = {"xskmap", "maps of AF_XDP sockets", "mode but af_packet"},
	[PROBE_MAP_LPM] = {"lpm", "prefix maps", "sets of type net"},
	[PROBE_MAP_LRU] = {"lru", "maps that forget", "limits, fragments, shunt"},
	[PROBE_MAP_IN_MAP] = {"map-in-map", "maps of maps", "sets, limits"},
	[PROBE_MAP_PROGRAMS] = {"tail-call", "maps of programs", "the first pass"},
	[PROBE_HELPER_LOAD_BYTES] = {"xdp-load-bytes", "bpf_xdp_load_bytes (Linux 5.18)",
				     "the first pass by XDP"},
	[PROBE_HELPER_BUFF_LEN] = {"xdp-buff-len", "bpf_xdp_get_buff_len (Linux 5.18)",
				   "the first pass by XDP"},
	[PROBE_XDP_FRAGS] = {"xdp-frags", "XDP on packets in several buffers",
			     "XDP with an MTU beyond a page"},
	[PROBE_XDP_LINK] = {"xdp-link", "bpf_link for XDP",
			    "attach: exclusive, which ends with the process"},
	[PROBE_DISPATCHER] = {"dispatcher", "programs in place of functions (freplace)",
			      "attach: shared beside other programs"},
	[PROBE_TCX] = {"tcx", "TCX (Linux 6.6)", "TC programs on a bpf_link"},
	[PROBE_AF_XDP] = {"af-xdp", "AF_XDP sockets", "mode but af_packet"},
	[PROBE_NEED_WAKEUP] = {"need-wakeup", "XDP_USE_NEED_WAKEUP",
			       "reception without a system call for each refill"},
	[PROBE_AF_PACKET] = {"af-packet", "packet sockets with a ring (TPACKET_V3)",
			     "mode: af_packet"},
};

/* What could not be found out is tried again when it is asked for again. */
static enum { PROBE_UNTRIED = 0, PROBE_UNKNOWN, PROBE_NO, PROBE_YES } probe_known[PROBE_CNT];

const struct probe_row *probe_row(enum probe_feature feature)
{
	return &probe_rows[feature];
}

void probe_forget(void)
{
	memset(probe_known, 0, sizeof(probe_known));
}

/* Whether XFQ_WITHOUT names a feature. */
static bool probe_is_hidden(const char *name)
{
	const char *list = getenv("XFQ_WITHOUT");
	size_t len = strlen(name);

	for (const char *at = list; at && *at; at += strcspn(at, ","), at += *at == ',')
		if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0'))
			return true;
	return false;
}

/* --- the process ------------------------------------------------------------------------------ */

static bool probe_capability(unsigned number)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capget, &header, data) == 0 &&
	       data[number / 32].effective >> number % 32 & 1;
}

static bool probe_memlock(void)
{
	struct rlimit limit = {0};

	return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
	       (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= PROBE_MEMLOCK_BYTES);
}

/* --- the kernel ------------------------------------------------------------------------------- */

static bool probe_btf(void)
{
	return access("/sys/kernel/btf/vmlinux", R_OK) == 0;
}

static bool probe_bpffs(void)
{
	const char *path = getenv("LIBXDP_BPFFS");
	struct statfs fs;

	return statfs(path ? path : "/sys/fs/bpf", &fs) == 0 && (__u32)fs.f_type == BPF_FS_MAGIC;
}

/* Load "return `answer`". Its descriptor, or -errno. */
static int probe_load(enum bpf_prog_type type, int answer, const struct bpf_prog_load_opts *options)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = answer},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(type, "xfq_probe", "Dual BSD/GPL", insns,
			     sizeof(insns) / sizeof(insns[0]), options);
}

static bool probe_close(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Whether a program is compiled when it is loaded. */
static bool probe_compiles(void)
{
	/* of this type, as who may load it is told its length as well */
	int fd = probe_load(BPF_PROG_TYPE_XDP, XDP_PASS, NULL);
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);
	bool compiled =
		fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.jited_prog_len > 0;

	probe_close(fd);
	return compiled;
}

static bool probe_jit(void)
{
	/* which only the first network namespace has */
	FILE *file = fopen("/proc/sys/net/core/bpf_jit_enable", "re");
	int value = -1;

	if (file) {
		if (fscanf(file, "%d", &value) != 1)
			value = -1;
		fclose(file);
	}
	return value < 0 ? probe_compiles() : value > 0;
}

static bool probe_frags(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = BPF_F_XDP_HAS_FRAGS,
		    .expected_attach_type = BPF_XDP);

	return probe_close(probe_load(BPF_PROG_TYPE_XDP, XDP_PASS, &options));
}

/* A link to no interface at all: who knows of such links says that there is no device. */
static bool probe_link(enum bpf_prog_type type, enum bpf_attach_type attach)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach);
	int program = probe_load(type, 0, &options);
	int link, code;

	if (program < 0)
		return false;
	link = bpf_link_create(program, INT32_MAX, attach, NULL);
	code = link < 0 ? -errno : 0;
	probe_close(link);
	close(program);
	return code == 0 || code == -ENODEV;
}

/* Of links of XDP the kernel says the same as it says of what it does not know: look for the
 * function that makes them. */
static bool probe_xdp_link(void)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	bool there =
		kernel && btf__find_by_name_kind(kernel, "bpf_xdp_link_attach", BTF_KIND_FUNC) > 0;

	btf__free(kernel);
	/* without BTF: it came before programs for packets in several buffers */
	return kernel ? there : probe_frags();
}

static bool probe_tcx(void)
{
	/* asked of a kernel that may be newer than the headers */
	return probe_link(BPF_PROG_TYPE_SCHED_CLS, (enum bpf_attach_type)PROBE_TCX_INGRESS);
}

/* A function of BTF, by hand: `int name(struct xdp_md *)`, as libxdp's dispatcher has them. */
static int probe_function_btf(int *function)
{
	struct btf *btf = btf__new_empty();
	int number, context, pointer, proto, fd = -1;

	if (!btf)
		return -1;
	number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	context = btf__add_struct(btf, "xdp_md", sizeof(__u32));
	pointer = btf__add_ptr(btf, context);
	proto = btf__add_func_proto(btf, number);
	if (proto > 0 && btf__add_func_param(btf, "ctx", pointer) == 0)
		*function = btf__add_func(btf, "prog0", BTF_FUNC_GLOBAL, proto);
	if (proto > 0 && *function > 0) {
		__u32 size;
		const void *data = btf__raw_data(btf, &size);

		fd = data ? bpf_btf_load(data, size, NULL) : -1;
	}
	btf__free(btf);
	return fd;
}

/* Replace a function of one program by another program, as the dispatcher does. */
static bool probe_dispatcher(void)
{
	const struct bpf_insn insns[] = {
		/* call prog0; exit; prog0: return XDP_PASS */
		{.code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_CALL, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct bpf_func_info functions[2] = {0};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_XDP);
	LIBBPF_OPTS(bpf_prog_load_opts, extension);
	int function = -1, btf = probe_function_btf(&function), target, code = -1;

	if (btf < 0)
		return false;
	functions[0].type_id = functions[1].type_id = (__u32)function;
	functions[1].insn_off = 2;
	options.prog_btf_fd = extension.prog_btf_fd = (__u32)btf;
	options.func_info = extension.func_info = functions;
	options.func_info_cnt = 2;
	options.func_info_rec_size = extension.func_info_rec_size = sizeof(functions[0]);
	target = bpf_prog_load(BPF_PROG_TYPE_XDP, "xfq_probe", "Dual BSD/GPL", insns, 4, &options);
	if (target >= 0) {
		extension.func_info_cnt = 1;
		extension.attach_prog_fd = target;
		extension.attach_btf_id = (__u32)function;
		code = probe_load(BPF_PROG_TYPE_EXT, XDP_PASS, &extension);
		probe_close(code);
		close(target);
	}
	close(btf);
	return code >= 0;
}

/* --- sockets ---------------------------------------------------------------------------------- */

static bool probe_af_xdp(void)
{
	return probe_close(socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
}

/* The rings of who knows of XDP_USE_NEED_WAKEUP have flags. */
static bool probe_need_wakeup(void)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct xdp_mmap_offsets offsets;
	socklen_t len = sizeof(offsets);
	bool flags = fd >= 0 && getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &len) == 0 &&
		     len == sizeof(offsets);

	probe_close(fd);
	return flags;
}

static bool probe_af_packet(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	bool version = fd >= 0 && setsockopt(fd, SOL_PACKET, PACKET_VERSION, &(int){TPACKET_V3},
					     sizeof(int)) == 0;

	probe_close(fd);
	return version;
}

/* --- all -------------------------------------------------------------------------------------- */

static bool probe_map(enum bpf_map_type type)
{
	return libbpf_probe_bpf_map_type(type, NULL) == 1;
}

static bool probe_program(enum bpf_prog_type type)
{
	return libbpf_probe_bpf_prog_type(type, NULL) == 1;
}

static bool probe_helper(enum bpf_prog_type type, enum bpf_func_id helper)
{
	return libbpf_probe_bpf_helper(type, helper, NULL) == 1;
}

static bool probe_process(enum probe_feature feature)
{
	if (feature == PROBE_MEMLOCK)
		return probe_memlock();
	return probe_capability(feature == PROBE_CAP_BPF         ? CAP_BPF
				: feature == PROBE_CAP_PERFMON   ? CAP_PERFMON
				: feature == PROBE_CAP_NET_ADMIN ? CAP_NET_ADMIN
				: feature == PROBE_CAP_NET_RAW   ? CAP_NET_RAW
								 : CAP_IPC_LOCK);
}

static bool probe_types(enum probe_feature feature)
{
	static const enum bpf_prog_type programs[PROBE_CNT] = {
		[PROBE_PROGRAM_XDP] = BPF_PROG_TYPE_XDP,
		[PROBE_PROGRAM_TC] = BPF_PROG_TYPE_SCHED_CLS,
		[PROBE_PROGRAM_SOCKET] = BPF_PROG_TYPE_SOCKET_FILTER,
	};
	static const enum bpf_map_type maps[PROBE_CNT] = {
		[PROBE_MAP_XSK] = BPF_MAP_TYPE_XSKMAP,
		[PROBE_MAP_LPM] = BPF_MAP_TYPE_LPM_TRIE,
		[PROBE_MAP_LRU] = BPF_MAP_TYPE_LRU_HASH,
		[PROBE_MAP_IN_MAP] = BPF_MAP_TYPE_ARRAY_OF_MAPS,
		[PROBE_MAP_PROGRAMS] = BPF_MAP_TYPE_PROG_ARRAY,
	};

	if (programs[feature])
		return probe_program(programs[feature]);
	if (maps[feature])
		return probe_map(maps[feature]);
	return probe_helper(BPF_PROG_TYPE_XDP, feature == PROBE_HELPER_LOAD_BYTES
						       ? BPF_FUNC_xdp_load_bytes
						       : BPF_FUNC_xdp_get_buff_len);
}

static bool probe_try(enum probe_feature feature)
{
	static bool (*const tries[PROBE_CNT])(void) = {
		[PROBE_JIT] = probe_jit,
		[PROBE_BTF] = probe_btf,
		[PROBE_BPFFS] = probe_bpffs,
		[PROBE_XDP_FRAGS] = probe_frags,
		[PROBE_XDP_LINK] = probe_xdp_link,
		[PROBE_DISPATCHER] = probe_dispatcher,
		[PROBE_TCX] = probe_tcx,
		[PROBE_AF_XDP] = probe_af_xdp,
		[PROBE_NEED_WAKEUP] = probe_need_wakeup,
		[PROBE_AF_PACKET] = probe_af_packet,
	};

	if (tries[feature])
		return tries[feature]();
	return feature <= PROBE_MEMLOCK ? probe_process(feature) : probe_types(feature);
}

/* Whether "no" may only be what a process without the privileges is told. */
static bool probe_is_refused(enum probe_feature feature)
{
	int fd;

	if (feature <= PROBE_MEMLOCK || feature == PROBE_BTF || feature == PROBE_BPFFS)
		return false;
	if (feature >= PROBE_AF_XDP)
		fd = socket(feature == PROBE_AF_PACKET ? AF_PACKET : AF_XDP,
			    SOCK_RAW | SOCK_CLOEXEC, 0);
	else
		fd = probe_load(BPF_PROG_TYPE_XDP, XDP_PASS, NULL);
	return !probe_close(fd) && (errno == EPERM || errno == EACCES);
}

static int probe_silence(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static void probe_find(enum probe_feature feature)
{
	libbpf_print_fn_t print;

	if (probe_known[feature] > PROBE_UNKNOWN)
		return;
	/* that something is not there is what is asked, and no warning */
	print = libbpf_set_print(probe_silence);
	if (probe_is_hidden(probe_rows[feature].name))
		probe_known[feature] = PROBE_NO;
	else if (probe_try(feature))
		probe_known[feature] = PROBE_YES;
	else
		probe_known[feature] = probe_is_refused(feature) ? PROBE_UNKNOWN : PROBE_NO;
	libbpf_set_print(print);
}

bool probe_has(enum probe_feature feature)
{
	probe_find(feature);
	return probe_known[feature] == PROBE_YES;
}

bool probe_lacks(enum probe_feature feature)
{
	probe_find(feature);
	return probe_known[feature] == PROBE_NO;
}

bool probe_has_first_pass(void)
{
	return probe_has(PROBE_PROGRAM_XDP) && probe_has(PROBE_AF_XDP) &&
	       probe_has(PROBE_MAP_XSK) && probe_has(PROBE_HELPER_LOAD_BYTES) &&
	       probe_has(PROBE_HELPER_BUFF_LEN);
}
