/* SPDX-License-Identifier: MIT */
/*
 * Stacks: what is kept once, which frames are left out, and modules that are known by their files
 * only.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stack/stacks.h"
#include "build_model.h"
#include "unit.h"

#define PROGRAM_AT 0x10000000
#define SHIM_AT	   0x20000000
#define OTHER_AT   0x30000000

struct fixture {
	char directory[64], shim[96], other[96];
	struct modules *mods;
	struct model *m;
	struct stacks *stacks;
};

/* This program under another name. */
static void copy_program(const char *to)
{
	int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;
	off_t at = 0;

	if (in < 0 || out < 0 || fstat(in, &st))
		fail_msg("cannot copy to %s", to);
	while (at < st.st_size)
		if (sendfile(out, in, &at, (size_t)(st.st_size - at)) <= 0)
			fail_msg("cannot copy to %s", to);
	close(in);
	close(out);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct modules_file files[] = {
		{ "/proc/self/exe", PROGRAM_AT }, { f->shim, SHIM_AT },
		{ f->other, OTHER_AT },		  { "/nowhere/at/all", 0x40000000 },
		{ "/dev/null", 0x50000000 },	  { f->directory, 0x60000000 }
	};
	struct err e = { 0 };

	*state = f;
	strcpy(f->directory, "/tmp/strand-stacks-XXXXXX");
	if (!mkdtemp(f->directory))
		return -1;
	snprintf(f->shim, sizeof(f->shim), "%s/libstrand.so", f->directory);
	snprintf(f->other, sizeof(f->other), "%s/libstrands.so", f->directory);
	copy_program(f->shim);
	copy_program(f->other);
	f->m = build_model();
	if (modules_open_files(files, COUNT(files), &f->mods, &e))
		return -1;
	return stacks_create(f->m, f->mods, &f->stacks);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	stacks_free(f->stacks);
	modules_close(f->mods);
	model_free(f->m);
	unlink(f->shim);
	unlink(f->other);
	rmdir(f->directory);
	free(f);
	return 0;
}

static void test_modules_by_their_files(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(modules_count(f->mods), 3);
	assert_true(modules_get(f->mods, 0)->main_program);
	assert_string_equal(modules_get(f->mods, 1)->name, "libstrand.so");
	assert_string_equal(modules_get(f->mods, 1)->path, f->shim);
	assert_int_equal(modules_get(f->mods, 1)->start, SHIM_AT);
	assert_ptr_equal(modules_find(f->mods, SHIM_AT + 0x1000), modules_get(f->mods, 1));
	assert_null(modules_find(f->mods, 0x40000000));
	assert_int_equal(modules_get(f->mods, 0)->build_id_bytes,
			 modules_get(f->mods, 2)->build_id_bytes);
}

static void test_frames_of_the_shim_are_left_out(void **state)
{
	struct fixture *f = *state;
	struct unwind_frame frames[] = {
		{ .ip = SHIM_AT + 0x1000, .exact = true },
		{ .ip = OTHER_AT + 0x1000 },
		{ .ip = SHIM_AT + 0x1000 },
		{ .ip = PROGRAM_AT + 0x1000 },
		{ .ip = 0 },
		{ .ip = SHIM_AT },
		{ .ip = SHIM_AT + 1 },
	};
	size_t n = stacks_drop_shim(f->stacks, frames, COUNT(frames));

	assert_int_equal(n, 4);
	assert_int_equal(frames[0].ip, OTHER_AT + 0x1000);
	assert_int_equal(frames[1].ip, PROGRAM_AT + 0x1000);
	assert_int_equal(frames[2].ip, 0);
	/* A return address behind the last instruction of what lies before the shim. */
	assert_int_equal(frames[3].ip, SHIM_AT);
	assert_int_equal(stacks_drop_shim(f->stacks, frames, 0), 0);
}

static void test_equal_stacks_are_one(void **state)
{
	struct fixture *f = *state;
	struct unwind_frame a[] = { { .ip = 0x1001 }, { .ip = 0x2001 } };
	struct unwind_frame b[] = { { .ip = 0x1000, .exact = true }, { .ip = 0x2001 } };
	struct stack *s = stacks_intern(f->stacks, a, 2, true);

	assert_ptr_equal(stacks_intern(f->stacks, b, 2, true), s);
	assert_ptr_not_equal(stacks_intern(f->stacks, a, 2, false), s);
	assert_ptr_not_equal(stacks_intern(f->stacks, a, 1, true), s);
	assert_int_equal(stacks_intern(f->stacks, a, 0, true)->n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_modules_by_their_files),
		TEST(test_frames_of_the_shim_are_left_out),
		TEST(test_equal_stacks_are_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
