/* SPDX-License-Identifier: MIT
 *
 * Children with heaps of their own making, stopped and walked.
 */
#include "heap_child.h"

#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <gnu/libc-version.h>

#include "target/memory.h"
#include "unit.h"

#define PAGE UINT64_C(4096)

/* The sanitizer brings an allocator of its own. */
#ifdef __SANITIZE_ADDRESS__
#define OTHER_MALLOC true
#else
#define OTHER_MALLOC false
#endif

uint32_t note_add(struct notebook *b, void *p)
{
	uint32_t i = __atomic_fetch_add(&b->note_count, 1, __ATOMIC_RELAXED);

	if (!p || i >= NOTES_MOST)
		abort();
	b->notes[i] = (struct note){ (uintptr_t)p, malloc_usable_size(p) };
	return i;
}

void *note_malloc(struct notebook *b, size_t bytes)
{
	void *p = malloc(bytes);

	note_add(b, p);
	return p;
}

void note_free(struct notebook *b, uint32_t i)
{
	if (!b->notes[i].usable)
		return;
	b->notes[i].usable = 0;
	free((void *)(uintptr_t)b->notes[i].address);
}

void note_thread(struct notebook *b)
{
	uint64_t self = pthread_self();
	uint32_t i = __atomic_fetch_add(&b->thread_count, 1, __ATOMIC_RELAXED);
	pthread_attr_t attr;
	void *stack;
	size_t bytes;

	if (i >= THREADS_MOST)
		abort();
	b->tls[i] = (struct extent){ self - PAGE, self };
	if (getpid() == gettid()) {
		i = __atomic_fetch_add(&b->taken_count, 1, __ATOMIC_RELAXED);
		b->taken[i] = (struct extent){ (self - PAGE / 2) & ~(PAGE - 1),
					       (self + PAGE) & ~(PAGE - 1) };
		return;
	}
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &stack, &bytes);
	pthread_attr_destroy(&attr);
	i = __atomic_fetch_add(&b->taken_count, 1, __ATOMIC_RELAXED);
	b->taken[i] = (struct extent){ (uintptr_t)stack, (uintptr_t)stack + bytes };
}

static int find_libc_data(struct dl_phdr_info *info, size_t size, void *ctx)
{
	struct extent *data = ctx;
	int i;

	(void)size;
	if (!strstr(info->dlpi_name, "libc.so.6"))
		return 0;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && p->p_flags & PF_W) {
			data->start = info->dlpi_addr + p->p_vaddr;
			data->end = data->start + p->p_memsz;
		}
	}
	return 1;
}

/* Field 47 of /proc/PID/stat. */
static uint64_t brk_start(pid_t pid)
{
	char path[64], text[2048];
	unsigned long long v = 0;
	char *at;
	int i;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	at = strrchr(text, ')') + 1;
	for (i = 4; i <= 47; i++)
		v = strtoull(at + (i == 4 ? 2 : 0), &at, 10);
	return v;
}

static int by_start(const void *a, const void *b)
{
	const struct extent *x = a;
	const struct extent *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static void read_pages(struct heap_child *c)
{
	char path[64];
	size_t i, capacity = 1 << 16;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)c->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	c->pages = test_malloc(capacity * sizeof(*c->pages));
	for (i = 0; i < c->maps.n; i++) {
		const struct mapping *m = &c->maps.v[i];
		uint64_t at, bits = 0;

		for (at = m->start; m->read && at < m->end && at >> 47 == 0; at += PAGE) {
			struct extent *last = &c->pages[c->page_count - 1];

			assert_int_equal(pread(fd, &bits, 8, (off_t)(at / PAGE * 8)), 8);
			if (!(bits >> 62))
				continue;
			if (c->page_count && last->end == at && at != m->start) {
				last->end += PAGE;
				continue;
			}
			assert_true(c->page_count < capacity);
			c->pages[c->page_count++] = (struct extent){ at, at + PAGE };
		}
	}
	close(fd);
}

static size_t read_patched(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	struct heap_child *c = ctx;
	size_t got = memory_read(c->pid, address, buf, bytes);
	unsigned i;

	for (i = 0; i < c->patch_count; i++) {
		uint64_t offset = c->patches[i].address - address;

		if (c->patches[i].address >= address && got >= 8 && offset <= got - 8)
			memcpy((char *)buf + offset, &c->patches[i].word, 8);
	}
	return got;
}

void heap_child_start(struct heap_child *c, void (*build)(struct notebook *b))
{
	int status;

	if (OTHER_MALLOC)
		skip();
	memset(c, 0, sizeof(*c));
	c->book = mmap(NULL, sizeof(*c->book), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	assert_true(c->book != MAP_FAILED);
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (!c->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(60);
		note_thread(c->book);
		build(c->book);
		c->book->ready = 1;
		raise(SIGSTOP);
		for (;;)
			pause();
	}
	assert_int_equal(waitpid(c->pid, &status, WUNTRACED), c->pid);
	assert_true(WIFSTOPPED(status) && c->book->ready);
	assert_int_equal(maps_read(c->pid, &c->maps, NULL), 0);
	read_pages(c);
	qsort(c->book->taken, c->book->taken_count, sizeof(struct extent), by_start);
	c->in = (struct heap_input){
		.memory = { read_patched, c },
		.maps = &c->maps,
		.pages = c->pages,
		.page_count = c->page_count,
		.glibc_minor = atoi(strchr(gnu_get_libc_version(), '.') + 1),
		.brk_start = brk_start(c->pid),
		.tls = c->book->tls,
		.tls_count = c->book->thread_count,
		.taken = c->book->taken,
		.taken_count = c->book->taken_count,
	};
	dl_iterate_phdr(find_libc_data, &c->in.data);
	assert_true(c->in.data.start && c->in.brk_start);
}

void heap_child_run(struct heap_child *c, unsigned microseconds)
{
	int status;

	assert_int_equal(kill(c->pid, SIGCONT), 0);
	usleep(microseconds);
	assert_int_equal(kill(c->pid, SIGSTOP), 0);
	do {
		assert_int_equal(waitpid(c->pid, &status, WUNTRACED), c->pid);
	} while (!WIFSTOPPED(status));
	maps_free(&c->maps);
	assert_int_equal(maps_read(c->pid, &c->maps, NULL), 0);
	c->in.pages = NULL;
}

void heap_child_end(struct heap_child *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	heap_free(c->heap);
	maps_free(&c->maps);
	test_free(c->pages);
	munmap(c->book, sizeof(*c->book));
}

void heap_child_walk(struct heap_child *c)
{
	heap_free(c->heap);
	c->heap = NULL;
	assert_int_equal(heap_walk(&c->in, &c->heap, NULL), 0);
	heap_child_check_order(c);
}

uint64_t heap_child_word(struct heap_child *c, uint64_t address)
{
	uint64_t word;

	assert_int_equal(read_patched(c, address, &word, 8), 8);
	return word;
}

uint64_t heap_child_patch(struct heap_child *c, uint64_t address, uint64_t word)
{
	uint64_t old = heap_child_word(c, address);

	assert_true(c->patch_count < PATCHES_MOST);
	c->patches[c->patch_count++] = (struct patch){ address, word };
	return old;
}

void heap_child_check_order(struct heap_child *c)
{
	const struct extent *v;
	struct extent block;
	uint64_t covered = 0;
	size_t n, i;

	v = heap_regions(c->heap, &n);
	for (i = 0; i < n; i++) {
		assert_true(v[i].start < v[i].end);
		assert_true(!i || v[i - 1].end <= v[i].start);
		assert_true(heap_find(c->heap, v[i].start, &block) != HEAP_NOWHERE);
		assert_true(heap_find(c->heap, v[i].end - 1, &block) != HEAP_NOWHERE);
		covered += v[i].end - v[i].start;
	}
	assert_true(heap_covers(c->heap) == covered);
}

uint32_t heap_child_in_use(struct heap_child *c)
{
	uint32_t n = 0;
	uint32_t i;

	for (i = 0; i < c->book->note_count; i++)
		n += c->book->notes[i].usable != 0;
	return n;
}

uint32_t heap_child_check_moving(struct heap_child *c)
{
	uint32_t found = 0;
	uint32_t i;

	for (i = 0; i < c->book->note_count; i++) {
		const struct note *note = &c->book->notes[i];
		struct extent block = { 0 };
		enum heap_place place = heap_find(c->heap, note->address, &block);

		if (!note->address || place == HEAP_NOWHERE)
			continue;
		if (place != HEAP_BLOCK || block.start != note->address ||
		    block.end != note->address + note->usable)
			fail_msg("block %#llx+%llu: place %d, %#llx to %#llx",
				 (long long)note->address, (long long)note->usable, (int)place,
				 (long long)block.start, (long long)block.end);
		found++;
	}
	return found;
}

static void check_block(struct heap_child *c, const struct note *note, uint64_t address)
{
	struct extent block;

	if (heap_find(c->heap, address, &block) != HEAP_BLOCK || block.start != note->address ||
	    block.end != note->address + note->usable)
		fail_msg("%#llx of block %#llx+%llu is in %#llx to %#llx", (long long)address,
			 (long long)note->address, (long long)note->usable, (long long)block.start,
			 (long long)block.end);
}

/* Is there a region that goes on behind `address`? */
static bool goes_on(struct heap_child *c, uint64_t address)
{
	struct extent block;

	return heap_find(c->heap, address, &block) != HEAP_NOWHERE;
}

uint32_t heap_child_check_notes(struct heap_child *c)
{
	uint32_t blocks = 0;
	uint32_t i;

	for (i = 0; i < c->book->note_count; i++) {
		const struct note *note = &c->book->notes[i];
		struct extent block = { 0 };
		enum heap_place place = heap_find(c->heap, note->address, &block);

		if (!note->usable) {
			if (place == HEAP_BLOCK)
				fail_msg("%#llx was freed", (long long)note->address);
			continue;
		}
		if (place == HEAP_NOWHERE)
			continue;
		check_block(c, note, note->address);
		check_block(c, note, note->address + note->usable / 2);
		check_block(c, note, note->address + note->usable - 1);
		if (goes_on(c, note->address + note->usable))
			check_block(c, note, note->address + note->usable);
		blocks++;
	}
	return blocks;
}

void heap_child_expect_no_trouble(struct heap_child *c)
{
	size_t n;
	const char *const *v = heap_troubles(c->heap, &n);

	if (n)
		fail_msg("%zu troubles: %s", n, v[0]);
	assert_false(heap_is_busy(c->heap));
}

void heap_child_expect_trouble(struct heap_child *c, const char *part)
{
	size_t n, i;
	const char *const *v = heap_troubles(c->heap, &n);

	for (i = 0; i < n; i++)
		if (strstr(v[i], part))
			return;
	fail_msg("no trouble has '%s'; %zu are there: %s", part, n, n ? v[0] : "");
}
