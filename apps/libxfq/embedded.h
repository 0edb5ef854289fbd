/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the embedded form share: a config on its way to an instance. */
#ifndef LIBXFQ_EMBEDDED_H
#define LIBXFQ_EMBEDDED_H

#include "workers/config.h"
#include <xfq/xfq.h>

struct xfq_config {
	struct config config; /* the name is empty until somebody gives it one */
};

/* Move the content to `to`, with a name if it has none; `config` is then as new. */
void embedded_take_config(struct xfq_config *config, struct config *to);

/* Whether all `cnt` bytes of a structure's reserved field are 0. */
static inline bool embedded_unused(const uint8_t *reserved, size_t cnt)
{
	while (cnt > 0 && reserved[cnt - 1] == 0)
		cnt--;
	return cnt == 0;
}

#endif
