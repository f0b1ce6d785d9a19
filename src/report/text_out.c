/* SPDX-License-Identifier: MIT */
/*
 * The only place that knows terminals: a style is switched on and off around a piece of one line,
 * never across lines, so that cutting a report with head or grep leaves no colour behind. Bytes
 * from outside are made printable before anything else is done with them.
 */
#include "report/text_out.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report/layout.h"
#include "report/utf8.h"

#define HANG		 4
#define REMARK_GAP	 8
#define REMARK_GAP_LEAST 2

static void text_put_piece(struct text_out *out, enum text_style style, const char *s, size_t bytes)
{
	static const char *const codes[] = { "", "\033[1m", "\033[1;31m", "\033[2m" };
	bool coloured = out->colour && style != STYLE_PLAIN && bytes;

	fprintf(out->file, "%s%.*s%s", coloured ? codes[style] : "", (int)bytes, s,
		coloured ? "\033[0m" : "");
}

/* Write a clean string, all but the end of its last line; returns the columns used there. */
static size_t text_put_open(struct text_out *out, enum text_style style, size_t indent,
			    const char *s)
{
	bool first = true;

	for (;; first = false) {
		size_t bytes = layout_fit(s, LAYOUT_COLUMNS - indent);

		fprintf(out->file, "%*s", (int)indent, "");
		text_put_piece(out, style, s, bytes);
		if (!s[bytes])
			return indent + utf8_columns(s);
		s += bytes;
		s += strspn(s, " ");
		putc('\n', out->file);
		indent += first ? HANG : 0;
	}
}

void text_put(struct text_out *out, enum text_style style, size_t indent, const char *fmt, ...)
{
	char *text, *clean;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		out->failed = true;
		return;
	}
	clean = utf8_printable(text);
	free(text);
	if (!clean) {
		out->failed = true;
		return;
	}
	text_put_open(out, style, indent, clean);
	putc('\n', out->file);
	free(clean);
}

void text_put_remark(struct text_out *out, size_t indent, const char *text, const char *remark,
		     enum text_style remark_style)
{
	char *clean = utf8_printable(text), *clean_remark = utf8_printable(remark);
	size_t used, gap, wanted;

	if (!clean || !clean_remark) {
		out->failed = true;
		goto out;
	}
	used = text_put_open(out, STYLE_PLAIN, indent, clean);
	wanted = used + utf8_columns("← ") + utf8_columns(clean_remark);
	gap = wanted + REMARK_GAP <= LAYOUT_COLUMNS ? REMARK_GAP : REMARK_GAP_LEAST;
	if (clean_remark[0] && wanted + gap > LAYOUT_COLUMNS) {
		putc('\n', out->file);
		text_put(out, remark_style, indent + HANG, "← %s", clean_remark);
		goto out;
	}
	if (clean_remark[0]) {
		fprintf(out->file, "%*s", (int)gap, "");
		text_put_piece(out, remark_style, "← ", strlen("← "));
		text_put_piece(out, remark_style, clean_remark, strlen(clean_remark));
	}
	putc('\n', out->file);
out:
	free(clean);
	free(clean_remark);
}

void text_put_blank(struct text_out *out)
{
	putc('\n', out->file);
}
