/* SPDX-License-Identifier: MIT
 *
 * The memory map: known lines, damaged ones, lookups, this very process, and random damage of a
 * good text (which must give an error or a sorted map, never a crash).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/maps.h"

static const char good_text[] =
	"55d0c0000000-55d0c0001000 r-xp 00002000 fe:01 1234                       /usr/bin/a b\n"
	"55d0c0001000-55d0c0003000 rw-p 00000000 00:00 0 \n"
	"7f0000000000-7f0000001000 ---s 00000000 00:05 99 /dev/zero (deleted)\n"
	"7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

static int parse(const char *text, struct maps *m)
{
	struct err e = { 0 };
	int rc = maps_parse(strdup(text), m, &e);

	assert_int_equal(rc, e.code);
	return rc;
}

static void test_known_text(void **state)
{
	struct maps m;

	(void)state;
	assert_int_equal(parse(good_text, &m), 0);
	assert_int_equal(m.n, 5);
	assert_int_equal(m.v[0].start, 0x55d0c0000000);
	assert_int_equal(m.v[0].end, 0x55d0c0001000);
	assert_int_equal(m.v[0].offset, 0x2000);
	assert_int_equal(m.v[0].dev_major, 0xfe);
	assert_int_equal(m.v[0].dev_minor, 1);
	assert_int_equal(m.v[0].inode, 1234);
	assert_true(m.v[0].read && !m.v[0].write && m.v[0].exec && !m.v[0].shared);
	assert_string_equal(m.v[0].path, "/usr/bin/a b");
	assert_string_equal(m.v[1].path, "");
	assert_true(m.v[1].read && m.v[1].write && !m.v[1].exec);
	assert_true(m.v[2].shared && !m.v[2].read);
	assert_string_equal(m.v[2].path, "/dev/zero (deleted)");
	assert_string_equal(m.v[3].path, "[stack]");
	assert_true(m.v[4].start == 0xffffffffff600000);
	maps_free(&m);
}

static void test_find(void **state)
{
	struct maps m;

	(void)state;
	assert_int_equal(parse(good_text, &m), 0);
	assert_null(maps_find(&m, 0));
	assert_null(maps_find(&m, 0x55d0bfffffff));
	assert_ptr_equal(maps_find(&m, 0x55d0c0000000), &m.v[0]);
	assert_ptr_equal(maps_find(&m, 0x55d0c0000fff), &m.v[0]);
	assert_ptr_equal(maps_find(&m, 0x55d0c0001000), &m.v[1]);
	assert_null(maps_find(&m, 0x55d0c0003000));
	assert_ptr_equal(maps_find(&m, 0xffffffffff600fff), &m.v[4]);
	assert_null(maps_find(&m, UINT64_MAX));
	maps_free(&m);
}

static void test_edges_of_the_form(void **state)
{
	struct maps m;

	(void)state;
	assert_int_equal(parse("", &m), 0);
	assert_int_equal(m.n, 0);
	assert_null(maps_find(&m, 1));
	maps_free(&m);
	assert_int_equal(parse("1000-2000 r--p 0 0:0 7", &m), 0); /* the end for a newline */
	assert_int_equal(m.n, 1);
	assert_int_equal(m.v[0].inode, 7);
	assert_string_equal(m.v[0].path, "");
	maps_free(&m);
	assert_int_equal(parse("1000-2000 r--p 0 0:0 7\n2000-3000 r--p 0 0:0 8 x", &m), 0);
	assert_int_equal(m.v[1].inode, 8);
	assert_string_equal(m.v[1].path, "x");
	maps_free(&m);
}

static void test_damaged_lines(void **state)
{
	static const char *const bad[] = {
		"\n",
		"x",
		"1000",
		"1000-",
		"1000-2000",
		"1000-2000 ",
		"1000-2000 rw",
		"1000-2000 rwxp",
		"1000-2000 rwxq 0 0:0 0\n",
		"1000-2000 rwxp 0 0:0\n",
		"1000-2000 rwxp 0 0:0 \n",
		"1000-2000 rwxp 0 0:0 12a\n",
		"1000-2000 rwxp 0 100000000:0 0\n",
		"1000-2000 rwxp 0 0:0 18446744073709551616\n",
		"10000000000000000-20000000000000000 rwxp 0 0:0 0\n",
		"2000-1000 rwxp 0 0:0 0\n",
		"1000-1000 rwxp 0 0:0 0\n",
		"1000-3000 r--p 0 0:0 0\n2000-4000 r--p 0 0:0 0\n",
		"3000-4000 r--p 0 0:0 0\n1000-2000 r--p 0 0:0 0\n",
		"1000-2000 r--p 0 0:0 0\n\n3000-4000 r--p 0 0:0 0\n",
	};
	struct maps m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		if (parse(bad[i], &m) != ERR_BAD_FORMAT)
			fail_msg("taken for good: %s", bad[i]);
		maps_free(&m);
	}
}

static void test_random_damage(void **state)
{
	static const char bytes[] = "0123456789abcdef-: \nrwxps/\xff";
	unsigned seed = 1;
	int round;

	(void)state;
	for (round = 0; round < 20000; round++) {
		char *text = strdup(good_text);
		struct maps m;
		size_t i;
		int n;

		for (n = rand_r(&seed) % 4 + 1; n; n--)
			text[rand_r(&seed) % (sizeof(good_text) - 1)] =
				bytes[rand_r(&seed) % (sizeof(bytes) - 1)];
		text[rand_r(&seed) % sizeof(good_text)] = '\0';
		if (maps_parse(text, &m, NULL) == 0)
			for (i = 0; i < m.n; i++) {
				assert_true(m.v[i].start < m.v[i].end);
				assert_true(!i || m.v[i - 1].end <= m.v[i].start);
				assert_non_null(memchr(m.v[i].path, '\0', sizeof(good_text)));
			}
		maps_free(&m);
	}
}

static void test_own_process(void **state)
{
	struct err e = { 0 };
	const struct mapping *here;
	struct maps m;

	(void)state;
	assert_int_equal(maps_read(getpid(), &m, &e), 0);
	here = maps_find(&m, (uintptr_t)good_text);
	assert_non_null(here);
	assert_true(here->read && !here->write && !here->shared);
	assert_non_null(strstr(here->path, "test_maps"));
	here = maps_find(&m, (uintptr_t)&e);
	assert_non_null(here);
	assert_true(here->write);
	maps_free(&m);
}

/* Far more lines than the first buffer holds: neighbours differ, so that they are not merged. */
static void test_many_lines(void **state)
{
	size_t pages = 4000;
	char *v = mmap(NULL, pages * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct err e = { 0 };
	struct maps m;
	size_t i;

	(void)state;
	assert_true(v != MAP_FAILED);
	for (i = 0; i < pages; i += 2)
		assert_int_equal(mprotect(v + i * 4096, 4096, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(maps_read(getpid(), &m, &e), 0);
	assert_true(m.n >= pages - 1);
	for (i = 1; i < pages - 1; i++) {
		const struct mapping *p = maps_find(&m, (uintptr_t)v + i * 4096);

		assert_non_null(p);
		assert_int_equal(p->start, (uintptr_t)v + i * 4096);
		assert_true(p->write == !(i & 1));
	}
	maps_free(&m);
	munmap(v, pages * 4096);
}

static void test_gone_process(void **state)
{
	struct err e = { 0 };
	struct maps m;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(maps_read(pid, &m, &e), ERR_GONE);
	assert_int_equal(m.n, 0);
	maps_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_text),	  cmocka_unit_test(test_find),
		cmocka_unit_test(test_edges_of_the_form), cmocka_unit_test(test_damaged_lines),
		cmocka_unit_test(test_random_damage),	  cmocka_unit_test(test_own_process),
		cmocka_unit_test(test_many_lines),	  cmocka_unit_test(test_gone_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
