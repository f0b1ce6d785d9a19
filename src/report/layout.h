/* SPDX-License-Identifier: MIT */
/*
 * Layout of text as pure functions: what fits into so many columns, and how. They take clean
 * UTF-8 (utf8.h) and write into the caller's buffer, always terminated. No terminal is asked: a
 * report is LAYOUT_COLUMNS wide wherever it is read.
 */
#ifndef STRAND_REPORT_LAYOUT_H
#define STRAND_REPORT_LAYOUT_H

#include <stddef.h>

#include "model/model.h"

#define LAYOUT_COLUMNS 100 /* no line of a report is wider */

/* `s`, or with its middle replaced by "…" if it is wider than `columns` (at least 3). */
void layout_cut_middle(const char *s, size_t columns, char *buf, size_t size);

/* A path: its end says most. "…/pool/worker.c:40" */
void layout_cut_path(const char *s, size_t columns, char *buf, size_t size);

/* Bytes of `s` that go on a line of that many columns: up to a space if it must be broken, the
 * whole columns where there is none. 0 only for "". */
size_t layout_fit(const char *s, size_t columns);

/* "T3-T9, T12, G31": ascending tasks, runs of three or more as ranges; what does not fit into
 * `columns` is left out with ", …". */
void layout_ids(const struct task *const *tasks, size_t n, size_t columns, char *buf, size_t size);

#endif
