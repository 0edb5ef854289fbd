/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/commands.h"
#include "apps/intake.h"
#include "apps/intake_text.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xfq/ring.h>

static const char join_help[] =
	"Usage: xfq join GROUP [-w FILE] [-c N] [--for SECONDS] [--instance NAME]\n"
	"                [--class A,B] [--weight W] [--ring SLOTS] [--live]\n"
	"                [--json]\n"
	"       xfq join [--instance NAME] [--json]\n"
	"Take the packets of a running instance's group until Ctrl-C: count them, or write\n"
	"them to a capture file; then print a summary. Several at once share the group, and\n"
	"what one loses by being slow is lost for it alone. Needs no privilege, only that the\n"
	"group's access: in the config allows it. Without GROUP: list the groups.\n\n"
	"  -w, --write FILE  write pcapng, with nanoseconds, and at the end how many were\n"
	"                    received and lost; what was in FILE is gone; - for standard output,\n"
	"                    where the summary goes to standard error:\n"
	"                    xfq join GROUP -w - | tcpdump -n -r -\n"
	"  -c, --count N     end after N packets\n"
	"  --for SECONDS     end after that time\n"
	"  --instance NAME   which instance; or the path of its socket; may be left out where\n"
	"                    one runs\n"
	"  --class A,B       get the packets of these classes of the group, too; without, those "
	"for all\n"
	"                    members alone\n"
	"  --weight W        share of the flows beside the other members', 1 to 1000; default 1\n"
	"  --ring SLOTS      of its ring, 1 to 65536; at most the group's, which is the default\n"
	"  --live            show counters while running: redrawn each second on a terminal, else\n"
	"                    printed every 5 s (on a terminal they are shown anyway, but with -w "
	"-)\n"
	"  --json            the summary, or the list, as one JSON object\n\n"
	"XFQ_RUN_DIR names the folder of control sockets, if it is not /run/xfq.\n"
	"Members can read every packet that the instance steers, not only those of their group.\n"
	"Exit status: 0 done, also where the instance has ended or nobody reads -w - any more;\n"
	"1 failed: no such instance or group, not allowed, full, detached, the instance was\n"
	"killed, FILE not written; 2 usage.\n";

#define JOIN_LIVE_SECONDS_TERMINAL 1
#define JOIN_LIVE_SECONDS          5
#define JOIN_GROUPS                64 /* at first; there may be more */

struct join_arguments {
	struct intake_options intake;
	const char *instance; /* NULL: the only one */
	const char *needs;    /* an option that was given and needs a GROUP; NULL: none */
	bool json, live;
	bool ended; /* help was asked for, and printed */
};

/* --- the list of groups ---------------------------------------------------------------------- */

static void join_list_table(const char *instance, const struct xfq_group *groups, uint32_t cnt)
{
	printf("xfq %s\n\n%-31s %-11s %8s %6s %6s  %s\n", instance, "group", "steer", "built in",
	       "joined", "ring", "you may join");
	for (uint32_t i = 0; i < cnt; i++)
		printf("%-31s %-11s %8u %3u/%-2u %6u  %s%s%s\n", groups[i].name, groups[i].steer,
		       groups[i].members - groups[i].joined, groups[i].joined,
		       groups[i].members_max, groups[i].ring_slots,
		       !groups[i].allowed                          ? "no"
		       : groups[i].joined == groups[i].members_max ? "yes, but it is full"
								   : "yes",
		       groups[i].classes[0] ? "; classes " : "", groups[i].classes);
}

/* "user,control" as a list. */
static json_t *join_classes(const char *names)
{
	json_t *list = json_array();

	while (*names) {
		size_t len = strcspn(names, ",");

		json_array_append_new(list, json_stringn(names, len));
		names += len + (names[len] == ',');
	}
	return list;
}

static void join_list_json(const char *instance, const struct xfq_group *groups, uint32_t cnt)
{
	json_t *object = json_object(), *list = json_object();

	for (uint32_t i = 0; i < cnt; i++) {
		json_t *group = json_object();

		json_object_set_new(group, "steer", json_string(groups[i].steer));
		json_object_set_new(group, "members", json_integer(groups[i].members));
		json_object_set_new(group, "joined", json_integer(groups[i].joined));
		json_object_set_new(group, "max_members", json_integer(groups[i].members_max));
		json_object_set_new(group, "ring", json_integer(groups[i].ring_slots));
		json_object_set_new(group, "allowed", json_boolean(groups[i].allowed));
		if (groups[i].classes[0])
			json_object_set_new(group, "classes", join_classes(groups[i].classes));
		json_object_set_new(list, groups[i].name, group);
	}
	json_object_set_new(object, "instance", json_string(instance));
	json_object_set_new(object, "groups", list);
	json_dumpf(object, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(object);
}

static int join_list(struct xfq *xfq, bool json)
{
	struct xfq_group *groups = NULL;
	struct xfq_error error;
	uint32_t max = 0;
	int cnt = JOIN_GROUPS;

	do {
		max = (uint32_t)cnt;
		free(groups);
		groups = calloc(max, sizeof(*groups));
		cnt = groups ? xfq_groups(xfq, groups, max, &error)
			     : xfq_error_set(&error, -ENOMEM, "no memory for %u groups", max);
	} while (cnt > (int)max);
	if (cnt < 0)
		fprintf(stderr, "xfq join: %s\n", error.text);
	else if (json)
		join_list_json(xfq_name(xfq), groups, (uint32_t)cnt);
	else
		join_list_table(xfq_name(xfq), groups, (uint32_t)cnt);
	free(groups);
	return cnt < 0 ? COMMAND_FAILED : COMMAND_DONE;
}

/* --- a membership ---------------------------------------------------------------------------- */

static void join_print(const struct intake *intake, bool json, FILE *out)
{
	json_t *object;

	if (!json) {
		intake_summary(intake, out);
		return;
	}
	object = intake_json(intake);
	json_dumpf(object, out, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	fputc('\n', out);
	json_decref(object);
}

static int join_group(struct xfq *xfq, const struct join_arguments *arguments)
{
	const char *path = arguments->intake.path;
	FILE *out = path && strcmp(path, "-") == 0 ? stderr : stdout;
	/* on standard error, the object shall stand alone */
	bool say = !(arguments->json && out == stderr);
	struct intake intake;
	struct xfq_error error;
	int status = COMMAND_DONE;

	if (intake_open(&intake, xfq, &arguments->intake, &error)) {
		fprintf(stderr, "xfq join: %s\n", error.text);
		intake_close(&intake, NULL);
		return COMMAND_FAILED;
	}
	intake.live = intake_draw;
	if (say)
		intake_announce(&intake, stderr);
	intake_run(&intake);
	intake_wipe(&intake);
	if (intake.end >= INTAKE_KILLED ||
	    (intake.end == INTAKE_INSTANCE && say && arguments->json))
		fprintf(stderr, "xfq join: %s: %s\n", intake.info.instance, intake.why);
	if (intake.end >= INTAKE_KILLED)
		status = COMMAND_FAILED;
	if (intake_close(&intake, &error)) {
		fprintf(stderr, "xfq join: %s\n", error.text);
		status = COMMAND_FAILED;
	}
	join_print(&intake, arguments->json, out);
	return status;
}

/* --- arguments ------------------------------------------------------------------------------- */

/* Read a number from 1 to `max`, or complain and return false. */
static bool join_number(const char *option, const char *text, uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end && errno == 0 && *number >= 1 &&
	    *number <= max)
		return true;
	fprintf(stderr, "xfq join: %s %s: not a number from 1 to %llu\n", option, text,
		(unsigned long long)max);
	return false;
}

/* Take one option. */
static bool join_option(int option, struct join_arguments *arguments)
{
	struct intake_options *intake = &arguments->intake;
	uint64_t number = 0;
	bool good = true;

	switch (option) {
	case 'w':
		intake->path = optarg;
		break;
	case 'c':
		good = join_number("-c", optarg, INT64_MAX, &intake->packet_max);
		break;
	case 'f':
		good = command_seconds("join", optarg, &intake->seconds);
		break;
	case 'W':
		good = join_number("--weight", optarg, 1000, &number);
		intake->join.weight = (uint32_t)number;
		break;
	case 'r':
		good = join_number("--ring", optarg, XFQ_RING_SLOTS_MAX, &number);
		intake->join.ring_slots = (uint32_t)number;
		break;
	case 'C':
		intake->join.classes = optarg;
		break;
	case 'l':
		arguments->live = true;
		break;
	case 'i':
		arguments->instance = optarg;
		return true;
	case 'j':
		arguments->json = true;
		return true;
	default:
		fputs(join_help, stderr);
		return false;
	}
	arguments->needs = option == 'w'   ? "-w"
			   : option == 'c' ? "-c"
			   : option == 'f' ? "--for"
			   : option == 'W' ? "--weight"
			   : option == 'r' ? "--ring"
			   : option == 'C' ? "--class"
					   : "--live";
	return good;
}

/* What fits together. COMMAND_DONE, or COMMAND_USAGE once it was told. */
static int join_check(int argc, char **argv, struct join_arguments *arguments)
{
	struct intake_options *intake = &arguments->intake;
	bool to_stdout = intake->path && strcmp(intake->path, "-") == 0;

	if (argc - optind > 1) {
		fprintf(stderr, "xfq join: \"%s\" is one word too many\n", argv[optind + 1]);
		fputs(join_help, stderr);
		return COMMAND_USAGE;
	}
	intake->group = argv[optind];
	if (!intake->group && arguments->needs) {
		fprintf(stderr, "xfq join: %s needs a GROUP; xfq join lists them\n",
			arguments->needs);
		return COMMAND_USAGE;
	}
	if (to_stdout && isatty(STDOUT_FILENO)) {
		fprintf(stderr,
			"xfq join: -w -: standard output is a terminal; pipe it into a program: "
			"xfq join %s -w - | tcpdump -n -r -\n",
			intake->group);
		return COMMAND_USAGE;
	}
	/* whoever reads the capture may write to the same terminal */
	if (isatty(STDERR_FILENO) && (arguments->live || !to_stdout))
		intake->live_seconds = JOIN_LIVE_SECONDS_TERMINAL;
	else if (arguments->live)
		intake->live_seconds = JOIN_LIVE_SECONDS;
	return COMMAND_DONE;
}

static int join_parse(int argc, char **argv, struct join_arguments *arguments)
{
	static const struct option options[] = {{"write", required_argument, NULL, 'w'},
						{"count", required_argument, NULL, 'c'},
						{"for", required_argument, NULL, 'f'},
						{"instance", required_argument, NULL, 'i'},
						{"weight", required_argument, NULL, 'W'},
						{"ring", required_argument, NULL, 'r'},
						{"class", required_argument, NULL, 'C'},
						{"live", no_argument, NULL, 'l'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int option;

	while ((option = getopt_long(argc, argv, "hc:w:", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(join_help, stdout);
			arguments->ended = true;
			return COMMAND_DONE;
		}
		if (!join_option(option, arguments))
			return COMMAND_USAGE;
	}
	return join_check(argc, argv, arguments);
}

int command_join(int argc, char **argv)
{
	struct join_arguments arguments = {0};
	struct xfq_error error;
	struct xfq *xfq = NULL;
	int status = join_parse(argc, argv, &arguments);

	if (status || arguments.ended)
		return status;
	if (xfq_open(&xfq, arguments.instance, &error)) {
		fprintf(stderr, "xfq join: %s\n", error.text);
		status = COMMAND_FAILED;
	} else if (arguments.intake.group) {
		status = join_group(xfq, &arguments);
	} else {
		status = join_list(xfq, arguments.json);
	}
	xfq_close(xfq);
	return status;
}
