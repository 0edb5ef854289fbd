/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/notices.h"
#include "xdp/probe.h"
#include <stdarg.h>
#include <stdio.h>

#define NOTICES_BIT(feature) (1ULL << (feature))

/* What is told of when it is there is no news; without these nothing loads, and the error says
 * why. */
#define NOTICES_ALWAYS (NOTICES_BIT(PROBE_JIT))

struct notices {
	void (*say)(void *context, const char *text);
	void *context;
};

static void __attribute__((format(printf, 2, 3)))
notices_say(const struct notices *notices, const char *format, ...)
{
	char text[XFQ_ERROR_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	notices->say(notices->context, text);
}

uint64_t notices_wanted(const struct config *config)
{
	uint64_t wanted = config->interface_cnt ? NOTICES_ALWAYS : 0;

	for (uint32_t i = 0; i < config->interface_cnt; i++) {
		const struct config_interface *interface = &config->interfaces[i];

		if (interface->mode == CONFIG_MODE_AF_PACKET) {
			wanted |= NOTICES_BIT(PROBE_AF_PACKET) | NOTICES_BIT(PROBE_PROGRAM_SOCKET);
			continue;
		}
		wanted |= NOTICES_BIT(PROBE_AF_XDP) | NOTICES_BIT(PROBE_MAP_XSK) |
			  NOTICES_BIT(PROBE_PROGRAM_XDP) | NOTICES_BIT(PROBE_NEED_WAKEUP);
		/* only sockets of AF_XDP lock what they are given */
		if (!probe_has(PROBE_CAP_IPC_LOCK))
			wanted |= NOTICES_BIT(PROBE_MEMLOCK);
		if (interface->mode == CONFIG_MODE_MIRROR)
			wanted |= NOTICES_BIT(PROBE_PROGRAM_TC);
		else if (interface->attach == CONFIG_ATTACH_SHARED)
			wanted |= NOTICES_BIT(PROBE_DISPATCHER) | NOTICES_BIT(PROBE_BPFFS);
		else
			wanted |= NOTICES_BIT(PROBE_XDP_LINK);
	}
	if (config->has_egress)
		wanted |= NOTICES_BIT(PROBE_PROGRAM_TC);
	return wanted;
}

static void notices_missing(const struct config *config, const struct notices *notices)
{
	uint64_t wanted = notices_wanted(config);

	for (uint32_t i = 0; i < PROBE_CNT; i++)
		if ((wanted & NOTICES_BIT(i)) && probe_lacks(i))
			notices_say(notices, "missing here: %s; without it: no %s",
				    probe_row(i)->what, probe_row(i)->disables);
}

void notices_probe(const struct config *config)
{
	/* the limit is raised later, and asking for it takes no privilege */
	uint64_t wanted = notices_wanted(config) & ~NOTICES_BIT(PROBE_MEMLOCK);

	for (uint32_t i = 0; i < PROBE_CNT; i++)
		if (wanted & NOTICES_BIT(i))
			(void)probe_has(i);
}

void notices_of_config(const struct config *config, void (*say)(void *context, const char *text),
		       void *context)
{
	const struct notices notices = {say, context};

	notices_missing(config, &notices);
}

static void notices_of_packet(const struct engine *engine, uint32_t interface,
			      const struct notices *notices)
{
	const struct filter *filter = &engine->config->filter;
	const char *name = engine->interfaces[interface].name;

	if (engine->fell_back[interface])
		notices_say(notices,
			    "%s: XDP cannot be had here, as %s refuses it: received through packet "
			    "sockets instead (mode: af_packet says that this is wanted)",
			    name, probe_has_first_pass() ? "its driver" : "the kernel");
	notices_say(notices,
		    "%s: packet sockets: every packet is copied, and the host keeps all of them; "
		    "the rules decide what groups see, and nothing is dropped or sent back",
		    name);
	for (uint32_t r = 0; r < filter->rule_cnt; r++)
		if (filter->rules[r].action == FILTER_TX) {
			notices_say(notices, "%s: rule %u: tx sends nothing here", name, r);
			break;
		}
}

void notices_of_engine(const struct engine *engine, void (*say)(void *context, const char *text),
		       void *context)
{
	const struct notices notices = {say, context};

	if (engine->options.read_path)
		return;
	notices_missing(engine->config, &notices);
	for (uint32_t i = 0; i < engine->config->interface_cnt; i++) {
		if (engine->packet[i])
			notices_of_packet(engine, i, &notices);
		if (engine->loader.attach[i].alone)
			notices_say(&notices,
				    "%s: attach: shared: this kernel has no dispatcher, so the "
				    "program is alone here, and others are refused",
				    engine->interfaces[i].name);
	}
}
