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

#include <stdlib.h>
#include <string.h>

#include "report/formats.h"
#include "report/layout.h"
#include "report/select.h"
#include "report/utf8.h"

/* One line: the path of the program gives way if there is too little room. */
static void text_put_header(struct text *t)
{
	const struct model *m = t->m;
	size_t stuck = selection_count_verdict(m, VERDICT_STUCK), used;
	char found[40] = "none proved stuck", pause[40], begin[40], end[160], exe[512];
	char *clean = utf8_printable(m->exe ? m->exe : "unknown program");

	if (!clean) {
		t->out.failed = true;
		return;
	}
	if (stuck)
		snprintf(found, sizeof(found), "%zu stuck", stuck);
	chain_format_duration(m->pause_ns, pause, sizeof(pause));
	snprintf(begin, sizeof(begin), "process %d, ", (int)m->pid);
	snprintf(end, sizeof(end), ": %zu task%s, %s (stopped for %s)", m->task_count,
		 m->task_count == 1 ? "" : "s", found, pause);
	used = strlen(begin) + strlen(end);
	layout_cut_path(clean, LAYOUT_COLUMNS - used, exe, sizeof(exe));
	text_put(&t->out, STYLE_BOLD, 0, "%s%s%s", begin, exe, end);
	free(clean);
	if (m->seen != SEEN_FULL)
		text_put(&t->out, STYLE_ALARM, 0, "%s could be seen: the notes at the end say why",
			 m->seen == SEEN_PARTIAL ? "Not all of it" : "Nothing of it");
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

int report_text(const struct model *m, const struct report_options *o, FILE *file, struct err *e)
{
	struct text t = { .m = m, .o = o, .out = { .file = file, .colour = o->colour } };
	int err = ERR_NOMEM;

	t.chain = calloc(1, sizeof(*t.chain));
	if (!t.chain)
		goto out;
	text_put_header(&t);
	err = text_put_findings(&t);
	if (!err)
		err = text_put_hangs(&t);
	if (!err)
		err = text_put_tasks(&t);
	text_put_notes(&t);
out:
	free(t.chain);
	if (err < 0 || t.out.failed)
		return err_set(e, ERR_NOMEM, "the report");
	return 0;
}
