/* SPDX-License-Identifier: MIT
 *
 * Sorting and searching ELF symbols.
 *
 * An address between symbols belongs to none of them: a library without .symtab has long
 * stretches of unnamed functions, and naming those after the export before them would be wrong
 * more often than right.
 */
#include "stack/symbols_table.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"

/* How far hand-written code without a size may reach behind its label. */
#define UNSIZED_BYTES_MAX 128

/* What the linker itself defines at the ends of sections: no variable of the program. */
static const char *const linker_names[] = {
	"__bss_start",
	"_edata",
	"_end",
	"__data_start",
	"data_start",
	"edata",
	"end",
	"__dso_handle",
	"_DYNAMIC",
	"_GLOBAL_OFFSET_TABLE_",
	"__TMC_END__",
	"__init_array_start",
	"__init_array_end",
	"__FRAME_END__",
	"_IO_stdin_used",
};

static bool is_linker_name(const char *name)
{
	for (size_t i = 0; i < sizeof(linker_names) / sizeof(linker_names[0]); i++)
		if (!strcmp(name, linker_names[i]))
			return true;
	return false;
}

/* Names that people wrote before names that libraries use inside, then global before local ones,
 * then the shortest. */
static uint32_t rank_name(const char *name, unsigned binding)
{
	uint32_t underscores = 0, length = (uint32_t)strnlen(name, 4095);
	bool local = binding == STB_LOCAL, mangled = name[0] == '_' && name[1] == 'Z';

	if (!strncmp(name, "__GI_", 5))
		underscores = 15;
	else if (!mangled)
		while (underscores < 14 && name[underscores] == '_')
			underscores++;
	return underscores << 24 | (uint32_t)local << 16 | length;
}

/* Of which class is the symbol? Untyped ones are what their section is. */
static bool is_of_class(const struct elf_file *f, const Elf64_Sym *s, enum symbol_class class)
{
	size_t n;
	const Elf64_Shdr *sh = elf_file_sections(f, &n);

	switch (ELF64_ST_TYPE(s->st_info)) {
	case STT_FUNC:
	case STT_GNU_IFUNC:
		return class == SYMBOLS_CODE;
	case STT_OBJECT:
	case STT_COMMON:
		return class == SYMBOLS_DATA;
	case STT_NOTYPE:
		if (s->st_shndx >= n || !(sh[s->st_shndx].sh_flags & SHF_ALLOC))
			return false;
		if (sh[s->st_shndx].sh_flags & SHF_EXECINSTR)
			return class == SYMBOLS_CODE;
		return class == SYMBOLS_DATA && sh[s->st_shndx].sh_flags & SHF_WRITE;
	default:
		return false;
	}
}

static struct symbol *table_append(struct symbol_table *t)
{
	struct symbol *v = t->v;

	if (t->n == t->room) {
		v = realloc(v, (2 * t->room + 64) * sizeof(*v));
		if (!v)
			return NULL;
		t->v = v;
		t->room = 2 * t->room + 64;
	}
	return &v[t->n++];
}

int symbol_table_add(struct symbol_table *t, const struct elf_file *f, enum symbol_class class)
{
	const struct elf_symbols *from = elf_file_symtab(f);
	bool exported = !from->n;

	if (exported)
		from = elf_file_dynsym(f);
	for (size_t i = 1; i < from->n; i++) {
		const Elf64_Sym *s = &from->v[i];
		const char *name = elf_symbols_name(from, i);
		struct symbol *sym;

		if (s->st_shndx == SHN_UNDEF || s->st_shndx == SHN_ABS || !*name ||
		    s->st_size > UINT64_MAX - s->st_value || !is_of_class(f, s, class) ||
		    (class == SYMBOLS_DATA && is_linker_name(name)) ||
		    (class == SYMBOLS_CODE && exported && !s->st_size))
			continue;
		sym = table_append(t);
		if (!sym)
			return ERR_NOMEM;
		*sym = (struct symbol){ s->st_value, s->st_size, name,
					rank_name(name, ELF64_ST_BIND(s->st_info)) };
	}
	return 0;
}

static int compare_symbols(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Give code without a size the room up to the next symbol. */
static void stretch_unsized(struct symbol_table *t)
{
	uint64_t next = UINT64_MAX, start = UINT64_MAX;

	for (size_t i = t->n; i-- > 0;) {
		struct symbol *s = &t->v[i];

		if (s->start != start) {
			next = start;
			start = s->start;
		}
		if (s->bytes)
			continue;
		s->bytes = next - s->start;
		if (s->bytes > UNSIZED_BYTES_MAX)
			s->bytes = UNSIZED_BYTES_MAX;
	}
}

int symbol_table_sort(struct symbol_table *t, enum symbol_class class)
{
	uint64_t reach = 0, end;

	t->reach = calloc(t->n + 1, sizeof(*t->reach));
	if (!t->reach)
		return ERR_NOMEM;
	if (t->n)
		qsort(t->v, t->n, sizeof(*t->v), compare_symbols);
	if (class == SYMBOLS_CODE)
		stretch_unsized(t);
	for (size_t i = 0; i < t->n; i++) {
		end = t->v[i].start + (t->v[i].bytes ? t->v[i].bytes : 1);
		if (end > reach)
			reach = end;
		t->reach[i] = reach;
	}
	return 0;
}

static bool covers(const struct symbol *s, uint64_t vaddr)
{
	return vaddr == s->start || (vaddr > s->start && vaddr - s->start < s->bytes);
}

const struct symbol *symbol_table_find(const struct symbol_table *t, uint64_t vaddr)
{
	size_t low = 0, high = t->n, mid, first;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (t->v[mid].start <= vaddr)
			low = mid + 1;
		else
			high = mid;
	}
	while (low > 0 && t->reach[low - 1] > vaddr) {
		first = low - 1;
		while (first > 0 && t->v[first - 1].start == t->v[first].start)
			first--;
		for (size_t i = first; i < low; i++)
			if (covers(&t->v[i], vaddr))
				return &t->v[i];
		low = first;
	}
	return NULL;
}

void symbol_table_free(struct symbol_table *t)
{
	free(t->v);
	free(t->reach);
	memset(t, 0, sizeof(*t));
}
