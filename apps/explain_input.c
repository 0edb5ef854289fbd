/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/explain_parts.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define INPUT_FRAME_MIN 14
#define INPUT_FRAME_MAX 65535

/* --- a frame in hex --------------------------------------------------------------------------- */

static int input_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Digits in pairs, with blanks, ':' or '-' between. Returns the length; 0: it is something else. */
static uint32_t input_parse_hex(uint8_t *frame, const char *text)
{
	uint32_t len = 0;

	while (*text) {
		if (strchr(" \t\n:-", *text)) {
			text++;
			continue;
		}
		if (input_digit(text[0]) < 0 || input_digit(text[1]) < 0 || len == INPUT_FRAME_MAX)
			return 0;
		frame[len++] = (uint8_t)(input_digit(text[0]) << 4 | input_digit(text[1]));
		text += 2;
	}
	return len;
}

/* --- the file --------------------------------------------------------------------------------- */

/* A capture file in memory, of one packet. */
static int input_make_file(struct explain_input *input, const uint8_t *frame, uint32_t len,
			   struct xfq_error *error)
{
	const uint32_t header[] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, INPUT_FRAME_MAX, 1};
	const uint32_t record[] = {0, 0, len, len};

	input->fd = memfd_create("packet", MFD_CLOEXEC);
	if (input->fd < 0 || write(input->fd, header, sizeof(header)) != (ssize_t)sizeof(header) ||
	    write(input->fd, record, sizeof(record)) != (ssize_t)sizeof(record) ||
	    write(input->fd, frame, len) != (ssize_t)len)
		return xfq_error_set(error, -errno, "no room for the packet: %s", strerror(errno));
	snprintf(input->path, sizeof(input->path), "/proc/self/fd/%d", input->fd);
	input->first = input->last = 1;
	return 0;
}

/* FILE:N or FILE:FIRST-LAST */
static bool input_parse_file(struct explain_input *input, const char *what)
{
	const char *colon = strrchr(what, ':');
	char *end;

	if (!colon || colon == what || !isdigit((unsigned char)colon[1]) ||
	    (size_t)(colon - what) >= sizeof(input->path))
		return false;
	input->first = input->last = strtoull(colon + 1, &end, 10);
	input->several = *end == '-' && isdigit((unsigned char)end[1]);
	if (input->several)
		input->last = strtoull(end + 1, &end, 10);
	if (*end || input->first == 0 || input->last < input->first)
		return false;
	memcpy(input->path, what, (size_t)(colon - what));
	input->path[colon - what] = '\0';
	return true;
}

int explain_open_input(struct explain_input *input, const char *what, struct xfq_error *error)
{
	bool hex = strncmp(what, "hex:", 4) == 0;
	uint8_t *frame;
	int len;
	int code = 0;

	memset(input, 0, sizeof(*input));
	input->fd = -1;
	frame = calloc(1, INPUT_FRAME_MAX);
	if (!frame)
		return xfq_error_set(error, -ENOMEM, "no memory for the packet");
	len = hex ? 0 : explain_make_flow(frame, what, error);
	if (len == 0)
		len = (int)input_parse_hex(frame, hex ? what + 4 : what);
	if (len >= INPUT_FRAME_MIN)
		code = input_make_file(input, frame, (uint32_t)len, error);
	else if (len < 0)
		code = len;
	else if (hex || !input_parse_file(input, what))
		code = xfq_error_set(error, -EINVAL,
				     "\"%.60s\" is no packet: wants FILE:NUMBER or "
				     "FILE:FIRST-LAST, a flow such as "
				     "\"tcp 192.0.2.1:1234 198.51.100.2:80\" or \"icmp 192.0.2.1 "
				     "198.51.100.2\", or %d to %d bytes of a frame as hex:0200...",
				     what, INPUT_FRAME_MIN, INPUT_FRAME_MAX);
	free(frame);
	return code;
}

void explain_close_input(struct explain_input *input)
{
	if (input->fd >= 0)
		close(input->fd);
	input->fd = -1;
}
