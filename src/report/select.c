/* SPDX-License-Identifier: MIT */
/*
 * When lists are cut, what a person needs most must stay: whoever is judged, then whoever others
 * wait for. Each turn takes the tasks of one rank, in the model's order, so that the choice is the
 * same for every format and every run.
 */
#include "report/select.h"

#include <stdlib.h>

#include "err.h"

enum rank { RANK_FINDING, RANK_WAITED_FOR, RANK_OTHER, RANK_COUNT };

static size_t selection_find(const struct model *m, const struct task *t)
{
	size_t low = 0, high = m->task_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct task *u = m->tasks[middle];

		if (u == t)
			return middle;
		if (u->kind != t->kind ? u->kind < t->kind : u->number < t->number)
			low = middle + 1;
		else
			high = middle;
	}
	return m->task_count;
}

static void selection_rank(const struct model *m, unsigned char *ranks)
{
	size_t i, k;

	for (i = 0; i < m->task_count; i++)
		ranks[i] = RANK_OTHER;
	for (i = 0; i < m->task_count; i++) {
		const struct task *next = m->tasks[i]->chain_next;

		k = next ? selection_find(m, next) : m->task_count;
		if (k < m->task_count)
			ranks[k] = RANK_WAITED_FOR;
	}
	for (i = 0; i < m->task_count; i++)
		if (m->tasks[i]->finding)
			ranks[i] = RANK_FINDING;
}

/* Mark what is taken by raising its rank to RANK_COUNT. */
static size_t selection_take(const struct model *m, unsigned char *ranks, unsigned last, size_t max)
{
	size_t taken = 0, i;
	unsigned rank;

	for (rank = 0; rank <= last; rank++) {
		for (i = 0; i < m->task_count && taken < max; i++) {
			if (ranks[i] != rank)
				continue;
			ranks[i] = RANK_COUNT;
			taken++;
		}
	}
	return taken;
}

int selection_make(const struct model *m, const struct report_options *o, struct selection *out)
{
	unsigned char *ranks = malloc(m->task_count + 1);
	size_t i, wanted = 0;

	*out = (struct selection){ 0 };
	out->tasks = malloc((m->task_count + 1) * sizeof(*out->tasks));
	if (!ranks || !out->tasks) {
		free(ranks);
		return ERR_NOMEM;
	}
	selection_rank(m, ranks);
	for (i = 0; i < m->task_count; i++)
		wanted += o->all || ranks[i] == RANK_FINDING;
	selection_take(m, ranks, o->all ? RANK_OTHER : RANK_FINDING, o->max_tasks);
	for (i = 0; i < m->task_count; i++)
		if (ranks[i] == RANK_COUNT)
			out->tasks[out->count++] = m->tasks[i];
	out->left_out = wanted - out->count;
	for (i = 0; i < m->finding_count; i++)
		if (m->findings[i]->count > o->max_tasks)
			out->left_out_of_findings += m->findings[i]->count - o->max_tasks;
	free(ranks);
	return 0;
}

void selection_free(struct selection *s)
{
	free(s->tasks);
	*s = (struct selection){ 0 };
}

size_t selection_count_verdict(const struct model *m, enum verdict v)
{
	size_t n = 0, i;

	for (i = 0; i < m->task_count; i++)
		n += m->tasks[i]->verdict == v && !m->tasks[i]->system;
	return n;
}
