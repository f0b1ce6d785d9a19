/* SPDX-License-Identifier: MIT
 *
 * Heaps, chunk by chunk. A chunk's size leads to the next one, which tells whether this one is
 * free; a free one repeats its size at its end, is linked into a bin, and has no free neighbour. The walk
 * must end exactly at the arena's top, or at the fence posts that malloc puts where it could not
 * go on: any other end, and nothing of it is believed.
 */
#include <string.h>

#include "heap/glibc_private.h"

struct chunk {
	uint64_t at;
	uint64_t prev_size;
	uint64_t head; /* size and flags */
	uint64_t next, prev;
	bool linked; /* next and prev have been read */
};

/* What is walked. */
struct stretch {
	uint64_t first, end;
	uint64_t top; /* 0: it ends with fence posts */
	bool main;
	struct blocks blocks;
	const char *trouble; /* NULL: walked to the end */
	bool fenced;	     /* the end was a fence */
};

static uint64_t chunk_size(const struct chunk *c)
{
	return c->head & ~CHUNK_FLAGS;
}

static bool chunk_read(struct glibc *g, uint64_t at, struct chunk *c)
{
	size_t have;
	const uint8_t *p = window_forward(&g->window, at, CHUNK_HEADER, &have);

	if (!p)
		return false;
	c->at = at;
	memcpy(&c->prev_size, p + CHUNK_PREV_SIZE, 8);
	memcpy(&c->head, p + CHUNK_SIZE, 8);
	c->linked = have >= CHUNK_MIN;
	if (c->linked) {
		memcpy(&c->next, p + CHUNK_NEXT, 8);
		memcpy(&c->prev, p + CHUNK_PREV, 8);
	}
	return true;
}

/* Is `c` what a free chunk before `next` looks like? */
static bool chunk_is_free(struct glibc *g, struct chunk *c, const struct chunk *next)
{
	if (!c->linked && (!window_word(&g->window, c->at + CHUNK_NEXT, &c->next) ||
			   !window_word(&g->window, c->at + CHUNK_PREV, &c->prev)))
		return false;
	return next->prev_size == chunk_size(c) && chunk_size(c) >= CHUNK_MIN &&
	       c->head & CHUNK_PREV_IN_USE && c->next && c->prev && (c->next | c->prev) % 8 == 0;
}

/* Two fence posts side by side: malloc found somebody else's memory behind the main heap. */
static bool fence_of_main(struct glibc *g, struct stretch *s, const struct chunk *c)
{
	struct chunk second;

	if (s->end - c->at < 2 * CHUNK_FENCE || !chunk_read(g, c->at + CHUNK_FENCE, &second) ||
	    second.head != (CHUNK_FENCE | CHUNK_PREV_IN_USE))
		return false;
	blocks_add(&s->blocks, CHUNK_FENCE, true);
	blocks_add(&s->blocks, CHUNK_FENCE, true);
	return s->fenced = true;
}

/* The last 16 bytes of a heap that another one follows: a chunk of no size. */
static bool fence_of_heap(struct stretch *s, const struct chunk *c)
{
	if (s->main || s->top || c->head != CHUNK_PREV_IN_USE || s->end - c->at != CHUNK_FENCE)
		return false;
	blocks_add(&s->blocks, CHUNK_FENCE, true);
	return s->fenced = true;
}

static const char *top_check(struct stretch *s, const struct chunk *c)
{
	if (chunk_size(c) != s->end - c->at || !(c->head & CHUNK_PREV_IN_USE))
		return "a top that does not fit";
	blocks_add(&s->blocks, chunk_size(c), true);
	return NULL;
}

/* `c` follows `last`, which can be added now. Sets *done at the end. */
static const char *chunk_step(struct glibc *g, struct stretch *s, struct chunk *last,
			      struct chunk *c, bool *done)
{
	bool idle = !(c->head & CHUNK_PREV_IN_USE);
	uint64_t size = chunk_size(c);

	if (idle && (!last->head || !chunk_is_free(g, last, c)))
		return "a free chunk that its neighbours do not know";
	if (last->head)
		blocks_add(&s->blocks, chunk_size(last), idle || chunk_size(last) == CHUNK_FENCE);
	if (c->at == s->top) {
		*done = true;
		return top_check(s, c);
	}
	if (!size)
		return (*done = fence_of_heap(s, c)) ? NULL : "a chunk of no size";
	if (c->head & (CHUNK_MAPPED | 8))
		return "a chunk that cannot be here";
	if (size == CHUNK_FENCE && s->main)
		return (*done = fence_of_main(g, s, c)) ? NULL : "a size that is too small";
	if (size == CHUNK_FENCE && s->end - c->at != 2 * CHUNK_FENCE)
		return "a size that is too small";
	if (size > s->end - c->at || s->end - c->at - size < CHUNK_FENCE)
		return "a size that does not fit";
	return NULL;
}

static void stretch_walk(struct glibc *g, struct stretch *s)
{
	struct chunk chunks[2] = { { 0 }, { 0 } };
	uint64_t at = s->first;
	unsigned turn = 0;
	bool done = false;

	while (!done) {
		struct chunk *c = &chunks[turn];

		if (!chunk_read(g, at, c)) {
			s->trouble = "memory that cannot be read";
			return;
		}
		s->trouble = chunk_step(g, s, &chunks[!turn], c, &done);
		if (s->trouble)
			return;
		at += chunk_size(c);
		turn = !turn;
	}
}

/* Walk *s and add it as the region `at` (whose end is that of the blocks if 0). */
static int stretch_add(struct glibc *g, struct stretch *s, const struct arena *a, struct extent at)
{
	struct region r = { .kind = REGION_CHUNKS, .arena = a->at, .at = at };
	int rc = blocks_init(&s->blocks, s->first, at.end ? at.end : s->end);

	if (rc == ERR_NOMEM)
		return rc;
	if (rc)
		s->trouble = "a size that does not fit";
	else
		stretch_walk(g, s);
	if (s->trouble) {
		blocks_free(&s->blocks);
		return heap_add_trouble(g->heap, "the heap of arena 0x%llx at 0x%llx: %s",
					(unsigned long long)a->at, (unsigned long long)s->first,
					s->trouble);
	}
	/* What may be accessed but is not used at present. */
	if (at.end > s->blocks.filled)
		blocks_add(&s->blocks, at.end - s->blocks.filled, true);
	r.at.end = s->blocks.filled;
	r.blocks = s->blocks;
	return heap_add_region(g->heap, &r);
}

/* The main arena's heap: from where sbrk began up to top. If it is not all of one piece, only the
 * first one can be found: where the others begin is nowhere noted. */
int glibc_walk_main(struct glibc *g, const struct arena *a)
{
	uint64_t base = g->params.base ? g->params.base : g->in->brk_start;
	struct stretch s = { .main = true, .first = (base + 15) & ~UINT64_C(15) };
	uint64_t limit = base ? glibc_private_end(g, s.first) : 0;
	uint64_t head;
	int rc;

	if (a->top == ARENA_BIN(a->at, 1))
		return 0;
	if (!limit)
		return heap_add_trouble(g->heap, "the heap of the main arena: not known where");
	s.end = limit;
	if (a->top >= s.first && a->top < limit) {
		if (!window_word(&g->window, a->top + CHUNK_SIZE, &head) ||
		    (head & ~CHUNK_FLAGS) > limit - a->top || (head & 15) >= 8)
			return heap_add_trouble(g->heap,
						"the heap of the main arena: a top that does "
						"not fit");
		s.top = a->top;
		s.end = a->top + (head & ~CHUNK_FLAGS);
	}
	rc = stretch_add(g, &s, a, (struct extent){ s.first, 0 });
	if (!rc && !s.trouble && s.fenced)
		rc = heap_add_trouble(g->heap,
				      "the heap of the main arena: not in one piece, but for "
				      "its first one");
	return rc;
}

struct heap_info {
	uint64_t arena, prev, size, accessible;
};

static bool heap_info_read(struct glibc *g, uint64_t at, struct heap_info *h)
{
	uint64_t limit = glibc_private_end(g, at);

	return limit && window_word(&g->window, at + HEAP_ARENA, &h->arena) &&
	       window_word(&g->window, at + HEAP_PREV, &h->prev) &&
	       window_word(&g->window, at + HEAP_SIZE, &h->size) &&
	       window_word(&g->window, at + HEAP_MPROTECT_SIZE, &h->accessible) &&
	       (h->size | h->accessible) % BLOCKS_PAGE == 0 && h->size <= h->accessible &&
	       h->accessible <= HEAP_ALIGNMENT && h->accessible <= limit - at &&
	       h->size >= BLOCKS_PAGE;
}

static int heap_info_walk(struct glibc *g, const struct arena *a, uint64_t at,
			  const struct heap_info *h)
{
	struct stretch s = { .end = at + h->size };

	if (a->at > at && a->at < s.end)
		s.first = (a->at + ARENA_BYTES + 15) & ~UINT64_C(15);
	else
		s.first = at + g->layout->heap_info_bytes;
	if (a->top >= at && a->top < s.end)
		s.top = a->top;
	return stretch_add(g, &s, a, (struct extent){ at, at + h->accessible });
}

/* From the heap that holds top back to the one that begins with the arena itself. */
int glibc_walk_heaps(struct glibc *g, const struct arena *a)
{
	uint64_t first = a->at - g->layout->heap_info_bytes;
	uint64_t at = a->top & ~(HEAP_ALIGNMENT - 1);
	size_t left = first % HEAP_ALIGNMENT ? 0 : g->in->maps->n;
	struct heap_info h;
	int rc;

	for (; left && heap_info_read(g, at, &h) && h.arena == a->at; at = h.prev, left--) {
		rc = heap_info_walk(g, a, at, &h);
		if (rc || at == first)
			return rc;
	}
	heap_drop(g->heap, a->at);
	return heap_add_trouble(g->heap, "the heaps of arena 0x%llx: a chain that is broken",
				(unsigned long long)a->at);
}
