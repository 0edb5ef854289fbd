/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Toeplitz hash of receive-side scaling, with the key that Microsoft's specification gives as
 * an example and that most drivers begin with.
 *
 * learn.microsoft.com/windows-hardware/drivers/network/rss-hashing-functions says how it is
 * computed, and verifying-the-rss-hash-calculation what comes out.
 */
#ifndef STEERING_METHOD_TOEPLITZ_H
#define STEERING_METHOD_TOEPLITZ_H

#include <stdint.h>

#define METHOD_TOEPLITZ_BYTES 36 /* two IPv6 addresses and two ports: no input is longer */

/* For each half byte of the input what it adds to the hash, by its value: windows of the key. */
extern const uint32_t method_toeplitz_table[2 * METHOD_TOEPLITZ_BYTES][16];

/* The hash of `cnt` bytes, in the order of the wire: source, destination, their ports. */
static inline uint32_t method_toeplitz(const uint8_t *bytes, uint32_t cnt)
{
	uint32_t hash = 0;

	for (uint32_t i = 0; i < cnt; i++)
		hash ^= method_toeplitz_table[2 * i][bytes[i] >> 4] ^
			method_toeplitz_table[2 * i + 1][bytes[i] & 15];
	return hash;
}

#endif
