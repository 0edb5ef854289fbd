/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the TC programs and user space share, besides xdp_abi.h. */
#ifndef XDP_TC_ABI_H
#define XDP_TC_ABI_H

#include "xdp/xdp_abi.h"

/* Where the packets of a mirrored interface are cloned to; both 0: none. */
struct tc_mirror {
	__u32 ifindex; /* the interface */
	__u32 near;    /* this end of the pair */
};

/* The mark of a clone on its way into the pair: nothing else gets in. */
#define TC_MIRROR_MARK 0x58465121

_Static_assert(sizeof(struct tc_mirror) == 8, "mirror without holes");

#endif
