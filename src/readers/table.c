/* SPDX-License-Identifier: MIT
 *
 * A copy of a table and what is checked of it. Whatever a copy holds may have been half-written when
 * its process died, or be garbage: offsets and counts are compared with what there is, a record
 * that says of itself that it is not finished is left out, of two with one number the first counts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "readers/table_private.h"

/* All segments of the largest kind are 60 MB. */
#define TABLE_BYTES_MAX (80u << 20)

struct table_copy {
	uint8_t *bytes; /* the whole file */
	size_t size;
	struct wire_table header;
	struct wire_task *tasks; /* ascending by number */
	size_t count;
	const struct wire_task **by_tid, **by_handle; /* all of them, ascending */
};

/* -- taking it -------------------------------------------------------------------------------- */

/* The file as it is now. */
static int table_read_file(int fd, const char *path, struct table_copy *c, struct err *e)
{
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st))
		return err_set_errno(e, errno, "cannot read the table '%.300s'", path);
	if (st.st_size < (off_t)sizeof(c->header) || st.st_size > (off_t)TABLE_BYTES_MAX)
		return err_set(e, ERR_BAD_FORMAT, "the table '%.300s' is %s", path,
			       st.st_size > (off_t)TABLE_BYTES_MAX ? "too large" : "cut short");
	c->bytes = malloc((size_t)st.st_size);
	if (!c->bytes)
		return err_set(e, ERR_NOMEM, "cannot read the table '%.300s'", path);
	while (c->size < (size_t)st.st_size) {
		got = pread(fd, c->bytes + c->size, (size_t)st.st_size - c->size, (off_t)c->size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		c->size += (size_t)got;
	}
	if (c->size < sizeof(c->header))
		return err_set(e, ERR_BAD_FORMAT, "the table '%.300s' is cut short", path);
	memcpy(&c->header, c->bytes, sizeof(c->header));
	return table_check_header(&c->header, path, e);
}

/* The part of segment `i` that is there; its kind, 0 if none is. */
static uint32_t table_copy_segment(const struct table_copy *c, size_t i, uint64_t *begin,
				   uint64_t *end)
{
	const struct wire_segment *s = &c->header.segments[i];

	if (s->offset < sizeof(c->header) || s->offset % 8 || s->offset >= c->size)
		return 0;
	*begin = s->offset;
	*end = s->bytes < c->size - s->offset ? s->offset + s->bytes : c->size;
	return s->kind;
}

static bool table_task_is_usable(const struct wire_task *t)
{
	return (t->state == WIRE_TASK_BORN || t->state == WIRE_TASK_RUNNING ||
		t->state == WIRE_TASK_ENDING) &&
	       t->number && t->number <= TABLE_NUMBER_MAX && t->kind >= WIRE_KIND_THREAD &&
	       t->kind <= WIRE_KIND_COROUTINE && t->tid >= 0;
}

/* Segments of a damaged table may overlap: never more records than the file has room for. */
static void table_collect_tasks(struct table_copy *c, size_t room)
{
	uint64_t at, end;

	for (size_t i = 0; i < c->header.segment_count; i++) {
		if (table_copy_segment(c, i, &at, &end) != WIRE_SEGMENT_TASKS)
			continue;
		for (; end - at >= sizeof(*c->tasks) && c->count < room; at += sizeof(*c->tasks)) {
			memcpy(&c->tasks[c->count], c->bytes + at, sizeof(*c->tasks));
			c->count += table_task_is_usable(&c->tasks[c->count]);
		}
	}
}

static int table_compare_numbers(const void *va, const void *vb)
{
	const struct wire_task *a = va, *b = vb;

	return (a->number > b->number) - (a->number < b->number);
}

static int table_compare_tids(const void *va, const void *vb)
{
	const struct wire_task *a = *(const struct wire_task *const *)va;
	const struct wire_task *b = *(const struct wire_task *const *)vb;

	if (a->tid != b->tid)
		return a->tid < b->tid ? -1 : 1;
	return table_compare_numbers(a, b);
}

static int table_compare_handles(const void *va, const void *vb)
{
	const struct wire_task *a = *(const struct wire_task *const *)va;
	const struct wire_task *b = *(const struct wire_task *const *)vb;

	if (a->handle != b->handle)
		return a->handle < b->handle ? -1 : 1;
	return table_compare_numbers(a, b);
}

static int table_sort_tasks(struct table_copy *c)
{
	size_t room = c->size / sizeof(*c->tasks) + 1, kept = 0;

	c->tasks = malloc((room + 1) * sizeof(*c->tasks));
	if (!c->tasks)
		return ERR_NOMEM;
	table_collect_tasks(c, room);
	if (c->count)
		qsort(c->tasks, c->count, sizeof(*c->tasks), table_compare_numbers);
	for (size_t i = 0; i < c->count; i++)
		if (!kept || c->tasks[kept - 1].number != c->tasks[i].number)
			c->tasks[kept++] = c->tasks[i];
	c->count = kept;
	c->by_tid = calloc(c->count + 1, sizeof(*c->by_tid));
	c->by_handle = calloc(c->count + 1, sizeof(*c->by_handle));
	if (!c->by_tid || !c->by_handle)
		return ERR_NOMEM;
	for (size_t i = 0; i < c->count; i++)
		c->by_tid[i] = c->by_handle[i] = &c->tasks[i];
	if (c->count) {
		qsort(c->by_tid, c->count, sizeof(*c->by_tid), table_compare_tids);
		qsort(c->by_handle, c->count, sizeof(*c->by_handle), table_compare_handles);
	}
	return 0;
}

int table_copy_take(struct table *t, struct table_copy **out, struct err *e)
{
	struct table_copy *c = calloc(1, sizeof(*c));
	int rc = ERR_NOMEM;

	*out = NULL;
	if (c)
		rc = table_read_file(table_fd(t), table_path(t), c, e);
	if (!rc)
		rc = table_sort_tasks(c);
	if (rc == ERR_NOMEM)
		err_set(e, rc, "cannot read the table '%.300s'", table_path(t));
	if (rc) {
		table_copy_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void table_copy_free(struct table_copy *c)
{
	if (!c)
		return;
	free(c->bytes);
	free(c->tasks);
	free(c->by_tid);
	free(c->by_handle);
	free(c);
}

/* -- asking it -------------------------------------------------------------------------------- */

const struct wire_table *table_copy_header(const struct table_copy *c)
{
	return &c->header;
}

size_t table_copy_count(const struct table_copy *c)
{
	return c->count;
}

const struct wire_task *table_copy_task(const struct table_copy *c, size_t i)
{
	return &c->tasks[i];
}

const struct wire_task *table_copy_find_number(const struct table_copy *c, uint64_t number)
{
	struct wire_task key = { .number = number };

	return c->count ? bsearch(&key, c->tasks, c->count, sizeof(key), table_compare_numbers)
			: NULL;
}

/* The first of an ordered list that is not below `key`. */
static size_t table_find_first(const struct wire_task *const *v, size_t n,
			       const struct wire_task *key,
			       int (*compare)(const void *, const void *))
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&v[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* May the record be of the thread? Of those that may, a later one is rather it, and one that has
 * not ended (an id is given again once its thread has). */
static const struct wire_task *table_better(const struct wire_task *best, const struct wire_task *r,
					    pid_t tid_ns, uint64_t handle)
{
	if (r->kind != WIRE_KIND_THREAD || r->flags & WIRE_TASK_JOINED ||
	    (r->tid && tid_ns && r->tid != tid_ns) || (r->handle && handle && r->handle != handle))
		return best;
	if (best && r->state == WIRE_TASK_ENDING && best->state != WIRE_TASK_ENDING)
		return best;
	return r;
}

const struct wire_task *table_copy_find_thread(const struct table_copy *c, pid_t tid_ns,
					       uint64_t handle)
{
	struct wire_task key = { .tid = tid_ns, .handle = handle };
	const struct wire_task *best = NULL;
	size_t i;

	if (tid_ns > 0) {
		i = table_find_first(c->by_tid, c->count, &key, table_compare_tids);
		for (; i < c->count && c->by_tid[i]->tid == tid_ns; i++)
			best = table_better(best, c->by_tid[i], tid_ns, handle);
	}
	if (best || !handle)
		return best;
	i = table_find_first(c->by_handle, c->count, &key, table_compare_handles);
	for (; i < c->count && c->by_handle[i]->handle == handle; i++)
		best = table_better(best, c->by_handle[i], tid_ns, handle);
	return best;
}

const struct wire_task *table_copy_find_unbegun(const struct table_copy *c, uint64_t offset)
{
	uint64_t begin, end;
	struct wire_task r;

	for (size_t i = 0; i < c->header.segment_count; i++) {
		if (table_copy_segment(c, i, &begin, &end) != WIRE_SEGMENT_TASKS ||
		    offset < begin || offset >= end || end - offset < sizeof(r) ||
		    (offset - begin) % sizeof(r))
			continue;
		memcpy(&r, c->bytes + offset, sizeof(r));
		return r.state == WIRE_TASK_BORN ? table_copy_find_number(c, r.number) : NULL;
	}
	return NULL;
}

size_t table_copy_stack(const struct table_copy *c, uint32_t id, const uint64_t **pcs,
			bool *complete)
{
	uint64_t at = (uint64_t)id * 8, begin, end;
	const struct wire_stack *s;

	for (size_t i = 0; id && i < c->header.segment_count; i++) {
		if (table_copy_segment(c, i, &begin, &end) != WIRE_SEGMENT_STACKS || at < begin ||
		    at >= end || end - at < sizeof(*s))
			continue;
		s = (const struct wire_stack *)(const void *)(c->bytes + at);
		if (s->count > WIRE_STACK_FRAMES || s->count > (end - at - sizeof(*s)) / 8)
			continue;
		*pcs = s->pcs;
		*complete = s->flags & WIRE_STACK_COMPLETE;
		return s->count;
	}
	return 0;
}

bool table_copy_module(const struct table_copy *c, size_t *at, uint64_t *bias, const char **path)
{
	uint64_t begin, end, place;

	for (size_t i = 0; i < c->header.segment_count; i++) {
		const struct wire_module *m;

		if (table_copy_segment(c, i, &begin, &end) != WIRE_SEGMENT_MODULES)
			continue;
		place = begin + *at;
		if (place < begin || place >= end || end - place < sizeof(*m))
			return false;
		m = (const struct wire_module *)(const void *)(c->bytes + place);
		if (m->bytes <= sizeof(*m) || m->bytes % 8 || m->bytes > end - place ||
		    !memchr(m->path, '\0', m->bytes - sizeof(*m)))
			return false;
		*at += m->bytes;
		*bias = m->load_bias;
		*path = m->path;
		return true;
	}
	return false;
}
