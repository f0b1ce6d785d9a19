/* SPDX-License-Identifier: MIT
 *
 * Modules: of this very process, of a made-up map over the sample, of files that are deleted or
 * mapped for other reasons, and of damaged copies of the sample.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "sample.h"
#include "target/elf_file.h"
#include "target/module_open.h"

static char static_byte = 1;
static char zeroed_byte;

struct view {
	struct maps maps;
	struct modules *mods;
};

static void view_open(struct view *v, pid_t pid)
{
	struct err e;

	assert_int_equal(maps_read(pid, &v->maps, &e), 0);
	assert_int_equal(modules_open(pid, &v->maps, &v->mods, &e), 0);
}

static void view_sample(struct view *v, const struct sample *s, uint64_t base)
{
	struct err e;

	sample_map(s, base, &v->maps);
	assert_int_equal(modules_open(getpid(), &v->maps, &v->mods, &e), 0);
}

static void view_close(struct view *v)
{
	modules_close(v->mods);
	maps_free(&v->maps);
}

static const struct module *by_name(const struct view *v, const char *name)
{
	for (size_t i = 0; i < modules_count(v->mods); i++)
		if (!strcmp(modules_get(v->mods, i)->name, name))
			return modules_get(v->mods, i);
	return NULL;
}

static void test_own_process(void **state)
{
	const struct module *self, *libc;
	struct module_symbol sym;
	struct view v;
	size_t n;

	(void)state;
	view_open(&v, getpid());
	n = modules_count(v.mods);
	assert_true(n >= 4);
	for (size_t i = 1; i < n; i++)
		assert_true(modules_get(v.mods, i - 1)->start < modules_get(v.mods, i)->start);

	self = modules_find(v.mods, (uintptr_t)&test_own_process);
	assert_non_null(self);
	assert_true(self->main_program);
	assert_true(self->fd >= 0);
	assert_string_equal(self->name, "test_modules");
	assert_ptr_equal(modules_find(v.mods, (uintptr_t)&static_byte), self);
	assert_ptr_equal(modules_find(v.mods, (uintptr_t)&zeroed_byte), self);
	assert_ptr_equal(modules_find(v.mods, (uintptr_t) "text"), self);
	assert_true(module_imports(self, "pthread_create"));
	assert_false(module_imports(self, "pthread_no_such_thing"));
	assert_true(module_has_section(self, ".text"));
	assert_false(module_has_section(self, ".no.such.section"));
	assert_true(module_find_symbol(self, "main", true, &sym));
	assert_false(module_find_symbol(self, "no_such_symbol", true, &sym));

	libc = by_name(&v, "libc.so.6");
	assert_non_null(libc);
	assert_string_equal(libc->soname, "libc.so.6");
	assert_false(libc->main_program);
	assert_true(module_find_symbol(libc, "getppid", false, &sym));
	assert_true(sym.address == (uintptr_t)dlvsym(RTLD_NEXT, "getppid", "GLIBC_2.2.5"));
	assert_true(sym.bytes > 0);
	assert_null(modules_find(v.mods, (uintptr_t)&n));
	assert_null(modules_find(v.mods, 0));
	assert_null(modules_find(v.mods, UINT64_MAX));
	view_close(&v);
}

static void *do_nothing(void *arg)
{
	return arg;
}

/* Two versions of a symbol: the default one is meant. */
static void test_default_version(void **state)
{
	const struct module *libc;
	struct module_symbol sym;
	pthread_t thread;
	struct view v;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, do_nothing, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	view_open(&v, getpid());
	libc = by_name(&v, "libc.so.6");
	assert_true(module_find_symbol(libc, "pthread_cond_wait", false, &sym));
	assert_true(sym.address ==
		    (uintptr_t)dlvsym(RTLD_NEXT, "pthread_cond_wait", "GLIBC_2.3.2"));
	view_close(&v);
}

static void test_vdso(void **state)
{
	uint64_t at = getauxval(AT_SYSINFO_EHDR);
	const struct module *vdso;
	struct module_symbol sym;
	unsigned char bytes[16];
	struct view v;

	(void)state;
	if (!at)
		skip();
	view_open(&v, getpid());
	vdso = by_name(&v, "[vdso]");
	assert_non_null(vdso);
	assert_true(vdso->start == at);
	assert_ptr_equal(modules_find(v.mods, at), vdso);
	assert_true(module_find_symbol(vdso, "__vdso_clock_gettime", false, &sym));
	assert_true(sym.address > vdso->start && sym.address < vdso->end);
	assert_int_equal(modules_read(v.mods, sym.address, bytes, sizeof(bytes)), sizeof(bytes));
	assert_memory_equal(bytes, (void *)(uintptr_t)sym.address, sizeof(bytes));
	view_close(&v);
}

static void test_read(void **state)
{
	static const char text[] = "only in this file";
	char bytes[sizeof(text)];
	struct view v;

	(void)state;
	view_open(&v, getpid());
	assert_int_equal(modules_read(v.mods, (uintptr_t)text, bytes, sizeof(bytes)),
			 sizeof(bytes));
	assert_string_equal(bytes, text);
	assert_int_equal(modules_read(v.mods, (uintptr_t)&test_read, bytes, sizeof(bytes)),
			 sizeof(bytes));
	assert_memory_equal(bytes, (void *)&test_read, sizeof(bytes));
	assert_int_equal(modules_read(v.mods, (uintptr_t)&zeroed_byte, bytes, 1), 0);
	assert_int_equal(modules_read(v.mods, (uintptr_t)&bytes, bytes, sizeof(bytes)), 0);
	view_close(&v);
}

/* Map all of a file for execution at once, as a loader would not. */
static void *map_file(const char *path, int protection, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	*size = (size_t)st.st_size;
	p = mmap(NULL, *size, protection, MAP_PRIVATE, fd, 0);
	assert_true(p != MAP_FAILED);
	close(fd);
	return p;
}

/* Data files, an ELF file that is only read, and code that is no ELF file are no modules. */
static void test_other_mappings(void **state)
{
	static const char script[] = "not an ELF file, although it is mapped for execution";
	struct sample s;
	struct view v;
	void *a, *b;
	size_t n, m;

	(void)state;
	sample_read(&s);
	sample_write(&s, s.bytes, s.size);
	a = map_file(s.path, PROT_READ, &n);
	view_open(&v, getpid());
	assert_null(modules_find(v.mods, (uintptr_t)a));
	view_close(&v);
	munmap(a, n);

	sample_write(&s, script, sizeof(script));
	b = map_file(s.path, PROT_READ | PROT_EXEC, &m);
	view_open(&v, getpid());
	assert_null(modules_find(v.mods, (uintptr_t)b));
	view_close(&v);
	munmap(b, m);
	sample_end(&s);
}

/* The segments of the sample, where a loader would put them. */
static unsigned char *load_sample(const struct sample *s)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)s->bytes;
	const Elf64_Phdr *p = (const Elf64_Phdr *)(s->bytes + h->e_phoff);
	size_t room = 1 << 20;
	unsigned char *base;
	int fd = open(s->path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	base = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(base != MAP_FAILED);
	for (int i = 0; i < h->e_phnum; i++) {
		uint64_t before = p[i].p_vaddr & 4095;
		int protection = PROT_READ | (p[i].p_flags & PF_W ? PROT_WRITE : 0) |
				 (p[i].p_flags & PF_X ? PROT_EXEC : 0);

		if (p[i].p_type != PT_LOAD)
			continue;
		assert_true(mmap(base + p[i].p_vaddr - before, p[i].p_filesz + before, protection,
				 MAP_PRIVATE | MAP_FIXED, fd,
				 (off_t)(p[i].p_offset - before)) != MAP_FAILED);
	}
	close(fd);
	return base;
}

/* The same file loaded twice is two modules, each with its own symbols; deleted meanwhile it is
 * still known, and read where that is permitted. */
static void test_twice_and_deleted(void **state)
{
	const struct module *one, *two;
	struct module_symbol a, b;
	unsigned char *p, *q;
	struct sample s;
	struct view v;

	(void)state;
	sample_read(&s);
	sample_write(&s, s.bytes, s.size);
	p = load_sample(&s);
	q = load_sample(&s);
	view_open(&v, getpid());
	one = modules_find(v.mods, (uintptr_t)p + 0x1000);
	two = modules_find(v.mods, (uintptr_t)q + 0x1000);
	assert_non_null(one);
	assert_non_null(two);
	assert_true(one != two);
	assert_string_equal(one->name, "a sample");
	assert_string_equal(one->path, s.path);
	assert_true(one->bias == (uintptr_t)p && two->bias == (uintptr_t)q);
	assert_false(one->main_program || two->main_program);
	assert_true(module_find_symbol(one, "sample_outer", true, &a));
	assert_true(module_find_symbol(two, "sample_outer", true, &b));
	assert_true(a.address - b.address == (uintptr_t)p - (uintptr_t)q);
	assert_memory_equal((void *)(uintptr_t)a.address, (void *)(uintptr_t)b.address, a.bytes);
	view_close(&v);

	unlink(s.path);
	view_open(&v, getpid());
	one = modules_find(v.mods, (uintptr_t)p + 0x1000);
	assert_non_null(one);
	assert_string_equal(one->name, "a sample");
	assert_true(one->start == (uintptr_t)p);
	assert_true(module_find_symbol(one, "main", false, &a) || one->fd >= 0);
	view_close(&v);
	munmap(p, 1 << 20);
	munmap(q, 1 << 20);
	sample_end(&s);
}

/* The C library put together again from memory: its text, and its symbols although the loader has
 * changed the dynamic segment. */
static void test_copy(void **state)
{
	const struct elf_symbols *symbols;
	const struct mapping *map;
	unsigned char bytes[64];
	uint64_t offset, room;
	struct elf_file *f;
	struct view v;
	bool found = false;
	int fd;

	(void)state;
	view_open(&v, getpid());
	map = maps_find(&v.maps, (uintptr_t)&getppid);
	fd = module_copy_file(getpid(), &v.maps, map);
	assert_true(fd >= 0);
	assert_int_equal(elf_file_open(fd, &f), 0);
	symbols = elf_file_dynsym(f);
	assert_true(symbols->n > 1000);
	for (size_t i = 1; i < symbols->n && !found; i++) {
		if (strcmp(elf_symbols_name(symbols, i), "getppid"))
			continue;
		found = true;
		assert_true(elf_file_locate(f, symbols->v[i].st_value, &offset, &room));
		assert_int_equal(elf_file_read(f, offset, bytes, sizeof(bytes)), sizeof(bytes));
		assert_memory_equal(bytes, (void *)&getppid, sizeof(bytes));
	}
	assert_true(found);
	elf_file_close(f);
	assert_int_equal(module_copy_file(getpid(), &v.maps, maps_find(&v.maps, (uintptr_t)&v)),
			 -1);
	view_close(&v);
}

/* A path that leads to another file now must not be taken for the mapped one. */
static void test_replaced(void **state)
{
	const struct module *m;
	char other[256];
	struct sample s;
	struct view v;

	(void)state;
	sample_read(&s);
	sample_write(&s, s.bytes, s.size);
	sample_map(&s, SAMPLE_BASE, &v.maps);
	snprintf(other, sizeof(other), "%s-kept", s.path);
	assert_int_equal(rename(s.path, other), 0); /* keeps its inode busy */
	sample_write(&s, s.bytes, s.size);
	assert_int_equal(modules_open(getpid(), &v.maps, &v.mods, NULL), 0);
	m = modules_find(v.mods, SAMPLE_BASE + 0x1000);
	assert_non_null(m);
	assert_int_equal(m->fd, -1);
	assert_true(m->start == SAMPLE_BASE);
	assert_string_equal(m->name, "a sample");
	view_close(&v);
	unlink(other);
	sample_end(&s);
}

/* Another module in a hole between segments, and what lies behind it. */
static void test_hole(void **state)
{
	static const char text[] = "10000-11000 r-xp 00000000 00:01 71 /no/such/outer\n"
				   "20000-21000 r-xp 00000000 00:01 72 /no/such/inner\n"
				   "30000-31000 rw-p 00002000 00:01 71 /no/such/outer\n"
				   "40000-41000 rw-p 00000000 00:01 73 /no/such/data\n";
	struct view v;

	(void)state;
	assert_int_equal(maps_parse(strdup(text), &v.maps, NULL), 0);
	assert_int_equal(modules_open(getpid(), &v.maps, &v.mods, NULL), 0);
	assert_int_equal(modules_count(v.mods), 2);
	assert_string_equal(modules_find(v.mods, 0x10800)->name, "outer");
	assert_string_equal(modules_find(v.mods, 0x20800)->name, "inner");
	assert_string_equal(modules_find(v.mods, 0x30800)->name, "outer");
	assert_null(modules_find(v.mods, 0x31000));
	assert_null(modules_find(v.mods, 0x40800));
	assert_null(modules_find(v.mods, 0xf000));
	view_close(&v);
}

/* Without section headers the dynamic segment and its hash table must do. */
static void test_no_sections(void **state)
{
	const struct module *m;
	struct module_symbol sym;
	unsigned char *bytes;
	struct sample s;
	struct view v;

	(void)state;
	sample_read(&s);
	bytes = malloc(s.size);
	memcpy(bytes, s.bytes, s.size);
	((Elf64_Ehdr *)bytes)->e_shoff = 0;
	((Elf64_Ehdr *)bytes)->e_shnum = 0;
	sample_write(&s, bytes, s.size);
	view_sample(&v, &s, SAMPLE_BASE);
	m = modules_find(v.mods, SAMPLE_BASE + 0x1000);
	assert_non_null(m);
	assert_true(m->fd >= 0);
	assert_true(module_imports(m, "snprintf") || module_imports(m, "__snprintf_chk"));
	assert_false(module_has_section(m, ".text"));
	assert_false(module_find_symbol(m, "sample_outer", true, &sym));
	view_close(&v);
	free(bytes);
	sample_end(&s);
}

/* A file that shrinks after it was opened: what was not read before is gone, and no more. */
static void test_truncated(void **state)
{
	struct module_symbol sym;
	const struct module *m;
	unsigned char bytes[64];
	struct sample s;
	struct view v;

	(void)state;
	sample_read(&s);
	sample_write(&s, s.bytes, s.size);
	view_sample(&v, &s, SAMPLE_BASE);
	m = modules_find(v.mods, SAMPLE_BASE + 0x1000);
	assert_int_equal(truncate(s.path, 100), 0);
	assert_false(module_find_symbol(m, "sample_outer", true, &sym));
	assert_true(modules_read(v.mods, SAMPLE_BASE + 0x1000, bytes, sizeof(bytes)) <=
		    sizeof(bytes));
	view_close(&v);
	sample_end(&s);
}

static void test_damaged(void **state)
{
	struct module_symbol sym;
	uint64_t seed = 1;
	struct sample s;
	struct view v;

	(void)state;
	sample_read(&s);
	for (int round = 0; round < 1500; round++) {
		sample_write_damaged(&s, &seed);
		view_sample(&v, &s, SAMPLE_BASE);
		for (size_t i = 0; i < modules_count(v.mods); i++) {
			const struct module *m = modules_get(v.mods, i);
			unsigned char bytes[100];

			module_find_symbol(m, "no_such_symbol", true, &sym);
			module_find_symbol(m, "sample_outer", true, &sym);
			module_imports(m, "no_such_symbol");
			module_has_section(m, ".no.such.section");
			assert_true(m->build_id_bytes <= sizeof(m->build_id));
			for (uint64_t at = 0; at < 0x5000; at += 0x333)
				assert_true(modules_read(v.mods, SAMPLE_BASE + at, bytes,
							 sizeof(bytes)) <= sizeof(bytes));
		}
		view_close(&v);
	}
	sample_end(&s);
}

/* A process that is gone, or has nothing. */
static void test_no_process(void **state)
{
	struct view v;

	(void)state;
	assert_int_equal(maps_parse(strdup(""), &v.maps, NULL), 0);
	assert_int_equal(modules_open(getpid(), &v.maps, &v.mods, NULL), 0);
	assert_int_equal(modules_count(v.mods), 0);
	assert_null(modules_find(v.mods, 0x1000));
	view_close(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_process),
		cmocka_unit_test(test_default_version),
		cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_other_mappings),
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_twice_and_deleted),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_no_sections),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_no_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
