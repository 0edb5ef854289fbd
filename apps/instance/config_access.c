/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_access.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_ACCESS_NAME_BYTES      256  /* as LOGIN_NAME_MAX */
#define CONFIG_ACCESS_ENTRY_BYTES     1024 /* room for an entry, doubled while it is too small */
#define CONFIG_ACCESS_ENTRY_BYTES_MAX (4u << 20) /* a group of a hundred thousand members */

/* --- users and groups ------------------------------------------------------------------------ */

/* Look a name up, with `room` bytes for the entry. 0, -ENOENT: there is none, or -errno. */
typedef int config_access_find(const char *name, char *buffer, size_t room, uint32_t *id);

/* What getpwnam_r(3) lists for a name that is not found. */
static int config_access_find_code(int code)
{
	return code == 0 || code == ESRCH ? -ENOENT : -code;
}

static int config_access_find_user(const char *name, char *buffer, size_t room, uint32_t *id)
{
	struct passwd entry, *found = NULL;
	int code = getpwnam_r(name, &entry, buffer, room, &found);

	if (!found)
		return config_access_find_code(code);
	*id = found->pw_uid;
	return 0;
}

static int config_access_find_group(const char *name, char *buffer, size_t room, uint32_t *id)
{
	struct group entry, *found = NULL;
	int code = getgrnam_r(name, &entry, buffer, room, &found);

	if (!found)
		return config_access_find_code(code);
	*id = found->gr_gid;
	return 0;
}

static int config_access_look_up(config_access_find *find, const char *name, uint32_t *id)
{
	int code = -ERANGE;

	for (size_t room = CONFIG_ACCESS_ENTRY_BYTES;
	     code == -ERANGE && room <= CONFIG_ACCESS_ENTRY_BYTES_MAX; room *= 2) {
		char *buffer = malloc(room);

		if (!buffer)
			return -ENOMEM;
		code = find(name, buffer, room, id);
		free(buffer);
	}
	return code;
}

/* A number, or the name of a user or group, as `what` says. */
static void config_access_read_id(struct config_reader *reader, int node, const char *what,
				  config_access_find *find, uint32_t *id)
{
	const char *text = config_text(reader, node, CONFIG_ACCESS_NAME_BYTES);
	int code;

	if (!text)
		return;
	if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0') {
		/* the largest number is the kernel's for nobody, and struct config_access's */
		config_number(reader, node, 0, UINT32_MAX - 1, id);
		return;
	}
	if (!reader->dir) {
		config_fail(reader, node,
			    "a configuration that is no file cannot name a %s; a number it can",
			    what);
		return;
	}
	code = config_access_look_up(find, text, id);
	if (code == -ENOMEM)
		reader->out_of_memory = true;
	else if (code == -ENOENT)
		config_fail(reader, node, "this machine has no %s \"%.48s\"", what, text);
	else if (code != 0)
		config_fail(reader, node, "the %s \"%.48s\" cannot be looked up: %s", what, text,
			    strerror(-code));
}

static void config_access_read_user(struct config_reader *reader, int node, void *object)
{
	struct config_access *access = object;

	config_access_read_id(reader, node, "user", config_access_find_user, &access->user);
}

static void config_access_read_group(struct config_reader *reader, int node, void *object)
{
	struct config_access *access = object;

	config_access_read_id(reader, node, "group", config_access_find_group, &access->group);
}

/* --- the mode -------------------------------------------------------------------------------- */

static void config_access_read_mode(struct config_reader *reader, int node, void *object)
{
	const uint32_t all = CONFIG_ACCESS_USER | CONFIG_ACCESS_GROUP | CONFIG_ACCESS_OTHERS;
	const char *text = config_text(reader, node, CONFIG_ACCESS_NAME_BYTES);
	struct config_access *access = object;
	const char *digits;
	uint32_t mode;

	if (!text)
		return;
	digits = text[0] == '0' && strlen(text) == 4 ? text + 1 : text;
	mode = (uint32_t)strtoul(digits, NULL, 8);
	if (strspn(digits, "01234567") != 3 || digits[3] != '\0' || (mode & ~all))
		config_fail(reader, node,
			    "\"%.48s\" is not made of 0400 (the user), 0040 (the group) and 0004 "
			    "(everyone else), such as 0440",
			    text);
	else
		access->mode = (uint16_t)mode;
}

/* --- the whole ------------------------------------------------------------------------------- */

static const struct config_word config_access_words[] = {
	{"private", CONFIG_ACCESS_USER, NULL},
	{"restricted", CONFIG_ACCESS_USER | CONFIG_ACCESS_GROUP, NULL},
	{"shared", CONFIG_ACCESS_USER | CONFIG_ACCESS_GROUP | CONFIG_ACCESS_OTHERS, NULL},
	{NULL, 0, NULL},
};

enum { CONFIG_ACCESS_AT_USER = 0, CONFIG_ACCESS_AT_GROUP, CONFIG_ACCESS_AT_MODE };
static const struct config_key config_access_keys[] = {
	[CONFIG_ACCESS_AT_USER] = {.name = "user",
				   .kind = CONFIG_KIND_READ,
				   .read = config_access_read_user},
	[CONFIG_ACCESS_AT_GROUP] = {.name = "group",
				    .kind = CONFIG_KIND_READ,
				    .read = config_access_read_group},
	[CONFIG_ACCESS_AT_MODE] = {.name = "mode",
				   .kind = CONFIG_KIND_READ,
				   .read = config_access_read_mode},
	{.name = NULL},
};

static void config_access_read_word(struct config_reader *reader, int node,
				    struct config_access *access)
{
	uint32_t mode;

	if (!config_word(reader, node, config_access_words, &mode))
		return;
	access->mode = (uint16_t)mode;
	if (mode == (CONFIG_ACCESS_USER | CONFIG_ACCESS_GROUP))
		access->group = getegid();
}

static void config_access_read_map(struct config_reader *reader, int node,
				   struct config_access *access)
{
	int at[CONFIG_KEYS_MAX];
	size_t mark;

	if (!config_map_read(reader, node, config_access_keys, access, at))
		return;
	if (at[CONFIG_ACCESS_AT_MODE] == 0) {
		if (at[CONFIG_ACCESS_AT_GROUP] != 0)
			access->mode |= CONFIG_ACCESS_GROUP;
		return;
	}
	/* where everyone else may join, the bit of a group that is not there says nothing */
	if (at[CONFIG_ACCESS_AT_GROUP] != 0 || !(access->mode & CONFIG_ACCESS_GROUP) ||
	    (access->mode & CONFIG_ACCESS_OTHERS))
		return;
	mark = config_path_push(reader, ".mode");
	config_fail(reader, at[CONFIG_ACCESS_AT_MODE],
		    "%04o is for a group too, but no group is named", access->mode);
	config_path_pop(reader, mark);
}

void config_access_read(struct config_reader *reader, int node, struct config_access *access)
{
	const yaml_node_t *found = yaml_document_get_node(reader->document, node);

	if (found->type == YAML_SCALAR_NODE)
		config_access_read_word(reader, node, access);
	else
		config_access_read_map(reader, node, access);
}
