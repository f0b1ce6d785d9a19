/* SPDX-License-Identifier: MIT
 *
 * A process that is no more, from its table: who there was, who created it, what each was about to
 * wait for when the end came. Nobody can say now whether the waits had begun or would have ended.
 */
#include "readers/table_private.h"

/* Who was waited for, as far as the records tell. */
static void dead_find_owner(const struct table_copy *c, const struct model *m, struct object *o)
{
	const struct wire_task *r;

	if (o->kind == OBJECT_MUTEX || o->kind == OBJECT_RWLOCK)
		o->owner_state = OWNER_UNKNOWN;
	if (o->kind != OBJECT_THREAD)
		return;
	r = table_copy_find_thread(c, 0, o->address);
	o->owner = r ? model_find_thread(m, r->number) : NULL;
	o->owner_state = o->owner ? OWNER_TASK : OWNER_UNKNOWN;
}

static int dead_read_wait(const struct table_copy *c, const struct wire_wait *r, int64_t now_ns,
			  struct stacks *stacks, struct model *m, struct task *t)
{
	struct wait *w;

	if (!(r->sequence & 1) || table_op(r->op) == OP_NONE)
		return 0;
	w = model_alloc(m, sizeof(*w));
	if (!w)
		return ERR_NOMEM;
	w->op = table_op(r->op);
	w->since_ns = table_elapsed(now_ns, r->since_ns);
	w->has_deadline = r->flags & WIRE_WAIT_DEADLINE;
	w->deadline_left_ns = w->duration_ns = TIME_UNKNOWN;
	w->object = model_object(m, table_op_object(w->op), r->object);
	if (w->op == OP_COND_WAIT && r->second)
		w->second = model_object(m, OBJECT_MUTEX, r->second);
	if (!w->object || (w->op == OP_COND_WAIT && r->second && !w->second))
		return ERR_NOMEM;
	dead_find_owner(c, m, w->object);
	t->wait = w;
	t->state = STATE_BLOCKED;
	if (!r->context.ip)
		return 0;
	t->stack = table_intern_address(stacks, r->context.ip, false);
	return t->stack ? 0 : ERR_NOMEM;
}

static struct task *dead_add_task(const struct table_copy *c, const struct wire_task *r,
				  int64_t now_ns, struct stacks *stacks, struct model *m)
{
	struct task *t = table_add_ended(c, r, now_ns, stacks, m);

	if (!t || r->state == WIRE_TASK_ENDING)
		return t;
	t->state = STATE_RUNNING;
	if (!(r->wait.sequence & 1))
		t->live_because = "or was in a call of which nothing is recorded";
	return t;
}

int table_read_dead(const struct table_copy *c, int64_t monotonic_ns, struct stacks *stacks,
		    struct model *m)
{
	int rc = 0;

	for (size_t i = 0; i < table_copy_count(c); i++) {
		const struct wire_task *r = table_copy_task(c, i);

		/* What is kept only because of its locks was over long ago. */
		if (r->kind == WIRE_KIND_THREAD &&
		    (r->state != WIRE_TASK_ENDING || table_task_is_unjoined(r)) &&
		    !dead_add_task(c, r, monotonic_ns, stacks, m))
			return ERR_NOMEM;
	}
	model_number_tasks(m);
	table_link_parents(m);
	for (size_t i = 0; i < m->task_count && !rc; i++) {
		struct task *t = m->tasks[i];
		const struct wire_task *r = table_copy_find_number(c, t->number);

		if (r && t->state != STATE_ENDED)
			rc = dead_read_wait(c, &r->wait, monotonic_ns, stacks, m, t);
	}
	return rc ? rc : table_describe_losses(c, m);
}
