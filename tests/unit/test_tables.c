/* SPDX-License-Identifier: MIT
 *
 * The directory of tables: where it is, what is refused, which names count, which files are stale
 * (those of processes that are no more; those that are in use never), and a process's newest table.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build_table.h"
#include "target/procfs.h"
#include "target/tables.h"
#include "unit.h"

static char folder[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/strand-tables.XXXXXX");
	assert_non_null(mkdtemp(folder));
	setenv("STRAND_DIR", folder, 1);
	return 0;
}

static int tear_down(void **state)
{
	char path[400];
	struct dirent *d;
	DIR *dir = opendir(folder);

	(void)state;
	while (dir && (d = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", folder, d->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	rmdir(folder);
	unsetenv("STRAND_DIR");
	unsetenv("XDG_RUNTIME_DIR");
	return 0;
}

static void put_file(const char *name, const void *bytes, size_t n)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static bool is_there(const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

static uint64_t own_start(void)
{
	char stat[1024];

	assert_true(procfs_read_into("/proc/self/stat", stat, sizeof(stat)) > 0);
	return strtoull(procfs_find_stat_field(stat, 22), NULL, 10);
}

/* A number that no process has, for a moment at least. */
static pid_t ended_process(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

static void test_where(void **state)
{
	char path[100], expected[100];

	(void)state;
	assert_int_equal(tables_directory(path, sizeof(path), NULL), 0);
	assert_string_equal(path, folder);
	assert_true(tables_directory(path, 5, NULL) < 0);
	setenv("STRAND_DIR", "", 1);
	setenv("XDG_RUNTIME_DIR", folder, 1);
	snprintf(expected, sizeof(expected), "%s/strand", folder);
	assert_int_equal(tables_directory(path, sizeof(path), NULL), 0);
	assert_string_equal(path, expected);
	setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
	snprintf(expected, sizeof(expected), "/dev/shm/strand-%u", (unsigned)geteuid());
	assert_int_equal(tables_directory(path, sizeof(path), NULL), 0);
	assert_string_equal(path, expected);
}

static void assert_refused(const char *path, const char *why)
{
	char made[300], line[600];
	struct err e = { 0 };

	setenv("STRAND_DIR", path, 1);
	assert_int_equal(tables_make_directory(made, sizeof(made), &e), ERR_DIRECTORY);
	err_format(&e, line, sizeof(line));
	if (!strstr(line, why) || !strstr(line, path))
		fail_msg("no \"%s\" in: %s", why, line);
}

static void test_made_and_refused(void **state)
{
	char path[200], made[300];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/new", folder);
	setenv("STRAND_DIR", path, 1);
	assert_int_equal(tables_make_directory(made, sizeof(made), NULL), 0);
	assert_string_equal(made, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(tables_make_directory(made, sizeof(made), NULL), 0);
	rmdir(path);

	put_file("file", "x", 1);
	snprintf(path, sizeof(path), "%s/file", folder);
	assert_refused(path, "Not a directory");
	assert_refused("/nowhere/at/all", "No such file");
	if (geteuid() == 0) {
		snprintf(path, sizeof(path), "%s/theirs", folder);
		assert_int_equal(mkdir(path, 0777), 0);
		assert_int_equal(chown(path, 12345, 12345), 0);
		assert_refused(path, "not permitted");
		rmdir(path);
	} else {
		assert_refused("/etc", "not permitted");
	}
}

/* A path that only holds in the current directory is of no use to a program that leaves it. */
static void test_relative(void **state)
{
	char made[300], before[300];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(folder), 0);
	setenv("STRAND_DIR", "here", 1);
	assert_int_equal(tables_make_directory(made, sizeof(made), NULL), 0);
	assert_int_equal(made[0], '/');
	assert_non_null(strstr(made, "/here"));
	assert_int_equal(rmdir("here"), 0);
	assert_int_equal(chdir(before), 0);
}

static void test_names(void **state)
{
	static const char *const wrong[] = {
		"7.8.strand",	 "7.8.9.strand~",	   "x.8.9.strand",  "7..9.strand",
		"-7.8.9.strand", "7.8.9.control",	   "0.8.9.strand",  ".8.9.strand",
		"7.8.9.stran",	 " 7.8.9.strand",	   "7.8x.9.strand", "+7.8.9.strand",
		"7.8.control.",	 "99999999999.1.0.strand",
	};
	struct tables_entry *v;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		put_file(wrong[i], "", 0);
	put_file("30.2.10.strand", "", 0);
	put_file("30.2.9.strand", "", 0);
	put_file("30.2.control", "", 0);
	put_file("4.18446744073709551615.0.strand", "", 0);
	assert_int_equal(tables_list(folder, &v, &n, NULL), 0);
	assert_int_equal(n, 4);
	assert_int_equal(v[0].pid, 4);
	assert_true(v[0].start_ticks == UINT64_MAX);
	assert_string_equal(v[1].name, "30.2.9.strand");
	assert_int_equal(v[2].image, 10);
	assert_true(v[3].control);
	free(v);
	assert_int_equal(tables_list("/nowhere/at/all", &v, &n, NULL), 0);
	assert_int_equal(n, 0);
	assert_null(v);
}

static void test_stale(void **state)
{
	char own[64], old[64], gone[64], control[64], used[64], path[200], elsewhere[64];
	struct wire_table other = { .magic = WIRE_TABLE_MAGIC, .pid_namespace = 1 };
	pid_t dead = ended_process();
	int fd;

	(void)state;
	snprintf(own, sizeof(own), "%d.%llu.0.strand", (int)getpid(),
		 (unsigned long long)own_start());
	snprintf(old, sizeof(old), "%d.%llu.0.strand", (int)getpid(),
		 (unsigned long long)own_start() - 1);
	snprintf(gone, sizeof(gone), "%d.5.0.strand", (int)dead);
	snprintf(elsewhere, sizeof(elsewhere), "%d.6.0.strand", (int)dead);
	snprintf(control, sizeof(control), "%d.5.control", (int)dead);
	snprintf(used, sizeof(used), "%d.6.control", (int)dead);
	put_file(own, "", 0);
	put_file(old, "", 0);
	put_file(gone, "", 0);
	put_file(elsewhere, &other, sizeof(other));
	put_file(control, "", 0);
	put_file(used, "", 0);
	put_file("a file of mine", "", 0);
	snprintf(path, sizeof(path), "%s/%s", folder, used);
	fd = open(path, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	tables_remove_stale(folder);
	assert_true(is_there(own));
	assert_false(is_there(old)); /* the number is another process's now */
	assert_false(is_there(gone));
	assert_true(is_there(elsewhere)); /* in another PID namespace: who knows */
	assert_false(is_there(control));
	assert_true(is_there(used));
	assert_true(is_there("a file of mine"));
	close(fd);
	tables_remove_stale(folder);
	assert_false(is_there(used));
	tables_remove_stale("/nowhere/at/all");
}

/* A process that has ended, but was not collected. */
static void test_zombie(void **state)
{
	char table[64], control[64], path[200];
	siginfo_t info;
	pid_t pid = fork();
	char stat[1024];
	int fd;

	(void)state;
	if (!pid)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	assert_true(procfs_read_into(path, stat, sizeof(stat)) > 0);
	snprintf(table, sizeof(table), "%d.%llu.0.strand", (int)pid,
		 strtoull(procfs_find_stat_field(stat, 22), NULL, 10));
	snprintf(control, sizeof(control), "%d.%llu.control", (int)getpid(),
		 (unsigned long long)own_start());
	put_file(table, "", 0);
	put_file(control, "", 0);
	snprintf(path, sizeof(path), "%s/%s", folder, control);
	fd = open(path, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	tables_remove_stale(folder);
	assert_true(is_there(table)); /* a supervisor may want to read it */
	close(fd);
	tables_remove_stale(folder);
	assert_false(is_there(table));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_find(void **state)
{
	unsigned long long start = own_start();
	char name[100], path[300];

	(void)state;
	assert_int_equal(tables_find(getpid(), start, path, sizeof(path), NULL), 0);
	assert_string_equal(path, "");
	for (int image = 8; image <= 11; image++) {
		snprintf(name, sizeof(name), "%d.%llu.%d.strand", (int)getpid(), start, image);
		put_file(name, "", 0);
	}
	snprintf(name, sizeof(name), "%d.%llu.12.strand", (int)getpid(), start + 1);
	put_file(name, "", 0);
	assert_int_equal(tables_find(getpid(), start, path, sizeof(path), NULL), 0);
	snprintf(name, sizeof(name), "%s/%d.%llu.11.strand", folder, (int)getpid(), start);
	assert_string_equal(path, name);
	assert_int_equal(tables_find(getpid(), start, path, 20, NULL) < 0 || !*path, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_where, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_made_and_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_relative, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stale, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_zombie, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_find, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
