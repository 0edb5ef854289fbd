/* SPDX-License-Identifier: BSD-2-Clause */
/* Expressions that loop, and so are no graph: libpcap's interpreter is called for each packet. */
#include "steering/native/native_code.h"

static LLVMValueRef native_extern_ask(struct native_code *code, uint32_t number, LLVMValueRef i)
{
	LLVMTypeRef types[] = {code->bytes, code->bytes, code->i32, code->i32};
	LLVMTypeRef type = LLVMFunctionType(code->i32, types, 4, 0);
	LLVMValueRef filter = LLVMConstIntToPtr(native_const(code, (uintptr_t)code->host->filter),
						LLVMPointerType(type, 0));
	LLVMValueRef insns = LLVMConstIntToPtr(
		native_const(code, (uintptr_t)code->job->expressions[number]->insns), code->bytes);
	struct native_lengths pkt = native_lengths(code, i);
	LLVMValueRef arguments[] = {insns, pkt.data, pkt.wire_len, pkt.len};

	return LLVMBuildICmp(code->builder, LLVMIntNE,
			     LLVMBuildCall2(code->builder, type, filter, arguments, 4, ""),
			     LLVMConstInt(code->i32, 0, 0), "");
}

LLVMValueRef native_extern(struct native_code *code, uint32_t number)
{
	LLVMBasicBlockRef before = LLVMGetInsertBlock(code->builder), head, body, after;
	LLVMValueRef i, word, bit, nexts[2], words[2];

	head = LLVMAppendBasicBlockInContext(code->context, code->function, "");
	body = LLVMAppendBasicBlockInContext(code->context, code->function, "");
	after = LLVMAppendBasicBlockInContext(code->context, code->function, "");
	LLVMBuildBr(code->builder, head);
	LLVMPositionBuilderAtEnd(code->builder, head);
	i = LLVMBuildPhi(code->builder, code->i64, "");
	word = LLVMBuildPhi(code->builder, code->i64, "");
	LLVMBuildCondBr(code->builder, LLVMBuildICmp(code->builder, LLVMIntULT, i, code->cnt, ""),
			body, after);
	LLVMPositionBuilderAtEnd(code->builder, body);
	bit = LLVMBuildZExt(code->builder, native_extern_ask(code, number, i), code->i64, "");
	nexts[0] = words[0] = native_const(code, 0);
	nexts[1] = LLVMBuildAdd(code->builder, i, native_const(code, 1), "");
	words[1] = LLVMBuildOr(code->builder, word, LLVMBuildShl(code->builder, bit, i, ""), "");
	LLVMBuildBr(code->builder, head);
	LLVMAddIncoming(i, nexts, (LLVMBasicBlockRef[]){before, body}, 2);
	LLVMAddIncoming(word, words, (LLVMBasicBlockRef[]){before, body}, 2);
	LLVMPositionBuilderAtEnd(code->builder, after);
	return word;
}
