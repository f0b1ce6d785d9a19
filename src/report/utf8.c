/* SPDX-License-Identifier: MIT */
/*
 * Pure functions, no locale: a report is the same bytes wherever it is written. The table of
 * widths is coarse (whole blocks), which is enough to keep lines within their columns; the table
 * of what is not printed leans to caution.
 */
#include "report/utf8.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

struct utf8_range {
	uint32_t first, last;
};

/* clang-format off */
static const struct utf8_range wide[] = {
	{ 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0xa4cf }, { 0xac00, 0xd7a3 },
	{ 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 },
	{ 0x1f300, 0x1f64f }, { 0x1f680, 0x1faff }, { 0x20000, 0x3fffd },
};
static const struct utf8_range narrow[] = {
	{ 0x300, 0x36f }, { 0x483, 0x489 }, { 0x591, 0x5bd }, { 0x610, 0x61a }, { 0x64b, 0x65f },
	{ 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f },
	{ 0xfe20, 0xfe2f }, { 0xe0100, 0xe01ef },
};
/* Controls, separators of lines, marks that turn the direction of text, invisible characters. */
static const struct utf8_range unprintable[] = {
	{ 0x0, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x61c, 0x61c }, { 0x200b, 0x200f },
	{ 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb },
	{ 0xe0000, 0xe007f },
};
/* clang-format on */

#define IN(table, c) utf8_in(table, sizeof(table) / sizeof((table)[0]), c)

static bool utf8_in(const struct utf8_range *table, size_t n, uint32_t c)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (c >= table[i].first && c <= table[i].last)
			return true;
	return false;
}

uint32_t utf8_next(const char **s)
{
	static const uint32_t lowest[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)*s;
	uint32_t c = *p++;
	unsigned more, i;

	(*s)++;
	if (c < 0x80)
		return c;
	if (c < 0xc2 || c > 0xf4)
		return UTF8_REPLACEMENT;
	more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
	c &= 0x3fu >> more;
	for (i = 0; i < more; i++) {
		if ((*p & 0xc0) != 0x80)
			return UTF8_REPLACEMENT;
		c = c << 6 | (*p++ & 0x3f);
	}
	if (c < lowest[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return UTF8_REPLACEMENT;
	*s = (const char *)p;
	return c;
}

/* A replacement takes up to three times the byte that it replaces. */
static char *utf8_copy(const char *s, bool printable)
{
	char *copy = malloc(3 * strlen(s) + 1), *to = copy;

	while (copy && *s) {
		const char *from = s;
		uint32_t c = utf8_next(&s);

		if (c == UTF8_REPLACEMENT) {
			memcpy(to, REPLACEMENT, 3);
			to += 3;
		} else if (printable && IN(unprintable, c)) {
			*to++ = '?';
		} else {
			memcpy(to, from, (size_t)(s - from));
			to += s - from;
		}
	}
	if (copy)
		*to = '\0';
	return copy;
}

char *utf8_clean(const char *s)
{
	return utf8_copy(s, false);
}

char *utf8_printable(const char *s)
{
	return utf8_copy(s, true);
}

static size_t utf8_width(uint32_t c)
{
	if (c < 0x300)
		return 1;
	return IN(narrow, c) ? 0 : IN(wide, c) ? 2 : 1;
}

size_t utf8_columns(const char *s)
{
	size_t n = 0;

	while (*s)
		n += utf8_width(utf8_next(&s));
	return n;
}

size_t utf8_prefix(const char *s, size_t columns)
{
	const char *begin = s, *end = s;
	size_t n = 0;

	while (*s) {
		n += utf8_width(utf8_next(&s));
		if (n > columns)
			break;
		end = s;
	}
	return (size_t)(end - begin);
}

size_t utf8_suffix(const char *s, size_t columns)
{
	size_t n = utf8_columns(s);

	while (*s && n > columns)
		n -= utf8_width(utf8_next(&s));
	while (*s) {
		const char *next = s;

		if (utf8_width(utf8_next(&next)))
			break;
		s = next;
	}
	return strlen(s);
}
