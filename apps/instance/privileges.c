/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/privileges.h"
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

/* What it takes to make maps, load programs, and attach them to interfaces. */
static const cap_value_t privileges_reload[] = {CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN};

#define PRIVILEGES_RELOAD (sizeof(privileges_reload) / sizeof(privileges_reload[0]))

static bool privileges_dropped, privileges_left;

/* What of it the thread has, permitted and not effective, in `keep`. */
static int privileges_select(cap_t keep)
{
	cap_t now = cap_get_proc();
	int code = now ? 0 : -errno;

	for (size_t i = 0; i < PRIVILEGES_RELOAD && code == 0; i++) {
		cap_flag_value_t has = CAP_CLEAR;

		if (cap_get_flag(now, privileges_reload[i], CAP_PERMITTED, &has) == 0 &&
		    has == CAP_SET &&
		    cap_set_flag(keep, CAP_PERMITTED, 1, &privileges_reload[i], CAP_SET))
			code = -errno;
	}
	cap_free(now);
	return code;
}

int privileges_drop(bool reload, struct xfq_error *error)
{
	cap_t keep = cap_init();
	int code = keep ? 0 : -errno;

	if (code == 0 && reload)
		code = privileges_select(keep);
	/* the bounding set first: that takes a capability. Without CAP_SETPCAP it stays, and means
	 * nothing, as no_new_privs keeps exec() from taking anything out of it */
	for (cap_value_t cap = 0; code == 0 && cap <= cap_max_bits(); cap++)
		if (cap_get_bound(cap) > 0)
			(void)cap_drop_bound(cap);
	if (code == 0 &&
	    (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || cap_reset_ambient() || cap_set_proc(keep)))
		code = -errno;
	cap_free(keep);
	privileges_dropped = code == 0;
	privileges_left = reload;
	return code ? xfq_error_set(error, code, "giving up privileges: %s", strerror(-code)) : 0;
}

/* Make what is permitted effective, or nothing of it. */
static void privileges_use(cap_flag_value_t use)
{
	cap_t now = privileges_dropped && privileges_left ? cap_get_proc() : NULL;

	if (!now)
		return;
	for (size_t i = 0; i < PRIVILEGES_RELOAD; i++) {
		cap_flag_value_t has = CAP_CLEAR;

		(void)cap_get_flag(now, privileges_reload[i], CAP_PERMITTED, &has);
		if (has == CAP_SET)
			(void)cap_set_flag(now, CAP_EFFECTIVE, 1, &privileges_reload[i], use);
	}
	/* where it fails, what is to be done next says so */
	(void)cap_set_proc(now);
	cap_free(now);
}

void privileges_raise(void)
{
	privileges_use(CAP_SET);
}

void privileges_lower(void)
{
	privileges_use(CAP_CLEAR);
}
