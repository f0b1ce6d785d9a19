/* SPDX-License-Identifier: MIT
 *
 * --why=T7: what keeps one task from being given as stuck, step by step: its chain, and the way by
 * which somebody live reaches the object at the chain's end, as a heap debugger would give it.
 */
#include <string.h>

#include "prove/places.h"
#include "report/text.h"

static const struct task *why_find(const struct model *m, const char *id)
{
	for (size_t i = 0; i < m->task_count; i++)
		if (!strcmp(m->tasks[i]->id, id))
			return m->tasks[i];
	return NULL;
}

static void why_put_path(struct text *t, const struct object *o)
{
	char line[CHAIN_LINE_BYTES], object[256];
	struct words w;

	chain_describe_object(o, object, sizeof(object));
	for (size_t i = 0; i < o->path_length; i++) {
		words_begin(&w, line, sizeof(line));
		places_describe_step(o, i, &w);
		text_put(&t->out, STYLE_PLAIN, 4, "%s%s", i ? "→ " : "", line);
	}
	text_put(&t->out, STYLE_PLAIN, 4, "→ %s", object);
}

static void why_put_chain(struct text *t, const struct task *task)
{
	const struct task *end = chain_find_end(task);

	chain_write(t->m, task, t->chain);
	for (size_t i = 0; i < t->chain->n; i++)
		text_put_remark(&t->out, 2, t->chain->lines[i],
				i + 1 == t->chain->n ? t->chain->remark : "", STYLE_PLAIN);
	if (end->wait && end->wait->object && end->wait->object->path_length)
		why_put_path(t, end->wait->object);
}

void text_put_why(struct text *t, const char *id)
{
	const struct task *task = why_find(t->m, id);

	text_put_blank(&t->out);
	if (!task) {
		text_put(&t->out, STYLE_BOLD, 0, "There is no %s in process %d", id,
			 (int)t->m->pid);
		return;
	}
	text_put(&t->out, STYLE_BOLD, 0, "Why %s is %sstuck", id,
		 task->verdict == VERDICT_STUCK ? "" : "not ");
	why_put_chain(t, task);
}
