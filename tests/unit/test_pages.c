/* SPDX-License-Identifier: MIT
 *
 * Which pages of a child hold anything: memory of every kind, touched here and there, listed in
 * both ways that the kernel offers. Looking must leave nothing behind in the child.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "target/pages_private.h"
#include "target/procfs.h"

#define PAGE  PAGES_PAGE_BYTES
#define PAGES 16u
#define HUGE  (UINT64_C(1) << 40)

/* A byte that no address is made of. To a sanitizer's reserve nearly everything is an address. */
#ifdef __SANITIZE_ADDRESS__
#define HARMLESS 0
#else
#define HARMLESS 0xff
#endif

/* What a child tells of itself. */
struct told {
	uint8_t *at, *other;
};

struct looked {
	pid_t pid;
	struct told told;
};

static char folder[] = "/tmp/strand-pages-XXXXXX";

/* Run `prepare` in a child, which then sleeps. */
static struct looked start(void (*prepare)(struct told *))
{
	struct looked c;
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (!c.pid) {
		struct told told = { NULL, NULL };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(60);
		prepare(&told);
		if (write(fd[1], &told, sizeof(told)) == sizeof(told))
			pause();
		_exit(1);
	}
	close(fd[1]);
	assert_int_equal(read(fd[0], &c.told, sizeof(c.told)), sizeof(c.told));
	close(fd[0]);
	while (!child_sleeps(c.pid, SYS_pause)) {
		assert_int_equal(waitpid(c.pid, NULL, WNOHANG), 0);
		usleep(1000);
	}
	return c;
}

static void finish(struct looked *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
}

static void list(const struct looked *c, bool plain, struct pages *out)
{
	struct maps maps;
	struct err e = { 0 };

	assert_int_equal(maps_read(c->pid, &maps, &e), 0);
	assert_int_equal(pages_list_by(plain, c->pid, &maps, NULL, NULL, out, &e), 0);
	maps_free(&maps);
}

/* The listed pages among `n` from `at` on, as a string: "..x" is the third only. */
static const char *shown(const struct pages *p, const uint8_t *at, size_t n)
{
	static char text[64];

	assert_true(n < sizeof(text));
	for (size_t i = 0; i < n; i++) {
		uint64_t page = (uintptr_t)at + i * PAGE;

		text[i] = '.';
		for (size_t k = 0; k < p->n; k++)
			if (p->v[k].start <= page && page < p->v[k].end)
				text[i] = 'x';
	}
	text[n] = '\0';
	return text;
}

static void check_order(const struct pages *p)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->n; i++) {
		assert_true(p->v[i].start < p->v[i].end);
		assert_true(!i || p->v[i - 1].end <= p->v[i].start);
		bytes += p->v[i].end - p->v[i].start;
	}
	assert_true(bytes == p->bytes);
}

/* Look in both ways; `unread` is a part of what is to be said, NULL: nothing. */
static void check(struct looked *c, const char *at, const char *other, const char *unread)
{
	for (int plain = 0; plain < 2; plain++) {
		struct pages p;

		list(c, plain, &p);
		check_order(&p);
		if (at)
			assert_string_equal(shown(&p, c->told.at, strlen(at)), at);
		if (other)
			assert_string_equal(shown(&p, c->told.other, strlen(other)), other);
		if (plain && p.unread && strstr(p.unread, "too large")) {
			/* the reserve of a sanitizer */
		} else if (unread) {
			assert_non_null(p.unread);
			assert_non_null(strstr(p.unread, unread));
		} else if (p.unread) {
			fail_msg("unread: %s", p.unread);
		}
		pages_free(&p);
	}
}

static uint8_t *map(size_t bytes, int protection, int flags, int fd)
{
	uint8_t *p = mmap(NULL, bytes, protection, flags, fd, 0);

	if (p == MAP_FAILED)
		_exit(2);
	return p;
}

#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
#define BOTH	  (PROT_READ | PROT_WRITE)

/* -- private ---------------------------------------------------------------------------------- */

static void prepare_private(struct told *t)
{
	t->at = map(PAGES * PAGE, BOTH, ANONYMOUS, -1);
	madvise(t->at, PAGES * PAGE, MADV_NOHUGEPAGE);
	t->at[3 * PAGE] = t->at[7 * PAGE + 9] = t->at[9 * PAGE - 1] = 1;
	mprotect(t->at + 7 * PAGE, PAGE, PROT_READ); /* three mappings, one run */
	t->other = map(PAGES * PAGE, BOTH, ANONYMOUS, -1);
	madvise(t->other, PAGES * PAGE, MADV_NOHUGEPAGE);
	t->other[0] = t->other[PAGES * PAGE - 1] = 1;
	mprotect(t->other, PAGES * PAGE, PROT_NONE);
}

static void test_private(void **state)
{
	struct looked c = start(prepare_private);
	struct pages p;
	size_t here = 0;

	(void)state;
	check(&c, "...x...xx.......", "x..............x", NULL);
	list(&c, false, &p);
	for (size_t i = 0; i < p.n; i++)
		here += p.v[i].start >= (uintptr_t)c.told.at &&
			p.v[i].end <= (uintptr_t)c.told.at + PAGES * PAGE;
	assert_int_equal(here, 3); /* runs are not joined across mappings */
	pages_free(&p);
	finish(&c);
}

static void prepare_zeros(struct told *t)
{
	t->at = map(4 * PAGE, BOTH, ANONYMOUS, -1);
	madvise(t->at, 4 * PAGE, MADV_NOHUGEPAGE);
	if (((volatile uint8_t *)t->at)[PAGE])
		_exit(2);
	t->at[2 * PAGE] = 1;
}

static void test_page_of_zeros(void **state)
{
	struct looked c = start(prepare_zeros);
	struct pages p;

	(void)state;
	list(&c, true, &p); /* cannot tell */
	assert_string_equal(shown(&p, c.told.at, 4) + 2, "x.");
	pages_free(&p);
	list(&c, false, &p);
	assert_string_equal(shown(&p, c.told.at, 4) + 2, "x.");
	pages_free(&p);
	finish(&c);
}

static void prepare_file(struct told *t)
{
	int fd = open("/proc/self/exe", O_RDONLY);

	t->at = map(4 * PAGE, BOTH, MAP_PRIVATE, fd);
	for (int i = 0; i < 4; i++)
		if (((volatile uint8_t *)t->at)[i * PAGE] == 77)
			_exit(2);
	t->at[2 * PAGE] = 1;
}

static void test_private_file(void **state)
{
	struct looked c = start(prepare_file);

	(void)state;
	check(&c, "..x.", NULL, NULL);
	finish(&c);
}

static void prepare_huge(struct told *t)
{
	t->at = map(HUGE, BOTH, ANONYMOUS, -1);
	madvise(t->at, HUGE, MADV_NOHUGEPAGE);
	t->at += HUGE / 2;
	t->at[PAGE] = 1;
}

static void test_huge(void **state)
{
	struct looked c = start(prepare_huge);
	struct pages p;

	(void)state;
	list(&c, true, &p);
	assert_non_null(p.unread);
	pages_free(&p);
	list(&c, false, &p);
	if (!p.unread) /* since Linux 6.7 */
		assert_string_equal(shown(&p, c.told.at, 4), ".x..");
	pages_free(&p);
	finish(&c);
}

/* -- shared ----------------------------------------------------------------------------------- */

static void prepare_shared(struct told *t)
{
	t->at = map(4 * PAGE, BOTH, MAP_SHARED | MAP_ANONYMOUS, -1);
	t->at[PAGE] = 1;
	t->other = map(2 * PAGE, BOTH, MAP_SHARED | MAP_ANONYMOUS, -1);
	t->other[0] = t->other[PAGE] = 1;
}

/* Can memory without name or descriptor be opened here? Needs privileges. */
static bool can_open_mappings(void)
{
	struct maps maps;
	char path[64];
	size_t i = 0;
	int fd;

	assert_int_equal(maps_read(getpid(), &maps, NULL), 0);
	while (!maps.v[i].inode)
		i++;
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (long)maps.v[i].start,
		 (long)maps.v[i].end);
	maps_free(&maps);
	fd = open(path, O_RDONLY);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void test_shared(void **state)
{
	struct looked c = start(prepare_shared);

	(void)state;
	check(&c, ".x..", "xx", can_open_mappings() ? NULL : "not mapped in");
	finish(&c);
}

/* A memfd of four pages, mapped twice, an address of the process on its second page. */
static int make_twice(struct told *t)
{
	int fd = memfd_create("twice", MFD_CLOEXEC);
	char *address = folder;

	if (ftruncate(fd, 4 * PAGE))
		_exit(2);
	t->at = map(4 * PAGE, BOTH, MAP_SHARED, fd);
	t->other = map(4 * PAGE, PROT_READ, MAP_SHARED, fd);
	memcpy(t->at + PAGE + 5, &address, sizeof(address));
	return fd;
}

static void prepare_twice(struct told *t)
{
	make_twice(t);
}

static void prepare_second_view(struct told *t)
{
	make_twice(t);
	munmap(t->at, 4 * PAGE);
}

/* As before, but the only address lies across two pages. */
static void prepare_across(struct told *t)
{
	uint8_t *last;

	make_twice(t);
	last = t->at + 2 * PAGE - 3;
	memset(t->at + PAGE, 0, PAGE);
	memcpy(last, &t->other, sizeof(t->other));
	munmap(t->at, 4 * PAGE);
	((volatile uint8_t *)t->other)[2 * PAGE]; /* the first three bytes stay unseen */
	madvise(t->other, 2 * PAGE, MADV_DONTNEED);
}

static void prepare_harmless_view(struct told *t)
{
	make_twice(t);
	memset(t->at + PAGE, HARMLESS, PAGE);
	munmap(t->at, 4 * PAGE);
}

static void prepare_private_view(struct told *t)
{
	int fd = make_twice(t);

	munmap(t->at, 4 * PAGE);
	munmap(t->other, 4 * PAGE);
	t->at = map(4 * PAGE, PROT_READ, MAP_PRIVATE, fd);
}

static void test_mapped_twice(void **state)
{
	struct looked c = start(prepare_twice);

	(void)state;
	check(&c, ".x..", "....", NULL);
	finish(&c);
	c = start(prepare_second_view);
	check(&c, NULL, "....", "not mapped in");
	finish(&c);
	c = start(prepare_across);
	check(&c, NULL, NULL, "not mapped in");
	finish(&c);
	c = start(prepare_harmless_view);
	check(&c, NULL, "....", NULL);
	finish(&c);
	c = start(prepare_private_view);
	check(&c, "....", NULL, "not mapped in");
	finish(&c);
}

/* -- shared files ----------------------------------------------------------------------------- */

static int make_file(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, 4 * PAGE))
		_exit(2);
	return fd;
}

static void prepare_hole(struct told *t)
{
	t->at = map(4 * PAGE, BOTH, MAP_SHARED, make_file("hole"));
	memset(t->at + PAGE, HARMLESS, PAGE);
}

static void prepare_forgotten_page(struct told *t)
{
	prepare_hole(t);
	memcpy(t->at + PAGE, &t->at, sizeof(t->at));
	madvise(t->at, 4 * PAGE, MADV_DONTNEED);
}

static void prepare_harmless_page(struct told *t)
{
	prepare_hole(t);
	madvise(t->at, 4 * PAGE, MADV_DONTNEED);
}

static void prepare_read_only(struct told *t)
{
	int fd = make_file("content");

	if (pwrite(fd, &t, sizeof(t), PAGE) != sizeof(t))
		_exit(2);
	t->at = map(4 * PAGE, PROT_READ, MAP_SHARED, fd);
}

/* A mount that the process does not see (in a chroot, say) may be anything. */
static bool folder_is_on_a_known_mount(void)
{
	char *mounts = procfs_read("/proc/self/mountinfo", NULL), key[64];
	struct stat st;
	bool known;

	assert_non_null(mounts);
	assert_int_equal(stat(folder, &st), 0);
	snprintf(key, sizeof(key), " %u:%u /", major(st.st_dev), minor(st.st_dev));
	known = strstr(mounts, key) != NULL;
	free(mounts);
	return known;
}

static void test_shared_files(void **state)
{
	struct looked c;

	(void)state;
	if (!folder_is_on_a_known_mount())
		skip();
	c = start(prepare_hole);
	check(&c, ".x..", NULL, NULL);
	finish(&c);
	c = start(prepare_forgotten_page);
	check(&c, "....", NULL, "not mapped in");
	finish(&c);
	c = start(prepare_harmless_page);
	check(&c, "....", NULL, NULL);
	finish(&c);
	c = start(prepare_read_only);
	check(&c, NULL, NULL, NULL);
	finish(&c);
}

static void prepare_table(struct told *t)
{
	t->at = map(4 * PAGE, BOTH, MAP_SHARED, make_file("123.456.0.strand"));
	t->other = map(4 * PAGE, BOTH, MAP_SHARED, make_file("my.strand"));
	t->at[0] = t->other[0] = 1;
}

static void test_table(void **state)
{
	struct looked c;

	(void)state;
	if (!folder_is_on_a_known_mount())
		skip();
	c = start(prepare_table);
	check(&c, "....", "x...", NULL);
	finish(&c);
}

/* -- the look itself -------------------------------------------------------------------------- */

static long status_number(pid_t pid, const char *key)
{
	char path[64], text[4096];
	const char *value;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	assert_true(procfs_read_into(path, text, sizeof(text)) > 0);
	value = procfs_find_field(text, key);
	assert_non_null(value);
	return strtol(value, NULL, 10);
}

static void test_no_trace(void **state)
{
	static const char *const keys[] = { "VmRSS", "VmPTE", "VmSwap" };
	void (*const prepare[])(struct told *) = { prepare_huge, prepare_second_view,
						   prepare_forgotten_page };

	(void)state;
	for (size_t i = 0; i < sizeof(prepare) / sizeof(prepare[0]); i++) {
		struct looked c = start(prepare[i]);
		long before[3];
		struct pages p;

		for (int k = 0; k < 3; k++)
			before[k] = status_number(c.pid, keys[k]);
		for (int plain = 0; plain < 2; plain++) {
			list(&c, plain, &p);
			pages_free(&p);
		}
		for (int k = 0; k < 3; k++)
			assert_int_equal(status_number(c.pid, keys[k]), before[k]);
		finish(&c);
	}
}

static bool is_expired(void *ctx)
{
	(*(int *)ctx)++;
	return true;
}

static void test_expired(void **state)
{
	struct looked c = start(prepare_private);
	struct maps maps;
	struct pages p;
	struct err e = { 0 };
	int asked = 0;

	(void)state;
	assert_int_equal(maps_read(c.pid, &maps, &e), 0);
	assert_int_equal(pages_list(c.pid, &maps, is_expired, &asked, &p, &e), ERR_TIMEOUT);
	assert_int_equal(e.code, ERR_TIMEOUT);
	assert_true(asked > 0);
	pages_free(&p);
	finish(&c);
	maps_free(&maps);
}

static void test_gone(void **state)
{
	struct looked c = start(prepare_private);
	struct maps maps;
	struct pages p;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(maps_read(c.pid, &maps, &e), 0);
	finish(&c);
	assert_true(pages_list(c.pid, &maps, NULL, NULL, &p, &e) < 0);
	assert_true(e.code < 0);
	pages_free(&p);
	maps_free(&maps);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "hole", "content", "123.456.0.strand", "my.strand" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_private),	     cmocka_unit_test(test_page_of_zeros),
		cmocka_unit_test(test_private_file), cmocka_unit_test(test_huge),
		cmocka_unit_test(test_shared),	     cmocka_unit_test(test_mapped_twice),
		cmocka_unit_test(test_shared_files), cmocka_unit_test(test_table),
		cmocka_unit_test(test_no_trace),     cmocka_unit_test(test_expired),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
