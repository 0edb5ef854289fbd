/* SPDX-License-Identifier: BSD-2-Clause */
/* The interpreter's kernels for any processor of the architecture. */
#define UNIT_SUFFIX(name) name##_plain
#define UNIT_TARGET
#define UNIT_VECTOR 16
#include "steering/unit_kernels.h"
