/* SPDX-License-Identifier: MIT
 *
 * Arenas, and malloc's parameters. The main arena is found in the C library's data by its 127 bins,
 * each of which either points to itself or to chunks that point back; the last bin is never used, so
 * it points to itself always, which makes the search quick. The others hang on it in a ring.
 */
#include <stdlib.h>
#include <string.h>

#include "heap/glibc_private.h"

/* The C library's data is small, and all of it is read; that of a static program may be large. */
#define SMALL_DATA (UINT64_C(1) << 20)

static uint64_t word_at(const uint8_t *p, size_t offset)
{
	uint64_t v;

	memcpy(&v, p + offset, sizeof(v));
	return v;
}

static uint32_t half_at(const uint8_t *p, size_t offset)
{
	uint32_t v;

	memcpy(&v, p + offset, sizeof(v));
	return v;
}

/* Bin `i` of the arena whose content is `p`: empty, or its first and last chunk point back. */
static bool bin_agrees(struct glibc *g, uint64_t at, const uint8_t *p, unsigned i)
{
	uint64_t bin = ARENA_BIN(at, i);
	uint64_t next = word_at(p, ARENA_BINS + 16 * (i - 1));
	uint64_t prev = word_at(p, ARENA_BINS + 16 * (i - 1) + 8);
	uint64_t back, forth;

	if (next == bin && prev == bin)
		return true;
	if (i == ARENA_BIN_COUNT || next == bin || prev == bin || (next | prev) % 16)
		return false;
	return window_word(&g->window, next + CHUNK_PREV, &back) && back == bin &&
	       window_word(&g->window, prev + CHUNK_NEXT, &forth) && forth == bin;
}

/* While the lock is held a bin may be half changed. */
static bool bins_agree(struct glibc *g, uint64_t at, const uint8_t *p, bool locked)
{
	unsigned wrong = 0;
	unsigned i;

	for (i = ARENA_BIN_COUNT; i >= 1; i--)
		if (!bin_agrees(g, at, p, i) && ++wrong > (locked ? 4 : 0))
			return false;
	return true;
}

/* Is an arena at `at`? Its content is `p`. */
static bool arena_take(struct glibc *g, uint64_t at, const uint8_t *p, struct arena *a)
{
	unsigned i;

	*a = (struct arena){ .at = at,
			     .mutex = half_at(p, ARENA_MUTEX),
			     .top = word_at(p, ARENA_TOP),
			     .next = word_at(p, ARENA_NEXT) };
	for (i = 0; i < ARENA_FAST_COUNT; i++)
		a->fast[i] = word_at(p, ARENA_FAST + 8 * i);
	return a->mutex <= 2 && !(half_at(p, ARENA_FLAGS) & ~ARENA_FLAGS_KNOWN) && a->top &&
	       a->top % 16 == 0 && a->next && a->next % 8 == 0 &&
	       word_at(p, ARENA_SYSTEM_MEM) <= word_at(p, ARENA_MAX_SYSTEM_MEM) &&
	       bins_agree(g, at, p, a->mutex);
}

static bool arena_read(struct glibc *g, uint64_t at, struct arena *a)
{
	uint8_t copy[ARENA_BYTES];
	size_t have;
	const uint8_t *p;

	if (at % 16)
		return false;
	p = window_forward(&g->window, at, sizeof(copy), &have);
	if (!p)
		return false;
	memcpy(copy, p, sizeof(copy));
	return arena_take(g, at, copy, a);
}

/* Call try() with growing addresses of the C library's data until it says true. */
static bool data_search(struct glibc *g, uint64_t step, size_t bytes,
			bool (*try)(struct glibc *g, uint64_t at, const uint8_t *p, void *ctx),
			void *ctx)
{
	const struct extent *data = &g->in->data;
	const struct extent *pages = g->window.pages;
	uint64_t at = (data->start + step - 1) & ~(step - 1);
	bool found = false;

	if (data->end - data->start <= SMALL_DATA)
		g->window.pages = NULL;
	while (!found && at < data->end && data->end - at >= bytes) {
		size_t have;
		const uint8_t *p = window_forward(&g->window, at, bytes, &have);

		if (!p) {
			at = (at | (BLOCKS_PAGE - 1)) + 1;
			continue;
		}
		found = try(g, at, p, ctx);
		at += step;
	}
	g->window.pages = pages;
	return found;
}

static bool try_main_arena(struct glibc *g, uint64_t at, const uint8_t *p, void *ctx)
{
	size_t last = ARENA_BINS + 16 * (ARENA_BIN_COUNT - 1);
	uint64_t bin = ARENA_BIN(at, ARENA_BIN_COUNT);

	if (word_at(p, last) != bin || word_at(p, last + 8) != bin)
		return false;
	return arena_take(g, at, p, ctx);
}

static int by_address(const void *a, const void *b)
{
	const struct arena *x = a;
	const struct arena *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* An arena met twice would be walked twice. */
static bool arenas_differ(struct glibc *g)
{
	size_t i;

	if (g->arena_count > 1)
		qsort(g->arenas + 1, g->arena_count - 1, sizeof(*g->arenas), by_address);
	for (i = 1; i < g->arena_count; i++)
		if (g->arenas[i].at == g->arenas[0].at ||
		    (i > 1 && g->arenas[i].at == g->arenas[i - 1].at))
			return false;
	return true;
}

/* The arenas behind the main one; each has at least one mapping of its own. */
static int arenas_follow(struct glibc *g)
{
	size_t most = g->in->maps->n + 1;
	struct arena *v;
	uint64_t next = g->arenas[0].next;

	v = realloc(g->arenas, most * sizeof(*v));
	if (!v)
		return ERR_NOMEM;
	g->arenas = v;
	for (; next != v[0].at; next = v[g->arena_count++].next)
		if (g->arena_count == most || !arena_read(g, next, &v[g->arena_count]))
			break;
	if (next == v[0].at && arenas_differ(g))
		return 0;
	g->arena_count = 1;
	return heap_add_trouble(g->heap, "the ring of arenas is broken near 0x%llx",
				(unsigned long long)next);
}

int glibc_find_arenas(struct glibc *g)
{
	struct region records = { .kind = REGION_RECORDS };
	struct arena *a = malloc(sizeof(*a));
	int rc;

	g->arenas = a;
	if (!a)
		return ERR_NOMEM;
	if (!data_search(g, 16, ARENA_BYTES, try_main_arena, a))
		return 0;
	a->main = true;
	g->arena_count = 1;
	records.at = (struct extent){ a->at, a->at + ARENA_BYTES };
	rc = heap_add_region(g->heap, &records);
	return rc ? rc : arenas_follow(g);
}

/* What has been tuned differs from the defaults, but rarely all of it. */
static bool params_are_default(const struct glibc_layout *l, const uint8_t *p)
{
	return half_at(p, l->params_mmaps + 4) == PARAMS_MMAPS_MAX_DEFAULT ||
	       (word_at(p, l->params_tcache) == TCACHE_BINS &&
		word_at(p, l->params_tcache + 8) == PARAMS_TCACHE_BYTES_MAX &&
		word_at(p, l->params_tcache + 16) == PARAMS_TCACHE_COUNT);
}

struct params_search {
	struct params found;
	unsigned count;
};

static bool try_params(struct glibc *g, uint64_t at, const uint8_t *p, void *ctx)
{
	const struct glibc_layout *l = g->layout;
	struct params_search *s = ctx;
	int32_t n = (int32_t)half_at(p, l->params_mmaps);
	int32_t most = (int32_t)half_at(p, l->params_mmaps + 8);
	uint64_t mapped = word_at(p, l->params_mapped);
	uint64_t most_mapped = word_at(p, l->params_mapped + 8);
	uint64_t base = word_at(p, l->params_base);

	if (!params_are_default(l, p) || half_at(p, l->params_mmaps + 12) > 1 || n < 0 ||
	    n > most || mapped > most_mapped || (mapped | most_mapped) % BLOCKS_PAGE ||
	    (n == 0) != (mapped == 0) || word_at(p, l->params_tcache) > TCACHE_BINS ||
	    word_at(p, l->params_tcache + 8) > PARAMS_TCACHE_BYTES_MAX ||
	    word_at(p, l->params_tcache + 16) > UINT16_MAX)
		return false;
	if (base && (base < g->in->brk_start || !glibc_private_end(g, base)))
		return false;
	s->found = (struct params){ at, n, mapped, base };
	s->count++;
	return false;
}

void glibc_find_params(struct glibc *g)
{
	struct params_search s = { .count = 0 };

	data_search(g, 8, g->layout->params_bytes, try_params, &s);
	if (s.count == 1)
		g->params = s.found;
}
