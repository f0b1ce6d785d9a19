/* SPDX-License-Identifier: MIT */
/*
 * The store behind a model. Every part is an allocation of its own in one list, so that memory
 * checkers see each part's bounds and model_free() needs no knowledge of the parts. Strings and
 * objects are found again by hash. Only the arrays of pointers (tasks, notes) ever move.
 */
#include "model/model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "model/hash.h"

struct model_part {
	struct model_part *next;
	_Alignas(max_align_t) char bytes[];
};

struct model_store {
	struct model_part *parts;
	struct hash_set strings;
	struct hash_set objects;
	size_t task_capacity;
	size_t note_capacity;
	struct pseudo_task **last_pseudo;
};

int model_create(struct model **out)
{
	struct model *m = calloc(1, sizeof(*m));
	struct model_store *s = calloc(1, sizeof(*s));

	if (!m || !s) {
		free(m);
		free(s);
		return ERR_NOMEM;
	}
	m->store = s;
	m->exit_status = -1;
	s->last_pseudo = &m->pseudo_tasks;
	*out = m;
	return 0;
}

void model_free(struct model *m)
{
	struct model_part *part, *next;

	if (!m)
		return;
	for (part = m->store->parts; part; part = next) {
		next = part->next;
		free(part);
	}
	hash_set_clear(&m->store->strings);
	hash_set_clear(&m->store->objects);
	free(m->store);
	free(m->tasks);
	free(m->notes);
	free(m);
}

void *model_alloc(struct model *m, size_t bytes)
{
	struct model_part *part;

	if (bytes > PTRDIFF_MAX - sizeof(*part))
		return NULL;
	part = calloc(1, sizeof(*part) + bytes);
	if (!part)
		return NULL;
	part->next = m->store->parts;
	m->store->parts = part;
	return part->bytes;
}

static bool model_string_equal(const void *value, const void *key)
{
	return strcmp(value, key) == 0;
}

const char *model_string(struct model *m, const char *s)
{
	struct hash_set *strings = &m->store->strings;
	uint64_t hash;
	size_t bytes;
	char *copy;

	if (!s)
		return NULL;
	hash = hash_string(HASH_START, s);
	copy = hash_set_find(strings, hash, model_string_equal, s);
	if (copy)
		return copy;
	bytes = strlen(s) + 1;
	copy = model_alloc(m, bytes);
	if (!copy)
		return NULL;
	memcpy(copy, s, bytes);
	return hash_set_add(strings, hash, copy) < 0 ? NULL : copy;
}

static const char *model_vformat(struct model *m, const char *fmt, va_list ap)
{
	const char *kept;
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		return NULL;
	kept = model_string(m, s);
	free(s);
	return kept;
}

const char *model_format(struct model *m, const char *fmt, ...)
{
	const char *s;
	va_list ap;

	va_start(ap, fmt);
	s = model_vformat(m, fmt, ap);
	va_end(ap);
	return s;
}

/* The array with room for one more pointer behind its `count`, NULL if out of memory. */
static void *model_grow(void *array, size_t count, size_t *capacity)
{
	size_t wanted = *capacity ? 2 * *capacity : 16;

	if (count < *capacity)
		return array;
	array = reallocarray(array, wanted, sizeof(void *));
	if (array)
		*capacity = wanted;
	return array;
}

struct task *model_add_task(struct model *m, enum task_kind kind)
{
	struct task **tasks = model_grow(m->tasks, m->task_count, &m->store->task_capacity);
	struct task *t;

	if (!tasks)
		return NULL;
	m->tasks = tasks;
	t = model_alloc(m, sizeof(*t));
	if (!t)
		return NULL;
	t->kind = kind;
	t->born_ns = TIME_UNKNOWN;
	m->tasks[m->task_count++] = t;
	return t;
}

static int model_compare_tasks(const void *va, const void *vb)
{
	const struct task *a = *(struct task *const *)va, *b = *(struct task *const *)vb;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

static uint64_t model_highest_number(const struct model *m, enum task_kind kind)
{
	uint64_t highest = kind == TASK_THREAD ? m->last_number : 0;

	for (size_t i = 0; i < m->task_count; i++)
		if (m->tasks[i]->kind == kind && m->tasks[i]->number > highest)
			highest = m->tasks[i]->number;
	return highest;
}

void model_number_tasks(struct model *m)
{
	static const char letters[] = { 'T', 'G', 'C' };
	uint64_t last[] = { [TASK_THREAD] = model_highest_number(m, TASK_THREAD),
			    [TASK_COROUTINE] = model_highest_number(m, TASK_COROUTINE) };
	size_t i;

	for (i = 0; i < m->task_count; i++) {
		struct task *t = m->tasks[i];

		if (t->kind == TASK_GOROUTINE)
			t->number = t->goid;
		else if (!t->number)
			t->number = ++last[t->kind];
		snprintf(t->id, sizeof(t->id), "%c%" PRIu64, letters[t->kind], t->number);
	}
	if (m->task_count)
		qsort(m->tasks, m->task_count, sizeof(*m->tasks), model_compare_tasks);
}

struct task *model_find_thread(const struct model *m, uint64_t number)
{
	size_t low = 0, high = m->task_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct task *t = m->tasks[middle];

		if (t->kind == TASK_THREAD && t->number == number)
			return t;
		if (t->kind == TASK_THREAD && t->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool model_object_equal(const void *value, const void *key)
{
	const struct object *a = value, *b = key;

	return a->kind == b->kind && a->address == b->address;
}

struct object *model_object(struct model *m, enum object_kind kind, uint64_t address)
{
	struct hash_set *objects = &m->store->objects;
	struct object key = { .kind = kind, .address = address };
	uint64_t hash = hash_bytes(HASH_START, &address, sizeof(address)) + kind;
	struct object *o = NULL;

	if (address)
		o = hash_set_find(objects, hash, model_object_equal, &key);
	if (o)
		return o;
	o = model_alloc(m, sizeof(*o));
	if (!o)
		return NULL;
	*o = key;
	if (address && hash_set_add(objects, hash, o) < 0)
		return NULL;
	return o;
}

struct pseudo_task *model_add_pseudo(struct model *m, const char *what)
{
	struct pseudo_task *p = model_alloc(m, sizeof(*p));

	if (!p)
		return NULL;
	p->what = model_string(m, what);
	if (!p->what)
		return NULL;
	*m->store->last_pseudo = p;
	m->store->last_pseudo = &p->next;
	return p;
}

int model_note(struct model *m, const char *fmt, ...)
{
	const char **notes, *note;
	va_list ap;
	size_t i;

	va_start(ap, fmt);
	note = model_vformat(m, fmt, ap);
	va_end(ap);
	if (!note)
		return ERR_NOMEM;
	for (i = 0; i < m->note_count; i++)
		if (m->notes[i] == note)
			return 0;
	notes = model_grow(m->notes, m->note_count, &m->store->note_capacity);
	if (!notes)
		return ERR_NOMEM;
	m->notes = notes;
	m->notes[m->note_count++] = note;
	return 0;
}
