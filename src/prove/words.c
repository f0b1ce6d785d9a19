/* SPDX-License-Identifier: MIT */
/*
 * Sentences are cut at bytes, names at characters: a byte of 10xxxxxx never begins one. What is
 * no UTF-8 is left to the reports, which replace it; a sentence that was cut within a character is
 * mended there, too.
 */
#include "prove/words.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void words_begin(struct words *w, char *buf, size_t size)
{
	*w = (struct words){ buf, size, 0 };
	if (size)
		buf[0] = '\0';
}

void words_add(struct words *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (w->used + 1 >= w->size)
		return;
	va_start(ap, fmt);
	n = vsnprintf(w->buf + w->used, w->size - w->used, fmt, ap);
	va_end(ap);
	if (n > 0)
		w->used += (size_t)n < w->size - w->used ? (size_t)n : w->size - w->used - 1;
}

static bool words_begins_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

void words_add_name(struct words *w, const char *name, size_t max)
{
	size_t bytes = strlen(name), head = 0, tail = bytes, n = 0, i;

	for (i = 0; i < bytes; i++)
		n += words_begins_character(name[i]);
	if (n <= max) {
		words_add(w, "%s", name);
		return;
	}
	for (i = 0; i < max / 2; i++)
		while (head < tail && !words_begins_character(name[++head]))
			;
	for (i = 0; i + 1 + max / 2 < max; i++)
		while (tail > head && !words_begins_character(name[--tail]))
			;
	words_add(w, "%.*s…%s", (int)head, name, name + tail);
}
