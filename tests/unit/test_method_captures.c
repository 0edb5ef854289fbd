/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steering methods on captures of real traffic: as the model says, and both directions of a flow
 * and all fragments of a datagram with one member, where the method promises it.
 */
#include "tests/unit/method_rig.h"
#include "workers/capture.h"
#include <dirent.h>

#define PACKETS 20000 /* of each capture */
#define MEMBERS 61

/* What belongs together has one member. */
struct bond {
	uint8_t bytes[80];
	uint32_t len;
	uint64_t target;
};

struct bonds {
	struct bond *bonds; /* twice as many as packets, found by a hash of their own */
	uint32_t mask;
};

static uint32_t shared_cnt; /* packets that had others to go with */

static uint32_t bond_hash(const uint8_t *bytes, uint32_t len)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (uint32_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash ^ hash >> 15;
}

/* A packet of `text` went to `target`: so did the others. */
static void bond(struct bonds *bonds, const char *what, const struct model_text *text,
		 uint64_t target)
{
	uint32_t at = bond_hash(text->bytes, text->len) & bonds->mask;

	assert_true(text->len < sizeof(bonds->bonds[0].bytes));
	while (bonds->bonds[at].len > 0) {
		struct bond *one = &bonds->bonds[at];

		if (one->len == text->len && memcmp(one->bytes, text->bytes, text->len) == 0) {
			if (one->target != target)
				fail_msg("%s: two members for what belongs together", what);
			shared_cnt++;
			return;
		}
		at = (at + 1) & bonds->mask;
	}
	memcpy(bonds->bonds[at].bytes, text->bytes, text->len);
	bonds->bonds[at].len = text->len;
	bonds->bonds[at].target = target;
}

static void bonds_create(struct bonds *bonds, uint32_t packets)
{
	uint32_t room = 2;

	while (room < 2 * packets)
		room *= 2;
	*bonds = (struct bonds){.bonds = calloc(room, sizeof(struct bond)), .mask = room - 1};
	assert_non_null(bonds->bonds);
}

static bool is_sound(const struct packet *pkt)
{
	return !(pkt->meta->flags & (XFQ_META_MALFORMED | XFQ_META_CUT));
}

/* The methods; those that promise both directions of a flow come first, and all fragments of a
 * datagram by all of them but the last two. */
#define BOTH_WAYS 7
#define WHOLE     10

static struct method_net nets[] = {{.len = 1}, {.len = 3, .v6 = 1, .sub = 48}};

static const struct method_spec specs[] = {
	{.method = METHOD_FLOW},
	{.method = METHOD_IP_PAIR},
	{.method = METHOD_DOUBLE},
	{.method = METHOD_LOCAL_IP, .nets = nets, .net_cnt = 2},
	{.method = METHOD_LOCAL_NET, .nets = nets, .net_cnt = 2},
	{.method = METHOD_KEY, .fields = METHOD_KEY_SRC | METHOD_KEY_SPORT, .symmetric = true},
	{.method = METHOD_KEY,
	 .fields = METHOD_KEY_SRC | METHOD_KEY_SPORT | METHOD_KEY_PROTO,
	 .symmetric = true},
	{.method = METHOD_SRC},
	{.method = METHOD_DST},
	{.method = METHOD_RSS_HASH},
	{.method = METHOD_FIELD, .offset = 30, .size = 4},
	{.method = METHOD_VLAN},
};

#define SPECS (sizeof(specs) / sizeof(specs[0]))

/* What the model says belongs together: a flow, and the fragments of a datagram. */
static void model_flow(struct model_text *text, const struct model *model)
{
	const struct method_spec flow = {.method = METHOD_FLOW};

	model_look(text, model, &flow);
}

static void model_datagram(struct model_text *text, const struct model *model, uint32_t id)
{
	memset(text, 0, sizeof(*text));
	text->applies = model->fragment;
	if (!model->fragment)
		return;
	model_put(text, model->src, model->addr_bytes);
	model_put(text, model->dst, model->addr_bytes);
	model_put_number(text, id);
}

/* The number of a fragmented datagram, as the parser found it. */
static uint32_t datagram_id(const struct packet *pkt)
{
	struct xfq_meta meta;
	struct parse_key key;

	parse_packet(NULL, pkt->data, pkt->data + pkt->len, pkt->len, &meta, &key);
	return key.fragment_id;
}

static void targets_of(const struct method_spec *spec, const struct roster *roster,
		       const struct packet *pkts, uint32_t cnt, uint64_t *targets)
{
	struct method_context context = {.seed = SEED};
	struct method_state old = {.turn = 0};
	uint8_t index[PACKET_BURST];

	for (uint32_t k = 0; k < PACKET_BURST; k++)
		index[k] = (uint8_t)k;
	for (uint32_t i = 0; i < cnt; i += PACKET_BURST) {
		uint32_t left = cnt - i < PACKET_BURST ? cnt - i : PACKET_BURST;

		method_targets(spec, &old, &context, roster, pkts + i, index, left, targets + i);
		for (uint32_t k = 0; k < left; k++)
			assert_true(targets[i + k] && targets[i + k] >> MEMBERS == 0);
	}
}

/* Packets of which the method looks at the same have one member; and what it promises holds. */
static void check_spec(const char *name, size_t s, const struct packet *pkts, uint32_t cnt)
{
	const struct method_spec *spec = &specs[s];
	struct bonds same, flows, datagrams;
	static struct roster roster;
	uint64_t *targets = calloc(cnt, sizeof(*targets));
	char what[512];

	assert_non_null(targets);
	rig_roster(&roster, MEMBERS);
	bonds_create(&same, cnt);
	bonds_create(&flows, cnt);
	bonds_create(&datagrams, cnt);
	snprintf(what, sizeof(what), "%s, %s", name, method_name(spec->method));
	targets_of(spec, &roster, pkts, cnt, targets);
	for (uint32_t i = 0; i < cnt; i++) {
		struct model_text text;
		struct model model;

		if (!is_sound(&pkts[i]))
			continue;
		model_read(&model, pkts[i].data, pkts[i].len);
		model_look(&text, &model, spec);
		if (method_makes_hash(spec) && text.applies)
			bond(&same, what, &text, targets[i]);
		model_flow(&text, &model);
		if (s < BOTH_WAYS && text.applies)
			bond(&flows, what, &text, targets[i]);
		model_datagram(&text, &model, datagram_id(&pkts[i]));
		if (s < WHOLE && text.applies)
			bond(&datagrams, what, &text, targets[i]);
	}
	free(same.bonds);
	free(flows.bonds);
	free(datagrams.bonds);
	free(targets);
}

/* Packets that are whole in the file. Returns how many. */
static uint32_t read_packets(const char *path, struct packet *pkts)
{
	struct capture_packet packet;
	struct capture capture;
	struct xfq_error error;
	uint32_t cnt = 0;

	if (capture_open(&capture, path, &error) != 0)
		return 0;
	while (cnt < PACKETS && capture_next(&capture, &packet, &error) == 1)
		if (packet.len == packet.wire_len && packet.len < PARSE_OFF_MAX)
			rig_packet(&pkts[cnt++], packet.data, packet.len);
	capture_close(&capture);
	return cnt;
}

static void test_captures(void **state)
{
	const char *shared = getenv("XFQ_SHARED_DIR");
	struct packet *pkts = calloc(PACKETS, sizeof(*pkts));
	uint32_t files = 0, packets = 0;
	struct dirent *entry;
	char pcaps[256], path[512];
	DIR *dir = NULL;

	(void)state;
	assert_non_null(pkts);
	if (shared) {
		snprintf(pcaps, sizeof(pcaps), "%s/data/pcaps", shared);
		dir = opendir(pcaps);
	}
	if (!dir) {
		free(pkts);
		print_message("skipped: no captures in $XFQ_SHARED_DIR/data/pcaps\n");
		skip();
	}
	while ((entry = readdir(dir))) {
		uint32_t cnt;

		if (!strstr(entry->d_name, ".pcap"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", pcaps, entry->d_name);
		cnt = read_packets(path, pkts);
		for (size_t s = 0; cnt > 0 && s < SPECS; s++)
			check_spec(entry->d_name, s, pkts, cnt);
		rig_drop(pkts, cnt);
		files += cnt > 0;
		packets += cnt;
	}
	closedir(dir);
	free(pkts);
	print_message("%u packets of %u captures, %u times with others\n", packets, files,
		      shared_cnt);
	assert_true(files > 0 && shared_cnt > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_captures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
