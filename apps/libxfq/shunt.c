/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/libxfq/client.h"
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SHUNT_TCP  6
#define SHUNT_UDP  17
#define SHUNT_SCTP 132

int xfq_packet_flow(const struct xfq_packet *pkt, struct xfq_flow *flow)
{
	const struct xfq_meta *meta = pkt->meta;
	bool v6 = meta->flags & XFQ_META_IPV6;
	const uint8_t *l3 = pkt->data + meta->l3_off, *l4 = pkt->data + meta->l4_off;

	memset(flow, 0, sizeof(*flow));
	if (!meta->l3_off || meta->l3_off + (v6 ? 40U : 20U) > pkt->len)
		return -EINVAL;
	if (meta->flags & XFQ_META_FRAG_NEXT)
		return -ENODATA;
	flow->ip = v6 ? 6 : 4;
	flow->proto = meta->l4_proto;
	memcpy(flow->src, l3 + (v6 ? 8 : 12), v6 ? 16 : 4);
	memcpy(flow->dst, l3 + (v6 ? 24 : 16), v6 ? 16 : 4);
	if ((meta->flags & XFQ_META_PORTS) && meta->l4_off + 4U <= pkt->len) {
		flow->src_port = (uint16_t)(l4[0] << 8 | l4[1]);
		flow->dst_port = (uint16_t)(l4[2] << 8 | l4[3]);
	}
	return 0;
}

/* One end, as the instance reads it. */
static void shunt_end_text(char to[64], const struct xfq_flow *flow, const uint8_t *addr,
			   uint16_t port)
{
	bool ports =
		flow->proto == SHUNT_TCP || flow->proto == SHUNT_UDP || flow->proto == SHUNT_SCTP;
	bool v6 = flow->ip == 6;
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(v6 ? AF_INET6 : AF_INET, addr, text, sizeof(text));
	if (ports)
		snprintf(to, 64, "%s%s%s:%u", v6 ? "[" : "", text, v6 ? "]" : "", port);
	else
		snprintf(to, 64, "%s", text);
}

static int shunt_ask(struct xfq *xfq, const char *name, const struct xfq_flow *flow,
		     const char *more, struct xfq_error *error)
{
	char src[64], dst[64], json[512], *answer;
	struct client_command command = {.json = json};
	int code;

	if (flow->ip != 4 && flow->ip != 6)
		return xfq_error_set(error, -EINVAL, "a flow's ip is 4 or 6, and not %u", flow->ip);
	shunt_end_text(src, flow, flow->src, flow->src_port);
	shunt_end_text(dst, flow, flow->dst, flow->dst_port);
	snprintf(json, sizeof(json), "{\"command\":\"%s\",\"flow\":\"%u %s %s\"%s}", name,
		 flow->proto, src, dst, more);
	code = client_command(xfq, &command, &answer, error);
	if (code == 0)
		free(answer);
	return code;
}

int xfq_shunt_flow(struct xfq *xfq, const struct xfq_flow *flow,
		   const struct xfq_shunt_options *options, struct xfq_error *error)
{
	static const struct xfq_shunt_options defaults;
	uint64_t ns;
	char more[160];

	if (!options)
		options = &defaults;
	if (options->action != XFQ_SHUNT_DROP && options->action != XFQ_SHUNT_PASS)
		return xfq_error_set(error, -EINVAL, "no such action: %d", (int)options->action);
	if (!(options->seconds >= 0 && options->seconds <= 1e9) || options->packets > INT64_MAX)
		return xfq_error_set(error, -EINVAL,
				     "a flow is shunted for 0 to 1e9 seconds, and for a number of "
				     "packets");
	/* digit by digit: what printf puts into a number depends on the locale */
	ns = (uint64_t)ceil(options->seconds * 1e9);
	snprintf(more, sizeof(more), ",\"action\":\"%s\",\"packets\":%llu,\"seconds\":%llu.%09llu",
		 options->action == XFQ_SHUNT_DROP ? "drop" : "pass",
		 (unsigned long long)options->packets, (unsigned long long)(ns / 1000000000),
		 (unsigned long long)(ns % 1000000000));
	return shunt_ask(xfq, "shunt-add", flow, more, error);
}

int xfq_unshunt_flow(struct xfq *xfq, const struct xfq_flow *flow, struct xfq_error *error)
{
	return shunt_ask(xfq, "shunt-del", flow, "", error);
}
