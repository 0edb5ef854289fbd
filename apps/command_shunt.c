/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/ask.h"
#include "apps/commands.h"
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char shunt_help[] =
	"Usage: xfq shunt add FLOW drop|pass [--packets N] [--for SECONDS] [--instance NAME]\n"
	"       xfq shunt del FLOW [--instance NAME]\n"
	"       xfq shunt list [--all] [--json] [--instance NAME]\n"
	"Have a running instance drop the packets of a flow, or leave them to the kernel's stack,\n"
	"where its rules would steer them to a group. Both directions are one flow. For the user\n"
	"of the instance, and root.\n\n"
	"  FLOW             three words: the protocol and both ends, in any order; ends have "
	"ports\n"
	"                   with tcp, udp and sctp:\n"
	"                       tcp 192.0.2.1:80 198.51.100.2:1234\n"
	"                       udp [2001:db8::1]:53 [2001:db8::2]:1024\n"
	"                       icmp 192.0.2.1 198.51.100.2\n"
	"  --packets N      for so many packets; else for any number\n"
	"  --for SECONDS    for so long; else for good\n"
	"  --all            also beyond the first 10000\n"
	"  --instance NAME  which instance; or the path of its socket; may be left out where one\n"
	"                   runs\n"
	"  --json           the answer as JSON: docs/json.md\n\n"
	"The table has as many places as filter.shunt says in the config (65536); where it is\n"
	"full the flow that was seen least recently gives way. Later fragments of a datagram\n"
	"belong to the flow of their first one.\n"
	"Exit status: 0 done, 1 failed, 2 usage.\n";

struct shunt_arguments {
	const char *instance;
	const char *words[5]; /* add PROTO END END ACTION */
	int word_cnt;
	unsigned long long packets;
	double seconds;
	bool all, json, ended;
};

static bool shunt_number(const char *text, unsigned long long *number)
{
	char *end;

	*number = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0' && *number > 0 && *number <= INT64_MAX)
		return true;
	fprintf(stderr, "xfq shunt: --packets %s: not a number from 1\n", text);
	return false;
}

static int shunt_usage(void)
{
	fputs(shunt_help, stderr);
	return COMMAND_USAGE;
}

static int shunt_options(int argc, char **argv, struct shunt_arguments *arguments)
{
	static const struct option options[] = {{"packets", required_argument, NULL, 'p'},
						{"for", required_argument, NULL, 'f'},
						{"instance", required_argument, NULL, 'i'},
						{"all", no_argument, NULL, 'a'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int option;

	memset(arguments, 0, sizeof(*arguments));
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			if (!shunt_number(optarg, &arguments->packets))
				return COMMAND_USAGE;
			break;
		case 'f':
			if (!command_seconds("shunt", optarg, &arguments->seconds))
				return COMMAND_USAGE;
			break;
		case 'i':
			arguments->instance = optarg;
			break;
		case 'a':
			arguments->all = true;
			break;
		case 'j':
			arguments->json = true;
			break;
		case 'h':
			fputs(shunt_help, stdout);
			arguments->ended = true;
			return COMMAND_DONE;
		default:
			return shunt_usage();
		}
	}
	for (; optind < argc; optind++) {
		if (arguments->word_cnt == 5) {
			fprintf(stderr, "xfq shunt: \"%s\" is one word too many\n", argv[optind]);
			return shunt_usage();
		}
		arguments->words[arguments->word_cnt++] = argv[optind];
	}
	return COMMAND_DONE;
}

/* What the instance is asked; NULL: the words make no sense, and that was told. */
static json_t *shunt_request(const struct shunt_arguments *arguments)
{
	const char *const *words = arguments->words;
	const char *verb = words[0] ? words[0] : "";
	char flow[256];
	json_t *request;

	if (strcmp(verb, "list") == 0 && arguments->word_cnt == 1)
		return json_pack("{s:s, s:I}", "command", "shunt-list", "most",
				 (json_int_t)(arguments->all ? INT64_MAX : 0));
	if (arguments->word_cnt < 4 || (strcmp(verb, "add") != 0 && strcmp(verb, "del") != 0) ||
	    (strcmp(verb, "add") == 0) != (arguments->word_cnt == 5)) {
		shunt_usage();
		return NULL;
	}
	snprintf(flow, sizeof(flow), "%s %s %s", words[1], words[2], words[3]);
	if (strcmp(verb, "del") == 0)
		return json_pack("{s:s, s:s}", "command", "shunt-del", "flow", flow);
	request = json_pack("{s:s, s:s, s:s}", "command", "shunt-add", "flow", flow, "action",
			    words[4]);
	if (arguments->packets)
		json_object_set_new(request, "packets",
				    json_integer((json_int_t)arguments->packets));
	if (arguments->seconds > 0)
		json_object_set_new(request, "seconds", json_real(arguments->seconds));
	return request;
}

static void shunt_print_left(const json_t *flow, const char *key, const char *unit, int digits)
{
	const json_t *left = json_object_get(flow, key);

	if (left)
		printf("  %.*f %s left", digits, json_number_value(left), unit);
}

static void shunt_print(const json_t *answer)
{
	const json_t *flows = json_object_get(answer, "flows");
	json_int_t cnt = json_integer_value(json_object_get(answer, "count"));

	if (json_array_size(flows) > 0)
		printf("%-5s %12s %14s  %s\n", "", "packets", "bytes", "flow");
	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i);
		const char *action = json_string_value(json_object_get(flow, "action"));
		const char *text = json_string_value(json_object_get(flow, "flow"));

		printf("%-5s %12" JSON_INTEGER_FORMAT " %14" JSON_INTEGER_FORMAT "  %s",
		       action ? action : "", json_integer_value(json_object_get(flow, "packets")),
		       json_integer_value(json_object_get(flow, "bytes")), text ? text : "");
		shunt_print_left(flow, "packets_left", "packets", 0);
		shunt_print_left(flow, "seconds_left", "s", 1);
		putchar('\n');
	}
	printf("%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " places in use%s\n", cnt,
	       json_integer_value(json_object_get(answer, "places")),
	       json_array_size(flows) < (size_t)cnt ? "; --all shows all" : "");
}

int command_shunt(int argc, char **argv)
{
	struct shunt_arguments arguments;
	json_t *request, *answer = NULL;
	struct xfq_error error;
	int status = shunt_options(argc, argv, &arguments);

	if (status || arguments.ended)
		return status;
	request = shunt_request(&arguments);
	if (!request)
		return COMMAND_USAGE;
	if (ask_instance(arguments.instance, request, NULL, 0, &answer, &error)) {
		fprintf(stderr, "xfq shunt: %s\n", error.text);
		status = COMMAND_FAILED;
	} else if (arguments.json) {
		json_dumpf(answer, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
		putchar('\n');
	} else if (strcmp(arguments.words[0], "list") == 0) {
		shunt_print(answer);
	}
	json_decref(request);
	json_decref(answer);
	return status;
}
