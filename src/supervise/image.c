/* SPDX-License-Identifier: MIT
 *
 * One image of a process from its table's appearance to its report. The process may end, be killed
 * or take over the word between any two lines here: a look that fails because of that is no
 * trouble, the table says the rest.
 */
#include "supervise/follow.h"

#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define GRACE_POLL_NS 5000000

int image_create(struct process *p, const char *directory, const char *name, struct image **out)
{
	struct image *i = calloc(1, sizeof(*i));
	char path[PATH_MAX + 100];
	int rc = i ? 0 : ERR_NOMEM;

	*out = NULL;
	if (!rc && name) {
		snprintf(path, sizeof(path), "%s/%s", directory, name);
		snprintf(i->name, sizeof(i->name), "%s", name);
		rc = table_open(path, true, &i->table, NULL);
	}
	if (rc) {
		free(i);
		return rc;
	}
	i->process = p;
	*out = i;
	return 0;
}

static void image_close_table(struct follow *f, struct image *i)
{
	if (!i->table)
		return;
	control_forget(f->control, i->table);
	table_close(i->table);
	i->table = NULL;
}

void image_remove_file(const struct follow *f, const struct image *i)
{
	char path[PATH_MAX + 100];

	snprintf(path, sizeof(path), "%s/%s", f->directory, i->name);
	if (f->directory[0] && i->name[0])
		unlink(path);
}

void image_free(struct follow *f, struct image *i)
{
	image_close_table(f, i);
	model_free(i->at_exit);
	model_free(i->kept);
	free(i->trouble);
	free(i);
}

bool image_is_worth_a_look(const struct image *i)
{
	if (i->process->tool)
		return false;
	return !i->table || table_header(i->table)->tasks_born > 1;
}

/* -- the exit --------------------------------------------------------------------------------- */

static uint32_t image_exit_state(const struct image *i)
{
	return i->table ? __atomic_load_n(&table_header(i->table)->exit_state, __ATOMIC_ACQUIRE)
			: WIRE_EXIT_NONE;
}

bool image_was_replaced(const struct image *i)
{
	return i->table && table_header(i->table)->flags & WIRE_TABLE_REPLACED;
}

struct table *image_current_table(const struct image *i)
{
	return image_was_replaced(i) ? NULL : i->table;
}

void image_release(struct image *i)
{
	volatile struct wire_table *h = table_header(i->table);
	uint32_t held = WIRE_EXIT_HELD;

	i->state = IMAGE_RELEASED;
	if (__atomic_compare_exchange_n(&h->exit_state, &held, WIRE_EXIT_RELEASED, false,
					__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		syscall(SYS_futex, &h->exit_state, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* The task is alive at the exit, neither stuck nor the one that ends the process, and its thread is
 * still there. */
static bool image_task_lingers(const struct process *p, const struct task *t)
{
	char path[64];

	if (t->verdict != VERDICT_ALIVE || !t->tid || t->state == STATE_ENDED)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)p->pid, (int)t->tid);
	return access(path, F_OK) == 0;
}

/* Is anybody left for whom the grace is spent? Who has ended is not asked again. */
static bool image_has_lingerer(struct image *i)
{
	const struct model *m = i->at_exit;

	for (; i->grace_task < m->task_count; i->grace_task++)
		if (image_task_lingers(i->process, m->tasks[i->grace_task]))
			return true;
	return false;
}

static void image_set_trouble(struct image *i, const struct err *e)
{
	char line[1024];

	if (e->code == ERR_ENDED || e->code == ERR_GONE || e->code == ERR_ZOMBIE)
		return; /* killed while it was held: not our trouble */
	err_format(e, line, sizeof(line));
	free(i->trouble);
	i->trouble = strdup(line);
}

static bool image_look_at_exit(struct follow *f, struct image *i)
{
	struct look_options o = { .max_pause_ns = f->max_pause_ns,
				  .moment = MOMENT_EXIT,
				  .table = i->table };
	struct err e = { 0 };
	struct model *m;

	if (follow_take_look(i->process->pid, &o, &m, &e)) {
		image_set_trouble(i, &e);
		return false;
	}
	model_free(i->at_exit);
	i->at_exit = m;
	i->grace_task = 0;
	return true;
}

/* It is held: look, and either let it go or begin the grace. */
static void image_begin_exit(struct follow *f, struct image *i)
{
	bool looks = !f->letting_go && !i->process->tool && !i->process->kill_ns;

	if (looks && image_look_at_exit(f, i) && f->grace_ns > 0 && image_has_lingerer(i)) {
		i->state = IMAGE_GRACE;
		i->grace_end_ns = follow_now_ns() + f->grace_ns;
	} else {
		image_release(i);
	}
}

/* The look after the grace is the one that counts: meanwhile tasks have ended, others may have
 * begun. */
static void image_end_grace(struct follow *f, struct image *i)
{
	if (!f->letting_go)
		image_look_at_exit(f, i);
	image_release(i);
}

/* exec failed, and the program goes on. */
static void image_forget_exit(struct image *i)
{
	model_free(i->at_exit);
	i->at_exit = NULL;
	i->state = IMAGE_FOLLOWED;
}

int64_t image_step(struct follow *f, struct image *i)
{
	uint32_t exit_state = image_exit_state(i);

	switch (i->state) {
	case IMAGE_FOLLOWED:
		if (exit_state == WIRE_EXIT_HELD)
			image_begin_exit(f, i);
		break;
	case IMAGE_GRACE:
		if (exit_state != WIRE_EXIT_HELD)
			i->state = IMAGE_RELEASED; /* it ran out of patience */
		else if (f->letting_go || follow_now_ns() >= i->grace_end_ns ||
			 !image_has_lingerer(i))
			image_end_grace(f, i);
		break;
	case IMAGE_RELEASED:
		if (exit_state == WIRE_EXIT_NONE || exit_state == WIRE_EXIT_HELD)
			image_forget_exit(i);
		if (exit_state == WIRE_EXIT_HELD)
			image_begin_exit(f, i);
		break;
	case IMAGE_OVER:
		break;
	}
	return i->state == IMAGE_GRACE ? GRACE_POLL_NS : -1;
}

/* -- the end ---------------------------------------------------------------------------------- */

static bool model_has_stuck(const struct model *m)
{
	for (size_t k = 0; m && k < m->finding_count; k++)
		if (m->findings[k]->verdict == VERDICT_STUCK)
			return true;
	return false;
}

/* It ended without a look at its exit. What was proved before stays proved: stuck is for ever. */
static struct model *image_judge_killed(struct image *i)
{
	struct model *m = NULL;

	if (i->kept && (i->kept->moment != MOMENT_KILLED || model_has_stuck(i->kept))) {
		m = i->kept;
		i->kept = NULL;
		if (m->moment == MOMENT_KILLED)
			model_note(m, "its end was not looked at: this is what was seen while "
				      "all of its threads slept");
		return m;
	}
	if (!i->table || table_header(i->table)->tasks_born <= 1)
		return NULL;
	if (look_at_dead(i->process->pid, i->table, &m, NULL))
		return NULL;
	return m;
}

/* It came to its exit and left it without us. */
static bool image_was_missed(const struct follow *f, const struct image *i)
{
	volatile struct wire_table *h;

	if (!i->table || i->at_exit || i->trouble || i->process->tool || i->process->kill_ns ||
	    f->letting_go)
		return false;
	h = table_header(i->table);
	return h->tasks_born > 1 && h->exit_state == WIRE_EXIT_PASSED;
}

static void image_set_status(const struct image *i, struct model *m)
{
	volatile struct wire_table *h = i->table ? table_header(i->table) : NULL;

	if (h && h->exit_kind != WIRE_EXIT_KIND_NONE && h->exit_kind != WIRE_EXIT_KIND_EXEC)
		m->exit_status = h->exit_status & 0xff;
}

void image_finish(struct follow *f, struct image *i)
{
	struct model *m = NULL;

	if (i->state == IMAGE_OVER)
		return;
	i->replaced = image_was_replaced(i);
	if (image_was_missed(f, i))
		i->trouble = strdup("it did not wait for the look");
	if (i->at_exit && i->table)
		look_drop_ended(i->at_exit, i->table, NULL);
	if (i->at_exit) {
		m = i->at_exit;
		i->at_exit = NULL;
	} else if (!i->process->tool) {
		m = image_judge_killed(i);
	}
	if (m)
		image_set_status(i, m);
	image_close_table(f, i);
	i->state = IMAGE_OVER;
	model_free(i->kept);
	i->kept = m; /* the report */
}
