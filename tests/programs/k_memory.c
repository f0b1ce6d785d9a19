/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * lost: cond-wait
 * lost@private_file: said
 * lost@gate_in_page: no
 * lost@gate_in_break: no
 * lost@secret: said
 * load: yes
 * looks: 25
 * looks@read_only: 200
 * looks@twice: 200
 * looks@bump_mapped: 200
 * ends: quit
 * args: read_only | no_access | shared | twice | twice_untouched | private_file | file | large
 * args: bump_mapped | bump_static | bump_break | pool_in_block | gate_in_page | gate_in_break
 * args: arena_of_thread | second_heap | broken_break | huge | much | sparse | secret
 * variants: -O2
 * long: -O0
 *
 * What it is: the only pointer to the gate stands in memory that is mapped in an odd way, or comes
 * from the program's own allocator. What a careless prover gets wrong: it leaves out pages that are
 * not writable, or not accessible at all for the moment, that are not present in the mapping
 * at hand though they are in the file, pages of private file mappings; it believes that all of
 * [heap] is glibc's, or that the main arena is all in [heap]; it looks for words inside blocks that
 * lead to no block's start.
 */
#include "keep.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <stdint.h>

enum { PAGE = 4096, PAGES = 8, WORD = 1234, BUMP_BYTES = 1 << 16, GAP = 40 };

static void **words; /* where the pointer is words[WORD], which is at an odd place below */
static void **again; /* the same file's pages */
static int fd = -1;

static void *map(size_t bytes, int protection, int flags, int file)
{
	void *at = mmap(NULL, bytes, protection, flags, file, 0);

	PROG_CHECK(at != MAP_FAILED);
	return at;
}

static void *map_anonymous(size_t bytes)
{
	return map(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static struct gate *take_word(void)
{
	struct gate *gate = words[WORD];

	words[WORD] = NULL;
	return gate;
}

static void protect(int protection)
{
	PROG_CHECK(mprotect(words, (size_t)PAGES * PAGE, protection) == 0);
}

static void keep_protected(struct gate *gate, int protection)
{
	words = map_anonymous((size_t)PAGES * PAGE);
	words[WORD] = gate;
	protect(protection);
}

static void keep_read_only(struct gate *gate)
{
	keep_protected(gate, PROT_READ);
}

static void keep_no_access(struct gate *gate)
{
	keep_protected(gate, PROT_NONE);
}

static struct gate *give_protected(void)
{
	protect(PROT_READ | PROT_WRITE);
	return take_word();
}

/* Shared memory, and files in memory */

static void keep_shared(struct gate *gate)
{
	words = map((size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	words[WORD] = gate;
}

static void make_file(void)
{
	fd = memfd_create("words", 0);
	PROG_CHECK(fd >= 0 && ftruncate(fd, (off_t)PAGES * PAGE) == 0);
}

static void *map_file(int flags)
{
	return map((size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, flags, fd);
}

/* Written by one mapping, which is gone; the other is not touched until the end. */
static void keep_twice(struct gate *gate)
{
	make_file();
	again = map_file(MAP_SHARED);
	words = map_file(MAP_SHARED);
	again[WORD] = gate;
	PROG_CHECK(munmap(again, (size_t)PAGES * PAGE) == 0);
	close(fd);
}

/* Both are there; the one that the program looks at in the end was never touched. */
static void keep_twice_untouched(struct gate *gate)
{
	make_file();
	again = map_file(MAP_SHARED);
	words = map_file(MAP_SHARED);
	again[WORD] = gate;
	close(fd);
}

/* Written through the file; the private mapping has no page of its own. */
static void keep_private_file(struct gate *gate)
{
	make_file();
	words = map_file(MAP_PRIVATE);
	PROG_CHECK(pwrite(fd, &gate, sizeof(gate), WORD * sizeof(gate)) == sizeof(gate));
	close(fd);
	fd = -1;
}

/* Not mapped at all for the moment. */
static void keep_file(struct gate *gate)
{
	make_file();
	words = map_file(MAP_SHARED);
	words[WORD] = gate;
	PROG_CHECK(munmap(words, (size_t)PAGES * PAGE) == 0);
}

static struct gate *give_file(void)
{
	words = map_file(MAP_SHARED);
	return take_word();
}

/* Memory that nobody else may read. */
static void keep_secret(struct gate *gate)
{
	fd = (int)syscall(SYS_memfd_secret, 0);
	if (fd < 0)
		_exit(77);
	PROG_CHECK(ftruncate(fd, (off_t)PAGES * PAGE) == 0);
	words = map_file(MAP_SHARED);
	words[WORD] = gate;
}

/* glibc's larger and smaller blocks */

static void keep_large(struct gate *gate)
{
	words = malloc(400000);
	PROG_CHECK(words);
	words[WORD] = gate;
}

static void keep_huge(struct gate *gate)
{
	size_t bytes = (size_t)64 << 20;

	words = (void **)((char *)map_anonymous(bytes) + (bytes >> 1));
	(void)madvise((char *)words - (bytes >> 1), bytes, MADV_HUGEPAGE);
	words[WORD] = gate;
}

/* So much that is in use that it is not copied. */
static void keep_much(struct gate *gate)
{
	size_t bytes = (size_t)120 << 20;
	char *block = malloc(bytes);

	PROG_CHECK(block);
	memset(block, 1, bytes);
	words = (void **)(block + bytes / 3 * 2 / 8 * 8);
	words[WORD] = gate;
}

/* So much room that most of it can never have been used. */
static void keep_sparse(struct gate *gate)
{
	size_t bytes = (size_t)64 << 30;
	char *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (room == MAP_FAILED)
		_exit(77);
	words = (void **)(room + bytes / 2);
	words[WORD] = gate;
}

/* A block of an arena whose thread has ended. */
static void *allocate(void *bytes)
{
	void **block = calloc(1, (size_t)bytes);

	PROG_CHECK(block);
	return block;
}

static void keep_arena_of_thread(struct gate *gate)
{
	pthread_t thread = prog_thread(allocate, (void *)(sizeof(*words) * (WORD + 10)));
	void *block;

	PROG_CHECK(pthread_join(thread, &block) == 0);
	words = block;
	words[WORD] = gate;
}

/* More than one heap of an arena can hold: the block is in the second one, or a later one. */
static void *fill_heap(void *arg)
{
	for (int i = 0; i < 1500; i++)
		arg = calloc(1, 60000);
	return arg;
}

static void keep_second_heap(struct gate *gate)
{
	pthread_t thread = prog_thread(fill_heap, NULL);
	void *block;

	PROG_CHECK(pthread_join(thread, &block) == 0 && block);
	words = block;
	words[WORD] = gate;
}

/* What lies behind [heap] keeps it from growing, so the main arena goes on elsewhere. */
static void keep_broken_break(struct gate *gate)
{
	char *end = (char *)(((uintptr_t)sbrk(0) + PAGE - 1) / PAGE * PAGE);

	PROG_CHECK(mmap(end, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
			0) == end);
	for (int i = 0; i < 40; i++)
		words = calloc(WORD + 10, sizeof(*words));
	PROG_CHECK(words);
	words[WORD] = gate;
}

/* Allocators of the program's own: each block begins GAP bytes after the one before */

static char *bump_at;
static char bump_space[BUMP_BYTES];

static void *bump(size_t bytes)
{
	bump_at += bytes + GAP;
	return bump_at - bytes;
}

static void keep_by_bump(char *space, struct gate *gate)
{
	void ***first;

	bump_at = space;
	first = bump(sizeof(*first));
	words = bump(sizeof(*words) * (WORD + 1));
	*first = words;
	words[WORD] = gate;
	words = (void **)first;
}

static struct gate *give_by_bump(void)
{
	words = *(void ***)words;
	return take_word();
}

static void keep_bump_mapped(struct gate *gate)
{
	keep_by_bump(map_anonymous(BUMP_BYTES), gate);
}

static void keep_bump_static(struct gate *gate)
{
	keep_by_bump(bump_space, gate);
}

static void keep_bump_break(struct gate *gate)
{
	char *space = sbrk(BUMP_BYTES);

	PROG_CHECK(space != (char *)-1);
	keep_by_bump(space, gate);
	PROG_CHECK(malloc(70000)); /* glibc goes on behind it */
}

static void keep_pool_in_block(struct gate *gate)
{
	char *space = malloc(BUMP_BYTES);

	PROG_CHECK(space);
	keep_by_bump(space, gate);
}

/* The gate itself lies there, and a global points to it. */
static struct gate *global;

static void keep_global(struct gate *gate)
{
	global = gate;
}

static struct gate *give_global(void)
{
	struct gate *gate = global;

	global = NULL;
	return gate;
}

static struct gate *make_in_page(void)
{
	struct gate *gate = (struct gate *)((char *)map_anonymous(PAGE) + PAGE - sizeof(*gate));

	gate_init(gate);
	return gate;
}

static struct gate *make_in_break(void)
{
	struct gate *gate = sbrk(sizeof(*gate) + GAP);

	PROG_CHECK(gate != (void *)-1);
	gate_init(gate);
	return gate;
}

static const struct place places[] = {
	{ "read_only", keep_read_only, give_protected, NULL },
	{ "no_access", keep_no_access, give_protected, NULL },
	{ "shared", keep_shared, take_word, NULL },
	{ "twice", keep_twice, take_word, NULL },
	{ "twice_untouched", keep_twice_untouched, take_word, NULL },
	{ "private_file", keep_private_file, take_word, NULL },
	{ "file", keep_file, give_file, NULL },
	{ "secret", keep_secret, take_word, NULL },
	{ "large", keep_large, take_word, NULL },
	{ "huge", keep_huge, take_word, NULL },
	{ "much", keep_much, take_word, NULL },
	{ "sparse", keep_sparse, take_word, NULL },
	{ "arena_of_thread", keep_arena_of_thread, take_word, NULL },
	{ "second_heap", keep_second_heap, take_word, NULL },
	{ "broken_break", keep_broken_break, take_word, NULL },
	{ "bump_mapped", keep_bump_mapped, give_by_bump, NULL },
	{ "bump_static", keep_bump_static, give_by_bump, NULL },
	{ "bump_break", keep_bump_break, give_by_bump, NULL },
	{ "pool_in_block", keep_pool_in_block, give_by_bump, NULL },
	{ "gate_in_page", keep_global, give_global, make_in_page },
	{ "gate_in_break", keep_global, give_global, make_in_break },
};

KEEP_MAIN(places)
