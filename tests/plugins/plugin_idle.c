/* SPDX-License-Identifier: BSD-2-Clause */
/* A plug-in that can do nothing. */
#include <xfq/plugin.h>

const struct xfq_plugin *xfq_plugin(void)
{
	static const struct xfq_plugin plugin = {
		.version = XFQ_PLUGIN_VERSION,
		.size = sizeof(plugin),
		.name = "idle",
	};

	return &plugin;
}
