/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/command_table.h"
#include "apps/ask.h"
#include "apps/commands.h"
#include "apps/instance/protocol.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char table_help[] =
	"Usage: xfq table list [GROUP] [--json]\n"
	"       xfq table add GROUP RULE... [--json]\n"
	"       xfq table del GROUP PRIORITY... [--json]\n"
	"       xfq table load GROUP FILE|- [--json]\n"
	"       xfq table flush GROUP [--json]\n"
	"Show and change the rule tables of a running instance's groups (table: FILE). For its "
	"user,\n"
	"and root.\n\n"
	"  list    all tables; with GROUP its rules, in the order of their priorities, as lines "
	"that\n"
	"          load reads\n"
	"  add     rules; a wrong one, or one whose priority is taken, changes nothing\n"
	"  del     the rules of these priorities\n"
	"  load    what the file lists takes the place of all rules, at once for every packet; a\n"
	"          wrong line changes nothing\n"
	"  flush   take all rules out\n\n"
	"  RULE    priority,src,dst,sport,dport,proto,flags,action, as\n"
	"          '150,198.51.100.0/24,any,any,1521-1522,tcp,syn/syn+ack,drop'; the lowest "
	"priority\n"
	"          is asked first; actions: deliver, drop, class:NAME\n"
	"  FILE    one rule per line, like this or as ClassBench has them; -: standard input\n\n"
	"  -i, --instance NAME  which instance; or the path of its socket; may be left out where "
	"one\n"
	"                       runs\n"
	"  --json               the answer as a JSON object\n\n"
	"Changes last until the instance ends; a reload keeps them where the group's file says the "
	"same\n"
	"as before.\n\n"
	"Exit status: 0 done; 1 failed, or a rule to be deleted was not there; 2 usage.\n";

struct table_arguments {
	const char *verb, *name, *instance;
	char **words; /* after the name */
	int word_cnt;
	bool json;
};

static int table_failed(const char *text)
{
	fprintf(stderr, "xfq table: %s\n", text);
	return COMMAND_FAILED;
}

static json_t *table_request(const struct table_arguments *arguments, const char *command)
{
	json_t *request = json_pack("{s:s}", "command", command);

	if (arguments->name)
		json_object_set_new(request, "group", json_string(arguments->name));
	return request;
}

static void table_print_json(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(1));
	putchar('\n');
}

static long long table_number(const json_t *answer, const char *key)
{
	return json_integer_value(json_object_get(answer, key));
}

/* --- list ------------------------------------------------------------------------------------- */

static void table_print_tables(const json_t *answer)
{
	const json_t *tables = json_object_get(answer, "tables"), *table;
	size_t i;

	printf("%-32s %10s %12s\n", "GROUP", "RULES", "BYTES");
	json_array_foreach(tables, i, table)
		printf("%-32s %10lld %12lld\n", json_string_value(json_object_get(table, "group")),
		       table_number(table, "rules"), table_number(table, "bytes"));
}

/* A page of rules: printed, or into the list of all. */
static void table_take_page(json_t *page, json_t *all)
{
	const json_t *lines = json_object_get(page, "lines"), *line;
	size_t i;

	if (all) {
		json_array_extend(json_object_get(all, "list"), json_object_get(page, "lines"));
		return;
	}
	json_array_foreach(lines, i, line) puts(json_string_value(line));
}

static int table_list_rules(const struct table_arguments *arguments)
{
	json_t *all = NULL, *page = NULL;
	struct xfq_error error;
	bool more = true;
	long long from = 0;
	int code = 0;

	while (more) {
		json_t *request = table_request(arguments, "table-list");

		json_object_set_new(request, "from", json_integer(from));
		code = ask_instance(arguments->instance, request, NULL, 0, &page, &error);
		json_decref(request);
		if (code)
			break;
		if (arguments->json && !all)
			all = json_pack("{s:O, s:O, s:O, s:[]}", "group",
					json_object_get(page, "group"), "rules",
					json_object_get(page, "rules"), "bytes",
					json_object_get(page, "bytes"), "list");
		table_take_page(page, all);
		more = json_is_integer(json_object_get(page, "next"));
		from = table_number(page, "next");
		json_decref(page);
	}
	if (code == 0 && all)
		table_print_json(all);
	json_decref(all);
	return code ? table_failed(error.text) : COMMAND_DONE;
}

static int table_list(const struct table_arguments *arguments)
{
	json_t *request, *answer;
	struct xfq_error error;
	int code;

	if (arguments->name)
		return table_list_rules(arguments);
	request = table_request(arguments, "table-list");
	code = ask_instance(arguments->instance, request, NULL, 0, &answer, &error);
	json_decref(request);
	if (code)
		return table_failed(error.text);
	if (arguments->json)
		table_print_json(answer);
	else
		table_print_tables(answer);
	json_decref(answer);
	return COMMAND_DONE;
}

/* --- add, del, flush -------------------------------------------------------------------------- */

/* The words of an addition, or of a deletion; NULL: told. */
static json_t *table_words(const struct table_arguments *arguments, bool numbers)
{
	json_t *list = json_array();

	for (int i = 0; i < arguments->word_cnt; i++) {
		char *word = arguments->words[i], *end = NULL;
		unsigned long long number = 0;

		if (!numbers) {
			json_array_append_new(list, json_string(word));
			continue;
		}
		number = strtoull(word, &end, 10);
		if (word[0] < '0' || word[0] > '9' || *end || number >= UINT32_MAX) {
			fprintf(stderr, "xfq table: \"%s\" is no priority\n", word);
			json_decref(list);
			return NULL;
		}
		json_array_append_new(list, json_integer((json_int_t)number));
	}
	return list;
}

static int table_change(const struct table_arguments *arguments)
{
	bool del = strcmp(arguments->verb, "del") == 0;
	json_t *words = table_words(arguments, del), *request, *answer;
	char command[16];
	struct xfq_error error;
	long long absent;
	int code;

	if (!words)
		return COMMAND_USAGE;
	snprintf(command, sizeof(command), "table-%s", arguments->verb);
	request = table_request(arguments, command);
	json_object_set_new(request, del ? "priorities" : "rules", words);
	code = ask_instance(arguments->instance, request, NULL, 0, &answer, &error);
	json_decref(request);
	if (code)
		return table_failed(error.text);
	absent = table_number(answer, "absent");
	if (arguments->json)
		table_print_json(answer);
	else if (strcmp(arguments->verb, "add") == 0)
		printf("%s: %lld added; %lld rules\n", arguments->name,
		       table_number(answer, "added"), table_number(answer, "rules"));
	else if (del)
		printf("%s: %lld removed, %lld were not there; %lld rules\n", arguments->name,
		       table_number(answer, "removed"), absent, table_number(answer, "rules"));
	else
		printf("%s: %lld removed\n", arguments->name, table_number(answer, "removed"));
	json_decref(answer);
	return absent ? COMMAND_FAILED : COMMAND_DONE;
}

/* --- load ------------------------------------------------------------------------------------- */

/* All of a file, the caller's to free; NULL: told. */
static char *table_read(const char *path, size_t *len)
{
	bool input = strcmp(path, "-") == 0;
	FILE *file = input ? stdin : fopen(path, "re");
	size_t room = 1u << 16;
	char *text = NULL, *more = NULL;

	*len = 0;
	if (!file) {
		fprintf(stderr, "xfq table: %s: %m\n", path);
		return NULL;
	}
	for (;;) {
		more = realloc(text, room *= 2);
		if (!more)
			break;
		text = more;
		*len += fread(text + *len, 1, room - *len, file);
		if (*len < room || *len > PROTOCOL_DATA_BYTES_MAX)
			break;
	}
	if (!more || ferror(file) || *len > PROTOCOL_DATA_BYTES_MAX) {
		fprintf(stderr, "xfq table: %s: %s\n", path,
			!more          ? "no memory"
			: ferror(file) ? strerror(errno)
				       : "more than 256 MiB");
		free(text);
		text = NULL;
	}
	if (!input)
		fclose(file);
	return text;
}

static int table_show_loaded(const struct table_arguments *arguments, const json_t *answer)
{
	const json_t *errors = json_object_get(answer, "errors"), *line;
	bool loaded = json_is_true(json_object_get(answer, "loaded"));
	size_t i;

	if (arguments->json)
		table_print_json(answer);
	else if (loaded)
		printf("%s: %lld rules\n", arguments->name, table_number(answer, "rules"));
	if (!arguments->json)
		json_array_foreach(errors, i, line)
			fprintf(stderr, "%s\n", json_string_value(line));
	if (!loaded && !arguments->json)
		fprintf(stderr, "xfq table: %s: nothing has changed\n", arguments->name);
	return loaded ? COMMAND_DONE : COMMAND_FAILED;
}

static int table_load(const struct table_arguments *arguments)
{
	const char *path = arguments->words[0];
	json_t *request, *answer = NULL;
	struct xfq_error error;
	int status = COMMAND_FAILED;
	size_t len;
	char *text = table_read(path, &len);

	if (!text)
		return COMMAND_FAILED;
	request = table_request(arguments, "table-load");
	json_object_set_new(request, "file",
			    json_string(strcmp(path, "-") == 0 ? "standard input" : path));
	if (ask_instance(arguments->instance, request, text, len, &answer, &error))
		table_failed(error.text);
	else
		status = table_show_loaded(arguments, answer);
	json_decref(answer);
	json_decref(request);
	free(text);
	return status;
}

/* --- arguments -------------------------------------------------------------------------------- */

static const struct table_verb {
	const char *name;
	int (*run)(const struct table_arguments *arguments);
	int word_min, word_max; /* with the group's name */
} table_verbs[] = {
	{"list", table_list, 0, 1},          {"add", table_change, 2, INT32_MAX},
	{"del", table_change, 2, INT32_MAX}, {"load", table_load, 2, 2},
	{"flush", table_change, 1, 1},
};

static int table_usage(const char *why)
{
	fprintf(stderr, "xfq table: %s\n\n%s", why, table_help);
	return COMMAND_USAGE;
}

static int table_run(struct table_arguments *arguments, int word_cnt, char **words)
{
	const struct table_verb *verb = NULL;

	if (word_cnt == 0)
		return table_usage("list, add, del, load or flush?");
	for (size_t i = 0; i < sizeof(table_verbs) / sizeof(table_verbs[0]); i++)
		if (strcmp(words[0], table_verbs[i].name) == 0)
			verb = &table_verbs[i];
	if (!verb)
		return table_usage("there is list, add, del, load and flush");
	if (word_cnt - 1 < verb->word_min)
		return table_usage(verb->word_min == 1 || word_cnt == 1
					   ? "the name of a group is missing"
					   : "what is it about?");
	if (word_cnt - 1 > verb->word_max)
		return table_usage("one word too many");
	arguments->verb = verb->name;
	arguments->name = words[1];
	arguments->words = words + 2;
	arguments->word_cnt = word_cnt > 2 ? word_cnt - 2 : 0;
	return verb->run(arguments);
}

int command_table(int argc, char **argv)
{
	static const struct option options[] = {{"instance", required_argument, NULL, 'i'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	struct table_arguments arguments = {0};
	int option;

	while ((option = getopt_long(argc, argv, "hi:", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			fputs(table_help, stdout);
			return COMMAND_DONE;
		case 'i':
			arguments.instance = optarg;
			break;
		case 'j':
			arguments.json = true;
			break;
		default:
			fputs(table_help, stderr);
			return COMMAND_USAGE;
		}
	}
	return table_run(&arguments, argc - optind, argv + optind);
}
