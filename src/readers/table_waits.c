/* SPDX-License-Identifier: MIT
 *
 * Recorded waits. A record says what a thread was about to wait for; whether it does, and for what
 * in truth, only the kernel knows: a record is believed when it says the same of a wait that the
 * thread reader has found, and then adds what cannot be seen from outside.
 */
#include <string.h>

#include "readers/table_private.h"

/* Within a lock of glibc: the largest, rwlock and mutex, are 56 and 40 bytes long. */
#define LOCK_BYTES 56

static const struct {
	enum wait_op op;
	enum object_kind kind;
} table_ops[] = {
	[WIRE_OP_MUTEX_LOCK] = { OP_MUTEX_LOCK, OBJECT_MUTEX },
	[WIRE_OP_RWLOCK_RDLOCK] = { OP_RWLOCK_RDLOCK, OBJECT_RWLOCK },
	[WIRE_OP_RWLOCK_WRLOCK] = { OP_RWLOCK_WRLOCK, OBJECT_RWLOCK },
	[WIRE_OP_COND_WAIT] = { OP_COND_WAIT, OBJECT_COND },
	[WIRE_OP_SEM_WAIT] = { OP_SEM_WAIT, OBJECT_SEMAPHORE },
	[WIRE_OP_BARRIER_WAIT] = { OP_BARRIER_WAIT, OBJECT_BARRIER },
	[WIRE_OP_JOIN] = { OP_JOIN, OBJECT_THREAD },
	[WIRE_OP_FUTEX_WAIT] = { OP_FUTEX_WAIT, OBJECT_FUTEX },
};

_Static_assert(sizeof(table_ops) / sizeof(table_ops[0]) == WIRE_OP_COUNT, "a row for each wire_op");

enum wait_op table_op(uint16_t op)
{
	return op < WIRE_OP_COUNT ? table_ops[op].op : OP_NONE;
}

enum object_kind table_op_object(enum wait_op op)
{
	for (size_t i = 1; i < WIRE_OP_COUNT; i++)
		if (table_ops[i].op == op)
			return table_ops[i].kind;
	return OBJECT_NONE;
}

/* Does it lock the cond's mutex again, being woken? It has not come out of the call since. */
static bool table_wait_relocks(const struct wire_wait *r, const struct wait *w)
{
	return r->sequence & 1 && table_op(r->op) == OP_COND_WAIT && w->op == OP_MUTEX_LOCK &&
	       r->second && w->object && w->object->address == r->second;
}

/* The same operation on the same object; or a wait inside the C library, of which it could not be
 * told what it is for, on a word of the object. */
static bool table_wait_agrees(const struct wire_wait *r, const struct wait *w)
{
	uint64_t address = w->object ? w->object->address : 0;

	if (!(r->sequence & 1) || !address || !r->object)
		return false;
	if (w->op == OP_OTHER)
		return address >= r->object && address - r->object < LOCK_BYTES &&
		       table_op(r->op) != OP_FUTEX_WAIT;
	return table_op(r->op) == w->op && address == r->object;
}

static int table_enrich_wait(const struct wire_wait *r, int64_t now_ns, struct model *m,
			     struct wait *w)
{
	w->since_ns = table_elapsed(now_ns, r->since_ns);
	if (w->op == OP_COND_WAIT && r->second && !w->second) {
		w->second = model_object(m, OBJECT_MUTEX, r->second);
		if (!w->second)
			return ERR_NOMEM;
	}
	if (!(r->flags & WIRE_WAIT_DEADLINE))
		return 0;
	w->has_deadline = true;
	if (w->deadline_left_ns == TIME_UNKNOWN && r->deadline_ns && r->deadline_ns < INT64_MAX)
		w->deadline_left_ns = (int64_t)r->deadline_ns - now_ns;
	return 0;
}

/* Signals whose handlers, as far as was seen, let an interrupted call go on. */
static uint64_t table_restarting_signals(const struct table_copy *c)
{
	const struct wire_table *h = table_copy_header(c);

	return h->restarting_signals & ~h->interrupting_signals;
}

/* Who ended and left a lock behind, if a thread of which there is still a record had that id. */
static void table_name_ended_owner(const struct model *m, struct object *o)
{
	struct task *owner = NULL;

	if (!o || o->owner_state != OWNER_ENDED || o->owner || o->heir || !o->owner_tid)
		return;
	for (size_t i = 0; i < m->task_count; i++) {
		struct task *t = m->tasks[i];

		if (!t->recorded || t->state != STATE_ENDED || t->tid_ns != o->owner_tid)
			continue;
		if (owner)
			return;
		owner = t;
	}
	o->owner = owner;
}

int table_enrich_waits(const struct table_copy *c, int64_t monotonic_ns, struct stacks *stacks,
		       struct model *m)
{
	struct object *named = NULL; /* many may wait for one lock */

	for (size_t i = 0; i < m->task_count; i++) {
		struct task *t = m->tasks[i];
		const struct wire_task *r =
			t->kind == TASK_THREAD ? table_copy_find_number(c, t->number) : NULL;

		if (!t->wait)
			continue;
		if (!(t->handled_signals & ~table_restarting_signals(c)))
			t->wait->interruptible = false;
		if (t->wait->object != named)
			table_name_ended_owner(m, t->wait->object);
		named = t->wait->object;
		if (r && table_wait_relocks(&r->wait, t->wait))
			t->wait->since_ns = table_elapsed(monotonic_ns, r->wait.since_ns);
		if (r && table_wait_agrees(&r->wait, t->wait) &&
		    table_enrich_wait(&r->wait, monotonic_ns, m, t->wait))
			return ERR_NOMEM;
	}
	return table_find_holders(c, monotonic_ns, stacks, m);
}
