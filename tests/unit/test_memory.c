/* SPDX-License-Identifier: MIT
 *
 * Batched reads of a process's memory (this one's own): whole pieces, pieces that run into
 * unreadable pages at every position of a batch, more pieces than one call takes, refusals.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/memory.h"

#define PAGE 4096u

/* A byte that tells where it stands. */
static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + i / PAGE);
}

static uint8_t *make_pages(size_t n)
{
	uint8_t *v =
		mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	assert_true(v != MAP_FAILED);
	for (i = 0; i < n * PAGE; i++)
		v[i] = byte_at(i);
	return v;
}

static void hide_page(uint8_t *v, size_t page)
{
	assert_int_equal(mprotect(v + page * PAGE, PAGE, PROT_NONE), 0);
}

static void check_bytes(const uint8_t *got, size_t from, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (got[i] != byte_at(from + i))
			fail_msg("byte %zu differs", from + i);
}

static void test_one_piece(void **state)
{
	uint8_t *v = make_pages(4);
	uint8_t buf[3 * PAGE];

	(void)state;
	assert_int_equal(memory_read(getpid(), (uintptr_t)v + 100, buf, sizeof(buf)), sizeof(buf));
	check_bytes(buf, 100, sizeof(buf));
	assert_int_equal(memory_read(getpid(), (uintptr_t)v, buf, 0), 0);
	munmap(v, 4 * PAGE);
}

static void test_short_piece(void **state)
{
	uint8_t *v = make_pages(8);
	uint8_t buf[8 * PAGE];
	size_t hole;

	(void)state;
	for (hole = 7; hole; hole--) {
		hide_page(v, hole);
		assert_int_equal(memory_read(getpid(), (uintptr_t)v + 5, buf, 8 * PAGE - 5),
				 hole * PAGE - 5);
		check_bytes(buf, 5, hole * PAGE - 5);
	}
	munmap(v, 8 * PAGE);
}

/* Longer than one call takes as single pages. */
static void test_long_short_piece(void **state)
{
	size_t pages = 2500;
	uint8_t *v = make_pages(pages);
	uint8_t *buf = malloc(pages * PAGE);

	(void)state;
	hide_page(v, pages - 1);
	assert_int_equal(memory_read(getpid(), (uintptr_t)v, buf, pages * PAGE),
			 (pages - 1) * PAGE);
	check_bytes(buf, 0, (pages - 1) * PAGE);
	munmap(v, pages * PAGE);
	free(buf);
}

static void test_many_pieces_with_holes(void **state)
{
	size_t pages = 5000;
	uint8_t *v = make_pages(pages);
	uint8_t *buf = malloc(pages * PAGE);
	struct memory_piece *p = calloc(pages, sizeof(*p));
	size_t whole = 0;
	unsigned seed = 7;
	int failed;
	size_t i;

	(void)state;
	for (i = 0; i < pages; i++)
		p[i] = (struct memory_piece){ .address = (uintptr_t)v + i * PAGE,
					      .buffer = buf + i * PAGE,
					      .bytes = PAGE,
					      .got = 77 };
	assert_int_equal(memory_read_pieces(getpid(), p, pages, &failed), pages);
	assert_int_equal(failed, 0);
	check_bytes(buf, 0, pages * PAGE);
	memset(buf, 0, pages * PAGE);
	for (i = 0; i < pages; i++) {
		p[i].buffer = rand_r(&seed) % 9 ? buf + i * PAGE : NULL;
		whole += p[i].buffer != NULL;
		if (p[i].buffer)
			continue;
		hide_page(v, i);
		p[i].buffer = buf + i * PAGE;
		p[i].bytes = seed % PAGE; /* 0 too is a number */
		whole += p[i].bytes == 0;
	}
	assert_int_equal(memory_read_pieces(getpid(), p, pages, &failed), whole);
	assert_int_equal(failed, EFAULT);
	for (i = 0; i < pages; i++) {
		assert_true(p[i].got == (p[i].bytes == PAGE ? PAGE : 0));
		check_bytes(p[i].buffer, i * PAGE, p[i].got);
	}
	munmap(v, pages * PAGE);
	free(p);
	free(buf);
}

/* Pieces across several pages: each gives what lies before its hole. */
static void test_pieces_across_holes(void **state)
{
	uint8_t *v = make_pages(12);
	uint8_t buf[12 * PAGE];
	struct memory_piece p[] = {
		{ .address = (uintptr_t)v + PAGE, .buffer = buf, .bytes = 3 * PAGE },
		{ .address = (uintptr_t)v + 4 * PAGE, .buffer = buf + 3 * PAGE, .bytes = 10 },
		{ .address = 0, .buffer = buf, .bytes = 100 },
		{ .address = (uintptr_t)v + 6 * PAGE, .buffer = buf + 4 * PAGE, .bytes = 2 * PAGE },
		{ .address = UINT64_MAX - 10, .buffer = buf, .bytes = 100 },
		{ .address = (uintptr_t)v + 11 * PAGE, .buffer = buf + 6 * PAGE, .bytes = PAGE },
	};
	int failed;

	(void)state;
	hide_page(v, 3);
	hide_page(v, 7);
	assert_int_equal(memory_read_pieces(getpid(), p, 6, &failed), 2);
	assert_int_equal(failed, EFAULT);
	assert_int_equal(p[0].got, 2 * PAGE);
	check_bytes(buf, PAGE, 2 * PAGE);
	assert_int_equal(p[1].got, 10);
	check_bytes(buf + 3 * PAGE, 4 * PAGE, 10);
	assert_int_equal(p[2].got, 0);
	assert_int_equal(p[3].got, PAGE);
	check_bytes(buf + 4 * PAGE, 6 * PAGE, PAGE);
	assert_int_equal(p[4].got, 0);
	assert_int_equal(p[5].got, PAGE);
	check_bytes(buf + 6 * PAGE, 11 * PAGE, PAGE);
	munmap(v, 12 * PAGE);
}

static void test_gone_process(void **state)
{
	uint8_t buf[16];
	struct memory_piece p[2] = {
		{ .address = (uintptr_t)buf, .buffer = buf, .bytes = 8 },
		{ .address = (uintptr_t)buf, .buffer = buf + 8, .bytes = 8 },
	};
	pid_t pid = fork();
	int failed;

	(void)state;
	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(memory_read_pieces(pid, p, 2, &failed), 0);
	assert_int_equal(failed, ESRCH);
	assert_int_equal(p[0].got + p[1].got, 0);
	assert_int_equal(memory_read_pieces(pid, p, 0, &failed), 0);
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_piece),
		cmocka_unit_test(test_short_piece),
		cmocka_unit_test(test_long_short_piece),
		cmocka_unit_test(test_many_pieces_with_holes),
		cmocka_unit_test(test_pieces_across_holes),
		cmocka_unit_test(test_gone_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
