/* SPDX-License-Identifier: MIT
 *
 * The bound of a frame's size, of functions of this very program, against where their variables are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "stack/frame_size.h"
#include "target/maps.h"
#include "target/modules.h"

#define NOINLINE __attribute__((noinline, noclone))
#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#else
#define ADDRESS_SANITIZER 0
#endif

/* How far below its caller's stack pointer a function has its lowest variable. */
#define DEPTH_OF(variable) ((uintptr_t)__builtin_dwarf_cfa() - (uintptr_t)(variable))

NOINLINE static uintptr_t small(void)
{
	volatile char bytes[16];

	memset((void *)bytes, 1, sizeof(bytes));
	return DEPTH_OF(bytes);
}

NOINLINE static uintptr_t large(void)
{
	volatile char bytes[3000];

	memset((void *)bytes, 1, sizeof(bytes));
	return DEPTH_OF(bytes);
}

__attribute__((optimize("O0"))) NOINLINE static uintptr_t unoptimized(void)
{
	volatile char bytes[700];

	memset((void *)bytes, 1, sizeof(bytes));
	return DEPTH_OF(bytes);
}

NOINLINE static uintptr_t growing(size_t n)
{
	volatile char *bytes = alloca(n);

	memset((void *)bytes, 1, n);
	return DEPTH_OF(bytes);
}

static struct modules *mods;

static int setup(void **state)
{
	struct err e = { 0 };
	struct maps maps;
	int rc = maps_read(getpid(), &maps, &e);

	(void)state;
	if (!rc)
		rc = modules_open(getpid(), &maps, &mods, &e);
	maps_free(&maps);
	return rc;
}

static int teardown(void **state)
{
	(void)state;
	modules_close(mods);
	return 0;
}

static void check(uintptr_t (*f)(void))
{
	uintptr_t depth = f();
	uint64_t bytes;

	assert_true(frame_size_bound(mods, (uintptr_t)f, &bytes));
	assert_in_range(bytes, depth, depth + 512);
}

static void test_frames(void **state)
{
	(void)state;
	if (ADDRESS_SANITIZER)
		skip(); /* its frames lie elsewhere */
	check(small);
	check(large);
	check(unoptimized);
}

static void test_a_frame_that_grows(void **state)
{
	uint64_t bytes;

	(void)state;
	assert_true(growing(40) > 0);
	assert_false(frame_size_bound(mods, (uintptr_t)growing, &bytes));
}

static void test_no_function(void **state)
{
	static const char text[] = "no code";
	uint64_t bytes;

	(void)state;
	assert_false(frame_size_bound(mods, (uintptr_t)text, &bytes));
	assert_false(frame_size_bound(mods, (uintptr_t)small + 1, &bytes));
	assert_false(frame_size_bound(mods, 0, &bytes));
	assert_false(frame_size_bound(mods, UINT64_MAX, &bytes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_a_frame_that_grows),
		cmocka_unit_test(test_no_function),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
