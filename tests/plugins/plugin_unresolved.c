/* SPDX-License-Identifier: BSD-2-Clause */
/* A plug-in that needs what is nowhere. */
#include <xfq/plugin.h>

int plugin_that_is_nowhere(void);

const struct xfq_plugin *xfq_plugin(void)
{
	return plugin_that_is_nowhere() ? NULL : NULL;
}
