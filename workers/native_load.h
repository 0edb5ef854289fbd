/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads the compiler of units, xfq-native.so (steering/native/native.h), when it is first asked
 * for: by the RUNPATH of the program or library that this is in, else from where it was to be
 * installed. It stays loaded, and LLVM with it.
 */
#ifndef WORKERS_NATIVE_LOAD_H
#define WORKERS_NATIVE_LOAD_H

#include "steering/policy.h"
#include <xfq/error.h>

/*
 * Compile the units of a policy that was built: from now on unit_run() is machine code, which
 * policy_destroy() frees. 0, also where there is nothing to compile, or nothing is left to be; or
 * with a sentence, and the policy goes on interpreted: -ENOENT where there is no such module,
 * -EOPNOTSUPP where it is of another build, or this was built without LLVM; -E2BIG, -ENOMEM, -EIO
 * as native_module.compile. Set-up only, any thread, before a worker has the policy: it takes tens
 * of milliseconds, and hundreds with hundreds of expressions.
 */
int native_load_compile(struct policy *policy, struct xfq_error *error);

#endif
