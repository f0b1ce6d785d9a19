/* SPDX-License-Identifier: MIT
 *
 * Types and variables by debug information: of the sample, whose source the expectations know, of a
 * frame of this very program, and of damaged copies.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sample.h"
#include "stack/dwarf_types.h"
#include "target/elf_file.h"

#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone))
#endif

struct view {
	struct elf_file *file;
	struct dwarf_types *types; /* NULL: no debug information */
};

static void view_open(struct view *v, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	v->types = NULL;
	v->file = NULL;
	if (elf_file_open(fd, &v->file))
		close(fd);
	else
		v->types = dwarf_types_open(v->file, 0);
}

static void view_close(struct view *v)
{
	dwarf_types_close(v->types);
	elf_file_close(v->file);
}

/* The virtual address of a symbol of the sample, 0 if the file is too damaged to tell. */
static uint64_t symbol_address(const struct elf_file *f, const char *name)
{
	const struct elf_symbols *s = elf_file_symtab(f);

	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(elf_symbols_name(s, i), name))
			return s->v[i].st_value;
	return 0;
}

static void open_sample(struct view *v, struct sample *s)
{
	sample_read(s);
	sample_write(s, s->bytes, s->size);
	view_open(v, s->path);
	if (!v->types) {
		view_close(v);
		sample_end(s);
		skip();
	}
}

static void assert_member(const struct dwarf_type *type, uint64_t offset, uint64_t bytes,
			  const char *expected, const char *leads_to)
{
	struct dwarf_type target;
	char path[64];

	assert_true(dwarf_type_find_member(type, offset, bytes, path, sizeof(path), &target));
	assert_string_equal(path, expected);
	if (!leads_to) {
		assert_null(target.types);
		return;
	}
	dwarf_type_name(&target, path, sizeof(path));
	assert_string_equal(path, leads_to);
}

static void test_static_variables_and_their_members(void **state)
{
	struct dwarf_type type, target;
	struct sample s;
	struct view v;
	uint64_t offset, bytes;
	char text[64];

	(void)state;
	open_sample(&v, &s);
	assert_true(dwarf_types_find_static(v.types, symbol_address(v.file, "sample_top"), &type,
					    &offset));
	assert_int_equal(offset, 0);
	assert_member(&type, 0, 8, "", "struct sample_node");
	assert_true(dwarf_types_find_static(v.types, symbol_address(v.file, "sample_root") + 32,
					    &type, &offset));
	assert_int_equal(offset, 32);
	dwarf_type_name(&type, text, sizeof(text));
	assert_string_equal(text, "struct sample_node");
	bytes = dwarf_type_bytes(&type);
	assert_int_equal(bytes, 112);

	assert_member(&type, 0, bytes, "name[0]", NULL);
	assert_member(&type, 5, bytes, "name[5]", NULL);
	assert_member(&type, 24, bytes, "next", "struct sample_node");
	assert_member(&type, 25, bytes, "next", NULL);
	assert_member(&type, 32, bytes, "lists[0].count", NULL);
	assert_member(&type, 56, bytes, "lists[1].free", "struct sample_node");
	assert_member(&type, 80, bytes, "tag.number", NULL);
	assert_member(&type, 88, bytes, "flags", NULL);
	assert_member(&type, 96, bytes, "anything", NULL);
	assert_member(&type, 104, bytes, "declared", "struct sample_declared");

	/* the array at its end, in a block that is larger */
	assert_member(&type, 128, 160, "children[2]", "struct sample_node");
	assert_false(dwarf_type_find_member(&type, 160, 160, text, sizeof(text), &target));
	assert_false(dwarf_types_find_static(v.types, 1, &type, &offset));
	view_close(&v);
	sample_end(&s);
}

static void test_several_of_a_type_in_one_block(void **state)
{
	struct dwarf_type type, list, target;
	struct sample s;
	struct view v;
	uint64_t offset;
	char text[64];

	(void)state;
	open_sample(&v, &s);
	assert_true(dwarf_types_find_static(v.types, symbol_address(v.file, "sample_lock"), &type,
					    &offset));
	dwarf_type_name(&type, text, sizeof(text));
	assert_string_equal(text, "int");
	assert_true(dwarf_types_find_static(v.types, symbol_address(v.file, "sample_pool") + 8,
					    &list, &offset));
	assert_int_equal(offset, 8);
	assert_int_equal(dwarf_type_bytes(&list), 80);
	assert_true(dwarf_type_find_member(&list, 8, 80, text, sizeof(text), &target));
	assert_string_equal(text, "[2]");
	view_close(&v);
	sample_end(&s);
}

/* -- a frame of our own ----------------------------------------------------------------------- */

struct queue {
	long length;
	pthread_cond_t changed;
};

struct smart {
	long count;
	struct queue *queue;
};

static size_t read_own(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	(void)ctx;
	memcpy(buf, (const void *)(uintptr_t)address, bytes);
	return bytes;
}

static uint64_t own_bias(void)
{
	struct maps maps;
	struct modules *mods;
	struct err e;
	uint64_t bias;

	assert_int_equal(maps_read(getpid(), &maps, &e), 0);
	assert_int_equal(modules_open(getpid(), &maps, &mods, &e), 0);
	bias = modules_find(mods, (uintptr_t)own_bias)->bias;
	modules_close(mods);
	maps_free(&maps);
	return bias;
}

/* Where the call of this function is, as a code address. */
static NOINLINE uint64_t here(void *keep)
{
	__asm__ volatile("" : : "r"(keep) : "memory");
	return (uintptr_t)__builtin_return_address(0) - 1;
}

static void assert_points_to(struct dwarf_types *t, const struct dwarf_frame_context *c,
			     const struct queue *q, const char *expected)
{
	uint64_t start = (uintptr_t)q, base;
	struct dwarf_type type;
	char text[64];

	assert_true(dwarf_types_find_pointer(t, c, start, start + sizeof(*q),
					     (uintptr_t)&q->changed, &type, &base));
	assert_int_equal(base, start);
	dwarf_type_name(&type, text, sizeof(text));
	assert_string_equal(text, expected);
	assert_true(dwarf_type_find_member(&type, (uintptr_t)&q->changed - start, sizeof(*q), text,
					   sizeof(text), &type));
	assert_string_equal(text, "changed");
	assert_false(dwarf_types_find_pointer(t, c, start + 4096, start + 4200, start + 4100, &type,
					      &base));
}

static NOINLINE void look_at_frame(struct dwarf_types *t)
{
	struct queue *volatile direct = calloc(1, sizeof(struct queue));
	volatile struct smart within = { 1, calloc(1, sizeof(struct queue)) };
	struct dwarf_frame_context c = { .read = read_own };
	struct dwarf_type type;
	const char *name;
	uint64_t offset;

	c.bias = own_bias();
	c.cfa = (uintptr_t)__builtin_dwarf_cfa();
	c.vaddr = here((void *)&within) - c.bias;
	assert_points_to(t, &c, direct, "struct queue");
	assert_points_to(t, &c, within.queue, "struct queue");
	assert_true(dwarf_types_find_local(t, &c, (uintptr_t)&within.queue, &name, &type, &offset));
	assert_string_equal(name, "within");
	assert_int_equal(offset, offsetof(struct smart, queue));
	c.cfa = 0;
	assert_false(
		dwarf_types_find_local(t, &c, (uintptr_t)&within.queue, &name, &type, &offset));
	free(direct);
	free(within.queue);
}

/* The address sanitizer moves variables to where only more registers lead. */
#if defined(__SANITIZE_ADDRESS__)
#define VARIABLES_ARE_MOVED true
#else
#define VARIABLES_ARE_MOVED false
#endif

static void test_variables_of_a_frame(void **state)
{
	struct view v;

	(void)state;
	if (VARIABLES_ARE_MOVED)
		skip();
	view_open(&v, "/proc/self/exe");
	if (!v.types) {
		view_close(&v);
		skip();
	}
	look_at_frame(v.types);
	view_close(&v);
}

/* -- damage ----------------------------------------------------------------------------------- */

/* A few bytes of the debug information, or anywhere. */
static void write_damaged(const struct sample *s, uint64_t *seed)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)s->bytes;
	const Elf64_Shdr *sh = (const Elf64_Shdr *)(s->bytes + h->e_shoff), *hit;
	unsigned char *copy = malloc(s->size);

	assert_non_null(copy);
	memcpy(copy, s->bytes, s->size);
	for (int i = 0; i < 6; i++) {
		do {
			hit = &sh[sample_random(seed) % h->e_shnum];
		} while (hit->sh_flags & SHF_ALLOC || hit->sh_type != SHT_PROGBITS ||
			 !hit->sh_size);
		copy[hit->sh_offset + sample_random(seed) % hit->sh_size] =
			(unsigned char)sample_random(seed);
	}
	sample_write(s, copy, s->size);
	free(copy);
}

static size_t read_anything(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	(void)ctx;
	memset(buf, (int)(address >> 3), bytes);
	return address & 0x40 ? bytes : 0;
}

static void ask_everything(struct view *v, uint64_t pool, uint64_t *seed)
{
	struct unwind_registers registers = { .known = ~0u };
	struct dwarf_frame_context c = {
		.bias = SAMPLE_BASE, .cfa = 0x7000, .registers = &registers, .read = read_anything
	};
	struct dwarf_type type, target;
	uint64_t offset;
	const char *name;
	char text[64];

	for (uint64_t at = pool - 256; at < pool + 512; at += 24) {
		if (!dwarf_types_find_static(v->types, at, &type, &offset))
			continue;
		dwarf_type_name(&type, text, sizeof(text));
		for (uint64_t i = 0; i < 160; i += 8)
			if (dwarf_type_find_member(&type, i, 160, text, sizeof(text), &target) &&
			    target.types)
				dwarf_type_name(&target, text, sizeof(text));
	}
	for (c.vaddr = 0x1000; c.vaddr < 0x1400; c.vaddr += 13) {
		uint64_t at = 0x6f00 + sample_random(seed) % 256;

		if (dwarf_types_find_local(v->types, &c, at, &name, &type, &offset))
			assert_true(offset < dwarf_type_bytes(&type) && strlen(name) < 4096);
		dwarf_types_find_pointer(v->types, &c, 0, ~UINT64_C(0), ~UINT64_C(0) >> 1, &type,
					 &offset);
	}
}

static void test_damaged(void **state)
{
	uint64_t seed = 1, pool;
	struct sample s;
	struct view v;

	(void)state;
	open_sample(&v, &s);
	pool = symbol_address(v.file, "sample_root");
	view_close(&v);
	for (int round = 0; round < 600; round++) {
		if (round % 4)
			write_damaged(&s, &seed);
		else
			sample_write_damaged(&s, &seed);
		view_open(&v, s.path);
		if (v.types)
			ask_everything(&v, pool, &seed);
		view_close(&v);
	}
	sample_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_static_variables_and_their_members),
		cmocka_unit_test(test_several_of_a_type_in_one_block),
		cmocka_unit_test(test_variables_of_a_frame),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
