/* SPDX-License-Identifier: MIT
 *
 * Finding a program as execvp() would, and telling whether the shim can come in front of it: real
 * programs, scripts, and ELF headers made by hand, damaged ones among them.
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervise/program.h"
#include "unit.h"

static char folder[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/strand-program.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

static const char *put_file(const char *name, const void *bytes, size_t n, mode_t mode)
{
	static char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static void assert_refused(const char *name, int code, const char *why)
{
	char path[PATH_MAX], line[800];
	struct err e = { 0 };

	assert_int_equal(program_find(name, path, sizeof(path), &e), code);
	err_format(&e, line, sizeof(line));
	if (!strstr(line, why))
		fail_msg("no \"%s\" in: %s", why, line);
}

static void test_find(void **state)
{
	char path[PATH_MAX], dirs[300], expected[100];
	const char *whole;

	(void)state;
	assert_int_equal(program_find("/bin/true", path, sizeof(path), NULL), 0);
	assert_string_equal(path, "/bin/true");
	assert_refused("/bin/no-such-program", ERR_NOT_FOUND, "no such program");
	assert_refused("no-such-program", ERR_NOT_FOUND, "no such program");
	assert_refused("", ERR_NOT_FOUND, "no such program");
	assert_refused("/tmp", ERR_NOT_EXECUTABLE, "Is a directory");
	assert_refused("/etc/passwd", ERR_NOT_EXECUTABLE, "Permission denied");
	assert_refused("/etc/passwd/x", ERR_NOT_EXECUTABLE, "Not a directory");

	/* A file that cannot be executed does not hide one that can; alone it is the reason. */
	put_file("true", "", 0, 0644);
	snprintf(dirs, sizeof(dirs), "/nowhere:%s:/bin", folder);
	setenv("PATH", dirs, 1);
	assert_int_equal(program_find("true", path, sizeof(path), NULL), 0);
	assert_string_equal(path, "/bin/true");
	put_file("odd", "", 0, 0644);
	assert_refused("odd", ERR_NOT_EXECUTABLE, "Permission denied");
	put_file("true", "", 0, 0755);
	assert_int_equal(program_find("true", path, sizeof(path), NULL), 0);
	snprintf(expected, sizeof(expected), "%s/true", folder);
	assert_string_equal(path, expected);

	/* An empty part is the current directory; without PATH there are two. */
	whole = getcwd(dirs, sizeof(dirs));
	assert_int_equal(chdir(folder), 0);
	setenv("PATH", ":/bin", 1);
	assert_int_equal(program_find("true", path, sizeof(path), NULL), 0);
	assert_string_equal(path, "true");
	assert_int_equal(chdir(whole), 0);
	unsetenv("PATH");
	assert_int_equal(program_find("true", path, sizeof(path), NULL), 0);
	assert_int_equal(program_find("true", path, 5, NULL), ERR_NOT_FOUND);
}

struct program_file {
	Elf64_Ehdr h;
	Elf64_Phdr ph;
	char loader[40];
};

static struct program_file make_elf(const char *loader)
{
	struct program_file p = { .h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64 },
					 .e_machine = EM_X86_64,
					 .e_phoff = sizeof(Elf64_Ehdr),
					 .e_phentsize = sizeof(Elf64_Phdr),
					 .e_phnum = 1 },
				  .ph = { .p_type = loader ? PT_INTERP : PT_LOAD,
					  .p_offset = offsetof(struct program_file, loader),
					  .p_filesz = loader ? strlen(loader) + 1 : 0 } };

	if (loader)
		strcpy(p.loader, loader);
	return p;
}

static void assert_answer(const struct program_file *p, size_t bytes, enum program_shim answer,
			  const char *words)
{
	const char *why = "?";

	assert_int_equal(program_examine(put_file("made", p, bytes, 0755), &why), answer);
	if (!words)
		assert_null(why);
	else if (!why || !strstr(why, words))
		fail_msg("no \"%s\" in: %s", words, why ? why : "nothing");
}

static void test_examine(void **state)
{
	static const char glibc[] = "/lib64/ld-linux-x86-64.so.2";
	struct program_file p = make_elf(glibc);

	(void)state;
	assert_answer(&p, sizeof(p), PROGRAM_TAKES_SHIM, NULL);
	p = make_elf("/lib/ld-musl-x86_64.so.1");
	assert_answer(&p, sizeof(p), PROGRAM_BREAKS_SHIM, "musl");
	p = make_elf(NULL);
	assert_answer(&p, sizeof(p), PROGRAM_IGNORES_SHIM, "statically linked");
	p = make_elf(glibc);
	p.h.e_machine = EM_AARCH64;
	assert_answer(&p, sizeof(p), PROGRAM_BREAKS_SHIM, "another architecture");
	p = make_elf(glibc);
	p.h.e_ident[EI_CLASS] = ELFCLASS32;
	assert_answer(&p, sizeof(p), PROGRAM_BREAKS_SHIM, "another architecture");
}

/* Whatever a damaged file says, it is not believed, and nothing outside of it is read. */
static void test_damaged(void **state)
{
	struct program_file p = make_elf("/lib64/ld-linux-x86-64.so.2");

	(void)state;
	assert_answer(&p, 20, PROGRAM_BREAKS_SHIM, "another architecture");
	assert_answer(&p, sizeof(p.h), PROGRAM_IGNORES_SHIM, "headers");
	p.h.e_phnum = 0xffff;
	assert_answer(&p, sizeof(p), PROGRAM_IGNORES_SHIM, "headers");
	p = make_elf("/lib64/ld-linux-x86-64.so.2");
	p.h.e_phoff = UINT64_MAX - 8;
	assert_answer(&p, sizeof(p), PROGRAM_IGNORES_SHIM, "headers");
	p = make_elf("/lib64/ld-linux-x86-64.so.2");
	p.ph.p_offset = UINT64_MAX / 2;
	p.ph.p_filesz = UINT64_MAX;
	assert_answer(&p, sizeof(p), PROGRAM_IGNORES_SHIM, "headers");
}

/* A script is what its interpreter is, and so on. */
static void test_scripts(void **state)
{
	struct program_file p = make_elf(NULL);
	char line[200], copy[200];
	const char *why;

	(void)state;
	snprintf(line, sizeof(line), "#! %s -x\n", put_file("static", &p, sizeof(p), 0755));
	assert_int_equal(program_examine(put_file("script", line, strlen(line), 0755), &why),
			 PROGRAM_IGNORES_SHIM);
	snprintf(copy, sizeof(copy), "#!%s/script\n", folder);
	assert_int_equal(program_examine(put_file("second", copy, strlen(copy), 0755), &why),
			 PROGRAM_IGNORES_SHIM);
	assert_non_null(strstr(why, "statically"));
	assert_int_equal(program_examine(put_file("sh", "#!/bin/sh\n", 10, 0755), &why),
			 PROGRAM_TAKES_SHIM);
	/* Its own interpreter; the kernel gives up, and so does this. */
	snprintf(copy, sizeof(copy), "#!%s/loop\n", folder);
	assert_int_equal(program_examine(put_file("loop", copy, strlen(copy), 0755), &why),
			 PROGRAM_TAKES_SHIM);
	assert_int_equal(program_examine(put_file("text", "hello\n", 6, 0755), &why),
			 PROGRAM_TAKES_SHIM);
	assert_int_equal(program_examine("/nowhere/at/all", &why), PROGRAM_TAKES_SHIM);
}

static void test_setuid(void **state)
{
	struct program_file p = make_elf("/lib64/ld-linux-x86-64.so.2");
	const char *why, *path = put_file("setuid", &p, sizeof(p), 04755);

	(void)state;
	if (geteuid() != 0)
		skip(); /* one's own setuid programs raise nothing */
	assert_int_equal(program_examine(path, &why), PROGRAM_TAKES_SHIM);
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_int_equal(chmod(path, 04755), 0);
	assert_int_equal(program_examine(path, &why), PROGRAM_IGNORES_SHIM);
	assert_non_null(strstr(why, "setuid"));
}

static void test_tools(void **state)
{
	(void)state;
	assert_true(program_is_tool("/bin/sh"));
	assert_true(program_is_tool("/usr/bin/dash"));
	assert_true(program_is_tool("/usr/local/go/pkg/tool/linux_amd64/link"));
	assert_true(program_is_tool("/usr/lib/go-1.19/bin/go"));
	assert_false(program_is_tool("/usr/bin/link"));
	assert_false(program_is_tool("/srv/shop"));
	assert_false(program_is_tool("/usr/bin/shred"));
	assert_false(program_is_tool(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_find, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_examine, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_scripts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_setuid, set_up, tear_down),
		cmocka_unit_test(test_tools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
