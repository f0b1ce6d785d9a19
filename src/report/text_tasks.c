/* SPDX-License-Identifier: MIT */
/*
 * All tasks, those with equal stacks together: who they are, what they wait for down to the end
 * of the chain, the stack once. Ten thousand tasks with three stacks are three paragraphs. Where
 * they wait for different objects, the few most frequent are shown.
 */
#include <string.h>

#include "err.h"
#include "report/layout.h"
#include "report/select.h"
#include "report/text.h"
#include "report/text_groups.h"

#define HEAD_IDS_COLUMNS  60
#define LIKE_IDS_COLUMNS  30
#define CLUSTERS_SHOWN	  3
#define CHAIN_LINES_SHOWN 8
#define CHAIN_LINES_TAIL  2
#define FRAMES_SHOWN	  40
#define CREATORS_SHOWN	  3

/* "; the others likewise", "; likewise T4, T6-T9" behind the first line of a chain. */
static void group_add_likewise(const struct task_group *g, const struct task_cluster *c, char *line)
{
	size_t used = strlen(line), room = CHAIN_LINE_BYTES - used;
	char ids[160];

	if (c->count == 1)
		return;
	layout_ids(c->tasks + 1, c->count - 1, LIKE_IDS_COLUMNS, ids, sizeof(ids));
	if (g->cluster_count == 1)
		snprintf(line + used, room, "; the other%s likewise", c->count > 2 ? "s" : "");
	else
		snprintf(line + used, room, "; likewise %s", ids);
}

/* A long chain without its middle. */
static void group_put_lines(struct text *t, const struct chain_text *chain)
{
	size_t left_out = 0, i;

	if (chain->n > CHAIN_LINES_SHOWN)
		left_out = chain->n - CHAIN_LINES_SHOWN;
	for (i = 0; i < chain->n; i++) {
		if (left_out && i == CHAIN_LINES_SHOWN - CHAIN_LINES_TAIL) {
			text_put(&t->out, STYLE_DIM, 2, "… %zu lines …", left_out);
			i += left_out;
		}
		text_put_remark(&t->out, 2, chain->lines[i], i + 1 == chain->n ? chain->remark : "",
				STYLE_PLAIN);
	}
}

static void group_put_cluster(struct text *t, const struct task_group *g,
			      const struct task_cluster *c)
{
	struct chain_text *chain = t->chain;

	chain_write(t->m, c->tasks[0], chain);
	group_add_likewise(g, c, chain->lines[0]);
	if (g->rank == GROUP_STUCK && chain->n) {
		chain->n = 1; /* the rest stands under the verdicts */
		snprintf(chain->remark, sizeof(chain->remark), "%s: see above",
			 verdict_name(c->tasks[0]->verdict));
	}
	group_put_lines(t, chain);
}

static bool group_same_creator(const struct task *a, const struct task *b)
{
	return a->created_by == b->created_by && a->parent_number == b->parent_number &&
	       a->parent == b->parent;
}

/* Who started them: once if it was one, by one place; else the first few, each with the first task
 * that was started like that. */
static void group_put_creators(struct text *t, const struct task_group *g)
{
	const struct task *shown[CREATORS_SHOWN];
	size_t n = 0, more = 0, i, k;

	for (i = 0; i < g->count; i++) {
		for (k = 0; k < n && !group_same_creator(shown[k], g->tasks[i]); k++)
			;
		if (k < n)
			continue;
		if (n < CREATORS_SHOWN)
			shown[n++] = g->tasks[i];
		else
			more++;
	}
	for (i = 0; i < n; i++)
		text_put_creator(t, shown[i], n > 1, 0, 4);
	if (more)
		text_put(&t->out, STYLE_PLAIN, 4, "%zu more were created at other places", more);
}

static void group_put(struct text *t, const struct task_group *g)
{
	size_t shown = g->cluster_count < CLUSTERS_SHOWN ? g->cluster_count : CLUSTERS_SHOWN;
	size_t rest = g->count, i;
	char head[400];

	text_put_blank(&t->out);
	text_format_tasks(t->m, g->tasks, g->count, HEAD_IDS_COLUMNS, head, sizeof(head));
	text_put(&t->out, STYLE_BOLD, 0, "%s", head);
	for (i = 0; i < shown; i++) {
		group_put_cluster(t, g, &g->clusters[i]);
		rest -= g->clusters[i].count;
	}
	if (rest)
		text_put(&t->out, STYLE_PLAIN, 2, "… and %zu more that wait at the same place",
			 rest);
	if (g->tasks[0]->state != STATE_ENDED)
		text_put_frames(t, g->tasks[0]->stack, false, FRAMES_SHOWN, 4);
	group_put_creators(t, g);
}

static void text_put_left_out(struct text *t, const struct selection *s)
{
	if (!s->left_out)
		return;
	text_put_blank(&t->out);
	text_put(&t->out, STYLE_PLAIN, 0, "%zu more task%s: --max-tasks cuts the list at %zu",
		 s->left_out, s->left_out == 1 ? " is not listed" : "s are not listed",
		 t->o->max_tasks);
}

int text_put_tasks(struct text *t)
{
	struct report_options every = *t->o;
	struct grouping g = { 0 };
	struct selection s;
	size_t i;
	int err;

	every.all = true;
	err = selection_make(t->m, &every, &s);

	if (!err)
		err = grouping_make(s.tasks, s.count, &g);
	if (err < 0)
		goto out;
	if (s.count) {
		text_put_blank(&t->out);
		text_put(&t->out, STYLE_BOLD, 0, "All tasks by stack");
	}
	for (i = 0; i < g.count; i++)
		group_put(t, &g.groups[i]);
	text_put_left_out(t, &s);
out:
	selection_free(&s);
	grouping_free(&g);
	return err;
}
