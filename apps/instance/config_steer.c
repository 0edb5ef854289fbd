/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/instance/config_steer.h"
#include "apps/instance/config_when.h"
#include "xdp/set.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- words ----------------------------------------------------------------------------------- */

bool config_steer_parse(const char *text, struct method_spec *spec, enum method *method)
{
	uint32_t member, last;

	*method = method_by_name(text);
	if (strncmp(text, "to:", 3) == 0) {
		*method = METHOD_TO;
		if (strchr(text, '-') ||
		    !config_range_parse(text + 3, CONFIG_MEMBERS_MAX - 1, &member, &last))
			return false;
		spec->to = member;
	} else if (*method == METHOD_TO || *method == METHOD_LOCAL_LINK ||
		   *method == METHOD_LOCAL_IP || *method == METHOD_LOCAL_NET ||
		   *method == METHOD_FIELD || *method == METHOD_KEY || *method == METHOD_PLUGIN ||
		   *method == METHOD_CNT) {
		return false;
	}
	spec->method = *method;
	if (*method == METHOD_STICKY) {
		spec->flows = CONFIG_STICKY_FLOWS;
		spec->idle_s = CONFIG_STICKY_IDLE;
	}
	return true;
}

/* What a method that needs more than a word looks like. */
static const char *config_steer_example(enum method method)
{
	switch (method) {
	case METHOD_TO:
		return "to:3, with a member's number from 0 to 63";
	case METHOD_LOCAL_LINK:
		return "{ by: local-link, gateway: \"02:00:00:00:00:01\" }";
	case METHOD_LOCAL_IP:
	case METHOD_LOCAL_NET:
		return "{ by: local-ip, nets: [192.0.2.0/24] }";
	case METHOD_FIELD:
		return "{ by: field, offset: 26, size: 4 }";
	case METHOD_KEY:
		return "{ by: key, fields: [src, dst] }";
	case METHOD_FLOW:
	case METHOD_IP_PAIR:
	case METHOD_SRC:
	case METHOD_DST:
	case METHOD_DOUBLE:
	case METHOD_LINK:
	case METHOD_VLAN:
	case METHOD_QUEUE:
	case METHOD_RSS_HASH:
	case METHOD_ROUND_ROBIN:
	case METHOD_RANDOM:
	case METHOD_BROADCAST:
	case METHOD_STICKY:
	case METHOD_PLUGIN:
	case METHOD_CNT:
		break;
	}
	return "{ by: plugin, name: NAME }";
}

/* A word without what people write otherwise: steer_ip_pair is ippair. */
static void config_steer_plain(const char *text, char *plain, size_t room)
{
	size_t len = 0;

	if (strncasecmp(text, "steer", 5) == 0)
		text += 5;
	for (; *text && len + 1 < room; text++)
		if (!strchr("-_ ", *text))
			plain[len++] = (char)tolower((unsigned char)*text);
	plain[len] = '\0';
}

/* The method that was probably meant; METHOD_CNT: none is near. */
static enum method config_steer_meant(const char *text)
{
	static const struct {
		const char *word;
		enum method method;
	} others[] = {
		{"rrobin", METHOD_ROUND_ROBIN},
		{"rr", METHOD_ROUND_ROBIN},
		{"rss", METHOD_RSS_HASH},
		{"p2p", METHOD_IP_PAIR},
		{"ip", METHOD_IP_PAIR},
		{"mac", METHOD_LINK},
		{"linklocal", METHOD_LOCAL_LINK},
		{"iplocal", METHOD_LOCAL_IP},
		{"net", METHOD_LOCAL_NET},
		{"all", METHOD_BROADCAST},
		{"hash", METHOD_FLOW},
	};
	char plain[64], name[64];

	config_steer_plain(text, plain, sizeof(plain));
	for (int method = 0; method < METHOD_CNT; method++) {
		config_steer_plain(method_name((enum method)method), name, sizeof(name));
		if (strcmp(plain, name) == 0)
			return (enum method)method;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(plain, others[i].word) == 0)
			return others[i].method;
	return METHOD_CNT;
}

/* Report a word that is no method, but near one. False: it is not near any. */
static bool config_steer_suggest(struct config_reader *reader, int node, const char *text)
{
	enum method meant = config_steer_meant(text);

	if (meant == METHOD_CNT)
		return false;
	config_fail(reader, node, "\"%.48s\" is no method; did you mean \"%s\"?", text,
		    method_name(meant));
	return true;
}

static bool config_steer_read_word(struct config_reader *reader, int node, struct method_spec *spec)
{
	const char *text = config_text(reader, node, 64);
	enum method method;

	if (!text)
		return false;
	if (config_steer_parse(text, spec, &method))
		return true;
	if (method != METHOD_CNT)
		config_fail(reader, node, "\"%.48s\" wants more than that, such as %s", text,
			    config_steer_example(method));
	else if (!config_steer_suggest(reader, node, text))
		config_fail(reader, node,
			    "\"%.48s\" is none of " CONFIG_STEER_WORDS
			    "; nor of those that want more, as { by: METHOD, ... }: local-link, "
			    "local-ip, local-net, field, key, plugin",
			    text);
	return false;
}

/* --- parameters ------------------------------------------------------------------------------ */

/* A method being read. */
struct config_steer {
	struct method_spec spec;
	const struct config *config;
};

static const struct config_word config_steer_methods[] = {
	{"flow", METHOD_FLOW, NULL},
	{"ip-pair", METHOD_IP_PAIR, NULL},
	{"src", METHOD_SRC, NULL},
	{"dst", METHOD_DST, NULL},
	{"double", METHOD_DOUBLE, NULL},
	{"link", METHOD_LINK, NULL},
	{"local-link", METHOD_LOCAL_LINK, NULL},
	{"vlan", METHOD_VLAN, NULL},
	{"queue", METHOD_QUEUE, NULL},
	{"rss-hash", METHOD_RSS_HASH, NULL},
	{"round-robin", METHOD_ROUND_ROBIN, NULL},
	{"random", METHOD_RANDOM, NULL},
	{"to", METHOD_TO, NULL},
	{"local-ip", METHOD_LOCAL_IP, NULL},
	{"local-net", METHOD_LOCAL_NET, NULL},
	{"field", METHOD_FIELD, NULL},
	{"key", METHOD_KEY, NULL},
	{"broadcast", METHOD_BROADCAST, NULL},
	{"sticky", METHOD_STICKY, NULL},
	{"plugin", METHOD_PLUGIN, NULL},
	{NULL, 0, NULL},
};

static void config_steer_read_by(struct config_reader *reader, int node, void *object)
{
	const char *text = config_text(reader, node, 64);
	struct config_steer *steer = object;
	uint32_t method;

	if (!text ||
	    (method_by_name(text) == METHOD_CNT && config_steer_suggest(reader, node, text)))
		return;
	if (config_word(reader, node, config_steer_methods, &method))
		steer->spec.method = (enum method)method;
}

static void config_steer_read_gateway(struct config_reader *reader, int node, void *object)
{
	const char *text = config_text(reader, node, SET_TEXT_BYTES - 1);
	struct config_steer *steer = object;
	struct set_member member;
	struct xfq_error error;

	if (!text)
		return;
	if (set_parse_member(SET_MAC, &member, text, &error) == 0)
		memcpy(steer->spec.gateway, member.key.mac, sizeof(member.key.mac));
	else
		config_fail(reader, node, "%s", error.text);
}

/* Cut what is behind a second '/' off: how long the networks within a prefix are. False: it is no
 * number. */
static bool config_net_cut(char *text, uint32_t *sub)
{
	char *slash = strchr(text, '/');
	uint32_t last;

	slash = slash ? strchr(slash + 1, '/') : NULL;
	*sub = 0;
	if (!slash)
		return true;
	*slash = '\0';
	return !strchr(slash + 1, '-') && config_range_parse(slash + 1, 128, sub, &last);
}

static void config_steer_read_net(struct config_reader *reader, const struct config_item *item,
				  void *object)
{
	const char *text = config_text(reader, item->node, SET_TEXT_BYTES - 1);
	struct config_steer *steer = object;
	struct method_net *net = &steer->spec.nets[steer->spec.net_cnt];
	bool parts = steer->spec.method == METHOD_LOCAL_NET;
	char prefix[SET_TEXT_BYTES];
	struct set_member member;
	struct xfq_error error;
	uint32_t sub = 0;

	if (!text)
		return;
	strcpy(prefix, text);
	if (parts && !config_net_cut(prefix, &sub)) {
		config_fail(reader, item->node,
			    "\"%.48s\" is not a prefix such as 192.0.2.0/24, nor one with the "
			    "length of its networks such as 10.0.0.0/8/24",
			    text);
		return;
	}
	if (set_parse_member(SET_NET, &member, prefix, &error) != 0) {
		config_fail(reader, item->node, "%s", error.text);
		return;
	}
	if (sub != 0 && (sub < member.key.net.len || sub > (member.key.net.v6 ? 128 : 32))) {
		config_fail(reader, item->node,
			    "\"%.48s\": the networks of a prefix are as long as it is, or longer, "
			    "and at most %u bits",
			    text, member.key.net.v6 ? 128 : 32);
		return;
	}
	memcpy(net->addr, member.key.net.addr, sizeof(net->addr));
	net->len = member.key.net.len;
	net->v6 = member.key.net.v6;
	net->sub = (uint8_t)sub;
	steer->spec.net_cnt++;
}

static void config_steer_read_nets(struct config_reader *reader, int node, void *object)
{
	const yaml_node_t *list = yaml_document_get_node(reader->document, node);
	struct config_steer *steer = object;

	steer->spec.nets = calloc(METHOD_NETS_MAX, sizeof(*steer->spec.nets));
	if (!steer->spec.nets) {
		reader->out_of_memory = true;
		return;
	}
	config_list_read(reader, node, METHOD_NETS_MAX, "prefixes", config_steer_read_net, steer);
	if (list->type == YAML_SEQUENCE_NODE &&
	    list->data.sequence.items.start == list->data.sequence.items.top)
		config_fail(reader, node, "the list is empty");
}

static void config_steer_read_field(struct config_reader *reader, const struct config_item *item,
				    void *object)
{
	const char *text = config_text(reader, item->node, 64);
	struct config_steer *steer = object;
	uint32_t field = text ? method_field_by_name(text) : 0;

	if (!text)
		return;
	if (field == 0)
		config_fail(reader, item->node,
			    "\"%.48s\" is none of src, dst, sport, dport, proto, vlan, src-mac, "
			    "dst-mac, ethertype, tos, flow-label, dscp, ecn, icmp-type, icmp-code",
			    text);
	else if (steer->spec.fields & field)
		config_fail(reader, item->node, "is given twice");
	steer->spec.fields |= field;
}

static void config_steer_read_fields(struct config_reader *reader, int node, void *object)
{
	const yaml_node_t *list = yaml_document_get_node(reader->document, node);

	config_list_read(reader, node, METHOD_KEY_FIELDS, "fields", config_steer_read_field,
			 object);
	if (list->type == YAML_SEQUENCE_NODE &&
	    list->data.sequence.items.start == list->data.sequence.items.top)
		config_fail(reader, node, "the list is empty");
}

static void config_steer_read_plugin(struct config_reader *reader, int node, void *object)
{
	struct config_steer *steer = object;

	config_plugin_find(reader, node, steer->config, &steer->spec.plugin);
}

static const struct config_word config_steer_elses[] = {
	{"flow", METHOD_ELSE_FLOW, NULL},
	{"drop", METHOD_ELSE_DROP, NULL},
	{NULL, 0, NULL},
};

/* `by` is read before what depends on it. */
enum {
	CONFIG_STEER_BY = 0,
	CONFIG_STEER_MEMBER,
	CONFIG_STEER_GATEWAY,
	CONFIG_STEER_NETS,
	CONFIG_STEER_OFFSET,
	CONFIG_STEER_SIZE,
	CONFIG_STEER_WITH,
	CONFIG_STEER_EACH,
	CONFIG_STEER_FIELDS,
	CONFIG_STEER_SYMMETRIC,
	CONFIG_STEER_FLOWS,
	CONFIG_STEER_IDLE,
	CONFIG_STEER_NAME,
	CONFIG_STEER_ELSE,
	CONFIG_STEER_KEYS
};
static const struct config_key config_steer_keys[] = {
	[CONFIG_STEER_BY] = {.name = "by",
			     .kind = CONFIG_KIND_READ,
			     .required = true,
			     .read = config_steer_read_by},
	[CONFIG_STEER_MEMBER] = {.name = "member",
				 .kind = CONFIG_KIND_NUMBER,
				 CONFIG_MEMBER(struct config_steer, spec.to),
				 .max = CONFIG_MEMBERS_MAX - 1},
	[CONFIG_STEER_GATEWAY] = {.name = "gateway",
				  .kind = CONFIG_KIND_READ,
				  .read = config_steer_read_gateway},
	[CONFIG_STEER_NETS] = {.name = "nets",
			       .kind = CONFIG_KIND_READ,
			       .read = config_steer_read_nets},
	[CONFIG_STEER_OFFSET] = {.name = "offset",
				 .kind = CONFIG_KIND_NUMBER,
				 CONFIG_MEMBER(struct config_steer, spec.offset),
				 .max = CONFIG_OFFSET_MAX},
	[CONFIG_STEER_SIZE] = {.name = "size",
			       .kind = CONFIG_KIND_NUMBER,
			       CONFIG_MEMBER(struct config_steer, spec.size),
			       .min = 1,
			       .max = METHOD_FIELD_MAX},
	[CONFIG_STEER_WITH] = {.name = "with",
			       .kind = CONFIG_KIND_NUMBER,
			       CONFIG_MEMBER(struct config_steer, spec.offset2),
			       .max = CONFIG_OFFSET_MAX},
	[CONFIG_STEER_EACH] = {.name = "each",
			       .kind = CONFIG_KIND_BOOL,
			       CONFIG_MEMBER(struct config_steer, spec.each)},
	[CONFIG_STEER_FIELDS] = {.name = "fields",
				 .kind = CONFIG_KIND_READ,
				 .read = config_steer_read_fields},
	[CONFIG_STEER_SYMMETRIC] = {.name = "symmetric",
				    .kind = CONFIG_KIND_BOOL,
				    CONFIG_MEMBER(struct config_steer, spec.symmetric)},
	[CONFIG_STEER_FLOWS] = {.name = "flows",
				.kind = CONFIG_KIND_NUMBER,
				CONFIG_MEMBER(struct config_steer, spec.flows),
				.min = 1,
				.max = CONFIG_STICKY_FLOWS_MAX},
	[CONFIG_STEER_IDLE] = {.name = "idle",
			       .kind = CONFIG_KIND_NUMBER,
			       CONFIG_MEMBER(struct config_steer, spec.idle_s),
			       .max = CONFIG_STICKY_IDLE_MAX},
	[CONFIG_STEER_NAME] = {.name = "name",
			       .kind = CONFIG_KIND_READ,
			       .read = config_steer_read_plugin},
	[CONFIG_STEER_ELSE] = {.name = "else",
			       CONFIG_MEMBER(struct config_steer, spec.otherwise),
			       .words = config_steer_elses},
	{.name = NULL},
};

#define STEER_BIT(key) (1u << CONFIG_STEER_##key)

/* Which keys a method needs, and which it may have beside them. */
static void config_steer_allowed(enum method method, uint32_t *needed, uint32_t *allowed)
{
	static const struct {
		uint32_t needed, allowed;
	} keys[METHOD_CNT] = {
		[METHOD_IP_PAIR] = {0, STEER_BIT(ELSE)},
		[METHOD_SRC] = {0, STEER_BIT(ELSE)},
		[METHOD_DST] = {0, STEER_BIT(ELSE)},
		[METHOD_DOUBLE] = {0, STEER_BIT(ELSE)},
		[METHOD_LINK] = {0, STEER_BIT(ELSE)},
		[METHOD_LOCAL_LINK] = {STEER_BIT(GATEWAY), STEER_BIT(ELSE)},
		[METHOD_VLAN] = {0, STEER_BIT(ELSE)},
		[METHOD_RSS_HASH] = {0, STEER_BIT(ELSE)},
		[METHOD_TO] = {STEER_BIT(MEMBER), STEER_BIT(ELSE)},
		[METHOD_LOCAL_IP] = {STEER_BIT(NETS), STEER_BIT(ELSE)},
		[METHOD_LOCAL_NET] = {STEER_BIT(NETS), STEER_BIT(ELSE)},
		[METHOD_FIELD] = {STEER_BIT(OFFSET) | STEER_BIT(SIZE),
				  STEER_BIT(WITH) | STEER_BIT(EACH) | STEER_BIT(ELSE)},
		[METHOD_KEY] = {STEER_BIT(FIELDS), STEER_BIT(SYMMETRIC) | STEER_BIT(ELSE)},
		[METHOD_STICKY] = {0, STEER_BIT(FLOWS) | STEER_BIT(IDLE)},
		[METHOD_PLUGIN] = {STEER_BIT(NAME), STEER_BIT(ELSE)},
	};

	*needed = keys[method].needed;
	*allowed = keys[method].allowed | keys[method].needed | STEER_BIT(BY);
}

static void config_steer_check(struct config_reader *reader, int node, const int *at,
			       struct method_spec *spec)
{
	uint32_t needed, allowed;

	config_steer_allowed(spec->method, &needed, &allowed);
	for (int i = 0; i < CONFIG_STEER_KEYS; i++) {
		const char *key = config_steer_keys[i].name;

		if (at[i] == 0 && (needed >> i & 1))
			config_fail_key(reader, node, key, "is missing");
		else if (at[i] != 0 && !(allowed >> i & 1))
			config_fail_key(reader, at[i], key, "does not go with by: %s%s",
					method_name(spec->method),
					i == CONFIG_STEER_ELSE ? ", which applies to every packet"
							       : "");
	}
	if (spec->method == METHOD_FIELD) {
		if (at[CONFIG_STEER_WITH] == 0 && at[CONFIG_STEER_EACH] != 0)
			config_fail_key(reader, at[CONFIG_STEER_EACH], "each",
					"goes with a second place (with: OFFSET)");
		spec->symmetric = at[CONFIG_STEER_WITH] != 0 && !spec->each;
	}
	if (spec->method == METHOD_STICKY && at[CONFIG_STEER_FLOWS] == 0)
		spec->flows = CONFIG_STICKY_FLOWS;
	if (spec->method == METHOD_STICKY && at[CONFIG_STEER_IDLE] == 0)
		spec->idle_s = CONFIG_STICKY_IDLE;
}

bool config_steer_read(struct config_reader *reader, int node, const struct config *config,
		       struct method_spec *spec)
{
	struct config_steer steer = {.spec = {.method = METHOD_CNT}, .config = config};
	int at[CONFIG_KEYS_MAX];
	bool known = false;

	if (config_node_type(reader, node) != YAML_MAPPING_NODE)
		return config_steer_read_word(reader, node, spec);
	if (config_map_read(reader, node, config_steer_keys, &steer, at))
		known = steer.spec.method != METHOD_CNT;
	if (known)
		config_steer_check(reader, node, at, &steer.spec);
	else
		steer.spec.method = METHOD_FLOW;
	*spec = steer.spec;
	return known;
}
