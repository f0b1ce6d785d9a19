/* SPDX-License-Identifier: MIT */
/*
 * Other people's bytes (names of threads, symbols, paths) as clean UTF-8 for reports, and how wide
 * they are. No byte sequence is too strange: what is wrong is replaced, never passed on and never
 * an error.
 */
#ifndef STRAND_REPORT_UTF8_H
#define STRAND_REPORT_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT 0xfffd

/* The character at `*s`, which moves behind it; UTF8_REPLACEMENT, and one byte on, for what is
 * none (wrong, overlong, a surrogate). `*s` must not point to the terminating NUL. */
uint32_t utf8_next(const char **s);

/* A copy in which everything that is no UTF-8 is replaced; malloc'd, the caller's, NULL if out
 * of memory. */
char *utf8_clean(const char *s);

/* The same for people: what a terminal would act upon (controls, direction marks, line breaks)
 * is replaced by '?', too. */
char *utf8_printable(const char *s);

/* Columns that a clean string takes on a terminal: 0 for combining characters, 2 for wide
 * ones. */
size_t utf8_columns(const char *s);

/* Bytes of the longest prefix of at most `columns` columns; of the longest such suffix. */
size_t utf8_prefix(const char *s, size_t columns);
size_t utf8_suffix(const char *s, size_t columns);

#endif
