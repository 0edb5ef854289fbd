/* SPDX-License-Identifier: BSD-2-Clause */
#include "steering/method_toeplitz.h"

/* Bit `bit` of a half byte, 3 is the first on the wire, adds the 32 bits of the key that begin with
 * it; `key` is the 36 bits that begin with the half byte. */
#define WINDOW(key, value, bit) ((value) >> (bit)&1 ? (uint32_t)((key) >> ((bit) + 1)) : 0u)
#define ENTRY(key, value)                                                                          \
	(WINDOW(key, value, 3) ^ WINDOW(key, value, 2) ^ WINDOW(key, value, 1) ^                   \
	 WINDOW(key, value, 0))
#define ROW(key)                                                                                   \
	{                                                                                          \
		ENTRY(key, 0), ENTRY(key, 1), ENTRY(key, 2), ENTRY(key, 3), ENTRY(key, 4),         \
			ENTRY(key, 5), ENTRY(key, 6), ENTRY(key, 7), ENTRY(key, 8), ENTRY(key, 9), \
			ENTRY(key, 10), ENTRY(key, 11), ENTRY(key, 12), ENTRY(key, 13),            \
			ENTRY(key, 14), ENTRY(key, 15)                                             \
	}

/* The first digits of the rows are the key, from its first byte on. */
const uint32_t method_toeplitz_table[2 * METHOD_TOEPLITZ_BYTES][16] = {
	ROW(0x6d5a56da2ULL), ROW(0xd5a56da25ULL), ROW(0x5a56da255ULL), ROW(0xa56da255bULL),
	ROW(0x56da255b0ULL), ROW(0x6da255b0eULL), ROW(0xda255b0ecULL), ROW(0xa255b0ec2ULL),
	ROW(0x255b0ec24ULL), ROW(0x55b0ec241ULL), ROW(0x5b0ec2416ULL), ROW(0xb0ec24167ULL),
	ROW(0x0ec241672ULL), ROW(0xec2416725ULL), ROW(0xc24167253ULL), ROW(0x24167253dULL),
	ROW(0x4167253d4ULL), ROW(0x167253d43ULL), ROW(0x67253d43aULL), ROW(0x7253d43a3ULL),
	ROW(0x253d43a38ULL), ROW(0x53d43a38fULL), ROW(0x3d43a38fbULL), ROW(0xd43a38fb0ULL),
	ROW(0x43a38fb0dULL), ROW(0x3a38fb0d0ULL), ROW(0xa38fb0d0cULL), ROW(0x38fb0d0caULL),
	ROW(0x8fb0d0ca2ULL), ROW(0xfb0d0ca2bULL), ROW(0xb0d0ca2bcULL), ROW(0x0d0ca2bcbULL),
	ROW(0xd0ca2bcbaULL), ROW(0x0ca2bcbaeULL), ROW(0xca2bcbae7ULL), ROW(0xa2bcbae7bULL),
	ROW(0x2bcbae7b3ULL), ROW(0xbcbae7b30ULL), ROW(0xcbae7b30bULL), ROW(0xbae7b30b4ULL),
	ROW(0xae7b30b47ULL), ROW(0xe7b30b477ULL), ROW(0x7b30b477cULL), ROW(0xb30b477cbULL),
	ROW(0x30b477cb2ULL), ROW(0x0b477cb2dULL), ROW(0xb477cb2daULL), ROW(0x477cb2da3ULL),
	ROW(0x77cb2da38ULL), ROW(0x7cb2da380ULL), ROW(0xcb2da3803ULL), ROW(0xb2da38030ULL),
	ROW(0x2da38030fULL), ROW(0xda38030f2ULL), ROW(0xa38030f20ULL), ROW(0x38030f20cULL),
	ROW(0x8030f20c6ULL), ROW(0x030f20c6aULL), ROW(0x30f20c6a4ULL), ROW(0x0f20c6a42ULL),
	ROW(0xf20c6a42bULL), ROW(0x20c6a42b7ULL), ROW(0x0c6a42b73ULL), ROW(0xc6a42b73bULL),
	ROW(0x6a42b73bbULL), ROW(0xa42b73bbeULL), ROW(0x42b73bbeaULL), ROW(0x2b73bbeacULL),
	ROW(0xb73bbeac0ULL), ROW(0x73bbeac01ULL), ROW(0x3bbeac01fULL), ROW(0xbbeac01faULL),
};
