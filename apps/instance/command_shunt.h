/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands "shunt-add", "shunt-del" and "shunt-list" of the control socket; command.h says how
 * commands are given. A flow is text, as xdp/flow_text.h has it:
 *
 *	{"command": "shunt-add", "flow": F, "action": "drop" or "pass", "packets": N, "seconds": S}
 *	{"command": "shunt-del", "flow": F}
 *	{"command": "shunt-list", "most": N}
 *
 * "packets", "seconds" and "most" may be missing. The first two are also for those who may join a
 * group whose config says `shunt: true`.
 */
#ifndef INSTANCE_COMMAND_SHUNT_H
#define INSTANCE_COMMAND_SHUNT_H

#include "apps/instance/command.h"

json_t *command_shunt_add(struct instance *instance, const json_t *request,
			  struct xfq_error *error);
json_t *command_shunt_del(struct instance *instance, const json_t *request,
			  struct xfq_error *error);
json_t *command_shunt_list(struct instance *instance, const json_t *request,
			   struct xfq_error *error);
bool command_shunt_allows(const struct instance *instance, const struct access_asker *asker,
			  const json_t *request);

#endif
