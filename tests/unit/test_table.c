/* SPDX-License-Identifier: MIT */
/*
 * Tables as files: what is refused and in which words, what is read of one that is whole, and that
 * no damage makes the reader step outside of it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build_table.h"
#include "unit.h"

static int set_up(void **state)
{
	*state = build_table();
	return 0;
}

static int tear_down(void **state)
{
	build_table_free(*state);
	return 0;
}

static void assert_refused(struct build_table *b, size_t size, const char *words)
{
	struct table *t = (struct table *)b;
	struct err e = { 0 };

	build_table_write(b, size);
	assert_int_equal(table_open(b->path, false, &t, &e), ERR_BAD_FORMAT);
	assert_null(t);
	if (!strstr(e.what, words))
		fail_msg("no \"%s\" in: %s", words, e.what);
}

static void test_what_is_no_table(void **state)
{
	struct build_table *b = *state;
	struct wire_table *h = build_header(b);
	struct err e = { 0 };
	struct table *t;

	assert_refused(b, 0, "is no table");
	assert_refused(b, 100, "is cut short");
	assert_refused(b, sizeof(*h) - 1, "is cut short");
	h->version = 9;
	assert_refused(b, b->size, "is a table of version 9, this strand reads 1");
	h->version = WIRE_VERSION;
	h->task_bytes--;
	assert_refused(b, b->size, "is damaged");
	h->task_bytes++;
	h->segment_count = WIRE_SEGMENTS + 1;
	assert_refused(b, b->size, "is damaged");
	h->segment_count = 4;
	h->magic[0] = 'x';
	assert_refused(b, b->size, "is no table");
	assert_int_equal(table_open("/tmp", false, &t, &e), ERR_BAD_FORMAT);
	assert_int_equal(table_open("/dev/null", false, &t, &e), ERR_BAD_FORMAT);
	assert_int_equal(table_open("/nowhere/x", false, &t, &e), ERR_SYS);
}

/* Somebody's pipe in its place must not hang strand, nor a link lead it astray. */
static void test_pipes_and_links(void **state)
{
	struct build_table *b = *state;
	struct err e = { 0 };
	char path[80];
	struct table *t;

	build_table_write(b, b->size);
	snprintf(path, sizeof(path), "%s.other", b->path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(table_open(path, false, &t, &e), ERR_BAD_FORMAT);
	unlink(path);
	assert_int_equal(symlink(b->path, path), 0);
	assert_int_equal(table_open(path, false, &t, &e), ERR_SYS);
	unlink(path);
}

static void test_the_watcher_writes_through(void **state)
{
	struct build_table *b = *state;
	struct table *writer, *reader = build_table_open(b);
	struct err e = { 0 };

	assert_int_equal(table_open(b->path, true, &writer, &e), 0);
	assert_string_equal(table_path(writer), b->path);
	table_header(writer)->heartbeat = 41;
	table_header(writer)->exit_state = WIRE_EXIT_RELEASED;
	assert_int_equal(table_header(reader)->heartbeat, 41);
	assert_int_equal(table_header(reader)->exit_state, WIRE_EXIT_RELEASED);
	table_close(writer);
	table_close(reader);
}

/* An access to the mapping would be a SIGBUS. */
static void test_a_file_cut_short_while_it_is_open(void **state)
{
	struct build_table *b = *state;
	struct table *writer, *reader = build_table_open(b);
	struct table_copy *c;
	struct err e = { 0 };

	assert_int_equal(table_open(b->path, true, &writer, &e), 0);
	assert_int_equal(truncate(b->path, 100), 0);
	assert_int_equal(table_header(writer)->pid, 4711);
	table_header(writer)->heartbeat = 1;
	assert_int_equal(table_header(reader)->pid, 4711);
	assert_int_equal(table_copy_take(writer, &c, &e), ERR_BAD_FORMAT);
	assert_null(c);
	table_close(writer);
	table_close(reader);
}

static void test_records(void **state)
{
	struct build_table *b = *state;
	struct table_copy *c;

	for (uint64_t i = 0; i < 20; i++)
		build_record(b, 20 - i, (pid_t)(1000 + i), 1);
	build_record(b, 21, 2000, 1)->state = WIRE_TASK_CLAIMED;
	build_record(b, 22, 2001, 1)->state = WIRE_TASK_FREE;
	build_record(b, 23, 2002, 1)->state = 77;
	build_record(b, 24, 2003, 1)->kind = 9;
	build_record(b, 7, 2004, 1);
	build_record(b, 0, 2005, 1);
	build_record(b, UINT64_MAX, 2006, 1);
	build_record(b, 25, -1, 1);
	c = build_table_copy(b);
	assert_int_equal(table_copy_count(c), 20);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(table_copy_task(c, i)->number, i + 1);
	assert_int_equal(table_copy_task(c, 6)->tid, 1013);
	assert_int_equal(table_copy_header(c)->pid, 4711);
	table_copy_free(c);
}

static uint64_t find(const struct table_copy *c, pid_t tid, uint64_t handle)
{
	const struct wire_task *r = table_copy_find_thread(c, tid, handle);

	return r ? r->number : 0;
}

/* Ids are given again: to a thread with another handle, or after a thread that has ended. */
static void test_finding_threads(void **state)
{
	struct build_table *b = *state;
	struct wire_task *r;
	struct table_copy *c;

	build_record(b, 1, 4711, 0)->handle = 0x1000;
	r = build_record(b, 2, 4712, 1);
	r->handle = 0x2000;
	build_record_ended(r);
	build_record(b, 3, 4712, 1)->handle = 0x3000;
	build_record(b, 4, 0, 1)->handle = 0x4000;
	build_record(b, 5, 4715, 1);
	r = build_record(b, 6, 4716, 1);
	r->handle = 0x6000;
	r->flags = WIRE_TASK_JOINED;
	c = build_table_copy(b);
	assert_int_equal(find(c, 4711, 0x1000), 1);
	assert_int_equal(find(c, 4711, 0), 1);
	assert_int_equal(find(c, 4711, 0x9000), 0);
	assert_int_equal(find(c, 4712, 0x2000), 2);
	assert_int_equal(find(c, 4712, 0x3000), 3);
	assert_int_equal(find(c, 4712, 0), 3);
	assert_int_equal(find(c, 4714, 0x4000), 4);
	assert_int_equal(find(c, 4714, 0), 0);
	assert_int_equal(find(c, 4715, 0x5000), 5);
	assert_int_equal(find(c, 4716, 0x6000), 0);
	assert_int_equal(find(c, 0, 0x3000), 3);
	assert_int_equal(find(c, 0, 0), 0);
	table_copy_free(c);
}

/* By the place of the record, which is all that such a thread has. */
static void test_finding_threads_that_have_not_begun(void **state)
{
	struct build_table *b = *state;
	struct table_copy *c;
	uint64_t at;

	build_record(b, 1, 4711, 0);
	at = (uint64_t)((uint8_t *)build_record(b, 2, 0, 1) - b->bytes);
	build_record(b, 3, 0, 1)->state = WIRE_TASK_BORN;
	c = build_table_copy(b);
	assert_null(table_copy_find_unbegun(c, at));
	assert_int_equal(table_copy_find_unbegun(c, at + sizeof(struct wire_task))->number, 3);
	assert_null(table_copy_find_unbegun(c, at + sizeof(struct wire_task) + 8));
	assert_null(table_copy_find_unbegun(c, 0));
	assert_null(table_copy_find_unbegun(c, b->size - 8));
	assert_null(table_copy_find_unbegun(c, UINT64_MAX));
	table_copy_free(c);
}

static void test_stacks(void **state)
{
	static const uint64_t pcs[] = { 0x401000, 0x402000, 0x403000 };
	struct build_table *b = *state;
	uint32_t id = build_record_stack(b, pcs, 3), last;
	struct wire_table *h = build_header(b);
	const uint64_t *found;
	struct table_copy *c;
	bool complete = false;

	last = build_record_stack(b, pcs, 1);
	h->segments[1].bytes = (uint32_t)b->stack_bytes;
	c = build_table_copy(b);
	assert_int_equal(table_copy_stack(c, id, &found, &complete), 3);
	assert_true(complete);
	assert_memory_equal(found, pcs, sizeof(pcs));
	assert_int_equal(table_copy_stack(c, last, &found, &complete), 1);
	assert_int_equal(table_copy_stack(c, 0, &found, &complete), 0);
	assert_int_equal(table_copy_stack(c, 1, &found, &complete), 0);
	assert_int_equal(table_copy_stack(c, UINT32_MAX, &found, &complete), 0);
	table_copy_free(c);
	h->segments[1].bytes -= 8; /* the last frame lies outside */
	c = build_table_copy(b);
	assert_int_equal(table_copy_stack(c, id, &found, &complete), 3);
	assert_int_equal(table_copy_stack(c, last, &found, &complete), 0);
	table_copy_free(c);
}

static void test_modules(void **state)
{
	struct build_table *b = *state;
	struct table_copy *c;
	const char *path;
	size_t at = 0;
	uint64_t bias;

	build_record_module(b, "/srv/shop", 0x1000);
	build_record_module(b, "/lib/libc.so.6", 0x7000);
	c = build_table_copy(b);
	assert_true(table_copy_module(c, &at, &bias, &path));
	assert_string_equal(path, "/srv/shop");
	assert_int_equal(bias, 0x1000);
	assert_true(table_copy_module(c, &at, &bias, &path));
	assert_string_equal(path, "/lib/libc.so.6");
	assert_false(table_copy_module(c, &at, &bias, &path));
	table_copy_free(c);
}

/* All that can be asked of a copy, and that answers lie where they should. */
static void ask_everything(const struct table_copy *c)
{
	const uint64_t *pcs;
	const char *path;
	uint64_t bias, sum = 0;
	size_t at = 0, n;
	bool complete;

	for (size_t i = 0; i < table_copy_count(c); i++) {
		const struct wire_task *r = table_copy_task(c, i);

		if (i)
			assert_true(table_copy_task(c, i - 1)->number < r->number);
		n = table_copy_stack(c, r->creator_stack, &pcs, &complete);
		assert_in_range(n, 0, WIRE_STACK_FRAMES);
		while (n)
			sum += pcs[--n];
		table_copy_find_thread(c, r->tid, r->handle);
		table_copy_find_thread(c, 0, r->wait.object);
	}
	for (uint32_t id = 0; id < 4096; id++)
		for (n = table_copy_stack(c, id, &pcs, &complete); n;)
			sum += pcs[--n];
	for (n = 0; table_copy_module(c, &at, &bias, &path) && n < 10000; n++)
		sum += strlen(path);
	assert_in_range(n, 0, 9999);
	*(volatile uint64_t *)&sum = sum;
}

static void fill(struct build_table *b)
{
	static const uint64_t pcs[] = { 0x401000, 0x402000, 0x403000 };

	for (uint64_t i = 1; i <= TABLE_TASKS; i++) {
		struct wire_task *r = build_record(b, i, (pid_t)(4710 + i), 1);

		r->handle = 0x1000 * i;
		r->creator_stack = build_record_stack(b, pcs, i % 4);
		build_record_wait(r, WIRE_OP_JOIN, 0x1000, 1);
	}
	build_record_module(b, "/srv/shop", 0x1000);
	build_record_module(b, "/lib/libc.so.6", 0x7000);
}

static void try_bytes(struct build_table *b, size_t size)
{
	struct table_copy *c;
	struct err e = { 0 };
	struct table *t;

	build_table_write(b, size);
	if (table_open(b->path, false, &t, &e))
		return;
	if (!table_copy_take(t, &c, &e)) {
		ask_everything(c);
		table_copy_free(c);
	}
	table_close(t);
}

static void test_damaged_tables(void **state)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct build_table *b = *state;
	uint8_t *whole;
	unsigned seed = 1;

	fill(b);
	whole = malloc(b->size);
	assert_non_null(whole);
	memcpy(whole, b->bytes, b->size);
	/* Each byte of the header's own fields and of the segments' table, and many elsewhere. */
	for (size_t at = 8; at < offsetof(struct wire_table, exe); at++) {
		b->bytes[at] = values[at % 5];
		try_bytes(b, b->size);
		b->bytes[at] = whole[at];
	}
	for (size_t round = 0; round < 1500; round++) {
		for (int k = 0; k < 24; k++) {
			size_t at =
				offsetof(struct wire_table, segments) + (size_t)rand_r(&seed) % 64;

			if (k >= 4)
				at = 8192 + (size_t)rand_r(&seed) % (b->size - 8192);
			b->bytes[at] = round % 2 ? values[k % 5] : (uint8_t)rand_r(&seed);
		}
		try_bytes(b, round % 10 ? b->size : (size_t)rand_r(&seed) % b->size);
		memcpy(b->bytes, whole, b->size);
	}
	for (size_t size = 0; size < b->size; size += 97)
		try_bytes(b, size);
	free(whole);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_no_table),
		TEST(test_pipes_and_links),
		TEST(test_the_watcher_writes_through),
		TEST(test_a_file_cut_short_while_it_is_open),
		TEST(test_records),
		TEST(test_finding_threads),
		TEST(test_finding_threads_that_have_not_begun),
		TEST(test_stacks),
		TEST(test_modules),
		TEST(test_damaged_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
