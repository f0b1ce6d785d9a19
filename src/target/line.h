/* SPDX-License-Identifier: MIT
 *
 * A line of text put together piece by piece in a buffer of the caller's: always terminated, cut
 * with dots where it does not fit, free of anything a terminal or a JSON reader could choke on.
 */
#ifndef STRAND_TARGET_LINE_H
#define STRAND_TARGET_LINE_H

#include <stdbool.h>
#include <stddef.h>

struct line {
	char *buf;
	size_t size;
	size_t n; /* bytes so far, without the terminator */
	bool cut;
};

/* `size` must be at least 4. */
void line_begin(struct line *l, char *buf, size_t size);

/* Append; bytes that are not printable ASCII become '?'. Once something did not fit, nothing
 * more is added. */
void line_add(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Bytes that can still be added. */
size_t line_room(const struct line *l);

#endif
