/* SPDX-License-Identifier: MIT
 *
 * glibc's malloc from outside, without symbols. Nothing is believed because it is in its place:
 * every record is recognised by how its parts agree, every chunk by its neighbours.
 *
 * What must never happen is that a used block is called free, or a block is cut in two. What
 * cannot be decided is left to be taken whole.
 */
#include "heap/glibc_private.h"

#include <stdlib.h>
#include <string.h>

bool glibc_is_private(const struct mapping *m)
{
	return !m->shared && m->read && m->write && !m->inode &&
	       (!*m->path || !strcmp(m->path, "[heap]") || !strncmp(m->path, "[anon:", 6));
}

/* Parts of a heap may have been protected by whoever had them from malloc. */
uint64_t glibc_private_end(const struct glibc *g, uint64_t address)
{
	const struct mapping *m = maps_find(g->in->maps, address);
	const struct mapping *end = g->in->maps->v + g->in->maps->n;
	uint64_t reached;

	if (!m || !glibc_is_private(m))
		return 0;
	for (reached = m->end, m++; m < end && m->start == reached; m++) {
		if (m->shared || m->inode || (*m->path && m->path[0] != '['))
			break;
		reached = m->end;
	}
	return reached;
}

static int arena_walk(struct glibc *g, const struct arena *a)
{
	if (a->mutex) {
		g->heap->busy = true;
		return heap_add_trouble(g->heap,
					"arena 0x%llx: its lock was held when all was stopped",
					(unsigned long long)a->at);
	}
	return a->main ? glibc_walk_main(g, a) : glibc_walk_heaps(g, a);
}

static int glibc_walk_all(struct glibc *g)
{
	size_t i;
	int rc = glibc_find_arenas(g);

	if (rc || !g->arena_count)
		return rc;
	glibc_find_params(g);
	for (i = 0; !rc && i < g->arena_count; i++)
		rc = arena_walk(g, &g->arenas[i]);
	heap_sort(g->heap);
	for (i = 0; !rc && i < g->arena_count; i++)
		if (!g->arenas[i].mutex)
			rc = glibc_walk_fast(g, &g->arenas[i]);
	if (!rc)
		rc = glibc_walk_caches(g);
	return rc ? rc : glibc_walk_mapped(g);
}

static int glibc_walk(const struct heap_input *in, struct heap *h)
{
	struct glibc g = { .in = in, .heap = h, .layout = glibc_layout_find(in->glibc_minor) };
	int rc;

	if (!g.layout || in->data.start >= in->data.end)
		return 0;
	if (window_init(&g.window, &in->memory, in->pages, in->page_count))
		return ERR_NOMEM;
	rc = glibc_walk_all(&g);
	window_free(&g.window);
	free(g.arenas);
	return rc;
}

const struct heap_allocator heap_glibc = { "glibc", glibc_walk };
