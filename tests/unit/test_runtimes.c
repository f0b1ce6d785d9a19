/* SPDX-License-Identifier: MIT
 *
 * Runtimes that compress or tag pointers, known by what their modules are called and hold.
 */
#include "unit.h"

#include "readers/runtimes.h"
#include "sample.h"

static struct sample sample;

static int setup(void **state)
{
	(void)state;
	sample_read(&sample);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sample_end(&sample);
	return 0;
}

/* What is found if the sample is called `program` and loads itself as `library`. */
static const char *find(const char *program, const char *library)
{
	char paths[2][192];
	struct modules_file files[2] = { { paths[0], SAMPLE_BASE },
					 { paths[1], SAMPLE_BASE + 0x10000000 } };
	struct modules *mods;
	const char *found;
	struct err e;

	sample_write(&sample, sample.bytes, sample.size);
	snprintf(paths[0], sizeof(paths[0]), "%s/%s", sample.directory, program);
	snprintf(paths[1], sizeof(paths[1]), "%s/%s", sample.directory, library);
	assert_int_equal(link(sample.path, paths[0]), 0);
	assert_int_equal(link(sample.path, paths[1]), 0);
	assert_int_equal(modules_open_files(files, 2, &mods, &e), 0);
	assert_int_equal(modules_count(mods), 2);
	found = runtimes_find(mods);
	modules_close(mods);
	unlink(paths[0]);
	unlink(paths[1]);
	return found;
}

static void check(const char *program, const char *library, const char *words)
{
	const char *found = find(program, library);

	assert_non_null(found);
	assert_non_null(strstr(found, words));
}

static void test_names(void **state)
{
	(void)state;
	check("shop", "libjvm.so", "Java virtual machine");
	check("shop", "libj9vm29.so", "Java virtual machine");
	check("shop", "libv8_monolith.so", "V8");
	check("shop", "libnode.so.108", "V8");
	check("shop", "libmozjs-102.so.0", "SpiderMonkey");
	check("shop", "libluajit-5.1.so.2", "LuaJIT");
	check("node", "libx.so", "V8");
	check("chromium", "libx.so", "V8");
}

/* Names of programs are no names of libraries; names that merely resemble are none. */
static void test_others(void **state)
{
	(void)state;
	assert_null(find("shop", "libx.so"));
	assert_null(find("shop", "node"));
	assert_null(find("libjvm", "libjvmti.so"));
	assert_null(find("nodemcu", "liblua5.4.so.0"));
}

static const char *find_in(const char *path)
{
	struct modules_file file = { path, SAMPLE_BASE };
	struct modules *mods;
	const char *found;
	struct err e;

	assert_int_equal(modules_open_files(&file, 1, &mods, &e), 0);
	found = modules_count(mods) ? runtimes_find(mods) : "none";
	modules_close(mods);
	return found;
}

/* A copy of the real thing under another name is known by what it exports. */
static void test_exports(void **state)
{
	static const char library[] = "/usr/lib/x86_64-linux-gnu/libluajit-5.1.so.2";
	char path[192];

	(void)state;
	if (access(library, R_OK))
		skip();
	snprintf(path, sizeof(path), "%s/libscript.so", sample.directory);
	assert_int_equal(symlink(library, path), 0);
	assert_non_null(strstr(find_in(path), "LuaJIT"));
	unlink(path);
	assert_null(find_in("/proc/self/exe"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_exports),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
