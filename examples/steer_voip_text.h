/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Of the plug-in steer_voip.c: SIP messages and SDP, read from a packet. Nothing outside of the
 * text is read, whatever it says.
 */
#ifndef STEER_VOIP_TEXT_H
#define STEER_VOIP_TEXT_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define VOIP_PAIRS_MAX 4 /* pairs of ports of an m= line */

static uint64_t voip_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	return x ^ x >> 32;
}

/* --- text ------------------------------------------------------------------------------------- */

/* Bytes from a packet: nothing is known of them but how many they are. */
struct voip_text {
	const uint8_t *at;
	uint32_t len;
};

static bool voip_take_line(struct voip_text *from, struct voip_text *line)
{
	const uint8_t *end;

	if (from->len == 0)
		return false;
	end = memchr(from->at, '\n', from->len);
	line->at = from->at;
	line->len = end ? (uint32_t)(end - from->at) : from->len;
	from->at += line->len + (end ? 1 : 0);
	from->len -= line->len + (end ? 1 : 0);
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	return true;
}

static bool voip_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static void voip_skip(struct voip_text *text, uint32_t cnt)
{
	text->at += cnt;
	text->len -= cnt;
}

static bool voip_take_word(struct voip_text *text, struct voip_text *word)
{
	uint32_t len = 0;

	while (text->len > 0 && voip_is_blank(text->at[0]))
		voip_skip(text, 1);
	while (len < text->len && !voip_is_blank(text->at[len]))
		len++;
	*word = (struct voip_text){text->at, len};
	voip_skip(text, len);
	return len > 0;
}

static uint8_t voip_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* Whether it begins so, in lower or upper case; `word` is in lower case. */
static bool voip_begins(const struct voip_text *text, const char *word)
{
	uint32_t i = 0;

	while (word[i] && i < text->len && voip_lower(text->at[i]) == (uint8_t)word[i])
		i++;
	return word[i] == '\0';
}

static bool voip_is_word(const struct voip_text *text, const char *word)
{
	return text->len == strlen(word) && voip_begins(text, word);
}

/* A decimal number at the beginning, at most 65535, which is skipped. */
static bool voip_take_number(struct voip_text *text, uint32_t *number)
{
	uint32_t value = 0, digits = 0;

	while (text->len > 0 && text->at[0] >= '0' && text->at[0] <= '9') {
		value = value * 10 + (text->at[0] - '0');
		if (value > UINT16_MAX)
			return false;
		digits++;
		voip_skip(text, 1);
	}
	*number = value;
	return digits > 0;
}

/* --- SIP -------------------------------------------------------------------------------------- */

static bool voip_is_method(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* Whether a line begins a SIP message: "SIP/2.0 200 OK", "INVITE sip:a@b SIP/2.0". */
static bool voip_is_start(const struct voip_text *line)
{
	static const char version[] = "SIP/2.0";
	uint32_t len = sizeof(version) - 1, method = 0;

	if (line->len <= len)
		return false;
	if (memcmp(line->at, version, len) == 0)
		return line->at[len] == ' ';
	while (method < line->len && voip_is_method(line->at[method]))
		method++;
	return method > 0 && method < line->len && line->at[method] == ' ' &&
	       memcmp(line->at + line->len - len, version, len) == 0 &&
	       line->at[line->len - len - 1] == ' ';
}

/* The value of a header "NAME : value"; false: the line is another. */
static bool voip_header(struct voip_text line, const char *name, struct voip_text *value)
{
	if (!voip_begins(&line, name))
		return false;
	voip_skip(&line, (uint32_t)strlen(name));
	while (line.len > 0 && voip_is_blank(line.at[0]))
		voip_skip(&line, 1);
	if (line.len == 0 || line.at[0] != ':')
		return false;
	voip_skip(&line, 1);
	return voip_take_word(&line, value);
}

/* The number of a SIP message, 0: it is none; what follows its headers is left in `text`. */
static uint64_t voip_call(struct voip_text *text)
{
	struct voip_text line, id;
	uint64_t call = 0xcbf29ce484222325ULL; /* FNV-1a */
	bool has = false;

	/* empty lines keep a connection alive */
	while (text->len > 0 && (text->at[0] == '\r' || text->at[0] == '\n'))
		voip_skip(text, 1);
	if (!voip_take_line(text, &line) || !voip_is_start(&line))
		return 0;
	while (voip_take_line(text, &line) && line.len > 0) {
		if (has || (!voip_header(line, "call-id", &id) && !voip_header(line, "i", &id)))
			continue;
		has = true;
		for (uint32_t i = 0; i < id.len; i++)
			call = (call ^ id.at[i]) * 0x100000001b3ULL;
	}
	if (!has)
		return 0;
	call = voip_mix(call);
	return call ? call : 1;
}

/* --- SDP -------------------------------------------------------------------------------------- */

struct voip_address {
	bool has, v6;
	uint8_t bytes[16];
};

/* What an m= line has announced. */
struct voip_media {
	struct voip_address address;
	uint32_t port, pairs; /* port 0: none */
	struct voip_address rtcp_address;
	uint32_t rtcp_port; /* 0: one above */
};

/* "IN IP4 192.0.2.1/127"; without an address where it is none, or says that nothing is sent. */
static void voip_take_address(struct voip_text text, struct voip_address *address)
{
	static const uint8_t nowhere[16];
	struct voip_text word;
	uint32_t len = 0;
	char copy[64];

	memset(address, 0, sizeof(*address));
	if (!voip_take_word(&text, &word) || !voip_is_word(&word, "in") ||
	    !voip_take_word(&text, &word))
		return;
	address->v6 = voip_is_word(&word, "ip6");
	if ((!address->v6 && !voip_is_word(&word, "ip4")) || !voip_take_word(&text, &word))
		return;
	while (len < word.len && word.at[len] != '/' && len < sizeof(copy) - 1)
		len++;
	memcpy(copy, word.at, len);
	copy[len] = '\0';
	/* a name, whose address nobody here knows, is none */
	address->has = memchr(copy, '\0', len) == NULL &&
		       inet_pton(address->v6 ? AF_INET6 : AF_INET, copy, address->bytes) == 1 &&
		       memcmp(address->bytes, nowhere, address->v6 ? 16 : 4) != 0;
}

/* "audio 49170/2 RTP/AVP 0" */
static void voip_take_media(struct voip_text text, struct voip_media *media)
{
	struct voip_text word;

	media->port = media->rtcp_port = 0;
	media->rtcp_address.has = false;
	media->pairs = 1;
	if (!voip_take_word(&text, &word) || !voip_take_word(&text, &word))
		return;
	if (!voip_take_number(&word, &media->port)) {
		media->port = 0;
		return;
	}
	if (word.len > 1 && word.at[0] == '/') {
		voip_skip(&word, 1);
		if (!voip_take_number(&word, &media->pairs))
			media->pairs = 1;
	}
	if (media->pairs > VOIP_PAIRS_MAX)
		media->pairs = VOIP_PAIRS_MAX;
}

/* "53020 IN IP4 192.0.2.2", where the rest may be missing. */
static void voip_take_rtcp(struct voip_text text, struct voip_media *media)
{
	if (!voip_take_number(&text, &media->rtcp_port))
		media->rtcp_port = 0;
	else
		voip_take_address(text, &media->rtcp_address);
}

#endif
