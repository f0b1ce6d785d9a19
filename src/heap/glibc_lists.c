/* SPDX-License-Identifier: MIT
 *
 * Free chunks that look used: those in an arena's fastbins, and those in the caches of threads. A
 * chunk is taken for free only if it begins where the walk saw one begin, has the very size of its list,
 * and was not free before (so that a list that bites its tail ends).
 *
 * Caches are known by threads alone, so they are looked for in their thread-locals: a pointer
 * to a block of just their size whose 64 lists are as long as it says.
 */
#include <string.h>

#include "heap/glibc_private.h"

/* Long lists that leap about cost a read for each chunk: at most so many, and more for each 16 KiB
 * of heap, or each thread. What remains is taken for used, which costs nothing but precision. */
#define READS_MOST	 4096u
#define READS_PER_THREAD 32u

#define TLS_MOST (UINT64_C(4) << 20) /* of thread-locals more is not searched */

struct cache {
	uint16_t counts[TCACHE_BINS];
	uint64_t entries[TCACHE_BINS];
	uint64_t key; /* of all entries; 0: not known yet */
	size_t reads_most;
};

/* The pointer that is stored at `address`. */
static bool list_follow(struct glibc *g, uint64_t address, uint64_t *out)
{
	uint64_t v;

	if (!window_word(&g->window, address, &v))
		return false;
	*out = g->layout->safe_linking ? v ^ address >> 12 : v;
	return true;
}

/* The region that holds the chunk of `size` bytes at `at` that is not known to be free, or NULL. */
static struct region *used_chunk(struct glibc *g, uint64_t at, uint64_t size)
{
	struct region *r = heap_chunks_at(g->heap, at);
	struct extent chunk;
	bool idle;

	if (!r || !blocks_at(&r->blocks, at, &chunk, &idle) || idle ||
	    chunk.end - chunk.start != size)
		return NULL;
	return r;
}

/* False if the list is not what it should be. */
static bool fast_walk(struct glibc *g, const struct arena *a, uint64_t at, uint64_t size,
		      size_t reads_most)
{
	while (at && g->window.line_reads < reads_most) {
		struct region *r = heap_chunks_at(g->heap, at);

		/* The rest is in a heap that was not resolved. */
		if (!r && glibc_private_end(g, at))
			return true;
		r = used_chunk(g, at, size);
		if (!r || r->arena != a->at)
			return false;
		blocks_set_idle(&r->blocks, at);
		if (!list_follow(g, at + CHUNK_NEXT, &at))
			return false;
	}
	return true;
}

int glibc_walk_fast(struct glibc *g, const struct arena *a)
{
	size_t reads_most = g->window.line_reads + READS_MOST;
	uint64_t i;

	for (i = 0; i < g->heap->count; i++)
		if (g->heap->regions[i].arena == a->at)
			reads_most += g->heap->regions[i].blocks.pages / 4;
	for (i = 0; i < ARENA_FAST_COUNT; i++) {
		if (fast_walk(g, a, a->fast[i], CHUNK_MIN + 16 * i, reads_most))
			continue;
		heap_drop(g->heap, a->at);
		return heap_add_trouble(g->heap, "arena 0x%llx: a fastbin that is broken",
					(unsigned long long)a->at);
	}
	return 0;
}

static bool cache_read(struct glibc *g, uint64_t at, struct cache *c)
{
	uint64_t words[TCACHE_BYTES / 8];
	size_t i;

	for (i = 0; i < TCACHE_BYTES / 8; i++)
		if (!window_word(&g->window, at + 8 * i, &words[i]))
			return false;
	memcpy(c->counts, (uint8_t *)words + TCACHE_COUNTS, sizeof(c->counts));
	memcpy(c->entries, (uint8_t *)words + TCACHE_ENTRIES, sizeof(c->entries));
	c->key = g->layout->key_is_pointer ? at : 0;
	return true;
}

/* Its thread may have been stopped while it changed one list. */
static bool cache_is_plausible(const struct cache *c)
{
	unsigned wrong = 0;
	size_t i;

	for (i = 0; i < TCACHE_BINS; i++) {
		if (c->entries[i] % 16)
			return false;
		wrong += !c->counts[i] != !c->entries[i];
	}
	return wrong <= 1;
}

static bool cache_entry_fits(struct glibc *g, struct cache *c, uint64_t at, uint64_t size)
{
	uint64_t key;

	if (at % 16 || !used_chunk(g, at - CHUNK_HEADER, size) ||
	    !window_word(&g->window, at + TCACHE_KEY, &key))
		return false;
	if (!c->key)
		c->key = key;
	return key && key == c->key;
}

/* Are there exactly as many entries as are counted, all as they should be? */
static bool cache_list_fits(struct glibc *g, struct cache *c, size_t bin)
{
	uint64_t size = CHUNK_MIN + 16 * bin;
	uint64_t at = c->entries[bin];
	unsigned left;

	for (left = c->counts[bin]; left && at; left--)
		if (g->window.line_reads >= c->reads_most || !cache_entry_fits(g, c, at, size) ||
		    !list_follow(g, at, &at))
			return false;
	return !left && !at;
}

static void cache_list_free(struct glibc *g, const struct cache *c, size_t bin)
{
	uint64_t at = c->entries[bin];
	unsigned left;

	for (left = c->counts[bin]; left && at; left--) {
		struct region *r = heap_chunks_at(g->heap, at - CHUNK_HEADER);

		blocks_set_idle(&r->blocks, at - CHUNK_HEADER);
		if (!list_follow(g, at, &at))
			break;
	}
}

static void cache_try(struct glibc *g, uint64_t at, size_t reads_most)
{
	struct cache c = { .reads_most = reads_most };
	size_t i;

	if (at % 16 || !used_chunk(g, at - CHUNK_HEADER, TCACHE_CHUNK) || !cache_read(g, at, &c) ||
	    !cache_is_plausible(&c))
		return;
	for (i = 0; i < TCACHE_BINS; i++)
		if (cache_list_fits(g, &c, i))
			cache_list_free(g, &c, i);
}

static void tls_search(struct glibc *g, const struct extent *tls, size_t reads_most)
{
	uint64_t at = (tls->start + 7) & ~UINT64_C(7);
	uint64_t end = tls->end - at < TLS_MOST ? tls->end : at + TLS_MOST;

	while (at < end && end - at >= 8) {
		size_t have;
		const uint8_t *p = window_forward(&g->window, at, 8, &have);
		uint64_t v;

		if (!p) {
			at = (at | (BLOCKS_PAGE - 1)) + 1;
			continue;
		}
		memcpy(&v, p, sizeof(v));
		if (v)
			cache_try(g, v, reads_most);
		at += 8;
	}
}

int glibc_walk_caches(struct glibc *g)
{
	size_t reads_most = g->window.line_reads + READS_MOST + READS_PER_THREAD * g->in->tls_count;
	size_t i;

	for (i = 0; i < g->in->tls_count; i++)
		if (g->in->tls[i].start < g->in->tls[i].end)
			tls_search(g, &g->in->tls[i], reads_most);
	return 0;
}
