/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/method.h"

static const char *const method_names[METHOD_CNT] = {
	[METHOD_FLOW] = "flow",
	[METHOD_IP_PAIR] = "ip-pair",
	[METHOD_ROUND_ROBIN] = "round-robin",
	[METHOD_BROADCAST] = "broadcast",
};

const char *method_name(enum method method)
{
	return method < METHOD_CNT ? method_names[method] : "unknown";
}
