/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plug-ins of a configuration (xfq/plugin.h):
 *
 *	plugins:
 *	  voip: { file: ./steer_voip.so, args: { port: 5060 } }
 *
 * The file is relative to the configuration's folder; that it is there is all that is looked at
 * here. Without one an application gives the functions: xfq_config_plugin().
 */
#ifndef INSTANCE_CONFIG_PLUGIN_H
#define INSTANCE_CONFIG_PLUGIN_H

#include "apps/instance/config_schema.h"

#define CONFIG_PLUGIN_ARGS_MAX 32
#define CONFIG_PLUGIN_ARG_MAX  4096 /* bytes of a value */

/* Read `plugins` into a struct config. Errors go to the reader. */
void config_plugins_read(struct config_reader *reader, int node, void *object);

#endif
