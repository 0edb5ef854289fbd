/* SPDX-License-Identifier: BSD-2-Clause */
/* Every encapsulation that is looked into, as something that can be put around a packet. */
#ifndef TESTS_TUNNEL_WRAPS_H
#define TESTS_TUNNEL_WRAPS_H

#include "steering/tunnel.h"
#include "tests/tunnel_builder.h"

/* `ip`: version of the outer addresses, where there are any; `back`: from the far end. */
typedef void wrap_make(struct nest *n, uint32_t ip, bool back);

static void wrap_vlan3(struct nest *n, uint32_t ip, bool back)
{
	(void)ip;
	(void)back;
	nest_vlan(n, 0x88a8, 1);
	nest_vlan(n, 0x8100, 2);
	nest_vlan(n, 0x8100, 3);
}

static void wrap_mpls(struct nest *n, uint32_t ip, bool back)
{
	(void)ip;
	(void)back;
	nest_mpls(n, 1, false);
}

static void wrap_mpls_tagged(struct nest *n, uint32_t ip, bool back)
{
	(void)ip;
	(void)back;
	nest_vlan(n, 0x8100, 1);
	nest_mpls(n, 3, false);
}

static void wrap_wire(struct nest *n, uint32_t ip, bool back)
{
	(void)ip;
	(void)back;
	nest_mpls(n, 2, false);
	nest_frame(n);
}

static void wrap_wire_control(struct nest *n, uint32_t ip, bool back)
{
	(void)ip;
	(void)back;
	nest_mpls(n, 2, true);
	nest_frame(n);
}

static void wrap_pppoe(struct nest *n, uint32_t ip, bool back)
{
	(void)ip;
	(void)back;
	nest_pppoe(n);
}

static void wrap_pppoe_tagged(struct nest *n, uint32_t ip, bool back)
{
	(void)ip;
	(void)back;
	nest_vlan(n, 0x88a8, 1);
	nest_vlan(n, 0x8100, 2);
	nest_pppoe(n);
}

static void wrap_ipip(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
}

static void wrap_ipip_tagged(struct nest *n, uint32_t ip, bool back)
{
	nest_vlan(n, 0x8100, 1);
	nest_ip(n, ip, back);
}

static void wrap_ah(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_extension(n, 51, 24);
}

static void wrap_gre(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_gre(n, 0);
}

static void wrap_gre_fields(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_gre(n, 0xb000);
}

static void wrap_gre_frame(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_gre(n, 0x2000); /* NVGRE */
	nest_frame(n);
}

static void wrap_gre_frame_tagged(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_gre(n, 0);
	nest_frame(n);
	nest_vlan(n, 0x8100, 6);
}

static void wrap_gre_vlan(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_gre(n, 0x1000);
	nest_vlan(n, 0x8100, 9);
}

static void wrap_gre_mpls(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_gre(n, 0x8000);
	nest_mpls(n, 2, false);
}

static void wrap_erspan1(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_erspan(n, 1, false);
	nest_frame(n);
}

static void wrap_erspan2(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_erspan(n, 2, false);
	nest_frame(n);
}

static void wrap_erspan3(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_erspan(n, 3, false);
	nest_frame(n);
}

static void wrap_erspan3_more(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_erspan(n, 3, true);
	nest_frame(n);
	nest_vlan(n, 0x8100, 4);
	nest_vlan(n, 0x8100, 5);
}

static void wrap_vxlan(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_udp(n, 4789);
	nest_vxlan(n);
	nest_frame(n);
}

static void wrap_vxlan_linux(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_udp(n, 8472);
	nest_vxlan(n);
	nest_frame(n);
}

static void wrap_gpe(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_udp(n, 4790);
	nest_vxlan_gpe(n);
}

static void wrap_gpe_frame(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_udp(n, 4790);
	nest_vxlan_gpe(n);
	nest_frame(n);
}

static void wrap_gpe_mpls(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_udp(n, 4790);
	nest_vxlan_gpe(n);
	nest_mpls(n, 1, false);
}

static void wrap_geneve(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_udp(n, 6081);
	nest_geneve(n, 0);
	nest_frame(n);
}

static void wrap_geneve_options(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_udp(n, 6081);
	nest_geneve(n, 8);
	nest_frame(n);
}

static void wrap_geneve_ip(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_udp(n, 6081);
	nest_geneve(n, 124);
}

static void wrap_gtpu(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_udp(n, 2152);
	nest_gtpu(n, 0, 0);
}

static void wrap_gtpu_sequence(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_udp(n, 2152);
	nest_gtpu(n, 2, 0);
}

static void wrap_gtpu_extensions(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_udp(n, 2152);
	nest_gtpu(n, 7, 3);
}

static void wrap_teredo(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_udp(n, 3544);
	nest_teredo(n, false, false);
}

static void wrap_teredo_back(struct nest *n, uint32_t ip, bool back)
{
	nest_ip(n, ip, back);
	nest_udp_ports(n, 3544, 50000);
	nest_teredo(n, true, true);
}

enum {
	WRAP_IP = 1,    /* outer addresses of either version */
	WRAP_TEREDO = 2 /* in it can only be IPv6, of Teredo's addresses */
};

static const struct wrap {
	const char *name;
	wrap_make *make;
	enum tunnel_kind kind; /* the last one */
	uint32_t flags;
} wraps[] = {
	{"three tags", wrap_vlan3, TUNNEL_VLAN, 0},
	{"MPLS", wrap_mpls, TUNNEL_MPLS, 0},
	{"tagged, MPLS", wrap_mpls_tagged, TUNNEL_MPLS, 0},
	{"pseudowire", wrap_wire, TUNNEL_MPLS, 0},
	{"pseudowire, control word", wrap_wire_control, TUNNEL_MPLS, 0},
	{"PPPoE", wrap_pppoe, TUNNEL_PPPOE, 0},
	{"PPPoE in two tags", wrap_pppoe_tagged, TUNNEL_PPPOE, 0},
	{"IP in IP", wrap_ipip, TUNNEL_IPIP, WRAP_IP},
	{"IP in tagged IP", wrap_ipip_tagged, TUNNEL_IPIP, WRAP_IP},
	{"IP in AH", wrap_ah, TUNNEL_IPIP, WRAP_IP},
	{"GRE", wrap_gre, TUNNEL_GRE, WRAP_IP},
	{"GRE, all fields", wrap_gre_fields, TUNNEL_GRE, WRAP_IP},
	{"NVGRE", wrap_gre_frame, TUNNEL_GRE, WRAP_IP},
	{"tagged frame in GRE", wrap_gre_frame_tagged, TUNNEL_GRE, WRAP_IP},
	{"GRE, VLAN", wrap_gre_vlan, TUNNEL_VLAN, WRAP_IP},
	{"GRE, MPLS", wrap_gre_mpls, TUNNEL_MPLS, WRAP_IP},
	{"ERSPAN I", wrap_erspan1, TUNNEL_ERSPAN, WRAP_IP},
	{"ERSPAN II", wrap_erspan2, TUNNEL_ERSPAN, WRAP_IP},
	{"ERSPAN III", wrap_erspan3, TUNNEL_ERSPAN, WRAP_IP},
	{"ERSPAN III, more", wrap_erspan3_more, TUNNEL_ERSPAN, WRAP_IP},
	{"VXLAN", wrap_vxlan, TUNNEL_VXLAN, WRAP_IP},
	{"VXLAN, old port", wrap_vxlan_linux, TUNNEL_VXLAN, WRAP_IP},
	{"VXLAN-GPE", wrap_gpe, TUNNEL_VXLAN, WRAP_IP},
	{"VXLAN-GPE, frame", wrap_gpe_frame, TUNNEL_VXLAN, WRAP_IP},
	{"VXLAN-GPE, MPLS", wrap_gpe_mpls, TUNNEL_MPLS, WRAP_IP},
	{"GENEVE", wrap_geneve, TUNNEL_GENEVE, WRAP_IP},
	{"GENEVE, options", wrap_geneve_options, TUNNEL_GENEVE, WRAP_IP},
	{"GENEVE, IP", wrap_geneve_ip, TUNNEL_GENEVE, WRAP_IP},
	{"GTP-U", wrap_gtpu, TUNNEL_GTPU, WRAP_IP},
	{"GTP-U, sequence", wrap_gtpu_sequence, TUNNEL_GTPU, WRAP_IP},
	{"GTP-U, extensions", wrap_gtpu_extensions, TUNNEL_GTPU, WRAP_IP},
	{"Teredo", wrap_teredo, TUNNEL_TEREDO, WRAP_IP | WRAP_TEREDO},
	{"Teredo, both headers", wrap_teredo_back, TUNNEL_TEREDO, WRAP_IP | WRAP_TEREDO},
};

#define WRAP_CNT (sizeof(wraps) / sizeof(wraps[0]))

/* Whether a wrap can be around this version of IP. */
static inline bool wrap_takes(const struct wrap *wrap, uint32_t outer, uint32_t inner)
{
	return (outer == 4 || wrap->flags & WRAP_IP) &&
	       (inner == 6 || !(wrap->flags & WRAP_TEREDO));
}

/* The end of a nest: a packet of the one flow that all of them carry. */
static inline void nest_inside(struct nest *n, uint32_t ip, bool teredo, bool back, uint32_t bytes)
{
	n->hosts = 200;
	nest_ip(n, ip, back);
	if (teredo) /* near end, wherever it stands */
		packet_put32(&n->b, n->b.l3 + (back ? 24 : 8), 0x20010000);
	nest_tcp(n, back ? 80 : 1000, back ? 1000 : 80);
	nest_bytes(n, bytes);
	nest_finish(n);
}

/* A packet of that flow in one encapsulation. */
static inline void nest_make(struct nest *n, const struct wrap *wrap, uint32_t outer,
			     uint32_t inner, bool back, uint32_t bytes)
{
	nest_start(n);
	wrap->make(n, outer, back);
	nest_inside(n, inner, wrap->flags & WRAP_TEREDO, back, bytes);
}

#endif
