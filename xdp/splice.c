/* SPDX-License-Identifier: BSD-2-Clause */
#include "xdp/splice.h"
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The functions that generated code calls, by enum code_function. */
static const char *const splice_functions[CODE_FUNCTION_CNT] = {
	[CODE_LOAD] = "judged_load",        [CODE_SET_NET] = "judged_in_net",
	[CODE_SET_PORT] = "judged_in_port", [CODE_SET_FLOW] = "judged_in_flow",
	[CODE_SET_MAC] = "judged_in_mac",   [CODE_LIMIT] = "judged_over",
};

/* What libbpf's hook works on: it is given no more than the program. */
static struct {
	const struct code *code;
	const struct btf *btf;
	struct bpf_func_info *functions; /* as the kernel is told; must live until it was */
} splice;

/* A program on its way to the kernel. */
struct splice_program {
	const struct bpf_insn *insns;
	uint32_t insn_cnt;
	const struct bpf_func_info *functions;
	uint32_t function_cnt;
	uint32_t begin, end; /* of decide() */
};

/* Which of its functions has a name; function_cnt: none. */
static uint32_t splice_find(const struct splice_program *program, const char *name)
{
	uint32_t i;

	for (i = 0; i < program->function_cnt; i++) {
		const struct btf_type *type =
			btf__type_by_id(splice.btf, program->functions[i].type_id);

		if (type && strcmp(btf__name_by_offset(splice.btf, type->name_off), name) == 0)
			break;
	}
	return i;
}

/* Where an instruction will be that is at `at`, outside decide() or at its begin. */
static uint32_t splice_moved(const struct splice_program *program, uint32_t at)
{
	if (at < program->end)
		return at;
	return at + splice.code->cnt - (program->end - program->begin);
}

static bool splice_refers(const struct bpf_insn *insn)
{
	return (insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL) ||
	       (insn->code == (BPF_LD | BPF_DW | BPF_IMM) && insn->src_reg == BPF_PSEUDO_FUNC);
}

static void splice_copy(const struct splice_program *program, struct bpf_insn *to, uint32_t from,
			uint32_t end)
{
	for (uint32_t at = from; at < end; at++) {
		uint32_t place = splice_moved(program, at);
		const struct bpf_insn *insn = &program->insns[at];

		to[place] = *insn;
		if (splice_refers(insn)) {
			uint32_t target = (uint32_t)((int32_t)at + insn->imm + 1);

			to[place].imm = (int32_t)(splice_moved(program, target) - place - 1);
		}
	}
}

static int splice_insns(const struct splice_program *program, struct bpf_insn *to)
{
	const struct code *code = splice.code;

	splice_copy(program, to, 0, program->begin);
	memcpy(to + program->begin, code->insns, code->cnt * sizeof(*to));
	splice_copy(program, to, program->end, program->insn_cnt);
	for (uint32_t i = 0; i < code->call_cnt; i++) {
		uint32_t at = program->begin + code->calls[i].at;
		uint32_t function = splice_find(program, splice_functions[code->calls[i].target]);

		if (function == program->function_cnt)
			return -ENOENT;
		to[at].imm =
			(int32_t)(splice_moved(program, program->functions[function].insn_off) -
				  at - 1);
	}
	return 0;
}

static int splice_table(const struct splice_program *program, struct bpf_prog_load_opts *options)
{
	size_t bytes = program->function_cnt * sizeof(*program->functions);
	struct bpf_func_info *functions = malloc(bytes);

	if (!functions)
		return -ENOMEM;
	memcpy(functions, program->functions, bytes);
	for (uint32_t i = 0; i < program->function_cnt; i++)
		functions[i].insn_off = splice_moved(program, functions[i].insn_off);
	free(splice.functions);
	splice.functions = functions;
	options->func_info = functions;
	/* the lines of the source are those of other instructions now */
	options->line_info = NULL;
	options->line_info_cnt = 0;
	return 0;
}

/* libbpf's hook, before it hands a program to the kernel. */
static int splice_prepare(struct bpf_program *to, struct bpf_prog_load_opts *options, long cookie)
{
	struct splice_program program = {
		.insns = bpf_program__insns(to),
		.insn_cnt = (uint32_t)bpf_program__insn_cnt(to),
		.functions = options->func_info,
		.function_cnt = options->func_info_cnt,
	};
	uint32_t decide, cnt;
	struct bpf_insn *insns;
	int code;

	(void)cookie;
	if (!splice.code)
		return 0;
	decide = splice_find(&program, "decide");
	if (decide == program.function_cnt)
		return 0;
	program.begin = program.functions[decide].insn_off;
	program.end = decide + 1 < program.function_cnt ? program.functions[decide + 1].insn_off
							: program.insn_cnt;
	cnt = program.insn_cnt + splice.code->cnt - (program.end - program.begin);
	insns = calloc(cnt, sizeof(*insns));
	if (!insns)
		return -ENOMEM;
	code = splice_insns(&program, insns);
	if (code == 0)
		code = splice_table(&program, options);
	if (code == 0)
		code = bpf_program__set_insns(to, insns, cnt);
	free(insns);
	return code;
}

int splice_register(struct xfq_error *error)
{
	static const struct {
		const char *section;
		enum bpf_prog_type type;
		enum bpf_attach_type attach_type;
	} sections[] = {
		{SPLICE_SECTION_XDP, BPF_PROG_TYPE_XDP, BPF_XDP},
		{SPLICE_SECTION_TC, BPF_PROG_TYPE_SCHED_CLS, 0},
		{SPLICE_SECTION_SOCKET, BPF_PROG_TYPE_SOCKET_FILTER, 0},
	};
	LIBBPF_OPTS(libbpf_prog_handler_opts, options, .prog_prepare_load_fn = splice_prepare);
	static bool registered;

	for (size_t i = 0; !registered && i < sizeof(sections) / sizeof(sections[0]); i++) {
		int code = libbpf_register_prog_handler(sections[i].section, sections[i].type,
							sections[i].attach_type, &options);

		if (code < 0)
			return xfq_error_set(error, code, "libbpf: section %s: %s",
					     sections[i].section, strerror(-code));
	}
	registered = true;
	return 0;
}

int splice_load(struct bpf_object *object, const struct code *code)
{
	int result;

	splice.code = code;
	splice.btf = bpf_object__btf(object);
	result = bpf_object__load(object);
	free(splice.functions);
	memset(&splice, 0, sizeof(splice));
	return result;
}
