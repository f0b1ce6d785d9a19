/* SPDX-License-Identifier: MIT */
/*
 * The sections of the text report, one file each: text_findings.c (verdicts), text_suspects.c
 * (what waits hang on), text_tasks.c (all tasks by stack), and the pieces they share
 * (text_pieces.c). Internal to the text writer.
 */
#ifndef STRAND_REPORT_TEXT_H
#define STRAND_REPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "model/model.h"
#include "prove/chain.h"
#include "report/report.h"
#include "report/text_out.h"

/* One report under way. */
struct text {
	const struct model *m;
	const struct report_options *o;
	struct text_out out;
	struct chain_text *chain; /* room for one chain at a time */
};

/* The sections; each begins with a blank line if it has anything to say. Return 0 or
 * ERR_NOMEM. */
int text_put_findings(struct text *t);
int text_put_hangs(struct text *t);
int text_put_tasks(struct text *t);

/* Why the task of that id is stuck, or is not. */
void text_put_why(struct text *t, const char *id);

/* "T3 (orders)", "T3-T9, T12 (8 tasks, worker)"; ids take at most `columns`. A name that all
 * threads have from the program says nothing and is left out. */
void text_format_tasks(const struct model *m, const struct task *const *tasks, size_t n,
		       size_t columns, char *buf, size_t size);

/* "place_order shop.c:88, called by work shop.c:40": that many of the innermost frames of the
 * user's own code, "" if there are none. */
void text_format_place(const struct stack *s, size_t frames, char *buf, size_t size);

/* The frames of a stack, one line each, in columns; with `user_only` those of the user's own
 * code, if there are any. At most `max` lines. */
void text_put_frames(struct text *t, const struct stack *s, bool user_only, size_t max,
		     size_t indent);

/* Who started it, where, and at most `max` frames of the stack at that moment; nothing if neither is
 * known. `named`: begin with the task. */
void text_put_creator(struct text *t, const struct task *task, bool named, size_t max,
		      size_t indent);

#endif
