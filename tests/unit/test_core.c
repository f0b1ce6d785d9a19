/* SPDX-License-Identifier: MIT
 *
 * Cores made by hand (tests/lib/sample_core.h): what is read of them, what is refused, what is said.
 */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/sample_core.h"
#include "target/core.h"

static struct sample_core sample;

static int sample_file(size_t bytes)
{
	int fd = memfd_create("core", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, sample.bytes, bytes), bytes);
	return fd;
}

static struct core *open_sample(const char *sysroot)
{
	int fd = sample_file(sample.n);
	struct core *c = NULL;
	struct err e = { 0 };

	if (core_open_fd(fd, "core", NULL, sysroot, &c, &e))
		fail_msg("%d: %s", e.code, e.what);
	return c;
}

static void assert_refused(size_t bytes, int code)
{
	int fd = sample_file(bytes);
	struct core *c = NULL;
	struct err e = { 0 };

	assert_int_equal(core_open_fd(fd, "core", NULL, "/proc/self/fdinfo", &c, &e), code);
	assert_null(c);
	assert_int_equal(e.code, code);
	assert_int_equal(close(fd), 0); /* it stays the caller's */
}

static struct core *open_shape(const struct sample_core_shape *s)
{
	sample_core_make(&sample, s);
	return open_sample("/proc/self/fdinfo");
}

static struct core *open_usual(void)
{
	struct sample_core_shape s = sample_core_usual();

	return open_shape(&s);
}

static bool remarks(const struct core *c, const char *part)
{
	size_t n;
	const char *const *v = core_remarks(c, &n);

	for (size_t i = 0; i < n; i++)
		if (strstr(v[i], part))
			return true;
	return false;
}

static void test_process(void **state)
{
	struct core *c = open_usual();
	struct target *t;
	struct err e;

	(void)state;
	assert_string_equal(core_name(c), "shop");
	assert_int_equal(core_make_target(c, &t, &e), 0);
	assert_int_equal(t->pid, SAMPLE_CORE_PID);
	assert_int_equal(t->ppid, 4000);
	assert_string_equal(t->exe, SAMPLE_CORE_PATH);
	assert_string_equal(t->argv[0], "./shop");
	assert_string_equal(t->argv[1], "--port");
	assert_string_equal(t->argv[2], "8 0");
	assert_null(t->argv[3]);
	assert_false(t->forked);
	target_close(t);
	core_close(c);
}

/* What is unknown is the milder of the two. */
static void test_forked(void **state)
{
	static const uint64_t flags[] = { 0, 0x400040 };
	struct sample_core_shape s = sample_core_usual();
	struct target *t;
	struct err e;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct core *c;

		s.flags = flags[i];
		c = open_shape(&s);
		assert_int_equal(core_make_target(c, &t, &e), 0);
		assert_true(t->forked && t->renumbered);
		target_close(t);
		core_close(c);
	}
}

static void test_arguments_without_stack(void **state)
{
	struct sample_core_shape s = sample_core_usual();
	struct core *c;
	struct target *t;
	struct err e;

	(void)state;
	sample_core_make(&sample, &s);
	memset(sample.bytes + sample.segments[6].p_offset, 0, SAMPLE_CORE_PAGE);
	c = open_sample("/proc/self/fdinfo");
	assert_int_equal(core_make_target(c, &t, &e), 0);
	assert_string_equal(t->argv[0], "shop");
	assert_string_equal(t->argv[2], "80");
	assert_null(t->argv[3]);
	target_close(t);
	core_close(c);
}

static void test_threads(void **state)
{
	struct core *c = open_usual();
	uint8_t buf[1000];
	struct stop *s;
	struct err e;

	(void)state;
	assert_int_equal(core_make_stop(c, 0, &s, &e), 0);
	assert_int_equal(stop_count(s), SAMPLE_CORE_THREADS);
	for (size_t i = 0; i < SAMPLE_CORE_THREADS; i++) {
		const struct stop_thread *t = stop_thread(s, i);

		assert_int_equal(t->tid, SAMPLE_CORE_PID + i);
		assert_int_equal(t->tid_ns, t->tid);
		assert_int_equal(t->state, STOP_THREAD_STOPPED);
		assert_int_equal(t->blocked_signals, i);
		assert_int_equal(arch_syscall_argument(&t->regs, 0),
				 SAMPLE_CORE_HEAP + 64 + i * 64);
		assert_true(arch_syscall_restarts(&t->regs));
		assert_int_equal(stop_read_vector(s, i, buf, sizeof(buf)), 832);
		assert_int_equal(buf[831], 0xa0 + i);
		assert_int_equal(stop_read_vector(s, i, buf, 16), 16);
	}
	stop_free(s);
	core_close(c);
}

static void test_main_gone(void **state)
{
	struct sample_core_shape shape = sample_core_usual();
	struct core *c;
	struct stop *s;
	struct err e;

	(void)state;
	shape.tids[0] = SAMPLE_CORE_PID + 3;
	c = open_shape(&shape);
	assert_int_equal(core_make_stop(c, 0, &s, &e), 0);
	assert_int_equal(stop_count(s), SAMPLE_CORE_THREADS + 1);
	assert_int_equal(stop_thread(s, 0)->tid, SAMPLE_CORE_PID);
	assert_int_equal(stop_thread(s, 0)->state, STOP_THREAD_ENDED);
	stop_free(s);
	core_close(c);
}

/* Numbers of another PID namespace: descriptors at fs_base + 208 here. */
static void test_translated_tids(void **state)
{
	struct sample_core_shape shape = sample_core_usual();
	const int inner[SAMPLE_CORE_THREADS] = { 1, 5, 7 };
	struct core *c;
	struct stop *s;
	struct err e;

	(void)state;
	for (int same = 0; same < 2; same++) {
		uint8_t *heap;

		sample_core_make(&sample, &shape);
		heap = sample.bytes + sample.segments[5].p_offset;
		for (size_t i = 0; i < SAMPLE_CORE_THREADS; i++)
			memcpy(heap + 0x400 + i * 0x100 + 208, &inner[same ? 0 : i], sizeof(int));
		c = open_sample("/proc/self/fdinfo");
		assert_int_equal(core_make_stop(c, 208, &s, &e), 0);
		for (size_t i = 0; i < SAMPLE_CORE_THREADS; i++)
			assert_int_equal(stop_thread(s, i)->tid_ns,
					 same ? stop_thread(s, i)->tid : inner[i]);
		stop_free(s);
		core_close(c);
	}
}

static size_t read_at(const struct core *c, uint64_t address, uint8_t *buf, size_t bytes)
{
	struct memory_source m = core_source(c);

	return m.read(m.ctx, address, buf, bytes);
}

static void test_memory(void **state)
{
	struct core *c = open_usual();
	uint8_t buf[8192];

	(void)state;
	assert_int_equal(read_at(c, SAMPLE_CORE_PROGRAM + 1, buf, 3), 3);
	assert_memory_equal(buf, "ELF", 3);
	/* Its text is in a file that is not there. */
	assert_int_equal(read_at(c, SAMPLE_CORE_PROGRAM, buf, sizeof(buf)), 4096);
	assert_int_equal(read_at(c, SAMPLE_CORE_PROGRAM + 0x1000, buf, 8), 0);
	assert_int_equal(read_at(c, SAMPLE_CORE_PROGRAM + 0x3ffc, buf, 8), 4);
	assert_int_equal(buf[0], 3);
	assert_int_equal(read_at(c, SAMPLE_CORE_HEAP - 1, buf, 8), 0);
	assert_int_equal(read_at(c, UINT64_MAX, buf, 8), 0);
	core_close(c);
}

static void test_maps(void **state)
{
	struct core *c = open_usual();
	const struct maps *m = core_maps(c);

	(void)state;
	assert_int_equal(m->n, 6);
	assert_string_equal(m->v[1].path, SAMPLE_CORE_PATH);
	assert_true(m->v[1].exec && !m->v[1].write);
	assert_int_equal(m->v[3].offset, 3 * SAMPLE_CORE_PAGE);
	assert_true(m->v[3].write && !m->v[3].shared && m->v[3].inode);
	assert_string_equal(m->v[4].path, "[heap]");
	assert_int_equal(m->v[4].inode, 0);
	assert_string_equal(m->v[5].path, "[stack]");
	assert_true(remarks(c, "is not there"));
	core_close(c);
}

/* gcore leaves text out: it is known by the list of files, what it is by the file's head. */
static void test_maps_of_gcore(void **state)
{
	struct sample_core_shape s = sample_core_usual();
	const struct maps *m;
	struct core *c;

	(void)state;
	s.text_dumped = false;
	s.shared_file = true;
	c = open_shape(&s);
	m = core_maps(c);
	assert_int_equal(m->n, 6);
	assert_true(m->v[1].exec && m->v[1].read && !m->v[1].write);
	assert_string_equal(m->v[3].path, "/var/shop.db");
	assert_true(m->v[3].shared);
	core_close(c);
}

static void test_pages(void **state)
{
	struct sample_core_shape s = sample_core_usual();
	struct core *c = open_usual();
	struct pages p;
	struct err e;

	(void)state;
	assert_int_equal(core_list_pages(c, &p, &e), 0);
	assert_int_equal(p.n, 4);
	assert_int_equal(p.v[2].start, SAMPLE_CORE_HEAP);
	assert_int_equal(p.bytes, 4 * SAMPLE_CORE_PAGE);
	assert_null(p.unread);
	pages_free(&p);
	core_close(c);
	s.shared_file = true;
	sample_core_make(&sample, &s);
	sample.segments[4].p_filesz = 0;
	c = open_sample("/proc/self/fdinfo");
	assert_int_equal(core_list_pages(c, &p, &e), 0);
	assert_non_null(p.unread);
	pages_free(&p);
	core_close(c);
}

static void test_cut(void **state)
{
	struct sample_core_shape s = sample_core_usual();
	struct core *c;
	uint8_t buf[8];

	(void)state;
	sample_core_make(&sample, &s);
	for (size_t n = 0; n < sample.notes_at + sample.notes_bytes; n += n < 70 ? 1 : 61) {
		int fd = sample_file(n);
		struct err e = { 0 };

		assert_true(core_open_fd(fd, "core", NULL, NULL, &c, &e) < 0);
		close(fd);
	}
	assert_refused(sample.notes_at + sample.notes_bytes - 1, ERR_CORE_CUT);
	sample.n -= SAMPLE_CORE_PAGE / 2;
	c = open_sample("/proc/self/fdinfo");
	assert_true(core_is_partial(c));
	assert_true(remarks(c, "cut short by 2048 bytes"));
	assert_int_equal(read_at(c, SAMPLE_CORE_STACK + SAMPLE_CORE_PAGE / 2 - 4, buf, 8), 4);
	assert_int_equal(read_at(c, SAMPLE_CORE_STACK + SAMPLE_CORE_PAGE / 2, buf, 8), 0);
	core_close(c);
}

static void test_damaged(void **state)
{
	struct sample_core_shape s = sample_core_usual();
	struct core *c;

	(void)state;
	s.tids[2] = s.tids[1];
	sample_core_make(&sample, &s);
	assert_refused(sample.n, ERR_BAD_FORMAT);
	s = sample_core_usual();
	sample_core_make(&sample, &s);
	sample.segments[5].p_vaddr = SAMPLE_CORE_STACK - 1;
	assert_refused(sample.n, ERR_BAD_FORMAT);
	sample_core_make(&sample, &s);
	sample.segments[5].p_filesz = UINT64_MAX;
	assert_refused(sample.n, ERR_BAD_FORMAT);
	sample_core_make(&sample, &s);
	sample.bytes[sample.notes_at] = 255; /* the length of the first note's name */
	sample.bytes[sample.notes_at + 1] = 255;
	assert_refused(sample.n, ERR_CORE_CUT);
	s.damaged_files = true;
	c = open_shape(&s);
	assert_true(remarks(c, "list of mapped files is damaged"));
	assert_int_equal(core_maps(c)->v[1].inode, 0);
	core_close(c);
}

static void test_machines(void **state)
{
	struct sample_core_shape s = sample_core_usual();

	(void)state;
	sample_core_make(&sample, &s);
	((Elf64_Ehdr *)(void *)sample.bytes)->e_machine = EM_AARCH64;
	assert_refused(sample.n, ERR_CORE_MACHINE);
	sample.bytes[EI_CLASS] = ELFCLASS32;
	assert_refused(sample.n, ERR_CORE_MACHINE);
	((Elf64_Ehdr *)(void *)sample.bytes)->e_type = ET_DYN;
	assert_refused(sample.n, ERR_CORE);
	assert_refused(0, ERR_CORE);
}

/* A root of its own with the program in it; `byte` changes its build id. */
static void make_root(char *root, size_t size, int byte)
{
	uint8_t page[SAMPLE_CORE_PAGE];
	char path[200];
	int fd;

	snprintf(root, size, "/tmp/strand-core-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/srv", root);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s" SAMPLE_CORE_PATH, root);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	sample_core_head(page);
	page[SAMPLE_CORE_BUILD_ID_AT] += (uint8_t)byte;
	assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	memset(page, 'x', sizeof(page));
	for (int i = 0; i < 3; i++)
		assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	close(fd);
}

static void remove_root(const char *root)
{
	char path[200];

	snprintf(path, sizeof(path), "%s" SAMPLE_CORE_PATH, root);
	unlink(path);
	snprintf(path, sizeof(path), "%s/srv", root);
	rmdir(path);
	rmdir(root);
}

static void test_files(void **state)
{
	struct modules *mods;
	char root[64];
	uint8_t buf[8];
	struct core *c;
	struct err e;
	int fd;

	(void)state;
	core_close(open_usual());
	make_root(root, sizeof(root), 0);
	c = open_sample(root);
	assert_int_equal(read_at(c, SAMPLE_CORE_PROGRAM + 0x1ffc, buf, 8), 8);
	assert_memory_equal(buf, "xxxxxxxx", 8); /* text and read-only data */
	assert_int_equal(read_at(c, SAMPLE_CORE_PROGRAM + 0x3000, buf, 8), 8);
	assert_int_equal(buf[0], 3); /* data are those of the core */
	assert_int_equal(core_open_modules(c, &mods, &e), 0);
	assert_int_equal(modules_count(mods), 1);
	assert_true(modules_get(mods, 0)->main_program);
	assert_int_equal(modules_get(mods, 0)->build_id_bytes, 8);
	assert_int_equal(modules_get(mods, 0)->start, SAMPLE_CORE_PROGRAM);
	assert_int_equal(modules_get(mods, 0)->end, SAMPLE_CORE_PROGRAM + 0x4000);
	modules_close(mods);
	core_close(c);
	remove_root(root);

	make_root(root, sizeof(root), 1);
	fd = sample_file(sample.n);
	assert_int_equal(core_open_fd(fd, "core", NULL, root, &c, &e), ERR_BUILD_ID);
	assert_non_null(strstr(e.what, "73686f702d312e30 ran")); /* shop-1.0 */
	close(fd);
	remove_root(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_forked),
		cmocka_unit_test(test_arguments_without_stack),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_main_gone),
		cmocka_unit_test(test_translated_tids),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_maps_of_gcore),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_machines),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
