/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One sentence about what went wrong in set-up code.
 *
 * Functions that can fail return 0 or a negative errno and, where they take a `struct xfq_error *`,
 * leave a sentence in it: what was tried, on what, what to do. The caller owns the structure; it
 * may be NULL where nobody wants the sentence. Nothing here is for the packet path.
 */
#ifndef XFQ_ERROR_H
#define XFQ_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define XFQ_ERROR_TEXT_BYTES 512

struct xfq_error {
	int code;                        /* negative errno, the same as the return value; 0: none */
	char text[XFQ_ERROR_TEXT_BYTES]; /* one sentence, no newline at its end, always terminated
					  */
};

/*
 * Store a sentence and return `code`, so that failing is one statement:
 *	return xfq_error_set(error, -ENODEV, "%s: no such interface", name);
 * `code` is a negative errno. A text that is too long is cut. Any thread; `error` is the caller's.
 */
int xfq_error_set(struct xfq_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
#endif
