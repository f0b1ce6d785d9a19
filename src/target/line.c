/* SPDX-License-Identifier: MIT
 *
 * Lines of bounded length. Paths and names are other people's bytes, and a line may be cut in the
 * middle of a character: so only printable ASCII is let through.
 */
#include "target/line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void line_begin(struct line *l, char *buf, size_t size)
{
	l->buf = buf;
	l->size = size;
	l->n = 0;
	l->cut = false;
	buf[0] = '\0';
}

void line_add(struct line *l, const char *fmt, ...)
{
	size_t room = l->size - l->n;
	va_list ap;
	int n;

	if (l->cut)
		return;
	va_start(ap, fmt);
	n = vsnprintf(l->buf + l->n, room, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	l->cut = (size_t)n >= room;
	if (l->cut)
		n = (int)room - 1;
	for (; n; n--, l->n++)
		if (l->buf[l->n] < 0x20 || l->buf[l->n] > 0x7e)
			l->buf[l->n] = '?';
	if (l->cut)
		memcpy(l->buf + l->size - 4, "...", 4);
}

size_t line_room(const struct line *l)
{
	return l->cut ? 0 : l->size - l->n - 1;
}
