/* SPDX-License-Identifier: MIT
 *
 * Copies of memory by address: overlapping and adjacent wants, unreadable neighbours, several
 * fetches, and random wants against a plain model of what must be there.
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

#include "target/snapshot.h"

#define PAGE  4096u
#define PAGES 64u

static uint8_t *area;

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + i / PAGE);
}

static int setup(void **state)
{
	size_t i;

	area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		return -1;
	for (i = 0; i < PAGES * PAGE; i++)
		area[i] = byte_at(i);
	return snapshot_create(getpid(), (struct snapshot **)state, NULL);
}

static int teardown(void **state)
{
	snapshot_free(*state);
	return munmap(area, PAGES * PAGE);
}

static void want(struct snapshot *s, size_t from, size_t to)
{
	assert_int_equal(snapshot_want(s, (uintptr_t)area + from, to - from), 0);
}

static void fetch(struct snapshot *s)
{
	struct err e = { 0 };

	assert_int_equal(snapshot_fetch(s, &e), 0);
}

static void hide_page(size_t page)
{
	assert_int_equal(mprotect(area + page * PAGE, PAGE, PROT_NONE), 0);
}

/* What is copied from `from` on: it reaches up to `copied_up_to`, with the right bytes. */
static void check(struct snapshot *s, size_t from, size_t to, size_t copied_up_to)
{
	static uint8_t buf[PAGES * PAGE];
	size_t n = snapshot_read(s, (uintptr_t)area + from, buf, to - from);
	size_t i;

	assert_int_equal(n, copied_up_to - from);
	assert_true(snapshot_read_whole(s, (uintptr_t)area + from, buf, n));
	assert_false(snapshot_read_whole(s, (uintptr_t)area + from, buf, n + 1) && n < to - from);
	for (i = 0; i < n; i++)
		if (buf[i] != byte_at(from + i))
			fail_msg("byte %zu differs", from + i);
}

static void test_nothing(void **state)
{
	struct snapshot *s = *state;

	fetch(s);
	check(s, 0, 10, 0);
	want(s, 10, 10);
	fetch(s);
	assert_int_equal(snapshot_bytes(s), 0);
	assert_int_equal(snapshot_unread_pieces(s), 0);
}

static void test_overlaps_are_copied_once(void **state)
{
	struct snapshot *s = *state;

	want(s, 5000, 9000);
	want(s, 100, 200);
	want(s, 8000, 10000);
	want(s, 150, 180);
	want(s, 200, 300);
	want(s, 100, 200);
	check(s, 100, 200, 100);
	fetch(s);
	assert_int_equal(snapshot_bytes(s), 200 + 5000);
	check(s, 100, 400, 300);
	check(s, 5000, 20000, 10000);
	check(s, 99, 120, 99);
	check(s, 300, 320, 300);
	assert_int_equal(snapshot_unread_pieces(s), 0);
}

static void test_several_fetches(void **state)
{
	struct snapshot *s = *state;

	want(s, 1000, 2000);
	want(s, 3000, 4000);
	fetch(s);
	memset(area + 1000, 0, 1000); /* copied already: the old bytes stay */
	want(s, 0, 5000);
	fetch(s);
	assert_int_equal(snapshot_bytes(s), 5000);
	check(s, 0, 6000, 5000);
	want(s, 500, 4500);
	fetch(s);
	assert_int_equal(snapshot_bytes(s), 5000);
	want(s, 5000, 5001);
	fetch(s);
	check(s, 999, 6000, 5001);
}

static void test_unreadable_neighbours(void **state)
{
	struct snapshot *s = *state;

	hide_page(2);
	hide_page(3);
	want(s, 0, 2 * PAGE);
	want(s, 2 * PAGE, 3 * PAGE);
	want(s, 3 * PAGE, 4 * PAGE);
	want(s, 4 * PAGE, 5 * PAGE);
	want(s, PAGE + 7, 6 * PAGE); /* one that begins before the hole and ends behind it */
	want(s, 7 * PAGE, 8 * PAGE);
	fetch(s);
	check(s, 0, 8 * PAGE, 2 * PAGE);
	check(s, 2 * PAGE, 8 * PAGE, 2 * PAGE);
	check(s, 4 * PAGE, 8 * PAGE, 6 * PAGE);
	check(s, 7 * PAGE, 9 * PAGE, 8 * PAGE);
	assert_int_equal(snapshot_unread_pieces(s), 2);
	hide_page(20);
	want(s, 20 * PAGE + 8, 20 * PAGE + 16);
	assert_int_equal(snapshot_want(s, 0, 8), 0);
	assert_int_equal(snapshot_want(s, UINT64_MAX - 4, 8), 0);
	fetch(s);
	assert_int_equal(snapshot_unread_pieces(s), 5);
}

/* Random wants and fetches: every byte wanted from a readable beginning must be there. */
static void test_random_wants(void **state)
{
	static bool hidden[PAGES];
	static bool copied[PAGES * PAGE];
	struct snapshot *s = *state;
	unsigned seed = 3;
	size_t total = 0;
	size_t i;
	int round;

	for (i = 0; i < PAGES; i++)
		if (rand_r(&seed) % 8 == 0) {
			hide_page(i);
			hidden[i] = true;
		}
	for (round = 0; round < 200; round++) {
		int n;

		for (n = rand_r(&seed) % 8; n; n--) {
			size_t from = (size_t)rand_r(&seed) % (PAGES * PAGE);
			size_t bytes = (size_t)rand_r(&seed) % 3000;

			if (bytes > PAGES * PAGE - from)
				bytes = PAGES * PAGE - from;
			want(s, from, from + bytes);
			for (i = from; i < from + bytes && !hidden[i / PAGE]; i++)
				copied[i] = true;
		}
		fetch(s);
	}
	for (i = 0; i < PAGES * PAGE; i++) {
		uint8_t byte;
		bool there = snapshot_read(s, (uintptr_t)area + i, &byte, 1) == 1;

		total += there;
		if (there != copied[i] && (copied[i] || hidden[i / PAGE]))
			fail_msg("byte %zu: copied %d, wanted %d", i, there, copied[i]);
		if (there && byte != byte_at(i))
			fail_msg("byte %zu differs", i);
	}
	assert_int_equal(total, snapshot_bytes(s));
}

static void test_gone_process(void **state)
{
	struct snapshot *s;
	struct err e = { 0 };
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(snapshot_create(pid, &s, &e), 0);
	want(s, 0, 100);
	assert_int_equal(snapshot_fetch(s, &e), ERR_ENDED);
	assert_int_equal(e.code, ERR_ENDED);
	snapshot_free(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing),	    TEST(test_overlaps_are_copied_once),
		TEST(test_several_fetches), TEST(test_unreadable_neighbours),
		TEST(test_random_wants),    TEST(test_gone_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
