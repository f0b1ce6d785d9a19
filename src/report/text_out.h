/* SPDX-License-Identifier: MIT */
/*
 * Lines of a text report on their way to a file: indented, never wider than LAYOUT_COLUMNS,
 * coloured if wanted. All text that comes from outside passes through here and is made printable:
 * a thread's name cannot move the cursor or set the window's title.
 */
#ifndef STRAND_REPORT_TEXT_OUT_H
#define STRAND_REPORT_TEXT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum text_style { STYLE_PLAIN, STYLE_BOLD, STYLE_ALARM, STYLE_DIM };

struct text_out {
	FILE *file;
	bool colour;
	bool failed; /* out of memory; write errors are the file's */
};

/* A paragraph: broken at spaces, its further lines four columns further in. */
void text_put(struct text_out *out, enum text_style style, size_t indent, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The same with a remark behind it: "T4 waits for …        ← a cycle: stuck"; the remark goes to
 * a line of its own if there is no room for it. An empty remark adds nothing. */
void text_put_remark(struct text_out *out, size_t indent, const char *text, const char *remark,
		     enum text_style remark_style);

void text_put_blank(struct text_out *out);

#endif
