/* SPDX-License-Identifier: MIT */
/*
 * Fingerprints and grouping.
 *
 * A fingerprint must survive a rebuild, another machine and lines inserted above: it is made of
 * module names, function names and the distance of the line from the function's own. Frames of
 * run-time libraries say nothing about the program (and change with the distribution): they
 * count only where a stack has nothing else.
 */
#include "prove/findings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "model/hash.h"
#include "prove/chain.h"

static uint64_t site_add_frame(uint64_t hash, const struct frame *f)
{
	char where[32];

	if (!f->function)
		snprintf(where, sizeof(where), "+%" PRIu64, f->module_offset);
	else if (f->line && f->function_line)
		snprintf(where, sizeof(where), "%d", f->line - f->function_line);
	else
		snprintf(where, sizeof(where), "+%" PRIu64, f->function_offset);
	hash = hash_string(hash, f->module);
	hash = hash_string(hash, f->function);
	return hash_string(hash, where);
}

/* The frames of one sort, from the inside; *n counts them. */
static uint64_t site_add_frames(uint64_t hash, const struct stack *s, bool system, size_t *n)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (!s->v[i].module || s->v[i].system != system)
			continue;
		hash = site_add_frame(hash, &s->v[i]);
		(*n)++;
	}
	return hash;
}

static uint64_t site_add_stack(uint64_t hash, const struct stack *s)
{
	size_t n = 0;

	if (!s)
		return hash_string(hash, "no stack");
	hash = site_add_frames(hash, s, false, &n);
	return n ? hash : site_add_frames(hash, s, true, &n);
}

static uint64_t site_hash(const struct task *t)
{
	uint64_t hash = HASH_START;

	if (t->verdict != VERDICT_UNJOINED)
		hash = site_add_stack(hash, t->stack);
	else if (t->start)
		hash = site_add_stack(hash_string(hash, "starts in"), t->start);
	if (t->verdict != VERDICT_UNJOINED && !t->stack && t->wait)
		hash = hash_string(hash, wait_op_name(t->wait->op));
	if (t->created_by)
		hash = site_add_stack(hash_string(hash, "created by"), t->created_by);
	return hash;
}

void findings_site(const struct task *t, char out[static 20])
{
	snprintf(out, 20, "%016" PRIx64, site_hash(t));
}

struct site_key {
	enum verdict verdict;
	const char *site;
};

static bool finding_is(const void *value, const void *key)
{
	const struct finding *f = value;
	const struct site_key *k = key;

	return f->verdict == k->verdict && strcmp(f->site, k->site) == 0;
}

/* Where findings are gathered before their number is known. */
struct gathering {
	struct model *m;
	struct hash_set by_site;
	struct finding **v;
	size_t n, capacity;
};

static int finding_create(struct gathering *g, const struct site_key *key, uint64_t hash,
			  struct finding **out)
{
	struct finding *f, **bigger;

	if (g->n == g->capacity) {
		size_t wanted = g->capacity ? 2 * g->capacity : 16;

		bigger = reallocarray(g->v, wanted, sizeof(*g->v));
		if (!bigger)
			return ERR_NOMEM;
		g->v = bigger;
		g->capacity = wanted;
	}
	f = model_alloc(g->m, sizeof(*f));
	if (!f || hash_set_add(&g->by_site, hash, f) < 0)
		return ERR_NOMEM;
	f->verdict = key->verdict;
	snprintf(f->site, sizeof(f->site), "%s", key->site);
	snprintf(f->id, sizeof(f->id), "%016" PRIx64, hash);
	g->v[g->n++] = f;
	*out = f;
	return 0;
}

/* Since when it waits; one that does not, or of which that is not known, comes last. */
static int64_t finding_since(const struct task *t)
{
	return t->wait ? t->wait->since_ns : TIME_UNKNOWN;
}

/* Tasks come in ascending order: the first of equally long waits stays the longest. */
static int finding_take(struct gathering *g, struct task *t)
{
	char site[20];
	struct site_key key = { t->verdict, site };
	struct finding *f;
	uint64_t hash;

	findings_site(t, site);
	hash = hash_string(hash_string(HASH_START, site), verdict_name(t->verdict));
	f = hash_set_find(&g->by_site, hash, finding_is, &key);
	if (!f && finding_create(g, &key, hash, &f) < 0)
		return ERR_NOMEM;
	f->count++;
	if (!f->longest || finding_since(t) > finding_since(f->longest))
		f->longest = t;
	t->finding = f;
	return 0;
}

static int findings_gather(struct gathering *g)
{
	struct model *m = g->m;
	size_t i;

	for (i = 0; i < m->task_count; i++) {
		struct task *t = m->tasks[i];

		t->finding = NULL;
		if (t->verdict != VERDICT_NONE && !t->system && finding_take(g, t) < 0)
			return ERR_NOMEM;
	}
	for (i = 0; i < g->n; i++) {
		g->v[i]->tasks = model_alloc(m, g->v[i]->count * sizeof(struct task *));
		if (!g->v[i]->tasks)
			return ERR_NOMEM;
		g->v[i]->count = 0;
	}
	for (i = 0; i < m->task_count; i++) {
		struct finding *f = m->tasks[i]->finding;

		if (f)
			f->tasks[f->count++] = m->tasks[i];
	}
	return 0;
}

static int finding_write_reason(struct model *m, struct finding *f, struct chain_text *text)
{
	size_t i;

	f->group = f->longest->group;
	if (f->verdict == VERDICT_UNJOINED)
		return 0;
	chain_write(m, f->longest, text);
	f->reason_text = model_alloc(m, text->n * sizeof(char *));
	if (!f->reason_text)
		return ERR_NOMEM;
	for (i = 0; i < text->n; i++) {
		size_t bytes = strlen(text->lines[i]) + 1;

		f->reason_text[i] = model_alloc(m, bytes);
		if (!f->reason_text[i])
			return ERR_NOMEM;
		memcpy(f->reason_text[i], text->lines[i], bytes);
		f->reason_lines++;
	}
	return 0;
}

/* Within a verdict cycles come first, then other causes, then what merely follows from them. */
static unsigned finding_rank(const struct finding *f)
{
	if (f->group)
		return 0;
	return f->longest->reason == REASON_OWNER_STUCK ? 2 : 1;
}

static int finding_compare(const void *va, const void *vb)
{
	const struct finding *a = *(struct finding *const *)va, *b = *(struct finding *const *)vb;

	if (a->verdict != b->verdict)
		return a->verdict < b->verdict ? -1 : 1;
	if (finding_rank(a) != finding_rank(b))
		return finding_rank(a) < finding_rank(b) ? -1 : 1;
	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	if (a->tasks[0]->kind != b->tasks[0]->kind)
		return a->tasks[0]->kind < b->tasks[0]->kind ? -1 : 1;
	return a->tasks[0]->number < b->tasks[0]->number ? -1 : 1;
}

int findings_make(struct model *m)
{
	struct gathering g = { .m = m };
	struct chain_text *text = calloc(1, sizeof(*text));
	int err = text ? findings_gather(&g) : ERR_NOMEM;
	size_t i;

	for (i = 0; i < g.n && !err; i++)
		err = finding_write_reason(m, g.v[i], text);
	if (err < 0)
		goto out;
	if (g.n)
		qsort(g.v, g.n, sizeof(*g.v), finding_compare);
	m->findings = model_alloc(m, g.n * sizeof(*g.v));
	if (!m->findings) {
		err = ERR_NOMEM;
		goto out;
	}
	if (g.n)
		memcpy(m->findings, g.v, g.n * sizeof(*g.v));
	m->finding_count = g.n;
out:
	hash_set_clear(&g.by_site);
	free(g.v);
	free(text);
	return err;
}
