/* SPDX-License-Identifier: BSD-2-Clause */
/* Interfaces that are received by packet sockets: those that want it so, and those where XDP cannot
 * be had. */
#include "workers/engine_parts.h"
#include "xdp/probe.h"
#include <errno.h>
#include <unistd.h>

void engine_choose_packet(struct engine *engine)
{
	for (uint32_t i = 0; i < engine->config->interface_cnt; i++) {
		enum config_mode mode = engine->config->interfaces[i].mode;

		engine->fell_back[i] = mode == CONFIG_MODE_AUTO && !probe_has_first_pass();
		engine->packet[i] = mode == CONFIG_MODE_AF_PACKET || engine->fell_back[i];
	}
}

bool engine_falls_back(struct engine *engine, uint32_t interface, int code)
{
	if (engine->config->interfaces[interface].mode != CONFIG_MODE_AUTO)
		return false;
	/* somebody else has it, it is off or gone, or we may not: no reason to do with less */
	if (code != -EOPNOTSUPP && code != -EINVAL && code != -ERANGE && code != -EAFNOSUPPORT &&
	    code != -ENXIO && code != -ENOTSUP)
		return false;
	loader_detach_one(&engine->loader, interface);
	for (uint32_t w = 0; w < engine->worker_cnt; w++) {
		struct worker *worker = &engine->workers[w];

		/* its port is the last one, if it came to that */
		if (worker->port_cnt > 0 &&
		    worker->ports[worker->port_cnt - 1].interface == interface) {
			struct port *port = &worker->ports[--worker->port_cnt];

			port_abandon(port, &worker->umem);
		}
	}
	engine->modes[interface] = ATTACH_MODE_NONE;
	engine->packet[interface] = engine->fell_back[interface] = true;
	return true;
}

int engine_open_packet(struct engine *engine, uint32_t interface, struct xfq_error *error)
{
	const struct port_options options = {
		.interface_name = engine->interfaces[interface].name,
		.interface = interface,
		.filter = &engine->config->filter,
	};
	int code = loader_packet_sockets(&engine->loader, error);

	for (uint32_t w = 0; w < engine->interfaces[interface].queue_cnt && code == 0; w++) {
		struct worker *worker = &engine->workers[w];
		struct port *port = &worker->ports[worker->port_cnt];

		code = port_open_packet(port, &options, error);
		if (code)
			port_close(port);
		else
			worker->port_cnt++;
	}
	return code;
}

/* All sockets of an interface first, then packets: else one would get what others are for. */
static int engine_connect_one(struct engine *engine, uint32_t interface, struct xfq_error *error)
{
	const struct interface *on = &engine->interfaces[interface];
	uint32_t group = 0;
	int code = 0;

	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t w = 0; w < engine->worker_cnt; w++) {
			struct worker *worker = &engine->workers[w];

			for (uint32_t p = 0; p < worker->port_cnt && code == 0; p++) {
				struct port *port = &worker->ports[p];

				if (!port->copies || port->interface != interface)
					continue;
				code = round ? loader_packet_socket(&engine->loader, port->fd,
								    error)
					     : af_packet_join(&port->packet, on->name, on->ifindex,
							      on->queue_cnt == 1, &group, error);
			}
		}
	return code;
}

int engine_connect_packet(struct engine *engine, struct xfq_error *error)
{
	int code = 0;

	for (uint32_t i = 0; i < engine->config->interface_cnt && code == 0; i++)
		if (engine->packet[i])
			code = engine_connect_one(engine, i, error);
	return code;
}

void engine_stop_packet(struct engine *engine)
{
	bool any = false;

	for (uint32_t w = 0; engine->workers && w < engine->worker_cnt; w++)
		for (uint32_t p = 0; p < engine->workers[w].port_cnt; p++)
			if (engine->workers[w].ports[p].copies) {
				af_packet_stop(&engine->workers[w].ports[p].packet);
				any = true;
			}
	if (any)
		usleep(AF_PACKET_LAST_MS * 1000);
}
