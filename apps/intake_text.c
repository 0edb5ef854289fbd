/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/intake_text.h"
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static double intake_seconds(const struct intake *intake)
{
	return (double)(intake->now_ns - intake->begin_ns) / 1e9;
}

static uint64_t intake_lost(const struct intake *intake)
{
	return intake->stats.lost_ring + intake->stats.lost_quota;
}

void intake_announce(const struct intake *intake, FILE *out)
{
	const struct xfq_member_info *info = &intake->info;
	const char *path = intake->options.path;

	fprintf(out, "xfq join: %s of %s, %s: member %u, %u ring%s of %u slots%s%s\n", info->group,
		info->instance, info->interfaces, info->id, info->rings,
		info->rings == 1 ? "" : "s", info->ring_slots, path ? ", writing to " : "",
		!path                    ? ""
		: strcmp(path, "-") == 0 ? "standard output"
					 : path);
}

/* Three digits and a unit. */
static void intake_scale(double value, char *to, size_t room)
{
	static const char units[] = " kMGTPE";
	unsigned i = 0;

	while (value >= 999.5 && units[i + 1]) {
		value /= 1000;
		i++;
	}
	if (i == 0)
		snprintf(to, room, "%.0f ", value);
	else
		snprintf(to, room, "%.*f %c", value < 9.995 ? 2 : value < 99.95, value, units[i]);
}

void intake_draw(struct intake *intake)
{
	bool terminal = isatty(STDERR_FILENO);
	double seconds = (double)(intake->now_ns - intake->drawn_ns) / 1e9;
	uint64_t packets = intake->packets - intake->drawn_packets;
	char rate[32], bytes[32];

	intake_scale(seconds > 0 ? (double)packets / seconds : 0, rate, sizeof(rate));
	intake_scale((double)intake->bytes, bytes, sizeof(bytes));
	fprintf(stderr, "%s%s: %" PRIu64 " packets, %s/s, %sB, lost %" PRIu64 "%s",
		terminal ? "\r" : "", intake->info.group, intake->packets, rate, bytes,
		intake_lost(intake), terminal ? "\033[K" : "\n");
	fflush(stderr);
	intake->drawn_ns = intake->now_ns;
	intake->drawn_packets = intake->packets;
}

void intake_wipe(const struct intake *intake)
{
	if (intake->options.live_seconds > 0 && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

/* "marks: 7: 120, 9: 3", where packets had any. */
static void intake_summary_marks(const struct intake *intake, FILE *out)
{
	for (uint32_t i = 0; i < intake->mark_cnt; i++)
		fprintf(out, "%s%" PRIu32 ": %" PRIu64, i ? ", " : "marks: ", intake->marks[i].mark,
			intake->marks[i].packets);
	if (intake->other_marks)
		fprintf(out, ", others: %" PRIu64, intake->other_marks);
	if (intake->mark_cnt)
		fputc('\n', out);
}

void intake_summary(const struct intake *intake, FILE *out)
{
	const struct xfq_member_info *info = &intake->info;
	const struct pcapng *pcapng = &intake->pcapng;

	fprintf(out,
		"%s of %s, member %u: %" PRIu64 " packets, %" PRIu64
		" bytes in %.3f s, lost %" PRIu64 " (ring %" PRIu64 ", quota %" PRIu64 ")\n",
		info->group, info->instance, info->id, intake->packets, intake->bytes,
		intake_seconds(intake), intake_lost(intake), intake->stats.lost_ring,
		intake->stats.lost_quota);
	intake_summary_marks(intake, out);
	if (intake->options.path) {
		fprintf(out, "written: %" PRIu64 " packets", pcapng->packet_cnt);
		if (pcapng->lost_cnt)
			fprintf(out, "; %" PRIu64 " could not be", pcapng->lost_cnt);
		fputc('\n', out);
	}
	fprintf(out, "ended: %s\n", intake->why);
}

static const char *intake_end_name(enum intake_end end)
{
	switch (end) {
	case INTAKE_COUNT:
		return "count";
	case INTAKE_TIME:
		return "time";
	case INTAKE_SIGNAL:
		return "signal";
	case INTAKE_READER:
		return "reader";
	case INTAKE_INSTANCE:
		return "instance";
	case INTAKE_KILLED:
		return "killed";
	case INTAKE_DETACHED:
		return "detached";
	case INTAKE_FILE:
		return "file";
	case INTAKE_SYSTEM:
	case INTAKE_GOES_ON:
		break;
	}
	return "error";
}

static void intake_set(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *intake_json_marks(const struct intake *intake)
{
	json_t *marks = json_object();
	char name[16];

	for (uint32_t i = 0; i < intake->mark_cnt; i++) {
		snprintf(name, sizeof(name), "%" PRIu32, intake->marks[i].mark);
		intake_set(marks, name, intake->marks[i].packets);
	}
	if (intake->other_marks)
		intake_set(marks, "others", intake->other_marks);
	return marks;
}

json_t *intake_json(const struct intake *intake)
{
	const struct xfq_member_info *info = &intake->info;
	json_t *object = json_object();

	json_object_set_new(object, "instance", json_string(info->instance));
	json_object_set_new(object, "group", json_string(info->group));
	json_object_set_new(object, "interface", json_string(info->interfaces));
	intake_set(object, "member", info->id);
	intake_set(object, "ring", info->ring_slots);
	json_object_set_new(object, "seconds",
			    json_real((double)(uint64_t)(intake_seconds(intake) * 1e3) / 1e3));
	intake_set(object, "packets", intake->packets);
	intake_set(object, "bytes", intake->bytes);
	if (intake->mark_cnt)
		json_object_set_new(object, "marks", intake_json_marks(intake));
	intake_set(object, "lost", intake_lost(intake));
	intake_set(object, "lost_ring", intake->stats.lost_ring);
	intake_set(object, "lost_quota", intake->stats.lost_quota);
	intake_set(object, "wakeups", intake->stats.wakeups);
	if (intake->options.path) {
		intake_set(object, "written", intake->pcapng.packet_cnt);
		intake_set(object, "unwritten", intake->pcapng.lost_cnt);
	}
	json_object_set_new(object, "end", json_string(intake_end_name(intake->end)));
	json_object_set_new(object, "why", json_string(intake->why));
	return object;
}
