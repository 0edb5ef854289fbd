/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/command_set.h"
#include "apps/ask.h"
#include "apps/commands.h"
#include "apps/libxfq/client.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SET_BAR 40 /* characters */

static const char set_help[] =
	"Usage: xfq set list [NAME] [--json]\n"
	"       xfq set add NAME MEMBER... [--for SECONDS] [--json]\n"
	"       xfq set del NAME MEMBER... [--json]\n"
	"       xfq set load NAME FILE|- [--add] [--for SECONDS] [--json]\n"
	"       xfq set flush NAME [--json]\n"
	"Show and change the named sets (filter.sets) of a running instance. For its user, and "
	"root.\n\n"
	"  list    all sets; with NAME its members, with their packets where the set has hits: "
	"true,\n"
	"          and the time left to those that expire\n"
	"  add     members; one that is there gets the new time to live\n"
	"  del     members\n"
	"  load    what the file lists takes the place of all members, at once for every packet; "
	"a\n"
	"          wrong line changes nothing\n"
	"  flush   take all members out\n\n"
	"  MEMBER  of a set of nets: 192.0.2.0/24, 2001:db8::/32; addresses: 192.0.2.1; ports: "
	"80,\n"
	"          8000-8100; MACs: 02:00:00:00:00:01; flows: \"tcp 192.0.2.1:80 "
	"198.51.100.2:1234\",\n"
	"          \"udp [2001:db8::1]:53 [2001:db8::2]:53\"\n"
	"  FILE    one member per line; # and ; begin comments; -: standard input\n\n"
	"  --for SECONDS        they are members for so long; else for good\n"
	"  --add                keep the members that there are\n"
	"  -i, --instance NAME  which instance; or the path of its socket; may be left out where "
	"one\n"
	"                       runs\n"
	"  --json               the answer as a JSON object\n\n"
	"Nobody is asked whether a member cuts an SSH session, as at a start and a reload.\n"
	"Changes last until the instance ends; a reload keeps them where the config says the same "
	"of\n"
	"the set as before.\n\n"
	"Exit status: 0 done; 1 failed, or a member to be deleted was not there; 2 usage.\n";

struct set_arguments {
	const char *verb, *name, *instance;
	char **words; /* after the name */
	int word_cnt;
	double seconds; /* 0: for good */
	bool json, add;
};

static int set_failed(const char *text)
{
	fprintf(stderr, "xfq set: %s\n", text);
	return COMMAND_FAILED;
}

static json_t *set_request(const struct set_arguments *arguments, const char *command)
{
	json_t *request = json_pack("{s:s}", "command", command);

	if (arguments->name)
		json_object_set_new(request, "set", json_string(arguments->name));
	if (arguments->seconds > 0)
		json_object_set_new(request, "seconds", json_real(arguments->seconds));
	return request;
}

static void set_print_json(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	putchar('\n');
}

static long long set_number(const json_t *answer, const char *key)
{
	return json_integer_value(json_object_get(answer, key));
}

/* --- list ------------------------------------------------------------------------------------- */

static void set_print_sets(const json_t *answer)
{
	const json_t *sets = json_object_get(answer, "sets"), *set;
	size_t i;

	printf("%-32s %-8s %10s %10s  %s\n", "SET", "TYPE", "MEMBERS", "MAX", "HITS");
	json_array_foreach(sets, i, set) printf(
		"%-32s %-8s %10lld %10lld  %s\n", json_string_value(json_object_get(set, "name")),
		json_string_value(json_object_get(set, "type")), set_number(set, "members"),
		set_number(set, "max"),
		json_is_true(json_object_get(set, "hits")) ? "counted" : "-");
}

static void set_print_page(const json_t *answer)
{
	const json_t *texts = json_object_get(answer, "texts"), *text;
	const json_t *packets = json_object_get(answer, "packets");
	const json_t *seconds = json_object_get(answer, "seconds");
	size_t i;

	json_array_foreach(texts, i, text)
	{
		const json_t *left = json_array_get(seconds, i);

		printf("%s", json_string_value(text));
		if (packets)
			printf("  packets %lld",
			       (long long)json_integer_value(json_array_get(packets, i)));
		if (json_is_real(left))
			printf("  for %.1f s", json_real_value(left));
		putchar('\n');
	}
}

/* Members of a page into the list of all: objects with what is known of each. */
static void set_collect(json_t *all, const json_t *page)
{
	const json_t *texts = json_object_get(page, "texts"), *text;
	const json_t *packets = json_object_get(page, "packets");
	const json_t *seconds = json_object_get(page, "seconds");
	json_t *list = json_object_get(all, "list");
	size_t i;

	json_array_foreach(texts, i, text)
	{
		json_t *member = json_pack("{s:O}", "member", text);

		if (packets)
			json_object_set(member, "packets", json_array_get(packets, i));
		if (json_is_real(json_array_get(seconds, i)))
			json_object_set(member, "seconds", json_array_get(seconds, i));
		json_array_append_new(list, member);
	}
}

static int set_list_members(const struct set_arguments *arguments)
{
	json_t *all = NULL, *page = NULL;
	struct xfq_error error;
	int code = 0;

	for (size_t from = 0, cnt = 1; cnt > 0 && code == 0; from += cnt) {
		json_t *request = set_request(arguments, "set-list");

		json_object_set_new(request, "from", json_integer((json_int_t)from));
		code = ask_instance(arguments->instance, request, NULL, 0, &page, &error);
		json_decref(request);
		if (code)
			break;
		cnt = json_array_size(json_object_get(page, "texts"));
		if (!arguments->json)
			set_print_page(page);
		if (arguments->json && !all) {
			all = json_pack("{s:O, s:O, s:O, s:O, s:[]}", "name",
					json_object_get(page, "name"), "type",
					json_object_get(page, "type"), "members",
					json_object_get(page, "members"), "hits",
					json_object_get(page, "hits"), "list");
		}
		if (arguments->json)
			set_collect(all, page);
		json_decref(page);
	}
	if (code == 0 && all)
		set_print_json(all);
	json_decref(all);
	return code ? set_failed(error.text) : COMMAND_DONE;
}

static int set_list(const struct set_arguments *arguments)
{
	json_t *request, *answer;
	struct xfq_error error;
	int code;

	if (arguments->name)
		return set_list_members(arguments);
	request = set_request(arguments, "set-list");
	code = ask_instance(arguments->instance, request, NULL, 0, &answer, &error);
	json_decref(request);
	if (code)
		return set_failed(error.text);
	if (arguments->json)
		set_print_json(answer);
	else
		set_print_sets(answer);
	json_decref(answer);
	return COMMAND_DONE;
}

/* --- add, del, flush -------------------------------------------------------------------------- */

static int set_change(const struct set_arguments *arguments)
{
	char command[16];
	json_t *request, *members, *answer;
	struct xfq_error error;
	long long absent;
	int code;

	snprintf(command, sizeof(command), "set-%s", arguments->verb);
	request = set_request(arguments, command);
	members = json_array();
	for (int i = 0; i < arguments->word_cnt; i++)
		json_array_append_new(members, json_string(arguments->words[i]));
	json_object_set_new(request, "members", members);
	code = ask_instance(arguments->instance, request, NULL, 0, &answer, &error);
	json_decref(request);
	if (code)
		return set_failed(error.text);
	absent = set_number(answer, "absent");
	if (arguments->json)
		set_print_json(answer);
	else if (strcmp(arguments->verb, "add") == 0)
		printf("%s: %lld added, %lld were there; %lld members\n", arguments->name,
		       set_number(answer, "added"), set_number(answer, "renewed"),
		       set_number(answer, "members"));
	else if (strcmp(arguments->verb, "del") == 0)
		printf("%s: %lld removed, %lld were not there; %lld members\n", arguments->name,
		       set_number(answer, "removed"), absent, set_number(answer, "members"));
	else
		printf("%s: %lld removed\n", arguments->name, set_number(answer, "removed"));
	json_decref(answer);
	return absent ? COMMAND_FAILED : COMMAND_DONE;
}

/* --- load ------------------------------------------------------------------------------------- */

/* All of a file, the caller's to free; NULL: told. */
static char *set_read(const char *path, size_t *len)
{
	bool input = strcmp(path, "-") == 0;
	FILE *file = input ? stdin : fopen(path, "re");
	size_t room = 1u << 16;
	char *text = NULL, *more = NULL;

	*len = 0;
	if (!file) {
		fprintf(stderr, "xfq set: %s: %m\n", path);
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
		fprintf(stderr, "xfq set: %s: %s\n", path,
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

/* How far the list has got, on a terminal. */
static void set_draw(void *context, size_t sent, size_t total)
{
	int *drawn = context;
	int percent = (int)(sent * 100 / total), done = percent * SET_BAR / 100;

	if (percent == *drawn)
		return;
	*drawn = percent;
	fprintf(stderr, "\r[%.*s%.*s] %3d %%", done, "########################################",
		SET_BAR - done, "........................................", percent);
	if (percent == 100)
		fputs(", into the kernel ...", stderr);
	fflush(stderr);
}

static int set_show_loaded(const struct set_arguments *arguments, const char *text)
{
	json_t *answer = json_loads(text, 0, NULL);
	const json_t *errors = json_object_get(answer, "errors"), *line;
	bool loaded = json_is_true(json_object_get(answer, "loaded"));
	size_t i;

	if (arguments->json)
		set_print_json(answer);
	else if (loaded)
		printf("%s: %lld members\n", arguments->name, set_number(answer, "members"));
	if (!arguments->json)
		json_array_foreach(errors, i, line)
			fprintf(stderr, "%s:%s\n", arguments->words[0], json_string_value(line));
	if (!loaded && !arguments->json)
		fprintf(stderr, "xfq set: %s: nothing has changed\n", arguments->name);
	json_decref(answer);
	return loaded ? COMMAND_DONE : COMMAND_FAILED;
}

static int set_load(const struct set_arguments *arguments)
{
	bool draws = isatty(STDERR_FILENO) && !arguments->json;
	json_t *request = set_request(arguments, "set-load");
	int drawn = -1, status = COMMAND_FAILED;
	struct client_command command = {.progress = draws ? set_draw : NULL, .context = &drawn};
	char *text = set_read(arguments->words[0], &command.data_len), *json, *answer = NULL;
	struct xfq_error error;
	struct xfq *xfq = NULL;

	if (arguments->add)
		json_object_set_new(request, "add", json_true());
	json = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	command.json = json;
	command.data = text;
	if (text && (xfq_open(&xfq, arguments->instance, &error) ||
		     client_command(xfq, &command, &answer, &error))) {
		if (drawn >= 0)
			fputs("\r\033[K", stderr);
		set_failed(error.text);
	} else if (text) {
		if (drawn >= 0)
			fputs("\r\033[K", stderr);
		status = set_show_loaded(arguments, answer);
	}
	xfq_close(xfq);
	free(answer);
	free(json);
	free(text);
	return status;
}

/* --- arguments -------------------------------------------------------------------------------- */

static const struct set_verb {
	const char *name;
	int (*run)(const struct set_arguments *arguments);
	int word_min, word_max; /* with the set's name */
	bool seconds, add;
} set_verbs[] = {
	{"list", set_list, 0, 1, false, false},
	{"add", set_change, 2, INT32_MAX, true, false},
	{"del", set_change, 2, INT32_MAX, false, false},
	{"load", set_load, 2, 2, true, true},
	{"flush", set_change, 1, 1, false, false},
};

static int set_usage(const char *why)
{
	fprintf(stderr, "xfq set: %s\n\n%s", why, set_help);
	return COMMAND_USAGE;
}

static int set_run(struct set_arguments *arguments, int word_cnt, char **words)
{
	const struct set_verb *verb = NULL;

	if (word_cnt == 0)
		return set_usage("list, add, del, load or flush?");
	for (size_t i = 0; i < sizeof(set_verbs) / sizeof(set_verbs[0]); i++)
		if (strcmp(words[0], set_verbs[i].name) == 0)
			verb = &set_verbs[i];
	if (!verb)
		return set_usage("there is list, add, del, load and flush");
	if (word_cnt - 1 < verb->word_min)
		return set_usage(verb->word_min == 1 || word_cnt == 1
					 ? "the name of a set is missing"
					 : "what is it about?");
	if (word_cnt - 1 > verb->word_max)
		return set_usage("one word too many");
	if (arguments->seconds > 0 && !verb->seconds)
		return set_usage("--for goes with add and load");
	if (arguments->add && !verb->add)
		return set_usage("--add goes with load");
	arguments->verb = verb->name;
	arguments->name = words[1];
	arguments->words = words + 2;
	arguments->word_cnt = word_cnt > 2 ? word_cnt - 2 : 0;
	return verb->run(arguments);
}

int command_set(int argc, char **argv)
{
	static const struct option options[] = {{"instance", required_argument, NULL, 'i'},
						{"for", required_argument, NULL, 'f'},
						{"add", no_argument, NULL, 'a'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	struct set_arguments arguments = {0};
	int option;

	while ((option = getopt_long(argc, argv, "hi:", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			fputs(set_help, stdout);
			return COMMAND_DONE;
		case 'i':
			arguments.instance = optarg;
			break;
		case 'f':
			if (!command_seconds("set", optarg, &arguments.seconds))
				return COMMAND_USAGE;
			break;
		case 'a':
			arguments.add = true;
			break;
		case 'j':
			arguments.json = true;
			break;
		default:
			fputs(set_help, stderr);
			return COMMAND_USAGE;
		}
	}
	return set_run(&arguments, argc - optind, argv + optind);
}
