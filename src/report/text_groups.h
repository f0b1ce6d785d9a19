/* SPDX-License-Identifier: MIT */
/*
 * What the text report shows together: tasks with equal stacks, and within them tasks that wait
 * for the same; and waits that hang on the same end. Pure functions of a judged model; the lists
 * they make belong to the caller, the tasks in them to the model.
 */
#ifndef STRAND_REPORT_TEXT_GROUPS_H
#define STRAND_REPORT_TEXT_GROUPS_H

#include <stddef.h>

#include "model/model.h"

/* In the order in which groups are shown. */
enum group_rank {
	GROUP_STUCK,   /* and the other verdicts */
	GROUP_BLOCKED, /* waits for something within the program */
	GROUP_OTHER,   /* runs, waits for the outside or for a time, has ended */
};

/* Tasks of one group that do the same thing. */
struct task_cluster {
	const struct task **tasks; /* ascending */
	size_t count;
};

struct task_group {
	enum group_rank rank;
	const struct task **tasks; /* ascending */
	size_t count;
	struct task_cluster *clusters; /* the largest first, then by lowest task */
	size_t cluster_count;
};

/* All groups, in order of rank, then the largest first, then by lowest task. */
struct grouping {
	struct task_group *groups;
	size_t count;
	const struct task **tasks, **cluster_tasks; /* what the lists point into */
	struct task_cluster *clusters;
};

/* `tasks` ascending. Returns 0 or ERR_NOMEM; grouping_free() in any case. */
int grouping_make(const struct task *const *tasks, size_t n, struct grouping *out);
void grouping_free(struct grouping *g);

/* What a number of waits that are not proved stuck hang on. */
struct hang {
	const struct task *end;	     /* the task that all wait for, or one that waits on `object` */
	const struct object *object; /* NULL: they hang on `end` itself */
	const struct task **tasks;   /* those that wait, ascending */
	size_t count;
	size_t direct; /* of them those that wait on `object` itself */
};

/* Tasks first, then objects; those with the most waiters first, then by lowest task. */
struct hangs {
	struct hang *hangs;
	size_t count;
	const struct task **tasks;
};

int hangs_make(const struct model *m, struct hangs *out);
void hangs_free(struct hangs *h);

#endif
