/* SPDX-License-Identifier: MIT
 *
 * Any memory as that of a process which uses glibc's malloc. The bytes of an input are the memory at
 * a few addresses where heaps may be; a good one to begin with is made here, with two arenas, free
 * chunks in lists and in bins, a thread's cache and chunks with mappings of their own, for each of
 * the layouts. Whatever is read, what is found must hang together.
 */
#include "fuzz.h"

#include <string.h>

#include "heap/glibc_layout.h"
#include "heap/heap.h"

#define PAGE UINT64_C(4096)

/* Where the parts of an input lie. */
enum { DATA, BRK, OTHER, SECOND, MAPPED, TLS, PARTS };

static const struct part {
	uint64_t at;
	size_t bytes;
	const char *path;
} parts[PARTS] = {
	[DATA] = { 0x7f0010000000, PAGE, "/libc.so.6" },
	[BRK] = { 0x555500000000, 4 * PAGE, "[heap]" },
	[OTHER] = { 0x7f0004000000, 2 * PAGE, "" },
	[SECOND] = { 0x7f0008000000, 2 * PAGE, "" },
	[MAPPED] = { 0x7f0011000000, 4 * PAGE, "" },
	[TLS] = { 0x7f0012000000, PAGE, "" },
};

#define HEAD_BYTES 8 /* of an input: the release, and what else varies */
#define ARENA_AT   (parts[DATA].at + 256)
#define PARAMS_AT  (parts[DATA].at + 2816)

struct memory {
	const uint8_t *bytes;
	size_t size;
};

static size_t read_input(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	const struct memory *m = ctx;
	size_t offset = 0;

	for (int i = 0; i < PARTS; offset += parts[i++].bytes) {
		uint64_t within = address - parts[i].at;
		size_t n;

		if (address < parts[i].at || within >= parts[i].bytes)
			continue;
		n = parts[i].bytes - within < bytes ? parts[i].bytes - within : bytes;
		memset(buf, 0, n);
		if (offset + within < m->size)
			memcpy(buf, m->bytes + offset + within,
			       m->size - offset - within < n ? m->size - offset - within : n);
		return n;
	}
	return 0;
}

/* -- a good one -------------------------------------------------------------------------------- */

struct image {
	uint8_t bytes[HEAD_BYTES + (1 + 4 + 2 + 2 + 4 + 1) * PAGE];
	const struct glibc_layout *layout;
};

static void put(struct image *m, uint64_t address, uint64_t word)
{
	size_t offset = HEAD_BYTES;

	for (int i = 0; i < PARTS; offset += parts[i++].bytes)
		if (address >= parts[i].at && address - parts[i].at < parts[i].bytes)
			memcpy(m->bytes + offset + (address - parts[i].at), &word, sizeof(word));
}

static void put_link(struct image *m, uint64_t at, uint64_t pointer)
{
	put(m, at, m->layout->safe_linking ? pointer ^ at >> 12 : pointer);
}

static void put_arena(struct image *m, uint64_t at, uint64_t top, uint64_t next)
{
	put(m, at + ARENA_TOP, top);
	put(m, at + ARENA_NEXT, next);
	put(m, at + ARENA_SYSTEM_MEM, PAGE);
	put(m, at + ARENA_MAX_SYSTEM_MEM, PAGE);
	for (unsigned i = 1; i <= ARENA_BIN_COUNT; i++) {
		put(m, ARENA_BIN(at, i) + CHUNK_NEXT, ARENA_BIN(at, i));
		put(m, ARENA_BIN(at, i) + CHUNK_PREV, ARENA_BIN(at, i));
	}
}

/* Used chunks of `size` from `at` to `end`; returns `end`. */
static uint64_t put_chunks(struct image *m, uint64_t at, uint64_t end, uint64_t size)
{
	for (; at < end; at += size) {
		if (end - at < 2 * size)
			size = end - at;
		put(m, at + CHUNK_SIZE, size | CHUNK_PREV_IN_USE);
	}
	return end;
}

/* The chunk at `at` is free and the only one of its bin. */
static void put_free(struct image *m, uint64_t arena, uint64_t at, uint64_t size)
{
	uint64_t bin = ARENA_BIN(arena, 1);

	put(m, at + CHUNK_NEXT, bin);
	put(m, at + CHUNK_PREV, bin);
	put(m, bin + CHUNK_NEXT, at);
	put(m, bin + CHUNK_PREV, at);
	put(m, at + size + CHUNK_PREV_SIZE, size);
	put(m, at + size + CHUNK_SIZE, size);
}

/* The first chunk is a thread's cache with two entries; one more is in a fastbin, one in a bin. */
static void put_main(struct image *m)
{
	uint64_t at = parts[BRK].at;
	uint64_t cache = at + CHUNK_HEADER;
	uint64_t v = put_chunks(m, at, at + TCACHE_CHUNK, TCACHE_CHUNK);
	uint64_t top = put_chunks(m, v, at + 3 * PAGE, 64);

	put_arena(m, ARENA_AT, top, ARENA_AT);
	put(m, top + CHUNK_SIZE, PAGE | CHUNK_PREV_IN_USE);
	put_free(m, ARENA_AT, v + 64 * 9, 64);
	put(m, ARENA_AT + ARENA_FAST + 16, v + 64 * 4);
	put_link(m, v + 64 * 4 + CHUNK_NEXT, 0);
	put(m, parts[TLS].at + 3000, cache);
	put(m, cache + TCACHE_COUNTS, UINT64_C(2) << 32);
	put(m, cache + TCACHE_ENTRIES + 16, v + 16);
	put_link(m, v + 16, v + 64 * 2 + 16);
	put(m, v + 16 + TCACHE_KEY, cache);
	put_link(m, v + 64 * 2 + 16, 0);
	put(m, v + 64 * 2 + 16 + TCACHE_KEY, cache);
}

/* An arena with two heaps; the first ends with a fence. */
static void put_other(struct image *m)
{
	uint64_t info = m->layout->heap_info_bytes;
	uint64_t first = parts[OTHER].at, second = parts[SECOND].at;
	uint64_t arena = first + info;
	uint64_t at = (arena + ARENA_BYTES + 15) & ~UINT64_C(15);
	uint64_t top = put_chunks(m, second + info, second + info + 512, 128);

	put(m, ARENA_AT + ARENA_NEXT, arena);
	put_arena(m, arena, top, ARENA_AT);
	for (int i = 0; i < 2; i++) {
		put(m, parts[OTHER + i].at + HEAP_ARENA, arena);
		put(m, parts[OTHER + i].at + HEAP_PREV, i ? first : 0);
		put(m, parts[OTHER + i].at + HEAP_SIZE, 2 * PAGE);
		put(m, parts[OTHER + i].at + HEAP_MPROTECT_SIZE, 2 * PAGE);
	}
	at = put_chunks(m, at, first + 2 * PAGE - 32, 80);
	put(m, at + CHUNK_SIZE, CHUNK_FENCE | CHUNK_PREV_IN_USE);
	put(m, at + 16 + CHUNK_SIZE, CHUNK_PREV_IN_USE);
	put(m, top + CHUNK_SIZE, (second + 2 * PAGE - top) | CHUNK_PREV_IN_USE);
}

static void put_params(struct image *m)
{
	const struct glibc_layout *l = m->layout;

	put(m, parts[MAPPED].at + CHUNK_SIZE, PAGE | CHUNK_MAPPED);
	put(m, parts[MAPPED].at + PAGE + CHUNK_SIZE, 3 * PAGE | CHUNK_MAPPED);
	/* The ints begin in the middle of a word where something of 4 bytes is before them. */
	put(m, PARAMS_AT + (l->params_mmaps & ~7u),
	    l->params_mmaps % 8 ? UINT64_C(2) << 32 : 2 | UINT64_C(65536) << 32);
	put(m, PARAMS_AT + (l->params_mmaps & ~7u) + 8,
	    l->params_mmaps % 8 ? 65536 | UINT64_C(2) << 32 : 2);
	put(m, PARAMS_AT + l->params_mapped, 4 * PAGE);
	put(m, PARAMS_AT + l->params_mapped + 8, 4 * PAGE);
	put(m, PARAMS_AT + l->params_base, parts[BRK].at);
	put(m, PARAMS_AT + l->params_tcache, TCACHE_BINS);
	put(m, PARAMS_AT + l->params_tcache + 8, PARAMS_TCACHE_BYTES_MAX);
	put(m, PARAMS_AT + l->params_tcache + 16, PARAMS_TCACHE_COUNT);
}

/* -- what must hold ---------------------------------------------------------------------------- */

static void check_found(const struct heap *h, uint64_t address)
{
	struct extent block = { 0, 0 };
	enum heap_place place = heap_find(h, address, &block);

	if (place != HEAP_BLOCK)
		return;
	FUZZ_CHECK(block.start <= address && address <= block.end && block.start < block.end);
	FUZZ_CHECK(heap_find(h, block.start, &block) == HEAP_BLOCK);
}

static void check_heap(const struct heap *h)
{
	size_t n, troubles;
	const struct extent *v = heap_regions(h, &n);
	struct extent out;

	heap_troubles(h, &troubles);
	FUZZ_CHECK(troubles < 100);
	for (size_t i = 0; i < n; i++) {
		FUZZ_CHECK(v[i].start < v[i].end && (!i || v[i - 1].end <= v[i].start));
		for (uint64_t at = v[i].start; at < v[i].end; at += 13) {
			FUZZ_CHECK(heap_find(h, at, &out) != HEAP_NOWHERE);
			check_found(h, at);
		}
	}
	for (int i = 0; i < PARTS; i++) {
		check_found(h, parts[i].at);
		check_found(h, parts[i].at + parts[i].bytes);
	}
	FUZZ_CHECK(heap_cost(h) < 65536);
}

static size_t list_mappings(struct mapping *v)
{
	static const int ascending[PARTS] = { BRK, OTHER, SECOND, DATA, MAPPED, TLS };

	for (int i = 0; i < PARTS; i++) {
		const struct part *p = &parts[ascending[i]];

		v[i] = (struct mapping){ .start = p->at,
					 .end = p->at + p->bytes,
					 .read = true,
					 .write = true,
					 .inode = p->path[0] == '/',
					 .path = p->path };
	}
	return PARTS;
}

/* Walk what is in the `size` bytes at `data`; returns how much is described. */
static uint64_t walk(const uint8_t *data, size_t size)
{
	struct extent tls = { parts[TLS].at, parts[TLS].at + PAGE };
	struct mapping v[PARTS];
	struct maps maps = { v, list_mappings(v), NULL };
	struct heap_input in = { .maps = &maps, .tls = &tls, .tls_count = 1 };
	uint64_t head = fuzz_take(&data, &size, HEAD_BYTES);
	struct memory memory = { data, size };
	struct extent taken = { parts[BRK].at + (head >> 16) % (8 * PAGE), 0 };
	struct heap *h;
	uint64_t covered;

	in.memory = (struct memory_source){ read_input, &memory };
	in.glibc_minor = (int)(head % 64);
	in.brk_start = head >> 8 & 1 ? 0 : parts[BRK].at;
	in.data = (struct extent){ parts[DATA].at, parts[DATA].at + PAGE };
	taken.end = taken.start + (head >> 32) % PAGE;
	in.taken = &taken;
	in.taken_count = head >> 9 & 1;
	if (heap_walk(&in, &h, NULL))
		return 0;
	check_heap(h);
	covered = heap_covers(h);
	heap_free(h);
	return covered;
}

void fuzz_make_seeds(void)
{
	static const int releases[] = { 31, 32, 34, 36, 41 };

	for (size_t i = 0; i < sizeof(releases) / sizeof(*releases); i++) {
		struct image m = { .layout = glibc_layout_find(releases[i]) };

		m.bytes[0] = (uint8_t)releases[i];
		put_main(&m);
		put_params(&m);
		fuzz_seed(m.bytes, sizeof(m.bytes));
		put_other(&m);
		fuzz_seed(m.bytes, sizeof(m.bytes));
		/* Were it not found, nothing much would be tried. */
		FUZZ_CHECK(walk(m.bytes, sizeof(m.bytes)) == ARENA_BYTES + 12 * PAGE);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	walk(data, size);
	return 0;
}
