/* SPDX-License-Identifier: MIT
 *
 * Damaged heaps: words of a real one are read as something else. Whatever is damaged is nowhere
 * then, and said; the rest is found as before; and no damage makes the walk crash or go round.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap/glibc_layout.h"
#include "heap_child.h"
#include "target/memory.h"
#include "unit.h"

#define PER_KIND  64u
#define FAST_SIZE 64u /* of chunks */

#define OF_THREAD 1000u
#define STAYS	  OF_THREAD	     /* the first of PER_KIND notes each */
#define FREED	  (STAYS + PER_KIND) /* 7 in the thread's cache, the rest in a fastbin */
#define LARGE	  (FREED + PER_KIND) /* every second one is free */
#define MAPPED	  (LARGE + PER_KIND)

/* A second arena, of two heaps: notes 0 to OF_THREAD - 1. */
static void *work(void *book)
{
	struct notebook *b = book;
	unsigned i;

	note_thread(b);
	for (i = 0; i < OF_THREAD; i++)
		note_malloc(b, 100000);
	b->ready = 1;
	pause();
	return NULL;
}

static void build(struct notebook *b)
{
	pthread_t thread;
	uint32_t i;

	pthread_create(&thread, NULL, work, b);
	while (!b->ready)
		usleep(1000);
	for (i = 0; i < 2 * PER_KIND; i++)
		note_malloc(b, FAST_SIZE - 16 + 8);
	for (i = 0; i < PER_KIND; i++)
		note_malloc(b, 3000);
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	for (i = 0; i < 4; i++)
		note_malloc(b, 400 << 10);
	for (i = FREED; i < FREED + PER_KIND; i++)
		note_free(b, i);
	for (i = LARGE; i < LARGE + PER_KIND; i += 2)
		note_free(b, i);
}

static void start(struct heap_child *c)
{
	heap_child_start(c, build);
	heap_child_walk(c);
	heap_child_expect_no_trouble(c);
	assert_int_equal(heap_child_check_notes(c), heap_child_in_use(c));
}

static enum heap_place place_of(struct heap_child *c, uint32_t note)
{
	struct extent block;

	return heap_find(c->heap, c->book->notes[note].address, &block);
}

/* The main arena is the one region of its size. */
static uint64_t main_arena(struct heap_child *c)
{
	size_t n, i;
	const struct extent *v = heap_regions(c->heap, &n);

	for (i = 0; i < n; i++)
		if (v[i].end - v[i].start == ARENA_BYTES)
			return v[i].start;
	fail_msg("no main arena");
	return 0;
}

static uint64_t other_arena(struct heap_child *c)
{
	uint64_t at = heap_child_word(c, main_arena(c) + ARENA_NEXT);

	assert_true(at != main_arena(c));
	assert_true(heap_child_word(c, at + ARENA_NEXT) == main_arena(c));
	return at;
}

/* With `word` at `address`: main arena's blocks, those of the thread's. */
static void expect(struct heap_child *c, uint64_t address, uint64_t word, const char *trouble,
		   enum heap_place in_main, enum heap_place in_thread)
{
	heap_child_patch(c, address, word);
	heap_child_walk(c);
	heap_child_expect_trouble(c, trouble);
	assert_int_equal(place_of(c, STAYS + 3), in_main);
	assert_int_equal(place_of(c, 3), in_thread);
	assert_int_equal(place_of(c, OF_THREAD - 1), in_thread);
	c->patch_count = 0;
}

static void test_sizes(void **state)
{
	static const uint64_t flips[] = { 2, 8, 1 << 4, 1 << 20, UINT64_C(1) << 40, UINT64_MAX };
	struct heap_child c;
	uint64_t at, word;
	size_t i;

	(void)state;
	start(&c);
	at = c.book->notes[LARGE + 9].address - 8;
	word = heap_child_word(&c, at);
	for (i = 0; i < sizeof(flips) / sizeof(*flips); i++)
		expect(&c, at, word ^ flips[i], "the heap of arena", HEAP_NOWHERE, HEAP_BLOCK);
	expect(&c, at, 0, "the heap of arena", HEAP_NOWHERE, HEAP_BLOCK);
	expect(&c, at, 1, "no size", HEAP_NOWHERE, HEAP_BLOCK);
	expect(&c, at, 17, "too small", HEAP_NOWHERE, HEAP_BLOCK);
	/* As if the used block before were free. */
	at = c.book->notes[STAYS + 3].address - 8;
	expect(&c, at, heap_child_word(&c, at) & ~CHUNK_PREV_IN_USE, "neighbours", HEAP_NOWHERE,
	       HEAP_BLOCK);
	heap_child_end(&c);
}

static void test_free_chunks(void **state)
{
	struct heap_child c;
	uint64_t at;

	(void)state;
	start(&c);
	/* Behind a free one: its size there, its links. */
	at = c.book->notes[LARGE + 20].address - 16;
	assert_int_equal(place_of(&c, LARGE + 20), HEAP_FREE);
	expect(&c, c.book->notes[LARGE + 21].address - 16, 32, "neighbours", HEAP_NOWHERE,
	       HEAP_BLOCK);
	expect(&c, at + CHUNK_NEXT, 0, "neighbours", HEAP_NOWHERE, HEAP_BLOCK);
	expect(&c, at + CHUNK_PREV, 1, "neighbours", HEAP_NOWHERE, HEAP_BLOCK);
	expect(&c, at + CHUNK_SIZE, heap_child_word(&c, at + CHUNK_SIZE) & ~UINT64_C(1),
	       "neighbours", HEAP_NOWHERE, HEAP_BLOCK);
	heap_child_end(&c);
}

static void test_top(void **state)
{
	struct heap_child c;
	uint64_t top, word;

	(void)state;
	start(&c);
	top = main_arena(&c) + ARENA_TOP;
	word = heap_child_word(&c, top);
	expect(&c, top, 16, "the heap of arena", HEAP_NOWHERE, HEAP_BLOCK);
	expect(&c, top, word + 16, "the heap of", HEAP_NOWHERE, HEAP_BLOCK);
	expect(&c, top, word - 16, "the heap of", HEAP_NOWHERE, HEAP_BLOCK);
	expect(&c, top, main_arena(&c), "the heap of arena", HEAP_NOWHERE, HEAP_BLOCK);
	expect(&c, word + 8, heap_child_word(&c, word + 8) + 4096, "the heap of", HEAP_NOWHERE,
	       HEAP_BLOCK);
	expect(&c, word + 8, heap_child_word(&c, word + 8) & ~UINT64_C(1), "neighbours",
	       HEAP_NOWHERE, HEAP_BLOCK);
	top = other_arena(&c) + ARENA_TOP;
	word = heap_child_word(&c, top);
	expect(&c, top, 16, "chain", HEAP_BLOCK, HEAP_NOWHERE);
	expect(&c, top, UINT64_MAX - 15, "chain", HEAP_BLOCK, HEAP_NOWHERE);
	heap_child_end(&c);
}

static void test_ring_of_arenas(void **state)
{
	struct heap_child c;
	uint64_t other, first;

	(void)state;
	start(&c);
	other = other_arena(&c);
	first = main_arena(&c);
	expect(&c, other + ARENA_NEXT, other, "ring", HEAP_BLOCK, HEAP_NOWHERE);
	expect(&c, other + ARENA_NEXT, 8, "ring", HEAP_BLOCK, HEAP_NOWHERE);
	expect(&c, first + ARENA_NEXT, first + 16, "ring", HEAP_BLOCK, HEAP_NOWHERE);
	expect(&c, other + ARENA_BINS, first, "ring", HEAP_BLOCK, HEAP_NOWHERE);
	heap_child_end(&c);
}

static void test_locked(void **state)
{
	struct heap_child c;
	uint64_t at;

	(void)state;
	start(&c);
	at = main_arena(&c);
	expect(&c, at, heap_child_word(&c, at) | 1, "lock", HEAP_NOWHERE, HEAP_BLOCK);
	assert_true(heap_is_busy(c.heap));
	assert_true(main_arena(&c) == at);
	heap_child_walk(&c);
	assert_false(heap_is_busy(c.heap));
	at = other_arena(&c);
	expect(&c, at, heap_child_word(&c, at) | 2, "lock", HEAP_BLOCK, HEAP_NOWHERE);
	assert_true(heap_is_busy(c.heap));
	heap_child_end(&c);
}

static void test_heaps_of_an_arena(void **state)
{
	struct heap_child c;
	uint64_t last, first;

	(void)state;
	start(&c);
	last = heap_child_word(&c, other_arena(&c) + ARENA_TOP) & ~(HEAP_ALIGNMENT - 1);
	first = heap_child_word(&c, last + HEAP_PREV);
	assert_true(first && first != last);
	expect(&c, last + HEAP_PREV, last, "", HEAP_BLOCK, HEAP_NOWHERE);
	expect(&c, last + HEAP_PREV, 0, "chain", HEAP_BLOCK, HEAP_NOWHERE);
	expect(&c, last + HEAP_ARENA, 0, "chain", HEAP_BLOCK, HEAP_NOWHERE);
	expect(&c, last + HEAP_SIZE, 5, "chain", HEAP_BLOCK, HEAP_NOWHERE);
	expect(&c, first + HEAP_MPROTECT_SIZE, HEAP_ALIGNMENT * 2, "chain", HEAP_BLOCK,
	       HEAP_NOWHERE);
	/* One heap only: the other is found. */
	heap_child_patch(&c, c.book->notes[OF_THREAD - 1].address - 8, 3);
	heap_child_walk(&c);
	heap_child_expect_trouble(&c, "the heap of arena");
	assert_int_equal(place_of(&c, OF_THREAD - 1), HEAP_NOWHERE);
	assert_int_equal(place_of(&c, 3), HEAP_BLOCK);
	heap_child_end(&c);
}

static uint64_t stored(struct heap_child *c, uint64_t at, uint64_t pointer)
{
	return glibc_layout_find(c->in.glibc_minor)->safe_linking ? pointer ^ at >> 12 : pointer;
}

static void test_fastbin(void **state)
{
	struct heap_child c;
	uint64_t fast, first, next;

	(void)state;
	start(&c);
	fast = main_arena(&c) + ARENA_FAST + 8 * (FAST_SIZE - CHUNK_MIN) / 16;
	first = heap_child_word(&c, fast);
	assert_true(first);
	next = first + CHUNK_NEXT;
	expect(&c, next, stored(&c, next, first), "fastbin", HEAP_NOWHERE, HEAP_BLOCK);
	expect(&c, next, 12345, "fastbin", HEAP_NOWHERE, HEAP_BLOCK);
	expect(&c, fast + 8, first, "fastbin", HEAP_NOWHERE, HEAP_BLOCK);
	/* To a block that is in use. */
	expect(&c, fast, c.book->notes[STAYS + 3].address, "fastbin", HEAP_NOWHERE, HEAP_BLOCK);
	heap_child_end(&c);
}

/* The cache of the first thread. */
static uint64_t find_cache(struct heap_child *c)
{
	uint64_t at;

	for (at = c->in.tls[0].start; at < c->in.tls[0].end; at += 8) {
		uint64_t v = heap_child_word(c, at);
		struct extent block;

		if (heap_find(c->heap, v, &block) == HEAP_BLOCK && block.start == v &&
		    block.end - v == TCACHE_CHUNK - 8)
			return v;
	}
	fail_msg("no cache");
	return 0;
}

static void test_cache(void **state)
{
	uint64_t bin = (FAST_SIZE - CHUNK_MIN) / 16;
	struct heap_child c;
	uint64_t cache, head, first, counts, word;
	struct extent block;

	(void)state;
	start(&c);
	cache = find_cache(&c);
	head = cache + TCACHE_ENTRIES + 8 * bin;
	counts = cache + TCACHE_COUNTS + 2 * bin / 8 * 8;
	first = heap_child_word(&c, head);
	word = heap_child_word(&c, counts);
	assert_int_equal(heap_find(c.heap, first, &block), HEAP_FREE);
	/* A list that is wrong is no list; nothing else suffers. */
	heap_child_patch(&c, first, stored(&c, first, first));
	heap_child_walk(&c);
	heap_child_expect_no_trouble(&c);
	assert_int_equal(heap_find(c.heap, first, &block), HEAP_BLOCK);
	assert_int_equal(place_of(&c, STAYS + 3), HEAP_BLOCK);
	c.patch_count = 0;
	heap_child_patch(&c, counts, word + (UINT64_C(1) << 2 * bin % 8 * 8));
	heap_child_walk(&c);
	assert_int_equal(heap_find(c.heap, first, &block), HEAP_BLOCK);
	c.patch_count = 0;
	heap_child_patch(&c, first + TCACHE_KEY, 0);
	heap_child_walk(&c);
	assert_int_equal(heap_find(c.heap, first, &block), HEAP_BLOCK);
	c.patch_count = 0;
	heap_child_patch(&c, head, c.book->notes[STAYS + 3].address);
	heap_child_walk(&c);
	assert_int_equal(place_of(&c, STAYS + 3), HEAP_BLOCK);
	heap_child_end(&c);
}

/* Those that are found are right. */
static void check_mapped(struct heap_child *c)
{
	uint32_t i;

	heap_child_walk(c);
	heap_child_expect_trouble(c, "mappings of their own");
	assert_int_equal(place_of(c, STAYS + 3), HEAP_BLOCK);
	assert_true(place_of(c, MAPPED + 2) != HEAP_BLOCK);
	for (i = MAPPED; i < MAPPED + 4; i++) {
		const struct note *n = &c->book->notes[i];
		struct extent block;

		if (heap_find(c->heap, n->address, &block) != HEAP_BLOCK)
			continue;
		assert_true(block.start == n->address);
		assert_true(block.end == n->address + n->usable);
	}
}

/* What is found does not agree with malloc's own count: those that fill their mapping may be known all
 * the same, but nothing is cut where it should not be. */
static void test_mapped(void **state)
{
	struct heap_child c;
	uint64_t at;

	(void)state;
	start(&c);
	at = c.book->notes[MAPPED + 2].address - 8;
	heap_child_patch(&c, at, heap_child_word(&c, at) + 4096);
	check_mapped(&c);
	c.patch_count = 0;
	heap_child_patch(&c, at, heap_child_word(&c, at) | 1);
	check_mapped(&c);
	heap_child_end(&c);
}

static size_t read_nothing(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	(void)ctx;
	(void)address;
	(void)buf;
	(void)bytes;
	return 0;
}

/* Refuses all but the beginning. */
static size_t read_little(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	struct heap_child *c = ctx;

	if (bytes > 3000)
		bytes = 3000;
	return c->pid ? memory_read(c->pid, address, buf, bytes) : 0;
}

static void test_unreadable(void **state)
{
	struct heap_child c;
	size_t n;

	(void)state;
	start(&c);
	c.in.memory.read = read_nothing;
	heap_child_walk(&c);
	heap_regions(c.heap, &n);
	assert_int_equal(n, 0);
	c.in.memory.read = read_little;
	heap_child_walk(&c);
	heap_child_check_notes(&c);
	heap_child_end(&c);
}

/* Sixteen words of the heap, of arenas and of heads are anything at all. */
static void test_any_damage(void **state)
{
	struct heap_child c;
	uint64_t places[4];
	unsigned seed = 5;
	int round, i;

	(void)state;
	start(&c);
	places[0] = main_arena(&c);
	places[1] = other_arena(&c) & ~(HEAP_ALIGNMENT - 1);
	places[2] = find_cache(&c);
	for (round = 0; round < 150; round++) {
		for (i = 0; i < (int)PATCHES_MOST; i++) {
			uint64_t r = (uint64_t)rand_r(&seed);

			places[3] = c.book->notes[r % c.book->note_count].address - 16;
			heap_child_patch(&c, places[r % 4] + r / 4 % 280 * 8,
					 r % 3 ? r << r % 34 : places[r / 3 % 4] + r % 5 * 16);
		}
		heap_child_walk(&c);
		c.patch_count = 0;
	}
	heap_child_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),	   cmocka_unit_test(test_free_chunks),
		cmocka_unit_test(test_top),	   cmocka_unit_test(test_ring_of_arenas),
		cmocka_unit_test(test_locked),	   cmocka_unit_test(test_heaps_of_an_arena),
		cmocka_unit_test(test_fastbin),	   cmocka_unit_test(test_cache),
		cmocka_unit_test(test_mapped),	   cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_any_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
