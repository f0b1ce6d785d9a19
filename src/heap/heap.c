/* SPDX-License-Identifier: MIT
 *
 * The allocators together: collect the regions that they resolved, see that these do not overlap,
 * cut away what is known to be something else, and find what an address lies in. After the walk
 * nothing changes any more.
 */
#include "heap/heap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/heap_private.h"

static const struct heap_allocator *const allocators[] = { &heap_glibc };

/* Room for one more element; the array doubles at powers of two. */
static void *grown(void *v, size_t n, size_t size)
{
	return n & (n - 1) ? v : realloc(v, (n ? 2 * n : 1) * size);
}

int heap_add_trouble(struct heap *h, const char *fmt, ...)
{
	char **v = grown(h->troubles, h->trouble_count, sizeof(*v));
	va_list ap;
	int n;

	if (!v)
		return ERR_NOMEM;
	h->troubles = v;
	va_start(ap, fmt);
	n = vasprintf(&v[h->trouble_count], fmt, ap);
	va_end(ap);
	if (n < 0)
		return ERR_NOMEM;
	h->trouble_count++;
	return 0;
}

void region_free(struct region *r)
{
	blocks_free(&r->blocks);
	free(r->chunks);
	r->chunks = NULL;
}

int heap_add_region(struct heap *h, struct region *r)
{
	struct region *v = grown(h->regions, h->count, sizeof(*v));

	if (!v) {
		region_free(r);
		return ERR_NOMEM;
	}
	h->regions = v;
	v[h->count++] = *r;
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct region *x = a;
	const struct region *y = b;

	return (x->at.start > y->at.start) - (x->at.start < y->at.start);
}

void heap_sort(struct heap *h)
{
	if (h->count)
		qsort(h->regions, h->count, sizeof(*h->regions), by_address);
}

/* Keep those for which keep() says so. */
static void heap_filter(struct heap *h, bool (*keep)(const struct region *r, uint64_t what),
			uint64_t what)
{
	size_t kept = 0;
	size_t i;

	for (i = 0; i < h->count; i++) {
		if (keep(&h->regions[i], what))
			h->regions[kept++] = h->regions[i];
		else
			region_free(&h->regions[i]);
	}
	h->count = kept;
}

static bool is_of_another(const struct region *r, uint64_t arena)
{
	return r->kind != REGION_CHUNKS || r->arena != arena;
}

void heap_drop(struct heap *h, uint64_t arena)
{
	heap_filter(h, is_of_another, arena);
}

/* The last of n things of `size` bytes, each with its extent first, that begins at or before
 * `address`; n if none does. */
static size_t last_before(const void *v, size_t n, size_t size, uint64_t address)
{
	size_t low = 0;
	size_t high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct extent *at = (const void *)((const char *)v + middle * size);

		if (at->start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? low - 1 : n;
}

struct region *heap_chunks_at(struct heap *h, uint64_t address)
{
	size_t low = 0;
	size_t high = h->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (h->regions[middle].at.end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == h->count || h->regions[low].at.start > address ||
	    h->regions[low].kind != REGION_CHUNKS)
		return NULL;
	return &h->regions[low];
}

static bool is_alone(const struct region *r, uint64_t unused)
{
	(void)unused;
	return r->at.start < r->at.end;
}

/* Two that overlap cannot both be what they seem: neither is kept. */
static int heap_drop_overlaps(struct heap *h)
{
	uint64_t end = 0;
	size_t last = 0;
	size_t i;
	int rc = 0;

	for (i = 0; i < h->count; i++) {
		struct extent at = h->regions[i].at;

		if (at.start < end) {
			h->regions[i].at.end = h->regions[i].at.start;
			h->regions[last].at.end = h->regions[last].at.start;
			rc = heap_add_trouble(h, "0x%llx: two heaps seem to overlap",
					      (unsigned long long)at.start);
			if (rc)
				return rc;
		}
		if (at.end > end) {
			end = at.end;
			last = i;
		}
	}
	heap_filter(h, is_alone, 0);
	return rc;
}

static int heap_add_piece(struct heap *h, uint64_t start, uint64_t end, size_t region)
{
	struct piece *v = grown(h->pieces, h->piece_count, sizeof(*v));

	if (!v)
		return ERR_NOMEM;
	h->pieces = v;
	v[h->piece_count++] = (struct piece){ { start, end }, region };
	return 0;
}

/* The regions without what is taken by others. */
static int heap_cut(struct heap *h, const struct heap_input *in)
{
	size_t t = 0;
	size_t i;
	int rc = 0;

	for (i = 0; i < h->count; i++) {
		struct extent at = h->regions[i].at;

		while (t < in->taken_count && in->taken[t].end <= at.start)
			t++;
		for (; !rc && t < in->taken_count && in->taken[t].start < at.end; t++) {
			if (in->taken[t].start > at.start)
				rc = heap_add_piece(h, at.start, in->taken[t].start, i);
			at.start = in->taken[t].end;
			if (at.start >= at.end)
				break;
		}
		if (!rc && at.start < at.end)
			rc = heap_add_piece(h, at.start, at.end, i);
		if (rc)
			return rc;
	}
	return 0;
}

static int heap_show(struct heap *h)
{
	size_t i;

	h->shown = malloc((h->piece_count + 1) * sizeof(*h->shown));
	if (!h->shown)
		return ERR_NOMEM;
	for (i = 0; i < h->piece_count; i++)
		h->shown[i] = h->pieces[i].at;
	return 0;
}

static int heap_walk_all(struct heap *h, const struct heap_input *in)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < sizeof(allocators) / sizeof(*allocators); i++)
		rc = allocators[i]->walk(in, h);
	if (rc)
		return rc;
	heap_sort(h);
	rc = heap_drop_overlaps(h);
	if (!rc)
		rc = heap_cut(h, in);
	return rc ? rc : heap_show(h);
}

/* What is taken, with what overlaps joined (a descriptor lies in its thread's stack); malloc'd. */
static struct extent *taken_join(const struct heap_input *in, size_t *n)
{
	struct extent *v = malloc((in->taken_count + 1) * sizeof(*v));
	size_t i;

	*n = 0;
	for (i = 0; v && i < in->taken_count; i++) {
		const struct extent *t = &in->taken[i];

		if (*n && t->start <= v[*n - 1].end) {
			if (t->end > v[*n - 1].end)
				v[*n - 1].end = t->end;
		} else if (t->start < t->end) {
			v[(*n)++] = *t;
		}
	}
	return v;
}

int heap_walk(const struct heap_input *in, struct heap **out, struct err *e)
{
	struct heap_input joined = *in;
	struct heap *h = calloc(1, sizeof(*h));
	struct extent *taken = taken_join(in, &joined.taken_count);
	int rc = ERR_NOMEM;

	joined.taken = taken;
	if (h && taken)
		rc = heap_walk_all(h, &joined);
	free(taken);
	if (rc) {
		heap_free(h);
		return err_set(e, rc, "cannot walk the heap");
	}
	*out = h;
	return 0;
}

void heap_free(struct heap *h)
{
	size_t i;

	if (!h)
		return;
	for (i = 0; i < h->count; i++)
		region_free(&h->regions[i]);
	for (i = 0; i < h->trouble_count; i++)
		free(h->troubles[i]);
	free(h->regions);
	free(h->troubles);
	free(h->pieces);
	free(h->shown);
	free(h);
}

bool heap_is_busy(const struct heap *h)
{
	return h->busy;
}

const char *const *heap_troubles(const struct heap *h, size_t *n)
{
	*n = h->trouble_count;
	return (const char *const *)h->troubles;
}

const struct extent *heap_regions(const struct heap *h, size_t *n)
{
	*n = h->piece_count;
	return h->shown;
}

/* A chunk's last word is in front of the next one's size: [chunk, chunk + 8] belongs to the block
 * before it, one past whose end chunk + 8 is. */
static enum heap_place find_in_blocks(const struct blocks *b, uint64_t address, struct extent *out)
{
	struct extent chunk;
	bool idle;

	if (address <= b->first + 8 || !blocks_find(b, address, &chunk, &idle))
		return HEAP_OWN;
	if (address - chunk.start <= 8 && !blocks_find(b, chunk.start - 1, &chunk, &idle))
		return HEAP_OWN;
	*out = (struct extent){ chunk.start + 16, idle ? chunk.end : chunk.end + 8 };
	if (idle)
		return HEAP_FREE;
	return address < chunk.start + 16 ? HEAP_OWN : HEAP_BLOCK;
}

/* Such a chunk ends with its mapping; where one ends and the next one begins, nobody points to
 * the next one's header, but perhaps to the end of the first. */
static enum heap_place find_in_mapped(const struct region *r, uint64_t address, struct extent *out)
{
	size_t i = last_before(r->chunks, r->chunk_count, sizeof(*r->chunks), address);

	if (i == r->chunk_count)
		return HEAP_OWN;
	if (i && address == r->chunks[i].start)
		i--;
	if (address < r->chunks[i].start + 16)
		return HEAP_OWN;
	*out = (struct extent){ r->chunks[i].start + 16, r->chunks[i].end };
	return HEAP_BLOCK;
}

enum heap_place heap_find(const struct heap *h, uint64_t address, struct extent *out)
{
	size_t i = last_before(h->pieces, h->piece_count, sizeof(*h->pieces), address);
	const struct region *r;

	if (i == h->piece_count || address >= h->pieces[i].at.end)
		return HEAP_NOWHERE;
	r = &h->regions[h->pieces[i].region];
	/* A region begins with records: nobody but the allocator points to its first byte, but
	 * perhaps to the end of what lies before it. */
	if (i && address == h->pieces[i].at.start && address == h->pieces[i - 1].at.end &&
	    h->regions[h->pieces[i - 1].region].kind == REGION_MAPPED)
		r = &h->regions[h->pieces[i - 1].region];
	switch (r->kind) {
	case REGION_CHUNKS:
		return find_in_blocks(&r->blocks, address, out);
	case REGION_MAPPED:
		return find_in_mapped(r, address, out);
	case REGION_RECORDS:
		break;
	}
	return HEAP_OWN;
}

size_t heap_cost(const struct heap *h)
{
	size_t bytes = sizeof(*h) + h->piece_count * (sizeof(*h->pieces) + sizeof(*h->shown));
	size_t i;

	for (i = 0; i < h->count; i++)
		bytes += sizeof(struct region) + blocks_cost(&h->regions[i].blocks) +
			 h->regions[i].chunk_count * sizeof(struct extent);
	return bytes;
}

uint64_t heap_covers(const struct heap *h)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < h->piece_count; i++)
		bytes += h->pieces[i].at.end - h->pieces[i].at.start;
	return bytes;
}
