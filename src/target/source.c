/* SPDX-License-Identifier: MIT
 *
 * Memory of a process as it stands still, and a copy of it.
 *
 * Reading goes by process_vm_readv(2); what that refuses because the page has no permission at all is
 * read through /proc/PID/mem, which a tracer may.
 */
#include "target/source.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target/memory.h"

/* What is read between two looks at the clock. */
#define STEP_BYTES ((size_t)4 << 20)

/* -- in place --------------------------------------------------------------------------------- */

void source_place_open(struct source_place *p, pid_t through)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)through);
	p->pid = through;
	p->fd = open(path, O_RDONLY | O_CLOEXEC);
}

void source_place_close(struct source_place *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static size_t source_read_place(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	const struct source_place *p = ctx;
	size_t got = memory_read(p->pid, address, buf, bytes);

	while (got < bytes && p->fd >= 0) {
		ssize_t n = pread(p->fd, (uint8_t *)buf + got, bytes - got, (off_t)(address + got));

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

struct memory_source source_of_place(struct source_place *p)
{
	return (struct memory_source){ source_read_place, p };
}

static size_t source_read_bounded(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	const struct source_bounded *b = ctx;

	return b->expired(b->ctx) ? 0 : b->from.read(b->from.ctx, address, buf, bytes);
}

struct memory_source source_of_bounded(struct source_bounded *b)
{
	return (struct memory_source){ source_read_bounded, b };
}

/* -- a copy ----------------------------------------------------------------------------------- */

struct source_copy {
	uint8_t *data;
	size_t room;
	struct extent *runs; /* ascending */
	size_t *at;	     /* where in `data` each begins */
	size_t n;
};

struct source_copy *source_copy_create(size_t bytes)
{
	struct source_copy *c = calloc(1, sizeof(*c));

	if (!c || !bytes)
		return c;
	c->data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c->data == MAP_FAILED) {
		free(c);
		return NULL;
	}
	c->room = bytes;
	madvise(c->data, bytes, MADV_HUGEPAGE);
	madvise(c->data, bytes, MADV_POPULATE_WRITE); /* may fail: then pages come one by one */
	return c;
}

void source_copy_free(struct source_copy *c)
{
	if (!c)
		return;
	if (c->data)
		munmap(c->data, c->room);
	free(c->runs);
	free(c->at);
	free(c);
}

size_t source_copy_room(const struct source_copy *c)
{
	return c->room;
}

bool source_copy_fill(struct source_copy *c, const struct memory_source *from,
		      const struct extent *runs, size_t n, bool (*expired)(void *ctx), void *ctx)
{
	size_t used = 0;

	c->runs = calloc(n + 1, sizeof(*c->runs));
	c->at = calloc(n + 1, sizeof(*c->at));
	if (!c->runs || !c->at)
		return false;
	for (size_t i = 0; i < n; i++) {
		size_t bytes = (size_t)(runs[i].end - runs[i].start);

		if (bytes > c->room - used)
			return false;
		for (size_t at = 0; at < bytes; at += STEP_BYTES) {
			size_t step = bytes - at < STEP_BYTES ? bytes - at : STEP_BYTES;

			if ((expired && expired(ctx)) ||
			    !source_read(from, runs[i].start + at, c->data + used + at, step))
				return false;
		}
		c->runs[i] = runs[i];
		c->at[i] = used;
		c->n = i + 1;
		used += bytes;
	}
	return true;
}

/* The first run that ends behind `address`. */
static size_t source_copy_find(const struct source_copy *c, uint64_t address)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (c->runs[mid].end <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static size_t source_read_copy(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	const struct source_copy *c = ctx;
	size_t done = 0;

	for (size_t i = source_copy_find(c, address); i < c->n && done < bytes; i++) {
		const struct extent *r = &c->runs[i];
		uint64_t from = address + done;
		size_t take;

		if (r->start > from)
			break;
		take = (size_t)(r->end - from);
		if (take > bytes - done)
			take = bytes - done;
		memcpy((uint8_t *)buf + done, c->data + c->at[i] + (from - r->start), take);
		done += take;
	}
	return done;
}

struct memory_source source_of_copy(struct source_copy *c)
{
	return (struct memory_source){ source_read_copy, c };
}
