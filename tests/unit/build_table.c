/* SPDX-License-Identifier: MIT */
/*
 * Tables made by hand: see build_table.h.
 */
#include "build_table.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HALF	    (TABLE_TASKS / 2 * sizeof(struct wire_task))
#define TASKS_AT    8192
#define MORE_AT	    (TASKS_AT + 4096)
#define STACKS_AT   (MORE_AT + 4096)
#define MODULES_AT  (STACKS_AT + 4096)
#define TABLE_BYTES (MODULES_AT + 4096)

_Static_assert(HALF <= 4096, "a segment of tasks fits a page");

static void *check(void *p)
{
	if (!p) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

struct build_table *build_table(void)
{
	struct build_table *b = check(calloc(1, sizeof(*b)));
	struct wire_table *h;

	b->size = TABLE_BYTES;
	b->bytes = check(calloc(1, b->size));
	b->stack_bytes = 8;
	h = build_header(b);
	memcpy(h->magic, WIRE_TABLE_MAGIC, sizeof(h->magic));
	h->version = WIRE_VERSION;
	h->header_bytes = sizeof(*h);
	h->task_bytes = sizeof(struct wire_task);
	h->pid = 4711;
	strcpy(h->exe, "/srv/shop");
	h->segment_count = 4;
	h->segments[0] = (struct wire_segment){ TASKS_AT, HALF, WIRE_SEGMENT_TASKS };
	h->segments[1] = (struct wire_segment){ STACKS_AT, 4096, WIRE_SEGMENT_STACKS };
	h->segments[2] = (struct wire_segment){ MODULES_AT, 4096, WIRE_SEGMENT_MODULES };
	h->segments[3] = (struct wire_segment){ MORE_AT, HALF, WIRE_SEGMENT_TASKS };
	return b;
}

void build_table_free(struct build_table *b)
{
	if (b->path[0])
		unlink(b->path);
	free(b->bytes);
	free(b);
}

struct wire_table *build_header(struct build_table *b)
{
	return (struct wire_table *)(void *)b->bytes;
}

struct wire_task *build_record(struct build_table *b, uint64_t number, pid_t tid, uint64_t parent)
{
	size_t at = b->tasks++;
	struct wire_task *r;

	if (at >= TABLE_TASKS)
		abort();
	r = (struct wire_task *)(void *)(b->bytes + (at < TABLE_TASKS / 2 ? TASKS_AT : MORE_AT));
	r += at % (TABLE_TASKS / 2);
	r->state = WIRE_TASK_RUNNING;
	r->kind = WIRE_KIND_THREAD;
	r->number = number;
	r->parent = parent;
	r->tid = tid;
	if (number > build_header(b)->tasks_born)
		build_header(b)->tasks_born = number;
	return r;
}

void build_record_wait(struct wire_task *r, enum wire_op op, uint64_t object, uint64_t since_ns)
{
	r->wait = (struct wire_wait){
		.sequence = 7, .op = (uint16_t)op, .object = object, .since_ns = since_ns
	};
}

void build_record_ended(struct wire_task *r)
{
	r->state = WIRE_TASK_ENDING;
}

uint32_t build_record_stack(struct build_table *b, const uint64_t *pcs, size_t n)
{
	size_t at = STACKS_AT + b->stack_bytes;
	struct wire_stack *s = (struct wire_stack *)(void *)(b->bytes + at);

	s->count = (uint16_t)n;
	s->flags = WIRE_STACK_COMPLETE;
	memcpy(s->pcs, pcs, n * sizeof(*pcs));
	b->stack_bytes += sizeof(*s) + n * sizeof(*pcs);
	if (b->stack_bytes > 4096)
		abort();
	return (uint32_t)(at / 8);
}

void build_record_module(struct build_table *b, const char *path, uint64_t bias)
{
	struct wire_module *m;

	m = (struct wire_module *)(void *)(b->bytes + MODULES_AT + b->module_bytes);
	m->bytes = (uint32_t)((sizeof(*m) + strlen(path) + 8) & ~(size_t)7);
	m->load_bias = bias;
	strcpy(m->path, path);
	b->module_bytes += m->bytes;
}

void build_table_write(struct build_table *b, size_t size)
{
	int fd;

	if (b->path[0]) {
		fd = open(b->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	} else {
		strcpy(b->path, "/tmp/strand-table-XXXXXX");
		fd = mkostemp(b->path, O_CLOEXEC);
	}
	if (fd < 0 || write(fd, b->bytes, size) != (ssize_t)size || close(fd)) {
		perror(b->path);
		abort();
	}
}

struct table *build_table_open(struct build_table *b)
{
	struct table *t = NULL;
	struct err e = { 0 };

	build_table_write(b, b->size);
	if (table_open(b->path, false, &t, &e)) {
		fprintf(stderr, "%s\n", e.what);
		abort();
	}
	return t;
}

struct table_copy *build_table_copy(struct build_table *b)
{
	struct table *t = build_table_open(b);
	struct table_copy *c = NULL;
	struct err e = { 0 };

	if (table_copy_take(t, &c, &e))
		abort();
	table_close(t);
	return c;
}
