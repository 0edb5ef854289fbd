/* SPDX-License-Identifier: BSD-2-Clause */
/* A plug-in of another version. */
#include <xfq/plugin.h>

static uint64_t match(void *state, const struct xfq_plugin_burst *burst, uint64_t wanted)
{
	(void)state;
	(void)burst;
	return wanted;
}

const struct xfq_plugin *xfq_plugin(void)
{
	static const struct xfq_plugin plugin = {
		.version = XFQ_PLUGIN_VERSION + 1,
		.size = sizeof(plugin),
		.name = "version",
		.match = match,
	};

	return &plugin;
}
