/* SPDX-License-Identifier: BSD-2-Clause */
#include "workers/engine_parts.h"
#include <errno.h>

int engine_make_replay_shunt(struct engine *engine, struct xfq_error *error)
{
	uint32_t flows = engine->config->filter.shunt_flows;

	if (flows == 0)
		return 0;
	if (shunt_table_create(&engine->replay.shunt, flows))
		return xfq_error_set(error, -ENOMEM, "no memory for a shunt table of %u flows",
				     flows);
	engine->replay.judge.pass.shunt = &engine->replay.shunt;
	return 0;
}

int engine_shunt(struct engine *engine, struct shunt *shunt, struct xfq_error *error)
{
	if (engine->options.read_path) {
		if (engine->replay.judge.kernel)
			return loader_shunt(&engine->replay.judge.loader, shunt, error);
		if (!engine->replay.judge.pass.shunt)
			return xfq_error_set(error, -EOPNOTSUPP,
					     "there is no shunt table: filter.shunt is 0 in the "
					     "config");
		*shunt = (struct shunt){
			.flows_fd = -1, .state_fd = -1, .table = &engine->replay.shunt};
		return 0;
	}
	if (!engine->loader.attached)
		return xfq_error_set(error, -EOPNOTSUPP,
				     "there is no shunt table: no interface runs an XDP program");
	return loader_shunt(&engine->loader, shunt, error);
}
