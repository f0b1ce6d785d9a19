/* SPDX-License-Identifier: MIT */
/*
 * What waits hang on: every blocked task that is not stuck is followed to the end of its chain;
 * ends are counted. A task that somebody waits for is a better suspect than an object that
 * anybody may signal (an idle pool looks like that), so tasks come first.
 */
#include <stdlib.h>

#include "err.h"
#include "prove/chain.h"
#include "report/text_groups.h"

struct hang_key {
	const struct task *task;     /* who waits */
	const struct task *end;	     /* as in struct hang */
	const struct object *object; /* likewise */
	size_t position;	     /* of the task in the model */
};

/* Where the wait of `t` ends; false if that is no news (it runs, it waits for the outside). */
static bool hang_find(const struct task *t, struct hang_key *key)
{
	const struct task *end;

	if (!t->wait || t->verdict != VERDICT_NONE || t->system)
		return false;
	end = chain_find_end(t);
	*key = (struct hang_key){ .task = t, .end = end };
	if (end == t && t->chain_next && chain_is_self_live(t)) {
		key->end = t->chain_next; /* a wait with a deadline, for a stuck task */
		return true;
	}
	if (chain_is_self_live(end) || end->verdict != VERDICT_NONE)
		return end != t;
	key->object = end->wait->object;
	return key->object || end != t;
}

static uint64_t hang_identity(const struct hang_key *k)
{
	return k->object ? (uintptr_t)k->object : (uintptr_t)k->end;
}

/* Brings equal ends together; tasks stay ascending. */
static int hang_compare_ends(const void *va, const void *vb)
{
	const struct hang_key *a = va, *b = vb;

	if (hang_identity(a) != hang_identity(b))
		return hang_identity(a) < hang_identity(b) ? -1 : 1;
	return (a->position > b->position) - (a->position < b->position);
}

static int hang_compare(const void *va, const void *vb)
{
	const struct hang *a = va, *b = vb;

	if (!a->object != !b->object)
		return a->object ? 1 : -1;
	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	if (a->tasks[0]->kind != b->tasks[0]->kind)
		return a->tasks[0]->kind < b->tasks[0]->kind ? -1 : 1;
	return a->tasks[0]->number < b->tasks[0]->number ? -1 : 1;
}

static void hangs_fill(const struct hang_key *keys, size_t n, struct hangs *out)
{
	struct hang *h = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		const struct task *t = keys[i].task;

		out->tasks[i] = t;
		if (!i || hang_identity(&keys[i - 1]) != hang_identity(&keys[i])) {
			h = &out->hangs[out->count++];
			*h = (struct hang){ .end = keys[i].end,
					    .object = keys[i].object,
					    .tasks = &out->tasks[i] };
		}
		h->count++;
		if (h->object && t->wait->object == h->object && h->direct++ == 0)
			h->end = t;
	}
}

int hangs_make(const struct model *m, struct hangs *out)
{
	struct hang_key *keys = calloc(m->task_count + 1, sizeof(*keys));
	size_t i, n = 0;

	*out = (struct hangs){ 0 };
	out->hangs = calloc(m->task_count + 1, sizeof(*out->hangs));
	out->tasks = calloc(m->task_count + 1, sizeof(*out->tasks));
	if (!keys || !out->hangs || !out->tasks) {
		free(keys);
		return ERR_NOMEM;
	}
	for (i = 0; i < m->task_count; i++)
		if (hang_find(m->tasks[i], &keys[n]))
			keys[n++].position = i;
	qsort(keys, n, sizeof(*keys), hang_compare_ends);
	hangs_fill(keys, n, out);
	qsort(out->hangs, out->count, sizeof(*out->hangs), hang_compare);
	free(keys);
	return 0;
}

void hangs_free(struct hangs *h)
{
	free(h->hangs);
	free(h->tasks);
	*h = (struct hangs){ 0 };
}
