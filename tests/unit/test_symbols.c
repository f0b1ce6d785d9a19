/* SPDX-License-Identifier: MIT
 *
 * Symbols: of this very program (whose source the expectations know), of the sample with its
 * debug information split off, of hand-made tables, and of damaged copies.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sample.h"
#include "stack/symbols.h"
#include "stack/symbols_table.h"
#include "target/elf_file.h"

/* A function that keeps its own frame, name and address. */
#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone))
#endif

struct view {
	struct maps maps;
	struct modules *mods;
	struct symbols *s;
};

static struct view own;
static volatile int sink;

static int pool_of_numbers[64];
static struct {
	char before[40];
	pthread_mutex_t lock;
} pair_of_things = { "", PTHREAD_MUTEX_INITIALIZER };
static __thread int own_number;

static int setup(void **state)
{
	struct err e;

	(void)state;
	sink += pool_of_numbers[0] + own_number + pair_of_things.before[0];
	return maps_read(getpid(), &own.maps, &e) ||
	       modules_open(getpid(), &own.maps, &own.mods, &e) ||
	       symbols_open(own.mods, getpid(), &own.s, &e);
}

static void view_close(struct view *v)
{
	symbols_close(v->s);
	modules_close(v->mods);
	maps_free(&v->maps);
}

static int teardown(void **state)
{
	(void)state;
	view_close(&own);
	return 0;
}

static bool has_dwarf(void)
{
	return module_has_section(modules_find(own.mods, (uintptr_t)&sink), ".debug_info");
}

/* Where the call of this function is, as a code address. */
static NOINLINE uint64_t here(void)
{
	sink++;
	return (uintptr_t)__builtin_return_address(0) - 1;
}

static const struct symbol_frame *find(uint64_t pc, size_t *n)
{
	const struct symbol_frame *v;

	*n = symbols_find_code(own.s, pc, &v);
	assert_true(*n >= 1);
	for (size_t i = 0; i < *n; i++)
		assert_int_equal(v[i].inlined, i + 1 < *n);
	return v;
}

static void assert_in_this_file(const char *file)
{
	size_t n = file ? strlen(file) : 0;

	assert_true(n > 14);
	assert_int_equal(file[0], '/');
	assert_string_equal(file + n - 14, "test_symbols.c");
}

enum { NAMED_LINE = __LINE__ + 2 };

static NOINLINE uint64_t named_function(void)
{
	uint64_t pc = here();

	sink++;
	return pc;
}

static void test_function(void **state)
{
	uint64_t pc = named_function();
	const struct symbol_frame *f;
	size_t n;

	(void)state;
	f = find(pc, &n);
	assert_int_equal(n, 1);
	assert_string_equal(f->function, "named_function");
	assert_true(f->function_offset == pc - (uintptr_t)&named_function);
	/* asked again the answer is the same */
	assert_ptr_equal(find(pc, &n), f);
	if (!has_dwarf())
		skip();
	assert_in_this_file(f->file);
	assert_int_equal(f->line, NAMED_LINE + 2);
	assert_int_equal(f->function_line, NAMED_LINE);
}

enum { INNER_LINE = __LINE__ + 2 };

static inline __attribute__((always_inline)) uint64_t inner_function(void)
{
	uint64_t pc = here();

	sink++;
	return pc;
}

static inline __attribute__((always_inline)) uint64_t middle_function(void)
{
	uint64_t pc = inner_function();

	sink++;
	return pc;
}

static NOINLINE uint64_t outer_function(void)
{
	uint64_t pc = middle_function();

	sink++;
	return pc;
}

static void test_inlined(void **state)
{
	uint64_t pc = outer_function();
	const struct symbol_frame *f;
	size_t n;

	(void)state;
	if (!has_dwarf())
		skip();
	f = find(pc, &n);
	assert_int_equal(n, 3);
	assert_string_equal(f[0].function, "inner_function");
	assert_string_equal(f[1].function, "middle_function");
	assert_string_equal(f[2].function, "outer_function");
	assert_int_equal(f[0].line, INNER_LINE + 2);
	assert_int_equal(f[1].line, INNER_LINE + 10);
	assert_int_equal(f[2].line, INNER_LINE + 18);
	assert_int_equal(f[0].function_line, INNER_LINE);
	assert_int_equal(f[2].function_line, INNER_LINE + 16);
	for (size_t i = 0; i < n; i++)
		assert_in_this_file(f[i].file);
	assert_true(f[2].function_offset == pc - (uintptr_t)&outer_function);
}

static void test_library(void **state)
{
	const struct symbol_frame *f;
	size_t n;

	(void)state;
	f = find((uintptr_t)&pthread_mutex_lock + 4, &n);
	assert_string_equal(f[n - 1].function, "pthread_mutex_lock");
}

static void test_unknown(void **state)
{
	static const uint64_t nowhere[] = { 0, 1, 0x1000, UINT64_MAX, 0x7fffffffffff };
	const struct symbol_frame *f;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		f = find(nowhere[i], &n);
		assert_int_equal(n, 1);
		assert_null(f->function);
		assert_null(f->file);
		assert_int_equal(f->line, 0);
		assert_null(symbols_find_data(own.s, nowhere[i]));
	}
	f = find((uintptr_t)&n, &n);
	assert_null(f->function);
	assert_null(symbols_find_data(own.s, (uintptr_t)&n));
}

static int numbers_of_this_function(int **out)
{
	static int numbered[10];

	*out = numbered;
	return numbered[3]++;
}

static void test_data(void **state)
{
	const char *name;
	int *numbered;

	(void)state;
	name = symbols_find_data(own.s, (uintptr_t)pool_of_numbers);
	assert_string_equal(name, "pool_of_numbers");
	assert_ptr_equal(symbols_find_data(own.s, (uintptr_t)pool_of_numbers), name);
	name = symbols_find_data(own.s, (uintptr_t)&pool_of_numbers[10]);
	assert_string_equal(name, "pool_of_numbers+0x28");
	name = symbols_find_data(own.s, (uintptr_t)&pair_of_things.lock);
	assert_string_equal(name, "pair_of_things+0x28");
	numbers_of_this_function(&numbered);
	/* gcc calls it numbered.0, clang numbers_of_this_function.numbered */
	name = symbols_find_data(own.s, (uintptr_t)numbered);
	assert_non_null(name);
	assert_string_equal(name + strlen(name) - strlen("numbered"), "numbered");
	assert_string_equal(symbols_find_data(own.s, (uintptr_t)&stdout), "stdout");
	/* neither code nor thread-local data is data */
	assert_null(symbols_find_data(own.s, (uintptr_t)&test_data));
	assert_null(symbols_find_data(own.s, (uintptr_t)&own_number));
}

/* One function under several names, data under several names. */
__asm__(".text\n"
	".globl __GI_many_names, _many_names, many_names, many_names_longer\n"
	".type __GI_many_names, @function\n"
	".type _many_names, @function\n"
	".type many_names, @function\n"
	".type many_names_longer, @function\n"
	"__GI_many_names:\n"
	"_many_names:\n"
	"many_names:\n"
	"many_names_longer:\n"
	"local_name:\n"
	"	nop\n	nop\n	nop\n	ret\n"
	".size __GI_many_names, 4\n"
	".size _many_names, 4\n"
	".size many_names, 4\n"
	".size many_names_longer, 4\n"
	"	.fill 512, 1, 0xcc\n"
	".data\n"
	"	.balign 64\n"
	".globl __shelf, the_shelf\n"
	".type __shelf, @object\n"
	".type the_shelf, @object\n"
	"__shelf:\n"
	"the_shelf:\n"
	"	.quad 1, 2, 3, 4\n"
	".size __shelf, 32\n"
	".size the_shelf, 32\n"
	"bare_label:\n"
	"	.quad 5, 6\n"
	".text\n");
extern char many_names[], the_shelf[];

static void test_aliases(void **state)
{
	const struct symbol_frame *f;
	size_t n;

	(void)state;
	f = find((uintptr_t)many_names + 2, &n);
	assert_string_equal(f->function, "many_names");
	assert_true(f->function_offset == 2);
	/* behind its end, where nothing is named, it must not go on */
	f = find((uintptr_t)many_names + 300, &n);
	assert_null(f->function);
	assert_string_equal(symbols_find_data(own.s, (uintptr_t)the_shelf + 8), "the_shelf+0x8");
	assert_string_equal(symbols_find_data(own.s, (uintptr_t)the_shelf + 32), "bare_label");
	assert_null(symbols_find_data(own.s, (uintptr_t)the_shelf + 40));
}

static void add_symbol(struct symbol_table *t, uint64_t start, uint64_t bytes, const char *name)
{
	t->v = realloc(t->v, (t->n + 1) * sizeof(*t->v));
	assert_non_null(t->v);
	t->v[t->n] = (struct symbol){ start, bytes, name, (uint32_t)strlen(name) };
	t->n++;
}

static const char *name_at(const struct symbol_table *t, uint64_t vaddr)
{
	const struct symbol *s = symbol_table_find(t, vaddr);

	return s ? s->name : "";
}

static void test_table(void **state)
{
	struct symbol_table t = { 0 };

	(void)state;
	assert_null(symbol_table_find(&t, 0));
	add_symbol(&t, 0x3000, 0, "label");
	add_symbol(&t, 0x1000, 0x1000, "whole");
	add_symbol(&t, 0x1100, 0x10, "nested");
	add_symbol(&t, 0x1100, 0x20, "longer_but_not_better");
	add_symbol(&t, 0x3040, 0x10, "next");
	add_symbol(&t, UINT64_MAX - 1, 1, "last");
	assert_int_equal(symbol_table_sort(&t, SYMBOLS_CODE), 0);
	assert_string_equal(name_at(&t, 0xfff), "");
	assert_string_equal(name_at(&t, 0x1000), "whole");
	assert_string_equal(name_at(&t, 0x110f), "nested");
	assert_string_equal(name_at(&t, 0x1110), "longer_but_not_better");
	assert_string_equal(name_at(&t, 0x1120), "whole");
	assert_string_equal(name_at(&t, 0x1fff), "whole");
	assert_string_equal(name_at(&t, 0x2000), "");
	assert_string_equal(name_at(&t, 0x3000), "label");
	assert_string_equal(name_at(&t, 0x303f), "label");
	assert_string_equal(name_at(&t, 0x304f), "next");
	assert_string_equal(name_at(&t, 0x3050), "");
	assert_string_equal(name_at(&t, UINT64_MAX - 1), "last");
	assert_string_equal(name_at(&t, UINT64_MAX), "");
	symbol_table_free(&t);
}

static void view_sample(struct view *v, const struct sample *s)
{
	sample_map(s, SAMPLE_BASE, &v->maps);
	assert_int_equal(modules_open(getpid(), &v->maps, &v->mods, NULL), 0);
	assert_int_equal(symbols_open(v->mods, 0, &v->s, NULL), 0);
}

/* Run a tool of binutils in the sample's directory; false if it is not there. */
static bool run(const struct sample *s, const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "cd '%s' && %s >/dev/null 2>&1", s->directory, command);
	return system(line) == 0;
}

static const char *function_at(struct view *v, uint64_t pc)
{
	const struct symbol_frame *f;
	size_t n = symbols_find_code(v->s, pc, &f);

	return f[n - 1].function ? f[n - 1].function : "";
}

static void check_debug_file(struct sample *s, uint64_t pc, const char *want)
{
	struct view v;

	view_sample(&v, s);
	assert_string_equal(function_at(&v, pc), want);
	view_close(&v);
}

/* Debug information in a file of its own, beside the program or in .debug; one that is of
 * another build is not taken. */
static void test_debug_file(void **state)
{
	struct module_symbol sym;
	struct sample s;
	struct view v;
	uint64_t pc;

	(void)state;
	sample_read(&s);
	sample_write(&s, s.bytes, s.size);
	view_sample(&v, &s);
	assert_true(module_find_symbol(modules_get(v.mods, 0), "sample_local", true, &sym));
	pc = sym.address + 1;
	assert_string_equal(function_at(&v, pc), "sample_local");
	view_close(&v);
	if (!run(&s, "objcopy --only-keep-debug 'a sample' s.debug && "
		     "objcopy --strip-all --add-gnu-debuglink=s.debug 'a sample'")) {
		sample_end(&s);
		skip();
	}
	check_debug_file(&s, pc, "sample_local");
	assert_true(run(&s, "mkdir .debug && mv s.debug .debug/"));
	check_debug_file(&s, pc, "sample_local");
	/* damage the build id, or what the checksum is of */
	assert_true(run(&s, "mv .debug/s.debug . && objcopy --remove-section=.note.gnu.build-id "
			    "--remove-section=.comment s.debug"));
	check_debug_file(&s, pc, "");
	assert_true(run(&s, "rm s.debug && mkfifo s.debug"));
	check_debug_file(&s, pc, "");
	assert_true(run(&s, "rm s.debug && rmdir .debug"));
	check_debug_file(&s, pc, "");
	sample_end(&s);
}

/* Damage where the debug information is, or anywhere. */
static void damage(const struct sample *s, uint64_t *seed, const Elf64_Shdr *sh, size_t sections)
{
	unsigned char *copy = malloc(s->size);
	const Elf64_Shdr *hit;

	assert_non_null(copy);
	memcpy(copy, s->bytes, s->size);
	for (int i = 0; i < 6; i++) {
		do {
			hit = &sh[sample_random(seed) % sections];
		} while (hit->sh_flags & SHF_ALLOC || hit->sh_type != SHT_PROGBITS ||
			 !hit->sh_size);
		copy[hit->sh_offset + sample_random(seed) % hit->sh_size] =
			(unsigned char)sample_random(seed);
	}
	sample_write(s, copy, s->size);
	free(copy);
}

static void test_damaged(void **state)
{
	const Elf64_Ehdr *h;
	uint64_t seed = 1;
	struct sample s;
	struct view v;

	(void)state;
	sample_read(&s);
	h = (const Elf64_Ehdr *)s.bytes;
	for (int round = 0; round < 1500; round++) {
		if (round % 3)
			damage(&s, &seed, (const Elf64_Shdr *)(s.bytes + h->e_shoff), h->e_shnum);
		else
			sample_write_damaged(&s, &seed);
		view_sample(&v, &s);
		for (uint64_t at = 0x1000; at < 0x1400; at += 7) {
			const struct symbol_frame *f;
			size_t n = symbols_find_code(v.s, SAMPLE_BASE + at, &f);

			assert_true(n >= 1 && n < 1000);
			for (size_t i = 0; i < n; i++)
				sink += f[i].line + (f[i].function ? f[i].function[0] : 0) +
					(f[i].file ? f[i].file[0] : 0);
		}
		for (uint64_t at = 0x3000; at < 0x5000; at += 64)
			symbols_find_data(v.s, SAMPLE_BASE + at);
		view_close(&v);
	}
	sample_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_function), cmocka_unit_test(test_inlined),
		cmocka_unit_test(test_library),	 cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_data),	 cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_table),	 cmocka_unit_test(test_debug_file),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
