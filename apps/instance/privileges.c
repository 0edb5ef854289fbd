/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/privileges.h"
#include <errno.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

int privileges_drop(struct xfq_error *error)
{
	cap_t none = cap_init();
	int code = none ? 0 : -errno;

	/* the bounding set first: that takes a capability. Without CAP_SETPCAP it stays, and means
	 * nothing, as no_new_privs keeps exec() from taking anything out of it */
	for (cap_value_t cap = 0; code == 0 && cap <= cap_max_bits(); cap++)
		if (cap_get_bound(cap) > 0)
			(void)cap_drop_bound(cap);
	if (code == 0 &&
	    (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || cap_reset_ambient() || cap_set_proc(none)))
		code = -errno;
	cap_free(none);
	return code ? xfq_error_set(error, code, "giving up privileges: %s", strerror(-code)) : 0;
}
