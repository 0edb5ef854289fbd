/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends frames out of an interface: `frame_send IFACE HEX [COUNT]`. What stands in the hexadecimal
 * text is the whole frame, tags included; white space is left out; short ones are filled with
 * zeros.
 */
#include <ctype.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FRAME_MIN 60
#define FRAME_MAX 1600

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Returns the length of the frame, 0 for what is none. */
static size_t frame_read(const char *hex, uint8_t *frame)
{
	size_t len = 0;

	while (*hex) {
		if (isspace((unsigned char)*hex)) {
			hex++;
			continue;
		}
		if (len == FRAME_MAX || hex_digit(hex[0]) < 0 || hex_digit(hex[1]) < 0)
			return 0;
		frame[len++] = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
		hex += 2;
	}
	return len < FRAME_MIN ? FRAME_MIN : len;
}

int main(int argc, char **argv)
{
	uint8_t frame[FRAME_MAX] = {0};
	size_t len = argc >= 3 ? frame_read(argv[2], frame) : 0;
	long cnt = argc >= 4 ? atol(argv[3]) : 1;
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = 0};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (!len || fd < 0) {
		fprintf(stderr, "usage: frame_send IFACE HEX [COUNT], as root\n");
		return 2;
	}
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	for (long i = 0; i < cnt; i++)
		if (sendto(fd, frame, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0) {
			fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
			return 1;
		}
	return 0;
}
