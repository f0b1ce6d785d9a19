/* SPDX-License-Identifier: MIT */
/*
 * Grouping by sorting: every task gets a key whose parts are small numbers (that of the first task
 * with an equal stack, say), the keys are sorted, and runs of equal keys are the groups. So the
 * order never depends on addresses or hashes.
 */
#include "report/text_groups.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "model/hash.h"
#include "prove/chain.h"

struct group_key {
	const struct task *task;
	uint64_t stack_hash;
	uint64_t action_hash;
	size_t position; /* in the list of tasks */
	size_t group;	 /* position of the first task of the group */
	size_t cluster;	 /* position of the first task of the cluster */
	size_t group_count;
	size_t cluster_count;
	enum group_rank rank;
};

static enum group_rank group_rank_of(const struct task *t)
{
	if (t->verdict != VERDICT_NONE)
		return GROUP_STUCK;
	if (!t->wait || t->wait->op == OP_IO || t->wait->op == OP_SLEEP || t->wait->op == OP_OTHER)
		return GROUP_OTHER;
	return GROUP_BLOCKED;
}

static uint64_t group_hash_stack(const struct task *t)
{
	uint64_t hash = HASH_START;
	int state = t->stack ? -1 : (int)t->state;
	size_t i;

	hash = hash_bytes(hash, &state, sizeof(state));
	for (i = 0; t->stack && i < t->stack->n; i++) {
		const struct frame *f = &t->stack->v[i];

		hash = hash_bytes(hash, &f->address, sizeof(f->address));
		hash = hash_string(hash, f->inlined ? f->function : "");
	}
	return hash;
}

/* What the task does, apart from times: they differ between tasks that do the same. */
static uint64_t group_hash_action(const struct task *t)
{
	const struct wait *w = t->wait;
	uint64_t hash = hash_string(HASH_START, t->live_because);

	if (!w)
		return hash;
	hash = hash_bytes(hash, &w->op, sizeof(w->op));
	if (w->text)
		return hash_string(hash, w->text);
	hash = hash_bytes(hash, &w->object, sizeof(w->object));
	return hash_bytes(hash, &t->chain_next, sizeof(t->chain_next));
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* Brings equal groups and equal clusters together, in any order. */
static int group_compare_hashes(const void *va, const void *vb)
{
	const struct group_key *a = va, *b = vb;
	int c = compare_numbers(a->rank, b->rank);

	c = c ? c : compare_numbers(a->stack_hash, b->stack_hash);
	c = c ? c : compare_numbers(a->task->verdict, b->task->verdict);
	c = c ? c : compare_numbers(a->action_hash, b->action_hash);
	return c ? c : compare_numbers(a->position, b->position);
}

static int group_compare_groups(const struct group_key *a, const struct group_key *b)
{
	int c = compare_numbers(a->rank, b->rank);

	c = c ? c : -compare_numbers(a->group_count, b->group_count);
	return c ? c : compare_numbers(a->group, b->group);
}

/* The order of the report, within a group by task. */
static int group_compare_tasks(const void *va, const void *vb)
{
	const struct group_key *a = va, *b = vb;
	int c = group_compare_groups(a, b);

	return c ? c : compare_numbers(a->position, b->position);
}

/* The order of the report, within a group by cluster. */
static int group_compare_clusters(const void *va, const void *vb)
{
	const struct group_key *a = va, *b = vb;
	int c = group_compare_groups(a, b);

	c = c ? c : -compare_numbers(a->cluster_count, b->cluster_count);
	c = c ? c : compare_numbers(a->cluster, b->cluster);
	return c ? c : compare_numbers(a->position, b->position);
}

static bool group_same(const struct group_key *a, const struct group_key *b)
{
	return a->rank == b->rank && a->stack_hash == b->stack_hash &&
	       a->task->verdict == b->task->verdict;
}

static bool cluster_same(const struct group_key *a, const struct group_key *b)
{
	return group_same(a, b) && a->action_hash == b->action_hash;
}

/* With equal keys side by side: give all of a run its lowest position and its count. */
static void group_measure(struct group_key *keys, size_t n)
{
	size_t begin, end, i, lowest;

	for (begin = 0; begin < n; begin = end) {
		lowest = keys[begin].position;
		for (end = begin; end < n && group_same(&keys[begin], &keys[end]); end++)
			if (keys[end].position < lowest)
				lowest = keys[end].position;
		for (i = begin; i < end; i++) {
			keys[i].group = lowest;
			keys[i].group_count = end - begin;
		}
	}
	for (begin = 0; begin < n; begin = end) {
		for (end = begin; end < n && cluster_same(&keys[begin], &keys[end]); end++)
			;
		for (i = begin; i < end; i++) {
			keys[i].cluster = keys[begin].position;
			keys[i].cluster_count = end - begin;
		}
	}
}

/* Ordered by clusters. */
static void group_fill(const struct group_key *keys, size_t n, struct grouping *out)
{
	struct task_group *g = NULL;
	struct task_cluster *c = out->clusters;
	size_t i;

	for (i = 0; i < n; i++) {
		out->cluster_tasks[i] = keys[i].task;
		if (!i || !group_same(&keys[i - 1], &keys[i])) {
			g = &out->groups[out->count++];
			*g = (struct task_group){ .rank = keys[i].rank,
						  .tasks = &out->tasks[i],
						  .clusters = c };
		}
		if (!i || !cluster_same(&keys[i - 1], &keys[i])) {
			*c++ = (struct task_cluster){ .tasks = &out->cluster_tasks[i] };
			g->cluster_count++;
		}
		g->clusters[g->cluster_count - 1].count++;
		g->count++;
	}
}

int grouping_make(const struct task *const *tasks, size_t n, struct grouping *out)
{
	struct group_key *keys = calloc(n + 1, sizeof(*keys));
	size_t i;

	*out = (struct grouping){ 0 };
	out->groups = calloc(n + 1, sizeof(*out->groups));
	out->clusters = calloc(n + 1, sizeof(*out->clusters));
	out->tasks = calloc(n + 1, sizeof(*out->tasks));
	out->cluster_tasks = calloc(n + 1, sizeof(*out->cluster_tasks));
	if (!keys || !out->groups || !out->clusters || !out->tasks || !out->cluster_tasks) {
		free(keys);
		return ERR_NOMEM;
	}
	for (i = 0; i < n; i++)
		keys[i] = (struct group_key){ .task = tasks[i],
					      .stack_hash = group_hash_stack(tasks[i]),
					      .action_hash = group_hash_action(tasks[i]),
					      .position = i,
					      .rank = group_rank_of(tasks[i]) };
	qsort(keys, n, sizeof(*keys), group_compare_hashes);
	group_measure(keys, n);
	qsort(keys, n, sizeof(*keys), group_compare_tasks);
	for (i = 0; i < n; i++)
		out->tasks[i] = keys[i].task;
	qsort(keys, n, sizeof(*keys), group_compare_clusters);
	group_fill(keys, n, out);
	free(keys);
	return 0;
}

void grouping_free(struct grouping *g)
{
	free(g->groups);
	free(g->clusters);
	free(g->tasks);
	free(g->cluster_tasks);
	*g = (struct grouping){ 0 };
}
