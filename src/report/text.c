/* SPDX-License-Identifier: MIT */
/*
 * The report for people: verdicts first, then what all other waits hang on, then all tasks by
 * stack, then notes. A person with a hung service reads the first twenty lines.
 *
 * Files: text_findings.c, text_suspects.c and text_tasks.c say what a section shows,
 * text_groups.c and text_hangs.c what belongs together, text_out.c and layout.c how it gets onto
 * lines.
 */
#include "report/text.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "prove/words.h"
#include "report/formats.h"
#include "report/layout.h"
#include "report/select.h"
#include "report/utf8.h"

#define EXE_COLUMNS 20 /* of the program's path, at least */

/* strand ends what is out of time or of tasks by these two. */
static bool text_ended_by_strand(const struct model *m)
{
	return (m->moment == MOMENT_TIMEOUT || m->moment == MOMENT_DEADLOCK) &&
	       (m->exit_signal == SIGTERM || m->exit_signal == SIGKILL);
}

/* ", exited with 3", ", killed by SIGKILL"; "" as long as it has not ended. */
static void text_format_end(const struct model *m, char *buf, size_t size)
{
	const char *abbreviation = m->exit_signal > 0 ? sigabbrev_np(m->exit_signal) : NULL;

	buf[0] = '\0';
	if (text_ended_by_strand(m))
		snprintf(buf, size, ", ended by strand");
	else if (abbreviation)
		snprintf(buf, size, ", killed by SIG%s", abbreviation);
	else if (m->exit_signal > 0)
		snprintf(buf, size, ", killed by signal %d", m->exit_signal);
	else if (m->exit_status >= 0)
		snprintf(buf, size, ", exited with %d", m->exit_status);
}

/* "2 stuck, 1 alive", "none proved stuck" while it goes on, "nothing left behind" at its end. */
static void text_format_found(const struct model *m, char *buf, size_t size)
{
	static const enum verdict verdicts[] = { VERDICT_STUCK, VERDICT_ALIVE, VERDICT_UNJOINED };
	struct words w;
	size_t i, n;

	words_begin(&w, buf, size);
	for (i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		n = selection_count_verdict(m, verdicts[i]);
		if (n)
			words_add(&w, "%s%zu %s", w.used ? ", " : "", n, verdict_name(verdicts[i]));
	}
	if (!w.used && m->moment == MOMENT_EXIT)
		words_add(&w, "nothing left behind");
	else if (!w.used)
		words_add(&w, m->moment == MOMENT_KILLED ? "nothing proved" : "none proved stuck");
	if (m->lost)
		words_add(&w, ", %zu record%s lost", m->lost, m->lost == 1 ? "" : "s");
}

/* How it was looked at: "(stopped for 1.8 ms when its time was up)". At its exit is what its end
 * says already. */
static void text_format_look(const struct model *m, char *buf, size_t size)
{
	static const char *const moments[] = {
		[MOMENT_TIMEOUT] = " when its time was up",
		[MOMENT_SIGNAL] = " when a signal came",
		[MOMENT_DEADLOCK] = " when nobody was live",
		[MOMENT_KILLED] = "",
	};
	char pause[40];

	if (m->moment == MOMENT_KILLED || m->moment == MOMENT_CORE) {
		snprintf(buf, size, "%s",
			 m->moment == MOMENT_CORE ? "(from a core)" : "(not stopped: it was gone)");
		return;
	}
	chain_format_duration(m->pause_ns, pause, sizeof(pause));
	if (m->stops > 1)
		snprintf(buf, size, "(stopped %u times, at most %s%s)", m->stops, pause,
			 moments[m->moment] ? moments[m->moment] : "");
	else
		snprintf(buf, size, "(stopped for %s%s)", pause,
			 moments[m->moment] ? moments[m->moment] : "");
}

/* One line: the path of the program gives way if there is too little room. */
static void text_put_header(struct text *t)
{
	const struct model *m = t->m;
	char found[100], look[100], begin[40], ended[60], end[300], exe[512];
	char *clean = utf8_printable(m->exe ? m->exe : "unknown program");
	size_t used;

	if (!clean) {
		t->out.failed = true;
		return;
	}
	text_format_found(m, found, sizeof(found));
	text_format_look(m, look, sizeof(look));
	text_format_end(m, ended, sizeof(ended));
	snprintf(begin, sizeof(begin), "process %d, ", (int)m->pid);
	if (m->seen == SEEN_NONE)
		snprintf(end, sizeof(end), "%s: not looked at", ended);
	else
		snprintf(end, sizeof(end), "%s: %zu task%s, %s %s", ended, m->task_count,
			 m->task_count == 1 ? "" : "s", found, look);
	used = strlen(begin) + strlen(end);
	layout_cut_path(clean,
			used + EXE_COLUMNS < LAYOUT_COLUMNS ? LAYOUT_COLUMNS - used : EXE_COLUMNS,
			exe, sizeof(exe));
	text_put(&t->out, STYLE_BOLD, 0, "%s%s%s", begin, exe, end);
	free(clean);
	if (m->seen == SEEN_PARTIAL)
		text_put(&t->out, STYLE_ALARM, 0,
			 "Not all of it could be seen: the notes at the end say why");
}

static void text_put_notes(struct text *t)
{
	size_t i;

	if (!t->m->note_count)
		return;
	text_put_blank(&t->out);
	text_put(&t->out, STYLE_BOLD, 0, "Notes");
	for (i = 0; i < t->m->note_count; i++)
		text_put(&t->out, STYLE_PLAIN, 2, "- %s", t->m->notes[i]);
}

/* A program that never had a second task was not looked at: there is nothing to say of it. */
static bool text_has_nothing(const struct model *m)
{
	return m->seen == SEEN_NONE && !m->task_count && !m->note_count;
}

/* Of the many processes that a program may start, those that left nothing behind need no line. */
static bool text_is_clean(const struct text *t)
{
	return !t->o->all && t->m->moment == MOMENT_EXIT && t->m->seen == SEEN_FULL &&
	       !t->m->finding_count && !t->m->lost;
}

/* Is it of use to say what waits that are not proved hang on? Not of a program that has come to its
 * end, unless all is wanted. */
static bool text_wants_hangs(const struct text *t)
{
	return t->o->all || (t->m->moment != MOMENT_EXIT && t->m->moment != MOMENT_KILLED);
}

static bool text_wants_notes(const struct text *t)
{
	return t->o->all || t->m->finding_count || t->m->seen != SEEN_FULL || t->m->lost ||
	       t->m->moment != MOMENT_EXIT;
}

/* Of a process that is no more who waited where is all that is known. */
static bool text_wants_tasks(const struct text *t)
{
	return t->o->all || t->m->moment == MOMENT_KILLED;
}

static int text_put_image(struct text *t)
{
	int err;

	text_put_header(t);
	if (t->o->why)
		text_put_why(t, t->o->why);
	err = text_put_findings(t);
	if (!err && text_wants_hangs(t))
		err = text_put_hangs(t);
	if (!err && text_wants_tasks(t))
		err = text_put_tasks(t);
	if (text_wants_notes(t))
		text_put_notes(t);
	return err;
}

int report_text(const struct model *m, const struct report_options *o, FILE *file, struct err *e)
{
	struct text t = { .o = o, .out = { .file = file, .colour = o->colour } };
	bool first = true;
	int err = 0;

	t.chain = calloc(1, sizeof(*t.chain));
	for (t.m = m; t.m && t.chain && !err; t.m = t.m->next) {
		if (text_has_nothing(t.m) || (t.m != m && text_is_clean(&t)))
			continue;
		if (!first)
			text_put_blank(&t.out);
		first = false;
		err = text_put_image(&t);
	}
	if (!t.chain || err < 0 || t.out.failed)
		err = err_set(e, ERR_NOMEM, "the report");
	free(t.chain);
	return err;
}
