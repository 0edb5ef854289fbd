/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/access_text.h"
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>

#define ACCESS_TEXT_BYTES 264 /* of one user or group: LOGIN_NAME_MAX and its kind */

static void access_text_user(uid_t uid, char *to, size_t size)
{
	const struct passwd *entry = getpwuid(uid);

	if (entry)
		snprintf(to, size, "user %s", entry->pw_name);
	else
		snprintf(to, size, "user %u", uid);
}

/* Empty for none. */
static void access_text_group(gid_t gid, char *to, size_t size)
{
	const struct group *entry = gid == CONFIG_GROUP_NONE ? NULL : getgrgid(gid);

	to[0] = '\0';
	if (entry)
		snprintf(to, size, "group %s", entry->gr_name);
	else if (gid != CONFIG_GROUP_NONE)
		snprintf(to, size, "group %u", gid);
}

void access_text(const struct config_access *access, uid_t self, char *text, size_t size)
{
	uid_t uid = access->user == CONFIG_USER_SELF ? self : access->user;
	bool by_user = access->mode & CONFIG_ACCESS_USER;
	bool by_group = access->mode & CONFIG_ACCESS_GROUP;
	bool others = access->mode & CONFIG_ACCESS_OTHERS;
	char user[ACCESS_TEXT_BYTES], group[ACCESS_TEXT_BYTES];
	const char *first = "", *wide = "", *but_user = "", *but_group = "";

	access_text_user(uid, user, sizeof(user));
	access_text_group(access->group, group, sizeof(group));
	/* what is allowed by the user's bit, what by the others, and who is taken out of that */
	if (others)
		wide = "everyone";
	else if (by_group)
		wide = group;
	if (others && !by_group)
		but_group = group;
	if (wide[0] && !by_user)
		but_user = user;
	if (by_user && (!others || but_group[0]))
		first = user;
	if (!first[0] && !wide[0])
		first = "root alone";
	snprintf(text, size, "%s%s%s%s%s%s%s", first, first[0] && wide[0] ? ", " : "", wide,
		 but_user[0] || but_group[0] ? " but " : "", but_user,
		 but_user[0] && but_group[0] ? ", " : "", but_group);
}
