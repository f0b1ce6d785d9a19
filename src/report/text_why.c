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

/* The last place is where the object lies. */
static void why_put_path(struct text *t, const struct object *o)
{
	char line[CHAIN_LINE_BYTES];
	struct words w;

	for (size_t i = 0; i < o->path_length; i++) {
		words_begin(&w, line, sizeof(line));
		places_describe_step(o, i, &w);
		text_put(&t->out, STYLE_PLAIN, 4, "%s%s", i ? "→ " : "", line);
	}
	chain_describe_object(o, line, sizeof(line));
	text_put(&t->out, STYLE_PLAIN, 4, "= %s", line);
}

/* How somebody live can get at what `end` waits for, or why that is not known. */
static void why_put_reach(struct text *t, const struct task *end)
{
	const struct object *o = end->wait->object;

	if (o->path_length)
		why_put_path(t, o);
	else if (o->everybodys)
		text_put(&t->out, STYLE_PLAIN, 4,
			 "it lies in static data: every live task reaches it");
	else if (!o->home && t->m->proof != PROOF_FULL)
		text_put(&t->out, STYLE_PLAIN, 4,
			 "who can reach it is not known: the notes say why");
}

static void why_put_chain(struct text *t, const struct task *task)
{
	const struct task *end = chain_find_end(task);
	struct chain_text *chain = t->chain;
	const char *remark;

	chain_write(t->m, task, chain);
	remark = chain->remark;
	if (end == task && chain_is_self_live(task) && !remark[0])
		remark = "live by itself";
	for (size_t i = 0; i < chain->n; i++)
		text_put_remark(&t->out, 2, chain->lines[i], i + 1 == chain->n ? remark : "",
				STYLE_PLAIN);
	if (task->live && !chain_is_self_live(end) && end->wait->object->owner_state == OWNER_NONE)
		why_put_reach(t, end);
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
