/* SPDX-License-Identifier: BSD-2-Clause */
/* One operation through io_uring, without liburing. */
#ifndef HOSTILE_ASSAULT_URING_H
#define HOSTILE_ASSAULT_URING_H

#include <linux/io_uring.h>
#include <sys/uio.h>

/* Submit `entry` and wait for its end; `buffer` is registered before as buffer 0, NULL: none. 0,
 * -errno, or ASSAULT_ABSENT. */
int assault_uring(const struct io_uring_sqe *entry, const struct iovec *buffer);

#endif
