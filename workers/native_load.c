/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/native_load.h"
#include "steering/native/native.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>

#ifdef XFQ_NATIVE_DIR /* built with LLVM: where the module is installed */

#define NATIVE_LOAD_NAME  "xfq-native.so"
#define NATIVE_LOAD_UNITS 3 /* of a policy */

static pthread_mutex_t native_load_lock = PTHREAD_MUTEX_INITIALIZER; /* also of LLVM's use */
static const struct native_module *native_load_module;

/* Whether a module was found, and is of this version. */
static bool native_load_fits(void *handle)
{
	native_entry *entry = handle ? (native_entry *)dlsym(handle, NATIVE_ENTRY) : NULL;

	return entry && entry()->version == NATIVE_VERSION;
}

/* The module, which stays; NULL on failure. Under the lock. */
static int native_load(const struct native_module **module, struct xfq_error *error)
{
	const int how = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
	native_entry *entry;
	void *handle;

	*module = native_load_module;
	if (*module)
		return 0;
	handle = dlopen(NATIVE_LOAD_NAME, how);
	if (!native_load_fits(handle)) {
		void *installed = dlopen(XFQ_NATIVE_DIR "/" NATIVE_LOAD_NAME, how);

		handle = installed ? installed : handle;
	}
	if (!handle)
		return xfq_error_set(
			error, -ENOENT,
			"expressions are interpreted, not compiled: %.200s; install libLLVM "
			"14 and " NATIVE_LOAD_NAME,
			dlerror());
	entry = (native_entry *)dlsym(handle, NATIVE_ENTRY);
	if (!native_load_fits(handle))
		return xfq_error_set(
			error, -EOPNOTSUPP,
			"expressions are interpreted, not compiled: the " NATIVE_LOAD_NAME
			" that was found is of another version of XFQ");
	*module = native_load_module = entry();
	return 0;
}

static void native_load_free(void *native)
{
	pthread_mutex_lock(&native_load_lock);
	native_load_module->destroy(native);
	pthread_mutex_unlock(&native_load_lock);
}

static int native_load_jobs(struct policy *policy, struct unit *const *units,
			    struct native_job *jobs, uint32_t cnt, struct xfq_error *error)
{
	static const struct native_host host = NATIVE_HOST(bpf_filter);
	const struct native_module *module;
	struct native *native;
	int code = native_load(&module, error);

	if (!module)
		return code;
	code = module->compile(&native, &host, jobs, cnt, error);
	if (code == -EOPNOTSUPP)
		return xfq_error_set(
			error, code,
			"expressions are interpreted, not compiled: the " NATIVE_LOAD_NAME
			" that was found is of another build of XFQ");
	if (code)
		return code;
	for (uint32_t i = 0; i < cnt; i++)
		unit_set_native(units[i], jobs[i].run);
	policy->native = native;
	policy->free_native = native_load_free;
	return 0;
}

int native_load_compile(struct policy *policy, struct xfq_error *error)
{
	struct unit *all[NATIVE_LOAD_UNITS] = {&policy->outer.unit, &policy->inner.unit,
					       &policy->rest.unit};
	struct native_job jobs[NATIVE_LOAD_UNITS];
	struct unit *units[NATIVE_LOAD_UNITS];
	uint32_t cnt = 0;
	int code;

	for (uint32_t i = 0; i < NATIVE_LOAD_UNITS; i++) {
		if (all[i]->cnt == 0 || all[i]->native)
			continue;
		units[cnt] = all[i];
		jobs[cnt++] = (struct native_job){
			.nodes = all[i]->graph.nodes,
			.node_cnt = all[i]->graph.cnt,
			.root_cnt = all[i]->cnt,
			.roots = all[i]->roots,
			.expressions = all[i]->expressions,
		};
	}
	if (cnt == 0)
		return 0;
	pthread_mutex_lock(&native_load_lock);
	code = native_load_jobs(policy, units, jobs, cnt, error);
	pthread_mutex_unlock(&native_load_lock);
	return code;
}

#else

int native_load_compile(struct policy *policy, struct xfq_error *error)
{
	(void)policy;
	return xfq_error_set(error, -EOPNOTSUPP,
			     "expressions are interpreted, not compiled: XFQ was built without "
			     "LLVM (XFQ_LLVM=OFF)");
}

#endif
