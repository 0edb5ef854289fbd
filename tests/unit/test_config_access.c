/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration file: who may join a group, and what a group is where nothing is said. */
#include "apps/instance/access_text.h"
#include "config_check.h"
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

static void check_access_text(const char *text, uint32_t user, uint32_t group, uint32_t mode)
{
	struct config config;
	char whole[1024];

	snprintf(whole, sizeof(whole), "groups:\n  a:\n    access: %s\n", text);
	read_good(&config, whole);
	check_access(&config.groups[0].access, user, group, mode);
	config_destroy(&config);
}

static void test_access(void **state)
{
	const uint32_t self = CONFIG_USER_SELF, none = CONFIG_GROUP_NONE;

	(void)state;
	check_access_text("private", self, none, 0400);
	check_access_text("restricted", self, getegid(), 0440);
	check_access_text("\"shared\"", self, none, 0444);
	check_access_text("{}", self, none, 0400);
	check_access_text("{ user: 4294967294 }", 4294967294, none, 0400);
	check_access_text("{ user: 0, group: \"7\" }", 0, 7, 0440);
	check_access_text("{ group: 4294967294 }", self, 4294967294, 0440);
	/* octal with and without quotes and the 0 in front, before and behind the other keys */
	check_access_text("{ mode: 0440, group: 7 }", self, 7, 0440);
	check_access_text("{ group: 7, mode: \"0440\" }", self, 7, 0440);
	check_access_text("{ group: 7, mode: 400 }", self, 7, 0400);
	check_access_text("{ group: 7, mode: \"044\" }", self, 7, 0044);
	check_access_text("{ mode: 0444 }", self, none, 0444);
	check_access_text("{ mode: 0404 }", self, none, 0404);
	check_access_text("{ mode: 0004 }", self, none, 0004);
	check_access_text("{ mode: 0000 }", self, none, 0);
	check_access_text("\n      user: root", 0, none, 0400);
}

/* Names that this machine knows, whatever it is: those of who runs the test. */
static void test_access_names(void **state)
{
	const struct passwd *user = getpwuid(geteuid());
	const struct group *group = getgrgid(getegid());
	char text[640];

	(void)state;
	if (!user || !group) {
		print_message("skipped: who runs this has no name\n");
		skip();
	}
	snprintf(text, sizeof(text), "{ user: \"%s\" }", user->pw_name);
	check_access_text(text, geteuid(), CONFIG_GROUP_NONE, 0400);
	snprintf(text, sizeof(text), "{ group: \"%s\" }", group->gr_name);
	check_access_text(text, CONFIG_USER_SELF, getegid(), 0440);
	snprintf(text, sizeof(text), "{ user: \"%s\", group: \"%s\", mode: 0404 }", user->pw_name,
		 group->gr_name);
	check_access_text(text, geteuid(), getegid(), 0404);
}

static void check_words(uint32_t user, uint32_t group, uint16_t mode, const char *wanted)
{
	const struct config_access access = {.user = user, .group = group, .mode = mode};
	char text[160];

	access_text(&access, 4000000001, text, sizeof(text));
	assert_string_equal(text, wanted);
}

/* Ids that no machine has a name for, and root. */
static void test_access_words(void **state)
{
	const uint32_t self = CONFIG_USER_SELF, none = CONFIG_GROUP_NONE, ids = 4000000002;
	const struct config_access access = {.user = self, .group = ids, .mode = 0440};
	char text[8];

	(void)state;
	check_words(self, none, 0400, "user 4000000001");
	check_words(0, none, 0400, "user root");
	check_words(self, ids, 0440, "user 4000000001, group 4000000002");
	check_words(self, none, 0440, "user 4000000001");
	check_words(self, ids, 0400, "user 4000000001");
	check_words(self, ids, 0040, "group 4000000002 but user 4000000001");
	check_words(self, none, 0444, "everyone");
	check_words(self, ids, 0444, "everyone");
	check_words(self, none, 0404, "everyone");
	check_words(self, ids, 0404, "user 4000000001, everyone but group 4000000002");
	check_words(self, ids, 0044, "everyone but user 4000000001");
	check_words(self, ids, 0004, "everyone but user 4000000001, group 4000000002");
	check_words(self, none, 0004, "everyone but user 4000000001");
	check_words(self, none, 0040, "root alone");
	check_words(self, ids, 0, "root alone");
	access_text(&access, 0, text, sizeof(text));
	assert_string_equal(text, "user ro");
}

static void test_group_init(void **state)
{
	struct config_group group;
	struct config config;

	(void)state;
	memset(&group, 0xff, sizeof(group));
	config_group_init(&group);
	assert_memory_equal(group.name, zeroed.name, sizeof(group.name));
	assert_null(group.spec.when.match);
	assert_null(group.dir);
	read_good(&config, "groups: { \"a\": }");
	assert_int_equal(config.groups[0].ring_slots, group.ring_slots);
	assert_int_equal(config.groups[0].members, group.members);
	assert_int_equal(config.groups[0].members_max, group.members_max);
	check_access(&config.groups[0].access, group.access.user, group.access.group,
		     group.access.mode);
	config_destroy(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_access_names),
		cmocka_unit_test(test_access_words),
		cmocka_unit_test(test_group_init),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
