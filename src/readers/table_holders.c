/* SPDX-License-Identifier: MIT
 *
 * Who holds an rwlock for reading. glibc only counts readers; the shim notes, in each thread's
 * record, what that thread holds. All holders of a lock are known if the notes add up to the
 * count exactly and nothing was lost: then the lock has owners like any other. If in doubt, it has
 * not.
 */
#include <stdlib.h>

#include "readers/table_private.h"

struct hold {
	uint64_t address;
	const struct wire_task *record;
	uint32_t times;
};

struct holds {
	struct hold *v; /* ascending by address, then by number */
	size_t n;
};

static int hold_compare(const void *va, const void *vb)
{
	const struct hold *a = va, *b = vb;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return (a->record->number > b->record->number) - (a->record->number < b->record->number);
}

/* May a hold be missing from the records? */
static bool holds_are_whole(const struct table_copy *c)
{
	if (table_copy_header(c)->lost_tasks)
		return false;
	for (size_t i = 0; i < table_copy_count(c); i++)
		if (table_copy_task(c, i)->flags & WIRE_TASK_HOLDS_LOST)
			return false;
	return true;
}

static void holds_collect(const struct table_copy *c, struct holds *h)
{
	for (size_t i = 0; i < table_copy_count(c); i++) {
		const struct wire_task *r = table_copy_task(c, i);

		for (size_t k = 0; k < WIRE_HOLDS && r->kind == WIRE_KIND_THREAD; k++)
			if (r->holds[k] && r->hold_counts[k])
				h->v[h->n++] = (struct hold){ r->holds[k], r, r->hold_counts[k] };
	}
	if (h->n)
		qsort(h->v, h->n, sizeof(*h->v), hold_compare);
}

/* Where the holds of the lock at `address` begin. */
static size_t holds_find(const struct holds *h, uint64_t address)
{
	size_t low = 0, high = h->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (h->v[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A holder that has ended and was joined is no task yet. */
static struct task *holds_find_task(const struct table_copy *c, const struct wire_task *r,
				    int64_t now_ns, struct stacks *stacks, struct model *m)
{
	struct task *t = model_find_thread(m, r->number);

	if (t)
		return t;
	t = table_add_ended(c, r, now_ns, stacks, m);
	if (t)
		model_number_tasks(m);
	return t;
}

/* Is each holder a task, or one that has certainly ended? */
static bool holds_are_certain(const struct hold *v, size_t n, const struct model *m)
{
	for (size_t i = 0; i < n; i++)
		if (!model_find_thread(m, v[i].record->number) &&
		    !table_thread_is_gone(v[i].record, m->tasks, m->task_count))
			return false;
	return true;
}

static int holds_name(const struct holds *h, const struct table_copy *c, int64_t now_ns,
		      struct stacks *stacks, struct model *m, struct object *o)
{
	size_t first = holds_find(h, o->address), end;
	uint64_t sum = 0;

	for (end = first; end < h->n && h->v[end].address == o->address; end++)
		sum += h->v[end].times;
	if (sum != o->readers || end == first || !holds_are_certain(h->v + first, end - first, m))
		return 0;
	o->holders = model_alloc(m, (end - first) * sizeof(*o->holders));
	if (!o->holders)
		return ERR_NOMEM;
	for (size_t i = first; i < end; i++) {
		struct task *t = holds_find_task(c, h->v[i].record, now_ns, stacks, m);

		if (!t)
			return ERR_NOMEM;
		if (!o->holder_count || o->holders[o->holder_count - 1] != t)
			o->holders[o->holder_count++] = t;
	}
	return 0;
}

int table_find_holders(const struct table_copy *c, int64_t now_ns, struct stacks *stacks,
		       struct model *m)
{
	size_t room = table_copy_count(c) * WIRE_HOLDS + 1, tasks = m->task_count;
	struct holds h = { .v = calloc(room, sizeof(*h.v)) };
	int rc = h.v ? 0 : ERR_NOMEM;

	if (!rc && holds_are_whole(c))
		holds_collect(c, &h);
	for (size_t i = 0; i < m->task_count && h.n && !rc; i++) {
		const struct wait *w = m->tasks[i]->wait;
		struct object *o = w ? w->object : NULL;

		if (o && o->kind == OBJECT_RWLOCK && o->owner_state == OWNER_NONE && o->readers &&
		    !o->holders)
			rc = holds_name(&h, c, now_ns, stacks, m, o);
	}
	if (m->task_count != tasks)
		table_link_parents(m);
	free(h.v);
	return rc;
}
