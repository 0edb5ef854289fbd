/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/native/native.h"
#include "steering/native/native_code.h"
#include <errno.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NATIVE_NAME_BYTES 32
/* Nodes that are worked out for each packet by itself, of which the loop is made with all care. */
#define NATIVE_LANE_NODES_MAX 128
#ifndef NATIVE_WIDTH
#define NATIVE_WIDTH "512" /* of vectors, in bits, where the CPU has them */
#endif

struct native {
	LLVMOrcLLJITRef jit; /* owned: the code */
};

/* LLVM's error as ours; takes it over. 0 where there is none. */
static int native_fail(LLVMErrorRef failure, const char *what, struct xfq_error *error)
{
	char *text;
	int code;

	if (!failure)
		return 0;
	text = LLVMGetErrorMessage(failure);
	code = xfq_error_set(error, -EIO, "LLVM, %s: %.200s", what, text);
	LLVMDisposeErrorMessage(text);
	return code;
}

/* --- the machine that code is made for -------------------------------------------------------- */

/* One for the CPU that this runs on; NULL with a sentence. The caller disposes of it. */
static LLVMTargetMachineRef native_machine(struct xfq_error *error)
{
	char *triple = LLVMGetDefaultTargetTriple(), *cpu = LLVMGetHostCPUName();
	char *features = LLVMGetHostCPUFeatures(), *text = NULL;
	LLVMTargetMachineRef machine = NULL;
	LLVMTargetRef target;

	if (LLVMGetTargetFromTriple(triple, &target, &text)) {
		xfq_error_set(error, -EIO, "LLVM, CPU %s: %.200s", triple, text);
		LLVMDisposeMessage(text);
	} else {
		machine =
			LLVMCreateTargetMachine(target, triple, cpu, features, LLVMCodeGenLevelLess,
						LLVMRelocPIC, LLVMCodeModelJITDefault);
		if (!machine)
			xfq_error_set(error, -EIO, "LLVM makes no code for %s", triple);
	}
	LLVMDisposeMessage(features);
	LLVMDisposeMessage(cpu);
	LLVMDisposeMessage(triple);
	return machine;
}

/* The bytes of a register. Of comparisons of as many lanes LLVM makes good code, of more very bad.
 */
static uint32_t native_vector_lanes(LLVMTargetMachineRef machine)
{
	char *features = LLVMGetTargetMachineFeatureString(machine);
	uint32_t lanes = strstr(features, "+avx512bw") ? 64 : strstr(features, "+avx2") ? 32 : 16;

	LLVMDisposeMessage(features);
	return lanes;
}

static int native_start_llvm(struct xfq_error *error)
{
	if (LLVMInitializeNativeTarget() || LLVMInitializeNativeAsmPrinter())
		return xfq_error_set(error, -EIO, "LLVM makes no code for this CPU");
	return 0;
}

/* --- from units to an object ------------------------------------------------------------------ */

static void native_name(char *name, uint32_t job)
{
	snprintf(name, NATIVE_NAME_BYTES, "unit_%u", job);
}

static void native_part_name(const struct native_code *code, char *name, uint32_t part)
{
	snprintf(name, NATIVE_NAME_BYTES, "part_%u_%u", code->number, part);
}

static void native_types(struct native_code *code)
{
	code->i1 = LLVMInt1TypeInContext(code->context);
	code->i8 = LLVMInt8TypeInContext(code->context);
	code->i16 = LLVMInt16TypeInContext(code->context);
	code->i32 = LLVMInt32TypeInContext(code->context);
	code->i64 = LLVMInt64TypeInContext(code->context);
	code->bytes = LLVMPointerType(code->i8, 0);
}

static LLVMValueRef native_room(struct native_code *code, uint32_t bytes)
{
	LLVMValueRef room = LLVMBuildAlloca(code->builder, LLVMArrayType(code->i8, bytes), "");

	LLVMSetAlignment(room, NATIVE_LANES);
	return LLVMBuildBitCast(code->builder, room, code->bytes, "");
}

static void native_attribute(struct native_code *code, const char *name)
{
	unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));

	LLVMAddAttributeAtIndex(code->function, LLVMAttributeFunctionIndex,
				LLVMCreateEnumAttribute(code->context, kind, 0));
}

/* Begin void name(types...). */
static void native_function(struct native_code *code, const char *name, LLVMTypeRef *types,
			    uint32_t cnt)
{
	LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(code->context), types, cnt, 0);
	static const char width[] = NATIVE_WIDTH;

	code->function = LLVMAddFunction(code->module, name, type);
	native_attribute(code, "nounwind");
	LLVMAddAttributeAtIndex(code->function, LLVMAttributeFunctionIndex,
				LLVMCreateStringAttribute(code->context, "prefer-vector-width", 19,
							  width, sizeof(width) - 1));
	LLVMPositionBuilderAtEnd(code->builder,
				 LLVMAppendBasicBlockInContext(code->context, code->function, ""));
}

/* A part: all its nodes, and into the frame what others need of them. */
static void native_part(struct native_code *code, uint32_t part)
{
	LLVMTypeRef types[] = {code->bytes, code->i64};
	char name[NATIVE_NAME_BYTES];

	native_part_name(code, name, part);
	native_function(code, name, types, 2);
	LLVMSetLinkage(code->function, LLVMInternalLinkage);
	code->part = part;
	code->lanes = code->part_lanes[part];
	code->frame = LLVMGetParam(code->function, 0);
	code->piece = LLVMGetParam(code->function, 1);
	native_attribute(code, "noinline");
	/* straight code: instructions chosen one by one are as good, in a third of the time; but
	 * for those that make words without registers of masks */
	if (code->lanes == NATIVE_LANES)
		native_attribute(code, "optnone");
	for (uint32_t i = 0; i < code->job->node_cnt; i++)
		if (code->nodes[i].part == part)
			native_value(code, i);
	LLVMBuildRetVoid(code->builder);
}

/* Which packets there are: a bit for each. */
static LLVMValueRef native_all(struct native_code *code)
{
	LLVMValueRef one = native_const(code, 1), full, few;

	few = LLVMBuildAnd(code->builder, code->cnt, native_const(code, NATIVE_LANES - 1), "");
	few = LLVMBuildSub(code->builder, LLVMBuildShl(code->builder, one, few, ""), one, "");
	full = LLVMBuildICmp(code->builder, LLVMIntUGE, code->cnt, native_const(code, NATIVE_LANES),
			     "");
	return LLVMBuildSelect(code->builder, full, native_const(code, UINT64_MAX), few, "");
}

/* Call all parts, in their order. */
static void native_call(struct native_code *code)
{
	LLVMTypeRef types[] = {code->bytes, code->i64};
	LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(code->context), types, 2, 0);

	for (uint32_t part = 0; part < code->part_cnt; part++) {
		char name[NATIVE_NAME_BYTES];
		LLVMValueRef function;

		native_part_name(code, name, part);
		function = LLVMGetNamedFunction(code->module, name);
		for (uint32_t piece = 0; piece < NATIVE_LANES / code->part_lanes[part]; piece++) {
			LLVMValueRef arguments[] = {code->frame, native_const(code, piece)};

			LLVMBuildCall2(code->builder, type, function, arguments, 2, "");
		}
	}
}

/* Say which packets each root hits. */
static void native_answer(struct native_code *code)
{
	LLVMValueRef all = native_all(code);

	for (uint32_t r = 0; r < code->job->root_cnt; r++) {
		LLVMValueRef word = native_value(code, code->job->roots[r]);
		LLVMValueRef offset = native_const(code, r * sizeof(uint64_t));

		native_store(code, LLVMBuildAnd(code->builder, word, all, ""),
			     native_at(code, code->hits, offset), sizeof(uint64_t));
	}
}

static void native_run(struct native_code *code)
{
	LLVMTypeRef types[] = {code->bytes, code->i32, code->bytes};
	char name[NATIVE_NAME_BYTES];

	native_name(name, code->number);
	native_function(code, name, types, 3);
	/* what chooses and orders instructions takes more than linear time */
	if (code->lane_cnt > NATIVE_LANE_NODES_MAX) {
		native_attribute(code, "noinline");
		native_attribute(code, "optnone");
	}
	code->part = code->part_cnt;
	code->lanes = NATIVE_LANES;
	code->pkts = LLVMGetParam(code->function, 0);
	code->cnt = LLVMBuildZExt(code->builder, LLVMGetParam(code->function, 1), code->i64, "");
	code->hits = LLVMGetParam(code->function, 2);
	code->frame = native_room(code, code->frame_bytes);
	code->zeros = native_room(code, sizeof(uint32_t));
	native_store(code, LLVMConstInt(code->i32, 0, 0), code->zeros, sizeof(uint32_t));
	native_gather(code);
	for (uint32_t i = 0; i < code->job->node_cnt; i++)
		if (code->job->nodes[i].op == GRAPH_EXTERN && code->nodes[i].in_column)
			native_store(code, native_extern(code, code->job->nodes[i].k),
				     native_place(code, code->nodes[i].place), sizeof(uint64_t));
	native_call(code);
	native_answer(code);
	LLVMBuildRetVoid(code->builder);
}

static int native_emit(struct native_code *code, struct xfq_error *error)
{
	int failed;

	code->nodes = calloc(code->job->node_cnt + 1, sizeof(*code->nodes));
	if (!code->nodes)
		return xfq_error_set(error, -ENOMEM, "no memory to compile the expressions");
	failed = native_plan(code, error);
	if (failed == 0) {
		native_types(code);
		for (uint32_t part = 0; part < code->part_cnt; part++)
			native_part(code, part);
		native_run(code);
	}
	free(code->part_lanes);
	free(code->nodes);
	return failed;
}

/* All jobs as one object in memory, which is the caller's. */
static int native_object(LLVMMemoryBufferRef *object, LLVMTargetMachineRef machine,
			 const struct native_host *host, const struct native_job *jobs,
			 uint32_t cnt, struct xfq_error *error)
{
	LLVMContextRef context = LLVMContextCreate();
	LLVMModuleRef module = LLVMModuleCreateWithNameInContext("xfq", context);
	LLVMBuilderRef builder = LLVMCreateBuilderInContext(context);
	LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
	char *triple = LLVMGetTargetMachineTriple(machine), *text = NULL;
	int code = 0;

	LLVMSetModuleDataLayout(module, layout);
	LLVMSetTarget(module, triple);
	for (uint32_t i = 0; i < cnt && code == 0; i++) {
		struct native_code unit = {.host = host,
					   .job = &jobs[i],
					   .number = i,
					   .vector_lanes = native_vector_lanes(machine),
					   .context = context,
					   .module = module,
					   .builder = builder};

		code = native_emit(&unit, error);
	}
	if (code == 0 &&
	    LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMObjectFile, &text, object)) {
		code = xfq_error_set(error, -EIO, "LLVM, making code: %.200s", text);
		LLVMDisposeMessage(text);
	}
	LLVMDisposeMessage(triple);
	LLVMDisposeTargetData(layout);
	LLVMDisposeBuilder(builder);
	LLVMDisposeModule(module);
	LLVMContextDispose(context);
	return code;
}

/* --- from an object to code ------------------------------------------------------------------- */

/* Takes `object` over. */
static int native_link(struct native *native, LLVMMemoryBufferRef object, struct native_job *jobs,
		       uint32_t cnt, struct xfq_error *error)
{
	LLVMOrcLLJITRef jit;
	int code = native_fail(LLVMOrcCreateLLJIT(&jit, NULL), "starting", error);

	if (code) {
		LLVMDisposeMemoryBuffer(object);
		return code;
	}
	native->jit = jit;
	code = native_fail(LLVMOrcLLJITAddObjectFile(jit, LLVMOrcLLJITGetMainJITDylib(jit), object),
			   "linking", error);
	for (uint32_t i = 0; i < cnt && code == 0; i++) {
		char name[NATIVE_NAME_BYTES];
		LLVMOrcExecutorAddress address = 0;

		native_name(name, i);
		code = native_fail(LLVMOrcLLJITLookup(jit, &address, name), "linking", error);
		jobs[i].run = (unit_native *)(uintptr_t)address;
	}
	return code;
}

static void native_destroy(struct native *native)
{
	if (!native)
		return;
	if (native->jit)
		LLVMConsumeError(LLVMOrcDisposeLLJIT(native->jit));
	free(native);
}

static int native_check(const struct native_host *host)
{
	static const struct native_host wanted = NATIVE_HOST(NULL);

	if (host->version == wanted.version && host->packet_bytes == wanted.packet_bytes &&
	    host->meta_bytes == wanted.meta_bytes && host->node_bytes == wanted.node_bytes &&
	    host->error_bytes == wanted.error_bytes)
		return 0;
	return -EOPNOTSUPP; /* and no sentence: who knows how long that is there */
}

static int native_compile(struct native **native, const struct native_host *host,
			  struct native_job *jobs, uint32_t cnt, struct xfq_error *error)
{
	LLVMTargetMachineRef machine;
	LLVMMemoryBufferRef object;
	int code = native_check(host);

	*native = NULL;
	if (code == 0)
		code = native_start_llvm(error);
	if (code)
		return code;
	machine = native_machine(error);
	if (!machine)
		return -EIO;
	code = native_object(&object, machine, host, jobs, cnt, error);
	LLVMDisposeTargetMachine(machine);
	if (code)
		return code;
	*native = calloc(1, sizeof(**native));
	if (!*native) {
		LLVMDisposeMemoryBuffer(object);
		return xfq_error_set(error, -ENOMEM, "no memory for compiled expressions");
	}
	code = native_link(*native, object, jobs, cnt, error);
	if (code) {
		native_destroy(*native);
		*native = NULL;
	}
	return code;
}

const struct native_module *xfq_native_module(void);

const struct native_module *xfq_native_module(void)
{
	static const struct native_module module = {
		.version = NATIVE_VERSION,
		.compile = native_compile,
		.destroy = native_destroy,
	};

	return &module;
}
