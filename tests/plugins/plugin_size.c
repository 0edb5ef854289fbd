/* SPDX-License-Identifier: BSD-2-Clause */
/* A plug-in whose structure is too small. */
#include <xfq/plugin.h>

const struct xfq_plugin *xfq_plugin(void)
{
	static const struct xfq_plugin plugin = {
		.version = XFQ_PLUGIN_VERSION,
		.size = 16,
		.name = "size",
	};

	return &plugin;
}
