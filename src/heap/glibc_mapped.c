/* SPDX-License-Identifier: MIT
 *
 * Chunks with mappings of their own. Nothing lists them, and the kernel joins their mappings with
 * whatever lies beside; but malloc counts them, and their bytes. So they are looked for at page
 * boundaries, and if exactly as many with exactly as many bytes are found, these are they.
 *
 * If not (one hides behind something unknown; one was aligned and then moved; a thread was stopped
 * between mapping and counting), those are believed that tile a mapping to its end, at least two;
 * for a single one nothing would be gained over taking the mapping as a whole.
 */
#include <stdlib.h>

#include "heap/glibc_private.h"

/* Pages that are tried for the beginning of a chunk, behind something that is none: one after
 * the other, and in all. */
#define TRIES_IN_A_ROW 4096u
#define TRIES_MOST     16384u

struct found {
	struct extent at;
	bool tiled; /* one of several that fill their mapping */
};

struct search {
	struct glibc *g;
	struct found *v;
	size_t n;
	uint64_t bytes;
	unsigned tries;
};

/* The next page from `at` on that holds something, `end` if there is none. */
static uint64_t next_present(const struct heap_input *in, uint64_t at, uint64_t end)
{
	size_t low = 0;
	size_t high = in->page_count;

	if (!in->pages)
		return at;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (in->pages[middle].end <= at)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == in->page_count || in->pages[low].start >= end)
		return end;
	return in->pages[low].start > at ? in->pages[low].start : at;
}

/* The end of the chunk at `at`, at most `limit`; 0 if none begins there. One that was aligned leaves its
 * first header behind, with the size of all. */
static uint64_t mapped_end(const struct glibc *g, uint64_t at, uint64_t limit)
{
	uint64_t words[2]; /* CHUNK_PREV_SIZE, CHUNK_SIZE */
	uint64_t size;

	if (next_present(g->in, at, limit) != at ||
	    !source_read(&g->in->memory, at, words, sizeof(words)) || words[0] ||
	    (words[1] & CHUNK_FLAGS) != CHUNK_MAPPED)
		return 0;
	size = words[1] & ~CHUNK_FLAGS;
	return size && size % BLOCKS_PAGE == 0 && size <= limit - at ? at + size : 0;
}

static int search_add(struct search *s, uint64_t start, uint64_t end)
{
	struct found *v = s->v;

	if (!(s->n & (s->n - 1)))
		v = realloc(v, (s->n ? 2 * s->n : 1) * sizeof(*v));
	if (!v)
		return ERR_NOMEM;
	s->v = v;
	v[s->n++] = (struct found){ { start, end }, false };
	s->bytes += end - start;
	return 0;
}

/* What ends last of those of `n` extents that begin at or before `at`; `at` if it is in none. */
static uint64_t extents_skip(const struct extent *v, size_t n, uint64_t at)
{
	size_t low = 0;
	size_t high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (v[middle].start <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low && v[low - 1].end > at ? v[low - 1].end : at;
}

/* Past what is known to be something else: heaps, and what the caller says. */
static uint64_t search_skip(const struct search *s, uint64_t at)
{
	const struct region *r = heap_chunks_at(s->g->heap, at);
	uint64_t past = r ? r->at.end : extents_skip(s->g->in->taken, s->g->in->taken_count, at);

	return past == at ? at : (past + BLOCKS_PAGE - 1) & ~(BLOCKS_PAGE - 1);
}

/* Chunks from `at` to `end` of a mapping whose memory goes on up to `limit`. Returns how far they
 * reach, which may be beyond `end`. With `again` what is unknown is tried page by page. */
static int search_mapping(struct search *s, uint64_t *at, uint64_t end, uint64_t limit, bool again)
{
	size_t before = s->n;
	uint64_t from = *at;
	bool whole = true;
	unsigned tries = 0;
	size_t i;
	int rc = 0;

	while (!rc && *at < end) {
		uint64_t skipped = search_skip(s, *at);
		uint64_t past;

		if (skipped != *at) {
			whole = whole && *at == from;
			*at = skipped;
			continue;
		}
		past = mapped_end(s->g, *at, limit);
		if (past) {
			rc = search_add(s, *at, past);
			*at = past;
			tries = 0;
			continue;
		}
		whole = false;
		if (!again || tries++ >= TRIES_IN_A_ROW || s->tries++ >= TRIES_MOST)
			break;
		*at = next_present(s->g->in, *at + BLOCKS_PAGE, end);
	}
	for (i = before; whole && *at == end && s->n - before > 1 && i < s->n; i++)
		s->v[i].tiled = true;
	return rc;
}

static int search_all(struct search *s, bool again)
{
	const struct maps *maps = s->g->in->maps;
	uint64_t at = 0, limit = 0;
	size_t i;
	int rc = 0;

	s->n = 0;
	s->bytes = 0;
	for (i = 0; !rc && i < maps->n; i++) {
		const struct mapping *m = &maps->v[i];

		if (!glibc_is_private(m))
			continue;
		if (at < m->start)
			at = m->start;
		if (limit < m->end)
			limit = glibc_private_end(s->g, m->start);
		rc = search_mapping(s, &at, m->end, limit, again);
	}
	return rc;
}

static bool search_is_exact(const struct search *s)
{
	return s->n == (size_t)s->g->params.mmaps && s->bytes == s->g->params.mapped;
}

/* Those found from v[0] on that lie side by side and may be believed, as one region. */
static int add_run(struct glibc *g, const struct found *v, size_t n)
{
	struct region r = { .kind = REGION_MAPPED,
			    .at = { v[0].at.start, v[n - 1].at.end },
			    .chunk_count = n };
	size_t i;

	r.chunks = malloc(n * sizeof(*r.chunks));
	if (!r.chunks)
		return ERR_NOMEM;
	for (i = 0; i < n; i++)
		r.chunks[i] = v[i].at;
	return heap_add_region(g->heap, &r);
}

static int search_take(struct search *s, bool exact)
{
	size_t i, n;
	int rc = 0;

	for (i = 0; !rc && i < s->n; i += n) {
		n = 1;
		if (!exact && !s->v[i].tiled)
			continue;
		while (i + n < s->n && s->v[i + n].at.start == s->v[i + n - 1].at.end &&
		       (exact || s->v[i + n].tiled))
			n++;
		rc = add_run(s->g, &s->v[i], n);
	}
	return rc;
}

int glibc_walk_mapped(struct glibc *g)
{
	struct search s = { .g = g };
	int rc;

	if (!g->params.at || !g->params.mmaps)
		return 0;
	rc = search_all(&s, false);
	if (!rc && !search_is_exact(&s))
		rc = search_all(&s, true);
	if (!rc)
		rc = search_take(&s, search_is_exact(&s));
	if (!rc && !search_is_exact(&s))
		rc = heap_add_trouble(g->heap,
				      "chunks with mappings of their own: %zu found of %d; those "
				      "in doubt are taken with their whole mappings",
				      s.n, g->params.mmaps);
	free(s.v);
	return rc;
}
