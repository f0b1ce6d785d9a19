/* SPDX-License-Identifier: MIT
 *
 * Real heaps: a child allocates and frees in many patterns and writes down what it has; what is
 * found from outside must be just that: every block from its first byte to one past its last, and
 * nothing that was freed. What cannot be resolved is nowhere, never wrong.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "heap_child.h"
#include "unit.h"

/* Sizes of all kinds, mostly small ones. */
static size_t some_size(unsigned *seed)
{
	unsigned kind = (unsigned)rand_r(seed) % 100;
	unsigned r = (unsigned)rand_r(seed);

	if (kind < 60)
		return r % 200;
	if (kind < 90)
		return r % 5000;
	return r % 100000;
}

static void allocate_and_free(struct notebook *b, unsigned seed, unsigned rounds)
{
	uint32_t *mine = malloc(rounds * sizeof(*mine));
	unsigned i;

	note_add(b, mine);
	for (i = 0; i < rounds; i++) {
		mine[i] = note_add(b, malloc(some_size(&seed)));
		if (rand_r(&seed) % 4 == 0)
			note_free(b, mine[(unsigned)rand_r(&seed) % (i + 1)]);
	}
	for (i = 0; i < rounds; i++)
		if (rand_r(&seed) % 3 == 0)
			note_free(b, mine[i]);
}

/* A freed address may be in use again: drop the older notes. */
static void forget_reused(struct notebook *b)
{
	uint32_t i, j;

	for (i = 0, j = 0; i < b->note_count; i++)
		if (b->notes[i].usable)
			b->notes[j++] = b->notes[i];
	b->note_count = j;
}

/* Of what is in use now every second block is freed for good. */
static void free_half(struct notebook *b)
{
	uint32_t i;

	forget_reused(b);
	for (i = 0; i < b->note_count; i += 2)
		note_free(b, i);
}

static void build_main(struct notebook *b)
{
	allocate_and_free(b, 1, 20000);
	free_half(b);
}

static void check_all(void (*build)(struct notebook *b))
{
	struct heap_child c;

	heap_child_start(&c, build);
	heap_child_walk(&c);
	heap_child_expect_no_trouble(&c);
	assert_int_equal(heap_child_check_notes(&c), heap_child_in_use(&c));
	assert_true(heap_cost(c.heap) < heap_covers(c.heap) * 3 / 100 + 65536);
	heap_child_end(&c);
}

static void test_main_arena(void **state)
{
	(void)state;
	check_all(build_main);
}

/* Without a list of pages all is read: the same is found. */
static void test_pages_not_known(void **state)
{
	struct heap_child c;
	uint64_t covered;

	(void)state;
	heap_child_start(&c, build_main);
	heap_child_walk(&c);
	covered = heap_covers(c.heap);
	c.in.pages = NULL;
	heap_child_walk(&c);
	heap_child_expect_no_trouble(&c);
	assert_true(heap_covers(c.heap) == covered);
	assert_int_equal(heap_child_check_notes(&c), heap_child_in_use(&c));
	heap_child_end(&c);
}

/* A few of each size, so that they stay in the thread's cache, more of some, so that they do not. */
static void build_lists(struct notebook *b)
{
	size_t size;
	uint32_t i;

	for (size = 8; size < 1200; size += 16) {
		for (i = 0; i < 12; i++)
			note_malloc(b, size);
		note_malloc(b, 24);
	}
	for (i = 0; i < b->note_count; i++)
		if (i % 13 != 12 && i % 13 != 5)
			note_free(b, i);
}

static void test_lists_of_free_chunks(void **state)
{
	struct heap_child c;
	struct extent block;
	uint32_t i;

	(void)state;
	heap_child_start(&c, build_lists);
	heap_child_walk(&c);
	heap_child_expect_no_trouble(&c);
	assert_int_equal(heap_child_check_notes(&c), heap_child_in_use(&c));
	for (i = 0; i < c.book->note_count; i++)
		if (!c.book->notes[i].usable)
			assert_int_equal(heap_find(c.heap, c.book->notes[i].address, &block),
					 HEAP_FREE);
	heap_child_end(&c);
}

struct crew {
	struct notebook *b;
	pthread_barrier_t barrier;
	void (*work)(struct notebook *b, unsigned which);
	unsigned next;
};

static void *crew_run(void *arg)
{
	struct crew *crew = arg;

	note_thread(crew->b);
	crew->work(crew->b, __atomic_fetch_add(&crew->next, 1, __ATOMIC_RELAXED));
	pthread_barrier_wait(&crew->barrier);
	pause();
	return NULL;
}

/* Threads that do work() and stay. */
static void run_threads(struct notebook *b, void (*work)(struct notebook *b, unsigned), unsigned n)
{
	struct crew *crew = malloc(sizeof(*crew));
	pthread_t thread;
	unsigned i;

	crew->b = b;
	crew->work = work;
	crew->next = 0;
	pthread_barrier_init(&crew->barrier, NULL, n + 1);
	for (i = 0; i < n; i++)
		pthread_create(&thread, NULL, crew_run, crew);
	pthread_barrier_wait(&crew->barrier);
	usleep(10000);
}

static void work_mixed(struct notebook *b, unsigned which)
{
	allocate_and_free(b, which + 7, 5000);
}

static void build_threads(struct notebook *b)
{
	run_threads(b, work_mixed, 6);
	forget_reused(b);
	free_half(b);
}

static void test_arenas_of_threads(void **state)
{
	(void)state;
	check_all(build_threads);
}

/* More than one heap of an arena takes. */
static void work_much(struct notebook *b, unsigned which)
{
	unsigned i;

	(void)which;
	for (i = 0; i < 2000; i++)
		note_malloc(b, 100000);
	for (i = 0; i < 2000; i++)
		note_malloc(b, 40 + i);
}

static void build_several_heaps(struct notebook *b)
{
	run_threads(b, work_much, 2);
	free_half(b);
}

static void test_several_heaps(void **state)
{
	(void)state;
	check_all(build_several_heaps);
}

/* Everything given back from the last heaps: they shrink, or vanish. */
static void build_shrunk(struct notebook *b)
{
	uint32_t i;

	run_threads(b, work_much, 2);
	for (i = 0; i < b->note_count; i++)
		if (b->notes[i].usable > 90000 && i % 2000 > 100)
			note_free(b, i);
}

static void test_shrunk_heaps(void **state)
{
	(void)state;
	check_all(build_shrunk);
}

static void build_mapped(struct notebook *b)
{
	uint32_t i;
	void *p;

	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	for (i = 0; i < 20; i++)
		note_malloc(b, (200u << 10) + i * 5000);
	for (i = 0; i < 6; i++) {
		p = malloc(300 << 10);
		note_add(b, realloc(p, (i + 1) * (400u << 10)));
	}
	note_malloc(b, 100 << 20);
	for (i = 0; i < 20; i += 3)
		note_free(b, i);
}

static void test_mapped(void **state)
{
	(void)state;
	check_all(build_mapped);
}

/* Between them lies what is not malloc's. */
static void build_mapped_among_others(struct notebook *b)
{
	uint32_t i;
	uint64_t *p;

	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	for (i = 0; i < 12; i++) {
		note_malloc(b, (200u << 10) + i * 5000);
		p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);
		p[0] = (uintptr_t)p;
		p[512] = 77;
	}
}

static void test_mapped_among_others(void **state)
{
	(void)state;
	check_all(build_mapped_among_others);
}

/* Such a block begins somewhere in what was mapped for it; it is found as all of that. */
static void build_mapped_aligned(struct notebook *b)
{
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	note_malloc(b, 200 << 10);
	note_add(b, memalign(64 << 10, 300 << 10));
	note_malloc(b, 200 << 10);
}

static void test_mapped_aligned(void **state)
{
	struct heap_child c;
	struct extent block;
	const struct note *n;

	(void)state;
	heap_child_start(&c, build_mapped_aligned);
	heap_child_walk(&c);
	heap_child_expect_no_trouble(&c);
	n = &c.book->notes[1];
	assert_int_equal(heap_find(c.heap, n->address, &block), HEAP_BLOCK);
	assert_true(block.start <= n->address && block.end >= n->address + n->usable);
	assert_int_equal(heap_find(c.heap, c.book->notes[0].address, &block), HEAP_BLOCK);
	assert_true(block.start == c.book->notes[0].address);
	heap_child_end(&c);
}

/* Blocks that somebody aligned, and protected in part. */
static void build_aligned(struct notebook *b)
{
	uint32_t i;
	void *p;

	for (i = 0; i < 300; i++) {
		p = memalign(16u << i % 9, 100 + i * 10);
		note_add(b, p);
	}
	for (i = 0; i < 10; i++) {
		p = memalign(4096, 4 * 4096);
		note_add(b, p);
		mprotect((char *)p + 4096, 4096, PROT_NONE);
	}
	for (i = 0; i < 300; i += 2)
		note_free(b, i);
}

static void test_aligned(void **state)
{
	(void)state;
	check_all(build_aligned);
}

static void build_trimmed(struct notebook *b)
{
	uint32_t i;

	for (i = 0; i < 3000; i++)
		note_malloc(b, 5000);
	for (i = 100; i < 3000; i++)
		note_free(b, i);
	for (i = 0; i < 100; i += 2)
		note_free(b, i);
	malloc_trim(0);
}

static void test_trimmed(void **state)
{
	(void)state;
	check_all(build_trimmed);
}

/* Somebody else takes memory by sbrk: blocks before it are found, what follows is nowhere. So
 * much that holes left by the parent do not hold it. */
static void build_sbrk(struct notebook *b)
{
	uint32_t i;

	malloc_trim(0);
	for (i = 0; i < 100; i++)
		note_malloc(b, 3000);
	if (sbrk(12288 + 8) == (void *)-1)
		abort();
	for (i = 0; i < 500; i++)
		note_malloc(b, 30000);
	for (i = 0; i < 600; i += 2)
		note_free(b, i);
}

/* The heap cannot grow, so the main arena goes on in mappings. */
static void build_elsewhere(struct notebook *b)
{
	uint32_t i;

	malloc_trim(0);
	for (i = 0; i < 100; i++)
		note_malloc(b, 3000);
	mmap(sbrk(0), 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	for (i = 0; i < 500; i++)
		note_malloc(b, 30000);
	for (i = 0; i < 600; i += 2)
		note_free(b, i);
}

static void check_in_parts(void (*build)(struct notebook *b))
{
	struct heap_child c;
	struct extent block;
	uint32_t found;

	heap_child_start(&c, build);
	heap_child_walk(&c);
	heap_child_expect_trouble(&c, "not in one piece");
	assert_false(heap_is_busy(c.heap));
	found = heap_child_check_notes(&c);
	assert_true(found >= 30 && found <= heap_child_in_use(&c));
	assert_int_equal(heap_find(c.heap, c.book->notes[1].address, &block), HEAP_BLOCK);
	assert_int_equal(heap_find(c.heap, c.book->notes[599].address, &block), HEAP_NOWHERE);
	heap_child_end(&c);
}

static void test_sbrk_by_others(void **state)
{
	(void)state;
	check_in_parts(build_sbrk);
}

static void test_main_arena_elsewhere(void **state)
{
	(void)state;
	check_in_parts(build_elsewhere);
}

/* A note's address is taken away before the block is freed, and comes last. */
static void churn_once(struct note *n, unsigned *seed)
{
	void *p = (void *)(uintptr_t)n->address;
	size_t size = rand_r(seed) % 500 ? some_size(seed) : 150000 + some_size(seed) * 4;

	__atomic_store_n(&n->address, 0, __ATOMIC_SEQ_CST);
	if (p && rand_r(seed) % 3 == 0) {
		p = realloc(p, size + 1);
	} else {
		free(p);
		p = rand_r(seed) % 4 ? malloc(size) : NULL;
	}
	n->usable = malloc_usable_size(p);
	__atomic_store_n(&n->address, (uintptr_t)p, __ATOMIC_SEQ_CST);
}

#define CHURN_NOTES 2000u

static void *churn(void *book)
{
	struct notebook *b = book;
	uint32_t first = __atomic_fetch_add(&b->note_count, CHURN_NOTES, __ATOMIC_SEQ_CST);
	unsigned seed = first + 1;

	note_thread(b);
	for (;;)
		churn_once(&b->notes[first + (unsigned)rand_r(&seed) % CHURN_NOTES], &seed);
	return NULL;
}

static void build_churn(struct notebook *b)
{
	pthread_t thread;
	unsigned i;

	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	for (i = 0; i < 4; i++)
		pthread_create(&thread, NULL, churn, b);
	usleep(100000);
}

/* Stopped anywhere: what is in use is found as such or not at all, whatever was under way. */
static void test_stopped_anywhere(void **state)
{
	struct heap_child c;
	uint64_t all = 0, found = 0;
	int i;

	(void)state;
	heap_child_start(&c, build_churn);
	for (i = 0; i < 60; i++) {
		heap_child_run(&c, 3000 + (unsigned)i * 37);
		heap_child_walk(&c);
		found += heap_child_check_moving(&c);
		all += c.book->note_count / 2;
	}
	assert_true(found > all / 4);
	heap_child_end(&c);
}

/* A stack in a block from malloc is no block of the heap's. */
static void test_taken(void **state)
{
	struct heap_child c;
	struct extent block, taken[2];
	const struct note *n;

	(void)state;
	heap_child_start(&c, build_trimmed);
	n = &c.book->notes[51];
	taken[0] = (struct extent){ n->address + 1000, n->address + 2000 };
	taken[1] = (struct extent){ n->address + 1100, n->address + 1200 };
	c.in.taken = taken;
	c.in.taken_count = 2;
	heap_child_walk(&c);
	assert_int_equal(heap_find(c.heap, n->address, &block), HEAP_BLOCK);
	assert_int_equal(heap_find(c.heap, n->address + 999, &block), HEAP_BLOCK);
	assert_int_equal(heap_find(c.heap, n->address + 1000, &block), HEAP_NOWHERE);
	assert_int_equal(heap_find(c.heap, n->address + 1999, &block), HEAP_NOWHERE);
	assert_int_equal(heap_find(c.heap, n->address + 2000, &block), HEAP_BLOCK);
	heap_child_end(&c);
}

static void test_other_library(void **state)
{
	struct heap_child c;
	size_t n;

	(void)state;
	heap_child_start(&c, build_trimmed);
	c.in.glibc_minor = 0;
	heap_child_walk(&c);
	heap_regions(c.heap, &n);
	assert_int_equal(n, 0);
	c.in.glibc_minor = 99;
	heap_child_walk(&c);
	heap_regions(c.heap, &n);
	assert_int_equal(n, 0);
	heap_child_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_main_arena),
		cmocka_unit_test(test_pages_not_known),
		cmocka_unit_test(test_lists_of_free_chunks),
		cmocka_unit_test(test_arenas_of_threads),
		cmocka_unit_test(test_several_heaps),
		cmocka_unit_test(test_shrunk_heaps),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_mapped_among_others),
		cmocka_unit_test(test_mapped_aligned),
		cmocka_unit_test(test_aligned),
		cmocka_unit_test(test_trimmed),
		cmocka_unit_test(test_sbrk_by_others),
		cmocka_unit_test(test_main_arena_elsewhere),
		cmocka_unit_test(test_stopped_anywhere),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_other_library),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
