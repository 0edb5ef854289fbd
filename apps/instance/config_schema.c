/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_schema.h"
#include "workers/config.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_SHOWN      48   /* bytes of a key or value that a message quotes */
#define CONFIG_WORD_BYTES 64   /* of a word, a number or a range */
#define CONFIG_KEY_BYTES  4096 /* longer keys are not even unknown */

_Static_assert(XDP_SETS_MAX <= CONFIG_GROUPS_MAX, "no mapping has more names than the groups");

/* --- nodes, path and errors ------------------------------------------------------------------ */

uint32_t config_node_line(struct config_reader *reader, int node)
{
	const yaml_node_t *found = yaml_document_get_node(reader->document, node);

	return found ? (uint32_t)found->start_mark.line + 1 : 1;
}

yaml_node_type_t config_node_type(struct config_reader *reader, int node)
{
	const yaml_node_t *found = yaml_document_get_node(reader->document, node);

	return found ? found->type : YAML_NO_NODE;
}

static void __attribute__((format(printf, 4, 0)))
config_fail_text(struct config_reader *reader, int node, const char *key, const char *format,
		 va_list args)
{
	uint32_t line = config_node_line(reader, node);
	char text[1024];

	vsnprintf(text, sizeof(text), format, args);
	config_errors_add(reader->errors, reader->file, line, line, "%s%s%s%s%s", reader->path,
			  key ? "." : "", key ? key : "", key || reader->path[0] ? ": " : "", text);
}

void config_fail(struct config_reader *reader, int node, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	config_fail_text(reader, node, NULL, format, args);
	va_end(args);
}

void config_fail_key(struct config_reader *reader, int node, const char *key, const char *format,
		     ...)
{
	va_list args;

	va_start(args, format);
	config_fail_text(reader, node, key, format, args);
	va_end(args);
}

size_t config_path_push(struct config_reader *reader, const char *format, ...)
{
	size_t mark = strlen(reader->path);
	size_t room = sizeof(reader->path) - mark;
	va_list args;

	va_start(args, format);
	vsnprintf(reader->path + mark, room, format, args);
	va_end(args);
	return mark;
}

void config_path_pop(struct config_reader *reader, size_t mark)
{
	reader->path[mark] = '\0';
}

static size_t config_path_push_key(struct config_reader *reader, const char *key)
{
	return config_path_push(reader, "%s%.*s", reader->path[0] ? "." : "", CONFIG_SHOWN, key);
}

/* Count a visit. False when there have been too many: reported the first time. */
static bool config_visit(struct config_reader *reader, int node)
{
	if (reader->out_of_memory || reader->visits > CONFIG_VISITS_MAX)
		return false;
	if (++reader->visits <= CONFIG_VISITS_MAX)
		return true;
	config_fail(reader, node, "the aliases of this file multiply to more than %u values",
		    CONFIG_VISITS_MAX);
	return false;
}

static const char *config_type_name(yaml_node_type_t type)
{
	if (type == YAML_MAPPING_NODE)
		return "a mapping (key: value)";
	if (type == YAML_SEQUENCE_NODE)
		return "a list";
	return "a single value";
}

/* Whether the tag is the one that the type has by itself: !!int, !include and so on are not. */
static bool config_tag_is_plain(const yaml_node_t *node)
{
	const char *tag = (const char *)node->tag;

	if (node->type == YAML_MAPPING_NODE)
		return strcmp(tag, YAML_DEFAULT_MAPPING_TAG) == 0;
	if (node->type == YAML_SEQUENCE_NODE)
		return strcmp(tag, YAML_DEFAULT_SEQUENCE_TAG) == 0;
	return strcmp(tag, YAML_DEFAULT_SCALAR_TAG) == 0;
}

/* Nothing, "~" or "null", without quotes. */
static bool config_node_is_null(const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;

	return node->type == YAML_SCALAR_NODE &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

/* Visit a node that has to be of `type`. NULL: reported. */
static const yaml_node_t *config_node(struct config_reader *reader, int node, yaml_node_type_t type)
{
	const yaml_node_t *found = yaml_document_get_node(reader->document, node);

	if (!found || !config_visit(reader, node))
		return NULL;
	if (!config_tag_is_plain(found)) {
		config_fail(reader, node, "tags such as %.*s are not used here", CONFIG_SHOWN,
			    (const char *)found->tag);
		return NULL;
	}
	/* a section that is left empty is an empty section */
	if (found->type == type || (type != YAML_SCALAR_NODE && config_node_is_null(found)))
		return found;
	config_fail(reader, node, "wants %s, not %s", config_type_name(type),
		    config_type_name(found->type));
	return NULL;
}

/* --- single values --------------------------------------------------------------------------- */

const char *config_text(struct config_reader *reader, int node, size_t max)
{
	const yaml_node_t *found = config_node(reader, node, YAML_SCALAR_NODE);
	const char *text;

	if (!found)
		return NULL;
	text = (const char *)found->data.scalar.value;
	if (config_node_is_null(found))
		config_fail(reader, node, "has no value");
	else if (found->data.scalar.length > max)
		config_fail(reader, node, "\"%.*s...\" is longer than %zu bytes", CONFIG_SHOWN,
			    text, max);
	else if (memchr(text, 0, found->data.scalar.length))
		config_fail(reader, node, "\"%.*s\" has a NUL byte in it", CONFIG_SHOWN, text);
	else
		return text;
	return NULL;
}

char *config_text_copy(struct config_reader *reader, int node, size_t max)
{
	const char *text = config_text(reader, node, max);
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		reader->out_of_memory = true;
	return copy;
}

/* Read decimal digits up to `end`; false for anything else, needless zeros, or above `max`, which
 * is below 2^60. */
static bool config_amount_parse(const char *text, const char *end, uint64_t max, uint64_t *value)
{
	uint64_t number = 0;

	if (text == end || (*text == '0' && text + 1 != end))
		return false;
	for (; text != end; text++) {
		if (*text < '0' || *text > '9')
			return false;
		number = number * 10 + (uint64_t)(*text - '0');
		if (number > max)
			return false;
	}
	*value = number;
	return true;
}

static bool config_number_parse(const char *text, const char *end, uint32_t max, uint32_t *value)
{
	uint64_t number;

	if (!config_amount_parse(text, end, max, &number))
		return false;
	*value = (uint32_t)number;
	return true;
}

bool config_number(struct config_reader *reader, int node, uint32_t min, uint32_t max,
		   uint32_t *value)
{
	const char *text = config_text(reader, node, CONFIG_WORD_BYTES);

	if (!text)
		return false;
	if (config_number_parse(text, text + strlen(text), max, value) && *value >= min)
		return true;
	config_fail(reader, node, "\"%.*s\" is not a number from %u to %u", CONFIG_SHOWN, text, min,
		    max);
	return false;
}

bool config_amount(struct config_reader *reader, int node, uint64_t min, uint64_t max,
		   uint64_t *value)
{
	const char *text = config_text(reader, node, CONFIG_WORD_BYTES);
	uint64_t unit = 1;
	const char *end;

	if (!text)
		return false;
	end = text + strlen(text);
	if (end != text && strchr("kMG", end[-1])) {
		end--;
		unit = *end == 'k' ? 1000 : *end == 'M' ? 1000000 : 1000000000;
	}
	if (config_amount_parse(text, end, max / unit, value) && *value * unit >= min) {
		*value *= unit;
		return true;
	}
	config_fail(reader, node,
		    "\"%.*s\" is not a number from %llu to %llu, with k, M or G behind it or not",
		    CONFIG_SHOWN, text, (unsigned long long)min, (unsigned long long)max);
	return false;
}

bool config_range_parse(const char *text, uint32_t max, uint32_t *lo, uint32_t *hi)
{
	const char *end = text + strlen(text);
	const char *dash = strchr(text, '-');

	if (!dash) {
		if (!config_number_parse(text, end, max, lo))
			return false;
		*hi = *lo;
		return true;
	}
	return config_number_parse(text, dash, max, lo) &&
	       config_number_parse(dash + 1, end, max, hi) && *lo <= *hi;
}

/* "a, b, c" of the words this version has. */
static void config_words_list(const struct config_word *words, char *to, size_t room)
{
	size_t used = 0;

	to[0] = '\0';
	for (; words->name && used < room; words++) {
		if (words->instead)
			continue;
		used += (size_t)snprintf(to + used, room - used, "%s%s", used ? ", " : "",
					 words->name);
	}
}

bool config_word(struct config_reader *reader, int node, const struct config_word *words,
		 uint32_t *value)
{
	const char *text = config_text(reader, node, CONFIG_WORD_BYTES);
	char list[256];

	if (!text)
		return false;
	for (const struct config_word *word = words; word->name; word++) {
		if (strcmp(word->name, text) != 0)
			continue;
		if (!word->instead) {
			*value = word->value;
			return true;
		}
		config_fail(reader, node, "this version does not have \"%s\"; %s", text,
			    word->instead);
		return false;
	}
	config_words_list(words, list, sizeof(list));
	config_fail(reader, node, "\"%.*s\" is %s %s", CONFIG_SHOWN, text,
		    strchr(list, ',') ? "none of" : "not", list);
	return false;
}

bool config_name_valid(const char *text)
{
	size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789_.-");

	return len > 0 && len < CONFIG_NAME_BYTES && text[len] == '\0' && text[0] != '.';
}

static void config_name_fail(struct config_reader *reader, int node, const char *text)
{
	config_fail(reader, node,
		    "\"%.*s\" is no name: wants 1 to %d letters, digits, '_', '.' or '-', and no "
		    "'.' in front",
		    CONFIG_SHOWN, text, CONFIG_NAME_BYTES - 1);
}

bool config_name(struct config_reader *reader, int node, char *name)
{
	const char *text = config_text(reader, node, CONFIG_WORD_BYTES);

	if (!text)
		return false;
	if (!config_name_valid(text)) {
		config_name_fail(reader, node, text);
		return false;
	}
	strcpy(name, text);
	return true;
}

static const struct config_word config_bools[] = {
	{"true", true, NULL},
	{"false", false, NULL},
	{NULL, 0, NULL},
};

/* Store an integer in a member of 1, 2 or 4 bytes; a size of 0 is a value nobody keeps. */
static void config_store(void *member, size_t size, uint32_t value)
{
	uint16_t half = (uint16_t)value;
	uint8_t byte = (uint8_t)value;

	if (size == sizeof(value))
		memcpy(member, &value, sizeof(value));
	else if (size == sizeof(half))
		memcpy(member, &half, sizeof(half));
	else if (size == sizeof(byte))
		memcpy(member, &byte, sizeof(byte));
}

/* A number of a table, a power of two where the table says so. */
static bool config_key_number(struct config_reader *reader, const struct config_key *key, int node,
			      uint32_t *value)
{
	if (!config_number(reader, node, key->min, key->max, value))
		return false;
	if (key->kind == CONFIG_KIND_NUMBER || (*value & (*value - 1)) == 0)
		return true;
	config_fail(reader, node, "%u is not a power of two", *value);
	return false;
}

static void config_key_read(struct config_reader *reader, const struct config_key *key, int node,
			    void *object)
{
	char *member = (char *)object + key->offset;
	uint32_t value;
	char *text;

	switch (key->kind) {
	case CONFIG_KIND_WORD:
		if (config_word(reader, node, key->words, &value))
			config_store(member, key->size, value);
		break;
	case CONFIG_KIND_NUMBER:
	case CONFIG_KIND_POWER:
		if (config_key_number(reader, key, node, &value))
			config_store(member, key->size, value);
		break;
	case CONFIG_KIND_BOOL:
		if (config_word(reader, node, config_bools, &value))
			config_store(member, key->size, value);
		break;
	case CONFIG_KIND_TEXT:
		text = config_text_copy(reader, node, key->max);
		memcpy(member, &text, sizeof(text));
		break;
	case CONFIG_KIND_NAME:
		config_name(reader, node, member);
		break;
	case CONFIG_KIND_READ:
		key->read(reader, node, object);
		break;
	case CONFIG_KIND_ABSENT:
		config_fail(reader, node, "this version does not have it; %s", key->instead);
		break;
	}
}

/* --- mappings and lists ---------------------------------------------------------------------- */

/* How many characters to add, drop, change or swap to get from `a` to `b`; both at most 31 long. */
static size_t config_distance(const char *a, const char *b)
{
	size_t rows[3][32], a_len = strlen(a), b_len = strlen(b);
	size_t *two_up = rows[0], *up = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		two_up[j] = up[j] = row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *spare = two_up;

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);

			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    two_up[j - 2] + 1 < best)
				best = two_up[j - 2] + 1;
			row[j] = best;
		}
		two_up = up;
		up = row;
		row = spare;
	}
	return up[b_len];
}

static void config_key_unknown(struct config_reader *reader, int node, const char *name,
			       const struct config_key *keys)
{
	size_t mark = config_path_push_key(reader, name);
	const char *near = NULL;
	size_t best = 3, used = 0;
	char list[256] = "";

	for (const struct config_key *key = keys; key->name; key++) {
		size_t distance = strlen(name) < 32 ? config_distance(name, key->name) : best;

		if (distance < best && distance < strlen(key->name)) {
			best = distance;
			near = key->name;
		}
		if (key->kind != CONFIG_KIND_ABSENT && used < sizeof(list))
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
						 used ? ", " : "", key->name);
	}
	if (near)
		config_fail(reader, node, "unknown key; did you mean \"%s\"?", near);
	else if (strcmp(name, "<<") == 0)
		config_fail(reader, node, "merge keys are not supported; write the keys out");
	else
		config_fail(reader, node, "unknown key; there is %s", list);
	config_path_pop(reader, mark);
}

/* Where the file has a key of the table. */
struct config_place {
	int key, value; /* nodes; 0: nowhere */
};

/* Find the key's place in the table, and note the value there. */
static void config_key_place(struct config_reader *reader, const yaml_node_pair_t *pair,
			     const struct config_key *keys, struct config_place *places)
{
	const char *name = config_text(reader, pair->key, CONFIG_KEY_BYTES);
	size_t mark;
	int i = 0;

	if (!name)
		return;
	while (keys[i].name && strcmp(keys[i].name, name) != 0)
		i++;
	if (!keys[i].name) {
		config_key_unknown(reader, pair->key, name, keys);
		return;
	}
	if (places[i].key == 0) {
		places[i].key = pair->key;
		places[i].value = pair->value;
		return;
	}
	mark = config_path_push_key(reader, name);
	config_fail(reader, pair->key, "the key is given twice, first in line %u",
		    config_node_line(reader, places[i].key));
	config_path_pop(reader, mark);
}

bool config_map_read(struct config_reader *reader, int node, const struct config_key *keys,
		     void *object, int *at)
{
	const yaml_node_t *map = config_node(reader, node, YAML_MAPPING_NODE);
	struct config_place places[CONFIG_KEYS_MAX] = {{0, 0}};

	if (!map)
		return false;
	if (map->type == YAML_MAPPING_NODE)
		for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
		     pair < map->data.mapping.pairs.top; pair++)
			config_key_place(reader, pair, keys, places);
	for (int i = 0; keys[i].name; i++) {
		size_t mark;

		if (at)
			at[i] = places[i].value;
		if (places[i].key == 0 && !keys[i].required)
			continue;
		mark = config_path_push_key(reader, keys[i].name);
		if (places[i].key != 0)
			config_key_read(reader, &keys[i], places[i].value, object);
		else
			config_fail(reader, node, "is missing");
		config_path_pop(reader, mark);
	}
	return true;
}

/* A name that is valid and not among the `cnt` before it. NULL: reported. */
static const char *config_names_take(struct config_reader *reader, int key, const char **names,
				     const int *keys, uint32_t cnt)
{
	const char *name = config_text(reader, key, CONFIG_KEY_BYTES);

	if (!name)
		return NULL;
	if (!config_name_valid(name)) {
		config_name_fail(reader, key, name);
		return NULL;
	}
	for (uint32_t i = 0; i < cnt; i++) {
		if (strcmp(names[i], name) == 0) {
			size_t mark = config_path_push_key(reader, name);

			config_fail(reader, key, "the key is given twice, first in line %u",
				    config_node_line(reader, keys[i]));
			config_path_pop(reader, mark);
			return NULL;
		}
	}
	return name;
}

void config_names_read(struct config_reader *reader, int node, uint32_t max, const char *what,
		       config_item_read *read, void *object)
{
	const yaml_node_t *map = config_node(reader, node, YAML_MAPPING_NODE);
	const char *names[CONFIG_GROUPS_MAX];
	int keys[CONFIG_GROUPS_MAX];
	uint32_t cnt = 0;

	if (!map || map->type != YAML_MAPPING_NODE)
		return;
	for (const yaml_node_pair_t *pair = map->data.mapping.pairs.start;
	     pair < map->data.mapping.pairs.top; pair++) {
		const char *name = config_names_take(reader, pair->key, names, keys, cnt);
		size_t mark;

		if (!name)
			continue;
		if (cnt == max || cnt == CONFIG_GROUPS_MAX) {
			config_fail(reader, pair->key, "more than %u %s", max, what);
			return;
		}
		names[cnt] = name;
		keys[cnt] = pair->key;
		mark = config_path_push_key(reader, name);
		read(reader, &(struct config_item){cnt, name, pair->key, pair->value}, object);
		cnt++;
		config_path_pop(reader, mark);
	}
}

void config_list_read(struct config_reader *reader, int node, uint32_t max, const char *what,
		      config_item_read *read, void *object)
{
	const yaml_node_t *list = config_node(reader, node, YAML_SEQUENCE_NODE);
	uint32_t cnt = 0;

	if (!list || list->type != YAML_SEQUENCE_NODE)
		return;
	for (const yaml_node_item_t *item = list->data.sequence.items.start;
	     item < list->data.sequence.items.top; item++) {
		size_t mark;

		if (cnt == max) {
			config_fail(reader, *item, "more than %u %s", max, what);
			return;
		}
		mark = config_path_push(reader, "[%u]", cnt);
		read(reader, &(struct config_item){cnt, NULL, *item, *item}, object);
		cnt++;
		config_path_pop(reader, mark);
	}
}
