/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may join a group, in words, for tables and plans. */
#ifndef INSTANCE_ACCESS_TEXT_H
#define INSTANCE_ACCESS_TEXT_H

#include "workers/config.h"
#include <stddef.h>
#include <sys/types.h>

/*
 * "user root", "user root, group ids", "everyone", "user 1000, everyone but group guests", "root
 * alone". `self` is what CONFIG_USER_SELF stands for. Names are looked up; an id without one is
 * shown as a number. The text is cut to `size`, and always terminated. One thread at a time.
 */
void access_text(const struct config_access *access, uid_t self, char *text, size_t size);

#endif
