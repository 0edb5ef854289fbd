/* SPDX-License-Identifier: BSD-2-Clause */
/* The command "reload" of the control socket; command.h says how commands are given. */
#ifndef INSTANCE_COMMAND_RELOAD_H
#define INSTANCE_COMMAND_RELOAD_H

#include "apps/instance/command.h"

json_t *command_reload_run(struct instance *instance, const json_t *request,
			   struct xfq_error *error);

#endif
