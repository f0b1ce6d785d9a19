/* SPDX-License-Identifier: MIT
 *
 * What the graph of references tells a person: where an object lies, by which way somebody live
 * reaches it, or which tasks refer to it if nobody does.
 */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "prove/reach_private.h"

struct describer {
	const struct reach *reach;
	struct model *model;
	struct task **tasks; /* by thread of the graph; NULL: not in the model */
	bool *seen;	     /* by node, for one walk */
	uint32_t *queue;
};

static int describe_find_tasks(struct describer *d)
{
	const struct reach *r = d->reach;

	d->tasks = calloc(r->thread_count + 1, sizeof(struct task *));
	d->seen = calloc(r->node_count + 1, sizeof(*d->seen));
	d->queue = calloc(r->node_count + 1, sizeof(*d->queue));
	if (!d->tasks || !d->seen || !d->queue)
		return ERR_NOMEM;
	for (size_t i = 0; i < d->model->task_count; i++) {
		struct task *t = d->model->tasks[i];
		size_t thread = reach_find_thread(r, t->tid);

		if (thread != REACH_NONE)
			d->tasks[thread] = t;
	}
	return 0;
}

static void describe_place(const struct describer *d, uint32_t node, uint64_t at, struct place *out)
{
	const struct reach_node *n = &d->reach->nodes[node];

	*out = (struct place){
		.kind = n->kind,
		.task = n->thread == REACH_NONE ? NULL : d->tasks[n->thread],
		.start = n->start,
		.bytes = n->end - n->start,
		.at = at,
		.name = model_string(d->model, n->name),
	};
}

/* From the root to the object. */
static int describe_path(const struct describer *d, uint32_t home, struct object *o)
{
	const struct reach *r = d->reach;
	size_t n = 1;
	uint64_t at = o->address;

	for (uint32_t e = r->nodes[home].via; e != REACH_NONE; e = r->nodes[r->edges[e].from].via)
		n++;
	o->path = model_alloc(d->model, n * sizeof(*o->path));
	if (!o->path)
		return ERR_NOMEM;
	o->path_length = n;
	for (uint32_t node = home; n-- > 0;) {
		uint32_t e = r->nodes[node].via;

		describe_place(d, node, at, &o->path[n]);
		if (e == REACH_NONE)
			break;
		at = r->edges[e].at;
		node = r->edges[e].from;
	}
	return 0;
}

static int task_compare(const void *va, const void *vb)
{
	const struct task *a = *(struct task *const *)va, *b = *(struct task *const *)vb;

	return a->number < b->number ? -1 : a->number > b->number;
}

static void describe_add_referrer(struct object *o, struct task *t)
{
	for (size_t i = 0; t && i < o->referrer_count; i++)
		if (o->referrers[i] == t)
			return;
	if (t)
		o->referrers[o->referrer_count++] = t;
}

/* Whoever a way leads from, backwards from the object's home. */
static int describe_referrers(struct describer *d, uint32_t home, struct object *o)
{
	const struct reach *r = d->reach;
	size_t first = 0, last = 0;

	o->referrers = model_alloc(d->model, (r->thread_count + 1) * sizeof(struct task *));
	if (!o->referrers)
		return ERR_NOMEM;
	memset(d->seen, 0, r->node_count * sizeof(*d->seen));
	d->seen[home] = true;
	d->queue[last++] = home;
	while (first < last) {
		const struct reach_node *n = &r->nodes[d->queue[first++]];

		if (n->thread != REACH_NONE)
			describe_add_referrer(o, d->tasks[n->thread]);
		for (uint32_t e = n->in; e != REACH_NONE; e = r->edges[e].next_in) {
			uint32_t from = r->edges[e].from;

			if (!d->seen[from]) {
				d->seen[from] = true;
				d->queue[last++] = from;
			}
		}
	}
	qsort(o->referrers, o->referrer_count, sizeof(struct task *), task_compare);
	return 0;
}

static int describe_object(struct describer *d, struct object *o)
{
	const struct reach_object *found = reach_find_object(d->reach, o->address);

	if (o->home || !found || found->node == REACH_NONE)
		return 0;
	o->home = model_alloc(d->model, sizeof(*o->home));
	if (!o->home)
		return ERR_NOMEM;
	describe_place(d, found->node, o->address, o->home);
	return d->reach->nodes[found->node].reached ? describe_path(d, found->node, o)
						    : describe_referrers(d, found->node, o);
}

int reach_describe(const struct reach *r, struct model *m)
{
	struct describer d = { .reach = r, .model = m };
	int rc = describe_find_tasks(&d);

	for (size_t i = 0; i < m->task_count && !rc; i++) {
		const struct wait *w = m->tasks[i]->wait;

		if (w && w->object && w->object->address)
			rc = describe_object(&d, w->object);
	}
	free(d.tasks);
	free(d.seen);
	free(d.queue);
	return rc;
}
