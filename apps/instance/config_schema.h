/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a YAML document against tables.
 *
 * A table (struct config_key[], ended by a key without a name) says for each key of a mapping what
 * its value is and where it goes. The readers report everything that is wrong and carry on with the
 * next thing, so that one run shows every error; each error names the path of keys it was met at
 * ("groups.web.steer", "filter.rules[2].port") and the line of the value.
 *
 * The walk ends: its depth is that of the tables, and through aliases a document cannot make it
 * visit more than CONFIG_VISITS_MAX values. Quotes do not matter: "4" and 4 are the same number.
 */
#ifndef INSTANCE_CONFIG_SCHEMA_H
#define INSTANCE_CONFIG_SCHEMA_H

#include "apps/instance/config_errors.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yaml.h>

#define CONFIG_KEYS_MAX        24         /* of one table */
#define CONFIG_VISITS_MAX      (2u << 20) /* values looked at, aliases followed */
#define CONFIG_PATH_BYTES      256
#define CONFIG_MATCH_BYTES_MAX 65536 /* of a tcpdump expression; libpcap is given less */

/* The state of one reading. */
struct config_reader {
	yaml_document_t *document;
	const char *file; /* as messages name it */
	const char *dir;  /* set files are relative to it; NULL: nothing outside the text is used */
	struct config_errors *errors;
	char path[CONFIG_PATH_BYTES]; /* of the value being read */
	uint32_t visits;
	bool out_of_memory; /* the walk ends early; the caller returns -ENOMEM */
};

enum config_kind {
	CONFIG_KIND_WORD = 0, /* one of `words`: its value goes to an integer */
	CONFIG_KIND_NUMBER,   /* min to max */
	CONFIG_KIND_POWER,    /* the same, and a power of two */
	CONFIG_KIND_BOOL,     /* true or false */
	CONFIG_KIND_TEXT,     /* char *, allocated; at most max bytes */
	CONFIG_KIND_NAME,     /* char[CONFIG_NAME_BYTES] */
	CONFIG_KIND_READ,     /* `read` does it */
	CONFIG_KIND_ABSENT    /* known, but not in this version; `instead` says what to do */
};

/* A word and what it stands for; `instead` set: the word is known, but not in this version. */
struct config_word {
	const char *name; /* NULL ends the list */
	uint32_t value;
	const char *instead;
};

struct config_key {
	const char *name;
	enum config_kind kind;
	bool required;
	size_t offset, size; /* of the member; size 1, 2 or 4 for integers, 0: not stored */
	const struct config_word *words;
	uint32_t min, max;
	void (*read)(struct config_reader *reader, int node, void *object);
	const char *instead;
};

/* offset and size of a member, for a struct config_key */
#define CONFIG_MEMBER(type, member)                                                                \
	.offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

/* The node's line, from 1. */
uint32_t config_node_line(struct config_reader *reader, int node);

/* What a node is, where a value may be written in several ways. */
yaml_node_type_t config_node_type(struct config_reader *reader, int node);

/* Add an error at a node's line: "PATH: text". */
void config_fail(struct config_reader *reader, int node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same of a key below the path: "PATH.key: text". */
void config_fail_key(struct config_reader *reader, int node, const char *key, const char *format,
		     ...) __attribute__((format(printf, 4, 5)));

/* Add to the path, and cut it back to what it was; what push returned is pop's `mark`. */
size_t config_path_push(struct config_reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void config_path_pop(struct config_reader *reader, size_t mark);

/* A scalar's text of at most `max` bytes, which lives as long as the document; NULL: reported. */
const char *config_text(struct config_reader *reader, int node, size_t max);

/* A copy of config_text(), the caller's; NULL: reported, or memory ran out. */
char *config_text_copy(struct config_reader *reader, int node, size_t max);

/* A decimal number from `min` to `max`. False: reported. */
bool config_number(struct config_reader *reader, int node, uint32_t min, uint32_t max,
		   uint32_t *value);

/* The same of 64 bits, with k, M or G behind it: thousands, millions, 10^9. */
bool config_amount(struct config_reader *reader, int node, uint64_t min, uint64_t max,
		   uint64_t *value);

/* A number or "LO-HI" with numbers up to `max`, LO not above HI. Reports nothing. */
bool config_range_parse(const char *text, uint32_t max, uint32_t *lo, uint32_t *hi);

/* The value of one of the words. False: reported. */
bool config_word(struct config_reader *reader, int node, const struct config_word *words,
		 uint32_t *value);

/* Whether a text is fit for a name: 1 to 31 of letters, digits, '_', '.' and '-', no '.' first. */
bool config_name_valid(const char *text);

/* Check and copy a name into CONFIG_NAME_BYTES bytes. False: reported. */
bool config_name(struct config_reader *reader, int node, char *name);

/*
 * Read a mapping by a table into `object`, in the order of the table, whatever the order in the
 * file. Unknown, repeated and missing keys are reported. `at`, if not NULL, has CONFIG_KEYS_MAX
 * places: at[i] becomes the node of keys[i], 0 where the file does not have it. A mapping that is
 * left empty has no keys. False: it is no mapping, reported.
 */
bool config_map_read(struct config_reader *reader, int node, const struct config_key *keys,
		     void *object, int *at);

/* One entry of a mapping with free keys, or of a list. */
struct config_item {
	uint32_t index;   /* from 0 */
	const char *name; /* the key; NULL in a list */
	int key, node;    /* nodes of the key and the value; in a list both are the value's */
};

typedef void config_item_read(struct config_reader *reader, const struct config_item *item,
			      void *object);

/*
 * Read a mapping whose keys are names of the user's choice: `read` is called for each whose name is
 * valid and new, at most `max` times, with `index` 0, 1, ...; what is beyond `max` is an error, in
 * which `what` names the things ("groups"). Nothing is called where it is no mapping (reported).
 */
void config_names_read(struct config_reader *reader, int node, uint32_t max, const char *what,
		       config_item_read *read, void *object);

/* The same for a list, whose entries have no names. */
void config_list_read(struct config_reader *reader, int node, uint32_t max, const char *what,
		      config_item_read *read, void *object);

#endif
