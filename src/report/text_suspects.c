/* SPDX-License-Identifier: MIT */
/*
 * What the waits that are not proved stuck hang on, the most likely culprit first: two or three
 * lines each, and only the first few, because this must be read at a glance. It stands above the
 * list of all tasks, which may be long.
 */
#include <string.h>

#include "err.h"
#include "prove/words.h"
#include "report/text.h"
#include "report/text_groups.h"

#define HANGS_SHOWN	8
#define WAITERS_COLUMNS 30

/* What `end` holds and some of the tasks wait for: one object, rather one with a name. */
static void hang_add_held(struct words *w, const struct hang *h)
{
	const struct object *first = NULL;
	bool more = false;
	char object[256];
	size_t i;

	for (i = 0; i < h->count; i++) {
		const struct object *o = h->tasks[i]->wait->object;

		if (h->tasks[i]->chain_next != h->end || !o || o->kind == OBJECT_THREAD)
			continue;
		more = more || (first && first != o);
		if (!first || (!first->name && o->name))
			first = o;
	}
	if (!first)
		return;
	chain_describe_object(first, object, sizeof(object));
	words_add(w, "; holds %s%s", object, more ? " and more" : "");
}

static void hang_put_task(struct text *t, const struct hang *h)
{
	char waiters[200], action[CHAIN_LINE_BYTES], place[300], more[900];
	const struct task *end = h->end;
	struct words w;

	text_format_tasks(t->m, h->tasks, h->count, WAITERS_COLUMNS, waiters, sizeof(waiters));
	if (end->verdict == VERDICT_STUCK)
		snprintf(action, sizeof(action), "is stuck: see above");
	else
		chain_describe_action(end, action, sizeof(action));
	text_put(&t->out, STYLE_BOLD, 2, "%s %s for %s, which %s", waiters,
		 h->count == 1 ? "waits" : "wait", end->id, action);
	text_format_place(end->stack, 2, place, sizeof(place));
	text_format_tasks(t->m, &end, 1, WAITERS_COLUMNS, waiters, sizeof(waiters));
	words_begin(&w, more, sizeof(more));
	words_add(&w, "%s%s%s", waiters, place[0] ? ": " : "", place);
	hang_add_held(&w, h);
	text_put(&t->out, STYLE_PLAIN, 4, "%s", more);
}

/* "waits on" for one, "wait on" for more. */
static void hang_add_verb(struct words *w, enum wait_op op, size_t count)
{
	const char *words = wait_op_words(op);
	size_t verb = strcspn(words, " ");

	if (count > 1 && verb && words[verb - 1] == 's')
		words_add(w, "%.*s%s", (int)verb - 1, words, words + verb);
	else
		words_add(w, "%s", words);
}

static void hang_put_object(struct text *t, const struct hang *h)
{
	char waiters[200], object[256], place[160], end[CHAIN_LINE_BYTES], line[900];
	bool anybody;
	struct words w;

	text_format_tasks(t->m, h->tasks, h->count, WAITERS_COLUMNS, waiters, sizeof(waiters));
	chain_describe_object(h->object, object, sizeof(object));
	words_begin(&w, line, sizeof(line));
	words_add(&w, "%s ", waiters);
	hang_add_verb(&w, h->end->wait->op, h->count);
	words_add(&w, " %s", object);
	if (h->direct < h->count)
		words_add(&w, ", %zu of them through %s", h->count - h->direct,
			  h->direct == 1 ? h->end->id : "others");
	text_format_place(h->end->stack, 1, place, sizeof(place));
	if (place[0])
		words_add(&w, ", in %s", place);
	text_put(&t->out, STYLE_BOLD, 2, "%s", line);
	chain_describe_end(t->m, h->end, end, sizeof(end));
	anybody = strncmp(end, "any ", 4) == 0;
	if (end[0])
		text_put(&t->out, STYLE_PLAIN, 4, "%s%s", anybody ? "not proved; " : "", end);
}

int text_put_hangs(struct text *t)
{
	struct hangs h;
	size_t i;

	if (hangs_make(t->m, &h) < 0) {
		hangs_free(&h);
		return ERR_NOMEM;
	}
	if (h.count) {
		text_put_blank(&t->out);
		text_put(&t->out, STYLE_BOLD, 0, "What %s waits hang on",
			 t->m->finding_count ? "the other" : "the");
	}
	for (i = 0; i < h.count && i < HANGS_SHOWN; i++) {
		if (h.hangs[i].object)
			hang_put_object(t, &h.hangs[i]);
		else
			hang_put_task(t, &h.hangs[i]);
	}
	if (h.count > HANGS_SHOWN)
		text_put(&t->out, STYLE_PLAIN, 2, "… and %zu more: see the tasks",
			 h.count - HANGS_SHOWN);
	hangs_free(&h);
	return 0;
}
