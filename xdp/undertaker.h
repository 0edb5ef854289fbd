/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that waits for the end of this one, however that comes, and then does a last thing that
 * takes privileges which this one has given up by then, or which a killed one cannot do.
 *
 * It holds no descriptor and no terminal of this process, is no child of it, and reads nothing but
 * the end of a connection.
 */
#ifndef XDP_UNDERTAKER_H
#define XDP_UNDERTAKER_H

#include <stdint.h>

/* Start one that will call `bury`; while there is one thread, or others hold no locks. A descriptor
 * for undertaker_end(), or -errno. */
int undertaker_start(void (*bury)(uint32_t argument), uint32_t argument);

/* Have it done now, and wait until it is, but not for long. */
void undertaker_end(int fd);

#endif
