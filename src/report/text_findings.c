/* SPDX-License-Identifier: MIT */
/*
 * The verdicts. Findings of one cycle make one block: the chain once, then each place where a task
 * of the cycle is stuck. A chain that runs into one shown above stops there, so that a hundred
 * tasks behind one deadlock do not repeat it a hundred times.
 */
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "model/hash.h"
#include "report/text.h"

#define HEAD_IDS_COLUMNS 40
#define FRAMES_SHOWN	 6
#define CREATOR_FRAMES	 12

/* The reason in a few words, for one task and for more. */
static const char *finding_words(const struct finding *f, bool more)
{
	if (f->verdict == VERDICT_UNJOINED)
		return more ? ": finished, and nobody joined them"
			    : ": finished, and nobody joined it";
	if (f->verdict == VERDICT_ALIVE && f->longest->reason == REASON_NONE)
		return ": not finished when the process ended";
	switch (f->longest->reason) {
	case REASON_CYCLE:
		return ": a cycle";
	case REASON_SELF:
		return more ? ": their own locks" : ": its own lock";
	case REASON_OWNER_ENDED:
		return ": a lock whose holder has ended";
	case REASON_OWNER_STUCK:
		return more ? ": behind stuck tasks" : ": behind a stuck task";
	case REASON_UNREACHABLE:
		return ": out of reach";
	case REASON_NIL_CHANNEL:
		return ": a nil channel";
	case REASON_EMPTY_SELECT:
		return ": a select without cases";
	case REASON_ALL_ASLEEP:
		return more ? ": nobody is left to wake them" : ": nobody is left to wake it";
	case REASON_MAIN_RETURNED:
		return more ? ": only main could have woken them"
			    : ": only main could have woken it";
	default:
		return "";
	}
}

static const char *finding_title(enum verdict v)
{
	return v == VERDICT_STUCK ? "STUCK" : v == VERDICT_ALIVE ? "ALIVE" : "UNJOINED";
}

static bool finding_same_pointer(const void *value, const void *key)
{
	return value == key;
}

/* Which tasks' lines stand in a chain above. */
static uint64_t finding_hash_task(const struct task *t)
{
	return hash_bytes(HASH_START, &t, sizeof(t));
}

static bool finding_was_shown(const struct hash_set *shown, const struct task *t)
{
	return hash_set_find(shown, finding_hash_task(t), finding_same_pointer, t);
}

/* The chain of the finding's longest wait, as far as it is new. */
static int finding_put_chain(struct text *t, const struct finding *f, struct hash_set *shown)
{
	enum text_style style = f->verdict == VERDICT_STUCK ? STYLE_ALARM : STYLE_PLAIN;
	const struct task *tasks[CHAIN_TASKS_MAX];
	size_t n = chain_collect(f->longest, tasks, CHAIN_TASKS_MAX), i;
	struct chain_text *chain = t->chain;
	const char *remark;
	bool above = false;
	char seen[80];

	chain_write(t->m, f->longest, chain);
	if (f->verdict == VERDICT_STUCK && !chain->remark[0])
		snprintf(chain->remark, sizeof(chain->remark), "stuck");
	for (i = 0; i < chain->n && !above; i++) {
		remark = i + 1 == chain->n ? chain->remark : "";
		above = i + 1 < n && finding_was_shown(shown, tasks[i + 1]);
		if (above) {
			snprintf(seen, sizeof(seen), "%s is stuck: see above", tasks[i + 1]->id);
			remark = seen;
		}
		text_put_remark(&t->out, 2, chain->lines[i], remark, style);
		if (i < n && !finding_was_shown(shown, tasks[i]) &&
		    hash_set_add(shown, finding_hash_task(tasks[i]), (void *)tasks[i]) < 0)
			return ERR_NOMEM;
	}
	return 0;
}

/* Of a thread that has ended, the place where it began is all there is. */
static void finding_put_start(struct text *t, const struct task *task)
{
	char place[160];

	text_format_place(task->start, 1, place, sizeof(place));
	if (place[0])
		text_put(&t->out, STYLE_PLAIN, 4, "began in %s", place);
	else if (task->start)
		text_put_frames(t, task->start, false, 1, 4);
}

/* Whose stack it is need only be said if the block has several. */
static void finding_put_stack(struct text *t, const struct finding *f, bool alone)
{
	const struct task *task = f->longest;
	char tasks[160];

	text_format_tasks(t->m, &task, 1, HEAD_IDS_COLUMNS, tasks, sizeof(tasks));
	if (!alone && f->count > 1)
		text_put(&t->out, STYLE_PLAIN, 2, "%s, and %zu more like it:", tasks, f->count - 1);
	else if (!alone)
		text_put(&t->out, STYLE_PLAIN, 2, "%s:", tasks);
	if (f->verdict == VERDICT_UNJOINED)
		finding_put_start(t, task);
	else
		text_put_frames(t, task->stack, true, FRAMES_SHOWN, 4);
	text_put_creator(t, task, false, CREATOR_FRAMES, 4);
}

/* The tasks of findings[0 .. n-1], ascending; the caller's to free. */
static const struct task **findings_collect(const struct model *m, struct finding *const *findings,
					    size_t n, size_t *count)
{
	const struct task **tasks;
	size_t i, k;

	*count = 0;
	for (i = 0; i < n; i++)
		*count += findings[i]->count;
	tasks = calloc(*count + 1, sizeof(*tasks));
	if (!tasks)
		return NULL;
	*count = 0;
	for (i = 0; i < m->task_count; i++)
		for (k = 0; k < n; k++)
			if (m->tasks[i]->finding == findings[k])
				tasks[(*count)++] = m->tasks[i];
	return tasks;
}

static int findings_put_block(struct text *t, struct finding *const *findings, size_t n,
			      struct hash_set *shown)
{
	const struct task **tasks;
	char head[400];
	size_t count, i;
	int err = 0;

	tasks = findings_collect(t->m, findings, n, &count);
	if (!tasks)
		return ERR_NOMEM;
	text_format_tasks(t->m, tasks, count, HEAD_IDS_COLUMNS, head, sizeof(head));
	text_put_blank(&t->out);
	text_put(&t->out, findings[0]->verdict == VERDICT_STUCK ? STYLE_ALARM : STYLE_BOLD, 0,
		 "%s  %s%s", finding_title(findings[0]->verdict), head,
		 finding_words(findings[0], count > 1));
	if (findings[0]->verdict != VERDICT_UNJOINED)
		err = finding_put_chain(t, findings[0], shown);
	for (i = 0; i < n; i++)
		finding_put_stack(t, findings[i], n == 1);
	free(tasks);
	return err;
}

int text_put_findings(struct text *t)
{
	const struct model *m = t->m;
	struct hash_set shown = { 0 };
	size_t begin, end;
	int err = 0;

	for (begin = 0; begin < m->finding_count && !err; begin = end) {
		for (end = begin + 1; end < m->finding_count; end++)
			if (!m->findings[begin]->group ||
			    m->findings[end]->group != m->findings[begin]->group)
				break;
		err = findings_put_block(t, m->findings + begin, end - begin, &shown);
	}
	hash_set_clear(&shown);
	return err;
}
